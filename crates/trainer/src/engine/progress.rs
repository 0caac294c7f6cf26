//! Where a run stands: all of the loop's own state, as a checkpoint keeps it.

use serde::{Deserialize, Serialize};

use crate::recipe::PlateauState;

/// The position of a run and what its loop remembers.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Progress {
    /// Optimizer steps done.
    pub step: u64,
    /// The present epoch, from 0; equal to the recipe's number of epochs at the end.
    pub epoch: u64,
    /// The next batch of the present epoch.
    pub batch: usize,
    /// Sum of the training loss over the samples of the present epoch.
    pub loss_sum: f64,
    /// Samples in `loss_sum`.
    pub loss_samples: u64,
    /// Sum of the training loss over the samples since the last logged step.
    pub window_loss: f64,
    /// Samples in `window_loss`.
    pub window_samples: u64,
    /// The best validation score so far.
    pub best: Option<BestScore>,
    /// Evaluations since the best score.
    pub evaluations_since_best: u64,
    /// The step of the last evaluation on the validation split.
    pub evaluated_at: Option<u64>,
    /// What the plateau schedule remembers.
    pub plateau: Option<PlateauState>,
    /// Why the run is complete, if it is.
    pub finished: Option<Finish>,
    /// Seconds of work before this point, over all sessions.
    pub seconds: f64,
}

impl Progress {
    /// Counts a batch of the present epoch.
    pub(super) fn add(&mut self, loss: f64, samples: usize) {
        self.batch += 1;
        self.loss_sum += loss * samples as f64;
        self.loss_samples += samples as u64;
        self.window_loss += loss * samples as f64;
        self.window_samples += samples as u64;
    }

    /// The mean loss since the last logged step, which this one becomes.
    pub(super) fn take_window(&mut self) -> f64 {
        let mean = self.window_loss / self.window_samples.max(1) as f64;
        (self.window_loss, self.window_samples) = (0.0, 0);
        mean
    }
}

/// The best validation score of a run.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct BestScore {
    /// The metric's name.
    pub metric: String,
    /// Its value.
    pub value: f64,
    /// The step that reached it.
    pub step: u64,
}

/// Why a run is complete.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Finish {
    /// All epochs are done.
    Epochs,
    /// The recipe's `max-steps` is reached.
    MaxSteps,
    /// The score has stopped rising.
    EarlyStopping,
}
