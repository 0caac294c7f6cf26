//! Detection: a box, a class and a score for each object; COCO's numbers.
//!
//! Detections and true boxes are measured in pixels of the original images: the recipe's `preprocess` is a map from
//! one to the other, and its inverse takes both back. Crowds are left out of the training and count as COCO counts
//! them; objects marked as difficult are trained on, and Pascal VOC's AP leaves them out. Areas are those of the boxes.

mod predict;
mod scores;

use burn::tensor::{Device, Tensor};
use firesight_data::DataError;
use firesight_data::batch::Batch;
use firesight_data::draw::denormalized;
use firesight_data::normalize::Normalize;
use firesight_data::preprocess::{InverseTransform, Preprocess};
use firesight_data::scan::Lesson;
use firesight_data::target::Target;
use firesight_metrics::detection::{DetectedBox, ImageBoxes, TrueBox, xywh};
use firesight_models::detection::{Detection, Detector, DetectorConfig, Objects, Postprocess};
use firesight_models::tags;
use firesight_recipe::Checks;
use firesight_report::metric::Metric;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::NamedFile;
use super::predict::{Predict, PredictOptions, Used};
use super::{AN_IMAGE, Details, OneNetworkRecipe, Setup, TaskRecipe, images};
use crate::card::ModelCard;
use crate::checks::{above, least_side};
use crate::data::DataConfig;
use crate::init::InitConfig;
use firesight_engine::{Batches, Evaluation, Loss, Objective, Watch};
use firesight_predict::Model;
use scores::{Judged, details_of};
pub use scores::{described, metrics};

/// Detection: boxes, classes and scores of the objects in an image.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct DetectionConfig {
    /// The network.
    pub model: DetectorConfig,
    /// The weight of the box loss beside that of the classes; above 0.
    #[serde(default = "one")]
    pub box_weight: f64,
    /// Weights of the classification network below, from a classifier; its head is left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub backbone_init: Option<InitConfig>,
    /// Weights of a whole detector to start from instead of random ones. With the tag `COCO_V1`,
    /// `retinanet_resnet50_fpn` has an epsilon of 0 in the normalisations of its body, as torchvision has it then.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub init: Option<InitConfig>,
    /// Patterns of parameter names that are not trained, searched for in the names that exports have, such as
    /// `^layer1\.`; the running statistics of normalisations whose weight and bias are frozen, and dropout in parts
    /// that are frozen as a whole, stand still too.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub freeze: Vec<String>,
}

fn one() -> f64 {
    1.0
}

impl DetectionConfig {
    /// The network with fresh weights, as it belongs to the published weights that it starts from.
    fn detector(&self, card: &ModelCard, device: &Device) -> crate::Result<Detector> {
        let module = self.model.init(card.input(), card.classes.len(), device)?;
        let epsilon = match &self.init {
            Some(InitConfig::Tag(tag)) => {
                tags::tag(self.model.name(), tag).and_then(tags::Tag::body_epsilon)
            }
            _ => None,
        };
        Ok(match epsilon {
            Some(epsilon) => module.with_body_epsilon(epsilon),
            None => module,
        })
    }
}

impl TaskRecipe for DetectionConfig {
    fn name(&self) -> &'static str {
        "detection"
    }

    fn model_name(&self) -> String {
        self.model.name().to_owned()
    }

    fn check(&self, table: &str, _: &DataConfig, checks: &mut Checks<'_>) {
        let name = self.model.name();
        checks.errors(&format!("{table}.model.{name}"), self.model.problems());
        above(checks, &format!("{table}.box-weight"), self.box_weight, 1e3);
        if self.backbone_init.is_some() && self.model.backbone_name().is_none() {
            checks.error(
                &format!("{table}.backbone-init"),
                format!(
                    "{name} has no network of the zoo below, whose weights it could start from"
                ),
                Some("give weights of the whole detector as `init`"),
            );
        }
    }

    fn lesson(&self) -> Lesson {
        Lesson::Boxes
    }

    fn needs(&self) -> &'static str {
        "boxes of objects"
    }

    fn files(&self) -> Vec<(&'static str, NamedFile<'_>)> {
        let name = self.model.name();
        let backbone = self.model.backbone_name().zip(self.backbone_init.as_ref());
        let backbone = backbone.map(|(body, init)| ("backbone-init", NamedFile::Init(body, init)));
        let init = self.init.iter();
        let init = init.map(|init| ("init", NamedFile::Init(name, init)));
        backbone.into_iter().chain(init).collect()
    }

    fn metrics(&self, _classes: &[String]) -> Vec<Metric> {
        described()
    }

    fn check_data(&self, table: &str, card: &ModelCard, checks: &mut Checks<'_>) {
        least_side(checks, table, card, self.model.minimum());
    }

    fn used<'a>(
        &self,
        used: Used<'a>,
        options: PredictOptions,
    ) -> crate::Result<Box<dyn Predict + 'a>> {
        predict::used(used, options)
    }
}

