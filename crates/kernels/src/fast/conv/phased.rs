//! Winograd's way for kernels of 4x4 and stride 2, as generators and discriminators have them.
//!
//! Rows and columns of the padded image are split by their parity. Each of the four phases is then convolved with a
//! kernel of 2x2 and stride 1, whose sum over the phases is one convolution of four times the channels. A kernel of 2x2
//! is one of 3x3 whose last row and column are zero, and so are its frequencies at infinity, which are left out: a tile
//! of 4x4 outputs costs 25 products for 64.

use super::epilogue::{Epilogue, Target};
use super::shape::ConvShape;
use super::winograd::problem::{Axis, Kernels, Problem, Tile};
use super::winograd::{forward, weight};
use crate::fast::buffer::Buffer;
use crate::fast::parallel::{Output, Shared, for_each};
use crate::fast::simd::{MAX_LANES, Simd, simd_dispatch};

/// Taps of a 3x3 kernel.
const TAPS: usize = 9;

/// A convolution by phases.
pub(super) struct Phased<'a> {
    shape: &'a ConvShape,
    /// Rows and columns of a phase.
    size: [usize; 2],
}

impl<'a> Phased<'a> {
    /// `None` where the kernel, stride or groups are others.
    pub(super) fn of(shape: &'a ConvShape) -> Option<Self> {
        let fits = shape.kernel == [4, 4]
            && shape.stride == [2, 2]
            && shape.dilation == [1, 1]
            && shape.groups == 1;
        let size = shape.size_out.map(|side| side + 1);
        fits.then_some(Self { shape, size })
    }

    fn channels(&self) -> usize {
        4 * self.shape.channels_in
    }

    fn plane(&self) -> usize {
        self.size[0] * self.size[1]
    }

    /// The forward pass over the phases.
    fn problem(&self) -> Problem {
        Problem {
            images: self.shape.images,
            channels: self.channels(),
            size: self.size,
            image_stride: self.channels() * self.plane(),
            padding: [0, 0],
            kernel: 2,
            rows: self.shape.channels_out,
            out: self.shape.size_out,
            out_image_stride: self.shape.channels_out * self.shape.plane_out(),
        }
    }

    /// The gradient of the phases.
    fn back(&self) -> Problem {
        let forward = self.problem();
        Problem {
            channels: forward.rows,
            size: forward.out,
            image_stride: forward.out_image_stride,
            padding: [1, 1],
            rows: forward.channels,
            out: forward.size,
            out_image_stride: forward.image_stride,
            ..forward
        }
    }

    /// The convolution. `false` where this way is not worth it or a result is not finite.
    ///
    /// # Safety
    /// As [`forward::convolve`].
    pub(super) unsafe fn forward(&self, x: &[f32], weights: &[f32], target: Target) -> bool {
        let tile = self.problem().tile();
        // SAFETY: this function's contract.
        tile.is_some_and(|tile| unsafe { self.forward_by(tile, x, weights, target) })
    }

    /// # Safety
    /// As [`forward::convolve`].
    unsafe fn forward_by(&self, tile: Tile, x: &[f32], weights: &[f32], target: Target) -> bool {
        let problem = self.problem();
        let phases = self.split(x);
        let channels = self.shape.channels_in;
        let kernels = Kernels {
            weights,
            rows: Axis::plain(channels * 16),
            channels: Axis::phases(16, channels),
            taps: &[(0, 0), (1, 2), (3, 8), (4, 10)],
        };
        // SAFETY: this function's contract.
        unsafe { forward::convolve(&problem, tile, &phases, &kernels, target) }
    }

    /// The gradient of the input, with `bias` for each of its channels; `None` as for `forward`.
    pub(super) fn input_gradient(
        &self,
        dy: &[f32],
        weights: &[f32],
        bias: Option<&[f32]>,
    ) -> Option<Buffer> {
        self.input_gradient_by(self.back().tile()?, dy, weights, bias)
    }

