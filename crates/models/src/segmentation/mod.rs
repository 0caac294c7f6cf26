//! Segmenters, networks that give a class to every pixel, one file per architecture, behind one enum that a recipe
//! names. State-dict keys are torchvision's where it has the network. Adding one is a file that implements
//! [`SegmenterArchitecture`] and a line in the list below.
//!
//! ```
//! use burn::tensor::{Device, Tensor};
//! use firesight_models::InputSpec;
//! use firesight_models::segmentation::SegmenterConfig;
//!
//! let config = r#"{"unet": {"channels": [4, 8, 16]}}"#;
//! let config: SegmenterConfig = serde_json::from_str(config).unwrap();
//! let device = Device::default();
//! let model = config.init(InputSpec::rgb(32), 5, &device)?;
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

use burn::tensor::{Tensor, TensorData};
use firesight_ops::{Interpolation, resize};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::family::{Member, family};
use crate::verify::NamedOutputs;

use deeplabv3::DeepLabV3Config;
use fcn::FcnConfig;
use fcn_skip::FcnSkipConfig;
use fcn_vgg::FcnVggConfig;
use lraspp::LrasppConfig;
use unet::UnetConfig;

family! {
    /// A segmenter as a recipe names it: `model = "fcn_resnet50"`, or with options
    /// `model = { unet = { channels = [16, 32, 64] } }`.
    SegmenterConfig,
    /// A segmenter of any architecture.
    Segmenter,
    /// Hands the names of all segmenters, under the file of each architecture, to a macro.
    each_segmenter, "segmentation" with 21 classes;

    /// FCN on VGG-16.
    fcn_vgg::FcnVgg {
        /// FCN-32s on VGG-16 (Long et al. 2015).
        Fcn32s(FcnVggConfig) fcn32s FCN32S,
        /// FCN-16s on VGG-16 (Long et al. 2015).
        Fcn16s(FcnVggConfig) fcn16s FCN16S,
        /// FCN-8s on VGG-16 (Long et al. 2015).
        Fcn8s(FcnVggConfig) fcn8s FCN8S,
    }
    /// FCN with skips over a network of the zoo.
    fcn_skip::FcnSkip {
        /// The skips of FCN-8s over any network of the zoo.
        FcnSkip(FcnSkipConfig) fcn_skip FCN_SKIP,
    }
    /// FCN with torchvision's head.
    fcn::Fcn {
        /// torchvision's FCN head over any network of the zoo.
        Fcn(FcnConfig) fcn FCN,
        /// torchvision's FCN on ResNet-50.
        FcnResnet50(PublishedConfig) fcn_resnet50 FCN_RESNET50,
        /// torchvision's FCN on ResNet-101.
        FcnResnet101(PublishedConfig) fcn_resnet101 FCN_RESNET101,
    }
    /// DeepLabV3.
    deeplabv3::DeepLabV3 {
        /// DeepLabV3 over any network of the zoo.
        Deeplabv3(DeepLabV3Config) deeplabv3 DEEPLABV3,
        /// torchvision's DeepLabV3 on ResNet-50.
        Deeplabv3Resnet50(PublishedConfig) deeplabv3_resnet50 DEEPLABV3_RESNET50,
        /// torchvision's DeepLabV3 on ResNet-101.
        Deeplabv3Resnet101(PublishedConfig) deeplabv3_resnet101 DEEPLABV3_RESNET101,
        /// torchvision's DeepLabV3 on MobileNet V3.
        Deeplabv3MobilenetV3Large(PublishedConfig) deeplabv3_mobilenet_v3_large DEEPLABV3_MOBILENET_V3_LARGE,
    }
    /// LR-ASPP.
    lraspp::Lraspp {
        /// LR-ASPP over any network of the zoo.
        Lraspp(LrasppConfig) lraspp LRASPP,
        /// torchvision's LR-ASPP on MobileNet V3.
        LrasppMobilenetV3Large(NoOptions) lraspp_mobilenet_v3_large LRASPP_MOBILENET_V3_LARGE,
    }
    /// U-Net.
    unet::Unet {
        /// U-Net (Ronneberger et al. 2015).
        Unet(UnetConfig) unet UNET,
    }
}

/// What a segmenter gives in training.
#[derive(Clone, Debug)]
pub struct SegmenterOutput {
    /// The scores before the softmax, `[N, classes, H, W]`.
    pub logits: Tensor<4>,
    /// Those of the auxiliary head, if there is one.
    pub aux: Option<Tensor<4>>,
}

/// A network that gives a class to every pixel.
pub trait SegmenterArchitecture: Member {
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

/// A network that is published in one form.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct NoOptions {}

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

impl NamedOutputs for Segmenter {
    fn named_outputs(&self, input: Tensor<4>) -> Vec<(String, TensorData)> {
        let output = self.forward_train(input);
        let mut named = vec![("out".to_string(), output.logits.into_data())];
        named.extend(output.aux.map(|aux| ("aux".to_string(), aux.into_data())));
        named
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
