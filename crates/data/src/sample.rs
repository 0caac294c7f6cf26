//! What a dataset yields: a picture in CPU memory and its [`Target`].
//!
//! ```
//! use firesight_data::{Image, Sample, Target};
//!
//! let image = Image { width: 2, height: 1, channels: 3, pixels: vec![255, 0, 0, 0, 0, 255] };
//! let sample = Sample { image: image.into(), target: Target::of_class(4) };
//! assert_eq!(sample.image.bytes().unwrap().pixels[3..], [0, 0, 255]); // the second pixel is blue
//! // Numbers that are no bytes, as a file of 16 bits or of measurements has them:
//! let heights = Image { width: 2, height: 1, channels: 1, pixels: vec![0.25, 812.5] };
//! let sample = Sample { image: heights.into(), target: Target::default() };
//! assert!(sample.image.bytes().is_none());
//! ```

use std::borrow::Cow;
use std::fmt::Debug;

use crate::target::Target;

/// The most channels that an image may have.
pub const MAX_CHANNELS: usize = 64;

/// An image, `height x width x channels`, interleaved (`HWC`), rows from the top.
///
/// Channels are 1 (gray), 3 (RGB), or any other number up to [`MAX_CHANNELS`], whatever they mean. Values are bytes, or
/// numbers of 32 bits of which 0 to 1 is what 0 to 255 is of bytes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Image<T = u8> {
    /// Width in pixels, at least 1.
    pub width: usize,
    /// Height in pixels, at least 1.
    pub height: usize,
    /// From 1 to [`MAX_CHANNELS`].
    pub channels: usize,
    /// `height * width * channels` values.
    pub pixels: Vec<T>,
}

/// What a value of an image may be.
pub trait Value: bytemuck::Pod + Debug + Default + Into<f32> + PartialEq + Send + Sync {
    /// What a model sees as 1.
    const ONE: f32;

    /// What a byte of a color is here.
    fn of_byte(byte: u8) -> Self;

    /// The nearest value there is.
    fn nearest(number: f64) -> Self;
}

impl Value for u8 {
    const ONE: f32 = 255.0;

    fn of_byte(byte: u8) -> Self {
        byte
    }

    fn nearest(number: f64) -> Self {
        number.round() as u8
    }
}

impl Value for f32 {
    const ONE: f32 = 1.0;

    fn of_byte(byte: u8) -> Self {
        f32::from(byte) / 255.0
    }

    fn nearest(number: f64) -> Self {
        number as f32
    }
}

/// An image of either kind of value.
#[derive(Clone, Debug, PartialEq)]
pub enum Picture {
    /// 8 bits, as pictures for the eye have them.
    Bytes(Image),
    /// Numbers: of 16 bits from 0 to 1, or measurements of any range.
    Floats(Image<f32>),
}

/// Does the same with an image of either kind.
macro_rules! with_image {
    ($picture:expr, $image:ident => $then:expr) => {
        match $picture {
            $crate::sample::Picture::Bytes($image) => $then,
            $crate::sample::Picture::Floats($image) => $then,
        }
    };
}
pub(crate) use with_image;

/// Does the same with two images of one kind, and something else where they are of two.
macro_rules! with_images {
    ($one:expr, $other:expr, ($a:ident, $b:ident) => $then:expr, else $otherwise:expr) => {
        match ($one, $other) {
            ($crate::sample::Picture::Bytes($a), $crate::sample::Picture::Bytes($b)) => $then,
            ($crate::sample::Picture::Floats($a), $crate::sample::Picture::Floats($b)) => $then,
            _ => $otherwise,
        }
    };
}
pub(crate) use with_images;

/// A picture and its target.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Sample {
    /// The picture.
    pub image: Picture,
    /// What is known about it.
    pub target: Target,
}

impl Default for Picture {
    fn default() -> Self {
        Picture::Bytes(Image::default())
    }
}

impl From<Image> for Picture {
    fn from(image: Image) -> Self {
        Picture::Bytes(image)
    }
}

impl From<Image<f32>> for Picture {
    fn from(image: Image<f32>) -> Self {
        Picture::Floats(image)
    }
}

impl Picture {
    /// Width and height in pixels.
    pub fn size(&self) -> [usize; 2] {
        with_image!(self, image => [image.width, image.height])
    }

    /// How many channels it has.
    pub fn channels(&self) -> usize {
        with_image!(self, image => image.channels)
    }

