//! What a run reached, written for the report: numbers, confusion, worst and best examples, previews.
//!
//! ```
//! use firesight::experiment::Experiment;
//! use firesight::task::Build;
//! use firesight::{device, results};
//!
//! let recipe = "
//!     epochs = 1
//!     data = { source = { digits = {} }, batch-size = 64, workers = 0 }
//!     task = { classification = { model = { cnn = { channels = [4] } } } }
//!     optimizer = { sgd = {} }
//! ";
//! let recipe = firesight_recipe::read_str(recipe, "digits.toml", &[])?.value;
//! let experiment = Experiment::open(recipe, ".".as_ref(), &())?;
//! let task = experiment.task(&device::select(Some("cpu"))?, Build::Measured, None, &())?;
//! let test = experiment.split("test")?;
//! let (evaluation, details) = results::evaluate(&experiment, &*task, test, &mut |_| true)?;
//! assert_eq!((evaluation.samples, details.samples.len()), (360, 360));
//! assert_eq!(details.confusion.unwrap().concat().iter().sum::<u64>(), 360);
//! # anyhow::Ok(())
//! ```

use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::error::Context;
use firesight_data::draw::{sheet, write_png};
use firesight_data::loader::Loader;
use firesight_data::sample::Image;
use firesight_data::source::Source;
use firesight_report::environment::Environment;
use firesight_report::metric::Metrics;
use firesight_report::results::{
    ClassProbability, Confusion, Example, MeasuredWeights, Picture, Results, Section, SplitResults,
};

use crate::experiment::Experiment;
use crate::recipe::best_metric;
use crate::task::{Details, Gallery, SampleDetail, TrainedTask};
use firesight_engine::{Evaluation, Task, Weights};

/// How many augmented images a preview shows.
const PREVIEWS: usize = 36;
/// How many worst and best examples a report shows.
const EXAMPLES: usize = 12;

/// The weights that a task is measured with: the average where one is kept.
pub fn weights_of(task: &dyn Task) -> Weights {
    match task.networks().iter().any(|network| network.has_ema()) {
        true => Weights::Ema,
        false => Weights::Current,
    }
}

/// Measures a task on a split, in full detail.
///
/// # Errors
/// What the data reports.
pub fn evaluate(
    experiment: &Experiment,
    task: &dyn TrainedTask,
    source: Arc<dyn Source>,
    watch: &mut dyn FnMut(usize) -> bool,
) -> crate::Result<(Evaluation, Details)> {
    let loader = experiment.evaluation_loader(Arc::clone(&source))?;
    let mut details = Details {
        numbers: (0..source.len()).map(|at| source.number(at)).collect(),
        class_numbers: (0..source.classes().len())
            .map(|class| source.class_number(class))
            .collect(),
        ..Details::default()
    };
    let weights = weights_of(task);
    let evaluation = task.examine(weights, &mut loader.epoch(0, 0), watch, &mut details);
    details.skipped = loader.skipped();
    Ok((evaluation?, details))
}

/// Measures a task on a named split and writes what the report needs into the run folder.
///
/// # Errors
/// What the data reports, and files that cannot be written.
pub fn evaluate_and_write(
    run: &Path,
    experiment: &Experiment,
    task: &dyn TrainedTask,
    (split, source): (&str, Arc<dyn Source>),
    checkpoint: (&str, u64),
) -> crate::Result<Evaluation> {
    let (evaluation, details) = evaluate(experiment, task, Arc::clone(&source), &mut |_| true)?;
    write(
        run,
        experiment,
        task,
        (split, source),
        checkpoint,
        (&evaluation, &details),
    )?;
    Ok(evaluation)
}

/// Writes what an evaluation gave into the run folder: `results.json` and the examples' pictures.
///
/// # Errors
/// What the data reports, and files that cannot be written.
pub fn write(
    run: &Path,
    experiment: &Experiment,
    task: &dyn Task,
    (split, source): (&str, Arc<dyn Source>),
    (which, step): (&str, u64),
    (evaluation, details): (&Evaluation, &Details),
) -> crate::Result<()> {
    let weights = MeasuredWeights {
        checkpoint: which.to_owned(),
        step: Some(step),
        ema: weights_of(task) == Weights::Ema,
        ..MeasuredWeights::default()
    };
    let mut results = Results::read(run)?.unwrap_or_default();
    results.task = experiment.card.task.clone();
    results.classes = experiment.card.classes.clone();
    let metrics = experiment.metrics();
    results.primary = Some(best_metric(&experiment.recipe.checkpoint.best, &metrics).key);
    describe(run, metrics)?;
    results.evaluations.retain(|old| old.split != split);
    results.evaluations.push(SplitResults {
        split: split.to_owned(),
        samples: Some(evaluation.samples),
        weights: Some(weights.clone()),
        metrics: evaluation.metrics.clone(),
    });
    results.split = split.to_owned();
    results.weights = Some(weights);
    let confusion = details.confusion.clone();
    results.confusion = confusion.map(|counts| Confusion { counts });
    results.per_class.clear();
    results.most_confused.clear();
    let mut samples: Vec<&SampleDetail> = details.samples.iter().collect();
    samples.sort_by(|a, b| b.loss.total_cmp(&a.loss).then(a.index.cmp(&b.index)));
    let folder = run.join("examples").join(split);
    std::fs::create_dir_all(&folder).with_context(|| format!("{}", folder.display()))?;
    let worst = samples.iter().copied().take(EXAMPLES);
    results.worst = pictures(run, &folder, "worst", source.as_ref(), worst)?;
    let best = samples.iter().copied().rev().take(EXAMPLES);
    results.best = pictures(run, &folder, "best", source.as_ref(), best)?;
    results.sections = details.sections.clone();
    for gallery in &details.galleries {
        results.sections.push(section(run, &folder, gallery)?);
    }
    results.write(run)?;
    Ok(())
}

