//! DenseNet-BC (Huang et al., "Densely Connected Convolutional Networks", <https://arxiv.org/abs/1608.06993>):
//! each layer sees the outputs of all layers before it in its block.
//!
//! ```
//! use burn::tensor::Device;
//! use firesight_models::classification::ClassifierConfig;
//! use firesight_models::classification::densenet::DENSENET121;
//! use firesight_models::weights::parameter_count;
//!
//! let config = ClassifierConfig::named("densenet121")?;
//! let model = config.init(DENSENET121.input, DENSENET121.classes, &Device::default())?;
//! assert_eq!(parameter_count(&model), 7_978_856);
//! # Ok::<(), firesight_models::ModelError>(())
//! ```

use burn::module::Module;
use burn::nn::conv::Conv2d;
use burn::nn::{BatchNorm, Dropout, Initializer, Linear};
use burn::tensor::{Device, Tensor};
use firesight_kernels::{self as kernels, Activation};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Architecture, Variant};
use crate::blocks::{avg_pool, max_pool, pooled};
use crate::layers::{Init, batch_norm, check_rate, conv, dropout, linear};
use crate::sequential::{Act, Block, Layer, Named, Sequential};
use crate::style::Style;
use crate::weights::TorchNames;
use crate::{Backbone, FeatureMap, InputSpec, ModelError};

/// A layer's bottleneck has this many times the channels that the layer adds.
const BOTTLENECK: usize = 4;

const STYLE: Style = Style::new(Init::KaimingFanIn);

/// What distinguishes the variants.
#[derive(Clone, Copy, Debug)]
pub struct DenseNetShape {
    /// Channels that each layer adds.
    pub growth: usize,
    /// Channels of the stem.
    pub stem: usize,
    /// Layers of each block.
    pub blocks: [usize; 4],
}

const fn densenet(
    parameters: usize,
    growth: usize,
    stem: usize,
    blocks: [usize; 4],
) -> Variant<DenseNetShape> {
    Variant::imagenet(
        parameters,
        29,
        DenseNetShape {
            growth,
            stem,
            blocks,
        },
    )
}

/// DenseNet-121.
pub const DENSENET121: Variant<DenseNetShape> = densenet(7_978_856, 32, 64, [6, 12, 24, 16]);
/// DenseNet-161.
pub const DENSENET161: Variant<DenseNetShape> = densenet(28_681_000, 48, 96, [6, 12, 36, 24]);
/// DenseNet-169.
pub const DENSENET169: Variant<DenseNetShape> = densenet(14_149_480, 32, 64, [6, 12, 32, 32]);
/// DenseNet-201.
pub const DENSENET201: Variant<DenseNetShape> = densenet(20_013_928, 32, 64, [6, 12, 48, 32]);

/// Options of the DenseNets.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields, default)]
pub struct DenseNetConfig {
    /// The share of values dropped after each dense layer in training, in `[0, 1)`.
    pub dropout: f64,
}

/// DenseNet with the state-dict keys of torchvision's `densenet121` to `densenet201`.
#[derive(Module, Debug)]
pub struct DenseNet {
    features: Sequential<DenseBlock>,
    classifier: Linear,
}

/// Layers whose outputs are appended to their input, one after the other.
pub type DenseBlock = Named<DenseLayer>;

/// A bottleneck and a 3x3 convolution, each after normalisation and ReLU.
#[derive(Module, Debug)]
pub struct DenseLayer {
    norm1: BatchNorm,
    conv1: Conv2d,
    norm2: BatchNorm,
    conv2: Conv2d,
    dropout: Dropout,
}

impl Architecture for DenseNet {
    type Shape = DenseNetShape;
    type Config = DenseNetConfig;

    fn problems(config: &DenseNetConfig) -> Vec<(String, String)> {
        check_rate("dropout", config.dropout).into_iter().collect()
    }

