//! Entries of lists of layers as several architectures make them: convolution with normalisation and activation,
//! residuals, the layers of heads.

use burn::tensor::{Device, Tensor};
use firesight_kernels::Activation;

use crate::layers::{self, ConvSpec, Init, StochasticDepth};
use crate::sequential::{Act, Block, HeadLayer, Layer, Sequential};

/// How an architecture draws and normalises its convolutions.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Style {
    /// How the weights are drawn.
    pub draw: Init,
    /// What batch normalisation adds to the variance.
    pub epsilon: f64,
    /// The share of the new batch in the running statistics.
    pub momentum: f64,
}

impl Style {
    /// PyTorch's batch normalisation.
    pub const fn new(draw: Init) -> Self {
        Self {
            draw,
            epsilon: 1e-5,
            momentum: 0.1,
        }
    }

    /// A convolution as `spec` says, with bias.
    pub fn conv<B: Block>(&self, spec: ConvSpec, device: &Device) -> Layer<B> {
        Layer::Conv(spec.draw(self.draw).init(device))
    }

    /// A convolution without bias and the batch normalisation after it.
    pub fn conv_norm<B: Block>(&self, spec: ConvSpec, device: &Device) -> [Layer<B>; 2] {
        let conv = spec.no_bias().draw(self.draw).init(device);
        let norm = self.norm(conv.weight.lazy_shape()[0], device);
        [Layer::Conv(conv), norm]
    }

    /// Torchvision's `Conv2dNormActivation`: convolution, batch normalisation and, unless it is
    /// [`Activation::Identity`], an activation, numbered 0, 1, 2.
    pub fn sequential<B: Block>(
        &self,
        spec: ConvSpec,
        act: Activation,
        device: &Device,
    ) -> Sequential<B> {
        let mut layers = Vec::from(self.conv_norm(spec, device));
        if act != Activation::Identity {
            layers.push(Layer::Act(Act::new(act)));
        }
        Sequential::numbered(layers)
    }

    /// [`Style::sequential`] as an entry of another.
    pub fn conv_norm_act<B: Block>(
        &self,
        spec: ConvSpec,
        act: Activation,
        device: &Device,
    ) -> Layer<B> {
        Layer::Sequential(self.sequential(spec, act, device))
    }

    /// Batch normalisation.
    pub fn norm<B: Block>(&self, channels: usize, device: &Device) -> Layer<B> {
        let norm = layers::batch_norm_with(channels, self.epsilon, self.momentum, device);
        Layer::Norm(norm)
    }
}

/// `block(x) + x`, the branch dropped for some samples in training.
///
/// # Shapes
/// - `x` and output: `[N, C, H, W]`
pub(crate) fn residual<B: Block>(
    block: &Sequential<B>,
    drop: &StochasticDepth,
    x: Tensor<4>,
) -> Tensor<4> {
    match drop.prob == 0.0 || !x.device().is_autodiff() {
        true => block.forward_residual(x.clone(), x, Activation::Identity),
        false => drop.forward(block.forward(x.clone())) + x,
    }
}

/// A fully connected layer of a head.
pub(crate) fn head_linear(input: usize, output: usize, draw: Init, device: &Device) -> HeadLayer {
    HeadLayer::Linear(layers::linear(input, output, draw, device))
}

/// A dropout layer of a head.
pub(crate) fn head_dropout(rate: f64) -> HeadLayer {
    HeadLayer::Dropout(layers::dropout(rate))
}
