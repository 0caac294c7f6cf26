//! `trainer predict`: uses a trained model on images. What a prediction is and how it is drawn and written is its task's
//! matter (`firesight::task::predict`). What is read is never written over: results get names that no file has.

mod images;
mod names;

use std::fs;
use std::io::Read;
use std::path::{Path, PathBuf};

use anyhow::Context;
use clap::Args;
use firesight_data::decode::{Decoding, holds_several};
use firesight_data::sample::Picture;
use firesight_data::words::counted;
use serde::Serialize;

use self::images::Images;
use self::names::Names;
use super::{DeviceArgs, End, Usage, hint, option, out, print_json, usage};
use firesight::device;
use firesight::error::in_full;
use firesight::predictor::Predictor;
use firesight::task::{PredictOptions, Prediction};

/// Arguments of `trainer predict`.
#[derive(Args, Debug)]
pub struct PredictArgs {
    /// A run folder (its best checkpoint, else its last), a checkpoint folder or an exported .safetensors file
    run: PathBuf,
    /// Image files, folders that are searched for images (hidden files and the --out folder left out), or `-` for one
    /// image from standard input
    #[arg(required = true)]
    images: Vec<PathBuf>,
    #[command(flatten)]
    device: DeviceArgs,
    /// Images per batch
    #[arg(long, value_name = "COUNT", default_value_t = 16, value_parser = clap::value_parser!(u32).range(1..=65_536))]
    batch_size: u32,
    /// Write a copy of each image with its prediction drawn, and masks, into this folder (a segmenter's go into
    /// `predictions` unless given); files that are there stay, and new ones get free names
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
    /// Print a JSON list, one object per image
    #[arg(long, conflicts_with = "csv")]
    json: bool,
    /// Print CSV: one line per class, per object, or per mask
    #[arg(long)]
    csv: bool,
    /// Write over the file of --features if it is there
    #[arg(long, requires = "features")]
    force: bool,
    #[command(flatten)]
    classifiers: ClassifierArgs,
    #[command(flatten)]
    segmenters: SegmenterArgs,
    #[command(flatten)]
    detectors: DetectorArgs,
}

/// Options for classifiers; those of the task by its names, as the others below.
#[derive(Args, Debug, Serialize)]
#[serde(rename_all = "kebab-case")]
#[command(next_help_heading = "Classifiers")]
struct ClassifierArgs {
    /// How many classes to show for each image (5 unless given)
    #[arg(long, value_name = "COUNT", value_parser = clap::value_parser!(u32).range(1..))]
    top: Option<u32>,
    /// Average over so many more copies of each image, changed by the recipe's own augmentations
    #[arg(long, value_name = "COPIES", value_parser = clap::value_parser!(u32).range(..=10_000))]
    augment: Option<u32>,
    /// Write the features before the head as safetensors
    #[arg(long, value_name = "FILE")]
    features: Option<PathBuf>,
}

/// Options for segmenters.
#[derive(Args, Debug, Serialize)]
#[serde(rename_all = "kebab-case")]
#[command(next_help_heading = "Segmenters")]
struct SegmenterArgs {
    /// Segment through windows of this side in pixels
    #[arg(long, value_name = "PIXELS")]
    window: Option<usize>,
    /// The share of a window that overlaps the next
    #[arg(long, value_name = "SHARE", value_parser = number)]
    overlap: Option<f64>,
    /// Segment the mirrored image too, and average
    #[arg(long)]
    flip: bool,
    /// Segment the image turned by 90, 180 and 270 degrees too, and average
    #[arg(long)]
    rotate: bool,
    /// Segment at these scales, and average: 0.5,1,1.5
    #[arg(long, value_name = "SCALES", value_delimiter = ',', value_parser = number)]
    scales: Option<Vec<f64>>,
}

