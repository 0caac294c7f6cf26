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

/// An 8-bit image, `height x width x channels`, interleaved (`HWC`), rows from the top.
///
/// Channels are 1 (grey) or 3 (RGB). Every reader of image files gives RGB; datasets that are grey by
/// definition (IDX, digits) give 1.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Image {
    /// Width in pixels, at least 1.
    pub width: usize,
    /// Height in pixels, at least 1.
    pub height: usize,
    /// 1 or 3.
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
