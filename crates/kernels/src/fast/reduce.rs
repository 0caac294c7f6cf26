//! Sums in a fixed order.

use super::simd::{Simd, simd_dispatch};

/// The sum of all elements, in an order that depends on the length alone (and the instruction set).
pub(crate) fn sum(x: &[f32]) -> f32 {
    // SAFETY: the slice is all that is read.
    unsafe { sum_dispatch(x) }
}

simd_dispatch! {
    fn sum_dispatch(x: &[f32]) -> f32 = sum_with
}

#[inline(always)]
unsafe fn sum_with<S: Simd>(x: &[f32]) -> f32 {
    // SAFETY: whole vectors and the masked rest lie inside of the slice.
    unsafe {
        let mut sums = [S::splat(0.0); 4];
        let mut i = 0;
        while i + 4 * S::LANES <= x.len() {
            for (j, sum) in sums.iter_mut().enumerate() {
                *sum = S::add(*sum, S::load(x.as_ptr().add(i + j * S::LANES)));
            }
            i += 4 * S::LANES;
        }
        while i < x.len() {
            let mask = S::mask(0, S::LANES.min(x.len() - i));
            sums[0] = S::add(sums[0], S::load_mask(x.as_ptr().add(i), mask));
            i += S::LANES;
        }
        S::sum(S::add(S::add(sums[0], sums[1]), S::add(sums[2], sums[3])))
    }
}
