//! `trainer train`: a recipe becomes a run folder with a trained model.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Context, bail};
use clap::Args;
use firesight_report::environment::{Environment, now};
use firesight_report::metric::Metrics;

use super::hint::{self, Hint};
use super::{DeviceArgs, End, RecipeArgs, Usage, read_recipe, usage};
use crate::card::ModelCard;
use crate::device::{self, NamedDevice};
use crate::engine::{
    Checkpoint, CheckpointError, Engine, EngineConfig, EngineError, Event, Finish, Outcome,
    Progress, Sink, Spent, StopSignal, Task, Watched,
};
use crate::examine;
use crate::experiment::Experiment;
use crate::parameters::ParameterSummary;
use crate::recipe::{self, KernelChoice, Recipe, Schedule};
use crate::results;
use crate::run_folder::{RECIPE_FILE, RunFolder};
use crate::sinks::{Console, Files, Sinks, duration};
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
    let device = device::select(args.device.device.as_deref())?;
    let recipe = loaded.value.clone();
    set_kernels(&recipe);
    let resumed = match args.resume {
        true => Some(Resumed::find(&args, &recipe)?),
        false => None,
    };
    if let Some(resumed) = &resumed
        && resumed.is_over(&recipe)?
    {
        return Ok(End::Done);
    }
    let goes_on = resumed
        .as_ref()
        .is_some_and(|resumed| resumed.checkpoint.is_some());
    if !goes_on {
        recipe::check_files(&loaded)?;
    }
    let old = resumed.as_ref().map(|resumed| &resumed.folder);
    let root = args.overrides.root(old.map(|run| run.path.as_path()))?;
    let experiment = Experiment::open(recipe.clone(), &root).map_err(usage)?;
    match goes_on {
        true => recipe::check_data(&loaded, &experiment.card)?,
        false => recipe::check_training(&loaded, &experiment.card, &experiment.splits)?,
    }
    if let Some(trained) = &experiment.augmented {
        recipe::check_data(&loaded, trained)?;
    }
    let parameters = recipe::check_parameters(&loaded, &experiment)?;
    let found = examine::before_training(&experiment).map_err(usage)?;

    let resumed = match resumed {
        Some(resumed) => resumed,
        None => Resumed {
            folder: RunFolder::create(args.out.as_deref(), &args.recipe)
                .map_err(|error| already_there(error, &args))?,
            checkpoint: None,
            warnings: Vec::new(),
        },
    };
    let folder = resumed.folder.clone();
    if goes_on {
        check_data(&folder, &experiment)?;
    }
    let stop = StopSignal::listen()?;
    let mut session = Session {
        args: &args,
        experiment,
        device,
        folder: folder.clone(),
        parameters,
        resolved: firesight_recipe::to_toml(&recipe),
        root,
        found,
        stop,
    };
    session.describe();
    let end = session.run(resumed);
    if let Err(error) = &end
        && folder.is_new()
        && !has_trained(&folder, error)
    {
        folder.undo();
    }
    end
}

/// Whether a run that failed leaves something worth keeping: a checkpoint, or the course of numbers that went wrong.
fn has_trained(folder: &RunFolder, error: &anyhow::Error) -> bool {
    let went_wrong = matches!(
        error.downcast_ref::<EngineError>(),
        Some(EngineError::NonFiniteLoss { .. } | EngineError::NonFiniteGradient { .. })
    );
    went_wrong || !folder.checkpoints(1).all().is_empty()
}

/// A run to go on with.
struct Resumed {
    folder: RunFolder,
    /// Its newest checkpoint; none for a new run, and for one that was stopped before its first.
    checkpoint: Option<(PathBuf, Checkpoint)>,
    warnings: Vec<String>,
}

