//! `trainer generate`: images from a trained generator.

use std::path::{Path, PathBuf};

use anyhow::Context;
use burn::tensor::Tensor;
use clap::Args;
use firesight_data::draw::write_png;
use firesight_data::sample::Image;
use firesight_data::words::counted;
use firesight_models::generation::Generator;
use firesight_models::weights::{StateDict, write_safetensors};

use super::{DeviceArgs, End, Usage, out, usage};
use firesight::device;
use firesight::predictor::Predictor;
use firesight::predictor::latent;
use firesight::task::pictures;

/// Arguments of `trainer generate`.
#[derive(Args, Debug)]
pub struct GenerateArgs {
    /// A run folder (its best checkpoint, else its last) or a checkpoint folder
    run: PathBuf,
    /// How many images; with --interpolate, how many ways through the latent space
    #[arg(long, default_value_t = 64, value_parser = clap::value_parser!(u32).range(1..=MOST))]
    count: u32,
    /// The same seed gives the same images
    #[arg(long, default_value_t = 0)]
    seed: u64,
    /// Draws each latent number anew until it is no further than this from 0: less variety, surer images
    #[arg(long, value_name = "T")]
    truncation: Option<f64>,
    /// Images on each way from one latent vector to another
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(2..=MOST))]
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

/// The most images of one call.
const MOST: i64 = 65_536;
/// The most values of all images together: 2 GiB.
const VALUES: usize = 1 << 29;
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
    let each = args.interpolate.unwrap_or(1);
    if u64::from(args.count) * u64::from(each) > MOST as u64 {
        let count = args.count;
        let message =
            format!("--count {count} --interpolate {each}: more than {MOST} images; give less");
        return Err(Usage(message).into());
    }
    if let Some(limit) = args.truncation
        && !(limit >= 0.05 && limit.is_finite())
    {
        return Err(Usage(format!(
            "--truncation {limit}: give 0.05 or more; 2 keeps 95 % of the draws, 0.5 is strong"
        ))
        .into());
    }
    let device = device::select(args.device.device.as_deref())?;
    let predictor = Predictor::load(&args.run, &device).map_err(usage)?;
    predictor.recipe().kernels.apply();
    let generator = predictor.generator().map_err(usage)?;
    let card = predictor.card();
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
    let images = z.len() / generator.latent().max(1);
    let [channels, height, width] = [card.channels, card.height, card.width];
    if images * channels * height * width > VALUES {
        let most = VALUES / (channels * height * width).max(1);
        let message = format!("{images} images at once are too many: give {most} or less");
        return Err(Usage(message).into());
    }
    match target {
        Target::Grid => {
            let rows = images.div_ceil(columns.max(1));
            if width * columns > LONGEST || height * rows > LONGEST {
                let message = format!(
                    "--count {}: a grid of {columns} columns and {rows} rows would be larger than {LONGEST} pixels; give \
                     less, or a folder for single files",
                    args.count
                );
                return Err(Usage(message).into());
            }
        }
        Target::Folder => {
            let inside = names(&path, images);
            let taken = inside
                .iter()
                .find(|file| out::is_there(file) && !args.force);
            if let Some(file) = taken {
                let shown = file.display();
                let message = format!(
                    "--out: {shown} is there already; give another folder, or add --force to write over it"
                );
                return Err(Usage(message).into());
            }
        }
        Target::Raw => {}
    }
    let tensor = latent::generate(generator, &z, &conditions, predictor.device());
    let count = tensor.dims()[0];
    match target {
        Target::Raw => raw(tensor, z, generator.latent(), args.seed, &path)?,
        Target::Grid => {
            let picture = pictures::grid(&pictures::images(tensor), columns);
            write_png(&picture, &path)?;
        }
        Target::Folder => single(&pictures::images(tensor), &path)?,
    }
    eprintln!("{}", predictor.origin());
    println!("{}: {}", counted(count, "image"), path.display());
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
fn raw(
    images: Tensor<4>,
    z: Vec<f32>,
    latent: usize,
    seed: u64,
    path: &Path,
) -> anyhow::Result<()> {
    let shape = [z.len() / latent, latent];
    let tensors = StateDict::from([
        ("images".to_owned(), images.into_data()),
        ("latent".to_owned(), burn::tensor::TensorData::new(z, shape)),
    ]);
    let about = [
        ("seed".to_owned(), seed.to_string()),
        ("range".to_owned(), "-1 to 1".to_owned()),
    ];
    write_safetensors(&tensors, path, &about.into())?;
    Ok(())
}

fn single(images: &[Image], folder: &Path) -> anyhow::Result<()> {
    std::fs::create_dir_all(folder).with_context(|| format!("{}", folder.display()))?;
    for (image, path) in images.iter().zip(names(folder, images.len())) {
        write_png(image, &path)?;
    }
    Ok(())
}

/// The files of so many images in a folder.
fn names(folder: &Path, count: usize) -> Vec<PathBuf> {
    let digits = count.saturating_sub(1).to_string().len().max(4);
    let name = |number| folder.join(format!("{number:0digits$}.png"));
    (0..count).map(name).collect()
}
