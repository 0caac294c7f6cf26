//! Segmenting with a trained model.

use crate::error::bail;
use burn::tensor::{Tensor, TensorData};
use firesight_data::Mask;
use firesight_data::augment::{MAX_SIDE, Preparation};
use firesight_data::sample::Image;
use firesight_models::segmentation::Segmenter;

use super::{Model, Predictor, picture};
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
    pub fn segmenter(&self) -> crate::Result<&Segmenter> {
        let Model::Segmenter(model) = &self.model else {
            bail!("{}: this model {}", self.card.model, self.model.does());
        };
        Ok(model)
    }

    /// The segmentation table of the recipe.
    fn segmentation(&self) -> crate::Result<&SegmentationConfig> {
        match &self.recipe.task {
            TaskConfig::Segmentation(config) => Ok(config),
            _ => bail!("{}: this model {}", self.card.model, self.model.does()),
        }
    }

    /// How the recipe wants images segmented.
    ///
    /// # Errors
    /// A model of another task.
    pub fn segmentation_settings(&self) -> crate::Result<PredictConfig> {
        Ok(self.segmentation()?.predict.clone())
    }

    /// Finds the class of every pixel of an image, whatever its size.
    ///
    /// The image is seen at the size that `data.prepare` gives it, times each of the settings' scales, and the answer
    /// brought back to its own. What a preparation cuts off is seen all the same, and what it adds is not.
    ///
    /// # Errors
    /// A model of another task, a picture that it cannot take ([`super::PictureError`]), settings out of range.
    pub fn segment(&self, image: &Image, settings: &PredictConfig) -> crate::Result<Segmentation> {
        let model = self.segmenter()?;
        if let Some((key, wrong)) = settings.problems().into_iter().next() {
            bail!("{key}: {wrong}");
        }
        self.check(image)?;
        let (height, width) = (image.height, image.width);
        let values = self.normalize.apply(image);
        let shape = [1, image.channels, height, width];
        let whole = Tensor::<4>::from_data(TensorData::new(values, shape), &self.device);
        let base = size_when_prepared(&self.prepare, [height, width]);
        let least = self.segmentation()?.model.minimum();
        for scale in &settings.scales {
            let side = |side: usize| (side as f64 * scale).round() as usize;
            picture::seen(
                base.map(side),
                ", and this is its size at one of the scales",
            )?;
        }
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
}

/// The height and width that a preparation gives the whole of an image, cuts and borders left aside.
fn size_when_prepared(prepare: &Preparation, [height, width]: [usize; 2]) -> [usize; 2] {
    let plan = prepare.plan([width, height]);
    let whole = [0.0, 0.0, width as f64, height as f64];
    let side = |from: f64, to: f64| ((to - from).round() as usize).clamp(1, MAX_SIDE);
    match plan.map().hull(whole) {
        Some([x1, y1, x2, y2]) => [side(y1, y2), side(x1, x2)],
        None => [height, width],
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// 480 rows of 640 pixels, at the scale of each preparation.
    #[test]
    fn an_image_is_seen_at_the_scale_of_its_preparation() {
        for (prepare, size) in [
            ("[]", [480, 640]),
            (r#"[{"resize": {"width": 320, "height": 320}}]"#, [320, 320]),
            (r#"[{"resize-shortest": {"size": 240}}]"#, [240, 320]),
            (
                r#"[{"centre-crop": {"width": 100, "height": 100}}]"#,
                [480, 640],
            ),
            (
                r#"[{"resize-shortest": {"size": 240}}, {"centre-crop": {"width": 224, "height": 224}}]"#,
                [240, 320],
            ),
            (
                r#"[{"letterbox": {"width": 160, "height": 160}}]"#,
                [120, 160],
            ),
        ] {
            let steps: Vec<_> = serde_json::from_str(prepare).unwrap();
            let prepare = Preparation::new(&steps);
            assert_eq!(
                size_when_prepared(&prepare, [480, 640]),
                size,
                "{prepare:?}"
            );
        }
    }
}
