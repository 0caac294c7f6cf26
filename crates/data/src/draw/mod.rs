//! Everything that is drawn: a [`sheet()`] of batches, [`captioned`] pictures, [`draw_boxes`], masks laid over images
//! ([`overlay`](overlay::overlay)). Each class has a color of its own, everywhere the same.
//!
//! ```
//! use firesight_data::draw::sheet;
//! use firesight_data::normalize::Normalize;
//!
//! // Nothing to show is a picture of one pixel.
//! let picture = sheet(&[], &Normalize::default(), &[], 16);
//! assert_eq!((picture.width, picture.height), (1, 1));
//! ```

mod boxes;
pub mod overlay;
mod sheet;
mod text;

#[cfg(feature = "datasets")]
use std::fs::File;
#[cfg(feature = "datasets")]
use std::io::BufWriter;
#[cfg(feature = "datasets")]
use std::path::Path;

#[cfg(feature = "datasets")]
use image::{ImageEncoder, codecs::png::PngEncoder};

#[cfg(feature = "datasets")]
use crate::error::DataError;
use crate::geometry::{Canvas, Geometry};
use crate::sample::{Image, Sample};
use crate::target::{Mask, Target};

pub use boxes::{BoxColor, DrawnBox, draw_boxes};
pub use sheet::{captioned, denormalized, sheet};

/// The largest factor by which small images are enlarged.
const LARGEST_FACTOR: usize = 12;
/// The color between and below pictures.
const GROUND: [u8; 3] = [24, 24, 28];
const WHITE: [u8; 3] = [255; 3];

/// A color for a class: hues a golden section apart, so that neighbours differ.
fn class_color(class: usize) -> [u8; 3] {
    let hue = (class as f32 * 0.618_034 + 0.08).fract() * 6.0;
    [0.0, 4.0, 2.0].map(|shift: f32| {
        let ramp = ((hue + shift).rem_euclid(6.0) - 3.0).abs() - 1.0;
        (70.0 + 185.0 * ramp.clamp(0.0, 1.0)) as u8
    })
}

/// An image of one color.
fn plain(width: usize, height: usize, color: [u8; 3]) -> Image {
    Image {
        width,
        height,
        channels: 3,
        pixels: color.repeat(width * height),
    }
}

/// An RGB copy of an image; of other channels than gray and RGB the first three, or the first alone where there are fewer.
fn rgb(image: &Image) -> Image {
    let pixels = match image.channels {
        1 => image.pixels.iter().flat_map(|&gray| [gray; 3]).collect(),
        3 => image.pixels.clone(),
        count => {
            let shown = |pixel: &[u8]| [0, 1, 2].map(|c| pixel[if count < 3 { 0 } else { c }]);
            image.pixels.chunks_exact(count).flat_map(shown).collect()
        }
    };
    Image {
        channels: 3,
        pixels,
        ..*image
    }
}

/// Repeats each pixel of an RGB image and of its target's masks `factor` times in both directions.
fn enlarge(image: Image, target: Target, factor: usize) -> (Image, Target) {
    let repeat = |width: usize, height: usize, values: &[u8], channels: usize| -> Vec<u8> {
        let at = |x: usize, y: usize| {
            &values[(y / factor * width + x / factor) * channels..][..channels]
        };
        let (w, h) = (width * factor, height * factor);
        (0..w * h)
            .flat_map(|i| at(i % w, i / w).iter().copied())
            .collect()
    };
    let Image {
        width,
        height,
        ref pixels,
        ..
    } = image;
    let image = Image {
        width: width * factor,
        height: height * factor,
        channels: 3,
        pixels: repeat(width, height, pixels, 3),
    };
    let target = target.carried(
        |xyxy| Some(xyxy.map(|edge| edge * factor as f32)),
        |mask, _| Mask {
            width: mask.width * factor,
            height: mask.height * factor,
            classes: repeat(mask.width, mask.height, &mask.classes, 1),
        },
    );
    (image, target)
}

/// An RGB image and its target, enlarged by a whole factor or reduced so that the longer side has about `side` pixels.
fn sized(image: Image, target: Target, side: usize) -> (Image, Target) {
    let longer = image.width.max(image.height).max(1);
    match side / longer {
        0 => {
            let to = |length: usize| (length * side / longer).max(1);
            let mut canvas = Canvas::new(Sample {
                image: image.into(),
                target,
            });
            let [width, height] = canvas.size().map(to);
            canvas.push(&Geometry::Resize { width, height });
            let Sample { image, target } = canvas.finish();
            (image.shown().into_owned(), target)
        }
        factor => enlarge(image, target, factor.min(LARGEST_FACTOR)),
    }
}

/// Draws the edge of `[x1, y1, x2, y2]`, inside it, one pixel wide.
fn outline(image: &mut Image, [x1, y1, x2, y2]: [usize; 4], color: [u8; 3]) {
    let (x2, y2) = (x2.min(image.width), y2.min(image.height));
    if x1 >= x2 || y1 >= y2 {
        return;
    }
    let mut put = |x: usize, y: usize| {
        let at = (y * image.width + x) * 3;
        image.pixels[at..at + 3].copy_from_slice(&color);
    };
    for x in x1..x2 {
        put(x, y1);
        put(x, y2 - 1);
    }
    for y in y1..y2 {
        put(x1, y);
        put(x2 - 1, y);
    }
}

/// Writes an image as PNG; of many channels the first three are shown.
///
/// # Errors
/// [`DataError::Io`] where the file cannot be written.
#[cfg(feature = "datasets")]
pub fn write_png(image: &Image, path: &Path) -> Result<(), DataError> {
    let (kind, image) = match image.channels {
        1 => (image::ExtendedColorType::L8, image.clone()),
        _ => (image::ExtendedColorType::Rgb8, rgb(image)),
    };
    let file = File::create(path).map_err(|error| DataError::io(path, "write", error))?;
    PngEncoder::new(BufWriter::new(file))
        .write_image(&image.pixels, image.width as u32, image.height as u32, kind)
        .map_err(|error| DataError::io(path, "write", std::io::Error::other(error)))
}
