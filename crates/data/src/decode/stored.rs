//! Pictures as their files store them: channels and depth are kept, for files that are measurements more than pictures
//! for the eye.
//!
//! Of 8 bits come bytes; 16 unsigned bits become numbers from 0 to 1 (`value / 65535`); signed and floating-point samples are
//! numbers as they are. Palettes are looked up, fewer than 8 bits and inks (CMYK) are read as [`decode`](super::decode)
//! reads them. An alpha channel is a channel. NumPy's `.npy` files: [`npy`].

use std::io::Cursor;

use image::{DynamicImage, ImageDecoder, ImageFormat};
use tiff::ColorType;
use tiff::decoder::{Decoder, DecodingResult};
use tiff::tags::Tag;
use zune_jpeg::zune_core::colorspace::ColorSpace;

use super::tiff::{allowance, fault};
use super::turn::Turn;
use super::{
    Decoding, Fault, check_size, decode_jpeg, decode_other, format, header_of, jpeg_header, npy,
    orientation, other_decoder, tiff as palettes,
};
use crate::sample::{Image, MAX_CHANNELS, Picture, Value};

/// The largest whole number up to which 32 bits of a float hold each one.
const EXACT: i64 = 1 << 24;

/// Decodes a file, with the turn that its metadata asked for and that the picture has had.
pub(super) fn decode(bytes: &[u8], limits: &Decoding) -> Result<(Picture, Turn), Fault> {
    if npy::is(bytes) {
        return Ok((npy::read(bytes, limits)?, Turn::NONE));
    }
    match format(bytes)? {
        ImageFormat::Jpeg => {
            let gray = jpeg_header(bytes, limits)?.0.input_colorspace() == Some(ColorSpace::Luma);
            let (image, turn) = decode_jpeg(bytes, limits)?;
            let image = if gray { image.plane(0) } else { image };
            Ok((image.into(), turn))
        }
        ImageFormat::Tiff => match Bands::open(bytes, limits)? {
            Some(bands) => bands.read(),
            None => {
                let (image, turn) = decode_other(bytes, ImageFormat::Tiff, limits)?;
                let gray = tiff_channels(bytes)? == Some(1);
                let image = if gray { image.plane(0) } else { image };
                Ok((image.into(), turn))
            }
        },
        format => {
            let mut decoder = other_decoder(bytes, format, limits)?;
            let orientation = orientation(&mut decoder)?;
            let mut decoded = DynamicImage::from_decoder(decoder)?;
            decoded.apply_orientation(orientation);
            Ok((from_dynamic(decoded)?, Turn::new(orientation)))
        }
    }
}

/// Width, height and channels as [`decode`] gives them, from the header.
pub(super) fn layout(bytes: &[u8], limits: &Decoding) -> Result<[usize; 3], Fault> {
    if npy::is(bytes) {
        return npy::layout(bytes, limits);
    }
    let format = format(bytes)?;
    if format == ImageFormat::Tiff
        && let Some(bands) = Bands::open(bytes, limits)?
    {
        let [width, height] = bands.turn.shown(bands.size);
        return Ok([width, height, bands.channels]);
    }
    let (width, height, orientation) = header_of(bytes, limits)?;
    let [width, height] = Turn::new(orientation).shown([width, height]);
    let channels = match format {
        ImageFormat::Jpeg => match jpeg_header(bytes, limits)?.0.input_colorspace() {
            Some(ColorSpace::Luma) => 1,
            _ => 3,
        },
        ImageFormat::Tiff => tiff_channels(bytes)?.unwrap_or(3),
        format => {
            let color = other_decoder(bytes, format, limits)?.color_type();
            usize::from(color.channel_count())
        }
    };
    Ok([width, height, channels])
}

/// 1 of a gray TIFF, nothing of others.
fn tiff_channels(bytes: &[u8]) -> Result<Option<usize>, Fault> {
    if palettes::has_palette(bytes) {
        return Ok(None);
    }
    let mut decoder = Decoder::new(Cursor::new(bytes)).map_err(fault)?;
    let gray = matches!(decoder.colortype().map_err(fault)?, ColorType::Gray(_));
    Ok(gray.then_some(1))
}

