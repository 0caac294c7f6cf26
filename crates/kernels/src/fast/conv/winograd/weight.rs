//! The gradient of the weights by Winograd's way: where the forward pass is `A^T [(G g G^T) . (B^T d B)] A`,
//! the gradient of `g` is `G^T [sum over tiles of (A dy A^T) . (B^T d B)] G`, so that a tile of 4x4 outputs
//! costs 36 products for each pair of channels instead of 144.
//!
//! Tiles are taken in chunks: all channels of a chunk are transformed, then each frequency is one product of
//! matrices, summed over the chunk's tiles. Each sum belongs to one task and the chunks follow one another, so
//! the bits are the same for any number of threads. The result differs from the direct sum by rounding (about
//! 1e-5 of the largest); where it is not finite the direct way repeats the work.

use std::sync::atomic::{AtomicBool, Ordering};

use super::problem::{Problem, Tile};
use super::tiles::Side;
use super::transform::transform;
use crate::fast::conv::gemm::dots::{Operands, dots};
use crate::fast::conv::window::Window;
use crate::fast::parallel::{Shared, for_each, threads, with_scratch};
use crate::fast::simd::{MAX_LANES, Simd, across, isa, simd_dispatch};

/// Elements that the transformed inputs and gradients of a chunk may hold, to stay in the third-level cache.
const CHUNK: usize = 2 * 1024 * 1024;
/// Tiles of a chunk at most, and unless there are fewer in all, at least: multiples of three vectors of any
/// set, and no power of two, so that the rows of a chunk do not fall on the same sets of the cache.
const TILES: [usize; 2] = [240, 480];
/// Rows of a product that one task computes at a time.
const ROWS: usize = 64;

/// The tile that is worth it, if one is: as [`Problem::tile`], a count of vector operations per way that
/// depends on the shape alone.
pub(crate) fn tile(problem: &Problem) -> Option<Tile> {
    let [images, channels, rows] =
        [problem.images, problem.channels, problem.rows].map(|n| n as f64);
    let pairs = channels * rows;
    let outputs = images * (problem.out[0] * problem.out[1]) as f64;
    let direct = pairs * outputs * (problem.kernel * problem.kernel) as f64 / 16.0 * 1.25;
    let cost = |tile: Tile| {
        let m = tile.outputs();
        // Whole vectors of the widest set.
        let tiles = problem.images * problem.out[0].div_ceil(m) * problem.out[1].div_ceil(m);
        let tiles = tiles.next_multiple_of(MAX_LANES) as f64;
        let frequencies = tile.frequencies() as f64;
        let used = (m + problem.kernel - 1).pow(2) as f64;
        let products = pairs * tiles * used / 16.0 * 1.4;
        let transforms = (channels + rows) * tiles / 16.0 * frequencies * 14.0;
        let back = pairs * frequencies * if problem.kernel == 3 { 2.0 } else { 6.0 };
        products + transforms + back
    };
    let (two, four) = (cost(Tile::Two), cost(Tile::Four));
    if two.min(four) > 0.85 * direct {
        None
    } else if two < four {
        Some(Tile::Two)
    } else {
        Some(Tile::Four)
    }
}

/// The gradient of one group's weights, `dw` of `[rows, channels, 3, 3]`; `x` and `dy` begin at the group's
/// first channel. `false` where a result was not finite; then the content of `dw` is unspecified.
pub(crate) fn weight_gradient(
    problem: &Problem,
    tile: Tile,
    x: &[f32],
    dy: &[f32],
    dw: &mut [f32],
) -> bool {
    let row_len = problem.channels * 9;
    assert_eq!(dw.len(), problem.rows * row_len);
    let shared = Shared::from(dw);
    gradient(problem, tile, x, dy, |row, weights| {
        // SAFETY: each row is given once.
        let dw = unsafe { std::slice::from_raw_parts_mut(shared.at(row * row_len), row_len) };
        dw.copy_from_slice(weights);
    })
}

