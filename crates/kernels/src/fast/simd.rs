//! Vectors of `f32` for every instruction set the kernels know, and the choice among them at run time.
//!
//! A kernel is written once, generic over `Simd`, and `simd_dispatch!` compiles it per instruction set
//! and calls the best one that the machine has. The portable set needs no particular processor and is
//! what unknown architectures run.

use std::sync::atomic::{AtomicU8, Ordering};

#[cfg(target_arch = "aarch64")]
mod neon;
mod portable;
#[cfg(target_arch = "x86_64")]
mod x86;

#[cfg(target_arch = "aarch64")]
pub(crate) use neon::Neon;
pub(crate) use portable::Portable;
#[cfg(target_arch = "x86_64")]
pub(crate) use x86::{Avx2, Avx512};

/// Most lanes any set has: the size of per-vector scratch arrays.
pub(crate) const MAX_LANES: usize = 16;

/// One instruction set's vector of `f32`.
///
/// # Safety
/// Every method requires that the processor has the instruction set, which [`isa`] has established
/// before `simd_dispatch!` calls into generic code; methods that take pointers require the active lanes
/// to be valid for the access (no alignment needed). Inactive lanes are never touched.
pub(crate) trait Simd: Copy {
    /// The vector.
    type V: Copy;
    /// A choice of lanes.
    type M: Copy;
    /// Lanes of a vector.
    const LANES: usize;

    unsafe fn splat(x: f32) -> Self::V;
    unsafe fn load(p: *const f32) -> Self::V;
    unsafe fn store(p: *mut f32, v: Self::V);
    /// The lanes `lo..hi`, `lo <= hi <= LANES`.
    unsafe fn mask(lo: usize, hi: usize) -> Self::M;
    /// Inactive lanes are zero; the pointer is that of lane 0 even where lane 0 is inactive.
    unsafe fn load_mask(p: *const f32, m: Self::M) -> Self::V;
    unsafe fn store_mask(p: *mut f32, v: Self::V, m: Self::M);
    unsafe fn add(a: Self::V, b: Self::V) -> Self::V;
    unsafe fn sub(a: Self::V, b: Self::V) -> Self::V;
    unsafe fn mul(a: Self::V, b: Self::V) -> Self::V;
    unsafe fn div(a: Self::V, b: Self::V) -> Self::V;
    unsafe fn sqrt(a: Self::V) -> Self::V;
    /// `a * b + c`, rounded once where the set has a fused product.
    unsafe fn fma(a: Self::V, b: Self::V, c: Self::V) -> Self::V;
    /// `a` where positive or NaN, else 0.
    unsafe fn relu(a: Self::V) -> Self::V;
    /// The smaller of both; NaN where `x` is NaN.
    unsafe fn min(a: Self::V, x: Self::V) -> Self::V;
    /// `g` where `y` is positive or NaN, else 0.
    unsafe fn keep_positive(y: Self::V, g: Self::V) -> Self::V;
    /// The sum of all lanes, in a fixed order.
    unsafe fn sum(v: Self::V) -> f32;
    /// The sums of four vectors, each in a fixed order.
    #[inline(always)]
    unsafe fn sum4(v: [Self::V; 4]) -> [f32; 4] {
        // SAFETY: the trait's contract.
        v.map(|v| unsafe { Self::sum(v) })
    }
    /// The elements at even and at odd places of two vectors, one after the other.
    #[inline(always)]
    unsafe fn deinterleave2(v: [Self::V; 2]) -> [Self::V; 2] {
        let mut lanes = [0.0f32; 2 * MAX_LANES];
        let mut parts = [[0.0f32; MAX_LANES]; 2];
        // SAFETY: the trait's contract: the arrays have room for the vectors.
        unsafe {
            Self::store(lanes.as_mut_ptr(), v[0]);
            Self::store(lanes.as_mut_ptr().add(Self::LANES), v[1]);
            for i in 0..Self::LANES {
                parts[0][i] = lanes[2 * i];
                parts[1][i] = lanes[2 * i + 1];
            }
            parts.map(|part| Self::load(part.as_ptr()))
        }
    }
    /// The elements of four vectors, one after the other, by their place modulo four.
    #[inline(always)]
    unsafe fn deinterleave4([a, b, c, d]: [Self::V; 4]) -> [Self::V; 4] {
        // SAFETY: the trait's contract.
        unsafe {
            let [even_low, odd_low] = Self::deinterleave2([a, b]);
            let [even_high, odd_high] = Self::deinterleave2([c, d]);
            let [first, third] = Self::deinterleave2([even_low, even_high]);
            let [second, fourth] = Self::deinterleave2([odd_low, odd_high]);
            [first, second, third, fourth]
        }
    }
    /// Tells the processor that an element will be read soon; any address will do.
    #[inline(always)]
    fn prefetch(p: *const f32) {
        let _ = p;
    }
    /// Writes `a0 b0 a1 b1 ..`, two vectors.
    #[inline(always)]
    unsafe fn interleave2(v: [Self::V; 2], to: *mut f32) {
        let mut lanes = [[0.0f32; MAX_LANES]; 2];
        // SAFETY: the trait's contract: `to` has room for two vectors; the array for one each.
        unsafe {
            for (lanes, v) in lanes.iter_mut().zip(v) {
                Self::store(lanes.as_mut_ptr(), v);
            }
            for i in 0..Self::LANES {
                *to.add(2 * i) = lanes[0][i];
                *to.add(2 * i + 1) = lanes[1][i];
            }
        }
    }
    /// Writes `a0 b0 c0 d0 a1 ..`, four vectors.
    #[inline(always)]
    unsafe fn interleave4(v: [Self::V; 4], to: *mut f32) {
        let mut lanes = [[0.0f32; MAX_LANES]; 4];
        // SAFETY: the trait's contract: `to` has room for four vectors; the array for one each.
        unsafe {
            for (lanes, v) in lanes.iter_mut().zip(v) {
                Self::store(lanes.as_mut_ptr(), v);
            }
            for i in 0..Self::LANES {
                for (j, lanes) in lanes.iter().enumerate() {
                    *to.add(4 * i + j) = lanes[i];
                }
            }
        }
    }
}

