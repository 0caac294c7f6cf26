//! The gradient of convolution weights: products of output gradients with packed columns, summed over
//! all places of all images.

use super::dots::{Operands, dots};
use super::groups::{groups, sum_groups};
use crate::fast::conv::window::{Block, Window};
use crate::fast::parallel::{Output, Shared, for_each, with_scratch};
use crate::fast::simd::isa;

/// Columns whose products are summed in registers before they go to memory.
const CHUNK: usize = 512;
/// Rows of columns packed at a time.
const ROWS: usize = 128;

/// `dw[row, c, t] = sum over columns of dy[row, column] * x[c, column + tap t]`, for one group.
///
/// `dy` begins at the group's first channel and has `rows` of `row_stride` elements per image; `dw` is
/// `[rows, channels * taps]`.
pub(crate) fn weight_gradient(
    window: &Window,
    x: &[f32],
    dy: &[f32],
    rows: usize,
    row_stride: usize,
    dw: &mut [f32],
) {
    let depth = window.depth();
    let places = window.places();
    let lanes = isa().lanes();
    let taps = window.taps.len();
    assert_eq!(dw.len(), rows * depth);

    let groups = groups(window, rows);
    let channel_blocks = window.channels.div_ceil((ROWS / taps).max(1));
    let mut partial = (groups > 1).then(|| Output::new(groups * rows * depth));
    let sums = partial
        .as_mut()
        .map_or(Shared::from(&mut *dw), Output::shared);

    for_each(
        groups * channel_blocks,
        rows * depth * window.columns(),
        |task| {
            let (group, part) = (task / channel_blocks, task % channel_blocks);
            let images = group * window.images / groups..(group + 1) * window.images / groups;
            let channels = part * window.channels / channel_blocks
                ..(part + 1) * window.channels / channel_blocks;
            let packed_rows = channels.len() * taps;
            let sums = Shared::at(sums, group * rows * depth + channels.start * taps);

            // Chunks: several whole images, or even parts of one.
            let parts = places.div_ceil(CHUNK);
            let together = (CHUNK / places).max(1);
            let mut first = true;
            let mut image = images.start;
            while image < images.end {
                let until = images.end.min(image + together);
                for part in 0..parts {
                    let cut = |i: usize| (i * places / parts).next_multiple_of(16).min(places);
                    let (from, to) = if parts == 1 {
                        (image * places, until * places)
                    } else {
                        (image * places + cut(part), image * places + cut(part + 1))
                    };
                    if from == to {
                        continue;
                    }
                    let block = Block::new(window, from, to);
                    let pitch = block.vectors() * lanes;
                    // Read where it stands if it is one run of whole vectors.
                    let direct = window.contiguous()
                        && from / places == (to - 1) / places
                        && (to - from) % lanes == 0;
                    let copied = if direct { 0 } else { rows * pitch };
                    with_scratch(packed_rows * pitch + copied, |scratch| {
                        let (columns, copies) = scratch.split_at_mut(packed_rows * pitch);
                        block.pack(window, x, channels.clone(), |v| (v * lanes, pitch), columns);
                        let (dy, dy_pitch) = if direct {
                            (&dy[block.pieces(0)[0].out..], row_stride)
                        } else {
                            block.pack_outputs(dy, row_stride, rows, pitch, copies);
                            (&*copies, pitch)
                        };
                        let places: Vec<_> = (0..packed_rows).map(|row| row * pitch).collect();
                        let operands = Operands {
                            left_pitch: dy_pitch,
                            ..Operands::matrices(dy, columns, &places, pitch)
                        };
                        // SAFETY: the sums of this task's group and channels are written by no other task.
                        unsafe { dots(&operands, rows, sums, depth, first) };
                    });
                    first = false;
                }
                image = until;
            }
        },
    );

    if let Some(partial) = partial {
        // SAFETY: every group has at least one image and every block wrote its channels of all rows.
        let partial = unsafe { partial.finish() };
        sum_groups(&partial, dw);
    }
}
