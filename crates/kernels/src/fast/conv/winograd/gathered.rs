//! Tiles that were gathered, transformed with one tile per lane.

use super::lines::{gradient_four, gradient_two, input_four, input_two};
use super::problem::Tile;
use crate::fast::simd::{Simd, across, load_each, simd_dispatch};

simd_dispatch! {
    /// Transforms gathered tiles, `[channel][input of the tile][vectors]`; frequency and channel of the result
    /// are `steps` apart.
    ///
    /// # Safety
    /// `gathered` holds `count` channels, and `to` has room for each frequency's vectors of each channel.
    pub(crate) fn transform_input(
        tile: Tile,
        gathered: &[f32],
        count: usize,
        vectors: usize,
        to: *mut f32,
        steps: [usize; 2],
    ) = transform_input_with
}

#[inline(always)]
unsafe fn transform_input_with<S: Simd>(
    tile: Tile,
    gathered: &[f32],
    count: usize,
    vectors: usize,
    to: *mut f32,
    steps: [usize; 2],
) {
    let pitch = vectors * S::LANES;
    let frequencies = tile.frequencies();
    assert!(count * frequencies * pitch <= gathered.len());
    for c in 0..count {
        for v in 0..vectors {
            // SAFETY: the assertion above and this function's contract.
            unsafe {
                let from = gathered
                    .as_ptr()
                    .add(c * frequencies * pitch + v * S::LANES);
                let to = to.add(c * steps[1] + v * S::LANES);
                match tile {
                    Tile::Two => {
                        let mut half = [[S::splat(0.0); 4]; 4];
                        for (x, half) in half.iter_mut().enumerate() {
                            *half =
                                input_two::<S>(load_each::<S, 4>(from.add(x * pitch), 4 * pitch));
                        }
                        for y in 0..4 {
                            let line = input_two::<S>(across(&half, y));
                            for (x, v) in line.into_iter().enumerate() {
                                S::store(to.add((y * 4 + x) * steps[0]), v);
                            }
                        }
                    }
                    Tile::Four => {
                        let mut half = [[S::splat(0.0); 6]; 6];
                        for (x, half) in half.iter_mut().enumerate() {
                            *half =
                                input_four::<S>(load_each::<S, 6>(from.add(x * pitch), 6 * pitch));
                        }
                        for y in 0..6 {
                            let line = input_four::<S>(across(&half, y));
                            for (x, v) in line.into_iter().enumerate() {
                                S::store(to.add((y * 6 + x) * steps[0]), v);
                            }
                        }
                    }
                }
            }
        }
    }
}

simd_dispatch! {
    /// Transforms gathered tiles of gradients, `[channel][output of the tile][vectors]`; frequency and channel
    /// of the result are `steps` apart.
    ///
    /// # Safety
    /// `gathered` holds `count` channels, and `to` has room for each frequency's vectors of each channel.
    pub(crate) fn transform_gradient(
        tile: Tile,
        gathered: &[f32],
        count: usize,
        vectors: usize,
        to: *mut f32,
        steps: [usize; 2],
    ) = transform_gradient_with
}

#[inline(always)]
unsafe fn transform_gradient_with<S: Simd>(
    tile: Tile,
    gathered: &[f32],
    count: usize,
    vectors: usize,
    to: *mut f32,
    steps: [usize; 2],
) {
    let pitch = vectors * S::LANES;
    let m = tile.outputs();
    assert!(count * m * m * pitch <= gathered.len());
    for c in 0..count {
        for v in 0..vectors {
            // SAFETY: the assertion above and this function's contract.
            unsafe {
                let from = gathered.as_ptr().add(c * m * m * pitch + v * S::LANES);
                let to = to.add(c * steps[1] + v * S::LANES);
                match tile {
                    Tile::Two => {
                        let mut half = [[S::splat(0.0); 4]; 2];
                        for (x, half) in half.iter_mut().enumerate() {
                            *half = gradient_two::<S>(load_each::<S, 2>(
                                from.add(x * pitch),
                                2 * pitch,
                            ));
                        }
                        for y in 0..4 {
                            let line = gradient_two::<S>(across(&half, y));
                            for (x, v) in line.into_iter().enumerate() {
                                S::store(to.add((y * 4 + x) * steps[0]), v);
                            }
                        }
                    }
                    Tile::Four => {
                        let mut half = [[S::splat(0.0); 6]; 4];
                        for (x, half) in half.iter_mut().enumerate() {
                            *half = gradient_four::<S>(load_each::<S, 4>(
                                from.add(x * pitch),
                                4 * pitch,
                            ));
                        }
                        for y in 0..6 {
                            let line = gradient_four::<S>(across(&half, y));
                            for (x, v) in line.into_iter().enumerate() {
                                S::store(to.add((y * 6 + x) * steps[0]), v);
                            }
                        }
                    }
                }
            }
        }
    }
}
