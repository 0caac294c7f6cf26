//! The loop itself.

use std::time::Instant;

use burn::tensor::Device;
use firesight_data::batch::Batch;
use firesight_data::loader::Loader;
use firesight_data::words::counted;

use crate::checkpoint::{Checkpoint, CheckpointStore};
use crate::error::EngineError;
use crate::event::{Event, Sink};
use crate::network::{StepError, Weights};
use crate::progress::{BestScore, Finish, Progress};
use crate::schedules::Schedule;
use crate::settings::{CheckpointConfig, EarlyStopping, EvaluateConfig, Goal};
use crate::signals::{Signal, StopSignal};
use crate::spent::Spent;
use crate::task::{Evaluation, Step, StepReport, Task};

/// What the loop itself is told by the recipe.
#[derive(Clone, Debug)]
pub struct EngineConfig {
    /// Every random draw follows from it.
    pub seed: u64,
    /// Passes over the training data.
    pub epochs: u64,
    /// Ends the run early.
    pub max_steps: Option<u64>,
    /// Batches per optimizer step.
    pub accumulate: usize,
    /// The base learning rate.
    pub learning_rate: f64,
    /// When to evaluate.
    pub evaluate: EvaluateConfig,
    /// When to save.
    pub checkpoint: CheckpointConfig,
    /// What names the best checkpoint.
    pub watched: Watched,
    /// When to give up.
    pub early_stopping: Option<EarlyStopping>,
    /// Files that are stored in each checkpoint: the resolved recipe, the model's card.
    pub files: Vec<(String, Vec<u8>)>,
}

/// The metric that names the best checkpoint, and that early stopping and the plateau schedule watch.
#[derive(Clone, Debug, PartialEq)]
pub struct Watched {
    /// Its name.
    pub metric: String,
    /// Which way it is good.
    pub goal: Goal,
    /// What a split must hold for it to be defined, for the note where it is not.
    pub needs: String,
}

/// A run in progress.
pub struct Engine<'a> {
    /// What the recipe says.
    pub config: EngineConfig,
    /// The training batches.
    pub train: &'a Loader,
    /// The validation batches, if there is such a split.
    pub validation: Option<&'a Loader>,
    /// The course of the learning rate.
    pub schedule: Schedule,
    /// The device whose random numbers are seeded before each step.
    pub device: Device,
    /// Where checkpoints go.
    pub checkpoints: &'a CheckpointStore,
    /// Where a stop is heard of.
    pub stop: StopSignal,
}

/// How a run came to its end.
#[derive(Clone, Debug, PartialEq)]
pub struct Outcome {
    /// Where it stands.
    pub progress: Progress,
    /// The signal that stopped it, or none when it is complete.
    pub stopped: Option<Signal>,
    /// The last evaluation of this session.
    pub evaluation: Option<Evaluation>,
    /// Where the time of this session went.
    pub spent: Spent,
}

impl Engine<'_> {
    /// Optimizer steps of one epoch.
    pub fn steps_per_epoch(batches: usize, accumulate: usize) -> u64 {
        batches.div_ceil(accumulate.max(1)) as u64
    }

    /// Restores a task from a checkpoint and gives the position to go on from.
    ///
    /// # Errors
    /// [`EngineError::Mismatch`] where the checkpoint is of another model.
    pub fn restore(
        task: &mut dyn Task,
        path: &std::path::Path,
        mut checkpoint: Checkpoint,
    ) -> Result<Progress, EngineError> {
        for network in task.networks_mut() {
            let name = network.name().to_owned();
            let state = checkpoint.networks.remove(&name);
            state
                .ok_or_else(|| "it is not in the checkpoint".to_owned())
                .and_then(|state| network.load_state(state))
                .map_err(|reason| EngineError::Mismatch {
                    path: path.to_owned(),
                    network: name,
                    reason,
                })?;
        }
        Ok(checkpoint.progress)
    }

    /// Trains from `progress` to the end, or until a signal comes. A run that is complete stays as it is.
    ///
    /// # Errors
    /// See [`EngineError`]; the last checkpoint stays as it is.
    pub fn run(
        &mut self,
        task: &mut dyn Task,
        progress: Progress,
        sink: &mut dyn Sink,
    ) -> Result<Outcome, EngineError> {
        let session = Session::new(self, task, progress, sink);
        session.run()
    }
}

