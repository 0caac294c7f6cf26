//! The product of packed weights with packed columns, for forward convolution, input gradients and
//! transposed convolution.

use std::ops::Range;

use super::super::parallel::{Shared, for_each, threads, with_scratch};
use super::super::simd::{MAX_LANES, Simd, isa, simd_dispatch};
use super::flat::{self, Flat};
use super::window::{Block, Window, tile_rows};

/// Vectors in a panel of columns.
const PANEL: usize = 3;
/// Rows of the matrix that are multiplied before the sums go to memory.
const DEPTH: usize = 512;
/// Elements of packed columns a thread works on at once: half of a usual second-level cache.
const PACKED: usize = 96 * 1024;

/// Weights in the order in which the inner product reads them.
pub(crate) struct PackedWeights<'a> {
    data: &'a [f32],
    rows: usize,
    taps: usize,
    blocks: Vec<Range<usize>>,
}

/// Where weights stand: `weights[row * row_stride + channel * channel_stride + taps[t]]`.
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

impl PackedWeights<'_> {
    pub(super) fn rows(&self) -> usize {
        self.rows
    }

    pub(super) fn data(&self) -> &[f32] {
        self.data
    }
}

impl WeightLayout<'_> {
    /// Packs into a buffer that holds `rows * channels * taps` elements.
    pub(crate) fn pack<'a>(&self, data: &'a mut [f32]) -> PackedWeights<'a> {
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
        self.packed(data)
    }

    /// The view of a buffer that `pack` filled, for this layout.
    pub(crate) fn packed<'a>(&self, data: &'a [f32]) -> PackedWeights<'a> {
        let taps = self.taps.len();
        assert_eq!(data.len(), self.rows * self.channels * taps);
        PackedWeights {
            data,
            rows: self.rows,
            taps,
            blocks: channel_blocks(self.channels, taps),
        }
    }
}

/// Channels that are multiplied before the sums go to memory: the depth is cut evenly, and alike for
/// every machine and number of threads.
fn channel_blocks(channels: usize, taps: usize) -> Vec<Range<usize>> {
    let count = (channels * taps).div_ceil(DEPTH).clamp(1, channels.max(1));
    (0..count)
        .map(|i| i * channels / count..(i + 1) * channels / count)
        .collect()
}

/// Where a product's results go.
#[derive(Clone, Copy)]
pub(crate) struct Target<'a> {
    /// The group's first output.
    pub out: Shared,
    /// Elements between output channels.
    pub channel_stride: usize,
    /// Added to each output channel.
    pub bias: Option<&'a [f32]>,
    /// Whether negative results become zero.
    pub relu: bool,
}

/// Computes all outputs of one group.
///
/// # Safety
/// `target.out` has room for every output of the window in each of the weights' rows, and nothing else
/// accesses those while this runs.
pub(crate) unsafe fn product(window: &Window, x: &[f32], weights: &PackedWeights, target: Target) {
    if weights.blocks.len() == 1
        && let Some(flat) = Flat::of(window, weights.rows)
    {
        // SAFETY: this function's contract.
        return unsafe { flat::product(&flat, window, x, weights, target) };
    }
    let lanes = isa().lanes();
    let panel_columns = PANEL * lanes;
    let columns = window.columns();
    let deepest = weights.blocks.iter().map(|b| b.len()).max().unwrap_or(0) * weights.taps;

    // Columns of a block: as many as the cache holds, few enough to give every thread some blocks.
    let fits = (PACKED / deepest.max(1)).max(panel_columns);
    let fair = columns.div_ceil(4 * threads()).max(panel_columns);
    let block_columns = fits.min(fair) / panel_columns * panel_columns;
    let blocks = columns.div_ceil(block_columns);
    // Too few columns for all threads: the rows are split as well.
    let tile = tile_rows(isa());
    let tiles = weights.rows.div_ceil(tile);
    let parts = if blocks >= 2 * threads() {
        1
    } else {
        (2 * threads()).div_ceil(blocks).min(tiles)
    };

    for_each(blocks * parts, columns * weights.rows * deepest, |task| {
        let (index, part) = (task / parts, task % parts);
        let from = index * block_columns;
        let to = columns.min(from + block_columns);
        let tiles = part * tiles / parts..(part + 1) * tiles / parts;
        let rows = tiles.start * tile..weights.rows.min(tiles.end * tile);
        let block = Block::new(window, from, to);
        let vectors = block.vectors();
        with_scratch(vectors * lanes * deepest, |packed| {
            for (number, channels) in weights.blocks.iter().enumerate() {
                let depth = channels.len() * weights.taps;
                let place = |v: usize| {
                    let panel = v / PANEL;
                    let width = PANEL.min(vectors - panel * PANEL) * lanes;
                    (panel * panel_columns * depth + (v % PANEL) * lanes, width)
                };
                block.pack(window, x, channels.clone(), place, packed);
                let a = &weights.data[channels.start * weights.taps * weights.rows..];
                let step = Step {
                    first: number == 0,
                    last: number + 1 == weights.blocks.len(),
                    contiguous: window.contiguous(),
                    col_stride: window.out_col_stride,
                    depth,
                };
                // SAFETY: blocks and row ranges of different tasks do not overlap, and the target
                // has room for them by this function's contract.
                unsafe { block_product(&block, a, &packed[..], rows.clone(), step, target) };
            }
        });
    });
}

