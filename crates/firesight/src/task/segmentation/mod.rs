//! Segmentation: a class for every pixel.
//!
//! The training loss is the recipe's (several terms, class weights, an auxiliary head). The `loss` of an evaluation
//! is plain cross-entropy, the mean of `-ln p(true class)` over the pixels that count. An evaluation sees images as
//! `data.preprocess` leaves them, and counts pixels there.

mod loss;
mod predict;
mod score;

use burn::tensor::{Device, Tensor};
use firesight_data::batch::Batch;
use firesight_data::frequency::{class_pixels, median_frequency_weights};
use firesight_data::normalize::Normalize;
use firesight_data::sample::Image;
use firesight_data::scan::Lesson;
use firesight_data::source::Source;
use firesight_data::target::Target;
use firesight_data::{DataError, Mask};
use firesight_models::segmentation::{Segmenter, SegmenterConfig};
use firesight_ops::loss::{CrossEntropyOptions, cross_entropy_pixels};
use firesight_predict::{PredictConfig, classes_of, probabilities};
use firesight_recipe::Checks;
use firesight_report::metric::Metric;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::NamedFile;
use super::predict::{Predict, PredictOptions, Used};
use super::{Details, OneNetworkRecipe, Setup, TaskRecipe, images};
use crate::card::ModelCard;
use crate::checks::{class_weights, least_side, weights_of_all, within};
use crate::data::DataConfig;
use crate::error::bail;
use crate::init::InitConfig;
use firesight_engine::{self as engine, Batches, Evaluation, Loss, Objective, Watch};
use firesight_models::weights::ParameterInfo;
use firesight_predict::Model;

pub use loss::{CrossEntropyTerm, DiceTerm, FocalTerm, LossTerm, LovaszTerm};
use loss::{IGNORE, targets};
use score::{Measured, Score};

/// Segmentation: a class for every pixel.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct SegmentationConfig {
    /// The network.
    pub model: SegmenterConfig,
    /// The terms of the loss, which are added up.
    #[serde(default = "cross_entropy")]
    pub loss: Vec<LossTerm>,
    /// The weights of the classes in cross-entropy.
    #[serde(default)]
    pub class_weights: ClassWeights,
    /// The weight of the auxiliary head's loss beside the main one's 1, where the model has such a head.
    #[serde(default = "half")]
    pub aux_weight: f64,
    /// Weights to start from instead of random ones.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub init: Option<InitConfig>,
    /// Patterns of parameter names that are not trained, searched for in the names that exports have, such as
    /// `^layer1\.`; the running statistics of normalisations whose weight and bias are frozen, and dropout in parts
    /// that are frozen as a whole, stand still too.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub freeze: Vec<String>,
    /// How a trained model is used on images.
    #[serde(default)]
    pub predict: PredictConfig,
}

fn cross_entropy() -> Vec<LossTerm> {
    vec![LossTerm::CrossEntropy(Default::default())]
}

fn half() -> f64 {
    0.5
}

/// The weights of the classes in the loss.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub enum ClassWeights {
    /// All the same.
    #[default]
    Equal,
    /// The median frequency of the classes in the training masks over the class's own (Eigen and Fergus 2015).
    MedianFrequency,
    /// One for each class, by class index, 0 or more.
    Values(Vec<f64>),
}

impl SegmentationConfig {
    /// A window that is smaller than the model can see.
    pub fn window_problem(&self, predict: &PredictConfig) -> Option<(String, String)> {
        let least = self.model.minimum();
        let window = predict.sliding_window?;
        let tile = (window.size < least).then_some(window.size)?;
        let name = self.model.name();
        let message = format!("a window of {tile} pixels; {name} needs at least {least}");
        Some(("sliding-window.size".into(), message))
    }
}

