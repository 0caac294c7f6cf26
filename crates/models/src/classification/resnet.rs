//! ResNet, "Deep Residual Learning for Image Recognition" (He et al. 2015, arXiv:1512.03385),
//! ResNeXt (Xie et al. 2016, arXiv:1611.05431) and Wide ResNet (Zagoruyko and Komodakis 2016,
//! arXiv:1605.07146), with torchvision's numbers and keys.
//!
//! As in torchvision, a bottleneck strides in its 3x3 convolution ("version 1.5"), not in the first
//! 1x1 as the paper's.
//!
//! ```
//! use burn::tensor::Device;
//! use firesight_models::classification::ClassifierConfig;
//! use firesight_models::classification::resnet::RESNET18;
//! use firesight_models::weights::parameter_count;
//!
//! let config = ClassifierConfig::named("resnet18")?;
//! let model = config.init(RESNET18.input, RESNET18.classes, &Device::default())?;
//! assert_eq!(parameter_count(&model), 11_689_512);
//! # Ok::<(), firesight_models::ModelError>(())
//! ```

use burn::module::Module;
use burn::nn::conv::Conv2d;
use burn::nn::pool::{AdaptiveAvgPool2d, AdaptiveAvgPool2dConfig, MaxPool2d, MaxPool2dConfig};
use burn::nn::{BatchNorm, Dropout, Initializer, Linear, PaddingConfig2d};
use burn::tensor::{Device, Tensor};
use firesight_kernels::{self as kernels, Activation};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Architecture, Variant};
use crate::layers::{Init, StochasticDepth, batch_norm, check_rate, conv, dropout, linear};
use crate::weights::TorchNames;
use crate::{Backbone, FeatureMap, InputSpec, ModelError};

/// What distinguishes the variants.
#[derive(Clone, Copy, Debug)]
pub struct ResNetShape {
    /// Three convolutions per block instead of two.
    pub bottleneck: bool,
    /// Blocks per stage.
    pub layers: [usize; 4],
    /// Groups of the 3x3 convolution of a bottleneck.
    pub groups: usize,
    /// Channels per group in the first stage's bottlenecks.
    pub width_per_group: usize,
}

const fn basic(parameters: usize, layers: [usize; 4]) -> Variant<ResNetShape> {
    let shape = ResNetShape {
        bottleneck: false,
        layers,
        groups: 1,
        width_per_group: 64,
    };
    Variant::imagenet(parameters, 1, shape)
}

const fn deep(
    parameters: usize,
    layers: [usize; 4],
    groups: usize,
    width_per_group: usize,
) -> Variant<ResNetShape> {
    Variant::imagenet(
        parameters,
        1,
        ResNetShape {
            bottleneck: true,
            layers,
            groups,
            width_per_group,
        },
    )
}

/// ResNet-18.
pub const RESNET18: Variant<ResNetShape> = basic(11_689_512, [2, 2, 2, 2]);
/// ResNet-34.
pub const RESNET34: Variant<ResNetShape> = basic(21_797_672, [3, 4, 6, 3]);
/// ResNet-50.
pub const RESNET50: Variant<ResNetShape> = deep(25_557_032, [3, 4, 6, 3], 1, 64);
/// ResNet-101.
pub const RESNET101: Variant<ResNetShape> = deep(44_549_160, [3, 4, 23, 3], 1, 64);
/// ResNet-152.
pub const RESNET152: Variant<ResNetShape> = deep(60_192_808, [3, 8, 36, 3], 1, 64);
/// ResNeXt-50 32x4d.
pub const RESNEXT50_32X4D: Variant<ResNetShape> = deep(25_028_904, [3, 4, 6, 3], 32, 4);
/// ResNeXt-101 32x8d.
pub const RESNEXT101_32X8D: Variant<ResNetShape> = deep(88_791_336, [3, 4, 23, 3], 32, 8);
/// ResNeXt-101 64x4d.
pub const RESNEXT101_64X4D: Variant<ResNetShape> = deep(83_455_272, [3, 4, 23, 3], 64, 4);
/// Wide ResNet-50-2.
pub const WIDE_RESNET50_2: Variant<ResNetShape> = deep(68_883_240, [3, 4, 6, 3], 1, 128);
/// Wide ResNet-101-2.
pub const WIDE_RESNET101_2: Variant<ResNetShape> = deep(126_886_696, [3, 4, 23, 3], 1, 128);

