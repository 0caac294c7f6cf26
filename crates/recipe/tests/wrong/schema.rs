//! A schema like the trainer's, with every kind of type that a recipe is made of.

use std::collections::BTreeMap;
use std::num::NonZeroUsize;
use std::path::PathBuf;

use firesight_recipe::Checks;
use serde::{Deserialize, Serialize};

/// One training run.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Recipe {
    /// The seed of every random draw.
    #[serde(default)]
    pub seed: u64,
    /// Passes over the training split, at least 1.
    pub epochs: usize,
    /// Ends the run after this many steps.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_steps: Option<NonZeroUsize>,
    /// Shown in reports.
    #[serde(default)]
    pub name: String,
    /// What is learned from.
    pub data: Data,
    /// What is learned.
    pub task: Task,
    /// How weights are updated.
    pub optimizer: Optimizer,
    /// A rise of the rate before the schedule.
    #[serde(default)]
    pub warmup: Option<Warmup>,
    /// How the rate falls.
    #[serde(default)]
    pub schedule: Schedule,
}

/// The dataset and how it is read.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Data {
    /// Where the samples come from.
    pub source: Source,
    /// Samples per step, at least 1.
    #[serde(default = "batch_size")]
    pub batch_size: usize,
    /// Changes drawn anew for each sample, in order.
    #[serde(default)]
    pub augment: Vec<Augment>,
    /// Parts that are held out.
    #[serde(default)]
    pub split: Split,
    /// Threads that read ahead.
    #[serde(default)]
    pub workers: u8,
    /// Whether the order is drawn anew in each epoch.
    #[serde(default)]
    pub shuffle: bool,
    /// The mean of each channel.
    #[serde(default)]
    pub mean: Option<[f32; 3]>,
    /// Weights of classes in the loss.
    #[serde(default)]
    pub class_weights: BTreeMap<String, f64>,
}

fn batch_size() -> usize {
    64
}

/// Shares of the samples.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields, default)]
pub struct Split {
    /// Share for validation, 0 to 1.
    pub validation: f64,
    /// Share for the test, 0 to 1.
    pub test: f64,
}

/// A dataset.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Source {
    /// The embedded digits.
    Digits(Digits),
    /// Files in the format of MNIST.
    Idx(Idx),
    /// A folder per class.
    Folder {
        /// The folder that holds the folders.
        path: PathBuf,
    },
}

/// The embedded digits have no settings.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields, default)]
pub struct Digits {}

/// Files in the format of MNIST.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Idx {
    /// The folder of the four files.
    pub path: PathBuf,
    /// How many damaged samples are skipped.
    #[serde(default)]
    pub max_bad: usize,
}

/// A random change of a sample.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub enum Augment {
    /// Turns by up to so many degrees either way.
    Rotate {
        /// 0 to 180.
        degrees: f32,
    },
    /// Moves by up to this share of the side.
    Translate {
        /// 0 to 1.
        fraction: f32,
    },
    /// Mirrors every second sample.
    Flip,
}

/// What is learned.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Task {
    /// One class per image.
    Classification(Classification),
    /// One class per pixel.
    Segmentation(Segmentation),
}

/// One class per image.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Classification {
    /// The network.
    pub model: Model,
    /// Share of the target spread over all classes, 0 to 1.
    #[serde(default)]
    pub label_smoothing: f64,
    /// Weights to start from.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub init: Option<Init>,
}

/// One class per pixel.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields, default)]
pub struct Segmentation {
    /// Whether a second head helps to train.
    pub auxiliary: bool,
}

/// A classifier.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Model {
    /// LeNet-5.
    Lenet(Lenet),
    /// ResNet-18.
    #[serde(rename = "resnet18")]
    ResNet18(ResNet),
    /// ResNet-50.
    #[serde(rename = "resnet50")]
    ResNet50(ResNet),
    /// VGG-16 with batch normalisation.
    #[serde(rename = "vgg16_bn")]
    Vgg16Bn(ResNet),
}

/// LeNet-5.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields, default)]
pub struct Lenet {
    /// Share of units dropped, 0 to 1.
    pub dropout: f64,
}

/// A network with residual connections.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields, default)]
pub struct ResNet {
    /// Whether the first convolution is small, for images under 64 pixels.
    pub small_stem: bool,
}

/// Weights to start from.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Init {
    /// A file of weights.
    Weights(PathBuf),
    /// Published weights.
    Tag(String),
}

/// How weights are updated.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Optimizer {
    /// Stochastic gradient descent.
    Sgd(Sgd),
    /// Adam.
    Adam(Adam),
}

/// Stochastic gradient descent.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Sgd {
    /// Step size, above 0.
    pub learning_rate: f64,
    /// 0 to 1.
    #[serde(default)]
    pub momentum: f64,
    /// Nesterov's momentum.
    #[serde(default)]
    pub nesterov: bool,
    /// Pull of weights towards 0.
    #[serde(default)]
    pub weight_decay: f64,
}

/// Adam.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields, default)]
pub struct Adam {
    /// Step size, above 0.
    pub learning_rate: f64,
    /// Decay of the two averages.
    pub betas: (f64, f64),
}

impl Default for Adam {
    fn default() -> Self {
        Self {
            learning_rate: 1e-3,
            betas: (0.9, 0.999),
        }
    }
}

/// A linear rise.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Warmup {
    /// How long it lasts.
    pub epochs: f64,
}

/// How the rate falls.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Schedule {
    /// It does not.
    #[default]
    Constant,
    /// Half a cosine.
    Cosine(Cosine),
    /// Falls by a factor again and again.
    Step(Step),
}

/// Half a cosine.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields, default)]
pub struct Cosine {
    /// The share of the rate that is left at the end.
    pub floor: f64,
}

/// Falls by a factor again and again.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Step {
    /// Epochs between two falls.
    pub every: usize,
    /// What the rate is multiplied by.
    pub factor: f64,
}

/// Checks beyond types, as a trainer has them.
pub fn check(recipe: &Recipe, checks: &mut Checks<'_>) {
    if recipe.data.batch_size == 0 {
        checks.error(
            "data.batch-size",
            "`data.batch-size` must be at least 1",
            None,
        );
    }
    let Split { validation, test } = recipe.data.split;
    if validation + test > 1.0 {
        let message = format!(
            "the splits sum to {}, more than the whole",
            validation + test
        );
        checks.error(
            "data.split.validation",
            message,
            Some("what is left of 1 is for training"),
        );
        checks.related("data.split.test", "and this");
    }
    if let Optimizer::Sgd(sgd) = &recipe.optimizer
        && sgd.learning_rate <= 0.0
    {
        let message = format!(
            "`learning-rate` must be above 0, but is {}",
            sgd.learning_rate
        );
        checks.error("optimizer.sgd.learning-rate", message, None);
    }
    if let Source::Idx(idx) = &recipe.data.source
        && checks.is_whole()
        && !idx.path.exists()
    {
        checks.error(
            "data.source.idx.path",
            format!("there is no folder `{}`", idx.path.display()),
            None,
        );
    }
    if recipe
        .warmup
        .as_ref()
        .is_some_and(|warmup| warmup.epochs > recipe.epochs as f64)
    {
        checks
            .warning("warmup.epochs", "the warmup is longer than the run", None)
            .related("epochs", "the run");
    }
}
