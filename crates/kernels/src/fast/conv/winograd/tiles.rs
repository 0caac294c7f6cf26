//! Winograd's tiles read straight from the image and transformed, where a vector of tiles is a few stretches of rows.
//!
//! Neighbouring tiles are `m` columns apart: `m` vectors of neighbouring columns, taken apart by their place modulo `m`,
//! are one column of each of the vector's tiles. So a row of tiles needs no copy of the padded image and no gathering.

use std::ops::Range;

use super::lines::{gradient_four, gradient_two, input_four, input_two};
use super::problem::Tile;
use crate::fast::conv::window::Window;
use crate::fast::simd::{Simd, across, isa, simd_dispatch};

/// What of a tile is transformed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Side {
    /// Its inputs, `B^T d B`.
    Input,
    /// The gradients of its outputs, `A dy A^T`.
    Gradient,
}

/// Tiles as a window sees them: one column for each, one tap for each element.
#[derive(Clone, Copy)]
pub(crate) struct Tiles<'a> {
    window: &'a Window,
    tile: Tile,
    side: Side,
    /// Rows of tiles that one vector of elements touches at most.
    segments: usize,
}

impl<'a> Tiles<'a> {
    /// `None` where a vector of elements would touch more than two rows of tiles.
    pub(crate) fn of(window: &'a Window, tile: Tile, side: Side) -> Option<Self> {
        let group = isa().lanes() / tile.outputs();
        let across = window.out[1];
        let segments = if group == 0 {
            return None;
        } else if across.is_multiple_of(group) {
            1
        } else if group <= across + 1 || 2 * across == group {
            2
        } else {
            return None;
        };
        Some(Tiles {
            window,
            tile,
            side,
            segments,
        })
    }

    /// Transforms the tiles `tiles` of some channels: vector `v` of frequency `f` of channel `channels.start + c` goes to
    /// `to + f * steps[0] + c * steps[1] + v * lanes`. Lanes beyond the last tile are zero.
    ///
    /// # Safety
    /// There is room for them.
    pub(crate) unsafe fn transform(
        &self,
        x: &[f32],
        channels: Range<usize>,
        tiles: Range<usize>,
        to: *mut f32,
        steps: [usize; 2],
    ) {
        let window = self.window;
        let planes = window.channels * window.size[0] * window.size[1];
        assert!((window.images - 1) * window.image_stride + planes <= x.len());
        assert!(channels.end <= window.channels && tiles.end <= window.columns());
        // SAFETY: the assertions, and this function's contract.
        unsafe { transform(self, x, channels, tiles, to, steps) };
    }
}

simd_dispatch! {
    /// # Safety
    /// The image holds all channels of the window, and `to` has room for the result.
    fn transform(
        tiles: &Tiles,
        x: &[f32],
        channels: Range<usize>,
        range: Range<usize>,
        to: *mut f32,
        steps: [usize; 2],
    ) = transform_with
}

#[inline(always)]
unsafe fn transform_with<S: Simd>(
    tiles: &Tiles,
    x: &[f32],
    channels: Range<usize>,
    range: Range<usize>,
    to: *mut f32,
    steps: [usize; 2],
) {
    macro_rules! run {
        ($m:literal, $k:literal, $n:literal) => {
            // SAFETY: this function's contract.
            unsafe {
                match tiles.segments {
                    1 => transform_by::<S, $m, $k, $n, 1>(tiles, x, channels, range, to, steps),
                    _ => transform_by::<S, $m, $k, $n, 2>(tiles, x, channels, range, to, steps),
                }
            }
        };
    }
    match (tiles.tile, tiles.side) {
        (Tile::Two, Side::Input) => run!(2, 4, 4),
        (Tile::Four, Side::Input) => run!(4, 6, 6),
        (Tile::Two, Side::Gradient) => run!(2, 2, 4),
        (Tile::Four, Side::Gradient) => run!(4, 4, 6),
    }
}

/// Consecutive elements of a row that are lanes of one vector, for each row of a tile.
#[derive(Clone, Copy)]
struct Segment<S: Simd> {
    /// Lane 0 in the tile's first row, in the first channel.
    at: isize,
    /// The tile's first row in the image.
    row: isize,
    /// The lanes inside of the image, at their place and a tile further.
    masks: [S::M; 2],
}

/// `M` outputs along a side of a tile, `K` elements that are read, `N` frequencies; vectors of `SEG` segments.
#[inline(always)]
unsafe fn transform_by<
    S: Simd,
    const M: usize,
    const K: usize,
    const N: usize,
    const SEG: usize,
