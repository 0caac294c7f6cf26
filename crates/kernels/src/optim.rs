//! Optimizers with PyTorch's definitions and defaults, as Burn [`Optimizer`]s.
//!
//! Burn 0.22.1's own differ in what they compute or in their defaults (momentum dampening of 0.1, Adam
//! epsilon of 1e-5, AdamW decay of 1e-4) and are chains of tensor operators. These are one pass over
//! parameter, gradient and state on Flex, in place where a buffer has no other owner, and the same
//! arithmetic as tensor operators elsewhere.
//!
//! [`Optimizer`]: burn::optim::Optimizer
//!
//! ```
//! use burn::optim::Optimizer;
//! use burn::tensor::{Device, Tensor};
//! use firesight_kernels::optim::Sgd;
//!
//! let device = Device::default();
//! let sgd = Sgd { momentum: 0.9, ..Default::default() };
//! let (parameter, gradient) = (Tensor::<1>::ones([2], &device), Tensor::<1>::ones([2], &device));
//! let (parameter, state) = sgd.step(0.1, parameter, gradient.clone(), None); // 1 - 0.1
//! let (parameter, _) = sgd.step(0.1, parameter, gradient, state); // 0.9 - 0.1 * (0.9 + 1)
//! assert!((parameter.try_into_vec_as::<f32>().unwrap()[0] - 0.71).abs() < 1e-6);
//! ```

mod adam;
#[cfg(feature = "flex")]
mod fast;
mod sgd;
mod step;

pub use adam::{Adam, AdamState, AdamW};
pub use sgd::{Sgd, SgdState};