    /// How many values it holds.
    pub fn values(&self) -> usize {
        with_image!(self, image => image.pixels.len())
    }

    /// The memory behind its values, in bytes.
    pub fn memory(&self) -> usize {
        with_image!(self, image => size_of_val(&*image.pixels))
    }

    /// The image, if its values are bytes.
    pub fn bytes(&self) -> Option<&Image> {
        match self {
            Picture::Bytes(image) => Some(image),
            Picture::Floats(_) => None,
        }
    }

    /// How many of its values are infinite or not a number.
    pub fn not_finite(&self) -> usize {
        match self {
            Picture::Bytes(_) => 0,
            Picture::Floats(image) => {
                let missing = |value: &&f32| !value.is_finite();
                image.pixels.iter().filter(missing).count()
            }
        }
    }

    /// Why it cannot be a picture, if it cannot.
    pub(crate) fn fault(&self) -> Option<String> {
        let ([width, height], channels, values) = (self.size(), self.channels(), self.values());
        if width == 0 || height == 0 || !(1..=MAX_CHANNELS).contains(&channels) {
            return Some(format!(
                "an image of {width}x{height} with {channels} channels; from 1 to {MAX_CHANNELS} are possible"
            ));
        }
        if values != width * height * channels {
            return Some(format!(
                "an image of {width}x{height}x{channels} with {values} values"
            ));
        }
        match self.not_finite() {
            0 => None,
            1 => Some("a value that is no finite number".into()),
            count => Some(format!("{count} values that are no finite numbers")),
        }
    }

    /// What its values are, for messages.
    pub fn kind(&self) -> &'static str {
        match self {
            Picture::Bytes(_) => "8 bits",
            Picture::Floats(_) => "floating-point numbers",
        }
    }

    /// The picture for the eye: bytes as they are, numbers from 0 to 1 as 0 to 255, and those of any other range
    /// stretched from the least to the greatest. What is not finite is 0.
    pub fn shown(&self) -> Cow<'_, Image> {
        let image = match self {
            Picture::Bytes(image) => return Cow::Borrowed(image),
            Picture::Floats(image) => image,
        };
        let finite = || image.pixels.iter().filter(|value| value.is_finite());
        let (low, high) = (
            finite().copied().fold(f32::INFINITY, f32::min),
            finite().copied().fold(f32::NEG_INFINITY, f32::max),
        );
        let (low, range) = match low >= 0.0 && high <= 1.0 {
            true => (0.0, 1.0),
            false => (low, (high - low).max(f32::MIN_POSITIVE)),
        };
        // What is not a number becomes 0, what is infinite as well.
        let byte = |value: &f32| match value.is_finite() {
            true => ((value - low) / range * 255.0).round() as u8,
            false => 0,
        };
        Cow::Owned(Image {
            width: image.width,
            height: image.height,
            channels: image.channels,
            pixels: image.pixels.iter().map(byte).collect(),
        })
    }
}

impl<T: Value> Image<T> {
    /// One channel of it, as a gray image.
    pub(crate) fn plane(&self, channel: usize) -> Image<T> {
        let values = self.pixels.iter().skip(channel).step_by(self.channels);
        Image {
            channels: 1,
            pixels: values.copied().collect(),
            ..*self
        }
    }

    /// The gray images of one size as the channels of one image.
    pub(crate) fn from_planes(planes: &[Image<T>]) -> Image<T> {
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
pub(crate) fn filling<T: Value>(color: [u8; 3], channels: usize) -> Vec<T> {
    match channels {
        3 => color.map(T::of_byte).to_vec(),
        _ => vec![T::of_byte(color[0]); channels],
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_shown_by_their_range() {
        let shown = |pixels: &[f32]| {
            let image = Image {
                width: pixels.len(),
                height: 1,
                channels: 1,
                pixels: pixels.to_vec(),
            };
            Picture::from(image).shown().pixels.clone()
        };
        assert_eq!(shown(&[0.0, 0.2, 1.0]), [0, 51, 255]);
        assert_eq!(shown(&[-1000.0, 0.0, 3000.0]), [0, 64, 255]);
        assert_eq!(shown(&[2.0, f32::NAN, 4.0, f32::INFINITY]), [0, 0, 255, 0]);
        assert_eq!(shown(&[7.0, 7.0]), [0, 0]);
        assert_eq!(shown(&[f32::NAN]), [0]);
    }
}
