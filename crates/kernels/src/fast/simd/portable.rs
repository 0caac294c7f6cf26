//! Vectors in plain Rust: the path for any processor, and the one Miri can follow.

use super::Simd;

/// Four lanes, which compilers turn into whatever the target's baseline offers.
#[derive(Clone, Copy)]
pub(crate) struct Portable;

const LANES: usize = 4;
type V = [f32; LANES];

#[inline(always)]
fn zip(a: V, b: V, f: impl Fn(f32, f32) -> f32) -> V {
    [f(a[0], b[0]), f(a[1], b[1]), f(a[2], b[2]), f(a[3], b[3])]
}

impl Simd for Portable {
    type V = V;
    type M = (u8, u8);
    const LANES: usize = LANES;

    #[inline(always)]
    unsafe fn splat(x: f32) -> V {
        [x; LANES]
    }
    #[inline(always)]
    unsafe fn load(p: *const f32) -> V {
        // SAFETY: the caller's contract: four readable floats; the read is unaligned.
        unsafe { p.cast::<V>().read_unaligned() }
    }
    #[inline(always)]
    unsafe fn store(p: *mut f32, v: V) {
        // SAFETY: the caller's contract: four writable floats; the write is unaligned.
        unsafe { p.cast::<V>().write_unaligned(v) }
    }
    #[inline(always)]
    unsafe fn mask(lo: usize, hi: usize) -> (u8, u8) {
        (lo as u8, hi as u8)
    }
    #[inline(always)]
    unsafe fn load_mask(p: *const f32, (lo, hi): (u8, u8)) -> V {
        let mut v = [0.0; LANES];
        for lane in lo as usize..hi as usize {
            // SAFETY: the lane is active, so readable by the caller's contract.
            v[lane] = unsafe { *p.wrapping_add(lane) };
        }
        v
    }
    #[inline(always)]
    unsafe fn store_mask(p: *mut f32, v: V, (lo, hi): (u8, u8)) {
        for lane in lo as usize..hi as usize {
            // SAFETY: the lane is active, so writable by the caller's contract.
            unsafe { *p.wrapping_add(lane) = v[lane] };
        }
    }
    #[inline(always)]
    unsafe fn add(a: V, b: V) -> V {
        zip(a, b, |a, b| a + b)
    }
    #[inline(always)]
    unsafe fn sub(a: V, b: V) -> V {
        zip(a, b, |a, b| a - b)
    }
    #[inline(always)]
    unsafe fn mul(a: V, b: V) -> V {
        zip(a, b, |a, b| a * b)
    }
    #[inline(always)]
    unsafe fn div(a: V, b: V) -> V {
        zip(a, b, |a, b| a / b)
    }
    #[inline(always)]
    unsafe fn sqrt(a: V) -> V {
        a.map(f32::sqrt)
    }
    #[inline(always)]
    unsafe fn fma(a: V, b: V, c: V) -> V {
        let mut r = c;
        for lane in 0..LANES {
            r[lane] += a[lane] * b[lane];
        }
        r
    }
    #[inline(always)]
    unsafe fn relu(a: V) -> V {
        a.map(|a| if a <= 0.0 { 0.0 } else { a })
    }

    #[inline(always)]
    unsafe fn min(a: V, x: V) -> V {
        zip(a, x, |a, x| if a < x { a } else { x })
    }
    #[inline(always)]
    unsafe fn keep_positive(y: V, g: V) -> V {
        zip(y, g, |y, g| if y <= 0.0 { 0.0 } else { g })
    }
    #[inline(always)]
    unsafe fn sum(v: V) -> f32 {
        (v[0] + v[2]) + (v[1] + v[3])
    }
}
