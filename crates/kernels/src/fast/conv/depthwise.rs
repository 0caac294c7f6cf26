//! Convolution with one input channel per group, computed directly.
//!
//! Input planes of one channel, of several images, are copied with their padding and split by the stride into
//! phases; the planes of a phase stand one after the other, all of one row pitch. Then every tap reads at a
//! constant distance from its output, whatever the stride and whichever the image, and the outputs of all these
//! planes are one pass over memory per tap. The outputs between the rows' ends and the pitch, and between planes,
//! are computed too, and dropped: small planes would cost more one by one.

use super::epilogue::Epilogue;
use super::shape::{ConvShape, Phase, phases};
use crate::fast::buffer::Buffer;
use crate::fast::parallel::{Output, Shared, for_each, with_scratch};
use crate::fast::simd::{MAX_LANES, Simd, simd_dispatch};

/// Elements of a stack, unless one plane has more: what the first-level cache holds beside the sums.
const STACK: usize = 2048;

/// Padded planes of several images, split into phases, and where taps read in them.
struct Stack {
    /// Rows and columns of a source plane.
    size: [usize; 2],
    stride: [usize; 2],
    /// The source's row and column at the first place.
    first: [isize; 2],
    /// Rows of a phase, and elements of a row.
    rows: usize,
    pitch: usize,
    /// Images in a stack.
    images: usize,
}

impl Stack {
    /// For outputs of `count` rows and columns that read as far as `reach` beyond `first`.
    fn new(
        size: [usize; 2],
        stride: [usize; 2],
        first: [isize; 2],
        reach: [usize; 2],
        count: [usize; 2],
        images: usize,
    ) -> Self {
        let [rows, pitch] = [0, 1].map(|i| count[i] + reach[i] / stride[i]);
        Stack {
            size,
            stride,
            first,
            rows,
            pitch,
            images: (STACK / (rows * pitch)).clamp(1, images),
        }
    }

    /// Elements of one plane's phase.
    fn plane(&self) -> usize {
        self.rows * self.pitch
    }

    /// Elements, with room for whole vectors at the end.
    fn len(&self) -> usize {
        self.stride[0] * self.stride[1] * self.images * self.plane() + 4 * MAX_LANES
    }

    /// Elements from the first output of `images` planes to the last, of `rows` rows of `cols` each.
    fn span(&self, images: usize, [rows, cols]: [usize; 2]) -> usize {
        (images - 1) * self.plane() + (rows - 1) * self.pitch + cols
    }

    /// How far from an output's place a tap reads that is `distance` beyond `first`.
    fn offset(&self, distance: [usize; 2]) -> usize {
        let phase = (distance[0] % self.stride[0]) * self.stride[1] + distance[1] % self.stride[1];
        phase * self.images * self.plane()
            + distance[0] / self.stride[0] * self.pitch
            + distance[1] / self.stride[1]
    }

    /// The stretches of a plane's rows that are copied; the rest is padding.
    fn rows(&self) -> Rows {
        let [height, width] = self.size;
        let mut runs = Vec::new();
        for phase_y in 0..self.stride[0] {
            for phase_x in 0..self.stride[1] {
                let phase = phase_y * self.stride[1] + phase_x;
                let first = self.first[1] + phase_x as isize;
                let step = self.stride[1] as isize;
                // The columns `first + i * step` inside of the source.
                let lo = (-first).max(0).unsigned_abs().div_ceil(self.stride[1]);
                let hi = ((width as isize - first).max(0) + step - 1) / step;
                let hi = (hi as usize).min(self.pitch);
                for j in 0..self.rows {
                    let y = self.first[0] + (phase_y + j * self.stride[0]) as isize;
                    if let (0.., true) = (y, y < height as isize && lo < hi) {
                        let x = first + lo as isize * step;
                        runs.push(Run {
                            from: y as usize * width + x as usize,
                            to: phase * self.images * self.plane() + j * self.pitch + lo,
                            len: hi - lo,
                        });
                    }
                }
            }
        }
        Rows {
            runs,
            steps: [self.stride[1], 1],
        }
    }
}

/// Stretches of rows that are copied from one plane into another.
struct Rows {
    runs: Vec<Run>,
    /// From one element to the next, where they are read and where they are written.
    steps: [usize; 2],
}

/// One stretch: its first element in both planes, and its elements.
#[derive(Clone, Copy)]
struct Run {
    from: usize,
    to: usize,
    len: usize,
}

