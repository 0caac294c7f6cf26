//! The base rate throughout.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Course, Place};
use crate::problems::Problems;

/// The base rate throughout.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ConstantConfig {}

impl Course for ConstantConfig {
    fn factor(&self, _: Place) -> f64 {
        1.0
    }

    fn problems(&self, _: &mut Problems) {}
}
