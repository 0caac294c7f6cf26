//! The optimizers under PyTorch's names, with PyTorch's constants and defaults.
//!
//! Burn's own defaults differ (epsilon, dampening, RMSProp's momentum), so every field is set.

use std::sync::Arc;

use burn::optim::decay::WeightDecayConfig;
use burn::optim::momentum::MomentumConfig;
use burn::optim::{
    AdaGradConfig, DynOptimizer, LambConfig, LionConfig as BurnLion, MuonConfig as BurnMuon,
    RmsPropConfig as BurnRmsProp,
};
use firesight_kernels::optim::{Adam, AdamW, Sgd};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// How the weights are updated.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub enum OptimizerConfig {
    /// Stochastic gradient descent, with momentum or without.
    Sgd(SgdConfig),
    /// Adam; weight decay is added to the gradient.
    Adam(AdamConfig),
    /// Adam with decoupled weight decay.
    Adamw(AdamwConfig),
    /// RMSProp.
    Rmsprop(RmspropConfig),
    /// LAMB, for large batches.
    Lamb(AdamwConfig),
    /// Lion: the sign of an interpolated momentum.
    Lion(LionConfig),
    /// Adagrad.
    Adagrad(AdagradConfig),
    /// Muon for matrices, AdamW at the same rate for everything else.
    Muon(MuonConfig),
}

/// Stochastic gradient descent (`torch.optim.SGD`).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields, default)]
pub struct SgdConfig {
    /// The base learning rate.
    pub learning_rate: f64,
    /// Share of the last update's direction that stays, 0 to below 1.
    pub momentum: f64,
    /// Share of the gradient that is left out of the momentum, 0 to 1.
    pub dampening: f64,
    /// Looks ahead along the momentum; needs `momentum` above 0 and `dampening` 0.
    pub nesterov: bool,
    /// L2 penalty, added to the gradient.
    pub weight_decay: f64,
    /// Whether weight decay also acts on biases and normalisation layers.
    pub decay_norm_and_bias: bool,
}

impl Default for SgdConfig {
    fn default() -> Self {
        Self {
            learning_rate: 1e-3,
            momentum: 0.0,
            dampening: 0.0,
            nesterov: false,
            weight_decay: 0.0,
            decay_norm_and_bias: true,
        }
    }
}

/// Adam (`torch.optim.Adam`).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields, default)]
pub struct AdamConfig {
    /// The base learning rate.
    pub learning_rate: f64,
    /// Decay of the running means of the gradient and of its square.
    pub betas: [f64; 2],
    /// Added to the denominator.
    pub epsilon: f64,
    /// L2 penalty, added to the gradient.
    pub weight_decay: f64,
    /// Whether weight decay also acts on biases and normalisation layers.
    pub decay_norm_and_bias: bool,
}

impl Default for AdamConfig {
    fn default() -> Self {
        Self {
            learning_rate: 1e-3,
            betas: [0.9, 0.999],
            epsilon: 1e-8,
            weight_decay: 0.0,
            decay_norm_and_bias: true,
        }
    }
}

/// Adam with decoupled weight decay (`torch.optim.AdamW`); LAMB takes the same keys.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields, default)]
pub struct AdamwConfig {
    /// The base learning rate.
    pub learning_rate: f64,
    /// Decay of the running means of the gradient and of its square.
    pub betas: [f64; 2],
    /// Added to the denominator.
    pub epsilon: f64,
    /// Share of each weight that is taken away per step, times the learning rate.
    pub weight_decay: f64,
    /// Whether weight decay also acts on biases and normalisation layers.
    pub decay_norm_and_bias: bool,
}

impl Default for AdamwConfig {
    fn default() -> Self {
        Self {
            learning_rate: 1e-3,
            betas: [0.9, 0.999],
            epsilon: 1e-8,
            weight_decay: 1e-2,
            decay_norm_and_bias: true,
        }
    }
}

/// RMSProp (`torch.optim.RMSprop`).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields, default)]
pub struct RmspropConfig {
    /// The base learning rate.
    pub learning_rate: f64,
    /// Decay of the running mean of the squared gradient.
    pub alpha: f64,
    /// Share of the last update that stays.
    pub momentum: f64,
    /// Subtracts the squared mean of the gradient from the mean of its square.
    pub centered: bool,
    /// Added to the denominator.
    pub epsilon: f64,
    /// L2 penalty, added to the gradient.
    pub weight_decay: f64,
    /// Whether weight decay also acts on biases and normalisation layers.
    pub decay_norm_and_bias: bool,
}

