//! From bytes to the numbers that a model sees. This happens here and nowhere else.
//!
//! ```
//! use firesight_data::Image;
//! use firesight_data::normalize::Normalize;
//!
//! let image = Image { width: 1, height: 1, channels: 1, pixels: vec![255] };
//! let normalize = Normalize { mean: vec![0.5], std: vec![0.25] };
//! assert_eq!(normalize.apply(&image), [2.0]);
//! ```

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::sample::Image;

/// `(value / 255 - mean) / std` for each channel.
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
            if !matches!(list.len(), 1 | 3) {
                problems.push((
                    key.to_string(),
                    format!("{} numbers; 1 or one for each of 3 channels", list.len()),
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

    /// The normalised value of each byte, for each channel.
    pub(crate) fn tables(&self, channels: usize) -> Vec<[f32; 256]> {
        let of = |list: &[f32], c: usize| if list.len() == 1 { list[0] } else { list[c] };
        let table = |c| {
            let mut table = [0.0; 256];
            let (mean, std) = (of(&self.mean, c), of(&self.std, c));
            table
                .iter_mut()
                .enumerate()
                .for_each(|(byte, value)| *value = (byte as f32 / 255.0 - mean) / std);
            table
        };
        (0..channels).map(table).collect()
    }

    /// The normalised image as `[C, H, W]`.
    ///
    /// # Panics
    /// Where [`Normalize::fits`] says no.
    pub fn apply(&self, image: &Image) -> Vec<f32> {
        let mut values = Vec::with_capacity(image.pixels.len());
        write_planes(image, &self.tables(image.channels), &mut values);
        values
    }
}

/// Appends an image, sent through its tables, as planes: `[H, W, C]` bytes as `[C, H, W]` numbers.
pub(crate) fn write_planes(image: &Image, tables: &[[f32; 256]], values: &mut Vec<f32>) {
    match tables {
        [only] => values.extend(image.pixels.iter().map(|&byte| only[usize::from(byte)])),
        _ => {
            // A plane at a time: the image is in the cache, and nothing is written twice.
            let (pixels, _) = image.pixels.as_chunks::<3>();
            for (c, table) in tables.iter().enumerate().take(3) {
                values.extend(pixels.iter().map(|pixel| table[usize::from(pixel[c])]));
            }
        }
    }
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
        .apply(&image);
        let expected = [0.0, 0.4, 0.0, 0.3, 1.0, 0.2];
        assert!(
            values
                .iter()
                .zip(expected)
                .all(|(a, b): (&f32, f32)| (a - b).abs() < 1e-6),
            "{values:?}"
        );
        let grey = Image {
            width: 2,
            height: 1,
            channels: 1,
            pixels: vec![0, 255],
        };
        assert_eq!(Normalize::default().apply(&grey), [0.0, 1.0]);
    }

    #[test]
    fn problems_are_named() {
        let bad = Normalize {
            mean: vec![0.0, 1.0],
            std: vec![0.0],
        };
        let keys: Vec<_> = bad.problems().into_iter().map(|(key, _)| key).collect();
        assert_eq!(keys, ["mean", "std"]);
        assert!(Normalize::imagenet().problems().is_empty());
        assert!(Normalize::default().fits(3) && !Normalize::imagenet().fits(1));
    }
}
