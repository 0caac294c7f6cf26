//! Kernel functions over Burn's own modules: the one door through which models reach convolution,
//! normalisation and pooling.
//!
//! Each function takes a module of Burn and a tensor, `conv2d(&conv, x)`, so records, state-dict
//! adapters and Burn's `Learner` see nothing of this crate. Where a fast path exists for the tensor's
//! device it is taken; everywhere else the function *is* Burn's operator. A model is written once
//! against these functions and runs on every backend.
#![warn(missing_docs)]

mod activation;
mod conv;
#[cfg(feature = "flex")]
#[doc(hidden)]
pub mod fast;
mod linear;
mod mode;
mod norm;
#[cfg(feature = "flex")]
mod padding;
mod pool;

#[cfg(feature = "optim")]
pub mod optim;

pub use activation::{Activation, activation};
pub use conv::{conv_transpose2d, conv2d, conv2d_norm_act};
pub use linear::linear;
pub use mode::{Mode, mode, set_mode};
pub use norm::{batch_norm, batch_norm_act, batch_norm_add_act};
pub use pool::{adaptive_avg_pool2d, avg_pool2d, max_pool2d};