impl TaskRecipe for SegmentationConfig {
    fn name(&self) -> &'static str {
        "segmentation"
    }

    fn model_name(&self) -> String {
        self.model.name().to_owned()
    }

    fn classes(&self, source: &dyn Source) -> Vec<String> {
        source.mask_classes().to_vec()
    }

    fn check(&self, table: &str, _: &DataConfig, checks: &mut Checks<'_>) {
        let name = self.model.name();
        checks.errors(&format!("{table}.model.{name}"), self.model.problems());
        if self.loss.is_empty() {
            let help = Some("leave it out for cross-entropy");
            checks.error(
                &format!("{table}.loss"),
                "there is nothing to minimise",
                help,
            );
        }
        for (index, term) in self.loss.iter().enumerate() {
            term.check(&format!("{table}.loss[{index}]"), checks);
        }
        let aux = format!("{table}.aux-weight");
        within(checks, &aux, self.aux_weight, [0.0, 1e3]);
        if let ClassWeights::Values(values) = &self.class_weights {
            class_weights(checks, &format!("{table}.class-weights.values"), values);
        }
        checks.errors(&format!("{table}.predict"), self.predict.problems());
        checks.errors(
            &format!("{table}.predict"),
            self.window_problem(&self.predict),
        );
    }

    fn lesson(&self) -> Lesson {
        Lesson::Masks
    }

    fn needs(&self) -> &'static str {
        "a class for every pixel (`yolo` and `labelme` draw their polygons with `class-masks = true`)"
    }

    fn files(&self) -> Vec<(&'static str, NamedFile<'_>)> {
        let init = self.init.iter();
        init.map(|init| ("init", NamedFile::Init(self.model.name(), init)))
            .collect()
    }

    fn metrics(&self, classes: &[String]) -> Vec<Metric> {
        score::described(classes)
    }

    fn check_data(&self, table: &str, card: &ModelCard, checks: &mut Checks<'_>) {
        let classes = card.classes.len();
        if let ClassWeights::Values(values) = &self.class_weights {
            let path = format!("{table}.class-weights.values");
            weights_of_all(checks, &path, values, card);
        }
        if classes < 2 {
            let message = format!("the masks have {classes} class; there is nothing to tell apart");
            checks.error("data.source", message, None);
        }
        least_side(checks, table, card, self.model.minimum());
    }

    fn used<'a>(
        &self,
        used: Used<'a>,
        options: PredictOptions,
    ) -> crate::Result<Box<dyn Predict + 'a>> {
        predict::used(self, used, options)
    }
}

impl OneNetworkRecipe for SegmentationConfig {
    type Objective = Segmentation;

    fn module(&self, card: &ModelCard, device: &Device) -> crate::Result<Segmenter> {
        Ok(self.model.init(card.input(), card.classes.len(), device)?)
    }

    fn start(&self, module: Segmenter, setup: &Setup<'_>) -> crate::Result<Segmenter> {
        let key = "task.segmentation.init";
        setup.start(module, self.model.name(), &self.init, key)
    }

    fn frozen(&self) -> &[String] {
        &self.freeze
    }

    fn inspect(&self, module: &Segmenter) -> crate::Result<()> {
        let learning = engine::parameters::trainable(module);
        let aux = |info: &ParameterInfo| info.name.starts_with("aux_classifier.");
        if self.aux_weight == 0.0 && learning.iter().all(aux) {
            bail!(
                "task.segmentation.freeze: only the auxiliary head is left to train, and `aux-weight = 0` leaves it out"
            );
        }
        Ok(())
    }

    fn forward(module: &Segmenter, images: Tensor<4>) {
        module.forward_train(images);
    }

    fn objective(&self, setup: &Setup<'_>) -> crate::Result<Segmentation> {
        Segmentation::new(self, setup)
    }

    fn model(&self, module: Segmenter) -> Model {
        Model::Segmenter {
            network: Box::new(module),
            settings: self.predict.clone(),
            minimum: self.model.minimum(),
        }
    }
}

/// What a segmenter learns: the terms of a loss over a class for each pixel.
pub struct Segmentation {
    loss: Vec<LossTerm>,
    class_weights: Option<Vec<f32>>,
    aux_weight: f64,
    /// The metric that the recipe has watched, if it says which.
    watched: Option<String>,
    predict: PredictConfig,
    minimum: usize,
    classes: Vec<String>,
    normalize: Normalize,
    device: Device,
}

impl Segmentation {
    /// What a recipe asks for, on a device with autodiff.
    ///
    /// # Errors
    /// Masks that cannot be read where their classes are to be counted.
    fn new(config: &SegmentationConfig, setup: &Setup<'_>) -> crate::Result<Self> {
        let class_weights = match &config.class_weights {
            ClassWeights::Equal => None,
            ClassWeights::Values(values) => {
                Some(values.iter().map(|weight| *weight as f32).collect())
            }
            // Only training needs them.
            ClassWeights::MedianFrequency if !setup.trains() => None,
            ClassWeights::MedianFrequency => {
                let pixels = class_pixels(setup.train.as_ref(), setup.data.max_bad)?;
                Some(median_frequency_weights(&pixels))
            }
        };
        Ok(Self {
            loss: config.loss.clone(),
            class_weights,
            aux_weight: config.aux_weight,
            watched: setup.watched.map(str::to_owned),
            predict: config.predict.clone(),
            minimum: config.model.minimum(),
            classes: setup.card.classes.clone(),
            normalize: setup.data.normalize(setup.card.channels),
            device: setup.device.clone(),
        })
    }

