//! Segmenters, networks that give a class to every pixel, one file per architecture, behind one enum that a recipe
//! names. State-dict keys are torchvision's where it has the network.
//!
//! ```
//! use burn::tensor::{Device, Tensor};
//! use firesight_models::segmentation::SegmenterConfig;
//!
//! let config = r#"{"unet": {"channels": [4, 8, 16]}}"#;
//! let config: SegmenterConfig = serde_json::from_str(config).unwrap();
//! let device = Device::default();
//! let model = config.init(3, 5, &device)?; // RGB images, five classes
//! let logits = model.forward(Tensor::zeros([1, 3, 37, 32], &device));
//! assert_eq!(logits.dims(), [1, 5, 37, 32]);
//! # Ok::<(), firesight_models::ModelError>(())
//! ```

mod body;
pub mod deeplabv3;
pub mod fcn;
pub mod fcn_skip;
pub mod fcn_vgg;
pub mod lraspp;
pub mod unet;
mod upsample;

use burn::module::Module;
use burn::tensor::{Device, Tensor};
use firesight_ops::{Interpolation, resize};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::ModelError;
use crate::classification::ClassifierConfig;
use crate::layers::check_rate;
use crate::weights::TorchNames;

use deeplabv3::{DeepLabV3, DeepLabV3Config};
use fcn::{Fcn, FcnConfig};
use fcn_skip::{FcnSkip, FcnSkipConfig};
use fcn_vgg::{FcnVgg, FcnVggConfig};
use lraspp::{Lraspp, LrasppConfig};
use unet::{Unet, UnetConfig};

/// What a segmenter gives in training.
#[derive(Clone, Debug)]
pub struct SegmenterOutput {
    /// The scores before the softmax, `[N, classes, H, W]`.
    pub logits: Tensor<4>,
    /// Those of the auxiliary head, if there is one.
    pub aux: Option<Tensor<4>>,
}

/// A network that gives a class to every pixel.
pub trait SegmenterArchitecture: Module + TorchNames {
    /// Logits at the input's size, and those of the auxiliary head.
    ///
    /// # Shapes
    /// - `x`: `[N, C, H, W]`, normalised, of any size from the network's minimum
    /// - output: `[N, classes, H, W]`
    fn forward_train(&self, x: Tensor<4>) -> SegmenterOutput;

    /// Logits at the input's size.
    ///
    /// # Shapes
    /// - `x`: `[N, C, H, W]`, normalised, of any size from the network's minimum
    /// - output: `[N, classes, H, W]`
    fn forward(&self, x: Tensor<4>) -> Tensor<4>;
}

/// Options of the published networks whose backbone is in their name.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields, default)]
pub struct PublishedConfig {
    /// Whether there is an auxiliary head.
    pub aux: bool,
    /// The share of values dropped before the last layer of the head (before the 3x3 convolution of DeepLabV3's)
    /// in training, in `[0, 1)`; 0.1 for FCN and 0.5 for DeepLabV3 unless given.
    pub dropout: Option<f64>,
}

impl Default for PublishedConfig {
    fn default() -> Self {
        Self {
            aux: true,
            dropout: None,
        }
    }
}

