//! Classifying with a trained model.

use crate::error::bail;
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
    pub fn classifier(&self) -> crate::Result<&Classifier> {
        let Model::Classifier(model) = &self.model else {
            bail!("{}: this model {}", self.card.model, self.model.does());
        };
        Ok(model)
    }

    /// Classifies images; for each, every class with its probability, the best first.
    ///
    /// # Errors
    /// An image that cannot be prepared.
    pub fn classify(&self, images: Vec<Image>) -> crate::Result<Vec<Vec<Guess>>> {
        self.classify_augmented(images, 0)
    }

    /// Test-time augmentation: the mean of the probabilities for each image as it is and for `copies` more of it,
    /// changed by the recipe's own augmentations, which are drawn the same each time.
    ///
    /// # Errors
    /// An image that cannot be prepared.
    pub fn classify_augmented(
        &self,
        images: Vec<Image>,
        copies: u32,
    ) -> crate::Result<Vec<Vec<Guess>>> {
        if images.is_empty() {
            return Ok(Vec::new());
        }
        let count = self.card.classes.len();
        let model = self.classifier()?;
        let probabilities = |input| {
            let logits = model.forward(input).into_data();
            softmax(&logits.iter::<f32>().collect::<Vec<_>>(), count)
        };
        let mut sum = probabilities(self.batch(images.clone())?);
        for copy in 1..=copies {
            let more = probabilities(self.augmented(images.clone(), u64::from(copy))?);
            sum.iter_mut()
                .zip(more)
                .for_each(|(sum, more)| *sum += more);
        }
        sum.iter_mut()
            .for_each(|sum| *sum /= f64::from(copies) + 1.0);
        let probabilities = sum;
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
    pub fn features(&self, images: Vec<Image>) -> crate::Result<(Vec<f32>, usize)> {
        let features = self.classifier()?.features(self.batch(images)?);
        let [_, width] = features.dims();
        Ok((features.into_data().iter::<f32>().collect(), width))
    }
}
