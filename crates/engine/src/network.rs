//! A module together with all that its training needs: optimizer, gradients gathered, average.
//!
//! A task owns one network, or several: a GAN steps two in one training step, each with its own
//! optimizer. The engine sees them through [`TrainedNetwork`] only.

use std::collections::BTreeMap;

use burn::optim::{GradientsAccumulator, GradientsParams};
use burn::tensor::{Device, Tensor, TensorData};
use burn_pack::Scalar;
use firesight_models::weights::{StateDict, TorchNames, load_state_dict, parameters, state_dict};
use serde::{Deserialize, Serialize};

use crate::ema::Ema;
use crate::optimizer::Optimizer;
use crate::optimizers::{OptimizerConfig, ParameterGroup};
use crate::parameters::{GradientChange, gradient_norm, map_gradients, trainable};
use crate::settings::{Clip, EmaConfig};

/// How a network is trained; the same for all networks of most tasks.
#[derive(Clone, Debug)]
pub struct NetworkConfig {
    /// The optimizer and its constants.
    pub optimizer: OptimizerConfig,
    /// Parameters that differ from it.
    pub groups: Vec<ParameterGroup>,
    /// Gradient clipping.
    pub clip: Option<Clip>,
    /// Averaging of the weights.
    pub ema: Option<EmaConfig>,
}

impl NetworkConfig {
    /// An optimizer for all parameters alike, without clipping and averaging.
    pub fn new(optimizer: OptimizerConfig) -> Self {
        Self {
            optimizer,
            groups: Vec::new(),
            clip: None,
            ema: None,
        }
    }
}

/// A module under training.
pub struct Network<M: TorchNames> {
    name: &'static str,
    /// Away only while it is updated: a second owner of the parameters would keep the optimizer from writing in place.
    module: Option<M>,
    device: Device,
    optimizer: Optimizer,
    clip: Option<Clip>,
    ema: Option<Ema<M>>,
    gathered: GradientsAccumulator<M>,
    gathered_weight: f64,
    gathered_count: usize,
}

fn placed<M>(module: &Option<M>) -> &M {
    module
        .as_ref()
        .expect("the module is away only inside of `update`")
}

/// Which weights of a network are meant.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Weights {
    /// As the last update left them.
    Current,
    /// The moving average of them.
    Ema,
}

/// A gradient that is not a number: the update was not made.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[error("the gradient of `{network}` has the norm {norm}")]
pub struct NonFiniteGradient {
    /// Which network.
    pub network: &'static str,
    /// The norm, infinite or not a number.
    pub norm: f64,
}

/// A normalisation layer was to normalise one value per channel: its output would be its bias whatever the input,
/// and its running variance would come nearer to 0 with each such batch.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[error(
    "the normalisation `{layer}` gets one value per channel in training (its input is {shape:?}), which cannot be \
     normalised; batches of 2 images and more (`data.batch-size`, `data.drop-last = true` for a last batch of one) or \
     larger images help"
)]
pub struct OneValue {
    /// The layer's name in a state dict.
    pub layer: String,
    /// Its input, `[N, C, H, W]`.
    pub shape: [usize; 4],
}

impl OneValue {
    /// What the last forward passes of this thread left a note of, if it was about a layer of the module.
    pub fn take<M: TorchNames>(module: &M) -> Option<Self> {
        let lone = firesight_kernels::take_lone_value()?;
        let name = parameters(module)
            .into_iter()
            .find(|info| info.id == lone.scale)
            .map(|info| info.name);
        let layer = name.as_deref().map_or("of another network", |name| {
            name.strip_suffix(".weight").unwrap_or(name)
        });
        Some(Self {
            layer: layer.to_owned(),
            shape: lone.shape,
        })
    }
}

