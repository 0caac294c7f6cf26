//! GoogLeNet (Szegedy et al., "Going Deeper with Convolutions", <https://arxiv.org/abs/1409.4842>) with batch
//! normalisation and, as in torchvision, a 3x3 convolution where the paper has a 5x5.
//!
//! ```
//! use burn::tensor::Device;
//! use firesight_models::classification::ClassifierConfig;
//! use firesight_models::classification::googlenet::GOOGLENET;
//! use firesight_models::weights::parameter_count;
//!
//! let config = ClassifierConfig::named("googlenet")?;
//! let model = config.init(GOOGLENET.input, GOOGLENET.classes, &Device::default())?;
//! assert_eq!(parameter_count(&model), 13_004_888);
//! # Ok::<(), firesight_models::ModelError>(())
//! ```

use burn::module::Module;
use burn::nn::pool::MaxPool2d;
use burn::nn::{Dropout, Linear};
use burn::tensor::{Device, Tensor};
use firesight_kernels::{Activation, activation, linear, max_pool2d};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Architecture, ClassifierOutput, Variant};
use crate::blocks::{ConvBlock, imagenet_to_unit, max_pool, pooled};
use crate::layers::{self, ConvSpec, Init, check_rate, conv};
use crate::weights::TorchNames;
use crate::{Backbone, FeatureMap, InputSpec, ModelError};

/// Torchvision's truncated normal, whose cut at 200 standard deviations never acts.
const DRAW: Init = Init::NormalWeight(0.01);

/// The weight of each auxiliary head's loss (the paper's section 5).
const AUX_WEIGHT: f64 = 0.3;

/// Cells of the grid that an auxiliary head sees.
const AUX_GRID: [usize; 2] = [4, 4];

/// GoogLeNet; the published 6,624,904 parameters and the 6,379,984 of the auxiliary heads.
pub const GOOGLENET: Variant<()> = Variant::imagenet(13_004_888, 15, ());

/// Options of `googlenet`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields, default)]
pub struct GoogLeNetConfig {
    /// The share of values dropped before the last layer in training, in `[0, 1)`.
    pub dropout: f64,
    /// The share of values dropped before the last layer of each auxiliary head in training, in `[0, 1)`.
    pub dropout_aux: f64,
    /// Whether there are auxiliary heads, which act in training only.
    pub aux_logits: bool,
    /// Takes images normalised by ImageNet's mean and deviation to the normalisation by 0.5 and 0.5 that the
    /// published weights were trained with. RGB only.
    pub transform_input: bool,
}

impl Default for GoogLeNetConfig {
    fn default() -> Self {
        Self {
            dropout: 0.2,
            dropout_aux: 0.7,
            aux_logits: true,
            transform_input: false,
        }
    }
}

/// GoogLeNet with the state-dict keys of torchvision's `googlenet`.
#[derive(Module, Debug)]
pub struct GoogLeNet {
    conv1: ConvBlock,
    conv2: ConvBlock,
    conv3: ConvBlock,
    inception3a: Inception,
    inception3b: Inception,
    inception4a: Inception,
    inception4b: Inception,
    inception4c: Inception,
    inception4d: Inception,
    inception4e: Inception,
    inception5a: Inception,
    inception5b: Inception,
    aux1: Option<AuxHead>,
    aux2: Option<AuxHead>,
    dropout: Dropout,
    fc: Linear,
    transform_input: bool,
}

/// Convolutions of several sizes beside each other.
#[derive(Module, Debug)]
pub struct Inception {
    branch1: ConvBlock,
    branch2: (ConvBlock, ConvBlock),
    branch3: (ConvBlock, ConvBlock),
    branch4: (MaxPool2d, ConvBlock),
}

/// A head half-way that helps the gradient in training.
#[derive(Module, Debug)]
struct AuxHead {
    conv: ConvBlock,
    fc1: Linear,
    fc2: Linear,
    dropout: Dropout,
}

/// The maps on the way: the last of each stride, and the two that auxiliary heads see.
struct Maps {
    strided: [Tensor<4>; 5],
    aux: [Tensor<4>; 2],
}

impl Architecture for GoogLeNet {
    type Shape = ();
    type Config = GoogLeNetConfig;

