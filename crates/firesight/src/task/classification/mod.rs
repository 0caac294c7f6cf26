//! Classification: one class per image, trained with cross-entropy.
//!
//! The training loss is the recipe's (label smoothing, class weights, auxiliary heads). The `loss` of
//! an evaluation is plain cross-entropy, the mean of `-ln p(true class)`, so that runs with different
//! settings can be compared.

mod model;
mod predict;

use std::marker::PhantomData;

use burn::tensor::{Device, Int, Tensor, TensorData};
use firesight_data::DataError;
use firesight_data::batch::Batch;
use firesight_data::scan::Lesson;
use firesight_data::target::Target;
use firesight_metrics::{ConfusionMatrix, TopK};
use firesight_models::classification::ClassifierConfig;
use firesight_ops::loss::{CrossEntropyOptions, cross_entropy, cross_entropy_soft};
use firesight_predict::{best, softmax};
use firesight_recipe::Checks;
use firesight_report::metric::Metric;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::NamedFile;
use super::predict::{Predict, PredictOptions, Used};
use super::{AN_IMAGE, Details, OneNetworkRecipe, SampleDetail, Setup, TaskRecipe, images};
use crate::card::ModelCard;
use crate::checks::{class_weights, least_side, share, weights_of_all};
use crate::data::DataConfig;
use crate::init::InitConfig;
use crate::preprocessing;
use firesight_engine::{Batches, Evaluation, Loss, Objective, Watch};
use firesight_predict::Model;

pub use model::{ClassificationModel, ClassificationModelConfig, OwnModel};

/// Classification: cross-entropy over one class per image.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
#[schemars(rename = "ClassificationConfig")]
pub struct ClassificationConfig<C = ClassifierConfig> {
    /// The network.
    pub model: C,
    /// The share of the target that is spread evenly over all classes, 0 to below 1.
    #[serde(default)]
    pub label_smoothing: f64,
    /// A weight of each class in the loss; empty for equal weights.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub class_weights: Vec<f64>,
    /// Weights to start from instead of random ones.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub init: Option<InitConfig>,
    /// Patterns of parameter names that are not trained, searched for in the names that exports have, such as
    /// `^layer1\.`; the running statistics of normalisations whose weight and bias are frozen, and dropout in parts
    /// that are frozen as a whole, stand still too.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub freeze: Vec<String>,
}

impl<C> ClassificationConfig<C> {
    /// A network that is trained as it is, with equal weights of all classes.
    pub fn new(model: C) -> Self {
        Self {
            model,
            label_smoothing: 0.0,
            class_weights: Vec::new(),
            init: None,
            freeze: Vec::new(),
        }
    }
}

impl<C: ClassificationModelConfig> TaskRecipe for ClassificationConfig<C> {
    fn name(&self) -> &'static str {
        "classification"
    }

    fn model_name(&self) -> String {
        self.model.name().to_owned()
    }

    fn check(&self, table: &str, data: &DataConfig, checks: &mut Checks<'_>) {
        let smoothing = self.label_smoothing;
        share(checks, &format!("{table}.label-smoothing"), smoothing);
        let name = self.model.name();
        checks.errors(&format!("{table}.model.{name}"), self.model.problems());
        let weights = format!("{table}.class-weights");
        class_weights(checks, &weights, &self.class_weights);
        if let Some(InitConfig::Tag(tag)) = &self.init {
            preprocessing::check(name, self.model.transforms_input(), tag, data, checks);
        }
    }

    fn lesson(&self) -> Lesson {
        Lesson::Classes
    }

    fn is_bound_to_size(&self) -> bool {
        self.model.is_bound_to_size()
    }

    fn needs(&self) -> &'static str {
        "one class per image"
    }

    fn files(&self) -> Vec<(&'static str, NamedFile<'_>)> {
        let init = self.init.iter();
        init.map(|init| ("init", NamedFile::Init(self.model.name(), init)))
            .collect()
    }

    fn metrics(&self, _classes: &[String]) -> Vec<Metric> {
        vec![
            Metric::share("top1", "Top-1 accuracy").needs(AN_IMAGE),
            Metric::share("top5", "Top-5 accuracy").needs(AN_IMAGE),
            Metric::loss("loss", "Loss").needs(AN_IMAGE),
        ]
    }

    fn check_data(&self, table: &str, card: &ModelCard, checks: &mut Checks<'_>) {
        let weights = format!("{table}.class-weights");
        weights_of_all(checks, &weights, &self.class_weights, card);
        let classes = card.classes.len();
        if classes < 2 {
            let message =
                format!("the dataset has {classes} class; there is nothing to tell apart");
            let help = match &card.classes[..] {
                [only] => {
                    format!("its class is `{only}`: do the folders of the classes lie one deeper?")
                }
                _ => "name the classes".to_owned(),
            };
            checks.error("data.source", message, Some(&help));
        }
        least_side(checks, table, card, self.model.minimum());
    }

    fn settings(&self) -> serde_json::Value {
        serde_json::to_value(self).unwrap_or_default()
    }

    fn used<'a>(
        &self,
        used: Used<'a>,
        options: PredictOptions,
    ) -> crate::Result<Box<dyn Predict + 'a>> {
        predict::used(used, options)
    }
}

