//! AVX2 with FMA, and AVX-512.

use super::Simd;
use std::arch::x86_64::*;

/// Eight lanes.
#[derive(Clone, Copy)]
pub(crate) struct Avx2;

/// Sixteen lanes.
#[derive(Clone, Copy)]
pub(crate) struct Avx512;

/// The number of each lane, from which masks are compared.
static LANE_INDEX: [i32; 8] = [0, 1, 2, 3, 4, 5, 6, 7];

// Every body below is one intrinsic or a few; their one common condition is that the processor has the
// instruction set and that pointers hold for the active lanes, which is the trait's contract.
impl Simd for Avx2 {
    type V = __m256;
    type M = __m256i;
    const LANES: usize = 8;

    #[inline(always)]
    unsafe fn splat(x: f32) -> __m256 {
        // SAFETY: the trait's contract.
        unsafe { _mm256_set1_ps(x) }
    }
    #[inline(always)]
    unsafe fn load(p: *const f32) -> __m256 {
        // SAFETY: the trait's contract.
        unsafe { _mm256_loadu_ps(p) }
    }
    #[inline(always)]
    unsafe fn store(p: *mut f32, v: __m256) {
        // SAFETY: the trait's contract.
        unsafe { _mm256_storeu_ps(p, v) }
    }
    #[inline(always)]
    unsafe fn mask(lo: usize, hi: usize) -> __m256i {
        // SAFETY: the trait's contract; the load reads the whole of `LANE_INDEX`.
        unsafe {
            let index = _mm256_loadu_si256(LANE_INDEX.as_ptr().cast());
            let from = _mm256_cmpgt_epi32(index, _mm256_set1_epi32(lo as i32 - 1));
            let to = _mm256_cmpgt_epi32(_mm256_set1_epi32(hi as i32), index);
            _mm256_and_si256(from, to)
        }
    }
    #[inline(always)]
    unsafe fn load_mask(p: *const f32, m: __m256i) -> __m256 {
        // SAFETY: the trait's contract; masked lanes are not accessed.
        unsafe { _mm256_maskload_ps(p, m) }
    }
    #[inline(always)]
    unsafe fn store_mask(p: *mut f32, v: __m256, m: __m256i) {
        // SAFETY: the trait's contract; masked lanes are not accessed.
        unsafe { _mm256_maskstore_ps(p, m, v) }
    }
    #[inline(always)]
    unsafe fn add(a: __m256, b: __m256) -> __m256 {
        // SAFETY: the trait's contract.
        unsafe { _mm256_add_ps(a, b) }
    }
    #[inline(always)]
    unsafe fn sub(a: __m256, b: __m256) -> __m256 {
        // SAFETY: the trait's contract.
        unsafe { _mm256_sub_ps(a, b) }
    }
    #[inline(always)]
    unsafe fn mul(a: __m256, b: __m256) -> __m256 {
        // SAFETY: the trait's contract.
        unsafe { _mm256_mul_ps(a, b) }
    }
    #[inline(always)]
    unsafe fn div(a: __m256, b: __m256) -> __m256 {
        // SAFETY: the trait's contract.
        unsafe { _mm256_div_ps(a, b) }
    }
    #[inline(always)]
    unsafe fn sqrt(a: __m256) -> __m256 {
        // SAFETY: the trait's contract.
        unsafe { _mm256_sqrt_ps(a) }
    }
    #[inline(always)]
    unsafe fn fma(a: __m256, b: __m256, c: __m256) -> __m256 {
        // SAFETY: the trait's contract.
        unsafe { _mm256_fmadd_ps(a, b, c) }
    }
    #[inline(always)]
    unsafe fn relu(a: __m256) -> __m256 {
        // SAFETY: the trait's contract. The instruction returns its second operand where one is NaN.
        unsafe { _mm256_max_ps(_mm256_setzero_ps(), a) }
    }

