//! What is trained: a [`Task`] owns networks and losses; the loop knows no more of it.

use std::collections::BTreeMap;

use firesight_data::DataError;
use firesight_data::batch::Batch;

use crate::network::{StepError, TrainedNetwork, Weights};

/// What a sink or a task of another crate reports.
pub type BoxError = Box<dyn std::error::Error + Send + Sync>;

/// The batches of an evaluation.
pub type Batches<'a> = dyn Iterator<Item = Result<Batch, DataError>> + 'a;

/// Is told how many samples of an evaluation are done, and says whether it goes on.
pub type Watch<'a> = dyn FnMut(usize) -> bool + 'a;

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
    fn after_update(&mut self, step: u64) -> Result<Vec<String>, BoxError> {
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
        watch: &mut Watch<'_>,
    ) -> Result<Evaluation, DataError>;
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

impl Evaluation {
    /// What was measured on so many samples.
    pub fn new<K: Into<String>>(
        samples: usize,
        metrics: impl IntoIterator<Item = (K, f64)>,
    ) -> Self {
        let metrics = metrics.into_iter();
        Self {
            metrics: metrics.map(|(key, value)| (key.into(), value)).collect(),
            samples,
            interrupted: false,
        }
    }

    /// One that was broken off.
    pub fn interrupted() -> Self {
        Self {
            interrupted: true,
            ..Self::default()
        }
    }
}
