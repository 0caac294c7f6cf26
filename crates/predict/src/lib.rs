//! A trained computer-vision model in use: an image goes in, a typed result comes out. No training, no dataset, no network,
//! no thread and no file is needed for it.
//!
//! A [`Predictor`] is a network with the preprocessing that it was trained with:
//!
//! ```
//! use burn::tensor::Device;
//! use firesight_data::preprocess::Preprocess;
//! use firesight_data::normalize::Normalize;
//! use firesight_data::sample::Image;
//! use firesight_models::classification::{ClassifierConfig, InputSpec};
//! use firesight_predict::{Model, ModelCard, Predictor};
//!
//! let device = Device::flex();
//! let lenet = ClassifierConfig::named("lenet")?.init(InputSpec::gray(28), 2, &device)?;
//! let card = ModelCard {
//!     task: "classification".into(),
//!     model: "lenet".into(),
//!     classes: vec!["cat".into(), "dog".into()],
//!     channels: 1,
//!     height: 28,
//!     width: 28,
//!     pixels: Default::default(),
//! };
//! let normalize = Normalize { mean: vec![0.5], std: vec![0.5] };
//! let model = Model::Classifier(Box::new(lenet));
//! let predictor = Predictor::new(model, card, Preprocess::new(&[]), normalize, device);
//!
//! let image = Image { width: 56, height: 40, channels: 1, pixels: vec![0; 56 * 40] };
//! let guesses = &predictor.classify(vec![image])?[0]; // the best first
//! assert!((guesses[0].probability + guesses[1].probability - 1.0).abs() < 1e-6);
//! assert!(predictor.detector().is_err()); // it finds no objects
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! The crate `firesight` loads one from a run folder or from exported files.

mod card;
mod classification;
mod detection;
mod error;
mod generation;
pub mod latent;
mod model;
mod picture;
mod predictor;
mod segmentation;
mod settings;
mod views;

pub use card::ModelCard;
pub use classification::{Guess, best, softmax};
pub use detection::Found;
pub use error::PredictError;
pub use model::{Classify, Model, Segment, Weighted};
pub use picture::PictureError;
pub use predictor::{Predictor, with_channels};
pub use segmentation::{Segmentation, classes_of};
pub use settings::{PredictConfig, SlidingWindow, Tta};
pub use views::probabilities;
