//! Computer-vision metrics: plain numbers in, plain numbers out.
//!
//! No tensor library is needed here, so that each metric can be checked against its reference tool and used by
//! any program. Counts are integers, sums are `f64`, and a metric that is undefined is `None`, never NaN.
//!
//! ```
//! use firesight_metrics::{ConfusionMatrix, TopK};
//!
//! let mut top = TopK::new(&[1, 2]);
//! top.add(&[0.1, 0.7, 0.2, 0.5, 0.3, 0.2], 3, &[1, 1])?;
//! assert_eq!((top.accuracy(1), top.accuracy(2)), (Some(0.5), Some(1.0)));
//!
//! let mut confusion = ConfusionMatrix::new(2);
//! confusion.add(&[0, 0, 1, 255], &[0, 1, 1, 0], Some(255))?;
//! assert_eq!(confusion.mean_iou(), Some(0.5));
//! # Ok::<(), firesight_metrics::MetricError>(())
//! ```
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
pub use calibration::{CalibrationError, log_loss};
pub use confusion::{ClassScores, ConfusionMatrix};
pub use error::MetricError;
pub use mean::Mean;
pub use top_k::TopK;