impl Resumed {
    fn find(args: &TrainArgs, recipe: &Recipe) -> anyhow::Result<Self> {
        let folder = RunFolder::find(args.out.as_deref(), &args.recipe).map_err(usage)?;
        let mut warnings = Vec::new();
        let checkpoints = folder.checkpoints(recipe.checkpoint.keep);
        let checkpoint = match checkpoints.load_newest(|warning| warnings.push(warning)) {
            Ok(found) => {
                check_unchanged(&folder, &found.0, recipe)?;
                let step = found.1.progress.step;
                if let Some(max) = recipe.max_steps.filter(|max| *max < step) {
                    return Err(Usage(format!(
                        "--resume: max-steps = {max} lies behind step {step}, which {} has come to; give more, or leave \
                         it out",
                        folder.path.display()
                    ))
                    .into());
                }
                Some(found)
            }
            // Nothing has been trained that another recipe could spoil.
            Err(CheckpointError::Missing { .. }) => {
                let path = folder.path.display();
                warnings.push(format!(
                    "{path}: there is no checkpoint yet; the run begins anew"
                ));
                None
            }
            Err(error) => return Err(usage(error)),
        };
        Ok(Self {
            folder,
            checkpoint,
            warnings,
        })
    }

    /// Whether the run has come to its end and its report is written; says so.
    fn is_over(&self, recipe: &Recipe) -> anyhow::Result<bool> {
        let Some((_, checkpoint)) = &self.checkpoint else {
            return Ok(false);
        };
        let progress = &checkpoint.progress;
        let Some(finish) = progress.complete(recipe.epochs, recipe.max_steps) else {
            return Ok(false);
        };
        // A session that was killed between its last checkpoint and its report has not written that.
        let environment = Environment::read(&self.folder.path)?;
        if environment.is_some_and(|environment| environment.finished.is_none()) {
            return Ok(false);
        }
        let why = match finish {
            Finish::MaxSteps => "`max-steps` is reached; a higher one would let it go on",
            Finish::EarlyStopping => "early stopping has used up its patience",
            Finish::Epochs => "its epochs are done; more `epochs` would let it go on",
        };
        eprintln!(
            "{}: the run is finished at step {} and stays as it is: {why}",
            self.folder.path.display(),
            progress.step
        );
        Ok(true)
    }
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
    root: PathBuf,
    /// What was found in the data.
    found: Vec<String>,
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

