//! The inner product: a tile of rows by vectors of columns, whose sums stay in registers over the whole depth.

use super::matrix::Panel;
use crate::fast::conv::epilogue::{Epilogue, finish};
use crate::fast::simd::Simd;

/// What happens to a tile's sums on their way to memory.
#[derive(Clone, Copy, Default)]
pub(crate) struct End<'a> {
    /// Of the tile's rows.
    pub epilogue: Epilogue<'a>,
    /// Whether they are added to what is there.
    pub add: bool,
}

/// Runs `$run!(height, width)` with the literals of a tile's height and width, at most 8 rows of 3 vectors.
macro_rules! each_tile {
    ($set:ty, $size:expr, $run:ident) => {
        $crate::fast::conv::gemm::tile::each_tile!(
            @ $set, $size, $run,
            [(8, 3) (8, 2) (8, 1) (7, 3) (7, 2) (7, 1) (6, 3) (6, 2) (6, 1) (5, 3) (5, 2) (5, 1)],
            [(4, 3) (4, 2) (4, 1) (3, 3) (3, 2) (3, 1) (2, 3) (2, 2) (2, 1) (1, 3) (1, 2) (1, 1)]
        )
    };
    (@ $set:ty, $size:expr, $run:ident, [$(($h:literal, $w:literal))*], [$(($low:literal, $v:literal))*]) => {
        if <$set>::LANES == 16 || cfg!(target_arch = "aarch64") {
            match $size {
                $(($h, $w) => $run!($h, $w),)*
                $(($low, $v) => $run!($low, $v),)*
                _ => unreachable!("tiles are at most 8 rows of 3 vectors"),
            }
        } else {
            match $size {
                $(($low, $v) => $run!($low, $v),)*
                _ => unreachable!("tiles are at most 4 rows of 3 vectors"),
            }
        }
    };
}

pub(crate) use each_tile;

/// Chooses the tile compiled for this height and width.
///
/// # Safety
/// As [`tile`].
#[inline(always)]
#[allow(clippy::too_many_arguments)]
pub(crate) unsafe fn tile_any<S: Simd>(
    height: usize,
    width: usize,
    depth: usize,
    a: Panel,
    b: &[f32],
    c: *mut f32,
    pitch: usize,
    end: End,
) {
    let from = a.data.as_ptr();
    macro_rules! packed {
        ($h:literal, $w:literal) => {
            // SAFETY: the caller's contract.
            unsafe { tile::<S, $h, $w>(depth, from, (1, $h), b, c, pitch, end) }
        };
    }
    macro_rules! in_place {
        ($h:literal, $w:literal) => {
            // SAFETY: the caller's contract.
            unsafe {
                tile::<S, $h, $w>(depth, from, (a.row_step.unwrap_or(0), 1), b, c, pitch, end)
            }
        };
    }
    match a.row_step {
        None => each_tile!(S, (height, width), packed),
        Some(_) => each_tile!(S, (height, width), in_place),
    }
}

/// `H` rows by `W` vectors of sums, kept in registers over the whole depth.
///
/// # Safety
/// `a` is readable at each row and depth by its `steps`, `b` holds `depth` rows of `W` vectors, and `c` has `H` rows of
/// `W` vectors.
#[inline(always)]
unsafe fn tile<S: Simd, const H: usize, const W: usize>(
    depth: usize,
    mut a: *const f32,
    (row_step, depth_step): (usize, usize),
    b: &[f32],
    c: *mut f32,
    pitch: usize,
    end: End,
) {
    // SAFETY: this function's contract bounds the reads of `a` and `b` and the accesses to `c`.
    unsafe {
        let mut sums = [[S::splat(0.0); W]; H];
        let mut b = b.as_ptr();
        for _ in 0..depth {
            let mut columns = [S::splat(0.0); W];
            for w in 0..W {
                columns[w] = S::load(b.add(w * S::LANES));
            }
            for h in 0..H {
                let weight = S::splat(*a.wrapping_add(h * row_step));
                for w in 0..W {
                    sums[h][w] = S::fma(weight, columns[w], sums[h][w]);
                }
            }
            a = a.wrapping_add(depth_step);
            b = b.add(W * S::LANES);
        }
        for h in 0..H {
            for w in 0..W {
                let c = c.wrapping_add(h * pitch + w * S::LANES);
                let mut v = sums[h][w];
                if end.add {
                    v = S::add(S::load(c), v);
                }
                S::store(c, finish::<S>(v, end.epilogue, h));
            }
        }
    }
}
