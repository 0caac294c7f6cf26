//! Up to the base rate and down far below it within the run (`OneCycleLR`).

use std::f64::consts::PI;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Course, Place};
use crate::problems::Problems;

/// Up to the base rate and down far below it within the run.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields, default)]
pub struct OneCycleConfig {
    /// The share of the run in which the rate rises.
    pub rise: f64,
    /// The first rate is the base rate divided by this.
    pub start_divisor: f64,
    /// The last rate is the first rate divided by this.
    pub end_divisor: f64,
}

impl Default for OneCycleConfig {
    fn default() -> Self {
        Self {
            rise: 0.3,
            start_divisor: 25.0,
            end_divisor: 1e4,
        }
    }
}

impl Course for OneCycleConfig {
    fn factor(&self, at: Place) -> f64 {
        one_cycle(self, at.step, at.length)
    }

    fn problems(&self, problems: &mut Problems) {
        problems.within("start-divisor", self.start_divisor, [1.0, 1e12]);
        problems.within("end-divisor", self.end_divisor, [1.0, 1e12]);
        if !(self.rise > 0.0 && self.rise < 1.0) {
            let message = format!("{} is no share between 0 and 1", self.rise);
            problems.add("rise", message, None);
        }
    }

    fn rises(&self) -> bool {
        true
    }
}

/// PyTorch's `OneCycleLR` with cosine annealing, relative to the peak.
fn one_cycle(config: &OneCycleConfig, t: f64, length: f64) -> f64 {
    let first = 1.0 / config.start_divisor;
    let last = first / config.end_divisor;
    let peak = config.rise * length - 1.0;
    let anneal = |from: f64, to: f64, share: f64| {
        to + (from - to) / 2.0 * (1.0 + (PI * share.clamp(0.0, 1.0)).cos())
    };
    if t <= peak {
        anneal(first, 1.0, t / peak)
    } else {
        anneal(1.0, last, (t - peak) / (length - 1.0 - peak))
    }
}
