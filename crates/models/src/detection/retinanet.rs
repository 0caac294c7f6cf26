//! RetinaNet, "Focal Loss for Dense Object Detection" (Lin et al. 2017, arXiv:1708.02002), with torchvision's numbers
//! and keys; version 2 as torchvision has it: normalised heads, P6 from the body, generalised IoU loss.
//!
//! ```
//! use burn::tensor::{Device, Tensor};
//! use firesight_models::InputSpec;
//! use firesight_models::classification::ClassifierConfig;
//! use firesight_models::detection::{DetectorConfig, RetinaNetConfig};
//!
//! let backbone = ClassifierConfig::named("resnet20")?;
//! let config = RetinaNetConfig { backbone, channels: 32, levels: 4, ..Default::default() };
//! let device = Device::default();
//! let model = DetectorConfig::Retinanet(config).init(InputSpec::rgb(16), 5, &device)?;
//! let output = model.forward(Tensor::zeros([1, 3, 16, 16], &device));
//! assert_eq!(output.levels, [[16, 16], [8, 8], [4, 4], [2, 2]]);
//! let positions = 16 * 16 + 8 * 8 + 4 * 4 + 2 * 2;
//! assert_eq!(output.bbox_regression.dims(), [1, 9 * positions, 4]); // nine anchors at each
//! # Ok::<(), firesight_models::ModelError>(())
//! ```

use burn::module::Module;
use burn::tensor::{Device, Tensor};
use firesight_ops::nms::NmsError;
use firesight_ops::{AnchorGenerator, BoxCoder};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::head::{DenseHead, GROUPS, HeadOutput, HeadSpec};
use super::loss::{BoxLoss, DetectorLoss, Objects, retinanet_loss, scores};
use super::postprocess::{Candidates, Detection, Postprocess, boxes_tensor, read};
use super::pyramid::{PyramidBackbone, PyramidPlan, sequential};
use super::{
    CLASS_LOGITS, DetectorArchitecture, PublishedOptions, check_common, image_boxes, minimum,
};
use crate::classification::{Classifier, ClassifierConfig};
use crate::family::{Member, PublishedModel};
use crate::weights::TorchNames;
use crate::{InputSpec, ModelError};

/// A RetinaNet over a classification network of the zoo.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields, default)]
pub struct RetinaNetConfig {
    /// The network below.
    pub backbone: ClassifierConfig,
    /// Channels of the pyramid and of the heads.
    pub channels: usize,
    /// Levels of the pyramid, 3 to 5; the first has the stride of the third last stage (8 in a ResNet).
    pub levels: usize,
    /// Convolutions in each tower of the head.
    pub head_depth: usize,
    /// Group normalisation of 32 groups in the head.
    pub head_norm: bool,
    /// What the box regression minimises.
    pub box_loss: BoxLoss,
    /// Side of the smallest anchors on the first level in pixels; each level doubles it.
    pub anchor_size: f32,
    /// Factors of the side, that is anchors of different sizes on each level.
    pub anchor_scales: Vec<f32>,
    /// Height over width of the anchors.
    pub aspect_ratios: Vec<f32>,
    /// Whether level 6 is made from the body's last map and not from the pyramid's.
    pub p6_from_body: bool,
    /// Draws the weights of the head's towers as published, with a standard deviation of 0.01, which suits a
    /// pretrained body; otherwise by He's rule, which trains faster from nothing.
    pub published_init: bool,
    /// Which boxes become detections.
    pub postprocess: Postprocess,
}

impl Default for RetinaNetConfig {
    fn default() -> Self {
        Self {
            backbone: ClassifierConfig::Resnet50(Default::default()),
            channels: 256,
            levels: 5,
            head_depth: 4,
            head_norm: false,
            box_loss: BoxLoss::SmoothL1,
            anchor_size: 32.0,
            anchor_scales: vec![1.0, 1.259_921, 1.587_401],
            aspect_ratios: vec![0.5, 1.0, 2.0],
            p6_from_body: false,
            published_init: false,
            postprocess: Postprocess::RETINANET,
        }
    }
}

/// torchvision's RetinaNet over a ResNet-50, version 1; torchvision states 53,120 parameters fewer, since its published
/// weights freeze the scales of the body's normalisation.
pub const RETINANET_RESNET50_FPN: PublishedModel<PublishedOptions, RetinaNetConfig> =
    PublishedModel {
        parameters: 34_068_119,
        config: |options| published(options, RetinaNetConfig::torchvision()),
    };
/// torchvision's RetinaNet over a ResNet-50, version 2.
pub const RETINANET_RESNET50_FPN_V2: PublishedModel<PublishedOptions, RetinaNetConfig> =
    PublishedModel {
        parameters: 38_198_935,
        config: |options| published(options, RetinaNetConfig::torchvision_v2()),
    };
/// RetinaNet over the default network.
pub const RETINANET: PublishedModel<RetinaNetConfig, RetinaNetConfig> = PublishedModel {
    parameters: 34_068_119,
    config: RetinaNetConfig::clone,
};

fn published(options: &PublishedOptions, base: RetinaNetConfig) -> RetinaNetConfig {
    RetinaNetConfig {
        postprocess: options.postprocess.clone().unwrap_or(base.postprocess),
        ..base
    }
}

impl RetinaNetConfig {
    /// torchvision's `retinanet_resnet50_fpn`.
    pub fn torchvision() -> Self {
        Self {
            box_loss: BoxLoss::L1,
            published_init: true,
            ..Self::default()
        }
    }

