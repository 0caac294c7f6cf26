//! The optimizers under PyTorch's names, with PyTorch's constants and defaults. Each is one file: its table of the recipe, its
//! [`Rule`]. Adding one is a file and a line of the list below.
//!
//! Burn's own defaults differ (epsilon, dampening, RMSProp's momentum), so every field is set.

use std::sync::Arc;

use burn::optim::DynOptimizer;
use burn::optim::decay::WeightDecayConfig;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::problems::Problems;

/// The list of the optimizers: from a line each follow the table of the recipe, its name, its checks and its rule. Every
/// table has the keys `learning-rate`, `weight-decay` and `decay-norm-and-bias`.
macro_rules! optimizers {
    ($($(#[$about:meta])* $name:literal $variant:ident = $module:ident::$config:ident;)*) => {
        $(mod $module; pub use $module::$config;)*

        /// How the weights are updated.
        #[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
        #[serde(rename_all = "kebab-case", deny_unknown_fields)]
        pub enum OptimizerConfig {
            $($(#[$about])* #[serde(rename = $name)] $variant($config),)*
        }

        impl OptimizerConfig {
            /// The names in the recipe.
            pub const NAMES: &[&str] = &[$($name),*];

            /// The name in the recipe.
            pub fn name(&self) -> &'static str {
                match self { $(Self::$variant(_) => $name,)* }
            }

            /// The base learning rate.
            pub fn learning_rate(&self) -> f64 {
                match self { $(Self::$variant(config) => config.learning_rate,)* }
            }

            /// The weight decay.
            pub fn weight_decay(&self) -> f64 {
                match self { $(Self::$variant(config) => config.weight_decay,)* }
            }

            /// Whether weight decay also acts on biases and normalization layers.
            pub fn decays_norm_and_bias(&self) -> bool {
                match self { $(Self::$variant(config) => config.decay_norm_and_bias,)* }
            }

            fn own(&self) -> &dyn Rule {
                match self { $(Self::$variant(config) => config,)* }
            }
        }
    };
}

optimizers! {
    /// Stochastic gradient descent, with momentum or without.
    "sgd" Sgd = sgd::SgdConfig;
    /// Adam; weight decay is added to the gradient.
    "adam" Adam = adam::AdamConfig;
    /// Adam with decoupled weight decay.
    "adamw" Adamw = adamw::AdamwConfig;
    /// RMSProp.
    "rmsprop" Rmsprop = rmsprop::RmspropConfig;
    /// LAMB, for large batches.
    "lamb" Lamb = lamb::LambConfig;
    /// Lion: the sign of an interpolated momentum.
    "lion" Lion = lion::LionConfig;
    /// Adagrad.
    "adagrad" Adagrad = adagrad::AdagradConfig;
    /// Muon for matrices, AdamW at the same rate for everything else.
    "muon" Muon = muon::MuonConfig;
}

/// What an optimizer's table says.
pub trait Rule {
    /// The update rule for parameters of the given rank.
    fn rule(&self, rank: usize, decay: f64) -> Arc<dyn DynOptimizer>;

    /// What is wrong with its own settings.
    fn problems(&self, problems: &mut Problems);
}

/// Burn takes an absent decay for none; a decay of zero would cost a pass over the weights.
fn l2(decay: f64) -> Option<WeightDecayConfig> {
    (decay != 0.0).then(|| WeightDecayConfig::new(decay as f32))
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

    /// The update rule for parameters of the given rank, with another weight decay if one is given.
    pub fn rule(&self, rank: usize, weight_decay: Option<f64>) -> Arc<dyn DynOptimizer> {
        let decay = weight_decay.unwrap_or(self.weight_decay());
        self.own().rule(rank, decay)
    }

    /// What is wrong with the settings.
    pub fn problems(&self) -> Problems {
        let mut problems = Problems::default();
        let rate = self.learning_rate();
        if !(rate > 0.0 && rate <= 1e4) {
            let message = format!("{rate} is not above 0 and at most 10000");
            problems.add("learning-rate", message, Some("0.1 and 0.001 are usual"));
        }
        problems.within("weight-decay", self.weight_decay(), WEIGHT_DECAY);
        self.own().problems(&mut problems);
        problems
    }
}

/// The range of a weight decay.
pub const WEIGHT_DECAY: [f64; 2] = [0.0, 1e3];

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
