//! `trainer eval`: measures a trained model on a split of its data.

use std::path::{Path, PathBuf};

use anyhow::Context;
use clap::Args;
use firesight_data::words::counted;
use firesight_report::metric::Metrics;
use indicatif::ProgressBar;
use serde::Serialize;
use std::collections::BTreeMap;
use std::io::Write;
use std::sync::Arc;

use super::{DeviceArgs, End, RecipeArgs, Usage, out, print_json, usage};
use crate::terminal::Terminal;
use firesight::card;
use firesight::device;
use firesight::engine::{self, Engine, Evaluation};
use firesight::experiment::Experiment;
use firesight::recipe::{self, Recipe};
use firesight::results;
use firesight::run_folder::{ModelPath, RECIPE_FILE};
use firesight::stored;
use firesight::task::{Build, Details};

/// Arguments of `trainer eval`.
#[derive(Args, Debug)]
pub struct EvalArgs {
    /// A run folder (its best checkpoint, else its last) or a checkpoint folder
    #[arg(required_unless_present = "from")]
    run: Option<PathBuf>,
    /// Score a file in COCO's results format instead of a model
    #[arg(long, value_name = "RESULTS", requires = "truth", conflicts_with_all = ["run", "predictions", "split", "set", "data_root", "device"])]
    from: Option<PathBuf>,
    /// The truth that `--from` is scored against, in COCO's format
    #[arg(long, value_name = "COCO", requires = "from")]
    truth: Option<PathBuf>,
    /// The split to measure: test, validation or train
    #[arg(long, default_value = "test")]
    split: String,
    #[command(flatten)]
    overrides: RecipeArgs,
    #[command(flatten)]
    device: DeviceArgs,
    /// Write each sample's prediction as a line of CSV; detections in COCO's results format
    #[arg(long, value_name = "FILE")]
    predictions: Option<PathBuf>,
    /// Write over the file of --predictions if it is there
    #[arg(long, requires = "predictions")]
    force: bool,
    /// Print one JSON object
    #[arg(long)]
    json: bool,
}

#[derive(Serialize)]
struct Output {
    task: String,
    split: String,
    samples: usize,
    metrics: BTreeMap<String, f64>,
    checkpoint: String,
    weights: engine::Weights,
}

/// Measures.
///
/// # Errors
/// A run without a checkpoint, a split that is not there, what the data reports.
pub fn run(args: EvalArgs) -> anyhow::Result<End> {
    if let (Some(results), Some(truth)) = (&args.from, &args.truth) {
        return super::eval_file::run(results, truth, args.json);
    }
    let run = args
        .run
        .as_deref()
        .ok_or_else(|| Usage("give a run folder".into()))?;
    if let Some(file) = &args.predictions {
        out::claim_text("--predictions", file, args.force, &[run])?;
    }
    let path = ModelPath::find(run).map_err(usage)?;
    let loaded = recipe::read(&path.checkpoint.join(RECIPE_FILE), &args.overrides.set)?;
    let device = device::select(args.device.device.as_deref())?;
    loaded.value.kernels.apply();
    let root = args.overrides.root(path.run.as_deref())?;
    let experiment =
        Experiment::open(loaded.value.clone(), &root, &Terminal::default()).map_err(usage)?;
    recipe::check_data(&loaded, &experiment.card)?;
    let card = card::read(&path.checkpoint).map_err(usage)?;
    if experiment.recipe.task.table().knows_classes() {
        stored::same_classes(&card, &experiment.card)
            .with_context(|| format!("{}", path.checkpoint.display()))
            .map_err(usage)?;
    }
    if let Some(run) = &path.run {
        for change in stored::changes(run, &experiment)? {
            eprintln!("warning: {}: {change}", run.display());
        }
    }
    if let Some(file) = &args.predictions {
        let read = files_of(&experiment.recipe, &root);
        let read: Vec<&Path> = read.iter().map(PathBuf::as_path).collect();
        out::claim_text("--predictions", file, args.force, &read)?;
    }
    let source = experiment.split(&args.split).map_err(usage)?;
    let mut task = experiment
        .task(&device, Build::Measured, path.run.as_deref(), &())
        .map_err(usage)?;
    let checkpoint = engine::load(&path.checkpoint).map_err(usage)?;
    let step = checkpoint.progress.step;
    let restored = Engine::restore(task.as_mut(), &path.checkpoint, checkpoint);
    restored.map_err(|error| match args.overrides.set.is_empty() {
        true => error.into(),
        false => {
            usage(anyhow::Error::new(error).context("--set: the recipe is not the checkpoint's"))
        }
    })?;
    let weights = results::weights_of(task.as_ref());

    let bar = ProgressBar::new(source.len() as u64);
    let mut watch = |samples: usize| {
        bar.set_position(samples as u64);
        true
    };
    let (evaluation, details) =
        results::evaluate(&experiment, task.as_ref(), Arc::clone(&source), &mut watch)?;
    bar.finish_and_clear();
    for skipped in &details.skipped {
        eprintln!(
            "warning: left out of the {} split: {}",
            args.split, skipped.reason
        );
    }
    for note in undefined(&experiment.metrics(), &evaluation, &args.split) {
        eprintln!("note: {note}");
    }
    let output = Output {
        task: experiment.card.task.clone(),
        split: args.split.clone(),
        samples: evaluation.samples,
        metrics: evaluation.metrics.clone(),
        checkpoint: path.checkpoint.display().to_string(),
        weights,
    };
    // Printed before anything is stored, so that they are not lost where that fails.
    match args.json {
        true => print_json(&output)?,
        false => print(&output, path.which, &experiment.metrics()),
    }
    let predictions = args.predictions.as_ref().map_or(Ok(()), |file| {
        write_predictions(file, &experiment, source.as_ref(), &details)
    });
    if let Some(run) = &path.run
        && args.overrides.set.is_empty()
    {
        // The run's report then shows these numbers too.
        let split = (args.split.as_str(), Arc::clone(&source));
        let measured = (&evaluation, &details);
        let checkpoint = (path.which, step);
        results::write(run, &experiment, task.as_ref(), split, checkpoint, measured)
            .and_then(|()| Ok(firesight_report::write(run)?))
            .with_context(|| {
                let run = run.display();
                format!("{run}: the numbers are printed and could not be stored in the run")
            })?;
    }
    predictions.map(|()| End::Done)
}

