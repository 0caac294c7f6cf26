//! `trainer train`: a recipe becomes a run folder with a trained model.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Context, bail};
use clap::Args;
use firesight_report::environment::{Environment, now};

use super::hint::{self, Hint};
use super::{DeviceArgs, End, RecipeArgs, Usage, read_recipe, usage};
use crate::card::ModelCard;
use crate::device::{self, NamedDevice};
use crate::engine::{
    Engine, EngineConfig, Finish, Outcome, Progress, Sink, StopSignal, Task, best_metric,
};
use crate::experiment::Experiment;
use crate::parameters::ParameterSummary;
use crate::recipe::{self, KernelChoice, Recipe, Schedule};
use crate::results;
use crate::run_folder::{RECIPE_FILE, RunFolder};
use crate::sinks::{Console, Files, Sinks, duration, metric};
use crate::stored;
use crate::task::Build;

/// Arguments of `trainer train`.
#[derive(Args, Debug)]
pub struct TrainArgs {
    /// The recipe, for example configs/classification/digits.toml; with --resume also a run folder, whose own recipe
    /// it is then
    recipe: PathBuf,
    #[command(flatten)]
    overrides: RecipeArgs,
    #[command(flatten)]
    device: DeviceArgs,
    /// The folder to write (runs/<recipe name>-<n> if not given)
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
    /// Go on with the run in --out, or with the newest run of this recipe
    #[arg(long)]
    resume: bool,
}

/// Trains.
///
/// # Errors
/// A wrong recipe, device or dataset; numbers that go wrong; files that cannot be written.
pub fn run(args: TrainArgs) -> anyhow::Result<End> {
    let args = of_run_folder(args)?;
    let loaded = read_recipe(&args.recipe, &args.overrides.set)?;
    if !args.resume {
        recipe::check_files(&loaded)?;
    }
    let device = device::select(args.device.device.as_deref())?;
    let recipe = loaded.value.clone();
    set_kernels(&recipe);
    let old = match args.resume {
        true => Some(RunFolder::find(args.out.as_deref(), &args.recipe).map_err(usage)?),
        false => None,
    };
    let root = args
        .overrides
        .root(old.as_ref().map(|run| run.path.as_path()))?;
    let experiment = Experiment::open(recipe.clone(), &root).map_err(usage)?;
    recipe::check_data(&loaded, &experiment.card)?;
    let parameters = recipe::check_parameters(&loaded, &experiment)?;

    let folder = match old {
        Some(folder) => folder,
        None => RunFolder::create(args.out.as_deref(), &args.recipe)
            .map_err(|error| already_there(error, &args))?,
    };
    let resolved = firesight_recipe::to_toml(&recipe);
    if args.resume {
        check_unchanged(&folder, &recipe)?;
        check_data(&folder, &experiment)?;
    } else {
        std::fs::write(folder.path.join(RECIPE_FILE), &resolved)?;
        write_environment(&folder.path, &experiment, &device, &args, &root)?;
    }
    let stop = StopSignal::listen()?;
    let mut session = Session {
        args: &args,
        experiment,
        device,
        folder,
        resolved,
        parameters,
        stop,
    };
    session.describe();
    session.run(args.resume)
}

/// Where a run folder is given in place of a recipe, the run's own recipe and folder.
fn of_run_folder(mut args: TrainArgs) -> anyhow::Result<TrainArgs> {
    if !args.recipe.is_dir() {
        return Ok(args);
    }
    let run = args.recipe.clone();
    let shown = run.display();
    let recipe = run.join(RECIPE_FILE);
    if !recipe.is_file() {
        bail!(Usage(format!(
            "{shown}: this folder is no run, since it holds no {RECIPE_FILE}; give a recipe"
        )));
    }
    if !args.resume {
        let hint = resuming(&run, &args);
        bail!(Usage(format!(
            "{shown}: this is the folder of a run. To go on with it:\n  {hint}"
        )));
    }
    let same = |out: &PathBuf| out.canonicalize().ok() == run.canonicalize().ok();
    if let Some(out) = args.out.as_ref().filter(|out| !same(out)) {
        bail!(Usage(format!(
            "--out {}: the run {shown} goes on in its own folder; leave --out away",
            out.display()
        )));
    }
    (args.recipe, args.out) = (recipe, Some(run));
    Ok(args)
}

