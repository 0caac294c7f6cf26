//! Four pictures around a point.

use std::ops::Range;

use rand_chacha::ChaCha8Rng;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Combination, Settings, fitted, laid, of_two_kinds};
use crate::augment::MAX_SIDE;
use crate::error::DataError;
use crate::random::{coin, uniform};
use crate::sample::{Image, Sample, Value, filling, with_image, with_images};
use crate::target::{Mask, Target};

/// The sample and three others around a random point of a frame, each with its inner corner there (Bochkovskiy et al.,
/// "YOLOv4", 2020). What leaves the frame is cut off, what no picture covers is filled.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields, default)]
pub struct Mosaic {
    /// Width of the frame in pixels.
    pub width: usize,
    /// Height of the frame in pixels.
    pub height: usize,
    /// How many of the samples become mosaics, from 0 to 1.
    pub probability: f64,
    /// The point that the pictures meet at, as the smallest and the largest share of width and height.
    pub center: [f64; 2],
    /// Smallest and largest size of a picture, as a share of what fits the frame.
    pub scale: [f64; 2],
    /// Red, green and blue where no picture is; a gray image takes the first.
    pub fill: [u8; 3],
}

impl Default for Mosaic {
    fn default() -> Self {
        Mosaic {
            width: 640,
            height: 640,
            probability: 1.0,
            center: [0.25, 0.75],
            scale: [0.5, 1.0],
            fill: [114; 3],
        }
    }
}

impl Combination for Mosaic {
    fn partners(&self, rng: &mut ChaCha8Rng) -> usize {
        if coin(rng, self.probability) { 3 } else { 0 }
    }

    fn combine(
        &self,
        sample: Sample,
        partners: Vec<Sample>,
        rng: &mut ChaCha8Rng,
    ) -> Result<Sample, DataError> {
        let frame = [self.width, self.height];
        let [low, high] = self.center;
        let [x, y] = frame.map(|side| (uniform(rng, low, high) * side as f64).round() as usize);
        let blank = with_image!(&sample.image, image => blank_as(image, frame, self.fill).into());
        let all = || std::iter::once(&sample).chain(&partners);
        let classes = vec![Mask::IGNORE; self.width * self.height];
        let mut combined = Sample {
            image: blank,
            target: Target {
                classes: None,
                boxes: all().all(|s| s.target.boxes.is_some()).then(Vec::new),
                mask: all().all(|s| s.target.mask.is_some()).then_some(Mask {
                    width: self.width,
                    height: self.height,
                    classes,
                }),
            },
        };
        for (number, sample) in std::iter::once(sample).chain(partners).enumerate() {
            let size = sample.image.size();
            let [w, h] = fitted(size, frame, uniform(rng, self.scale[0], self.scale[1]));
            // Upper left, upper right, lower left, lower right.
            let (right, below) = (number % 2 == 1, number / 2 == 1);
            let corner = |far: bool, at: usize, side: usize| match far {
                true => at as i64,
                false => at as i64 - side as i64,
            };
            let at = [corner(right, x, w), corner(below, y, h)];
            let laid = laid(sample, [w, h], at, frame, self.fill)?;
            let span = |far: bool, at: usize, side: usize| if far { at..side } else { 0..at };
            let (columns, rows) = (span(right, x, self.width), span(below, y, self.height));
            with_images!(
                &mut combined.image, &laid.image,
                (image, own) => copy(&mut image.pixels, &own.pixels, self.width * own.channels,
                    columns.start * own.channels..columns.end * own.channels, rows.clone()),
                else return Err(of_two_kinds())
            );
            if let (Some(mask), Some(own)) = (&mut combined.target.mask, &laid.target.mask) {
                copy(&mut mask.classes, &own.classes, self.width, columns, rows);
            }
            if let Some(boxes) = &mut combined.target.boxes {
                boxes.extend(laid.target.boxes.into_iter().flatten());
            }
        }
        Ok(combined)
    }

    fn problems(&self) -> Vec<(String, String)> {
        let mut settings = Settings(Vec::new())
            .share("probability", self.probability)
            .range("center", self.center, 0.0, 1.0)
            .range("scale", self.scale, 0.05, 4.0);
        for (key, side) in [("width", self.width), ("height", self.height)] {
            if !(1..=MAX_SIDE).contains(&side) {
                let message = format!("{side} pixels; from 1 to {MAX_SIDE} are possible");
                settings.0.push((key.to_owned(), message));
            }
        }
        settings.0
    }
}

/// An image of one color with the channels of another.
fn blank_as<T: Value>(like: &Image<T>, [width, height]: [usize; 2], fill: [u8; 3]) -> Image<T> {
    Image {
        width,
        height,
        channels: like.channels,
        pixels: filling(fill, like.channels).repeat(width * height),
    }
}

/// Copies a rectangle between buffers whose lines have `line` values.
fn copy<T: Copy>(to: &mut [T], from: &[T], line: usize, columns: Range<usize>, rows: Range<usize>) {
    for row in rows {
        let span = row * line + columns.start..row * line + columns.end;
        to[span.clone()].copy_from_slice(&from[span]);
    }
}
