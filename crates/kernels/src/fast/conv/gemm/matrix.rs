//! Weights as a matrix of rows by channels and taps: where they stand, or packed into panels.

use std::ops::Range;

use crate::fast::conv::window::tile_rows;
use crate::fast::parallel::{Shared, for_each};
use crate::fast::simd::isa;

/// Rows of the matrix that are multiplied before the sums go to memory.
const DEPTH: usize = 512;

/// Weights as the inner product reads them: a matrix of `rows` by channels and taps.
pub(crate) struct Matrix<'a> {
    pub data: &'a [f32],
    pub rows: usize,
    pub taps: usize,
    /// Elements between rows that are read where they stand; packed panels have none.
    pub row_step: Option<usize>,
    pub blocks: Vec<Range<usize>>,
}

/// Where weights stand: `weights[row * row_stride + channel * channel_stride + taps[t]]`.
#[derive(Clone, Copy)]
pub(crate) struct WeightLayout<'a> {
    /// The group's weights.
    pub weights: &'a [f32],
    /// Outputs of the product.
    pub rows: usize,
    /// Elements between outputs.
    pub row_stride: usize,
    /// Channels summed over.
    pub channels: usize,
    /// Elements between those.
    pub channel_stride: usize,
    /// Place of each tap.
    pub taps: &'a [usize],
}

impl<'a> Matrix<'a> {
    /// The part of some rows, which are one tile, and of a block of channels.
    pub(crate) fn panel(&self, rows: Range<usize>, channels: &Range<usize>) -> Panel<'a> {
        let depth = channels.len() * self.taps;
        let (from, len) = match self.row_step {
            Some(step) => (
                rows.start * step + channels.start * self.taps,
                (rows.len() - 1) * step + depth,
            ),
            None => (
                channels.start * self.taps * self.rows + rows.start * depth,
                rows.len() * depth,
            ),
        };
        Panel {
            data: &self.data[from..from + len],
            row_step: self.row_step,
        }
    }
}

/// The weights of a tile's rows: row after row, or packed column by column.
#[derive(Clone, Copy)]
pub(crate) struct Panel<'a> {
    pub data: &'a [f32],
    /// See [`Matrix`].
    pub row_step: Option<usize>,
}

impl WeightLayout<'_> {
    /// Elements of a row.
    pub(crate) fn depth(&self) -> usize {
        self.channels * self.taps.len()
    }

    /// The matrix as it stands, where a row's elements follow one another.
    pub(crate) fn in_place(&self) -> Option<Matrix<'_>> {
        let ordered = self.taps.iter().copied().eq(0..self.channel_stride);
        ordered.then(|| self.matrix(self.weights, Some(self.row_stride)))
    }

    /// Packs into a buffer that holds `rows * channels * taps` elements.
    pub(crate) fn pack<'a>(&self, data: &'a mut [f32]) -> Matrix<'a> {
        let taps = self.taps.len();
        let blocks = channel_blocks(self.channels, taps);
        let tile = tile_rows(isa());
        let tiles = self.rows.div_ceil(tile);
        let shared = Shared::from(&mut *data);
        for_each(
            blocks.len() * tiles,
            self.rows * self.channels * taps,
            |task| {
                let (block, tile_index) = (&blocks[task / tiles], task % tiles);
                let row0 = tile_index * tile;
                let rows = tile.min(self.rows - row0);
                let start = block.start * taps * self.rows + row0 * block.len() * taps;
                let length = rows * block.len() * taps;
                // SAFETY: panels of different tasks do not overlap: `start` and `length` cut the buffer
                // into consecutive pieces, of `rows * channels * taps` elements together.
                let panel = unsafe { std::slice::from_raw_parts_mut(shared.at(start), length) };
                // Rows inside of channels: where channels lie far apart, neighbouring rows share pages.
                for (c, panel) in block.clone().zip(panel.chunks_exact_mut(rows * taps)) {
                    for r in 0..rows {
                        let at = (row0 + r) * self.row_stride + c * self.channel_stride;
                        let weights = &self.weights[at..];
                        for (to, tap) in panel[r..].iter_mut().step_by(rows).zip(self.taps) {
                            *to = weights[*tap];
                        }
                    }
                }
            },
        );
        self.matrix(data, None)
    }

    fn matrix<'a>(&self, data: &'a [f32], row_step: Option<usize>) -> Matrix<'a> {
        Matrix {
            data,
            rows: self.rows,
            taps: self.taps.len(),
            row_step,
            blocks: channel_blocks(self.channels, self.taps.len()),
        }
    }
}

/// Channels that are multiplied before the sums go to memory: the depth is cut evenly, and alike for
/// every machine and number of threads.
pub(crate) fn channel_blocks(channels: usize, taps: usize) -> Vec<Range<usize>> {
    let count = (channels * taps).div_ceil(DEPTH).clamp(1, channels.max(1));
    (0..count)
        .map(|i| i * channels / count..(i + 1) * channels / count)
        .collect()
}
