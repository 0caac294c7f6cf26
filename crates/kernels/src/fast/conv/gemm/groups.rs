//! The groups of images whose sums of a weight gradient are gathered apart.

use crate::fast::conv::window::Window;

/// Elements of partial sums over which images are not split into more groups.
const PARTIAL: usize = 1 << 18;
/// Most groups of images.
const GROUPS: usize = 16;

/// How many groups the images are summed in: the shape's alone to say.
pub(crate) fn groups(window: &Window, rows: usize) -> usize {
    (PARTIAL / (rows * window.depth()).max(1))
        .clamp(1, GROUPS)
        .min(window.images)
}

/// Adds the sums of groups, in their order.
pub(crate) fn sum_groups(partial: &[f32], dw: &mut [f32]) {
    let (first, rest) = partial.split_at(dw.len());
    dw.copy_from_slice(first);
    for group in rest.chunks_exact(dw.len()) {
        for (sum, value) in dw.iter_mut().zip(group) {
            *sum += value;
        }
    }
}
