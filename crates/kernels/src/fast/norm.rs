//! Batch normalisation over `[N, C, places]`, with the addition of a residual and the activation after
//! it in the same pass.
//!
//! A task takes a channel: its statistics, then its outputs while they are still in the cache. Sums run
//! over each image's plane in vectors, over planes in `f64`, so no bits depend on the threads.

use super::buffer::Buffer;
use super::parallel::{Output, Shared, for_each};
use super::simd::{Simd, simd_dispatch, splat_each};

/// The activations that are fused: all can be undone from their output alone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Clip {
    /// Identity.
    None,
    /// `max(x, 0)`
    Relu,
    /// `min(max(x, 0), 6)`
    Relu6,
}

/// Images, channels and places of a tensor.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Planes {
    pub images: usize,
    pub channels: usize,
    pub places: usize,
}

impl Planes {
    pub(crate) fn len(self) -> usize {
        self.images * self.channels * self.places
    }

    /// Where channel `c` of image `n` begins.
    fn start(self, n: usize, c: usize) -> usize {
        (n * self.channels + c) * self.places
    }
}

/// Normalises with the statistics of the batch: the output, mean and biased variance of each channel.
pub(crate) fn train_forward(
    planes: Planes,
    x: &[f32],
    residual: Option<&[f32]>,
    gamma: &[f32],
    beta: &[f32],
    epsilon: f32,
    clip: Clip,
) -> (Buffer, Buffer, Buffer) {
    check(planes, x, residual, &[gamma, beta]);
    let mut output = Output::new(planes.len());
    let (mut means, mut variances) = (
        Buffer::zeros(planes.channels),
        Buffer::zeros(planes.channels),
    );
    let y = output.shared();
    let (mean_out, variance_out) = (
        Shared::from(&mut means[..]),
        Shared::from(&mut variances[..]),
    );
    for_each(planes.channels, planes.len(), |c| {
        // SAFETY: the slices have been checked to hold all planes; a task writes its channel alone.
        unsafe {
            let (mean, variance) = statistics(planes, c, x);
            *mean_out.at(c) = mean;
            *variance_out.at(c) = variance;
            let scale = gamma[c] / (variance + epsilon).sqrt();
            affine(planes, c, x, residual, [mean, scale, beta[c]], clip, y);
        }
    });
    // SAFETY: every channel of every image was written.
    (unsafe { output.finish() }, means, variances)
}

/// Normalises with given statistics.
#[allow(clippy::too_many_arguments)]
pub(crate) fn forward(
    planes: Planes,
    x: &[f32],
    residual: Option<&[f32]>,
    gamma: &[f32],
    beta: &[f32],
    mean: &[f32],
    variance: &[f32],
    epsilon: f32,
    clip: Clip,
) -> Buffer {
    check(planes, x, residual, &[gamma, beta, mean, variance]);
    let mut output = Output::new(planes.len());
    let y = output.shared();
    for_each(planes.channels, planes.len(), |c| {
        let scale = gamma[c] / (variance[c] + epsilon).sqrt();
        // SAFETY: the slices have been checked to hold all planes; a task writes its channel alone.
        unsafe { affine(planes, c, x, residual, [mean[c], scale, beta[c]], clip, y) };
    });
    // SAFETY: every channel of every image was written.
    unsafe { output.finish() }
}

/// What [`backward`] gives.
pub(crate) struct NormGradients {
    pub x: Buffer,
    pub gamma: Buffer,
    pub beta: Buffer,
    /// Of the residual, where it was asked for.
    pub residual: Option<Buffer>,
}

