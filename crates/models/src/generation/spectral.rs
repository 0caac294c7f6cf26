//! Spectral normalisation (Miyato et al. 2018, "Spectral Normalization for Generative Adversarial Networks",
//! arXiv:1802.05957): a convolution whose weight is divided by an estimate of its largest singular value.

use burn::module::{Module, RunningState};
use burn::nn::conv::Conv2d;
use burn::tensor::{Device, Distribution, Tensor};
use firesight_kernels as kernels;

use crate::layers::ConvSpec;

/// A convolution with a spectrally normalised weight.
///
/// As in PyTorch's `spectral_norm`, the weight `[C_out, C_in, kh, kw]` is taken as a matrix of `C_out` rows, and each
/// forward pass in training makes one step of power iteration, through which no gradient flows. State-dict keys are
/// PyTorch's `weight_orig` and `weight_u`; `weight_v` follows from them and is not kept, so that inference estimates
/// half a step further than PyTorch does.
#[derive(Module, Debug)]
pub struct SpectralConv {
    conv: Conv2d,
    /// The estimate of the first left singular vector, `[C_out]`, of length 1.
    u: RunningState<Tensor<1>>,
}

impl SpectralConv {
    /// Makes the layer.
    pub fn new(spec: ConvSpec, device: &Device) -> Self {
        let conv = spec.init(device);
        let rows = conv.weight.dims()[0];
        let u = Tensor::<1>::random([rows], Distribution::Normal(0.0, 1.0), device);
        Self {
            conv,
            u: RunningState::new(unit(u)),
        }
    }

    /// # Shapes
    /// - `x`: `[N, C_in, H, W]`
    /// - output: `[N, C_out, H_out, W_out]`
    pub fn forward(&self, x: Tensor<4>) -> Tensor<4> {
        let sigma = self.sigma(x.device().is_autodiff()).reshape([1, 1, 1, 1]);
        // A convolution is linear in its weight: dividing its output is dividing the weight.
        let mut plain = self.conv.clone();
        let bias = plain.bias.take();
        let y = kernels::conv2d(&plain, x) / sigma;
        match bias {
            Some(bias) => {
                let channels = bias.dims()[0];
                y + bias.val().reshape([1, channels, 1, 1])
            }
            None => y,
        }
    }

    /// The estimate of the largest singular value, `[1]`; in training the vector is improved first.
    fn sigma(&self, training: bool) -> Tensor<1> {
        let weight = self.conv.weight.val();
        let [rows, input, height, width] = weight.dims();
        let matrix = weight.reshape([rows, input * height * width]);
        let fixed = matrix.clone().detach();
        let column = |v: Tensor<1>| v.unsqueeze_dim::<2>(1);
        let mut u = self.u.value();
        if fixed.device().is_autodiff() && !u.device().is_autodiff() {
            u = Tensor::from_inner(u);
        }
        let v = unit(
            fixed
                .clone()
                .transpose()
                .matmul(column(u.clone()))
                .flatten::<1>(0, 1),
        );
        if training {
            u = unit(fixed.matmul(column(v.clone())).flatten::<1>(0, 1));
            self.u.update(u.clone().detach());
        }
        (matrix.matmul(column(v)).flatten::<1>(0, 1) * u).sum()
    }
}

/// The vector divided by its length.
fn unit(v: Tensor<1>) -> Tensor<1> {
    let length = v.clone().powi_scalar(2).sum().sqrt().add_scalar(1e-12);
    v / length
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::layers::conv;

    /// A diagonal matrix whose singular values are known.
    #[test]
    fn the_weight_is_divided_by_its_largest_singular_value() {
        let device = Device::flex().autodiff();
        device.seed(3);
        let mut layer = SpectralConv::new(conv(2, 2, 1).no_bias(), &device);
        let values = Tensor::<1>::from_floats([3.0, 0.0, 0.0, -5.0], &device);
        layer.conv.weight = burn::module::Param::from_tensor(values.reshape([2, 2, 1, 1]));
        let x = Tensor::<4>::ones([1, 2, 1, 1], &device);
        for _ in 0..50 {
            let _ = layer.forward(x.clone());
        }
        let close = |y: Tensor<4>| {
            let y = y.into_data().try_to_vec::<f32>().unwrap();
            assert!(
                (y[0] - 0.6).abs() < 1e-5 && (y[1] + 1.0).abs() < 1e-5,
                "{y:?}"
            );
        };
        close(layer.forward(x.clone()));
        close(layer.valid().forward(x.inner()));
    }
}
