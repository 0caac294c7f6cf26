//! MNASNet (Tan et al., "MnasNet: Platform-Aware Neural Architecture Search for Mobile",
//! <https://arxiv.org/abs/1807.11626>), the variant B1 without squeeze and excitation, at four widths.
//!
//! ```
//! use burn::tensor::Device;
//! use firesight_models::classification::ClassifierConfig;
//! use firesight_models::classification::mnasnet::MNASNET0_5;
//! use firesight_models::weights::parameter_count;
//!
//! let config = ClassifierConfig::named("mnasnet0_5")?;
//! let model = config.init(MNASNET0_5.input, MNASNET0_5.classes, &Device::default())?;
//! assert_eq!(parameter_count(&model), 2_218_512);
//! # Ok::<(), firesight_models::ModelError>(())
//! ```

use burn::module::Module;
use burn::tensor::{Device, Tensor};
use firesight_kernels::Activation;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Architecture, Variant};
use crate::blocks::{make_divisible, pooled};
use crate::layers::{Init, check_rate, conv};
use crate::sequential::{Act, Block, Head, Layer, Sequential};
use crate::style::{Style, head_dropout, head_linear};
use crate::weights::TorchNames;
use crate::{Backbone, FeatureMap, InputSpec, ModelError};

/// TensorFlow's momentum of 0.9997 in PyTorch's terms.
const STYLE: Style = Style {
    draw: Init::KaimingFanOut,
    epsilon: 1e-5,
    momentum: 1.0 - 0.9997,
};

/// Channels of the stem, of its projection, and of what is pooled; the last is not scaled.
const STEM: [usize; 3] = [32, 16, 1280];

/// Channels, kernel, stride, expansion and number of blocks of each stack (the paper's figure 7, B1).
const STACKS: [(usize, usize, usize, usize, usize); 6] = [
    (24, 3, 2, 3, 3),
    (40, 5, 2, 3, 3),
    (80, 5, 2, 6, 3),
    (96, 3, 1, 6, 2),
    (192, 5, 2, 6, 4),
    (320, 3, 1, 6, 1),
];

/// MNASNet at half the width.
pub const MNASNET0_5: Variant<f64> = Variant::imagenet(2_218_512, 1, 0.5);
/// MNASNet at three quarters of the width.
pub const MNASNET0_75: Variant<f64> = Variant::imagenet(3_170_208, 1, 0.75);
/// MNASNet.
pub const MNASNET1_0: Variant<f64> = Variant::imagenet(4_383_312, 1, 1.0);
/// MNASNet at 1.3 times the width.
pub const MNASNET1_3: Variant<f64> = Variant::imagenet(6_282_256, 1, 1.3);

/// Options of the MNASNets.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields, default)]
pub struct MnasNetConfig {
    /// The share of values dropped before the last layer in training, in `[0, 1)`.
    pub dropout: f64,
}

impl Default for MnasNetConfig {
    fn default() -> Self {
        Self { dropout: 0.2 }
    }
}

/// MNASNet with the state-dict keys of torchvision's `mnasnet0_5` to `mnasnet1_3` (version 2 of its layout, whose
/// stem is scaled too).
#[derive(Module, Debug)]
pub struct MnasNet {
    layers: Sequential<InvertedResidual>,
    classifier: Head,
}

/// Expansion, depthwise convolution and projection, around which the input is added where the shapes allow.
#[derive(Module, Debug)]
struct InvertedResidual {
    layers: Sequential,
    residual: bool,
}

impl Architecture for MnasNet {
    /// Width as a multiple of MNASNet 1.0's.
    type Shape = f64;
    type Config = MnasNetConfig;

    fn problems(config: &MnasNetConfig) -> Vec<(String, String)> {
        check_rate("dropout", config.dropout).into_iter().collect()
    }

    fn build(
        scale: &f64,
        config: &MnasNetConfig,
        input: InputSpec,
        classes: usize,
        device: &Device,
    ) -> Result<Self, ModelError> {
        let scaled = |channels: usize| make_divisible(channels as f64 * scale, 8);
        let relu = || Layer::Act(Act::new(Activation::Relu));
        let [stem, mut width, last] = [scaled(STEM[0]), scaled(STEM[1]), STEM[2]];
        let mut layers = Vec::new();
        layers.extend(STYLE.conv_norm(conv(input.channels, stem, 3).stride(2).padding(1), device));
        layers.push(relu());
        layers.extend(STYLE.conv_norm(conv(stem, stem, 3).padding(1).groups(stem), device));
        layers.push(relu());
        layers.extend(STYLE.conv_norm(conv(stem, width, 1), device));
        for (channels, kernel, stride, expansion, blocks) in STACKS {
            let mut stack = Vec::new();
            for i in 0..blocks {
                let stride = if i == 0 { stride } else { 1 };
                let out = scaled(channels);
                let block = InvertedResidual::new([width, out], kernel, stride, expansion, device);
                stack.push(Layer::Block(block));
                width = out;
            }
            layers.push(Layer::Sequential(Sequential::numbered(stack)));
        }
        layers.extend(STYLE.conv_norm(conv(width, last, 1), device));
        layers.push(relu());
        let linear = head_linear(last, classes, Init::KaimingUniformFanOutSigmoid, device);
        Ok(Self {
            layers: Sequential::numbered(layers),
            classifier: Head::numbered(vec![head_dropout(config.dropout), linear]),
        })
    }

    fn embed(&self, x: Tensor<4>) -> Tensor<2> {
        self.classifier
            .features(pooled([1, 1], self.layers.forward(x)))
    }

    fn forward(&self, x: Tensor<4>) -> Tensor<2> {
        self.classifier
            .forward(pooled([1, 1], self.layers.forward(x)))
    }
}

impl InvertedResidual {
    fn new(
        [before, after]: [usize; 2],
        kernel: usize,
        stride: usize,
        expansion: usize,
        device: &Device,
    ) -> Self {
        let hidden = before * expansion;
        let depthwise = conv(hidden, hidden, kernel)
            .stride(stride)
            .padding(kernel / 2)
            .groups(hidden);
        let relu = || Layer::Act(Act::new(Activation::Relu));
        let mut layers = Vec::new();
        layers.extend(STYLE.conv_norm(conv(before, hidden, 1), device));
        layers.push(relu());
        layers.extend(STYLE.conv_norm(depthwise, device));
        layers.push(relu());
        layers.extend(STYLE.conv_norm(conv(hidden, after, 1), device));
        Self {
            layers: Sequential::numbered(layers),
            residual: stride == 1 && before == after,
        }
    }
}

impl Block for InvertedResidual {
    fn forward(&self, x: Tensor<4>) -> Tensor<4> {
        match self.residual {
            true => self
                .layers
                .forward_residual(x.clone(), x, Activation::Identity),
            false => self.layers.forward(x),
        }
    }

    fn stride(&self) -> usize {
        self.layers.stride()
    }

    fn out_channels(&self) -> usize {
        self.layers.out_channels(0)
    }
}

impl Backbone for MnasNet {
    fn feature_channels(&self) -> Vec<(usize, usize)> {
        self.layers.feature_channels(1)
    }

    fn feature_maps(&self, x: Tensor<4>) -> Vec<FeatureMap> {
        self.layers.feature_maps(x, 1)
    }
}

impl TorchNames for MnasNet {
    fn head(&self) -> &'static [&'static str] {
        &["classifier.1."]
    }
}
