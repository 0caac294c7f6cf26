//! Generating with a trained model.

use firesight_models::generation::Generator;

use crate::error::PredictError;
use crate::model::Model;
use crate::predictor::Predictor;

impl Predictor {
    /// The generator.
    ///
    /// # Errors
    /// A model of another task.
    pub fn generator(&self) -> Result<&Generator, PredictError> {
        let Model::Generator(model) = &self.model else {
            return Err(self.other_task());
        };
        Ok(model)
    }
}