    fn problems(config: &GoogLeNetConfig) -> Vec<(String, String)> {
        let dropout = check_rate("dropout", config.dropout);
        let aux = check_rate("dropout-aux", config.dropout_aux);
        dropout.into_iter().chain(aux).collect()
    }

    fn transforms_input(config: &GoogLeNetConfig) -> Option<bool> {
        Some(config.transform_input)
    }

    fn build(
        _: &(),
        config: &GoogLeNetConfig,
        input: InputSpec,
        classes: usize,
        device: &Device,
    ) -> Result<Self, ModelError> {
        super::check_transform_input("googlenet", config.transform_input, input)?;
        let block = |spec: ConvSpec| ConvBlock::new(spec.draw(DRAW), device);
        let inception = |widths| Inception::new(widths, device);
        let aux = |width| {
            config.aux_logits.then(|| AuxHead {
                conv: block(conv(width, 128, 1)),
                fc1: layers::linear(128 * AUX_GRID[0] * AUX_GRID[1], 1024, DRAW, device),
                fc2: layers::linear(1024, classes, DRAW, device),
                dropout: layers::dropout(config.dropout_aux),
            })
        };
        Ok(Self {
            conv1: block(conv(input.channels, 64, 7).stride(2).padding(3)),
            conv2: block(conv(64, 64, 1)),
            conv3: block(conv(64, 192, 3).padding(1)),
            inception3a: inception([192, 64, 96, 128, 16, 32, 32]),
            inception3b: inception([256, 128, 128, 192, 32, 96, 64]),
            inception4a: inception([480, 192, 96, 208, 16, 48, 64]),
            inception4b: inception([512, 160, 112, 224, 24, 64, 64]),
            inception4c: inception([512, 128, 128, 256, 24, 64, 64]),
            inception4d: inception([512, 112, 144, 288, 32, 64, 64]),
            inception4e: inception([528, 256, 160, 320, 32, 128, 128]),
            inception5a: inception([832, 256, 160, 320, 32, 128, 128]),
            inception5b: inception([832, 384, 192, 384, 48, 128, 128]),
            aux1: aux(512),
            aux2: aux(528),
            dropout: layers::dropout(config.dropout),
            fc: layers::linear(1024, classes, DRAW, device),
            transform_input: config.transform_input,
        })
    }

    fn embed(&self, x: Tensor<4>) -> Tensor<2> {
        let [.., last] = self.maps(x).strided;
        pooled([1, 1], last)
    }

    fn forward(&self, x: Tensor<4>) -> Tensor<2> {
        linear(&self.fc, self.dropout.forward(self.embed(x)))
    }

    fn forward_train(&self, x: Tensor<4>) -> ClassifierOutput {
        let Maps {
            strided: [.., last],
            aux,
        } = self.maps(x);
        let heads = [&self.aux1, &self.aux2].into_iter().zip(aux);
        let aux = heads
            .filter_map(|(head, x)| Some((AUX_WEIGHT, head.as_ref()?.forward(x))))
            .collect();
        let x = self.dropout.forward(pooled([1, 1], last));
        ClassifierOutput {
            logits: linear(&self.fc, x),
            aux,
        }
    }
}

impl GoogLeNet {
    fn maps(&self, x: Tensor<4>) -> Maps {
        let halve = |x| max_pool2d(&max_pool(3, 2, 0, true), x);
        let x = if self.transform_input {
            imagenet_to_unit(x)
        } else {
            x
        };
        let x2 = self.conv1.forward(x);
        let x4 = self.conv3.forward(self.conv2.forward(halve(x2.clone())));
        let x8 = self.inception3a.forward(halve(x4.clone()));
        let x8 = self.inception3b.forward(x8);
        let first = self.inception4a.forward(halve(x8.clone()));
        let x16 = self.inception4b.forward(first.clone());
        let second = self.inception4d.forward(self.inception4c.forward(x16));
        let x16 = self.inception4e.forward(second.clone());
        let x32 = max_pool2d(&max_pool(2, 2, 0, true), x16.clone());
        let x32 = self.inception5b.forward(self.inception5a.forward(x32));
        Maps {
            strided: [x2, x4, x8, x16, x32],
            aux: [first, second],
        }
    }
}