/// One session of a run: from the start or a checkpoint to the end or a signal.
struct Session<'a, 'b> {
    engine: &'b mut Engine<'a>,
    task: &'b mut dyn Task,
    sink: &'b mut dyn Sink,
    progress: Progress,
    started: Instant,
    seconds_before: f64,
    last_evaluation: Option<Evaluation>,
    /// What the newest checkpoint says.
    saved: Option<Progress>,
    spent: Spent,
}

impl<'a, 'b> Session<'a, 'b> {
    fn new(
        engine: &'b mut Engine<'a>,
        task: &'b mut dyn Task,
        progress: Progress,
        sink: &'b mut dyn Sink,
    ) -> Self {
        if let Some(plateau) = &progress.plateau {
            engine.schedule.load_state(plateau.clone());
        }
        for (split, loader) in [(TRAIN, Some(engine.train)), (VALIDATION, engine.validation)] {
            if let (Some(loader), Some(skipped)) = (loader, progress.skipped.get(split)) {
                loader.remember_skipped(skipped);
            }
        }
        let seconds_before = progress.seconds;
        let saved = (progress.step > 0).then(|| Progress {
            seconds: 0.0,
            ..progress.clone()
        });
        Self {
            engine,
            task,
            sink,
            progress,
            started: Instant::now(),
            seconds_before,
            last_evaluation: None,
            saved,
            spent: Spent::default(),
        }
    }

    fn seconds(&self) -> f64 {
        self.seconds_before + self.started.elapsed().as_secs_f64()
    }

    fn emit(&mut self, event: &Event<'_>) -> Result<(), EngineError> {
        self.sink.event(event).map_err(EngineError::Outside)
    }

    fn stopped(&self) -> Option<Signal> {
        self.engine.stop.received()
    }

    fn run(mut self) -> Result<Outcome, EngineError> {
        let config = &self.engine.config;
        if let Some(finish) = self.progress.complete(config.epochs, config.max_steps) {
            self.progress.finished = Some(finish);
            return Ok(Outcome {
                progress: self.progress,
                stopped: None,
                evaluation: None,
                spent: self.spent,
            });
        }
        let batches = self.engine.train.batches_per_epoch();
        let per_epoch = Engine::steps_per_epoch(batches, config.accumulate);
        let total = per_epoch
            .saturating_mul(config.epochs)
            .min(config.max_steps.unwrap_or(u64::MAX));
        let epochs = config.epochs;
        let progress = self.progress.clone();
        self.emit(&Event::Started {
            epochs,
            batches_per_epoch: batches,
            total_steps: total,
            progress: &progress,
        })?;
        // A finished run whose recipe now asks for more goes on.
        self.progress.finished = None;
        // An epoch whose batches are all done lacks its evaluation alone, and ends with it below.
        if self.progress.batch < batches {
            let evaluated = self.progress.evaluated_at == Some(self.progress.step);
            self.progress.finished = match self.progress.batch > 0 && !evaluated {
                // An evaluation in the middle of an epoch that a signal cut short is made now.
                true => self.after_step(batches)?,
                // The session before was killed after its last step and before it could say so.
                false => self.limit(),
            };
        }
        if self.progress.finished.is_some() {
            return self.close(None);
        }
        while self.progress.epoch < epochs {
            if let Some(finish) = self.epoch(batches)? {
                self.progress.finished = Some(finish);
                break;
            }
            if self.stopped().is_some() {
                break;
            }
        }
        let stopped = match self.progress.finished {
            None if self.progress.epoch >= epochs => {
                self.progress.finished = Some(Finish::Epochs);
                None
            }
            None => self.stopped(),
            Some(_) => None,
        };
        self.close(stopped)
    }

    /// Saves the end of the session and says where its time went.
    fn close(mut self, stopped: Option<Signal>) -> Result<Outcome, EngineError> {
        self.save(false)?;
        self.spent.total = self.started.elapsed().as_secs_f64();
        for (split, samples) in self.progress.skipped.clone() {
            let (count, s) = (samples.len(), if samples.len() == 1 { "" } else { "s" });
            self.emit(&Event::note(format!(
                "{count} sample{s} of the {split} split could not be read and stayed out of it"
            )))?;
        }
        self.emit(&Event::note(format!("time: {}", self.spent)))?;
        Ok(Outcome {
            progress: self.progress,
            stopped,
            evaluation: self.last_evaluation,
            spent: self.spent,
        })
    }

