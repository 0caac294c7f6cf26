//! Winograd's minimal filtering for 3x3 kernels of stride 1 (Lavin and Gray 2016, section 4): a tile of
//! `m x m` outputs costs `(m + 2)^2` products instead of `9 m^2`.
//!
//! Blocks of tiles are gathered and transformed with one tile per lane, multiplied with the transformed
//! weights one frequency at a time while they are in the cache, and transformed back. The results differ
//! from the direct sum by rounding (about 1e-6 of the largest for `m = 2`, 1e-5 for `m = 4`). A value that
//! is not finite would reach outputs of its tile that never saw it, so results are checked, and the
//! direct way repeats the work where one is not finite.

use std::ops::Range;
use std::sync::atomic::{AtomicBool, Ordering};

use super::gathered::transform_input;
use super::problem::{Kernels, Problem, Tile};
use super::tiles::{Side, Tiles};
use super::transform::transform;
use crate::fast::conv::epilogue::Target;
use crate::fast::conv::gemm::matrix::Panel;
use crate::fast::conv::gemm::tile::{End, tile_any};
use crate::fast::conv::window::{Block, Window, tile_rows};
use crate::fast::parallel::{Shared, for_each, threads, with_scratch};
use crate::fast::simd::{MAX_LANES, Simd, across, isa, load_each, simd_dispatch, splat_each};

/// Elements of transformed input a block may hold, to stay in the second-level cache.
const BLOCK: usize = 150 * 1024;
/// Elements of transformed input up to which all of it is kept, in the third-level cache.
const INPUTS: usize = 2 * 1024 * 1024;
/// Channels that are gathered at a time.
const GATHERED: usize = 8;

/// Elements of transformed weights.
fn weight_len(problem: &Problem, tile: Tile) -> usize {
    tile.frequencies() * problem.rows * problem.channels
}

/// Transforms weights (of nine taps): `[row tile][frequency][channel][row of the tile]`.
fn transform_weights(problem: &Problem, kernels: &Kernels, tile: Tile, out: &mut [f32]) {
    let height = tile_rows(isa());
    let shared = Shared::from(&mut *out);
    let per_row = tile.frequencies() * problem.channels;
    assert_eq!(out.len(), problem.rows * per_row);
    for_each(
        problem.rows.div_ceil(height),
        problem.rows * per_row,
        |task| {
            let row = task * height;
            let rows = height.min(problem.rows - row);
            // SAFETY: each task has the rows of its tile.
            let out =
                unsafe { std::slice::from_raw_parts_mut(shared.at(row * per_row), rows * per_row) };
            // SAFETY: no pointers are passed.
            unsafe { transform_weight_rows(kernels, problem.channels, tile, row..row + rows, out) };
        },
    );
}

simd_dispatch! {
    /// # Safety
    /// None beyond the instruction set.
    fn transform_weight_rows(
        kernels: &Kernels,
        channels: usize,
        tile: Tile,
        rows: Range<usize>,
        out: &mut [f32],
    ) = transform_weight_rows_with
}

/// Channels whose weights are transformed before they are written: each frequency's part stands in memory of its own, at
/// distances that share the cache's few places.
const TOGETHER: usize = 8;
/// Elements of a tile's rows of that many channels.
const PART: usize = 8 * TOGETHER;