/// Options for detectors.
#[derive(Args, Debug, Serialize)]
#[serde(rename_all = "kebab-case")]
#[command(next_help_heading = "Detectors")]
struct DetectorArgs {
    /// Objects from this score on, 0 to 1 (0.5 unless given)
    #[arg(long, value_name = "SCORE", value_parser = number)]
    score: Option<f64>,
    /// An object goes where its IoU with a better one of its class is greater
    #[arg(long, value_name = "IOU", value_parser = number)]
    iou: Option<f64>,
    /// The most objects of an image
    #[arg(long, value_name = "COUNT")]
    max_detections: Option<u32>,
}

/// A finite number.
fn number(text: &str) -> Result<f64, String> {
    let number: f64 = text.parse().map_err(|_| "this is no number".to_owned())?;
    let is_finite = number.is_finite().then_some(number);
    is_finite.ok_or_else(|| "give a finite number".to_owned())
}

impl PredictArgs {
    /// The settings of the model's task that were given.
    ///
    /// # Errors
    /// An option of another task.
    fn options(&self, predictor: &Predictor) -> anyhow::Result<PredictOptions> {
        let groups = [
            ("classification", "classifiers", given(&self.classifiers)?),
            ("segmentation", "segmenters", given(&self.segmenters)?),
            ("detection", "detectors", given(&self.detectors)?),
        ];
        let mut own = PredictOptions::new();
        for (task, kind, given) in groups {
            if task == predictor.card().task {
                own = given;
            } else if let Some(option) = given.keys().next() {
                let does = predictor.model().does();
                let message = format!("--{option}: the option is for {kind}; this model {does}");
                return Err(Usage(message).into());
            }
        }
        // A file of all images together, which no prediction of one image writes.
        own.remove("features");
        Ok(own)
    }
}

/// The options of a group that were given, by their names.
fn given(group: &impl Serialize) -> anyhow::Result<PredictOptions> {
    let mut given: PredictOptions = serde_json::from_value(serde_json::to_value(group)?)?;
    given.retain(|_, value| !value.is_null() && *value != false);
    Ok(given)
}

/// An image's object in the list of `--json`.
#[derive(Serialize)]
struct Row {
    file: String,
    #[serde(flatten)]
    prediction: Box<dyn Prediction>,
}

/// Predicts. Files that cannot be read, and pictures that the model cannot take, are reported, and the rest is done.
///
/// # Errors
/// No model, no image at all, an option that the model's task does not have, a place for results that is not free.
pub fn run(args: PredictArgs) -> anyhow::Result<End> {
    let device = device::select(args.device.device.as_deref())?;
    let predictor = Predictor::load(&args.run, &device).map_err(usage)?;
    predictor.recipe().kernels.apply();
    let purpose = predictor.recipe().task.table().purpose();
    if purpose.command != "predict" {
        let (run, does) = (args.run.display(), predictor.model().does());
        let hint = hint::command(purpose.command).path(&args.run);
        return Err(Usage(format!("{run}: this model {does}: {hint}")).into());
    }
    let used = predictor.used(args.options(&predictor)?).map_err(option)?;
    let folder = args.out.clone().or(used.folder().map(PathBuf::from));
    let images = images::find(
        &args.images,
        predictor.decoding().extensions(),
        folder.as_deref(),
    )?;
    let mut features = args.classifiers.features.as_ref().map(|path| Features {
        path,
        files: Vec::new(),
        values: Vec::new(),
    });
    if let Some(features) = &features {
        let mut inputs: Vec<&Path> = images.files.iter().map(PathBuf::as_path).collect();
        inputs.push(&args.run);
        out::claim_text("--features", features.path, args.force, &inputs)?;
    }
    if args.csv {
        print!("{}", used.csv_header());
    }
    note(&images);
    let mut names = match folder {
        Some(folder) => {
            fs::create_dir_all(&folder).with_context(|| format!("--out {}", folder.display()))?;
            Some(Names::new(folder))
        }
        None => None,
    };
    if !args.json && !args.csv {
        eprintln!("{}", predictor.origin());
    }
    let batch = match used.is_one_by_one() {
        true => 1,
        false => args.batch_size as usize,
    };
    let mut failed = 0;
    let mut rows = Vec::new();
    for chunk in images.files.chunks(batch) {
        let (files, pictures) = read(chunk, &predictor, &mut failed);
        if let Some(features) = features.as_mut().filter(|_| !files.is_empty()) {
            features
                .values
                .extend(predictor.features(pictures.clone())?.0);
            features.files.extend(files.iter().map(|file| shown(file)));
        }
        let predictions = used.predict(&pictures).with_context(|| match &files[..] {
            [file] => shown(file),
            [first, more @ ..] => format!("{} and {} after it", first.display(), more.len()),
            [] => String::new(),
        })?;
        for ((file, image), mut prediction) in files.into_iter().zip(&pictures).zip(predictions) {
            if let Some(names) = &mut names {
                prediction.write(image, &names.next(file, prediction.endings()))?;
            }
            let file = shown(file);
            match (args.json, args.csv) {
                (true, _) => rows.push(Row { file, prediction }),
                (_, true) => print!("{}", prediction.to_csv(&file)),
                _ => println!("{}", prediction.text(&file)),
            }
        }
    }
    if args.json {
        print_json(&rows)?;
    }
    if let Some(features) = features {
        features.write()?;
    }
    if let Some(note) = names.and_then(|names| names.note()) {
        eprintln!("note: {note}");
    }
    match failed {
        0 => Ok(End::Done),
        _ => {
            let all = counted(images.files.len(), "image");
            eprintln!("{failed} of {all} could not be predicted");
            Ok(End::Partly)
        }
    }
}