/// The command that goes on with a run.
fn resuming(run: &Path, args: &TrainArgs) -> Hint {
    let command = hint::command("train").path(run).word("--resume");
    command.data_root(&args.overrides).device(&args.device)
}

/// A run folder that cannot be made; how to go on where a run is there.
fn already_there(error: anyhow::Error, args: &TrainArgs) -> anyhow::Error {
    match &args.out {
        Some(out) if out.join(RECIPE_FILE).exists() => {
            let hint = resuming(out, args);
            Usage(format!("{error:#}\nto go on with it:\n  {hint}")).into()
        }
        _ => usage(error),
    }
}

/// Sets which kernels the process uses.
pub fn set_kernels(recipe: &Recipe) {
    firesight_kernels::set_mode(match recipe.kernels {
        KernelChoice::Fast => firesight_kernels::Mode::Fast,
        KernelChoice::Burn => firesight_kernels::Mode::Burn,
    });
}

struct Session<'a> {
    args: &'a TrainArgs,
    experiment: Experiment,
    device: NamedDevice,
    folder: RunFolder,
    resolved: String,
    parameters: ParameterSummary,
    stop: StopSignal,
}

impl Session<'_> {
    fn describe(&self) {
        let sizes = self.experiment.sizes();
        let splits: Vec<String> = sizes
            .iter()
            .map(|(name, size)| format!("{size} {name}"))
            .collect();
        let card = &self.experiment.card;
        eprintln!(
            "{} on {}: {} images, {} classes, input {}x{}x{}",
            card.model,
            self.device.name,
            splits.join(", "),
            card.classes.len(),
            card.channels,
            card.height,
            card.width
        );
        eprintln!("run folder: {}", self.folder.path.display());
    }

    fn run(&mut self, resume: bool) -> anyhow::Result<End> {
        let recipe = &self.experiment.recipe;
        let mut task = self
            .experiment
            .task(
                &self.device,
                match resume {
                    true => Build::Resumed,
                    false => Build::Fresh,
                },
                Some(&self.folder.path),
            )
            .map_err(usage)?;
        let train = self.experiment.train_loader().map_err(usage)?;
        let validation = self.experiment.splits.validation.clone();
        let validation = validation
            .map(|source| self.experiment.evaluation_loader(source))
            .transpose()?;
        let checkpoints = self.folder.checkpoints(recipe.checkpoint.keep);
        let mut progress = Progress::default();
        let mut warnings = Vec::new();
        if resume {
            let (path, checkpoint) = checkpoints
                .load_newest(|warning| warnings.push(warning))
                .map_err(usage)?;
            progress = Engine::restore(task.as_mut(), &path, checkpoint)?;
        }
        let ema = recipe.ema.is_some();
        let files = match resume {
            true => Files::resume(&self.folder.path, progress.step, ema)?,
            false => Files::create(&self.folder.path, &self.resolved, ema)?,
        };
        let mut sinks = Sinks(vec![Box::new(files), Box::new(Console::new())]);
        for warning in warnings {
            sinks.event(&crate::engine::Event::Warning(warning))?;
        }
        if !resume {
            results::write_previews(&self.folder.path, &self.experiment, &train)
                .context("preview")?;
        }
        for line in self.parameters.lines() {
            sinks.event(&crate::engine::Event::Note(line))?;
        }
        let steps = Engine::steps_per_epoch(train.batches_per_epoch(), recipe.accumulate);
        if steps == 0 {
            return Err(Usage(format!(
                "data.batch-size = {}: the {} training images do not fill one batch, and \
                 `drop-last` leaves it out",
                recipe.data.batch_size,
                self.experiment.splits.train.len()
            ))
            .into());
        }
        let total = (steps * recipe.epochs).min(recipe.max_steps.unwrap_or(u64::MAX));
        let (_, goal) = best_metric(&recipe.checkpoint.best, task.as_ref());
        let mut engine = Engine {
            config: EngineConfig {
                seed: recipe.seed,
                epochs: recipe.epochs,
                max_steps: recipe.max_steps,
                accumulate: recipe.accumulate,
                learning_rate: recipe.optimizer.learning_rate(),
                evaluate: recipe.evaluate.clone(),
                checkpoint: recipe.checkpoint.clone(),
                early_stopping: recipe.early_stopping,
                files: vec![
                    (RECIPE_FILE.to_owned(), self.resolved.clone().into_bytes()),
                    (ModelCard::FILE.to_owned(), self.experiment.card.to_bytes()),
                ],
            },
            train: &train,
            validation: validation.as_ref(),
            schedule: Schedule::new(
                recipe.schedule.clone(),
                recipe.warmup.as_ref(),
                total,
                steps,
                goal,
            ),
            device: self.device.device.clone(),
            checkpoints: &checkpoints,
            stop: self.stop.clone(),
        };
        let outcome = engine.run(task.as_mut(), progress, &mut sinks)?;
        drop(sinks);
        self.close(task.as_mut(), &outcome)
    }

    /// After the last step: the report, and what to do next.
    fn close(&self, task: &mut dyn Task, outcome: &Outcome) -> anyhow::Result<End> {
        let run = &self.folder.path;
        if let Some(signal) = outcome.stopped {
            let step = outcome.progress.step;
            eprintln!("stopped at step {step}; everything is saved. To go on:");
            eprintln!("  {}", resuming(run, self.args));
            return Ok(End::Stopped(signal));
        }
        if let Some(mut environment) = Environment::read(run)? {
            environment.finished = Some(now());
            environment.write(run)?;
        }
        let checkpoints = self.folder.checkpoints(1);
        let (which, path) = ["best", "last"]
            .into_iter()
            .find_map(|which| Some((which, checkpoints.pointed(which)?)))
            .context("the run has written no checkpoint")?;
        let mut report = None;
        if let Some(validation) = &self.experiment.splits.validation {
            let checkpoint = crate::engine::load(&path)?;
            let step = checkpoint.progress.step;
            Engine::restore(task, &path, checkpoint)?;
            results::evaluate_and_write(
                run,
                &self.experiment,
                task,
                ("validation", Arc::clone(validation)),
                (which, step),
            )?;
        }
        match firesight_report::write(run) {
            Ok(path) => report = Some(path),
            Err(error) => eprintln!("warning: the report could not be written: {error}"),
        }
        let why = match outcome.progress.finished {
            Some(Finish::MaxSteps) => " (max-steps)",
            Some(Finish::EarlyStopping) => " (early stopping)",
            _ => "",
        };
        eprintln!(
            "done after {} epochs, {} steps, {}{why}",
            outcome.progress.epoch,
            outcome.progress.step,
            duration(outcome.progress.seconds)
        );
        if let Some(best) = &outcome.progress.best {
            let value = metric(&best.metric, best.value);
            eprintln!(
                "best validation {}: {value} at step {}",
                best.metric, best.step
            );
        }
        eprintln!("{which} checkpoint: {}", path.display());
        if let Some(report) = report {
            eprintln!("report: {}", report.display());
        }
        let Self { args, .. } = self;
        if self.experiment.splits.test.is_some() {
            let eval = hint::command("eval").path(run);
            let eval = eval.data_root(&args.overrides).device(&args.device);
            eprintln!("evaluate it on the test split:  {eval}");
        }
        let purpose = self.experiment.recipe.task.table().purpose();
        let mut command = hint::command(purpose.command).path(run);
        if let Some(argument) = purpose.argument {
            command = command.blank(argument);
        }
        let words = format!("{}:", purpose.words);
        eprintln!("{words:<31} {}", command.device(&args.device));
        Ok(End::Done)
    }
}

