//! A task of one network: building, freezing, counting, probing and loading, written once.

use burn::tensor::{Device, Tensor};
use firesight_engine::{Network, Objective, OneNetwork, OneValue};
use firesight_models::weights::{self, TorchNames};

use super::TrainedWeights;
use super::{Details, Setup, TaskNetworks, TrainedTask, Untrained};
use crate::card::ModelCard;
use crate::error::Context;
use crate::parameters::{NetworkParameters, frozen_by};
use firesight_predict::Model;

/// The network's name in checkpoints and messages.
const NETWORK: &str = "model";

/// What builds the network of a task, and what it learns; its [`TaskNetworks`] follow.
pub trait OneNetworkRecipe {
    /// What the network learns; it knows the module too.
    type Objective: Objective<Details = Details> + 'static;

    /// The network with fresh weights.
    ///
    /// # Errors
    /// What it cannot be built from.
    fn module(
        &self,
        card: &ModelCard,
        device: &Device,
    ) -> crate::Result<<Self::Objective as Objective>::Module>;

    /// The network with the weights that the recipe has it start from; as it is, unless the task says otherwise.
    ///
    /// # Errors
    /// Weights that cannot be had or do not fit.
    fn start(
        &self,
        module: <Self::Objective as Objective>::Module,
        setup: &Setup<'_>,
    ) -> crate::Result<<Self::Objective as Objective>::Module> {
        let _ = setup;
        Ok(module)
    }

    /// Patterns of parameter names that are not trained.
    fn frozen(&self) -> &[String] {
        &[]
    }

    /// Looks at the network that is to be trained, frozen as it is.
    ///
    /// # Errors
    /// What leaves nothing to learn.
    fn inspect(&self, module: &<Self::Objective as Objective>::Module) -> crate::Result<()> {
        let _ = module;
        Ok(())
    }

    /// A forward pass as in training, for the layers that note what they cannot normalise.
    fn forward(module: &<Self::Objective as Objective>::Module, images: Tensor<4>);

    /// What the network learns, on a device with autodiff.
    ///
    /// # Errors
    /// Labels that cannot be read where they are to be counted.
    fn objective(&self, setup: &Setup<'_>) -> crate::Result<Self::Objective>;

    /// The trained network in use.
    fn model(&self, module: <Self::Objective as Objective>::Module) -> Model;
}

impl<T: OneNetworkRecipe> TaskNetworks for T {
    fn freeze(&self) -> &[String] {
        self.frozen()
    }

    fn networks<'a>(
        &'a self,
        card: &ModelCard,
        device: &Device,
    ) -> crate::Result<Box<dyn Untrained + 'a>> {
        let module = self.module(card, device)?;
        Ok(Box::new(Built { task: self, module }))
    }

    fn lone_norm(&self, card: &ModelCard, device: &Device) -> crate::Result<Option<OneValue>> {
        let device = device.clone().autodiff();
        let module = with_frozen(self.frozen(), self.module(card, &device)?)?;
        firesight_kernels::take_lone_value();
        let shape = [1, card.channels, card.height, card.width];
        T::forward(&module, Tensor::zeros(shape, &device));
        Ok(OneValue::take(&module))
    }

    fn load(
        &self,
        card: &ModelCard,
        weights: &mut TrainedWeights,
        device: &Device,
    ) -> crate::Result<Model> {
        let module = self.module(card, device)?;
        Ok(self.model(weights.load(NETWORK, module)?))
    }
}

/// A network that was built, and its task.
struct Built<'a, T: OneNetworkRecipe> {
    task: &'a T,
    module: <T::Objective as Objective>::Module,
}

impl<T: OneNetworkRecipe> Untrained for Built<'_, T> {
    fn parameters(&self) -> Vec<NetworkParameters> {
        vec![NetworkParameters::of(NETWORK, &self.module)]
    }

    fn train(self: Box<Self>, setup: &Setup<'_>) -> crate::Result<Box<dyn TrainedTask>> {
        let Self { task, module } = *self;
        let module = with_frozen(task.frozen(), task.start(module, setup)?)?;
        task.inspect(&module)?;
        let network = Network::new(NETWORK, module, &setup.network, setup.device);
        Ok(Box::new(OneNetwork::new(network, task.objective(setup)?)))
    }
}

/// Freezes the parameters whose exported names match one of the patterns.
///
/// # Errors
/// A pattern that is no regular expression.
fn with_frozen<M: TorchNames>(patterns: &[String], module: M) -> crate::Result<M> {
    match patterns {
        [] => Ok(module),
        patterns => Ok(weights::freeze(
            module,
            frozen_by(patterns).context("freeze")?,
        )),
    }
}
