//! Augmentations for detection: crops that keep an overlap with some object, zooming out, scale jitter. Photometric
//! distortion is [`ColorJitter`](super::ColorJitter).

use rand_chacha::ChaCha8Rng;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Augmentation, MAX_SIDE, Plan, Problems};
use crate::geometry::Geometry;
use crate::random::{below, between, coin, uniform};

/// Cuts a piece out whose IoU with some object is at least a drawn bound (Liu et al. 2015, "SSD", section 2.2;
/// torchvision's `RandomIoUCrop`). Objects whose center falls outside go. An image without objects stays whole.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields, default)]
pub struct IouCrop {
    /// Smallest and largest side of the piece, as a share of the image's.
    pub scale: [f64; 2],
    /// Smallest and largest width over height of the piece's shape, relative to the image's.
    pub aspect: [f64; 2],
    /// The bounds that are drawn from; one above 1 leaves the image whole.
    pub bounds: Vec<f64>,
    /// Pieces that are tried before another bound is drawn.
    pub trials: usize,
}

impl Default for IouCrop {
    fn default() -> Self {
        IouCrop {
            scale: [0.3, 1.0],
            aspect: [0.5, 2.0],
            bounds: vec![0.0, 0.1, 0.3, 0.5, 0.7, 0.9, 1.1],
            trials: 40,
        }
    }
}

/// Bounds that are drawn before the image stays whole.
const BOUNDS_TRIED: usize = 20;

impl Augmentation for IouCrop {
    fn draw(&self, rng: &mut ChaCha8Rng, plan: &mut Plan) {
        let boxes: Vec<[f64; 4]> = plan.boxes().collect();
        if boxes.is_empty() || self.bounds.is_empty() {
            return;
        }
        let [width, height] = plan.size();
        for _ in 0..BOUNDS_TRIED {
            let bound = self.bounds[below(rng, self.bounds.len())];
            if bound > 1.0 {
                return;
            }
            for _ in 0..self.trials {
                let mut side = |length: usize| {
                    let share = uniform(rng, self.scale[0], self.scale[1]);
                    ((length as f64 * share) as usize).clamp(1, length)
                };
                let (w, h) = (side(width), side(height));
                let aspect = w as f64 / h as f64 * (height as f64 / width as f64);
                if aspect < self.aspect[0] || aspect > self.aspect[1] {
                    continue;
                }
                let x = between(rng, 0, (width - w) as i64);
                let y = between(rng, 0, (height - h) as i64);
                let piece = [
                    x as f64,
                    y as f64,
                    (x + w as i64) as f64,
                    (y + h as i64) as f64,
                ];
                let centered = boxes.iter().filter(|b| holds_center(&piece, b));
                let best = centered
                    .map(|b| iou(&piece, b))
                    .fold(None, |best: Option<f64>, v| {
                        Some(best.map_or(v, |best| best.max(v)))
                    });
                if best.is_none_or(|best| best < bound) {
                    continue;
                }
                plan.retain_boxes(|b| holds_center(&piece, &b));
                plan.geometry(Geometry::Crop {
                    x,
                    y,
                    width: w,
                    height: h,
                    fill: [0; 3],
                });
                return;
            }
        }
    }

    fn problems(&self) -> Vec<(String, String)> {
        let right =
            !self.bounds.is_empty() && self.bounds.iter().all(|bound| (0.0..=2.0).contains(bound));
        Problems::default()
            .range("scale", self.scale, 0.01, 1.0)
            .range("aspect", self.aspect, 0.01, 100.0)
            .check(
                right,
                "bounds",
                format!(
                    "{:?}: at least one number is needed, all from 0 to 2",
                    self.bounds
                ),
            )
            .check(
                (1..=1000).contains(&self.trials),
                "trials",
                format!("{} is not from 1 to 1000", self.trials),
            )
            .0
    }
}

fn holds_center(piece: &[f64; 4], b: &[f64; 4]) -> bool {
    let center = [(b[0] + b[2]) / 2.0, (b[1] + b[3]) / 2.0];
    (0..2).all(|i| piece[i] < center[i] && center[i] < piece[i + 2])
}

fn iou(a: &[f64; 4], b: &[f64; 4]) -> f64 {
    let side = |i: usize| (a[i + 2].min(b[i + 2]) - a[i].max(b[i])).max(0.0);
    let area = |b: &[f64; 4]| (b[2] - b[0]) * (b[3] - b[1]);
    let intersection = side(0) * side(1);
    intersection / (area(a) + area(b) - intersection)
}

