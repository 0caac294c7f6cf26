//! Image files, usually to 8-bit RGB: JPEG, PNG, WebP, BMP, TIFF and GIF, told apart by their content.
//!
//! What comes out is the picture as it is meant to be seen, turned by its EXIF orientation, in three channels:
//! gray is repeated, palettes are looked up, 16 bits are rounded to 8, CMYK is converted without a color
//! profile, an alpha channel is dropped and the colors under it are kept (as Pillow's `convert("RGB")` does),
//! and of an animation the first frame is taken, of a TIFF the first page ([`holds_several`] tells). Color profiles are not
//! applied. Images of floating-point samples are refused, since their range is not stated anywhere.
//!
//! Files that are measurements more than pictures for the eye are read as they are stored ([`PixelFormat::Stored`]): any
//! number of channels, 16 bits without loss, floating-point numbers, and NumPy's arrays.
//!
//! A damaged file is an error, not a partly gray picture: JPEG is decoded strictly (zune-jpeg) and must end
//! with its end marker. Size is checked by the header, before the pixels are allocated.
//!
//! ```
//! use firesight_data::decode::{Decoding, decode};
//!
//! let damaged = decode(b"no picture", "cat.jpg", &Decoding::default()).unwrap_err();
//! assert!(damaged.to_string().contains("cat.jpg"));
//! ```

mod bytes;
pub mod mask;
mod npy;
mod numbers;
mod several;
mod stored;
mod tiff;
pub mod turn;

use std::io::Cursor;
use std::panic::{AssertUnwindSafe, catch_unwind};

use image::metadata::Orientation;
use image::{DynamicImage, ImageDecoder, ImageError, ImageFormat, ImageReader};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use zune_jpeg::JpegDecoder;
use zune_jpeg::zune_core::colorspace::ColorSpace;
use zune_jpeg::zune_core::options::DecoderOptions;

use self::bytes::Bytes;
pub use self::several::holds_several;
use self::turn::Turn;
use crate::error::DataError;
use crate::sample::{Image, Picture};

/// The file name endings, in lower case, of the formats that can be read.
pub const EXTENSIONS: [&str; 8] = ["jpg", "jpeg", "png", "webp", "bmp", "tif", "tiff", "gif"];

/// The endings of the formats that can be read as they are stored.
const STORED_EXTENSIONS: [&str; 9] = [
    "jpg", "jpeg", "png", "webp", "bmp", "tif", "tiff", "gif", "npy",
];

/// What a picture's values are, of what its file holds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum PixelFormat {
    /// The picture for the eye: red, green and blue of 8 bits.
    #[default]
    Rgb8,
    /// The channels and the depth of the file: bytes of 8 bits, numbers from 0 to 1 of 16 unsigned bits, and other numbers
    /// as they are; also `.npy` files of `(height, width)` or `(height, width, channels)`.
    Stored,
}

/// How image files are read, and what one may cost. That allocates at most 16 bytes a pixel of the header's size, 64 MiB for
/// tables and metadata, and the file itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, rename_all = "kebab-case", deny_unknown_fields)]
pub struct Decoding {
    /// Width times height, by the header.
    pub max_pixels: u64,
    /// The size of the file in bytes.
    pub max_file_bytes: u64,
    /// What a picture's values are: `rgb8`, or `stored`.
    pub pixels: PixelFormat,
}

impl Default for Decoding {
    /// 64 Mi pixels (8192x8192) and 512 MiB.
    fn default() -> Self {
        Self {
            max_pixels: 64 << 20,
            max_file_bytes: 512 << 20,
            pixels: PixelFormat::default(),
        }
    }
}

impl Decoding {
    /// The endings, in lower case, of the files that are read so.
    pub fn extensions(&self) -> &'static [&'static str] {
        match self.pixels {
            PixelFormat::Rgb8 => &EXTENSIONS,
            PixelFormat::Stored => &STORED_EXTENSIONS,
        }
    }
}

/// Bytes for tables and metadata, whatever the size of the image.
const OVERHEAD: u64 = 64 << 20;
/// RGBA of 16 bits, and once more for what decoders keep beside the result.
const BYTES_PER_PIXEL: u64 = 16;
/// Bytes of a JPEG file in which its header mostly lies.
#[cfg(feature = "datasets")]
const HEAD: u64 = 64 << 10;
/// More scans than any encoder writes; each one costs a pass over the image.
const MAX_JPEG_SCANS: usize = 100;