/// Options of the ResNet family.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields, default)]
pub struct ResNetConfig {
    /// The layers before the first stage.
    pub stem: Stem,
    /// Starts every block as the identity: the scale of its last normalisation is 0 (Goyal et al.
    /// 2017).
    pub zero_init_residual: bool,
    /// Probability of dropping the last block's residual branch in training, falling linearly to 0
    /// towards the first block; in `[0, 1)`.
    pub stochastic_depth: f64,
    /// The share of values dropped before the last layer in training, in `[0, 1)`.
    pub dropout: f64,
    /// Whether the second, third and fourth stage keep their size and dilate instead of striding,
    /// as segmenters want it. Bottlenecks only.
    pub replace_stride_with_dilation: [bool; 3],
}

/// The layers before the first stage of a ResNet.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Stem {
    /// A 7x7 convolution of stride 2 and max pooling: the published network.
    #[default]
    Imagenet,
    /// A 3x3 convolution of stride 1 and no pooling, for images of about 32 pixels.
    Cifar,
}

/// A network of the ResNet family.
#[derive(Module, Debug)]
pub struct ResNet {
    conv1: Conv2d,
    bn1: BatchNorm,
    maxpool: Option<MaxPool2d>,
    layer1: Vec<Block>,
    layer2: Vec<Block>,
    layer3: Vec<Block>,
    layer4: Vec<Block>,
    avgpool: AdaptiveAvgPool2d,
    dropout: Dropout,
    /// Absent where the network is the body of a segmenter or a detector.
    fc: Option<Linear>,
    strides: [usize; 4],
}

/// A residual block: basic with two convolutions, bottleneck with three.
#[derive(Module, Debug)]
struct Block {
    conv1: Conv2d,
    bn1: BatchNorm,
    conv2: Conv2d,
    bn2: BatchNorm,
    conv3: Option<Conv2d>,
    bn3: Option<BatchNorm>,
    downsample: Option<(Conv2d, BatchNorm)>,
    drop: StochasticDepth,
}

impl Architecture for ResNet {
    type Shape = ResNetShape;
    type Config = ResNetConfig;

    fn problems(config: &ResNetConfig) -> Vec<(String, String)> {
        check_rate("dropout", config.dropout)
            .into_iter()
            .chain(check_rate("stochastic-depth", config.stochastic_depth))
            .collect()
    }

    fn build(
        shape: &ResNetShape,
        config: &ResNetConfig,
        input: InputSpec,
        classes: usize,
        device: &Device,
    ) -> Result<Self, ModelError> {
        if !shape.bottleneck && config.replace_stride_with_dilation.contains(&true) {
            return Err(ModelError::Option {
                model: "resnet18 / resnet34".to_string(),
                key: "replace-stride-with-dilation".to_string(),
                message: "basic blocks cannot dilate; take resnet50 or deeper".to_string(),
            });
        }
        let (kernel, stem_stride) = match config.stem {
            Stem::Imagenet => (7, 2),
            Stem::Cifar => (3, 1),
        };
        let mut plan = Plan {
            shape,
            config,
            channels: 64,
            dilation: 1,
            built: 0,
            total: shape.layers.iter().sum(),
        };
        let dilate = config.replace_stride_with_dilation;
        let after_stem = if config.stem == Stem::Imagenet { 4 } else { 1 };
        let mut strides = [after_stem; 4];
        for i in 1..4 {
            strides[i] = strides[i - 1] * if dilate[i - 1] { 1 } else { 2 };
        }
        Ok(Self {
            conv1: conv(input.channels, 64, kernel)
                .stride(stem_stride)
                .padding(kernel / 2)
                .no_bias()
                .draw(Init::KaimingFanOut)
                .init(device),
            bn1: batch_norm(64, device),
            maxpool: (config.stem == Stem::Imagenet).then(|| {
                MaxPool2dConfig::new([3, 3])
                    .with_strides([2, 2])
                    .with_padding(PaddingConfig2d::Explicit(1, 1, 1, 1))
                    .init()
            }),
            layer1: plan.stage(0, 1, false, device),
            layer2: plan.stage(1, 2, dilate[0], device),
            layer3: plan.stage(2, 2, dilate[1], device),
            layer4: plan.stage(3, 2, dilate[2], device),
            avgpool: AdaptiveAvgPool2dConfig::new([1, 1]).init(),
            dropout: dropout(config.dropout),
            fc: Some(linear(plan.channels, classes, Init::Default, device)),
            strides,
        })
    }

