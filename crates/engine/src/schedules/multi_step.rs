//! Multiplied by a factor at each milestone (`MultiStepLR`).

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Course, EPOCHS, FACTOR, Place};
use crate::problems::Problems;

/// Multiplied by `factor` at each milestone.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct MultiStepConfig {
    /// The epochs at which the rate changes, rising.
    pub milestones: Vec<f64>,
    /// What the rate is multiplied by.
    #[serde(default = "tenth")]
    pub factor: f64,
}

fn tenth() -> f64 {
    0.1
}

impl Course for MultiStepConfig {
    fn factor(&self, at: Place) -> f64 {
        let passed = self.milestones.iter().filter(|m| at.epochs >= **m).count();
        self.factor.powi(passed as i32)
    }

    fn problems(&self, problems: &mut Problems) {
        problems.above("factor", self.factor, FACTOR);
        for (index, milestone) in self.milestones.iter().enumerate() {
            problems.within(&format!("milestones[{index}]"), *milestone, EPOCHS);
        }
        if !self.milestones.is_sorted() {
            problems.add("milestones", "the milestones do not rise", None);
        }
    }
}
