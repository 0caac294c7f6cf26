//! Batch normalisation, alone and fused with what follows it in most networks.
//!
//! The running statistics are Burn's: the *biased* variance of the batch enters the running one
//! (PyTorch's is unbiased), `running = running * (1 - momentum) + batch * momentum`.
//!
//! A single value cannot be normalised: its variance is 0, the output is the bias whatever the input, and the running
//! variance comes nearer to 0 with every such batch. Where PyTorch raises an error, the layer here leaves its
//! statistics as they are and takes note, on the fast path and on Burn's; whoever trains asks [`take_lone_value`]
//! after the forward pass and refuses the batch.

use std::cell::Cell;

use burn::module::ParamId;
use burn::nn::{BatchNorm, GroupNorm};
use burn::tensor::Tensor;

use crate::{Activation, activation};

/// A normalisation that was given one value to normalise in training.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LoneValue {
    /// The layer, by the id of its scale (`weight` in PyTorch, `gamma` in Burn).
    pub scale: ParamId,
    /// The layer's input, `[N, C, H, W]`.
    pub shape: [usize; 4],
}

thread_local! {
    static LONE_VALUE: Cell<Option<LoneValue>> = const { Cell::new(None) };
}

/// The first normalisation over a single value in training since the last call, in this thread.
///
/// ```
/// use burn::nn::BatchNormConfig;
/// use burn::tensor::{Device, Tensor};
/// use firesight_kernels::{batch_norm, take_lone_value};
///
/// let device = Device::default().autodiff();
/// let norm = BatchNormConfig::new(2).init(&device);
/// batch_norm(&norm, Tensor::ones([1, 2, 1, 1], &device));
/// assert_eq!(take_lone_value().map(|lone| lone.scale), Some(norm.gamma.id));
/// batch_norm(&norm, Tensor::ones([1, 2, 1, 3], &device));
/// assert_eq!(take_lone_value(), None);
/// ```
pub fn take_lone_value() -> Option<LoneValue> {
    LONE_VALUE.take()
}

fn note(scale: ParamId, shape: [usize; 4]) {
    let first = LONE_VALUE.get().unwrap_or(LoneValue { scale, shape });
    LONE_VALUE.set(Some(first));
}

/// The layer with its statistics standing still, where the batch holds one value per channel.
fn still(norm: &BatchNorm, x: &Tensor<4>) -> Option<BatchNorm> {
    let shape @ [images, _, height, width] = x.dims();
    let training = norm.training.is_enabled() && x.device().is_autodiff();
    (training && images * height * width == 1).then(|| {
        note(norm.gamma.id, shape);
        let mut still = norm.clone();
        still.training = still.training.with_value(false);
        still
    })
}

/// Group normalisation.
///
/// # Shapes
/// - `x` and output: `[N, C, H, W]`
pub fn group_norm(norm: &GroupNorm, x: Tensor<4>) -> Tensor<4> {
    let shape @ [images, channels, height, width] = x.dims();
    let values = images * channels * height * width / norm.num_groups.max(1);
    if let (1, Some(gamma), true) = (values, &norm.gamma, x.device().is_autodiff()) {
        note(gamma.id, shape);
    }
    norm.forward(x)
}

/// Batch normalisation over the channel dimension; batch statistics in training (and the running
/// ones updated), running statistics otherwise. [`take_lone_value`] tells of a batch of one value per channel.
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
    if let Some(still) = still(norm, &x) {
        return activation(act, still.forward(x));
    }
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
    if let Some(still) = still(norm, &x) {
        return activation(act, still.forward(x) + residual);
    }
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

#[cfg(test)]
mod tests {
    use burn::nn::{BatchNormConfig, GroupNormConfig};
    use burn::tensor::Device;

    use super::*;

    fn values(tensor: Tensor<1>) -> Vec<f32> {
        tensor.into_data().iter::<f32>().collect()
    }

    #[test]
    fn one_value_per_channel_is_noted_and_moves_no_statistics() {
        #[allow(deprecated, reason = "a backend that the kernels know nothing of")]
        for device in [Device::flex(), Device::ndarray()] {
            let device = device.autodiff();
            let norm = BatchNormConfig::new(3).init(&device);
            let ones = |n, side| Tensor::<4>::ones([n, 3, side, side], &device);
            let forms: [&dyn Fn(Tensor<4>) -> Tensor<4>; 3] = [
                &|x| batch_norm(&norm, x),
                &|x| batch_norm_act(&norm, x, Activation::Relu),
                &|x| batch_norm_add_act(&norm, x.clone(), x, Activation::Relu),
            ];
            for form in forms {
                let y = form(ones(1, 1));
                assert_eq!(y.dims(), [1, 3, 1, 1]);
                let lone = take_lone_value().unwrap();
                assert_eq!((lone.scale, lone.shape), (norm.gamma.id, [1, 3, 1, 1]));
                assert_eq!(take_lone_value(), None);
                assert_eq!(values(norm.running_mean.value_sync()), [0.0; 3]);
                assert_eq!(values(norm.running_var.value_sync()), [1.0; 3]);
            }
            for x in [ones(2, 1), ones(1, 2)] {
                batch_norm(&norm, x);
                assert_eq!(take_lone_value(), None);
            }
            assert_ne!(values(norm.running_mean.value_sync()), [0.0; 3]);
            // Inference, and a layer that stands still, normalise by the running statistics.
            let plain = Tensor::<4>::ones([1, 3, 1, 1], &device.clone().inner());
            batch_norm(&burn::module::Module::valid(&norm), plain);
            let still = burn::module::Module::freeze(norm.clone());
            batch_norm(&still, ones(1, 1));
            assert_eq!(take_lone_value(), None);
        }
    }

    #[test]
    fn one_value_per_group_is_noted() {
        let device = Device::flex().autodiff();
        let norm = GroupNormConfig::new(4, 4).init(&device);
        group_norm(&norm, Tensor::ones([1, 4, 1, 1], &device));
        assert!(take_lone_value().is_some());
        group_norm(&norm, Tensor::ones([2, 4, 1, 1], &device));
        group_norm(&norm, Tensor::ones([1, 4, 1, 2], &device));
        assert_eq!(take_lone_value(), None);
    }
}
