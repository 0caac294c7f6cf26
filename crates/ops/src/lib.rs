//! Computer-vision operators and losses on Burn tensors.
//!
//! Everything here takes and gives tensors of whatever backend their device has; no backend is named. What
//! training needs a gradient of is built from differentiable tensor operators.
#![warn(missing_docs)]

pub mod loss;
mod reduce;
#[cfg(test)]
mod testing;

pub use reduce::sum_stable;
