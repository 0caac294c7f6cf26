//! Detectors: networks that find objects and give each a box, a class and a score, behind one enum that a recipe
//! names. State-dict keys are torchvision's.
//!
//! A detector is a backbone, a head and what stands beside them: anchors, loss, and the choice of detections.
//! [`BatchTransform`] makes a batch of images of any sizes and takes boxes back.
//!
//! ```
//! use burn::tensor::{Device, Tensor};
//! use firesight_models::classification::InputSpec;
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
mod transform;

pub use fcos::{Fcos, FcosConfig};
pub use head::{DenseHead, HeadOutput, HeadSpec};
pub use loss::{BoxLoss, DetectorLoss, Objects};
pub use postprocess::{Detection, Postprocess};
pub use pyramid::PyramidBackbone;
pub use retinanet::{RetinaNet, RetinaNetConfig};
pub use transform::{BatchTransform, ImageBatch};

use burn::module::Module;
use burn::tensor::{Device, Tensor, TensorData};
use firesight_ops::nms::NmsError;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::ModelError;
use crate::classification::{Classifier, InputSpec};
use crate::verify::{Comparison, NamedOutputs, VerifyError};
use crate::weights::{StateDict, TorchNames};

/// Options of a detector whose architecture is published.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields, default)]
pub struct PublishedOptions {
    /// Which boxes become detections, instead of the published choice.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub postprocess: Option<Postprocess>,
}

/// A detector as a recipe names it: `model = "retinanet_resnet50_fpn"`, or with options
/// `model = { retinanet = { backbone = "resnet18", channels = 128 } }`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub enum DetectorConfig {
    /// torchvision's RetinaNet over a ResNet-50, version 1.
    #[serde(rename = "retinanet_resnet50_fpn")]
    RetinanetResnet50Fpn(PublishedOptions),
    /// torchvision's RetinaNet over a ResNet-50, version 2.
    #[serde(rename = "retinanet_resnet50_fpn_v2")]
    RetinanetResnet50FpnV2(PublishedOptions),
    /// torchvision's FCOS over a ResNet-50.
    #[serde(rename = "fcos_resnet50_fpn")]
    FcosResnet50Fpn(PublishedOptions),
    /// RetinaNet over a network of the zoo.
    #[serde(rename = "retinanet")]
    Retinanet(RetinaNetConfig),
    /// FCOS over a network of the zoo.
    #[serde(rename = "fcos")]
    Fcos(FcosConfig),
}

/// A detector of any architecture.
#[derive(Module, Debug)]
#[allow(
    clippy::large_enum_variant,
    reason = "one detector at a time; Module is not implemented for Box"
)]
pub enum Detector {
    /// RetinaNet.
    RetinaNet(RetinaNet),
    /// FCOS.
    Fcos(Fcos),
}

/// One line of the registry.
#[derive(Clone, Debug)]
pub struct Entry {
    /// What a recipe writes.
    pub name: &'static str,
    /// The architecture.
    pub family: &'static str,
    /// The number of parameters with 91 classes (running statistics not counted). torchvision states 53,120
    /// fewer for version 1 and FCOS, whose published weights freeze the scales of the body's normalisation.
    pub parameters: usize,
    /// The model with its default options.
    pub config: DetectorConfig,
}

/// Every detector there is.
pub fn registry() -> Vec<Entry> {
    use DetectorConfig as C;
    let entry = |config: C, parameters| Entry {
        name: config.name(),
        family: match config.resolve() {
            Resolved::RetinaNet(_) => "RetinaNet",
            Resolved::Fcos(_) => "FCOS",
        },
        parameters,
        config,
    };
    vec![
        entry(C::RetinanetResnet50Fpn(Default::default()), 34_068_119),
        entry(C::RetinanetResnet50FpnV2(Default::default()), 38_198_935),
        entry(C::FcosResnet50Fpn(Default::default()), 32_322_720),
        entry(C::Retinanet(Default::default()), 34_068_119),
        entry(C::Fcos(Default::default()), 32_322_720),
    ]
}

/// An architecture with all of its options.
enum Resolved {
    RetinaNet(RetinaNetConfig),
    Fcos(FcosConfig),
}

impl DetectorConfig {
    /// The detector of that name with its default options.
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