    fn input_gradient_by(
        &self,
        tile: Tile,
        dy: &[f32],
        weights: &[f32],
        bias: Option<&[f32]>,
    ) -> Option<Buffer> {
        let problem = self.back();
        let mut phases = Output::new(problem.images * problem.out_image_stride);
        let target = Target {
            out: phases.shared(),
            channel_stride: self.plane(),
            epilogue: Epilogue::default(),
        };
        let channels = self.shape.channels_in;
        let kernels = Kernels {
            weights,
            rows: Axis::phases(16, channels),
            channels: Axis::plain(channels * 16),
            // Backwards.
            taps: &[(4, 0), (3, 2), (1, 8), (0, 10)],
        };
        // SAFETY: the phases have room for every output, and only this call writes them.
        let finite = unsafe { forward::convolve(&problem, tile, dy, &kernels, target) };
        // SAFETY: every output of every row was written.
        let phases = unsafe { phases.finish() };
        finite.then(|| self.join(&phases, bias))
    }

    /// The gradient of the weights. `false` as for `forward`.
    pub(super) fn weight_gradient(&self, x: &[f32], dy: &[f32], dw: &mut [f32]) -> bool {
        let tile = weight::tile(&self.problem());
        tile.is_some_and(|tile| self.weight_gradient_by(tile, x, dy, dw))
    }

    fn weight_gradient_by(&self, tile: Tile, x: &[f32], dy: &[f32], dw: &mut [f32]) -> bool {
        let problem = self.problem();
        let phases = self.split(x);
        let channels = self.shape.channels_in;
        let row_len = channels * 16;
        let shared = Shared::from(dw);
        weight::gradient(&problem, tile, &phases, dy, |row, parts| {
            // SAFETY: each row is given once.
            let dw = unsafe { std::slice::from_raw_parts_mut(shared.at(row * row_len), row_len) };
            for (c, dw) in dw.chunks_exact_mut(16).enumerate() {
                for (k, dw) in dw.iter_mut().enumerate() {
                    let (phase, tap) = place(k);
                    *dw = parts[(phase * channels + c) * TAPS + tap];
                }
            }
        })
    }

    /// The phases of the padded image, `[images, phase, channels, rows, columns]`.
    fn split(&self, x: &[f32]) -> Buffer {
        let shape = self.shape;
        let [height, width] = shape.size_in;
        let columns = self.size[1];
        let channels = shape.channels_in;
        let mut phases = Output::new(shape.images * self.channels() * self.plane());
        let shared = phases.shared();
        for_each(shape.images * channels, x.len(), |task| {
            let (n, c) = (task / channels, task % channels);
            let x = &x[task * height * width..(task + 1) * height * width];
            let plane = |phase: usize| ((n * 4 + phase) * channels + c) * self.plane();
            for phase_y in 0..2 {
                for j in 0..self.size[0] {
                    let y = (2 * j + phase_y).checked_sub(shape.padding[0].0);
                    let row = y.filter(|y| *y < height);
                    let row = row.map(|y| &x[y * width..(y + 1) * width]);
                    let to = [0, 1].map(|phase_x| {
                        // SAFETY: each row of each phase is written once.
                        unsafe {
                            let at = shared.at(plane(2 * phase_y + phase_x) + j * columns);
                            std::slice::from_raw_parts_mut(at, columns)
                        }
                    });
                    // SAFETY: no pointers are passed.
                    unsafe { split_row(row.unwrap_or(&[]), shape.padding[1].0, to) };
                }
            }
        });
        // SAFETY: every row of every plane was written.
        unsafe { phases.finish() }
    }

    /// The image of which these are the phases; what no phase holds is the bias alone.
    fn join(&self, phases: &[f32], bias: Option<&[f32]>) -> Buffer {
        let shape = self.shape;
        let [height, width] = shape.size_in;
        let [rows, columns] = self.size;
        let channels = shape.channels_in;
        let mut output = Output::new(shape.images * channels * height * width);
        let shared = output.shared();
        let [top, left] = shape.padding.map(|padding| padding.0);
        for_each(shape.images * channels, phases.len(), |task| {
            let (n, c) = (task / channels, task % channels);
            let bias = bias.map_or(0.0, |bias| bias[c]);
            // SAFETY: each plane of the output is written by one task.
            let plane = unsafe {
                std::slice::from_raw_parts_mut(shared.at(task * height * width), height * width)
            };
            for (y, to) in plane.chunks_exact_mut(width).enumerate() {
                let (j, phase_y) = ((y + top) / 2, (y + top) % 2);
                if j >= rows {
                    to.fill(bias);
                    continue;
                }
                let from = [0, 1].map(|phase_x| {
                    let plane = ((n * 4 + 2 * phase_y + phase_x) * channels + c) * self.plane();
                    &phases[plane + j * columns..][..columns]
                });
                // SAFETY: no pointers are passed.
                unsafe { join_row(from, left, bias, to) };
            }
        });
        // SAFETY: every row of every plane was written.
        unsafe { output.finish() }
    }
}