    #[inline(always)]
    unsafe fn min(a: __m256, x: __m256) -> __m256 {
        // SAFETY: the trait's contract. The instruction returns its second operand where one is NaN.
        unsafe { _mm256_min_ps(a, x) }
    }
    #[inline(always)]
    unsafe fn keep_positive(y: __m256, g: __m256) -> __m256 {
        // SAFETY: the trait's contract. "Not less or equal" holds for NaN.
        unsafe { _mm256_and_ps(_mm256_cmp_ps::<_CMP_NLE_UQ>(y, _mm256_setzero_ps()), g) }
    }
    #[inline(always)]
    unsafe fn sum(v: __m256) -> f32 {
        // SAFETY: the trait's contract.
        unsafe {
            let four = _mm_add_ps(_mm256_castps256_ps128(v), _mm256_extractf128_ps::<1>(v));
            let two = _mm_add_ps(four, _mm_movehl_ps(four, four));
            _mm_cvtss_f32(_mm_add_ss(two, _mm_shuffle_ps::<1>(two, two)))
        }
    }
    #[inline(always)]
    unsafe fn deinterleave2([a, b]: [__m256; 2]) -> [__m256; 2] {
        // SAFETY: the trait's contract.
        unsafe {
            // Within the halves first, then the quarters in order.
            let even = _mm256_castps_pd(_mm256_shuffle_ps::<0b10_00_10_00>(a, b));
            let odd = _mm256_castps_pd(_mm256_shuffle_ps::<0b11_01_11_01>(a, b));
            [
                _mm256_castpd_ps(_mm256_permute4x64_pd::<0b11_01_10_00>(even)),
                _mm256_castpd_ps(_mm256_permute4x64_pd::<0b11_01_10_00>(odd)),
            ]
        }
    }
    #[inline(always)]
    fn prefetch(p: *const f32) {
        // SAFETY: a hint, which never faults; SSE is part of every x86-64.
        unsafe { _mm_prefetch::<_MM_HINT_T0>(p.cast()) }
    }
    #[inline(always)]
    unsafe fn sum4([a, b, c, d]: [__m256; 4]) -> [f32; 4] {
        // SAFETY: the trait's contract; the store fills the array.
        unsafe {
            let v = _mm256_hadd_ps(_mm256_hadd_ps(a, b), _mm256_hadd_ps(c, d));
            let v = _mm_add_ps(_mm256_castps256_ps128(v), _mm256_extractf128_ps::<1>(v));
            let mut sums = [0.0; 4];
            _mm_storeu_ps(sums.as_mut_ptr(), v);
            sums
        }
    }
}

impl Simd for Avx512 {
    type V = __m512;
    type M = __mmask16;
    const LANES: usize = 16;

    #[inline(always)]
    unsafe fn splat(x: f32) -> __m512 {
        // SAFETY: the trait's contract.
        unsafe { _mm512_set1_ps(x) }
    }
    #[inline(always)]
    unsafe fn load(p: *const f32) -> __m512 {
        // SAFETY: the trait's contract.
        unsafe { _mm512_loadu_ps(p) }
    }
    #[inline(always)]
    unsafe fn store(p: *mut f32, v: __m512) {
        // SAFETY: the trait's contract.
        unsafe { _mm512_storeu_ps(p, v) }
    }
    #[inline(always)]
    unsafe fn mask(lo: usize, hi: usize) -> __mmask16 {
        let below = |n: usize| (1u32 << n) - 1;
        (below(hi) & !below(lo)) as u16
    }
    #[inline(always)]
    unsafe fn load_mask(p: *const f32, m: __mmask16) -> __m512 {
        // SAFETY: the trait's contract; masked lanes are not accessed.
        unsafe { _mm512_maskz_loadu_ps(m, p) }
    }
    #[inline(always)]
    unsafe fn store_mask(p: *mut f32, v: __m512, m: __mmask16) {
        // SAFETY: the trait's contract; masked lanes are not accessed.
        unsafe { _mm512_mask_storeu_ps(p, m, v) }
    }
    #[inline(always)]
    unsafe fn add(a: __m512, b: __m512) -> __m512 {
        // SAFETY: the trait's contract.
        unsafe { _mm512_add_ps(a, b) }
    }
    #[inline(always)]
    unsafe fn sub(a: __m512, b: __m512) -> __m512 {
        // SAFETY: the trait's contract.
        unsafe { _mm512_sub_ps(a, b) }
    }
    #[inline(always)]
    unsafe fn mul(a: __m512, b: __m512) -> __m512 {
        // SAFETY: the trait's contract.
        unsafe { _mm512_mul_ps(a, b) }
    }
    #[inline(always)]
    unsafe fn div(a: __m512, b: __m512) -> __m512 {
        // SAFETY: the trait's contract.
        unsafe { _mm512_div_ps(a, b) }
    }
    #[inline(always)]
    unsafe fn sqrt(a: __m512) -> __m512 {
        // SAFETY: the trait's contract.
        unsafe { _mm512_sqrt_ps(a) }
    }
    #[inline(always)]
    unsafe fn fma(a: __m512, b: __m512, c: __m512) -> __m512 {
        // SAFETY: the trait's contract.
        unsafe { _mm512_fmadd_ps(a, b, c) }
    }
    #[inline(always)]
    unsafe fn relu(a: __m512) -> __m512 {
        // SAFETY: the trait's contract. The instruction returns its second operand where one is NaN.
        unsafe { _mm512_max_ps(_mm512_setzero_ps(), a) }
    }

