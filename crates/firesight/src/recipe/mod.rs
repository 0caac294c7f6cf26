//! The recipe: every key that a user may write, as plain serde types.
//!
//! Types that belong to another crate's subject (datasets, augmentations, models) live there; the
//! settings of training live here. Defaults stand once, in each type's `Default`.
//!
//! ```
//! use firesight::recipe;
//!
//! let folder = tempfile::tempdir()?;
//! let path = folder.path().join("digits.toml");
//! std::fs::write(&path, "
//!     epochs = 2
//!     data = { source = { digits = {} }, batch-size = 64 }
//!     task = { classification = { model = { cnn = {} } } }
//!     optimizer = { sgd = { learning-rate = 0.1 } }
//! ")?;
//! let recipe = recipe::read(&path, &["epochs=5".to_string()])?.value;
//! assert_eq!((recipe.epochs, recipe.accumulate, recipe.optimizer.name()), (5, 1, "sgd"));
//! let wrong = recipe::read(&path, &["data.batch-size=0".to_string()]).unwrap_err();
//! assert!(wrong.to_string().contains("0 is not from 1 to"));
//! # anyhow::Ok(())
//! ```

#[cfg(test)]
mod bounds;
mod checks;
mod files;
mod watched;

use std::path::Path;

use firesight_recipe::{Diagnostics, Loaded};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

pub use crate::data::DataConfig;
pub use crate::init::InitConfig;
use crate::task::OwnTask;
pub use crate::task::{
    ClassificationConfig, DetectionConfig, GenerationConfig, NamedFile, SegmentationConfig,
    TaskConfig,
};
pub(crate) use checks::evaluations;
pub use checks::{check, check_data, check_training};
pub use files::check_files;
pub use firesight_engine::optimizers::*;
pub use firesight_engine::schedules::*;
pub use firesight_engine::{
    Best, CheckpointConfig, Clip, EarlyStopping, EmaConfig, EvaluateConfig, Goal,
};
pub use watched::{best_metric, watched};

/// A training recipe.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Recipe {
    /// Every random draw of the run follows from it.
    #[serde(default)]
    pub seed: u64,
    /// Passes over the training data.
    pub epochs: u64,
    /// Stops after this many optimizer steps, if that comes before the last epoch's end.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_steps: Option<u64>,
    /// Batches whose gradients are averaged into one optimizer step.
    #[serde(default = "one")]
    pub accumulate: usize,
    /// `fast` takes this project's CPU kernels where there are any, `burn` Burn's operators everywhere.
    #[serde(default)]
    pub kernels: KernelChoice,
    /// The images: where from, how augmented, how batched.
    pub data: DataConfig,
    /// What is learned, by which model.
    pub task: TaskConfig,
    /// How the weights are updated.
    pub optimizer: OptimizerConfig,
    /// Parameters that differ from the optimizer's settings; the first whose pattern matches counts.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub parameter_groups: Vec<ParameterGroup>,
    /// Gradient clipping.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub clip: Option<Clip>,
    /// A rise of the learning rate before the schedule begins.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub warmup: Option<Warmup>,
    /// The course of the learning rate.
    #[serde(default)]
    pub schedule: ScheduleConfig,
    /// A moving average of the weights; evaluation and prediction then use it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ema: Option<EmaConfig>,
    /// When the model is evaluated on the validation split.
    #[serde(default)]
    pub evaluate: EvaluateConfig,
    /// Ends the run when the validation score has stopped rising.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub early_stopping: Option<EarlyStopping>,
    /// When checkpoints are written and which are kept.
    #[serde(default)]
    pub checkpoint: CheckpointConfig,
}

