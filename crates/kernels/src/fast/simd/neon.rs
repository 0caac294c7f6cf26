//! NEON.

use super::Simd;
use std::arch::aarch64::*;

/// Four lanes.
#[derive(Clone, Copy)]
pub(crate) struct Neon;

impl Simd for Neon {
    type V = float32x4_t;
    type M = (u8, u8);
    const LANES: usize = 4;

    #[inline(always)]
    unsafe fn splat(x: f32) -> float32x4_t {
        // SAFETY: the trait's contract.
        unsafe { vdupq_n_f32(x) }
    }
    #[inline(always)]
    unsafe fn load(p: *const f32) -> float32x4_t {
        // SAFETY: the trait's contract.
        unsafe { vld1q_f32(p) }
    }
    #[inline(always)]
    unsafe fn store(p: *mut f32, v: float32x4_t) {
        // SAFETY: the trait's contract.
        unsafe { vst1q_f32(p, v) }
    }
    #[inline(always)]
    unsafe fn mask(lo: usize, hi: usize) -> (u8, u8) {
        (lo as u8, hi as u8)
    }
    #[inline(always)]
    unsafe fn load_mask(p: *const f32, (lo, hi): (u8, u8)) -> float32x4_t {
        // SAFETY: the trait's contract; only active lanes are read from `p`.
        unsafe {
            if (lo, hi) == (0, 4) {
                return vld1q_f32(p);
            }
            let mut lanes = [0.0f32; 4];
            for lane in lo as usize..hi as usize {
                lanes[lane] = *p.wrapping_add(lane);
            }
            vld1q_f32(lanes.as_ptr())
        }
    }
    #[inline(always)]
    unsafe fn store_mask(p: *mut f32, v: float32x4_t, (lo, hi): (u8, u8)) {
        // SAFETY: the trait's contract; only active lanes are written to `p`.
        unsafe {
            if (lo, hi) == (0, 4) {
                return vst1q_f32(p, v);
            }
            let mut lanes = [0.0f32; 4];
            vst1q_f32(lanes.as_mut_ptr(), v);
            for lane in lo as usize..hi as usize {
                *p.wrapping_add(lane) = lanes[lane];
            }
        }
    }
    #[inline(always)]
    unsafe fn add(a: float32x4_t, b: float32x4_t) -> float32x4_t {
        // SAFETY: the trait's contract.
        unsafe { vaddq_f32(a, b) }
    }
    #[inline(always)]
    unsafe fn sub(a: float32x4_t, b: float32x4_t) -> float32x4_t {
        // SAFETY: the trait's contract.
        unsafe { vsubq_f32(a, b) }
    }
    #[inline(always)]
    unsafe fn mul(a: float32x4_t, b: float32x4_t) -> float32x4_t {
        // SAFETY: the trait's contract.
        unsafe { vmulq_f32(a, b) }
    }
    #[inline(always)]
    unsafe fn div(a: float32x4_t, b: float32x4_t) -> float32x4_t {
        // SAFETY: the trait's contract.
        unsafe { vdivq_f32(a, b) }
    }
    #[inline(always)]
    unsafe fn sqrt(a: float32x4_t) -> float32x4_t {
        // SAFETY: the trait's contract.
        unsafe { vsqrtq_f32(a) }
    }
    #[inline(always)]
    unsafe fn fma(a: float32x4_t, b: float32x4_t, c: float32x4_t) -> float32x4_t {
        // SAFETY: the trait's contract.
        unsafe { vfmaq_f32(c, a, b) }
    }
    #[inline(always)]
    unsafe fn relu(a: float32x4_t) -> float32x4_t {
        // SAFETY: the trait's contract. `fmax` propagates NaN.
        unsafe { vmaxq_f32(vdupq_n_f32(0.0), a) }
    }

    #[inline(always)]
    unsafe fn min(a: float32x4_t, x: float32x4_t) -> float32x4_t {
        // SAFETY: the trait's contract. `a` only where it is less, so `x` where either is NaN.
        unsafe { vbslq_f32(vcltq_f32(a, x), a, x) }
    }
    #[inline(always)]
    unsafe fn keep_positive(y: float32x4_t, g: float32x4_t) -> float32x4_t {
        // SAFETY: the trait's contract. "Less or equal" is false for NaN.
        unsafe { vbslq_f32(vcleq_f32(y, vdupq_n_f32(0.0)), vdupq_n_f32(0.0), g) }
    }
    #[inline(always)]
    unsafe fn sum(v: float32x4_t) -> f32 {
        // SAFETY: the trait's contract.
        unsafe { vaddvq_f32(v) }
    }
}