/// Reads and decodes an image file. `origin` is how messages name it.
///
/// # Errors
/// [`DataError::Io`], [`DataError::Unreadable`] for what is damaged or no image, [`DataError::OverLimit`].
#[cfg(feature = "datasets")]
pub fn decode_file(path: &std::path::Path, limits: &Decoding) -> Result<Image, DataError> {
    decode(
        &read_file(path, limits)?,
        &path.display().to_string(),
        limits,
    )
}

/// As [`decode_file`], in the format that is asked for.
///
/// # Errors
/// Those of [`decode_file`].
#[cfg(feature = "datasets")]
pub fn picture_file(path: &std::path::Path, limits: &Decoding) -> Result<Picture, DataError> {
    decode_turned(path, limits).map(|(picture, _)| picture)
}

/// As [`picture_file`], with the turn that the file's EXIF orientation asked for and that the image has had.
///
/// # Errors
/// Those of [`decode_file`].
#[cfg(feature = "datasets")]
pub fn decode_turned(
    path: &std::path::Path,
    limits: &Decoding,
) -> Result<(Picture, Turn), DataError> {
    let bytes = read_file(path, limits)?;
    turned_picture(&bytes, &path.display().to_string(), limits)
}

/// The bytes of a file, if there are not too many.
#[cfg(feature = "datasets")]
pub(crate) fn read_file(path: &std::path::Path, limits: &Decoding) -> Result<Vec<u8>, DataError> {
    use std::io::Read;
    let file = std::fs::File::open(path).map_err(|error| DataError::io(path, "open", error))?;
    let metadata = file
        .metadata()
        .map_err(|error| DataError::io(path, "read", error))?;
    if !metadata.is_file() {
        return Err(DataError::unreadable(
            path.display().to_string(),
            "not a regular file",
        ));
    }
    let mut bytes = Vec::with_capacity(metadata.len().min(limits.max_file_bytes) as usize + 1);
    file.take(limits.max_file_bytes + 1)
        .read_to_end(&mut bytes)
        .map_err(|error| DataError::io(path, "read", error))?;
    if bytes.len() as u64 > limits.max_file_bytes {
        return Err(DataError::OverLimit {
            origin: path.display().to_string(),
            reason: format!("more than {} bytes", limits.max_file_bytes),
        });
    }
    Ok(bytes)
}

/// Decodes the bytes of an image file. `origin` is how messages name it.
///
/// # Errors
/// [`DataError::Unreadable`] for what is damaged or no image, [`DataError::OverLimit`].
pub fn decode(bytes: &[u8], origin: &str, limits: &Decoding) -> Result<Image, DataError> {
    guarded(origin, || rgb(bytes, limits)).map(|(image, _)| image)
}

/// As [`decode`], in the format that is asked for.
///
/// # Errors
/// Those of [`decode`].
pub fn picture(bytes: &[u8], origin: &str, limits: &Decoding) -> Result<Picture, DataError> {
    turned_picture(bytes, origin, limits).map(|(picture, _)| picture)
}

fn turned_picture(
    bytes: &[u8],
    origin: &str,
    limits: &Decoding,
) -> Result<(Picture, Turn), DataError> {
    guarded(origin, || match limits.pixels {
        PixelFormat::Rgb8 => rgb(bytes, limits).map(|(image, turn)| (image.into(), turn)),
        PixelFormat::Stored => stored::decode(bytes, limits),
    })
}

fn rgb(bytes: &[u8], limits: &Decoding) -> Result<(Image, Turn), Fault> {
    match format(bytes)? {
        ImageFormat::Jpeg => decode_jpeg(bytes, limits),
        format => decode_other(bytes, format, limits),
    }
}