    /// The terms of the loss, each `[1]`.
    fn terms(
        &self,
        logits: &Tensor<4>,
        targets: &Tensor<3, burn::tensor::Int>,
    ) -> Vec<(&'static str, Tensor<1>)> {
        let weights = self.class_weights.as_ref();
        let value = |term: &LossTerm| term.value(logits.clone(), targets.clone(), weights);
        let terms = self.loss.iter();
        terms.map(|term| (term.part(), value(term))).collect()
    }
}

/// The sum of a loss's terms, `[1]`.
fn sum(terms: &[(&'static str, Tensor<1>)]) -> Tensor<1> {
    let values = terms.iter().map(|(_, value)| value.clone());
    values
        .reduce(|sum, value| sum + value)
        .expect("a loss without terms is refused before training")
}

/// The masks of a batch; datasets without masks are refused before training.
fn masks(targets: &[Target]) -> Vec<&Mask> {
    let masks = targets.iter().map(|target| target.mask.as_ref());
    let masks: Option<_> = masks.collect();
    masks.expect("a segmentation dataset gives masks")
}

impl Objective for Segmentation {
    type Module = Segmenter;
    type Details = Details;

    fn loss(&self, module: &Segmenter, mut batch: Batch) -> Loss {
        let samples = batch.shape[0];
        let targets = targets(&masks(&batch.targets), &self.device);
        let output = module.forward_train(images(&mut batch, &self.device));
        let mut parts = self.terms(&output.logits, &targets);
        let main = sum(&parts);
        let total = match &output.aux {
            Some(aux) if self.aux_weight > 0.0 => {
                let aux = sum(&self.terms(aux, &targets)).mul_scalar(self.aux_weight);
                parts.push(("aux", aux.clone()));
                main + aux
            }
            _ => main,
        };
        if parts.len() == 1 {
            // A loss of one term is its own only part.
            parts.clear();
        }
        Loss {
            total,
            parts,
            samples,
        }
    }

    fn evaluate(
        &self,
        model: &Segmenter,
        batches: &mut Batches<'_>,
        watch: &mut Watch<'_>,
        details: Option<&mut Details>,
    ) -> Result<Evaluation, DataError> {
        let device = self.device.clone().inner();
        let plain = CrossEntropyOptions {
            ignore_index: Some(IGNORE),
            ..CrossEntropyOptions::default()
        };
        let mut score = Score::new(&self.classes, details.is_some(), self.watched.as_deref());
        for batch in batches {
            let mut batch = batch?;
            let truth = std::mem::take(&mut batch.targets);
            let masks = masks(&truth);
            let (shape, values) = (batch.shape, batch.images.clone());
            let logits = self.seen(model, images(&mut batch, &device));
            let counted = masks.iter().flat_map(|mask| &mask.classes);
            let counted = counted.filter(|class| **class != Mask::IGNORE).count();
            let loss = cross_entropy_pixels(logits.clone(), targets(&masks, &device), &plain);
            score.add_loss(f64::from(loss.into_scalar::<f32>()), counted);
            let predicted = classes_of(logits);
            let pixels = shape[2] * shape[3];
            for (i, truth) in masks.into_iter().enumerate() {
                let one = Measured {
                    index: batch.indices[i],
                    truth,
                    predicted: &predicted[i * pixels..][..pixels],
                };
                score.add(&one, || self.picture(&values, shape, i));
            }
            if !watch(score.samples()) {
                return Ok(Evaluation::interrupted());
            }
        }
        Ok(score.finish(details))
    }
}

impl Segmentation {
    /// Scores of every pixel before the softmax, by the views that the recipe's `predict` asks for.
    fn seen(&self, model: &Segmenter, x: Tensor<4>) -> Tensor<4> {
        if self.predict.is_single() {
            return model.forward(x);
        }
        let [_, _, height, width] = x.dims();
        let size = [height, width];
        // The softmax of logarithms gives the probabilities again.
        probabilities(model, x, size, &self.predict, self.minimum)
            .clamp_min(f32::MIN_POSITIVE)
            .log()
    }

    /// An image of a batch as it looks.
    fn picture(
        &self,
        values: &[f32],
        [_, channels, height, width]: [usize; 4],
        at: usize,
    ) -> Image {
        let plane = width * height;
        let values = &values[at * channels * plane..][..channels * plane];
        let byte = |pixel: usize, c: usize| {
            let value = values[c * plane + pixel] * self.normalize.std[c] + self.normalize.mean[c];
            (value * 255.0).round() as u8
        };
        let pixels = (0..plane).flat_map(|pixel| (0..3).map(move |c| (pixel, c)));
        Image {
            width,
            height,
            channels: 3,
            pixels: pixels.map(|(p, c)| byte(p, c.min(channels - 1))).collect(),
        }
    }
}
