//! TIFF files that the `image` crate does not take: palettes of 1 to 8 bits, and gray of 2 and 4 bits.
//!
//! The `tiff` crate refuses palettes (photometric interpretation 3). What such a file stores are numbers like
//! those of a gray image, so it is read as one, from a copy whose tag 262 says so, and the numbers are then looked
//! up in the file's color map. Reference: TIFF Revision 6.0 (1992), sections 2, 5 and 8.

use std::io::Cursor;

use image::metadata::Orientation;
use tiff::decoder::{Decoder, DecodingResult, Limits};
use tiff::tags::Tag;

use super::numbers::{Numbers, unpack};
use super::turn::Turn;
use super::{BYTES_PER_PIXEL, Decoding, Fault, OVERHEAD, check_size, turned};
use crate::sample::Image;

const BITS_PER_SAMPLE: u16 = 258;
const COMPRESSION: u16 = 259;
const PHOTOMETRIC: u16 = 262;
const FILL_ORDER: u16 = 266;
const SAMPLES_PER_PIXEL: u16 = 277;

/// Decodes a file that is one of these, and leaves all others (nothing) to the `image` crate.
pub(super) fn decode(
    bytes: &[u8],
    limits: &Decoding,
) -> Result<Option<(Image, Orientation)>, Fault> {
    let Some(stored) = Stored::open(bytes, limits)? else {
        return Ok(None);
    };
    let orientation = stored.orientation;
    Ok(Some((stored.read()?, orientation)))
}

/// Width, height and orientation of a file that is one of these.
pub(super) fn header(
    bytes: &[u8],
    limits: &Decoding,
) -> Result<Option<(usize, usize, Orientation)>, Fault> {
    let stored = Stored::open(bytes, limits)?;
    Ok(stored.map(|stored| (stored.width, stored.height, stored.orientation)))
}

/// The numbers that a file of gray values, or with a palette, stores; no palette is looked up.
pub(super) fn numbers(bytes: &[u8], limits: &Decoding) -> Result<Numbers, Fault> {
    let Some(_) = Directory::read(bytes) else {
        return Err(Fault::Damaged(
            "a TIFF of another kind than version 42".into(),
        ));
    };
    let (mut decoder, bits, palette) = match Stored::open(bytes, limits)? {
        Some(stored) => (stored.decoder, stored.bits, stored.palette.is_some()),
        None => {
            let mut decoder = Decoder::new(Cursor::new(bytes.to_vec()))
                .map_err(fault)?
                .with_limits(allowance(0));
            let (width, height) = decoder.dimensions().map_err(fault)?;
            check_size(width.into(), height.into(), limits)?;
            decoder = decoder.with_limits(allowance(u64::from(width) * u64::from(height)));
            match decoder.colortype().map_err(fault)? {
                tiff::ColorType::Gray(bits @ (1 | 8 | 16)) => (decoder, bits.into(), false),
                other => {
                    return Err(Fault::Damaged(format!(
                        "a mask of class numbers must have a palette or gray values of up to 16 bits, this TIFF \
                         is {other:?}; masks that are colored pictures need `encoding = {{ colors = .. }}`"
                    )));
                }
            }
        }
    };
    if decoder.more_images() {
        return Err(Fault::Damaged(
            "a TIFF of several pages; a mask is one of them: save it alone".into(),
        ));
    }
    let orientation = decoder.find_tag_unsigned::<u8>(Tag::Orientation);
    let turn = Turn::from_exif(orientation.map_err(fault)?.unwrap_or(1));
    let (width, height) = decoder.dimensions().map_err(fault)?;
    let size = [width as usize, height as usize];
    let values = match decoder.read_image().map_err(fault)? {
        DecodingResult::U8(packed) if bits <= 8 => unpack(&packed, size, bits),
        DecodingResult::U16(values) if bits == 16 => values,
        _ => {
            return Err(Fault::Damaged(
                "a TIFF of signed or floating-point samples; a mask has whole numbers from 0"
                    .into(),
            ));
        }
    };
    Numbers::new(size, values, bits, palette, turn)
}

/// Whether a file's numbers are places in a palette.
pub(super) fn has_palette(bytes: &[u8]) -> bool {
    let photometric = Directory::read(bytes).and_then(|directory| directory.value(PHOTOMETRIC));
    photometric.is_some_and(|(kind, _)| kind == 3)
}

/// An image whose numbers can be read.
struct Stored {
    decoder: Decoder<Cursor<Vec<u8>>>,
    width: usize,
    height: usize,
    orientation: Orientation,
    bits: usize,
    /// All reds, then all greens, then all blues, in 16 bits; nothing for gray.
    palette: Option<Vec<u16>>,
}

pub(super) fn fault(error: tiff::TiffError) -> Fault {
    match error {
        tiff::TiffError::LimitsExceeded => {
            Fault::OverLimit("TIFF: more than its size allows".into())
        }
        error => Fault::Damaged(format!("TIFF: {error}")),
    }
}