/// The gradients of [`train_forward`] (`batch_statistics`) or [`forward`]. `y` is the output, read only
/// if it was clipped.
#[allow(clippy::too_many_arguments)]
pub(crate) fn backward(
    planes: Planes,
    x: &[f32],
    y: &[f32],
    dy: &[f32],
    gamma: &[f32],
    mean: &[f32],
    variance: &[f32],
    epsilon: f32,
    clip: Clip,
    batch_statistics: bool,
    with_residual: bool,
) -> NormGradients {
    check(planes, x, Some(dy), &[gamma, mean, variance]);
    assert!(clip == Clip::None || y.len() == x.len());
    let mut dx = Output::new(planes.len());
    let mut residual = with_residual.then(|| Output::new(planes.len()));
    let (mut dgamma, mut dbeta) = (
        Buffer::zeros(planes.channels),
        Buffer::zeros(planes.channels),
    );
    let dx_out = dx.shared();
    let residual_out = residual.as_mut().map(Output::shared);
    let (dgamma_out, dbeta_out) = (Shared::from(&mut dgamma[..]), Shared::from(&mut dbeta[..]));
    for_each(planes.channels, 3 * planes.len(), |c| {
        let deviation = 1.0 / (variance[c] + epsilon).sqrt();
        // SAFETY: the slices have been checked to hold all planes; a task writes its channel alone.
        unsafe {
            let (sum, product) = backward_sums(planes, c, x, y, dy, mean[c], clip, residual_out);
            *dbeta_out.at(c) = sum as f32;
            *dgamma_out.at(c) = (product * deviation as f64) as f32;
            let scale = gamma[c] * deviation;
            let count = (planes.images * planes.places) as f64;
            let (offset, slope) = if batch_statistics {
                let slope = product * (deviation as f64) * (deviation as f64) / count;
                ((sum / count) as f32, slope as f32)
            } else {
                (0.0, 0.0)
            };
            let numbers = [mean[c], scale, offset, slope];
            // The gradient behind the activation was already written where a residual wants it.
            match residual_out {
                Some(residual) => {
                    let dy = std::slice::from_raw_parts(residual.at(0), planes.len());
                    backward_input(planes, c, x, y, dy, numbers, Clip::None, dx_out);
                }
                None => backward_input(planes, c, x, y, dy, numbers, clip, dx_out),
            }
        }
    });
    // SAFETY: every channel of every image was written, in both.
    let (x, residual) = unsafe { (dx.finish(), residual.map(|r| r.finish())) };
    NormGradients {
        x,
        gamma: dgamma,
        beta: dbeta,
        residual,
    }
}

fn check(planes: Planes, x: &[f32], other: Option<&[f32]>, channels: &[&[f32]]) {
    assert_eq!(x.len(), planes.len());
    assert!(other.is_none_or(|other| other.len() == planes.len()));
    assert!(
        channels
            .iter()
            .all(|values| values.len() == planes.channels)
    );
}

/// Runs `$body` with `$load` and `$store` for the whole vectors of `0..$len`, then for the rest.
macro_rules! vectors {
    ($S:ident, $len:expr, |$i:ident, $load:ident, $store:ident| $body:block) => {{
        let len = $len;
        let whole = len / $S::LANES * $S::LANES;
        let mut $i = 0;
        {
            macro_rules! $load {
                ($p:expr) => {
                    $S::load($p.add($i))
                };
            }
            #[allow(unused_macros)]
            macro_rules! $store {
                ($p:expr, $v:expr) => {
                    $S::store($p.wrapping_add($i), $v)
                };
            }
            while $i < whole {
                $body
                $i += $S::LANES;
            }
        }
        if whole < len {
            let mask = $S::mask(0, len - whole);
            macro_rules! $load {
                ($p:expr) => {
                    $S::load_mask($p.add($i), mask)
                };
            }
            #[allow(unused_macros)]
            macro_rules! $store {
                ($p:expr, $v:expr) => {
                    $S::store_mask($p.wrapping_add($i), $v, mask)
                };
            }
            $body
        }
    }};
}
pub(crate) use vectors;

simd_dispatch! {
    /// Mean and biased variance of a channel.
    ///
    /// # Safety
    /// `x` holds all planes.
    fn statistics(planes: Planes, c: usize, x: &[f32]) -> (f32, f32) = statistics_with
}