/// Prints the numbers as text.
fn print(output: &Output, which: &str, names: &Metrics) {
    let average = match output.weights {
        engine::Weights::Ema => ", averaged weights",
        engine::Weights::Current => "",
    };
    let samples = counted(output.samples, "image");
    println!("{} ({which}{average})", output.checkpoint);
    println!("{} split, {samples}", output.split);
    for (name, value) in &output.metrics {
        println!("  {name:<16} {}", names.of(name).line(*value));
    }
}

/// What is to be said of numbers that the task has and that this split does not give, those of classes left out: what
/// they need.
fn undefined(names: &Metrics, evaluation: &Evaluation, split: &str) -> Vec<String> {
    let mut missing: BTreeMap<&str, Vec<String>> = BTreeMap::new();
    for metric in names.0.iter().filter(|metric| !metric.detail) {
        if !evaluation.metrics.contains_key(&metric.key) && !metric.needs.is_empty() {
            let of_need = missing.entry(&metric.needs).or_default();
            of_need.push(format!("`{}`", metric.key));
        }
    }
    let said = |(needs, keys): (&str, Vec<String>)| {
        let (is, need) = match keys.len() {
            1 => ("is", "it needs"),
            _ => ("are", "they need"),
        };
        let keys = keys.join(", ");
        format!("{keys} {is} undefined on the {split} split: {need} {needs}")
    };
    missing.into_iter().map(said).collect()
}

/// The files that the recipe's dataset names.
fn files_of(recipe: &Recipe, root: &Path) -> Vec<PathBuf> {
    let source = serde_json::to_value(&recipe.data.source).unwrap_or_default();
    let (mut names, mut open) = (Vec::new(), vec![&source]);
    while let Some(value) = open.pop() {
        match value {
            serde_json::Value::String(name) => names.push(name),
            serde_json::Value::Array(values) => open.extend(values),
            serde_json::Value::Object(table) => open.extend(table.values()),
            _ => {}
        }
    }
    // A name is relative to the data root, or to the folder that another one names.
    let folders = names.iter().map(|folder| root.join(folder));
    let within = folders.flat_map(|folder| names.iter().map(move |name| folder.join(name)));
    names
        .iter()
        .map(|name| root.join(name))
        .chain(within.collect::<Vec<_>>())
        .collect()
}

fn write_predictions(
    path: &std::path::Path,
    experiment: &Experiment,
    source: &dyn firesight_data::source::Source,
    details: &Details,
) -> anyhow::Result<()> {
    let name = |class: usize| quoted(&experiment.card.classes[class]);
    if let Some(text) = &details.predictions {
        return std::fs::write(path, text).with_context(|| format!("{}", path.display()));
    }
    let write = || -> std::io::Result<()> {
        let mut file = std::io::BufWriter::new(std::fs::File::create(path)?);
        writeln!(file, "origin,truth,predicted,probability,loss")?;
        for sample in &details.samples {
            let origin = quoted(&source.origin(sample.index));
            let truth = sample.truth.map_or_else(String::new, name);
            let (class, probability) = sample.top[0];
            writeln!(
                file,
                "{origin},{truth},{},{probability},{}",
                name(class),
                sample.loss
            )?;
        }
        file.flush()
    };
    write().with_context(|| format!("{}", path.display()))
}

/// A field of CSV, quoted where it must be (RFC 4180).
pub(in crate::cli) fn quoted(text: &str) -> String {
    match text.contains(['"', ',', '\n', '\r']) {
        true => format!("\"{}\"", text.replace('"', "\"\"")),
        false => text.to_owned(),
    }
}