impl OneNetworkRecipe for DetectionConfig {
    type Objective = DetectionObjective;

    fn module(&self, card: &ModelCard, device: &Device) -> crate::Result<Detector> {
        self.detector(card, device)
    }

    fn start(&self, module: Detector, setup: &Setup<'_>) -> crate::Result<Detector> {
        let module = match self.model.backbone_name() {
            Some(backbone) => module.map_body(|body| {
                let key = "task.detection.backbone-init";
                setup.start(body, backbone, &self.backbone_init, key)
            })?,
            None => module,
        };
        setup.start(module, self.model.name(), &self.init, "task.detection.init")
    }

    fn frozen(&self) -> &[String] {
        &self.freeze
    }

    fn forward(module: &Detector, images: Tensor<4>) {
        module.forward(images);
    }

    fn objective(&self, setup: &Setup<'_>) -> crate::Result<DetectionObjective> {
        Ok(DetectionObjective::new(self, setup))
    }

    fn model(&self, module: Detector) -> Model {
        Model::Detector(Box::new(module))
    }
}

/// What a detector learns: the losses of its classes and boxes.
pub struct DetectionObjective {
    box_weight: f64,
    device: Device,
    classes: Vec<String>,
    preprocess: Preprocess,
    normalize: Normalize,
}

impl DetectionObjective {
    /// What a recipe asks for, on a device with autodiff.
    fn new(config: &DetectionConfig, setup: &Setup<'_>) -> Self {
        Self {
            box_weight: config.box_weight,
            device: setup.device.clone(),
            classes: setup.card.classes.clone(),
            preprocess: Preprocess::new(&setup.data.preprocess),
            normalize: setup.data.normalize(setup.card.channels),
        }
    }
}

/// What a detector is trained on: all boxes with an area that are no crowds.
fn objects(target: &Target) -> Objects {
    let trained = target.objects().iter().filter(|b| {
        let [x1, y1, x2, y2] = b.xyxy;
        !b.crowd && x1 < x2 && y1 < y2
    });
    let (boxes, classes) = trained.map(|b| (b.xyxy, b.class)).unzip();
    Objects { boxes, classes }
}

/// What is there and what was found, in the original image.
fn image_boxes(target: &Target, found: &[Detection], back: &InverseTransform) -> ImageBoxes {
    let truth = target.objects().iter().map(|b| {
        let bbox = xywh(back.xyxy(b.xyxy));
        TrueBox {
            bbox,
            class: b.class,
            area: Some(f64::from(b.cover) * bbox[2] * bbox[3]),
            crowd: b.crowd,
            difficult: b.difficult,
        }
    });
    let detected = found.iter().map(|d| DetectedBox {
        bbox: xywh(back.xyxy(d.xyxy)),
        class: d.class,
        score: f64::from(d.score),
    });
    ImageBoxes {
        truth: truth.collect(),
        detected: detected.collect(),
    }
}

impl Objective for DetectionObjective {
    type Module = Detector;
    type Details = Details;

    fn loss(&self, module: &Detector, mut batch: Batch) -> Loss {
        let samples = batch.shape[0];
        let size = [batch.shape[2], batch.shape[3]];
        let objects: Vec<Objects> = batch.targets.iter().map(objects).collect();
        let output = module.forward(images(&mut batch, &self.device));
        let mut parts = module.loss(&output, &objects, size);
        parts.bbox_regression = parts.bbox_regression.mul_scalar(self.box_weight);
        Loss {
            total: parts.total(),
            parts: parts.parts(),
            samples,
        }
    }

    fn evaluate(
        &self,
        model: &Detector,
        batches: &mut Batches<'_>,
        watch: &mut Watch<'_>,
        details: Option<&mut Details>,
    ) -> Result<Evaluation, DataError> {
        let device = self.device.clone().inner();
        let mut judged = Judged::default();
        let mut loss = 0.0;
        for batch in batches {
            let mut batch = batch?;
            let size = [batch.shape[2], batch.shape[3]];
            let count = batch.targets.len();
            if details.is_some() {
                // Before the values move to the device.
                for at in 0..count.min(scores::PICTURES.saturating_sub(judged.pictures.len())) {
                    judged
                        .pictures
                        .push(denormalized(&batch, at, &self.normalize));
                }
            }
            let output = model.forward(images(&mut batch, &device));
            let objects: Vec<Objects> = batch.targets.iter().map(objects).collect();
            let value: f32 = model.loss(&output, &objects, size).total().into_scalar();
            loss += f64::from(value) * count as f64;
            let found = detections(model, &output, size, model.postprocess())?;
            for (at, found) in found.into_iter().enumerate() {
                let back = self.preprocess.inverse(batch.sizes[at], None);
                judged
                    .images
                    .push(image_boxes(&batch.targets[at], &found, &back));
                judged.indices.push(batch.indices[at]);
                if judged.prepared.len() < judged.pictures.len() {
                    let same = InverseTransform::identity([size[1], size[0]]);
                    judged
                        .prepared
                        .push(image_boxes(&batch.targets[at], &found, &same));
                }
            }
            if !watch(judged.images.len()) {
                return Ok(Evaluation::interrupted());
            }
        }
        let samples = judged.images.len();
        let (mut metrics, coco, voc) = metrics(&judged.images, self.classes.len())
            .map_err(|error| DataError::unreadable("evaluation", error.to_string()))?;
        if samples > 0 {
            metrics.insert("loss".to_owned(), loss / samples as f64);
        }
        if let Some(details) = details {
            details_of(details, &judged, &self.classes, &coco, &voc);
        }
        Ok(Evaluation::new(samples, metrics))
    }
}

