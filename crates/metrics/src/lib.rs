//! Computer-vision metrics: plain numbers in, plain numbers out.
//!
//! No tensor library is needed here, so that each metric can be checked against its reference tool and used by
//! any program. Counts are integers, sums are `f64`, and a metric that is undefined is `None`, never NaN.
#![warn(missing_docs)]

mod boundary;
mod calibration;
mod confusion;
pub mod detection;
mod error;
pub mod generation;
mod mean;
mod top_k;

#[cfg(test)]
mod testing;

pub use boundary::BoundaryF1;
pub use calibration::{CalibrationError, log_loss, softmax};
pub use confusion::{ClassScores, ConfusionMatrix};
pub use error::MetricError;
pub use mean::Mean;
pub use top_k::TopK;
