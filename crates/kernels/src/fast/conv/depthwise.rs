//! Convolution with one input channel per group, computed directly.
//!
//! An input plane is copied with its padding, split by the stride into phases that lie one after the
//! other, all of one row pitch. Then every tap reads at a constant distance from its output, whatever
//! the stride, and a plane of outputs is one pass over memory per tap. The outputs between the rows'
//! ends and the pitch are computed too, and dropped.

use super::super::buffer::Buffer;
use super::super::parallel::{Output, Shared, for_each, with_scratch};
use super::super::simd::{MAX_LANES, Simd, simd_dispatch};
use super::{ConvShape, phases};

/// The phases of a padded plane and where taps read in it.
struct Planes {
    /// Rows and columns of the source.
    size: [usize; 2],
    stride: [usize; 2],
    /// The source's row and column at the first place.
    first: [isize; 2],
    /// Rows of a phase, and elements of a row.
    rows: usize,
    pitch: usize,
}

impl Planes {
    /// For outputs of `count` rows and columns that read as far as `reach` beyond `first`.
    fn new(
        size: [usize; 2],
        stride: [usize; 2],
        first: [isize; 2],
        reach: [usize; 2],
        count: [usize; 2],
    ) -> Self {
        let [rows, pitch] = [0, 1].map(|i| count[i] + reach[i] / stride[i]);
        Planes {
            size,
            stride,
            first,
            rows,
            pitch,
        }
    }

    /// Elements, with room for whole vectors at the end.
    fn len(&self) -> usize {
        self.stride[0] * self.stride[1] * self.rows * self.pitch + 4 * MAX_LANES
    }

    /// How far from an output's place a tap reads that is `distance` beyond `first`.
    fn offset(&self, distance: [usize; 2]) -> usize {
        let phase = (distance[0] % self.stride[0]) * self.stride[1] + distance[1] % self.stride[1];
        let row = phase * self.rows + distance[0] / self.stride[0];
        row * self.pitch + distance[1] / self.stride[1]
    }

    /// Copies a plane.
    fn fill(&self, source: &[f32], planes: &mut [f32]) {
        let [height, width] = self.size;
        let mut at = 0;
        for phase_y in 0..self.stride[0] {
            for phase_x in 0..self.stride[1] {
                for j in 0..self.rows {
                    let y = self.first[0] + (phase_y + j * self.stride[0]) as isize;
                    let row = usize::try_from(y).ok().filter(|y| *y < height);
                    let row = row.map(|y| &source[y * width..(y + 1) * width]);
                    let target = &mut planes[at..at + self.pitch];
                    let first = self.first[1] + phase_x as isize;
                    super::window::fill_row(row, first, self.stride[1], target);
                    at += self.pitch;
                }
            }
        }
        planes[at..].fill(0.0);
    }
}

/// The planes of the forward pass.
fn forward_planes(shape: &ConvShape) -> (Planes, Vec<usize>) {
    let reach = [0, 1].map(|i| (shape.kernel[i] - 1) * shape.dilation[i]);
    let first = shape.padding.map(|p| -(p.0 as isize));
    let planes = Planes::new(shape.size_in, shape.stride, first, reach, shape.size_out);
    let mut offsets = Vec::with_capacity(shape.taps());
    for ky in 0..shape.kernel[0] {
        for kx in 0..shape.kernel[1] {
            offsets.push(planes.offset([ky * shape.dilation[0], kx * shape.dilation[1]]));
        }
    }
    (planes, offsets)
}

/// Calls `task` for ranges of `count` items of `work` each, large enough to be handed over.
fn in_groups(count: usize, work: usize, task: impl Fn(std::ops::Range<usize>) + Sync + Send) {
    const ENOUGH: usize = 1 << 16;
    let group = (ENOUGH / work.max(1)).clamp(1, count.max(1));
    for_each(count.div_ceil(group), count * work, |i| {
        task(i * group..count.min((i + 1) * group));
    });
}

