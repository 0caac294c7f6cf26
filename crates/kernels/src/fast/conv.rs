//! Convolution over `f32` slices: forward, and the gradients of input, weights and bias.
//!
//! Images stay `[N, C, H, W]` throughout: blocks of columns are packed straight from the image
//! (`window`) and multiplied by kernels that write where the result belongs (`product`, `weight`).

mod depthwise;
mod flat;
mod phased;
mod product;
mod tiles;
mod weight;
mod window;
mod winograd;
mod winograd_weight;

use super::buffer::Buffer;
use super::parallel::{Output, Shared, for_each};
use phased::Phased;
pub use product::After;
use product::{Target, WeightLayout, product};
use window::Window;

/// The numbers of a convolution.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ConvShape {
    /// Images.
    pub images: usize,
    /// Input channels.
    pub channels_in: usize,
    /// Output channels.
    pub channels_out: usize,
    /// Input rows and columns.
    pub size_in: [usize; 2],
    /// Kernel rows and columns.
    pub kernel: [usize; 2],
    /// Input rows and columns from one output to the next.
    pub stride: [usize; 2],
    /// Zeros before and after, along rows and columns.
    pub padding: [(usize, usize); 2],
    /// Input rows and columns from one tap to the next.
    pub dilation: [usize; 2],
    /// Groups of channels.
    pub groups: usize,
    /// Output rows and columns; for a transposed convolution's counterpart they are its input's.
    pub size_out: [usize; 2],
}

impl ConvShape {
    /// The output's rows and columns that a convolution has, `None` where the kernel is larger than the
    /// padded image.
    pub fn output_size(
        size: [usize; 2],
        kernel: [usize; 2],
        stride: [usize; 2],
        padding: [(usize, usize); 2],
        dilation: [usize; 2],
    ) -> Option<[usize; 2]> {
        let axis = |i: usize| {
            let padded = size[i] + padding[i].0 + padding[i].1;
            let reach = dilation[i] * kernel[i].checked_sub(1)? + 1;
            Some(padded.checked_sub(reach)? / stride[i] + 1)
        };
        Some([axis(0)?, axis(1)?])
    }

    fn taps(&self) -> usize {
        self.kernel[0] * self.kernel[1]
    }

    fn group_in(&self) -> usize {
        self.channels_in / self.groups
    }

    fn group_out(&self) -> usize {
        self.channels_out / self.groups
    }

    /// One input channel per group, of several, and few outputs of each.
    fn is_depthwise(&self) -> bool {
        self.groups > 1 && self.group_in() == 1 && self.group_out() <= 4
    }

    /// 3x3, neither strided nor dilated.
    fn is_plain_3x3(&self) -> bool {
        self.kernel == [3, 3] && self.stride == [1, 1] && self.dilation == [1, 1]
    }

    /// The forward pass as Winograd's way sees one group of it, where that way can be taken.
    fn forward_problem(&self) -> Option<winograd::Problem> {
        self.is_plain_3x3().then(|| winograd::Problem {
            images: self.images,
            channels: self.group_in(),
            size: self.size_in,
            image_stride: self.channels_in * self.plane_in(),
            padding: self.padding.map(|p| p.0 as isize),
            kernel: 3,
            rows: self.group_out(),
            out: self.size_out,
            out_image_stride: self.channels_out * self.plane_out(),
        })
    }

    fn plane_in(&self) -> usize {
        self.size_in[0] * self.size_in[1]
    }

    fn plane_out(&self) -> usize {
        self.size_out[0] * self.size_out[1]
    }

    /// Elements of input, weights and output.
    pub fn lengths(&self) -> [usize; 3] {
        [
            self.images * self.channels_in * self.plane_in(),
            self.channels_out * self.group_in() * self.taps(),
            self.images * self.channels_out * self.plane_out(),
        ]
    }

    /// What the forward pass reads for each output.
    fn window(&self) -> Window {
        let mut taps = Vec::with_capacity(self.taps());
        for ky in 0..self.kernel[0] {
            for kx in 0..self.kernel[1] {
                let place = |k: usize, axis: usize| {
                    (k * self.dilation[axis]) as isize - self.padding[axis].0 as isize
                };
                taps.push([place(ky, 0), place(kx, 1)]);
            }
        }
        Window {
            images: self.images,
            channels: self.group_in(),
            size: self.size_in,
            image_stride: self.channels_in * self.plane_in(),
            out: self.size_out,
            stride: self.stride,
            taps,
            out_image_stride: self.channels_out * self.plane_out(),
            out_row_stride: self.size_out[1],
            out_col_stride: 1,
        }
        .flattened()
    }

    fn check(&self, x: &[f32], w: &[f32], y: usize) {
        assert_eq!([x.len(), w.len(), y], self.lengths(), "{self:?}");
    }
}

