//! Mirroring, sideways, upside down and on the diagonal.

use rand_chacha::ChaCha8Rng;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Augmentation, Plan, Problems};
use crate::geometry::Geometry;
use crate::random::coin;

/// Mirrors left and right, as torchvision's `RandomHorizontalFlip`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields, default)]
pub struct HorizontalFlip {
    /// How often, from 0 to 1.
    pub probability: f64,
}

impl Default for HorizontalFlip {
    fn default() -> Self {
        HorizontalFlip { probability: 0.5 }
    }
}

impl Augmentation for HorizontalFlip {
    fn draw(&self, rng: &mut ChaCha8Rng, plan: &mut Plan) {
        if coin(rng, self.probability) {
            plan.geometry(Geometry::FlipHorizontal);
        }
    }

    fn problems(&self) -> Vec<(String, String)> {
        Problems::default().probability(self.probability).0
    }
}

/// Mirrors top and bottom, as torchvision's `RandomVerticalFlip`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields, default)]
pub struct VerticalFlip {
    /// How often, from 0 to 1.
    pub probability: f64,
}

impl Default for VerticalFlip {
    fn default() -> Self {
        VerticalFlip { probability: 0.5 }
    }
}

impl Augmentation for VerticalFlip {
    fn draw(&self, rng: &mut ChaCha8Rng, plan: &mut Plan) {
        if coin(rng, self.probability) {
            plan.geometry(Geometry::FlipVertical);
        }
    }

    fn problems(&self) -> Vec<(String, String)> {
        Problems::default().probability(self.probability).0
    }
}

/// Mirrors on the diagonal: rows become columns, and width and height change places. With both flips it makes the eight
/// symmetries of a square, for pictures that have no way up (from above, through a microscope).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields, default)]
pub struct Transpose {
    /// How often, from 0 to 1.
    pub probability: f64,
}

impl Default for Transpose {
    fn default() -> Self {
        Transpose { probability: 0.5 }
    }
}

impl Augmentation for Transpose {
    fn draw(&self, rng: &mut ChaCha8Rng, plan: &mut Plan) {
        if coin(rng, self.probability) {
            plan.geometry(Geometry::Transpose);
        }
    }

    fn problems(&self) -> Vec<(String, String)> {
        Problems::default().probability(self.probability).0
    }
}