    /// Trains to the end of the present epoch; gives the reason where the whole run ends in it.
    fn epoch(&mut self, batches: usize) -> Result<Option<Finish>, EngineError> {
        let accumulate = self.engine.config.accumulate.max(1);
        let started = Instant::now();
        let mut images = 0;
        let log_every = log_interval(batches, accumulate);
        let mut window_started = Instant::now();
        let mut window_images = 0;
        let mut rate = self.rate();
        let loader = self.engine.train;
        let usual = (log_every as usize)
            .saturating_mul(accumulate)
            .saturating_mul(loader.config().batch_size)
            .min(loader.source().len()) as u64;
        // Every checkpoint stands after an update, so that nothing is gathered here.
        let mut gathered = 0;
        let mut stream = loader
            .epoch(self.progress.epoch, self.progress.batch)
            .peekable();
        loop {
            let batch = Spent::timed(&mut self.spent.data, || stream.next());
            let last = Spent::timed(&mut self.spent.data, || stream.peek().is_none());
            self.tell_skipped(TRAIN, self.progress.step + 1)?;
            let Some(batch) = batch else { break };
            let batch = batch?;
            let number = batch.number;
            gathered += 1;
            let update = gathered == accumulate || last;
            rate = self.rate();
            let report = self.batch(batch, Step { rate, update })?;
            images += report.samples;
            window_images += report.samples;
            // The loader counts batches that were left out for want of a good sample, so that its numbers are places.
            self.progress
                .add(if last { batches } else { number + 1 }, &report);
            let mean_loss = self.progress.loss_sum / self.progress.loss_samples.max(1) as f64;
            let epoch = self.progress.epoch;
            self.emit(&Event::Batch {
                epoch,
                batch: number,
                report: &report,
                mean_loss,
            })?;
            if !update {
                continue;
            }
            gathered = 0;
            self.progress.step += 1;
            let step = self.progress.step;
            for text in self.task.after_update(step).map_err(EngineError::Outside)? {
                let step = Some(step);
                self.emit(&Event::Warning { text, step })?;
            }
            if last || step.is_multiple_of(log_every) {
                let losses = self.progress.take_window(usual);
                let seconds = self.seconds();
                let images_per_second =
                    window_images as f64 / window_started.elapsed().as_secs_f64();
                (window_images, window_started) = (0, Instant::now());
                self.emit(&Event::Step {
                    step,
                    epoch,
                    losses,
                    rate,
                    gradient_norm: report.gradient_norm.unwrap_or(0.0),
                    images_per_second,
                    seconds,
                })?;
            }
            if last {
                break;
            }
            if let Some(finish) = self.after_step(batches)? {
                return Ok(Some(finish));
            }
            if self.stopped().is_some() {
                return Ok(None);
            }
        }
        drop(stream);
        self.end_epoch(rate, images as f64 / started.elapsed().as_secs_f64())
    }

    fn rate(&self) -> f64 {
        self.engine.config.learning_rate * self.engine.schedule.factor(self.progress.step)
    }

    fn batch(&mut self, batch: Batch, step: Step) -> Result<StepReport, EngineError> {
        let number = self.progress.step + 1;
        // Every draw on the device follows from the run's seed and the batch's place alone, so that a
        // resumed run draws what an unstopped one does.
        let place = (self.progress.epoch << 32) | batch.number as u64;
        self.engine.device.seed(mix(self.engine.config.seed, place));
        let report = Spent::timed(&mut self.spent.steps, || {
            self.task.train_batch(batch, &step)
        });
        let report = report.map_err(|error| match error {
            StepError::NonFiniteGradient(source) => EngineError::NonFiniteGradient {
                step: number,
                rate: step.rate,
                source,
            },
            StepError::OneValue(source) => EngineError::OneValue {
                step: number,
                source,
            },
        })?;
        let parts = report.parts.iter();
        let bad = parts
            .map(|(name, value)| (format!("{} loss", name.replace('_', " ")), *value))
            .chain([("loss".to_owned(), report.loss)])
            .find(|(_, value)| !value.is_finite());
        match bad {
            None => Ok(report),
            Some((part, value)) => Err(EngineError::NonFiniteLoss {
                step: number,
                part,
                value,
                rate: step.rate,
            }),
        }
    }

