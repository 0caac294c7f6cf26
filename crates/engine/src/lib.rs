//! The training loop: optimizers with PyTorch's constants, schedules, averaged weights, early stopping, and checkpoints
//! from which a run that was killed goes on to the same bits. It knows no recipe, no model and no report.
//!
//! The loop ([`Engine`]) owns epochs, the schedule, accumulation, evaluation, early stopping, checkpoints and the
//! answer to signals. A [`Task`] owns networks and losses; it may step several networks in one training step, and
//! [`OneNetwork`] is the task of one network with an [`Objective`]. What happens is told as [`Event`]s, which sinks turn
//! into progress bars and files; nothing is printed.
//!
//! A network of one weight that learns to double each pixel of the embedded digits:
//!
//! ```
//! use std::sync::Arc;
//!
//! use burn::module::Module;
//! use burn::nn::{Linear, LinearConfig};
//! use burn::tensor::{Device, Tensor, TensorData};
//! use firesight_data::batch::Batch;
//! use firesight_data::datasets::digits::DigitsConfig;
//! use firesight_data::loader::{Loader, LoaderConfig};
//! use firesight_data::{DataError, normalize::Normalize};
//! use firesight_engine::*;
//! use firesight_models::weights::TorchNames;
//!
//! #[derive(Module, Debug)]
//! struct Line { slope: Linear }
//! impl TorchNames for Line {}
//!
//! struct Doubling(Device);
//! impl Objective for Doubling {
//!     type Module = Line;
//!     type Details = ();
//!     fn loss(&self, line: &Line, batch: Batch) -> Loss {
//!         let (samples, pixels) = (batch.shape[0], batch.images.len());
//!         let x = Tensor::<2>::from_data(TensorData::new(batch.images, [pixels, 1]), &self.0);
//!         let error = line.slope.forward(x.clone()) - x.mul_scalar(2.0);
//!         Loss::of(error.square().reshape([samples as i32, -1]).mean_dim(1).flatten(0, 1))
//!     }
//!     fn evaluate(&self, _: &Line, _: &mut Batches<'_>, _: &mut Watch<'_>, _: Option<&mut ()>)
//!         -> Result<Evaluation, DataError> { Ok(Evaluation::default()) }
//! }
//!
//! let device = Device::flex().autodiff();
//! device.seed(1);
//! let line = Line { slope: LinearConfig::new(1, 1).with_bias(false).init(&device) };
//! let network = NetworkConfig::new(OptimizerConfig::Sgd(SgdConfig::default()));
//! let mut task = OneNetwork::new(Network::new("line", line, &network, &device), Doubling(device));
//!
//! let digits = DigitsConfig::default().open()?.train;
//! let config = LoaderConfig { batch_size: 8, ..LoaderConfig::default() };
//! let loader = Loader::new(digits, Arc::default(), Normalize::default(), config)?;
//! let mut losses = Vec::new();
//! for batch in loader.epoch(0, 0).take(50) {
//!     losses.push(task.train_batch(batch?, &Step { rate: 0.5, update: true }).unwrap().loss);
//! }
//! assert!(losses[49] < 1e-3 * losses[0], "{losses:?}");
//! # Ok::<(), DataError>(())
//! ```

mod checkpoint;
mod ema;
mod error;
mod event;
mod network;
mod one_network;
mod optimizer;
pub mod optimizers;
pub mod parameters;
mod problems;
mod progress;
mod run;
pub mod schedules;
mod settings;
mod signals;
mod spent;
mod task;
#[cfg(test)]
mod tests;

pub use checkpoint::{Checkpoint, CheckpointError, CheckpointStore, load};
pub use ema::Ema;
pub use error::EngineError;
pub use event::{Event, Sink};
pub use network::{
    Network, NetworkConfig, NetworkState, NonFiniteGradient, OneValue, StateScalar, StepError,
    TrainedNetwork, Weights,
};
pub use one_network::{Loss, Objective, OneNetwork, mean_over};
pub use optimizer::Optimizer;
pub use optimizers::*;
pub use problems::{Problem, Problems};
pub use progress::{BestScore, Finish, Losses, Progress, Window};
pub use run::{Engine, EngineConfig, Outcome, Watched};
pub use schedules::*;
pub use settings::{Best, CheckpointConfig, Clip, EarlyStopping, EmaConfig, EvaluateConfig, Goal};
pub use signals::{Signal, StopSignal};
pub use spent::Spent;
pub use task::{Batches, BoxError, Evaluation, Step, StepReport, Task, Watch};
