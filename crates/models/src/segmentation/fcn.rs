//! FCN with torchvision's head (`fcn_resnet50`, `fcn_resnet101`) over any network of the zoo: two convolutions on
//! the last map, resized to the image. After "Fully Convolutional Networks for Semantic Segmentation" (Long,
//! Shelhamer and Darrell 2015, <https://arxiv.org/abs/1411.4038>), without its skips; the auxiliary head is from
//! PSPNet (Zhao et al. 2017).
//!
//! ```
//! use burn::tensor::{Device, Tensor};
//! use firesight_models::classification::ClassifierConfig;
//! use firesight_models::segmentation::SegmenterArchitecture;
//! use firesight_models::segmentation::fcn::{Fcn, FcnConfig};
//!
//! let (backbone, device) = (ClassifierConfig::named("resnet20")?, Device::default());
//! let config = FcnConfig { backbone, aux: true, ..Default::default() };
//! let model = Fcn::new(&config, 3, 4, &device)?;
//! let output = model.forward_train(Tensor::zeros([1, 3, 16, 20], &device));
//! assert_eq!(output.logits.dims(), [1, 4, 16, 20]);
//! assert_eq!(output.aux.unwrap().dims(), [1, 4, 16, 20]);
//! # Ok::<(), firesight_models::ModelError>(())
//! ```

use burn::module::Module;
use burn::nn::Dropout;
use burn::nn::conv::Conv2d;
use burn::tensor::{Device, Tensor};
use firesight_kernels::{self as kernels, Activation};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{PublishedConfig, SegmenterArchitecture, SegmenterOutput, body, to_size};
use crate::classification::{Classifier, ClassifierConfig};
use crate::family::{Member, PublishedModel};
use crate::layers::{Init, check_rate, conv, dropout};
use crate::sequential::{Act, Layer, Sequential};
use crate::style::Style;
use crate::weights::{StateDict, TorchNames};
use crate::{InputSpec, ModelError};

/// An FCN head over any network of the zoo.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields, default)]
pub struct FcnConfig {
    /// The network below; its last map is what the head sees.
    pub backbone: ClassifierConfig,
    /// Whether there is an auxiliary head on the map before the last.
    pub aux: bool,
    /// The share of channels dropped before the last convolution in training, in `[0, 1)`.
    pub dropout: f64,
}

impl Default for FcnConfig {
    fn default() -> Self {
        Self {
            backbone: ClassifierConfig::Resnet18(Default::default()),
            aux: false,
            dropout: 0.1,
        }
    }
}

/// FCN's head over the default network.
pub const FCN: PublishedModel<FcnConfig, FcnConfig> = PublishedModel {
    parameters: 11_769_301,
    config: FcnConfig::clone,
};
/// torchvision's FCN on ResNet-50.
pub const FCN_RESNET50: PublishedModel<PublishedConfig, FcnConfig> = PublishedModel {
    parameters: 35_322_218,
    config: |options| published(options, body::dilated_resnet50()),
};
/// torchvision's FCN on ResNet-101.
pub const FCN_RESNET101: PublishedModel<PublishedConfig, FcnConfig> = PublishedModel {
    parameters: 54_314_346,
    config: |options| published(options, body::dilated_resnet101()),
};

fn published(options: &PublishedConfig, backbone: ClassifierConfig) -> FcnConfig {
    FcnConfig {
        backbone,
        aux: options.aux,
        dropout: options.dropout.unwrap_or(FcnConfig::default().dropout),
    }
}

impl FcnConfig {
    /// What is wrong with the options: key and message.
    pub fn problems(&self) -> Vec<(String, String)> {
        let mut problems = body::problems(&self.backbone);
        problems.extend(check_rate("dropout", self.dropout));
        problems
    }
}

/// An FCN with torchvision's state-dict keys.
#[derive(Module, Debug)]
pub struct Fcn {
    backbone: Classifier,
    classifier: FcnHead,
    aux_classifier: Option<FcnHead>,
}