/// Plane by plane: its mean, the squares about it, and both merged into the channel's (Chan, Golub and
/// LeVeque 1979), so that a large mean costs no digits.
#[inline(always)]
unsafe fn statistics_with<S: Simd>(planes: Planes, c: usize, x: &[f32]) -> (f32, f32) {
    const CHUNK: usize = 4096;
    let (mut count, mut mean, mut squares) = (0.0f64, 0.0f64, 0.0f64);
    for n in 0..planes.images {
        let mut at = 0;
        while at < planes.places {
            let len = CHUNK.min(planes.places - at);
            let p = x[planes.start(n, c) + at..][..len].as_ptr();
            // SAFETY: `p` begins a slice of `len` elements.
            let (sum, chunk_squares, chunk_mean) = unsafe {
                let mut sums = [S::splat(0.0); 4];
                let mut i = 0;
                while i + 4 * S::LANES <= len {
                    for (j, sum) in sums.iter_mut().enumerate() {
                        *sum = S::add(*sum, S::load(p.add(i + j * S::LANES)));
                    }
                    i += 4 * S::LANES;
                }
                while i < len {
                    let mask = S::mask(0, S::LANES.min(len - i));
                    sums[0] = S::add(sums[0], S::load_mask(p.add(i), mask));
                    i += S::LANES;
                }
                let sum = S::sum(S::add(S::add(sums[0], sums[1]), S::add(sums[2], sums[3])));
                let chunk_mean = sum / len as f32;
                let center = S::splat(chunk_mean);
                let mut sums = [S::splat(0.0); 4];
                let mut i = 0;
                while i + 4 * S::LANES <= len {
                    for (j, sum) in sums.iter_mut().enumerate() {
                        let d = S::sub(S::load(p.add(i + j * S::LANES)), center);
                        *sum = S::fma(d, d, *sum);
                    }
                    i += 4 * S::LANES;
                }
                while i < len {
                    // Inactive lanes: zero, not the center's negative.
                    let mask = S::mask(0, S::LANES.min(len - i));
                    let mut centers = [0.0f32; super::simd::MAX_LANES];
                    S::store(centers.as_mut_ptr(), center);
                    let center = S::load_mask(centers.as_ptr(), mask);
                    let d = S::sub(S::load_mask(p.add(i), mask), center);
                    sums[0] = S::fma(d, d, sums[0]);
                    i += S::LANES;
                }
                let squares = S::sum(S::add(S::add(sums[0], sums[1]), S::add(sums[2], sums[3])));
                (sum, squares, chunk_mean)
            };
            let _ = sum;
            let chunk = len as f64;
            let difference = chunk_mean as f64 - mean;
            let total = count + chunk;
            mean += difference * (chunk / total);
            squares += chunk_squares as f64 + difference * difference * (count * chunk / total);
            count = total;
            at += len;
        }
    }
    (mean as f32, (squares / count) as f32)
}

simd_dispatch! {
    /// `y = clip((x - mean) * scale + shift + residual)` for a channel, with `numbers = [mean, scale,
    /// shift]`.
    ///
    /// # Safety
    /// The slices and `y` hold all planes; the channel's part of `y` is this call's.
    fn affine(
        planes: Planes,
        c: usize,
        x: &[f32],
        residual: Option<&[f32]>,
        numbers: [f32; 3],
        clip: Clip,
        y: Shared,
    ) = affine_with
}

#[inline(always)]
unsafe fn affine_with<S: Simd>(
    planes: Planes,
    c: usize,
    x: &[f32],
    residual: Option<&[f32]>,
    numbers: [f32; 3],
    clip: Clip,
    y: Shared,
) {
    // SAFETY: every access stays within the channel's planes.
    unsafe {
        let [mean, scale, shift] = splat_each::<S, _>(numbers);
        let six = S::splat(6.0);
        for n in 0..planes.images {
            let start = planes.start(n, c);
            let (px, py) = (x.as_ptr().add(start), y.at(start));
            let pr = residual.map(|r| r.as_ptr().add(start));
            macro_rules! run {
                ($v:ident => $last:expr) => {
                    match pr {
                        None => vectors!(S, planes.places, |i, load, store| {
                            let $v = S::fma(S::sub(load!(px), mean), scale, shift);
                            store!(py, $last);
                        }),
                        Some(pr) => vectors!(S, planes.places, |i, load, store| {
                            let $v = S::fma(S::sub(load!(px), mean), scale, shift);
                            let $v = S::add($v, load!(pr));
                            store!(py, $last);
                        }),
                    }
                };
            }
            match clip {
                Clip::None => run!(v => v),
                Clip::Relu => run!(v => S::relu(v)),
                Clip::Relu6 => run!(v => S::min(six, S::relu(v))),
            }
        }
    }
}

/// The gradient behind the activation, given the output. At exactly 6 there is none, as at exactly 0.
#[inline(always)]
unsafe fn unclip<S: Simd>(clip: Clip, y: S::V, dy: S::V) -> S::V {
    // SAFETY: arithmetic alone.
    unsafe {
        match clip {
            Clip::None => dy,
            Clip::Relu => S::keep_positive(y, dy),
            Clip::Relu6 => S::keep_positive(S::sub(S::splat(6.0), y), S::keep_positive(y, dy)),
        }
    }
}

