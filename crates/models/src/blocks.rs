//! What several architectures are made of: the inception networks' convolutions, squeeze and excitation, pooling. Lists of
//! layers stand on these ([`crate::sequential`]).

use burn::module::Module;
use burn::nn::conv::Conv2d;
use burn::nn::pool::{
    AdaptiveAvgPool2dConfig, AvgPool2d, AvgPool2dConfig, MaxPool2d, MaxPool2dConfig,
};
use burn::nn::{BatchNorm, LayerNorm, PaddingConfig2d};
use burn::tensor::{Device, Tensor};
use firesight_kernels::{Activation, activation, adaptive_avg_pool2d, conv2d, conv2d_norm_act};

use crate::layers::{self, ConvSpec, Init};

/// A convolution without bias, batch normalisation and ReLU, as the inception networks name and normalise them.
#[derive(Module, Debug)]
pub struct ConvBlock {
    conv: Conv2d,
    bn: BatchNorm,
}

impl ConvBlock {
    pub(crate) fn new(spec: ConvSpec, device: &Device) -> Self {
        let conv = spec.no_bias().init(device);
        let bn = layers::batch_norm_with(conv.weight.lazy_shape()[0], 1e-3, 0.1, device);
        Self { conv, bn }
    }

    /// # Shapes
    /// - `x`: `[N, C_in, H, W]`
    /// - output: `[N, C_out, H_out, W_out]`
    pub fn forward(&self, x: Tensor<4>) -> Tensor<4> {
        conv2d_norm_act(&self.conv, &self.bn, x, Activation::Relu)
    }
}

/// Squeeze and excitation (Hu et al., <https://arxiv.org/abs/1709.01507>, figure 1): each channel is scaled by a
/// gate computed from the means of all channels.
#[derive(Module, Debug)]
pub struct SqueezeExcitation {
    fc1: Conv2d,
    fc2: Conv2d,
    #[module(skip)]
    inner: Activation,
    #[module(skip)]
    gate: Activation,
}

impl SqueezeExcitation {
    /// A block for `channels` feature maps with `squeezed` in the middle; activations and initialisations of the
    /// first and the second layer.
    pub(crate) fn new(
        channels: usize,
        squeezed: usize,
        [inner, gate]: [Activation; 2],
        draws: [Init; 2],
        device: &Device,
    ) -> Self {
        Self {
            fc1: layers::conv(channels, squeezed, 1)
                .draw(draws[0])
                .init(device),
            fc2: layers::conv(squeezed, channels, 1)
                .draw(draws[1])
                .init(device),
            inner,
            gate,
        }
    }

    /// Scales each channel.
    ///
    /// # Shapes
    /// - `x` and output: `[N, C, H, W]`
    pub fn forward(&self, x: Tensor<4>) -> Tensor<4> {
        let pool = AdaptiveAvgPool2dConfig::new([1, 1]).init();
        let means = adaptive_avg_pool2d(&pool, x.clone()); // [N, C, 1, 1]
        let squeezed = activation(self.inner, conv2d(&self.fc1, means));
        x * activation(self.gate, conv2d(&self.fc2, squeezed))
    }
}

/// Layer normalisation over the channels of each position.
///
/// # Shapes
/// - `x` and output: `[N, C, H, W]`
pub(crate) fn layer_norm_2d(norm: &LayerNorm, x: Tensor<4>) -> Tensor<4> {
    norm.forward(x.permute([0, 2, 3, 1])).permute([0, 3, 1, 2])
}

/// The means of the cells of a grid of `[height, width]`, flattened; `[1, 1]` for the mean of each map.
///
/// # Shapes
/// - `x`: `[N, C, H, W]`
/// - output: `[N, C * height * width]`
pub(crate) fn pooled(grid: [usize; 2], x: Tensor<4>) -> Tensor<2> {
    adaptive_avg_pool2d(&AdaptiveAvgPool2dConfig::new(grid).init(), x).flatten(1, 3)
}

/// Images normalised by ImageNet's mean and deviation, as if they had been normalised by a mean and a deviation of
/// 0.5: what the weights that were trained with TensorFlow expect.
///
/// # Shapes
/// - `x` and output: `[N, 3, H, W]`
pub(crate) fn imagenet_to_unit(x: Tensor<4>) -> Tensor<4> {
    imagenet_to(x, 0.5, 0.5)
}

/// Images normalised by ImageNet's mean and deviation as blue, green and red from 0 to 255: what OpenCV reads, and
/// YOLOX' published weights expect.
///
/// # Shapes
/// - `x` and output: `[N, 3, H, W]`
pub(crate) fn imagenet_to_bgr(x: Tensor<4>) -> Tensor<4> {
    imagenet_to(x, 0.0, 1.0 / 255.0).flip([1])
}

/// Images normalised by ImageNet's mean and deviation, as if they had been normalised by others.
fn imagenet_to(x: Tensor<4>, mean: f32, std: f32) -> Tensor<4> {
    let (device, dtype) = (x.device(), x.dtype());
    let row =
        |values: [f32; 3]| Tensor::<1>::from_data(values, (&device, dtype)).reshape([1, 3, 1, 1]);
    let (means, stds) = ([0.485, 0.456, 0.406], [0.229, 0.224, 0.225]);
    x * row(stds.map(|s| s / std)) + row(means.map(|m| (m - mean) / std))
}

/// Max pooling with a square window; `ceil` rounds the output's size up.
pub(crate) fn max_pool(kernel: usize, stride: usize, padding: usize, ceil: bool) -> MaxPool2d {
    MaxPool2dConfig::new([kernel, kernel])
        .with_strides([stride, stride])
        .with_padding(PaddingConfig2d::Explicit(
            padding, padding, padding, padding,
        ))
        .with_ceil_mode(ceil)
        .init()
}

/// Average pooling with a square window; padding counts in the mean, as PyTorch's does.
pub(crate) fn avg_pool(kernel: usize, stride: usize, padding: usize) -> AvgPool2d {
    AvgPool2dConfig::new([kernel, kernel])
        .with_strides([stride, stride])
        .with_padding(PaddingConfig2d::Explicit(
            padding, padding, padding, padding,
        ))
        .init()
}

/// `value` rounded to a multiple of `divisor`, but not below 90 % of itself: how the mobile networks scale widths.
pub(crate) fn make_divisible(value: f64, divisor: usize) -> usize {
    let rounded = ((value + divisor as f64 / 2.0) as usize / divisor * divisor).max(divisor);
    match (rounded as f64) < 0.9 * value {
        true => rounded + divisor,
        false => rounded,
    }
}
