//! RMSProp.

use std::sync::Arc;

use burn::optim::{DynOptimizer, RmsPropConfig};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Rule, l2};
use crate::problems::Problems;

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

impl Rule for RmspropConfig {
    fn rule(&self, _: usize, decay: f64) -> Arc<dyn DynOptimizer> {
        Arc::new(
            RmsPropConfig::new()
                .with_alpha(self.alpha as f32)
                .with_momentum(self.momentum as f32)
                .with_centered(self.centered)
                .with_epsilon(self.epsilon as f32)
                .with_weight_decay(l2(decay))
                .build(),
        )
    }

    fn problems(&self, problems: &mut Problems) {
        problems.share("alpha", self.alpha);
        problems.share("momentum", self.momentum);
        problems.epsilon(self.epsilon);
    }
}
