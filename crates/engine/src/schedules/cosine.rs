//! Half a cosine down to the floor (`CosineAnnealingLR`), or several (`CosineAnnealingWarmRestarts`).

use std::f64::consts::PI;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Course, EPOCHS, Place};
use crate::problems::Problems;

/// Half a cosine down to the floor, or several.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields, default)]
pub struct CosineConfig {
    /// The lowest rate, as a share of the base rate.
    pub floor: f64,
    /// Epochs until the rate starts anew from the base; without it one cosine spans the run.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub restart_epochs: Option<f64>,
    /// What each cycle is longer by than the one before it.
    pub restart_factor: u32,
}

impl Default for CosineConfig {
    fn default() -> Self {
        Self {
            floor: 0.0,
            restart_epochs: None,
            restart_factor: 1,
        }
    }
}

impl Course for CosineConfig {
    fn factor(&self, at: Place) -> f64 {
        let progress = match self.restart_epochs {
            None => (at.step / at.length).min(1.0),
            Some(first) => cycle_progress(at.epochs, first, self.restart_factor),
        };
        self.floor + (1.0 - self.floor) * (1.0 + (PI * progress).cos()) / 2.0
    }

    fn problems(&self, problems: &mut Problems) {
        problems.within("floor", self.floor, [0.0, 1.0]);
        if let Some(length) = self.restart_epochs {
            problems.within("restart-epochs", length, [0.01, EPOCHS[1]]);
        }
        let factor = self.restart_factor as usize;
        problems.whole("restart-factor", factor, [1, 1000], None);
    }
}

/// The progress within the present cycle, 0 to below 1.
fn cycle_progress(epochs: f64, first: f64, factor: u32) -> f64 {
    let mut length = first;
    let mut start = 0.0;
    while epochs >= start + length && length > 0.0 {
        start += length;
        length *= f64::from(factor.max(1));
    }
    (epochs - start) / length
}