/// The outputs of a plane as they lie in a stack's sums, and their places in the result.
fn outputs(
    stack: &Stack,
    [rows, cols]: [usize; 2],
    start: usize,
    row_step: usize,
    step: usize,
) -> Rows {
    let run = |y: usize| Run {
        from: y * stack.pitch,
        to: start + y * row_step,
        len: cols,
    };
    Rows {
        runs: (0..rows).map(run).collect(),
        steps: [1, step],
    }
}

/// The stack of the forward pass.
fn forward_stack(shape: &ConvShape) -> (Stack, Vec<usize>) {
    let reach = [0, 1].map(|i| (shape.kernel[i] - 1) * shape.dilation[i]);
    let first = shape.padding.map(|p| -(p.0 as isize));
    let (size, stride) = (shape.size_in, shape.stride);
    let stack = Stack::new(size, stride, first, reach, shape.size_out, shape.images);
    let mut offsets = Vec::with_capacity(shape.taps());
    for ky in 0..shape.kernel[0] {
        for kx in 0..shape.kernel[1] {
            offsets.push(stack.offset([ky * shape.dilation[0], kx * shape.dilation[1]]));
        }
    }
    (stack, offsets)
}

/// Calls `task` for ranges of `count` items of `work` each, large enough to be handed over.
fn in_groups(count: usize, work: usize, task: impl Fn(std::ops::Range<usize>) + Sync + Send) {
    const ENOUGH: usize = 1 << 16;
    let group = (ENOUGH / work.max(1)).clamp(1, count.max(1));
    for_each(count.div_ceil(group), count * work, |i| {
        task(i * group..count.min((i + 1) * group));
    });
}

/// One channel of the images of a stack: item `index` of all, image by image within a channel.
struct Item {
    channel: usize,
    /// The first image, and how many there are.
    first: usize,
    images: usize,
}

impl Item {
    fn new(index: usize, shape: &ConvShape, stack: &Stack) -> Self {
        let parts = shape.images.div_ceil(stack.images);
        let first = index % parts * stack.images;
        Item {
            channel: index / parts,
            first,
            images: stack.images.min(shape.images - first),
        }
    }

    fn count(shape: &ConvShape, stack: &Stack) -> usize {
        shape.channels_in * shape.images.div_ceil(stack.images)
    }
}

/// The convolution, and what follows it.
pub(super) fn forward(shape: &ConvShape, x: &[f32], weights: &[f32], epilogue: Epilogue) -> Buffer {
    let (stack, offsets) = forward_stack(shape);
    let (plane_in, plane_out, taps) = (shape.plane_in(), shape.plane_out(), shape.taps());
    let multiple = shape.group_out();
    let rows_in = stack.rows();
    let rows_out = outputs(&stack, shape.size_out, 0, shape.size_out[1], 1);
    let longest = stack.span(stack.images, shape.size_out);
    let mut output = Output::new(shape.lengths()[2]);
    let out = output.shared();
    in_groups(
        Item::count(shape, &stack),
        longest * multiple * (taps + 4),
        |range| {
            with_scratch(stack.len() + longest + MAX_LANES + taps, |scratch| {
                let (scaled, scratch) = scratch.split_at_mut(taps);
                let (padded, sums) = scratch.split_at_mut(stack.len());
                padded.fill(0.0);
                for item in range {
                    let item = Item::new(item, shape, &stack);
                    let from = (item.first * shape.channels_in + item.channel) * plane_in;
                    let step = shape.channels_in * plane_in;
                    stack.fill(&rows_in, &x[from..], step, item.images, padded);
                    let span = stack.span(item.images, shape.size_out);
                    for m in 0..multiple {
                        let channel = item.channel * multiple + m;
                        let weights = &weights[channel * taps..(channel + 1) * taps];
                        let (scale, start) = epilogue.line(channel);
                        for (scaled, weight) in scaled.iter_mut().zip(weights) {
                            *scaled = weight * scale;
                        }
                        let to = (item.first * shape.channels_out + channel) * plane_out;
                        let steps = [stack.plane(), shape.channels_out * plane_out];
                        // SAFETY: the taps of the whole span lie in the stack, which has room for whole
                        // vectors at the end, as have the sums. The output planes of this channel of these
                        // images are this item's.
                        unsafe {
                            taps_pass(
                                padded,
                                &offsets,
                                scaled,
                                span,
                                start,
                                false,
                                epilogue.relu,
                                sums,
                            );
                            copy(&rows_out, sums.as_ptr(), out.at(to), steps, item.images);
                        }
                    }
                }
            });
        },
    );
    // SAFETY: every plane was written.
    unsafe { output.finish() }
}

