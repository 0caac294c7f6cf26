//! `trainer predict`: uses a trained model on images. How a task's predictions are shown and written is one
//! file for each task.

mod classification;
mod detection;
mod segmentation;

use std::collections::HashSet;
use std::fs;
use std::io::Read;
use std::path::{Path, PathBuf};

use anyhow::Context;
use clap::Args;
use firesight_data::decode::DecodeLimits;
use firesight_data::sample::Image;

use super::train::set_kernels;
use super::{DeviceArgs, End, Usage, usage};
use crate::device;
use crate::predictor::{Model, Predictor};

/// Arguments of `trainer predict`.
#[derive(Args, Debug)]
pub struct PredictArgs {
    /// A run folder (its best checkpoint, else its last), a checkpoint folder or an exported .safetensors file
    run: PathBuf,
    /// Image files, folders that are searched for images, or `-` for one image from standard input
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
    /// Average over so many more copies of each image, changed by the recipe's own augmentations
    #[arg(long, value_name = "COPIES", default_value_t = 0)]
    augment: u32,
    /// Write a copy of each image with its prediction drawn, and masks, into this folder
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
    /// Segment through windows of this side in pixels
    #[arg(long, value_name = "PIXELS")]
    tile: Option<usize>,
    /// The share of a window that overlaps the next
    #[arg(long, value_name = "SHARE")]
    overlap: Option<f64>,
    /// Segment the mirrored image too, and average
    #[arg(long)]
    flip: bool,
    /// Segment the image turned by 90, 180 and 270 degrees too, and average
    #[arg(long)]
    turn: bool,
    /// Segment at these scales, and average: 0.5,1,1.5
    #[arg(long, value_name = "SCALES", value_delimiter = ',')]
    scales: Option<Vec<f64>>,
    /// Write the features before the head as safetensors
    #[arg(long, value_name = "FILE")]
    features: Option<PathBuf>,
    /// Objects from this score on, 0 to 1 (0.5 unless given); for detectors
    #[arg(long, value_name = "SCORE")]
    score: Option<f32>,
    /// An object goes where its IoU with a better one of its class is greater; for detectors
    #[arg(long, value_name = "IOU")]
    iou: Option<f32>,
    /// The most objects of an image; for detectors
    #[arg(long, value_name = "COUNT")]
    most: Option<u32>,
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
    if args.augment > 0 && predictor.recipe().data.augment.is_empty() {
        let message =
            "--augment: the recipe that this model was trained with has no `data.augment`";
        return Err(Usage(message.into()).into());
    }
    if let Some(folder) = &args.out {
        fs::create_dir_all(folder).with_context(|| format!("{}", folder.display()))?;
    }
    let mut output: Box<dyn Output + '_> = match predictor.model() {
        Model::Classifier(_) => Box::new(classification::Guesses::new(&predictor, &args)),
        Model::Segmenter(_) => Box::new(segmentation::Masks::new(&predictor, &args)?),
        Model::Detector(_) => Box::new(detection::Boxes::new(&predictor, &args)?),
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
            let image = match file.as_os_str() == STANDARD_INPUT {
                true => from_standard_input(&predictor),
                false => predictor.read(file),
            };
            match image {
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

/// How standard input is named on the command line.
const STANDARD_INPUT: &str = "-";

fn from_standard_input(predictor: &Predictor) -> anyhow::Result<Image> {
    // One byte more than may be, so that what is too long is refused as a file of that size is.
    let most = DecodeLimits::default().max_file_bytes;
    let mut bytes = Vec::new();
    std::io::stdin()
        .lock()
        .take(most + 1)
        .read_to_end(&mut bytes)
        .context("standard input")?;
    if bytes.len() as u64 > most {
        anyhow::bail!("standard input: more than {most} bytes");
    }
    predictor.decode(&bytes, "standard input")
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

/// Free names for pictures in a folder: `cat.png`, and `cat-2.png` for the next image of that name.
#[derive(Default)]
struct Names(HashSet<PathBuf>);

impl Names {
    fn next(&mut self, folder: &Path, file: &Path) -> PathBuf {
        let stem = match file.as_os_str() == STANDARD_INPUT {
            true => "stdin".into(),
            false => file.file_stem().unwrap_or_default().to_string_lossy(),
        };
        let numbered = (1..).map(|number| match number {
            1 => folder.join(format!("{stem}.png")),
            _ => folder.join(format!("{stem}-{number}.png")),
        });
        let mut free = numbered.filter(|path| !self.0.contains(path));
        let path = free.next().expect("numbers do not end");
        self.0.insert(path.clone());
        path
    }
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
