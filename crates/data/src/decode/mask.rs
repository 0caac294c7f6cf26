//! Class masks: PNG, TIFF and BMP files whose stored numbers are read as they are, before any palette is looked up,
//! and pictures whose colors stand for classes. JPEG is refused: it changes the values.
//!
//! ```
//! use firesight_data::Mask;
//! use firesight_data::decode::Decoding;
//! use firesight_data::decode::mask::{Encoding, decode_mask};
//! use firesight_data::draw::overlay::write_mask;
//!
//! let folder = tempfile::tempdir()?;
//! let path = folder.path().join("mask.png");
//! write_mask(&Mask { width: 3, height: 1, classes: vec![0, 11, 3] }, &path)?;
//! let mask = decode_mask(&path, &Encoding::Index { void: Some(11) }, &Decoding::default())?;
//! assert_eq!(mask.classes, [0, Mask::IGNORE, 3]);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

use std::collections::HashMap;
use std::io::Cursor;

use image::ImageFormat;
use png::{BitDepth, ColorType, Transformations};

use super::numbers::{Numbers, unpack};
use super::turn::Turn;
use super::{Decoding, Fault, OVERHEAD, check_size, decode, format, guarded, tiff};
use crate::error::DataError;
use crate::target::Mask;

/// How the pixels of a mask file stand for classes.
#[derive(Clone, Debug, PartialEq)]
pub enum Encoding {
    /// The number that a file with a palette or gray values stores is the class; 255 is ignored, and so is `void`
    /// where it is given.
    Index {
        /// A number that is ignored besides 255.
        void: Option<u8>,
    },
    /// Each stored number of a table is a class, `None` is ignored; 255 is ignored unless the table has it.
    Numbers {
        /// What numbers stand for.
        table: HashMap<u16, Option<u8>>,
        /// Whether a number that is not in the table is ignored, and not a fault.
        ignore_others: bool,
    },
    /// 0 is class 0, and 255 (or white, where the file is gray and has another depth) is class 1.
    Binary,
    /// Each color is a class, `None` is ignored.
    Colors(HashMap<[u8; 3], Option<u8>>),
}

/// Reads a mask file.
///
/// # Errors
/// [`DataError::Io`], [`DataError::Unreadable`] for what is damaged, is no mask, or holds a value that stands for
/// no class, with its place; [`DataError::OverLimit`].
#[cfg(feature = "datasets")]
pub fn decode_mask(
    path: &std::path::Path,
    encoding: &Encoding,
    limits: &Decoding,
) -> Result<Mask, DataError> {
    let origin = path.display().to_string();
    decode_mask_bytes(&super::read_file(path, limits)?, &origin, encoding, limits)
}

/// Reads the bytes of a mask file. `origin` is how messages name it.
pub fn decode_mask_bytes(
    bytes: &[u8],
    origin: &str,
    encoding: &Encoding,
    limits: &Decoding,
) -> Result<Mask, DataError> {
    let kind = guarded(origin, || format(bytes))?;
    if kind == ImageFormat::Jpeg {
        let reason = "a JPEG, which changes the values of a mask; save masks as PNG";
        return Err(DataError::unreadable(origin, reason));
    }
    let table = match encoding {
        Encoding::Index { void } => {
            let class = |value: u16| match u8::try_from(value) {
                Ok(value) if Some(value) == *void => Some(Mask::IGNORE),
                Ok(value) => Some(value),
                Err(_) => None,
            };
            return numbers(bytes, kind, origin, limits)?.classes(origin, class, |value| {
                format!("the value {value}: classes are numbered up to 254, and 255 is ignored")
            });
        }
        Encoding::Numbers {
            table,
            ignore_others,
        } => {
            let class = |value: u16| match table.get(&value) {
                Some(class) => Some(class.unwrap_or(Mask::IGNORE)),
                None => (*ignore_others || value == 255).then_some(Mask::IGNORE),
            };
            return numbers(bytes, kind, origin, limits)?.classes(origin, class, |value| {
                format!(
                    "the value {value}: it is none of the {} in the table",
                    table.len()
                )
            });
        }
        Encoding::Binary => {
            let numbers = numbers(bytes, kind, origin, limits)?;
            let white = numbers.white;
            let class = |value| match value {
                0 => Some(0),
                255 => Some(1),
                value if value == white => Some(1),
                _ => None,
            };
            return numbers.classes(origin, class, |value| {
                format!("{value}: a binary mask holds 0 and {white}; is it an index mask?")
            });
        }
        Encoding::Colors(table) => table,
    };
    let image = decode(bytes, origin, limits)?;
    let mut classes = Vec::with_capacity(image.width * image.height);
    for (at, pixel) in image.pixels.chunks_exact(3).enumerate() {
        let color = [pixel[0], pixel[1], pixel[2]];
        let class = table.get(&color).ok_or_else(|| {
            let (x, y) = (at % image.width, at / image.width);
            let count = table.len();
            let reason =
                format!("the color {color:?} at {x}, {y} is none of the {count} in the table");
            DataError::unreadable(origin, reason)
        })?;
        classes.push(class.unwrap_or(Mask::IGNORE));
    }
    Ok(Mask {
        width: image.width,
        height: image.height,
        classes,
    })
}

