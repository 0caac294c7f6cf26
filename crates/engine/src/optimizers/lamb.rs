//! LAMB, for large batches (You et al. 2020).

use std::sync::Arc;

use burn::optim::{DynOptimizer, LambConfig as BurnLamb};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::Rule;
use crate::problems::Problems;

/// LAMB (You et al. 2020): AdamW whose step is as long as the weights of each tensor are large.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields, default)]
pub struct LambConfig {
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

impl Default for LambConfig {
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

impl Rule for LambConfig {
    fn rule(&self, _: usize, decay: f64) -> Arc<dyn DynOptimizer> {
        Arc::new(
            BurnLamb::new()
                .with_beta_1(self.betas[0] as f32)
                .with_beta_2(self.betas[1] as f32)
                .with_epsilon(self.epsilon as f32)
                .with_weight_decay(decay as f32)
                .build(),
        )
    }

    fn problems(&self, problems: &mut Problems) {
        problems.betas(self.betas);
        problems.epsilon(self.epsilon);
    }
}