#[inline(always)]
unsafe fn transform_weight_rows_with<S: Simd>(
    kernels: &Kernels,
    channels: usize,
    tile: Tile,
    rows: Range<usize>,
    out: &mut [f32],
) {
    let (first_row, rows) = (rows.start, rows.len());
    let frequencies = tile.frequencies();
    let side = tile.outputs() + 2;
    // By tap and by frequency: channel after channel, each with the tile's rows.
    let mut taps = [[0.0f32; PART]; 9];
    let mut parts = [[0.0f32; PART]; 36];
    assert!(rows <= 8 && frequencies * channels * rows <= out.len());
    let row_places: [usize; 8] = std::array::from_fn(|r| match r < rows {
        true => kernels.rows.place(first_row + r),
        false => 0,
    });
    let reach = kernels.taps.iter().map(|tap| tap.1).max().unwrap_or(0);
    for first in (0..channels).step_by(TOGETHER) {
        let count = TOGETHER.min(channels - first);
        for c in 0..count {
            let channel = kernels.channels.place(first + c);
            for (r, row) in row_places[..rows].iter().enumerate() {
                let weights = &kernels.weights[row + channel..][..=reach];
                for (tap, place) in kernels.taps {
                    // SAFETY: taps are places of a 3x3 kernel, and reach no further than `reach`.
                    unsafe {
                        taps[*tap][c * rows + r] = *weights.get_unchecked(*place);
                    }
                }
            }
        }
        for at in (0..count * rows).step_by(S::LANES) {
            // SAFETY: a part holds whole vectors of every set.
            unsafe {
                // Along columns, then along rows.
                let mut half = [[S::splat(0.0); 6]; 3];
                for y in 0..3 {
                    let mut g = [S::splat(0.0); 3];
                    for x in 0..3 {
                        g[x] = S::load(taps[3 * y + x].as_ptr().add(at));
                    }
                    half[y] = weight_line::<S>(tile, g);
                }
                for x in 0..side {
                    let line = weight_line::<S>(tile, across(&half, x));
                    for y in 0..side {
                        S::store(parts[y * side + x].as_mut_ptr().add(at), line[y]);
                    }
                }
            }
        }
        for (f, part) in parts[..frequencies].iter().enumerate() {
            let to = &mut out[(f * channels + first) * rows..][..count * rows];
            // Of known length where it can be: a call of `memcpy` costs more than the copy.
            match to.as_mut_array::<PART>() {
                Some(to) => *to = *part,
                None => to.copy_from_slice(&part[..count * rows]),
            }
        }
    }
}

/// `G g`.
///
/// # Safety
/// The instruction set's.
#[inline(always)]
unsafe fn weight_line<S: Simd>(tile: Tile, [a, b, c]: [S::V; 3]) -> [S::V; 6] {
    // SAFETY: arithmetic alone.
    unsafe {
        let zero = S::splat(0.0);
        let outer = S::add(a, c);
        match tile {
            Tile::Two => {
                let half = S::splat(0.5);
                let (plus, minus) = (S::add(outer, b), S::sub(outer, b));
                [a, S::mul(half, plus), S::mul(half, minus), c, zero, zero]
            }
            Tile::Four => {
                let [quarter, sixth, part] = splat_each::<S, 3>([0.25, -1.0 / 6.0, 1.0 / 24.0]);
                let [two, four] = splat_each::<S, 2>([2.0, 4.0]);
                let far = S::fma(four, c, a);
                [
                    S::mul(quarter, a),
                    S::mul(sixth, S::add(outer, b)),
                    S::mul(sixth, S::sub(outer, b)),
                    S::mul(part, S::fma(two, b, far)),
                    S::mul(part, S::sub(far, S::mul(two, b))),
                    c,
                ]
            }
        }
    }
}

/// Convolves one group. `false` where a result was not finite; then the target's content is unspecified.
///
/// # Safety
/// The target has room for every output in each of the problem's rows, which nothing else accesses.
pub(crate) unsafe fn convolve(
    problem: &Problem,
    tile: Tile,
    x: &[f32],
    kernels: &Kernels,
    target: Target,
) -> bool {
    let row_tiles = problem.rows.div_ceil(tile_rows(isa()));
    let inputs = problem
        .window(tile)
        .columns()
        .next_multiple_of(isa().lanes())
        * problem.channels
        * tile.frequencies();
    if inputs <= INPUTS && row_tiles >= 4 * threads() {
        // SAFETY: this function's contract.
        return unsafe { convolve_by_rows(problem, tile, x, kernels, target) };
    }
    with_scratch(weight_len(problem, tile), |weights| {
        transform_weights(problem, kernels, tile, weights);
        // SAFETY: this function's contract.
        unsafe { convolve_by_tiles(problem, tile, x, weights, target) }
    })
}