fn numbers(
    bytes: &[u8],
    kind: ImageFormat,
    origin: &str,
    limits: &Decoding,
) -> Result<Numbers, DataError> {
    guarded(origin, || match kind {
        ImageFormat::Png => png_numbers(bytes, limits),
        ImageFormat::Bmp => bmp_numbers(bytes, limits),
        ImageFormat::Tiff => tiff::numbers(bytes, limits),
        other => Err(Fault::Damaged(format!(
            "a mask of class numbers must be a PNG, TIFF or BMP file with a palette or gray values, this is a \
             {other:?}; masks that are colored pictures need `encoding = {{ colors = .. }}`"
        ))),
    })
}

/// The numbers that a palette or gray PNG stores.
fn png_numbers(bytes: &[u8], limits: &Decoding) -> Result<Numbers, Fault> {
    let damaged = |error: png::DecodingError| Fault::Damaged(format!("PNG: {error}"));
    let mut decoder = png::Decoder::new_with_limits(
        Cursor::new(bytes),
        png::Limits {
            bytes: (limits.max_pixels as usize)
                .saturating_mul(2)
                .saturating_add(OVERHEAD as usize),
        },
    );
    decoder.set_transformations(Transformations::IDENTITY);
    let mut reader = decoder.read_info().map_err(damaged)?;
    let info = reader.info();
    let (width, height) = (info.width as usize, info.height as usize);
    check_size(width as u64, height as u64, limits)?;
    let (color, depth) = (info.color_type, info.bit_depth);
    if !matches!(color, ColorType::Indexed | ColorType::Grayscale) {
        return Err(Fault::Damaged(format!(
            "a mask of class numbers must have a palette or gray values, this PNG is {color:?} of {} bits; masks \
             that are colored pictures need `encoding = {{ colors = .. }}`",
            depth as u8
        )));
    }
    let size = reader
        .output_buffer_size()
        .ok_or_else(|| Fault::OverLimit("more pixels than memory has addresses".into()))?;
    let mut packed = vec![0; size];
    reader.next_frame(&mut packed).map_err(damaged)?;
    let values = match depth {
        BitDepth::Sixteen => {
            let pairs = packed.chunks_exact(2);
            pairs
                .map(|pair| u16::from_be_bytes([pair[0], pair[1]]))
                .collect()
        }
        depth => unpack(&packed, [width, height], depth as usize),
    };
    let info = reader.info();
    let turn = info.exif_metadata.as_deref().map_or(Turn::NONE, Turn::of);
    Numbers::new(
        [width, height],
        values,
        depth as usize,
        color == ColorType::Indexed,
        turn,
    )
}

