//! Adam with decoupled weight decay (Loshchilov and Hutter 2019); one pass over the weights.

use std::sync::Arc;

use burn::optim::DynOptimizer;
use firesight_kernels::optim::AdamW;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::Rule;
use crate::problems::Problems;

/// Adam with decoupled weight decay (`torch.optim.AdamW`).
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

impl Rule for AdamwConfig {
    fn rule(&self, _: usize, decay: f64) -> Arc<dyn DynOptimizer> {
        Arc::new(adamw(self.betas, self.epsilon, decay))
    }

    fn problems(&self, problems: &mut Problems) {
        problems.betas(self.betas);
        problems.epsilon(self.epsilon);
    }
}

/// The rule with these constants.
pub(super) fn adamw(betas: [f64; 2], epsilon: f64, decay: f64) -> AdamW {
    AdamW {
        beta_1: betas[0],
        beta_2: betas[1],
        epsilon,
        weight_decay: decay,
    }
}
