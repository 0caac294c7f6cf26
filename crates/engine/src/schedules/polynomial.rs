//! `(1 - progress) ^ power` (`PolynomialLR`).

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Course, Place};
use crate::problems::Problems;

/// `(1 - progress) ^ power`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields, default)]
pub struct PolynomialConfig {
    /// The exponent; 1 is a straight line.
    pub power: f64,
}

impl Default for PolynomialConfig {
    fn default() -> Self {
        Self { power: 1.0 }
    }
}

impl Course for PolynomialConfig {
    fn factor(&self, at: Place) -> f64 {
        (1.0 - (at.step / at.length).min(1.0)).powf(self.power)
    }

    fn problems(&self, problems: &mut Problems) {
        problems.within("power", self.power, [0.0, 100.0]);
    }
}
