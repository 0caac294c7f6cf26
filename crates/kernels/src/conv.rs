//! Convolution and transposed convolution.

use burn::nn::conv::{Conv2d, ConvTranspose2d};
use burn::tensor::Tensor;

/// 2D convolution.
///
/// # Shapes
/// - `x`: `[N, C_in, H, W]`
/// - output: `[N, C_out, H_out, W_out]`
pub fn conv2d(conv: &Conv2d, x: Tensor<4>) -> Tensor<4> {
    conv.forward(x)
}

/// 2D transposed convolution.
///
/// # Shapes
/// - `x`: `[N, C_in, H, W]`
/// - output: `[N, C_out, H_out, W_out]`
pub fn conv_transpose2d(conv: &ConvTranspose2d, x: Tensor<4>) -> Tensor<4> {
    conv.forward(x)
}