>(
    tiles: &Tiles,
    x: &[f32],
    channels: Range<usize>,
    range: Range<usize>,
    to: *mut f32,
    steps: [usize; 2],
) {
    let plane = tiles.window.size[0] * tiles.window.size[1];
    let vectors = range.len().div_ceil(S::LANES);
    // SAFETY: segments keep reads inside of the image, and the writes are this function's contract.
    unsafe {
        let segments: Vec<[[Segment<S>; SEG]; M]> = (0..vectors)
            .map(|v| {
                let first = range.start + v * S::LANES;
                segments_of::<S, M, SEG>(tiles.window, first..range.end.min(first + S::LANES))
            })
            .collect();
        for (i, c) in channels.enumerate() {
            let x = x.as_ptr().wrapping_add(c * plane);
            for (v, segments) in segments.iter().enumerate() {
                let to = to.add(i * steps[1] + v * S::LANES);
                let mut half = [[S::splat(0.0); N]; K];
                for y in 0..K {
                    half[y] = line::<S, K, N>(row::<S, M, K, SEG>(tiles.window, x, segments, y));
                }
                for fx in 0..N {
                    let column = line::<S, K, N>(across(&half, fx));
                    for fy in 0..N {
                        S::store(to.add((fy * N + fx) * steps[0]), column[fy]);
                    }
                }
            }
        }
    }
}

/// The segments of a vector of tiles.
///
/// # Safety
/// The instruction set's.
#[inline(always)]
unsafe fn segments_of<S: Simd, const M: usize, const SEG: usize>(
    window: &Window,
    tiles: Range<usize>,
) -> [[Segment<S>; SEG]; M] {
    let [first_row, first_column] = window.taps[0];
    let (places, across) = (window.places(), window.out[1]);
    let width = window.size[1] as isize;
    // SAFETY: this function's contract.
    unsafe {
        let none = S::mask(0, 0);
        let nothing = Segment {
            at: 0,
            row: -(M as isize) - 8,
            masks: [none; 2],
        };
        let mut vectors = [[nothing; SEG]; M];
        for (j, segments) in vectors.iter_mut().enumerate() {
            let group = S::LANES / M;
            let mut tile = tiles.start + j * group;
            let end = tiles.end.min(tile + group);
            let mut lane = 0;
            for segment in segments {
                if tile >= end {
                    break;
                }
                let (n, place) = (tile / places, tile % places);
                let (ty, tx) = (place / across, place % across);
                let count = (end - tile).min(across - tx);
                let row = (ty * M) as isize + first_row;
                let column = (tx * M) as isize + first_column;
                let mut masks = [none; 2];
                for (shift, mask) in masks.iter_mut().enumerate() {
                    let column = column + (shift * M) as isize;
                    let low = (-column).clamp(0, (count * M) as isize);
                    let high = (width - column).clamp(low, (count * M) as isize);
                    *mask = S::mask(lane + low as usize, lane + high as usize);
                }
                let start = (n * window.image_stride) as isize;
                *segment = Segment {
                    at: start + row * width + column - lane as isize,
                    row,
                    masks,
                };
                tile += count;
                lane += count * M;
            }
        }
        vectors
    }
}

/// Row `y` of a vector of tiles: each of its `K` elements.
///
/// # Safety
/// The segments are those of the window; `x` is the first image's channel.
#[inline(always)]
unsafe fn row<S: Simd, const M: usize, const K: usize, const SEG: usize>(
    window: &Window,
    x: *const f32,
    segments: &[[Segment<S>; SEG]; M],
    y: usize,
) -> [S::V; K] {
    let [height, width] = window.size;
    let plane = height * width;
    // SAFETY: masks keep reads inside of rows, and only rows of the image are read.
    unsafe {
        let mut values = [S::splat(0.0); K];
        let mut near = [S::splat(0.0); M];
        let mut far = [S::splat(0.0); M];
        for j in 0..M {
            for segment in &segments[j] {
                let inside = ((segment.row + y as isize) as usize) < height;
                let from = x.wrapping_offset(segment.at + (y * width) as isize);
                if inside {
                    S::prefetch(from.wrapping_add(plane));
                    near[j] = S::add(near[j], S::load_mask(from, segment.masks[0]));
                    if K > M {
                        let from = from.wrapping_add(M);
                        far[j] = S::add(far[j], S::load_mask(from, segment.masks[1]));
                    }
                }
            }
        }
        let near = apart::<S, M>(near);
        values[..M].copy_from_slice(&near);
        if K > M {
            let far = apart::<S, M>(far);
            values[M..].copy_from_slice(&far[..K - M]);
        }
        values
    }
}