/// Width, height and channels of an image file as it will come out of [`picture`], from its header.
///
/// # Errors
/// Those of [`picture`], as far as the header shows them.
pub fn dimensions(bytes: &[u8], origin: &str, limits: &Decoding) -> Result<[usize; 3], DataError> {
    if limits.pixels == PixelFormat::Stored {
        return guarded(origin, || stored::layout(bytes, limits));
    }
    let (width, height, orientation) = header(bytes, origin, limits)?;
    let [width, height] = Turn::new(orientation).shown([width, height]);
    Ok([width, height, 3])
}

/// As [`dimensions`], of a file; of a JPEG its head alone is read where that says it all.
///
/// # Errors
/// Those of [`dimensions`] and of reading.
#[cfg(feature = "datasets")]
pub(crate) fn file_dimensions(
    path: &std::path::Path,
    limits: &Decoding,
) -> Result<[usize; 3], DataError> {
    use std::io::Read;
    let origin = path.display().to_string();
    let mut head = Vec::new();
    let file = std::fs::File::open(path).map_err(|error| DataError::io(path, "open", error))?;
    let read = file.take(HEAD).read_to_end(&mut head);
    if read.is_ok()
        && head.starts_with(b"\xff\xd8")
        && let Ok(found) = dimensions(&head, &origin, limits)
    {
        return Ok(found);
    }
    dimensions(&read_file(path, limits)?, &origin, limits)
}

/// Width and height as they are stored, and how the picture is turned to be seen.
pub(crate) fn header(
    bytes: &[u8],
    origin: &str,
    limits: &Decoding,
) -> Result<(usize, usize, Orientation), DataError> {
    guarded(origin, || header_of(bytes, limits))
}

fn header_of(bytes: &[u8], limits: &Decoding) -> Result<(usize, usize, Orientation), Fault> {
    match format(bytes)? {
        ImageFormat::Jpeg => {
            let (_, header) = jpeg_header(bytes, limits)?;
            Ok((header.width, header.height, header.orientation))
        }
        format => {
            if format == ImageFormat::Tiff
                && let Some(header) = tiff::header(bytes, limits)?
            {
                return Ok(header);
            }
            let mut decoder = other_decoder(bytes, format, limits)?;
            let (width, height) = decoder.dimensions();
            Ok((width as usize, height as usize, orientation(&mut decoder)?))
        }
    }
}

/// What reads files that are no pictures for the eye.
const AS_STORED: &str = "read it as it is by the source's `decode = { pixels = \"stored\" }`";

/// Why a file cannot be decoded, before it is known how the file is called.
enum Fault {
    Damaged(String),
    OverLimit(String),
}

impl From<ImageError> for Fault {
    fn from(error: ImageError) -> Self {
        match error {
            ImageError::Limits(error) => Self::OverLimit(error.to_string()),
            error => Self::Damaged(error.to_string()),
        }
    }
}

/// Gives a fault its file name, and makes one of a decoder's panic: a file must never end the program.
fn guarded<T>(origin: &str, decode: impl FnOnce() -> Result<T, Fault>) -> Result<T, DataError> {
    match catch_unwind(AssertUnwindSafe(decode)) {
        Ok(Ok(value)) => Ok(value),
        Ok(Err(Fault::Damaged(reason))) => Err(DataError::unreadable(origin, reason)),
        Ok(Err(Fault::OverLimit(reason))) => Err(DataError::OverLimit {
            origin: origin.into(),
            reason,
        }),
        Err(_) => Err(DataError::unreadable(origin, "the decoder failed on it")),
    }
}

fn format(bytes: &[u8]) -> Result<ImageFormat, Fault> {
    use ImageFormat::{Bmp, Gif, Jpeg, Png, Tiff, WebP};
    if bytes.is_empty() {
        return Err(Fault::Damaged("the file is empty".into()));
    }
    match image::guess_format(bytes) {
        Ok(format @ (Jpeg | Png | WebP | Bmp | Tiff | Gif)) => Ok(format),
        _ => {
            if npy::is(bytes) {
                return Err(Fault::Damaged(format!("an array of NumPy's; {AS_STORED}")));
            }
            let start = bytes[..bytes.len().min(12)].escape_ascii();
            Err(Fault::Damaged(format!(
                "not a JPEG, PNG, WebP, BMP, TIFF or GIF file: it starts with \"{start}\""
            )))
        }
    }
}

