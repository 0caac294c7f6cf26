//! `trainer generate`: images from a trained generator.

use std::path::{Path, PathBuf};

use anyhow::Context;
use burn::tensor::Tensor;
use clap::Args;
use firesight_data::mosaic::write_png;
use firesight_data::sample::Image;
use firesight_models::generation::dcgan::Generator;
use firesight_models::weights::{StateDict, write_safetensors};

use super::train::set_kernels;
use super::{DeviceArgs, End, Usage, usage};
use crate::device;
use crate::predictor::Predictor;
use crate::task::{latent, pictures};

/// Arguments of `trainer generate`.
#[derive(Args, Debug)]
pub struct GenerateArgs {
    /// A run folder (its best checkpoint, else its last) or a checkpoint folder
    run: PathBuf,
    /// How many images; with --interpolate, how many ways through the latent space
    #[arg(long, default_value_t = 64, value_parser = clap::value_parser!(u32).range(1..))]
    count: u32,
    /// The same seed gives the same images
    #[arg(long, default_value_t = 0)]
    seed: u64,
    /// Draws each latent number anew until it is no further than this from 0: less variety, surer images
    #[arg(long, value_name = "T")]
    truncation: Option<f64>,
    /// Images on each way from one latent vector to another
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(2..))]
    interpolate: Option<u32>,
    /// The class to generate, by its index, where the model is conditional (all in turn if not given)
    #[arg(long, value_name = "INDEX")]
    class: Option<usize>,
    /// A .png for a grid, a .safetensors for the raw values, a folder for single files
    #[arg(long, value_name = "FILE", default_value = "samples.png")]
    out: PathBuf,
    #[command(flatten)]
    device: DeviceArgs,
}

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
    let target = target(&args.out)?;
    if let Some(limit) = args.truncation
        && (limit.is_nan() || limit < 0.05)
    {
        return Err(Usage(format!(
            "--truncation {limit}: give 0.05 or more; 2 keeps 95 % of the draws, 0.5 is strong"
        ))
        .into());
    }
    let device = device::select(args.device.device.as_deref())?;
    let predictor = Predictor::load(&args.run, &device).map_err(usage)?;
    set_kernels(predictor.recipe());
    let generator = predictor.generator().map_err(usage)?;
    let conditions = conditions(&args, generator)?;
    let (z, columns) = vectors(&args, generator.latent(), conditions.len());
    let conditions: Vec<usize> = match args.interpolate {
        // The class stays the same on the whole way.
        Some(steps) => {
            let each = |class: &usize| std::iter::repeat_n(*class, steps as usize);
            conditions.iter().flat_map(each).collect()
        }
        None => conditions,
    };
    let tensor = latent::generate(generator, &z, &conditions, predictor.device());
    let count = tensor.dims()[0];
    match target {
        Target::Raw => raw(tensor, z, generator.latent(), &args)?,
        Target::Grid => {
            let picture = pictures::grid(&pictures::images(tensor), columns);
            write_png(&picture, &args.out)?;
        }
        Target::Folder => single(&pictures::images(tensor), &args.out)?,
    }
    eprintln!("{}", predictor.origin());
    println!("{count} images: {}", args.out.display());
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

/// The classes that are told in turn; none where the model is not conditional.
fn conditions(args: &GenerateArgs, generator: &Generator) -> anyhow::Result<Vec<usize>> {
    let classes = generator.classes();
    match args.class {
        None => Ok((0..classes).collect()),
        Some(class) if class < classes => Ok(vec![class]),
        Some(class) if classes == 0 => Err(Usage(format!(
            "--class {class}: the model was not trained with classes"
        ))
        .into()),
        Some(class) => Err(Usage(format!(
            "--class {class}: the model has the classes 0 to {}",
            classes - 1
        ))
        .into()),
    }
}

/// The latent vectors one behind the other, and the columns of a grid of their images.
fn vectors(args: &GenerateArgs, latent: usize, classes: usize) -> (Vec<f32>, usize) {
    let count = args.count as usize;
    let draw = |count| latent::draw(args.seed, 0, count, latent, args.truncation);
    match args.interpolate {
        None => (draw(count), pictures::columns(count, classes)),
        Some(steps) => {
            let steps = steps as usize;
            let ends = draw(2 * count);
            let ways = ends
                .chunks(2 * latent)
                .flat_map(|pair| latent::between(&pair[..latent], &pair[latent..], steps));
            (ways.collect(), steps)
        }
    }
}

/// `images`, `[N, C, H, W]` from -1 to 1, and the `latent` vectors that they come from, `[N, latent]`.
fn raw(images: Tensor<4>, z: Vec<f32>, latent: usize, args: &GenerateArgs) -> anyhow::Result<()> {
    let shape = [z.len() / latent, latent];
    let tensors = StateDict::from([
        ("images".to_owned(), images.into_data()),
        ("latent".to_owned(), burn::tensor::TensorData::new(z, shape)),
    ]);
    let about = [
        ("seed".to_owned(), args.seed.to_string()),
        ("range".to_owned(), "-1 to 1".to_owned()),
    ];
    write_safetensors(&tensors, &args.out, &about.into())?;
    Ok(())
}

fn single(images: &[Image], folder: &Path) -> anyhow::Result<()> {
    std::fs::create_dir_all(folder).with_context(|| format!("{}", folder.display()))?;
    let digits = images.len().saturating_sub(1).to_string().len().max(4);
    for (number, image) in images.iter().enumerate() {
        write_png(image, &folder.join(format!("{number:0digits$}.png")))?;
    }
    Ok(())
}
