//! Kernel functions over Burn's own modules: the one door through which models reach convolution,
//! normalisation and pooling.
//!
//! Each function takes a module of Burn and a tensor, `conv2d(&conv, x)`, so records, state-dict
//! adapters and Burn's `Learner` see nothing of this crate. Where a fast path exists for the tensor's
//! device it is taken; everywhere else the function *is* Burn's operator. A model is written once
//! against these functions and runs on every backend.
//!
//! ```
//! use burn::nn::PaddingConfig2d;
//! use burn::nn::conv::Conv2dConfig;
//! use burn::tensor::{Device, Tensor};
//! use firesight_kernels::conv2d;
//!
//! let device = Device::default();
//! let conv = Conv2dConfig::new([3, 8], [3, 3])
//!     .with_padding(PaddingConfig2d::Explicit(1, 1, 1, 1))
//!     .init(&device);
//! let x = Tensor::<4>::ones([2, 3, 16, 16], &device);
//! let difference = conv2d(&conv, x.clone()) - conv.forward(x); // the fast path against Burn's operator
//! assert!(difference.abs().max().into_scalar::<f32>() < 1e-5);
//! ```
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
pub use norm::{
    LoneValue, batch_norm, batch_norm_act, batch_norm_add_act, group_norm, take_lone_value,
};
pub use pool::{adaptive_avg_pool2d, avg_pool2d, max_pool2d};
