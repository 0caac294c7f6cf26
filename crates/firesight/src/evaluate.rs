//! Measuring a trained model on a split of its data.
//!
//! ```
//! use firesight::evaluate::{Options, evaluate};
//! use firesight::prelude::*;
//!
//! # let folder = tempfile::tempdir()?;
//! # let run = folder.path().join("run");
//! # let model = ClassificationConfig::new(ClassifierConfig::named("cnn")?);
//! # let task = TaskConfig::Classification(model);
//! # let mut recipe = Recipe::new(1, DataConfig::digits(64), task, OptimizerConfig::sgd(0.1));
//! # recipe.max_steps = Some(1);
//! let device = device::select(None)?;
//! # train(&recipe.into(), train::Options::new(device.clone()).out(&run))?;
//! let evaluation = evaluate(&run, Options::new(device))?; // of the test split
//! assert!(evaluation.samples == 360 && evaluation.metrics.contains_key("top1"));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use firesight_data::source::Source;
use firesight_engine::{Engine, Evaluation, Weights, load};

use crate::card;
use crate::device::NamedDevice;
use crate::error::{Context, Error};
use crate::experiment::Experiment;
use crate::notify::Notify;
use crate::recipe;
use crate::results;
use crate::run_folder::{ModelPath, RECIPE_FILE};
use crate::stored;
use crate::task::predict::csv_text;
use crate::task::{Build, Details, OwnTask, TrainedTask};
use crate::train::data_root;

/// How a model is measured.
pub struct Options<'a> {
    /// Where it computes.
    pub device: NamedDevice,
    /// The split: `test`, `validation` or `train`.
    pub split: String,
    /// What is laid over the recipe of the run, `key=value`.
    pub overrides: Vec<String>,
    /// The folder that data paths are relative to; if not given, the one that the run remembers.
    pub data_root: Option<PathBuf>,
    /// The task of the run, where it is the program's own.
    pub task: Option<&'a OwnTask>,
    /// Who hears of files that are fetched.
    pub notify: &'a dyn Notify,
}

impl Options<'_> {
    /// The test split, by the run's own recipe.
    pub fn new(device: NamedDevice) -> Self {
        Self {
            device,
            split: "test".to_owned(),
            overrides: Vec::new(),
            data_root: None,
            task: None,
            notify: &(),
        }
    }
}

/// A trained model with the data that it is measured on.
pub struct Evaluator {
    /// The recipe with its data opened.
    pub experiment: Experiment,
    /// The checkpoint.
    pub path: ModelPath,
    /// The folder that data paths are relative to.
    pub root: PathBuf,
    /// What is other in the data than it was in the training.
    pub warnings: Vec<String>,
    /// Which weights are measured.
    pub weights: Weights,
    /// The samples.
    pub source: Arc<dyn Source>,
    split: String,
    step: u64,
    /// Whether the recipe is the run's own, so that the run may keep the numbers.
    is_own: bool,
    task: Box<dyn TrainedTask>,
}

impl Evaluator {
    /// Loads a run folder's best (else last) checkpoint, or a checkpoint folder, and opens its data.
    ///
    /// # Errors
    /// No checkpoint, a split that is not there, data of other classes than the run's, what the data reports.
    pub fn open(run: &Path, options: Options<'_>) -> crate::Result<Self> {
        let path = ModelPath::find(run).map_err(Error::input)?;
        let file = path.checkpoint.join(RECIPE_FILE);
        let loaded = recipe::read_for(&file, &options.overrides, options.task)?;
        loaded.value.kernels.apply();
        let root = data_root(options.data_root.as_deref(), path.run.as_deref())?;
        let experiment = Experiment::open(loaded.value.clone(), &root, options.notify);
        let experiment = experiment.map_err(Error::input)?;
        recipe::check_data(&loaded, &experiment.card)?;
        let card = card::read(&path.checkpoint).map_err(Error::input)?;
        if experiment.recipe.task.table().knows_classes() {
            stored::same_classes(&card, &experiment.card)
                .with_context(|| path.checkpoint.display().to_string())
                .map_err(Error::input)?;
        }
        let mut warnings = Vec::new();
        if let Some(run) = &path.run {
            let changes = stored::changes(run, &experiment)?.into_iter();
            warnings.extend(changes.map(|change| format!("{}: {change}", run.display())));
        }
        let source = experiment.split(&options.split).map_err(Error::input)?;
        let mut task = experiment
            .task(&options.device, Build::Measured, path.run.as_deref(), &())
            .map_err(Error::input)?;
        let checkpoint = load(&path.checkpoint).map_err(Error::input)?;
        let step = checkpoint.progress.step;
        let is_own = options.overrides.is_empty();
        let restored = Engine::restore(task.as_mut(), &path.checkpoint, checkpoint);
        restored.map_err(|error| match is_own {
            true => error.into(),
            false => Error::input(
                Error::from(error).context("--set: the recipe is not the checkpoint's"),
            ),
        })?;
        Ok(Self {
            weights: results::weights_of(task.as_ref()),
            experiment,
            path,
            root,
            warnings,
            source,
            split: options.split,
            step,
            is_own,
            task,
        })
    }

