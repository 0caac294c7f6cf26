//! DeepLabV3 (Chen et al., "Rethinking Atrous Convolution for Semantic Image Segmentation",
//! <https://arxiv.org/abs/1706.05587>): convolutions of several dilations side by side on the last map, as
//! torchvision has it.
//!
//! ```
//! use burn::tensor::Device;
//! use firesight_models::classification::InputSpec;
//! use firesight_models::segmentation::SegmenterConfig;
//! use firesight_models::weights::parameter_count;
//!
//! let config = SegmenterConfig::named("deeplabv3_mobilenet_v3_large")?;
//! let model = config.init(InputSpec::rgb(224), 21, &Device::default())?;
//! assert_eq!(parameter_count(&model), 11_029_328);
//! # Ok::<(), firesight_models::ModelError>(())
//! ```

use burn::module::Module;
use burn::nn::Dropout;
use burn::nn::conv::Conv2d;
use burn::nn::pool::AdaptiveAvgPool2dConfig;
use burn::tensor::{Device, Tensor};
use firesight_kernels::{self as kernels, Activation, adaptive_avg_pool2d};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::fcn::FcnHead;
use super::{PublishedConfig, SegmenterArchitecture, SegmenterOutput, body, to_size};
use crate::classification::{Classifier, ClassifierConfig};
use crate::family::{Member, PublishedModel};
use crate::layers::{ConvSpec, Init, check_rate, check_width, conv, dropout};
use crate::sequential::{Act, Layer, Sequential};
use crate::style::Style;
use crate::weights::{StateDict, TorchNames};
use crate::{InputSpec, ModelError};

const STYLE: Style = Style::new(Init::Default);

/// DeepLabV3 over any network of the zoo.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields, default)]
pub struct DeepLabV3Config {
    /// The network below; its last map is what the head sees.
    pub backbone: ClassifierConfig,
    /// Whether there is an auxiliary head.
    pub aux: bool,
    /// Channels of the head, 256 as published.
    pub channels: usize,
    /// Dilations of its three 3x3 convolutions, each at least 1; `[12, 24, 36]` for maps of stride 8.
    pub rates: [usize; 3],
    /// The share of values dropped after the branches have met in training, in `[0, 1)`.
    pub dropout: f64,
}

impl Default for DeepLabV3Config {
    fn default() -> Self {
        Self {
            backbone: ClassifierConfig::Resnet18(Default::default()),
            aux: false,
            channels: 256,
            rates: [12, 24, 36],
            dropout: 0.5,
        }
    }
}

/// DeepLabV3's head over the default network.
pub const DEEPLABV3: PublishedModel<DeepLabV3Config, DeepLabV3Config> = PublishedModel {
    parameters: 15_904_085,
    config: DeepLabV3Config::clone,
};
/// torchvision's DeepLabV3 on ResNet-50.
pub const DEEPLABV3_RESNET50: PublishedModel<PublishedConfig, DeepLabV3Config> = PublishedModel {
    parameters: 42_004_074,
    config: |options| published(options, body::dilated_resnet50()),
};
/// torchvision's DeepLabV3 on ResNet-101.
pub const DEEPLABV3_RESNET101: PublishedModel<PublishedConfig, DeepLabV3Config> = PublishedModel {
    parameters: 60_996_202,
    config: |options| published(options, body::dilated_resnet101()),
};
/// torchvision's DeepLabV3 on MobileNet V3.
pub const DEEPLABV3_MOBILENET_V3_LARGE: PublishedModel<PublishedConfig, DeepLabV3Config> =
    PublishedModel {
        parameters: 11_029_328,
        config: |options| published(options, body::dilated_mobilenet()),
    };

fn published(options: &PublishedConfig, backbone: ClassifierConfig) -> DeepLabV3Config {
    let base = DeepLabV3Config::default();
    DeepLabV3Config {
        backbone,
        aux: options.aux,
        dropout: options.dropout.unwrap_or(base.dropout),
        ..base
    }
}

impl DeepLabV3Config {
    /// What is wrong with the options: key and message.
    pub fn problems(&self) -> Vec<(String, String)> {
        let mut problems = body::problems(&self.backbone);
        problems.extend(check_rate("dropout", self.dropout));
        for (at, rate) in self.rates.iter().enumerate() {
            if !(1..=1024).contains(rate) {
                let message = format!("{rate} is not from 1 to 1024");
                problems.push((format!("rates[{at}]"), message));
            }
        }
        problems.extend(check_width("channels", self.channels));
        problems
    }
}

/// DeepLabV3 with torchvision's state-dict keys.
#[derive(Module, Debug)]
pub struct DeepLabV3 {
    backbone: Classifier,
    classifier: DeepLabHead,
    aux_classifier: Option<FcnHead>,
}