/// Puts the image somewhere on a larger canvas, so that objects become smaller (SSD; torchvision's `RandomZoomOut`).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields, default)]
pub struct ZoomOut {
    /// Smallest and largest factor of the sides, from 1 on.
    pub factor: [f64; 2],
    /// Red, green and blue of the canvas; a gray image takes the first.
    pub fill: [u8; 3],
    /// How many of the images are zoomed, from 0 to 1.
    pub probability: f64,
}

impl Default for ZoomOut {
    fn default() -> Self {
        ZoomOut {
            factor: [1.0, 4.0],
            fill: [124, 116, 104],
            probability: 0.5,
        }
    }
}

impl Augmentation for ZoomOut {
    fn draw(&self, rng: &mut ChaCha8Rng, plan: &mut Plan) {
        if !coin(rng, self.probability) {
            return;
        }
        let factor = uniform(rng, self.factor[0], self.factor[1]);
        let [width, height] = plan.size();
        let large = |side: usize| ((side as f64 * factor) as usize).clamp(side, MAX_SIDE.max(side));
        let (w, h) = (large(width), large(height));
        plan.geometry(Geometry::Crop {
            x: -between(rng, 0, (w - width) as i64),
            y: -between(rng, 0, (h - height) as i64),
            width: w,
            height: h,
            fill: self.fill,
        });
    }

    fn problems(&self) -> Vec<(String, String)> {
        Problems::default()
            .range("factor", self.factor, 1.0, 16.0)
            .probability(self.probability)
            .0
    }
}

/// Resizes the image to a drawn share of what fits a frame and cuts or pads it to the frame at a random place
/// (Ghiasi et al. 2020, "large scale jitter"; torchvision's `ScaleJitter` and `FixedSizeCrop`).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields, default)]
pub struct ScaleJitter {
    /// Width of the result in pixels.
    pub width: usize,
    /// Height of the result in pixels.
    pub height: usize,
    /// Smallest and largest size of the image; at 1 it just fits the frame.
    pub scale: [f64; 2],
    /// Red, green and blue of the padding; a gray image takes the first.
    pub fill: [u8; 3],
}

impl Default for ScaleJitter {
    fn default() -> Self {
        ScaleJitter {
            width: 640,
            height: 640,
            scale: [0.5, 1.5],
            fill: [124, 116, 104],
        }
    }
}

