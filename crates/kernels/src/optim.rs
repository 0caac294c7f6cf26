//! Optimizers with PyTorch's definitions and defaults, as Burn [`Optimizer`]s.
//!
//! Burn 0.22.1's own differ in what they compute or in their defaults (momentum dampening of 0.1, Adam
//! epsilon of 1e-5, AdamW decay of 1e-4) and are chains of tensor operators. These are one pass over
//! parameter, gradient and state on Flex, in place where a buffer has no other owner, and the same
//! arithmetic as tensor operators elsewhere.
//!
//! [`Optimizer`]: burn::optim::Optimizer

mod adam;
#[cfg(feature = "flex")]
mod fast;
mod sgd;

pub use adam::{Adam, AdamState, AdamW};
pub use sgd::{Sgd, SgdState};
