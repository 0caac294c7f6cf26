//! One folder per kind of training: its table of the recipe, a [`TaskRecipe`], and its training, a
//! [`firesight_engine::Task`].
//!
//! ```
//! use firesight_data::Target;
//! use firesight::recipe::TaskConfig;
//!
//! let config: TaskConfig = serde_json::from_str(r#"{"classification": {"model": {"cnn": {}}}}"#)?;
//! let task = config.table();
//! assert_eq!((task.name(), task.needs()), ("classification", "one class per image"));
//! assert!(task.takes(&Target::of_class(3)) && !task.takes(&Target::default()));
//! # anyhow::Ok(())
//! ```

mod classification;
mod details;
mod detection;
mod generation;
mod one_network;
mod own;
pub mod predict;
mod segmentation;
mod weights;

use std::path::Path;
use std::sync::Arc;

use burn::tensor::{Device, Tensor, TensorData};
use firesight_data::DataError;
use firesight_data::batch::Batch;
use firesight_data::scan::Lesson;
use firesight_data::source::Source;
use firesight_data::target::Target;
use firesight_models::weights::TorchNames;
use firesight_predict::{Model, Predictor};
use firesight_recipe::Checks;
use firesight_report::metric::Metric;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

pub use classification::{
    Classification, ClassificationConfig, ClassificationModel, ClassificationModelConfig, OwnModel,
};
pub use details::{Details, Gallery, SampleDetail};
pub use detection::{DetectionConfig, DetectionObjective};
pub use detection::{described as described_detections, metrics as detection_metrics};
pub use generation::{
    Generate, Generated, GenerationConfig, GenerationTask, MOST as MOST_GENERATED,
};
pub use one_network::OneNetworkRecipe;
pub use own::{OfSamples, OwnTask, PerSample};
pub use predict::{Predict, PredictOptions, Prediction, Used};
pub use segmentation::{
    ClassWeights, CrossEntropyTerm, DiceTerm, FocalTerm, LossTerm, LovaszTerm, Segmentation,
    SegmentationConfig,
};

pub use weights::TrainedWeights;

use crate::card::ModelCard;
use crate::data::DataConfig;
use crate::init::InitConfig;
use crate::notify::Notify;
use crate::parameters::NetworkParameters;
use firesight_engine::{
    Batches, Evaluation, NetworkConfig, Objective, OneNetwork, OneValue, Task, Watch, Weights,
};

/// The networks of a task: counted, built, loaded. That of one network follows from its [`OneNetworkRecipe`].
pub trait TaskNetworks {
    /// Patterns of parameter names that are not trained.
    fn freeze(&self) -> &[String] {
        &[]
    }

    /// Builds the networks on a device with autodiff. Nothing is loaded for it, and only what a layer needs as it is built is
    /// drawn.
    ///
    /// # Errors
    /// What the model cannot be built from: an image too small for it.
    fn networks<'a>(
        &'a self,
        card: &ModelCard,
        device: &Device,
    ) -> crate::Result<Box<dyn Untrained + 'a>>;

    /// The first layer that would get one value per channel to normalise if a batch of one image was trained: found by
    /// a forward pass of one blank image.
    ///
    /// # Errors
    /// What the model cannot be built from.
    fn lone_norm(&self, card: &ModelCard, device: &Device) -> crate::Result<Option<OneValue>>;

    /// Builds the network that predicts, with trained weights.
    ///
    /// # Errors
    /// Weights that do not fit, named.
    fn load(
        &self,
        card: &ModelCard,
        weights: &mut TrainedWeights,
        device: &Device,
    ) -> crate::Result<Model>;
}

/// Networks as they are built.
pub trait Untrained {
    /// Their parameters by name; asking initialises nothing.
    fn parameters(&self) -> Vec<NetworkParameters>;

    /// What trains them, freshly initialised on the device that they were built on.
    ///
    /// # Errors
    /// Weights that do not fit, labels that cannot be read where they are to be counted.
    fn train(self: Box<Self>, setup: &Setup<'_>) -> crate::Result<Box<dyn TrainedTask>>;
}

/// What the rest of the program asks of a task's table in the recipe.
pub trait TaskRecipe: TaskNetworks {
    /// The task's name in the recipe.
    fn name(&self) -> &'static str;

