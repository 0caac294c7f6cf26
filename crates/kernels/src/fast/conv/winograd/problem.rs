//! What Winograd's way is asked: a problem, where its kernels stand, and the tile that is worth it.

use crate::fast::conv::shape::ConvShape;
use crate::fast::conv::window::Window;
use crate::fast::simd::MAX_LANES;

/// The tile of outputs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Tile {
    /// 2x2 outputs from 4x4 inputs.
    Two,
    /// 4x4 outputs from 6x6 inputs.
    Four,
}

impl Tile {
    pub(crate) fn outputs(self) -> usize {
        match self {
            Tile::Two => 2,
            Tile::Four => 4,
        }
    }

    pub(crate) fn frequencies(self) -> usize {
        (self.outputs() + 2).pow(2)
    }

    /// Whether a frequency is not zero for every kernel of `kernel` rows and columns: those at infinity are the last
    /// taps alone.
    pub(crate) fn occurs(self, frequency: usize, kernel: usize) -> bool {
        let side = self.outputs() + 2;
        let used = self.outputs() + kernel - 1;
        frequency / side < used && frequency % side < used
    }
}

/// Where the kernels of a convolution stand.
#[derive(Clone, Copy)]
pub(crate) struct Kernels<'a> {
    pub weights: &'a [f32],
    /// Output channels.
    pub rows: Axis,
    /// Channels summed over.
    pub channels: Axis,
    /// The taps that are there: place in the 3x3 kernel, and in the weights.
    pub taps: &'a [(usize, usize)],
}

/// How channels follow one another.
#[derive(Clone, Copy)]
pub(crate) struct Axis {
    stride: usize,
    /// Channels of a phase.
    phase: usize,
}

impl Axis {
    pub(crate) fn plain(stride: usize) -> Self {
        Axis {
            stride,
            phase: usize::MAX,
        }
    }

    /// Phase after phase of a 4x4 kernel of stride 2, `channels` of each.
    pub(crate) fn phases(stride: usize, channels: usize) -> Self {
        Axis {
            stride,
            phase: channels,
        }
    }

    pub(crate) fn place(self, channel: usize) -> usize {
        const PHASES: [usize; 4] = [0, 1, 4, 5];
        channel % self.phase * self.stride + PHASES[channel / self.phase]
    }
}

/// A 3x3 convolution of stride 1 over one group, or one of 2x2 as one of 3x3.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Problem {
    pub images: usize,
    pub channels: usize,
    /// Rows and columns of the input, and elements from one image to the next.
    pub size: [usize; 2],
    pub image_stride: usize,
    /// Zeros before the input, negative where it is cropped.
    pub padding: [isize; 2],
    /// Rows and columns of the kernel: 3, or 2 where the third of each is zero.
    pub kernel: usize,
    /// Channels, rows and columns of the output, and elements from one image to the next.
    pub rows: usize,
    pub out: [usize; 2],
    pub out_image_stride: usize,
}

impl Problem {
    /// The forward pass of one group, where the shape is one for this way.
    pub(crate) fn forward(shape: &ConvShape) -> Option<Self> {
        shape.is_plain_3x3().then(|| Problem {
            images: shape.images,
            channels: shape.group_in(),
            size: shape.size_in,
            image_stride: shape.channels_in * shape.plane_in(),
            padding: shape.padding.map(|p| p.0 as isize),
            kernel: 3,
            rows: shape.group_out(),
            out: shape.size_out,
            out_image_stride: shape.channels_out * shape.plane_out(),
        })
    }

    /// The gradient of one group's input, likewise.
    pub(crate) fn input_gradient(shape: &ConvShape) -> Option<Self> {
        shape.is_plain_3x3().then(|| Problem {
            images: shape.images,
            channels: shape.group_out(),
            size: shape.size_out,
            image_stride: shape.channels_out * shape.plane_out(),
            padding: shape.padding.map(|p| 2 - p.0 as isize),
            kernel: 3,
            rows: shape.group_in(),
            out: shape.size_in,
            out_image_stride: shape.channels_in * shape.plane_in(),
        })
    }

    /// The tile that is worth it, if one is: a count of vector operations per way, fitted to
    /// measurements (`BENCHMARKS.md`). It depends on the shape alone.
    pub(crate) fn tile(&self) -> Option<Tile> {
        let [images, channels, rows] = [self.images, self.channels, self.rows].map(|n| n as f64);
        let pairs = channels * rows;
        let outputs = images * (self.out[0] * self.out[1]) as f64;
        let taps = (self.kernel * self.kernel) as f64;
        let direct = pairs * outputs * taps / 16.0;
        let cost = |tile: Tile| {
            let m = tile.outputs();
            // Whole vectors of the widest set.
            let tiles = self.images * self.out[0].div_ceil(m) * self.out[1].div_ceil(m);
            let tiles = tiles.next_multiple_of(MAX_LANES) as f64;
            let frequencies = tile.frequencies() as f64;
            let used = (m + self.kernel - 1).pow(2) as f64;
            let products = pairs * tiles * used / 16.0 * 1.1;
            let transforms = (channels + rows) * tiles / 16.0 * frequencies * 9.0;
            // Kernels taken apart into phases are gathered from afar.
            let per_weight = if self.kernel == 3 { 1.5 } else { 4.0 };
            let weights = pairs * frequencies * per_weight;
            products + transforms + weights
        };
        let (two, four) = (cost(Tile::Two), cost(Tile::Four));
        if two.min(four) > 0.85 * direct {
            None
        } else if two < four {
            Some(Tile::Two)
        } else {
            Some(Tile::Four)
        }
    }

    /// One column per tile, one tap per input of the tile.
    pub(crate) fn window(&self, tile: Tile) -> Window {
        let m = tile.outputs();
        let side = (m + 2) as isize;
        let taps = (0..side * side)
            .map(|t| [t / side - self.padding[0], t % side - self.padding[1]])
            .collect();
        Window {
            images: self.images,
            channels: self.channels,
            size: self.size,
            image_stride: self.image_stride,
            out: self.out.map(|n| n.div_ceil(m)),
            stride: [m, m],
            taps,
            out_image_stride: self.out_image_stride,
            out_row_stride: m * self.out[1],
            out_col_stride: m,
        }
    }
}