    /// The model's name in the registry.
    pub fn name(&self) -> &'static str {
        match self {
            Self::RetinanetResnet50Fpn(_) => "retinanet_resnet50_fpn",
            Self::RetinanetResnet50FpnV2(_) => "retinanet_resnet50_fpn_v2",
            Self::FcosResnet50Fpn(_) => "fcos_resnet50_fpn",
            Self::Retinanet(_) => "retinanet",
            Self::Fcos(_) => "fcos",
        }
    }

    fn resolve(&self) -> Resolved {
        let retinanet = |mut config: RetinaNetConfig, options: &PublishedOptions| {
            config.postprocess = options.postprocess.clone().unwrap_or(config.postprocess);
            Resolved::RetinaNet(config)
        };
        match self {
            Self::RetinanetResnet50Fpn(options) => {
                retinanet(RetinaNetConfig::torchvision(), options)
            }
            Self::RetinanetResnet50FpnV2(options) => {
                retinanet(RetinaNetConfig::torchvision_v2(), options)
            }
            Self::FcosResnet50Fpn(options) => {
                let mut config = FcosConfig::torchvision();
                config.postprocess = options.postprocess.clone().unwrap_or(config.postprocess);
                Resolved::Fcos(config)
            }
            Self::Retinanet(config) => Resolved::RetinaNet(config.clone()),
            Self::Fcos(config) => Resolved::Fcos(config.clone()),
        }
    }

    /// The registry's name of the classification network below.
    pub fn backbone_name(&self) -> &'static str {
        match self.resolve() {
            Resolved::RetinaNet(config) => config.backbone.name(),
            Resolved::Fcos(config) => config.backbone.name(),
        }
    }

    /// What is wrong with the options: `(key inside the model's table, message)` pairs.
    pub fn problems(&self) -> Vec<(String, String)> {
        match self.resolve() {
            Resolved::RetinaNet(config) => config.problems(),
            Resolved::Fcos(config) => config.problems(),
        }
    }

    /// Makes the network with freshly drawn parameters.
    ///
    /// # Errors
    /// [`ModelError`] for options out of range, no class, no channel, or a backbone that has no body.
    pub fn init(
        &self,
        input: InputSpec,
        classes: usize,
        device: &Device,
    ) -> Result<Detector, ModelError> {
        let model = self.name();
        if let Some((key, message)) = self.problems().into_iter().next() {
            return Err(ModelError::Option {
                model: model.to_string(),
                key,
                message,
            });
        }
        if classes == 0 {
            return Err(ModelError::NoClasses {
                model: model.to_string(),
            });
        }
        Ok(match self.resolve() {
            Resolved::RetinaNet(config) => {
                Detector::RetinaNet(RetinaNet::build(model, &config, input, classes, device)?)
            }
            Resolved::Fcos(config) => {
                Detector::Fcos(Fcos::build(model, &config, input, classes, device)?)
            }
        })
    }
}

impl Detector {
    /// Raw outputs; batch statistics act when `x` is on an autodiff device.
    ///
    /// # Shapes
    /// - `x`: `[N, C, H, W]`, normalised
    pub fn forward(&self, x: Tensor<4>) -> HeadOutput {
        match self {
            Self::RetinaNet(model) => model.forward(x),
            Self::Fcos(model) => model.forward(x),
        }
    }

    /// The loss of raw outputs for images of `size`, `[height, width]`; one [`Objects`] per image, which may be empty.
    pub fn loss(&self, output: &HeadOutput, objects: &[Objects], size: [usize; 2]) -> DetectorLoss {
        match self {
            Self::RetinaNet(model) => model.loss(output, objects, size),
            Self::Fcos(model) => model.loss(output, objects, size),
        }
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
        match self {
            Self::RetinaNet(model) => model.detections(output, size, postprocess),
            Self::Fcos(model) => model.detections(output, size, postprocess),
        }
    }

    /// Changes the classification network below, for example to one with trained weights.
    ///
    /// # Errors
    /// Those of `change`.
    pub fn map_body<E>(
        self,
        change: impl FnOnce(Classifier) -> Result<Classifier, E>,
    ) -> Result<Self, E> {
        Ok(match self {
            Self::RetinaNet(model) => Self::RetinaNet(model.map_body(change)?),
            Self::Fcos(model) => Self::Fcos(model.map_body(change)?),
        })
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
        match self {
            Self::RetinaNet(model) => model.postprocess(),
            Self::Fcos(model) => model.postprocess(),
        }
    }
}

impl TorchNames for Detector {
    fn torch_name(&self, path: &str) -> String {
        match self {
            Self::RetinaNet(model) => model.torch_name(path),
            Self::Fcos(model) => model.torch_name(path),
        }
    }

    fn head(&self) -> &'static [&'static str] {
        &["head.classification_head.cls_logits."]
    }

    fn published_key(&self, key: &str) -> String {
        match self {
            Self::RetinaNet(_) => RetinaNet::published_key(key),
            Self::Fcos(_) => Fcos::published_key(key),
        }
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
        if let Some(logits) = output.bbox_ctrness {
            named.push(("bbox_ctrness".to_string(), logits.into_data()));
        }
        named
    }

    fn compare_results(
        &self,
        input: Tensor<4>,
        reference: &StateDict,
    ) -> Result<Vec<Comparison>, VerifyError> {
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
            agreement::compare_detections(i, found, reference, self.postprocess()).transpose()
        };
        found.iter().enumerate().filter_map(compare).collect()
    }
}

/// The detections of every image of a batch.
fn image_boxes(
    postprocess: &Postprocess,
    scores: &[f32],
    boxes: &[f32],
    classes: usize,
    rows: &[usize],
    size: [usize; 2],
) -> Result<Vec<Vec<Detection>>, NmsError> {
    let all: usize = rows.iter().sum();
    let (boxes, _) = boxes.as_chunks::<4>();
    let images = scores
        .chunks_exact(all * classes)
        .zip(boxes.chunks_exact(all));
    images
        .map(|(scores, boxes)| {
            postprocess.detections(scores, classes, rows, size, |row| boxes[row])
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

    #[test]
    fn the_bodys_normalisations_take_another_epsilon() {
        let config = DetectorConfig::Retinanet(RetinaNetConfig {
            backbone: ClassifierConfig::named("resnet50").unwrap(),
            ..RetinaNetConfig::default()
        });
        let model = config.init(InputSpec::rgb(64), 3, &Device::flex()).unwrap();
        let epsilons = |model: &Detector, value: &str| {
            let text = format!("{model:?}");
            text.matches(&format!("epsilon: {value}")).count()
        };
        assert_eq!((epsilons(&model, "1e-5"), epsilons(&model, "0.0")), (53, 0));
        let model = model.with_body_epsilon(0.0);
        assert_eq!((epsilons(&model, "1e-5"), epsilons(&model, "0.0")), (0, 53));
    }
}
