//! Geometric operations on a whole sample: image, mask and boxes under one map.
//!
//! A [`Canvas`] holds a sample and the operations that have been asked for but not yet computed. Consecutive
//! operations are composed into one [`Map`] and carried out by one resampling, so that a rotation after a random
//! crop costs and blurs no more than either alone:
//! - flips, transposition and crops copy pixels, to the bit;
//! - resizing (with any crops and flips around it) runs the separable filter of [`resize`](mod@self), which is
//!   torchvision's antialiased one;
//! - everything else interpolates bilinearly. Where that would shrink by more than [`PREFILTER`], the image is
//!   first made smaller with the same separable filter, so that no source pixel is left out.
//!
//! Masks take the nearest pixel, by centers, and [`Mask::IGNORE`](crate::Mask::IGNORE) outside; boxes take the hull of what is
//! visible of their mapped rectangle.
//!
//! ```
//! use firesight_data::geometry::{Canvas, Geometry};
//! use firesight_data::{BoxLabel, Image, Sample, Target};
//!
//! let image = Image { width: 3, height: 1, channels: 1, pixels: vec![10, 20, 30] };
//! let xyxy = [0.0, 0.0, 1.0, 1.0];
//! let target = Target::of_boxes(vec![BoxLabel { xyxy, ..Default::default() }]);
//! let mut canvas = Canvas::new(Sample { image: image.into(), target });
//! canvas.push(&Geometry::FlipHorizontal);
//! let Sample { image, target } = canvas.finish();
//! assert_eq!(image.bytes().unwrap().pixels, [30, 20, 10]);
//! assert_eq!(target.objects()[0].xyxy, [2.0, 0.0, 3.0, 1.0]);
//! ```

mod canvas;
mod map;
mod resample;
mod resize;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

pub use canvas::{Canvas, PREFILTER};
pub use map::Map;

/// The filter of a resizing. When shrinking it is widened, so that no source pixel is left out: torchvision's
/// `antialias=True`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Filter {
    /// A triangle of two pixels.
    #[default]
    Bilinear,
    /// Keys' cubic of four pixels with a = -0.5.
    Bicubic,
}

/// One geometric operation, its parameters drawn.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Geometry {
    /// Left becomes right.
    FlipHorizontal,
    /// Top becomes bottom.
    FlipVertical,
    /// Rows become columns: the mirror image on the diagonal from the upper left corner.
    Transpose,
    /// The part of the image from `(x, y)` on; what lies outside the image is filled.
    Crop {
        /// Left edge, in pixels; negative pads.
        x: i64,
        /// Upper edge, in pixels; negative pads.
        y: i64,
        /// Width of the result, at least 1.
        width: usize,
        /// Height of the result, at least 1.
        height: usize,
        /// What stands outside the image.
        fill: [u8; 3],
    },
    /// The whole image at another size.
    Resize {
        /// Width of the result, at least 1.
        width: usize,
        /// Height of the result, at least 1.
        height: usize,
    },
    /// The whole image at another size, by [`Filter::Bicubic`].
    ResizeBicubic {
        /// Width of the result, at least 1.
        width: usize,
        /// Height of the result, at least 1.
        height: usize,
    },
    /// The image moved by a map (from old to new coordinates), on a canvas of the same size.
    Warp {
        /// Where a point goes.
        map: Map,
        /// What stands outside the image.
        fill: [u8; 3],
    },
}

impl Geometry {
    /// The size of the result for an image of `[width, height]`.
    pub fn size_after(&self, size: [usize; 2]) -> [usize; 2] {
        match *self {
            Geometry::Crop { width, height, .. }
            | Geometry::Resize { width, height }
            | Geometry::ResizeBicubic { width, height } => [width.max(1), height.max(1)],
            Geometry::Transpose => [size[1], size[0]],
            _ => size,
        }
    }

    /// The map from old to new coordinates for an image of `[width, height]`.
    pub fn map(&self, [width, height]: [usize; 2]) -> Map {
        let (w, h) = (width as f64, height as f64);
        match *self {
            Geometry::FlipHorizontal => Map::scaling(-1.0, 1.0).then(&Map::translation(w, 0.0)),
            Geometry::FlipVertical => Map::scaling(1.0, -1.0).then(&Map::translation(0.0, h)),
            Geometry::Transpose => Map {
                rows: [[0.0, 1.0, 0.0], [1.0, 0.0, 0.0], [0.0, 0.0, 1.0]],
            },
            Geometry::Crop { x, y, .. } => Map::translation(-x as f64, -y as f64),
            Geometry::Resize { width, height } | Geometry::ResizeBicubic { width, height } => {
                Map::scaling(width.max(1) as f64 / w, height.max(1) as f64 / h)
            }
            Geometry::Warp { map, .. } => map,
        }
    }
}

/// The pixels of `[width, height]` that `map` takes into a mask, each the nearest there, and `outside` beyond it.
pub(crate) fn nearest(
    mask: &crate::target::Mask,
    map: &Map,
    size: [usize; 2],
    outside: u8,
) -> Vec<u8> {
    resample::nearest(
        mask,
        Window::whole(mask.width, mask.height),
        map,
        size,
        outside,
    )
}

/// A rectangle of whole pixels.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Window {
    x: usize,
    y: usize,
    width: usize,
    height: usize,
}

impl Window {
    fn whole(width: usize, height: usize) -> Window {
        Window {
            x: 0,
            y: 0,
            width,
            height,
        }
    }

    /// A part of this window, given relative to it.
    fn part(self, part: Window) -> Window {
        Window {
            x: self.x + part.x,
            y: self.y + part.y,
            ..part
        }
    }

    fn rectangle(self) -> [f64; 4] {
        [
            self.x as f64,
            self.y as f64,
            (self.x + self.width) as f64,
            (self.y + self.height) as f64,
        ]
    }

    fn is_empty(self) -> bool {
        self.width == 0 || self.height == 0
    }
}