impl Default for RmspropConfig {
    fn default() -> Self {
        Self {
            learning_rate: 1e-2,
            alpha: 0.99,
            momentum: 0.0,
            centered: false,
            epsilon: 1e-8,
            weight_decay: 0.0,
            decay_norm_and_bias: true,
        }
    }
}

/// Lion (Chen et al., 2023, Algorithm 2).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields, default)]
pub struct LionConfig {
    /// The base learning rate; about a tenth of AdamW's.
    pub learning_rate: f64,
    /// Weight of the momentum in the update, and its decay.
    pub betas: [f64; 2],
    /// Share of each weight that is taken away per step, times the learning rate.
    pub weight_decay: f64,
    /// Whether weight decay also acts on biases and normalisation layers.
    pub decay_norm_and_bias: bool,
}

impl Default for LionConfig {
    fn default() -> Self {
        Self {
            learning_rate: 1e-4,
            betas: [0.9, 0.99],
            weight_decay: 0.0,
            decay_norm_and_bias: true,
        }
    }
}

/// Adagrad (`torch.optim.Adagrad`).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields, default)]
pub struct AdagradConfig {
    /// The base learning rate.
    pub learning_rate: f64,
    /// The rate falls as `1 / (1 + step * decay)`.
    pub learning_rate_decay: f64,
    /// Added to the denominator.
    pub epsilon: f64,
    /// L2 penalty, added to the gradient.
    pub weight_decay: f64,
    /// Whether weight decay also acts on biases and normalisation layers.
    pub decay_norm_and_bias: bool,
}

impl Default for AdagradConfig {
    fn default() -> Self {
        Self {
            learning_rate: 1e-2,
            learning_rate_decay: 0.0,
            epsilon: 1e-10,
            weight_decay: 0.0,
            decay_norm_and_bias: true,
        }
    }
}

/// Muon (`torch.optim.Muon`): orthogonalised momentum for matrices, AdamW for every other tensor.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields, default)]
pub struct MuonConfig {
    /// The base learning rate.
    pub learning_rate: f64,
    /// Share of the momentum that stays.
    pub momentum: f64,
    /// Looks ahead along the momentum.
    pub nesterov: bool,
    /// Newton-Schulz iterations of the orthogonalisation.
    pub steps: usize,
    /// Share of each weight that is taken away per step, times the learning rate.
    pub weight_decay: f64,
    /// Whether weight decay also acts on biases and normalisation layers.
    pub decay_norm_and_bias: bool,
}

impl Default for MuonConfig {
    fn default() -> Self {
        Self {
            learning_rate: 1e-3,
            momentum: 0.95,
            nesterov: true,
            steps: 5,
            weight_decay: 0.1,
            decay_norm_and_bias: true,
        }
    }
}

/// Parameters that are updated differently.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct ParameterGroup {
    /// A regular expression that is found in the parameter's name, for example `^layer1\.`.
    pub pattern: String,
    /// Multiplies the learning rate for these parameters; with 0 they stand still and count as not training.
    #[serde(default = "unchanged")]
    pub rate_factor: f64,
    /// Their weight decay; the optimizer's if not given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub weight_decay: Option<f64>,
}

fn unchanged() -> f64 {
    1.0
}

impl OptimizerConfig {
    /// SGD with momentum 0.9 at a learning rate.
    pub fn sgd(learning_rate: f64) -> Self {
        Self::Sgd(SgdConfig {
            learning_rate,
            momentum: 0.9,
            ..SgdConfig::default()
        })
    }

    /// Adam at a learning rate.
    pub fn adam(learning_rate: f64) -> Self {
        Self::Adam(AdamConfig {
            learning_rate,
            ..AdamConfig::default()
        })
    }

