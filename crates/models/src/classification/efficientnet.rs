//! EfficientNet (Tan and Le, <https://arxiv.org/abs/1905.11946>) and EfficientNet V2 (Tan and Le,
//! <https://arxiv.org/abs/2104.00298>): inverted residuals with squeeze and excitation, scaled in width and depth.
//!
//! ```
//! use burn::tensor::Device;
//! use firesight_models::classification::ClassifierConfig;
//! use firesight_models::classification::efficientnet::EFFICIENTNET_B0;
//! use firesight_models::weights::parameter_count;
//!
//! let config = ClassifierConfig::named("efficientnet_b0")?;
//! let model = config.init(EFFICIENTNET_B0.input, EFFICIENTNET_B0.classes, &Device::default())?;
//! assert_eq!(parameter_count(&model), 5_288_548);
//! # Ok::<(), firesight_models::ModelError>(())
//! ```

use burn::module::Module;
use burn::tensor::{Device, Tensor};
use firesight_kernels::Activation;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Architecture, Variant};
use crate::blocks::{SqueezeExcitation, make_divisible, pooled};
use crate::layers::{Init, StochasticDepth, check_rate, conv};
use crate::sequential::{Block, Head, Layer, Sequential};
use crate::style::{Style, head_dropout, head_linear, residual};
use crate::weights::TorchNames;
use crate::{Backbone, FeatureMap, InputSpec, ModelError};

const DRAW: Init = Init::KaimingFanOut;

/// What distinguishes the variants.
#[derive(Clone, Copy, Debug)]
pub struct EfficientNetShape {
    /// The stages before scaling.
    stages: &'static [Stage],
    /// Widths as a multiple of the stages'.
    width: f64,
    /// Blocks as a multiple of the stages'.
    depth: f64,
    /// Channels before pooling; four times the last stage's where `None`.
    last: Option<usize>,
    /// What batch normalisation adds to the variance, and the share of the batch in its running statistics.
    norm: (f64, f64),
    /// The published dropout before the last layer.
    dropout: f64,
}

