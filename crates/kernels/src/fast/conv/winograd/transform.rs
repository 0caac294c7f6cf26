//! All tiles of a window transformed, read from the image where that is possible and gathered elsewhere.

use super::gathered::{transform_gradient, transform_input};
use super::problem::Tile;
use super::tiles::{Side, Tiles};
use crate::fast::conv::window::{Block, Window};
use crate::fast::parallel::{Shared, for_each, with_scratch};
use crate::fast::simd::isa;

/// Vectors and channels that one task transforms at a time.
const WIDTH: usize = 3;
/// See `WIDTH`.
const GATHERED: usize = 8;

/// Transforms the tiles `from..to` of all channels of a window: `[frequency][channel][tiles]`, the tiles filled
/// up to whole vectors with zeros.
pub(crate) fn transform(
    tile: Tile,
    window: &Window,
    x: &[f32],
    from: usize,
    to: usize,
    side: Side,
    out: &mut [f32],
) {
    let lanes = isa().lanes();
    let pitch = (to - from).next_multiple_of(lanes);
    let taps = window.taps.len();
    let channels = window.channels;
    assert!(tile.frequencies() * channels * pitch <= out.len());
    let shared = Shared::from(&mut *out);
    let blocks = (to - from).div_ceil(WIDTH * lanes);
    let parts = channels.div_ceil(GATHERED);
    let readable = Tiles::of(window, tile, side);
    for_each(blocks * parts, channels * pitch * taps * 8, |task| {
        let (index, part) = (task / parts, task % parts);
        let first = from + index * WIDTH * lanes;
        let until = to.min(first + WIDTH * lanes);
        let wanted = part * GATHERED..channels.min((part + 1) * GATHERED);
        let to = shared.at(wanted.start * pitch + index * WIDTH * lanes);
        let steps = [channels * pitch, pitch];
        if let Some(readable) = &readable {
            // SAFETY: the block's vectors of these channels are this task's, in every frequency inside of `out` by the
            // assertion above.
            unsafe { readable.transform(x, wanted, first..until, to, steps) };
            return;
        }
        let block = Block::new(window, first, until);
        let vectors = block.vectors();
        let gathered = vectors * lanes;
        with_scratch(wanted.len() * taps * gathered, |scratch| {
            block.pack(
                window,
                x,
                wanted.clone(),
                |v| (v * lanes, gathered),
                scratch,
            );
            // SAFETY: as above; `scratch` holds the gathered channels.
            unsafe {
                match side {
                    Side::Input => {
                        transform_input(tile, scratch, wanted.len(), vectors, to, steps);
                    }
                    Side::Gradient => {
                        transform_gradient(tile, scratch, wanted.len(), vectors, to, steps);
                    }
                }
            }
        });
    });
}
