//! One session of a run: from its first step or a checkpoint to the end, a signal or an error.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use firesight_engine::{
    Checkpoint, Engine, EngineConfig, EngineError, Event, Outcome, Progress, Schedule, Sink,
};
use firesight_report::environment::{Environment, now};
use firesight_report::metric::Metrics;

use super::{End, Options, Trained};
use crate::card::ModelCard;
use crate::error::{Context, Error};
use crate::experiment::Experiment;
use crate::networks::Networks;
use crate::parameters::ParameterSummary;
use crate::recipe::{Recipe, watched};
use crate::results;
use crate::run_folder::{RECIPE_FILE, RunFolder};
use crate::sinks::Files;
use crate::stored;
use crate::task::{Build, TrainedTask};

pub(super) struct Session<'e, 'a> {
    pub experiment: &'e Experiment,
    pub options: Options<'a>,
    pub folder: RunFolder,
    pub resolved: String,
    pub parameters: ParameterSummary,
    pub root: PathBuf,
    /// What was found in the data and in the run.
    pub warnings: Vec<String>,
}

impl Session<'_, '_> {
    pub fn run(
        mut self,
        networks: Networks<'_>,
        from: Option<(PathBuf, Checkpoint)>,
    ) -> crate::Result<Trained> {
        self.describe();
        let (experiment, run) = (self.experiment, self.folder.path.clone());
        let recipe = &experiment.recipe;
        // All that can fail of a recipe and its data fails before a file is written.
        let build = match from {
            Some(_) => Build::Resumed,
            None => Build::Fresh,
        };
        let task = networks.task(build, Some(&run), self.options.notify);
        let mut task = task.map_err(Error::input)?;
        let train = experiment.train_loader()?;
        let validation = experiment.splits.validation.clone();
        let validation = validation
            .map(|source| experiment.evaluation_loader(source))
            .transpose()?;
        let steps = Engine::steps_per_epoch(train.batches_per_epoch(), recipe.accumulate);
        let checkpoints = self.folder.checkpoints(recipe.checkpoint.keep);
        let metrics = experiment.metrics();
        let progress = match from {
            Some((path, checkpoint)) => Engine::restore(task.as_mut(), &path, checkpoint)?,
            None => {
                // The preview reads from a loader of its own: what it meets is met again in training.
                let loader = experiment.train_loader()?;
                results::write_previews(&run, experiment, &loader).context("preview")?;
                Progress::default()
            }
        };
        replace(&run.join(RECIPE_FILE), self.resolved.as_bytes())?;
        self.write_environment(&metrics)?;
        if progress.complete(recipe.epochs, recipe.max_steps).is_some() {
            return self.close(task.as_mut(), progress);
        }
        let ema = recipe.ema.is_some();
        let files = match self.folder.is_new() {
            true => Files::create(&run, &self.resolved, metrics.clone(), ema)?,
            false => Files::resume(&run, progress.step, metrics.clone(), ema)?,
        };
        let mut sinks: Vec<Box<dyn Sink>> = vec![Box::new(files)];
        let more = self.options.sinks.drain(..);
        sinks.extend(more.map(|make| make(&metrics)));
        let warnings = self.warnings.drain(..).map(Event::warning);
        let notes = self.parameters.lines().into_iter().map(Event::note);
        for event in warnings.chain(notes) {
            sinks.event(&event).map_err(EngineError::Outside)?;
        }
        let watched = watched(&recipe.checkpoint.best, &metrics);
        let total = steps
            .saturating_mul(recipe.epochs)
            .min(recipe.max_steps.unwrap_or(u64::MAX));
        let mut engine = Engine {
            schedule: Schedule::new(
                recipe.schedule.clone(),
                recipe.warmup.as_ref(),
                total,
                steps,
                watched.goal,
            ),
            config: EngineConfig {
                seed: recipe.seed,
                epochs: recipe.epochs,
                max_steps: recipe.max_steps,
                accumulate: recipe.accumulate,
                learning_rate: recipe.optimizer.learning_rate(),
                evaluate: recipe.evaluate.clone(),
                checkpoint: recipe.checkpoint.clone(),
                watched,
                early_stopping: recipe.early_stopping,
                files: vec![
                    (RECIPE_FILE.to_owned(), self.resolved.clone().into_bytes()),
                    (ModelCard::FILE.to_owned(), experiment.card.to_bytes()),
                ],
            },
            train: &train,
            validation: validation.as_ref(),
            device: self.options.device.device.clone(),
            checkpoints: &checkpoints,
            stop: self.options.stop.clone(),
        };
        let outcome = engine.run(task.as_mut(), progress, &mut sinks)?;
        drop(sinks);
        match outcome {
            Outcome {
                progress,
                stopped: Some(signal),
                ..
            } => Ok(Trained {
                run,
                progress,
                end: End::Stopped(signal),
                checkpoint: None,
                report: None,
            }),
            Outcome { progress, .. } => self.close(task.as_mut(), progress),
        }
    }