/// Why a training step was not made; no network was updated with it.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum StepError {
    /// A gradient that is not a number.
    #[error(transparent)]
    NonFiniteGradient(#[from] NonFiniteGradient),
    /// A batch that a normalisation cannot take.
    #[error(transparent)]
    OneValue(#[from] OneValue),
}

impl<M: TorchNames> Network<M> {
    /// Takes a freshly built module; its parameters are brought into being now, so that they are
    /// drawn in the order of its fields, and `device` (with autodiff) is where it is trained.
    pub fn new(name: &'static str, module: M, config: &NetworkConfig, device: &Device) -> Self {
        let optimizer = Optimizer::new(&config.optimizer, &config.groups, &module);
        Self {
            name,
            optimizer,
            clip: config.clip,
            ema: config.ema.map(|ema| Ema::new(ema, &module)),
            gathered: GradientsAccumulator::new(),
            gathered_weight: 0.0,
            gathered_count: 0,
            device: device.clone(),
            module: Some(module),
        }
    }

    /// The module that takes gradients.
    pub fn module(&self) -> &M {
        placed(&self.module)
    }

    /// An inference copy with the weights asked for; [`Weights::Ema`] falls back to the current ones
    /// where no average is kept.
    pub fn inference(&self, weights: Weights) -> M {
        match (&self.ema, weights) {
            (Some(ema), Weights::Ema) => ema.module().clone(),
            _ => self.module().valid(),
        }
    }

    /// Adds the gradient of a mean loss over `weight` samples to what is gathered for the next update.
    ///
    /// # Errors
    /// [`OneValue`]: the forward pass of the loss cannot be learned from.
    pub fn backward(&mut self, loss: Tensor<1>, weight: f64) -> Result<(), StepError> {
        if let Some(lone) = OneValue::take(self.module()) {
            return Err(lone.into());
        }
        let gradients = GradientsParams::from_grads(loss.backward(), self.module());
        self.gather(gradients, weight);
        Ok(())
    }

    /// Adds gradients of a mean over `weight` samples to what is gathered for the next update.
    pub fn gather(&mut self, gradients: GradientsParams, weight: f64) {
        let module = placed(&self.module);
        // A single batch needs no scaling; from the second on the sum is weighted by sample counts,
        // so that unequal batches average as one large batch would.
        if self.gathered_count == 1 {
            let first = self.gathered.grads();
            let scaled = map_gradients(module, first, GradientChange::Scale(self.gathered_weight));
            self.gathered.accumulate(module, scaled);
        }
        let gradients = match self.gathered_count {
            0 => gradients,
            _ => map_gradients(module, gradients, GradientChange::Scale(weight)),
        };
        self.gathered.accumulate(module, gradients);
        self.gathered_count += 1;
        self.gathered_weight += weight;
    }

    /// Updates the parameters with the gathered gradients at the given learning rate and returns the
    /// global norm of the gradient before clipping.
    ///
    /// # Errors
    /// [`NonFiniteGradient`]; the parameters are then unchanged.
    pub fn update(&mut self, rate: f64) -> Result<f64, NonFiniteGradient> {
        let module = placed(&self.module);
        let mut gradients = self.gathered.grads();
        if self.gathered_count > 1 {
            let mean = GradientChange::Scale(1.0 / self.gathered_weight);
            gradients = map_gradients(module, gradients, mean);
        }
        self.gathered_count = 0;
        self.gathered_weight = 0.0;
        let norm = gradient_norm(module, &gradients, &self.device.clone().inner());
        if !norm.is_finite() {
            return Err(NonFiniteGradient {
                network: self.name,
                norm,
            });
        }
        gradients = match self.clip {
            Some(Clip::Norm(limit)) if norm > limit => {
                // PyTorch's clip_grad_norm_: limit / (norm + 1e-6).
                map_gradients(
                    module,
                    gradients,
                    GradientChange::Scale(limit / (norm + 1e-6)),
                )
            }
            Some(Clip::Value(limit)) => {
                map_gradients(module, gradients, GradientChange::Clamp(limit))
            }
            _ => gradients,
        };
        if let Some(module) = self.module.take() {
            let module = self.optimizer.step(module, gradients, rate);
            if let Some(ema) = &mut self.ema {
                ema.update(&module);
            }
            self.module = Some(module);
        }
        Ok(norm)
    }
}

/// A network's state in plain memory, as a checkpoint stores it.
#[derive(Clone, Debug, Default)]
pub struct NetworkState {
    /// Parameters and running statistics under PyTorch's names, in its layouts.
    pub weights: StateDict,
    /// The same, averaged.
    pub ema: Option<StateDict>,
    /// How many updates are in the average.
    pub ema_updates: u64,
    /// The optimizer's tensors.
    pub optimizer: BTreeMap<String, TensorData>,
    /// The optimizer's numbers, such as Adam's step count.
    pub scalars: BTreeMap<String, StateScalar>,
}

/// A number of an optimizer's state.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum StateScalar {
    /// A signed integer.
    Int(i64),
    /// An unsigned integer.
    Uint(u64),
    /// A float.
    Float(f64),
    /// A truth value.
    Bool(bool),
}

