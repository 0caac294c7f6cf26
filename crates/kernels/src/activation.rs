//! Element-wise activations that a kernel may fuse with the operator before them.

use burn::tensor::Tensor;
use burn::tensor::activation as act;

/// An activation, with PyTorch's definition of each.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub enum Activation {
    /// `x`
    #[default]
    Identity,
    /// `max(x, 0)`
    Relu,
    /// `min(max(x, 0), 6)`
    Relu6,
    /// `x` where positive, `slope * x` elsewhere.
    LeakyRelu(f32),
    /// `x * sigmoid(x)`
    Silu,
    /// `x * relu6(x + 3) / 6`
    HardSwish,
    /// `relu6(x + 3) / 6`
    HardSigmoid,
    /// `1 / (1 + exp(-x))`
    Sigmoid,
    /// The exact GELU, `x * Phi(x)`.
    Gelu,
    /// `tanh(x)`
    Tanh,
}

/// Applies an activation element by element; the shape stays.
pub fn activation<const D: usize>(activation: Activation, x: Tensor<D>) -> Tensor<D> {
    #[cfg(feature = "flex")]
    if crate::fast::tensor::takes(&x) {
        match activation {
            Activation::Relu => return fast::relu(x, None),
            Activation::LeakyRelu(slope) if slope > 0.0 && slope < 1.0 => {
                return fast::relu(x, Some(slope));
            }
            Activation::Silu => return fast::silu(x),
            _ => {}
        }
    }
    match activation {
        Activation::Identity => x,
        Activation::Relu => act::relu(x),
        Activation::Relu6 => x.clamp(0.0, 6.0),
        Activation::LeakyRelu(slope) => act::leaky_relu(x, slope as f64),
        Activation::Silu => act::silu(x),
        Activation::HardSwish => {
            let gate = x.clone().add_scalar(3.0).clamp(0.0, 6.0).div_scalar(6.0);
            x * gate
        }
        Activation::HardSigmoid => x.add_scalar(3.0).clamp(0.0, 6.0).div_scalar(6.0),
        Activation::Sigmoid => act::sigmoid(x),
        Activation::Gelu => act::gelu(x),
        Activation::Tanh => act::tanh(x),
    }
}

#[cfg(feature = "flex")]
mod fast {
    use burn::backend::TensorMetadata;
    use burn::tensor::Tensor;

    use crate::fast::pointwise;
    use crate::fast::tensor::{FlexTensor, Gradient, apply, contiguous, dims, open, slice, tensor};

    /// ReLU, or the leaky one with a slope between 0 and 1.
    pub(super) fn relu<const D: usize>(x: Tensor<D>, slope: Option<f32>) -> Tensor<D> {
        apply::<1, D, _>([open(x)], |[x], tracked| {
            let x = contiguous(x);
            let y = match slope {
                None => pointwise::relu(slice(&x)),
                Some(slope) => pointwise::leaky_relu(slice(&x), slope),
            };
            let y = tensor(y, dims::<D>(&x));
            let state = tracked.then(|| Relu {
                y: y.clone(),
                slope,
            });
            (y, state)
        })
    }

    /// The output tells where the input was positive.
    #[derive(Clone, Debug)]
    struct Relu {
        y: FlexTensor,
        slope: Option<f32>,
    }

    pub(super) fn silu<const D: usize>(x: Tensor<D>) -> Tensor<D> {
        apply::<1, D, _>([open(x)], |[x], tracked| {
            let x = contiguous(x);
            let y = tensor(pointwise::silu(slice(&x)), dims::<D>(&x));
            (y, tracked.then_some(Silu { x }))
        })
    }

    #[derive(Clone, Debug)]
    struct Silu {
        x: FlexTensor,
    }

    impl Gradient<1> for Silu {
        fn gradients(self, dy: FlexTensor, _: [bool; 1]) -> [Option<FlexTensor>; 1] {
            let dx = pointwise::silu_gradient(slice(&self.x), slice(&contiguous(dy)));
            [Some(tensor(dx, self.x.shape()))]
        }
    }

    impl Gradient<1> for Relu {
        fn gradients(self, dy: FlexTensor, _: [bool; 1]) -> [Option<FlexTensor>; 1] {
            let dy = contiguous(dy);
            let dx = match self.slope {
                None => pointwise::relu_gradient(slice(&self.y), slice(&dy)),
                Some(slope) => pointwise::leaky_relu_gradient(slice(&self.y), slice(&dy), slope),
            };
            [Some(tensor(dx, self.y.shape()))]
        }
    }
}
