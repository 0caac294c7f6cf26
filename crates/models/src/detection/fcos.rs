//! FCOS, "Fully Convolutional One-Stage Object Detection" (Tian et al. 2019, arXiv:1904.01355), with torchvision's
//! numbers and keys.
//!
//! ```
//! use burn::tensor::Device;
//! use firesight_models::InputSpec;
//! use firesight_models::detection::DetectorConfig;
//! use firesight_models::weights::parameter_count;
//!
//! let config = DetectorConfig::named("fcos_resnet50_fpn")?;
//! let model = config.init(InputSpec::rgb(64), 91, &Device::default())?;
//! assert_eq!(parameter_count(&model), 32_322_720);
//! assert_eq!(model.postprocess().iou_threshold, 0.6);
//! # Ok::<(), firesight_models::ModelError>(())
//! ```

use burn::module::Module;
use burn::tensor::{Device, Tensor};
use firesight_kernels::{self as kernels, Activation};
use firesight_ops::nms::NmsError;
use firesight_ops::{AnchorGenerator, LinearBoxCoder};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::head::{DenseHead, HeadOutput, HeadSpec};
use super::loss::{DetectorLoss, Objects, fcos_loss, scores};
use super::postprocess::{Candidates, Detection, Postprocess, boxes_tensor, read};
use super::pyramid::{PyramidBackbone, PyramidPlan, sequential};
use super::{
    CLASS_LOGITS, DetectorArchitecture, PublishedOptions, check_common, image_boxes, minimum,
};
use crate::classification::{Classifier, ClassifierConfig};
use crate::family::{Member, PublishedModel};
use crate::weights::TorchNames;
use crate::{InputSpec, ModelError};

/// An FCOS over a classification network of the zoo.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields, default)]
pub struct FcosConfig {
    /// The network below.
    pub backbone: ClassifierConfig,
    /// Channels of the pyramid and of the heads, a multiple of 32.
    pub channels: usize,
    /// Levels of the pyramid, 3 to 5; the first has the stride of the third last stage (8 in a ResNet).
    pub levels: usize,
    /// Convolutions in each tower of the head.
    pub head_depth: usize,
    /// Draws the weights of the head's towers as published, with a standard deviation of 0.01; otherwise by
    /// He's rule.
    pub published_init: bool,
    /// Which boxes become detections.
    pub postprocess: Postprocess,
}

impl Default for FcosConfig {
    fn default() -> Self {
        Self {
            backbone: ClassifierConfig::Resnet50(Default::default()),
            channels: 256,
            levels: 5,
            head_depth: 4,
            published_init: false,
            postprocess: Postprocess::FCOS,
        }
    }
}

/// torchvision's FCOS over a ResNet-50; torchvision states 53,120 parameters fewer, since its published weights freeze
/// the scales of the body's normalisation.
pub const FCOS_RESNET50_FPN: PublishedModel<PublishedOptions, FcosConfig> = PublishedModel {
    parameters: 32_322_720,
    config: |options| {
        let base = FcosConfig::torchvision();
        FcosConfig {
            postprocess: options.postprocess.clone().unwrap_or(base.postprocess),
            ..base
        }
    },
};
/// FCOS over the default network.
pub const FCOS: PublishedModel<FcosConfig, FcosConfig> = PublishedModel {
    parameters: 32_322_720,
    config: FcosConfig::clone,
};

impl FcosConfig {
    /// torchvision's `fcos_resnet50_fpn`.
    pub fn torchvision() -> Self {
        Self {
            published_init: true,
            ..Self::default()
        }
    }

    /// What is wrong with the options: key and message.
    pub fn problems(&self) -> Vec<(String, String)> {
        let mut problems = check_common(
            self.channels,
            self.levels,
            self.head_depth,
            true,
            &self.postprocess,
        );
        problems.extend(
            self.backbone.problems().into_iter().map(|(key, message)| {
                (format!("backbone.{}.{key}", self.backbone.name()), message)
            }),
        );
        problems
    }
}

/// An FCOS.
#[derive(Module, Debug)]
pub struct Fcos {
    backbone: PyramidBackbone,
    head: DenseHead,
    #[module(skip)]
    postprocess: Postprocess,
}

impl Member for Fcos {
    type Config = FcosConfig;

    fn problems(config: &FcosConfig) -> Vec<(String, String)> {
        config.problems()
    }