    fn embed(&self, x: Tensor<4>) -> Tensor<2> {
        let x = self.stem(x);
        let x = self.stages().into_iter().fold(x, run);
        kernels::adaptive_avg_pool2d(&self.avgpool, x).flatten::<2>(1, 3) // [N, features]
    }

    fn forward(&self, x: Tensor<4>) -> Tensor<2> {
        let features = self.dropout.forward(self.embed(x));
        match &self.fc {
            Some(fc) => kernels::linear(fc, features),
            None => features,
        }
    }
}

impl ResNet {
    /// Gives all normalisations another epsilon; 0 is what some published weights were trained with.
    pub(crate) fn set_norm_epsilon(&mut self, epsilon: f64) {
        self.bn1.epsilon = epsilon;
        let stages = [
            &mut self.layer1,
            &mut self.layer2,
            &mut self.layer3,
            &mut self.layer4,
        ];
        for block in stages.into_iter().flatten() {
            let last = block.bn3.iter_mut();
            let side = block.downsample.iter_mut().map(|(_, norm)| norm);
            for norm in [&mut block.bn1, &mut block.bn2]
                .into_iter()
                .chain(last)
                .chain(side)
            {
                norm.epsilon = epsilon;
            }
        }
    }

    fn stages(&self) -> [&[Block]; 4] {
        [&self.layer1, &self.layer2, &self.layer3, &self.layer4]
    }

    /// `[N, C, H, W]` to `[N, 64, H/4, W/4]`, or `[N, 64, H, W]` with the stem for CIFAR.
    fn stem(&self, x: Tensor<4>) -> Tensor<4> {
        let x = kernels::conv2d_norm_act(&self.conv1, &self.bn1, x, Activation::Relu);
        match &self.maxpool {
            Some(pool) => kernels::max_pool2d(pool, x),
            None => x,
        }
    }
}

fn run(x: Tensor<4>, blocks: &[Block]) -> Tensor<4> {
    blocks.iter().fold(x, |x, block| block.forward(x))
}

/// What changes from block to block while a network is made.
struct Plan<'a> {
    shape: &'a ResNetShape,
    config: &'a ResNetConfig,
    /// Channels of the map so far.
    channels: usize,
    dilation: usize,
    built: usize,
    total: usize,
}

