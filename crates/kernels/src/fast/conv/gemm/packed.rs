//! The product of weights, where they stand or packed, with packed columns, for forward convolution, input gradients and
//! transposed convolution.

use std::ops::Range;

use super::dots::{Operands, dots};
use super::matrix::Matrix;
use super::tile::{End, tile_any};
use crate::fast::conv::epilogue::{Epilogue, Target};
use crate::fast::conv::window::{Block, Window, tile_rows};
use crate::fast::parallel::{for_each, threads, with_scratch};
use crate::fast::simd::{MAX_LANES, Simd, isa, simd_dispatch};

/// Vectors in a panel of columns.
const PANEL: usize = 3;
/// Elements of packed columns a thread works on at once: half of a usual second-level cache.
const PACKED: usize = 96 * 1024;

/// Computes all outputs of one group.
///
/// # Safety
/// `target.out` has room for every output of the window in each of the weights' rows, and nothing else
/// accesses those while this runs.
pub(crate) unsafe fn multiply(window: &Window, x: &[f32], weights: &Matrix, target: Target) {
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
            let (scale, bias) = target.epilogue.line(row);
            let channel = target.out.skip(row * target.channel_stride);
            for piece in block.pieces(0) {
                let lanes = piece.lo as usize..piece.hi as usize;
                for (i, sum) in sums[lanes].iter().enumerate() {
                    let value = sum * scale + bias;
                    let zero = target.epilogue.relu && value <= 0.0;
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
            let epilogue = if step.last {
                target.epilogue.rows(row..row + height)
            } else {
                Epilogue::default()
            };
            // SAFETY: `a` and `b` have been cut to the length the tile reads. The target's outputs of
            // this tile are writable by this function's contract, and consecutive where `whole`;
            // otherwise the tile goes to the buffer, which has room for the largest.
            unsafe {
                if whole {
                    let c = target.out.at(row * target.channel_stride + out);
                    let end = End {
                        epilogue,
                        add: !step.first,
                    };
                    tile_any::<S>(height, width, depth, a, b, c, target.channel_stride, end);
                } else {
                    let pitch = width * S::LANES;
                    let end = End::default();
                    tile_any::<S>(height, width, depth, a, b, buffer.as_mut_ptr(), pitch, end);
                    for r in 0..height {
                        let (scale, bias) = epilogue.line(r);
                        let c = (row + r) * target.channel_stride;
                        for v in 0..width {
                            let sums = &buffer[r * pitch + v * S::LANES..][..S::LANES];
                            for piece in pieces_of(v) {
                                let lanes = piece.lo as usize..piece.hi as usize;
                                for (i, sum) in sums[lanes].iter().enumerate() {
                                    let c = target.out.at(c + piece.out + i * step.col_stride);
                                    let before = if step.first { 0.0 } else { *c };
                                    let value = (before + sum) * scale + bias;
                                    let zero = epilogue.relu && value <= 0.0;
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