/// A segmenter as a recipe names it: `model = "fcn_resnet50"`, or with options
/// `model = { unet = { channels = [16, 32, 64] } }`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub enum SegmenterConfig {
    /// FCN-32s on VGG-16 (Long et al. 2015).
    #[serde(rename = "fcn32s")]
    Fcn32s(FcnVggConfig),
    /// FCN-16s on VGG-16 (Long et al. 2015).
    #[serde(rename = "fcn16s")]
    Fcn16s(FcnVggConfig),
    /// FCN-8s on VGG-16 (Long et al. 2015).
    #[serde(rename = "fcn8s")]
    Fcn8s(FcnVggConfig),
    /// The skips of FCN-8s over any network of the zoo.
    #[serde(rename = "fcn_skip")]
    FcnSkip(FcnSkipConfig),
    /// torchvision's FCN head over any network of the zoo.
    #[serde(rename = "fcn")]
    Fcn(FcnConfig),
    /// torchvision's FCN on ResNet-50.
    #[serde(rename = "fcn_resnet50")]
    FcnResnet50(PublishedConfig),
    /// torchvision's FCN on ResNet-101.
    #[serde(rename = "fcn_resnet101")]
    FcnResnet101(PublishedConfig),
    /// DeepLabV3 over any network of the zoo.
    #[serde(rename = "deeplabv3")]
    Deeplabv3(DeepLabV3Config),
    /// torchvision's DeepLabV3 on ResNet-50.
    #[serde(rename = "deeplabv3_resnet50")]
    Deeplabv3Resnet50(PublishedConfig),
    /// torchvision's DeepLabV3 on ResNet-101.
    #[serde(rename = "deeplabv3_resnet101")]
    Deeplabv3Resnet101(PublishedConfig),
    /// torchvision's DeepLabV3 on MobileNet V3.
    #[serde(rename = "deeplabv3_mobilenet_v3_large")]
    Deeplabv3MobilenetV3Large(PublishedConfig),
    /// LR-ASPP over any network of the zoo.
    #[serde(rename = "lraspp")]
    Lraspp(LrasppConfig),
    /// torchvision's LR-ASPP on MobileNet V3.
    #[serde(rename = "lraspp_mobilenet_v3_large")]
    LrasppMobilenetV3Large,
    /// U-Net (Ronneberger et al. 2015).
    #[serde(rename = "unet")]
    Unet(UnetConfig),
}

/// A segmenter of any architecture.
#[derive(Module, Debug)]
#[allow(
    clippy::large_enum_variant,
    reason = "one segmenter at a time; Module is not implemented for Box"
)]
pub enum Segmenter {
    /// FCN on VGG-16.
    FcnVgg(FcnVgg),
    /// FCN with skips over a network of the zoo.
    FcnSkip(FcnSkip),
    /// FCN with torchvision's head.
    Fcn(Fcn),
    /// DeepLabV3.
    DeepLabV3(DeepLabV3),
    /// LR-ASPP.
    Lraspp(Lraspp),
    /// U-Net.
    Unet(Unet),
}

/// Calls a function of the architecture inside.
macro_rules! each {
    ($self:expr, $model:ident => $call:expr) => {
        match $self {
            Segmenter::FcnVgg($model) => $call,
            Segmenter::FcnSkip($model) => $call,
            Segmenter::Fcn($model) => $call,
            Segmenter::DeepLabV3($model) => $call,
            Segmenter::Lraspp($model) => $call,
            Segmenter::Unet($model) => $call,
        }
    };
}

/// One line of the registry.
#[derive(Clone, Debug)]
pub struct Entry {
    /// What a recipe writes.
    pub name: &'static str,
    /// The published number of parameters at 21 classes, the auxiliary head counted; none for what was never
    /// published in this form.
    pub parameters: Option<usize>,
    /// The model with its default options.
    pub config: SegmenterConfig,
}

/// Every segmenter there is.
pub fn registry() -> Vec<Entry> {
    use SegmenterConfig as C;
    let entry = |parameters, config: C| Entry {
        name: config.name(),
        parameters,
        config,
    };
    vec![
        entry(Some(136_152_917), C::Fcn32s(Default::default())),
        entry(Some(134_815_994), C::Fcn16s(Default::default())),
        entry(Some(134_489_759), C::Fcn8s(Default::default())),
        entry(None, C::FcnSkip(Default::default())),
        entry(None, C::Fcn(Default::default())),
        entry(Some(35_322_218), C::FcnResnet50(Default::default())),
        entry(Some(54_314_346), C::FcnResnet101(Default::default())),
        entry(None, C::Deeplabv3(Default::default())),
        entry(Some(42_004_074), C::Deeplabv3Resnet50(Default::default())),
        entry(Some(60_996_202), C::Deeplabv3Resnet101(Default::default())),
        entry(
            Some(11_029_328),
            C::Deeplabv3MobilenetV3Large(Default::default()),
        ),
        entry(None, C::Lraspp(Default::default())),
        entry(Some(3_221_538), C::LrasppMobilenetV3Large),
        entry(None, C::Unet(Default::default())),
    ]
}

