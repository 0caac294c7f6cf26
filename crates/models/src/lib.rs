//! The model zoo: networks for images on Burn, with PyTorch's weights in and out.
//!
//! A model is made from plain values and a device, and the device chooses the backend:
//!
//! ```no_run
//! use burn::tensor::{Device, Tensor};
//! use firesight_models::classification::{ClassifierConfig, InputSpec};
//!
//! let device = Device::default();
//! let model = ClassifierConfig::named("resnet18").unwrap()
//!     .init(InputSpec::rgb(224), 10, &device).unwrap();
//! let logits = model.forward(Tensor::zeros([1, 3, 224, 224], &device)); // [1, 10]
//! ```
//!
//! The crate knows no file but a weights file, no optimizer and no dataset; it enables no backend.
#![warn(missing_docs)]

pub mod backbone;
mod blocks;
pub mod classification;
pub mod detection;
mod error;
pub mod formula;
pub mod generation;
pub mod layers;
pub mod segmentation;
pub mod sequential;
pub mod tags;
pub mod verify;
pub mod weights;

pub use backbone::{Backbone, FeatureMap};
pub use error::ModelError;
