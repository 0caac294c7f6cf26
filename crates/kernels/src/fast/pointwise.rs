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

/// `x * sigmoid(x)`
pub(crate) fn silu(x: &[f32]) -> Buffer {
    let mut output = Output::new(x.len());
    let y = output.shared();
    // SAFETY: chunks do not overlap and lie within both buffers.
    chunks(x.len(), |from, to| unsafe {
        silu_chunk(&x[from..to], y.skip(from))
    });
    // SAFETY: the chunks cover the buffer.
    unsafe { output.finish() }
}

/// `dy` times the derivative of [`silu`] at `x`.
pub(crate) fn silu_gradient(x: &[f32], dy: &[f32]) -> Buffer {
    assert_eq!(x.len(), dy.len());
    let mut output = Output::new(x.len());
    let dx = output.shared();
    chunks(x.len(), |from, to| {
        // SAFETY: chunks do not overlap and lie within all buffers.
        unsafe { silu_gradient_chunk(&x[from..to], &dy[from..to], dx.skip(from)) }
    });
    // SAFETY: the chunks cover the buffer.
    unsafe { output.finish() }
}

simd_dispatch! {
    /// # Safety
    /// `y` has room for the chunk, which is this call's.
    fn silu_chunk(x: &[f32], y: Shared) = silu_chunk_with
}

/// Scalar code that the compiler makes vectors of, in every set alike; the same bits in each.
#[inline(always)]
unsafe fn silu_chunk_with<S: Simd>(x: &[f32], y: Shared) {
    for (i, x) in x.iter().enumerate() {
        // SAFETY: the chunk has as many places as `x`.
        unsafe { y.at(i).write(x * sigmoid(*x)) };
    }
}

simd_dispatch! {
    /// # Safety
    /// `dx` has room for the chunk, which is this call's; `x` and `dy` are of one length.
    fn silu_gradient_chunk(x: &[f32], dy: &[f32], dx: Shared) = silu_gradient_chunk_with
}

#[inline(always)]
unsafe fn silu_gradient_chunk_with<S: Simd>(x: &[f32], dy: &[f32], dx: Shared) {
    for (i, (x, dy)) in x.iter().zip(dy).enumerate() {
        let s = sigmoid(*x);
        // SAFETY: the chunk has as many places as `x`.
        unsafe { dx.at(i).write(dy * (s * (1.0 + x * (1.0 - s)))) };
    }
}

/// `1 / (1 + exp(-x))`
#[inline(always)]
fn sigmoid(x: f32) -> f32 {
    1.0 / (1.0 + exp(-x))
}

/// The exponential within two units of the last place, without a branch; NaN where `x` is. Beyond 88 either way it stays.
#[inline(always)]
fn exp(x: f32) -> f32 {
    // `x = n ln 2 + r` with a whole `n`, which the addition of 1.5 * 2^23 rounds to, in the lowest bits of the sum.
    const SHIFT: f32 = 12_582_912.0;
    // ln 2 in two parts, the first with so few digits that its product with `n` is exact.
    const LN_2: [f32; 2] = [0.693_359_4, -2.121_944_4e-4];
    let x = x.clamp(-87.0, 88.0);
    let shifted = x * std::f32::consts::LOG2_E + SHIFT;
    let n = shifted - SHIFT;
    let r = x - n * LN_2[0] - n * LN_2[1];
    // Taylor's terms: `r` is at most 0.35, the next would be below 1e-7 of the sum.
    let high = 1.0 / 24.0 + r * (1.0 / 120.0 + r * (1.0 / 720.0 + r * (1.0 / 5040.0)));
    let series = 1.0 + r * (1.0 + r * (0.5 + r * (1.0 / 6.0 + r * high)));
    series * f32::from_bits(shifted.to_bits().wrapping_add(127) << 23)
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_exponential_is_exact_to_its_last_digits() {
        let mut worst = 0.0f64;
        for step in -870_000..=880_000 {
            let x = step as f32 * 1e-4;
            let exact = f64::from(x).exp();
            worst = worst.max((f64::from(exp(x)) - exact).abs() / exact);
        }
        assert!(worst < 2.4e-7, "{worst:e}");
        assert_eq!(exp(0.0), 1.0);
        assert!(exp(f32::NAN).is_nan());
        assert!(exp(f32::INFINITY) > 1e38 && exp(f32::NEG_INFINITY) < 2e-38);
    }
}