/// On resume nothing may differ but the number of epochs and of workers.
fn check_unchanged(folder: &RunFolder, recipe: &Recipe) -> anyhow::Result<()> {
    let path = folder.path.join(RECIPE_FILE);
    let stored = firesight_recipe::read::<Recipe>(&path, &[])?.value;
    let mut same = recipe.clone();
    same.epochs = stored.epochs;
    same.data.workers = stored.data.workers;
    same.data.prefetch = stored.data.prefetch;
    if same == stored {
        return Ok(());
    }
    let (old, new) = (
        firesight_recipe::to_toml(&stored),
        firesight_recipe::to_toml(&same),
    );
    let changed = old.lines().zip(new.lines()).find(|(old, new)| old != new);
    let (old, new) = changed.unwrap_or(("", ""));
    bail!(Usage(format!(
        "--resume: the recipe is not that of {}: `{old}` there, `{new}` here; on resume only \
         `epochs` and `data.workers` may change",
        folder.path.display()
    )))
}

/// On resume the data has the classes that the model learns; what else is other is said.
fn check_data(folder: &RunFolder, experiment: &Experiment) -> anyhow::Result<()> {
    let stored = match folder.checkpoints(1).pointed("last") {
        Some(checkpoint) => Some(ModelCard::read(&checkpoint)?),
        None => None,
    };
    let knows_classes = experiment.recipe.task.table().knows_classes();
    if let Some(stored) = stored.filter(|_| knows_classes) {
        stored::same_classes(&stored, &experiment.card)
            .with_context(|| format!("--resume: {}", folder.path.display()))
            .map_err(usage)?;
    }
    for change in stored::changes(&folder.path, experiment)? {
        eprintln!("warning: --resume: {change}");
    }
    Ok(())
}