/// The convolution, plus `bias`.
pub(super) fn forward(
    shape: &ConvShape,
    x: &[f32],
    weights: &[f32],
    bias: Option<&[f32]>,
    relu: bool,
) -> Buffer {
    let (planes, offsets) = forward_planes(shape);
    let (plane_in, plane_out, taps) = (shape.plane_in(), shape.plane_out(), shape.taps());
    let multiple = shape.group_out();
    let [rows, cols] = shape.size_out;
    let span = (rows - 1) * planes.pitch + cols;
    let mut output = Output::new(shape.lengths()[2]);
    let out = output.shared();
    in_groups(
        shape.images * shape.channels_in,
        span * multiple * (taps + 4),
        |range| {
            with_scratch(planes.len() + span + MAX_LANES, |scratch| {
                let (padded, sums) = scratch.split_at_mut(planes.len());
                for plane in range {
                    planes.fill(&x[plane * plane_in..(plane + 1) * plane_in], padded);
                    for m in 0..multiple {
                        let to = plane * multiple + m;
                        let channel = to % shape.channels_out;
                        let weights = &weights[channel * taps..(channel + 1) * taps];
                        let start = bias.map_or(0.0, |bias| bias[channel]);
                        // SAFETY: the taps of the whole span lie in the padded planes, which have room
                        // for whole vectors at the end, as have the sums.
                        unsafe {
                            taps_pass(padded, &offsets, weights, span, start, false, relu, sums)
                        };
                        for y in 0..rows {
                            // SAFETY: each output plane belongs to one item.
                            let row = unsafe {
                                let start = out.at(to * plane_out + y * cols);
                                std::slice::from_raw_parts_mut(start, cols)
                            };
                            row.copy_from_slice(&sums[y * planes.pitch..][..cols]);
                        }
                    }
                }
            });
        },
    );
    // SAFETY: every plane was written.
    unsafe { output.finish() }
}

/// The gradient of the input, plus `bias` per input channel.
pub(super) fn input_gradient(
    shape: &ConvShape,
    dy: &[f32],
    weights: &[f32],
    bias: Option<&[f32]>,
) -> Buffer {
    let (plane_in, plane_out, taps) = (shape.plane_in(), shape.plane_out(), shape.taps());
    let multiple = shape.group_out();
    let [phases_y, phases_x] = [0, 1].map(|axis| phases(shape, axis));
    // All phases of the stride read one padded copy of the output gradient.
    let mut first = [0, 0];
    let mut last = [0, 0];
    let mut count = [0, 0];
    for (axis, phases) in [&phases_y, &phases_x].into_iter().enumerate() {
        let distances = || phases.iter().flat_map(|p| p.taps.iter().map(|t| t.1));
        first[axis] = distances().min().unwrap_or(0);
        last[axis] = distances().max().unwrap_or(0);
        count[axis] = phases.iter().map(|p| p.count).max().unwrap_or(0);
    }
    let reach = [0, 1].map(|i| (last[i] - first[i]) as usize);
    let planes = Planes::new(shape.size_out, [1, 1], first, reach, count);

    let mut output = Output::new(shape.lengths()[0]);
    let out = output.shared();
    let work = multiple * plane_in * (taps / (shape.stride[0] * shape.stride[1]) + 4);
    in_groups(shape.images * shape.channels_in, work, |range| {
        let longest = count[0] * planes.pitch + MAX_LANES;
        with_scratch(multiple * planes.len() + longest, |scratch| {
            let (padded, sums) = scratch.split_at_mut(multiple * planes.len());
            let mut offsets = Vec::with_capacity(taps);
            let mut values = Vec::with_capacity(taps);
            for plane in range {
                let channel = plane % shape.channels_in;
                for m in 0..multiple {
                    let from = (plane * multiple + m) * plane_out;
                    let padded = &mut padded[m * planes.len()..(m + 1) * planes.len()];
                    planes.fill(&dy[from..from + plane_out], padded);
                }
                for y in &phases_y {
                    for x in &phases_x {
                        let span = (y.count - 1) * planes.pitch + x.count;
                        for m in 0..multiple {
                            offsets.clear();
                            values.clear();
                            let weights = &weights[(channel * multiple + m) * taps..][..taps];
                            for (ky, distance_y) in &y.taps {
                                for (kx, distance_x) in &x.taps {
                                    offsets.push(planes.offset([
                                        (distance_y - first[0]) as usize,
                                        (distance_x - first[1]) as usize,
                                    ]));
                                    values.push(weights[ky * shape.kernel[1] + kx]);
                                }
                            }
                            let padded = &padded[m * planes.len()..(m + 1) * planes.len()];
                            let start = bias.map_or(0.0, |bias| bias[channel]);
                            // SAFETY: as in the forward pass.
                            unsafe {
                                taps_pass(
                                    padded,
                                    &offsets,
                                    &values,
                                    span,
                                    start,
                                    m > 0,
                                    false,
                                    sums,
                                );
                            }
                        }
                        for j in 0..y.count {
                            let row = &sums[j * planes.pitch..][..x.count];
                            let iy = y.start + j * shape.stride[0];
                            // SAFETY: each input plane belongs to one item. Elements of other phases
                            // may be uninitialised, so the row is only written through pointers.
                            unsafe {
                                let to = plane * plane_in + iy * shape.size_in[1] + x.start;
                                spread(row, out.at(to), shape.stride[1]);
                            }
                        }
                    }
                }
            }
        });
    });
    // SAFETY: every place of every plane belongs to one phase.
    unsafe { output.finish() }
}