    /// torchvision's `retinanet_resnet50_fpn_v2`.
    pub fn torchvision_v2() -> Self {
        Self {
            head_norm: true,
            box_loss: BoxLoss::Giou,
            p6_from_body: true,
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
            self.head_norm,
            &self.postprocess,
        );
        if !(self.anchor_size >= 1.0 && self.anchor_size <= 4096.0) {
            let message = format!("{} is not from 1 to 4096 pixels", self.anchor_size);
            problems.push(("anchor-size".to_string(), message));
        }
        for (key, values) in [
            ("anchor-scales", &self.anchor_scales),
            ("aspect-ratios", &self.aspect_ratios),
        ] {
            let right = |v: &f32| *v > 0.01 && *v < 100.0;
            if values.is_empty() || !values.iter().all(right) {
                let message =
                    format!("{values:?}: at least one number is needed, all between 0.01 and 100");
                problems.push((key.to_string(), message));
            }
        }
        problems.extend(
            self.backbone.problems().into_iter().map(|(key, message)| {
                (format!("backbone.{}.{key}", self.backbone.name()), message)
            }),
        );
        problems
    }

    fn anchors(&self) -> AnchorGenerator {
        let level = |level: usize| {
            let size = self.anchor_size * (1 << level) as f32;
            // Whole pixels, rounded down, as torchvision has them; a thousandth makes up for the factors' digits.
            self.anchor_scales
                .iter()
                .map(|scale| (size * scale + 1e-3).floor().max(1.0))
                .collect()
        };
        AnchorGenerator {
            sizes: (0..self.levels).map(level).collect(),
            aspect_ratios: vec![self.aspect_ratios.clone(); self.levels],
        }
    }
}

/// A RetinaNet.
#[derive(Module, Debug)]
pub struct RetinaNet {
    backbone: PyramidBackbone,
    head: DenseHead,
    #[module(skip)]
    settings: Settings,
}

/// What is no parameter.
#[derive(Clone, Debug)]
struct Settings {
    anchors: AnchorGenerator,
    box_loss: BoxLoss,
    postprocess: Postprocess,
}

impl Member for RetinaNet {
    type Config = RetinaNetConfig;

    fn problems(config: &RetinaNetConfig) -> Vec<(String, String)> {
        config.problems()
    }

    fn minimum(config: &RetinaNetConfig) -> usize {
        minimum(&config.backbone)
    }

    fn build(
        model: &'static str,
        config: &RetinaNetConfig,
        input: InputSpec,
        classes: usize,
        device: &Device,
    ) -> Result<Self, ModelError> {
        let plan = PyramidPlan {
            model,
            body: &config.backbone,
            channels: config.channels,
            levels: config.levels,
            from_body: config.p6_from_body,
        };
        debug_assert!(!config.head_norm || config.channels.is_multiple_of(GROUPS));
        let spec = HeadSpec {
            channels: config.channels,
            depth: config.head_depth,
            group_norm: config.head_norm,
            bias: !config.head_norm,
            tower_std: config.published_init.then_some(0.01),
            anchors: config.anchor_scales.len() * config.aspect_ratios.len(),
            classes,
            centerness: false,
        };
        Ok(Self {
            backbone: PyramidBackbone::new(&plan, input, device)?,
            head: DenseHead::new(&spec, device),
            settings: Settings {
                anchors: config.anchors(),
                box_loss: config.box_loss,
                postprocess: config.postprocess.clone(),
            },
        })
    }
}

impl DetectorArchitecture for RetinaNet {
    fn backbone_name(config: &RetinaNetConfig) -> Option<&'static str> {
        Some(config.backbone.name())
    }

    fn forward(&self, x: Tensor<4>) -> HeadOutput {
        self.head.forward(&self.backbone.forward(x))
    }

    fn loss(&self, output: &HeadOutput, objects: &[Objects], size: [usize; 2]) -> DetectorLoss {
        retinanet_loss(
            output,
            &self.anchors(size, &output.levels).concat(),
            objects,
            self.settings.box_loss,
        )
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
        let offsets = output.bbox_regression.clone().reshape([n * all, 4]);
        let boxes = read(BoxCoder::default().decode(offsets, anchors));
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
        &self.settings.postprocess
    }
}

impl RetinaNet {
    fn anchors(&self, image: [usize; 2], levels: &[[usize; 2]]) -> Vec<Vec<[f32; 4]>> {
        let generator = &self.settings.anchors;
        levels
            .iter()
            .enumerate()
            .map(|(i, size)| generator.level(i, image, *size))
            .collect()
    }
}

impl TorchNames for RetinaNet {
    fn torch_name(&self, path: &str) -> String {
        match path.strip_prefix("backbone.") {
            Some(rest) => format!("backbone.{}", self.backbone.torch_name(rest)),
            None => path.to_string(),
        }
    }

    fn head(&self) -> &'static [&'static str] {
        CLASS_LOGITS
    }

    /// The key of today for that of a published file: the heads' towers were once flat sequences of convolutions
    /// and rectifiers, and the pyramid's blocks convolutions.
    fn published_key(&self, key: &str) -> String {
        let parts: Vec<&str> = key.split('.').collect();
        if let ["head", head, "conv", number, kind] = parts[..]
            && let Ok(number) = number.parse::<usize>()
        {
            return format!("head.{head}.conv.{}.0.{kind}", number / 2);
        }
        sequential(key)
    }
}
