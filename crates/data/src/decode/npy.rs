//! Arrays as NumPy saves them (`numpy.save`): `[height, width]` or `[height, width, channels]`.
//!
//! Reference: NumPy Enhancement Proposal 1, "A Simple File Format for NumPy Arrays" (2007), versions 1 to 3.

use super::stored::{of_double, of_whole, of_word};
use super::{Decoding, Fault, check_size};
use crate::sample::{Image, MAX_CHANNELS, Picture, Value};

const MAGIC: &[u8] = b"\x93NUMPY";

/// Whether bytes begin as such a file does.
pub(super) fn is(bytes: &[u8]) -> bool {
    bytes.starts_with(MAGIC)
}

/// Width, height and channels.
pub(super) fn layout(bytes: &[u8], limits: &Decoding) -> Result<[usize; 3], Fault> {
    Header::read(bytes, limits).map(|header| [header.width, header.height, header.channels])
}

/// Reads an array of numbers.
pub(super) fn read(bytes: &[u8], limits: &Decoding) -> Result<Picture, Fault> {
    let header = Header::read(bytes, limits)?;
    let (data, big) = (header.data, header.kind.starts_with('>'));
    /// The numbers of so many bytes each, in the order of this machine.
    fn numbers<const N: usize, T, E>(
        data: &[u8],
        big: bool,
        number: impl Fn([u8; N]) -> Result<T, E>,
    ) -> Result<Vec<T>, E> {
        let values = data.as_chunks::<N>().0.iter();
        let little = |mut bytes: [u8; N]| {
            if big {
                bytes.reverse();
            }
            bytes
        };
        values.map(|bytes| number(little(*bytes))).collect()
    }
    let floats = match &header.kind[1..] {
        "u1" => return Ok(header.image(data.to_vec()).into()),
        "i1" => numbers(data, big, |b| of_whole(i8::from_le_bytes(b).into())),
        "u2" => numbers(data, big, |b| Ok(of_word(u16::from_le_bytes(b)))),
        "i2" => numbers(data, big, |b| of_whole(i16::from_le_bytes(b).into())),
        "u4" => numbers(data, big, |b| of_whole(u32::from_le_bytes(b).into())),
        "i4" => numbers(data, big, |b| of_whole(i32::from_le_bytes(b).into())),
        "i8" => numbers(data, big, |b| of_whole(i64::from_le_bytes(b))),
        "f4" => numbers(data, big, |b| Ok(f32::from_le_bytes(b))),
        "f8" => numbers(data, big, |b| of_double(f64::from_le_bytes(b))),
        _ => Err(Fault::Damaged(format!(
            "an array of type `{}`; save it as `uint8`, `uint16`, `int16`, `int32`, `float32` or `float64`",
            header.kind
        ))),
    }?;
    Ok(header.image(floats).into())
}

struct Header<'a> {
    /// As NumPy writes it: `<f4`, `|u1`.
    kind: &'a str,
    width: usize,
    height: usize,
    channels: usize,
    data: &'a [u8],
}

impl<'a> Header<'a> {
    fn read(bytes: &'a [u8], limits: &Decoding) -> Result<Self, Fault> {
        let cut = || Fault::Damaged("NPY: the file ends within its header".into());
        let after = bytes.strip_prefix(MAGIC).ok_or_else(cut)?;
        let (version, rest) = after.split_first_chunk::<2>().ok_or_else(cut)?;
        let (length, rest) = match version[0] {
            1 => {
                let (length, rest) = rest.split_first_chunk::<2>().ok_or_else(cut)?;
                (usize::from(u16::from_le_bytes(*length)), rest)
            }
            2 | 3 => {
                let (length, rest) = rest.split_first_chunk::<4>().ok_or_else(cut)?;
                (u32::from_le_bytes(*length) as usize, rest)
            }
            other => return Err(Fault::Damaged(format!("NPY of version {other}"))),
        };
        let (text, data) = rest.split_at_checked(length).ok_or_else(cut)?;
        let unlike = || {
            let shown = text[..text.len().min(120)].escape_ascii();
            Fault::Damaged(format!(
                "NPY: not the header of an array of numbers: {shown}"
            ))
        };
        let text = str::from_utf8(text).map_err(|_| unlike())?;
        let value = |key: &str| {
            let (_, after) = text.split_once(&format!("'{key}':"))?;
            Some(after.trim_start())
        };
        let kind = value("descr").and_then(|after| after.strip_prefix('\''));
        let (kind, _) = kind
            .and_then(|after| after.split_once('\''))
            .ok_or_else(unlike)?;
        if kind.len() < 2 || !kind.is_ascii() || !kind.starts_with(['<', '>', '|', '=']) {
            return Err(unlike());
        }
        match value("fortran_order") {
            Some(after) if after.starts_with("False") => {}
            Some(after) if after.starts_with("True") => {
                return Err(Fault::Damaged(
                    "an array in Fortran's order; save `numpy.ascontiguousarray(array)`".into(),
                ));
            }
            _ => return Err(unlike()),
        }
        let shape = value("shape").and_then(|after| after.strip_prefix('('));
        let (shape, _) = shape
            .and_then(|after| after.split_once(')'))
            .ok_or_else(unlike)?;
        let sides = shape
            .split(',')
            .map(str::trim)
            .filter(|side| !side.is_empty());
        let sides: Vec<usize> = sides
            .map(|side| side.parse().map_err(|_| unlike()))
            .collect::<Result<_, _>>()?;
        let (height, width, channels) = match sides[..] {
            [height, width] => (height, width, 1),
            [height, width, channels] => (height, width, channels),
            _ => {
                return Err(Fault::Damaged(format!(
                    "an array of shape ({shape}); a picture is (height, width) or (height, width, channels)"
                )));
            }
        };
        // No picture is so flat, and many arrays of models are (channels, height, width).
        let first = height <= 4 && channels >= 16;
        if first || !(1..=MAX_CHANNELS).contains(&channels) {
            return Err(Fault::Damaged(format!(
                "an array of shape ({shape}), read as (height, width, channels), would be a picture of {channels} \
                 channels{}",
                match first || height <= MAX_CHANNELS {
                    true => "; where the channels come first, save `numpy.moveaxis(array, 0, -1)`",
                    false => "; from 1 to 64 are possible",
                }
            )));
        }
        check_size(width as u64, height as u64, limits)?;
        let each: usize = kind[2..].parse().map_err(|_| unlike())?;
        // Sides and channels are small by now, so that their product fits.
        let needed = width * height * channels * each;
        if data.len() != needed {
            return Err(Fault::Damaged(format!(
                "NPY: {} bytes for an array of shape ({shape}) and type `{kind}`, which has {needed}",
                data.len()
            )));
        }
        Ok(Self {
            kind,
            width,
            height,
            channels,
            data,
        })
    }

    fn image<T: Value>(&self, pixels: Vec<T>) -> Image<T> {
        Image {
            width: self.width,
            height: self.height,
            channels: self.channels,
            pixels,
        }
    }
}