    /// The model's name in the recipe.
    fn model_name(&self) -> String;

    /// Checks the table by itself and beside `data`; `table` is its path in the recipe, `task.<name>`.
    fn check(&self, table: &str, data: &DataConfig, checks: &mut Checks<'_>) {
        let _ = (table, data, checks);
    }

    /// The table, where it belongs to a task of one's own, so that another table is known for another one.
    fn settings(&self) -> serde_json::Value {
        serde_json::Value::Null
    }

    /// What is learned of a dataset's labels.
    fn lesson(&self) -> Lesson;

    /// Whether a dataset whose samples carry such labels can be learned from.
    fn takes(&self, label: &Target) -> bool {
        self.lesson().takes(label)
    }

    /// Whether the network's parameters fit one size of images, so that it takes no other.
    fn is_bound_to_size(&self) -> bool {
        false
    }

    /// What a dataset must have, for the message where [`Self::takes`] says no: `one class per image`.
    fn needs(&self) -> &'static str;

    /// Whether what the model gives depends on the classes of its data.
    fn knows_classes(&self) -> bool {
        true
    }

    /// The names of the classes that the model tells apart, by index.
    fn classes(&self, source: &dyn Source) -> Vec<String> {
        source.classes().to_vec()
    }

    /// The files beside the data that the table names, each with its key.
    fn files(&self) -> Vec<(&'static str, NamedFile<'_>)> {
        Vec::new()
    }

    /// The metrics that an evaluation of a model of these classes may give, whichever split it is of; the first one names
    /// the best checkpoint unless the recipe says otherwise.
    fn metrics(&self, classes: &[String]) -> Vec<Metric>;

    /// Checks the table against what the data tells.
    fn check_data(&self, table: &str, card: &ModelCard, checks: &mut Checks<'_>) {
        let _ = (table, card, checks);
    }

    /// A trained model in use on pictures, by the settings that are given; an error, unless the task says otherwise.
    ///
    /// # Errors
    /// A task that predicts nothing; settings that it does not have, or out of range ([`firesight_predict::PredictError::Setting`]).
    fn used<'a>(
        &self,
        used: Used<'a>,
        options: PredictOptions,
    ) -> crate::Result<Box<dyn Predict + 'a>> {
        let _ = options;
        Err(used.predictor.other_task().into())
    }

    /// What a trained model is for.
    fn purpose(&self) -> Purpose {
        Purpose {
            words: "predict with it",
            command: "predict",
            argument: Some("IMAGE"),
        }
    }
}

/// A task under training, which can be looked at more closely than the loop does.
pub trait TrainedTask: Task {
    /// Measures the present networks on a split, and fills in what the report shows beside the numbers; nothing, unless
    /// the task says otherwise.
    ///
    /// # Errors
    /// What the data reports.
    fn examine(
        &self,
        weights: Weights,
        batches: &mut Batches<'_>,
        watch: &mut Watch<'_>,
        details: &mut Details,
    ) -> Result<Evaluation, DataError> {
        let _ = details;
        self.evaluate(weights, batches, watch)
    }
}

impl<O: Objective<Details = Details>> TrainedTask for OneNetwork<O> {
    fn examine(
        &self,
        weights: Weights,
        batches: &mut Batches<'_>,
        watch: &mut Watch<'_>,
        details: &mut Details,
    ) -> Result<Evaluation, DataError> {
        self.measure(weights, batches, watch, Some(details))
    }
}

/// What most metrics need.
pub(crate) const AN_IMAGE: &str = "at least one image";

/// What a trained model is for, as `train` says it in the end.
pub struct Purpose {
    /// In words: `predict with it`.
    pub words: &'static str,
    /// The subcommand that does it.
    pub command: &'static str,
    /// What the subcommand wants beside the run folder.
    pub argument: Option<&'static str>,
}