/// For few tiles: all of them are transformed first, and the weights of one tile of rows after the other, which are used
/// while they are in the cache. All transformed weights together would be several times the weights.
///
/// # Safety
/// As [`convolve`].
unsafe fn convolve_by_rows(
    problem: &Problem,
    tile: Tile,
    x: &[f32],
    kernels: &Kernels,
    target: Target,
) -> bool {
    let lanes = isa().lanes();
    let window = problem.window(tile);
    let (channels, frequencies) = (problem.channels, tile.frequencies());
    let tiles = window.columns();
    let vectors = tiles.div_ceil(lanes);
    // Panels of at most three vectors, alike where it can be.
    let width = vectors.div_ceil(vectors.div_ceil(3)) * lanes;
    let panels: Vec<_> = (0..tiles)
        .step_by(width)
        .map(|from| Block::new(&window, from, tiles.min(from + width)))
        .collect();
    let height = tile_rows(isa());
    let finite = AtomicBool::new(true);
    with_scratch(frequencies * channels * vectors * lanes, |input| {
        for (panel, input) in input.chunks_mut(frequencies * channels * width).enumerate() {
            let from = panel * width;
            transform(
                tile,
                &window,
                x,
                from,
                tiles.min(from + width),
                Side::Input,
                input,
            );
        }
        let input = &*input;
        let work = frequencies * channels * problem.rows * tiles;
        for_each(problem.rows.div_ceil(height), work, |task| {
            let row = task * height;
            let rows = height.min(problem.rows - row);
            let lengths = [frequencies * channels * rows, frequencies * rows * width];
            with_scratch(lengths.iter().sum(), |scratch| {
                let (weights, products) = scratch.split_at_mut(lengths[0]);
                // SAFETY: no pointers are passed.
                unsafe { transform_weight_rows(kernels, channels, tile, row..row + rows, weights) };
                let inputs = input.chunks(frequencies * channels * width);
                for (panel, (block, input)) in panels.iter().zip(inputs).enumerate() {
                    let place = Place {
                        problem,
                        window: &window,
                        from: panel * width,
                        row,
                        rows,
                    };
                    // SAFETY: the outputs of these rows are this task's, inside of the target by this function's contract.
                    if !unsafe { block_rows(tile, weights, input, products, block, place, target) }
                    {
                        finite.store(false, Ordering::Relaxed);
                    }
                }
            });
        });
    });
    finite.into_inner()
}

/// One tile of rows of one block of tiles: multiplied, transformed to outputs and written; `false` where one is not finite.
///
/// # Safety
/// The outputs of the block's tiles in the place's rows are inside of the target and this call's alone.
unsafe fn block_rows(
    tile: Tile,
    weights: &[f32],
    input: &[f32],
    products: &mut [f32],
    block: &Block,
    place: Place,
    target: Target,
) -> bool {
    let Problem {
        kernel, channels, ..
    } = *place.problem;
    let vectors = block.vectors();
    // SAFETY: `multiply` cuts the slices to what it reads and writes; the rest is this function's contract.
    unsafe {
        multiply(
            tile, kernel, weights, input, channels, place.rows, vectors, products,
        );
        transform_output(tile, products, block, place, target)
    }
}