impl<C: ClassificationModelConfig> OneNetworkRecipe for ClassificationConfig<C> {
    type Objective = Classification<C::Module>;

    fn module(&self, card: &ModelCard, device: &Device) -> crate::Result<C::Module> {
        Ok(self.model.init(card.input(), card.classes.len(), device)?)
    }

    fn start(&self, module: C::Module, setup: &Setup<'_>) -> crate::Result<C::Module> {
        let key = "task.classification.init";
        setup.start(module, self.model.name(), &self.init, key)
    }

    fn frozen(&self) -> &[String] {
        &self.freeze
    }

    fn forward(module: &C::Module, images: Tensor<4>) {
        module.forward_train(images);
    }

    fn objective(&self, setup: &Setup<'_>) -> crate::Result<Classification<C::Module>> {
        let weights = self.class_weights.iter().map(|weight| *weight as f32);
        Ok(Classification {
            loss: CrossEntropyOptions {
                label_smoothing: self.label_smoothing,
                class_weights: (!self.class_weights.is_empty()).then(|| weights.collect()),
                ..CrossEntropyOptions::default()
            },
            classes: setup.card.classes.len(),
            device: setup.device.clone(),
            model: PhantomData,
        })
    }

    fn model(&self, module: C::Module) -> Model {
        Model::Classifier(Box::new(module))
    }
}

/// What a classifier learns: cross-entropy over one class per image.
pub struct Classification<M> {
    loss: CrossEntropyOptions,
    classes: usize,
    device: Device,
    model: PhantomData<fn(M)>,
}

impl<M> Classification<M> {
    fn loss_of(&self, logits: Tensor<2>, targets: &Targets) -> Tensor<1> {
        match targets {
            Targets::Hard(classes) => cross_entropy(logits, classes.clone(), &self.loss),
            Targets::Soft(shares) => cross_entropy_soft(logits, shares.clone(), &self.loss),
        }
    }
}

/// What a batch is to be predicted as.
enum Targets {
    /// `[N]` class indices.
    Hard(Tensor<1, Int>),
    /// `[N, classes]` shares, as mixup and cutmix make them.
    Soft(Tensor<2>),
}

impl Targets {
    fn new(batch: &Batch, classes: usize, device: &Device) -> Self {
        match batch.soft_targets(classes) {
            Some(shares) => {
                let shape = [batch.shape[0], classes];
                Self::Soft(Tensor::from_data(TensorData::new(shares, shape), device))
            }
            None => {
                let indices: Vec<i32> = batch.targets.iter().map(|l| class_of(l) as i32).collect();
                let shape = [indices.len()];
                Self::Hard(Tensor::from_data(TensorData::new(indices, shape), device))
            }
        }
    }
}

/// The class of a sample; datasets without classes are refused before training.
fn class_of(target: &Target) -> usize {
    let class = target.class();
    class.expect("a classification dataset gives a class to each image")
}

