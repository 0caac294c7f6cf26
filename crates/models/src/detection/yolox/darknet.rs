//! The layers of a YOLOX below its head: the CSP Darknet (Wang et al. 2019, arXiv:1911.11929; Bochkovskiy et al. 2020,
//! arXiv:2004.10934) and the path aggregation pyramid on its last three stages (Liu et al. 2018, arXiv:1803.01534).

use burn::module::Module;
use burn::nn::pool::MaxPool2d;
use burn::tensor::{Device, Tensor};
use firesight_kernels::{Activation, max_pool2d};
use firesight_ops::{Interpolation, resize};

use crate::blocks::max_pool;
use crate::layers::{ConvSpec, batch_norm_with, conv};
use crate::sequential::{Act, Layer, Sequential};

/// How deep and wide a network is, in what its layers are made of.
#[derive(Clone, Copy, Debug)]
pub(super) struct Scale {
    /// Channels of the stem, 64 in the large network; those of every other layer are multiples.
    pub base: usize,
    /// Bottlenecks of a CSP layer of the pyramid.
    pub depth: usize,
    /// Whether convolutions of 3x3 are depthwise, followed by one of 1x1; not the stem's.
    pub depthwise: bool,
}

impl Scale {
    /// A convolution of 3x3 that keeps height and width, or halves them, as the scale has it.
    pub fn conv3(&self, input: usize, output: usize, stride: usize, device: &Device) -> Sequential {
        let spatial = |output, groups| {
            let spec = conv(input, output, 3).stride(stride).padding(1);
            unit(spec.groups(groups), device)
        };
        match self.depthwise {
            false => spatial(output, 1),
            true => Sequential::new(vec![
                ("dconv", Layer::Sequential(spatial(input, input))),
                ("pconv", Layer::Sequential(conv1(input, output, device))),
            ]),
        }
    }
}

/// Convolution without bias, normalisation, SiLU.
pub(super) fn unit(spec: ConvSpec, device: &Device) -> Sequential {
    let conv = spec.no_bias().init(device);
    let norm = batch_norm_with(conv.weight.lazy_shape()[0], 1e-3, 0.03, device);
    Sequential::new(vec![
        ("conv", Layer::Conv(conv)),
        ("bn", Layer::Norm(norm)),
        ("act", Layer::Act(Act::new(Activation::Silu))),
    ])
}

/// A [`unit`] of 1x1.
pub(super) fn conv1(input: usize, output: usize, device: &Device) -> Sequential {
    unit(conv(input, output, 1), device)
}

/// The stem: each square of 2x2 pixels becomes one place of four times the channels.
#[derive(Module, Debug)]
struct Focus {
    conv: Sequential,
}

impl Focus {
    fn forward(&self, x: Tensor<4>) -> Tensor<4> {
        let [_, _, height, width] = x.dims();
        // The last row or column of an odd picture has zeros for its neighbor.
        let x = match (width % 2, height % 2) {
            (0, 0) => x,
            (right, below) => x.pad((0, right, 0, below), 0.0),
        };
        let [n, channels, height, width] = x.dims();
        let x = x
            .reshape([n, channels, height / 2, 2, width / 2, 2])
            // Down the columns first: upper left, lower left, upper right, lower right.
            .permute([0, 5, 3, 1, 2, 4]) // [N, 2, 2, C, H/2, W/2]
            .reshape([n, 4 * channels, height / 2, width / 2]);
        self.conv.forward(x)
    }
}

/// Two paths over half the channels each, one of them through bottlenecks.
#[derive(Module, Debug)]
struct CspLayer {
    conv1: Sequential,
    conv2: Sequential,
    conv3: Sequential,
    m: Vec<Bottleneck>,
}

#[derive(Module, Debug)]
struct Bottleneck {
    conv1: Sequential,
    conv2: Sequential,
    shortcut: bool,
}

impl CspLayer {
    fn new(
        scale: Scale,
        [input, output]: [usize; 2],
        depth: usize,
        shortcut: bool,
        device: &Device,
    ) -> Self {
        let hidden = output / 2;
        let bottleneck = |_| Bottleneck {
            conv1: conv1(hidden, hidden, device),
            conv2: scale.conv3(hidden, hidden, 1, device),
            shortcut,
        };
        Self {
            conv1: conv1(input, hidden, device),
            conv2: conv1(input, hidden, device),
            conv3: conv1(2 * hidden, output, device),
            m: (0..depth).map(bottleneck).collect(),
        }
    }

    fn forward(&self, x: Tensor<4>) -> Tensor<4> {
        let deep = self.conv1.forward(x.clone());
        let deep = self.m.iter().fold(deep, |x, layer| layer.forward(x));
        self.conv3
            .forward(Tensor::cat(vec![deep, self.conv2.forward(x)], 1))
    }
}

impl Bottleneck {
    fn forward(&self, x: Tensor<4>) -> Tensor<4> {
        let y = self.conv2.forward(self.conv1.forward(x.clone()));
        if self.shortcut { x + y } else { y }
    }
}

/// Spatial pyramid pooling: the map beside its maxima over windows of 5, 9 and 13.
#[derive(Module, Debug)]
struct SpatialPyramid {
    conv1: Sequential,
    conv2: Sequential,
    pool: MaxPool2d,
}

