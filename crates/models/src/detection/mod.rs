//! Detectors: networks that find objects and give each a box, a class and a score, behind one enum that a recipe
//! names. State-dict keys are those of the published networks, torchvision's and
//! YOLOX'. Adding one is a file that implements [`DetectorArchitecture`] and a line in
//! the list below.
//!
//! A detector is a backbone, a head and what stands beside them: anchors, loss, and the choice of detections.
//! [`BatchTransform`] makes a batch of images of any sizes and takes boxes back.
//!
//! ```
//! use burn::tensor::{Device, Tensor};
//! use firesight_models::InputSpec;
//! use firesight_models::detection::DetectorConfig;
//!
//! let config = r#"{"fcos": {"backbone": {"resnet20": {}}, "channels": 32, "levels": 3, "head-depth": 1}}"#;
//! let config: DetectorConfig = serde_json::from_str(config).unwrap();
//! let device = Device::default();
//! let model = config.init(InputSpec::rgb(32), 5, &device)?;
//! let output = model.forward(Tensor::zeros([2, 3, 32, 32], &device));
//! assert_eq!(output.cls_logits.dims(), [2, 32 * 32 + 16 * 16 + 8 * 8, 5]);
//! let found = model.detections(&output, [32, 32], model.postprocess()).unwrap();
//! assert!(found.len() == 2 && found[0].is_empty()); // untrained, it is sure of nothing
//! # Ok::<(), firesight_models::ModelError>(())
//! ```

mod agreement;
pub mod fcos;
pub mod head;
pub mod loss;
mod postprocess;
mod pyramid;
pub mod retinanet;
pub mod ssd;
mod transform;
pub mod yolox;

pub use fcos::{Fcos, FcosConfig};
pub use head::{DenseHead, HeadOutput, HeadSpec};
pub use loss::{BoxLoss, DetectorLoss, Objects};
use postprocess::Candidates;
pub use postprocess::{Detection, Postprocess};
pub use pyramid::PyramidBackbone;
pub use retinanet::{RetinaNet, RetinaNetConfig};
pub use ssd::Ssd;
pub use transform::{BatchTransform, ImageBatch};
pub use yolox::{Yolox, YoloxConfig, YoloxOptions};

use burn::tensor::{Tensor, TensorData};
use firesight_ops::nms::NmsError;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::classification::{Classifier, ClassifierConfig};
use crate::family::{Member, family};
use crate::tags::Tag;
use crate::verify::{NamedOutputs, OutputComparison, VerifyError};
use crate::weights::StateDict;

family! {
    /// A detector as a recipe names it: `model = "retinanet_resnet50_fpn"`, or with options
    /// `model = { retinanet = { backbone = "resnet18", channels = 128 } }`.
    DetectorConfig,
    /// A detector of any architecture.
    Detector,
    /// Hands the names of all detectors, under the file of each architecture, to a macro.
    each_detector, "detection" with 91 classes, and as_published;

    /// RetinaNet.
    retinanet::RetinaNet {
        /// torchvision's RetinaNet over a ResNet-50, version 1.
        RetinanetResnet50Fpn(PublishedOptions) retinanet_resnet50_fpn RETINANET_RESNET50_FPN,
        /// torchvision's RetinaNet over a ResNet-50, version 2.
        RetinanetResnet50FpnV2(PublishedOptions) retinanet_resnet50_fpn_v2 RETINANET_RESNET50_FPN_V2,
        /// RetinaNet over a network of the zoo.
        Retinanet(RetinaNetConfig) retinanet RETINANET,
    }
    /// FCOS.
    fcos::Fcos {
        /// torchvision's FCOS over a ResNet-50.
        FcosResnet50Fpn(PublishedOptions) fcos_resnet50_fpn FCOS_RESNET50_FPN,
        /// FCOS over a network of the zoo.
        Fcos(FcosConfig) fcos FCOS,
    }
    /// SSD.
    ssd::Ssd {
        /// torchvision's SSD over VGG-16, for pictures of 300x300 pixels.
        Ssd300Vgg16(PublishedOptions) ssd300_vgg16 SSD300_VGG16,
        /// torchvision's SSDlite over MobileNet V3, for pictures of 320x320 pixels.
        Ssdlite320MobilenetV3Large(PublishedOptions) ssdlite320_mobilenet_v3_large SSDLITE320_MOBILENET_V3_LARGE,
    }
    /// YOLOX.
    yolox::Yolox {
        /// YOLOX-nano, for pictures of 416 pixels.
        YoloxNano(YoloxOptions) yolox_nano YOLOX_NANO,
        /// YOLOX-tiny, for pictures of 416 pixels.
        YoloxTiny(YoloxOptions) yolox_tiny YOLOX_TINY,
        /// YOLOX-s, for pictures of 640 pixels.
        YoloxS(YoloxOptions) yolox_s YOLOX_S,
        /// YOLOX-m, for pictures of 640 pixels.
        YoloxM(YoloxOptions) yolox_m YOLOX_M,
        /// YOLOX-l, for pictures of 640 pixels.
        YoloxL(YoloxOptions) yolox_l YOLOX_L,
        /// YOLOX-x, for pictures of 640 pixels.
        YoloxX(YoloxOptions) yolox_x YOLOX_X,
        /// YOLOX of any depth and width.
        Yolox(YoloxConfig) yolox YOLOX,
    }
}

