//! Image files to 8-bit RGB: JPEG, PNG, WebP, BMP, TIFF and GIF, told apart by their content.
//!
//! What comes out is the picture as it is meant to be seen, turned by its EXIF orientation, in three channels:
//! grey is repeated, palettes are looked up, 16 bits are rounded to 8, CMYK is converted without a colour
//! profile, an alpha channel is dropped and the colours under it are kept (as Pillow's `convert("RGB")` does),
//! and of an animation the first frame is taken. Colour profiles are not applied. Images of floating-point
//! samples are refused, since their range is not stated anywhere.
//!
//! A damaged file is an error, not a partly grey picture: JPEG is decoded strictly (zune-jpeg) and must end
//! with its end marker. Size is checked by the header, before the pixels are allocated.

use std::fs::File;
use std::io::{Cursor, Read};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;

use image::metadata::Orientation;
use image::{DynamicImage, ImageDecoder, ImageError, ImageFormat, ImageReader};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use zune_jpeg::JpegDecoder;
use zune_jpeg::zune_core::bytestream::ZCursor;
use zune_jpeg::zune_core::colorspace::ColorSpace;
use zune_jpeg::zune_core::options::DecoderOptions;

use crate::error::DataError;
use crate::sample::Image;

/// The file name endings, in lower case, of the formats that can be read.
pub const EXTENSIONS: [&str; 8] = ["jpg", "jpeg", "png", "webp", "bmp", "tif", "tiff", "gif"];

/// What one image file may cost. Decoding allocates at most 16 bytes a pixel of the header's size, 64 MiB for
/// tables and metadata, and the file itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, rename_all = "kebab-case", deny_unknown_fields)]
pub struct DecodeLimits {
    /// Width times height, by the header.
    pub max_pixels: u64,
    /// The size of the file in bytes.
    pub max_file_bytes: u64,
}

impl Default for DecodeLimits {
    /// 64 Mi pixels (8192x8192) and 512 MiB.
    fn default() -> Self {
        Self {
            max_pixels: 64 << 20,
            max_file_bytes: 512 << 20,
        }
    }
}

/// Bytes for tables and metadata, whatever the size of the image.
const OVERHEAD: u64 = 64 << 20;
/// RGBA of 16 bits, and once more for what decoders keep beside the result.
const BYTES_PER_PIXEL: u64 = 16;
/// More scans than any encoder writes; each one costs a pass over the image.
const MAX_JPEG_SCANS: usize = 100;

/// Reads and decodes an image file. `origin` is how messages name it.
///
/// # Errors
/// [`DataError::Io`], [`DataError::Unreadable`] for what is damaged or no image, [`DataError::OverLimit`].
pub fn decode_file(path: &Path, limits: &DecodeLimits) -> Result<Image, DataError> {
    decode(
        &read_file(path, limits)?,
        &path.display().to_string(),
        limits,
    )
}

/// The bytes of a file, if there are not too many.
pub(crate) fn read_file(path: &Path, limits: &DecodeLimits) -> Result<Vec<u8>, DataError> {
    let file = File::open(path).map_err(|error| DataError::io(path, "open", error))?;
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
pub fn decode(bytes: &[u8], origin: &str, limits: &DecodeLimits) -> Result<Image, DataError> {
    guarded(origin, || match format(bytes)? {
        ImageFormat::Jpeg => decode_jpeg(bytes, limits),
        format => decode_other(bytes, format, limits),
    })
}

/// Width and height of an image file as it will come out of [`decode`], from its header.
///
/// # Errors
/// Those of [`decode`], as far as the header shows them.
pub fn dimensions(
    bytes: &[u8],
    origin: &str,
    limits: &DecodeLimits,
) -> Result<(usize, usize), DataError> {
    let (width, height, orientation) = guarded(origin, || match format(bytes)? {
        ImageFormat::Jpeg => {
            let (_, header) = jpeg_header(bytes, limits)?;
            Ok((header.width, header.height, header.orientation))
        }
        format => {
            let mut decoder = other_decoder(bytes, format, limits)?;
            let (width, height) = decoder.dimensions();
            Ok((width as usize, height as usize, decoder.orientation()?))
        }
    })?;
    use Orientation::{Rotate90, Rotate90FlipH, Rotate270, Rotate270FlipH};
    let turned = matches!(
        orientation,
        Rotate90 | Rotate270 | Rotate90FlipH | Rotate270FlipH
    );
    Ok(if turned {
        (height, width)
    } else {
        (width, height)
    })
}

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
            let start = bytes[..bytes.len().min(12)].escape_ascii();
            Err(Fault::Damaged(format!(
                "not a JPEG, PNG, WebP, BMP, TIFF or GIF file: it starts with \"{start}\""
            )))
        }
    }
}

fn check_size(width: u64, height: u64, limits: &DecodeLimits) -> Result<(), Fault> {
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

type Jpeg<'a> = JpegDecoder<ZCursor<&'a [u8]>>;

fn jpeg_header<'a>(
    bytes: &'a [u8],
    limits: &DecodeLimits,
) -> Result<(Jpeg<'a>, JpegHeader), Fault> {
    let options = DecoderOptions::default()
        .set_strict_mode(true)
        .set_max_width(usize::from(u16::MAX))
        .set_max_height(usize::from(u16::MAX))
        .jpeg_set_max_scans(MAX_JPEG_SCANS)
        .jpeg_set_out_colorspace(ColorSpace::RGB);
    let mut decoder = JpegDecoder::new_with_options(ZCursor::new(bytes), options);
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

fn decode_jpeg(bytes: &[u8], limits: &DecodeLimits) -> Result<Image, Fault> {
    let (mut decoder, header) = jpeg_header(bytes, limits)?;
    let pixels = decoder.decode().map_err(jpeg_fault)?;
    // The decoder accepts a last row without an end marker. It may be all grey.
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
    match header.orientation {
        Orientation::NoTransforms => Ok(image),
        orientation => turned(image, orientation),
    }
}

fn jpeg_fault(error: zune_jpeg::errors::DecodeErrors) -> Fault {
    Fault::Damaged(format!("JPEG: {error:?}"))
}

fn other_decoder<'a>(
    bytes: &'a [u8],
    format: ImageFormat,
    limits: &DecodeLimits,
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
    let mut decoder = reader.into_decoder()?;
    let (width, height) = decoder.dimensions();
    check_size(width.into(), height.into(), limits)?;
    decoder.set_limits(alloc(u64::from(width) * u64::from(height)))?;
    Ok(decoder)
}

fn decode_other(bytes: &[u8], format: ImageFormat, limits: &DecodeLimits) -> Result<Image, Fault> {
    let mut decoder = other_decoder(bytes, format, limits)?;
    let orientation = decoder.orientation()?;
    let decoded = DynamicImage::from_decoder(decoder)?;
    if matches!(
        decoded,
        DynamicImage::ImageRgb32F(_) | DynamicImage::ImageRgba32F(_)
    ) {
        return Err(Fault::Damaged(
            "floating-point samples; convert it to 8 or 16 bits".into(),
        ));
    }
    let mut decoded = DynamicImage::ImageRgb8(decoded.into_rgb8());
    decoded.apply_orientation(orientation);
    Ok(from_dynamic(decoded))
}

fn turned(image: Image, orientation: Orientation) -> Result<Image, Fault> {
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