impl SpatialPyramid {
    fn new(channels: usize, device: &Device) -> Self {
        let hidden = channels / 2;
        Self {
            conv1: conv1(channels, hidden, device),
            conv2: conv1(4 * hidden, channels, device),
            pool: max_pool(5, 1, 2, false),
        }
    }

    fn forward(&self, x: Tensor<4>) -> Tensor<4> {
        // The maximum over 5 of maxima over 5 is that over 9, and once more that over 13.
        let wider = |x: &Tensor<4>| max_pool2d(&self.pool, x.clone());
        let x = self.conv1.forward(x);
        let five = wider(&x);
        let nine = wider(&five);
        let thirteen = wider(&nine);
        self.conv2
            .forward(Tensor::cat(vec![x, five, nine, thirteen], 1))
    }
}

#[derive(Module, Debug)]
struct CspDarknet {
    stem: Focus,
    dark2: (Sequential, CspLayer),
    dark3: (Sequential, CspLayer),
    dark4: (Sequential, CspLayer),
    dark5: (Sequential, SpatialPyramid, CspLayer),
}

impl CspDarknet {
    fn new(channels: usize, scale: Scale, device: &Device) -> Self {
        let (base, depth) = (scale.base, scale.depth.max(1));
        let down = |output: usize| scale.conv3(output / 2, output, 2, device);
        let csp = |channels: usize, depth: usize, shortcut: bool| {
            CspLayer::new(scale, [channels; 2], depth, shortcut, device)
        };
        let stage = |channels: usize, depth: usize| (down(channels), csp(channels, depth, true));
        Self {
            stem: Focus {
                conv: unit(conv(4 * channels, base, 3).padding(1), device),
            },
            dark2: stage(2 * base, depth),
            dark3: stage(4 * base, 3 * depth),
            dark4: stage(8 * base, 3 * depth),
            dark5: (
                down(16 * base),
                SpatialPyramid::new(16 * base, device),
                csp(16 * base, depth, false),
            ),
        }
    }

    /// The maps of strides 8, 16 and 32.
    fn forward(&self, x: Tensor<4>) -> [Tensor<4>; 3] {
        let stage = |(down, csp): &(Sequential, CspLayer), x| csp.forward(down.forward(x));
        let x = stage(&self.dark2, self.stem.forward(x));
        let fine = stage(&self.dark3, x);
        let middle = stage(&self.dark4, fine.clone());
        let (down, pyramid, csp) = &self.dark5;
        let coarse = csp.forward(pyramid.forward(down.forward(middle.clone())));
        [fine, middle, coarse]
    }
}

/// The network below the head: from coarse to fine and back.
#[derive(Module, Debug)]
pub(super) struct Neck {
    backbone: CspDarknet,
    lateral_conv0: Sequential,
    c3_p4: CspLayer,
    reduce_conv1: Sequential,
    c3_p3: CspLayer,
    bu_conv2: Sequential,
    c3_n3: CspLayer,
    bu_conv1: Sequential,
    c3_n4: CspLayer,
}

impl Neck {
    /// For pictures of `channels`.
    pub fn new(channels: usize, scale: Scale, device: &Device) -> Self {
        let [fine, middle, coarse] = Self::channels(scale);
        let csp = |input, output| CspLayer::new(scale, [input, output], scale.depth, false, device);
        Self {
            backbone: CspDarknet::new(channels, scale, device),
            lateral_conv0: conv1(coarse, middle, device),
            c3_p4: csp(2 * middle, middle),
            reduce_conv1: conv1(middle, fine, device),
            c3_p3: csp(2 * fine, fine),
            bu_conv2: scale.conv3(fine, fine, 2, device),
            c3_n3: csp(2 * fine, middle),
            bu_conv1: scale.conv3(middle, middle, 2, device),
            c3_n4: csp(2 * middle, coarse),
        }
    }

    /// Channels of the levels, finest first.
    pub fn channels(scale: Scale) -> [usize; 3] {
        [4 * scale.base, 8 * scale.base, 16 * scale.base]
    }

    /// The levels of strides 8, 16 and 32.
    ///
    /// # Shapes
    /// - `x`: `[N, C, H, W]`
    /// - output: `[N, channels, H', W']` each, finest first
    pub fn forward(&self, x: Tensor<4>) -> [Tensor<4>; 3] {
        let [fine, middle, coarse] = self.backbone.forward(x);
        let join = |a: Tensor<4>, b: Tensor<4>| Tensor::cat(vec![a, b], 1);
        let over = |above: &Tensor<4>, below: Tensor<4>| {
            let [_, _, height, width] = below.dims();
            let above = resize(
                above.clone(),
                [height, width],
                Interpolation::Nearest,
                false,
            );
            join(above, below)
        };
        let lateral0 = self.lateral_conv0.forward(coarse);
        let p4 = self.c3_p4.forward(over(&lateral0, middle));
        let lateral1 = self.reduce_conv1.forward(p4);
        let fine = self.c3_p3.forward(over(&lateral1, fine));
        let down = self.bu_conv2.forward(fine.clone());
        let middle = self.c3_n3.forward(join(down, lateral1));
        let down = self.bu_conv1.forward(middle.clone());
        let coarse = self.c3_n4.forward(join(down, lateral0));
        [fine, middle, coarse]
    }
}
