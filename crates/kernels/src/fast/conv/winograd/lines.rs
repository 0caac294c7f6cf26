//! The transforms of one line of a tile: of inputs, and of output gradients.

use crate::fast::simd::{Simd, splat_each};

/// `B^T d` for four inputs.
#[inline(always)]
pub(crate) unsafe fn input_two<S: Simd>([a, b, c, d]: [S::V; 4]) -> [S::V; 4] {
    // SAFETY: arithmetic alone.
    unsafe { [S::sub(a, c), S::add(b, c), S::sub(c, b), S::sub(b, d)] }
}

/// `B^T d` for six inputs, at the points 0, 1, -1, 2, -2 and infinity.
#[inline(always)]
pub(crate) unsafe fn input_four<S: Simd>([d0, d1, d2, d3, d4, d5]: [S::V; 6]) -> [S::V; 6] {
    // SAFETY: arithmetic alone.
    unsafe {
        let [two, four, minus_four, minus_five] = splat_each::<S, 4>([2.0, 4.0, -4.0, -5.0]);
        let even = S::fma(minus_four, d2, d4);
        let odd = S::fma(minus_four, d1, d3);
        let near = S::sub(d4, d2);
        let far = S::mul(two, S::sub(d3, d1));
        [
            S::fma(four, d0, S::fma(minus_five, d2, d4)),
            S::add(even, odd),
            S::sub(even, odd),
            S::add(near, far),
            S::sub(near, far),
            S::fma(four, d1, S::fma(minus_five, d3, d5)),
        ]
    }
}

/// `A y` for two gradients.
#[inline(always)]
pub(crate) unsafe fn gradient_two<S: Simd>([a, b]: [S::V; 2]) -> [S::V; 4] {
    // SAFETY: arithmetic alone.
    unsafe { [a, S::add(a, b), S::sub(a, b), S::sub(S::splat(0.0), b)] }
}

/// `A y` for four gradients, at the points 0, 1, -1, 2, -2 and infinity.
#[inline(always)]
pub(crate) unsafe fn gradient_four<S: Simd>([a, b, c, d]: [S::V; 4]) -> [S::V; 6] {
    // SAFETY: arithmetic alone.
    unsafe {
        let [two, four, eight] = splat_each::<S, 3>([2.0, 4.0, 8.0]);
        let (even, odd) = (S::add(a, c), S::add(b, d));
        let far_even = S::fma(four, c, a);
        let far_odd = S::fma(eight, d, S::mul(two, b));
        [
            a,
            S::add(even, odd),
            S::sub(even, odd),
            S::add(far_even, far_odd),
            S::sub(far_even, far_odd),
            d,
        ]
    }
}
