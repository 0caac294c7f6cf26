//! Why a run failed.

use std::path::PathBuf;

use firesight_data::DataError;

use crate::checkpoint::CheckpointError;
use crate::network::{NonFiniteGradient, OneValue};
use crate::task::BoxError;

/// Why a run failed.
#[derive(Debug, thiserror::Error)]
pub enum EngineError {
    /// The loss is infinite or not a number.
    #[error(
        "step {step}: the {part} is {value} at a learning rate of {rate}; nothing of this step was \
         saved. A lower learning rate, a warm-up or `clip = {{ norm = 1.0 }}` often helps"
    )]
    NonFiniteLoss {
        /// The optimizer step, from 1.
        step: u64,
        /// The loss or which part of it.
        part: String,
        /// Its value.
        value: f64,
        /// The learning rate of the step.
        rate: f64,
    },
    /// A gradient is infinite or not a number.
    #[error(
        "step {step}: {source} at a learning rate of {rate}; the weights were not changed. \
         A lower learning rate or a warm-up often helps"
    )]
    NonFiniteGradient {
        /// The optimizer step, from 1.
        step: u64,
        /// The learning rate of the step.
        rate: f64,
        /// Which network, which norm.
        source: NonFiniteGradient,
    },
    /// A batch that a normalisation layer cannot take.
    #[error("step {step}: {source}")]
    OneValue {
        /// The optimizer step, from 1.
        step: u64,
        /// Which layer.
        source: OneValue,
    },
    /// An image could not be had.
    #[error(transparent)]
    Data(#[from] DataError),
    /// A checkpoint could not be written or read.
    #[error(transparent)]
    Checkpoint(#[from] CheckpointError),
    /// A checkpoint does not fit the model.
    #[error("{path}: network `{network}`: {reason}", path = path.display())]
    Mismatch {
        /// The checkpoint.
        path: PathBuf,
        /// Which network.
        network: String,
        /// What does not fit.
        reason: String,
    },
    /// A sink or a task could not do its part: what happened could not be shown or written.
    #[error("{}", chain(.0.as_ref()))]
    Outside(BoxError),
}

/// An error with its causes.
fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text = format!("{text}: {error}");
        cause = error.source();
    }
    text
}