/// A row of the papers' tables: blocks of one width.
#[derive(Clone, Copy, Debug)]
struct Stage {
    kind: Kind,
    expansion: usize,
    kernel: usize,
    stride: usize,
    /// Channels before and after.
    channels: [usize; 2],
    blocks: usize,
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Kind {
    /// Expansion, depthwise convolution, squeeze and excitation, projection.
    Depthwise,
    /// A full convolution that also expands, and a projection.
    Fused,
}

/// B0: table 1 of the first paper.
const B_STAGES: [Stage; 7] = [
    Stage::new(Kind::Depthwise, 1, 3, 1, [32, 16], 1),
    Stage::new(Kind::Depthwise, 6, 3, 2, [16, 24], 2),
    Stage::new(Kind::Depthwise, 6, 5, 2, [24, 40], 2),
    Stage::new(Kind::Depthwise, 6, 3, 2, [40, 80], 3),
    Stage::new(Kind::Depthwise, 6, 5, 1, [80, 112], 3),
    Stage::new(Kind::Depthwise, 6, 5, 2, [112, 192], 4),
    Stage::new(Kind::Depthwise, 6, 3, 1, [192, 320], 1),
];

/// V2 small: table 4 of the second paper.
const V2_SMALL: [Stage; 6] = [
    Stage::new(Kind::Fused, 1, 3, 1, [24, 24], 2),
    Stage::new(Kind::Fused, 4, 3, 2, [24, 48], 4),
    Stage::new(Kind::Fused, 4, 3, 2, [48, 64], 4),
    Stage::new(Kind::Depthwise, 4, 3, 2, [64, 128], 6),
    Stage::new(Kind::Depthwise, 6, 3, 1, [128, 160], 9),
    Stage::new(Kind::Depthwise, 6, 3, 2, [160, 256], 15),
];

/// V2 medium.
const V2_MEDIUM: [Stage; 7] = [
    Stage::new(Kind::Fused, 1, 3, 1, [24, 24], 3),
    Stage::new(Kind::Fused, 4, 3, 2, [24, 48], 5),
    Stage::new(Kind::Fused, 4, 3, 2, [48, 80], 5),
    Stage::new(Kind::Depthwise, 4, 3, 2, [80, 160], 7),
    Stage::new(Kind::Depthwise, 6, 3, 1, [160, 176], 14),
    Stage::new(Kind::Depthwise, 6, 3, 2, [176, 304], 18),
    Stage::new(Kind::Depthwise, 6, 3, 1, [304, 512], 5),
];

/// V2 large.
const V2_LARGE: [Stage; 7] = [
    Stage::new(Kind::Fused, 1, 3, 1, [32, 32], 4),
    Stage::new(Kind::Fused, 4, 3, 2, [32, 64], 7),
    Stage::new(Kind::Fused, 4, 3, 2, [64, 96], 7),
    Stage::new(Kind::Depthwise, 4, 3, 2, [96, 192], 10),
    Stage::new(Kind::Depthwise, 6, 3, 1, [192, 224], 19),
    Stage::new(Kind::Depthwise, 6, 3, 2, [224, 384], 25),
    Stage::new(Kind::Depthwise, 6, 3, 1, [384, 640], 7),
];

const fn first(
    parameters: usize,
    side: usize,
    width: f64,
    depth: f64,
    dropout: f64,
) -> Variant<EfficientNetShape> {
    // From B5 on torchvision has the normalisation of the TensorFlow original.
    let norm = if width >= 1.6 {
        (1e-3, 0.01)
    } else {
        (1e-5, 0.1)
    };
    let shape = EfficientNetShape {
        stages: &B_STAGES,
        width,
        depth,
        last: None,
        norm,
        dropout,
    };
    Variant {
        input: InputSpec::rgb(side),
        ..Variant::imagenet(parameters, 1, shape)
    }
}

const fn second(
    parameters: usize,
    side: usize,
    stages: &'static [Stage],
    dropout: f64,
) -> Variant<EfficientNetShape> {
    let (last, norm) = (Some(1280), (1e-3, 0.1));
    let shape = EfficientNetShape {
        stages,
        width: 1.0,
        depth: 1.0,
        last,
        norm,
        dropout,
    };
    Variant {
        input: InputSpec::rgb(side),
        ..Variant::imagenet(parameters, 33, shape)
    }
}

/// EfficientNet B0.
pub const EFFICIENTNET_B0: Variant<EfficientNetShape> = first(5_288_548, 224, 1.0, 1.0, 0.2);
/// EfficientNet B1.
pub const EFFICIENTNET_B1: Variant<EfficientNetShape> = first(7_794_184, 240, 1.0, 1.1, 0.2);
/// EfficientNet B2.
pub const EFFICIENTNET_B2: Variant<EfficientNetShape> = first(9_109_994, 288, 1.1, 1.2, 0.3);
/// EfficientNet B3.
pub const EFFICIENTNET_B3: Variant<EfficientNetShape> = first(12_233_232, 300, 1.2, 1.4, 0.3);
/// EfficientNet B4.
pub const EFFICIENTNET_B4: Variant<EfficientNetShape> = first(19_341_616, 380, 1.4, 1.8, 0.4);
/// EfficientNet B5.
pub const EFFICIENTNET_B5: Variant<EfficientNetShape> = first(30_389_784, 456, 1.6, 2.2, 0.4);
/// EfficientNet B6.
pub const EFFICIENTNET_B6: Variant<EfficientNetShape> = first(43_040_704, 528, 1.8, 2.6, 0.5);
/// EfficientNet B7.
pub const EFFICIENTNET_B7: Variant<EfficientNetShape> = first(66_347_960, 600, 2.0, 3.1, 0.5);
/// EfficientNet V2 small.
pub const EFFICIENTNET_V2_S: Variant<EfficientNetShape> = second(21_458_488, 384, &V2_SMALL, 0.2);
/// EfficientNet V2 medium.
pub const EFFICIENTNET_V2_M: Variant<EfficientNetShape> = second(54_139_356, 480, &V2_MEDIUM, 0.3);
/// EfficientNet V2 large.
pub const EFFICIENTNET_V2_L: Variant<EfficientNetShape> = second(118_515_272, 480, &V2_LARGE, 0.4);

/// Options of the EfficientNets.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields, default)]
pub struct EfficientNetConfig {
    /// The share of values dropped before the last layer in training, in `[0, 1)`; the published one of the size
    /// (0.2 to 0.5) where it is left out.
    pub dropout: Option<f64>,
    /// Probability of dropping the last block's residual branch in training, falling linearly to 0 towards the
    /// first block; in `[0, 1)`.
    pub stochastic_depth: f64,
}

impl Default for EfficientNetConfig {
    fn default() -> Self {
        Self {
            dropout: None,
            stochastic_depth: 0.2,
        }
    }
}

/// EfficientNet with the state-dict keys of torchvision's `efficientnet_b0` to `efficientnet_v2_l`.
#[derive(Module, Debug)]
pub struct EfficientNet {
    features: Sequential<MbConv>,
    classifier: Head,
}

/// An inverted residual, with a depthwise convolution or with one full convolution instead of it and of the
/// expansion.
#[derive(Module, Debug)]
pub struct MbConv {
    block: Sequential,
    stochastic_depth: StochasticDepth,
    residual: bool,
}

impl Architecture for EfficientNet {
    type Shape = EfficientNetShape;
    type Config = EfficientNetConfig;

    fn problems(config: &EfficientNetConfig) -> Vec<(String, String)> {
        let dropout = config.dropout.and_then(|rate| check_rate("dropout", rate));
        let depth = check_rate("stochastic-depth", config.stochastic_depth);
        dropout.into_iter().chain(depth).collect()
    }