/// What one pass over a block does.
#[derive(Clone, Copy)]
struct Step {
    first: bool,
    last: bool,
    contiguous: bool,
    col_stride: usize,
    depth: usize,
}

simd_dispatch! {
    /// Multiplies a block's packed columns with the weights' `rows`.
    ///
    /// # Safety
    /// The target has room for the block's outputs in those rows, untouched by others meanwhile.
    fn block_product(
        block: &Block,
        a: &[f32],
        b: &[f32],
        rows: Range<usize>,
        step: Step,
        target: Target,
    ) = block_product_with
}

#[inline(always)]
unsafe fn block_product_with<S: Simd>(
    block: &Block,
    a: &[f32],
    b: &[f32],
    rows: Range<usize>,
    step: Step,
    target: Target,
) {
    let tile = tile_rows(isa());
    let depth = step.depth;
    let vectors = block.vectors();
    let panels = vectors.div_ceil(PANEL);
    let mut buffer = [0.0f32; 8 * PANEL * MAX_LANES];
    let mut row = rows.start;
    while row < rows.end {
        let height = tile.min(rows.end - row);
        let a = &a[row * depth..(row + height) * depth];
        for panel in 0..panels {
            let width = PANEL.min(vectors - panel * PANEL);
            let start = panel * PANEL * S::LANES * depth;
            let b = &b[start..start + width * S::LANES * depth];
            // The tile's outputs are consecutive where its pieces follow one another.
            let pieces_of = |v: usize| block.pieces(panel * PANEL + v);
            let out = pieces_of(0)[0].out;
            let whole = step.contiguous
                && (0..width).all(|v| {
                    let pieces = pieces_of(v);
                    let last = pieces[pieces.len() - 1];
                    last.hi as usize == S::LANES
                        && last.out + (last.hi - last.lo) as usize == out + (v + 1) * S::LANES
                });
            let bias = target
                .bias
                .filter(|_| step.last)
                .map(|bias| &bias[row..row + height]);
            let relu = step.last && target.relu;
            // SAFETY: `a` and `b` have been cut to the length the tile reads. The target's outputs of
            // this tile are writable by this function's contract, and consecutive where `whole`;
            // otherwise the tile goes to the buffer, which has room for the largest.
            unsafe {
                if whole {
                    let c = target.out.at(row * target.channel_stride + out);
                    let end = End {
                        bias,
                        relu,
                        add: !step.first,
                    };
                    tile_any::<S>(height, width, depth, a, b, c, target.channel_stride, end);
                } else {
                    let pitch = width * S::LANES;
                    let end = End {
                        bias: None,
                        relu: false,
                        add: false,
                    };
                    tile_any::<S>(height, width, depth, a, b, buffer.as_mut_ptr(), pitch, end);
                    for r in 0..height {
                        let bias = bias.map_or(0.0, |bias| bias[r]);
                        let c = (row + r) * target.channel_stride;
                        for v in 0..width {
                            let sums = &buffer[r * pitch + v * S::LANES..][..S::LANES];
                            for piece in pieces_of(v) {
                                let lanes = piece.lo as usize..piece.hi as usize;
                                for (i, sum) in sums[lanes].iter().enumerate() {
                                    let c = target.out.at(c + piece.out + i * step.col_stride);
                                    let before = if step.first { 0.0 } else { *c };
                                    let value = before + sum + bias;
                                    *c = if relu && value <= 0.0 { 0.0 } else { value };
                                }
                            }
                        }
                    }
                }
            }
        }
        row += height;
    }
}