fn from_dynamic(decoded: DynamicImage) -> Result<Picture, Fault> {
    let (width, height) = (decoded.width() as usize, decoded.height() as usize);
    let channels = usize::from(decoded.color().channel_count());
    fn image<T>(width: usize, height: usize, channels: usize, pixels: Vec<T>) -> Image<T> {
        Image {
            width,
            height,
            channels,
            pixels,
        }
    }
    let bytes = |pixels| Picture::from(image(width, height, channels, pixels));
    let words = |pixels: Vec<u16>| {
        let pixels = pixels.into_iter().map(of_word).collect();
        Picture::from(image(width, height, channels, pixels))
    };
    let floats = |pixels| Picture::from(image::<f32>(width, height, channels, pixels));
    Ok(match decoded {
        DynamicImage::ImageLuma8(image) => bytes(image.into_raw()),
        DynamicImage::ImageLumaA8(image) => bytes(image.into_raw()),
        DynamicImage::ImageRgb8(image) => bytes(image.into_raw()),
        DynamicImage::ImageRgba8(image) => bytes(image.into_raw()),
        DynamicImage::ImageLuma16(image) => words(image.into_raw()),
        DynamicImage::ImageLumaA16(image) => words(image.into_raw()),
        DynamicImage::ImageRgb16(image) => words(image.into_raw()),
        DynamicImage::ImageRgba16(image) => words(image.into_raw()),
        DynamicImage::ImageRgb32F(image) => floats(image.into_raw()),
        DynamicImage::ImageRgba32F(image) => floats(image.into_raw()),
        other => {
            let color = other.color();
            return Err(Fault::Damaged(format!(
                "pixels of an unknown kind: {color:?}"
            )));
        }
    })
}

/// 0 to 1 of 16 bits.
pub(super) fn of_word(word: u16) -> f32 {
    f32::from(word) / f32::from(u16::MAX)
}

/// A whole number, if 32 bits of a float hold it.
pub(super) fn of_whole(number: i64) -> Result<f32, Fault> {
    match number.abs() <= EXACT {
        true => Ok(number as f32),
        false => Err(Fault::Damaged(format!(
            "holds {number}: whole numbers beyond {EXACT} do not fit 32 bits; divide them, or save them as floating-point \
             numbers"
        ))),
    }
}

/// A number of 64 bits in 32, if it does not leave their range.
pub(super) fn of_double(number: f64) -> Result<f32, Fault> {
    let short = number as f32;
    match short.is_finite() || !number.is_finite() {
        true => Ok(short),
        false => Err(Fault::Damaged(format!(
            "holds {number}, which leaves the range of 32 bits"
        ))),
    }
}

/// Whether a file that is no picture for the eye can be read as it is stored.
pub(super) fn reads(bytes: &[u8], limits: &Decoding) -> bool {
    matches!(Bands::open(bytes, limits), Ok(Some(_)))
}

/// A TIFF of samples that are kept as they are.
struct Bands<'a> {
    decoder: Decoder<Cursor<&'a [u8]>>,
    size: [usize; 2],
    channels: usize,
    turn: Turn,
}

impl<'a> Bands<'a> {
    /// `None` for palettes, for samples of fewer than 8 bits, and for inks.
    fn open(bytes: &'a [u8], limits: &Decoding) -> Result<Option<Self>, Fault> {
        if palettes::has_palette(bytes) {
            return Ok(None);
        }
        let mut decoder = Decoder::new(Cursor::new(bytes))
            .map_err(fault)?
            .with_limits(allowance(0));
        let (width, height) = decoder.dimensions().map_err(fault)?;
        check_size(width.into(), height.into(), limits)?;
        let color = decoder.colortype().map_err(fault)?;
        let channels = match color {
            ColorType::Gray(_) => 1,
            ColorType::GrayA(_) => 2,
            ColorType::RGB(_) => 3,
            ColorType::RGBA(_) => 4,
            ColorType::Multiband { num_samples, .. } => usize::from(num_samples),
            _ => return Ok(None),
        };
        if color.bit_depth() < 8 {
            return Ok(None);
        }
        if !(1..=MAX_CHANNELS).contains(&channels) {
            return Err(Fault::Damaged(format!(
                "{channels} channels; from 1 to {MAX_CHANNELS} are possible"
            )));
        }
        let pixels = u64::from(width) * u64::from(height);
        let decoder = decoder.with_limits(allowance(pixels * channels as u64));
        let mut bands = Self {
            decoder,
            size: [width as usize, height as usize],
            channels,
            turn: Turn::NONE,
        };
        let orientation = bands.decoder.find_tag_unsigned::<u8>(Tag::Orientation);
        bands.turn = Turn::from_exif(orientation.map_err(fault)?.unwrap_or(1));
        Ok(Some(bands))
    }