/// With transformed weights, for many tiles: one block of them after the other.
///
/// # Safety
/// As [`convolve`].
unsafe fn convolve_by_tiles(
    problem: &Problem,
    tile: Tile,
    x: &[f32],
    weights: &[f32],
    target: Target,
) -> bool {
    let lanes = isa().lanes();
    let window = problem.window(tile);
    let tiles = window.columns();
    let frequencies = tile.frequencies();
    let channels = problem.channels;

    // Vectors of tiles in a block: what the cache holds, at most a panel, and some for each thread.
    let fits = BLOCK / (frequencies * channels * lanes);
    let fair = tiles.div_ceil(4 * threads() * lanes);
    let width = fits.min(fair).clamp(1, 3);
    let blocks = tiles.div_ceil(width * lanes);
    let height = tile_rows(isa());
    let row_tiles = problem.rows.div_ceil(height);
    let enough = 2 * threads();
    let parts = if blocks >= enough {
        1
    } else {
        enough.div_ceil(blocks).min(row_tiles)
    };

    let readable = Tiles::of(&window, tile, Side::Input);
    let finite = AtomicBool::new(true);
    let work = tiles * frequencies * channels * problem.rows;
    for_each(blocks * parts, work, |task| {
        let (index, part) = (task / parts, task % parts);
        let from = index * width * lanes;
        let to_tile = tiles.min(from + width * lanes);
        let row_tiles = part * row_tiles / parts..(part + 1) * row_tiles / parts;
        let block = Block::new(&window, from, to_tile);
        let vectors = block.vectors();
        let pitch = vectors * lanes;
        let gathered = GATHERED.min(channels) * frequencies * pitch;
        let products = frequencies * height * pitch;
        let total = frequencies * channels * pitch + gathered.max(products);
        with_scratch(total, |scratch| {
            let (input, rest) = scratch.split_at_mut(frequencies * channels * pitch);
            let mut c = 0;
            if let Some(readable) = &readable {
                let (to, steps) = (input.as_mut_ptr(), [channels * pitch, pitch]);
                // SAFETY: `input` has room for all channels.
                unsafe { readable.transform(x, 0..channels, from..to_tile, to, steps) };
                c = channels;
            }
            while c < channels {
                let until = channels.min(c + GATHERED);
                block.pack(&window, x, c..until, |v| (v * lanes, pitch), rest);
                let to = input[c * pitch..].as_mut_ptr();
                // SAFETY: the gathered channels are in `rest`, and `input` has room for all.
                unsafe {
                    transform_input(
                        tile,
                        &*rest,
                        until - c,
                        vectors,
                        to,
                        [channels * pitch, pitch],
                    );
                }
                c = until;
            }
            for row_tile in row_tiles {
                let row = row_tile * height;
                let rows = height.min(problem.rows - row);
                let start = row * frequencies * channels;
                let a = &weights[start..start + rows * frequencies * channels];
                let place = Place {
                    problem,
                    window: &window,
                    from,
                    row,
                    rows,
                };
                // SAFETY: the outputs of this block of tiles in these rows are this task's, inside of the target by this
                // function's contract.
                if !unsafe { block_rows(tile, a, input, rest, &block, place, target) } {
                    finite.store(false, Ordering::Relaxed);
                }
            }
        });
    });
    finite.into_inner()
}

simd_dispatch! {
    /// Multiplies every frequency: `products[f][row][vectors] = a[f] * input[f]`, zero where it does not occur.
    ///
    /// # Safety
    /// The slices hold what the shapes say.
    fn multiply(
        tile: Tile,
        kernel: usize,
        a: &[f32],
        input: &[f32],
        channels: usize,
        rows: usize,
        vectors: usize,
        products: &mut [f32],
    ) = multiply_with
}

#[inline(always)]
#[allow(clippy::too_many_arguments)]
unsafe fn multiply_with<S: Simd>(
    tile: Tile,
    kernel: usize,
    a: &[f32],
    input: &[f32],
    channels: usize,
    rows: usize,
    vectors: usize,
    products: &mut [f32],
) {
    let pitch = vectors * S::LANES;
    for f in 0..tile.frequencies() {
        let a = &a[f * channels * rows..(f + 1) * channels * rows];
        let b = &input[f * channels * pitch..(f + 1) * channels * pitch];
        let c = &mut products[f * rows * pitch..(f + 1) * rows * pitch];
        if !tile.occurs(f, kernel) {
            c.fill(0.0);
            continue;
        }
        let a = Panel {
            data: a,
            row_step: None,
        };
        let c = c.as_mut_ptr();
        // SAFETY: the slices are cut to what the tile reads and writes.
        unsafe { tile_any::<S>(rows, vectors, channels, a, b, c, pitch, End::default()) };
    }
}

/// Where a block's outputs go.
#[derive(Clone, Copy)]
struct Place<'a> {
    problem: &'a Problem,
    window: &'a Window,
    /// The block's first tile.
    from: usize,
    row: usize,
    rows: usize,
}

simd_dispatch! {
    /// Transforms products to outputs and writes them; `false` where one is not finite.
    ///
    /// # Safety
    /// `products` holds `[frequency][row][vectors]`; the outputs of the block's tiles in the place's rows
    /// are inside of the target and this call's alone.
    fn transform_output(
        tile: Tile,
        products: &[f32],
        block: &Block,
        place: Place,
        target: Target,
    ) -> bool = transform_output_with
}