/// Whether bytes begin as a file of one of the formats does that can be read.
pub fn is_image(bytes: &[u8]) -> bool {
    npy::is(bytes) || format(bytes).is_ok()
}

fn check_size(width: u64, height: u64, limits: &Decoding) -> Result<(), Fault> {
    if width == 0 || height == 0 {
        return Err(Fault::Damaged(format!(
            "its header says {width}x{height} pixels"
        )));
    }
    if width.saturating_mul(height) > limits.max_pixels {
        let max = limits.max_pixels;
        return Err(Fault::OverLimit(format!(
            "its header says {width}x{height} pixels, more than {max}"
        )));
    }
    Ok(())
}

/// What the header of a JPEG says.
struct JpegHeader {
    width: usize,
    height: usize,
    orientation: Orientation,
}

type Jpeg<'a> = JpegDecoder<Bytes<'a>>;

fn jpeg_header<'a>(bytes: &'a [u8], limits: &Decoding) -> Result<(Jpeg<'a>, JpegHeader), Fault> {
    let options = DecoderOptions::default()
        .set_strict_mode(true)
        .set_max_width(usize::from(u16::MAX))
        .set_max_height(usize::from(u16::MAX))
        .jpeg_set_max_scans(MAX_JPEG_SCANS)
        .jpeg_set_out_colorspace(ColorSpace::RGB);
    let mut decoder = JpegDecoder::new_with_options(Bytes::new(bytes), options);
    decoder.decode_headers().map_err(jpeg_fault)?;
    let (width, height) = decoder
        .dimensions()
        .ok_or_else(|| Fault::Damaged("no image size in it".into()))?;
    check_size(width as u64, height as u64, limits)?;
    let orientation = decoder
        .exif()
        .and_then(|exif| Orientation::from_exif_chunk(exif))
        .unwrap_or(Orientation::NoTransforms);
    let header = JpegHeader {
        width,
        height,
        orientation,
    };
    Ok((decoder, header))
}

fn decode_jpeg(bytes: &[u8], limits: &Decoding) -> Result<(Image, Turn), Fault> {
    let (mut decoder, header) = jpeg_header(bytes, limits)?;
    let pixels = decoder.decode().map_err(jpeg_fault)?;
    // The decoder accepts a last row without an end marker. It may be all gray.
    if !bytes.windows(2).rev().any(|pair| pair == [0xff, 0xd9]) {
        return Err(Fault::Damaged("cut short: no end-of-image marker".into()));
    }
    let (width, height) = (header.width, header.height);
    if pixels.len() != width * height * 3 {
        return Err(Fault::Damaged(format!(
            "{} bytes decoded for {width}x{height} RGB",
            pixels.len()
        )));
    }
    let image = Image {
        width,
        height,
        channels: 3,
        pixels,
    };
    let turn = Turn::new(header.orientation);
    Ok((turned(image, header.orientation)?, turn))
}

fn jpeg_fault(error: zune_jpeg::errors::DecodeErrors) -> Fault {
    Fault::Damaged(format!("JPEG: {error:?}"))
}

fn other_decoder<'a>(
    bytes: &'a [u8],
    format: ImageFormat,
    limits: &Decoding,
) -> Result<impl ImageDecoder + 'a, Fault> {
    let alloc = |pixels: u64| {
        let mut allowed = image::Limits::no_limits();
        allowed.max_alloc = Some(
            pixels
                .saturating_mul(BYTES_PER_PIXEL)
                .saturating_add(OVERHEAD),
        );
        allowed
    };
    let mut reader = ImageReader::with_format(Cursor::new(bytes), format);
    reader.limits(alloc(limits.max_pixels));
    let mut decoder = reader.into_decoder().map_err(|error| match error {
        ImageError::Unsupported(_)
            if format == ImageFormat::Tiff && stored::reads(bytes, limits) =>
        {
            Fault::Damaged(format!("{error}; {AS_STORED}"))
        }
        error => error.into(),
    })?;
    let (width, height) = decoder.dimensions();
    check_size(width.into(), height.into(), limits)?;
    decoder.set_limits(alloc(u64::from(width) * u64::from(height)))?;
    Ok(decoder)
}