/// What may be allocated for an image.
pub(super) fn allowance(pixels: u64) -> Limits {
    let bytes = pixels
        .saturating_mul(BYTES_PER_PIXEL)
        .saturating_add(OVERHEAD);
    let bytes = usize::try_from(bytes).unwrap_or(usize::MAX);
    let mut allowance = Limits::default();
    allowance.decoding_buffer_size = bytes;
    allowance.intermediate_buffer_size = bytes;
    allowance.ifd_value_size = OVERHEAD as usize;
    allowance
}

impl Stored {
    fn open(bytes: &[u8], limits: &Decoding) -> Result<Option<Self>, Fault> {
        let Some(directory) = Directory::read(bytes) else {
            return Ok(None);
        };
        let value = |tag, default| directory.value(tag).map_or(default, |(value, _)| value);
        // Only fax compressions (2 to 4) mind the order of bits themselves.
        if value(FILL_ORDER, 1) == 2 && !(2..=4).contains(&value(COMPRESSION, 1)) {
            return Err(Fault::Damaged(
                "TIFF with reversed bits (fill order 2); it cannot be read".into(),
            ));
        }
        let bits = value(BITS_PER_SAMPLE, 1);
        let palette_at = match directory.value(PHOTOMETRIC) {
            Some((3, at)) => Some(at),
            Some((0 | 1, _)) if matches!(bits, 2 | 4) => None,
            _ => return Ok(None),
        };
        if value(SAMPLES_PER_PIXEL, 1) != 1 || !matches!(bits, 1 | 2 | 4 | 8) {
            return Ok(None);
        }
        let mut copy = bytes.to_vec();
        if let Some(at) = palette_at {
            let as_gray = if directory.little_endian {
                [1, 0]
            } else {
                [0, 1]
            };
            copy[at..at + 2].copy_from_slice(&as_gray);
        }
        let mut decoder = Decoder::new(Cursor::new(copy))
            .map_err(fault)?
            .with_limits(allowance(0));
        let (width, height) = decoder.dimensions().map_err(fault)?;
        check_size(width.into(), height.into(), limits)?;
        decoder = decoder.with_limits(allowance(u64::from(width) * u64::from(height)));
        let palette = match palette_at {
            Some(_) => Some(decoder.get_tag_u16_vec(Tag::ColorMap).map_err(fault)?),
            None => None,
        };
        if let Some(values) = palette
            .as_ref()
            .map(Vec::len)
            .filter(|values| *values != 3 << bits)
        {
            return Err(Fault::Damaged(format!(
                "TIFF: {values} values in the color map of {bits} bits"
            )));
        }
        let orientation = decoder
            .find_tag_unsigned::<u8>(Tag::Orientation)
            .map_err(fault)?;
        Ok(Some(Self {
            decoder,
            width: width as usize,
            height: height as usize,
            orientation: orientation
                .and_then(Orientation::from_exif)
                .unwrap_or(Orientation::NoTransforms),
            bits: bits.into(),
            palette,
        }))
    }

    fn read(mut self) -> Result<Image, Fault> {
        let DecodingResult::U8(stored) = self.decoder.read_image().map_err(fault)? else {
            return Err(Fault::Damaged(
                "TIFF: not the samples that its header says".into(),
            ));
        };
        let (width, height, bits) = (self.width, self.height, self.bits);
        let colors = 1usize << bits;
        let row_bytes = (width * bits).div_ceil(8);
        if stored.len() < row_bytes * height {
            return Err(Fault::Damaged(
                "TIFF: fewer samples than its header says".into(),
            ));
        }
        let mut pixels = Vec::with_capacity(width * height * 3);
        for row in stored.chunks_exact(row_bytes).take(height) {
            for x in 0..width {
                let at = x * bits;
                let number = usize::from(row[at / 8]) >> (8 - bits - at % 8) & (colors - 1);
                pixels.extend(match &self.palette {
                    Some(map) => {
                        [0, 1, 2].map(|channel| (map[channel * colors + number] >> 8) as u8)
                    }
                    None => [(number * 255 / (colors - 1)) as u8; 3],
                });
            }
        }
        let image = Image {
            width,
            height,
            channels: 3,
            pixels,
        };
        turned(image, self.orientation)
    }
}

/// The first directory of a classic TIFF file.
struct Directory<'a> {
    bytes: &'a [u8],
    little_endian: bool,
    /// Where its entries begin, and how many there are.
    entries: (usize, usize),
}

impl<'a> Directory<'a> {
    fn read(bytes: &'a [u8]) -> Option<Self> {
        let mut directory = Self {
            bytes,
            little_endian: bytes.starts_with(b"II"),
            entries: (0, 0),
        };
        if directory.u16(2)? != 42 {
            return None;
        }
        let at = directory.u32(4)? as usize;
        directory.entries = (at.checked_add(2)?, directory.u16(at)?.into());
        Some(directory)
    }

