//! Finding objects with a trained model.

use firesight_data::sample::Picture;
use firesight_models::detection::{Detector, Postprocess};
use serde::Serialize;

use crate::error::PredictError;
use crate::model::Model;
use crate::predictor::Predictor;

/// An object that was found.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Found {
    /// `x1 y1 x2 y2` in pixels of the original image.
    pub xyxy: [f32; 4],
    /// Class index.
    pub class: usize,
    /// Its name.
    pub name: String,
    /// From 0 to 1.
    pub score: f32,
}

impl Predictor {
    /// The detector.
    ///
    /// # Errors
    /// A model of another task.
    pub fn detector(&self) -> Result<&Detector, PredictError> {
        let Model::Detector(model) = &self.model else {
            return Err(self.other_task());
        };
        Ok(model)
    }

    /// Finds the objects in images; for each, the best first. `choice` stands for the recipe's thresholds.
    ///
    /// # Errors
    /// An image that cannot be prepared, weights that give no numbers.
    pub fn detect(
        &self,
        images: Vec<impl Into<Picture>>,
        choice: Option<&Postprocess>,
    ) -> Result<Vec<Vec<Found>>, PredictError> {
        if images.is_empty() {
            return Ok(Vec::new());
        }
        let model = self.detector()?;
        let images: Vec<Picture> = images.into_iter().map(Into::into).collect();
        for image in &images {
            self.check(image)?;
        }
        let size = [self.card.width, self.card.height];
        let back: Vec<_> = images
            .iter()
            .map(|image| (self.preprocess).inverse(image.size(), Some(size)))
            .collect();
        let output = model.forward(self.batch(images)?);
        let choice = choice.unwrap_or(model.postprocess());
        let found = model.detections(&output, [self.card.height, self.card.width], choice)?;
        let named = found.into_iter().zip(back).map(|(found, back)| {
            let object = |d: firesight_models::detection::Detection| Found {
                xyxy: back.xyxy(d.xyxy),
                class: d.class,
                name: self.card.classes[d.class].clone(),
                score: d.score,
            };
            found.into_iter().map(object).collect()
        });
        Ok(named.collect())
    }
}