#[inline(always)]
unsafe fn transform_output_with<S: Simd>(
    tile: Tile,
    products: &[f32],
    block: &Block,
    place: Place,
    target: Target,
) -> bool {
    let Place {
        problem,
        window,
        from,
        row,
        rows,
    } = place;
    let vectors = block.vectors();
    let pitch = vectors * S::LANES;
    let m = tile.outputs();
    let [height, width] = problem.out;
    let tiles_x = window.out[1];
    let places = window.places();
    assert!(tile.frequencies() * rows * pitch <= products.len());
    let mut line = [0.0f32; 4 * MAX_LANES];
    // SAFETY: the assertion above bounds the reads; the writes are the tiles' outputs inside of the image.
    unsafe {
        let zero = S::splat(0.0);
        let mut check = zero;
        for r in 0..rows {
            let (scale, bias) = target.epilogue.line(row + r);
            let [scale, bias] = splat_each::<S, 2>([scale, bias]);
            let channel = (row + r) * target.channel_stride;
            for v in 0..vectors {
                let from_product = products.as_ptr().add(r * pitch + v * S::LANES);
                let step = rows * pitch;
                let mut out = [[zero; 4]; 4];
                match tile {
                    Tile::Two => {
                        let mut half = [[zero; 2]; 4];
                        for (x, half) in half.iter_mut().enumerate() {
                            *half = output_two::<S>(load_each::<S, 4>(
                                from_product.add(x * step),
                                4 * step,
                            ));
                        }
                        for y in 0..2 {
                            let two = output_two::<S>(across(&half, y));
                            out[y][..2].copy_from_slice(&two);
                        }
                    }
                    Tile::Four => {
                        let mut half = [[zero; 4]; 6];
                        for (x, half) in half.iter_mut().enumerate() {
                            *half = output_four::<S>(load_each::<S, 6>(
                                from_product.add(x * step),
                                6 * step,
                            ));
                        }
                        for y in 0..4 {
                            out[y] = output_four::<S>(across(&half, y));
                        }
                    }
                }
                for y in 0..m {
                    for x in 0..m {
                        // Zero times a value that is not finite is NaN.
                        check = S::fma(out[y][x], zero, check);
                        let value = S::add(S::mul(out[y][x], scale), bias);
                        out[y][x] = if target.epilogue.relu {
                            S::relu(value)
                        } else {
                            value
                        };
                    }
                }
                for (y, values) in out[..m].iter().enumerate() {
                    match tile {
                        Tile::Two => S::interleave2([values[0], values[1]], line.as_mut_ptr()),
                        Tile::Four => S::interleave4(*values, line.as_mut_ptr()),
                    }
                    let mut tile_number = (from + v * S::LANES) % places;
                    for piece in block.pieces(v) {
                        let (ty, tx) = (tile_number / tiles_x, tile_number % tiles_x);
                        let (lo, hi) = (piece.lo as usize, piece.hi as usize);
                        tile_number = (tile_number + hi - lo) % places;
                        if ty * m + y >= height {
                            continue;
                        }
                        let count = ((hi - lo) * m).min(width - tx * m);
                        let to = target.out.at(channel + piece.out + y * width);
                        // Short runs: a call of `memcpy` for each costs more than the vectors.
                        for at in (0..count).step_by(S::LANES) {
                            let mask = S::mask(0, (count - at).min(S::LANES));
                            let v = S::load_mask(line.as_ptr().add(lo * m + at), mask);
                            S::store_mask(to.add(at), v, mask);
                        }
                    }
                }
            }
        }
        let sum = S::sum(check);
        !sum.is_nan()
    }
}

/// `A^T m` for four frequencies.
#[inline(always)]
unsafe fn output_two<S: Simd>([a, b, c, d]: [S::V; 4]) -> [S::V; 2] {
    // SAFETY: arithmetic alone.
    unsafe { [S::add(a, S::add(b, c)), S::sub(S::sub(b, c), d)] }
}

/// `A^T m` for six frequencies.
#[inline(always)]
unsafe fn output_four<S: Simd>([a, b, c, d, e, f]: [S::V; 6]) -> [S::V; 4] {
    // SAFETY: arithmetic alone.
    unsafe {
        let [two, four, eight] = splat_each::<S, 3>([2.0, 4.0, 8.0]);
        let (sum, difference) = (S::add(b, c), S::sub(b, c));
        let (far_sum, far_difference) = (S::add(d, e), S::sub(d, e));
        [
            S::add(a, S::add(sum, far_sum)),
            S::fma(two, far_difference, difference),
            S::fma(four, far_sum, sum),
            S::add(f, S::fma(eight, far_difference, difference)),
        ]
    }
}
