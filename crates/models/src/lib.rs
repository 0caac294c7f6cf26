//! The model zoo: networks for images on Burn, with PyTorch's weights in and out.
//!
//! A model is made from plain values and a device, and the device chooses the backend:
//!
//! ```
//! use burn::tensor::{Device, Tensor};
//! use firesight_models::InputSpec;
//! use firesight_models::classification::ClassifierConfig;
//!
//! let device = Device::default();
//! let model = ClassifierConfig::named("resnet18")?.init(InputSpec::rgb(64), 10, &device)?;
//! let logits = model.forward(Tensor::zeros([1, 3, 64, 64], &device));
//! assert_eq!(logits.dims(), [1, 10]);
//! # Ok::<(), firesight_models::ModelError>(())
//! ```
//!
//! The crate knows no file but a weights file, no optimizer and no dataset; it enables no backend.
#![warn(missing_docs)]

pub mod backbone;
mod blocks;
pub mod classification;
pub mod detection;
mod error;
pub mod family;
pub mod formula;
pub mod generation;
mod input;
pub mod layers;
pub mod segmentation;
pub mod sequential;
mod style;
pub mod tags;
pub mod verify;
pub mod weights;
pub mod zoo;

pub use backbone::{Backbone, FeatureMap};
pub use error::ModelError;
pub use family::Family;
pub use input::InputSpec;
