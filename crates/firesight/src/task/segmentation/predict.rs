//! A segmenter in use: the class of every pixel, as a mask and over the picture.

use std::path::{Path, PathBuf};

use firesight_data::Mask;
use firesight_data::draw::overlay::{overlay, with_legend, write_mask};
use firesight_data::draw::write_png;
use firesight_data::sample::{Image, Picture};
use firesight_predict::{PredictConfig, Predictor, SlidingWindow};
use serde::{Deserialize, Serialize};

use super::SegmentationConfig;
use crate::task::predict::{self, Predict, PredictOptions, Prediction, Used};

/// What may be set on top of the recipe's `predict`.
#[derive(Default, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields, default)]
struct Options {
    /// Windows of this side in pixels.
    window: Option<usize>,
    /// The share of a window that overlaps the next.
    overlap: Option<f64>,
    /// Sees the mirrored picture too.
    flip: bool,
    /// Sees the picture turned by 90, 180 and 270 degrees too.
    rotate: bool,
    /// Sees the picture at these scales.
    scales: Option<Vec<f64>>,
}

impl Options {
    fn on_top_of(self, mut settings: PredictConfig) -> crate::Result<PredictConfig> {
        if let Some(size) = self.window {
            let window = SlidingWindow::new(size);
            let own = settings.sliding_window.unwrap_or(window);
            settings.sliding_window = Some(SlidingWindow { size, ..own });
        }
        match (self.overlap, &mut settings.sliding_window) {
            (Some(overlap), Some(window)) => window.overlap = overlap,
            (Some(_), None) => {
                let message = "the image is not seen through windows; set `window` too";
                return Err(predict::setting("overlap", message));
            }
            (None, _) => {}
        }
        settings.tta.flip |= self.flip;
        settings.tta.rotate |= self.rotate;
        if let Some(scales) = self.scales {
            settings.tta.scales = scales;
        }
        Ok(settings)
    }
}

/// Finds the class of every pixel of pictures.
struct Masks<'a> {
    predictor: &'a Predictor,
    settings: PredictConfig,
}

/// A segmenter's use.
///
/// # Errors
/// Settings that it does not have, or out of range.
pub(super) fn used<'a>(
    config: &SegmentationConfig,
    used: Used<'a>,
    options: PredictOptions,
) -> crate::Result<Box<dyn Predict + 'a>> {
    let predictor = used.predictor;
    let options: Options = predict::read(options)?;
    let settings = options.on_top_of(predictor.segmentation_settings()?)?;
    let mut problems = settings.problems();
    problems.extend(config.window_problem(&settings));
    if let Some((key, message)) = problems.into_iter().next() {
        let key = match key.as_str() {
            "sliding-window.size" => "window",
            "sliding-window.overlap" => "overlap",
            _ => "scales",
        };
        return Err(predict::setting(key, message));
    }
    Ok(Box::new(Masks {
        predictor,
        settings,
    }))
}

impl Predict for Masks<'_> {
    fn predict(&self, images: &[Picture]) -> crate::Result<Vec<Box<dyn Prediction>>> {
        let told = images.iter().map(|image| {
            let found = self.predictor.segment(image, &self.settings)?;
            let told = Told::new(found.mask, self.predictor.classes());
            Ok(Box::new(told) as Box<dyn Prediction>)
        });
        told.collect()
    }

    fn columns(&self) -> &'static [&'static str] {
        &["mask", "overlay"]
    }

    fn folder(&self) -> Option<&'static str> {
        Some("predictions")
    }

    fn is_one_by_one(&self) -> bool {
        true
    }
}

/// The endings of a mask and of the picture that it lies over.
const ENDINGS: [&str; 2] = ["_mask.png", "_overlay.png"];

/// The classes of a picture's pixels.
#[derive(Serialize)]
struct Told {
    #[serde(rename = "mask", skip_serializing_if = "Option::is_none")]
    mask_file: Option<PathBuf>,
    #[serde(skip_serializing_if = "Option::is_none")]
    overlay: Option<PathBuf>,
    /// The classes that were found, the largest first, with their shares of the picture.
    classes: Vec<String>,
    shares: Vec<f64>,
    /// Their indices.
    #[serde(skip)]
    indices: Vec<usize>,
    #[serde(skip)]
    mask: Mask,
}

impl Told {
    fn new(mask: Mask, classes: &[String]) -> Self {
        let found = shares(&mask, classes.len());
        Self {
            mask_file: None,
            overlay: None,
            classes: found
                .iter()
                .map(|(class, _)| classes[*class].clone())
                .collect(),
            shares: found.iter().map(|(_, share)| *share).collect(),
            indices: found.iter().map(|(class, _)| *class).collect(),
            mask,
        }
    }
}

impl Prediction for Told {
    fn lines(&self) -> Vec<String> {
        let classes = self.classes.iter().zip(&self.shares);
        let line = |(class, share)| format!("{:>6.2} %  {class}", 100.0 * share);
        classes.map(line).collect()
    }

    fn records(&self) -> Vec<Vec<String>> {
        let files = self.files().into_iter();
        vec![files.map(|file| file.display().to_string()).collect()]
    }

    fn draw(&self, picture: &Picture) -> Image {
        let named = self.indices.iter().zip(&self.classes);
        let legend: Vec<(u8, &str)> = named.map(|(at, name)| (*at as u8, name.as_str())).collect();
        with_legend(overlay(&picture.shown(), &self.mask), &legend)
    }

    fn endings(&self) -> &'static [&'static str] {
        &ENDINGS
    }

    fn write(&mut self, picture: &Picture, stem: &Path) -> crate::Result<()> {
        let [mask, overlay] = ENDINGS.map(|ending| predict::with_ending(stem, ending));
        write_mask(&self.mask, &mask)?;
        write_png(&self.draw(picture), &overlay)?;
        (self.mask_file, self.overlay) = (Some(mask), Some(overlay));
        Ok(())
    }

    fn files(&self) -> Vec<&Path> {
        let files = self.mask_file.iter().chain(&self.overlay);
        files.map(PathBuf::as_path).collect()
    }
}

/// The classes of a mask with their shares, the largest first.
fn shares(mask: &Mask, classes: usize) -> Vec<(usize, f64)> {
    let mut counts = vec![0usize; classes];
    for class in &mask.classes {
        if let Some(count) = counts.get_mut(usize::from(*class)) {
            *count += 1;
        }
    }
    let total = mask.classes.len().max(1) as f64;
    let mut shares: Vec<(usize, f64)> = counts
        .into_iter()
        .enumerate()
        .filter(|(_, count)| *count > 0)
        .map(|(class, count)| (class, count as f64 / total))
        .collect();
    shares.sort_by(|a, b| b.1.total_cmp(&a.1).then(a.0.cmp(&b.0)));
    shares
}
