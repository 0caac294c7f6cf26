//! Adagrad (Duchi et al. 2011).

use std::sync::Arc;

use burn::optim::{AdaGradConfig, DynOptimizer};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Rule, l2};
use crate::problems::Problems;

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

impl Rule for AdagradConfig {
    fn rule(&self, _: usize, decay: f64) -> Arc<dyn DynOptimizer> {
        Arc::new(
            AdaGradConfig::new()
                .with_lr_decay(self.learning_rate_decay)
                .with_epsilon(self.epsilon as f32)
                .with_weight_decay(l2(decay))
                .build(),
        )
    }

    fn problems(&self, problems: &mut Problems) {
        problems.within("learning-rate-decay", self.learning_rate_decay, [0.0, 1e3]);
        problems.epsilon(self.epsilon);
    }
}