/// Options of a detector whose architecture is published.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields, default)]
pub struct PublishedOptions {
    /// Which boxes become detections, instead of the published choice.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub postprocess: Option<Postprocess>,
}

/// A network that finds objects.
pub trait DetectorArchitecture: Member {
    /// The registry's name of the classification network below; `None` where that is none of the zoo.
    fn backbone_name(config: &Self::Config) -> Option<&'static str>;

    /// Raw outputs; batch statistics act when `x` is on an autodiff device.
    ///
    /// # Shapes
    /// - `x`: `[N, C, H, W]`, normalised
    fn forward(&self, x: Tensor<4>) -> HeadOutput;

    /// The loss of raw outputs for images of `size`, `[height, width]`; one [`Objects`] per image, which may be empty.
    fn loss(&self, output: &HeadOutput, objects: &[Objects], size: [usize; 2]) -> DetectorLoss;

    /// The detections in each image, the best first, from raw outputs for images of `size`, `[height, width]`.
    ///
    /// # Errors
    /// Outputs that are not numbers.
    fn detections(
        &self,
        output: &HeadOutput,
        size: [usize; 2],
        postprocess: &Postprocess,
    ) -> Result<Vec<Vec<Detection>>, NmsError>;

    /// Changes the classification network below, where there is one of the zoo, for example to one with trained weights.
    ///
    /// # Errors
    /// Those of `change`.
    fn map_body<E>(
        self,
        change: impl FnOnce(Classifier) -> Result<Classifier, E>,
    ) -> Result<Self, E>;

    /// The choice of boxes that the model was made with.
    fn postprocess(&self) -> &Postprocess;

    /// The number that published results have for the first class: 1 where 0 is the background.
    fn first_label(&self) -> usize {
        0
    }
}

impl DetectorConfig {
    /// The registry's name of the classification network below; `None` where that is none of the zoo.
    pub fn backbone_name(&self) -> Option<&'static str> {
        each_config!(self.resolve(), Network, config => Network::backbone_name(&config))
    }
}

impl Detector {
    /// Raw outputs; batch statistics act when `x` is on an autodiff device.
    ///
    /// # Shapes
    /// - `x`: `[N, C, H, W]`, normalised
    pub fn forward(&self, x: Tensor<4>) -> HeadOutput {
        each!(self, model => model.forward(x))
    }

    /// The loss of raw outputs for images of `size`, `[height, width]`; one [`Objects`] per image, which may be empty.
    pub fn loss(&self, output: &HeadOutput, objects: &[Objects], size: [usize; 2]) -> DetectorLoss {
        each!(self, model => model.loss(output, objects, size))
    }

    /// The detections in each image, the best first, from raw outputs for images of `size`, `[height, width]`.
    ///
    /// # Errors
    /// Outputs that are not numbers.
    pub fn detections(
        &self,
        output: &HeadOutput,
        size: [usize; 2],
        postprocess: &Postprocess,
    ) -> Result<Vec<Vec<Detection>>, NmsError> {
        each!(self, model => model.detections(output, size, postprocess))
    }

    /// Changes the classification network below, where there is one of the zoo, for example to one with trained weights.
    ///
    /// # Errors
    /// Those of `change`.
    pub fn map_body<E>(
        self,
        change: impl FnOnce(Classifier) -> Result<Classifier, E>,
    ) -> Result<Self, E> {
        each!(self, model => model.map_body(change).map(Self::from))
    }

    /// The model with another epsilon in the normalisations of its body, for weights that were trained with it
    /// ([`crate::tags::Tag::body_epsilon`]). Only a ResNet's is changed.
    pub fn with_body_epsilon(self, epsilon: f64) -> Self {
        let changed = self.map_body(|mut body| {
            if let Classifier::ResNet(resnet) = &mut body {
                resnet.set_norm_epsilon(epsilon);
            }
            Ok::<_, std::convert::Infallible>(body)
        });
        match changed {
            Ok(model) => model,
            Err(never) => match never {},
        }
    }

