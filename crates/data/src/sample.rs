//! What a dataset yields: an image in CPU memory and its [`Target`].
//!
//! ```
//! use firesight_data::{Image, Sample, Target};
//!
//! let image = Image { width: 2, height: 1, channels: 3, pixels: vec![255, 0, 0, 0, 0, 255] };
//! let sample = Sample { image, target: Target::of_class(4) };
//! assert_eq!(sample.image.pixels[3..], [0, 0, 255]); // the second pixel is blue
//! ```

use crate::target::Target;

/// The most channels that an image may have.
pub const MAX_CHANNELS: usize = 64;

/// An 8-bit image, `height x width x channels`, interleaved (`HWC`), rows from the top.
///
/// Channels are 1 (gray), 3 (RGB), or any other number up to [`MAX_CHANNELS`], whatever they mean. Every reader of image
/// files gives RGB; datasets that are gray by definition (IDX, digits) give 1; a source of one's own gives what it has.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Image {
    /// Width in pixels, at least 1.
    pub width: usize,
    /// Height in pixels, at least 1.
    pub height: usize,
    /// From 1 to [`MAX_CHANNELS`].
    pub channels: usize,
    /// `height * width * channels` values.
    pub pixels: Vec<u8>,
}

/// An image and its target.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Sample {
    /// The picture.
    pub image: Image,
    /// What is known about it.
    pub target: Target,
}

impl Image {
    /// One channel of it, as a gray image.
    pub(crate) fn plane(&self, channel: usize) -> Image {
        let values = self.pixels.iter().skip(channel).step_by(self.channels);
        Image {
            channels: 1,
            pixels: values.copied().collect(),
            ..*self
        }
    }

    /// The gray images of one size as the channels of one image.
    pub(crate) fn from_planes(planes: &[Image]) -> Image {
        let [width, height] = planes
            .first()
            .map_or([0, 0], |plane| [plane.width, plane.height]);
        let values = |at: usize| planes.iter().map(move |plane| plane.pixels[at]);
        Image {
            width,
            height,
            channels: planes.len(),
            pixels: (0..width * height).flat_map(values).collect(),
        }
    }
}

/// The color of a fill in an image of so many channels: red, green and blue, or the first of them for each channel.
pub(crate) fn filling(color: [u8; 3], channels: usize) -> Vec<u8> {
    match channels {
        3 => color.to_vec(),
        _ => vec![color[0]; channels],
    }
}
