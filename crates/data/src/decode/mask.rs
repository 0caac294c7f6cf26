//! Class masks: PNG files whose stored numbers are read as they are, before any palette is looked up, and pictures
//! whose colours stand for classes.
//!
//! ```
//! use firesight_data::Mask;
//! use firesight_data::decode::DecodeLimits;
//! use firesight_data::decode::mask::{Encoding, decode_mask};
//! use firesight_data::mosaic::overlay::write_mask;
//!
//! let folder = tempfile::tempdir()?;
//! let path = folder.path().join("mask.png");
//! write_mask(&Mask { width: 3, height: 1, classes: vec![0, 11, 3] }, &path)?;
//! let mask = decode_mask(&path, &Encoding::Index { void: Some(11) }, &DecodeLimits::default())?;
//! assert_eq!(mask.classes, [0, Mask::IGNORE, 3]);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

use std::collections::HashMap;
use std::io::Cursor;
use std::path::Path;

use png::{BitDepth, ColorType, Transformations};

use super::{DecodeLimits, Fault, OVERHEAD, check_size, decode, guarded, read_file};
use crate::error::DataError;
use crate::sample::Mask;

/// How the pixels of a mask file stand for classes.
#[derive(Clone, Debug, PartialEq)]
pub enum Encoding {
    /// The number that a palette or grey PNG of up to 8 bits stores is the class; 255 is ignored, and so is `void`
    /// where it is given.
    Index {
        /// A number that is ignored besides 255.
        void: Option<u8>,
    },
    /// 0 is class 0 and 255 (1 in a PNG of one bit) is class 1.
    Binary,
    /// Each colour is a class, `None` is ignored.
    Colours(HashMap<[u8; 3], Option<u8>>),
}

/// Reads a mask file.
///
/// # Errors
/// [`DataError::Io`], [`DataError::Unreadable`] for what is damaged, is no mask, or holds a value that stands for
/// no class, with its place; [`DataError::OverLimit`].
pub fn decode_mask(
    path: &Path,
    encoding: &Encoding,
    limits: &DecodeLimits,
) -> Result<Mask, DataError> {
    let bytes = read_file(path, limits)?;
    let origin = path.display().to_string();
    if let Encoding::Colours(table) = encoding {
        let image = decode(&bytes, &origin, limits)?;
        let mut classes = Vec::with_capacity(image.width * image.height);
        for (at, pixel) in image.pixels.chunks_exact(3).enumerate() {
            let colour = [pixel[0], pixel[1], pixel[2]];
            let class = table.get(&colour).ok_or_else(|| {
                let (x, y) = (at % image.width, at / image.width);
                DataError::unreadable(
                    &*origin,
                    format!(
                        "the colour {colour:?} at {x}, {y} is none of the {} in the table",
                        table.len()
                    ),
                )
            })?;
            classes.push(class.unwrap_or(Mask::IGNORE));
        }
        return Ok(Mask {
            width: image.width,
            height: image.height,
            classes,
        });
    }
    let mut mask = guarded(&origin, || stored_numbers(&bytes, encoding, limits))?;
    match encoding {
        Encoding::Index { void } => {
            let voids = mask
                .classes
                .iter_mut()
                .filter(|class| Some(**class) == *void);
            voids.for_each(|class| *class = Mask::IGNORE);
        }
        Encoding::Binary => {
            for at in 0..mask.classes.len() {
                mask.classes[at] = match mask.classes[at] {
                    0 => 0,
                    255 => 1,
                    value => {
                        let (x, y) = (at % mask.width, at / mask.width);
                        return Err(DataError::unreadable(
                            origin,
                            format!(
                                "{value} at {x}, {y}: a binary mask holds 0 and 255; \
                                 is it an index mask?"
                            ),
                        ));
                    }
                };
            }
        }
        Encoding::Colours(_) => {}
    }
    Ok(mask)
}

