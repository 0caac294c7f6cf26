//! Products that read padded rows where they stand, in place of packed columns.
//!
//! Packing writes every element of the input once for each tap, which pays where many rows of weights read what was
//! packed. With few rows it costs more than the product. Here the rows of an image are copied once, with their padding;
//! each tap reads vectors of neighbouring places at an offset of its own. Places run on from one padded row into the
//! next, and what falls between two rows is computed and left out.

use super::dots::{Operands, dots};
use super::groups::{groups, sum_groups};
use super::matrix::Matrix;
use super::tile::each_tile;
use crate::fast::conv::epilogue::{Target, finish};
use crate::fast::conv::window::{Window, tile_rows};
use crate::fast::parallel::{Output, for_each, with_scratch};
use crate::fast::simd::{Simd, isa, simd_dispatch};

/// Fewest images, which are what is shared among the threads.
const IMAGES: usize = 8;
/// Most rows of weights for which reading unpacked rows is faster.
const ROWS: usize = 16;
/// Elements of padded rows a thread works on at once.
const STRIP: usize = 96 * 1024;
/// Vectors in a panel of places.
const PANEL: usize = 3;
/// Vectors whose products the weights' gradient sums in registers, about.
const VECTORS: usize = 64;

/// Padded rows of the images that a window reads, one plane for each channel.
pub(crate) struct Flat {
    /// Row and column of the padded plane's first element in the image.
    first: [isize; 2],
    /// Elements of a padded row.
    pitch: usize,
    /// Padded rows.
    height: usize,
    /// Each tap's place relative to the output's.
    offsets: Vec<usize>,
    /// Vectors of places.
    vectors: usize,
}

impl Flat {
    /// `None` where packing is the better way for `rows` rows of weights, or the only one.
    pub(crate) fn of(window: &Window, rows: usize) -> Option<Flat> {
        let plain = window.stride == [1, 1] && window.out_col_stride == 1;
        if !plain || window.taps.len() == 1 || rows > ROWS || window.images < IMAGES {
            return None;
        }
        let range = |axis: usize| {
            let taps = window.taps.iter().map(|tap| tap[axis]);
            let (least, most) = (taps.clone().min()?, taps.max()?);
            Some((least, (most - least) as usize))
        };
        let ((top, reach_y), (left, reach_x)) = (range(0)?, range(1)?);
        let [out_rows, out_cols] = window.out;
        let (height, pitch) = (out_rows + reach_y, out_cols + reach_x);
        // What lies between the rows must not be most of the work, nor the rows of an image too large to keep.
        if 3 * out_cols < 2 * pitch || window.channels * height * pitch > STRIP {
            return None;
        }
        let offset = |tap: &[isize; 2]| (tap[0] - top) as usize * pitch + (tap[1] - left) as usize;
        let places = (out_rows - 1) * pitch + out_cols;
        Some(Flat {
            first: [top, left],
            pitch,
            height,
            offsets: window.taps.iter().map(offset).collect(),
            vectors: places.div_ceil(isa().lanes()),
        })
    }

    fn plane(&self) -> usize {
        self.height * self.pitch
    }

    /// Elements of `planes` planes, with those that the last vector reads beyond.
    fn strip_len(&self, planes: usize) -> usize {
        planes * self.plane() + 2 * isa().lanes()
    }

    /// The padded planes of an image's channels: `x` begins at the first of them.
    fn fill(&self, window: &Window, x: &[f32], channels: usize, strip: &mut [f32]) {
        let planes = Planes {
            count: channels,
            size: window.size,
            row_stride: window.size[1],
            stride: window.size[0] * window.size[1],
            first: self.first,
            padded: [self.height, self.pitch],
            padded_stride: self.plane(),
        };
        planes.pad(x, strip);
    }
}

/// How planes are padded.
struct Planes {
    count: usize,
    /// Rows and columns of a plane.
    size: [usize; 2],
    /// Elements from one row to the next.
    row_stride: usize,
    /// Elements from one plane to the next.
    stride: usize,
    /// Row and column of the padded plane's first element in the plane.
    first: [isize; 2],
    /// Rows and columns of a padded plane.
    padded: [usize; 2],
    /// Elements from one padded plane to the next.
    padded_stride: usize,
}

impl Planes {
    /// Writes the padded planes, and zeros behind each and behind all of them. There is room for two vectors at the end.
    fn pad(&self, from: &[f32], to: &mut [f32]) {
        let [height, width] = self.size;
        let [rows, pitch] = self.padded;
        let last = self.count - 1;
        let read = last * self.stride + (height - 1) * self.row_stride + width;
        let written = last * self.padded_stride + rows * pitch;
        assert!(read <= from.len() && written + isa().lanes() <= to.len());
        // SAFETY: the assertion.
        unsafe { pad_planes(self, from, to) };
        to[written..].fill(0.0);
    }
}