    fn u16(&self, at: usize) -> Option<u16> {
        let pair: [u8; 2] = self.bytes.get(at..at.checked_add(2)?)?.try_into().ok()?;
        Some(if self.little_endian {
            u16::from_le_bytes(pair)
        } else {
            u16::from_be_bytes(pair)
        })
    }

    fn u32(&self, at: usize) -> Option<u32> {
        let (first, second) = (
            u32::from(self.u16(at)?),
            u32::from(self.u16(at.checked_add(2)?)?),
        );
        Some(if self.little_endian {
            second << 16 | first
        } else {
            first << 16 | second
        })
    }

    /// The value of a tag that holds one number of 16 bits, and where it is.
    fn value(&self, tag: u16) -> Option<(u16, usize)> {
        const SHORT: u16 = 3;
        let (start, count) = self.entries;
        let entry = (0..count)
            .map(|number| start + 12 * number)
            .find(|&at| self.u16(at) == Some(tag))?;
        let is_one = self.u16(entry + 2)? == SHORT && self.u32(entry + 4)? == 1;
        if is_one {
            Some((self.u16(entry + 8)?, entry + 8))
        } else {
            None
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::decode::{Decoding, decode};

    /// A little-endian TIFF of one strip: the tags given, and where the strip and the color map are.
    fn tiff(tags: &[(u16, u16)], strip: &[u8], map: &[u16]) -> Vec<u8> {
        let count = tags.len() + 1 + usize::from(!map.is_empty());
        let strip_at = 8 + 2 + 12 * count + 4;
        let map_at = (strip_at + strip.len()).next_multiple_of(2);
        let mut entries: Vec<(u16, u16, u32, u32)> = tags
            .iter()
            .map(|&(tag, value)| (tag, 3, 1, value.into()))
            .collect();
        entries.push((273, 4, 1, strip_at as u32));
        if !map.is_empty() {
            entries.push((320, 3, map.len() as u32, map_at as u32));
        }
        entries.sort_unstable();
        let mut bytes = b"II\x2a\x00\x08\x00\x00\x00".to_vec();
        bytes.extend((count as u16).to_le_bytes());
        for (tag, kind, count, value) in entries {
            bytes.extend(tag.to_le_bytes());
            bytes.extend(kind.to_le_bytes());
            bytes.extend(count.to_le_bytes());
            bytes.extend(value.to_le_bytes());
        }
        bytes.extend([0; 4]);
        bytes.extend(strip);
        bytes.resize(map_at, 0);
        map.iter()
            .for_each(|value| bytes.extend(value.to_le_bytes()));
        bytes
    }

    fn tags(bits: u16, photometric: u16, strip_bytes: u16) -> Vec<(u16, u16)> {
        [
            (256, 3),
            (257, 2),
            (258, bits),
            (259, 1),
            (262, photometric),
            (277, 1),
            (278, 2),
            (279, strip_bytes),
        ]
        .into()
    }

    #[test]
    fn palettes_are_looked_up_and_low_bits_spread() {
        let limits = Decoding::default();
        let map: Vec<u16> = [
            [0x1000, 0x2000, 0x3000, 0x4000],
            [0; 4],
            [0xffff, 0, 0, 0x8000],
        ]
        .concat();
        // Rows of 0 1 2 and 3 0 0, in two bits each.
        let file = tiff(&tags(2, 3, 2), &[0b00_01_10_00, 0b11_00_00_00], &map);
        let image = decode(&file, "x", &limits).unwrap();
        assert_eq!((image.width, image.height, image.channels), (3, 2, 3));
        let first = [0x10, 0, 255];
        assert_eq!(
            image.pixels,
            [
                first,
                [0x20, 0, 0],
                [0x30, 0, 0],
                [0x40, 0, 0x80],
                first,
                first
            ]
            .concat()
        );

        let file = tiff(&tags(4, 1, 4), &[0x0f, 0x80, 0x10, 0x00], &[]);
        let image = decode(&file, "x", &limits).unwrap();
        assert_eq!(
            image.pixels.iter().step_by(3).copied().collect::<Vec<_>>(),
            [0, 255, 136, 17, 0, 0]
        );
    }

    #[test]
    fn what_cannot_be_right_is_refused() {
        let limits = Decoding::default();
        let refused = |file: &[u8]| decode(file, "x.tif", &limits).unwrap_err().to_string();
        assert!(
            refused(&tiff(&tags(2, 3, 2), &[0, 0], &[1, 2, 3]))
                .contains("3 values in the color map")
        );
        let mut reversed = tags(4, 1, 4);
        reversed.push((266, 2));
        assert!(refused(&tiff(&reversed, &[0; 4], &[])).contains("fill order 2"));
        let whole = tiff(&tags(2, 3, 2), &[0, 0], &[0; 12]);
        (0..whole.len()).for_each(|end| drop(refused(&whole[..end])));
    }
}