/// What happens to a tile's sums on their way to memory.
#[derive(Clone, Copy)]
pub(super) struct End<'a> {
    pub bias: Option<&'a [f32]>,
    pub relu: bool,
    pub add: bool,
}

/// Runs `$run!(height, width)` with the literals of a tile's height and width, at most 8 rows of 3 vectors.
macro_rules! each_tile {
    ($set:ty, $size:expr, $run:ident) => {
        $crate::fast::conv::product::each_tile!(
            @ $set, $size, $run,
            [(8, 3) (8, 2) (8, 1) (7, 3) (7, 2) (7, 1) (6, 3) (6, 2) (6, 1) (5, 3) (5, 2) (5, 1)],
            [(4, 3) (4, 2) (4, 1) (3, 3) (3, 2) (3, 1) (2, 3) (2, 2) (2, 1) (1, 3) (1, 2) (1, 1)]
        )
    };
    (@ $set:ty, $size:expr, $run:ident, [$(($h:literal, $w:literal))*], [$(($low:literal, $v:literal))*]) => {
        if <$set>::LANES == 16 || cfg!(target_arch = "aarch64") {
            match $size {
                $(($h, $w) => $run!($h, $w),)*
                $(($low, $v) => $run!($low, $v),)*
                _ => unreachable!("tiles are at most 8 rows of 3 vectors"),
            }
        } else {
            match $size {
                $(($low, $v) => $run!($low, $v),)*
                _ => unreachable!("tiles are at most 4 rows of 3 vectors"),
            }
        }
    };
}
pub(super) use each_tile;

/// Chooses the tile compiled for this height and width.
#[inline(always)]
#[allow(clippy::too_many_arguments)]
pub(super) unsafe fn tile_any<S: Simd>(
    height: usize,
    width: usize,
    depth: usize,
    a: &[f32],
    b: &[f32],
    c: *mut f32,
    pitch: usize,
    end: End,
) {
    macro_rules! run {
        ($h:literal, $w:literal) => {
            // SAFETY: the caller's contract.
            unsafe { tile::<S, $h, $w>(depth, a, b, c, pitch, end) }
        };
    }
    each_tile!(S, (height, width), run);
}

/// `H` rows by `W` vectors of sums, kept in registers over the whole depth.
///
/// # Safety
/// `a` holds `depth` columns of `H`, `b` `depth` rows of `W` vectors, and `c` has `H` rows of `W` vectors.
#[inline(always)]
unsafe fn tile<S: Simd, const H: usize, const W: usize>(
    depth: usize,
    a: &[f32],
    b: &[f32],
    c: *mut f32,
    pitch: usize,
    end: End,
) {
    // SAFETY: this function's contract bounds the reads of `a` and `b` and the accesses to `c`.
    unsafe {
        let mut sums = [[S::splat(0.0); W]; H];
        let (mut a, mut b) = (a.as_ptr(), b.as_ptr());
        for _ in 0..depth {
            let mut columns = [S::splat(0.0); W];
            for w in 0..W {
                columns[w] = S::load(b.add(w * S::LANES));
            }
            for h in 0..H {
                let weight = S::splat(*a.add(h));
                for w in 0..W {
                    sums[h][w] = S::fma(weight, columns[w], sums[h][w]);
                }
            }
            a = a.add(H);
            b = b.add(W * S::LANES);
        }
        for h in 0..H {
            for w in 0..W {
                let c = c.wrapping_add(h * pitch + w * S::LANES);
                let mut v = sums[h][w];
                if end.add {
                    v = S::add(S::load(c), v);
                }
                if let Some(bias) = end.bias {
                    v = S::add(v, S::splat(bias[h]));
                }
                if end.relu {
                    v = S::relu(v);
                }
                S::store(c, v);
            }
        }
    }
}
