//! Batch normalisation, alone and fused with what follows it in most networks.

use burn::nn::BatchNorm;
use burn::tensor::Tensor;

use crate::{Activation, activation};

/// Batch normalisation over the channel dimension; batch statistics in training (and the running
/// ones updated), running statistics otherwise.
///
/// # Shapes
/// - `x` and output: `[N, C, H, W]`
pub fn batch_norm(norm: &BatchNorm, x: Tensor<4>) -> Tensor<4> {
    norm.forward(x)
}

/// `activation(batch_norm(x))`
///
/// # Shapes
/// - `x` and output: `[N, C, H, W]`
pub fn batch_norm_act(norm: &BatchNorm, x: Tensor<4>, act: Activation) -> Tensor<4> {
    activation(act, batch_norm(norm, x))
}

/// `activation(batch_norm(x) + residual)`, the end of a residual block.
///
/// # Shapes
/// - `x`, `residual` and output: `[N, C, H, W]`
pub fn batch_norm_add_act(
    norm: &BatchNorm,
    x: Tensor<4>,
    residual: Tensor<4>,
    act: Activation,
) -> Tensor<4> {
    activation(act, batch_norm(norm, x) + residual)
}
