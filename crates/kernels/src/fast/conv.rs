//! Convolution over `f32` slices: forward, and the gradients of input, weights and bias.
//!
//! Images stay `[N, C, H, W]` throughout. There are several ways, and which one is taken is chosen here alone, by the shape:
//! one channel a group (`depthwise`), kernels of 4x4 and stride 2 (`phased`), 3x3 by Winograd's minimal filtering
//! (`winograd`), and the direct product (`gemm`), of columns packed from the image (`window`) or of padded rows
//! where they stand.

mod depthwise;
mod epilogue;
mod gemm;
mod phased;
mod shape;
mod window;
mod winograd;

use super::buffer::Buffer;
use super::parallel::{Output, Shared, for_each, with_scratch};
use epilogue::Target;
use gemm::flat::{self, Flat};
use gemm::matrix::{WeightLayout, channel_blocks};
use gemm::packed;
use phased::Phased;
use shape::phases;
use window::Window;
use winograd::problem::{Axis, Kernels, Problem};

pub use epilogue::Epilogue;
pub use shape::ConvShape;

/// The convolution of `x` with `weights`, and what follows it.
///
/// # Panics
/// Where a slice's length is not what `shape` says.
pub fn forward(shape: &ConvShape, x: &[f32], weights: &[f32], epilogue: Epilogue) -> Buffer {
    let outputs = shape.lengths()[2];
    shape.check(x, weights, outputs);
    if shape.is_depthwise() {
        return depthwise::forward(shape, x, weights, epilogue);
    }
    let window = shape.window();
    let taps: Vec<usize> = (0..shape.taps()).collect();
    let (group_in, group_out) = (shape.group_in(), shape.group_out());
    let mut output = Output::new(outputs);
    let out = output.shared();
    let problem = Problem::forward(shape);
    for group in 0..shape.groups {
        let channels = group * group_out..(group + 1) * group_out;
        let target = Target {
            out: out.skip(channels.start * shape.plane_out()),
            channel_stride: shape.plane_out(),
            epilogue: epilogue.rows(channels),
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
    let problem = Problem::input_gradient(shape);

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
            epilogue: Epilogue::bias(bias),
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
/// As [`winograd::forward::convolve`].
unsafe fn minimal(
    problem: Option<&Problem>,
    x: &[f32],
    layout: &WeightLayout,
    target: Target,
) -> bool {
    let Some((problem, tile)) = problem.and_then(|p| Some((p, p.tile()?))) else {
        return false;
    };
    let taps: [_; 9] = std::array::from_fn(|tap| (tap, layout.taps[tap]));
    let kernels = Kernels {
        weights: layout.weights,
        rows: Axis::plain(layout.row_stride),
        channels: Axis::plain(layout.channel_stride),
        taps: &taps,
    };
    // SAFETY: this function's contract.
    unsafe { winograd::forward::convolve(problem, tile, x, &kernels, target) }
}

/// Computes all outputs of one group by the direct way: padded rows where they stand, weights where they stand, or both
/// packed.
///
/// # Safety
/// `target.out` has room for every output of the window in each of the weights' rows, and nothing else
/// accesses those while this runs.
unsafe fn product(window: &Window, x: &[f32], weights: &WeightLayout, target: Target) {
    let single = channel_blocks(weights.channels, weights.taps.len()).len() == 1;
    let flat = single.then(|| Flat::of(window, weights.rows)).flatten();
    if flat.is_none()
        && let Some(matrix) = weights.in_place()
    {
        // SAFETY: this function's contract.
        return unsafe { packed::multiply(window, x, &matrix, target) };
    }
    with_scratch(weights.rows * weights.depth(), |scratch| {
        let matrix = weights.pack(scratch);
        // SAFETY: this function's contract.
        unsafe {
            match &flat {
                Some(flat) => flat::product(flat, window, x, &matrix, target),
                None => packed::multiply(window, x, &matrix, target),
            }
        }
    });
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
    let problem = Problem::forward(shape);
    let mut dw = Buffer::zeros(weight_count);
    if Phased::of(shape).is_some_and(|way| way.weight_gradient(x, dy, &mut dw)) {
        return dw;
    }
    for (group, dw) in dw.chunks_exact_mut(group_weights).enumerate() {
        let x = &x[group * shape.group_in() * shape.plane_in()..];
        let dy = &dy[group * shape.group_out() * shape.plane_out()..];
        if let Some(problem) = &problem
            && let Some(tile) = winograd::weight::tile(problem)
            && winograd::weight::weight_gradient(problem, tile, x, dy, dw)
        {
            continue;
        }
        let (rows, row_stride) = (shape.group_out(), shape.plane_out());
        if let Some(flat) = Flat::of(&window, rows)
            && flat::weight_gradient(&flat, &window, x, dy, rows, row_stride, dw)
        {
            continue;
        }
        gemm::weight::weight_gradient(&window, x, dy, rows, row_stride, dw);
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