    fn build(
        shape: &DenseNetShape,
        config: &DenseNetConfig,
        input: InputSpec,
        classes: usize,
        device: &Device,
    ) -> Result<Self, ModelError> {
        let DenseNetShape {
            growth,
            stem,
            blocks,
        } = *shape;
        let relu = || Layer::Act(Act::new(Activation::Relu));
        let [conv0, norm0] =
            STYLE.conv_norm(conv(input.channels, stem, 7).stride(2).padding(3), device);
        let pool0 = Layer::MaxPool(max_pool(3, 2, 1, false));
        let mut layers = Vec::new();
        let mut add = |name: &str, layer| layers.push((name.to_string(), layer));
        add("conv0", conv0);
        add("norm0", norm0);
        add("relu0", relu());
        add("pool0", pool0);
        let mut width = stem;
        for (i, count) in (1..).zip(blocks) {
            let block = (0..count).map(|at| {
                let layer = DenseLayer::new(width + at * growth, growth, config.dropout, device);
                (format!("denselayer{}", at + 1), layer)
            });
            add(
                &format!("denseblock{i}"),
                Layer::Block(Named::new(block.collect())),
            );
            width += count * growth;
            if i < blocks.len() {
                let transition = Sequential::new(vec![
                    ("norm", STYLE.norm(width, device)),
                    ("relu", relu()),
                    (
                        "conv",
                        STYLE.conv(conv(width, width / 2, 1).no_bias(), device),
                    ),
                    ("pool", Layer::AvgPool(avg_pool(2, 2, 0))),
                ]);
                add(&format!("transition{i}"), Layer::Sequential(transition));
                width /= 2;
            }
        }
        add("norm5", STYLE.norm(width, device));
        add("relu5", relu());
        let mut classifier = linear(width, classes, Init::Default, device);
        classifier.bias = Some(Initializer::Zeros.init([classes], device));
        Ok(Self {
            features: Sequential::new(layers),
            classifier,
        })
    }

    fn embed(&self, x: Tensor<4>) -> Tensor<2> {
        pooled([1, 1], self.features.forward(x))
    }

    fn forward(&self, x: Tensor<4>) -> Tensor<2> {
        kernels::linear(&self.classifier, self.embed(x))
    }
}

impl DenseLayer {
    fn new(width: usize, growth: usize, drop: f64, device: &Device) -> Self {
        let hidden = BOTTLENECK * growth;
        let conv1 = conv(width, hidden, 1).no_bias();
        let conv2 = conv(hidden, growth, 3).padding(1).no_bias();
        Self {
            norm1: batch_norm(width, device),
            conv1: conv1.draw(STYLE.draw).init(device),
            norm2: batch_norm(hidden, device),
            conv2: conv2.draw(STYLE.draw).init(device),
            dropout: dropout(drop),
        }
    }

    /// The features that this layer adds.
    fn forward(&self, x: Tensor<4>) -> Tensor<4> {
        let x = kernels::conv2d(
            &self.conv1,
            kernels::batch_norm_act(&self.norm1, x, Activation::Relu),
        );
        let x = kernels::conv2d(
            &self.conv2,
            kernels::batch_norm_act(&self.norm2, x, Activation::Relu),
        );
        self.dropout.forward(x)
    }
}

impl Block for DenseBlock {
    fn forward(&self, x: Tensor<4>) -> Tensor<4> {
        self.iter().fold(x, |x, layer| {
            let new = layer.forward(x.clone());
            Tensor::cat(vec![x, new], 1)
        })
    }

    fn stride(&self) -> usize {
        1
    }

    fn out_channels(&self) -> usize {
        self.iter().last().map_or(0, |layer| {
            layer.norm1.gamma.lazy_shape()[0] + layer.conv2.weight.lazy_shape()[0]
        })
    }
}

impl Backbone for DenseNet {
    fn feature_channels(&self) -> Vec<(usize, usize)> {
        self.features.feature_channels(1)
    }

    fn feature_maps(&self, x: Tensor<4>) -> Vec<FeatureMap> {
        self.features.feature_maps(x, 1)
    }
}

impl TorchNames for DenseNet {
    /// The published files have `denselayer1.norm.1.weight` for today's `denselayer1.norm1.weight`.
    fn published_key(&self, key: &str) -> String {
        match key.contains("denselayer") {
            true => key.replace(".norm.", ".norm").replace(".conv.", ".conv"),
            false => key.to_string(),
        }
    }

    fn head(&self) -> &'static [&'static str] {
        &["classifier."]
    }
}

#[cfg(test)]
mod tests {
    use super::super::ClassifierConfig;
    use super::*;

    #[test]
    fn keys_of_published_files_are_brought_to_todays() {
        let model = ClassifierConfig::Densenet121(Default::default());
        let model = model.init(InputSpec::rgb(32), 3, &Device::flex()).unwrap();
        let old = "features.denseblock1.denselayer2.norm.1.running_mean";
        let new = "features.denseblock1.denselayer2.norm1.running_mean";
        assert_eq!(model.published_key(old), new);
        for key in [
            new,
            "features.transition1.norm.weight",
            "features.norm0.weight",
        ] {
            assert_eq!(model.published_key(key), key);
        }
    }
}