    /// Measures; `watch` is told how many samples are done, and says whether it goes on.
    ///
    /// # Errors
    /// What the data reports.
    pub fn measure(
        &self,
        watch: &mut dyn FnMut(usize) -> bool,
    ) -> crate::Result<(Evaluation, Details)> {
        let source = Arc::clone(&self.source);
        results::evaluate(&self.experiment, self.task.as_ref(), source, watch)
    }

    /// What is to be said of numbers that the task has and that this split does not give, those of classes left out:
    /// what they need.
    pub fn undefined(&self, evaluation: &Evaluation) -> Vec<String> {
        let names = self.experiment.metrics();
        let mut missing: BTreeMap<&str, Vec<String>> = BTreeMap::new();
        for metric in names.0.iter().filter(|metric| !metric.detail) {
            if !evaluation.metrics.contains_key(&metric.key) && !metric.needs.is_empty() {
                let of_need = missing.entry(&metric.needs).or_default();
                of_need.push(format!("`{}`", metric.key));
            }
        }
        let said = |(needs, keys): (&str, Vec<String>)| {
            let (is, need) = match keys.len() {
                1 => ("is", "it needs"),
                _ => ("are", "they need"),
            };
            let (keys, split) = (keys.join(", "), &self.split);
            format!("{keys} {is} undefined on the {split} split: {need} {needs}")
        };
        missing.into_iter().map(said).collect()
    }

    /// The prediction of each sample as a file: in the task's own format, such as COCO's, else as CSV.
    pub fn predictions(&self, details: &Details) -> String {
        if let Some(text) = &details.predictions {
            return text.clone();
        }
        let name = |class: usize| self.experiment.card.classes[class].clone();
        let header = ["origin", "truth", "predicted", "probability", "loss"];
        let records = details.samples.iter().map(|sample| {
            let (class, probability) = sample.top[0];
            let (probability, loss) = (probability.to_string(), sample.loss.to_string());
            let truth = sample.truth.map_or_else(String::new, name);
            [
                self.source.origin(sample.index),
                truth,
                name(class),
                probability,
                loss,
            ]
        });
        csv_text(std::iter::once(header.map(str::to_owned)).chain(records))
    }

    /// Keeps the numbers in the run and makes its report anew, where they are those of the run's own recipe.
    ///
    /// # Errors
    /// Files that cannot be written.
    pub fn store(&self, evaluation: &Evaluation, details: &Details) -> crate::Result<()> {
        let Some(run) = self.path.run.as_ref().filter(|_| self.is_own) else {
            return Ok(());
        };
        let split = (self.split.as_str(), Arc::clone(&self.source));
        let checkpoint = (self.path.which, self.step);
        let measured = (evaluation, details);
        let task = self.task.as_ref();
        results::write(run, &self.experiment, task, split, checkpoint, measured)?;
        firesight_report::write(run)?;
        Ok(())
    }
}

/// Measures a trained model on a split and keeps the numbers in its run.
///
/// # Errors
/// Those of [`Evaluator`].
pub fn evaluate(run: impl AsRef<Path>, options: Options<'_>) -> crate::Result<Evaluation> {
    let evaluator = Evaluator::open(run.as_ref(), options)?;
    let (evaluation, details) = evaluator.measure(&mut |_| true)?;
    evaluator.store(&evaluation, &details)?;
    Ok(evaluation)
}