    /// What the recipe asks for after a step that does not end an epoch.
    fn after_step(&mut self, batches: usize) -> Result<Option<Finish>, EngineError> {
        let step = self.progress.step;
        let due = |every: Option<u64>| every.is_some_and(|n| n > 0 && step.is_multiple_of(n));
        let done = self.engine.config.max_steps.is_some_and(|max| step >= max);
        let mut best = false;
        if due(self.engine.config.evaluate.every_steps) || done {
            let epoch =
                self.progress.epoch as f64 + self.progress.batch as f64 / batches.max(1) as f64;
            best = self.evaluate(epoch)?;
            if self.engine.validation.is_some() && self.progress.evaluated_at != Some(step) {
                // A signal came first: a resumed run begins with this evaluation.
                return Ok(None);
            }
        }
        if due(self.engine.config.checkpoint.every_steps) || best {
            self.save(best)?;
        }
        Ok(self.limit())
    }

    fn end_epoch(
        &mut self,
        rate: f64,
        images_per_second: f64,
    ) -> Result<Option<Finish>, EngineError> {
        let loss = self.progress.loss_sum / self.progress.loss_samples.max(1) as f64;
        let (epoch, step) = (self.progress.epoch + 1, self.progress.step);
        let config = &self.engine.config;
        let done = config.max_steps.is_some_and(|max| step >= max);
        let last = epoch >= config.epochs || done;
        let due = |every: u64| every > 0 && (epoch.is_multiple_of(every) || last);
        let (evaluates, saves) = (
            due(config.evaluate.every_epochs),
            due(config.checkpoint.every_epochs),
        );
        let mut best = false;
        let mut evaluated = false;
        if evaluates && self.engine.validation.is_some() {
            if self.stopped().is_none() {
                best = self.evaluate(epoch as f64)?;
            }
            evaluated = self.progress.evaluated_at == Some(step);
            if !evaluated {
                // A signal came first: the epoch stays open, and a resumed run begins with this
                // evaluation, as an unstopped one would have made it.
                return Ok(None);
            }
        }
        self.progress.epoch = epoch;
        self.progress.batch = 0;
        self.progress.loss_sum = 0.0;
        self.progress.loss_samples = 0;
        let evaluation = self.last_evaluation.clone().filter(|_| evaluated);
        self.emit(&Event::EpochEnded {
            epoch,
            step,
            loss,
            rate,
            images_per_second,
            evaluation: evaluation.as_ref(),
            best,
            seconds: self.seconds(),
        })?;
        if saves || best {
            self.save(best)?;
        }
        Ok(self.limit())
    }

    /// Evaluates on the validation split, if there is one; whether the score is the best so far.
    fn evaluate(&mut self, epoch: f64) -> Result<bool, EngineError> {
        let Some(loader) = self.engine.validation else {
            return Ok(false);
        };
        let total = loader.source().len();
        let weights = match self.task.networks().iter().any(|network| network.has_ema()) {
            true => Weights::Ema,
            false => Weights::Current,
        };
        let stop = self.engine.stop.clone();
        let sink = &mut *self.sink;
        let mut failed = None;
        let mut watch = |samples: usize| {
            if let Err(error) = sink.event(&Event::Evaluating { samples, total }) {
                failed = Some(error);
            }
            failed.is_none() && stop.received().is_none()
        };
        let evaluation = Spent::timed(&mut self.spent.evaluation, || {
            let mut batches = loader.epoch(0, 0);
            self.task.evaluate(weights, &mut batches, &mut watch)
        });
        let step = self.progress.step;
        self.tell_skipped(VALIDATION, step)?;
        let evaluation = evaluation?;
        if let Some(error) = failed {
            return Err(EngineError::Outside(error));
        }
        if evaluation.interrupted {
            return Ok(false);
        }
        self.progress.evaluated_at = Some(step);
        let score = evaluation.metrics.get(&self.engine.config.watched.metric);
        let best = match score {
            Some(score) => self.observe(*score)?,
            None => {
                self.miss(evaluation.samples)?;
                false
            }
        };
        let seconds = self.seconds();
        self.emit(&Event::Evaluated {
            step,
            epoch,
            evaluation: &evaluation,
            best,
            seconds,
        })?;
        self.last_evaluation = Some(evaluation);
        Ok(best)
    }

