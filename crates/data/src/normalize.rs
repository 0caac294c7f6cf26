//! From the values of a picture to the numbers that a model sees. This happens here and nowhere else.
//!
//! ```
//! use firesight_data::Image;
//! use firesight_data::normalize::Normalize;
//!
//! let image = Image { width: 1, height: 1, channels: 1, pixels: vec![255] };
//! let normalize = Normalize { mean: vec![0.5], std: vec![0.25] };
//! assert_eq!(normalize.apply(&image.into()), [2.0]);
//! ```

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::sample::{Image, MAX_CHANNELS, Picture, Value, with_image};

/// `(value / 255 - mean) / std` for each channel of bytes, `(value - mean) / std` of numbers.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields, default)]
pub struct Normalize {
    /// Mean of each channel on values scaled to 0..1; a single number holds for all channels.
    pub mean: Vec<f32>,
    /// Standard deviation of each channel on values scaled to 0..1; a single number holds for all channels.
    pub std: Vec<f32>,
}

impl Default for Normalize {
    /// Scales to 0..1 and leaves it at that.
    fn default() -> Self {
        Normalize {
            mean: vec![0.0],
            std: vec![1.0],
        }
    }
}

impl Normalize {
    /// The statistics of ImageNet that torchvision's weights were trained with.
    pub fn imagenet() -> Normalize {
        Normalize {
            mean: vec![0.485, 0.456, 0.406],
            std: vec![0.229, 0.224, 0.225],
        }
    }

    /// What is wrong with the settings: key and message.
    pub fn problems(&self) -> Vec<(String, String)> {
        let mut problems = Vec::new();
        for (key, list) in [("mean", &self.mean), ("std", &self.std)] {
            if !(1..=MAX_CHANNELS).contains(&list.len()) {
                problems.push((
                    key.to_string(),
                    format!("{} numbers; 1, or one for each channel", list.len()),
                ));
            }
            if list.iter().any(|v| !v.is_finite()) {
                problems.push((
                    key.to_string(),
                    "holds a number that is not finite".to_string(),
                ));
            }
        }
        if self.std.iter().any(|&v| v <= 0.0) {
            problems.push((
                "std".to_string(),
                "holds a number that is not above 0".to_string(),
            ));
        }
        problems
    }

    /// Whether the settings serve images of `channels` channels.
    pub fn fits(&self, channels: usize) -> bool {
        [&self.mean, &self.std]
            .iter()
            .all(|list| list.len() == 1 || list.len() == channels)
    }

    /// Factor and summand that take a value to its normalised one, for each channel.
    fn lines<T: Value>(&self, channels: usize) -> Vec<Line> {
        let of =
            |list: &[f32], c: usize| f64::from(if list.len() == 1 { list[0] } else { list[c] });
        let line = |c| {
            let (mean, std) = (of(&self.mean, c), of(&self.std, c));
            Line {
                scale: (1.0 / (f64::from(T::ONE) * std)) as f32,
                shift: (-mean / std) as f32,
            }
        };
        (0..channels).map(line).collect()
    }

    /// The normalised image as `[C, H, W]`.
    ///
    /// # Panics
    /// Where [`Normalize::fits`] says no.
    pub fn apply(&self, picture: &Picture) -> Vec<f32> {
        let mut values = Vec::with_capacity(picture.values());
        self.write(picture, &mut values);
        values
    }

    /// Appends a picture as normalised planes, `[C, H, W]`.
    pub(crate) fn write(&self, picture: &Picture, values: &mut Vec<f32>) {
        with_image!(picture, image => self.write_planes(image, values));
    }

    fn write_planes<T: Value>(&self, image: &Image<T>, values: &mut Vec<f32>) {
        // Compiled for the vectors of several processors, of which this one's best are taken.
        pulp::Arch::new().dispatch(Planes {
            pixels: &image.pixels,
            lines: &self.lines::<T>(image.channels),
            values,
        });
    }
}