    fn run(&mut self, resumed: Resumed) -> anyhow::Result<End> {
        let recipe = &self.experiment.recipe;
        let run = self.folder.path.clone();
        // All that can fail of a recipe and its data fails before a file is written.
        let mut task = self
            .experiment
            .task(
                &self.device,
                match resumed.checkpoint {
                    Some(_) => Build::Resumed,
                    None => Build::Fresh,
                },
                Some(&run),
            )
            .map_err(usage)?;
        let train = self.experiment.train_loader().map_err(usage)?;
        let validation = self.experiment.splits.validation.clone();
        let validation = validation
            .map(|source| self.experiment.evaluation_loader(source))
            .transpose()?;
        let steps = Engine::steps_per_epoch(train.batches_per_epoch(), recipe.accumulate);
        let checkpoints = self.folder.checkpoints(recipe.checkpoint.keep);
        let mut progress = Progress::default();
        let anew = resumed.checkpoint.is_none();
        if let Some((path, checkpoint)) = resumed.checkpoint {
            progress = Engine::restore(task.as_mut(), &path, checkpoint)?;
        }
        let metrics = self.experiment.metrics();
        if anew {
            // The preview reads from a loader of its own: what it meets is met again in training.
            let loader = self.experiment.train_loader().map_err(usage)?;
            results::write_previews(&run, &self.experiment, &loader).context("preview")?;
        }
        replace(&run.join(RECIPE_FILE), self.resolved.as_bytes())?;
        self.write_environment(&metrics)?;
        if progress.complete(recipe.epochs, recipe.max_steps).is_some() {
            let outcome = Outcome {
                progress,
                stopped: None,
                evaluation: None,
                spent: Spent::default(),
            };
            return self.close(task.as_mut(), &outcome);
        }
        let ema = recipe.ema.is_some();
        let files = match self.folder.is_new() {
            true => Files::create(&run, &self.resolved, metrics.clone(), ema)?,
            false => Files::resume(&run, progress.step, metrics.clone(), ema)?,
        };
        let console = Console::new(metrics.clone());
        let mut sinks = Sinks(vec![Box::new(files), Box::new(console)]);
        for warning in resumed.warnings.into_iter().chain(self.found.drain(..)) {
            sinks.event(&Event::warning(warning))?;
        }
        for line in self.parameters.lines() {
            sinks.event(&Event::note(line))?;
        }
        let metric = recipe.checkpoint.best.of(&metrics);
        let goal = recipe.checkpoint.best.goal_of(&metric);
        let total = steps
            .saturating_mul(recipe.epochs)
            .min(recipe.max_steps.unwrap_or(u64::MAX));
        let mut engine = Engine {
            config: EngineConfig {
                seed: recipe.seed,
                epochs: recipe.epochs,
                max_steps: recipe.max_steps,
                accumulate: recipe.accumulate,
                learning_rate: recipe.optimizer.learning_rate(),
                evaluate: recipe.evaluate.clone(),
                checkpoint: recipe.checkpoint.clone(),
                watched: Watched {
                    metric: metric.key,
                    goal,
                    needs: metric.needs,
                },
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
        let outcome = engine.run(task.as_mut(), progress, &mut sinks);
        let outcome = outcome.map_err(|error| match error {
            // Data that is wrong is the user's to mend, also where it shows in the middle of a run.
            EngineError::Data(error) => error.into(),
            error => anyhow::Error::from(error),
        })?;
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
            let value = self.experiment.metrics().of(&best.metric).line(best.value);
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

/// Writes a file beside its place and renames it into it.
fn replace(path: &Path, bytes: &[u8]) -> anyhow::Result<()> {
    if std::fs::read(path).is_ok_and(|old| old == bytes) {
        return Ok(());
    }
    let beside = path.with_extension("new");
    let written = std::fs::write(&beside, bytes).and_then(|()| std::fs::rename(&beside, path));
    written.with_context(|| format!("{}", path.display()))
}

/// On resume nothing may differ but how long the run is and how its images are read.
fn check_unchanged(folder: &RunFolder, checkpoint: &Path, recipe: &Recipe) -> anyhow::Result<()> {
    // The checkpoint's own recipe is what its weights were trained with, whatever became of the run's.
    let own = checkpoint.join(RECIPE_FILE);
    let path = match own.is_file() {
        true => own,
        false => folder.path.join(RECIPE_FILE),
    };
    let stored = firesight_recipe::read::<Recipe>(&path, &[])?.value;
    let mut same = recipe.clone();
    same.epochs = stored.epochs;
    same.max_steps = stored.max_steps;
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
         `epochs`, `max-steps`, `data.workers` and `data.prefetch` may change",
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

impl Session<'_> {
    /// Writes what the run is made with and on, or marks that an earlier session's goes on.
    fn write_environment(&self, metrics: &Metrics) -> anyhow::Result<()> {
        let (experiment, run) = (&self.experiment, &self.folder.path);
        if let Some(mut environment) = Environment::read(run)? {
            environment.finished = None;
            environment.metrics = metrics.0.clone();
            environment.parameters = Some(self.parameters.total.elements as u64);
            environment.trainable = Some(self.parameters.trainable.elements as u64);
            return Ok(environment.write(run)?);
        }
        let environment = Environment {
            version: env!("CARGO_PKG_VERSION").to_owned(),
            backend: self.device.backend.to_owned(),
            device: self.device.name.clone(),
            threads: std::thread::available_parallelism().ok().map(usize::from),
            os: format!("{} {}", std::env::consts::OS, std::env::consts::ARCH),
            cpu: cpu_name(),
            task: experiment.card.task.clone(),
            model: experiment.card.model.clone(),
            parameters: Some(self.parameters.total.elements as u64),
            trainable: Some(self.parameters.trainable.elements as u64),
            dataset: dataset_name(&experiment.recipe),
            dataset_fingerprint: experiment.fingerprint(),
            splits: stored::splits(experiment),
            metrics: metrics.0.clone(),
            command: hint::whole().to_string(),
            recipe: std::path::absolute(&self.args.recipe).ok(),
            overrides: self.args.overrides.set.clone(),
            data_root: std::path::absolute(&self.root).ok(),
            started: Some(now()),
            ..Environment::default()
        };
        Ok(environment.write(run)?)
    }
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