    fn minimum(config: &FcosConfig) -> usize {
        minimum(&config.backbone)
    }

    fn build(
        model: &'static str,
        config: &FcosConfig,
        input: InputSpec,
        classes: usize,
        device: &Device,
    ) -> Result<Self, ModelError> {
        let plan = PyramidPlan {
            model,
            body: &config.backbone,
            channels: config.channels,
            levels: config.levels,
            from_body: false,
        };
        let spec = HeadSpec {
            channels: config.channels,
            depth: config.head_depth,
            group_norm: true,
            bias: true,
            tower_std: config.published_init.then_some(0.01),
            anchors: 1,
            classes,
            centerness: true,
        };
        Ok(Self {
            backbone: PyramidBackbone::new(&plan, input, device)?,
            head: DenseHead::new(&spec, device),
            postprocess: config.postprocess.clone(),
        })
    }
}

impl DetectorArchitecture for Fcos {
    fn backbone_name(config: &FcosConfig) -> Option<&'static str> {
        Some(config.backbone.name())
    }

    /// The regressions are distances to the four sides in strides, at least 0.
    fn forward(&self, x: Tensor<4>) -> HeadOutput {
        let mut output = self.head.forward(&self.backbone.forward(x));
        output.bbox_regression = kernels::activation(Activation::Relu, output.bbox_regression);
        output
    }

    fn loss(&self, output: &HeadOutput, objects: &[Objects], size: [usize; 2]) -> DetectorLoss {
        let anchors = self.anchors(size, &output.levels);
        let rows: Vec<usize> = anchors.iter().map(Vec::len).collect();
        fcos_loss(output, &anchors.concat(), &rows, objects)
    }

    fn detections(
        &self,
        output: &HeadOutput,
        size: [usize; 2],
        postprocess: &Postprocess,
    ) -> Result<Vec<Vec<Detection>>, NmsError> {
        let anchors = self.anchors(size, &output.levels);
        let rows: Vec<usize> = anchors.iter().map(Vec::len).collect();
        let [n, all, _] = output.bbox_regression.dims();
        let device = output.bbox_regression.device();
        let anchors = boxes_tensor(&anchors.concat(), &device).repeat_dim(0, n);
        let distances = output.bbox_regression.clone().reshape([n * all, 4]);
        let boxes = read(LinearBoxCoder { normalize: true }.decode(distances, anchors));
        image_boxes(
            postprocess,
            &scores(output),
            &boxes,
            self.head.classes(),
            Candidates::OfLevel(&rows),
            Some(size),
        )
    }

    fn map_body<E>(
        mut self,
        change: impl FnOnce(Classifier) -> Result<Classifier, E>,
    ) -> Result<Self, E> {
        self.backbone = self.backbone.map_body(change)?;
        Ok(self)
    }

    fn postprocess(&self) -> &Postprocess {
        &self.postprocess
    }
}

impl Fcos {
    /// Squares of a level's stride around its positions.
    fn anchors(&self, image: [usize; 2], levels: &[[usize; 2]]) -> Vec<Vec<[f32; 4]>> {
        let strides = self.backbone.strides();
        let generator = AnchorGenerator {
            sizes: strides.iter().map(|stride| vec![*stride as f32]).collect(),
            aspect_ratios: vec![vec![1.0]; strides.len()],
        };
        levels
            .iter()
            .enumerate()
            .map(|(i, size)| generator.level(i, image, *size))
            .collect()
    }
}

impl TorchNames for Fcos {
    /// torchvision's towers are flat sequences of convolution, normalisation and rectifier.
    fn torch_name(&self, path: &str) -> String {
        if let Some(rest) = path.strip_prefix("backbone.") {
            return format!("backbone.{}", self.backbone.torch_name(rest));
        }
        let parts: Vec<&str> = path.split('.').collect();
        if let ["head", head, "conv", layer, place, kind] = parts[..]
            && let (Ok(layer), Ok(place)) = (layer.parse::<usize>(), place.parse::<usize>())
        {
            return format!("head.{head}.conv.{}.{kind}", 3 * layer + place);
        }
        path.to_string()
    }

    fn head(&self) -> &'static [&'static str] {
        CLASS_LOGITS
    }

    fn published_key(&self, key: &str) -> String {
        sequential(key)
    }
}