fn write_environment(
    run: &Path,
    experiment: &Experiment,
    device: &NamedDevice,
    args: &TrainArgs,
    root: &Path,
) -> anyhow::Result<()> {
    let environment = Environment {
        version: env!("CARGO_PKG_VERSION").to_owned(),
        backend: device.backend.to_owned(),
        device: device.name.clone(),
        threads: std::thread::available_parallelism().ok().map(usize::from),
        os: format!("{} {}", std::env::consts::OS, std::env::consts::ARCH),
        cpu: cpu_name(),
        task: experiment.card.task.clone(),
        model: experiment.card.model.clone(),
        dataset: dataset_name(&experiment.recipe),
        dataset_fingerprint: experiment.fingerprint(),
        splits: stored::splits(experiment),
        command: hint::whole().to_string(),
        recipe: std::path::absolute(&args.recipe).ok(),
        overrides: args.overrides.set.clone(),
        data_root: std::path::absolute(root).ok(),
        started: Some(now()),
        ..Environment::default()
    };
    environment.write(run)?;
    Ok(())
}

/// The dataset's name in the recipe, and the folder where it is not the usual one: `mnist (fashion-mnist)`.
fn dataset_name(recipe: &Recipe) -> String {
    let source = serde_json::to_value(&recipe.data.source).unwrap_or_default();
    let serde_json::Value::Object(table) = source else {
        return source.as_str().unwrap_or_default().to_owned();
    };
    let Some((name, keys)) = table.into_iter().next() else {
        return String::new();
    };
    match keys.get("path").and_then(|path| path.as_str()) {
        Some(path) if !path.is_empty() && path != name => format!("{name} ({path})"),
        _ => name,
    }
}

/// The processor's name where the system tells it.
fn cpu_name() -> String {
    let info = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let line = info.lines().find(|line| line.starts_with("model name"));
    line.and_then(|line| line.split_once(':')).map_or_else(
        || std::env::consts::ARCH.to_owned(),
        |(_, name)| name.trim().to_owned(),
    )
}