simd_dispatch! {
    /// The columns `2 i - left` and `2 i + 1 - left` of a row, zero where there are none.
    ///
    /// # Safety
    /// None beyond the instruction set.
    fn split_row(row: &[f32], left: usize, to: [&mut [f32]; 2]) = split_row_with
}

#[inline(always)]
unsafe fn split_row_with<S: Simd>(row: &[f32], left: usize, to: [&mut [f32]; 2]) {
    let [even, odd] = to;
    let lanes = S::LANES as isize;
    for at in (0..even.len()).step_by(S::LANES) {
        let first = 2 * at as isize - left as isize;
        // SAFETY: masks keep reads inside of the row and writes inside of the phases' rows, which are of one length.
        unsafe {
            let mut parts = [S::splat(0.0); 2];
            for (i, part) in parts.iter_mut().enumerate() {
                let first = first + i as isize * lanes;
                let low = (-first).clamp(0, lanes);
                let high = (row.len() as isize - first).clamp(low, lanes);
                let mask = S::mask(low as usize, high as usize);
                *part = S::load_mask(row.as_ptr().wrapping_offset(first), mask);
            }
            let [a, b] = S::deinterleave2(parts);
            let mask = S::mask(0, S::LANES.min(even.len() - at));
            S::store_mask(even.as_mut_ptr().add(at), a, mask);
            S::store_mask(odd.as_mut_ptr().add(at), b, mask);
        }
    }
}

simd_dispatch! {
    /// Undoes [`split_row`] and adds `bias`, which is also what no phase holds.
    ///
    /// # Safety
    /// None beyond the instruction set.
    fn join_row(from: [&[f32]; 2], left: usize, bias: f32, to: &mut [f32]) = join_row_with
}

#[inline(always)]
unsafe fn join_row_with<S: Simd>(from: [&[f32]; 2], left: usize, bias: f32, to: &mut [f32]) {
    let [even, odd] = from;
    let lanes = S::LANES as isize;
    let mut line = [0.0f32; 2 * MAX_LANES];
    let held = (2 * even.len()).saturating_sub(left).min(to.len());
    to[held..].fill(bias);
    for at in (0..even.len()).step_by(S::LANES) {
        let count = S::LANES.min(even.len() - at);
        // SAFETY: masks keep reads inside of the phases' rows, which are of one length, and writes inside of the row.
        unsafe {
            let mask = S::mask(0, count);
            let a = S::load_mask(even.as_ptr().add(at), mask);
            let b = S::load_mask(odd.as_ptr().add(at), mask);
            S::interleave2([a, b], line.as_mut_ptr());
            for i in 0..2 {
                let first = 2 * at as isize - left as isize + i * lanes;
                let end = (2 * (at + count)) as isize - left as isize;
                let low = (-first).clamp(0, lanes);
                let high = (end.min(to.len() as isize) - first).clamp(low, lanes);
                let v = S::load(line.as_ptr().offset(i * lanes));
                let v = S::add(v, S::splat(bias));
                let mask = S::mask(low as usize, high as usize);
                S::store_mask(to.as_mut_ptr().wrapping_offset(first), v, mask);
            }
        }
    }
}