    fn read(mut self) -> Result<(Picture, Turn), Fault> {
        let planar = self
            .decoder
            .find_tag_unsigned::<u16>(Tag::PlanarConfiguration);
        let planar = planar.map_err(fault)? == Some(2);
        let mut result = DecodingResult::U8(Vec::new());
        self.decoder
            .read_image_to_buffer(&mut result)
            .map_err(fault)?;
        use DecodingResult as R;
        let whole = |values: Vec<i64>| {
            values
                .into_iter()
                .map(of_whole)
                .collect::<Result<Vec<_>, _>>()
        };
        let floats: Vec<f32> = match result {
            R::U8(values) => return Ok((self.image(values, planar)?.into(), self.turn)),
            R::U16(values) => values.into_iter().map(of_word).collect(),
            R::I8(values) => values.into_iter().map(f32::from).collect(),
            R::I16(values) => values.into_iter().map(f32::from).collect(),
            R::U32(values) => whole(values.into_iter().map(i64::from).collect())?,
            R::I32(values) => whole(values.into_iter().map(i64::from).collect())?,
            R::F16(values) => values.into_iter().map(f32::from).collect(),
            R::F32(values) => values,
            R::F64(values) => values
                .into_iter()
                .map(of_double)
                .collect::<Result<_, _>>()?,
            R::U64(_) | R::I64(_) => {
                return Err(Fault::Damaged(
                    "whole numbers of 64 bits; save it with 32".into(),
                ));
            }
        };
        Ok((self.image(floats, planar)?.into(), self.turn))
    }