/// The numbers that a palette or grey PNG stores; grey of less than 8 bits is scaled to 0 to 255 for a binary mask.
fn stored_numbers(bytes: &[u8], encoding: &Encoding, limits: &DecodeLimits) -> Result<Mask, Fault> {
    let damaged = |error: png::DecodingError| Fault::Damaged(format!("PNG: {error}"));
    if !bytes.starts_with(b"\x89PNG") {
        return Err(Fault::Damaged(
            "a mask of class numbers must be a PNG with a palette or grey values (lossy formats change them); \
             masks that are coloured pictures need `encoding = { colours = .. }`"
                .into(),
        ));
    }
    let mut decoder = png::Decoder::new_with_limits(
        Cursor::new(bytes),
        png::Limits {
            bytes: (limits.max_pixels as usize).saturating_add(OVERHEAD as usize),
        },
    );
    decoder.set_transformations(Transformations::IDENTITY);
    let mut reader = decoder.read_info().map_err(damaged)?;
    let info = reader.info();
    let (width, height) = (info.width as usize, info.height as usize);
    check_size(width as u64, height as u64, limits)?;
    let (colour, depth) = (info.color_type, info.bit_depth);
    if !matches!(colour, ColorType::Indexed | ColorType::Grayscale) || depth == BitDepth::Sixteen {
        return Err(Fault::Damaged(format!(
            "a mask of class numbers must have a palette or grey values of up to 8 bits, this PNG is {colour:?} \
             of {} bits; masks that are coloured pictures need `encoding = {{ colours = .. }}`",
            depth as u8
        )));
    }
    let size = reader
        .output_buffer_size()
        .ok_or_else(|| Fault::OverLimit("more pixels than memory has addresses".into()))?;
    let mut packed = vec![0; size];
    reader.next_frame(&mut packed).map_err(damaged)?;
    let bits = depth as usize;
    let row = (width * bits).div_ceil(8);
    let scale = match encoding {
        Encoding::Binary if colour == ColorType::Grayscale || bits == 1 => 255 / ((1 << bits) - 1),
        _ => 1,
    };
    let mut classes = Vec::with_capacity(width * height);
    for line in packed.chunks_exact(row).take(height) {
        classes.extend((0..width).map(|x| {
            let shift = 8 - bits - (x * bits) % 8;
            let value = (usize::from(line[x * bits / 8]) >> shift) & ((1 << bits) - 1);
            (value * scale) as u8
        }));
    }
    Ok(Mask {
        width,
        height,
        classes,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn write(path: &Path, colour: ColorType, depth: BitDepth, size: [u32; 2], data: &[u8]) {
        let file = std::fs::File::create(path).unwrap();
        let mut encoder = png::Encoder::new(file, size[0], size[1]);
        encoder.set_color(colour);
        encoder.set_depth(depth);
        if colour == ColorType::Indexed {
            encoder.set_palette(vec![7; 3 * 16]);
        }
        let mut writer = encoder.write_header().unwrap();
        writer.write_image_data(data).unwrap();
    }

    const INDEX: Encoding = Encoding::Index { void: None };

    #[test]
    fn stored_numbers_are_read_at_every_depth() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("mask.png");
        let limits = DecodeLimits::default();
        let read = |encoding: &Encoding| decode_mask(&path, encoding, &limits).map(|m| m.classes);
        write(
            &path,
            ColorType::Indexed,
            BitDepth::Four,
            [3, 2],
            &[0x12, 0x30, 0x45, 0x60],
        );
        assert_eq!(read(&INDEX).unwrap(), [1, 2, 3, 4, 5, 6]);
        write(
            &path,
            ColorType::Grayscale,
            BitDepth::Eight,
            [2, 2],
            &[0, 11, 3, 255],
        );
        assert_eq!(read(&INDEX).unwrap(), [0, 11, 3, 255]);
        assert_eq!(
            read(&Encoding::Index { void: Some(11) }).unwrap(),
            [0, 255, 3, 255]
        );
        write(
            &path,
            ColorType::Grayscale,
            BitDepth::One,
            [3, 1],
            &[0b0110_0000],
        );
        assert_eq!(read(&Encoding::Binary).unwrap(), [0, 1, 1]);
        assert_eq!(read(&INDEX).unwrap(), [0, 1, 1]);
        write(
            &path,
            ColorType::Grayscale,
            BitDepth::Eight,
            [2, 1],
            &[0, 255],
        );
        assert_eq!(read(&Encoding::Binary).unwrap(), [0, 1]);
    }

    #[test]
    fn what_is_no_mask_says_why_and_where() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("mask.png");
        let limits = DecodeLimits::default();
        let fault = |encoding: &Encoding| {
            let error = decode_mask(&path, encoding, &limits).unwrap_err();
            assert!(error.is_bad_sample() && error.to_string().contains("mask.png"));
            error.to_string()
        };
        write(
            &path,
            ColorType::Grayscale,
            BitDepth::Eight,
            [2, 2],
            &[0, 255, 0, 7],
        );
        assert!(fault(&Encoding::Binary).contains("7 at 1, 1: a binary mask"));
        write(
            &path,
            ColorType::Rgb,
            BitDepth::Eight,
            [2, 1],
            &[9, 9, 9, 1, 2, 3],
        );
        assert!(fault(&INDEX).contains("this PNG is Rgb of 8 bits"));
        let table = HashMap::from([([9, 9, 9], Some(4))]);
        assert!(fault(&Encoding::Colours(table)).contains("[1, 2, 3] at 1, 0 is none of the 1"));
        let table = HashMap::from([([9, 9, 9], Some(4)), ([1, 2, 3], None)]);
        let mask = decode_mask(&path, &Encoding::Colours(table), &limits).unwrap();
        assert_eq!(mask.classes, [4, 255]);
        std::fs::write(&path, b"\x89PNG\r\n\x1a\nrubbish").unwrap();
        assert!(fault(&INDEX).contains("PNG:"));
        std::fs::write(&path, b"GIF89a").unwrap();
        assert!(fault(&INDEX).contains("must be a PNG"));
    }
}
