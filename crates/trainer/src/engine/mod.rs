//! The training loop. It knows no task and no file format but its checkpoints.
//!
//! The loop owns epochs, the schedule, accumulation, evaluation, early stopping, checkpoints and the
//! answer to signals. A [`Task`] owns networks and losses; it may step several networks in one
//! training step. What happens is told as [`Event`]s, which sinks turn into progress bars and files.
//!
//! ```
//! use trainer::device;
//! use trainer::engine::Step;
//! use trainer::experiment::Experiment;
//! use trainer::task::Build;
//!
//! let recipe = "
//!     epochs = 1
//!     data = { source = { digits = {} }, batch-size = 64, workers = 0 }
//!     task = { classification = { model = { cnn = { channels = [4] } } } }
//!     optimizer = { sgd = {} }
//! ";
//! let recipe = firesight_recipe::read_str(recipe, "digits.toml", &[])?.value;
//! let experiment = Experiment::open(recipe, ".".as_ref())?;
//! let mut task = experiment.task(&device::select(Some("cpu"))?, Build::Fresh, None)?;
//! let batch = experiment.train_loader()?.epoch(0, 0).next().unwrap()?;
//! let report = task.train_batch(batch, &Step { rate: 0.1, update: true })?;
//! assert!(report.samples == 64 && report.gradient_norm.is_some());
//! # anyhow::Ok(())
//! ```

mod checkpoint;
mod ema;
mod network;
mod optimizer;
pub mod parameters;
mod progress;
mod run;
mod signals;
mod spent;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;

use firesight_data::DataError;
use firesight_data::batch::Batch;
use firesight_data::loader::Skipped;
use firesight_data::sample::Image;

pub use checkpoint::{Checkpoint, CheckpointError, CheckpointStore, load};
pub use ema::Ema;
pub use network::{
    Network, NetworkConfig, NetworkState, NonFiniteGradient, OneValue, StateScalar, StepError,
    TrainedNetwork, Weights,
};
pub use optimizer::Optimizer;
pub use progress::{BestScore, Finish, Losses, Progress, Window};
pub use run::{Engine, EngineConfig, EngineError, Outcome, Watched};
pub use signals::{Signal, StopSignal};
pub use spent::Spent;

/// The batches of an evaluation.
pub type Batches<'a> = dyn Iterator<Item = Result<Batch, DataError>> + 'a;

/// One kind of training: its networks, its step, its measures.
pub trait Task {
    /// The networks under training.
    fn networks(&self) -> Vec<&dyn TrainedNetwork>;

    /// The networks under training, to be restored.
    fn networks_mut(&mut self) -> Vec<&mut dyn TrainedNetwork>;

    /// Forward and backward passes of one batch, and the update where the step asks for it.
    ///
    /// # Errors
    /// A gradient that is not a number, a batch that cannot be normalised; no network has then been updated with it.
    fn train_batch(&mut self, batch: Batch, step: &Step) -> Result<StepReport, StepError>;

    /// Called after each optimizer step, with its number from 1: for pictures of the training's course
    /// and for a watch over it. What is returned is shown and logged as warnings.
    ///
    /// # Errors
    /// A picture that cannot be written; the run ends then.
    fn after_update(&mut self, step: u64) -> anyhow::Result<Vec<String>> {
        let _ = step;
        Ok(Vec::new())
    }

    /// Measures the present networks on a split.
    ///
    /// # Errors
    /// What the data reports.
    fn evaluate(
        &self,
        weights: Weights,
        batches: &mut Batches<'_>,
        watch: &mut dyn FnMut(usize) -> bool,
        details: Option<&mut Details>,
    ) -> Result<Evaluation, DataError>;
}

/// What a report shows of an evaluation beyond its numbers; empty before, filled by the task.
#[derive(Clone, Debug, Default)]
pub struct Details {
    /// `[truth][predicted]` counts.
    pub confusion: Option<Vec<Vec<u64>>>,
    /// Every sample measured.
    pub samples: Vec<SampleDetail>,
    /// The samples that could not be read and were left out.
    pub skipped: Vec<Skipped>,
    /// Tables and charts of the task's own.
    pub sections: Vec<firesight_report::results::Section>,
    /// Pictures of the task's own, written beside the report.
    pub galleries: Vec<Gallery>,
    /// The number of each sample of the split in files of results, by its index; what the dataset calls it.
    pub numbers: Vec<u64>,
    /// The number of each class in files of results; what the dataset calls it.
    pub class_numbers: Vec<u64>,
    /// What `eval --predictions` writes where the task has a format of its own; else each of `samples`
    /// becomes a line of CSV.
    pub predictions: Option<String>,
}

/// Pictures that a report shows under one heading.
#[derive(Clone, Debug, Default)]
pub struct Gallery {
    /// The heading; in small letters it also names the files.
    pub title: String,
    /// Paragraphs above the pictures.
    pub text: Vec<String>,
    /// Each picture with its caption.
    pub pictures: Vec<(Image, String)>,
}