    fn image<T>(&self, values: Vec<T>, planar: bool) -> Result<Image<T>, Fault>
    where
        T: Value + image::Primitive,
        image::Luma<T>: image::Pixel<Subpixel = T>,
    {
        let ([width, height], channels) = (self.size, self.channels);
        let count = width * height;
        if values.len() != count * channels {
            return Err(Fault::Damaged(format!(
                "TIFF: {} samples for {width}x{height}x{channels}",
                values.len()
            )));
        }
        if !planar && self.turn.is_none() {
            return Ok(Image {
                width,
                height,
                channels,
                pixels: values,
            });
        }
        let plane = |channel: usize| -> Vec<T> {
            match planar {
                true => values[channel * count..][..count].to_vec(),
                false => values
                    .iter()
                    .skip(channel)
                    .step_by(channels)
                    .copied()
                    .collect(),
            }
        };
        let planes: Vec<Image<T>> = (0..channels)
            .map(|channel| {
                let ([width, height], pixels) = self.turn.plane(self.size, plane(channel));
                Image {
                    width,
                    height,
                    channels: 1,
                    pixels,
                }
            })
            .collect();
        Ok(Image::from_planes(&planes))
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::io::Read;

    use flate2::read::GzDecoder;

    use super::super::{PixelFormat, dimensions, picture};
    use super::*;

    const AS_STORED: Decoding = Decoding {
        max_pixels: 1 << 20,
        max_file_bytes: 1 << 20,
        pixels: PixelFormat::Stored,
    };

    /// What `scripts/export_stored_fixtures.py` had other tools write.
    fn files() -> BTreeMap<String, Vec<u8>> {
        let packed = include_bytes!("../../tests/fixtures/stored.tar.gz");
        let mut archive = tar::Archive::new(GzDecoder::new(&packed[..]));
        let entries = archive.entries().unwrap().map(|entry| {
            let mut entry = entry.unwrap();
            let mut bytes = Vec::new();
            entry.read_to_end(&mut bytes).unwrap();
            (entry.path().unwrap().display().to_string(), bytes)
        });
        entries.collect()
    }

    /// The value that the script wrote at a place, as it is to be read.
    fn expected(kind: &str, i: usize) -> f32 {
        match kind {
            "u8" => (i * 7 % 251) as f32,
            "u16" => ((i * 521 + 3) % 65536) as f32 / 65535.0,
            "i16" => i as f32 * 97.0 - 1000.0,
            "i32" | "u32" => (i * 90001) as f32,
            _ => i as f32 * 0.25 - 3.0,
        }
    }

    #[test]
    fn every_depth_and_number_of_channels_is_read_as_it_is_stored() {
        let mut read = 0;
        for (name, bytes) in files() {
            let (stem, _) = name.split_once('.').unwrap();
            let mut parts = stem.split('-');
            let (kind, channels) = (parts.next().unwrap(), parts.next());
            let Some(channels) = channels.and_then(|channels| channels.parse::<usize>().ok())
            else {
                continue;
            };
            let found = picture(&bytes, &name, &AS_STORED).unwrap();
            let size = found.size();
            let header = dimensions(&bytes, &name, &AS_STORED).unwrap();
            assert_eq!(header, [size[0], size[1], channels], "{name}");
            assert_eq!(found.channels(), channels, "{name}");
            let values: Vec<f32> = match &found {
                Picture::Bytes(image) => {
                    assert_eq!(kind, "u8", "{name}");
                    image.pixels.iter().map(|v| f32::from(*v)).collect()
                }
                Picture::Floats(image) => image.pixels.clone(),
            };
            let stored = |x: usize, y: usize, c: usize| expected(kind, (y * 5 + x) * channels + c);
            let turned = name.contains("turned");
            for (at, value) in values.iter().enumerate() {
                let (pixel, c) = (at / channels, at % channels);
                let (x, y) = (pixel % size[0], pixel / size[0]);
                let wanted = match (turned, size) {
                    (false, [5, 4]) => stored(x, y, c),
                    // A quarter turn to the right, and a half turn.
                    (true, [4, 5]) => stored(y, 3 - x, c),
                    (true, [5, 4]) => stored(4 - x, 3 - y, c),
                    _ => panic!("{name}: {size:?}"),
                };
                assert_eq!(*value, wanted, "{name} at {x}, {y}, {c}");
            }
            read += 1;
        }
        assert_eq!(read, 38);
    }

    #[test]
    fn arrays_that_are_no_pictures_are_refused_by_what_they_are() {
        let files = files();
        for (name, reason) in [
            ("bad-fortran.npy", "numpy.ascontiguousarray"),
            ("bad-bool.npy", "type `|b1`; save it as"),
            ("bad-complex.npy", "type `<c8`; save it as"),
            (
                "bad-structured.npy",
                "not the header of an array of numbers",
            ),
            ("bad-first.npy", "numpy.moveaxis(array, 0, -1)"),
            (
                "bad-stack.npy",
                "(height, width) or (height, width, channels)",
            ),
            ("bad-line.npy", "an array of shape (20,)"),
            (
                "bad-large.npy",
                "holds 16777217: whole numbers beyond 16777216",
            ),
            ("bad-huge.npy", "leaves the range of 32 bits"),
        ] {
            let found = picture(&files[name], name, &AS_STORED).unwrap_err();
            assert!(found.to_string().contains(reason), "{name}: {found}");
        }
        // Cut anywhere, it is an error.
        let whole = &files["f32-9.npy"];
        for length in 0..whole.len() {
            let found = picture(&whole[..length], "x.npy", &AS_STORED);
            assert!(found.is_err(), "cut to {length} bytes");
            let header = dimensions(&whole[..length], "x.npy", &AS_STORED);
            assert!(header.is_err(), "cut to {length} bytes");
        }
        let narrow = Decoding {
            max_pixels: 19,
            ..AS_STORED
        };
        let found = picture(whole, "x.npy", &narrow).unwrap_err();
        assert!(found.to_string().contains("more than 19"), "{found}");
    }

    #[test]
    fn palettes_are_looked_up_and_gray_stays_gray() {
        let files = files();
        let layout = |name: &str| {
            let found = picture(&files[name], name, &AS_STORED).unwrap();
            let [width, height] = found.size();
            let header = dimensions(&files[name], name, &AS_STORED).unwrap();
            assert_eq!(header, [width, height, found.channels()], "{name}");
            (found.channels(), found.kind())
        };
        assert_eq!(layout("pillow-P.png"), (3, "8 bits"));
        assert_eq!(layout("pillow-L.png"), (1, "8 bits"));
        assert_eq!(layout("gray.jpg"), (1, "8 bits"));
    }

    #[test]
    fn what_only_this_reads_is_named_where_pictures_for_the_eye_are_read() {
        let files = files();
        for name in ["f32-1.npy", "f32-4.tif"] {
            let found = picture(&files[name], name, &Decoding::default()).unwrap_err();
            let wanted = "`decode = { pixels = \"stored\" }`";
            assert!(found.to_string().contains(wanted), "{name}: {found}");
        }
        // 16 bits are rounded there, as before.
        let found = picture(&files["u16-3.png"], "x.png", &Decoding::default()).unwrap();
        assert_eq!((found.channels(), found.kind()), (3, "8 bits"));
    }
}