impl<M: ClassificationModel> Objective for Classification<M> {
    type Module = M;
    type Details = Details;

    fn loss(&self, module: &M, mut batch: Batch) -> Loss {
        let samples = batch.shape[0];
        let targets = Targets::new(&batch, self.classes, &self.device);
        let output = module.forward_train(images(&mut batch, &self.device));
        let main = self.loss_of(output.logits, &targets);
        let mut total = main.clone();
        // Two auxiliary heads are one part.
        let mut heads: Option<Tensor<1>> = None;
        for (weight, logits) in output.aux {
            let aux = self.loss_of(logits, &targets).mul_scalar(weight);
            total = total + aux.clone();
            heads = Some(match heads {
                Some(sum) => sum + aux,
                None => aux,
            });
        }
        let parts = heads.map_or_else(Vec::new, |aux| vec![("main", main), ("aux", aux)]);
        Loss {
            total,
            parts,
            samples,
        }
    }

    fn evaluate(
        &self,
        model: &M,
        batches: &mut Batches<'_>,
        watch: &mut Watch<'_>,
        mut details: Option<&mut Details>,
    ) -> Result<Evaluation, DataError> {
        let device = self.device.clone().inner();
        let mut score = Score::new(self.classes);
        for batch in batches {
            let mut batch = batch?;
            let truths: Vec<usize> = batch.targets.iter().map(class_of).collect();
            let logits = model.logits(images(&mut batch, &device));
            let logits: Vec<f32> = logits.into_data().iter::<f32>().collect();
            score.add(&logits, &truths, &batch.indices, details.as_deref_mut());
            if !watch(score.samples) {
                return Ok(Evaluation::interrupted());
            }
        }
        if let Some(details) = details {
            let rows = (0..self.classes).map(|class| score.confusion.row(class).to_vec());
            details.confusion = Some(rows.collect());
        }
        Ok(score.evaluation())
    }
}

/// The measures of a classifier over a split.
struct Score {
    classes: usize,
    top: TopK,
    confusion: ConfusionMatrix,
    loss_sum: f64,
    samples: usize,
}

impl Score {
    fn new(classes: usize) -> Self {
        Self {
            classes,
            top: TopK::new(&[1, 5]),
            confusion: ConfusionMatrix::new(classes),
            loss_sum: 0.0,
            samples: 0,
        }
    }

    /// Adds a batch: `logits` is `[N, classes]` row by row.
    fn add(
        &mut self,
        logits: &[f32],
        truths: &[usize],
        indices: &[usize],
        mut details: Option<&mut Details>,
    ) {
        let probabilities = softmax(logits, self.classes);
        let rows = logits
            .chunks_exact(self.classes)
            .zip(probabilities.chunks_exact(self.classes));
        for (((row, probabilities), &truth), &index) in rows.zip(truths).zip(indices) {
            // From the logits, so that a probability that rounds to 0 has a finite loss.
            let highest = row.iter().copied().fold(f32::NEG_INFINITY, f32::max);
            let sum: f64 = row.iter().map(|x| f64::from(x - highest).exp()).sum();
            let loss = sum.ln() - f64::from(row[truth] - highest);
            self.loss_sum += loss;
            let top = best(probabilities, 5);
            self.confusion
                .add(&[truth as i64], &[top[0].0 as i64], None)
                .expect("classes are checked before training");
            if let Some(details) = details.as_deref_mut() {
                details.samples.push(SampleDetail {
                    index,
                    truth: Some(truth),
                    top,
                    loss,
                });
            }
        }
        self.top
            .add(logits, self.classes, truths)
            .expect("classes are checked before training");
        self.samples += truths.len();
    }

    fn evaluation(&self) -> Evaluation {
        let mut metrics = std::collections::BTreeMap::new();
        if self.samples > 0 {
            metrics.insert("loss".to_owned(), self.loss_sum / self.samples as f64);
        }
        for k in [1, 5] {
            if let Some(share) = self.top.accuracy(k) {
                metrics.insert(format!("top{k}"), share);
            }
        }
        Evaluation::new(self.samples, metrics)
    }
}
