//! ConvNeXt (Liu et al., "A ConvNet for the 2020s", <https://arxiv.org/abs/2201.03545>): depthwise 7x7 convolutions
//! and fully connected layers over the channels, with layer normalisation, GELU and a learned scale.
//!
//! ```
//! use burn::tensor::Device;
//! use firesight_models::classification::ClassifierConfig;
//! use firesight_models::classification::convnext::CONVNEXT_TINY;
//! use firesight_models::weights::parameter_count;
//!
//! let config = ClassifierConfig::named("convnext_tiny")?;
//! let model = config.init(CONVNEXT_TINY.input, CONVNEXT_TINY.classes, &Device::default())?;
//! assert_eq!(parameter_count(&model), 28_589_128);
//! # Ok::<(), firesight_models::ModelError>(())
//! ```

use burn::module::{Module, Param};
use burn::nn::conv::Conv2d;
use burn::nn::{Initializer, LayerNorm, LayerNormConfig, Linear};
use burn::tensor::{Device, Tensor};
use firesight_kernels::{Activation, activation, conv2d, linear};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Architecture, Variant};
use crate::blocks::pooled;
use crate::layers::{self, Init, StochasticDepth, check_rate, conv};
use crate::sequential::{Blank, Block, Layer, Sequential};
use crate::style::Style;
use crate::weights::TorchNames;
use crate::{Backbone, FeatureMap, InputSpec, ModelError};

/// Torchvision's truncated normal, whose cut at 100 standard deviations never acts.
const STYLE: Style = Style::new(Init::Normal(0.02));

/// What distinguishes the variants.
#[derive(Clone, Copy, Debug)]
pub struct ConvNextShape {
    /// Channels of each stage.
    pub widths: [usize; 4],
    /// Blocks of each stage.
    pub blocks: [usize; 4],
    /// The published probability of dropping the last block's branch.
    pub stochastic_depth: f64,
}

const fn convnext(
    parameters: usize,
    widths: [usize; 4],
    blocks: [usize; 4],
    stochastic_depth: f64,
) -> Variant<ConvNextShape> {
    Variant::imagenet(
        parameters,
        32,
        ConvNextShape {
            widths,
            blocks,
            stochastic_depth,
        },
    )
}

/// ConvNeXt tiny.
pub const CONVNEXT_TINY: Variant<ConvNextShape> =
    convnext(28_589_128, [96, 192, 384, 768], [3, 3, 9, 3], 0.1);
/// ConvNeXt small.
pub const CONVNEXT_SMALL: Variant<ConvNextShape> =
    convnext(50_223_688, [96, 192, 384, 768], [3, 3, 27, 3], 0.4);
/// ConvNeXt base.
pub const CONVNEXT_BASE: Variant<ConvNextShape> =
    convnext(88_591_464, [128, 256, 512, 1024], [3, 3, 27, 3], 0.5);
/// ConvNeXt large.
pub const CONVNEXT_LARGE: Variant<ConvNextShape> =
    convnext(197_767_336, [192, 384, 768, 1536], [3, 3, 27, 3], 0.5);

/// Options of the ConvNeXts.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields, default)]
pub struct ConvNextConfig {
    /// Probability of dropping the last block's residual branch in training, falling linearly to 0 at the first
    /// block; in `[0, 1)`. The published one of the size (0.1 to 0.5) where it is left out.
    pub stochastic_depth: Option<f64>,
    /// What the scale of each residual branch starts at.
    pub layer_scale: f64,
}

impl Default for ConvNextConfig {
    fn default() -> Self {
        Self {
            stochastic_depth: None,
            layer_scale: 1e-6,
        }
    }
}

/// ConvNeXt with the state-dict keys of torchvision's `convnext_tiny` to `convnext_large`.
#[derive(Module, Debug)]
pub struct ConvNext {
    features: Sequential<ConvNextBlock>,
    classifier: (LayerNorm, Blank, Linear),
}

/// A depthwise convolution and two fully connected layers, scaled and added to the input.
#[derive(Module, Debug)]
pub struct ConvNextBlock {
    block: (Conv2d, Blank, LayerNorm, Linear, Blank, Linear),
    layer_scale: Param<Tensor<3>>,
    stochastic_depth: StochasticDepth,
}

impl Architecture for ConvNext {
    type Shape = ConvNextShape;
    type Config = ConvNextConfig;