    fn describe(&self) {
        let sizes = self.experiment.sizes();
        let splits: Vec<String> = sizes
            .iter()
            .map(|(name, size)| format!("{size} {name}"))
            .collect();
        let card = &self.experiment.card;
        let notify = self.options.notify;
        notify.note(&format!(
            "{} on {}: {} images, {} classes, input {}x{}x{}",
            card.model,
            self.options.device.name,
            splits.join(", "),
            card.classes.len(),
            card.channels,
            card.height,
            card.width
        ));
        notify.note(&format!("run folder: {}", self.folder.path.display()));
    }

    /// After the last step: the best weights measured, and the report.
    fn close(&self, task: &mut dyn TrainedTask, progress: Progress) -> crate::Result<Trained> {
        let run = &self.folder.path;
        if let Some(mut environment) = Environment::read(run)? {
            environment.finished = Some(now());
            environment.write(run)?;
        }
        let checkpoints = self.folder.checkpoints(1);
        let (which, path) = ["best", "last"]
            .into_iter()
            .find_map(|which| Some((which, checkpoints.pointed(which)?)))
            .context("the run has written no checkpoint")
            .map_err(Error::failed)?;
        if let Some(validation) = &self.experiment.splits.validation {
            let checkpoint = firesight_engine::load(&path)?;
            let step = checkpoint.progress.step;
            Engine::restore(task, &path, checkpoint)?;
            results::evaluate_and_write(
                run,
                self.experiment,
                task,
                ("validation", Arc::clone(validation)),
                (which, step),
            )?;
        }
        let report = firesight_report::write(run);
        if let Err(error) = &report {
            let note = format!("warning: the report could not be written: {error}");
            self.options.notify.note(&note);
        }
        Ok(Trained {
            run: run.clone(),
            progress,
            end: End::Done,
            checkpoint: Some((which, path)),
            report: report.ok(),
        })
    }

    /// Writes what the run is made with and on, or marks that an earlier session's goes on.
    fn write_environment(&self, metrics: &Metrics) -> crate::Result<()> {
        let (experiment, run) = (self.experiment, &self.folder.path);
        if let Some(mut environment) = Environment::read(run)? {
            environment.finished = None;
            environment.metrics = metrics.0.clone();
            environment.parameters = Some(self.parameters.total.elements as u64);
            environment.trainable = Some(self.parameters.trainable.elements as u64);
            return Ok(environment.write(run)?);
        }
        let origin = &self.options.origin;
        let recipe = origin.recipe.as_ref();
        let environment = Environment {
            version: env!("CARGO_PKG_VERSION").to_owned(),
            backend: self.options.device.backend.to_owned(),
            device: self.options.device.name.clone(),
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
            command: origin.command.clone(),
            recipe: recipe.and_then(|path| std::path::absolute(path).ok()),
            overrides: origin.overrides.clone(),
            data_root: std::path::absolute(&self.root).ok(),
            started: Some(now()),
            ..Environment::default()
        };
        Ok(environment.write(run)?)
    }
}

/// Whether a run that failed leaves something worth keeping: a checkpoint, or the course of numbers that went wrong.
pub(super) fn has_trained(folder: &RunFolder, error: &Error) -> bool {
    let went_wrong = matches!(
        error.find::<EngineError>(),
        Some(EngineError::NonFiniteLoss { .. } | EngineError::NonFiniteGradient { .. })
    );
    went_wrong || !folder.checkpoints(1).all().is_empty()
}

/// Writes a file whole or not at all, and not where it says the same already.
fn replace(path: &Path, bytes: &[u8]) -> crate::Result<()> {
    if std::fs::read(path).is_ok_and(|old| old == bytes) {
        return Ok(());
    }
    Ok(firesight_report::write_whole(path, bytes)?)
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
