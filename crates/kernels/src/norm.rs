//! Batch normalisation, alone and fused with what follows it in most networks.
//!
//! The running statistics are Burn's: the *biased* variance of the batch enters the running one
//! (PyTorch's is unbiased), `running = running * (1 - momentum) + batch * momentum`.

use burn::nn::BatchNorm;
use burn::tensor::Tensor;

use crate::{Activation, activation};

/// Batch normalisation over the channel dimension; batch statistics in training (and the running
/// ones updated), running statistics otherwise.
///
/// # Shapes
/// - `x` and output: `[N, C, H, W]`
pub fn batch_norm(norm: &BatchNorm, x: Tensor<4>) -> Tensor<4> {
    batch_norm_act(norm, x, Activation::Identity)
}

/// `activation(batch_norm(x))`
///
/// # Shapes
/// - `x` and output: `[N, C, H, W]`
pub fn batch_norm_act(norm: &BatchNorm, x: Tensor<4>, act: Activation) -> Tensor<4> {
    #[cfg(feature = "flex")]
    if fast::takes(norm, &x, None) {
        let (clip, rest) = fast::split(act);
        return activation(rest, fast::batch_norm(norm, x, None, clip));
    }
    activation(act, norm.forward(x))
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
    #[cfg(feature = "flex")]
    if fast::takes(norm, &x, Some(&residual)) {
        let (clip, rest) = fast::split(act);
        return activation(rest, fast::batch_norm(norm, x, Some(residual), clip));
    }
    activation(act, norm.forward(x) + residual)
}

#[cfg(feature = "flex")]
mod fast {
    use std::sync::Arc;

    use burn::module::RunningState;
    use burn::nn::BatchNorm;
    use burn::tensor::Tensor;

    use crate::Activation;
    use crate::fast::buffer::Buffer;
    use crate::fast::norm::{self, Clip, Planes};
    use crate::fast::tensor::{
        self as bridge, FlexTensor, Gradient, apply, contiguous, dims, inner, open, plain, slice,
        tensor,
    };

    pub(super) fn takes(norm: &BatchNorm, x: &Tensor<4>, residual: Option<&Tensor<4>>) -> bool {
        bridge::takes(x)
            && bridge::takes(&norm.gamma.val())
            && bridge::takes(&norm.beta.val())
            && bridge::takes(&norm.running_mean.value())
            && bridge::takes(&norm.running_var.value())
            && residual.is_none_or(|r| bridge::takes(r) && r.dims() == x.dims())
            && norm.gamma.dims() == [x.dims()[1]]
            && x.dims().iter().all(|n| *n > 0)
    }

    /// What is fused of an activation, and what comes after.
    pub(super) fn split(act: Activation) -> (Clip, Activation) {
        match act {
            Activation::Relu => (Clip::Relu, Activation::Identity),
            Activation::Relu6 => (Clip::Relu6, Activation::Identity),
            other => (Clip::None, other),
        }
    }

    pub(super) fn batch_norm(
        norm: &BatchNorm,
        x: Tensor<4>,
        residual: Option<Tensor<4>>,
        clip: Clip,
    ) -> Tensor<4> {
        let training = x.device().is_autodiff() && norm.training.is_enabled();
        let (gamma, beta) = (open(norm.gamma.val()), open(norm.beta.val()));
        let layer = Layer {
            norm,
            clip,
            training,
        };
        match residual {
            None => apply::<3, 4, _>([open(x), gamma, beta], |[x, gamma, beta], tracked| {
                layer.forward(x, None, gamma, beta, tracked)
            }),
            Some(residual) => apply::<4, 4, _>(
                [open(x), gamma, beta, open(residual)],
                |[x, gamma, beta, residual], tracked| {
                    layer.forward(x, Some(residual), gamma, beta, tracked)
                },
            ),
        }
    }

    fn own(values: Tensor<1>) -> Buffer {
        let values = contiguous(inner(values));
        let mut own = Buffer::zeros(slice(&values).len());
        own.copy_from_slice(slice(&values));
        own
    }