impl DeepLabV3 {
    /// Makes the network with freshly drawn parameters.
    ///
    /// # Errors
    /// [`ModelError`] for a backbone that cannot be one.
    pub fn new(
        config: &DeepLabV3Config,
        channels: usize,
        classes: usize,
        device: &Device,
    ) -> Result<Self, ModelError> {
        let backbone = body::build(&config.backbone, channels, device)?;
        let (main, aux) = body::main_and_aux_channels(&backbone);
        Ok(Self {
            backbone,
            classifier: DeepLabHead::new(main, classes, config, device),
            aux_classifier: aux
                .filter(|_| config.aux)
                .map(|channels| FcnHead::new(channels, classes, 0.1, device)),
        })
    }
}

impl Member for DeepLabV3 {
    type Config = DeepLabV3Config;

    fn problems(config: &DeepLabV3Config) -> Vec<(String, String)> {
        config.problems()
    }

    fn minimum(config: &DeepLabV3Config) -> usize {
        body::minimum(&config.backbone)
    }

    fn fit(config: DeepLabV3Config, weights: &StateDict) -> DeepLabV3Config {
        let aux = weights.keys().any(|key| key.contains("aux_classifier."));
        DeepLabV3Config { aux, ..config }
    }

    fn build(
        _: &'static str,
        config: &DeepLabV3Config,
        input: InputSpec,
        classes: usize,
        device: &Device,
    ) -> Result<Self, ModelError> {
        Self::new(config, input.channels, classes, device)
    }
}

impl SegmenterArchitecture for DeepLabV3 {
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

impl TorchNames for DeepLabV3 {
    fn torch_name(&self, path: &str) -> String {
        if let Some(rest) = path.strip_prefix("backbone.") {
            return body::torch_name(&self.backbone, rest);
        }
        match path.starts_with("aux_classifier.") {
            true => FcnHead::torch_name(path),
            false => DeepLabHead::torch_name(path),
        }
    }

    fn head(&self) -> &'static [&'static str] {
        &["classifier.4.", "aux_classifier.4."]
    }
}

/// torchvision's `DeepLabHead`: the pyramid, a 3x3 convolution and a 1x1 convolution to the classes.
#[derive(Module, Debug)]
struct DeepLabHead {
    aspp: Aspp,
    hidden: Sequential,
    score: Conv2d,
}

/// Atrous spatial pyramid pooling: one 1x1 and three dilated 3x3 convolutions and the image's mean side by side.
#[derive(Module, Debug)]
struct Aspp {
    convs: Vec<Sequential>,
    project: Sequential,
    dropout: Dropout,
}

/// A convolution without bias, batch normalisation and ReLU, numbered from `first`.
fn branch(spec: ConvSpec, first: usize, device: &Device) -> Sequential {
    let [convolution, norm] = STYLE.conv_norm(spec, device);
    let relu = Layer::Act(Act::new(Activation::Relu));
    let layers = [convolution, norm, relu].into_iter().enumerate();
    Sequential::new(
        layers
            .map(|(i, layer)| ((first + i).to_string(), layer))
            .collect(),
    )
}

impl DeepLabHead {
    fn new(channels: usize, classes: usize, config: &DeepLabV3Config, device: &Device) -> Self {
        let inner = config.channels;
        let mut convs = vec![branch(conv(channels, inner, 1), 0, device)];
        for rate in config.rates {
            let spec = conv(channels, inner, 3).padding(rate).dilation(rate);
            convs.push(branch(spec, 0, device));
        }
        // Pooling is the first layer of this branch.
        convs.push(branch(conv(channels, inner, 1), 1, device));
        Self {
            aspp: Aspp {
                project: branch(conv(convs.len() * inner, inner, 1), 0, device),
                convs,
                dropout: dropout(config.dropout),
            },
            hidden: branch(conv(inner, inner, 3).padding(1), 1, device),
            score: conv(inner, classes, 1).init(device),
        }
    }

    /// `[N, C, H, W]` to `[N, classes, H, W]`.
    fn forward(&self, x: Tensor<4>) -> Tensor<4> {
        kernels::conv2d(&self.score, self.hidden.forward(self.aspp.forward(x)))
    }

    /// torchvision numbers the layers of this head through.
    fn torch_name(path: &str) -> String {
        path.replace(".aspp.", ".0.")
            .replace(".hidden.", ".")
            .replace(".score.", ".4.")
    }
}

impl Aspp {
    /// `[N, C, H, W]` to `[N, channels, H, W]`.
    fn forward(&self, x: Tensor<4>) -> Tensor<4> {
        let [_, _, height, width] = x.dims();
        let mut parts = Vec::with_capacity(self.convs.len());
        for (i, branch) in self.convs.iter().enumerate() {
            parts.push(match i + 1 == self.convs.len() {
                false => branch.forward(x.clone()),
                true => {
                    let pool = AdaptiveAvgPool2dConfig::new([1, 1]).init();
                    let mean = branch.forward(adaptive_avg_pool2d(&pool, x.clone()));
                    let [n, channels, _, _] = mean.dims();
                    mean.expand([n, channels, height, width])
                }
            });
        }
        self.dropout
            .forward(self.project.forward(Tensor::cat(parts, 1)))
    }
}
