//! A random view of the image from the side.

use rand_chacha::ChaCha8Rng;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Augmentation, Plan, Problems};
use crate::geometry::{Geometry, Map};
use crate::random::{coin, uniform};

/// Moves each corner inwards by a random amount, as torchvision's `RandomPerspective`. Unlike there, the corners are
/// those of the image and not the centers of its corner pixels, and do not snap to whole pixels.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields, default)]
pub struct Perspective {
    /// How far a corner may move, as a share of the way to the middle of its sides, from 0 to 1.
    pub distortion: f64,
    /// How often, from 0 to 1.
    pub probability: f64,
    /// Red, green and blue outside the image; a gray image takes the first.
    pub fill: [u8; 3],
}

impl Default for Perspective {
    fn default() -> Self {
        Perspective {
            distortion: 0.5,
            probability: 0.5,
            fill: [0; 3],
        }
    }
}

impl Augmentation for Perspective {
    fn draw(&self, rng: &mut ChaCha8Rng, plan: &mut Plan) {
        if !coin(rng, self.probability) {
            return;
        }
        let [w, h] = plan.size().map(|v| v as f64);
        let from = [[0.0, 0.0], [w, 0.0], [w, h], [0.0, h]];
        let to = from.map(|[x, y]| {
            let mut inwards = |at: f64, length: f64| {
                let way = uniform(rng, 0.0, self.distortion * length / 2.0);
                if at > 0.0 { at - way } else { way }
            };
            [inwards(x, w), inwards(y, h)]
        });
        if let Some(map) = Map::quad(from, to) {
            plan.geometry(Geometry::Warp {
                map,
                fill: self.fill,
            });
        }
    }

    fn problems(&self) -> Vec<(String, String)> {
        Problems::default()
            .within("distortion", self.distortion, 0.0, 1.0)
            .probability(self.probability)
            .0
    }
}
