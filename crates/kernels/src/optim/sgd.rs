//! Stochastic gradient descent, as `torch.optim.SGD`.

use burn::optim::{LearningRate, Optimizer, RecordState, StateSink, StateSource};
use burn::tensor::{Device, Tensor};

/// `torch.optim.SGD`: with `d = gradient + weight_decay * parameter` and, if there is momentum,
/// `velocity = momentum * velocity + (1 - dampening) * d` (`d` itself in the first step), the parameter
/// loses `learning rate * velocity` (`d + momentum * velocity` with Nesterov's momentum).
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Sgd {
    /// 0 or more; 0 keeps no state. Default 0.
    pub momentum: f64,
    /// Share of the new gradient that does not enter the velocity. Default 0.
    pub dampening: f64,
    /// Nesterov's momentum, which PyTorch allows with momentum and without dampening only. Default off.
    pub nesterov: bool,
    /// L2 penalty, added to the gradient. Default 0.
    pub weight_decay: f64,
}

/// State of [`Sgd`] for one parameter.
#[derive(Clone, Debug)]
pub struct SgdState<const D: usize> {
    /// The velocity, PyTorch's `momentum_buffer`.
    pub velocity: Tensor<D>,
}

// By hand, since Burn's derive names its own crate's paths.
impl<const D: usize> RecordState for SgdState<D> {
    fn state_flatten(&self, prefix: &str, out: &mut StateSink) {
        out.push_tensor(prefix, "velocity", self.velocity.to_data());
    }

    fn state_unflatten(prefix: &str, src: &mut StateSource, device: &Device) -> Option<Self> {
        let velocity = src.take_tensor(prefix, "velocity")?;
        Some(SgdState {
            velocity: Tensor::from_data(velocity, device),
        })
    }
}

impl Optimizer for Sgd {
    type State<const D: usize> = SgdState<D>;

    fn step<const D: usize>(
        &self,
        learning_rate: LearningRate,
        tensor: Tensor<D>,
        grad: Tensor<D>,
        state: Option<SgdState<D>>,
    ) -> (Tensor<D>, Option<SgdState<D>>) {
        #[cfg(feature = "flex")]
        if super::fast::takes(&tensor, &grad, state.as_ref().map(|s| [&s.velocity])) {
            let velocity = state.map(|s| s.velocity);
            let step = super::step::SgdStep {
                rate: learning_rate as f32,
                momentum: self.momentum as f32,
                share: (1.0 - self.dampening) as f32,
                decay: self.weight_decay as f32,
                nesterov: self.nesterov,
            };
            let (tensor, velocity) = super::fast::sgd(step, tensor, grad, velocity);
            return (tensor, velocity.map(|velocity| SgdState { velocity }));
        }
        let mut direction = grad;
        if self.weight_decay != 0.0 {
            direction = direction + tensor.clone().mul_scalar(self.weight_decay);
        }
        if self.momentum == 0.0 {
            return (tensor - direction.mul_scalar(learning_rate), None);
        }
        let velocity = match state {
            Some(state) => {
                state.velocity.mul_scalar(self.momentum)
                    + direction.clone().mul_scalar(1.0 - self.dampening)
            }
            None => direction.clone(),
        };
        if self.nesterov {
            direction = direction + velocity.clone().mul_scalar(self.momentum);
        } else {
            direction = velocity.clone();
        }
        (
            tensor - direction.mul_scalar(learning_rate),
            Some(SgdState { velocity }),
        )
    }

    fn to_device<const D: usize>(state: SgdState<D>, device: &Device) -> SgdState<D> {
        SgdState {
            velocity: state.velocity.to_device(device),
        }
    }
}
