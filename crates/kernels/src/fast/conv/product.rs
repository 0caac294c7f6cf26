//! The product of weights, where they stand or packed, with packed columns, for forward convolution, input gradients and
//! transposed convolution.

use std::ops::Range;

use super::super::parallel::{Shared, for_each, threads, with_scratch};
use super::super::simd::{MAX_LANES, Simd, isa, simd_dispatch};
use super::flat::{self, Flat};
use super::weight::{Operands, dots};
use super::window::{Block, Window, tile_rows};

/// Vectors in a panel of columns.
const PANEL: usize = 3;
/// Rows of the matrix that are multiplied before the sums go to memory.
const DEPTH: usize = 512;
/// Elements of packed columns a thread works on at once: half of a usual second-level cache.
const PACKED: usize = 96 * 1024;

/// Weights as the inner product reads them: a matrix of `rows` by channels and taps.
pub(super) struct Matrix<'a> {
    data: &'a [f32],
    rows: usize,
    taps: usize,
    /// Elements between rows that are read where they stand; packed panels have none.
    row_step: Option<usize>,
    blocks: Vec<Range<usize>>,
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
    pub(super) fn rows(&self) -> usize {
        self.rows
    }

    /// The part of some rows, which are one tile, and of a block of channels.
    pub(super) fn panel(&self, rows: Range<usize>, channels: &Range<usize>) -> Panel<'a> {
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
pub(super) struct Panel<'a> {
    pub data: &'a [f32],
    /// See [`Matrix`].
    pub row_step: Option<usize>,
}

impl WeightLayout<'_> {
    /// Elements of a row.
    fn depth(&self) -> usize {
        self.channels * self.taps.len()
    }

    /// The matrix as it stands, where a row's elements follow one another.
    fn in_place(&self) -> Option<Matrix<'_>> {
        let ordered = self.taps.iter().copied().eq(0..self.channel_stride);
        ordered.then(|| self.matrix(self.weights, Some(self.row_stride)))
    }

    /// Packs into a buffer that holds `rows * channels * taps` elements.
    fn pack<'a>(&self, data: &'a mut [f32]) -> Matrix<'a> {
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
    /// What happens to them first.
    pub after: After<'a>,
}

/// What follows a convolution, by output channel.
#[derive(Clone, Copy, Debug, Default)]
pub struct After<'a> {
    /// Each channel's factor.
    pub scale: Option<&'a [f32]>,
    /// Added to each channel, after the factor.
    pub bias: Option<&'a [f32]>,
    /// Whether negative results become zero.
    pub relu: bool,
}

impl<'a> After<'a> {
    /// A bias alone.
    pub fn bias(bias: Option<&'a [f32]>) -> Self {
        After {
            bias,
            ..Self::default()
        }
    }

    /// That of some of the channels.
    pub(super) fn rows(&self, rows: Range<usize>) -> Self {
        let of = |values: Option<&'a [f32]>| values.map(|values| &values[rows.clone()]);
        After {
            scale: of(self.scale),
            bias: of(self.bias),
            relu: self.relu,
        }
    }

    /// Factor and summand of a channel.
    pub(super) fn line(&self, row: usize) -> (f32, f32) {
        let of = |values: Option<&[f32]>, none| values.map_or(none, |values| values[row]);
        (of(self.scale, 1.0), of(self.bias, 0.0))
    }
}

/// Computes all outputs of one group.
///
/// # Safety
/// `target.out` has room for every output of the window in each of the weights' rows, and nothing else
/// accesses those while this runs.
pub(crate) unsafe fn product(window: &Window, x: &[f32], weights: &WeightLayout, target: Target) {
    let single = channel_blocks(weights.channels, weights.taps.len()).len() == 1;
    let flat = single.then(|| Flat::of(window, weights.rows)).flatten();
    if flat.is_none()
        && let Some(matrix) = weights.in_place()
    {
        // SAFETY: this function's contract.
        return unsafe { multiply(window, x, &matrix, target) };
    }
    with_scratch(weights.rows * weights.depth(), |scratch| {
        let matrix = weights.pack(scratch);
        // SAFETY: this function's contract.
        unsafe {
            match &flat {
                Some(flat) => flat::product(flat, window, x, &matrix, target),
                None => multiply(window, x, &matrix, target),
            }
        }
    });
}

