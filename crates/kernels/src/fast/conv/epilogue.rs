//! What is fused behind a product: each channel's factor and bias and a rectifier, on the way to memory.

use std::ops::Range;

use crate::fast::parallel::Shared;
use crate::fast::simd::Simd;

/// What follows a convolution, by output channel.
#[derive(Clone, Copy, Debug, Default)]
pub struct Epilogue<'a> {
    /// Each channel's factor.
    pub scale: Option<&'a [f32]>,
    /// Added to each channel, after the factor.
    pub bias: Option<&'a [f32]>,
    /// Whether negative results become zero.
    pub relu: bool,
}

impl<'a> Epilogue<'a> {
    /// A bias alone.
    pub fn bias(bias: Option<&'a [f32]>) -> Self {
        Epilogue {
            bias,
            ..Self::default()
        }
    }

    /// That of some of the channels.
    pub(crate) fn rows(&self, rows: Range<usize>) -> Self {
        let of = |values: Option<&'a [f32]>| values.map(|values| &values[rows.clone()]);
        Epilogue {
            scale: of(self.scale),
            bias: of(self.bias),
            relu: self.relu,
        }
    }

    /// Factor and summand of a channel.
    pub(crate) fn line(&self, row: usize) -> (f32, f32) {
        let of = |values: Option<&[f32]>, none| values.map_or(none, |values| values[row]);
        (of(self.scale, 1.0), of(self.bias, 0.0))
    }
}

/// Where a product's results go.
#[derive(Clone, Copy)]
pub(crate) struct Target<'a> {
    /// The group's first output.
    pub out: Shared,
    /// Elements between output channels.
    pub channel_stride: usize,
    /// What happens to them first.
    pub epilogue: Epilogue<'a>,
}

/// What follows the sums of a row.
///
/// # Safety
/// The instruction set's.
#[inline(always)]
pub(crate) unsafe fn finish<S: Simd>(mut v: S::V, epilogue: Epilogue, row: usize) -> S::V {
    // SAFETY: this function's contract.
    unsafe {
        if let Some(scale) = epilogue.scale {
            v = S::mul(v, S::splat(scale[row]));
        }
        if let Some(bias) = epilogue.bias {
            v = S::add(v, S::splat(bias[row]));
        }
        if epilogue.relu {
            v = S::relu(v);
        }
        v
    }
}
