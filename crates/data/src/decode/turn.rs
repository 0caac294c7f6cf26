//! How a picture's EXIF orientation turns it, for what is known about the picture in the frame that it is stored in.
//!
//! ```
//! use firesight_data::decode::turn::Turn;
//!
//! let turn = Turn::from_exif(6); // shown after a quarter turn to the right
//! assert_eq!(turn.shown([60, 40]), [40, 60]);
//! assert_eq!(turn.stored([40, 60]), [60, 40]);
//! assert_eq!(turn.xyxy([2.0, 2.0, 22.0, 12.0], [60, 40]), [28.0, 2.0, 38.0, 22.0]);
//! ```

use image::metadata::Orientation;
use image::{ImageBuffer, Luma};

use crate::target::Mask;

/// The turn or reflection between a picture as it is stored and as it is shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Turn(Orientation);

impl Turn {
    /// No turn: the picture is shown as it is stored.
    pub const NONE: Self = Self(Orientation::NoTransforms);

    /// The turn of an EXIF orientation from 1 to 8; none for other numbers.
    pub fn from_exif(number: u8) -> Self {
        Self(Orientation::from_exif(number).unwrap_or(Orientation::NoTransforms))
    }

    /// The turn that EXIF data asks for. Some writers put JPEG's prefix before the EXIF data of other formats too.
    pub(super) fn of(exif: &[u8]) -> Self {
        Self(Self::orientation(exif))
    }

    /// As [`Self::of`], in the `image` crate's words.
    pub(super) fn orientation(exif: &[u8]) -> Orientation {
        let inner = exif.strip_prefix(b"Exif\0\0").unwrap_or(exif);
        Orientation::from_exif_chunk(inner).unwrap_or(Orientation::NoTransforms)
    }

    pub(super) fn new(orientation: Orientation) -> Self {
        Self(orientation)
    }

    /// Whether the picture is shown as it is stored.
    pub fn is_none(self) -> bool {
        self == Self::NONE
    }

    /// Whether width and height change places.
    fn swaps(self) -> bool {
        use Orientation::{Rotate90, Rotate90FlipH, Rotate270, Rotate270FlipH};
        matches!(
            self.0,
            Rotate90 | Rotate270 | Rotate90FlipH | Rotate270FlipH
        )
    }

    /// Width and height as shown, of a picture stored with this width and height.
    pub fn shown(self, [width, height]: [usize; 2]) -> [usize; 2] {
        match self.swaps() {
            true => [height, width],
            false => [width, height],
        }
    }

    /// Width and height as stored, of a picture shown with this width and height.
    pub fn stored(self, shown: [usize; 2]) -> [usize; 2] {
        self.shown(shown)
    }

    /// A box `x1 y1 x2 y2` of the picture as shown, from one of the picture as stored with this width and height.
    pub fn xyxy(self, [x1, y1, x2, y2]: [f64; 4], [width, height]: [usize; 2]) -> [f64; 4] {
        let (w, h) = (width as f64, height as f64);
        match self.0 {
            Orientation::NoTransforms => [x1, y1, x2, y2],
            Orientation::FlipHorizontal => [w - x2, y1, w - x1, y2],
            Orientation::FlipVertical => [x1, h - y2, x2, h - y1],
            Orientation::Rotate180 => [w - x2, h - y2, w - x1, h - y1],
            Orientation::Rotate90 => [h - y2, x1, h - y1, x2],
            Orientation::Rotate270 => [y1, w - x2, y2, w - x1],
            // Along one diagonal and the other.
            Orientation::Rotate90FlipH => [y1, x1, y2, x2],
            Orientation::Rotate270FlipH => [h - y2, w - x2, h - y1, w - x1],
        }
    }

    /// A mask of the picture as shown, from one of the picture as stored.
    pub fn mask(self, mask: Mask) -> Mask {
        let ([width, height], classes) = self.plane([mask.width, mask.height], mask.classes);
        Mask {
            width,
            height,
            classes,
        }
    }

    /// The values of the picture as shown with its width and height, from those of the picture as stored, row by row.
    pub(super) fn plane<T>(self, size: [usize; 2], values: Vec<T>) -> ([usize; 2], Vec<T>)
    where
        T: image::Primitive + 'static,
        Luma<T>: image::Pixel<Subpixel = T>,
    {
        use Orientation as O;
        use image::imageops::{
            flip_horizontal_in_place, flip_vertical_in_place, rotate90, rotate180_in_place,
            rotate270,
        };
        let [width, height] = size.map(|side| side as u32);
        let plane = ImageBuffer::<Luma<T>, _>::from_raw(width, height, values);
        let mut plane = plane.expect("a plane has a value for each pixel");
        match self.0 {
            O::NoTransforms => {}
            O::FlipHorizontal => flip_horizontal_in_place(&mut plane),
            O::FlipVertical => flip_vertical_in_place(&mut plane),
            O::Rotate180 => rotate180_in_place(&mut plane),
            O::Rotate90 | O::Rotate90FlipH => plane = rotate90(&plane),
            O::Rotate270 | O::Rotate270FlipH => plane = rotate270(&plane),
        }
        if matches!(self.0, O::Rotate90FlipH | O::Rotate270FlipH) {
            flip_horizontal_in_place(&mut plane);
        }
        let shown = [plane.width() as usize, plane.height() as usize];
        (shown, plane.into_raw())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A marked box of a mask must lie where the turned box says, for every orientation. That the mask is turned as the
    /// picture is follows from both going through the same function; the decoder's tests compare that with cameras'
    /// files.
    #[test]
    fn boxes_go_where_the_pixels_go() {
        let (size, [x1, y1, x2, y2]) = ([7, 5], [1, 2, 4, 4]);
        let [width, height] = size;
        let inside = |i: usize| (x1..x2).contains(&(i % width)) && (y1..y2).contains(&(i / width));
        let classes: Vec<u8> = (0..width * height).map(|i| u8::from(inside(i))).collect();
        for number in 0..=9 {
            let turn = Turn::from_exif(number);
            let mask = turn.mask(Mask {
                width,
                height,
                classes: classes.clone(),
            });
            assert_eq!([mask.width, mask.height], turn.shown(size), "{number}");
            assert_eq!(turn.stored([mask.width, mask.height]), size);
            let marked = (0..mask.classes.len()).filter(|&i| mask.classes[i] == 1);
            let places: Vec<[usize; 2]> =
                marked.map(|i| [i % mask.width, i / mask.width]).collect();
            let least = |axis: usize| places.iter().map(|at| at[axis]).min().unwrap() as f64;
            let most = |axis: usize| places.iter().map(|at| at[axis]).max().unwrap() as f64 + 1.0;
            let bound = [least(0), least(1), most(0), most(1)];
            let turned = turn.xyxy([x1, y1, x2, y2].map(|v| v as f64), size);
            assert_eq!(turned, bound, "{number}");
            assert_eq!(places.len(), 6, "{number}");
            assert_eq!(turn.is_none(), [0, 1, 9].contains(&number), "{number}");
        }
    }
}
