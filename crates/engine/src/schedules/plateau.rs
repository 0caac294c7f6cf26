//! Multiplied by a factor when the validation score has stopped improving (`ReduceLROnPlateau`).

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Course, Place, PlateauState};
use crate::problems::Problems;
use crate::settings::Goal;

/// Multiplied by `factor` when the validation score has stopped improving.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields, default)]
pub struct PlateauConfig {
    /// What the rate is multiplied by.
    pub factor: f64,
    /// Evaluations without improvement that are borne; the rate falls at the next one.
    pub patience: u64,
    /// The share of the best score that a new one must be better by (PyTorch's `threshold_mode = "rel"`). The best score
    /// stays where it is until it is beaten by that. 0 or more.
    pub threshold: f64,
    /// Evaluations after a change in which none is counted as bad.
    pub cooldown: u64,
    /// The lowest rate, as a share of the base rate.
    pub floor: f64,
}

impl Default for PlateauConfig {
    fn default() -> Self {
        Self {
            factor: 0.1,
            patience: 10,
            threshold: 1e-4,
            cooldown: 0,
            floor: 0.0,
        }
    }
}

impl Course for PlateauConfig {
    fn factor(&self, at: Place) -> f64 {
        at.plateau
    }

    fn problems(&self, problems: &mut Problems) {
        problems.within("floor", self.floor, [0.0, 1.0]);
        problems.within("threshold", self.threshold, [0.0, 1.0]);
        if !(self.factor > 0.0 && self.factor < 1.0) {
            let message = format!("{} would not lower the rate", self.factor);
            problems.add("factor", message, Some("give a share below 1"));
        }
    }

    fn observe(&self, state: &mut PlateauState, score: f64, goal: Goal) -> Option<f64> {
        let better = match (state.best, goal) {
            (None, _) => score.is_finite(),
            (Some(best), Goal::Max) => score > best * (1.0 + self.threshold),
            (Some(best), Goal::Min) => score < best * (1.0 - self.threshold),
        };
        if better {
            state.best = Some(score);
            state.bad = 0;
        } else {
            state.bad += 1;
        }
        if state.cooldown > 0 {
            state.cooldown -= 1;
            state.bad = 0;
        }
        if state.bad <= self.patience {
            return None;
        }
        state.cooldown = self.cooldown;
        state.bad = 0;
        let lower = (state.factor * self.factor).max(self.floor);
        let changed = lower < state.factor;
        state.factor = lower;
        changed.then_some(lower)
    }
}
