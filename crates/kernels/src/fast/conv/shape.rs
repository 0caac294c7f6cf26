//! The numbers of a convolution, and the windows and phases that follow from them.

use super::window::Window;

/// The numbers of a convolution.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ConvShape {
    /// Images.
    pub images: usize,
    /// Input channels.
    pub channels_in: usize,
    /// Output channels.
    pub channels_out: usize,
    /// Input rows and columns.
    pub size_in: [usize; 2],
    /// Kernel rows and columns.
    pub kernel: [usize; 2],
    /// Input rows and columns from one output to the next.
    pub stride: [usize; 2],
    /// Zeros before and after, along rows and columns.
    pub padding: [(usize, usize); 2],
    /// Input rows and columns from one tap to the next.
    pub dilation: [usize; 2],
    /// Groups of channels.
    pub groups: usize,
    /// Output rows and columns; for a transposed convolution's counterpart they are its input's.
    pub size_out: [usize; 2],
}

impl ConvShape {
    /// The output's rows and columns that a convolution has, `None` where the kernel is larger than the
    /// padded image.
    pub fn output_size(
        size: [usize; 2],
        kernel: [usize; 2],
        stride: [usize; 2],
        padding: [(usize, usize); 2],
        dilation: [usize; 2],
    ) -> Option<[usize; 2]> {
        let axis = |i: usize| {
            let padded = size[i] + padding[i].0 + padding[i].1;
            let reach = dilation[i] * kernel[i].checked_sub(1)? + 1;
            Some(padded.checked_sub(reach)? / stride[i] + 1)
        };
        Some([axis(0)?, axis(1)?])
    }

    pub(crate) fn taps(&self) -> usize {
        self.kernel[0] * self.kernel[1]
    }

    pub(crate) fn group_in(&self) -> usize {
        self.channels_in / self.groups
    }

    pub(crate) fn group_out(&self) -> usize {
        self.channels_out / self.groups
    }

    /// One input channel per group, of several, and few outputs of each.
    pub(crate) fn is_depthwise(&self) -> bool {
        self.groups > 1 && self.group_in() == 1 && self.group_out() <= 4
    }

    /// 3x3, neither strided nor dilated.
    pub(crate) fn is_plain_3x3(&self) -> bool {
        self.kernel == [3, 3] && self.stride == [1, 1] && self.dilation == [1, 1]
    }

    pub(crate) fn plane_in(&self) -> usize {
        self.size_in[0] * self.size_in[1]
    }

    pub(crate) fn plane_out(&self) -> usize {
        self.size_out[0] * self.size_out[1]
    }

    /// Elements of input, weights and output.
    pub fn lengths(&self) -> [usize; 3] {
        [
            self.images * self.channels_in * self.plane_in(),
            self.channels_out * self.group_in() * self.taps(),
            self.images * self.channels_out * self.plane_out(),
        ]
    }

    /// What the forward pass reads for each output.
    pub(crate) fn window(&self) -> Window {
        let mut taps = Vec::with_capacity(self.taps());
        for ky in 0..self.kernel[0] {
            for kx in 0..self.kernel[1] {
                let place = |k: usize, axis: usize| {
                    (k * self.dilation[axis]) as isize - self.padding[axis].0 as isize
                };
                taps.push([place(ky, 0), place(kx, 1)]);
            }
        }
        Window {
            images: self.images,
            channels: self.group_in(),
            size: self.size_in,
            image_stride: self.channels_in * self.plane_in(),
            out: self.size_out,
            stride: self.stride,
            taps,
            out_image_stride: self.channels_out * self.plane_out(),
            out_row_stride: self.size_out[1],
            out_col_stride: 1,
        }
        .flattened()
    }

    pub(crate) fn check(&self, x: &[f32], w: &[f32], y: usize) {
        assert_eq!([x.len(), w.len(), y], self.lengths(), "{self:?}");
    }
}

/// The places of one axis that share a remainder modulo the stride.
pub(crate) struct Phase {
    pub start: usize,
    pub count: usize,
    /// Kernel index, and the output read relative to the place's number within the phase.
    pub taps: Vec<(usize, isize)>,
}

pub(crate) fn phases(shape: &ConvShape, axis: usize) -> Vec<Phase> {
    let stride = shape.stride[axis];
    (0..stride.min(shape.size_in[axis]))
        .map(|start| Phase {
            start,
            count: (shape.size_in[axis] - start).div_ceil(stride),
            taps: (0..shape.kernel[axis])
                .filter_map(|k| {
                    let distance = (start + shape.padding[axis].0) as isize
                        - (k * shape.dilation[axis]) as isize;
                    let stride = stride as isize;
                    (distance.rem_euclid(stride) == 0).then(|| (k, distance.div_euclid(stride)))
                })
                .collect(),
        })
        .collect()
}
