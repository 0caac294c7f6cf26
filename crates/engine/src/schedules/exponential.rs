//! Multiplied by a factor each epoch (`ExponentialLR`).

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Course, FACTOR, Place};
use crate::problems::Problems;

/// Multiplied by `factor` each epoch.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct ExponentialConfig {
    /// What the rate is multiplied by each epoch.
    pub factor: f64,
}

impl Course for ExponentialConfig {
    fn factor(&self, at: Place) -> f64 {
        self.factor.powf(at.epochs.floor())
    }

    fn problems(&self, problems: &mut Problems) {
        problems.above("factor", self.factor, FACTOR);
    }
}
