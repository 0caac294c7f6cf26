//! Segmenting with a trained model.

use burn::tensor::{Tensor, TensorData};
use firesight_data::Mask;
use firesight_data::augment::MAX_SIDE;
use firesight_data::preprocess::Preprocess;
use firesight_data::sample::Picture;

use crate::error::PredictError;
use crate::model::{Model, Segment};
use crate::picture;
use crate::predictor::Predictor;
use crate::settings::PredictConfig;
use crate::views::probabilities;

/// What was found in an image.
#[derive(Clone, Debug, PartialEq)]
pub struct Segmentation {
    /// The likeliest class of each pixel, at the image's size.
    pub mask: Mask,
    /// The probabilities, `[classes, height, width]` plane by plane.
    pub probabilities: Vec<f32>,
}

impl Predictor {
    /// The segmenter, how it sees images, and the smallest side that it can see, in pixels.
    ///
    /// # Errors
    /// A model of another task.
    pub fn segmenter(&self) -> Result<(&dyn Segment, &PredictConfig, usize), PredictError> {
        match &self.model {
            Model::Segmenter {
                network,
                settings,
                minimum,
            } => Ok((network.as_ref(), settings, *minimum)),
            _ => Err(self.other_task()),
        }
    }

    /// How images are segmented unless something else is asked for.
    ///
    /// # Errors
    /// A model of another task.
    pub fn segmentation_settings(&self) -> Result<PredictConfig, PredictError> {
        Ok(self.segmenter()?.1.clone())
    }

    /// Finds the class of every pixel of an image, whatever its size.
    ///
    /// The image is seen at the size that `data.preprocess` gives it, times each of the settings' scales, and the answer
    /// brought back to its own. What a preparation cuts off is seen all the same, and what it adds is not.
    ///
    /// # Errors
    /// A model of another task, a picture that it cannot take ([`crate::PictureError`]), settings out of range.
    pub fn segment(
        &self,
        image: &Picture,
        settings: &PredictConfig,
    ) -> Result<Segmentation, PredictError> {
        let (model, _, least) = self.segmenter()?;
        if let Some((key, message)) = settings.problems().into_iter().next() {
            return Err(PredictError::Setting { key, message });
        }
        self.check(image)?;
        let [width, height] = image.size();
        let values = self.normalize.apply(image);
        let shape = [1, image.channels(), height, width];
        let whole = Tensor::<4>::from_data(TensorData::new(values, shape), &self.device);
        let base = size_when_preprocessed(&self.preprocess, [height, width]);
        for scale in &settings.tta.scales {
            let side = |side: usize| (side as f64 * scale).round() as usize;
            picture::seen(
                base.map(side),
                ", and this is its size at one of the scales",
            )?;
        }
        let mean = probabilities(model, whole, base, settings, least);
        let classes = classes_of(mean.clone());
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
fn size_when_preprocessed(preprocess: &Preprocess, [height, width]: [usize; 2]) -> [usize; 2] {
    let plan = preprocess.plan([width, height]);
    let whole = [0.0, 0.0, width as f64, height as f64];
    let side = |from: f64, to: f64| ((to - from).round() as usize).clamp(1, MAX_SIDE);
    match plan.map().hull(whole) {
        Some([x1, y1, x2, y2]) => [side(y1, y2), side(x1, x2)],
        None => [height, width],
    }
}

/// The class of the highest score at each pixel of `[N, C, H, W]`, image by image, row by row; of equals the lowest.
pub fn classes_of(logits: Tensor<4>) -> Vec<u8> {
    let [n, classes, height, width] = logits.dims();
    let pixels = height * width;
    let values: Vec<f32> = logits.into_data().iter::<f32>().collect();
    let mut best = vec![0u8; n * pixels];
    for (best, image) in best
        .chunks_exact_mut(pixels)
        .zip(values.chunks_exact(classes * pixels))
    {
        let (first, rest) = image.split_at(pixels);
        let mut highest = first.to_vec();
        for (class, plane) in rest.chunks_exact(pixels).enumerate() {
            for ((best, highest), value) in best.iter_mut().zip(&mut highest).zip(plane) {
                if value > highest {
                    (*best, *highest) = (class as u8 + 1, *value);
                }
            }
        }
    }
    best
}

#[cfg(test)]
mod tests {
    use super::*;
    use burn::tensor::Device;

    /// 480 rows of 640 pixels, at the scale of each preparation.
    #[test]
    fn an_image_is_seen_at_the_scale_of_its_preparation() {
        for (preprocess, size) in [
            ("[]", [480, 640]),
            (r#"[{"resize": {"width": 320, "height": 320}}]"#, [320, 320]),
            (r#"[{"resize-shortest": {"size": 240}}]"#, [240, 320]),
            (
                r#"[{"center-crop": {"width": 100, "height": 100}}]"#,
                [480, 640],
            ),
            (
                r#"[{"resize-shortest": {"size": 240}}, {"center-crop": {"width": 224, "height": 224}}]"#,
                [240, 320],
            ),
            (
                r#"[{"letterbox": {"width": 160, "height": 160}}]"#,
                [120, 160],
            ),
        ] {
            let steps: Vec<_> = serde_json::from_str(preprocess).unwrap();
            let preprocess = Preprocess::new(&steps);
            assert_eq!(
                size_when_preprocessed(&preprocess, [480, 640]),
                size,
                "{preprocess:?}"
            );
        }
    }

    #[test]
    fn the_highest_score_wins_and_of_equals_the_first() {
        let device = Device::flex();
        let logits = Tensor::<4>::from_floats(
            [
                [[[1.0, 0.0, 2.0]], [[1.0, 3.0, -1.0]], [[0.0, 1.0, 2.5]]],
                [[[0.0, 0.0, 0.0]], [[-1.0, 0.0, 1.0]], [[-2.0, 4.0, 1.0]]],
            ],
            &device,
        );
        assert_eq!(classes_of(logits), [0, 1, 2, 0, 2, 1]);
    }
}
