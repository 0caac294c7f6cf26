//! The ResNet for CIFAR, "Deep Residual Learning for Image Recognition" (He et al. 2015,
//! arXiv:1512.03385), section 4.2: three stages of 16, 32 and 64 channels, `6n + 2` layers.
//!
//! Shortcuts between stages are the paper's option A, without parameters: every second pixel, and
//! the new channels zero, half of them before and half behind the old ones. Keys follow
//! torchvision's ResNet (`layer1.0.conv1.weight`, `fc.weight`).
//!
//! ```
//! use burn::tensor::Device;
//! use firesight_models::classification::ClassifierConfig;
//! use firesight_models::classification::resnet20::RESNET20;
//! use firesight_models::weights::parameter_count;
//!
//! let config = ClassifierConfig::named("resnet20")?;
//! let model = config.init(RESNET20.input, RESNET20.classes, &Device::default())?;
//! assert_eq!(parameter_count(&model), 269_722);
//! # Ok::<(), firesight_models::ModelError>(())
//! ```

use burn::module::Module;
use burn::nn::conv::Conv2d;
use burn::nn::pool::{AdaptiveAvgPool2d, AdaptiveAvgPool2dConfig, AvgPool2d, AvgPool2dConfig};
use burn::nn::{BatchNorm, Dropout, Linear};
use burn::tensor::{Device, Tensor};
use firesight_kernels::{self as kernels, Activation};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Architecture, Variant};
use crate::layers::{Init, MAX_WIDTH, batch_norm, check_rate, conv, dropout, linear};
use crate::weights::TorchNames;
use crate::{Backbone, FeatureMap, InputSpec, ModelError};

/// Blocks per stage, the paper's `n`.
pub type Depth = usize;

const fn cifar(parameters: usize, blocks: Depth) -> Variant<Depth> {
    Variant {
        shape: blocks,
        parameters,
        input: InputSpec::rgb(32),
        classes: 10,
        minimum: 1,
    }
}

/// 20 layers, 0.27 M parameters.
pub const RESNET20: Variant<Depth> = cifar(269_722, 3);
/// 32 layers, 0.46 M parameters.
pub const RESNET32: Variant<Depth> = cifar(464_154, 5);
/// 44 layers, 0.66 M parameters.
pub const RESNET44: Variant<Depth> = cifar(658_586, 7);
/// 56 layers, 0.85 M parameters.
pub const RESNET56: Variant<Depth> = cifar(853_018, 9);
/// 110 layers, 1.7 M parameters.
pub const RESNET110: Variant<Depth> = cifar(1_727_962, 18);

/// Options of the ResNets for CIFAR.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields, default)]
pub struct CifarResNetConfig {
    /// Channels of the first stage; the others have twice and four times as many. At least 2, even.
    pub width: usize,
    /// The share of values dropped before the last layer in training, in `[0, 1)`.
    pub dropout: f64,
}

impl Default for CifarResNetConfig {
    fn default() -> Self {
        Self {
            width: 16,
            dropout: 0.0,
        }
    }
}

/// A ResNet for small images.
#[derive(Module, Debug)]
pub struct CifarResNet {
    conv1: Conv2d,
    bn1: BatchNorm,
    layer1: Vec<CifarBlock>,
    layer2: Vec<CifarBlock>,
    layer3: Vec<CifarBlock>,
    /// Absent where the network is the body of a segmenter or a detector.
    fc: Option<Linear>,
    avgpool: AdaptiveAvgPool2d,
    dropout: Dropout,
    width: usize,
}

/// Two 3x3 convolutions and a shortcut without parameters.
#[derive(Module, Debug)]
struct CifarBlock {
    conv1: Conv2d,
    bn1: BatchNorm,
    conv2: Conv2d,
    bn2: BatchNorm,
    /// Takes every second pixel, in the first block of a stage.
    subsample: Option<AvgPool2d>,
}

impl Architecture for CifarResNet {
    type Shape = Depth;
    type Config = CifarResNetConfig;

    fn problems(config: &CifarResNetConfig) -> Vec<(String, String)> {
        let mut problems: Vec<_> = check_rate("dropout", config.dropout).into_iter().collect();
        // It doubles twice.
        let most = MAX_WIDTH / 4;
        if !(2..=most).contains(&config.width) || !config.width.is_multiple_of(2) {
            let message = format!("must be even, from 2 to {most}, got {}", config.width);
            problems.push(("width".to_string(), message));
        }
        problems
    }