/// # Safety
/// As [`product`].
unsafe fn multiply(window: &Window, x: &[f32], weights: &Matrix, target: Target) {
    let lanes = isa().lanes();
    let panel_columns = PANEL * lanes;
    let all_columns = window.columns();
    let left = left_over(weights, all_columns, window.depth());
    let columns = all_columns - left;
    let deepest = weights.blocks.iter().map(|b| b.len()).max().unwrap_or(0) * weights.taps;

    // Columns of a block: as many as the cache holds, few enough to give every thread some blocks.
    let fits = (PACKED / deepest.max(1)).max(panel_columns);
    // Two panels at least, for each block reads all weights anew.
    let fair = columns.div_ceil(4 * threads()).max(2 * panel_columns);
    let block_columns = fits.min(fair) / panel_columns * panel_columns;
    let blocks = columns.div_ceil(block_columns);
    // Too few columns for all threads: the rows are split as well.
    let tile = tile_rows(isa());
    let tiles = weights.rows.div_ceil(tile);
    let enough = 2 * threads();
    let parts = if blocks >= enough {
        1
    } else {
        enough.div_ceil(blocks.max(1)).min(tiles)
    };
    let last_parts = if left > 0 { enough.min(tiles) } else { 0 };
    let rows_of = |part: usize, parts: usize| {
        let tiles = part * tiles / parts..(part + 1) * tiles / parts;
        tiles.start * tile..weights.rows.min(tiles.end * tile)
    };

    let tasks = blocks * parts;
    let work = all_columns * weights.rows * deepest;
    for_each(tasks + last_parts, work, |task| {
        if let Some(part) = task.checked_sub(tasks) {
            let rows = rows_of(part, last_parts);
            // SAFETY: these rows of the columns left over are this task's, by this function's contract.
            unsafe { last_columns(window, x, weights, columns..all_columns, rows, target) };
            return;
        }
        let (index, part) = (task / parts, task % parts);
        let from = index * block_columns;
        let to = columns.min(from + block_columns);
        let rows = rows_of(part, parts);
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
                let step = Step {
                    first: number == 0,
                    last: number + 1 == weights.blocks.len(),
                    contiguous: window.contiguous(),
                    col_stride: window.out_col_stride,
                    channels,
                    depth,
                };
                // SAFETY: blocks and row ranges of different tasks do not overlap, and the target
                // has room for them by this function's contract.
                unsafe { block_product(&block, weights, packed, rows.clone(), step, target) };
            }
        });
    });
}

/// The last columns that are better taken by dot products over the depth than by a vector that they fill by half or
/// less. The shape and the instruction set decide.
fn left_over(weights: &Matrix, columns: usize, depth: usize) -> usize {
    let lanes = isa().lanes();
    let left = columns % lanes;
    let fits = weights.row_step.is_some() && depth.is_multiple_of(lanes) && weights.rows >= lanes;
    if fits && 2 * left <= lanes { left } else { 0 }
}

/// Computes some rows of less than a vector of columns.
///
/// # Safety
/// The target has room for these columns' outputs in those rows, untouched by others meanwhile.
unsafe fn last_columns(
    window: &Window,
    x: &[f32],
    weights: &Matrix,
    columns: Range<usize>,
    rows: Range<usize>,
    target: Target,
) {
    let (count, depth, lanes) = (columns.len(), window.depth(), isa().lanes());
    let block = Block::new(window, columns.start, columns.end);
    let lengths = [depth * lanes, depth * count, rows.len() * count];
    with_scratch(lengths.iter().sum(), |scratch| {
        let (packed, rest) = scratch.split_at_mut(lengths[0]);
        let (turned, sums) = rest.split_at_mut(lengths[1]);
        block.pack(window, x, 0..window.channels, |_| (0, lanes), packed);
        for (column, turned) in turned.chunks_exact_mut(depth).enumerate() {
            for (to, from) in turned.iter_mut().zip(packed.chunks_exact(lanes)) {
                *to = from[column];
            }
        }
        let places: Vec<_> = (0..count).map(|column| column * depth).collect();
        let panel = weights.panel(rows.clone(), &(0..window.channels));
        let operands = Operands {
            left_pitch: panel.row_step.unwrap_or(depth),
            ..Operands::matrices(panel.data, turned, &places, depth)
        };
        // SAFETY: the sums are this call's alone.
        unsafe { dots(&operands, rows.len(), sums.as_mut_ptr(), count, true) };
        for (row, sums) in rows.zip(sums.chunks_exact(count)) {
            let (scale, bias) = target.after.line(row);
            let channel = target.out.skip(row * target.channel_stride);
            for piece in block.pieces(0) {
                let lanes = piece.lo as usize..piece.hi as usize;
                for (i, sum) in sums[lanes].iter().enumerate() {
                    let value = sum * scale + bias;
                    let zero = target.after.relu && value <= 0.0;
                    // SAFETY: this function's contract.
                    unsafe {
                        *channel.at(piece.out + i * window.out_col_stride) =
                            if zero { 0.0 } else { value };
                    }
                }
            }
        }
    });
}

/// What one pass over a block does.
#[derive(Clone, Copy)]
struct Step<'a> {
    first: bool,
    last: bool,
    contiguous: bool,
    col_stride: usize,
    channels: &'a Range<usize>,
    depth: usize,
}

simd_dispatch! {
    /// Multiplies a block's packed columns with the weights' `rows`.
    ///
    /// # Safety
    /// The target has room for the block's outputs in those rows, untouched by others meanwhile.
    fn block_product(
        block: &Block,
        weights: &Matrix,
        b: &[f32],
        rows: Range<usize>,
        step: Step,
        target: Target,
    ) = block_product_with
}

