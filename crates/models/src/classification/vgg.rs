//! VGG (Simonyan and Zisserman, "Very Deep Convolutional Networks for Large-Scale Image Recognition",
//! <https://arxiv.org/abs/1409.1556>), with and without batch normalisation.
//!
//! ```
//! use burn::tensor::Device;
//! use firesight_models::classification::ClassifierConfig;
//! use firesight_models::classification::vgg::VGG11;
//! use firesight_models::weights::parameter_count;
//!
//! let config = ClassifierConfig::named("vgg11")?;
//! let model = config.init(VGG11.input, VGG11.classes, &Device::default())?;
//! assert_eq!(parameter_count(&model), 132_863_336);
//! # Ok::<(), firesight_models::ModelError>(())
//! ```

use burn::module::Module;
use burn::tensor::{Device, Tensor};
use firesight_kernels::Activation;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Architecture, Variant};
use crate::blocks::{max_pool, pooled};
use crate::layers::{Init, check_rate, conv};
use crate::sequential::{Act, Head, HeadLayer, Layer, Sequential};
use crate::style::{Style, head_dropout, head_linear};
use crate::weights::TorchNames;
use crate::{Backbone, FeatureMap, InputSpec, ModelError};

const STYLE: Style = Style::new(Init::KaimingFanOut);

/// Cells of the grid that the fully connected layers see.
const GRID: [usize; 2] = [7, 7];

/// What distinguishes the variants.
#[derive(Clone, Copy, Debug)]
pub struct VggShape {
    /// Convolutions before each of the five poolings.
    pub convolutions: [usize; 5],
    /// Whether each convolution is followed by batch normalisation.
    pub batch_norm: bool,
}

const fn vgg(parameters: usize, convolutions: [usize; 5], batch_norm: bool) -> Variant<VggShape> {
    Variant::imagenet(
        parameters,
        32,
        VggShape {
            convolutions,
            batch_norm,
        },
    )
}

/// VGG-11: configuration A of the paper's table 1.
pub const VGG11: Variant<VggShape> = vgg(132_863_336, [1, 1, 2, 2, 2], false);
/// VGG-11 with batch normalisation.
pub const VGG11_BN: Variant<VggShape> = vgg(132_868_840, [1, 1, 2, 2, 2], true);
/// VGG-13: configuration B of the paper's table 1.
pub const VGG13: Variant<VggShape> = vgg(133_047_848, [2, 2, 2, 2, 2], false);
/// VGG-13 with batch normalisation.
pub const VGG13_BN: Variant<VggShape> = vgg(133_053_736, [2, 2, 2, 2, 2], true);
/// VGG-16: configuration D of the paper's table 1.
pub const VGG16: Variant<VggShape> = vgg(138_357_544, [2, 2, 3, 3, 3], false);
/// VGG-16 with batch normalisation.
pub const VGG16_BN: Variant<VggShape> = vgg(138_365_992, [2, 2, 3, 3, 3], true);
/// VGG-19: configuration E of the paper's table 1.
pub const VGG19: Variant<VggShape> = vgg(143_667_240, [2, 2, 4, 4, 4], false);
/// VGG-19 with batch normalisation.
pub const VGG19_BN: Variant<VggShape> = vgg(143_678_248, [2, 2, 4, 4, 4], true);

/// Options of the VGG networks.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields, default)]
pub struct VggConfig {
    /// The share of values dropped before the second and the third fully connected layer in training, in
    /// `[0, 1)`.
    pub dropout: f64,
}

impl Default for VggConfig {
    fn default() -> Self {
        Self { dropout: 0.5 }
    }
}

/// VGG with the state-dict keys of torchvision's `vgg11` to `vgg19_bn`.
#[derive(Module, Debug)]
pub struct Vgg {
    features: Sequential,
    classifier: Head,
}

impl Architecture for Vgg {
    type Shape = VggShape;
    type Config = VggConfig;

    fn problems(config: &VggConfig) -> Vec<(String, String)> {
        check_rate("dropout", config.dropout).into_iter().collect()
    }

    fn build(
        shape: &VggShape,
        config: &VggConfig,
        input: InputSpec,
        classes: usize,
        device: &Device,
    ) -> Result<Self, ModelError> {
        let mut layers = Vec::new();
        let mut width = input.channels;
        for (convolutions, out) in shape.convolutions.into_iter().zip([64, 128, 256, 512, 512]) {
            for _ in 0..convolutions {
                layers.push(STYLE.conv(conv(width, out, 3).padding(1), device));
                if shape.batch_norm {
                    layers.push(STYLE.norm(out, device));
                }
                layers.push(Layer::Act(Act::new(Activation::Relu)));
                width = out;
            }
            layers.push(Layer::MaxPool(max_pool(2, 2, 0, false)));
        }
        let linear = |input, output| head_linear(input, output, Init::Normal(0.01), device);
        let relu = || HeadLayer::Act(Act::new(Activation::Relu));
        Ok(Self {
            features: Sequential::numbered(layers),
            classifier: Head::numbered(vec![
                linear(width * GRID[0] * GRID[1], 4096),
                relu(),
                head_dropout(config.dropout),
                linear(4096, 4096),
                relu(),
                head_dropout(config.dropout),
                linear(4096, classes),
            ]),
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

impl Backbone for Vgg {
    fn into_body(mut self) -> Option<Self> {
        self.classifier = Head::numbered(Vec::new());
        Some(self)
    }

    fn feature_channels(&self) -> Vec<(usize, usize)> {
        self.features.feature_channels(1)
    }

    fn feature_maps(&self, x: Tensor<4>) -> Vec<FeatureMap> {
        self.features.feature_maps(x, 1)
    }
}

impl TorchNames for Vgg {
    fn head(&self) -> &'static [&'static str] {
        &["classifier.6."]
    }
}
