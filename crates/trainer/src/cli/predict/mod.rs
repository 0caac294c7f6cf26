//! `trainer predict`: uses a trained model on images. How a task's predictions are shown and written is one
//! file for each task. What is read is never written over: results get names that no file has.

mod classification;
mod detection;
mod images;
mod names;
mod segmentation;

use std::fs;
use std::io::Read;
use std::path::{Path, PathBuf};

use anyhow::Context;
use clap::Args;
use firesight_data::decode::{DecodeLimits, holds_several};
use firesight_data::sample::Image;
use firesight_data::words::counted;

use self::names::Names;
use super::{DeviceArgs, End, Usage, hint, out, usage};
use firesight::device;
use firesight::error::in_full;
use firesight::predictor::{Model, Predictor};

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
    /// How many classes to show for each image (5 unless given)
    #[arg(long, value_name = "COUNT", value_parser = clap::value_parser!(u32).range(1..), help_heading = CLASSIFIERS)]
    top: Option<u32>,
    /// Average over so many more copies of each image, changed by the recipe's own augmentations
    #[arg(long, value_name = "COPIES", value_parser = clap::value_parser!(u32).range(..=10_000), help_heading = CLASSIFIERS)]
    augment: Option<u32>,
    /// Write the features before the head as safetensors
    #[arg(long, value_name = "FILE", help_heading = CLASSIFIERS)]
    features: Option<PathBuf>,
    /// Segment through windows of this side in pixels
    #[arg(long, value_name = "PIXELS", help_heading = SEGMENTERS)]
    window: Option<usize>,
    /// The share of a window that overlaps the next
    #[arg(long, value_name = "SHARE", help_heading = SEGMENTERS)]
    overlap: Option<f64>,
    /// Segment the mirrored image too, and average
    #[arg(long, help_heading = SEGMENTERS)]
    flip: bool,
    /// Segment the image turned by 90, 180 and 270 degrees too, and average
    #[arg(long, help_heading = SEGMENTERS)]
    rotate: bool,
    /// Segment at these scales, and average: 0.5,1,1.5
    #[arg(long, value_name = "SCALES", value_delimiter = ',', help_heading = SEGMENTERS)]
    scales: Option<Vec<f64>>,
    /// Objects from this score on, 0 to 1 (0.5 unless given)
    #[arg(long, value_name = "SCORE", help_heading = DETECTORS)]
    score: Option<f32>,
    /// An object goes where its IoU with a better one of its class is greater
    #[arg(long, value_name = "IOU", help_heading = DETECTORS)]
    iou: Option<f32>,
    /// The most objects of an image
    #[arg(long, value_name = "COUNT", help_heading = DETECTORS)]
    max_detections: Option<u32>,
}

const CLASSIFIERS: &str = "Classifiers";
const SEGMENTERS: &str = "Segmenters";
const DETECTORS: &str = "Detectors";

impl PredictArgs {
    /// Refuses options that the model's task does not have.
    fn check(&self, model: &Model) -> anyhow::Result<()> {
        let given = [
            (self.top.is_some(), "--top", CLASSIFIERS),
            (self.augment.is_some(), "--augment", CLASSIFIERS),
            (self.features.is_some(), "--features", CLASSIFIERS),
            (self.window.is_some(), "--window", SEGMENTERS),
            (self.overlap.is_some(), "--overlap", SEGMENTERS),
            (self.flip, "--flip", SEGMENTERS),
            (self.rotate, "--rotate", SEGMENTERS),
            (self.scales.is_some(), "--scales", SEGMENTERS),
            (self.score.is_some(), "--score", DETECTORS),
            (self.iou.is_some(), "--iou", DETECTORS),
            (self.max_detections.is_some(), "--max-detections", DETECTORS),
        ];
        let own = match model {
            Model::Classifier(_) => CLASSIFIERS,
            Model::Segmenter { .. } => SEGMENTERS,
            Model::Detector(_) => DETECTORS,
            Model::Generator(_) | Model::Other(_) => return Ok(()),
        };
        let foreign = given.iter().find(|(given, _, kind)| *given && *kind != own);
        match foreign {
            None => Ok(()),
            Some((_, option, kind)) => {
                let (kind, does) = (kind.to_lowercase(), model.does());
                let message = format!("{option}: the option is for {kind}; this model {does}");
                Err(Usage(message).into())
            }
        }
    }

