//! LR-ASPP (Howard et al., "Searching for MobileNetV3", <https://arxiv.org/abs/1905.02244>, section 6.4): the last
//! map, gated by its mean, joined with a finer one; as torchvision's `lraspp_mobilenet_v3_large`.
//!
//! ```
//! use burn::tensor::Device;
//! use firesight_models::InputSpec;
//! use firesight_models::segmentation::SegmenterConfig;
//! use firesight_models::weights::parameter_count;
//!
//! let config = SegmenterConfig::named("lraspp_mobilenet_v3_large")?;
//! let model = config.init(InputSpec::rgb(224), 21, &Device::default())?;
//! assert_eq!(parameter_count(&model), 3_221_538);
//! # Ok::<(), firesight_models::ModelError>(())
//! ```

use burn::module::Module;
use burn::nn::conv::Conv2d;
use burn::nn::pool::AdaptiveAvgPool2dConfig;
use burn::tensor::{Device, Tensor};
use firesight_kernels::{self as kernels, Activation, adaptive_avg_pool2d};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{NoOptions, SegmenterArchitecture, SegmenterOutput, body, to_size};
use crate::classification::{Classifier, ClassifierConfig};
use crate::family::{Member, PublishedModel};
use crate::layers::{Init, check_width, conv};
use crate::sequential::{Act, Layer, Sequential};
use crate::style::Style;
use crate::weights::TorchNames;
use crate::{Backbone, InputSpec, ModelError};

/// LR-ASPP over any network of the zoo.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields, default)]
pub struct LrasppConfig {
    /// The network below: the head sees its last map and the finest of stride 8 (the finest there is where all
    /// strides are below 8).
    pub backbone: ClassifierConfig,
    /// Channels of the head, 128 as published.
    pub channels: usize,
}

impl Default for LrasppConfig {
    fn default() -> Self {
        Self {
            backbone: body::dilated_mobilenet(),
            channels: 128,
        }
    }
}

/// LR-ASPP over the default network, which is the published one.
pub const LRASPP: PublishedModel<LrasppConfig, LrasppConfig> = PublishedModel {
    parameters: 3_221_538,
    config: LrasppConfig::clone,
};
/// torchvision's LR-ASPP on MobileNet V3.
pub const LRASPP_MOBILENET_V3_LARGE: PublishedModel<NoOptions, LrasppConfig> = PublishedModel {
    parameters: 3_221_538,
    config: |_| LrasppConfig::default(),
};

impl LrasppConfig {
    /// What is wrong with the options: key and message.
    pub fn problems(&self) -> Vec<(String, String)> {
        let mut problems = body::problems(&self.backbone);
        problems.extend(check_width("channels", self.channels));
        problems
    }
}

/// LR-ASPP with torchvision's state-dict keys.
#[derive(Module, Debug)]
pub struct Lraspp {
    backbone: Classifier,
    classifier: LrasppHead,
    /// The place of the finer map among the backbone's.
    low: usize,
}

impl Lraspp {
    /// Makes the network with freshly drawn parameters.
    ///
    /// # Errors
    /// [`ModelError`] for a backbone that cannot be one.
    pub fn new(
        config: &LrasppConfig,
        channels: usize,
        classes: usize,
        device: &Device,
    ) -> Result<Self, ModelError> {
        let backbone = body::build(&config.backbone, channels, device)?;
        let maps = backbone.feature_channels();
        let low = maps
            .iter()
            .position(|(stride, _)| *stride == 8)
            .unwrap_or(0);
        let (low_channels, high_channels) = match &backbone {
            Classifier::MobileNetV3(body) => body.low_and_high_channels(),
            _ => (maps[low].1, maps[maps.len() - 1].1),
        };
        let inner = config.channels;
        let style = Style::new(Init::Default);
        let [first, norm] = style.conv_norm(conv(high_channels, inner, 1), device);
        Ok(Self {
            backbone,
            classifier: LrasppHead {
                cbr: Sequential::numbered(vec![
                    first,
                    norm,
                    Layer::Act(Act::new(Activation::Relu)),
                ]),
                scale: conv(high_channels, inner, 1).no_bias().init(device),
                low_classifier: conv(low_channels, classes, 1).init(device),
                high_classifier: conv(inner, classes, 1).init(device),
            },
            low,
        })
    }

    /// The finer map and the last one.
    fn maps(&self, x: Tensor<4>) -> (Tensor<4>, Tensor<4>) {
        if let Classifier::MobileNetV3(body) = &self.backbone {
            return body.low_and_high(x);
        }
        let mut maps = self.backbone.feature_maps(x);
        let low = maps[self.low].tensor.clone();
        (low, maps.pop().expect("every backbone has a map").tensor)
    }
}

impl Member for Lraspp {
    type Config = LrasppConfig;

    fn problems(config: &LrasppConfig) -> Vec<(String, String)> {
        config.problems()
    }

    fn minimum(config: &LrasppConfig) -> usize {
        body::minimum(&config.backbone)
    }

    fn build(
        _: &'static str,
        config: &LrasppConfig,
        input: InputSpec,
        classes: usize,
        device: &Device,
    ) -> Result<Self, ModelError> {
        Self::new(config, input.channels, classes, device)
    }
}

impl SegmenterArchitecture for Lraspp {
    fn forward_train(&self, x: Tensor<4>) -> SegmenterOutput {
        SegmenterOutput {
            logits: self.forward(x),
            aux: None,
        }
    }

    fn forward(&self, x: Tensor<4>) -> Tensor<4> {
        let [_, _, height, width] = x.dims();
        let (low, high) = self.maps(x);
        to_size(self.classifier.forward(low, high), [height, width])
    }
}

impl TorchNames for Lraspp {
    fn torch_name(&self, path: &str) -> String {
        match path.strip_prefix("backbone.") {
            Some(rest) => body::torch_name(&self.backbone, rest),
            // Pooling is the first layer of torchvision's branch.
            None => path.replace(".scale.", ".scale.1."),
        }
    }

    fn head(&self) -> &'static [&'static str] {
        &["classifier.low_classifier.", "classifier.high_classifier."]
    }
}

/// torchvision's `LRASPPHead`.
#[derive(Module, Debug)]
struct LrasppHead {
    cbr: Sequential,
    scale: Conv2d,
    low_classifier: Conv2d,
    high_classifier: Conv2d,
}

impl LrasppHead {
    /// `[N, C, h, w]` and `[N, C', h', w']` to `[N, classes, h, w]`.
    fn forward(&self, low: Tensor<4>, high: Tensor<4>) -> Tensor<4> {
        let [_, _, height, width] = low.dims();
        let pool = AdaptiveAvgPool2dConfig::new([1, 1]).init();
        let mean = adaptive_avg_pool2d(&pool, high.clone());
        let gate = kernels::activation(Activation::Sigmoid, kernels::conv2d(&self.scale, mean));
        let high = to_size(self.cbr.forward(high) * gate, [height, width]);
        kernels::conv2d(&self.low_classifier, low) + kernels::conv2d(&self.high_classifier, high)
    }
}
