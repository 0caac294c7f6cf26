//! The training-recipe runner as a library: a TOML recipe goes in, a trained, measured, resumable and
//! exportable model comes out.
//!
//! - [`recipe`]: every key that a user may write.
//! - [`experiment`]: a recipe with its data opened and its model built.
//! - [`engine`]: the training loop; it knows no task.
//! - [`task`]: one file per kind of training.
//! - [`predictor`]: a trained model in use.
//! - [`preprocessing`]: how images are prepared for published weights.
//! - [`device`]: the only file that names Burn backends.
//! - [`cli`]: the commands of the binary.

pub mod card;
pub mod cli;
pub mod device;
pub mod engine;
pub mod experiment;
pub mod init;
pub mod predictor;
pub mod preprocessing;
pub mod recipe;
pub mod results;
pub mod run_folder;
pub mod sinks;
pub mod task;