    /// The folder that results go into.
    fn folder(&self, model: &Model) -> Option<PathBuf> {
        match model {
            Model::Segmenter { .. } => {
                Some(self.out.clone().unwrap_or_else(|| "predictions".into()))
            }
            _ => self.out.clone(),
        }
    }
}

/// Shows and writes the predictions of one kind of model.
trait Output {
    /// Predicts a batch of images; `files` holds their names, `names` gives those of pictures to write.
    ///
    /// # Errors
    /// An image that cannot be prepared, a file that cannot be written.
    fn add(
        &mut self,
        files: &[PathBuf],
        images: Vec<Image>,
        names: Option<&mut Names>,
    ) -> anyhow::Result<()>;

    /// Writes what is written at the end.
    ///
    /// # Errors
    /// A file that cannot be written.
    fn finish(self: Box<Self>) -> anyhow::Result<()>;
}

/// Predicts. Files that cannot be read, and pictures that the model cannot take, are reported, and the rest is done.
///
/// # Errors
/// No model, no image at all, an option that the model's task does not have, a place for results that is not free.
pub fn run(args: PredictArgs) -> anyhow::Result<End> {
    let device = device::select(args.device.device.as_deref())?;
    let predictor = Predictor::load(&args.run, &device).map_err(usage)?;
    predictor.recipe().kernels.apply();
    if let Model::Generator(_) = predictor.model() {
        let run = args.run.display();
        let hint = hint::command("generate").path(&args.run);
        let message = format!("{run}: a generator makes images: {hint}");
        return Err(Usage(message).into());
    }
    if let Model::Other(_) = predictor.model() {
        let (run, does) = (args.run.display(), predictor.model().does());
        return Err(Usage(format!("{run}: this model {does}")).into());
    }
    args.check(predictor.model())?;
    if args.augment.is_some_and(|copies| copies > 0) && predictor.recipe().data.augment.is_empty() {
        let message =
            "--augment: the recipe that this model was trained with has no `data.augment`";
        return Err(Usage(message.into()).into());
    }
    let folder = args.folder(predictor.model());
    let images = images::find(&args.images, folder.as_deref())?;
    if let Some(path) = &args.features {
        let mut inputs: Vec<&Path> = images.files.iter().map(PathBuf::as_path).collect();
        inputs.push(&args.run);
        out::claim_text("--features", path, args.force, &inputs)?;
    }
    let mut output: Box<dyn Output + '_> = match predictor.model() {
        Model::Segmenter { .. } => Box::new(segmentation::Masks::new(&predictor, &args)?),
        Model::Detector(_) => Box::new(detection::Boxes::new(&predictor, &args)?),
        _ => Box::new(classification::Guesses::new(&predictor, &args)),
    };
    if images.hidden > 0 {
        eprintln!("note: hidden images left out: {}", images.hidden);
    }
    for own in &images.own {
        eprintln!(
            "note: {}: results go here, so no image is looked for",
            own.display()
        );
    }
    for other in &images.special {
        eprintln!(
            "warning: {}: a pipe or a device, no file; left out",
            other.display()
        );
    }
    let mut names = match &folder {
        Some(folder) => {
            fs::create_dir_all(folder).with_context(|| format!("--out {}", folder.display()))?;
            Some(Names::new(folder.clone()))
        }
        None => None,
    };
    if !args.json && !args.csv {
        eprintln!("{}", predictor.origin());
    }
    let mut failed = 0;
    for chunk in images.files.chunks(args.batch_size as usize) {
        let mut files = Vec::new();
        let mut pictures = Vec::new();
        for file in chunk {
            let image = match file.as_os_str() == STANDARD_INPUT {
                true => from_standard_input(&predictor),
                false => predictor.read(file).map_err(anyhow::Error::from),
            };
            match image {
                Ok(image) => {
                    if holds_several(file) {
                        let file = file.display();
                        eprintln!(
                            "warning: {file}: it holds more than one picture; the first is used"
                        );
                    }
                    files.push(file.clone());
                    pictures.push(image);
                }
                Err(error) => {
                    failed += 1;
                    eprintln!("error: {}", in_full(error.chain()));
                }
            }
        }
        if !pictures.is_empty() {
            output.add(&files, pictures, names.as_mut())?;
        }
    }
    output.finish()?;
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
    Ok(predictor.decode(&bytes, "standard input")?)
}
