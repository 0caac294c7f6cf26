//! What a dataset yields: an image in CPU memory and what is known about it.
//!
//! ```
//! use firesight_data::{Image, Label, Sample};
//!
//! let image = Image { width: 2, height: 1, channels: 3, pixels: vec![255, 0, 0, 0, 0, 255] };
//! let sample = Sample { image, label: Label::Class(4) };
//! assert_eq!(sample.image.pixels[3..], [0, 0, 255]); // the second pixel is blue
//! ```

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

/// A class index per pixel, `height x width`; [`Mask::IGNORE`] marks pixels without a label.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mask {
    /// Width in pixels.
    pub width: usize,
    /// Height in pixels.
    pub height: usize,
    /// `height * width` class indices.
    pub classes: Vec<u8>,
}

impl Mask {
    /// The class index of a pixel that neither trains nor counts.
    pub const IGNORE: u8 = 255;
}

/// One labelled box: absolute pixels, `x1 y1 x2 y2`, `0 <= x1 < x2 <= width`.
#[derive(Clone, Debug, PartialEq)]
pub struct BoxLabel {
    /// `[x1, y1, x2, y2]`
    pub xyxy: [f32; 4],
    /// Class index from 0; background is not a class.
    pub class: usize,
    /// A region that holds a crowd of the class (COCO's `iscrowd`), not one object.
    pub crowd: bool,
    /// Marked as difficult (Pascal VOC), left out of the score.
    pub difficult: bool,
    /// The share of the box that the object itself covers, 1 unless the dataset says otherwise (COCO's `area`). It
    /// decides between small, medium and large objects in the score.
    pub cover: f32,
}

/// What is known about an image.
#[derive(Clone, Debug, Default, PartialEq)]
pub enum Label {
    /// Nothing.
    #[default]
    None,
    /// One class index from 0.
    Class(usize),
    /// Objects; an empty list is a valid image without any.
    Boxes(Vec<BoxLabel>),
    /// A class per pixel.
    Mask(Mask),
    /// Objects and a class per pixel.
    BoxesAndMask(Vec<BoxLabel>, Mask),
}

/// An image and its label.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Sample {
    /// The picture.
    pub image: Image,
    /// What is known about it.
    pub label: Label,
}
