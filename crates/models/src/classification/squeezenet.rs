//! SqueezeNet (Iandola et al., "SqueezeNet: AlexNet-level accuracy with 50x fewer parameters",
//! <https://arxiv.org/abs/1602.07360>); 1.1 is the authors' cheaper revision.
//!
//! ```
//! use burn::tensor::Device;
//! use firesight_models::classification::ClassifierConfig;
//! use firesight_models::classification::squeezenet::SQUEEZENET1_1;
//! use firesight_models::weights::parameter_count;
//!
//! let config = ClassifierConfig::named("squeezenet1_1")?;
//! let model = config.init(SQUEEZENET1_1.input, SQUEEZENET1_1.classes, &Device::default())?;
//! assert_eq!(parameter_count(&model), 1_235_496);
//! # Ok::<(), firesight_models::ModelError>(())
//! ```

use burn::module::Module;
use burn::nn::Dropout;
use burn::nn::conv::Conv2d;
use burn::tensor::{Device, Tensor};
use firesight_kernels::{Activation, activation, conv2d};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Architecture, Variant};
use crate::blocks::{max_pool, pooled};
use crate::layers::{Init, check_rate, conv, dropout};
use crate::sequential::{Act, Blank, Block, Layer, Sequential};
use crate::style::Style;
use crate::weights::TorchNames;
use crate::{Backbone, FeatureMap, InputSpec, ModelError};

const STYLE: Style = Style::new(Init::KaimingUniformFanIn);

/// What distinguishes the variants.
#[derive(Clone, Copy, Debug)]
pub struct SqueezeNetShape {
    /// Channels of the stem.
    pub stem: usize,
    /// The stem's kernel.
    pub kernel: usize,
    /// The fire modules, counted from 0, before which the map is pooled.
    pub pooled: [usize; 3],
}

/// SqueezeNet 1.0.
pub const SQUEEZENET1_0: Variant<SqueezeNetShape> = Variant::imagenet(
    1_248_424,
    21,
    SqueezeNetShape {
        stem: 96,
        kernel: 7,
        pooled: [0, 3, 7],
    },
);
/// SqueezeNet 1.1.
pub const SQUEEZENET1_1: Variant<SqueezeNetShape> = Variant::imagenet(
    1_235_496,
    17,
    SqueezeNetShape {
        stem: 64,
        kernel: 3,
        pooled: [0, 2, 4],
    },
);

/// Channels of the squeezing convolution and of each of the two expanding ones, for each fire module.
const FIRES: [(usize, usize); 8] = [
    (16, 64),
    (16, 64),
    (32, 128),
    (32, 128),
    (48, 192),
    (48, 192),
    (64, 256),
    (64, 256),
];

/// Options of the SqueezeNets.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields, default)]
pub struct SqueezeNetConfig {
    /// The share of values dropped before the last layer in training, in `[0, 1)`.
    pub dropout: f64,
}

impl Default for SqueezeNetConfig {
    fn default() -> Self {
        Self { dropout: 0.5 }
    }
}

/// SqueezeNet with the state-dict keys of torchvision's `squeezenet1_0` and `squeezenet1_1`. Its head is a
/// convolution, averaged over the image after ReLU.
#[derive(Module, Debug)]
pub struct SqueezeNet {
    features: Sequential<Fire>,
    classifier: (Blank, Conv2d),
    dropout: Dropout,
}

/// A narrow 1x1 convolution, and 1x1 and 3x3 convolutions beside each other.
#[derive(Module, Debug)]
pub struct Fire {
    squeeze: Conv2d,
    expand1x1: Conv2d,
    expand3x3: Conv2d,
}

impl Architecture for SqueezeNet {
    type Shape = SqueezeNetShape;
    type Config = SqueezeNetConfig;

    fn problems(config: &SqueezeNetConfig) -> Vec<(String, String)> {
        check_rate("dropout", config.dropout).into_iter().collect()
    }

    fn build(
        shape: &SqueezeNetShape,
        config: &SqueezeNetConfig,
        input: InputSpec,
        classes: usize,
        device: &Device,
    ) -> Result<Self, ModelError> {
        let mut width = shape.stem;
        let mut layers = vec![
            STYLE.conv(conv(input.channels, width, shape.kernel).stride(2), device),
            Layer::Act(Act::new(Activation::Relu)),
        ];
        for (i, (squeeze, expand)) in FIRES.into_iter().enumerate() {
            if shape.pooled.contains(&i) {
                layers.push(Layer::MaxPool(max_pool(3, 2, 0, true)));
            }
            layers.push(Layer::Block(Fire::new(width, squeeze, expand, device)));
            width = 2 * expand;
        }
        let last = conv(width, classes, 1)
            .draw(Init::Normal(0.01))
            .init(device);
        Ok(Self {
            features: Sequential::numbered(layers),
            classifier: (Blank, last),
            dropout: dropout(config.dropout),
        })
    }

    fn embed(&self, x: Tensor<4>) -> Tensor<2> {
        pooled([1, 1], self.features.forward(x))
    }

    fn forward(&self, x: Tensor<4>) -> Tensor<2> {
        let x = self.dropout.forward(self.features.forward(x));
        let scores = activation(Activation::Relu, conv2d(&self.classifier.1, x)); // [N, classes, H', W']
        pooled([1, 1], scores)
    }
}

impl Fire {
    fn new(width: usize, squeeze: usize, expand: usize, device: &Device) -> Self {
        Self {
            squeeze: conv(width, squeeze, 1).draw(STYLE.draw).init(device),
            expand1x1: conv(squeeze, expand, 1).draw(STYLE.draw).init(device),
            expand3x3: conv(squeeze, expand, 3)
                .padding(1)
                .draw(STYLE.draw)
                .init(device),
        }
    }
}

impl Block for Fire {
    fn forward(&self, x: Tensor<4>) -> Tensor<4> {
        let relu = |x| activation(Activation::Relu, x);
        let x = relu(conv2d(&self.squeeze, x));
        let wide = [
            conv2d(&self.expand1x1, x.clone()),
            conv2d(&self.expand3x3, x),
        ];
        relu(Tensor::cat(wide.into(), 1))
    }

    fn stride(&self) -> usize {
        1
    }

    fn out_channels(&self) -> usize {
        self.expand1x1.weight.lazy_shape()[0] + self.expand3x3.weight.lazy_shape()[0]
    }
}

impl Backbone for SqueezeNet {
    fn feature_channels(&self) -> Vec<(usize, usize)> {
        self.features.feature_channels(1)
    }

    fn feature_maps(&self, x: Tensor<4>) -> Vec<FeatureMap> {
        self.features.feature_maps(x, 1)
    }
}

impl TorchNames for SqueezeNet {
    fn head(&self) -> &'static [&'static str] {
        &["classifier.1."]
    }
}