    /// The name in the recipe.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Sgd(_) => "sgd",
            Self::Adam(_) => "adam",
            Self::Adamw(_) => "adamw",
            Self::Rmsprop(_) => "rmsprop",
            Self::Lamb(_) => "lamb",
            Self::Lion(_) => "lion",
            Self::Adagrad(_) => "adagrad",
            Self::Muon(_) => "muon",
        }
    }

    /// The base learning rate.
    pub fn learning_rate(&self) -> f64 {
        match self {
            Self::Sgd(c) => c.learning_rate,
            Self::Adam(c) => c.learning_rate,
            Self::Adamw(c) | Self::Lamb(c) => c.learning_rate,
            Self::Rmsprop(c) => c.learning_rate,
            Self::Lion(c) => c.learning_rate,
            Self::Adagrad(c) => c.learning_rate,
            Self::Muon(c) => c.learning_rate,
        }
    }

    /// The weight decay.
    pub fn weight_decay(&self) -> f64 {
        match self {
            Self::Sgd(c) => c.weight_decay,
            Self::Adam(c) => c.weight_decay,
            Self::Adamw(c) | Self::Lamb(c) => c.weight_decay,
            Self::Rmsprop(c) => c.weight_decay,
            Self::Lion(c) => c.weight_decay,
            Self::Adagrad(c) => c.weight_decay,
            Self::Muon(c) => c.weight_decay,
        }
    }

    /// Whether weight decay also acts on biases and normalisation layers.
    pub fn decays_norm_and_bias(&self) -> bool {
        match self {
            Self::Sgd(c) => c.decay_norm_and_bias,
            Self::Adam(c) => c.decay_norm_and_bias,
            Self::Adamw(c) | Self::Lamb(c) => c.decay_norm_and_bias,
            Self::Rmsprop(c) => c.decay_norm_and_bias,
            Self::Lion(c) => c.decay_norm_and_bias,
            Self::Adagrad(c) => c.decay_norm_and_bias,
            Self::Muon(c) => c.decay_norm_and_bias,
        }
    }

    /// The update rule for parameters of the given rank, with another weight decay if one is given.
    pub fn rule(&self, rank: usize, weight_decay: Option<f64>) -> Arc<dyn DynOptimizer> {
        let decay = weight_decay.unwrap_or(self.weight_decay());
        // Burn takes an absent decay for none; a decay of zero would cost a pass over the weights.
        let l2 = (decay != 0.0).then(|| WeightDecayConfig::new(decay as f32));
        match self {
            Self::Sgd(c) => Arc::new(Sgd {
                momentum: c.momentum,
                dampening: c.dampening,
                nesterov: c.nesterov,
                weight_decay: decay,
            }),
            Self::Adam(c) => Arc::new(Adam {
                beta_1: c.betas[0],
                beta_2: c.betas[1],
                epsilon: c.epsilon,
                weight_decay: decay,
            }),
            Self::Adamw(c) => Arc::new(adamw(c.betas, c.epsilon, decay)),
            Self::Lamb(c) => Arc::new(
                LambConfig::new()
                    .with_beta_1(c.betas[0] as f32)
                    .with_beta_2(c.betas[1] as f32)
                    .with_epsilon(c.epsilon as f32)
                    .with_weight_decay(decay as f32)
                    .build(),
            ),
            Self::Rmsprop(c) => Arc::new(
                BurnRmsProp::new()
                    .with_alpha(c.alpha as f32)
                    .with_momentum(c.momentum as f32)
                    .with_centered(c.centered)
                    .with_epsilon(c.epsilon as f32)
                    .with_weight_decay(l2)
                    .build(),
            ),
            Self::Lion(c) => Arc::new(
                BurnLion::new()
                    .with_beta_1(c.betas[0] as f32)
                    .with_beta_2(c.betas[1] as f32)
                    .with_weight_decay(decay as f32)
                    .build(),
            ),
            Self::Adagrad(c) => Arc::new(
                AdaGradConfig::new()
                    .with_lr_decay(c.learning_rate_decay)
                    .with_epsilon(c.epsilon as f32)
                    .with_weight_decay(l2)
                    .build(),
            ),
            Self::Muon(c) if rank == 2 => {
                let momentum = MomentumConfig {
                    momentum: c.momentum,
                    dampening: 0.0,
                    nesterov: c.nesterov,
                };
                Arc::new(
                    BurnMuon::new()
                        .with_momentum(momentum)
                        .with_ns_steps(c.steps)
                        .with_weight_decay(l2)
                        .build(),
                )
            }
            Self::Muon(_) => Arc::new(adamw([0.9, 0.999], 1e-8, decay)),
        }
    }
}

fn adamw(betas: [f64; 2], epsilon: f64, decay: f64) -> AdamW {
    AdamW {
        beta_1: betas[0],
        beta_2: betas[1],
        epsilon,
        weight_decay: decay,
    }
}