/// Gives each row of the weights' gradient, `[channels, 3, 3]`, to `keep`. `false` where a number was not finite.
pub(crate) fn gradient(
    problem: &Problem,
    tile: Tile,
    x: &[f32],
    dy: &[f32],
    keep: impl Fn(usize, &[f32]) + Sync + Send,
) -> bool {
    let (channels, rows) = (problem.channels, problem.rows);
    let lanes = isa().lanes();
    let frequencies = tile.frequencies();
    let used: Vec<_> = (0..frequencies)
        .filter(|f| tile.occurs(*f, problem.kernel))
        .collect();
    let inputs = problem.window(tile);
    let gradients = gradient_window(problem, tile);
    let tiles = inputs.columns();
    let fits = CHUNK / (frequencies * (channels + rows)) / TILES[0] * TILES[0];
    let chunk = fits.clamp(TILES[0], TILES[1]);
    let pitch = chunk.min(tiles).next_multiple_of(lanes);

    if tiles <= chunk && rows >= 16 * threads() {
        return by_rows(tile, &inputs, &gradients, x, dy, &used, keep);
    }
    let sums_len = frequencies * rows * channels;
    let total = sums_len + frequencies * (channels + rows) * pitch;
    with_scratch(total, |scratch| {
        let (sums, rest) = scratch.split_at_mut(sums_len);
        let (input, gradient) = rest.split_at_mut(frequencies * channels * pitch);
        if used.len() < frequencies {
            sums.fill(0.0);
        }
        let mut from = 0;
        while from < tiles {
            let to = tiles.min(from + chunk);
            transform(tile, &inputs, x, from, to, Side::Input, input);
            transform(tile, &gradients, dy, from, to, Side::Gradient, gradient);
            let len = (to - from).next_multiple_of(lanes);
            multiply(&used, rows, channels, len, gradient, input, sums, from == 0);
            from = to;
        }
        transform_back(tile, rows, channels, sums, keep)
    })
}

/// For few tiles, which are one chunk: the sums of some rows of weights after the other, which are transformed back while
/// they are in the cache.
fn by_rows(
    tile: Tile,
    inputs: &Window,
    gradients: &Window,
    x: &[f32],
    dy: &[f32],
    used: &[usize],
    keep: impl Fn(usize, &[f32]) + Sync + Send,
) -> bool {
    let (channels, rows) = (inputs.channels, gradients.channels);
    let frequencies = tile.frequencies();
    let tiles = inputs.columns();
    let pitch = tiles.next_multiple_of(isa().lanes());
    // A row's sums do not depend on which rows go with it.
    let height = (rows / (4 * threads())).clamp(16, ROWS).next_multiple_of(4);
    let places: Vec<_> = (0..channels).map(|row| row * pitch).collect();
    let finite = AtomicBool::new(true);
    with_scratch(frequencies * (channels + rows) * pitch, |scratch| {
        let (input, gradient) = scratch.split_at_mut(frequencies * channels * pitch);
        transform(tile, inputs, x, 0, tiles, Side::Input, input);
        transform(tile, gradients, dy, 0, tiles, Side::Gradient, gradient);
        let (input, gradient) = (&*input, &*gradient);
        let work = used.len() * rows * channels * pitch;
        for_each(rows.div_ceil(height), work, |task| {
            let first = task * height;
            let count = height.min(rows - first);
            let lengths = [frequencies * count * channels, channels * 9];
            with_scratch(lengths.iter().sum(), |scratch| {
                let (sums, weights) = scratch.split_at_mut(lengths[0]);
                if used.len() < frequencies {
                    sums.fill(0.0);
                }
                for f in used {
                    let gradient = &gradient[(f * rows + first) * pitch..][..count * pitch];
                    let input = &input[f * channels * pitch..][..channels * pitch];
                    let operands = Operands::matrices(gradient, input, &places, pitch);
                    let sums = sums[f * count * channels..].as_mut_ptr();
                    // SAFETY: each frequency's sums are in the scratch memory.
                    unsafe { dots(&operands, count, sums, channels, true) };
                }
                for row in 0..count {
                    // SAFETY: no pointers are passed.
                    let all_finite =
                        unsafe { transform_row(tile, count, channels, row, sums, weights) };
                    keep(first + row, weights);
                    if !all_finite {
                        finite.store(false, Ordering::Relaxed);
                    }
                }
            });
        });
    });
    finite.into_inner()
}

/// One column per tile, one tap per output of the tile.
fn gradient_window(problem: &Problem, tile: Tile) -> Window {
    let m = tile.outputs();
    let taps = (0..m * m).map(|t| [(t / m) as isize, (t % m) as isize]);
    Window {
        images: problem.images,
        channels: problem.rows,
        size: problem.out,
        image_stride: problem.out_image_stride,
        out: problem.out.map(|n| n.div_ceil(m)),
        stride: [m, m],
        taps: taps.collect(),
        // Nothing is written by this window.
        out_image_stride: 0,
        out_row_stride: 0,
        out_col_stride: 0,
    }
}