impl Inception {
    /// Channels in, of the 1x1 branch, of the middle and end of the second and the third branch, and of the branch
    /// after pooling: a row of the paper's table 1.
    fn new(widths: [usize; 7], device: &Device) -> Self {
        let [input, one, three_reduced, three, five_reduced, five, pool] = widths;
        let block = |spec: ConvSpec| ConvBlock::new(spec.draw(DRAW), device);
        let branch = |reduced, out| {
            let spatial = conv(reduced, out, 3).padding(1);
            (block(conv(input, reduced, 1)), block(spatial))
        };
        Self {
            branch1: block(conv(input, one, 1)),
            branch2: branch(three_reduced, three),
            branch3: branch(five_reduced, five),
            branch4: (max_pool(3, 1, 1, true), block(conv(input, pool, 1))),
        }
    }

    fn forward(&self, x: Tensor<4>) -> Tensor<4> {
        let two = |(first, second): &(ConvBlock, ConvBlock), x| second.forward(first.forward(x));
        let (pool, projection) = &self.branch4;
        let branches = vec![
            self.branch1.forward(x.clone()),
            two(&self.branch2, x.clone()),
            two(&self.branch3, x.clone()),
            projection.forward(max_pool2d(pool, x)),
        ];
        Tensor::cat(branches, 1)
    }
}

impl AuxHead {
    fn forward(&self, x: Tensor<4>) -> Tensor<2> {
        let [n, channels, ..] = x.dims();
        let grid = pooled(AUX_GRID, x).reshape([n, channels, AUX_GRID[0], AUX_GRID[1]]);
        let x = self.conv.forward(grid).flatten::<2>(1, 3); // [N, 128 * 4 * 4]
        let x = activation(Activation::Relu, linear(&self.fc1, x));
        linear(&self.fc2, self.dropout.forward(x))
    }
}

impl Backbone for GoogLeNet {
    fn feature_channels(&self) -> Vec<(usize, usize)> {
        vec![(2, 64), (4, 192), (8, 480), (16, 832), (32, 1024)]
    }

    fn feature_maps(&self, x: Tensor<4>) -> Vec<FeatureMap> {
        let maps = self.maps(x).strided.into_iter();
        let strides = [2, 4, 8, 16, 32].into_iter();
        strides
            .zip(maps)
            .map(|(stride, tensor)| FeatureMap { stride, tensor })
            .collect()
    }
}

impl TorchNames for GoogLeNet {
    fn head(&self) -> &'static [&'static str] {
        &["fc.", "aux1.fc2.", "aux2.fc2."]
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Classifier, ClassifierConfig};
    use super::*;
    use burn::tensor::TensorData;

    fn build(config: GoogLeNetConfig, input: InputSpec) -> Result<Classifier, ModelError> {
        ClassifierConfig::Googlenet(config).init(input, 3, &Device::flex())
    }

    #[test]
    fn auxiliary_heads_act_in_training_only_and_can_be_left_out() {
        let x = Tensor::<4>::ones([2, 3, 32, 32], &Device::flex());
        for (aux_logits, expected) in [(true, vec![0.3, 0.3]), (false, vec![])] {
            let config = GoogLeNetConfig {
                aux_logits,
                ..Default::default()
            };
            let output = build(config, InputSpec::rgb(32))
                .unwrap()
                .forward_train(x.clone());
            let weights: Vec<f64> = output.aux.iter().map(|(weight, _)| *weight).collect();
            assert_eq!(weights, expected);
            assert!(output.aux.iter().all(|(_, logits)| logits.dims() == [2, 3]));
        }
    }

    #[test]
    fn the_input_is_brought_to_the_other_normalisation() {
        let gray = 0.25f32;
        let (mean, std) = ([0.485, 0.456, 0.406], [0.229, 0.224, 0.225]);
        let pixels: Vec<f32> = (0..3).map(|c| (gray - mean[c]) / std[c]).collect();
        let x = Tensor::from_data(TensorData::new(pixels, [1, 3, 1, 1]), &Device::flex());
        for value in imagenet_to_unit(x).into_data().iter::<f32>() {
            assert!((value - (gray - 0.5) / 0.5).abs() < 1e-6, "{value}");
        }
        let config = GoogLeNetConfig {
            transform_input: true,
            ..Default::default()
        };
        let error = build(config, InputSpec::gray(32)).unwrap_err();
        assert!(error.to_string().contains("transform-input"), "{error}");
    }
}
