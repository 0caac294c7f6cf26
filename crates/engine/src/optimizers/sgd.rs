//! Stochastic gradient descent, with momentum or without; one pass over the weights.

use std::sync::Arc;

use burn::optim::DynOptimizer;
use firesight_kernels::optim::Sgd;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::Rule;
use crate::problems::Problems;

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

impl Rule for SgdConfig {
    fn rule(&self, _: usize, decay: f64) -> Arc<dyn DynOptimizer> {
        Arc::new(Sgd {
            momentum: self.momentum,
            dampening: self.dampening,
            nesterov: self.nesterov,
            weight_decay: decay,
        })
    }

    fn problems(&self, problems: &mut Problems) {
        problems.share("momentum", self.momentum);
        problems.within("dampening", self.dampening, [0.0, 1.0]);
        if self.nesterov && (self.momentum == 0.0 || self.dampening != 0.0) {
            problems.add(
                "nesterov",
                "Nesterov's look-ahead needs `momentum` above 0 and `dampening` 0",
                Some("set `momentum = 0.9`"),
            );
        }
    }
}