simd_dispatch! {
    /// Writes padded planes, and up to a vector beyond each row.
    ///
    /// # Safety
    /// `from` holds the planes, `to` the padded ones and a vector.
    fn pad_planes(planes: &Planes, from: &[f32], to: &mut [f32]) = pad_planes_with
}

#[inline(always)]
unsafe fn pad_planes_with<S: Simd>(planes: &Planes, from: &[f32], to: &mut [f32]) {
    let [height, width] = planes.size;
    let [rows, pitch] = planes.padded;
    let [top, left] = planes.first;
    let lanes = S::LANES as isize;
    let zero_rows = |to: *mut f32, count: usize| {
        // SAFETY: whole rows are zero, and what is written beyond them belongs to later ones or to the last vector.
        unsafe {
            for at in (0..count * pitch).step_by(S::LANES) {
                S::store(to.add(at), S::splat(0.0));
            }
        }
    };
    // Rows that lie in the plane.
    let low = (-top).clamp(0, rows as isize) as usize;
    let high = (height as isize - top).clamp(low as isize, rows as isize) as usize;
    for c in 0..planes.count {
        // SAFETY: this function's contract; masks keep reads inside of the rows.
        unsafe {
            let plane = from.as_ptr().wrapping_add(c * planes.stride);
            let to = to.as_mut_ptr().add(c * planes.padded_stride);
            zero_rows(to, low);
            for at in (0..pitch).step_by(S::LANES) {
                let column = left + at as isize;
                let first = (-column).clamp(0, lanes);
                let end = (width as isize - column).clamp(first, lanes);
                let mask = S::mask(first as usize, end as usize);
                // A vector that reaches beyond its row must not undo the next row's beginning.
                let keep = S::mask(0, (pitch - at).min(S::LANES));
                for j in low..high {
                    let y = (top + j as isize) as usize;
                    let line = plane.wrapping_add(y * planes.row_stride);
                    let v = S::load_mask(line.wrapping_offset(column), mask);
                    S::store_mask(to.add(j * pitch + at), v, keep);
                }
            }
            zero_rows(to.add(high * pitch), rows - high);
            if planes.padded_stride > rows * pitch {
                for at in rows * pitch..planes.padded_stride {
                    *to.add(at) = 0.0;
                }
            }
        }
    }
}

/// Computes all outputs of one group with packed weights, as [`multiply`](super::packed::multiply) does, to the bit.
///
/// # Safety
/// `target.out` has room for every output of the window in each of the weights' rows, and nothing else accesses those
/// while this runs.
pub(crate) unsafe fn product(
    flat: &Flat,
    window: &Window,
    x: &[f32],
    weights: &Matrix,
    target: Target,
) {
    let rows = weights.rows;
    let lanes = isa().lanes();
    let strip_len = flat.strip_len(window.channels).next_multiple_of(lanes);
    let pitch = (flat.vectors + 1) * lanes;
    let work = window.columns() * rows * window.depth();
    for_each(window.images, work, |n| {
        with_scratch(strip_len + tile_rows(isa()) * pitch, |scratch| {
            let (strip, sums) = scratch.split_at_mut(strip_len);
            flat.fill(
                window,
                &x[n * window.image_stride..],
                window.channels,
                strip,
            );
            let target = Target {
                out: target.out.skip(n * window.out_image_stride),
                ..target
            };
            // SAFETY: the strip was filled for this window; this image's outputs are this task's by this function's
            // contract.
            unsafe { image_product(flat, window, strip, weights, target, sums, pitch) };
        });
    });
}

simd_dispatch! {
    /// Multiplies one image's padded rows with all rows of weights.
    ///
    /// # Safety
    /// The strip is filled for the window, `sums` has a tile's rows of `pitch`, and the target's outputs are writable.
    fn image_product(
        flat: &Flat,
        window: &Window,
        strip: &[f32],
        weights: &Matrix,
        target: Target,
        sums: &mut [f32],
        pitch: usize,
    ) = image_product_with
}