#[inline(always)]
unsafe fn block_product_with<S: Simd>(
    block: &Block,
    weights: &Matrix,
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
        let a = weights.panel(row..row + height, step.channels);
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
            let after = if step.last {
                target.after.rows(row..row + height)
            } else {
                After::default()
            };
            // SAFETY: `a` and `b` have been cut to the length the tile reads. The target's outputs of
            // this tile are writable by this function's contract, and consecutive where `whole`;
            // otherwise the tile goes to the buffer, which has room for the largest.
            unsafe {
                if whole {
                    let c = target.out.at(row * target.channel_stride + out);
                    let end = End {
                        after,
                        add: !step.first,
                    };
                    tile_any::<S>(height, width, depth, a, b, c, target.channel_stride, end);
                } else {
                    let pitch = width * S::LANES;
                    let end = End::default();
                    tile_any::<S>(height, width, depth, a, b, buffer.as_mut_ptr(), pitch, end);
                    for r in 0..height {
                        let (scale, bias) = after.line(r);
                        let c = (row + r) * target.channel_stride;
                        for v in 0..width {
                            let sums = &buffer[r * pitch + v * S::LANES..][..S::LANES];
                            for piece in pieces_of(v) {
                                let lanes = piece.lo as usize..piece.hi as usize;
                                for (i, sum) in sums[lanes].iter().enumerate() {
                                    let c = target.out.at(c + piece.out + i * step.col_stride);
                                    let before = if step.first { 0.0 } else { *c };
                                    let value = (before + sum) * scale + bias;
                                    let zero = after.relu && value <= 0.0;
                                    *c = if zero { 0.0 } else { value };
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
#[derive(Clone, Copy, Default)]
pub(super) struct End<'a> {
    /// Of the tile's rows.
    pub after: After<'a>,
    /// Whether they are added to what is there.
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
///
/// # Safety
/// As [`tile`].
#[inline(always)]
#[allow(clippy::too_many_arguments)]
pub(super) unsafe fn tile_any<S: Simd>(
    height: usize,
    width: usize,
    depth: usize,
    a: Panel,
    b: &[f32],
    c: *mut f32,
    pitch: usize,
    end: End,
) {
    let from = a.data.as_ptr();
    macro_rules! packed {
        ($h:literal, $w:literal) => {
            // SAFETY: the caller's contract.
            unsafe { tile::<S, $h, $w>(depth, from, (1, $h), b, c, pitch, end) }
        };
    }
    macro_rules! in_place {
        ($h:literal, $w:literal) => {
            // SAFETY: the caller's contract.
            unsafe {
                tile::<S, $h, $w>(depth, from, (a.row_step.unwrap_or(0), 1), b, c, pitch, end)
            }
        };
    }
    match a.row_step {
        None => each_tile!(S, (height, width), packed),
        Some(_) => each_tile!(S, (height, width), in_place),
    }
}

/// `H` rows by `W` vectors of sums, kept in registers over the whole depth.
///
/// # Safety
/// `a` is readable at each row and depth by its `steps`, `b` holds `depth` rows of `W` vectors, and `c` has `H` rows of
/// `W` vectors.
#[inline(always)]
unsafe fn tile<S: Simd, const H: usize, const W: usize>(
    depth: usize,
    mut a: *const f32,
    (row_step, depth_step): (usize, usize),
    b: &[f32],
    c: *mut f32,
    pitch: usize,
    end: End,
) {
    // SAFETY: this function's contract bounds the reads of `a` and `b` and the accesses to `c`.
    unsafe {
        let mut sums = [[S::splat(0.0); W]; H];
        let mut b = b.as_ptr();
        for _ in 0..depth {
            let mut columns = [S::splat(0.0); W];
            for w in 0..W {
                columns[w] = S::load(b.add(w * S::LANES));
            }
            for h in 0..H {
                let weight = S::splat(*a.wrapping_add(h * row_step));
                for w in 0..W {
                    sums[h][w] = S::fma(weight, columns[w], sums[h][w]);
                }
            }
            a = a.wrapping_add(depth_step);
            b = b.add(W * S::LANES);
        }
        for h in 0..H {
            for w in 0..W {
                let c = c.wrapping_add(h * pitch + w * S::LANES);
                let mut v = sums[h][w];
                if end.add {
                    v = S::add(S::load(c), v);
                }
                S::store(c, finish::<S>(v, end.after, h));
            }
        }
    }
}

/// What follows the sums of a row.
///
/// # Safety
/// The instruction set's.
#[inline(always)]
pub(super) unsafe fn finish<S: Simd>(mut v: S::V, after: After, row: usize) -> S::V {
    // SAFETY: this function's contract.
    unsafe {
        if let Some(scale) = after.scale {
            v = S::mul(v, S::splat(scale[row]));
        }
        if let Some(bias) = after.bias {
            v = S::add(v, S::splat(bias[row]));
        }
        if after.relu {
            v = S::relu(v);
        }
        v
    }
}
