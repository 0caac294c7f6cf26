//! Computer-vision training on any backend of Burn: a recipe goes in, a trained, measured, resumable and exportable model
//! comes out.
//!
//! ```
//! use firesight::prelude::*;
//!
//! let data = DataConfig::new(SourceConfig::Digits(DigitsConfig::default()), 64);
//! let model = ClassificationConfig::new(ClassifierConfig::named("resnet20")?);
//! let sgd = OptimizerConfig::Sgd(SgdConfig { learning_rate: 0.1, ..SgdConfig::default() });
//! let mut recipe = Recipe::new(10, data, TaskConfig::Classification(model), sgd);
//! # recipe.max_steps = Some(1);
//!
//! let device = device::select(None)?;
//! # let folder = tempfile::tempdir()?;
//! # let out = folder.path().join("digits");
//! let run = train(&recipe.into(), Options::new(device.clone()).out(&out))?.run;
//! let predictor = Predictor::load(&run, &device)?;
//! let image = Image { width: 8, height: 8, channels: 1, pixels: vec![0; 64] };
//! println!("{} is likeliest", predictor.classify(vec![image])?[0][0].name);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! The way through it:
//!
//! - [`recipe`]: every key that a user may write, read from TOML or written in Rust.
//! - [`experiment`]: a recipe with its data opened; [`networks`]: what it builds of them.
//! - [`train`]: from a recipe to a run folder; [`evaluate`] measures it, [`predictor`] uses it, [`export`] gives it away.
//! - [`task`]: what can be learned, one folder a task; models and tasks of one's own.
//! - [`engine`]: the training loop; it knows no task.
//!
//! Nothing is printed: what happens comes to sinks ([`engine::Sink`]) and to [`notify::Notify`]. Every error says what is
//! wrong and where, and whose it is to mend ([`ErrorKind`]).

pub mod card;
mod checks;
pub mod data;
pub mod device;
pub mod download;
pub mod draft;
pub mod error;
pub mod evaluate;
pub mod examine;
pub mod experiment;
pub mod export;
pub mod init;
mod memory;
pub mod networks;
pub mod notify;
pub mod parameters;
pub mod predictor;
pub mod prelude;
pub mod preprocessing;
pub mod recipe;
pub mod results;
pub mod run_folder;
pub mod sinks;
pub mod stored;
pub mod task;
pub mod train;

pub use error::{Error, ErrorKind, Result};
pub use firesight_engine as engine;

/// The programs of the book are compiled with the examples of this crate.
#[cfg(doctest)]
#[doc = include_str!("../../../docs/rust.md")]
pub struct Book;