/// The phase of a tap of the 4x4 kernel, and its place in the phase's 3x3 kernel.
fn place(k: usize) -> (usize, usize) {
    let (y, x) = (k / 4, k % 4);
    (y % 2 * 2 + x % 2, y / 2 * 3 + x / 2)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Values without a pattern.
    fn values(count: usize, seed: usize) -> Vec<f32> {
        (0..count)
            .map(|i| (((i + seed) * 2_654_435_761 % 1_000_003) as f32 / 500_001.5) - 1.0)
            .collect()
    }

    fn close(what: &str, found: &[f32], expected: &[f64]) {
        let largest = expected.iter().fold(1e-3f64, |most, v| most.max(v.abs()));
        let pairs = found.iter().zip(expected);
        let error = pairs
            .map(|(a, b)| (f64::from(*a) - b).abs())
            .fold(0.0, f64::max);
        assert_eq!(found.len(), expected.len());
        assert!(error <= 1e-4 * largest, "{what}: {error} of {largest}");
    }

    /// Against the definition in double precision: odd sizes, paddings of every kind, both tiles.
    #[test]
    fn phases_are_the_convolution() {
        let cases = [
            ([1, 1, 1], [4, 4], [(0, 0), (0, 0)]),
            ([2, 3, 5], [9, 12], [(1, 1), (1, 1)]),
            ([1, 2, 9], [7, 21], [(0, 2), (3, 1)]),
            ([3, 4, 8], [16, 8], [(1, 1), (2, 0)]),
            ([1, 5, 3], [3, 2], [(1, 1), (1, 2)]),
        ];
        for ([images, channels_in, channels_out], size_in, padding) in cases {
            let size_out = ConvShape::output_size(size_in, [4, 4], [2, 2], padding, [1, 1]);
            let shape = ConvShape {
                images,
                channels_in,
                channels_out,
                size_in,
                kernel: [4, 4],
                stride: [2, 2],
                padding,
                dilation: [1, 1],
                groups: 1,
                size_out: size_out.unwrap(),
            };
            let [inputs, weight_count, outputs] = shape.lengths();
            let (x, w, dy) = (
                values(inputs, 1),
                values(weight_count, 7),
                values(outputs, 5),
            );
            let bias = values(channels_in.max(channels_out), 3);
            let mut y = vec![0.0f64; outputs];
            let mut dx = vec![0.0f64; inputs];
            let mut dw = vec![0.0f64; weight_count];
            for (at, y) in y.iter_mut().enumerate() {
                let place = at % shape.plane_out();
                let (oy, ox) = (place / shape.size_out[1], place % shape.size_out[1]);
                let (n, o) = (
                    at / shape.plane_out() / channels_out,
                    at / shape.plane_out() % channels_out,
                );
                *y = f64::from(bias[o]);
                for (k, weight) in w[o * channels_in * 16..][..channels_in * 16]
                    .iter()
                    .enumerate()
                {
                    let (c, ky, kx) = (k / 16, k / 4 % 4, k % 4);
                    let iy = (2 * oy + ky)
                        .checked_sub(padding[0].0)
                        .filter(|y| *y < size_in[0]);
                    let ix = (2 * ox + kx)
                        .checked_sub(padding[1].0)
                        .filter(|x| *x < size_in[1]);
                    let (Some(iy), Some(ix)) = (iy, ix) else {
                        continue;
                    };
                    let from = ((n * channels_in + c) * size_in[0] + iy) * size_in[1] + ix;
                    *y += f64::from(*weight) * f64::from(x[from]);
                    dx[from] += f64::from(*weight) * f64::from(dy[at]);
                    dw[o * channels_in * 16 + k] += f64::from(x[from]) * f64::from(dy[at]);
                }
            }
            for (c, plane) in dx.chunks_exact_mut(shape.plane_in()).enumerate() {
                plane
                    .iter_mut()
                    .for_each(|v| *v += f64::from(bias[c % channels_in]));
            }
            let way = Phased::of(&shape).unwrap();
            for tile in [Tile::Two, Tile::Four] {
                let what = format!("{tile:?} {shape:?}");
                let mut found = Output::new(outputs);
                let target = Target {
                    out: found.shared(),
                    channel_stride: shape.plane_out(),
                    epilogue: Epilogue::bias(Some(&bias[..channels_out])),
                };
                // SAFETY: the output has room for every channel of every image.
                let found = unsafe {
                    assert!(way.forward_by(tile, &x, &w, target));
                    found.finish()
                };
                close(&what, &found, &y);
                let found = way.input_gradient_by(tile, &dy, &w, Some(&bias[..channels_in]));
                close(&what, &found.unwrap(), &dx);
                let mut found = vec![0.0; weight_count];
                assert!(way.weight_gradient_by(tile, &x, &dy, &mut found));
                close(&what, &found, &dw);
            }
        }
    }
}