/// Keeps the description of the metrics where the run was made before there was one, or by another version.
fn describe(run: &Path, metrics: Metrics) -> crate::Result<()> {
    if let Some(mut environment) = Environment::read(run)?
        && environment.metrics != metrics.0
    {
        environment.metrics = metrics.0;
        environment.write(run)?;
    }
    Ok(())
}

/// Writes the pictures of a gallery and gives the section that shows them.
fn section(run: &Path, folder: &Path, gallery: &Gallery) -> crate::Result<Section> {
    let name = gallery.title.to_lowercase().replace(' ', "-");
    let mut images = Vec::new();
    for (number, (image, caption)) in gallery.pictures.iter().enumerate() {
        let path = folder.join(format!("{name}-{:02}.png", number + 1));
        write_png(image, &path)?;
        images.push(Picture {
            path: path.strip_prefix(run).unwrap_or(&path).to_path_buf(),
            caption: caption.clone(),
            alt: caption.clone(),
        });
    }
    Ok(Section {
        title: gallery.title.clone(),
        text: gallery.text.clone(),
        images,
        ..Section::default()
    })
}

fn pictures<'a>(
    run: &Path,
    folder: &Path,
    kind: &str,
    source: &dyn Source,
    samples: impl Iterator<Item = &'a SampleDetail>,
) -> crate::Result<Vec<Example>> {
    let mut examples = Vec::new();
    for (rank, sample) in samples.enumerate() {
        let image = source.read(sample.index)?.image;
        let path: PathBuf = folder.join(format!("{kind}-{:02}.png", rank + 1));
        write_png(&enlarged(&image.shown(), 96), &path)?;
        let top = sample.top.iter();
        examples.push(Example {
            picture: path.strip_prefix(run).unwrap_or(&path).to_path_buf(),
            truth: sample.truth,
            top: top
                .map(|&(class, probability)| ClassProbability { class, probability })
                .collect(),
            loss: sample.loss,
            origin: source.origin(sample.index),
        });
    }
    Ok(examples)
}

/// Repeats each pixel of a small image, so that it can be seen.
fn enlarged(image: &Image, least: usize) -> Image {
    let factor = least.div_ceil(image.width.max(image.height)).max(1);
    let (width, height) = (image.width * factor, image.height * factor);
    let mut pixels = Vec::with_capacity(width * height * image.channels);
    for y in 0..height {
        for x in 0..width {
            let at = (y / factor * image.width + x / factor) * image.channels;
            pixels.extend_from_slice(&image.pixels[at..at + image.channels]);
        }
    }
    Image {
        width,
        height,
        channels: image.channels,
        pixels,
    }
}

/// Writes a mosaic of the first augmented training batch into the run folder's `preview/`.
///
/// # Errors
/// What the data reports, and a file that cannot be written.
pub fn write_previews(run: &Path, experiment: &Experiment, train: &Loader) -> crate::Result<()> {
    let folder = run.join("preview");
    std::fs::create_dir_all(&folder).with_context(|| format!("{}", folder.display()))?;
    preview(&folder.join("train.png"), experiment, train)
}

/// Writes a mosaic of augmented training images, with their labels drawn, as a PNG file.
///
/// # Errors
/// What the data reports, and a file that cannot be written.
pub fn preview(file: &Path, experiment: &Experiment, train: &Loader) -> crate::Result<()> {
    let mut batches = Vec::new();
    let mut images = 0;
    for batch in train.epoch(0, 0) {
        let batch = batch?;
        images += batch.targets.len();
        batches.push(batch);
        if images >= PREVIEWS {
            break;
        }
    }
    let card = &experiment.card;
    let normalize = experiment.recipe.data.normalize(card.channels);
    // Boxes and class labels are named; a mask's classes are not written into it.
    let classes = experiment.splits.train.classes();
    let picture = sheet(&batches, &normalize, classes, PREVIEWS);
    write_png(&picture, file)?;
    Ok(())
}
