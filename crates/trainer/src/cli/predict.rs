//! `trainer predict`: classifies images with a trained model.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::Context;
use clap::Args;
use safetensors::tensor::{Dtype, TensorView};
use serde::Serialize;

use super::train::set_kernels;
use super::{DeviceArgs, End, Usage, print_json, usage};
use crate::device;
use crate::predictor::{Guess, Predictor};

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

#[derive(Serialize)]
struct Row {
    file: String,
    classes: Vec<String>,
    scores: Vec<f64>,
}

/// Endings of the image formats that can be read.
const ENDINGS: [&str; 9] = [
    "jpg", "jpeg", "png", "webp", "bmp", "tif", "tiff", "gif", "pgm",
];

/// Predicts. Files that cannot be read are reported, and the rest is done.
///
/// # Errors
/// No model, no image at all.
pub fn run(args: PredictArgs) -> anyhow::Result<End> {
    let device = device::select(args.device.device.as_deref())?;
    let predictor = Predictor::load(&args.run, &device).map_err(usage)?;
    set_kernels(predictor.recipe());
    let files = find_images(&args.images)?;
    if !args.json && !args.csv {
        eprintln!("{}", predictor.origin());
    }
    if args.csv {
        println!("file,rank,class,probability");
    }
    let mut rows = Vec::new();
    let mut failed = 0;
    let mut features = Features::default();
    for chunk in files.chunks(args.batch_size as usize) {
        let mut names = Vec::new();
        let mut images = Vec::new();
        for file in chunk {
            match predictor.read(file) {
                Ok(image) => {
                    names.push(file.display().to_string());
                    images.push(image);
                }
                Err(error) => {
                    failed += 1;
                    eprintln!("error: {error:#}");
                }
            }
        }
        if args.features.is_some() && !images.is_empty() {
            features.add(&names, predictor.features(images.clone())?);
        }
        let guesses = predictor.classify(images)?;
        for (file, guesses) in names.into_iter().zip(guesses) {
            let top = &guesses[..guesses.len().min(args.top as usize)];
            if args.json {
                let classes = top.iter().map(|guess| guess.name.clone()).collect();
                let scores = top.iter().map(|guess| guess.probability).collect();
                rows.push(Row {
                    file,
                    classes,
                    scores,
                });
            } else {
                show(&file, top, args.csv);
            }
        }
    }
    if args.json {
        print_json(&rows)?;
    }
    if let Some(path) = &args.features {
        features.write(path)?;
    }
    match failed {
        0 => Ok(End::Done),
        _ => {
            eprintln!("{failed} of {} images could not be read", files.len());
            Ok(End::Partly)
        }
    }
}

fn show(file: &str, top: &[Guess], csv: bool) {
    if csv {
        for (rank, guess) in top.iter().enumerate() {
            let (file, name) = (super::eval::quoted(file), super::eval::quoted(&guess.name));
            println!("{file},{},{name},{}", rank + 1, guess.probability);
        }
        return;
    }
    println!("{file}");
    for guess in top {
        println!("  {:>6.2} %  {}", 100.0 * guess.probability, guess.name);
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

/// Features of all images, gathered for one file.
#[derive(Default)]
struct Features {
    names: Vec<String>,
    values: Vec<f32>,
    width: usize,
}

impl Features {
    fn add(&mut self, names: &[String], (values, width): (Vec<f32>, usize)) {
        self.names.extend_from_slice(names);
        self.values.extend(values);
        self.width = width;
    }

    /// Writes `features` `[N, width]`; the file names stand in the metadata as a JSON list.
    fn write(&self, path: &Path) -> anyhow::Result<()> {
        let bytes: Vec<u8> = self
            .values
            .iter()
            .flat_map(|value| value.to_le_bytes())
            .collect();
        let view = TensorView::new(Dtype::F32, vec![self.names.len(), self.width], &bytes)?;
        let files = serde_json::to_string(&self.names)?;
        let metadata = [("files".to_owned(), files)].into();
        let out = safetensors::serialize([("features", view)], Some(metadata))?;
        fs::write(path, out).with_context(|| format!("{}", path.display()))
    }
}
