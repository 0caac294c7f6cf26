//! Adam (Kingma and Ba 2015); one pass over the weights.

use std::sync::Arc;

use burn::optim::DynOptimizer;
use firesight_kernels::optim::Adam;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::Rule;
use crate::problems::Problems;

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

impl Rule for AdamConfig {
    fn rule(&self, _: usize, decay: f64) -> Arc<dyn DynOptimizer> {
        Arc::new(Adam {
            beta_1: self.betas[0],
            beta_2: self.betas[1],
            epsilon: self.epsilon,
            weight_decay: decay,
        })
    }

    fn problems(&self, problems: &mut Problems) {
        problems.betas(self.betas);
        problems.epsilon(self.epsilon);
    }
}
