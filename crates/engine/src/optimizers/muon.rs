//! Muon for matrices, AdamW at the same rate for everything else.

use std::sync::Arc;

use burn::optim::momentum::MomentumConfig;
use burn::optim::{DynOptimizer, MuonConfig as BurnMuon};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::adamw::adamw;
use super::{Rule, l2};
use crate::problems::Problems;

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

impl Rule for MuonConfig {
    fn rule(&self, rank: usize, decay: f64) -> Arc<dyn DynOptimizer> {
        if rank != 2 {
            return Arc::new(adamw([0.9, 0.999], 1e-8, decay));
        }
        let momentum = MomentumConfig {
            momentum: self.momentum,
            dampening: 0.0,
            nesterov: self.nesterov,
        };
        Arc::new(
            BurnMuon::new()
                .with_momentum(momentum)
                .with_ns_steps(self.steps)
                .with_weight_decay(l2(decay))
                .build(),
        )
    }

    fn problems(&self, problems: &mut Problems) {
        problems.share("momentum", self.momentum);
        problems.whole("steps", self.steps, [1, 100], None);
    }
}