impl Stack {
    /// Copies planes of `source`, `step` elements from one to the next, into the stack, whose padding is zero.
    fn fill(&self, rows: &Rows, source: &[f32], step: usize, images: usize, stack: &mut [f32]) {
        let [height, width] = self.size;
        assert!((images - 1) * step + height * width <= source.len());
        assert!(images <= self.images && self.len() <= stack.len());
        // SAFETY: the runs lie inside of a source plane and of the plane's phases in the stack.
        unsafe {
            let steps = [step, self.plane()];
            copy(rows, source.as_ptr(), stack.as_mut_ptr(), steps, images);
        }
    }
}

/// What the gradient of one phase of the input is made of.
struct InputPhase {
    /// Where taps read, and which they are.
    offsets: Vec<usize>,
    taps: Vec<usize>,
    size: [usize; 2],
    rows: Rows,
}

/// The stack of the output's gradient and the phases of the input that read it.
fn gradient_stack(shape: &ConvShape) -> (Stack, Vec<InputPhase>) {
    let axes: [Vec<Phase>; 2] = [0, 1].map(|axis| phases(shape, axis));
    let (mut first, mut reach, mut count) = ([0, 0], [0, 0], [0, 0]);
    for (axis, phases) in axes.iter().enumerate() {
        let distances = || phases.iter().flat_map(|p| p.taps.iter().map(|t| t.1));
        first[axis] = distances().min().unwrap_or(0);
        reach[axis] = (distances().max().unwrap_or(0) - first[axis]) as usize;
        count[axis] = phases.iter().map(|p| p.count).max().unwrap_or(0);
    }
    // All phases of the input read one padded copy.
    let stack = Stack::new(shape.size_out, [1, 1], first, reach, count, shape.images);
    let mut found = Vec::new();
    for y in &axes[0] {
        for x in &axes[1] {
            let mut phase = InputPhase {
                offsets: Vec::new(),
                taps: Vec::new(),
                size: [y.count, x.count],
                rows: outputs(
                    &stack,
                    [y.count, x.count],
                    y.start * shape.size_in[1] + x.start,
                    shape.stride[0] * shape.size_in[1],
                    shape.stride[1],
                ),
            };
            for (ky, distance_y) in &y.taps {
                for (kx, distance_x) in &x.taps {
                    let distance = [distance_y - first[0], distance_x - first[1]];
                    phase
                        .offsets
                        .push(stack.offset(distance.map(|d| d as usize)));
                    phase.taps.push(ky * shape.kernel[1] + kx);
                }
            }
            found.push(phase);
        }
    }
    (stack, found)
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
    let (stack, phases) = gradient_stack(shape);
    let rows = stack.rows();
    let longest = phases
        .iter()
        .map(|phase| stack.span(stack.images, phase.size));
    let longest = longest.max().unwrap_or(0);
    let mut output = Output::new(shape.lengths()[0]);
    let out = output.shared();
    let work = multiple * longest * (taps + 4 * phases.len());
    in_groups(Item::count(shape, &stack), work, |range| {
        with_scratch(multiple * stack.len() + longest + MAX_LANES, |scratch| {
            let (padded, sums) = scratch.split_at_mut(multiple * stack.len());
            padded.fill(0.0);
            let mut values = Vec::with_capacity(taps);
            for item in range {
                let item = Item::new(item, shape, &stack);
                for (m, padded) in padded.chunks_exact_mut(stack.len()).enumerate() {
                    let channel = item.channel * multiple + m;
                    let from = (item.first * shape.channels_out + channel) * plane_out;
                    let step = shape.channels_out * plane_out;
                    stack.fill(&rows, &dy[from..], step, item.images, padded);
                }
                let start = bias.map_or(0.0, |bias| bias[item.channel]);
                let to = (item.first * shape.channels_in + item.channel) * plane_in;
                let steps = [stack.plane(), shape.channels_in * plane_in];
                for phase in &phases {
                    let span = stack.span(item.images, phase.size);
                    for (m, padded) in padded.chunks_exact(stack.len()).enumerate() {
                        let weights = &weights[(item.channel * multiple + m) * taps..][..taps];
                        values.clear();
                        values.extend(phase.taps.iter().map(|tap| weights[*tap]));
                        let offsets = &phase.offsets;
                        // SAFETY: as in the forward pass.
                        unsafe {
                            taps_pass(padded, offsets, &values, span, start, m > 0, false, sums)
                        };
                    }
                    // SAFETY: the planes of this channel of these images are this item's. Elements of
                    // other phases may be uninitialised, and are neither read nor written.
                    unsafe { copy(&phase.rows, sums.as_ptr(), out.at(to), steps, item.images) };
                }
            }
        });
    });
    // SAFETY: every place of every plane belongs to one phase.
    unsafe { output.finish() }
}