    fn build(
        shape: &EfficientNetShape,
        config: &EfficientNetConfig,
        input: InputSpec,
        classes: usize,
        device: &Device,
    ) -> Result<Self, ModelError> {
        let (epsilon, momentum) = shape.norm;
        let (style, silu) = (
            Style {
                draw: DRAW,
                epsilon,
                momentum,
            },
            Activation::Silu,
        );
        let stages = shape.scaled();
        let total: usize = stages.iter().map(|stage| stage.blocks).sum();
        let mut width = stages[0].channels[0];
        let stem = conv(input.channels, width, 3).stride(2).padding(1);
        let mut layers = vec![style.conv_norm_act(stem, silu, device)];
        let mut built = 0;
        for stage in stages {
            let mut blocks = Vec::new();
            for i in 0..stage.blocks {
                let block = Stage {
                    channels: [width, stage.channels[1]],
                    stride: if i == 0 { stage.stride } else { 1 },
                    ..stage
                };
                let drop = config.stochastic_depth * built as f64 / total as f64;
                blocks.push(Layer::Block(MbConv::new(block, drop, style, device)));
                width = stage.channels[1];
                built += 1;
            }
            layers.push(Layer::Sequential(Sequential::numbered(blocks)));
        }
        let last = shape.last.unwrap_or(4 * width);
        layers.push(style.conv_norm_act(conv(width, last, 1), silu, device));
        let draw = Init::Uniform(1.0 / (classes as f64).sqrt());
        let dropout = head_dropout(config.dropout.unwrap_or(shape.dropout));
        Ok(Self {
            features: Sequential::numbered(layers),
            classifier: Head::numbered(vec![dropout, head_linear(last, classes, draw, device)]),
        })
    }

    fn embed(&self, x: Tensor<4>) -> Tensor<2> {
        self.classifier
            .features(pooled([1, 1], self.features.forward(x)))
    }

    fn forward(&self, x: Tensor<4>) -> Tensor<2> {
        self.classifier
            .forward(pooled([1, 1], self.features.forward(x)))
    }
}

impl EfficientNetShape {
    fn scaled(&self) -> Vec<Stage> {
        let width = |channels: usize| make_divisible(channels as f64 * self.width, 8);
        let scale = |stage: &Stage| Stage {
            channels: stage.channels.map(width),
            blocks: (stage.blocks as f64 * self.depth).ceil() as usize,
            ..*stage
        };
        self.stages.iter().map(scale).collect()
    }
}

impl Stage {
    const fn new(
        kind: Kind,
        expansion: usize,
        kernel: usize,
        stride: usize,
        channels: [usize; 2],
        blocks: usize,
    ) -> Self {
        Self {
            kind,
            expansion,
            kernel,
            stride,
            channels,
            blocks,
        }
    }
}

impl MbConv {
    fn new(stage: Stage, drop: f64, style: Style, device: &Device) -> Self {
        let Stage {
            kernel,
            stride,
            channels: [before, after],
            ..
        } = stage;
        let (silu, fused) = (Activation::Silu, stage.kind == Kind::Fused);
        let expanded = make_divisible((before * stage.expansion) as f64, 8);
        let expands = expanded != before;
        let spatial = |input, output| {
            conv(input, output, kernel)
                .stride(stride)
                .padding(kernel / 2)
        };
        let mut layers = Vec::new();
        if fused {
            let out = if expands { expanded } else { after };
            layers.push(style.conv_norm_act(spatial(before, out), silu, device));
        } else {
            if expands {
                layers.push(style.conv_norm_act(conv(before, expanded, 1), silu, device));
            }
            let depthwise = spatial(expanded, expanded).groups(expanded);
            layers.push(style.conv_norm_act(depthwise, silu, device));
            let squeezed = (before / 4).max(1);
            let acts = [silu, Activation::Sigmoid];
            let excitation = SqueezeExcitation::new(expanded, squeezed, acts, [DRAW, DRAW], device);
            layers.push(Layer::SqueezeExcitation(excitation));
        }
        if expands || !fused {
            let project = conv(expanded, after, 1);
            layers.push(style.conv_norm_act(project, Activation::Identity, device));
        }
        Self {
            block: Sequential::numbered(layers),
            stochastic_depth: StochasticDepth::new(drop),
            residual: stride == 1 && before == after,
        }
    }
}

impl Block for MbConv {
    fn forward(&self, x: Tensor<4>) -> Tensor<4> {
        match self.residual {
            true => residual(&self.block, &self.stochastic_depth, x),
            false => self.block.forward(x),
        }
    }

    fn stride(&self) -> usize {
        self.block.stride()
    }

    fn out_channels(&self) -> usize {
        self.block.out_channels(0)
    }
}

impl Backbone for EfficientNet {
    fn feature_channels(&self) -> Vec<(usize, usize)> {
        self.features.feature_channels(1)
    }

    fn feature_maps(&self, x: Tensor<4>) -> Vec<FeatureMap> {
        self.features.feature_maps(x, 1)
    }
}

impl TorchNames for EfficientNet {
    fn head(&self) -> &'static [&'static str] {
        &["classifier.1."]
    }
}
