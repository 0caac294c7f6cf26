//! What happens in a run, as the loop tells it.

use firesight_data::loader::Skipped;

use crate::progress::{Losses, Progress};
use crate::task::{BoxError, Evaluation, StepReport};

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
    fn event(&mut self, event: &Event<'_>) -> Result<(), BoxError>;
}

/// A function that looks at what happens.
impl<F: FnMut(&Event<'_>)> Sink for F {
    fn event(&mut self, event: &Event<'_>) -> Result<(), BoxError> {
        self(event);
        Ok(())
    }
}

/// Several sinks as one.
impl Sink for Vec<Box<dyn Sink + '_>> {
    fn event(&mut self, event: &Event<'_>) -> Result<(), BoxError> {
        self.iter_mut().try_for_each(|sink| sink.event(event))
    }
}