// The helpers below are loops and not closures given to `array::map`: a closure is compiled without the
// instruction set of the function it stands in, so that each of its vectors would go through memory.

/// `N` vectors that stand `step` elements apart.
///
/// # Safety
/// The instruction set's, and that all vectors are readable.
#[inline(always)]
pub(crate) unsafe fn load_each<S: Simd, const N: usize>(
    from: *const f32,
    step: usize,
) -> [S::V; N] {
    // SAFETY: this function's contract.
    unsafe {
        let mut vectors = [S::splat(0.0); N];
        for (i, vector) in vectors.iter_mut().enumerate() {
            *vector = S::load(from.add(i * step));
        }
        vectors
    }
}

/// The elements at place `at` of each row.
#[inline(always)]
pub(crate) fn across<V: Copy, const N: usize, const M: usize>(
    rows: &[[V; M]; N],
    at: usize,
) -> [V; N] {
    let mut column = [rows[0][at]; N];
    for (value, row) in column.iter_mut().zip(rows) {
        *value = row[at];
    }
    column
}

/// A vector of each number in all its lanes.
///
/// # Safety
/// The instruction set's.
#[inline(always)]
pub(crate) unsafe fn splat_each<S: Simd, const N: usize>(numbers: [f32; N]) -> [S::V; N] {
    // SAFETY: this function's contract.
    unsafe {
        let mut vectors = [S::splat(0.0); N];
        for (vector, number) in vectors.iter_mut().zip(numbers) {
            *vector = S::splat(number);
        }
        vectors
    }
}

/// The instruction sets.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum Isa {
    /// Plain Rust.
    Portable = 1,
    /// AVX2 and FMA.
    Avx2 = 2,
    /// AVX-512 F.
    Avx512 = 3,
    /// NEON.
    Neon = 4,
}

static ISA: AtomicU8 = AtomicU8::new(0);

/// The instruction set in use: the best the machine has, unless [`force_isa`] said otherwise.
#[inline]
pub fn isa() -> Isa {
    match ISA.load(Ordering::Relaxed) {
        1 => Isa::Portable,
        2 => Isa::Avx2,
        3 => Isa::Avx512,
        4 => Isa::Neon,
        _ => {
            let best = available()[0];
            ISA.store(best as u8, Ordering::Relaxed);
            best
        }
    }
}