/// The gradient of the weights.
pub(super) fn weight_gradient(shape: &ConvShape, x: &[f32], dy: &[f32]) -> Buffer {
    let (stack, offsets) = forward_stack(shape);
    let (plane_in, plane_out, taps) = (shape.plane_in(), shape.plane_out(), shape.taps());
    let multiple = shape.group_out();
    let rows_in = stack.rows();
    // The output's gradient is laid out as the outputs are, with zeros between rows and planes.
    let [height, width] = shape.size_out;
    let runs = (0..height).map(|y| Run {
        from: y * width,
        to: y * stack.pitch,
        len: width,
    });
    let rows_out = Rows {
        runs: runs.collect(),
        steps: [1, 1],
    };
    let length = stack.images * stack.plane() + MAX_LANES;
    let mut dw = Buffer::zeros(shape.channels_out * taps);
    let out = Shared::from(&mut dw[..]);
    for_each(
        shape.channels_in,
        shape.images * plane_out * multiple * taps,
        |channel| {
            // Stack by stack, the sums of stacks in `f64`.
            let mut totals = vec![0.0f64; multiple * taps];
            let sum = |exactly: bool, totals: &mut [f64]| {
                totals.fill(0.0);
                with_scratch(stack.len() + length, |scratch| {
                    let (padded, gradients) = scratch.split_at_mut(stack.len());
                    padded.fill(0.0);
                    gradients.fill(0.0);
                    for first in (0..shape.images).step_by(stack.images) {
                        let images = stack.images.min(shape.images - first);
                        let from = (first * shape.channels_in + channel) * plane_in;
                        let step = shape.channels_in * plane_in;
                        stack.fill(&rows_in, &x[from..], step, images, padded);
                        for (m, totals) in totals.chunks_exact_mut(taps).enumerate() {
                            let from =
                                (first * shape.channels_out + channel * multiple + m) * plane_out;
                            let step = shape.channels_out * plane_out;
                            let dy = &dy[from..];
                            assert!((images - 1) * step + plane_out <= dy.len());
                            if exactly {
                                for i in 0..images {
                                    let padded = &padded[i * stack.plane()..];
                                    let (dy, pitch) = (&dy[i * step..], stack.pitch);
                                    tap_dots(padded, &offsets, dy, shape.size_out, pitch, totals);
                                }
                                continue;
                            }
                            // What an earlier, fuller stack has left behind the last plane.
                            gradients[images * stack.plane()..].fill(0.0);
                            let span = stack.span(images, shape.size_out);
                            let steps = [step, stack.plane()];
                            let to = gradients.as_mut_ptr();
                            // SAFETY: the runs lie in the planes of both sides; the taps of the whole span
                            // lie in the stack, which has room for whole vectors at the end.
                            unsafe {
                                copy(&rows_out, dy.as_ptr(), to, steps, images);
                                span_dots(padded, &offsets, gradients, span, totals);
                            }
                        }
                    }
                });
            };
            sum(false, &mut totals);
            if !totals.iter().all(|total| total.is_finite()) {
                // A value that is not finite was multiplied by the zeros between rows, too.
                sum(true, &mut totals);
            }
            for (i, total) in totals.iter().enumerate() {
                // SAFETY: a task writes the weights of its channel.
                unsafe { *out.at(channel * multiple * taps + i) = *total as f32 };
            }
        },
    );
    dw
}

simd_dispatch! {
    /// Copies the rows of `planes` planes that are `plane_steps` apart.
    ///
    /// # Safety
    /// The rows of all planes are readable in `from` and writable in `to`.
    fn copy(
        rows: &Rows,
        from: *const f32,
        to: *mut f32,
        plane_steps: [usize; 2],
        planes: usize,
    ) = copy_with
}