impl Plan<'_> {
    fn stage(&mut self, index: usize, stride: usize, dilate: bool, device: &Device) -> Vec<Block> {
        let planes = 64 << index;
        // The first block of a dilated stage still has the dilation of the stage before.
        let first_dilation = self.dilation;
        let stride = if dilate {
            self.dilation *= stride;
            1
        } else {
            stride
        };
        (0..self.shape.layers[index])
            .map(|i| match i {
                0 => self.block(planes, stride, first_dilation, device),
                _ => self.block(planes, 1, self.dilation, device),
            })
            .collect()
    }

    fn block(&mut self, planes: usize, stride: usize, dilation: usize, device: &Device) -> Block {
        let before = self.channels;
        let expansion = if self.shape.bottleneck { 4 } else { 1 };
        let after = planes * expansion;
        let pointwise = |input, output, stride| {
            conv(input, output, 1)
                .stride(stride)
                .no_bias()
                .draw(Init::KaimingFanOut)
                .init(device)
        };
        let spatial = |input, output, stride, groups| {
            conv(input, output, 3)
                .stride(stride)
                .padding(dilation)
                .dilation(dilation)
                .groups(groups)
                .no_bias()
                .draw(Init::KaimingFanOut)
                .init(device)
        };
        let downsample = (stride != 1 || before != after)
            .then(|| (pointwise(before, after, stride), batch_norm(after, device)));
        let last_norm = || {
            let mut norm = batch_norm(after, device);
            if self.config.zero_init_residual {
                norm.gamma = Initializer::Zeros.init([after], device);
            }
            norm
        };
        self.built += 1;
        self.channels = after;
        let rate = self.config.stochastic_depth * self.built as f64 / self.total as f64;
        let drop = StochasticDepth::new(rate);
        if self.shape.bottleneck {
            let width = planes * self.shape.width_per_group / 64 * self.shape.groups;
            Block {
                conv1: pointwise(before, width, 1),
                bn1: batch_norm(width, device),
                conv2: spatial(width, width, stride, self.shape.groups),
                bn2: batch_norm(width, device),
                conv3: Some(pointwise(width, after, 1)),
                bn3: Some(last_norm()),
                downsample,
                drop,
            }
        } else {
            Block {
                conv1: spatial(before, planes, stride, 1),
                bn1: batch_norm(planes, device),
                conv2: spatial(planes, planes, 1, 1),
                bn2: last_norm(),
                conv3: None,
                bn3: None,
                downsample,
                drop,
            }
        }
    }
}

impl Block {
    /// `[N, C, H, W]` to `[N, C', H / stride, W / stride]`.
    fn forward(&self, x: Tensor<4>) -> Tensor<4> {
        let shortcut = match &self.downsample {
            Some((conv, norm)) => {
                kernels::conv2d_norm_act(conv, norm, x.clone(), Activation::Identity)
            }
            None => x.clone(),
        };
        let x = kernels::conv2d_norm_act(&self.conv1, &self.bn1, x, Activation::Relu);
        let (x, last) = match (&self.conv3, &self.bn3) {
            (Some(conv3), Some(bn3)) => {
                let x = kernels::conv2d_norm_act(&self.conv2, &self.bn2, x, Activation::Relu);
                (kernels::conv2d(conv3, x), bn3)
            }
            _ => (kernels::conv2d(&self.conv2, x), &self.bn2),
        };
        if self.drop.prob == 0.0 {
            return kernels::batch_norm_add_act(last, x, shortcut, Activation::Relu);
        }
        let x = self.drop.forward(kernels::batch_norm(last, x));
        kernels::activation(Activation::Relu, x + shortcut)
    }
}

impl Backbone for ResNet {
    fn into_body(mut self) -> Option<Self> {
        self.fc = None;
        Some(self)
    }

    fn feature_channels(&self) -> Vec<(usize, usize)> {
        let channels = |stage: &[Block]| {
            stage.last().map_or(0, |block| match &block.conv3 {
                Some(conv) => conv.weight.dims()[0],
                None => block.conv2.weight.dims()[0],
            })
        };
        self.strides
            .into_iter()
            .zip(self.stages().map(channels))
            .collect()
    }

    fn feature_maps(&self, x: Tensor<4>) -> Vec<FeatureMap> {
        let mut x = self.stem(x);
        let mut maps = Vec::new();
        for (stage, stride) in self.stages().into_iter().zip(self.strides) {
            x = run(x, stage);
            maps.push(FeatureMap {
                stride,
                tensor: x.clone(),
            });
        }
        maps
    }
}

impl TorchNames for ResNet {
    fn head(&self) -> &'static [&'static str] {
        &["fc."]
    }
}
