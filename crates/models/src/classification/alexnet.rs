//! AlexNet, in the one-column form of Krizhevsky, "One weird trick for parallelizing convolutional neural
//! networks" (<https://arxiv.org/abs/1404.5997>), which is torchvision's.
//!
//! ```
//! use burn::tensor::Device;
//! use firesight_models::classification::ClassifierConfig;
//! use firesight_models::classification::alexnet::ALEXNET;
//! use firesight_models::weights::parameter_count;
//!
//! let config = ClassifierConfig::named("alexnet")?;
//! let model = config.init(ALEXNET.input, ALEXNET.classes, &Device::default())?;
//! assert_eq!(parameter_count(&model), 61_100_840);
//! # Ok::<(), firesight_models::ModelError>(())
//! ```

use burn::module::Module;
use burn::tensor::{Device, Tensor};
use firesight_kernels::Activation;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Architecture, Variant};
use crate::blocks::{max_pool, pooled};
use crate::layers::{ConvSpec, Init, check_rate, conv};
use crate::sequential::{Act, Head, HeadLayer, Layer, Sequential};
use crate::style::{head_dropout, head_linear};
use crate::weights::TorchNames;
use crate::{Backbone, FeatureMap, InputSpec, ModelError};

/// Cells of the grid that the fully connected layers see.
const GRID: [usize; 2] = [6, 6];

/// AlexNet.
pub const ALEXNET: Variant<()> = Variant::imagenet(61_100_840, 63, ());

/// Options of `alexnet`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields, default)]
pub struct AlexNetConfig {
    /// The share of values dropped before the first and the second fully connected layer in training, in
    /// `[0, 1)`.
    pub dropout: f64,
}

impl Default for AlexNetConfig {
    fn default() -> Self {
        Self { dropout: 0.5 }
    }
}

/// AlexNet with the state-dict keys of torchvision's `alexnet`.
#[derive(Module, Debug)]
pub struct AlexNet {
    features: Sequential,
    classifier: Head,
}

impl Architecture for AlexNet {
    type Shape = ();
    type Config = AlexNetConfig;

    fn problems(config: &AlexNetConfig) -> Vec<(String, String)> {
        check_rate("dropout", config.dropout).into_iter().collect()
    }

    fn build(
        _: &(),
        config: &AlexNetConfig,
        input: InputSpec,
        classes: usize,
        device: &Device,
    ) -> Result<Self, ModelError> {
        let layer = |spec: ConvSpec| Layer::Conv(spec.init(device));
        let relu = || Layer::Act(Act::new(Activation::Relu));
        let pool = || Layer::MaxPool(max_pool(3, 2, 0, false));
        let features = vec![
            layer(conv(input.channels, 64, 11).stride(4).padding(2)),
            relu(),
            pool(),
            layer(conv(64, 192, 5).padding(2)),
            relu(),
            pool(),
            layer(conv(192, 384, 3).padding(1)),
            relu(),
            layer(conv(384, 256, 3).padding(1)),
            relu(),
            layer(conv(256, 256, 3).padding(1)),
            relu(),
            pool(),
        ];
        let linear = |input, output| head_linear(input, output, Init::Default, device);
        let relu = || HeadLayer::Act(Act::new(Activation::Relu));
        let classifier = vec![
            head_dropout(config.dropout),
            linear(256 * GRID[0] * GRID[1], 4096),
            relu(),
            head_dropout(config.dropout),
            linear(4096, 4096),
            relu(),
            linear(4096, classes),
        ];
        Ok(Self {
            features: Sequential::numbered(features),
            classifier: Head::numbered(classifier),
        })
    }

    fn embed(&self, x: Tensor<4>) -> Tensor<2> {
        self.classifier
            .features(pooled(GRID, self.features.forward(x)))
    }

    fn forward(&self, x: Tensor<4>) -> Tensor<2> {
        self.classifier
            .forward(pooled(GRID, self.features.forward(x)))
    }
}

impl Backbone for AlexNet {
    fn feature_channels(&self) -> Vec<(usize, usize)> {
        self.features.feature_channels(1)
    }

    fn feature_maps(&self, x: Tensor<4>) -> Vec<FeatureMap> {
        self.features.feature_maps(x, 1)
    }
}

impl TorchNames for AlexNet {
    fn head(&self) -> &'static [&'static str] {
        &["classifier.6."]
    }
}
