//! Losses on logits and targets, each with PyTorch's definition where PyTorch has one.
//!
//! A loss named after a mean gives `[1]`; the others are element-wise, and the caller reduces them.
//!
//! ```
//! use burn::tensor::{Device, Int, Tensor};
//! use firesight_ops::loss::{CrossEntropyOptions, cross_entropy};
//!
//! let device = Device::default();
//! let logits = Tensor::<2>::zeros([2, 10], &device);
//! let targets = Tensor::<1, Int>::from_ints([3, 255], &device);
//! let options = CrossEntropyOptions { ignore_index: Some(255), ..Default::default() };
//! let loss: f32 = cross_entropy(logits, targets, &options).into_scalar();
//! assert!((loss - 10f32.ln()).abs() < 1e-6);
//! ```

mod adversarial;
mod binary;
mod cross_entropy;
mod dice;
mod focal;
mod lovasz;
mod smooth_l1;

pub use adversarial::{AdversarialLoss, discriminator_loss, generator_loss};
pub use binary::binary_cross_entropy_with_logits;
pub use cross_entropy::{
    CrossEntropyOptions, cross_entropy, cross_entropy_per_sample, cross_entropy_pixels,
    cross_entropy_soft, cross_entropy_soft_per_sample,
};
pub use dice::{binary_dice_loss, dice_loss};
pub use focal::{sigmoid_focal_loss, softmax_focal_loss};
pub use lovasz::lovasz_softmax;
pub use smooth_l1::smooth_l1_loss;

/// Which classes a loss that is computed class by class is averaged over.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ClassAverage {
    /// The classes that some counted pixel of the targets has (none at all: the loss is 0).
    #[default]
    Present,
    /// Every class, also those absent from the targets.
    All,
}