    /// The choice of boxes that the model was made with.
    pub fn postprocess(&self) -> &Postprocess {
        each!(self, model => model.postprocess())
    }
}

/// The published file is run as torchvision runs it.
fn as_published(model: Detector, tag: &Tag) -> Detector {
    match tag.body_epsilon() {
        Some(epsilon) => model.with_body_epsilon(epsilon),
        None => model,
    }
}

impl NamedOutputs for Detector {
    fn named_outputs(&self, input: Tensor<4>) -> Vec<(String, TensorData)> {
        let output = self.forward(input);
        let mut named = vec![
            ("cls_logits".to_string(), output.cls_logits.into_data()),
            (
                "bbox_regression".to_string(),
                output.bbox_regression.into_data(),
            ),
        ];
        for (name, logits) in [
            ("bbox_ctrness", output.bbox_ctrness),
            ("objectness", output.objectness),
        ] {
            named.extend(logits.map(|logits| (name.to_string(), logits.into_data())));
        }
        named
    }

    fn compare_results(
        &self,
        input: Tensor<4>,
        reference: &StateDict,
    ) -> Result<Vec<OutputComparison>, VerifyError> {
        if !reference.contains_key("boxes.0") {
            return Ok(Vec::new());
        }
        let [_, _, height, width] = input.dims();
        let output = self.forward(input);
        let found = self.detections(&output, [height, width], self.postprocess());
        let found = found.map_err(|error| VerifyError::Outputs {
            message: error.to_string(),
        })?;
        let compare = |(i, found): (usize, &Vec<Detection>)| {
            let first = each!(self, model => model.first_label());
            agreement::compare_detections(i, found, first, reference, self.postprocess())
                .transpose()
        };
        found.iter().enumerate().filter_map(compare).collect()
    }
}

/// Where the number of classes shows in a head.
const CLASS_LOGITS: &[&str] = &["head.classification_head.cls_logits."];

/// The smallest side in pixels of an image: the last map of a body has stride 32.
fn minimum(backbone: &ClassifierConfig) -> usize {
    backbone.minimum().max(32)
}

/// The detections of every image of a batch, clipped to images of `[height, width]` where that is given.
fn image_boxes(
    postprocess: &Postprocess,
    scores: &[f32],
    boxes: &[f32],
    classes: usize,
    candidates: Candidates<'_>,
    clipped: Option<[usize; 2]>,
) -> Result<Vec<Vec<Detection>>, NmsError> {
    let all = candidates.rows();
    let (boxes, _) = boxes.as_chunks::<4>();
    let images = scores
        .chunks_exact(all * classes)
        .zip(boxes.chunks_exact(all));
    images
        .map(|(scores, boxes)| {
            postprocess.detections(scores, classes, candidates, clipped, |row| boxes[row])
        })
        .collect()
}

/// What may be wrong with the options that all detectors share.
fn check_common(
    channels: usize,
    levels: usize,
    depth: usize,
    normalised: bool,
    postprocess: &Postprocess,
) -> Vec<(String, String)> {
    let mut problems = Vec::new();
    let mut check = |right: bool, key: &str, message: String| {
        if !right {
            problems.push((key.to_string(), message));
        }
    };
    check(
        (1..=4096).contains(&channels),
        "channels",
        format!("{channels} is not from 1 to 4096"),
    );
    let whole = !normalised || channels.is_multiple_of(head::GROUPS);
    check(
        whole,
        "channels",
        format!("{channels} is not a multiple of 32, which group normalisation needs"),
    );
    check(
        (3..=5).contains(&levels),
        "levels",
        format!("{levels} is not from 3 to 5"),
    );
    check(
        depth <= 16,
        "head-depth",
        format!("{depth} is more than 16"),
    );
    let under = |(key, message): (String, String)| (format!("postprocess.{key}"), message);
    problems.extend(postprocess.problems().into_iter().map(under));
    problems
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::classification::ClassifierConfig;
    use burn::tensor::Device;

    #[test]
    fn the_bodys_normalisations_take_another_epsilon() {
        let config = DetectorConfig::Retinanet(RetinaNetConfig {
            backbone: ClassifierConfig::named("resnet50").unwrap(),
            ..RetinaNetConfig::default()
        });
        let model = config
            .init(crate::InputSpec::rgb(64), 3, &Device::flex())
            .unwrap();
        let epsilons = |model: &Detector, value: &str| {
            let text = format!("{model:?}");
            text.matches(&format!("epsilon: {value}")).count()
        };
        assert_eq!((epsilons(&model, "1e-5"), epsilons(&model, "0.0")), (53, 0));
        let model = model.with_body_epsilon(0.0);
        assert_eq!((epsilons(&model, "1e-5"), epsilons(&model, "0.0")), (0, 53));
    }
}
