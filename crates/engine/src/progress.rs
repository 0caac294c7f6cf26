//! Where a run stands: all of the loop's own state, as a checkpoint keeps it.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::schedules::PlateauState;
use crate::settings::{EarlyStopping, Goal};
use crate::task::StepReport;

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
    /// The training loss since the last logged step.
    #[serde(default)]
    pub window: Window,
    /// The training loss between the two logged steps before.
    #[serde(default)]
    pub window_before: Window,
    /// The best validation score so far.
    pub best: Option<BestScore>,
    /// The score that early stopping measures gains from. A checkpoint of an older version has none; its best score
    /// stands in.
    #[serde(default)]
    pub reference: Option<f64>,
    /// Evaluations since the last gain that early stopping counts.
    #[serde(alias = "evaluations_since_best")]
    pub evaluations_without_gain: u64,
    /// Whether the last evaluation gave no score, and a note has said so.
    #[serde(default)]
    pub undefined: bool,
    /// The step of the last evaluation on the validation split.
    pub evaluated_at: Option<u64>,
    /// What the plateau schedule remembers.
    pub plateau: Option<PlateauState>,
    /// The indices of the samples that were left out so far, by split, in the order in which they were met.
    #[serde(default)]
    pub skipped: BTreeMap<String, Vec<usize>>,
    /// Why the run is complete, if it is.
    pub finished: Option<Finish>,
    /// Seconds of work before this point, over all sessions.
    pub seconds: f64,
}

impl Progress {
    /// Counts a batch of the present epoch, after which `next` is its next one.
    pub(crate) fn add(&mut self, next: usize, report: &StepReport) {
        self.batch = next;
        self.loss_sum += report.loss * report.samples as f64;
        self.loss_samples += report.samples as u64;
        self.window.add(report);
    }

    /// The means since the last logged step, which this one becomes. Where that was less than half of `usual` samples
    /// ago, as at the end of an epoch, the interval before it counts too: one last sample is no loss of the training.
    pub(crate) fn take_window(&mut self, usual: u64) -> Losses {
        let window = std::mem::take(&mut self.window);
        let means = match 2 * window.samples < usual {
            true => window.clone().joined(&self.window_before).means(),
            false => window.means(),
        };
        self.window_before = window;
        means
    }

    /// Why the run has come to its end for good: `None` where it has not, or where more epochs or steps are asked for now
    /// than when it ended. A run that stopped early has used up its patience, however many epochs are asked for.
    pub fn complete(&self, epochs: u64, max_steps: Option<u64>) -> Option<Finish> {
        match self.finished? {
            Finish::EarlyStopping => Some(Finish::EarlyStopping),
            _ if max_steps.is_some_and(|max| self.step >= max) => Some(Finish::MaxSteps),
            _ => (self.epoch >= epochs).then_some(Finish::Epochs),
        }
    }

    /// Whether early stopping has seen enough.
    pub(crate) fn is_exhausted(&self, stop: Option<EarlyStopping>) -> bool {
        stop.is_some_and(|stop| self.evaluations_without_gain > stop.patience)
    }

    /// What early stopping makes of a score. The reference stays until it is beaten by more than the delta, as with
    /// Keras and Lightning, so that slow and steady progress counts.
    pub(crate) fn observe(&mut self, score: f64, goal: Goal, min_delta: f64) {
        let best = self.best.as_ref().map(|best| best.value);
        let gains = match self.reference.or(best) {
            None => score.is_finite(),
            Some(reference) => match goal {
                Goal::Max => score > reference + min_delta,
                Goal::Min => score < reference - min_delta,
            },
        };
        match gains {
            true => (self.reference, self.evaluations_without_gain) = (Some(score), 0),
            false => self.evaluations_without_gain += 1,
        }
    }
}

/// Sums of a training loss and its parts over samples.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Window {
    /// Sum of the loss.
    pub loss: f64,
    /// Sum of each of its parts.
    pub parts: BTreeMap<String, f64>,
    /// Samples in the sums.
    pub samples: u64,
}

/// Means of a training loss and its parts over samples.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Losses {
    /// The loss.
    pub loss: f64,
    /// Its parts by name, where it has several.
    pub parts: BTreeMap<String, f64>,
}