    struct Layer<'a> {
        norm: &'a BatchNorm,
        clip: Clip,
        training: bool,
    }

    impl Layer<'_> {
        fn forward(
            &self,
            x: FlexTensor,
            residual: Option<FlexTensor>,
            gamma: FlexTensor,
            beta: FlexTensor,
            tracked: bool,
        ) -> (FlexTensor, Option<Normalisation>) {
            let [images, channels, height, width] = dims::<4>(&x);
            let planes = Planes {
                images,
                channels,
                places: height * width,
            };
            let (x, gamma, beta) = (contiguous(x), contiguous(gamma), contiguous(beta));
            let residual = residual.map(contiguous);
            let residual = residual.as_ref().map(slice);
            let epsilon = self.norm.epsilon as f32;
            let (y, mean, variance) = if self.training {
                let (y, mean, variance) = norm::train_forward(
                    planes,
                    slice(&x),
                    residual,
                    slice(&gamma),
                    slice(&beta),
                    epsilon,
                    self.clip,
                );
                self.update(&self.norm.running_mean, &mean);
                self.update(&self.norm.running_var, &variance);
                (y, mean, variance)
            } else {
                let mean = own(self.norm.running_mean.value());
                let variance = own(self.norm.running_var.value());
                let y = norm::forward(
                    planes,
                    slice(&x),
                    residual,
                    slice(&gamma),
                    slice(&beta),
                    &mean,
                    &variance,
                    epsilon,
                    self.clip,
                );
                (y, mean, variance)
            };
            let y = tensor(y, [images, channels, height, width]);
            let state = tracked.then(|| Normalisation {
                planes,
                y: (self.clip != Clip::None).then(|| y.clone()),
                x,
                gamma,
                mean: Arc::new(mean),
                variance: Arc::new(variance),
                epsilon,
                clip: self.clip,
                training: self.training,
            });
            (y, state)
        }

        /// `running = running * (1 - momentum) + batch * momentum`, on the running tensor's device.
        fn update(&self, running: &RunningState<Tensor<1>>, batch: &[f32]) {
            let before = running.value_sync();
            let autodiff = before.device().is_autodiff();
            let momentum = self.norm.momentum as f32;
            let keep = (1.0 - self.norm.momentum) as f32;
            let values = contiguous(inner(before));
            let mut after = Buffer::zeros(batch.len());
            for ((after, running), batch) in after.iter_mut().zip(slice(&values)).zip(batch) {
                *after = running * keep + batch * momentum;
            }
            let after = plain::<1>(tensor(after, [batch.len()]));
            running.update(if autodiff {
                Tensor::from_inner(after)
            } else {
                after
            });
        }
    }

    /// What the gradients need.
    #[derive(Clone, Debug)]
    struct Normalisation {
        planes: Planes,
        x: FlexTensor,
        /// The output, where it was clipped.
        y: Option<FlexTensor>,
        gamma: FlexTensor,
        mean: Arc<Buffer>,
        variance: Arc<Buffer>,
        epsilon: f32,
        clip: Clip,
        training: bool,
    }

    impl<const N: usize> Gradient<N> for Normalisation {
        fn gradients(self, dy: FlexTensor, wanted: [bool; N]) -> [Option<FlexTensor>; N] {
            let dy = contiguous(dy);
            let shape = dims::<4>(&dy);
            let residual = N == 4 && wanted[N - 1];
            // Without an activation the residual's gradient is the output's own.
            let written = residual && self.clip != Clip::None;
            let gradients = norm::backward(
                self.planes,
                slice(&self.x),
                self.y.as_ref().map_or(&[], slice),
                slice(&dy),
                slice(&self.gamma),
                &self.mean,
                &self.variance,
                self.epsilon,
                self.clip,
                self.training,
                written,
            );
            let channels = self.planes.channels;
            let residual_gradient = match gradients.residual {
                Some(values) => tensor(values, shape),
                None => dy,
            };
            let mut all = [
                Some(tensor(gradients.x, shape)),
                Some(tensor(gradients.gamma, [channels])),
                Some(tensor(gradients.beta, [channels])),
                Some(residual_gradient),
            ];
            std::array::from_fn(|i| all[i].take().filter(|_| wanted[i]))
        }
    }
}
