//! Class masks over their images, with contours and a legend, and as palette PNG files.
//!
//! ```
//! use firesight_data::draw::overlay::{mask_color, overlay};
//! use firesight_data::{Image, Mask};
//!
//! let image = Image { width: 3, height: 1, channels: 1, pixels: vec![100; 3] };
//! let mask = Mask { width: 3, height: 1, classes: vec![0, 2, 2] };
//! let laid = overlay(&image, &mask);
//! assert_eq!(laid.pixels[..3], [100; 3]); // the first class stays clear
//! assert_eq!(laid.pixels[3..6], mask_color(2)); // a contour
//! ```

#[cfg(feature = "datasets")]
use std::{fs::File, io::BufWriter, path::Path};

use super::text::{LETTER_HEIGHT, LETTER_WIDTH, draw_text};
use super::{GROUND, WHITE, class_color, plain, rgb, sized};
#[cfg(feature = "datasets")]
use crate::error::DataError;
use crate::sample::Image;
use crate::target::{Mask, Target};

/// Pixels between pictures that stand side by side.
const GAP: usize = 4;
/// The color of pixels that do not count, as Pascal VOC has it.
const IGNORED: [u8; 3] = [224, 224, 192];

/// The color of a class in masks and overlays; the first class, the background of most masks, is black.
pub fn mask_color(class: u8) -> [u8; 3] {
    match class {
        0 => [0; 3],
        Mask::IGNORE => IGNORED,
        class => class_color(usize::from(class)),
    }
}

/// An RGB image with the classes of a mask laid over it: half of the class's color inside, all of it along the
/// contours. The first class stays clear; pixels that do not count are gray.
///
/// The mask must have the image's size; what is outside of it stays as it is.
pub fn overlay(image: &Image, mask: &Mask) -> Image {
    let mut laid = rgb(image);
    let (width, classes) = (mask.width.max(1), &mask.classes);
    for (at, (pixel, &class)) in (laid.pixels.chunks_exact_mut(3)).zip(classes).enumerate() {
        let differs = |other: usize| classes.get(other).is_some_and(|c| *c != class);
        let contour = (at % width > 0 && differs(at - 1))
            || (at % width + 1 < width && differs(at + 1))
            || (at >= width && differs(at - width))
            || differs(at + width);
        let (over, share) = match class {
            0 => continue,
            Mask::IGNORE => ([128; 3], 2),
            class if contour => (class_color(usize::from(class)), 1),
            class => (class_color(usize::from(class)), 2),
        };
        for (value, over) in pixel.iter_mut().zip(over) {
            let mixed = (u16::from(*value) * (share - 1) + u16::from(over)) / share;
            *value = mixed as u8;
        }
    }
    laid
}

/// An image as RGB and its mask, enlarged by a whole factor or reduced so that the longer side has about `side`
/// pixels.
pub fn fitted(image: &Image, mask: &Mask, side: usize) -> (Image, Mask) {
    let (image, target) = sized(rgb(image), Target::of_mask(mask.clone()), side);
    (image, target.mask.expect("a mask is moved with its image"))
}

/// RGB pictures of one height beside each other.
pub fn side_by_side(pictures: &[Image]) -> Image {
    let height = pictures.iter().map(|p| p.height).max().unwrap_or(1);
    let gaps = GAP * pictures.len().saturating_sub(1);
    let width = (pictures.iter().map(|p| p.width).sum::<usize>() + gaps).max(1);
    let mut row = plain(width, height, GROUND);
    let mut left = 0;
    for picture in pictures {
        for (y, line) in picture
            .pixels
            .chunks_exact(picture.width.max(1) * 3)
            .enumerate()
        {
            let at = (y * width + left) * 3;
            row.pixels[at..at + line.len()].copy_from_slice(line);
        }
        left += picture.width + GAP;
    }
    row
}

/// An RGB picture with the names and colors of the classes below it, as many to a line as fit.
pub fn with_legend(mut picture: Image, classes: &[(u8, &str)]) -> Image {
    let line = LETTER_HEIGHT + 6;
    let swatch = LETTER_HEIGHT + 2;
    let mut places = Vec::new();
    let (mut x, mut y) = (2, picture.height + 2);
    for (class, name) in classes {
        let width = swatch + 3 + name.chars().count() * LETTER_WIDTH + 8;
        if x > 2 && x + width > picture.width {
            (x, y) = (2, y + line);
        }
        places.push((*class, *name, x, y));
        x += width;
    }
    let height = y + line;
    let grown = height - picture.height;
    picture.pixels.extend(GROUND.repeat(picture.width * grown));
    picture.height = height;
    for (class, name, x, y) in places {
        for row in y..y + swatch {
            for column in x..(x + swatch).min(picture.width) {
                let at = (row * picture.width + column) * 3;
                picture.pixels[at..at + 3].copy_from_slice(&mask_color(class));
            }
        }
        draw_text(&mut picture, x + swatch + 3, y + 1, name, WHITE, None);
    }
    picture
}

/// Writes a mask as a PNG whose stored numbers are the classes, with a palette to look at.
///
/// # Errors
/// [`DataError::Io`] where the file cannot be written.
#[cfg(feature = "datasets")]
pub fn write_mask(mask: &Mask, path: &Path) -> Result<(), DataError> {
    let fault = |error| DataError::io(path, "write", error);
    let file = File::create(path).map_err(fault)?;
    let (width, height) = (mask.width as u32, mask.height as u32);
    let mut encoder = png::Encoder::new(BufWriter::new(file), width, height);
    encoder.set_color(png::ColorType::Indexed);
    encoder.set_depth(png::BitDepth::Eight);
    encoder.set_palette((0..=255).flat_map(mask_color).collect::<Vec<u8>>());
    let written = encoder.write_header().and_then(|mut writer| {
        writer.write_image_data(&mask.classes)?;
        writer.finish()
    });
    written.map_err(|error| fault(std::io::Error::other(error)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::decode::Decoding;
    use crate::decode::mask::{Encoding, decode_mask};

    fn mask() -> Mask {
        Mask {
            width: 4,
            height: 3,
            classes: vec![0, 0, 2, 2, 0, 0, 2, 2, 255, 0, 2, 2],
        }
    }

    #[test]
    fn a_written_mask_is_read_back_to_the_number() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("mask.png");
        write_mask(&mask(), &path).unwrap();
        let read = decode_mask(&path, &Encoding::Index { void: None }, &Decoding::default());
        assert_eq!(read.unwrap(), mask());
        let shown = crate::decode::decode_file(&path, &Decoding::default()).unwrap();
        assert_eq!(shown.pixels[6..9], mask_color(2));
    }

    #[test]
    fn contours_have_the_whole_color_and_the_inside_half() {
        let image = Image {
            width: 4,
            height: 3,
            channels: 1,
            pixels: vec![100; 12],
        };
        let laid = overlay(&image, &mask());
        assert_eq!(laid.pixels[..3], [100; 3]);
        assert_eq!(laid.pixels[6..9], mask_color(2));
        let half = mask_color(2).map(|v| ((100 + u16::from(v)) / 2) as u8);
        assert_eq!(laid.pixels[9..12], half);
        assert_eq!(laid.pixels[24..27], [114; 3]);
        let row = side_by_side(&[laid.clone(), laid]);
        assert_eq!((row.width, row.height), (12, 3));
        let explained = with_legend(row, &[(0, "background"), (2, "two")]);
        assert_eq!(
            explained.pixels.len(),
            explained.width * explained.height * 3
        );
        assert!(explained.height > 3 + 2 * LETTER_HEIGHT);
    }
}