/// `sums[f][row][channel] (+)= dot(gradient[f][row], input[f][channel])` over `len` tiles.
#[allow(clippy::too_many_arguments)]
fn multiply(
    frequencies: &[usize],
    rows: usize,
    channels: usize,
    len: usize,
    gradient: &[f32],
    input: &[f32],
    sums: &mut [f32],
    first: bool,
) {
    let count = frequencies.iter().max().map_or(0, |most| most + 1);
    assert!(count * rows * len <= gradient.len());
    assert!(count * channels * len <= input.len());
    assert!(count * rows * channels <= sums.len());
    let shared = Shared::from(&mut *sums);
    // A row's sums do not depend on which rows go with it.
    let least = (4 * threads()).div_ceil(frequencies.len());
    let parts = rows.div_ceil(ROWS).max(least).min(rows.div_ceil(12));
    let places: Vec<_> = (0..channels).map(|row| row * len).collect();
    for_each(
        frequencies.len() * parts,
        frequencies.len() * rows * channels * len,
        |task| {
            let (f, part) = (frequencies[task / parts], task % parts);
            let part = part * rows / parts..(part + 1) * rows / parts;
            let gradient = &gradient[(f * rows + part.start) * len..][..part.len() * len];
            let input = &input[f * channels * len..][..channels * len];
            let sums = shared.at((f * rows + part.start) * channels);
            let operands = Operands::matrices(gradient, input, &places, len);
            // SAFETY: these rows' sums are this task's.
            unsafe { dots(&operands, part.len(), sums, channels, first) };
        },
    );
}

/// `G^T u G` for every pair of channels; `false` where a result is not finite.
fn transform_back(
    tile: Tile,
    rows: usize,
    channels: usize,
    sums: &[f32],
    keep: impl Fn(usize, &[f32]) + Sync + Send,
) -> bool {
    let finite = AtomicBool::new(true);
    for_each(rows, sums.len() * 4, |row| {
        with_scratch(channels * 9, |weights| {
            // SAFETY: no pointers are passed.
            if !unsafe { transform_row(tile, rows, channels, row, sums, weights) } {
                finite.store(false, Ordering::Relaxed);
            }
            keep(row, weights);
        });
    });
    finite.into_inner()
}

simd_dispatch! {
    /// # Safety
    /// None beyond the instruction set.
    fn transform_row(
        tile: Tile,
        rows: usize,
        channels: usize,
        row: usize,
        sums: &[f32],
        out: &mut [f32],
    ) -> bool = transform_row_with
}

/// A channel per lane; the compiler turns the loops over lanes into vectors of the set.
#[inline(always)]
unsafe fn transform_row_with<S: Simd>(
    tile: Tile,
    rows: usize,
    channels: usize,
    row: usize,
    sums: &[f32],
    out: &mut [f32],
) -> bool {
    type Lanes = [f32; MAX_LANES];
    let side = tile.outputs() + 2;
    let mut finite = true;
    let mut c = 0;
    while c < channels {
        let count = MAX_LANES.min(channels - c);
        // Along columns, then along rows.
        let mut half = [[[0.0; MAX_LANES]; 3]; 6];
        for (x, half) in half[..side].iter_mut().enumerate() {
            let mut line: [Lanes; 6] = [[0.0; MAX_LANES]; 6];
            for (y, line) in line[..side].iter_mut().enumerate() {
                let from = ((y * side + x) * rows + row) * channels + c;
                line[..count].copy_from_slice(&sums[from..from + count]);
            }
            *half = weight_line(tile, &line);
        }
        for ky in 0..3 {
            let mut line: [Lanes; 6] = [[0.0; MAX_LANES]; 6];
            for (line, half) in line[..side].iter_mut().zip(&half) {
                *line = half[ky];
            }
            for (kx, values) in weight_line(tile, &line).iter().enumerate() {
                for (lane, value) in values[..count].iter().enumerate() {
                    finite &= value.is_finite();
                    out[(c + lane) * 9 + ky * 3 + kx] = *value;
                }
            }
        }
        c += count;
    }
    finite
}