fn decode_other(
    bytes: &[u8],
    format: ImageFormat,
    limits: &Decoding,
) -> Result<(Image, Turn), Fault> {
    if format == ImageFormat::Tiff
        && let Some((image, orientation)) = tiff::decode(bytes, limits)?
    {
        return Ok((image, Turn::new(orientation)));
    }
    let mut decoder = other_decoder(bytes, format, limits)?;
    let orientation = orientation(&mut decoder)?;
    let decoded = DynamicImage::from_decoder(decoder)?;
    if matches!(
        decoded,
        DynamicImage::ImageRgb32F(_) | DynamicImage::ImageRgba32F(_)
    ) {
        return Err(Fault::Damaged(format!(
            "floating-point samples; convert it to 8 or 16 bits, or {AS_STORED}"
        )));
    }
    let mut decoded = DynamicImage::ImageRgb8(decoded.into_rgb8());
    decoded.apply_orientation(orientation);
    Ok((from_dynamic(decoded), Turn::new(orientation)))
}

/// The orientation that a file's metadata gives.
fn orientation(decoder: &mut impl ImageDecoder) -> Result<Orientation, Fault> {
    let stated = decoder.orientation()?;
    if stated != Orientation::NoTransforms {
        return Ok(stated);
    }
    let exif = decoder.exif_metadata().ok().flatten();
    Ok(exif.as_deref().map_or(stated, Turn::orientation))
}

fn turned(image: Image, orientation: Orientation) -> Result<Image, Fault> {
    if orientation == Orientation::NoTransforms {
        return Ok(image);
    }
    let (width, height) = (image.width as u32, image.height as u32);
    let buffer = image::RgbImage::from_raw(width, height, image.pixels)
        .ok_or_else(|| Fault::Damaged("size and pixels do not fit".into()))?;
    let mut image = DynamicImage::ImageRgb8(buffer);
    image.apply_orientation(orientation);
    Ok(from_dynamic(image))
}

