//! MobileNet V2 (Sandler et al., "MobileNetV2: Inverted Residuals and Linear Bottlenecks",
//! <https://arxiv.org/abs/1801.04381>): narrow residual connections around a wide depthwise convolution.
//!
//! ```
//! use burn::tensor::Device;
//! use firesight_models::classification::ClassifierConfig;
//! use firesight_models::classification::mobilenet_v2::MOBILENET_V2;
//! use firesight_models::weights::parameter_count;
//!
//! let config = ClassifierConfig::named("mobilenet_v2")?;
//! let model = config.init(MOBILENET_V2.input, MOBILENET_V2.classes, &Device::default())?;
//! assert_eq!(parameter_count(&model), 3_504_872);
//! # Ok::<(), firesight_models::ModelError>(())
//! ```

use burn::module::Module;
use burn::tensor::{Device, Tensor};
use firesight_kernels::Activation;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Architecture, Variant};
use crate::blocks::pooled;
use crate::layers::{Init, check_rate, conv};
use crate::sequential::{Block, Head, Layer, Sequential};
use crate::style::{Style, head_dropout, head_linear};
use crate::weights::TorchNames;
use crate::{Backbone, FeatureMap, InputSpec, ModelError};

const STYLE: Style = Style::new(Init::KaimingFanOut);

/// Expansion, channels, number of blocks and stride of each stage (the paper's table 2).
const STAGES: [(usize, usize, usize, usize); 7] = [
    (1, 16, 1, 1),
    (6, 24, 2, 2),
    (6, 32, 3, 2),
    (6, 64, 4, 2),
    (6, 96, 3, 1),
    (6, 160, 3, 2),
    (6, 320, 1, 1),
];

/// MobileNet V2.
pub const MOBILENET_V2: Variant<()> = Variant::imagenet(3_504_872, 1, ());

/// Options of `mobilenet_v2`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields, default)]
pub struct MobileNetV2Config {
    /// The share of values dropped before the last layer in training, in `[0, 1)`.
    pub dropout: f64,
}

impl Default for MobileNetV2Config {
    fn default() -> Self {
        Self { dropout: 0.2 }
    }
}

/// MobileNet V2 with the state-dict keys of torchvision's `mobilenet_v2`.
#[derive(Module, Debug)]
pub struct MobileNetV2 {
    features: Sequential<InvertedResidual>,
    classifier: Head,
}

/// Expansion, depthwise convolution and projection, around which the input is added where the shapes allow.
#[derive(Module, Debug)]
struct InvertedResidual {
    conv: Sequential,
    residual: bool,
}

impl Architecture for MobileNetV2 {
    type Shape = ();
    type Config = MobileNetV2Config;

    fn problems(config: &MobileNetV2Config) -> Vec<(String, String)> {
        check_rate("dropout", config.dropout).into_iter().collect()
    }

    fn build(
        _: &(),
        config: &MobileNetV2Config,
        input: InputSpec,
        classes: usize,
        device: &Device,
    ) -> Result<Self, ModelError> {
        let relu6 = Activation::Relu6;
        let stem = conv(input.channels, 32, 3).stride(2).padding(1);
        let mut features = vec![STYLE.conv_norm_act(stem, relu6, device)];
        let mut width = 32;
        for (expansion, out, blocks, stride) in STAGES {
            for i in 0..blocks {
                let stride = if i == 0 { stride } else { 1 };
                let block = InvertedResidual::new(width, out, stride, expansion, device);
                features.push(Layer::Block(block));
                width = out;
            }
        }
        features.push(STYLE.conv_norm_act(conv(width, 1280, 1), relu6, device));
        let last = head_linear(1280, classes, Init::Normal(0.01), device);
        Ok(Self {
            features: Sequential::numbered(features),
            classifier: Head::numbered(vec![head_dropout(config.dropout), last]),
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

impl InvertedResidual {
    fn new(width: usize, out: usize, stride: usize, expansion: usize, device: &Device) -> Self {
        let hidden = width * expansion;
        let mut layers = Vec::new();
        if expansion != 1 {
            layers.push(STYLE.conv_norm_act(conv(width, hidden, 1), Activation::Relu6, device));
        }
        let depthwise = conv(hidden, hidden, 3)
            .stride(stride)
            .padding(1)
            .groups(hidden);
        layers.push(STYLE.conv_norm_act(depthwise, Activation::Relu6, device));
        layers.extend(STYLE.conv_norm(conv(hidden, out, 1), device));
        Self {
            conv: Sequential::numbered(layers),
            residual: stride == 1 && width == out,
        }
    }
}

impl Block for InvertedResidual {
    fn forward(&self, x: Tensor<4>) -> Tensor<4> {
        match self.residual {
            true => self
                .conv
                .forward_residual(x.clone(), x, Activation::Identity),
            false => self.conv.forward(x),
        }
    }

    fn stride(&self) -> usize {
        self.conv.stride()
    }

    fn out_channels(&self) -> usize {
        self.conv.out_channels(0)
    }
}

impl Backbone for MobileNetV2 {
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

impl TorchNames for MobileNetV2 {
    fn head(&self) -> &'static [&'static str] {
        &["classifier.1."]
    }
}
