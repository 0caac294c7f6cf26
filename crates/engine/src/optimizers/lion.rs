//! Lion: the sign of an interpolated momentum (Chen et al. 2023).

use std::sync::Arc;

use burn::optim::{DynOptimizer, LionConfig as BurnLion};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::Rule;
use crate::problems::Problems;

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

impl Rule for LionConfig {
    fn rule(&self, _: usize, decay: f64) -> Arc<dyn DynOptimizer> {
        Arc::new(
            BurnLion::new()
                .with_beta_1(self.betas[0] as f32)
                .with_beta_2(self.betas[1] as f32)
                .with_weight_decay(decay as f32)
                .build(),
        )
    }

    fn problems(&self, problems: &mut Problems) {
        problems.betas(self.betas);
    }
}