impl Fcn {
    /// Makes the network with freshly drawn parameters.
    ///
    /// # Errors
    /// [`ModelError`] for a backbone that cannot be one.
    pub fn new(
        config: &FcnConfig,
        channels: usize,
        classes: usize,
        device: &Device,
    ) -> Result<Self, ModelError> {
        let backbone = body::build(&config.backbone, channels, device)?;
        let (main, aux) = body::main_and_aux_channels(&backbone);
        let head = |channels| FcnHead::new(channels, classes, config.dropout, device);
        Ok(Self {
            backbone,
            classifier: head(main),
            aux_classifier: aux.filter(|_| config.aux).map(head),
        })
    }
}

impl Member for Fcn {
    type Config = FcnConfig;

    fn problems(config: &FcnConfig) -> Vec<(String, String)> {
        config.problems()
    }

    fn minimum(config: &FcnConfig) -> usize {
        body::minimum(&config.backbone)
    }

    fn fit(config: FcnConfig, weights: &StateDict) -> FcnConfig {
        let aux = weights.keys().any(|key| key.contains("aux_classifier."));
        FcnConfig { aux, ..config }
    }

    fn build(
        _: &'static str,
        config: &FcnConfig,
        input: InputSpec,
        classes: usize,
        device: &Device,
    ) -> Result<Self, ModelError> {
        Self::new(config, input.channels, classes, device)
    }
}

impl SegmenterArchitecture for Fcn {
    fn forward_train(&self, x: Tensor<4>) -> SegmenterOutput {
        let [_, _, height, width] = x.dims();
        let (main, aux) = body::main_and_aux(&self.backbone, x);
        let aux = self.aux_classifier.as_ref().zip(aux);
        SegmenterOutput {
            logits: to_size(self.classifier.forward(main), [height, width]),
            aux: aux.map(|(head, map)| to_size(head.forward(map), [height, width])),
        }
    }

    fn forward(&self, x: Tensor<4>) -> Tensor<4> {
        let [_, _, height, width] = x.dims();
        let (main, _) = body::main_and_aux(&self.backbone, x);
        to_size(self.classifier.forward(main), [height, width])
    }
}

impl TorchNames for Fcn {
    fn torch_name(&self, path: &str) -> String {
        match path.strip_prefix("backbone.") {
            Some(rest) => body::torch_name(&self.backbone, rest),
            None => FcnHead::torch_name(path),
        }
    }

    fn head(&self) -> &'static [&'static str] {
        &["classifier.4.", "aux_classifier.4."]
    }
}

/// torchvision's `FCNHead`: a 3x3 convolution to a quarter of the channels, and a 1x1 convolution to the classes.
#[derive(Module, Debug)]
pub struct FcnHead {
    hidden: Sequential,
    dropout: Dropout,
    score: Conv2d,
}

impl FcnHead {
    pub(super) fn new(channels: usize, classes: usize, rate: f64, device: &Device) -> Self {
        let style = Style::new(Init::Default);
        let inner = (channels / 4).max(1);
        let [first, norm] = style.conv_norm(conv(channels, inner, 3).padding(1), device);
        let relu = Layer::Act(Act::new(Activation::Relu));
        Self {
            hidden: Sequential::numbered(vec![first, norm, relu]),
            dropout: dropout(rate),
            score: conv(inner, classes, 1).init(device),
        }
    }

    /// # Shapes
    /// - `x`: `[N, C, H, W]`
    /// - output: `[N, classes, H, W]`
    pub fn forward(&self, x: Tensor<4>) -> Tensor<4> {
        kernels::conv2d(&self.score, self.dropout.forward(self.hidden.forward(x)))
    }

    /// torchvision numbers the layers of this head through, with dropout as the fourth.
    pub(super) fn torch_name(path: &str) -> String {
        path.replace(".hidden.", ".").replace(".score.", ".4.")
    }
}
