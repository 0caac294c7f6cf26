//! Segmenting with a trained model: whole images, or windows of them that are blended.

use anyhow::{Context, bail};
use burn::tensor::activation::softmax;
use burn::tensor::{Tensor, TensorData};
use firesight_data::Mask;
use firesight_data::sample::Image;
use firesight_models::segmentation::Segmenter;
use firesight_ops::{Interpolation, resize};

use super::{Model, Predictor};
use crate::recipe::TaskConfig;
use crate::task::{PredictConfig, SegmentationConfig};

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
    /// A model of another task, an image of other channels.
    pub fn segment(&self, image: &Image, settings: &PredictConfig) -> anyhow::Result<Segmentation> {
        let model = self.segmenter()?;
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
        let mut sum: Option<Tensor<4>> = None;
        let mut views = 0;
        for scale in &settings.scales {
            let side = |side: usize| ((side as f64 * scale).round() as usize).max(least).max(1);
            let x = to_size(whole.clone(), base.map(side));
            for flip in [false, true] {
                if flip && !settings.flip {
                    continue;
                }
                let mirror = |t: Tensor<4>| if flip { t.flip([3]) } else { t };
                let seen = windows(mirror(x.clone()), settings, least, |x| {
                    softmax(model.forward(x), 1)
                });
                let seen = to_size(mirror(seen), [height, width]);
                sum = Some(match sum {
                    Some(sum) => sum + seen,
                    None => seen,
                });
                views += 1;
            }
        }
        let mean = sum
            .context("no scale to see the image at")?
            .div_scalar(views as f64);
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

fn to_size(x: Tensor<4>, size: [usize; 2]) -> Tensor<4> {
    resize(x, size, Interpolation::Bilinear, false)
}

/// Where windows of `tile` begin along a side, so that neighbours share at least `overlap` of a window.
fn starts(side: usize, tile: usize, overlap: f64) -> Vec<usize> {
    if side <= tile {
        return vec![0];
    }
    let step = ((tile as f64 * (1.0 - overlap)).floor() as usize).max(1);
    let count = (side - tile).div_ceil(step);
    // Spread evenly: the last one ends at the edge.
    (0..=count).map(|i| i * (side - tile) / count).collect()
}

/// The weight of a window's pixels along a side: it rises from the edges to the middle.
fn ramp(side: usize) -> Vec<f32> {
    let rise = |i: usize| (i.min(side - 1 - i) + 1) as f32;
    (0..side).map(rise).collect()
}

/// Runs `see` on windows of an image and blends what it gives; on the whole image where no window is asked for or
/// the image is no larger than one.
///
/// # Shapes
/// - `x`: `[1, C, H, W]`
/// - `see`: `[1, C, h, w]` to `[1, K, h, w]`
/// - output: `[1, K, H, W]`
fn windows(
    x: Tensor<4>,
    settings: &PredictConfig,
    least: usize,
    see: impl Fn(Tensor<4>) -> Tensor<4>,
) -> Tensor<4> {
    let [_, channels, height, width] = x.dims();
    let tile = settings.tile.map_or(usize::MAX, |tile| tile.max(least));
    if height <= tile && width <= tile {
        return see(x);
    }
    let (high, wide) = (tile.min(height), tile.min(width));
    let (down, across) = (ramp(high), ramp(wide));
    let mut total = vec![0.0f32; height * width];
    let mut sums: Vec<f32> = Vec::new();
    let mut classes = 0;
    let rows = starts(height, tile, settings.overlap);
    let columns = starts(width, tile, settings.overlap);
    for &top in &rows {
        for &left in &columns {
            let part = [0..1, 0..channels, top..top + high, left..left + wide];
            let seen = see(x.clone().slice(part));
            classes = seen.dims()[1];
            sums.resize(classes * height * width, 0.0);
            let seen: Vec<f32> = seen.into_data().iter::<f32>().collect();
            for y in 0..high {
                for x in 0..wide {
                    let weight = down[y] * across[x];
                    let at = (top + y) * width + left + x;
                    total[at] += weight;
                    for class in 0..classes {
                        let value = seen[(class * high + y) * wide + x];
                        sums[class * height * width + at] += weight * value;
                    }
                }
            }
        }
    }
    for plane in sums.chunks_exact_mut(height * width) {
        plane
            .iter_mut()
            .zip(&total)
            .for_each(|(sum, total)| *sum /= total);
    }
    let shape = [1, classes, height, width];
    Tensor::from_data(TensorData::new(sums, shape), &x.device())
}

#[cfg(test)]
mod tests {
    use super::*;
    use burn::tensor::Device;

    #[test]
    fn windows_cover_every_pixel_and_overlap_as_asked() {
        for (side, tile, overlap) in [(10, 4, 0.0), (11, 4, 0.25), (100, 32, 0.5), (5, 4, 0.9)] {
            let starts = starts(side, tile, overlap);
            assert_eq!((starts[0], starts[starts.len() - 1]), (0, side - tile));
            let step = tile - (tile as f64 * overlap).ceil() as usize;
            let wide = starts
                .windows(2)
                .find(|pair| pair[1] - pair[0] > step.max(1));
            assert_eq!(wide, None, "{side} {tile} {overlap}: {starts:?}");
        }
        assert_eq!(starts(4, 8, 0.5), [0]);
    }

    /// What does not look at neighbours gives the same in windows as at once.
    #[test]
    fn blending_leaves_a_pixelwise_function_as_it_is() {
        let device = Device::flex();
        let values: Vec<f32> = (0..2 * 13 * 17).map(|i| (i as f32 * 0.37).sin()).collect();
        let x = Tensor::<4>::from_data(TensorData::new(values, [1, 2, 13, 17]), &device);
        let settings = PredictConfig {
            tile: Some(6),
            overlap: 0.3,
            ..Default::default()
        };
        let blended = windows(x.clone(), &settings, 1, |x| x.mul_scalar(2.0));
        let error = (blended - x.mul_scalar(2.0)).abs().max();
        assert!(error.into_scalar::<f32>() < 1e-6);
    }
}