    fn problems(config: &ConvNextConfig) -> Vec<(String, String)> {
        let rate = config.stochastic_depth;
        let mut problems: Vec<_> = rate
            .and_then(|rate| check_rate("stochastic-depth", rate))
            .into_iter()
            .collect();
        if !(-1e3..=1e3).contains(&config.layer_scale) {
            let message = format!("{} is not from -1000 to 1000", config.layer_scale);
            problems.push(("layer-scale".to_string(), message));
        }
        problems
    }

    fn build(
        shape: &ConvNextShape,
        config: &ConvNextConfig,
        input: InputSpec,
        classes: usize,
        device: &Device,
    ) -> Result<Self, ModelError> {
        let rate = config.stochastic_depth.unwrap_or(shape.stochastic_depth);
        let total: usize = shape.blocks.iter().sum();
        let norm = |width| Layer::LayerNorm(layer_norm(width, device));
        let downsample = |layers| Layer::Sequential(Sequential::numbered(layers));
        let mut width = shape.widths[0];
        let stem = STYLE.conv(conv(input.channels, width, 4).stride(4), device);
        let mut features = vec![downsample(vec![stem, norm(width)])];
        let mut built = 0;
        for (i, (out, count)) in shape.widths.into_iter().zip(shape.blocks).enumerate() {
            if i > 0 {
                let conv = STYLE.conv(conv(width, out, 2).stride(2), device);
                features.push(downsample(vec![norm(width), conv]));
                width = out;
            }
            let blocks = (built..built + count).map(|at| {
                let drop = rate * at as f64 / (total - 1) as f64;
                Layer::Block(ConvNextBlock::new(width, config.layer_scale, drop, device))
            });
            features.push(Layer::Sequential(Sequential::numbered(blocks.collect())));
            built += count;
        }
        let last = layers::linear(width, classes, STYLE.draw, device);
        Ok(Self {
            features: Sequential::numbered(features),
            classifier: (layer_norm(width, device), Blank, last),
        })
    }

    fn embed(&self, x: Tensor<4>) -> Tensor<2> {
        self.classifier
            .0
            .forward(pooled([1, 1], self.features.forward(x)))
    }

    fn forward(&self, x: Tensor<4>) -> Tensor<2> {
        linear(&self.classifier.2, self.embed(x))
    }
}

impl ConvNextBlock {
    fn new(width: usize, scale: f64, drop: f64, device: &Device) -> Self {
        let depthwise = conv(width, width, 7)
            .padding(3)
            .groups(width)
            .draw(STYLE.draw);
        let linear = |input, output| layers::linear(input, output, STYLE.draw, device);
        Self {
            block: (
                depthwise.init(device),
                Blank,
                layer_norm(width, device),
                linear(width, 4 * width),
                Blank,
                linear(4 * width, width),
            ),
            layer_scale: Initializer::Constant { value: scale }.init([width, 1, 1], device),
            stochastic_depth: StochasticDepth::new(drop),
        }
    }
}

impl Block for ConvNextBlock {
    fn forward(&self, x: Tensor<4>) -> Tensor<4> {
        let (depthwise, _, norm, expand, _, project) = &self.block;
        let branch = conv2d(depthwise, x.clone()).permute([0, 2, 3, 1]); // [N, H, W, C]
        let branch = activation(Activation::Gelu, linear(expand, norm.forward(branch))); // [N, H, W, 4 C]
        let branch = linear(project, branch).permute([0, 3, 1, 2]);
        let branch = branch * self.layer_scale.val().unsqueeze::<4>();
        self.stochastic_depth.forward(branch) + x
    }

    fn stride(&self) -> usize {
        1
    }

    fn out_channels(&self) -> usize {
        self.layer_scale.lazy_shape()[0]
    }
}

fn layer_norm(width: usize, device: &Device) -> LayerNorm {
    LayerNormConfig::new(width).with_epsilon(1e-6).init(device)
}

impl Backbone for ConvNext {
    fn feature_channels(&self) -> Vec<(usize, usize)> {
        self.features.feature_channels(1)
    }

    fn feature_maps(&self, x: Tensor<4>) -> Vec<FeatureMap> {
        self.features.feature_maps(x, 1)
    }
}

impl TorchNames for ConvNext {
    fn head(&self) -> &'static [&'static str] {
        &["classifier.2."]
    }
}
