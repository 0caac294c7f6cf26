//! Segmenting with a trained model.

use anyhow::bail;
use burn::tensor::{Tensor, TensorData};
use firesight_data::Mask;
use firesight_data::sample::Image;
use firesight_models::segmentation::Segmenter;

use super::{Model, Predictor};
use crate::recipe::TaskConfig;
use crate::task::{PredictConfig, SegmentationConfig, views};

/// What was found in an image.
#[derive(Clone, Debug, PartialEq)]
pub struct Segmentation {
    /// The likeliest class of each pixel, at the image's size.
    pub mask: Mask,
    /// The probabilities, `[classes, height, width]` plane by plane.
    pub probabilities: Vec<f32>,
}

impl Predictor {
    /// The segmenter.
    ///
    /// # Errors
    /// A model of another task.
    pub fn segmenter(&self) -> anyhow::Result<&Segmenter> {
        let Model::Segmenter(model) = &self.model else {
            bail!("{}: this model {}", self.card.model, self.model.does());
        };
        Ok(model)
    }

    /// The segmentation table of the recipe.
    fn segmentation(&self) -> anyhow::Result<&SegmentationConfig> {
        match &self.recipe.task {
            TaskConfig::Segmentation(config) => Ok(config),
            _ => bail!("{}: this model {}", self.card.model, self.model.does()),
        }
    }

    /// How the recipe wants images segmented.
    ///
    /// # Errors
    /// A model of another task.
    pub fn segmentation_settings(&self) -> anyhow::Result<PredictConfig> {
        Ok(self.segmentation()?.predict.clone())
    }

    /// Finds the class of every pixel of an image, whatever its size.
    ///
    /// The image is seen at its own size times each of the settings' scales; `data.prepare` has no part in it, but
    /// for a resize to a fixed size, which is done first and undone at the end.
    ///
    /// # Errors
    /// A model of another task, an image of other channels, settings out of range.
    pub fn segment(&self, image: &Image, settings: &PredictConfig) -> anyhow::Result<Segmentation> {
        let model = self.segmenter()?;
        if let Some((key, wrong)) = settings.problems().into_iter().next() {
            bail!("{key}: {wrong}");
        }
        if image.channels != self.card.channels {
            let (has, wants) = (image.channels, self.card.channels);
            bail!("an image of {has} channels for a model of {wants}");
        }
        let (height, width) = (image.height, image.width);
        let values = self.normalize.apply(image);
        let shape = [1, image.channels, height, width];
        let whole = Tensor::<4>::from_data(TensorData::new(values, shape), &self.device);
        let base = self.resized_to().unwrap_or([height, width]);
        let least = self.segmentation()?.model.minimum();
        let mean = views::probabilities(model, whole, base, settings, least);
        let classes = crate::task::classes_of(mean.clone());
        Ok(Segmentation {
            mask: Mask {
                width,
                height,
                classes,
            },
            probabilities: mean.into_data().iter::<f32>().collect(),
        })
    }

    /// The size that the recipe's preparation brings every image to, height first.
    fn resized_to(&self) -> Option<[usize; 2]> {
        use firesight_data::augment::Augment;
        let resize = |step: &Augment| match step {
            Augment::Resize(resize) => Some([resize.height, resize.width]),
            _ => None,
        };
        self.recipe.data.prepare.iter().rev().find_map(resize)
    }
}