impl From<Scalar> for StateScalar {
    fn from(scalar: Scalar) -> Self {
        match scalar {
            Scalar::Int(value) => Self::Int(value),
            Scalar::UInt(value) => Self::Uint(value),
            Scalar::Float(value) => Self::Float(value),
            Scalar::Bool(value) => Self::Bool(value),
        }
    }
}

impl From<StateScalar> for Scalar {
    fn from(scalar: StateScalar) -> Self {
        match scalar {
            StateScalar::Int(value) => Self::Int(value),
            StateScalar::Uint(value) => Self::UInt(value),
            StateScalar::Float(value) => Self::Float(value),
            StateScalar::Bool(value) => Self::Bool(value),
        }
    }
}

/// What the engine needs of a network, whatever its module is.
pub trait TrainedNetwork {
    /// Its name among the task's networks: `model`, `generator`, `discriminator`.
    fn name(&self) -> &'static str;
    /// Number of trainable parameters.
    fn trainable_parameters(&self) -> usize;
    /// Whether an average of the weights is kept.
    fn has_ema(&self) -> bool;
    /// A copy of the whole state.
    fn state(&self) -> NetworkState;
    /// Puts a state back.
    ///
    /// # Errors
    /// What does not fit: the tensor, and in which part.
    fn load_state(&mut self, state: NetworkState) -> Result<(), String>;
}

impl<M: TorchNames> TrainedNetwork for Network<M> {
    fn name(&self) -> &'static str {
        self.name
    }

    fn trainable_parameters(&self) -> usize {
        trainable(self.module())
            .iter()
            .map(|p| p.shape.iter().product::<usize>())
            .sum()
    }

    fn has_ema(&self) -> bool {
        self.ema.is_some()
    }

    fn state(&self) -> NetworkState {
        let (optimizer, scalars) = self.optimizer.state();
        NetworkState {
            weights: state_dict(self.module()),
            ema: self.ema.as_ref().map(|ema| state_dict(ema.module())),
            ema_updates: self.ema.as_ref().map_or(0, Ema::updates),
            optimizer: optimizer.into_iter().collect(),
            scalars: scalars
                .into_iter()
                .map(|(name, value)| (name, value.into()))
                .collect(),
        }
    }

    fn load_state(&mut self, state: NetworkState) -> Result<(), String> {
        let module = load_state_dict(self.module().clone(), &state.weights)
            .map_err(|error| format!("weights: {error}"))?;
        match (&mut self.ema, state.ema) {
            (Some(ema), Some(stored)) => {
                let shadow = load_state_dict(ema.module().clone(), &stored)
                    .map_err(|error| format!("averaged weights: {error}"))?;
                ema.restore(shadow, state.ema_updates);
            }
            (None, None) => {}
            (Some(_), None) => return Err("averaged weights: the checkpoint has none".into()),
            (None, Some(_)) => return Err("averaged weights: the recipe keeps none".into()),
        }
        let scalars = state
            .scalars
            .into_iter()
            .map(|(name, value)| (name, value.into()))
            .collect();
        self.optimizer
            .load_state(
                &module,
                &self.device,
                state.optimizer.into_iter().collect(),
                scalars,
            )
            .map_err(|name| format!("optimizer: the state of `{name}` cannot be restored"))?;
        self.module = Some(module);
        Ok(())
    }
}
