//! Masks as palette PNG files, and pictures of them over their images.

use std::path::{Path, PathBuf};

use anyhow::Context;
use firesight_data::Mask;
use firesight_data::draw::overlay::{overlay, with_legend, write_mask};
use firesight_data::draw::write_png;
use firesight_data::sample::Image;
use serde::Serialize;

use super::{Names, Output, PredictArgs};
use crate::cli::eval::quoted;
use crate::cli::print_json;
use firesight::predictor::Predictor;
use firesight::predictor::{PredictConfig, SlidingWindow};
use firesight::recipe::TaskConfig;

/// Writes the mask and the overlay of each image.
pub(super) struct Masks<'a> {
    predictor: &'a Predictor,
    args: &'a PredictArgs,
    settings: PredictConfig,
    rows: Vec<Row>,
}

#[derive(Serialize)]
struct Row {
    file: String,
    mask: PathBuf,
    overlay: PathBuf,
    /// The classes that were found, the largest first, with their shares of the image.
    classes: Vec<String>,
    shares: Vec<f64>,
}

impl<'a> Masks<'a> {
    pub(super) fn new(predictor: &'a Predictor, args: &'a PredictArgs) -> anyhow::Result<Self> {
        let mut settings = predictor.segmentation_settings()?;
        if let Some(size) = args.window {
            let overlap = settings.sliding_window.map(|window| window.overlap);
            let mut window = SlidingWindow::new(size);
            window.overlap = overlap.unwrap_or(window.overlap);
            settings.sliding_window = Some(window);
        }
        match (args.overlap, &mut settings.sliding_window) {
            (Some(overlap), Some(window)) => window.overlap = overlap,
            (Some(_), None) => {
                let message =
                    "--overlap: the image is not seen through windows; give --window PIXELS too";
                return Err(super::Usage(message.into()).into());
            }
            (None, _) => {}
        }
        settings.tta.flip |= args.flip;
        settings.tta.rotate |= args.rotate;
        if let Some(scales) = &args.scales {
            settings.tta.scales = scales.clone();
        }
        let mut problems = settings.problems();
        if let TaskConfig::Segmentation(config) = &predictor.recipe().task {
            problems.extend(config.window_problem(&settings));
        }
        if let Some((key, message)) = problems.into_iter().next() {
            let option = match key.as_str() {
                "sliding-window.size" => "--window",
                "sliding-window.overlap" => "--overlap",
                _ => "--scales",
            };
            return Err(super::Usage(format!("{option}: {message}")).into());
        }
        if args.csv {
            println!("file,mask,overlay");
        }
        Ok(Self {
            predictor,
            args,
            settings,
            rows: Vec::new(),
        })
    }
}

impl Output for Masks<'_> {
    fn add(
        &mut self,
        files: &[PathBuf],
        images: Vec<Image>,
        names: Option<&mut Names>,
    ) -> anyhow::Result<()> {
        let names = names.context("a segmenter's masks have a folder")?;
        for (file, image) in files.iter().zip(images) {
            let found = self
                .predictor
                .segment(&image, &self.settings)
                .with_context(|| format!("{}", file.display()))?;
            let [mask, picture] = names.next(file, ["_mask.png", "_overlay.png"]);
            let classes = self.predictor.classes();
            let shares = shares(&found.mask, classes.len());
            write_mask(&found.mask, &mask)?;
            let legend: Vec<(u8, &str)> = shares
                .iter()
                .map(|(class, _)| (*class as u8, classes[*class].as_str()))
                .collect();
            write_png(
                &with_legend(overlay(&image, &found.mask), &legend),
                &picture,
            )?;
            let row = Row {
                file: file.display().to_string(),
                mask,
                overlay: picture,
                classes: shares
                    .iter()
                    .map(|(class, _)| classes[*class].clone())
                    .collect(),
                shares: shares.iter().map(|(_, share)| *share).collect(),
            };
            if self.args.csv {
                let path = |path: &Path| quoted(&path.display().to_string());
                println!(
                    "{},{},{}",
                    quoted(&row.file),
                    path(&row.mask),
                    path(&row.overlay)
                );
            } else if !self.args.json {
                println!("{}", row.file);
                for (class, share) in row.classes.iter().zip(&row.shares) {
                    println!("  {:>6.2} %  {class}", 100.0 * share);
                }
                println!("  {}, {}", row.mask.display(), row.overlay.display());
            }
            self.rows.push(row);
        }
        Ok(())
    }

    fn finish(self: Box<Self>) -> anyhow::Result<()> {
        match self.args.json {
            true => print_json(&self.rows),
            false => Ok(()),
        }
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