/// Writes `row` with `stride` elements from each to the next.
///
/// # Safety
/// Those elements are writable.
#[inline]
unsafe fn spread(row: &[f32], to: *mut f32, stride: usize) {
    // SAFETY: this function's contract.
    unsafe {
        match stride {
            1 => to.copy_from_nonoverlapping(row.as_ptr(), row.len()),
            2 => row
                .iter()
                .enumerate()
                .for_each(|(i, value)| *to.add(2 * i) = *value),
            _ => row
                .iter()
                .enumerate()
                .for_each(|(i, value)| *to.add(stride * i) = *value),
        }
    }
}

/// The gradient of the weights.
pub(super) fn weight_gradient(shape: &ConvShape, x: &[f32], dy: &[f32]) -> Buffer {
    let (planes, offsets) = forward_planes(shape);
    let (plane_in, plane_out, taps) = (shape.plane_in(), shape.plane_out(), shape.taps());
    let multiple = shape.group_out();
    let mut dw = Buffer::zeros(shape.channels_out * taps);
    let out = Shared::from(&mut dw[..]);
    for_each(
        shape.channels_in,
        shape.images * plane_out * multiple * taps,
        |channel| {
            // Image by image, the sums of images in `f64`.
            let mut totals = vec![0.0f64; multiple * taps];
            with_scratch(planes.len(), |padded| {
                for n in 0..shape.images {
                    let plane = n * shape.channels_in + channel;
                    planes.fill(&x[plane * plane_in..(plane + 1) * plane_in], padded);
                    for m in 0..multiple {
                        let dy = &dy[(plane * multiple + m) * plane_out..][..plane_out];
                        let totals = &mut totals[m * taps..(m + 1) * taps];
                        // SAFETY: the taps of every output lie in the padded planes.
                        unsafe {
                            tap_dots(padded, &offsets, dy, shape.size_out, planes.pitch, totals);
                        }
                    }
                }
            });
            for (i, total) in totals.iter().enumerate() {
                // SAFETY: a task writes the weights of its channel.
                unsafe { *out.at(channel * multiple * taps + i) = *total as f32 };
            }
        },
    );
    dw
}

simd_dispatch! {
    /// `sums[f] = start + sum over taps of weight * planes[f + offset]` for `f` in `0..span`, or added to
    /// what is there.
    ///
    /// # Safety
    /// `planes` holds the reads of `span` outputs rounded up to four vectors, `sums` that many rounded
    /// up to one.
    fn taps_pass(
        planes: &[f32],
        offsets: &[usize],
        weights: &[f32],
        span: usize,
        start: f32,
        add: bool,
        relu: bool,
        sums: &mut [f32],
    ) = taps_pass_with
}

