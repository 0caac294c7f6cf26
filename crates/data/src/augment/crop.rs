//! Crops.

use rand_chacha::ChaCha8Rng;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Augmentation, Plan, Problems};
use crate::geometry::Geometry;
use crate::random::{between, uniform};

/// Cuts the middle out, as torchvision's `CenterCrop`; a smaller image is padded around.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields, default)]
pub struct CenterCrop {
    /// Width of the result in pixels.
    pub width: usize,
    /// Height of the result in pixels.
    pub height: usize,
    /// Red, green and blue of the padding; a gray image takes the first.
    pub fill: [u8; 3],
}

impl Default for CenterCrop {
    fn default() -> Self {
        CenterCrop {
            width: 224,
            height: 224,
            fill: [0; 3],
        }
    }
}

impl Augmentation for CenterCrop {
    fn draw(&self, _: &mut ChaCha8Rng, plan: &mut Plan) {
        // torchvision rounds half a pixel to even when cutting, and pads the smaller half first.
        let start = |length: usize, wanted: usize| {
            if wanted > length {
                -(((wanted - length) / 2) as i64)
            } else {
                ((length - wanted) as f64 / 2.0).round_ties_even() as i64
            }
        };
        let [width, height] = plan.size();
        plan.geometry(Geometry::Crop {
            x: start(width, self.width),
            y: start(height, self.height),
            width: self.width,
            height: self.height,
            fill: self.fill,
        });
    }

    fn problems(&self) -> Vec<(String, String)> {
        Problems::default()
            .side("width", self.width)
            .side("height", self.height)
            .0
    }
}

/// Pads on all sides and cuts a piece of the image's own size out at random: the usual augmentation of CIFAR-10 (He
/// et al. 2015, section 4.2), torchvision's `RandomCrop(size, padding=4)`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields, default)]
pub struct PadAndCrop {
    /// Pixels added on each side.
    pub padding: usize,
    /// Red, green and blue of the padding; a gray image takes the first.
    pub fill: [u8; 3],
}

impl Default for PadAndCrop {
    fn default() -> Self {
        PadAndCrop {
            padding: 4,
            fill: [0; 3],
        }
    }
}

impl Augmentation for PadAndCrop {
    fn draw(&self, rng: &mut ChaCha8Rng, plan: &mut Plan) {
        let padding = self.padding as i64;
        let [width, height] = plan.size();
        let (x, y) = (
            between(rng, -padding, padding),
            between(rng, -padding, padding),
        );
        plan.geometry(Geometry::Crop {
            x,
            y,
            width,
            height,
            fill: self.fill,
        });
    }

    fn problems(&self) -> Vec<(String, String)> {
        Problems::default()
            .check(
                self.padding <= 4096,
                "padding",
                format!("{} pixels; at most 4096", self.padding),
            )
            .0
    }
}

/// Cuts a piece of the given size out at random, as torchvision's `RandomCrop(size, pad_if_needed=True)`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields, default)]
pub struct RandomCrop {
    /// Width of the result in pixels.
    pub width: usize,
    /// Height of the result in pixels.
    pub height: usize,
    /// Red, green and blue of the padding of a smaller image; a gray image takes the first.
    pub fill: [u8; 3],
}

impl Default for RandomCrop {
    fn default() -> Self {
        RandomCrop {
            width: 224,
            height: 224,
            fill: [0; 3],
        }
    }
}

impl Augmentation for RandomCrop {
    fn draw(&self, rng: &mut ChaCha8Rng, plan: &mut Plan) {
        let mut start = |length: usize, wanted: usize| {
            let room = length as i64 - wanted as i64;
            between(rng, room.min(0), room.max(0))
        };
        let [width, height] = plan.size();
        let (x, y) = (start(width, self.width), start(height, self.height));
        plan.geometry(Geometry::Crop {
            x,
            y,
            width: self.width,
            height: self.height,
            fill: self.fill,
        });
    }

    fn problems(&self) -> Vec<(String, String)> {
        Problems::default()
            .side("width", self.width)
            .side("height", self.height)
            .0
    }
}

/// Cuts a piece of random area and shape out and resizes it, as torchvision's `RandomResizedCrop` (the "Inception"
/// crop; Szegedy et al. 2014).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields, default)]
pub struct RandomResizedCrop {
    /// Width of the result in pixels.
    pub width: usize,
    /// Height of the result in pixels.
    pub height: usize,
    /// Smallest and largest area of the piece, as a share of the image's.
    pub area: [f64; 2],
    /// Smallest and largest width over height of the piece, drawn evenly in the logarithm.
    pub aspect: [f64; 2],
}

impl Default for RandomResizedCrop {
    fn default() -> Self {
        RandomResizedCrop {
            width: 224,
            height: 224,
            area: [0.08, 1.0],
            aspect: [3.0 / 4.0, 4.0 / 3.0],
        }
    }
}

impl Augmentation for RandomResizedCrop {
    fn draw(&self, rng: &mut ChaCha8Rng, plan: &mut Plan) {
        let [x, y, width, height] = self.piece(rng, plan.size());
        plan.geometry(Geometry::Crop {
            x: x as i64,
            y: y as i64,
            width,
            height,
            fill: [0; 3],
        });
        plan.geometry(Geometry::Resize {
            width: self.width,
            height: self.height,
        });
    }

    fn problems(&self) -> Vec<(String, String)> {
        Problems::default()
            .side("width", self.width)
            .side("height", self.height)
            .range("area", self.area, 1e-4, 1.0)
            .range("aspect", self.aspect, 1e-2, 1e2)
            .0
    }
}

impl RandomResizedCrop {
    /// `[x, y, width, height]`: ten tries at random, then the largest piece in the middle of a permitted shape.
    fn piece(&self, rng: &mut ChaCha8Rng, [width, height]: [usize; 2]) -> [usize; 4] {
        let (w, h) = (width as f64, height as f64);
        let [low, high] = self.aspect.map(|v| v.max(1e-6).ln());
        for _ in 0..10 {
            let area = w * h * uniform(rng, self.area[0], self.area[1]);
            let aspect = uniform(rng, low, high).exp();
            let piece = [(area * aspect).sqrt(), (area / aspect).sqrt()]
                .map(|v| v.round_ties_even() as usize);
            if (1..=width).contains(&piece[0]) && (1..=height).contains(&piece[1]) {
                let y = between(rng, 0, (height - piece[1]) as i64) as usize;
                let x = between(rng, 0, (width - piece[0]) as i64) as usize;
                return [x, y, piece[0], piece[1]];
            }
        }
        let aspect = (w / h).clamp(self.aspect[0].min(self.aspect[1]), self.aspect[1]);
        let [pw, ph] = if w / h < aspect {
            [w, w / aspect]
        } else {
            [h * aspect, h]
        };
        let [pw, ph] = [
            (pw.round_ties_even() as usize).clamp(1, width),
            (ph.round_ties_even() as usize).clamp(1, height),
        ];
        [(width - pw) / 2, (height - ph) / 2, pw, ph]
    }
}