/// Says what was passed over in the search for images.
fn note(images: &Images) {
    if images.hidden > 0 {
        eprintln!("note: hidden images left out: {}", images.hidden);
    }
    for own in &images.own {
        let own = own.display();
        eprintln!("note: {own}: results go here, so no image is looked for");
    }
    for other in &images.special {
        let other = other.display();
        eprintln!("warning: {other}: a pipe or a device, no file; left out");
    }
}

/// Reads the images that can be read; the others are reported and counted.
fn read<'a>(
    files: &'a [PathBuf],
    predictor: &Predictor,
    failed: &mut usize,
) -> (Vec<&'a Path>, Vec<Picture>) {
    let read = files.iter().filter_map(|file| {
        let image = match file.as_os_str() == STANDARD_INPUT {
            true => from_standard_input(predictor),
            false => predictor.read(file).map_err(anyhow::Error::from),
        };
        let image = image.inspect_err(|error| {
            *failed += 1;
            eprintln!("error: {}", in_full(error.chain()));
        });
        if image.is_ok() && holds_several(file) {
            let file = file.display();
            eprintln!("warning: {file}: it holds more than one picture; the first is used");
        }
        Some((file.as_path(), image.ok()?))
    });
    read.unzip()
}

fn shown(file: &Path) -> String {
    file.display().to_string()
}

/// Features of all images, gathered for one file.
struct Features<'a> {
    path: &'a Path,
    files: Vec<String>,
    values: Vec<f32>,
}

impl Features<'_> {
    fn write(&self) -> anyhow::Result<()> {
        Ok(firesight::export::features(
            self.path,
            &self.files,
            &self.values,
        )?)
    }
}

/// How standard input is named on the command line.
const STANDARD_INPUT: &str = "-";

fn from_standard_input(predictor: &Predictor) -> anyhow::Result<Picture> {
    // One byte more than may be, so that what is too long is refused as a file of that size is.
    let most = Decoding::default().max_file_bytes;
    let mut bytes = Vec::new();
    std::io::stdin()
        .lock()
        .take(most + 1)
        .read_to_end(&mut bytes)
        .context("standard input")?;
    if bytes.len() as u64 > most {
        anyhow::bail!("standard input: more than {most} bytes");
    }
    Ok(predictor.decode(&bytes, "standard input")?)
}