/// One sample of an evaluation.
#[derive(Clone, Debug, PartialEq)]
pub struct SampleDetail {
    /// Its index in the split.
    pub index: usize,
    /// Its true class, where it has one.
    pub truth: Option<usize>,
    /// The best classes with their probabilities, the best first.
    pub top: Vec<(usize, f64)>,
    /// Its loss.
    pub loss: f64,
}

/// What the loop asks of one training batch.
#[derive(Clone, Copy, Debug)]
pub struct Step {
    /// The learning rate.
    pub rate: f64,
    /// Whether the gathered gradients are to be applied after this batch.
    pub update: bool,
}

/// What a training batch gave.
#[derive(Clone, Debug, PartialEq)]
pub struct StepReport {
    /// The loss, averaged over the batch's samples.
    pub loss: f64,
    /// Its parts by name, where it has several: `box_regression`, `generator`.
    pub parts: Vec<(&'static str, f64)>,
    /// Samples in the batch.
    pub samples: usize,
    /// The global norm of the gradient before clipping, where an update was made.
    pub gradient_norm: Option<f64>,
}

/// What an evaluation gave.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Evaluation {
    /// Metrics by name; one that is undefined on these samples is left out.
    pub metrics: BTreeMap<String, f64>,
    /// Samples measured.
    pub samples: usize,
    /// Whether it was broken off by a signal; the metrics then count for nothing.
    pub interrupted: bool,
}

/// What happens in a run.
#[derive(Clone, Debug)]
pub enum Event<'a> {
    /// Work begins, or goes on from a checkpoint.
    Started {
        /// The whole number of epochs.
        epochs: u64,
        /// Batches in each.
        batches_per_epoch: usize,
        /// Optimizer steps in the whole run.
        total_steps: u64,
        /// Where the run stands.
        progress: &'a Progress,
    },
    /// A training batch was done.
    Batch {
        /// The epoch, from 0.
        epoch: u64,
        /// The batch in the epoch, from 0.
        batch: usize,
        /// Its losses.
        report: &'a StepReport,
        /// Mean training loss of the epoch so far.
        mean_loss: f64,
    },
    /// Some optimizer steps were done; about twenty of these come in an epoch.
    Step {
        /// The number of the last one, from 1.
        step: u64,
        /// The epoch, from 0.
        epoch: u64,
        /// The means of the loss and its parts over the samples since the last event of this kind; where those are
        /// few, over the ones before too.
        losses: Losses,
        /// The learning rate.
        rate: f64,
        /// The global gradient norm.
        gradient_norm: f64,
        /// Images per second since the last event of this kind.
        images_per_second: f64,
        /// Seconds of work so far.
        seconds: f64,
    },
    /// A part of an evaluation was done.
    Evaluating {
        /// Samples done.
        samples: usize,
        /// Samples in all.
        total: usize,
    },
    /// An evaluation was done.
    Evaluated {
        /// After this step.
        step: u64,
        /// Epochs done, fractions included.
        epoch: f64,
        /// What it gave.
        evaluation: &'a Evaluation,
        /// Whether it is the best so far.
        best: bool,
        /// Seconds of work so far.
        seconds: f64,
    },
    /// An epoch ended.
    EpochEnded {
        /// Its number, from 1.
        epoch: u64,
        /// Steps so far.
        step: u64,
        /// Mean training loss over it.
        loss: f64,
        /// The learning rate at its end.
        rate: f64,
        /// Images per second over it, training alone.
        images_per_second: f64,
        /// The evaluation at its end, if there was one.
        evaluation: Option<&'a Evaluation>,
        /// Whether that is the best so far.
        best: bool,
        /// Seconds of work so far.
        seconds: f64,
    },
    /// A checkpoint was written.
    Saved {
        /// Its folder.
        path: &'a std::path::Path,
        /// After this step.
        step: u64,
    },
    /// Something worth telling.
    Note {
        /// What.
        text: String,
        /// The step that it belongs to; none for what is of this session alone.
        step: Option<u64>,
    },
    /// Something that is likely wrong, but not fatal.
    Warning {
        /// What.
        text: String,
        /// The step that it belongs to; none for what is of this session alone.
        step: Option<u64>,
    },
    /// A sample could not be read and was left out.
    Skipped {
        /// The split that it is of.
        split: &'static str,
        /// Which one, and why.
        sample: &'a Skipped,
        /// How many of the split were left out so far.
        count: usize,
        /// How many may be.
        allowed: usize,
        /// The step in which it was met.
        step: u64,
    },
}

impl Event<'_> {
    /// Something worth telling of this session.
    pub fn note(text: impl Into<String>) -> Self {
        let (text, step) = (text.into(), None);
        Self::Note { text, step }
    }

    /// Something of this session that is likely wrong.
    pub fn warning(text: impl Into<String>) -> Self {
        let (text, step) = (text.into(), None);
        Self::Warning { text, step }
    }
}

/// Takes what happens in a run and shows or writes it.
pub trait Sink {
    /// One event.
    ///
    /// # Errors
    /// Why it could not be written; the run ends then.
    fn event(&mut self, event: &Event<'_>) -> anyhow::Result<()>;
}