#[inline(always)]
unsafe fn image_product_with<S: Simd>(
    flat: &Flat,
    window: &Window,
    strip: &[f32],
    weights: &Matrix,
    target: Target,
    sums: &mut [f32],
    pitch: usize,
) {
    let tile = tile_rows(isa());
    let rows = weights.rows;
    let [out_rows, out_cols] = window.out;
    for row in (0..rows).step_by(tile) {
        let height = tile.min(rows - row);
        let a = weights.panel(row..row + height, &(0..window.channels));
        for first in (0..flat.vectors).step_by(PANEL) {
            let width = PANEL.min(flat.vectors - first);
            let at = first * S::LANES;
            macro_rules! run {
                ($h:literal, $w:literal) => {
                    // SAFETY: the strip holds every tap of these places, `sums` the tile.
                    unsafe {
                        let (strip, sums) = (strip.as_ptr().add(at), sums.as_mut_ptr().add(at));
                        tile_of::<S, $h, $w>(flat, window.channels, a.data, strip, sums, pitch)
                    }
                };
            }
            each_tile!(S, (height, width), run);
        }
        for h in 0..height {
            for y in 0..out_rows {
                let from = sums[h * pitch + y * flat.pitch..].as_ptr();
                let to = target
                    .out
                    .at((row + h) * target.channel_stride + y * window.out_row_stride);
                for at in (0..out_cols).step_by(S::LANES) {
                    let mask_to = S::LANES.min(out_cols - at);
                    // SAFETY: the sums have a vector more than their places, and the mask keeps writes inside of the
                    // output's row.
                    unsafe {
                        let v = finish::<S>(S::load(from.add(at)), target.epilogue, row + h);
                        S::store_mask(to.wrapping_add(at), v, S::mask(0, mask_to));
                    }
                }
            }
        }
    }
}

/// `H` rows by `W` vectors of sums over all channels and taps.
///
/// # Safety
/// `a` holds a column of `H` for each channel and tap, the strip each tap's vectors, and `c` has `H` rows of `W` vectors.
#[inline(always)]
unsafe fn tile_of<S: Simd, const H: usize, const W: usize>(
    flat: &Flat,
    channels: usize,
    a: &[f32],
    strip: *const f32,
    c: *mut f32,
    pitch: usize,
) {
    // SAFETY: this function's contract.
    unsafe {
        let mut sums = [[S::splat(0.0); W]; H];
        let (mut a, mut plane) = (a.as_ptr(), strip);
        for _ in 0..channels {
            for offset in &flat.offsets {
                let b = plane.add(*offset);
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
            }
            plane = plane.wrapping_add(flat.plane());
        }
        for h in 0..H {
            for w in 0..W {
                S::store(c.add(h * pitch + w * S::LANES), sums[h][w]);
            }
        }
    }
}

/// The gradient of the weights, as [`weight_gradient`](super::weight::weight_gradient). `false` where the result is not
/// finite: what falls between rows is multiplied by zero, and a number that is not finite spoils it.
pub(crate) fn weight_gradient(
    flat: &Flat,
    window: &Window,
    x: &[f32],
    dy: &[f32],
    rows: usize,
    row_stride: usize,
    dw: &mut [f32],
) -> bool {
    let (depth, lanes) = (window.depth(), isa().lanes());
    let groups = groups(window, rows);
    let out_rows = window.out[0];
    // Several images are summed before their sums leave the registers.
    let image = window.channels * flat.plane();
    let together = VECTORS.div_ceil(flat.vectors).min((STRIP / image).max(1));
    let places: Vec<usize> = (0..window.channels)
        .flat_map(|c| {
            flat.offsets
                .iter()
                .map(move |offset| c * flat.plane() + offset)
        })
        .collect();
    let pitch = (flat.vectors * lanes).max(out_rows * flat.pitch) + lanes;
    let pitch = pitch.next_multiple_of(lanes);
    let padding = Planes {
        count: rows,
        size: window.out,
        row_stride: window.out_row_stride,
        stride: row_stride,
        first: [0, 0],
        padded: [out_rows, flat.pitch],
        padded_stride: pitch,
    };
    let strip_len = flat.strip_len(window.channels).next_multiple_of(lanes);
    let mut partial = Output::new(groups * rows * depth);
    let sums = partial.shared();
    for_each(groups, rows * depth * window.columns(), |group| {
        let images = group * window.images / groups..(group + 1) * window.images / groups;
        let sums = sums.at(group * rows * depth);
        with_scratch(together * (strip_len + rows * pitch), |scratch| {
            let (strips, gradients) = scratch.split_at_mut(together * strip_len);
            for first in images.clone().step_by(together) {
                let count = together.min(images.end - first);
                for i in 0..count {
                    let n = first + i;
                    let strip = &mut strips[i * strip_len..(i + 1) * strip_len];
                    flat.fill(
                        window,
                        &x[n * window.image_stride..],
                        window.channels,
                        strip,
                    );
                    let from = &dy[n * window.out_image_stride..];
                    padding.pad(from, &mut gradients[i * rows * pitch..][..rows * pitch]);
                }
                let operands = Operands {
                    left: gradients,
                    left_pitch: pitch,
                    left_step: rows * pitch,
                    right: strips,
                    places: &places,
                    right_step: strip_len,
                    segments: count,
                    len: flat.vectors * lanes,
                };
                // SAFETY: the sums of this task's group are written by no other.
                unsafe { dots(&operands, rows, sums, depth, first == images.start) };
            }
        });
    });
    // SAFETY: every group has at least one image.
    let partial = unsafe { partial.finish() };
    sum_groups(&partial, dw);
    dw.iter().all(|value| value.is_finite())
}
