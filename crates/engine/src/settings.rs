//! Settings of the loop: clipping, averaging, evaluation, early stopping, checkpoints.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Gradient clipping.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub enum Clip {
    /// Scales all gradients together so that their global Euclidean norm stays within the limit
    /// (PyTorch's `clip_grad_norm_`).
    Norm(f64),
    /// Limits each element to `-limit..=limit` (PyTorch's `clip_grad_value_`).
    Value(f64),
}

/// A moving average of the weights.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields, default)]
pub struct EmaConfig {
    /// The share of the average that stays at each step, 0 to below 1.
    pub decay: f64,
    /// Lets the decay grow from 0.1 with the number of updates, so that the first weights are soon
    /// forgotten: `min(decay, (1 + n) / (10 + n))`.
    pub warm_up: bool,
}

impl Default for EmaConfig {
    fn default() -> Self {
        Self {
            decay: 0.999,
            warm_up: true,
        }
    }
}

/// When the model is evaluated on the validation split.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields, default)]
pub struct EvaluateConfig {
    /// Every so many epochs, and after the last; 0 for never.
    pub every_epochs: u64,
    /// Every so many optimizer steps as well.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub every_steps: Option<u64>,
    /// Images per batch; the training batch's size if not given.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub batch_size: Option<usize>,
}

impl Default for EvaluateConfig {
    fn default() -> Self {
        Self {
            every_epochs: 1,
            every_steps: None,
            batch_size: None,
        }
    }
}

/// Whether a metric is good when it is large or when it is small.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Goal {
    /// Larger is better.
    Max,
    /// Smaller is better.
    Min,
}

impl Goal {
    /// Whether `new` is at least as good as `old`; a value that is not a number never is.
    pub fn reached(self, new: f64, old: Option<f64>) -> bool {
        new.is_finite()
            && old.is_none_or(|old| match self {
                Self::Max => new >= old,
                Self::Min => new <= old,
            })
    }
}

/// Ends the run when the validation score has stopped rising. An evaluation in which the score is undefined counts for
/// nothing.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields, default)]
pub struct EarlyStopping {
    /// Evaluations without a gain of the `checkpoint.best` metric that are borne; the run ends at the next one. (Keras and
    /// Lightning end at that many: `patience = 9` here is their 10.)
    pub patience: u64,
    /// A gain is a score better by more than this than the score of the last gain, as with Keras and Lightning: what is
    /// less leaves that reference where it is, so that small steps add up. 0 or more.
    pub min_delta: f64,
}

impl Default for EarlyStopping {
    fn default() -> Self {
        Self {
            patience: 10,
            min_delta: 0.0,
        }
    }
}

/// The metric that names the best checkpoint.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields, default)]
pub struct Best {
    /// A metric that an evaluation of the task gives: any that `eval` prints, `class_iou.<name>` among them; the task's main
    /// one if not given.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub metric: Option<String>,
    /// Whether large or small is good; as is usual for the metric if not given.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub goal: Option<Goal>,
}

/// When checkpoints are written and which are kept.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields, default)]
pub struct CheckpointConfig {
    /// Every so many epochs, and after the last; 0 for the last alone.
    pub every_epochs: u64,
    /// Every so many optimizer steps as well.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub every_steps: Option<u64>,
    /// How many of the newest are kept beside the best.
    pub keep: usize,
    /// Which metric names the best one.
    pub best: Best,
}

impl Default for CheckpointConfig {
    fn default() -> Self {
        Self {
            every_epochs: 1,
            every_steps: None,
            keep: 2,
            best: Best::default(),
        }
    }
}