impl Window {
    fn add(&mut self, report: &StepReport) {
        let samples = report.samples as f64;
        self.loss += report.loss * samples;
        for (name, value) in &report.parts {
            *self.parts.entry((*name).to_owned()).or_default() += value * samples;
        }
        self.samples += report.samples as u64;
    }

    fn joined(mut self, other: &Self) -> Self {
        self.loss += other.loss;
        for (name, value) in &other.parts {
            *self.parts.entry(name.clone()).or_default() += value;
        }
        self.samples += other.samples;
        self
    }

    fn means(&self) -> Losses {
        let samples = self.samples.max(1) as f64;
        let parts = self.parts.iter();
        Losses {
            loss: self.loss / samples,
            parts: parts
                .map(|(name, sum)| (name.clone(), sum / samples))
                .collect(),
        }
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

#[cfg(test)]
mod tests {
    use super::*;

    fn report(loss: f64, samples: usize) -> StepReport {
        StepReport {
            loss,
            parts: vec![("box", loss / 2.0)],
            samples,
            gradient_norm: None,
        }
    }

    #[test]
    fn a_mean_is_weighted_by_samples_and_one_last_sample_is_no_spike() {
        let mut progress = Progress::default();
        progress.add(1, &report(1.0, 4));
        progress.add(2, &report(2.0, 12));
        let losses = progress.take_window(16);
        assert_eq!((losses.loss, losses.parts["box"]), (1.75, 0.875));
        // 16 samples of 1.75 and one of 10.25, by hand.
        progress.add(3, &report(10.25, 1));
        assert_eq!(progress.take_window(16).loss, 2.25);
        // A short interval is not counted on behalf of the next one twice.
        progress.add(1, &report(3.0, 16));
        assert_eq!(progress.take_window(16).loss, 3.0);
        assert_eq!(progress.batch, 1);
    }

    /// The rule of Keras and Lightning by hand: each score is half a delta better than the one before.
    #[test]
    fn slow_and_steady_progress_counts() {
        let waits = |scores: &[f64], goal, delta| -> Vec<u64> {
            let mut progress = Progress::default();
            let wait = scores.iter().map(|score| {
                progress.observe(*score, goal, delta);
                progress.evaluations_without_gain
            });
            wait.collect()
        };
        let falling = [8.0, 7.5, 7.0, 6.5, 6.0, 5.5];
        assert_eq!(waits(&falling, Goal::Min, 1.0), [0, 1, 2, 0, 1, 2]);
        let rising = falling.map(|score| -score);
        assert_eq!(waits(&rising, Goal::Max, 1.0), [0, 1, 2, 0, 1, 2]);
        // A gain of just the delta is none, and neither is a tie or what is no number.
        assert_eq!(waits(&[1.0, 2.0, 2.5], Goal::Max, 1.0), [0, 1, 0]);
        assert_eq!(waits(&[1.0, 1.0, 1.0], Goal::Max, 0.0), [0, 1, 2]);
        assert_eq!(waits(&[f64::NAN, 1.0, f64::NAN], Goal::Max, 0.0), [1, 0, 1]);
    }

    #[test]
    fn the_state_of_an_older_version_is_read() {
        let old = r#"{"step": 3, "epoch": 1, "batch": 0, "loss_sum": 0.0, "loss_samples": 0, "window_loss": 1.0,
            "window_samples": 2, "best": {"metric": "top1", "value": 0.5, "step": 2}, "evaluations_since_best": 1,
            "evaluated_at": 3, "plateau": null, "finished": "epochs", "seconds": 1.5}"#;
        let mut progress: Progress = serde_json::from_str(old).unwrap();
        assert_eq!(progress.evaluations_without_gain, 1);
        // The best score stands in for the reference.
        progress.observe(0.55, Goal::Max, 0.1);
        assert_eq!(progress.evaluations_without_gain, 2);
        progress.observe(0.65, Goal::Max, 0.1);
        assert_eq!(
            (progress.evaluations_without_gain, progress.reference),
            (0, Some(0.65))
        );
    }
}