impl Recipe {
    /// A recipe of what must be said; all else is as in a file that leaves it out.
    ///
    /// ```
    /// use firesight::prelude::*;
    ///
    /// let data = DataConfig::new(SourceConfig::Digits(DigitsConfig::default()), 64);
    /// let model = ClassificationConfig::new(ClassifierConfig::named("lenet")?);
    /// let sgd = SgdConfig { learning_rate: 0.1, momentum: 0.9, ..SgdConfig::default() };
    /// let mut recipe = Recipe::new(
    ///     10,
    ///     data,
    ///     TaskConfig::Classification(model),
    ///     OptimizerConfig::Sgd(sgd),
    /// );
    /// recipe.schedule = ScheduleConfig::Cosine(CosineConfig::default());
    /// let text = firesight_recipe::to_toml(&recipe); // a recipe's file
    /// assert_eq!(firesight::recipe::read_str(&text, "digits.toml")?.value, recipe);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn new(
        epochs: u64,
        data: DataConfig,
        task: TaskConfig,
        optimizer: OptimizerConfig,
    ) -> Self {
        Self {
            seed: 0,
            epochs,
            max_steps: None,
            accumulate: one(),
            kernels: KernelChoice::default(),
            data,
            task,
            optimizer,
            parameter_groups: Vec::new(),
            clip: None,
            warmup: None,
            schedule: ScheduleConfig::default(),
            ema: None,
            evaluate: EvaluateConfig::default(),
            early_stopping: None,
            checkpoint: CheckpointConfig::default(),
        }
    }
}

fn one() -> usize {
    1
}

/// Which implementation convolution and its kin take on the CPU.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum KernelChoice {
    /// This project's kernels where there are any.
    #[default]
    Fast,
    /// Burn's operators everywhere.
    Burn,
}

impl KernelChoice {
    /// Sets which kernels the process uses.
    pub fn apply(self) {
        firesight_kernels::set_mode(match self {
            Self::Fast => firesight_kernels::Mode::Fast,
            Self::Burn => firesight_kernels::Mode::Burn,
        });
    }
}

/// Reads a recipe file with `--set` overrides and checks all that can be known from it alone.
///
/// # Errors
/// Every problem of the recipe, each with its place.
pub fn read(path: &Path, overrides: &[String]) -> Result<Loaded<Recipe>, Diagnostics> {
    firesight_recipe::read_checked(path, overrides, check)
}

/// Reads the recipe of a run whose task is the program's own, which stands in the place of what the file says of it.
///
/// # Errors
/// Every problem of the recipe, each with its place.
pub fn read_own(
    path: &Path,
    overrides: &[String],
    task: &OwnTask,
) -> Result<Loaded<Recipe>, Diagnostics> {
    // Some table has to be read there.
    let stand_in = "task={classification={model={cnn={}}}}".to_owned();
    let overrides = [overrides, &[stand_in]].concat();
    let mut loaded = read(path, &overrides)?;
    loaded.value.task = TaskConfig::Own(task.clone());
    Ok(loaded)
}

/// Reads a recipe as [`read`] does, or as [`read_own`] where there is a task of the program's own.
///
/// # Errors
/// Every problem of the recipe, each with its place.
pub fn read_for(
    path: &Path,
    overrides: &[String],
    task: Option<&OwnTask>,
) -> Result<Loaded<Recipe>, Diagnostics> {
    match task {
        Some(task) => read_own(path, overrides, task),
        None => read(path, overrides),
    }
}

/// Reads a recipe's text, which messages call `name`, and checks it as [`read`] does.
///
/// # Errors
/// Every problem of the recipe, each with its place.
pub fn read_str(text: &str, name: &str) -> Result<Loaded<Recipe>, Diagnostics> {
    firesight_recipe::read_str_checked(text, name, &[], check)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Every run and export of before holds them.
    #[test]
    fn the_keys_of_older_recipes_are_read() {
        let recipe = |preprocess: &str, augment: &str, predict: &str| {
            let text = format!(
                "epochs = 1\noptimizer = {{ sgd = {{}} }}\n\
                 data = {{ source = {{ digits = {{}} }}, batch-size = 8, {preprocess}, augment = [{augment}] }}\n\
                 task = {{ segmentation = {{ model = \"unet\", predict = {predict} }} }}\n"
            );
            read_str(&text, "r.toml").unwrap().value
        };
        let old = recipe(
            "prepare = [{ centre-crop = { width = 8, height = 8 } }]",
            "{ colour-jitter = {} }, { greyscale = {} }, { equalise = {} }, { solarise = {} }, { posterise = {} }, \
             { random-erasing = { value = { colour = [1, 2, 3] } } }",
            "{ overlap = 0.25, flip = true, turn = false, scales = [1.0] }",
        );
        let new = recipe(
            "preprocess = [{ center-crop = { width = 8, height = 8 } }]",
            "{ color-jitter = {} }, { grayscale = {} }, { equalize = {} }, { solarize = {} }, { posterize = {} }, \
             { random-erasing = { value = { color = [1, 2, 3] } } }",
            "{ tta = { flip = true } }",
        );
        assert_eq!(old, new);
    }
}