/// What is learned.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub enum TaskConfig {
    /// One class for each image.
    Classification(ClassificationConfig),
    /// A class for every pixel.
    Segmentation(SegmentationConfig),
    /// Boxes around objects.
    Detection(DetectionConfig),
    /// New images like those of the dataset.
    Generation(GenerationConfig),
    /// A task that is another program's code; no file can name it.
    #[serde(skip_deserializing)]
    #[schemars(skip)]
    Own(OwnTask),
}

/// A file that a task's table names.
pub enum NamedFile<'a> {
    /// Weights to start from, for the model of that name.
    Init(&'a str, &'a InitConfig),
    /// Any other file.
    File(&'a str),
    /// A run folder, or exported weights.
    Run(&'a str),
}

impl TaskConfig {
    /// A task of one's own, or one of ours with a model of one's own.
    pub fn own(task: impl TaskRecipe + 'static) -> Self {
        Self::Own(OwnTask::new(task))
    }

    /// The table of the task that was chosen.
    pub fn table(&self) -> &dyn TaskRecipe {
        match self {
            Self::Classification(config) => config,
            Self::Segmentation(config) => config,
            Self::Detection(config) => config,
            Self::Generation(config) => config,
            Self::Own(task) => &**task,
        }
    }

    /// The task, where it is the program's own.
    pub fn as_own(&self) -> Option<&OwnTask> {
        match self {
            Self::Own(task) => Some(task),
            _ => None,
        }
    }
}

/// What a task is built from, beside its own table.
pub struct Setup<'a> {
    /// The recipe's table of the images.
    pub data: &'a DataConfig,
    /// The seed of every draw.
    pub seed: u64,
    /// How the recipe wants its networks trained.
    pub network: NetworkConfig,
    /// The metric that the recipe has watched, if it says which.
    pub watched: Option<&'a str>,
    /// What the data tells the model.
    pub card: &'a ModelCard,
    /// The device, with autodiff.
    pub device: &'a Device,
    /// The training split: what is counted over all of it, what a generator's images are compared with.
    pub train: &'a Arc<dyn Source>,
    /// What the task is built for.
    pub build: Build,
    /// The run folder, for pictures of the training's course; none where there is none.
    pub run: Option<&'a Path>,
    /// Who hears what becomes of the weights that networks start from.
    pub notify: &'a dyn Notify,
    /// Opens the model of another run.
    pub open: OpenModel,
}

/// Opens the model of a run or of exported weights on a device: the model, and where it comes from in words.
pub type OpenModel = fn(&Path, &Device) -> crate::Result<(Predictor, String)>;

/// What a task is built for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Build {
    /// A training from the beginning: networks start from the recipe's `init`.
    Fresh,
    /// The rest of a training: a checkpoint's weights come after, so that `init` has no say.
    Resumed,
    /// Measuring a checkpoint: nothing is trained, so that what the training loss alone needs is not counted.
    Measured,
}

impl Setup<'_> {
    /// The network of a model of that name with the weights that the recipe's `init`, which stands at `key`, has it
    /// start from; as it is where there are none, and where a checkpoint's come after.
    ///
    /// # Errors
    /// Weights that cannot be had or do not fit.
    pub fn start<M: TorchNames>(
        &self,
        module: M,
        model: &str,
        init: &Option<InitConfig>,
        key: &str,
    ) -> crate::Result<M> {
        let Some(init) = init.as_ref().filter(|_| self.build == Build::Fresh) else {
            return Ok(module);
        };
        let (module, report) = crate::init::apply(module, model, init, key, self.notify)?;
        self.notify
            .note(&format!("{key}: {}", crate::init::describe(&report)));
        Ok(module)
    }

    /// Whether the task is trained.
    pub fn trains(&self) -> bool {
        self.build != Build::Measured
    }
}

/// Moves the images of a batch to a device, `[N, C, H, W]`.
pub fn images(batch: &mut Batch, device: &Device) -> Tensor<4> {
    Tensor::from_data(
        TensorData::new(std::mem::take(&mut batch.images), batch.shape),
        device,
    )
}
