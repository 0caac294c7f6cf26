//! `trainer generate`: images from a trained generator.

use std::path::{Path, PathBuf};

use anyhow::Context;
use clap::Args;
use firesight_data::draw::write_png;
use firesight_data::sample::Image;
use firesight_data::words::counted;

use super::{DeviceArgs, End, Usage, option, out, usage};
use firesight::device;
use firesight::predictor::Predictor;
use firesight::task::{Generate, MOST_GENERATED};

/// Arguments of `trainer generate`.
#[derive(Args, Debug)]
pub struct GenerateArgs {
    /// A run folder (its best checkpoint, else its last) or a checkpoint folder
    run: PathBuf,
    /// How many images; with --interpolate, how many ways through the latent space
    #[arg(long, default_value_t = 64, value_parser = clap::value_parser!(u32).range(1..=MOST_GENERATED as i64))]
    count: u32,
    /// The same seed gives the same images
    #[arg(long, default_value_t = 0)]
    seed: u64,
    /// Draws each latent number anew until it is no further than this from 0: less variety, surer images
    #[arg(long, value_name = "T")]
    truncation: Option<f64>,
    /// Images on each way from one latent vector to another
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(2..=MOST_GENERATED as i64))]
    interpolate: Option<u32>,
    /// The class to generate, by its index, where the model is conditional (all in turn if not given)
    #[arg(long, value_name = "INDEX")]
    class: Option<usize>,
    /// A .png for a grid, a .safetensors for the raw values, a folder for single files (samples.png if not given,
    /// numbered where that is there)
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
    /// Write over files that are there
    #[arg(long, requires = "out")]
    force: bool,
    #[command(flatten)]
    device: DeviceArgs,
}

/// The longest side of a grid in pixels.
const LONGEST: usize = 32_768;

/// What is written.
enum Target {
    Grid,
    Raw,
    Folder,
}

/// Generates.
///
/// # Errors
/// No model, a model that does not generate, arguments out of range, a file that cannot be written.
pub fn run(args: GenerateArgs) -> anyhow::Result<End> {
    let path = match &args.out {
        Some(path) => path.clone(),
        None => out::free("samples", "png"),
    };
    let target = target(&path)?;
    if let (Target::Grid | Target::Raw, Some(path)) = (&target, &args.out) {
        out::claim("--out", path, args.force, &[&args.run])?;
    }
    let device = device::select(args.device.device.as_deref())?;
    let predictor = Predictor::load(&args.run, &device).map_err(usage)?;
    predictor.recipe().kernels.apply();
    let wanted = Generate {
        count: args.count as usize,
        seed: args.seed,
        truncation: args.truncation,
        interpolate: args.interpolate.map(|steps| steps as usize),
        class: args.class,
    };
    let generator = predictor.generator().map_err(usage)?;
    let (card, images) = (predictor.card(), wanted.images());
    match target {
        Target::Grid => {
            let columns = wanted.columns(generator);
            let rows = images.div_ceil(columns.max(1));
            if card.width * columns > LONGEST || card.height * rows > LONGEST {
                let count = args.count;
                return Err(Usage(format!(
                    "--count {count}: a grid of {columns} columns and {rows} rows would be larger than {LONGEST} pixels; \
                     give less, or a folder for single files"
                ))
                .into());
            }
        }
        Target::Folder => {
            let mut inside = names(&path, images);
            if let Some(file) = inside.find(|file| out::is_there(file) && !args.force) {
                let shown = file.display();
                let message = format!(
                    "--out: {shown} is there already; give another folder, or add --force to write over it"
                );
                return Err(Usage(message).into());
            }
        }
        Target::Raw => {}
    }
    let generated = wanted.by(&predictor).map_err(option)?;
    match target {
        Target::Raw => generated.save(&path)?,
        Target::Grid => write_png(&generated.grid(), &path)?,
        Target::Folder => single(&generated.pictures(), &path)?,
    }
    eprintln!("{}", predictor.origin());
    println!("{}: {}", counted(images, "image"), path.display());
    Ok(End::Done)
}

fn target(out: &Path) -> anyhow::Result<Target> {
    let ending = out.extension().map(|e| e.to_string_lossy().to_lowercase());
    match ending.as_deref() {
        Some("png") => Ok(Target::Grid),
        Some("safetensors") => Ok(Target::Raw),
        None => Ok(Target::Folder),
        Some(_) if out.is_dir() => Ok(Target::Folder),
        Some(other) => Err(Usage(format!(
            "--out {}: `.{other}` is not written; give a .png for a grid, a .safetensors for raw values, or a folder",
            out.display()
        ))
        .into()),
    }
}

fn single(images: &[Image], folder: &Path) -> anyhow::Result<()> {
    std::fs::create_dir_all(folder).with_context(|| format!("{}", folder.display()))?;
    for (image, path) in images.iter().zip(names(folder, images.len())) {
        write_png(image, &path)?;
    }
    Ok(())
}

/// The files of so many images in a folder.
fn names(folder: &Path, count: usize) -> impl Iterator<Item = PathBuf> {
    let digits = count.saturating_sub(1).to_string().len().max(4);
    (0..count).map(move |number| folder.join(format!("{number:0digits$}.png")))
}