    /// What follows from a score, for the rules that watch it; whether it is the best so far.
    fn observe(&mut self, score: f64) -> Result<bool, EngineError> {
        let config = &self.engine.config;
        let (goal, stopping) = (config.watched.goal, config.early_stopping);
        let step = self.progress.step;
        self.progress.undefined = false;
        let old = self.progress.best.as_ref().map(|best| best.value);
        let min_delta = stopping.map_or(0.0, |stop| stop.min_delta);
        self.progress.observe(score, goal, min_delta);
        // Of equal scores the later one is the best: a small validation split gives many, and the
        // weights that were trained longer at a lower rate are the better ones.
        let best = goal.reached(score, old);
        if best {
            self.progress.best = Some(BestScore {
                metric: config.watched.metric.clone(),
                value: score,
                step,
            });
        }
        if let Some(factor) = self.engine.schedule.observe(score) {
            let rate = self.engine.config.learning_rate * factor;
            let text = format!("plateau: the learning rate is {rate:.3e} from now on");
            let step = Some(step);
            self.emit(&Event::Note { text, step })?;
        }
        Ok(best)
    }

    /// An evaluation gave no score: said when it happens first, and when it happens again after a score. For the rules
    /// that watch it this evaluation has not been.
    fn miss(&mut self, samples: usize) -> Result<(), EngineError> {
        if std::mem::replace(&mut self.progress.undefined, true) {
            return Ok(());
        }
        let Watched { metric, needs, .. } = &self.engine.config.watched;
        let why = match needs.is_empty() {
            true => String::new(),
            false => format!(": it needs {needs}"),
        };
        let samples = counted(samples, "sample");
        let text = format!(
            "`{metric}` is undefined on the validation split of {samples}{why}. Training goes on; without \
             `{metric}` no checkpoint becomes the best one, and nothing that watches it acts"
        );
        let step = Some(self.progress.step);
        self.emit(&Event::Note { text, step })
    }

    /// Tells of the samples of a split that were left out since this was asked last, and remembers them.
    fn tell_skipped(&mut self, split: &'static str, step: u64) -> Result<(), EngineError> {
        let loader = match split {
            TRAIN => self.engine.train,
            _ => match self.engine.validation {
                Some(loader) => loader,
                None => return Ok(()),
            },
        };
        let known = self.progress.skipped.get(split).map_or(0, Vec::len);
        for sample in loader.skipped_since(known) {
            let list = self.progress.skipped.entry(split.to_owned()).or_default();
            list.push(sample.index);
            let count = list.len();
            self.emit(&Event::Skipped {
                split,
                sample: &sample,
                count,
                allowed: loader.config().max_bad,
                step,
            })?;
        }
        Ok(())
    }

    /// Whether the run ends where it stands.
    fn limit(&self) -> Option<Finish> {
        let config = &self.engine.config;
        if config
            .max_steps
            .is_some_and(|max| self.progress.step >= max)
        {
            return Some(Finish::MaxSteps);
        }
        let exhausted = self.progress.is_exhausted(config.early_stopping);
        exhausted.then_some(Finish::EarlyStopping)
    }

    /// Writes a checkpoint, unless the newest one says the same.
    fn save(&mut self, best: bool) -> Result<(), EngineError> {
        self.progress.seconds = self.seconds();
        self.progress.plateau = Some(self.engine.schedule.state());
        let timeless = Progress {
            seconds: 0.0,
            ..self.progress.clone()
        };
        if !best && self.saved.as_ref() == Some(&timeless) {
            return Ok(());
        }
        let path = Spent::timed(&mut self.spent.saving, || {
            let networks = self.task.networks().into_iter();
            let checkpoint = Checkpoint {
                progress: self.progress.clone(),
                networks: networks
                    .map(|network| (network.name().to_owned(), network.state()))
                    .collect(),
            };
            let engine = &*self.engine;
            engine
                .checkpoints
                .save(&checkpoint, &engine.config.files, best)
        })?;
        self.saved = Some(timeless);
        let step = self.progress.step;
        self.emit(&Event::Saved { path: &path, step })
    }
}

/// The splits by their names in a checkpoint.
const TRAIN: &str = "train";
const VALIDATION: &str = "validation";

/// Optimizer steps between two logged ones: about twenty an epoch, and no rarer than every hundred.
fn log_interval(batches: usize, accumulate: usize) -> u64 {
    (Engine::steps_per_epoch(batches, accumulate) / 20).clamp(1, 100)
}

/// A well-mixed seed of a run's seed and a place in it (the finaliser of SplitMix64).
pub(crate) fn mix(seed: u64, place: u64) -> u64 {
    let mut z = seed
        ^ place
            .wrapping_mul(0x9E37_79B9_7F4A_7C15)
            .wrapping_add(0x9E37_79B9_7F4A_7C15);
    z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    z ^ (z >> 31)
}