simd_dispatch! {
    /// The sums of `g` and of `g * (x - mean)` over a channel, where `g` is the gradient behind the
    /// activation; `g` is also written to `residual`.
    ///
    /// # Safety
    /// The slices and `residual` hold all planes (`y` only if clipped); the channel's part of `residual`
    /// is this call's.
    fn backward_sums(
        planes: Planes,
        c: usize,
        x: &[f32],
        y: &[f32],
        dy: &[f32],
        mean: f32,
        clip: Clip,
        residual: Option<Shared>,
    ) -> (f64, f64) = backward_sums_with
}

#[inline(always)]
#[allow(clippy::too_many_arguments)]
unsafe fn backward_sums_with<S: Simd>(
    planes: Planes,
    c: usize,
    x: &[f32],
    y: &[f32],
    dy: &[f32],
    mean: f32,
    clip: Clip,
    residual: Option<Shared>,
) -> (f64, f64) {
    let (mut sum, mut product) = (0.0f64, 0.0f64);
    // SAFETY: every access stays within the channel's planes.
    unsafe {
        let mean = S::splat(mean);
        for n in 0..planes.images {
            let start = planes.start(n, c);
            let (px, pdy) = (x.as_ptr().add(start), dy.as_ptr().add(start));
            let py = if clip == Clip::None {
                px
            } else {
                y.as_ptr().add(start)
            };
            let (mut sums, mut products) = (S::splat(0.0), S::splat(0.0));
            macro_rules! run {
                ($clip:expr) => {
                    match residual {
                        // Inactive lanes have a gradient of zero.
                        None => vectors!(S, planes.places, |i, load, store| {
                            let g = unclip::<S>($clip, load!(py), load!(pdy));
                            sums = S::add(sums, g);
                            products = S::fma(g, S::sub(load!(px), mean), products);
                        }),
                        Some(residual) => {
                            let pr = residual.at(start);
                            vectors!(S, planes.places, |i, load, store| {
                                let g = unclip::<S>($clip, load!(py), load!(pdy));
                                store!(pr, g);
                                sums = S::add(sums, g);
                                products = S::fma(g, S::sub(load!(px), mean), products);
                            })
                        }
                    }
                };
            }
            match clip {
                Clip::None => run!(Clip::None),
                Clip::Relu => run!(Clip::Relu),
                Clip::Relu6 => run!(Clip::Relu6),
            }
            sum += S::sum(sums) as f64;
            product += S::sum(products) as f64;
        }
    }
    (sum, product)
}

simd_dispatch! {
    /// `dx = scale * (g - offset - (x - mean) * slope)` for a channel, with `numbers = [mean, scale,
    /// offset, slope]`.
    ///
    /// # Safety
    /// As [`backward_sums`], for `dx`.
    fn backward_input(
        planes: Planes,
        c: usize,
        x: &[f32],
        y: &[f32],
        dy: &[f32],
        numbers: [f32; 4],
        clip: Clip,
        dx: Shared,
    ) = backward_input_with
}

#[inline(always)]
#[allow(clippy::too_many_arguments)]
unsafe fn backward_input_with<S: Simd>(
    planes: Planes,
    c: usize,
    x: &[f32],
    y: &[f32],
    dy: &[f32],
    numbers: [f32; 4],
    clip: Clip,
    dx: Shared,
) {
    // SAFETY: every access stays within the channel's planes.
    unsafe {
        let [mean, scale, offset, slope] = splat_each::<S, _>(numbers);
        for n in 0..planes.images {
            let start = planes.start(n, c);
            let (px, pdy, pdx) = (x.as_ptr().add(start), dy.as_ptr().add(start), dx.at(start));
            let py = if clip == Clip::None {
                px
            } else {
                y.as_ptr().add(start)
            };
            macro_rules! run {
                ($clip:expr) => {
                    vectors!(S, planes.places, |i, load, store| {
                        let g = unclip::<S>($clip, load!(py), load!(pdy));
                        let centered = S::mul(S::sub(load!(px), mean), slope);
                        let v = S::mul(scale, S::sub(S::sub(g, offset), centered));
                        store!(pdx, v);
                    })
                };
            }
            match clip {
                Clip::None => run!(Clip::None),
                Clip::Relu => run!(Clip::Relu),
                Clip::Relu6 => run!(Clip::Relu6),
            }
        }
    }
}
