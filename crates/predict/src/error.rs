//! Why a trained model could not be used.

use firesight_data::DataError;
use firesight_models::ModelError;
use firesight_models::weights::WeightsError;
use firesight_ops::nms::NmsError;

use crate::picture::PictureError;

/// Why a trained model could not be used.
#[derive(Debug, thiserror::Error)]
pub enum PredictError {
    /// A picture that the model cannot take.
    #[error(transparent)]
    Picture(#[from] PictureError),
    /// The same, of a picture with a name.
    #[error("{origin}: {source}")]
    Named {
        /// The file, or what else the picture came from.
        origin: String,
        /// What is wrong with it.
        source: PictureError,
    },
    /// A picture that cannot be read or prepared.
    #[error(transparent)]
    Data(#[from] DataError),
    /// A model of another task.
    #[error("{model}: this model {does}")]
    Task {
        /// The model's name.
        model: String,
        /// What it does.
        does: &'static str,
    },
    /// Something that this model does not give.
    #[error("{model}: it gives no {what}")]
    Lacks {
        /// The model's name.
        model: String,
        /// What was asked for.
        what: &'static str,
    },
    /// A setting out of range.
    #[error("{key}: {message}")]
    Setting {
        /// Which.
        key: String,
        /// What is wrong with it.
        message: String,
    },
    /// A model that cannot be built.
    #[error(transparent)]
    Model(#[from] ModelError),
    /// Weights that do not fit the model.
    #[error(transparent)]
    Weights(#[from] WeightsError),
    /// Scores or boxes that are no numbers.
    #[error(transparent)]
    Nms(#[from] NmsError),
}
