//! Rotation, translation, scaling and shear about the image's center; the size stays.
//!
//! The meaning of each parameter is that of torchvision's `RandomAffine`, of which these are the parts: several of
//! them in a row become one map. Unlike there, a translation is not rounded to whole pixels, and masks show
//! [`Mask::IGNORE`](crate::sample::Mask::IGNORE) outside.

use rand_chacha::ChaCha8Rng;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Augmentation, Plan, Problems};
use crate::geometry::{Geometry, Map};
use crate::random::uniform;

/// Adds `map` about the image's center.
pub(super) fn about_center(plan: &mut Plan, map: Map, fill: [u8; 3]) {
    let [width, height] = plan.size();
    plan.geometry(Geometry::Warp {
        map: map.about(width as f64 / 2.0, height as f64 / 2.0),
        fill,
    });
}

/// Rotates by an angle from `-degrees` to `degrees`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields, default)]
pub struct Rotate {
    /// Largest angle to either side, in degrees from 0 to 180.
    pub degrees: f64,
    /// Red, green and blue outside the image; a gray image takes the first.
    pub fill: [u8; 3],
}

impl Default for Rotate {
    fn default() -> Self {
        Rotate {
            degrees: 10.0,
            fill: [0; 3],
        }
    }
}

impl Augmentation for Rotate {
    fn draw(&self, rng: &mut ChaCha8Rng, plan: &mut Plan) {
        about_center(
            plan,
            Map::rotation(uniform(rng, -self.degrees, self.degrees)),
            self.fill,
        );
    }

    fn problems(&self) -> Vec<(String, String)> {
        Problems::default()
            .within("degrees", self.degrees, 0.0, 180.0)
            .0
    }
}

/// Moves by up to a fraction of the width to either side, and of the height up or down.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields, default)]
pub struct Translate {
    /// Largest movement as a fraction of the image's side, from 0 to 1.
    pub fraction: f64,
    /// The same up and down, where it differs.
    pub vertical_fraction: Option<f64>,
    /// Red, green and blue outside the image; a gray image takes the first.
    pub fill: [u8; 3],
}

impl Default for Translate {
    fn default() -> Self {
        Translate {
            fraction: 0.1,
            vertical_fraction: None,
            fill: [0; 3],
        }
    }
}

impl Augmentation for Translate {
    fn draw(&self, rng: &mut ChaCha8Rng, plan: &mut Plan) {
        let [width, height] = plan.size().map(|v| v as f64);
        let (x, y) = (
            self.fraction * width,
            self.vertical_fraction.unwrap_or(self.fraction) * height,
        );
        let map = Map::translation(uniform(rng, -x, x), uniform(rng, -y, y));
        plan.geometry(Geometry::Warp {
            map,
            fill: self.fill,
        });
    }

    fn problems(&self) -> Vec<(String, String)> {
        Problems::default()
            .within("fraction", self.fraction, 0.0, 1.0)
            .within(
                "vertical-fraction",
                self.vertical_fraction.unwrap_or(0.0),
                0.0,
                1.0,
            )
            .0
    }
}

/// Enlarges or shrinks the content about the center by a factor from `factor[0]` to `factor[1]`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields, default)]
pub struct Scale {
    /// Smallest and largest factor; 1 leaves the image as it is.
    pub factor: [f64; 2],
    /// Red, green and blue outside the image; a gray image takes the first.
    pub fill: [u8; 3],
}

impl Default for Scale {
    fn default() -> Self {
        Scale {
            factor: [0.9, 1.1],
            fill: [0; 3],
        }
    }
}

impl Augmentation for Scale {
    fn draw(&self, rng: &mut ChaCha8Rng, plan: &mut Plan) {
        let factor = uniform(rng, self.factor[0], self.factor[1]);
        about_center(plan, Map::scaling(factor, factor), self.fill);
    }

    fn problems(&self) -> Vec<(String, String)> {
        Problems::default()
            .range("factor", self.factor, 0.01, 100.0)
            .0
    }
}

/// Shears by angles from `-x-degrees` to `x-degrees` along the rows, and the same along the columns.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields, default)]
pub struct Shear {
    /// Largest angle along the rows, in degrees from 0 to 80.
    pub x_degrees: f64,
    /// Largest angle along the columns, in degrees from 0 to 80.
    pub y_degrees: f64,
    /// Red, green and blue outside the image; a gray image takes the first.
    pub fill: [u8; 3],
}

impl Default for Shear {
    fn default() -> Self {
        Shear {
            x_degrees: 10.0,
            y_degrees: 0.0,
            fill: [0; 3],
        }
    }
}

impl Augmentation for Shear {
    fn draw(&self, rng: &mut ChaCha8Rng, plan: &mut Plan) {
        let x = uniform(rng, -self.x_degrees, self.x_degrees);
        let y = uniform(rng, -self.y_degrees, self.y_degrees);
        // One after the other, so that the map keeps the area and always has an inverse.
        about_center(
            plan,
            Map::shearing(x, 0.0).then(&Map::shearing(0.0, y)),
            self.fill,
        );
    }

    fn problems(&self) -> Vec<(String, String)> {
        Problems::default()
            .within("x-degrees", self.x_degrees, 0.0, 80.0)
            .within("y-degrees", self.y_degrees, 0.0, 80.0)
            .0
    }
}