impl Augmentation for ScaleJitter {
    fn draw(&self, rng: &mut ChaCha8Rng, plan: &mut Plan) {
        let [width, height] = plan.size().map(|side| side as f64);
        let fits = (self.width as f64 / width).min(self.height as f64 / height);
        let scale = fits * uniform(rng, self.scale[0], self.scale[1]);
        let [w, h] =
            [width, height].map(|side| ((side * scale).round() as usize).clamp(1, MAX_SIDE));
        plan.geometry(Geometry::Resize {
            width: w,
            height: h,
        });
        let mut start = |length: usize, wanted: usize| {
            let room = length as i64 - wanted as i64;
            between(rng, room.min(0), room.max(0))
        };
        let (x, y) = (start(w, self.width), start(h, self.height));
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
            .range("scale", self.scale, 0.05, 8.0)
            .0
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::augment::{Augment, Pipeline};
    use crate::random::{Domain, stream};
    use crate::sample::{Image, Sample};
    use crate::target::{BoxLabel, Target};

    /// A picture of 60x40 whose boxes are white on black, one after the other.
    fn sample(boxes: &[[usize; 4]]) -> Sample {
        let inside = |x: usize, y: usize| {
            boxes
                .iter()
                .any(|b| (b[0]..b[2]).contains(&x) && (b[1]..b[3]).contains(&y))
        };
        let pixels = (0..60 * 40)
            .map(|i| if inside(i % 60, i / 60) { 255 } else { 0 })
            .collect();
        let label = |b: &[usize; 4]| BoxLabel {
            xyxy: b.map(|v| v as f32),
            class: 0,
            ..BoxLabel::default()
        };
        Sample {
            image: Image {
                width: 60,
                height: 40,
                channels: 1,
                pixels,
            }
            .into(),
            target: Target::of_boxes(boxes.iter().map(label).collect()),
        }
    }

    fn boxes(sample: &Sample) -> Vec<[f32; 4]> {
        let boxes = sample.target.boxes.as_ref().unwrap();
        boxes.iter().map(|label| label.xyxy).collect()
    }

    fn tries(augment: Augment, sample: &Sample, mut look: impl FnMut(Sample)) {
        let pipeline = Pipeline::new(vec![augment]);
        assert_eq!(pipeline.problems(), []);
        for draw in 0..200 {
            look(
                pipeline
                    .apply(sample.clone(), &mut stream(5, 0, draw, Domain::Sample))
                    .unwrap(),
            );
        }
    }

    #[test]
    fn a_piece_keeps_the_overlap_that_was_asked_for() {
        let original = sample(&[[10, 5, 40, 30]]);
        let crop = IouCrop {
            bounds: vec![0.5],
            ..IouCrop::default()
        };
        let mut cut = 0;
        tries(Augment::IouCrop(crop), &original, |result| {
            let [width, height] = result.image.size();
            cut += usize::from((width, height) != (60, 40));
            let [found] = boxes(&result)[..] else {
                panic!("the box is gone")
            };
            let area = (found[2] - found[0]) * (found[3] - found[1]);
            let union = (width * height) as f32 + 30.0 * 25.0 - area;
            assert!(
                (width, height) == (60, 40) || area / union >= 0.5,
                "{found:?} in {width}x{height}"
            );
        });
        assert!(cut > 150, "{cut} of 200 were cut");
        tries(
            Augment::IouCrop(IouCrop::default()),
            &sample(&[]),
            |result| {
                assert_eq!(result.image.size(), [60, 40]);
            },
        );
    }

    #[test]
    fn objects_with_their_center_outside_go() {
        let original = sample(&[[2, 2, 12, 12], [40, 20, 58, 38]]);
        let crop = IouCrop {
            bounds: vec![0.0],
            scale: [0.3, 0.6],
            ..IouCrop::default()
        };
        let (mut one, mut two) = (0, 0);
        tries(Augment::IouCrop(crop), &original, |result| {
            let found = boxes(&result);
            assert!(!found.is_empty());
            one += usize::from(found.len() == 1);
            two += usize::from(found.len() == 2);
            for [x1, y1, x2, y2] in found {
                let all_white = (y1 as usize..y2 as usize).all(|y| {
                    (x1 as usize..x2 as usize).all(|x| {
                        result.image.bytes().unwrap().pixels[y * result.image.size()[0] + x] == 255
                    })
                });
                assert!(all_white, "a box must lie on its object");
            }
        });
        assert!(one > 100, "{one} with one object, {two} with two");
    }

    #[test]
    fn zooming_out_moves_boxes_with_the_image() {
        let original = sample(&[[10, 5, 40, 30]]);
        let zoom = ZoomOut {
            probability: 1.0,
            fill: [0; 3],
            ..ZoomOut::default()
        };
        let mut sizes = Vec::new();
        tries(Augment::ZoomOut(zoom), &original, |result| {
            let [found] = boxes(&result)[..] else {
                panic!()
            };
            assert_eq!([found[2] - found[0], found[3] - found[1]], [30.0, 25.0]);
            let at = found[1] as usize * result.image.size()[0] + found[0] as usize;
            assert_eq!(result.image.bytes().unwrap().pixels[at], 255);
            assert_eq!(result.image.bytes().unwrap().pixels[at - 1], 0);
            sizes.push(result.image.size()[0]);
        });
        assert!(sizes.iter().min() < Some(&80) && sizes.iter().max() > Some(&200));
    }

    #[test]
    fn jitter_gives_one_size_and_drops_what_is_hardly_visible() {
        let original = sample(&[[0, 0, 60, 40], [0, 0, 4, 4]]);
        let jitter = ScaleJitter {
            width: 30,
            height: 30,
            scale: [2.0, 4.0],
            fill: [0; 3],
        };
        let mut large = 0;
        tries(Augment::ScaleJitter(jitter), &original, |result| {
            assert_eq!(result.image.size(), [30, 30]);
            large += boxes(&result)
                .iter()
                .filter(|b| **b == [0.0, 0.0, 30.0, 30.0])
                .count();
        });
        // The whole image is visible to a quarter at a scale of about 2.6, and the frame is filled from 1.5 on.
        assert!((1..150).contains(&large), "{large}");
    }
}