#[inline(always)]
unsafe fn copy_with<S: Simd>(
    rows: &Rows,
    from: *const f32,
    to: *mut f32,
    plane_steps: [usize; 2],
    planes: usize,
) {
    // SAFETY: this function's contract.
    unsafe {
        for plane in 0..planes {
            let from = from.add(plane * plane_steps[0]);
            let to = to.add(plane * plane_steps[1]);
            for run in &rows.runs {
                let (from, to) = (from.add(run.from), to.add(run.to));
                match rows.steps {
                    [1, 1] => {
                        let mut x = 0;
                        while x + S::LANES <= run.len {
                            S::store(to.add(x), S::load(from.add(x)));
                            x += S::LANES;
                        }
                        if x < run.len {
                            let mask = S::mask(0, run.len - x);
                            S::store_mask(to.add(x), S::load_mask(from.add(x), mask), mask);
                        }
                    }
                    [2, 1] => (0..run.len).for_each(|i| *to.add(i) = *from.add(2 * i)),
                    [1, 2] => (0..run.len).for_each(|i| *to.add(2 * i) = *from.add(i)),
                    [read, write] => {
                        (0..run.len).for_each(|i| *to.add(write * i) = *from.add(read * i));
                    }
                }
            }
        }
    }
}

simd_dispatch! {
    /// `totals[t] += sum over f of gradients[f] * stack[f + offset of t]` for `f` in `0..span`; `gradients` is
    /// zero beyond.
    ///
    /// # Safety
    /// `stack` holds the reads of `span` outputs rounded up to whole vectors, `gradients` that many.
    fn span_dots(
        stack: &[f32],
        offsets: &[usize],
        gradients: &[f32],
        span: usize,
        totals: &mut [f64],
    ) = span_dots_with
}

#[inline(always)]
unsafe fn span_dots_with<S: Simd>(
    stack: &[f32],
    offsets: &[usize],
    gradients: &[f32],
    span: usize,
    totals: &mut [f64],
) {
    let span = span.next_multiple_of(S::LANES);
    let furthest = offsets.iter().max().unwrap_or(&0);
    assert!(furthest + span <= stack.len() && span <= gradients.len());
    assert_eq!(offsets.len(), totals.len());
    let mut t = 0;
    while t < offsets.len() {
        macro_rules! dots {
            ($count:literal) => {{
                // SAFETY: the assertions above.
                unsafe {
                    let mut sums = [S::splat(0.0); $count];
                    let mut froms = [stack.as_ptr(); $count];
                    for (i, from) in froms.iter_mut().enumerate() {
                        *from = from.add(*offsets.get_unchecked(t + i));
                    }
                    let mut f = 0;
                    while f < span {
                        let g = S::load(gradients.as_ptr().add(f));
                        for (sum, from) in sums.iter_mut().zip(froms) {
                            *sum = S::fma(g, S::load(from.add(f)), *sum);
                        }
                        f += S::LANES;
                    }
                    for (i, sum) in sums.into_iter().enumerate() {
                        totals[t + i] += f64::from(S::sum(sum));
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

/// `totals[t] += sum over outputs of dy * planes[place + offset of t]`, and nothing between the rows' ends.
fn tap_dots(
    planes: &[f32],
    offsets: &[usize],
    dy: &[f32],
    [rows, cols]: [usize; 2],
    pitch: usize,
    totals: &mut [f64],
) {
    for (total, offset) in totals.iter_mut().zip(offsets) {
        for (y, dy) in dy.chunks_exact(cols).take(rows).enumerate() {
            let planes = &planes[offset + y * pitch..][..cols];
            let products = dy.iter().zip(planes).map(|(dy, x)| f64::from(dy * x));
            *total += products.sum::<f64>();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_finite_reaches_the_taps_that_read_it_alone() {
        let shape = ConvShape {
            images: 3,
            channels_in: 2,
            channels_out: 2,
            size_in: [4, 4],
            kernel: [3, 3],
            stride: [1, 1],
            padding: [(1, 1); 2],
            dilation: [1, 1],
            groups: 2,
            size_out: [4, 4],
        };
        let [inputs, _, outputs] = shape.lengths();
        let mut x = vec![1.0; inputs];
        // The first corner of the second image's first channel.
        x[2 * 16] = f32::NAN;
        let dw = weight_gradient(&shape, &x, &vec![1.0; outputs]);
        for (tap, value) in dw[..9].iter().enumerate() {
            let reads = tap / 3 < 2 && tap % 3 < 2;
            assert_eq!(value.is_nan(), reads, "tap {tap}: {value}");
        }
        assert_eq!(
            dw[9..],
            [27.0, 36.0, 27.0, 36.0, 48.0, 36.0, 27.0, 36.0, 27.0]
        );
    }
}