/// The sets this machine has, best first; the last is always [`Isa::Portable`].
pub fn available() -> Vec<Isa> {
    let mut sets = Vec::new();
    #[cfg(all(target_arch = "x86_64", not(miri)))]
    {
        let avx2 = is_x86_feature_detected!("avx2") && is_x86_feature_detected!("fma");
        if avx2 && is_x86_feature_detected!("avx512f") {
            sets.push(Isa::Avx512);
        }
        if avx2 {
            sets.push(Isa::Avx2);
        }
    }
    #[cfg(all(target_arch = "aarch64", not(miri)))]
    sets.push(Isa::Neon);
    sets.push(Isa::Portable);
    sets
}

/// Makes the whole process use one set, for tests and comparisons. `false`, and no change, where the
/// machine does not have it.
pub fn force_isa(isa: Isa) -> bool {
    let there = available().contains(&isa);
    if there {
        ISA.store(isa as u8, Ordering::Relaxed);
    }
    there
}

impl Isa {
    /// Lanes of a vector.
    pub(crate) fn lanes(self) -> usize {
        match self {
            #[cfg(target_arch = "x86_64")]
            Isa::Avx512 => Avx512::LANES,
            #[cfg(target_arch = "x86_64")]
            Isa::Avx2 => Avx2::LANES,
            #[cfg(target_arch = "aarch64")]
            Isa::Neon => Neon::LANES,
            _ => Portable::LANES,
        }
    }

    /// Whether the set has 32 vector registers (or 16).
    pub(crate) fn wide_file(self) -> bool {
        matches!(self, Isa::Avx512 | Isa::Neon)
    }
}

/// Defines a function that runs `$generic::<S>` for the instruction set in use.
///
/// The generic function is `unsafe` and `#[inline(always)]`, so that it is compiled with the features of
/// the wrapper it is inlined into. The wrapper is `unsafe` with the generic function's own contract, less
/// the instruction set.
macro_rules! simd_dispatch {
    ($(#[$meta:meta])* $vis:vis fn $name:ident($($arg:ident: $ty:ty),* $(,)?) $(-> $ret:ty)? = $generic:ident) => {
        $(#[$meta])*
        #[allow(clippy::too_many_arguments)]
        $vis unsafe fn $name($($arg: $ty),*) $(-> $ret)? {
            use $crate::fast::simd::{self, Isa};
            #[cfg(target_arch = "x86_64")]
            #[target_feature(enable = "avx512f,avx2,fma")]
            #[allow(clippy::too_many_arguments)]
            unsafe fn avx512($($arg: $ty),*) $(-> $ret)? {
                // SAFETY: the caller's contract, and the features are enabled here.
                unsafe { $generic::<simd::Avx512>($($arg),*) }
            }
            #[cfg(target_arch = "x86_64")]
            #[target_feature(enable = "avx2,fma")]
            #[allow(clippy::too_many_arguments)]
            unsafe fn avx2($($arg: $ty),*) $(-> $ret)? {
                // SAFETY: the caller's contract, and the features are enabled here.
                unsafe { $generic::<simd::Avx2>($($arg),*) }
            }
            match simd::isa() {
                #[cfg(target_arch = "x86_64")]
                // SAFETY: `isa` found the features on this machine; the rest is the caller's contract.
                Isa::Avx512 => unsafe { avx512($($arg),*) },
                #[cfg(target_arch = "x86_64")]
                // SAFETY: as above.
                Isa::Avx2 => unsafe { avx2($($arg),*) },
                #[cfg(target_arch = "aarch64")]
                // SAFETY: NEON is part of every aarch64 target Rust has; the rest is the caller's contract.
                Isa::Neon => unsafe { $generic::<simd::Neon>($($arg),*) },
                // SAFETY: the portable set needs no features; the rest is the caller's contract.
                _ => unsafe { $generic::<simd::Portable>($($arg),*) },
            }
        }
    };
}
pub(crate) use simd_dispatch;