impl SegmenterConfig {
    /// The model's name in the registry.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Fcn32s(_) => "fcn32s",
            Self::Fcn16s(_) => "fcn16s",
            Self::Fcn8s(_) => "fcn8s",
            Self::FcnSkip(_) => "fcn_skip",
            Self::Fcn(_) => "fcn",
            Self::FcnResnet50(_) => "fcn_resnet50",
            Self::FcnResnet101(_) => "fcn_resnet101",
            Self::Deeplabv3(_) => "deeplabv3",
            Self::Deeplabv3Resnet50(_) => "deeplabv3_resnet50",
            Self::Deeplabv3Resnet101(_) => "deeplabv3_resnet101",
            Self::Deeplabv3MobilenetV3Large(_) => "deeplabv3_mobilenet_v3_large",
            Self::Lraspp(_) => "lraspp",
            Self::LrasppMobilenetV3Large => "lraspp_mobilenet_v3_large",
            Self::Unet(_) => "unet",
        }
    }

    /// The model of that name with its default options.
    ///
    /// # Errors
    /// [`ModelError::Unknown`].
    pub fn named(name: &str) -> Result<Self, ModelError> {
        let found = registry().into_iter().find(|entry| entry.name == name);
        found
            .map(|entry| entry.config)
            .ok_or_else(|| ModelError::Unknown {
                name: name.to_string(),
                nearest: None,
            })
    }

    /// What is wrong with the options: `(key inside the model's table, message)` pairs.
    pub fn problems(&self) -> Vec<(String, String)> {
        match self {
            Self::Fcn32s(config) | Self::Fcn16s(config) | Self::Fcn8s(config) => config.problems(),
            Self::FcnSkip(config) => config.problems(),
            Self::Fcn(config) => config.problems(),
            Self::FcnResnet50(config)
            | Self::FcnResnet101(config)
            | Self::Deeplabv3Resnet50(config)
            | Self::Deeplabv3Resnet101(config)
            | Self::Deeplabv3MobilenetV3Large(config) => {
                let rate = config.dropout.and_then(|rate| check_rate("dropout", rate));
                rate.into_iter().collect()
            }
            Self::Deeplabv3(config) => config.problems(),
            Self::Lraspp(config) => config.problems(),
            Self::LrasppMobilenetV3Large => Vec::new(),
            Self::Unet(config) => config.problems(),
        }
    }

    /// The smallest side in pixels of an input.
    pub fn minimum(&self) -> usize {
        match self {
            Self::FcnSkip(config) => body::minimum(&config.backbone),
            Self::Fcn(config) => body::minimum(&config.backbone),
            Self::Deeplabv3(config) => body::minimum(&config.backbone),
            Self::Lraspp(config) => body::minimum(&config.backbone),
            Self::Unet(config) => config.minimum(),
            _ => 1,
        }
    }

    /// The same model with or without its auxiliary head; a model that has none stays as it is.
    pub fn with_aux(mut self, with: bool) -> Self {
        match &mut self {
            Self::FcnResnet50(config)
            | Self::FcnResnet101(config)
            | Self::Deeplabv3Resnet50(config)
            | Self::Deeplabv3Resnet101(config)
            | Self::Deeplabv3MobilenetV3Large(config) => config.aux = with,
            Self::Fcn(config) => config.aux = with,
            Self::Deeplabv3(config) => config.aux = with,
            _ => {}
        }
        self
    }

    /// Makes the network with freshly drawn parameters for images of `channels` channels.
    ///
    /// # Errors
    /// [`ModelError`] for options out of range, no class or no channel.
    pub fn init(
        &self,
        channels: usize,
        classes: usize,
        device: &Device,
    ) -> Result<Segmenter, ModelError> {
        let model = || self.name().to_string();
        if let Some((key, message)) = self.problems().into_iter().next() {
            let model = model();
            return Err(ModelError::Option {
                model,
                key,
                message,
            });
        }
        if channels == 0 {
            return Err(ModelError::NoChannels { model: model() });
        }
        if classes == 0 {
            return Err(ModelError::NoClasses { model: model() });
        }
        let vgg = |config, skips| {
            Ok(Segmenter::FcnVgg(FcnVgg::new(
                config, skips, channels, classes, device,
            )))
        };
        let fcn =
            |config: &FcnConfig| Fcn::new(config, channels, classes, device).map(Segmenter::Fcn);
        let deeplab = |config: &DeepLabV3Config| {
            DeepLabV3::new(config, channels, classes, device).map(Segmenter::DeepLabV3)
        };
        let lraspp = |config: &LrasppConfig| {
            Lraspp::new(config, channels, classes, device).map(Segmenter::Lraspp)
        };
        let resnet50 = || ClassifierConfig::Resnet50(body::dilated_resnet());
        let resnet101 = || ClassifierConfig::Resnet101(body::dilated_resnet());
        let mobilenet = || ClassifierConfig::MobilenetV3Large(body::dilated_mobilenet());
        let published_fcn = |config: &PublishedConfig, backbone| {
            let base = FcnConfig::default();
            fcn(&FcnConfig {
                backbone,
                aux: config.aux,
                dropout: config.dropout.unwrap_or(base.dropout),
            })
        };
        let published_deeplab = |config: &PublishedConfig, backbone| {
            let base = DeepLabV3Config::default();
            deeplab(&DeepLabV3Config {
                backbone,
                aux: config.aux,
                dropout: config.dropout.unwrap_or(base.dropout),
                ..base
            })
        };
        match self {
            Self::Fcn32s(config) => vgg(config, 0),
            Self::Fcn16s(config) => vgg(config, 1),
            Self::Fcn8s(config) => vgg(config, 2),
            Self::FcnSkip(config) => {
                FcnSkip::new(config, channels, classes, device).map(Segmenter::FcnSkip)
            }
            Self::Fcn(config) => fcn(config),
            Self::FcnResnet50(config) => published_fcn(config, resnet50()),
            Self::FcnResnet101(config) => published_fcn(config, resnet101()),
            Self::Deeplabv3(config) => deeplab(config),
            Self::Deeplabv3Resnet50(config) => published_deeplab(config, resnet50()),
            Self::Deeplabv3Resnet101(config) => published_deeplab(config, resnet101()),
            Self::Deeplabv3MobilenetV3Large(config) => published_deeplab(config, mobilenet()),
            Self::Lraspp(config) => lraspp(config),
            Self::LrasppMobilenetV3Large => lraspp(&LrasppConfig::default()),
            Self::Unet(config) => Ok(Segmenter::Unet(Unet::new(
                config, channels, classes, device,
            ))),
        }
    }
}

