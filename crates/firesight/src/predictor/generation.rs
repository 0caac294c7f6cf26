//! Generating with a trained model.

use crate::error::bail;
use firesight_models::generation::dcgan::Generator;

use super::{Model, Predictor};

impl Predictor {
    /// The generator.
    ///
    /// # Errors
    /// A model of another task.
    pub fn generator(&self) -> crate::Result<&Generator> {
        let Model::Generator(model) = &self.model else {
            bail!("{}: this model {}", self.card.model, self.model.does());
        };
        Ok(model)
    }
}