/// `G^T u` in every lane.
#[inline(always)]
fn weight_line(tile: Tile, u: &[[f32; MAX_LANES]; 6]) -> [[f32; MAX_LANES]; 3] {
    let mut out = [[0.0; MAX_LANES]; 3];
    for lane in 0..MAX_LANES {
        let [u0, u1, u2, u3, u4, u5] = across(u, lane);
        let (sum, difference) = (u1 + u2, u1 - u2);
        [out[0][lane], out[1][lane], out[2][lane]] = match tile {
            Tile::Two => [u0 + 0.5 * sum, 0.5 * difference, 0.5 * sum + u3],
            Tile::Four => {
                let (far_sum, far_difference) = (u3 + u4, u3 - u4);
                [
                    0.25 * u0 - (1.0 / 6.0) * sum + (1.0 / 24.0) * far_sum,
                    (1.0 / 12.0) * far_difference - (1.0 / 6.0) * difference,
                    (1.0 / 6.0) * (far_sum - sum) + u5,
                ]
            }
        };
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fast::conv::shape::ConvShape;

    /// Numbers between -1 and 1 that look random (a linear congruential generator).
    fn numbers(count: usize, seed: u64) -> Vec<f32> {
        let mut state = seed;
        let mut next = || {
            state = state
                .wrapping_mul(6364136223846793005)
                .wrapping_add(1442695040888963407);
            ((state >> 40) as f32) / (1 << 23) as f32 - 1.0
        };
        (0..count).map(|_| next()).collect()
    }

    fn shape(images: usize, channels: [usize; 2], size: [usize; 2], padding: usize) -> ConvShape {
        let padding = [(padding, padding); 2];
        ConvShape {
            images,
            channels_in: channels[0],
            channels_out: channels[1],
            size_in: size,
            kernel: [3, 3],
            stride: [1, 1],
            padding,
            dilation: [1, 1],
            groups: 1,
            size_out: ConvShape::output_size(size, [3, 3], [1, 1], padding, [1, 1]).unwrap(),
        }
    }

    /// The definition, in double precision.
    fn expected(shape: &ConvShape, x: &[f32], dy: &[f32]) -> Vec<f64> {
        let ([h, w], [oh, ow]) = (shape.size_in, shape.size_out);
        let mut dw = vec![0.0; shape.channels_out * shape.channels_in * 9];
        for n in 0..shape.images {
            for (i, dw) in dw.iter_mut().enumerate() {
                let (r, c, t) = (i / 9 / shape.channels_in, i / 9 % shape.channels_in, i % 9);
                for oy in 0..oh {
                    for ox in 0..ow {
                        let y = (oy + t / 3).wrapping_sub(shape.padding[0].0);
                        let x_at = (ox + t % 3).wrapping_sub(shape.padding[1].0);
                        if y < h && x_at < w {
                            let from = ((n * shape.channels_in + c) * h + y) * w + x_at;
                            let to = ((n * shape.channels_out + r) * oh + oy) * ow + ox;
                            *dw += f64::from(x[from]) * f64::from(dy[to]);
                        }
                    }
                }
            }
        }
        dw
    }

    #[test]
    fn equals_the_definition_for_both_tiles() {
        let shapes = [
            shape(1, [1, 1], [3, 3], 0),
            shape(2, [3, 5], [1, 1], 1),
            shape(3, [9, 17], [7, 13], 1),
            shape(2, [20, 6], [12, 30], 2),
            shape(5, [4, 4], [33, 31], 0),
            // Several chunks.
            shape(40, [3, 13], [16, 16], 1),
        ];
        for shape in shapes {
            let [inputs, weights, outputs] = shape.lengths();
            let (x, dy) = (numbers(inputs, 1), numbers(outputs, 2));
            let expected = expected(&shape, &x, &dy);
            let largest = expected.iter().fold(0.0f64, |max, v| max.max(v.abs()));
            for tile in [Tile::Two, Tile::Four] {
                let mut dw = vec![f32::NAN; weights];
                let problem = Problem::forward(&shape).unwrap();
                assert!(weight_gradient(&problem, tile, &x, &dy, &mut dw));
                for (found, expected) in dw.iter().zip(&expected) {
                    let error = (f64::from(*found) - expected).abs();
                    assert!(
                        error <= 1e-4 * largest,
                        "{shape:?} {tile:?}: {found} for {expected}"
                    );
                }
            }
        }
    }

    #[test]
    fn what_is_not_finite_is_reported() {
        let shape = shape(2, [3, 4], [8, 8], 1);
        let [inputs, weights, outputs] = shape.lengths();
        let (mut x, dy) = (numbers(inputs, 1), numbers(outputs, 2));
        x[17] = f32::INFINITY;
        let problem = Problem::forward(&shape).unwrap();
        let mut dw = vec![0.0; weights];
        assert!(!weight_gradient(&problem, Tile::Four, &x, &dy, &mut dw));
    }

    #[test]
    fn it_is_taken_where_it_saves_work() {
        let taken = |shape: ConvShape| tile(&Problem::forward(&shape).unwrap());
        assert_eq!(taken(shape(64, [64, 64], [32, 32], 1)), Some(Tile::Four));
        assert_eq!(taken(shape(64, [3, 64], [32, 32], 1)), None);
    }
}