/// The convolution of `x` with `weights`, and what follows it.
///
/// # Panics
/// Where a slice's length is not what `shape` says.
pub fn forward(shape: &ConvShape, x: &[f32], weights: &[f32], after: After) -> Buffer {
    let outputs = shape.lengths()[2];
    shape.check(x, weights, outputs);
    if shape.is_depthwise() {
        return depthwise::forward(shape, x, weights, after);
    }
    let window = shape.window();
    let taps: Vec<usize> = (0..shape.taps()).collect();
    let (group_in, group_out) = (shape.group_in(), shape.group_out());
    let mut output = Output::new(outputs);
    let out = output.shared();
    let problem = shape.forward_problem();
    for group in 0..shape.groups {
        let channels = group * group_out..(group + 1) * group_out;
        let target = Target {
            out: out.skip(channels.start * shape.plane_out()),
            channel_stride: shape.plane_out(),
            after: after.rows(channels),
        };
        let x = &x[group * group_in * shape.plane_in()..];
        let layout = forward_layout(shape, group, weights, &taps);
        // SAFETY: the output has room for all channels of all images, and only this call writes it.
        unsafe {
            let done = minimal(problem.as_ref(), x, &layout, target)
                || Phased::of(shape).is_some_and(|way| way.forward(x, weights, target));
            if !done {
                product(&window, x, &layout, target);
            }
        }
    }
    // SAFETY: the products of all groups wrote every output channel at every place.
    unsafe { output.finish() }
}

/// Where one group's weights stand for the forward pass.
fn forward_layout<'a>(
    shape: &ConvShape,
    group: usize,
    weights: &'a [f32],
    taps: &'a [usize],
) -> WeightLayout<'a> {
    let length = weights.len() / shape.groups;
    WeightLayout {
        weights: &weights[group * length..(group + 1) * length],
        rows: shape.group_out(),
        row_stride: shape.group_in() * shape.taps(),
        channels: shape.group_in(),
        channel_stride: shape.taps(),
        taps,
    }
}

/// The gradient of the convolution's input, and the forward pass of the transposed convolution (whose
/// input is `dy` and whose `bias` has an entry per channel of the result).
///
/// # Panics
/// Where a slice's length is not what `shape` says.
pub fn input_gradient(
    shape: &ConvShape,
    dy: &[f32],
    weights: &[f32],
    bias: Option<&[f32]>,
) -> Buffer {
    let [inputs, weight_count, outputs] = shape.lengths();
    assert_eq!(
        [weights.len(), dy.len()],
        [weight_count, outputs],
        "{shape:?}"
    );
    if shape.is_depthwise() {
        return depthwise::input_gradient(shape, dy, weights, bias);
    }
    if let Some(dx) = Phased::of(shape).and_then(|way| way.input_gradient(dy, weights, bias)) {
        return dx;
    }
    let (group_in, group_out) = (shape.group_in(), shape.group_out());
    let group_weights = weight_count / shape.groups;
    let mut output = Output::new(inputs);
    let out = output.shared();
    let [phases_y, phases_x] = [0, 1].map(|axis| phases(shape, axis));
    let problem = shape.is_plain_3x3().then(|| winograd::Problem {
        images: shape.images,
        channels: group_out,
        size: shape.size_out,
        image_stride: shape.channels_out * shape.plane_out(),
        padding: shape.padding.map(|p| 2 - p.0 as isize),
        kernel: 3,
        rows: group_in,
        out: shape.size_in,
        out_image_stride: shape.channels_in * shape.plane_in(),
    });

    for group in 0..shape.groups {
        let weights = &weights[group * group_weights..(group + 1) * group_weights];
        let dy = &dy[group * group_out * shape.plane_out()..];
        let bias = bias.map(|bias| &bias[group * group_in..(group + 1) * group_in]);
        let base = out.skip(group * group_in * shape.plane_in());
        let layout = WeightLayout {
            weights,
            rows: group_in,
            row_stride: shape.taps(),
            channels: group_out,
            channel_stride: group_in * shape.taps(),
            taps: &[8, 7, 6, 5, 4, 3, 2, 1, 0],
        };
        let target = Target {
            out: base,
            channel_stride: shape.plane_in(),
            after: After::bias(bias),
        };
        // SAFETY: the output has room for all channels of all images, and only this call writes it.
        if unsafe { minimal(problem.as_ref(), dy, &layout, target) } {
            continue;
        }
        for y in &phases_y {
            for x in &phases_x {
                let mut taps = Vec::new();
                let mut places = Vec::new();
                for &(ky, dy) in &y.taps {
                    for &(kx, dx) in &x.taps {
                        taps.push([dy, dx]);
                        places.push(ky * shape.kernel[1] + kx);
                    }
                }
                let phase_out = base.skip(y.start * shape.size_in[1] + x.start);
                let window = Window {
                    images: shape.images,
                    channels: group_out,
                    size: shape.size_out,
                    image_stride: shape.channels_out * shape.plane_out(),
                    out: [y.count, x.count],
                    stride: [1, 1],
                    taps,
                    out_image_stride: shape.channels_in * shape.plane_in(),
                    out_row_stride: shape.stride[0] * shape.size_in[1],
                    out_col_stride: shape.stride[1],
                }
                .flattened();
                if places.is_empty() {
                    fill_phase(&window, phase_out, group_in, shape.plane_in(), bias);
                    continue;
                }
                let layout = WeightLayout {
                    taps: &places,
                    ..layout
                };
                let target = Target {
                    out: phase_out,
                    ..target
                };
                // SAFETY: the phase's places lie inside of the output, which only this call writes.
                unsafe { product(&window, dy, &layout, target) };
            }
        }
    }
    // SAFETY: every place belongs to exactly one phase, and each phase was written for all channels.
    unsafe { output.finish() }
}

