//! The fully connected layer.

use burn::nn::Linear;
use burn::tensor::Tensor;

/// Fully connected layer over the last dimension.
///
/// # Shapes
/// - `x`: `[.., d_input]`
/// - output: `[.., d_output]`
pub fn linear<const D: usize>(linear: &Linear, x: Tensor<D>) -> Tensor<D> {
    linear.forward(x)
}
