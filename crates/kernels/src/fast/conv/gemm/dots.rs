//! Dot products over the places of images, several rows by several at once.

use crate::fast::simd::{Simd, isa, simd_dispatch};

/// What dot products read, in one or more segments (of an image each) that are summed.
pub(crate) struct Operands<'a> {
    /// Rows, of output gradients or of weights.
    pub left: &'a [f32],
    /// Elements between rows.
    pub left_pitch: usize,
    /// Elements between segments.
    pub left_step: usize,
    /// What they are multiplied with.
    pub right: &'a [f32],
    /// Where each row of it begins.
    pub places: &'a [usize],
    /// Elements between segments.
    pub right_step: usize,
    /// How many there are.
    pub segments: usize,
    /// Elements of a row in a segment, a multiple of the lanes.
    pub len: usize,
}

impl<'a> Operands<'a> {
    /// One segment of rows that follow one another.
    pub(crate) fn matrices(
        left: &'a [f32],
        right: &'a [f32],
        places: &'a [usize],
        len: usize,
    ) -> Self {
        Operands {
            left,
            left_pitch: len,
            left_step: 0,
            right,
            places,
            right_step: 0,
            segments: 1,
            len,
        }
    }
}

simd_dispatch! {
    /// `sums[r * sum_pitch + k] (+)= dot(left row r, right row k)`.
    ///
    /// # Safety
    /// `sums` has room for `rows` rows of as many sums as there are places, unshared.
    pub(crate) fn dots(
        operands: &Operands,
        rows: usize,
        sums: *mut f32,
        sum_pitch: usize,
        first: bool,
    ) = dots_with
}

#[inline(always)]
unsafe fn dots_with<S: Simd>(
    operands: &Operands,
    rows: usize,
    sums: *mut f32,
    sum_pitch: usize,
    first: bool,
) {
    let Operands {
        left,
        left_pitch,
        right,
        places,
        len,
        ..
    } = *operands;
    let (depth, last) = (places.len(), operands.segments - 1);
    assert!(last * operands.left_step + (rows - 1) * left_pitch + len <= left.len());
    let furthest = places.iter().max().unwrap_or(&0);
    assert!(last * operands.right_step + furthest + len <= right.len());
    assert!(len.is_multiple_of(S::LANES));
    let wide = isa().wide_file();
    let (height, width) = if wide { (4, 6) } else { (3, 4) };
    let mut r = 0;
    while r < rows {
        let h = height.min(rows - r);
        let a = left.as_ptr().wrapping_add(r * left_pitch);
        let mut k = 0;
        while k < depth {
            let w = width.min(depth - k);
            let c = sums.wrapping_add(r * sum_pitch + k);
            macro_rules! choose {
                ($(($h:literal, $w:literal)),* $(,)?) => {
                    match (h, w) {
                        // SAFETY: rows `r..r + h` and `k..k + w` are there by the assertions and this
                        // function's contract.
                        $(($h, $w) => unsafe {
                            dot_tile::<S, $h, $w>(operands, a, &places[k..k + w], c, sum_pitch, first)
                        },)*
                        _ => unreachable!("tiles are at most 4 by 6"),
                    }
                };
            }
            if S::LANES == 16 || cfg!(target_arch = "aarch64") {
                choose!(
                    (4, 6),
                    (4, 5),
                    (4, 4),
                    (4, 3),
                    (4, 2),
                    (4, 1),
                    (3, 6),
                    (3, 5),
                    (3, 4),
                    (3, 3),
                    (3, 2),
                    (3, 1),
                    (2, 6),
                    (2, 5),
                    (2, 4),
                    (2, 3),
                    (2, 2),
                    (2, 1),
                    (1, 6),
                    (1, 5),
                    (1, 4),
                    (1, 3),
                    (1, 2),
                    (1, 1),
                );
            } else {
                choose!(
                    (3, 4),
                    (3, 3),
                    (3, 2),
                    (3, 1),
                    (2, 4),
                    (2, 3),
                    (2, 2),
                    (2, 1),
                    (1, 4),
                    (1, 3),
                    (1, 2),
                    (1, 1),
                );
            }
            k += w;
        }
        r += h;
    }
}

/// `H` by `W` dot products.
///
/// # Safety
/// The rows are readable for all segments, the sums writable.
#[inline(always)]
unsafe fn dot_tile<S: Simd, const H: usize, const W: usize>(
    operands: &Operands,
    a: *const f32,
    places: &[usize],
    c: *mut f32,
    c_pitch: usize,
    first: bool,
) {
    // SAFETY: this function's contract.
    unsafe {
        let mut sums = [[S::splat(0.0); W]; H];
        let mut b = [operands.right.as_ptr(); W];
        for w in 0..W {
            b[w] = b[w].add(places[w]);
        }
        for segment in 0..operands.segments {
            let a = a.add(segment * operands.left_step);
            let step = segment * operands.right_step;
            let mut at = 0;
            while at < operands.len {
                let mut left = [S::splat(0.0); H];
                for h in 0..H {
                    left[h] = S::load(a.add(h * operands.left_pitch + at));
                }
                for w in 0..W {
                    let right = S::load(b[w].add(step + at));
                    for h in 0..H {
                        sums[h][w] = S::fma(left[h], right, sums[h][w]);
                    }
                }
                at += S::LANES;
            }
        }
        // Four sums at a time.
        let mut flat = [S::splat(0.0); 24];
        for h in 0..H {
            for w in 0..W {
                flat[h * W + w] = sums[h][w];
            }
        }
        for quad in 0..(H * W).div_ceil(4) {
            let at = quad * 4;
            let values = S::sum4([flat[at], flat[at + 1], flat[at + 2], flat[at + 3]]);
            for (i, value) in values.into_iter().enumerate() {
                let index = at + i;
                if index < H * W {
                    let c = c.add(index / W * c_pitch + index % W);
                    *c = if first { value } else { *c + value };
                }
            }
        }
    }
}