impl Segmenter {
    /// Logits at the input's size; batch statistics and dropout act when `x` is on an autodiff device.
    ///
    /// # Shapes
    /// - `x`: `[N, C, H, W]`, normalised, of any size from the network's minimum
    /// - output: `[N, classes, H, W]`
    pub fn forward(&self, x: Tensor<4>) -> Tensor<4> {
        each!(self, model => model.forward(x))
    }

    /// Logits at the input's size, and those of the auxiliary head.
    ///
    /// # Shapes
    /// - `x`: `[N, C, H, W]`, normalised, of any size from the network's minimum
    pub fn forward_train(&self, x: Tensor<4>) -> SegmenterOutput {
        each!(self, model => model.forward_train(x))
    }
}

impl TorchNames for Segmenter {
    fn torch_name(&self, path: &str) -> String {
        each!(self, model => model.torch_name(path))
    }

    fn head(&self) -> &'static [&'static str] {
        each!(self, model => model.head())
    }
}

/// Maps brought to a size, bilinearly and with gradients on every backend.
///
/// # Shapes
/// - `x`: `[N, C, H, W]`
/// - output: `[N, C, height, width]`
fn to_size(x: Tensor<4>, size: [usize; 2]) -> Tensor<4> {
    resize(x, size, Interpolation::Bilinear, false)
}
