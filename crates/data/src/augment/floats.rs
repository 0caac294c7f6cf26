//! Operations on the values of pictures of numbers, where 0 to 1 is what 0 to 255 is of bytes.
//!
//! Definitions are those of torchvision's v2 functions on floating-point images: nothing is rounded, and what leaves 0
//! to 1 is cut off. Pictures of another range they refuse, and so they do what is about bits and histograms.

use super::values::{BT601, Values, turned_hue};
use crate::sample::Image;

/// The largest part of a picture's range that may leave 0 to 1: what interpolation rounds.
const SLACK: f32 = 1e-3;

impl Values {
    /// What a picture of numbers lacks for the operation, if it does.
    pub(super) fn lacks_of_floats(&self, image: &Image<f32>) -> Option<String> {
        let name = self.name();
        match self {
            Values::Posterize(_) | Values::Equalize => {
                return Some(format!(
                    "{name} needs pictures of 8 bits, and this one holds floating-point numbers"
                ));
            }
            Values::AutoContrast => return None,
            _ => {}
        }
        let (low, high) = range(image.pixels.iter());
        let leaves = low < -SLACK || high > 1.0 + SLACK;
        leaves.then(|| {
            format!("{name} needs values from 0 to 1, and this picture holds {low} to {high}")
        })
    }

    /// Changes a picture of numbers in place.
    pub(super) fn change_floats(&self, image: &mut Image<f32>) {
        match *self {
            Values::Brightness(factor) => each(image, |v| v * factor),
            Values::Contrast(factor) => {
                let mean = mean_gray(image) * (1.0 - factor);
                each(image, |v| v * factor + mean);
            }
            Values::Saturation(factor) => each_color(image, |pixel| {
                let gray = luma(pixel) * (1.0 - factor);
                pixel.map(|v| v * factor + gray)
            }),
            Values::Hue(turn) => {
                each_color(image, |pixel| turned_hue(pixel, turn).unwrap_or(pixel))
            }
            Values::Grayscale => each_color(image, |pixel| [luma(pixel); 3]),
            Values::Invert => each(image, |v| 1.0 - v),
            Values::Solarize(threshold) => {
                let threshold = threshold / 255.0;
                each(image, |v| if v >= threshold { 1.0 - v } else { v });
            }
            Values::AutoContrast => {
                for channel in 0..image.channels {
                    let values = || image.pixels.iter().skip(channel).step_by(image.channels);
                    let (low, high) = range(values());
                    if low < high {
                        let (step, scale) = (image.channels, 1.0 / (high - low));
                        let values = image.pixels.iter_mut().skip(channel).step_by(step);
                        values.for_each(|v| *v = ((*v - low) * scale).clamp(0.0, 1.0));
                    }
                }
            }
            Values::Sharpness(factor) => sharpen(image, factor),
            // Refused before.
            Values::Posterize(_) | Values::Equalize => {}
        }
    }
}

fn range<'a>(values: impl Iterator<Item = &'a f32>) -> (f32, f32) {
    values.fold((f32::INFINITY, f32::NEG_INFINITY), |(low, high), v| {
        (low.min(*v), high.max(*v))
    })
}

fn luma([r, g, b]: [f32; 3]) -> f32 {
    r * BT601[0] + g * BT601[1] + b * BT601[2]
}

fn each(image: &mut Image<f32>, change: impl Fn(f32) -> f32) {
    let values = image.pixels.iter_mut();
    values.for_each(|v| *v = change(*v).clamp(0.0, 1.0));
}

fn each_color(image: &mut Image<f32>, change: impl Fn([f32; 3]) -> [f32; 3]) {
    if image.channels == 3 {
        let pixels = image.pixels.as_chunks_mut::<3>().0.iter_mut();
        pixels.for_each(|pixel| *pixel = change(*pixel).map(|v| v.clamp(0.0, 1.0)));
    }
}

fn mean_gray(image: &Image<f32>) -> f32 {
    let sum: f64 = match image.channels {
        3 => {
            let pixels = image.pixels.as_chunks::<3>().0.iter();
            pixels.map(|pixel| f64::from(luma(*pixel))).sum::<f64>() * 3.0
        }
        _ => image.pixels.iter().map(|v| f64::from(*v)).sum(),
    };
    (sum / image.pixels.len() as f64) as f32
}

/// Blends with the picture under 1 1 1, 1 5 1, 1 1 1, divided by 13; the border stays.
fn sharpen(image: &mut Image<f32>, factor: f32) {
    let (width, height, channels) = (image.width, image.height, image.channels);
    if width <= 2 || height <= 2 {
        return;
    }
    let line = width * channels;
    let before = image.pixels.clone();
    for y in 1..height - 1 {
        for i in y * line + channels..(y + 1) * line - channels {
            let row = |at: usize| before[at - channels] + before[at] + before[at + channels];
            let smooth = (row(i - line) + row(i) + row(i + line) + 4.0 * before[i]) / 13.0;
            let value = before[i] * factor + smooth * (1.0 - factor);
            image.pixels[i] = value.clamp(0.0, 1.0);
        }
    }
}
