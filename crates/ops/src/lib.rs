//! Computer-vision operators and losses on Burn tensors.
//!
//! Everything here takes and gives tensors of whatever backend their device has; no backend is named. What
//! training needs a gradient of is built from differentiable tensor operators; what is a decision (suppression,
//! sampling positions) is computed on plain numbers, so that it is the same on every backend.
//!
//! Boxes are `[N, 4]` in absolute pixels, `x1 y1 x2 y2`; other formats exist only inside [`boxes`].
//!
//! ```
//! use burn::tensor::{Device, Tensor};
//! use firesight_ops::sum_stable;
//!
//! let sum: f32 = sum_stable(Tensor::<2>::ones([300, 400], &Device::default())).into_scalar();
//! assert_eq!(sum, 120_000.0);
//! ```
#![warn(missing_docs)]

pub mod anchors;
pub mod box_coder;
pub mod boxes;
pub mod default_boxes;
pub mod iou;
pub mod loss;
pub mod matcher;
pub mod nms;
mod reduce;
pub mod resize;
pub mod roi_align;
#[cfg(test)]
mod testing;

pub use anchors::AnchorGenerator;
pub use box_coder::{BoxCoder, LinearBoxCoder};
pub use default_boxes::DefaultBoxes;
pub use matcher::Matcher;
pub use reduce::{mean, sum, sum_of_squares, sum_stable};
pub use resize::{Interpolation, bilinear_upsampling_weights, resize};
pub use roi_align::RoiAlign;
