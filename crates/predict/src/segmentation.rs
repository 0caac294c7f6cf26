//! Segmenting with a trained model.

use burn::tensor::{Tensor, TensorData};
use firesight_data::Mask;
use firesight_data::augment::MAX_SIDE;
use firesight_data::preprocess::Preprocess;
use firesight_data::sample::Image;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::error::PredictError;
use crate::model::{Model, Segment};
use crate::picture;
use crate::predictor::Predictor;
use crate::views::probabilities;

/// What was found in an image.
#[derive(Clone, Debug, PartialEq)]
pub struct Segmentation {
    /// The likeliest class of each pixel, at the image's size.
    pub mask: Mask,
    /// The probabilities, `[classes, height, width]` plane by plane.
    pub probabilities: Vec<f32>,
}

/// How a trained segmenter sees images, when it predicts and when it is measured.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields, default)]
pub struct PredictConfig {
    /// The windows that larger images are seen through; whole images at once if not given.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sliding_window: Option<SlidingWindow>,
    /// Test-time augmentation: several views of an image, averaged.
    pub tta: Tta,
}

/// Windows that slide over an image.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct SlidingWindow {
    /// The side of a window in pixels.
    pub size: usize,
    /// The share of a window that overlaps the next, 0 to 0.95; windows are blended there.
    #[serde(default = "quarter")]
    pub overlap: f64,
}

fn quarter() -> f64 {
    0.25
}

impl SlidingWindow {
    /// Windows of a side in pixels that overlap by a quarter.
    pub fn new(size: usize) -> Self {
        Self {
            size,
            overlap: quarter(),
        }
    }
}

/// Test-time augmentation: several views of an image, averaged.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields, default)]
pub struct Tta {
    /// Whether the mirrored image is seen too.
    pub flip: bool,
    /// Whether the image is seen turned by 90, 180 and 270 degrees too; with `flip`, in the eight symmetries of a square.
    pub rotate: bool,
    /// The scales that the image is seen at.
    pub scales: Vec<f64>,
}

impl Default for Tta {
    fn default() -> Self {
        Self {
            flip: false,
            rotate: false,
            scales: vec![1.0],
        }
    }
}

impl PredictConfig {
    /// Whether an image is seen once, as it is.
    pub fn is_single(&self) -> bool {
        self.sliding_window.is_none() && self.tta == Tta::default()
    }

    /// What is wrong with the values: key and message.
    pub fn problems(&self) -> Vec<(String, String)> {
        let mut problems = Vec::new();
        if let Some(SlidingWindow { size, overlap }) = self.sliding_window {
            if !(1..=MAX_SIDE).contains(&size) {
                let message =
                    format!("a window of {size} pixels; from 1 to {MAX_SIDE} are possible");
                problems.push(("sliding-window.size".into(), message));
            }
            if !(0.0..=0.95).contains(&overlap) {
                let message = format!("{overlap} is out of range; give 0 or more, at most 0.95");
                problems.push(("sliding-window.overlap".into(), message));
            }
        }
        let scales = &self.tta.scales;
        let fits = |scale: &f64| (0.1..=8.0).contains(scale);
        if scales.is_empty() || scales.len() > 64 || !scales.iter().all(fits) {
            let message = "give 1 to 64 scales, each from 0.1 to 8".to_string();
            problems.push(("tta.scales".into(), message));
        }
        problems
    }
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
        image: &Image,
        settings: &PredictConfig,
    ) -> Result<Segmentation, PredictError> {
        let (model, _, least) = self.segmenter()?;
        if let Some((key, message)) = settings.problems().into_iter().next() {
            return Err(PredictError::Setting { key, message });
        }
        self.check(image)?;
        let (height, width) = (image.height, image.width);
        let values = self.normalize.apply(image);
        let shape = [1, image.channels, height, width];
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

    #[test]
    fn settings_of_prediction_are_checked() {
        let config = PredictConfig {
            sliding_window: Some(SlidingWindow {
                size: 0,
                overlap: 1.0,
            }),
            tta: Tta {
                scales: Vec::new(),
                ..Tta::default()
            },
        };
        let keys: Vec<_> = config.problems().into_iter().map(|(key, _)| key).collect();
        assert_eq!(
            keys,
            [
                "sliding-window.size",
                "sliding-window.overlap",
                "tta.scales"
            ]
        );
        assert!(PredictConfig::default().problems().is_empty());
    }
}