/// Runs Winograd's way where it is worth it. `false` where the direct way is to be taken.
///
/// # Safety
/// As [`winograd::convolve`].
unsafe fn minimal(
    problem: Option<&winograd::Problem>,
    x: &[f32],
    layout: &WeightLayout,
    target: Target,
) -> bool {
    let Some((problem, tile)) = problem.and_then(|p| Some((p, p.tile()?))) else {
        return false;
    };
    let taps: [_; 9] = std::array::from_fn(|tap| (tap, layout.taps[tap]));
    let kernels = winograd::Kernels {
        weights: layout.weights,
        rows: winograd::Axis::plain(layout.row_stride),
        channels: winograd::Axis::plain(layout.channel_stride),
        taps: &taps,
    };
    // SAFETY: this function's contract.
    unsafe { winograd::convolve(problem, tile, x, &kernels, target) }
}

/// The places of one axis that share a remainder modulo the stride.
struct Phase {
    start: usize,
    count: usize,
    /// Kernel index, and the output read relative to the place's number within the phase.
    taps: Vec<(usize, isize)>,
}

fn phases(shape: &ConvShape, axis: usize) -> Vec<Phase> {
    let stride = shape.stride[axis];
    (0..stride.min(shape.size_in[axis]))
        .map(|start| Phase {
            start,
            count: (shape.size_in[axis] - start).div_ceil(stride),
            taps: (0..shape.kernel[axis])
                .filter_map(|k| {
                    let distance = (start + shape.padding[axis].0) as isize
                        - (k * shape.dilation[axis]) as isize;
                    let stride = stride as isize;
                    (distance.rem_euclid(stride) == 0).then(|| (k, distance.div_euclid(stride)))
                })
                .collect(),
        })
        .collect()
}

/// A phase that no tap reaches: zero, or the bias.
fn fill_phase(
    window: &Window,
    out: Shared,
    channels: usize,
    channel_stride: usize,
    bias: Option<&[f32]>,
) {
    for_each(
        window.images * channels,
        window.columns() * channels,
        |task| {
            let (n, c) = (task / channels, task % channels);
            let value = bias.map_or(0.0, |bias| bias[c]);
            for y in 0..window.out[0] {
                for x in 0..window.out[1] {
                    let at = n * window.out_image_stride
                        + c * channel_stride
                        + y * window.out_row_stride
                        + x * window.out_col_stride;
                    // SAFETY: the phase's places lie inside of the output, and those of one channel of
                    // one image are written by this task alone.
                    unsafe { *out.at(at) = value };
                }
            }
        },
    );
}

/// The gradient of the weights.
///
/// # Panics
/// Where a slice's length is not what `shape` says.
pub fn weight_gradient(shape: &ConvShape, x: &[f32], dy: &[f32]) -> Buffer {
    let [inputs, weight_count, outputs] = shape.lengths();
    assert_eq!([x.len(), dy.len()], [inputs, outputs], "{shape:?}");
    if shape.is_depthwise() {
        return depthwise::weight_gradient(shape, x, dy);
    }
    let window = shape.window();
    let group_weights = weight_count / shape.groups;
    let problem = shape.forward_problem();
    let mut dw = Buffer::zeros(weight_count);
    if Phased::of(shape).is_some_and(|way| way.weight_gradient(x, dy, &mut dw)) {
        return dw;
    }
    for (group, dw) in dw.chunks_exact_mut(group_weights).enumerate() {
        let x = &x[group * shape.group_in() * shape.plane_in()..];
        let dy = &dy[group * shape.group_out() * shape.plane_out()..];
        if let Some(problem) = &problem
            && let Some(tile) = winograd_weight::tile(problem)
            && winograd_weight::weight_gradient(problem, tile, x, dy, dw)
        {
            continue;
        }
        weight::weight_gradient(&window, x, dy, shape.group_out(), shape.plane_out(), dw);
    }
    dw
}

/// The gradient of the bias: `dy`, `[images, channels, places]`, summed over images and places.
pub fn bias_gradient(images: usize, channels: usize, dy: &[f32]) -> Buffer {
    let places = dy.len() / (images * channels);
    let mut sums = Buffer::zeros(channels);
    let shared = Shared::from(&mut sums[..]);
    for_each(channels, dy.len(), |c| {
        let total: f64 = (0..images)
            .map(|n| super::reduce::sum(&dy[(n * channels + c) * places..][..places]) as f64)
            .sum();
        // SAFETY: each task writes the sum of its own channel.
        unsafe { *shared.at(c) = total as f32 };
    });
    sums
}
