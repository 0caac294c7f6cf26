//! Pooling.

use burn::nn::pool::{AdaptiveAvgPool2d, AvgPool2d, MaxPool2d};
use burn::tensor::Tensor;

/// 2D max pooling.
///
/// # Shapes
/// - `x`: `[N, C, H, W]`
/// - output: `[N, C, H_out, W_out]`
pub fn max_pool2d(pool: &MaxPool2d, x: Tensor<4>) -> Tensor<4> {
    pool.forward(x)
}

/// 2D average pooling.
///
/// # Shapes
/// - `x`: `[N, C, H, W]`
/// - output: `[N, C, H_out, W_out]`
pub fn avg_pool2d(pool: &AvgPool2d, x: Tensor<4>) -> Tensor<4> {
    pool.forward(x)
}

/// 2D average pooling to a fixed output size.
///
/// # Shapes
/// - `x`: `[N, C, H, W]`
/// - output: `[N, C, pool.output_size[0], pool.output_size[1]]`
pub fn adaptive_avg_pool2d(pool: &AdaptiveAvgPool2d, x: Tensor<4>) -> Tensor<4> {
    pool.forward(x)
}