fn from_dynamic(image: DynamicImage) -> Image {
    let image = image.into_rgb8();
    Image {
        width: image.width() as usize,
        height: image.height() as usize,
        channels: 3,
        pixels: image.into_raw(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use image::{ExtendedColorType, ImageEncoder};
    use std::path::Path;
    use std::path::PathBuf;

    const LIMITS: Decoding = Decoding {
        max_pixels: 64 << 20,
        max_file_bytes: 512 << 20,
        pixels: PixelFormat::Rgb8,
    };

    fn png(pixels: &[u8], width: u32, height: u32, color: ExtendedColorType) -> Vec<u8> {
        let mut bytes = Vec::new();
        image::codecs::png::PngEncoder::new(&mut bytes)
            .write_image(pixels, width, height, color)
            .unwrap();
        bytes
    }

    #[test]
    fn every_depth_becomes_rgb() {
        let read = |bytes: &[u8]| decode(bytes, "x", &LIMITS).unwrap().pixels;
        assert_eq!(
            read(&png(&[7, 9], 2, 1, ExtendedColorType::L8)),
            [7, 7, 7, 9, 9, 9]
        );
        // Alpha is dropped; the color under it stays.
        assert_eq!(
            read(&png(&[1, 2, 3, 0], 1, 1, ExtendedColorType::Rgba8)),
            [1, 2, 3]
        );
        let wide: Vec<u8> = [0u16, 0x7f80, 0xffff]
            .iter()
            .flat_map(|value| value.to_ne_bytes())
            .collect();
        assert_eq!(
            read(&png(&wide, 1, 1, ExtendedColorType::Rgb16)),
            [0, 127, 255]
        );
    }

    #[test]
    fn the_header_decides_before_anything_is_allocated() {
        let bytes = png(&[0; 600], 20, 10, ExtendedColorType::Rgb8);
        let limits = |max_pixels| Decoding {
            max_pixels,
            ..LIMITS
        };
        assert_eq!(dimensions(&bytes, "x", &limits(200)).unwrap(), [20, 10, 3]);
        for error in [
            decode(&bytes, "x.png", &limits(199)),
            dimensions(&bytes, "x.png", &limits(199)).map(|_| unreachable!()),
        ] {
            let error = error.unwrap_err();
            assert!(matches!(error, DataError::OverLimit { .. }));
            assert_eq!(
                error.to_string(),
                "x.png: refused: its header says 20x10 pixels, more than 199"
            );
        }
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), &bytes).unwrap();
        let small = Decoding {
            max_file_bytes: 10,
            ..LIMITS
        };
        assert!(
            decode_file(file.path(), &small)
                .unwrap_err()
                .to_string()
                .contains("more than 10 bytes")
        );
    }

    #[test]
    fn what_is_no_image_is_said_to_be_none() {
        let reason = |bytes: &[u8]| decode(bytes, "x.jpg", &LIMITS).unwrap_err().to_string();
        assert_eq!(reason(b""), "x.jpg: the file is empty");
        assert!(
            reason(b"<!DOCTYPE html>").contains("not a JPEG, PNG, WebP, BMP, TIFF or GIF file")
        );
        let whole = png(&[0; 600], 20, 10, ExtendedColorType::Rgb8);
        (0..whole.len() - 13).for_each(|end| drop(reason(&whole[..end])));
        assert!(
            decode_file(Path::new("gone.png"), &LIMITS)
                .unwrap_err()
                .to_string()
                .starts_with("gone.png: cannot open")
        );
        assert!(
            decode_file(&std::env::temp_dir(), &LIMITS)
                .unwrap_err()
                .to_string()
                .contains("not a regular file")
        );
    }

    fn bad_images() -> Option<PathBuf> {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/data/bad-images");
        if !folder.is_dir() {
            println!("skipped: {} is not there", folder.display());
            return None;
        }
        Some(folder)
    }

    #[test]
    fn every_bad_image_goes_through() {
        let Some(folder) = bad_images() else { return };
        let (mut files, mut read) = (0, 0);
        for category in std::fs::read_dir(folder).unwrap() {
            let Ok(category) = std::fs::read_dir(category.unwrap().path()) else {
                continue;
            };
            for file in category {
                let file = file.unwrap().path();
                files += 1;
                match decode_file(&file, &LIMITS) {
                    Ok(image) => {
                        assert_eq!(image.pixels.len(), image.width * image.height * 3);
                        let bytes = std::fs::read(&file).unwrap();
                        let size = dimensions(&bytes, "x", &LIMITS).unwrap();
                        assert_eq!(size, [image.width, image.height, 3], "{}", file.display());
                        read += 1;
                    }
                    Err(error) => {
                        let error = error.to_string();
                        assert!(error.contains(file.to_str().unwrap()), "{error}");
                        assert!(!error.contains("the decoder failed on it"), "{error}");
                    }
                }
            }
        }
        assert_eq!(files, 378);
        println!("{read} of {files} files can be read");
    }

    #[test]
    fn cut_jpegs_and_bombs_are_refused_and_orientation_is_applied() {
        let Some(folder) = bad_images() else { return };
        let read = |name: &str| decode_file(&folder.join(name), &LIMITS);
        for name in [
            "trunc-300.jpg",
            "trunc-5825.jpg",
            "trunc-11651.jpg",
            "trunc-23300.jpg",
        ] {
            let error = read(&format!("crafted/{name}")).unwrap_err();
            assert!(matches!(error, DataError::Unreadable { .. }), "{error}");
        }
        for name in [
            "bomb-full-20000x20000.png",
            "bomb-header-100000x100000.png",
            "sof-65500x65500.jpg",
        ] {
            let error = read(&format!("crafted/{name}")).unwrap_err();
            assert!(matches!(error, DataError::OverLimit { .. }), "{error}");
        }
        assert!(read("crafted/trailing-garbage.jpg").is_ok());
        // All nine show the same picture once they are turned.
        let upright = read("exif-orientation/Landscape_1.jpg").unwrap();
        for number in 0..=8 {
            let turned = read(&format!("exif-orientation/Landscape_{number}.jpg")).unwrap();
            assert_eq!(
                (turned.width, turned.height),
                (upright.width, upright.height)
            );
            let difference: u64 = turned
                .pixels
                .iter()
                .zip(&upright.pixels)
                .map(|(a, b)| u64::from(a.abs_diff(*b)))
                .sum();
            assert!(
                (difference as f64) < 12.0 * upright.pixels.len() as f64,
                "Landscape_{number}"
            );
        }
    }
}
