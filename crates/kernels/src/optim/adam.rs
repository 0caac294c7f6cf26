//! Adam and AdamW, as `torch.optim.Adam` and `torch.optim.AdamW` (without AMSGrad).

use burn::optim::{LearningRate, Optimizer, RecordState, StateSink, StateSource};
use burn::tensor::{Device, Tensor};

use super::step::AdamStep;

/// `torch.optim.Adam`: the decay is an L2 penalty, added to the gradient.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Adam {
    /// Decay of the mean of gradients. Default 0.9.
    pub beta_1: f64,
    /// Decay of the mean of squared gradients. Default 0.999.
    pub beta_2: f64,
    /// Added to the root of the latter. Default 1e-8.
    pub epsilon: f64,
    /// Default 0.
    pub weight_decay: f64,
}

impl Default for Adam {
    fn default() -> Self {
        Adam {
            beta_1: 0.9,
            beta_2: 0.999,
            epsilon: 1e-8,
            weight_decay: 0.0,
        }
    }
}

/// `torch.optim.AdamW`: the parameter is first multiplied by `1 - learning rate * weight_decay`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct AdamW {
    /// Decay of the mean of gradients. Default 0.9.
    pub beta_1: f64,
    /// Decay of the mean of squared gradients. Default 0.999.
    pub beta_2: f64,
    /// Added to the root of the latter. Default 1e-8.
    pub epsilon: f64,
    /// Default 0.01.
    pub weight_decay: f64,
}

impl Default for AdamW {
    fn default() -> Self {
        AdamW {
            beta_1: 0.9,
            beta_2: 0.999,
            epsilon: 1e-8,
            weight_decay: 0.01,
        }
    }
}

/// State of [`Adam`] and [`AdamW`] for one parameter.
#[derive(Clone, Debug)]
pub struct AdamState<const D: usize> {
    /// Steps taken.
    pub time: usize,
    /// Mean of gradients, PyTorch's `exp_avg`.
    pub mean: Tensor<D>,
    /// Mean of squared gradients, PyTorch's `exp_avg_sq`.
    pub square: Tensor<D>,
}

// By hand, since Burn's derive names its own crate's paths.
impl<const D: usize> RecordState for AdamState<D> {
    fn state_flatten(&self, prefix: &str, out: &mut StateSink) {
        out.push_scalar(prefix, "time", burn_pack::Scalar::from(self.time));
        out.push_tensor(prefix, "mean", self.mean.to_data());
        out.push_tensor(prefix, "square", self.square.to_data());
    }

    fn state_unflatten(prefix: &str, src: &mut StateSource, device: &Device) -> Option<Self> {
        let time = usize::try_from(src.take_scalar(prefix, "time")?).ok()?;
        let mean = Tensor::from_data(src.take_tensor(prefix, "mean")?, device);
        let square = Tensor::from_data(src.take_tensor(prefix, "square")?, device);
        Some(AdamState { time, mean, square })
    }
}

impl AdamStep {
    fn new(optimizer: &Adam, learning_rate: f64, time: usize, decoupled: bool) -> Self {
        let Adam {
            beta_1,
            beta_2,
            epsilon,
            weight_decay,
        } = *optimizer;
        let bias = |beta: f64| 1.0 - beta.powi(i32::try_from(time).unwrap_or(i32::MAX));
        AdamStep {
            beta_1,
            beta_2,
            epsilon,
            penalty: if decoupled { 0.0 } else { weight_decay },
            keep: if decoupled {
                1.0 - learning_rate * weight_decay
            } else {
                1.0
            },
            size: learning_rate / bias(beta_1),
            correction: 1.0 / bias(beta_2).sqrt(),
        }
    }

    fn run<const D: usize>(
        self,
        tensor: Tensor<D>,
        grad: Tensor<D>,
        state: Option<AdamState<D>>,
        time: usize,
    ) -> (Tensor<D>, AdamState<D>) {
        #[cfg(feature = "flex")]
        if super::fast::takes(&tensor, &grad, state.as_ref().map(|s| [&s.mean, &s.square])) {
            let moments = state.map(|s| [s.mean, s.square]);
            let (tensor, [mean, square]) = super::fast::adam(&self, tensor, grad, moments);
            return (tensor, AdamState { time, mean, square });
        }
        let (mean, square) = match state {
            Some(state) => (state.mean, state.square),
            None => (grad.zeros_like(), grad.zeros_like()),
        };
        let mut grad = grad;
        if self.penalty != 0.0 {
            grad = grad + tensor.clone().mul_scalar(self.penalty);
        }
        let mean = mean.mul_scalar(self.beta_1) + grad.clone().mul_scalar(1.0 - self.beta_1);
        let square = square.mul_scalar(self.beta_2) + grad.square().mul_scalar(1.0 - self.beta_2);
        let root = square
            .clone()
            .sqrt()
            .mul_scalar(self.correction)
            .add_scalar(self.epsilon);
        let tensor = tensor.mul_scalar(self.keep) - mean.clone().mul_scalar(self.size) / root;
        (tensor, AdamState { time, mean, square })
    }
}

impl Optimizer for Adam {
    type State<const D: usize> = AdamState<D>;

    fn step<const D: usize>(
        &self,
        learning_rate: LearningRate,
        tensor: Tensor<D>,
        grad: Tensor<D>,
        state: Option<AdamState<D>>,
    ) -> (Tensor<D>, Option<AdamState<D>>) {
        let time = state.as_ref().map_or(0, |s| s.time) + 1;
        let step = AdamStep::new(self, learning_rate, time, false);
        let (tensor, state) = step.run(tensor, grad, state, time);
        (tensor, Some(state))
    }

    fn to_device<const D: usize>(state: AdamState<D>, device: &Device) -> AdamState<D> {
        to_device(state, device)
    }
}

impl Optimizer for AdamW {
    type State<const D: usize> = AdamState<D>;

    fn step<const D: usize>(
        &self,
        learning_rate: LearningRate,
        tensor: Tensor<D>,
        grad: Tensor<D>,
        state: Option<AdamState<D>>,
    ) -> (Tensor<D>, Option<AdamState<D>>) {
        let AdamW {
            beta_1,
            beta_2,
            epsilon,
            weight_decay,
        } = *self;
        let numbers = Adam {
            beta_1,
            beta_2,
            epsilon,
            weight_decay,
        };
        let time = state.as_ref().map_or(0, |s| s.time) + 1;
        let step = AdamStep::new(&numbers, learning_rate, time, true);
        let (tensor, state) = step.run(tensor, grad, state, time);
        (tensor, Some(state))
    }

    fn to_device<const D: usize>(state: AdamState<D>, device: &Device) -> AdamState<D> {
        to_device(state, device)
    }
}

fn to_device<const D: usize>(state: AdamState<D>, device: &Device) -> AdamState<D> {
    AdamState {
        time: state.time,
        mean: state.mean.to_device(device),
        square: state.square.to_device(device),
    }
}
