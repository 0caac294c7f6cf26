//! A task that is another program's code.

use std::fmt;
use std::ops::Deref;
use std::sync::Arc;

use burn::tensor::{Device, Tensor};
use firesight_data::DataError;
use firesight_data::batch::Batch;
use firesight_data::scan::Lesson;
use firesight_engine::{Batches, Evaluation, Loss, Objective, Watch, mean_over};
use firesight_models::ModelError;
use firesight_models::weights::TorchNames;
use firesight_report::metric::Metric;
use serde::ser::SerializeStruct;
use serde::{Serialize, Serializer};

use super::{Details, OneNetworkRecipe, Setup, TaskRecipe};
use crate::card::ModelCard;
use firesight_predict::Model;

/// A task of one's own in a recipe that is written in Rust. In a run's `recipe.toml` it stands as its name and its
/// settings; to go on with such a run or to use it, the program gives the task again.
#[derive(Clone)]
pub struct OwnTask(Arc<dyn TaskRecipe>);

impl OwnTask {
    /// A task of one's own.
    pub fn new(task: impl TaskRecipe + 'static) -> Self {
        Self(Arc::new(task))
    }
}

impl Deref for OwnTask {
    type Target = dyn TaskRecipe;

    fn deref(&self) -> &Self::Target {
        self.0.as_ref()
    }
}

impl fmt::Debug for OwnTask {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "OwnTask({}, {})", self.name(), self.settings())
    }
}

/// The same name and the same settings.
impl PartialEq for OwnTask {
    fn eq(&self, other: &Self) -> bool {
        self.name() == other.name() && self.settings() == other.settings()
    }
}

impl Serialize for OwnTask {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut table = serializer.serialize_struct("OwnTask", 3)?;
        table.serialize_field("name", self.name())?;
        table.serialize_field("model", &self.model_name())?;
        table.serialize_field("settings", &self.settings())?;
        table.end()
    }
}

/// Numbers of the samples of a batch, `[N]`, by a network on a device.
pub type OfSamples<M> = fn(&M, Batch, &Device) -> Tensor<1>;

/// What one network learns where loss and measure are numbers of single samples.
pub struct PerSample<M> {
    /// What is minimised, for each sample.
    pub loss: OfSamples<M>,
    /// What an evaluation gives the mean of.
    pub measure: OfSamples<M>,
    /// The measure's key.
    pub key: String,
    /// Where the network computes, with autodiff.
    pub device: Device,
}

impl<M: TorchNames> Objective for PerSample<M> {
    type Module = M;
    type Details = Details;

    fn loss(&self, module: &M, batch: Batch) -> Loss {
        Loss::of((self.loss)(module, batch, &self.device))
    }

    fn evaluate(
        &self,
        module: &M,
        batches: &mut Batches<'_>,
        watch: &mut Watch<'_>,
        _: Option<&mut Details>,
    ) -> Result<Evaluation, DataError> {
        let device = self.device.clone().inner();
        let measure = |batch| (self.measure)(module, batch, &device);
        mean_over(batches, watch, &self.key, measure)
    }
}

/// A task of one network that is told by functions.
struct Told<M, B> {
    name: &'static str,
    metric: Metric,
    network: B,
    loss: OfSamples<M>,
    measure: OfSamples<M>,
}

impl OwnTask {
    /// A task of one network whose loss and measure are numbers of single samples: `network` builds it with fresh weights
    /// for what the data tells; `metric` describes the mean of `measure`. What more is asked of a task is an
    /// [`OneNetworkRecipe`] of one's own.
    pub fn per_sample<M: TorchNames + 'static>(
        name: &'static str,
        metric: Metric,
        network: impl Fn(&ModelCard, &Device) -> Result<M, ModelError> + 'static,
        loss: OfSamples<M>,
        measure: OfSamples<M>,
    ) -> Self {
        Self::new(Told {
            name,
            metric,
            network,
            loss,
            measure,
        })
    }
}

impl<M, B> OneNetworkRecipe for Told<M, B>
where
    M: TorchNames + 'static,
    B: Fn(&ModelCard, &Device) -> Result<M, ModelError>,
{
    type Objective = PerSample<M>;

    fn module(&self, card: &ModelCard, device: &Device) -> crate::Result<M> {
        Ok((self.network)(card, device)?)
    }

    /// How the network is called is the loss's knowledge: a layer that cannot normalise a batch is met in training.
    fn forward(_: &M, _: Tensor<4>) {}

    fn objective(&self, setup: &Setup<'_>) -> crate::Result<PerSample<M>> {
        Ok(PerSample {
            loss: self.loss,
            measure: self.measure,
            key: self.metric.key.clone(),
            device: setup.device.clone(),
        })
    }

    fn model(&self, module: M) -> Model {
        Model::Other(Box::new(module))
    }
}

impl<M, B> TaskRecipe for Told<M, B>
where
    M: TorchNames + 'static,
    B: Fn(&ModelCard, &Device) -> Result<M, ModelError>,
{
    fn name(&self) -> &'static str {
        self.name
    }

    fn model_name(&self) -> String {
        self.name.to_owned()
    }

    fn lesson(&self) -> Lesson {
        Lesson::Pictures
    }

    fn needs(&self) -> &'static str {
        "pictures"
    }

    fn is_bound_to_size(&self) -> bool {
        true
    }

    fn metrics(&self, _: &[String]) -> Vec<Metric> {
        vec![self.metric.clone()]
    }
}
