//! Element-wise kernels over whole buffers, on several threads.

use super::buffer::Buffer;
use super::norm::vectors;
use super::parallel::{Output, Shared, for_each};
use super::simd::{Simd, simd_dispatch};

/// Elements a task takes.
const CHUNK: usize = 1 << 14;

/// Runs `task` with the bounds of each chunk of `len`.
fn chunks(len: usize, task: impl Fn(usize, usize) + Sync + Send) {
    for_each(len.div_ceil(CHUNK), len, |i| {
        task(i * CHUNK, len.min((i + 1) * CHUNK))
    });
}

/// `max(x, 0)`, NaN where `x` is.
pub(crate) fn relu(x: &[f32]) -> Buffer {
    let mut output = Output::new(x.len());
    let y = output.shared();
    // SAFETY: chunks do not overlap and lie within both buffers.
    chunks(x.len(), |from, to| unsafe {
        relu_chunk(&x[from..to], y.skip(from))
    });
    // SAFETY: the chunks cover the buffer.
    unsafe { output.finish() }
}

/// `dy` where the output `y` is positive or NaN, else 0.
pub(crate) fn relu_gradient(y: &[f32], dy: &[f32]) -> Buffer {
    assert_eq!(y.len(), dy.len());
    let mut output = Output::new(y.len());
    let dx = output.shared();
    chunks(y.len(), |from, to| {
        // SAFETY: chunks do not overlap and lie within all buffers.
        unsafe { relu_gradient_chunk(&y[from..to], &dy[from..to], dx.skip(from)) }
    });
    // SAFETY: the chunks cover the buffer.
    unsafe { output.finish() }
}

/// `x` where positive, `slope * x` elsewhere, for a slope between 0 and 1.
pub(crate) fn leaky_relu(x: &[f32], slope: f32) -> Buffer {
    let mut output = Output::new(x.len());
    let y = output.shared();
    // SAFETY: chunks do not overlap and lie within both buffers.
    chunks(x.len(), |from, to| unsafe {
        leaky_relu_chunk(&x[from..to], slope, y.skip(from))
    });
    // SAFETY: the chunks cover the buffer.
    unsafe { output.finish() }
}

/// `dy` where the output `y` is positive or NaN, else `slope * dy`.
pub(crate) fn leaky_relu_gradient(y: &[f32], dy: &[f32], slope: f32) -> Buffer {
    assert_eq!(y.len(), dy.len());
    let mut output = Output::new(y.len());
    let dx = output.shared();
    chunks(y.len(), |from, to| {
        // SAFETY: chunks do not overlap and lie within all buffers.
        unsafe { leaky_relu_gradient_chunk(&y[from..to], &dy[from..to], slope, dx.skip(from)) }
    });
    // SAFETY: the chunks cover the buffer.
    unsafe { output.finish() }
}

simd_dispatch! {
    /// # Safety
    /// `y` has room for the chunk, which is this call's.
    fn leaky_relu_chunk(x: &[f32], slope: f32, y: Shared) = leaky_relu_chunk_with
}

/// The larger of `x` and `slope * x`: the negative of the smaller of their negatives.
#[inline(always)]
unsafe fn leaky_relu_chunk_with<S: Simd>(x: &[f32], slope: f32, y: Shared) {
    // SAFETY: accesses stay within the chunk.
    unsafe {
        let (minus, steep) = (S::splat(-1.0), S::splat(-slope));
        let (px, py) = (x.as_ptr(), y.at(0));
        vectors!(S, x.len(), |i, load, store| {
            let x = load!(px);
            let smaller = S::min(S::mul(x, steep), S::mul(x, minus));
            store!(py, S::mul(smaller, minus));
        });
    }
}

simd_dispatch! {
    /// # Safety
    /// `dx` has room for the chunk, which is this call's; `y` and `dy` are of one length.
    fn leaky_relu_gradient_chunk(y: &[f32], dy: &[f32], slope: f32, dx: Shared) =
        leaky_relu_gradient_chunk_with
}

#[inline(always)]
unsafe fn leaky_relu_gradient_chunk_with<S: Simd>(y: &[f32], dy: &[f32], slope: f32, dx: Shared) {
    // SAFETY: accesses stay within the chunk.
    unsafe {
        let slope = S::splat(slope);
        let (py, pdy, pdx) = (y.as_ptr(), dy.as_ptr(), dx.at(0));
        vectors!(S, y.len(), |i, load, store| {
            let (y, dy) = (load!(py), load!(pdy));
            let low = S::mul(dy, slope);
            let negative = S::sub(low, S::keep_positive(y, low));
            store!(pdx, S::add(negative, S::keep_positive(y, dy)));
        });
    }
}

simd_dispatch! {
    /// # Safety
    /// `y` has room for the chunk, which is this call's.
    fn relu_chunk(x: &[f32], y: Shared) = relu_chunk_with
}

#[inline(always)]
unsafe fn relu_chunk_with<S: Simd>(x: &[f32], y: Shared) {
    // SAFETY: accesses stay within the chunk.
    unsafe {
        let (px, py) = (x.as_ptr(), y.at(0));
        vectors!(S, x.len(), |i, load, store| {
            store!(py, S::relu(load!(px)));
        });
    }
}

simd_dispatch! {
    /// # Safety
    /// `dx` has room for the chunk, which is this call's; `y` and `dy` are of one length.
    fn relu_gradient_chunk(y: &[f32], dy: &[f32], dx: Shared) = relu_gradient_chunk_with
}

#[inline(always)]
unsafe fn relu_gradient_chunk_with<S: Simd>(y: &[f32], dy: &[f32], dx: Shared) {
    // SAFETY: accesses stay within the chunk.
    unsafe {
        let (py, pdy, pdx) = (y.as_ptr(), dy.as_ptr(), dx.at(0));
        vectors!(S, y.len(), |i, load, store| {
            store!(pdx, S::keep_positive(load!(py), load!(pdy)));
        });
    }
}
