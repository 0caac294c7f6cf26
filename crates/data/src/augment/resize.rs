//! Resizing: to an exact size, by the shortest side, or into a frame.

use rand_chacha::ChaCha8Rng;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Augmentation, MAX_SIDE, Plan, Problems};
use crate::geometry::{Filter, Geometry};
use crate::random::between;

/// Resizes to an exact size, whatever the shape was, as torchvision's `Resize((height, width))`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields, default)]
pub struct Resize {
    /// Width of the result in pixels.
    pub width: usize,
    /// Height of the result in pixels.
    pub height: usize,
}

impl Default for Resize {
    fn default() -> Self {
        Resize {
            width: 224,
            height: 224,
        }
    }
}

impl Augmentation for Resize {
    fn draw(&self, _: &mut ChaCha8Rng, plan: &mut Plan) {
        plan.geometry(Geometry::Resize {
            width: self.width,
            height: self.height,
        });
    }

    fn problems(&self) -> Vec<(String, String)> {
        Problems::default()
            .side("width", self.width)
            .side("height", self.height)
            .0
    }
}

/// Resizes so that the shortest side has a given length, as torchvision's `Resize(size, max_size=...)`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields, default)]
pub struct ResizeShortest {
    /// Length of the shortest side in pixels.
    pub size: usize,
    /// The longest side's limit in pixels; where it is passed, the image becomes smaller than `size`. Without one, it
    /// is 16,384.
    pub longest: Option<usize>,
    /// `bilinear`, or `bicubic` for published weights that say so.
    pub filter: Filter,
}

impl Default for ResizeShortest {
    fn default() -> Self {
        ResizeShortest {
            size: 256,
            longest: None,
            filter: Filter::default(),
        }
    }
}

impl Augmentation for ResizeShortest {
    fn draw(&self, _: &mut ChaCha8Rng, plan: &mut Plan) {
        let [width, height] = plan.size();
        // Rounded down, as torchvision does.
        let scaled = |side: usize, to: usize, from: usize| (side * to / from.max(1)).max(1);
        let (short, long) = (width.min(height), width.max(height));
        let (mut short_new, mut long_new) = (self.size, scaled(long, self.size, short));
        let limit = self.longest.unwrap_or(MAX_SIDE);
        if long_new > limit {
            (short_new, long_new) = (scaled(short_new, limit, long_new), limit);
        }
        let (width, height) = if width <= height {
            (short_new, long_new)
        } else {
            (long_new, short_new)
        };
        plan.geometry(match self.filter {
            Filter::Bilinear => Geometry::Resize { width, height },
            Filter::Bicubic => Geometry::ResizeBicubic { width, height },
        });
    }

    fn problems(&self) -> Vec<(String, String)> {
        let longest = self.longest.unwrap_or(MAX_SIDE);
        let message = format!("{longest} is smaller than the shortest side, {}", self.size);
        Problems::default()
            .side("size", self.size)
            .side("longest", longest)
            .check(longest >= self.size, "longest", message)
            .0
    }
}

/// Resizes so that the shortest side has a length drawn evenly from a range, as torchvision's segmentation reference
/// does (there from 0.5 to 2 times 520).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields, default)]
pub struct RandomResizeShortest {
    /// The least length of the shortest side in pixels.
    pub least: usize,
    /// The greatest length of the shortest side in pixels.
    pub most: usize,
}

impl Default for RandomResizeShortest {
    fn default() -> Self {
        RandomResizeShortest {
            least: 260,
            most: 1040,
        }
    }
}

impl Augmentation for RandomResizeShortest {
    fn draw(&self, rng: &mut ChaCha8Rng, plan: &mut Plan) {
        let size = between(rng, self.least as i64, self.most as i64) as usize;
        let resize = ResizeShortest {
            size,
            longest: None,
            filter: Filter::Bilinear,
        };
        resize.draw(rng, plan);
    }

    fn problems(&self) -> Vec<(String, String)> {
        let message = format!("{} is smaller than least, {}", self.most, self.least);
        Problems::default()
            .side("least", self.least)
            .side("most", self.most)
            .check(self.most >= self.least, "most", message)
            .0
    }
}

/// Resizes as large as fits a frame, keeping the shape, and pads the rest: evenly, as YOLOv5's letterbox does, or to the
/// right and below, as YOLOX' does.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields, default)]
pub struct Letterbox {
    /// Width of the frame in pixels.
    pub width: usize,
    /// Height of the frame in pixels.
    pub height: usize,
    /// Red, green and blue of the padding; a gray image takes the first.
    pub fill: [u8; 3],
    /// Where in the frame the image stands.
    pub placement: Placement,
}

/// Where in a frame an image stands.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Placement {
    /// In the middle; its sides are rounded to the nearest pixel.
    #[default]
    Center,
    /// In the upper left corner; its sides are rounded down, as YOLOX rounds them.
    UpperLeft,
}

impl Default for Letterbox {
    fn default() -> Self {
        Letterbox {
            width: 640,
            height: 640,
            fill: [114; 3],
            placement: Placement::Center,
        }
    }
}

impl Letterbox {
    /// Where an image of `[width, height]` comes to stand: `[x, y, width, height]` within the frame.
    pub fn place(&self, [width, height]: [usize; 2]) -> [usize; 4] {
        let scale = (self.width as f64 / width as f64).min(self.height as f64 / height as f64);
        let side = |length: usize, frame: usize| {
            let length = length as f64 * scale;
            let length = match self.placement {
                Placement::Center => length.round(),
                Placement::UpperLeft => length.floor(),
            };
            (length as usize).clamp(1, frame.max(1))
        };
        let (w, h) = (side(width, self.width), side(height, self.height));
        let free = [self.width.saturating_sub(w), self.height.saturating_sub(h)];
        let [x, y] = match self.placement {
            Placement::Center => free.map(|free| free / 2),
            Placement::UpperLeft => [0, 0],
        };
        [x, y, w, h]
    }
}

impl Augmentation for Letterbox {
    fn draw(&self, _: &mut ChaCha8Rng, plan: &mut Plan) {
        let [x, y, width, height] = self.place(plan.size());
        plan.geometry(Geometry::Resize { width, height });
        plan.geometry(Geometry::Crop {
            x: -(x as i64),
            y: -(y as i64),
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

#[cfg(test)]
mod tests {
    use super::*;

    /// `int(side * min(416 / 427, 416 / 640))` of Python, and what is nearest.
    #[test]
    fn a_corner_is_rounded_down_to_and_the_middle_to_the_nearest() {
        let placed = |placement| {
            let letterbox = Letterbox {
                width: 416,
                height: 416,
                placement,
                ..Letterbox::default()
            };
            letterbox.place([640, 427])
        };
        assert_eq!(placed(Placement::UpperLeft), [0, 0, 416, 277]);
        assert_eq!(placed(Placement::Center), [0, 69, 416, 278]);
    }
}
