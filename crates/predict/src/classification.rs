//! Classifying with a trained model.

use burn::tensor::Tensor;
use firesight_data::augment::Pipeline;
use firesight_data::sample::Picture;
use serde::Serialize;

use crate::error::PredictError;
use crate::model::{Classify, Model};
use crate::predictor::Predictor;

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
    pub fn classifier(&self) -> Result<&dyn Classify, PredictError> {
        match &self.model {
            Model::Classifier(model) => Ok(model.as_ref()),
            _ => Err(self.other_task()),
        }
    }

    /// Classifies images; for each, every class with its probability, the best first.
    ///
    /// # Errors
    /// An image that cannot be prepared.
    pub fn classify(
        &self,
        images: Vec<impl Into<Picture>>,
    ) -> Result<Vec<Vec<Guess>>, PredictError> {
        self.classify_augmented(images, 0, &self.preprocess.then(&[]), 0)
    }

    /// Test-time augmentation: the mean of the probabilities for each image as it is and for `copies` more of it,
    /// changed by a pipeline that begins with the model's preparation; what is random in it follows from `seed`.
    ///
    /// # Errors
    /// An image that cannot be prepared.
    pub fn classify_augmented(
        &self,
        images: Vec<impl Into<Picture>>,
        copies: u32,
        pipeline: &Pipeline,
        seed: u64,
    ) -> Result<Vec<Vec<Guess>>, PredictError> {
        if images.is_empty() {
            return Ok(Vec::new());
        }
        let count = self.card.classes.len();
        let model = self.classifier()?;
        let probabilities = |input: Tensor<4>| {
            let logits = model.logits(input).into_data();
            softmax(&logits.iter::<f32>().collect::<Vec<_>>(), count)
        };
        let images: Vec<Picture> = images.into_iter().map(Into::into).collect();
        let mut sum = probabilities(self.batch(images.clone())?);
        for copy in 1..=copies {
            let more =
                probabilities(self.input(images.clone(), pipeline, seed, u64::from(copy))?);
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
    pub fn features(
        &self,
        images: Vec<impl Into<Picture>>,
    ) -> Result<(Vec<f32>, usize), PredictError> {
        let features = self.classifier()?.features(self.batch(images)?);
        let features = features.ok_or_else(|| PredictError::Lacks {
            model: self.card.model.clone(),
            what: "features",
        })?;
        let [_, width] = features.dims();
        Ok((features.into_data().iter::<f32>().collect(), width))
    }
}

/// Softmax of each row of `logits` (`[N, classes]`), in `f64`.
pub fn softmax(logits: &[f32], classes: usize) -> Vec<f64> {
    let mut out = Vec::with_capacity(logits.len());
    for row in logits.chunks(classes.max(1)) {
        let top = row.iter().copied().fold(f32::NEG_INFINITY, f32::max) as f64;
        let start = out.len();
        out.extend(row.iter().map(|x| (*x as f64 - top).exp()));
        let sum: f64 = out[start..].iter().sum();
        out[start..].iter_mut().for_each(|p| *p /= sum);
    }
    out
}

/// The `k` classes of the highest probability, the best first; of equals the lower index.
pub fn best(probabilities: &[f64], k: usize) -> Vec<(usize, f64)> {
    let mut classes: Vec<(usize, f64)> = probabilities.iter().copied().enumerate().collect();
    classes.sort_by(|a, b| b.1.total_cmp(&a.1).then(a.0.cmp(&b.0)));
    classes.truncate(k);
    classes
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_softmax_of_huge_logits_is_finite() {
        assert_eq!(softmax(&[1e30, -1e30], 2), [1.0, 0.0]);
        assert_eq!(softmax(&[2.0, 2.0, 0.0, 0.0], 2), [0.5; 4]);
    }

    #[test]
    fn of_equals_the_lower_index_is_first() {
        assert_eq!(best(&[0.2, 0.4, 0.4], 2), [(1, 0.4), (2, 0.4)]);
    }
}