/// A normalised value is `scale * value + shift`.
#[derive(Clone, Copy, Debug)]
struct Line {
    scale: f32,
    shift: f32,
}

impl Line {
    #[inline(always)]
    fn at(self, value: impl Into<f32>) -> f32 {
        self.scale * value.into() + self.shift
    }
}

/// `[H, W, C]` values to be appended as `[C, H, W]` numbers, one line a channel.
struct Planes<'a, T> {
    pixels: &'a [T],
    lines: &'a [Line],
    values: &'a mut Vec<f32>,
}

impl<T: Value> pulp::WithSimd for Planes<'_, T> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: pulp::Simd>(self, _: S) {
        match self.lines {
            [only] => write_plane(self.pixels.as_chunks::<1>().0, 0, *only, self.values),
            // A plane at a time: the image is in the cache, and nothing is written twice.
            [_, _, _] => {
                let pixels = self.pixels.as_chunks::<3>().0;
                for (channel, line) in self.lines.iter().enumerate() {
                    write_plane(pixels, channel, *line, self.values);
                }
            }
            lines => {
                for (channel, line) in lines.iter().enumerate() {
                    let plane = self.pixels.iter().skip(channel).step_by(lines.len());
                    self.values.extend(plane.map(|value| line.at(*value)));
                }
            }
        }
    }
}

/// Appends one channel.
#[inline(always)]
fn write_plane<const C: usize, T: Value>(
    pixels: &[[T; C]],
    channel: usize,
    line: Line,
    values: &mut Vec<f32>,
) {
    const BLOCK: usize = 64;
    let (blocks, rest) = pixels.as_chunks::<BLOCK>();
    for block in blocks {
        let mut normalised = [0.0; BLOCK];
        for (value, pixel) in normalised.iter_mut().zip(block) {
            *value = line.at(pixel[channel]);
        }
        values.extend_from_slice(&normalised);
    }
    values.extend(rest.iter().map(|pixel| line.at(pixel[channel])));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn planes_and_values() {
        let image = Image {
            width: 2,
            height: 1,
            channels: 3,
            pixels: vec![0, 51, 255, 102, 204, 153],
        };
        let values = Normalize {
            mean: vec![0.0, 0.2, 0.5],
            std: vec![1.0, 2.0, 0.5],
        }
        .apply(&image.into());
        let expected = [0.0, 0.4, 0.0, 0.3, 1.0, 0.2];
        assert!(
            values
                .iter()
                .zip(expected)
                .all(|(a, b): (&f32, f32)| (a - b).abs() < 1e-6),
            "{values:?}"
        );
        let gray = Image {
            width: 2,
            height: 1,
            channels: 1,
            pixels: vec![0, 255],
        };
        assert_eq!(Normalize::default().apply(&gray.into()), [0.0, 1.0]);
        let two = Image {
            width: 2,
            height: 1,
            channels: 2,
            pixels: vec![0, 255, 255, 51],
        };
        let each = Normalize {
            mean: vec![0.0, 0.2],
            std: vec![1.0, 0.5],
        };
        let values = each.apply(&two.into());
        let expected = [0.0, 1.0, 1.6, 0.0];
        let near = |(a, b): (&f32, f32)| (a - b).abs() < 1e-6;
        assert!(values.iter().zip(expected).all(near), "{values:?}");
        // Numbers are what they are.
        let heights = Image {
            width: 2,
            height: 1,
            channels: 2,
            pixels: vec![-3.0, 0.2, 700.0, 1.2],
        };
        assert_eq!(each.apply(&heights.into()), [-3.0, 700.0, 0.0, 2.0]);
    }

    #[test]
    fn problems_are_named() {
        let bad = Normalize {
            mean: vec![],
            std: vec![0.0],
        };
        let keys: Vec<_> = bad.problems().into_iter().map(|(key, _)| key).collect();
        assert_eq!(keys, ["mean", "std"]);
        assert!(Normalize::imagenet().problems().is_empty());
        assert!(Normalize::default().fits(3) && !Normalize::imagenet().fits(1));
    }
}