/// The elements of `M` vectors by their place modulo `M`.
///
/// # Safety
/// The instruction set's.
#[inline(always)]
unsafe fn apart<S: Simd, const M: usize>(v: [S::V; M]) -> [S::V; M] {
    let mut parts = v;
    // SAFETY: this function's contract.
    unsafe {
        if M == 2 {
            parts.copy_from_slice(&S::deinterleave2([v[0], v[1]]));
        } else {
            parts.copy_from_slice(&S::deinterleave4([v[0], v[1], v[2], v[3]]));
        }
    }
    parts
}

/// `K` elements transformed to `N` frequencies.
///
/// # Safety
/// The instruction set's.
#[inline(always)]
unsafe fn line<S: Simd, const K: usize, const N: usize>(v: [S::V; K]) -> [S::V; N] {
    // SAFETY: this function's contract.
    unsafe {
        let mut line = [S::splat(0.0); N];
        match (K, N) {
            (2, 4) => line.copy_from_slice(&gradient_two::<S>([v[0], v[1]])),
            (4, 4) => line.copy_from_slice(&input_two::<S>([v[0], v[1], v[2], v[3]])),
            (4, 6) => line.copy_from_slice(&gradient_four::<S>([v[0], v[1], v[2], v[3]])),
            _ => line.copy_from_slice(&input_four::<S>([v[0], v[1], v[2], v[3], v[4], v[5]])),
        }
        line
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fast::conv::window::Block;
    use crate::fast::conv::winograd::gathered::{transform_gradient, transform_input};

    /// Reading straight from the image is what copying, gathering and transforming gives.
    #[test]
    fn tiles_are_those_gathered() {
        let mut read = 0;
        for (case, size) in [1, 2, 4, 6, 7, 8, 12, 13, 16, 24, 30, 32, 48, 65]
            .into_iter()
            .enumerate()
        {
            for (tile, side) in [
                (Tile::Two, Side::Input),
                (Tile::Four, Side::Input),
                (Tile::Two, Side::Gradient),
                (Tile::Four, Side::Gradient),
            ] {
                let m = tile.outputs();
                let padding = if side == Side::Input {
                    case as isize % 4 - 1
                } else {
                    0
                };
                let length = if side == Side::Input { m + 2 } else { m };
                let out = (size as isize + 2 * padding - if side == Side::Input { 2 } else { 0 })
                    as usize;
                if out == 0 || out > 1000 {
                    continue;
                }
                let taps = (0..length * length)
                    .map(|t| [t / length, t % length].map(|place| place as isize - padding));
                let window = Window {
                    images: 3,
                    channels: 2,
                    size: [size, size],
                    image_stride: 3 * size * size,
                    out: [out.div_ceil(m), out.div_ceil(m)],
                    stride: [m, m],
                    taps: taps.collect(),
                    out_image_stride: 0,
                    out_row_stride: 0,
                    out_col_stride: 0,
                };
                let Some(tiles) = Tiles::of(&window, tile, side) else {
                    continue;
                };
                read += 1;
                let x: Vec<f32> = (0..3 * window.image_stride)
                    .map(|i| (i * 2_654_435_761 % 1_000_003) as f32 / 500_001.5 - 1.0)
                    .collect();
                let lanes = isa().lanes();
                let first = lanes.min(window.columns() / lanes * lanes);
                let range = first.min(window.columns() - 1) / lanes * lanes..window.columns();
                let block = Block::new(&window, range.start, range.end);
                let pitch = block.vectors() * lanes;
                let mut gathered = vec![0.0; 2 * length * length * pitch];
                block.pack(&window, &x, 0..2, |v| (v * lanes, pitch), &mut gathered);
                let frequencies = tile.frequencies();
                let steps = [2 * pitch, pitch];
                let mut expected = vec![0.0; frequencies * 2 * pitch];
                let mut found = vec![f32::NAN; frequencies * 2 * pitch];
                // SAFETY: both have room for all frequencies of two channels.
                unsafe {
                    let to = expected.as_mut_ptr();
                    match side {
                        Side::Input => {
                            transform_input(tile, &gathered, 2, block.vectors(), to, steps)
                        }
                        Side::Gradient => {
                            transform_gradient(tile, &gathered, 2, block.vectors(), to, steps)
                        }
                    }
                    tiles.transform(&x, 0..2, range, found.as_mut_ptr(), steps);
                }
                for (i, (a, b)) in found.iter().zip(&expected).enumerate() {
                    assert!(
                        (a - b).abs() < 1e-4,
                        "{size} {tile:?} {side:?} at {i}: {a}, gathered {b}"
                    );
                }
            }
        }
        assert!(read > 20, "{read} of the cases can be read so");
    }
}
