//! What Burn's padding settings mean in pixels; Burn keeps this computation to itself.

use burn::nn::PaddingConfig2d;

/// Padding as `((top, bottom), (left, right))` in pixels, for an input of `[height, width]`.
pub(crate) fn pairs(
    padding: &PaddingConfig2d,
    size: [usize; 2],
    kernel: [usize; 2],
    stride: [usize; 2],
) -> ((usize, usize), (usize, usize)) {
    match padding {
        PaddingConfig2d::Valid => ((0, 0), (0, 0)),
        PaddingConfig2d::Explicit(top, left, bottom, right) => ((*top, *bottom), (*left, *right)),
        PaddingConfig2d::Same => {
            let same = |axis: usize| {
                // The output has ceil(size / stride) pixels; an odd pixel of padding goes to the end.
                let out = size[axis].div_ceil(stride[axis]);
                let needed = ((out - 1) * stride[axis] + kernel[axis]).saturating_sub(size[axis]);
                (needed / 2, needed - needed / 2)
            };
            (same(0), same(1))
        }
    }
}