/// The numbers that a BMP with a palette stores. Read here: the `image` crate looks numbers of less than 8 bits up in the
/// palette, or gives them packed.
fn bmp_numbers(bytes: &[u8], limits: &Decoding) -> Result<Numbers, Fault> {
    let short = |at: usize| Some(u16::from_le_bytes(bytes.get(at..at + 2)?.try_into().ok()?));
    let long = |at: usize| Some(u32::from_le_bytes(bytes.get(at..at + 4)?.try_into().ok()?));
    let cut = || Fault::Damaged("BMP: cut short".into());
    // The first header of OS/2 has sizes of two bytes, all others of four, with a sign for the order of rows.
    let (width, height, bits, compression) = match long(14).ok_or_else(cut)? {
        12 => (
            short(18).map(i64::from),
            short(20).map(i64::from),
            short(24),
            Some(0),
        ),
        _ => {
            let signed = |at| long(at).map(|value| i64::from(value as i32));
            (signed(18), signed(22), short(28), long(30))
        }
    };
    let bits = bits.ok_or_else(cut)?;
    if !matches!(bits, 1 | 4 | 8) {
        return Err(Fault::Damaged(format!(
            "a mask of class numbers must have a palette, this BMP has colors of {bits} bits; masks that are \
             colored pictures need `encoding = {{ colors = .. }}`"
        )));
    }
    if compression.ok_or_else(cut)? != 0 {
        return Err(Fault::Damaged(
            "a BMP that is compressed; save masks as PNG, or as BMP without compression".into(),
        ));
    }
    let (width, height) = (width.ok_or_else(cut)?, height.ok_or_else(cut)?);
    let size = u64::try_from(width).unwrap_or_default();
    check_size(size, height.unsigned_abs(), limits)?;
    let (width, rows, bits) = (
        width as usize,
        height.unsigned_abs() as usize,
        usize::from(bits),
    );
    let line = (width * bits).div_ceil(32) * 4;
    let start = long(10).ok_or_else(cut)? as usize;
    let packed = start
        .checked_add(line * rows)
        .and_then(|end| bytes.get(start..end))
        .ok_or_else(cut)?;
    let unpacked = |line: &[u8]| unpack(&line[..(width * bits).div_ceil(8)], [width, 1], bits);
    let lines = packed.chunks_exact(line);
    // Rows are stored from the bottom, unless the height is negative.
    let values = match height > 0 {
        true => lines.rev().flat_map(unpacked).collect(),
        false => lines.flat_map(unpacked).collect(),
    };
    Numbers::new([width, rows], values, bits, true, Turn::NONE)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::path::Path;

    fn write(path: &Path, color: ColorType, depth: BitDepth, size: [u32; 2], data: &[u8]) {
        let file = std::fs::File::create(path).unwrap();
        let mut encoder = png::Encoder::new(file, size[0], size[1]);
        encoder.set_color(color);
        encoder.set_depth(depth);
        if color == ColorType::Indexed {
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
        let limits = Decoding::default();
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
        write(
            &path,
            ColorType::Grayscale,
            BitDepth::Two,
            [3, 1],
            &[0b0011_0000],
        );
        assert_eq!(read(&Encoding::Binary).unwrap(), [0, 1, 0]);
        assert_eq!(read(&INDEX).unwrap(), [0, 3, 0]);
        write(
            &path,
            ColorType::Grayscale,
            BitDepth::Sixteen,
            [3, 1],
            &[0, 0, 0, 254, 0, 255],
        );
        assert_eq!(read(&INDEX).unwrap(), [0, 254, 255]);
        write(
            &path,
            ColorType::Grayscale,
            BitDepth::Sixteen,
            [3, 1],
            &[0, 0, 255, 255, 0, 255],
        );
        assert_eq!(read(&Encoding::Binary).unwrap(), [0, 1, 1]);
    }

    /// A mask lies as its picture does: both are turned by the same orientation.
    #[test]
    fn a_turned_mask_lies_as_a_turned_picture() {
        use image::codecs::png::PngEncoder;
        use image::{ExtendedColorType, ImageEncoder};
        let limits = Decoding::default();
        let values: Vec<u8> = (0..6).collect();
        for number in 1..=8u8 {
            // A big-endian TIFF header and a directory of one entry, the orientation.
            let mut exif = b"MM\0\x2a\0\0\0\x08\0\x01\x01\x12\0\x03\0\0\0\x01\0".to_vec();
            exif.extend([number, 0, 0, 0, 0, 0, 0]);
            let mut bytes = Vec::new();
            let mut encoder = PngEncoder::new(&mut bytes);
            encoder.set_exif_metadata(exif).unwrap();
            encoder
                .write_image(&values, 3, 2, ExtendedColorType::L8)
                .unwrap();
            let picture = decode(&bytes, "a.png", &limits).unwrap();
            let red: Vec<u8> = picture.pixels.iter().step_by(3).copied().collect();
            let mask = decode_mask_bytes(&bytes, "a.png", &INDEX, &limits).unwrap();
            assert_eq!(
                [mask.width, mask.height],
                [picture.width, picture.height],
                "{number}"
            );
            assert_eq!(mask.classes, red, "{number}");
            assert_eq!(number == 1, red == values, "{number}");
        }
    }

    /// A little-endian TIFF of one strip without compression; `kind` is its photometric interpretation.
    fn tiff(size: [u16; 2], bits: u16, kind: u16, strip: &[u8], more: &[(u16, u16)]) -> Vec<u8> {
        let map: Vec<u16> = match kind {
            3 => vec![7 << 8; 3 << bits],
            _ => Vec::new(),
        };
        let mut tags: Vec<(u16, u16, u32, u32)> = [
            (256, size[0]),
            (257, size[1]),
            (258, bits),
            (259, 1),
            (262, kind),
            (277, 1),
            (278, size[1]),
        ]
        .iter()
        .chain(more)
        .map(|&(tag, value)| (tag, 3, 1, u32::from(value)))
        .collect();
        let count = tags.len() + 2 + usize::from(!map.is_empty());
        let strip_at = 8 + 2 + 12 * count + 4;
        let map_at = (strip_at + strip.len()).next_multiple_of(2);
        tags.push((273, 4, 1, strip_at as u32));
        tags.push((279, 4, 1, strip.len() as u32));
        if !map.is_empty() {
            tags.push((320, 3, map.len() as u32, map_at as u32));
        }
        tags.sort_unstable();
        let mut bytes = b"II*\0\x08\0\0\0".to_vec();
        bytes.extend((count as u16).to_le_bytes());
        for (tag, kind, length, value) in tags {
            bytes.extend(tag.to_le_bytes());
            bytes.extend(u16::to_le_bytes(kind));
            bytes.extend(length.to_le_bytes());
            bytes.extend(value.to_le_bytes());
        }
        bytes.extend([0; 4]);
        bytes.extend(strip);
        bytes.resize(map_at, 0);
        map.iter()
            .for_each(|value| bytes.extend(value.to_le_bytes()));
        bytes
    }

    #[test]
    fn tiff_masks_keep_their_numbers_at_every_depth() {
        let limits = Decoding::default();
        let read = |bytes: &[u8], encoding: &Encoding| {
            decode_mask_bytes(bytes, "mask.tif", encoding, &limits).map(|mask| mask.classes)
        };
        // Shown after a quarter turn to the right.
        let turned = tiff([2, 2], 8, 1, &[0, 1, 2, 3], &[(274, 6)]);
        assert_eq!(read(&turned, &INDEX).unwrap(), [2, 0, 3, 1]);
        // Gray of 8, 16, 4 and 1 bits; a palette of 8, 4 and 1.
        let gray = tiff([2, 2], 8, 1, &[0, 1, 7, 255], &[]);
        assert_eq!(read(&gray, &INDEX).unwrap(), [0, 1, 7, 255]);
        let wide = tiff([2, 1], 16, 1, &[3, 0, 254, 0], &[]);
        assert_eq!(read(&wide, &INDEX).unwrap(), [3, 254]);
        let four = tiff([3, 2], 4, 1, &[0x12, 0x30, 0x45, 0x60], &[]);
        assert_eq!(read(&four, &INDEX).unwrap(), [1, 2, 3, 4, 5, 6]);
        let one = tiff([3, 1], 1, 1, &[0b0110_0000], &[]);
        assert_eq!(read(&one, &Encoding::Binary).unwrap(), [0, 1, 1]);
        // Where white is 0, the gray value counts, as for every other reader.
        let inverted = tiff([2, 1], 8, 0, &[255, 253], &[]);
        assert_eq!(read(&inverted, &INDEX).unwrap(), [0, 2]);
        let palette = tiff([2, 2], 8, 3, &[0, 1, 7, 255], &[]);
        assert_eq!(read(&palette, &INDEX).unwrap(), [0, 1, 7, 255]);
        let palette = tiff([3, 1], 4, 3, &[0x12, 0x30], &[]);
        assert_eq!(read(&palette, &INDEX).unwrap(), [1, 2, 3]);
        let palette = tiff([3, 1], 1, 3, &[0b0110_0000], &[]);
        assert_eq!(read(&palette, &Encoding::Binary).unwrap(), [0, 1, 1]);

        let fault = |bytes: &[u8]| read(bytes, &INDEX).unwrap_err().to_string();
        let wide = tiff([2, 1], 16, 1, &[3, 0, 44, 1], &[]);
        let found = fault(&wide);
        assert!(found.contains("mask.tif: the value 300 at 1, 0"), "{found}");
        let color = tiff([1, 1], 8, 2, &[1, 2, 3], &[]);
        assert!(!fault(&color).is_empty());
        let signed = tiff([2, 1], 8, 1, &[0, 1], &[(339, 2)]);
        assert!(fault(&signed).contains("signed"), "{}", fault(&signed));
        (0..gray.len()).for_each(|end| drop(fault(&gray[..end])));
    }

    /// A BMP with a palette; rows are stored from the bottom.
    fn bmp(size: [u32; 2], bits: u16, rows: &[u8]) -> Vec<u8> {
        let colors = 1u32 << bits;
        let start = 14 + 40 + 4 * colors;
        let mut bytes = b"BM".to_vec();
        bytes.extend((start + rows.len() as u32).to_le_bytes());
        bytes.extend([0; 4]);
        bytes.extend(start.to_le_bytes());
        bytes.extend(40u32.to_le_bytes());
        size.iter()
            .for_each(|side| bytes.extend(side.to_le_bytes()));
        bytes.extend(1u16.to_le_bytes());
        bytes.extend(bits.to_le_bytes());
        for value in [0, rows.len() as u32, 2835, 2835, 0, 0] {
            bytes.extend(value.to_le_bytes());
        }
        (0..colors).for_each(|_| bytes.extend([9, 200, 30, 0]));
        bytes.extend(rows);
        bytes
    }

    #[test]
    fn bmp_masks_keep_the_numbers_of_their_palette() {
        let limits = Decoding::default();
        let read = |bytes: &[u8], encoding: &Encoding| {
            decode_mask_bytes(bytes, "mask.bmp", encoding, &limits).map(|mask| mask.classes)
        };
        let eight = bmp([2, 2], 8, &[7, 255, 0, 0, 0, 1, 0, 0]);
        assert_eq!(read(&eight, &INDEX).unwrap(), [0, 1, 7, 255]);
        let four = bmp([3, 1], 4, &[0x12, 0x30, 0, 0]);
        assert_eq!(read(&four, &INDEX).unwrap(), [1, 2, 3]);
        let one = bmp([3, 1], 1, &[0b0110_0000, 0, 0, 0]);
        assert_eq!(read(&one, &Encoding::Binary).unwrap(), [0, 1, 1]);
        // Rows from the top, and a row longer than its packed bytes are many.
        let mut upright = bmp([2, 2], 8, &[7, 255, 0, 0, 0, 1, 0, 0]);
        upright[22..26].copy_from_slice(&(-2i32).to_le_bytes());
        assert_eq!(read(&upright, &INDEX).unwrap(), [7, 255, 0, 1]);
        let wide = bmp([40, 1], 1, &[0, 0, 0, 0, 0b1000_0000, 0, 0, 0]);
        assert_eq!(read(&wide, &INDEX).unwrap()[31..34], [0, 1, 0]);
        let mut packed = eight.clone();
        packed[30] = 1;
        assert!(
            read(&packed, &INDEX)
                .unwrap_err()
                .to_string()
                .contains("compressed")
        );
        let mut color = Vec::new();
        image::RgbImage::new(2, 1)
            .write_to(&mut Cursor::new(&mut color), ImageFormat::Bmp)
            .unwrap();
        let found = read(&color, &INDEX).unwrap_err().to_string();
        assert!(found.contains("this BMP has colors of 24 bits"), "{found}");
        (0..eight.len()).for_each(|end| drop(read(&eight[..end], &INDEX).unwrap_err()));
    }

    #[test]
    fn a_jpeg_is_no_mask_whatever_the_encoding() {
        let limits = Decoding::default();
        let jpeg = b"\xff\xd8\xff\xe0\0\x10JFIF\0";
        for encoding in [INDEX, Encoding::Binary, Encoding::Colors(HashMap::new())] {
            let found = decode_mask_bytes(jpeg, "7.png", &encoding, &limits).unwrap_err();
            assert!(
                found.to_string().contains("7.png: a JPEG, which changes"),
                "{found}"
            );
        }
    }

    #[test]
    fn what_is_no_mask_says_why_and_where() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("mask.png");
        let limits = Decoding::default();
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
        assert!(fault(&Encoding::Colors(table)).contains("[1, 2, 3] at 1, 0 is none of the 1"));
        let table = HashMap::from([([9, 9, 9], Some(4)), ([1, 2, 3], None)]);
        let mask = decode_mask(&path, &Encoding::Colors(table), &limits).unwrap();
        assert_eq!(mask.classes, [4, 255]);
        std::fs::write(&path, b"\x89PNG\r\n\x1a\nrubbish").unwrap();
        assert!(fault(&INDEX).contains("PNG:"));
        std::fs::write(&path, b"GIF89a").unwrap();
        assert!(fault(&INDEX).contains("must be a PNG"));
    }
}