    fn build(
        blocks: &Depth,
        config: &CifarResNetConfig,
        input: InputSpec,
        classes: usize,
        device: &Device,
    ) -> Result<Self, ModelError> {
        let width = config.width;
        let stage = |before: usize, after: usize| -> Vec<CifarBlock> {
            let first = CifarBlock::new(before, after, device);
            std::iter::once(first)
                .chain((1..*blocks).map(|_| CifarBlock::new(after, after, device)))
                .collect()
        };
        Ok(Self {
            conv1: conv3x3(input.channels, width, 1, device),
            bn1: batch_norm(width, device),
            layer1: stage(width, width),
            layer2: stage(width, 2 * width),
            layer3: stage(2 * width, 4 * width),
            fc: Some(linear(4 * width, classes, Init::Default, device)),
            avgpool: AdaptiveAvgPool2dConfig::new([1, 1]).init(),
            dropout: dropout(config.dropout),
            width,
        })
    }

    fn embed(&self, x: Tensor<4>) -> Tensor<2> {
        let [_, _, last] = self.stages(x);
        kernels::adaptive_avg_pool2d(&self.avgpool, last).flatten::<2>(1, 3)
    }

    fn forward(&self, x: Tensor<4>) -> Tensor<2> {
        let features = self.dropout.forward(self.embed(x));
        match &self.fc {
            Some(fc) => kernels::linear(fc, features),
            None => features,
        }
    }
}

fn conv3x3(input: usize, output: usize, stride: usize, device: &Device) -> Conv2d {
    conv(input, output, 3)
        .stride(stride)
        .padding(1)
        .no_bias()
        .draw(Init::KaimingFanOut)
        .init(device)
}

impl CifarResNet {
    fn stages(&self, x: Tensor<4>) -> [Tensor<4>; 3] {
        let x = kernels::conv2d_norm_act(&self.conv1, &self.bn1, x, Activation::Relu);
        let first = run(&self.layer1, x);
        let second = run(&self.layer2, first.clone());
        let third = run(&self.layer3, second.clone());
        [first, second, third]
    }
}

fn run(blocks: &[CifarBlock], x: Tensor<4>) -> Tensor<4> {
    blocks.iter().fold(x, |x, block| block.forward(x))
}

impl CifarBlock {
    fn new(before: usize, after: usize, device: &Device) -> Self {
        let stride = if before == after { 1 } else { 2 };
        let subsample =
            (stride == 2).then(|| AvgPool2dConfig::new([1, 1]).with_strides([2, 2]).init());
        Self {
            conv1: conv3x3(before, after, stride, device),
            bn1: batch_norm(after, device),
            conv2: conv3x3(after, after, 1, device),
            bn2: batch_norm(after, device),
            subsample,
        }
    }

    fn forward(&self, x: Tensor<4>) -> Tensor<4> {
        let shortcut = match &self.subsample {
            None => x.clone(),
            Some(pool) => {
                let kept = kernels::avg_pool2d(pool, x.clone());
                let [n, channels, height, width] = kept.dims();
                let (device, dtype) = (kept.device(), kept.dtype());
                let zeros = Tensor::zeros([n, channels / 2, height, width], (&device, dtype));
                Tensor::cat(vec![zeros.clone(), kept, zeros], 1) // [N, 2C, H/2, W/2]
            }
        };
        let x = kernels::conv2d_norm_act(&self.conv1, &self.bn1, x, Activation::Relu);
        let x = kernels::conv2d(&self.conv2, x);
        kernels::batch_norm_add_act(&self.bn2, x, shortcut, Activation::Relu)
    }
}

impl Backbone for CifarResNet {
    fn into_body(mut self) -> Option<Self> {
        self.fc = None;
        Some(self)
    }

    fn feature_channels(&self) -> Vec<(usize, usize)> {
        vec![(1, self.width), (2, 2 * self.width), (4, 4 * self.width)]
    }

    fn feature_maps(&self, x: Tensor<4>) -> Vec<FeatureMap> {
        let maps = self.stages(x);
        [1, 2, 4]
            .into_iter()
            .zip(maps)
            .map(|(stride, tensor)| FeatureMap { stride, tensor })
            .collect()
    }
}

impl TorchNames for CifarResNet {
    fn head(&self) -> &'static [&'static str] {
        &["fc."]
    }
}
