//! One file per kind of training; each implements [`crate::engine::Task`].

mod classification;

pub use classification::ClassificationTask;
pub(crate) use classification::best;

use burn::tensor::Device;
use firesight_models::classification::InputSpec;

use crate::engine::{NetworkConfig, Task};
use crate::recipe::{Recipe, TaskConfig};

/// Builds the task of a recipe, with freshly initialised networks on a device with autodiff.
///
/// # Errors
/// What the model cannot be built from: an image too small for it, weights that do not fit.
pub fn build(
    recipe: &Recipe,
    input: InputSpec,
    classes: usize,
    device: &Device,
) -> anyhow::Result<Box<dyn Task>> {
    let network = NetworkConfig {
        optimizer: recipe.optimizer.clone(),
        groups: recipe.parameter_groups.clone(),
        clip: recipe.clip,
        ema: recipe.ema,
    };
    match &recipe.task {
        TaskConfig::Classification(config) => Ok(Box::new(ClassificationTask::new(
            config, &network, input, classes, device,
        )?)),
    }
}
