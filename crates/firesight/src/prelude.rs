//! What programs that train and predict mostly need: `use firesight::prelude::*`.

pub use crate::device::{self, NamedDevice};
pub use crate::error::{Error, ErrorKind};
pub use crate::evaluate::{self, evaluate};
pub use crate::predictor::{Model, Predictor};
pub use crate::recipe::*;
pub use crate::task::{
    ClassificationModel, ClassificationModelConfig, Details, OneNetworkRecipe, OwnModel, OwnTask,
    Setup, TaskRecipe, images,
};
pub use crate::train::{self, Options, Trained, train};
pub use firesight_data::SourceConfig;
pub use firesight_data::augment::{Augment, Resize};
pub use firesight_data::batch::Batch;
pub use firesight_data::datasets::digits::DigitsConfig;
pub use firesight_data::datasets::folder::FolderConfig;
pub use firesight_data::preprocess::PreprocessStep;
pub use firesight_data::scan::Lesson;
pub use firesight_data::{DataError, Image, Picture, Target};
pub use firesight_engine::{Batches, Evaluation, Event, Loss, Objective, Sink, Watch, mean_over};
pub use firesight_models::ModelError;
pub use firesight_models::classification::{Classifier, ClassifierConfig, InputSpec};
pub use firesight_models::weights::TorchNames;
pub use firesight_predict::{Classify, ModelCard};
pub use firesight_report::metric::Metric;