    #[inline(always)]
    unsafe fn min(a: __m512, x: __m512) -> __m512 {
        // SAFETY: the trait's contract. The instruction returns its second operand where one is NaN.
        unsafe { _mm512_min_ps(a, x) }
    }
    #[inline(always)]
    unsafe fn keep_positive(y: __m512, g: __m512) -> __m512 {
        // SAFETY: the trait's contract. "Not less or equal" holds for NaN.
        unsafe {
            let keep = _mm512_cmp_ps_mask::<_CMP_NLE_UQ>(y, _mm512_setzero_ps());
            _mm512_maskz_mov_ps(keep, g)
        }
    }
    #[inline(always)]
    unsafe fn sum(v: __m512) -> f32 {
        // SAFETY: the trait's contract.
        unsafe { _mm512_reduce_add_ps(v) }
    }
    #[inline(always)]
    unsafe fn deinterleave2([a, b]: [__m512; 2]) -> [__m512; 2] {
        // SAFETY: the trait's contract.
        unsafe {
            let even = _mm512_setr_epi32(0, 2, 4, 6, 8, 10, 12, 14, 16, 18, 20, 22, 24, 26, 28, 30);
            let odd = _mm512_setr_epi32(1, 3, 5, 7, 9, 11, 13, 15, 17, 19, 21, 23, 25, 27, 29, 31);
            [
                _mm512_permutex2var_ps(a, even, b),
                _mm512_permutex2var_ps(a, odd, b),
            ]
        }
    }
    #[inline(always)]
    fn prefetch(p: *const f32) {
        // SAFETY: a hint, which never faults; SSE is part of every x86-64.
        unsafe { _mm_prefetch::<_MM_HINT_T0>(p.cast()) }
    }
    #[inline(always)]
    unsafe fn interleave2([a, b]: [__m512; 2], to: *mut f32) {
        // SAFETY: the trait's contract.
        unsafe {
            let low = _mm512_unpacklo_ps(a, b);
            let high = _mm512_unpackhi_ps(a, b);
            let first = _mm512_setr_epi32(0, 1, 2, 3, 16, 17, 18, 19, 4, 5, 6, 7, 20, 21, 22, 23);
            let second =
                _mm512_setr_epi32(8, 9, 10, 11, 24, 25, 26, 27, 12, 13, 14, 15, 28, 29, 30, 31);
            _mm512_storeu_ps(to, _mm512_permutex2var_ps(low, first, high));
            _mm512_storeu_ps(to.add(16), _mm512_permutex2var_ps(low, second, high));
        }
    }
    #[inline(always)]
    unsafe fn interleave4([a, b, c, d]: [__m512; 4], to: *mut f32) {
        // SAFETY: the trait's contract.
        unsafe {
            let ab_low = _mm512_castps_pd(_mm512_unpacklo_ps(a, b));
            let ab_high = _mm512_castps_pd(_mm512_unpackhi_ps(a, b));
            let cd_low = _mm512_castps_pd(_mm512_unpacklo_ps(c, d));
            let cd_high = _mm512_castps_pd(_mm512_unpackhi_ps(c, d));
            // Quarter q of `r[k]` is a, b, c and d of lane 4 q + k.
            let r = [
                _mm512_castpd_ps(_mm512_unpacklo_pd(ab_low, cd_low)),
                _mm512_castpd_ps(_mm512_unpackhi_pd(ab_low, cd_low)),
                _mm512_castpd_ps(_mm512_unpacklo_pd(ab_high, cd_high)),
                _mm512_castpd_ps(_mm512_unpackhi_pd(ab_high, cd_high)),
            ];
            // Quarters transposed: output m holds quarter m of each.
            let low_01 = _mm512_shuffle_f32x4::<0b01_00_01_00>(r[0], r[1]);
            let high_01 = _mm512_shuffle_f32x4::<0b11_10_11_10>(r[0], r[1]);
            let low_23 = _mm512_shuffle_f32x4::<0b01_00_01_00>(r[2], r[3]);
            let high_23 = _mm512_shuffle_f32x4::<0b11_10_11_10>(r[2], r[3]);
            _mm512_storeu_ps(to, _mm512_shuffle_f32x4::<0b10_00_10_00>(low_01, low_23));
            _mm512_storeu_ps(
                to.add(16),
                _mm512_shuffle_f32x4::<0b11_01_11_01>(low_01, low_23),
            );
            _mm512_storeu_ps(
                to.add(32),
                _mm512_shuffle_f32x4::<0b10_00_10_00>(high_01, high_23),
            );
            _mm512_storeu_ps(
                to.add(48),
                _mm512_shuffle_f32x4::<0b11_01_11_01>(high_01, high_23),
            );
        }
    }
    #[inline(always)]
    unsafe fn sum4([a, b, c, d]: [__m512; 4]) -> [f32; 4] {
        // SAFETY: the trait's contract; the store fills the array.
        unsafe {
            // Within each quarter: sums of pairs of a and b, of c and d, then of all four.
            let ab = _mm512_add_ps(_mm512_unpacklo_ps(a, b), _mm512_unpackhi_ps(a, b));
            let cd = _mm512_add_ps(_mm512_unpacklo_ps(c, d), _mm512_unpackhi_ps(c, d));
            let low = _mm512_shuffle_ps::<0b01_00_01_00>(ab, cd);
            let high = _mm512_shuffle_ps::<0b11_10_11_10>(ab, cd);
            let v = _mm512_add_ps(low, high);
            // Then the four quarters.
            let v = _mm512_add_ps(v, _mm512_shuffle_f32x4::<0b01_00_11_10>(v, v));
            let v = _mm512_add_ps(v, _mm512_shuffle_f32x4::<0b10_11_00_01>(v, v));
            let mut sums = [0.0; 4];
            _mm_storeu_ps(sums.as_mut_ptr(), _mm512_castps512_ps128(v));
            sums
        }
    }
}
