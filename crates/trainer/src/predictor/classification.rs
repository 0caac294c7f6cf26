//! Classifying with a trained model.

use anyhow::bail;
use firesight_data::sample::Image;
use firesight_metrics::softmax;
use firesight_models::classification::Classifier;
use serde::Serialize;

use super::{Model, Predictor};
use crate::task::best;

/// A class with its probability.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Guess {
    /// Its index.
    pub class: usize,
    /// Its name.
    pub name: String,
    /// From 0 to 1; all classes together give 1.
    pub probability: f64,
}

impl Predictor {
    /// The classifier.
    ///
    /// # Errors
    /// A model of another task.
    pub fn classifier(&self) -> anyhow::Result<&Classifier> {
        let Model::Classifier(model) = &self.model else {
            bail!("{}: this model {}", self.card.model, self.model.does());
        };
        Ok(model)
    }

    /// Classifies images; for each, every class with its probability, the best first.
    ///
    /// # Errors
    /// An image that cannot be prepared.
    pub fn classify(&self, images: Vec<Image>) -> anyhow::Result<Vec<Vec<Guess>>> {
        if images.is_empty() {
            return Ok(Vec::new());
        }
        let count = self.card.classes.len();
        let logits = self.classifier()?.forward(self.batch(images)?);
        let logits: Vec<f32> = logits.into_data().iter::<f32>().collect();
        let probabilities = softmax(&logits, count);
        let rows = probabilities.chunks_exact(count).map(|row| {
            let sorted = best(row, count).into_iter();
            let guess = |(class, probability)| Guess {
                class,
                name: self.card.classes[class].clone(),
                probability,
            };
            sorted.map(guess).collect()
        });
        Ok(rows.collect())
    }

    /// The features before the head, `[N, features]` row by row, and how many there are.
    ///
    /// # Errors
    /// An image that cannot be prepared.
    pub fn features(&self, images: Vec<Image>) -> anyhow::Result<(Vec<f32>, usize)> {
        let features = self.classifier()?.features(self.batch(images)?);
        let [_, width] = features.dims();
        Ok((features.into_data().iter::<f32>().collect(), width))
    }
}
