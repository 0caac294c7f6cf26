//! `trainer eval`: measures a trained model on a split of its data.

use std::path::{Path, PathBuf};

use anyhow::Context;
use clap::Args;
use firesight_data::words::counted;
use firesight_report::metric::Metrics;
use indicatif::ProgressBar;
use serde::Serialize;
use std::collections::BTreeMap;

use super::{DeviceArgs, End, RecipeArgs, Usage, out, print_json};
use crate::terminal::Terminal;
use firesight::device;
use firesight::engine;
use firesight::evaluate::{Evaluator, Options};
use firesight::recipe::Recipe;

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
    let terminal = Terminal::default();
    let device = device::select(args.device.device.as_deref())?;
    let options = Options {
        split: args.split.clone(),
        overrides: args.overrides.set.clone(),
        data_root: args.overrides.data_root.clone(),
        notify: &terminal,
        ..Options::new(device)
    };
    let evaluator = Evaluator::open(run, options)?;
    let experiment = &evaluator.experiment;
    for warning in &evaluator.warnings {
        eprintln!("warning: {warning}");
    }
    if let Some(file) = &args.predictions {
        let read = files_of(&experiment.recipe, &evaluator.root);
        let read: Vec<&Path> = read.iter().map(PathBuf::as_path).collect();
        out::claim_text("--predictions", file, args.force, &read)?;
    }
    let bar = ProgressBar::new(evaluator.source.len() as u64);
    let measured = evaluator.measure(&mut |samples| {
        bar.set_position(samples as u64);
        true
    });
    let (evaluation, details) = measured?;
    bar.finish_and_clear();
    for skipped in &details.skipped {
        let (split, reason) = (&args.split, &skipped.reason);
        eprintln!("warning: left out of the {split} split: {reason}");
    }
    for note in evaluator.undefined(&evaluation) {
        eprintln!("note: {note}");
    }
    let path = &evaluator.path;
    let output = Output {
        task: experiment.card.task.clone(),
        split: args.split.clone(),
        samples: evaluation.samples,
        metrics: evaluation.metrics.clone(),
        checkpoint: path.checkpoint.display().to_string(),
        weights: evaluator.weights,
    };
    // Printed before anything is stored, so that they are not lost where that fails.
    match args.json {
        true => print_json(&output)?,
        false => print(&output, path.which, &experiment.metrics()),
    }
    let predictions = args.predictions.as_ref().map_or(Ok(()), |file| {
        let text = evaluator.predictions(&details);
        std::fs::write(file, text).with_context(|| file.display().to_string())
    });
    // The run's report then shows these numbers too.
    evaluator.store(&evaluation, &details).with_context(|| {
        let run = run.display();
        format!("{run}: the numbers are printed and could not be stored in the run")
    })?;
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
