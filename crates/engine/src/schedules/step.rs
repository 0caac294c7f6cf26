//! Multiplied by a factor every so many epochs (`StepLR`).

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Course, EPOCHS, FACTOR, Place};
use crate::problems::Problems;

/// Multiplied by `factor` every so many epochs.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct StepConfig {
    /// Epochs between two changes.
    pub every_epochs: f64,
    /// What the rate is multiplied by.
    #[serde(default = "tenth")]
    pub factor: f64,
}

fn tenth() -> f64 {
    0.1
}

impl Course for StepConfig {
    fn factor(&self, at: Place) -> f64 {
        self.factor.powf((at.epochs / self.every_epochs).floor())
    }

    fn problems(&self, problems: &mut Problems) {
        problems.above("every-epochs", self.every_epochs, EPOCHS[1]);
        problems.above("factor", self.factor, FACTOR);
    }
}