/// The detections of a batch. Outputs that are not numbers are reported as an error that names the cause.
fn detections(
    model: &Detector,
    output: &firesight_models::detection::HeadOutput,
    size: [usize; 2],
    postprocess: &Postprocess,
) -> Result<Vec<Vec<Detection>>, DataError> {
    let found = model.detections(output, size, postprocess);
    found.map_err(|error| DataError::unreadable("the model's outputs", error.to_string()))
}

#[cfg(test)]
mod tests {
    use firesight_data::BoxLabel;
    use firesight_data::augment::{CenterCrop, Letterbox, Resize};
    use firesight_data::preprocess::PreprocessStep;

    use super::*;

    /// In training and when a run of the recipe is loaded again.
    #[test]
    fn published_weights_bring_the_epsilon_that_belongs_to_them() {
        let card = ModelCard {
            task: "detection".into(),
            model: String::new(),
            classes: vec!["thing".into()],
            channels: 3,
            height: 64,
            width: 64,
            pixels: Default::default(),
        };
        for (model, tag, expected) in [
            ("retinanet_resnet50_fpn", "COCO_V1", 53),
            ("retinanet_resnet50_fpn", "DEFAULT", 53),
            ("retinanet_resnet50_fpn_v2", "COCO_V1", 0),
            ("fcos_resnet50_fpn", "COCO_V1", 0),
        ] {
            let table = serde_json::json!({"model": {model: {}}, "init": {"tag": tag}});
            let config: DetectionConfig = serde_json::from_value(table).unwrap();
            let detector = config.detector(&card, &Device::flex()).unwrap();
            let text = format!("{detector:?}");
            assert_eq!(text.matches("epsilon: 0.0").count(), expected, "{model}");
        }
    }

    #[test]
    fn boxes_come_back_from_every_preparation() {
        let steps = [
            vec![],
            vec![PreprocessStep::Resize(Resize {
                width: 320,
                height: 240,
            })],
            vec![PreprocessStep::Letterbox(Letterbox {
                width: 100,
                height: 100,
                ..Letterbox::default()
            })],
            vec![PreprocessStep::CenterCrop(CenterCrop {
                width: 300,
                height: 200,
                ..CenterCrop::default()
            })],
        ];
        let truth = [200.0, 160.0, 420.0, 280.0];
        for preprocess in steps {
            let sample = firesight_data::sample::Sample {
                image: firesight_data::sample::Image {
                    width: 640,
                    height: 480,
                    channels: 1,
                    pixels: vec![0u8; 640 * 480],
                }
                .into(),
                target: Target::of_boxes(vec![BoxLabel {
                    xyxy: truth,
                    class: 0,
                    ..BoxLabel::default()
                }]),
            };
            let preprocess = Preprocess::new(&preprocess);
            let prepared = preprocess.apply(sample).unwrap();
            let back = preprocess.inverse([640, 480], None);
            let restored = back.xyxy(prepared.target.objects()[0].xyxy);
            for (got, want) in restored.iter().zip(truth) {
                assert!((got - want).abs() < 0.01, "{preprocess:?}: {restored:?}");
            }
        }
    }

    #[test]
    fn crowds_are_not_trained_on() {
        let label = |xyxy, crowd, difficult| BoxLabel {
            xyxy,
            class: 2,
            crowd,
            difficult,
            ..BoxLabel::default()
        };
        let found = objects(&Target::of_boxes(vec![
            label([0.0, 0.0, 4.0, 4.0], true, false),
            label([1.0, 1.0, 4.0, 4.0], false, true),
            label([1.0, 1.0, 1.0, 4.0], false, false),
        ]));
        assert_eq!(found.boxes, [[1.0, 1.0, 4.0, 4.0]]);
        assert_eq!(objects(&Target::default()), Objects::default());
    }
}
