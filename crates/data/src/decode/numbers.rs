//! The numbers of a mask as its file stores them.

use super::Fault;
use super::turn::Turn;
use crate::error::DataError;
use crate::target::Mask;

/// The numbers that a file stores for its pixels, row by row.
pub(super) struct Numbers {
    pub(super) size: [usize; 2],
    pub(super) values: Vec<u16>,
    /// The number that a binary mask has beside 0.
    pub(super) white: u16,
}

impl Numbers {
    /// The numbers of a file of `[width, height]` and a depth of `bits`, turned as the picture that it is; fewer than
    /// there should be are refused.
    pub(super) fn new(
        size: [usize; 2],
        values: Vec<u16>,
        bits: usize,
        palette: bool,
        turn: Turn,
    ) -> Result<Self, Fault> {
        let (width, height) = (size[0], size[1]);
        if values.len() != width * height {
            let found = values.len();
            return Err(Fault::Damaged(format!(
                "{found} values for {width}x{height} pixels"
            )));
        }
        // A palette of two colors is black and white, whatever its colors are called.
        let white = match palette && bits > 1 {
            true => 255,
            false => ((1u32 << bits) - 1) as u16,
        };
        let (size, values) = turn.plane(size, values);
        Ok(Self {
            size,
            values,
            white,
        })
    }

    /// Each number as its class; the first that has none is named with its place.
    pub(super) fn classes(
        self,
        origin: &str,
        class: impl Fn(u16) -> Option<u8>,
        fault: impl Fn(String) -> String,
    ) -> Result<Mask, DataError> {
        let [width, height] = self.size;
        let found: Option<Vec<u8>> = self.values.iter().map(|&value| class(value)).collect();
        let classes = found.ok_or_else(|| {
            let wrong = self.values.iter().position(|&value| class(value).is_none());
            let at = wrong.unwrap_or_default();
            let shown = format!("{} at {}, {}", self.values[at], at % width, at / width);
            DataError::unreadable(origin, fault(shown))
        })?;
        Ok(Mask {
            width,
            height,
            classes,
        })
    }
}

/// Numbers of `bits` each, up to 8, the first in the highest bits, each row from a byte of its own.
pub(super) fn unpack(packed: &[u8], [width, height]: [usize; 2], bits: usize) -> Vec<u16> {
    let row = (width * bits).div_ceil(8);
    let mut values = Vec::with_capacity(width * height);
    for line in packed.chunks_exact(row).take(height) {
        values.extend((0..width).map(|x| {
            let shift = 8 - bits - (x * bits) % 8;
            (u16::from(line[x * bits / 8]) >> shift) & ((1 << bits) - 1)
        }));
    }
    values
}
