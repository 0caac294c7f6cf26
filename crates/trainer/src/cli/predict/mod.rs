//! `trainer predict`: uses a trained model on images. How a task's predictions are shown and written is one
//! file for each task.

mod classification;

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::Context;
use clap::Args;
use firesight_data::sample::Image;

use super::train::set_kernels;
use super::{DeviceArgs, End, Usage, usage};
use crate::device;
use crate::predictor::{Model, Predictor};

/// Arguments of `trainer predict`.
#[derive(Args, Debug)]
pub struct PredictArgs {
    /// A run folder (its best checkpoint, else its last) or a checkpoint folder
    run: PathBuf,
    /// Image files, or folders that are searched for images
    #[arg(required = true)]
    images: Vec<PathBuf>,
    #[command(flatten)]
    device: DeviceArgs,
    /// How many classes to show for each image
    #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u32).range(1..))]
    top: u32,
    /// Images per batch
    #[arg(long, default_value_t = 16, value_parser = clap::value_parser!(u32).range(1..))]
    batch_size: u32,
    /// Write the features before the head as safetensors
    #[arg(long, value_name = "FILE")]
    features: Option<PathBuf>,
    /// Print a JSON list, one object per image
    #[arg(long, conflicts_with = "csv")]
    json: bool,
    /// Print CSV, one line per image and class
    #[arg(long)]
    csv: bool,
}

/// Endings of the image formats that can be read.
const ENDINGS: [&str; 9] = [
    "jpg", "jpeg", "png", "webp", "bmp", "tif", "tiff", "gif", "pgm",
];

/// Shows and writes the predictions of one kind of model.
trait Output {
    /// Predicts a batch of images; `files` holds their names.
    ///
    /// # Errors
    /// An image that cannot be prepared, a file that cannot be written.
    fn add(&mut self, files: &[PathBuf], images: Vec<Image>) -> anyhow::Result<()>;

    /// Writes what is written at the end.
    ///
    /// # Errors
    /// A file that cannot be written.
    fn finish(self: Box<Self>) -> anyhow::Result<()>;
}

/// Predicts. Files that cannot be read are reported, and the rest is done.
///
/// # Errors
/// No model, no image at all.
pub fn run(args: PredictArgs) -> anyhow::Result<End> {
    let device = device::select(args.device.device.as_deref())?;
    let predictor = Predictor::load(&args.run, &device).map_err(usage)?;
    set_kernels(predictor.recipe());
    let mut output: Box<dyn Output + '_> = match predictor.model() {
        Model::Classifier(_) => Box::new(classification::Guesses::new(&predictor, &args)),
        Model::Generator(_) => {
            let run = args.run.display();
            let message = format!("{run}: a generator makes images: trainer generate {run}");
            return Err(Usage(message).into());
        }
    };
    let files = find_images(&args.images)?;
    if !args.json && !args.csv {
        eprintln!("{}", predictor.origin());
    }
    let mut failed = 0;
    for chunk in files.chunks(args.batch_size as usize) {
        let mut names = Vec::new();
        let mut images = Vec::new();
        for file in chunk {
            match predictor.read(file) {
                Ok(image) => {
                    names.push(file.clone());
                    images.push(image);
                }
                Err(error) => {
                    failed += 1;
                    eprintln!("error: {error:#}");
                }
            }
        }
        if !images.is_empty() {
            output.add(&names, images)?;
        }
    }
    output.finish()?;
    match failed {
        0 => Ok(End::Done),
        _ => {
            eprintln!("{failed} of {} images could not be read", files.len());
            Ok(End::Partly)
        }
    }
}

/// The files that were named, and the images in the folders that were named, in order.
fn find_images(paths: &[PathBuf]) -> anyhow::Result<Vec<PathBuf>> {
    let mut files = Vec::new();
    for path in paths {
        match path.is_dir() {
            true => collect(path, &mut files).with_context(|| format!("{}", path.display()))?,
            // A file that is missing is reported when its turn comes, like one that is damaged.
            false => files.push(path.clone()),
        }
    }
    if files.is_empty() {
        let named: Vec<String> = paths
            .iter()
            .map(|path| path.display().to_string())
            .collect();
        return Err(Usage(format!("{}: there are no images here", named.join(", "))).into());
    }
    Ok(files)
}

fn collect(folder: &Path, files: &mut Vec<PathBuf>) -> std::io::Result<()> {
    let mut entries: Vec<PathBuf> = fs::read_dir(folder)?
        .map(|entry| entry.map(|e| e.path()))
        .collect::<Result<_, _>>()?;
    entries.sort();
    for path in entries {
        if path.is_dir() {
            collect(&path, files)?;
        } else if path.extension().is_some_and(|ending| {
            ENDINGS
                .iter()
                .any(|known| ending.eq_ignore_ascii_case(known))
        }) {
            files.push(path);
        }
    }
    Ok(())
}