#[inline(always)]
#[allow(clippy::too_many_arguments)]
unsafe fn taps_pass_with<S: Simd>(
    planes: &[f32],
    offsets: &[usize],
    weights: &[f32],
    span: usize,
    start: f32,
    add: bool,
    relu: bool,
    sums: &mut [f32],
) {
    assert_eq!(offsets.len(), weights.len());
    let furthest = offsets.iter().max().unwrap_or(&0);
    assert!(span.next_multiple_of(S::LANES) <= sums.len());
    assert!(furthest + span.next_multiple_of(S::LANES) <= planes.len());
    // SAFETY: the assertions above; four vectors are taken only where they end within the span.
    unsafe {
        let mut f = 0;
        while f < span {
            macro_rules! block {
                ($count:literal) => {{
                    let mut block = [S::splat(start); $count];
                    let to = sums.as_mut_ptr().add(f);
                    if add {
                        for (i, v) in block.iter_mut().enumerate() {
                            *v = S::load(to.add(i * S::LANES));
                        }
                    }
                    for t in 0..offsets.len() {
                        let weight = S::splat(*weights.get_unchecked(t));
                        let from = planes.as_ptr().add(f + *offsets.get_unchecked(t));
                        for (i, v) in block.iter_mut().enumerate() {
                            *v = S::fma(weight, S::load(from.add(i * S::LANES)), *v);
                        }
                    }
                    for (i, v) in block.iter().enumerate() {
                        let v = if relu { S::relu(*v) } else { *v };
                        S::store(to.add(i * S::LANES), v);
                    }
                    f += $count * S::LANES;
                }};
            }
            if f + 4 * S::LANES <= span {
                block!(4)
            } else {
                block!(1)
            }
        }
    }
}

simd_dispatch! {
    /// `totals[t] += sum over outputs of dy * planes[place + offset of t]`.
    ///
    /// # Safety
    /// `planes` holds the reads of all outputs.
    fn tap_dots(
        planes: &[f32],
        offsets: &[usize],
        dy: &[f32],
        size: [usize; 2],
        pitch: usize,
        totals: &mut [f64],
    ) = tap_dots_with
}

#[inline(always)]
unsafe fn tap_dots_with<S: Simd>(
    planes: &[f32],
    offsets: &[usize],
    dy: &[f32],
    size: [usize; 2],
    pitch: usize,
    totals: &mut [f64],
) {
    let [rows, cols] = size;
    let furthest = offsets.iter().max().unwrap_or(&0);
    assert!(furthest + (rows - 1) * pitch + cols <= planes.len() && rows * cols <= dy.len());
    assert_eq!(offsets.len(), totals.len());
    let mut t = 0;
    while t < offsets.len() {
        macro_rules! dots {
            ($count:literal) => {{
                // SAFETY: the assertions above; lanes beyond a row's end are not read.
                unsafe {
                    let mut sums = [S::splat(0.0); $count];
                    for y in 0..rows {
                        let mut x = 0;
                        while x < cols {
                            let mask = S::mask(0, S::LANES.min(cols - x));
                            let g = S::load_mask(dy.as_ptr().add(y * cols + x), mask);
                            let from = planes.as_ptr().add(y * pitch + x);
                            for (i, sum) in sums.iter_mut().enumerate() {
                                let from = from.add(*offsets.get_unchecked(t + i));
                                *sum = S::fma(g, S::load_mask(from, mask), *sum);
                            }
                            x += S::LANES;
                        }
                    }
                    for (i, sum) in sums.into_iter().enumerate() {
                        totals[t + i] += S::sum(sum) as f64;
                    }
                }
                t += $count;
            }};
        }
        match offsets.len() - t {
            9.. => dots!(9),
            5.. => dots!(5),
            3.. => dots!(3),
            _ => dots!(1),
        }
    }
}
