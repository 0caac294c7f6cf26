//! The training-recipe runner as a library: a TOML recipe goes in, a trained, measured, resumable and
//! exportable model comes out.
//!
//! - [`recipe`]: every key that a user may write.
//! - [`experiment`]: a recipe with its data opened and its model built.
//! - [`engine`]: the training loop; it knows no task.
//! - [`task`]: one file per kind of training.
//! - [`predictor`]: a trained model in use.
//! - [`parameters`]: which parameters train, and what the recipe's patterns take of them.
//! - [`stored`]: what a run knows of its data, compared with the data at hand.
//! - [`preprocessing`]: how images are prepared for published weights.
//! - [`download`]: datasets and weights by name, fetched where the person can see it.
//! - [`device`]: the only file that names Burn backends.
//! - [`cli`]: the commands of the binary.
//!
//! A recipe by itself, as `trainer check --recipe-only` reads it:
//!
//! ```
//! let folder = tempfile::tempdir()?;
//! let path = folder.path().join("digits.toml");
//! std::fs::write(&path, "epoch = 2")?;
//! let wrong = firesight::recipe::read(&path, &[]).unwrap_err().to_string();
//! assert!(wrong.contains("did you mean `epochs`?"), "{wrong}");
//! # anyhow::Ok(())
//! ```

pub mod card;
pub mod device;
pub mod download;
pub mod error;
pub mod examine;
pub mod experiment;
pub mod init;
pub mod notify;
pub mod parameters;
pub mod predictor;
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
