//! The rules of the loop, with a task that computes nothing: every stop, accumulation, early stopping, the best
//! checkpoint, scores that are undefined, samples that are bad.

use std::path::Path;
use std::sync::Arc;

use burn::tensor::{Device, TensorData};
use firesight_data::DataError;
use firesight_data::batch::Batch;
use firesight_data::loader::{Loader, LoaderConfig};
use firesight_data::normalize::Normalize;
use firesight_data::sample::{Image, Sample};
use firesight_data::source::Source;
use firesight_data::target::Target;

use super::*;

/// Samples of one pixel, some of which cannot be read.
struct Samples {
    count: usize,
    bad: Vec<usize>,
}

impl Source for Samples {
    fn len(&self) -> usize {
        self.count
    }
    fn read(&self, index: usize) -> Result<Sample, DataError> {
        if self.bad.contains(&index) {
            return Err(DataError::unreadable(self.origin(index), "damaged"));
        }
        Ok(Sample {
            image: Image {
                width: 1,
                height: 1,
                channels: 1,
                pixels: vec![0u8],
            }
            .into(),
            target: Target::default(),
        })
    }
    fn origin(&self, index: usize) -> String {
        format!("sample {index}")
    }
    fn classes(&self) -> &[String] {
        &[]
    }
}

/// A "network" that remembers, mixed into two numbers, every batch of every update in their order.
struct Memory {
    digest: i64,
    updates: i64,
}

impl TrainedNetwork for Memory {
    fn name(&self) -> &'static str {
        "model"
    }
    fn trainable_parameters(&self) -> usize {
        2
    }
    fn has_ema(&self) -> bool {
        false
    }
    fn state(&self) -> NetworkState {
        let numbers = TensorData::from([self.digest, self.updates]);
        NetworkState {
            weights: [("numbers".to_owned(), numbers)].into(),
            ema: None,
            ema_updates: 0,
            optimizer: Default::default(),
            scalars: Default::default(),
        }
    }
    fn load_state(&mut self, state: NetworkState) -> Result<(), String> {
        let numbers: Vec<i64> = state.weights["numbers"].iter::<i64>().collect();
        (self.digest, self.updates) = (numbers[0], numbers[1]);
        Ok(())
    }
}

/// The score after a number of updates.
type Scores = fn(i64) -> Option<f64>;

struct Fake {
    memory: Memory,
    gathered: Vec<u64>,
    scores: Scores,
}

impl Task for Fake {
    fn networks(&self) -> Vec<&dyn TrainedNetwork> {
        vec![&self.memory]
    }
    fn networks_mut(&mut self) -> Vec<&mut dyn TrainedNetwork> {
        vec![&mut self.memory]
    }
    fn train_batch(&mut self, batch: Batch, step: &Step) -> Result<StepReport, StepError> {
        self.gathered.push(batch.number as u64);
        self.gathered
            .extend(batch.indices.iter().map(|i| *i as u64));
        if step.update {
            self.gathered.push(step.rate.to_bits());
            for value in self.gathered.drain(..) {
                let mixed = crate::run::mix(self.memory.digest as u64, value);
                self.memory.digest = mixed as i64;
            }
            self.memory.updates += 1;
        }
        let sum: usize = batch.indices.iter().sum();
        let loss = sum as f64 / batch.indices.len() as f64;
        Ok(StepReport {
            loss,
            parts: vec![("half", loss / 2.0)],
            samples: batch.indices.len(),
            gradient_norm: step.update.then_some(1.0),
        })
    }
    fn evaluate(
        &self,
        _: Weights,
        batches: &mut Batches<'_>,
        watch: &mut Watch<'_>,
    ) -> Result<Evaluation, DataError> {
        let mut evaluation = Evaluation::default();
        for batch in batches {
            evaluation.samples += batch?.indices.len();
            if !watch(evaluation.samples) {
                evaluation.interrupted = true;
                return Ok(evaluation);
            }
        }
        let score = (self.scores)(self.memory.updates);
        let metrics = score.map(|score| ("score".to_owned(), score));
        evaluation.metrics.extend(metrics);
        Ok(evaluation)
    }
}

/// What a session told, in words; asks for a stop, or breaks off as if it was killed, at an event.
struct Journal {
    lines: Vec<String>,
    events: usize,
    stop: Option<(usize, StopSignal)>,
    kill: Option<usize>,
}

impl Sink for Journal {
    fn event(&mut self, event: &Event<'_>) -> Result<(), BoxError> {
        self.events += 1;
        if let Some((at, signal)) = &self.stop
            && self.events == *at
        {
            signal.raise(Signal::Interrupt);
        }
        if self.kill == Some(self.events) {
            return Err("killed".into());
        }
        self.lines.extend(match event {
            Event::Batch { epoch, batch, .. } => Some(format!("batch {epoch}.{batch}")),
            Event::Step { step, losses, .. } => Some(format!("step {step}: {losses:?}")),
            Event::Evaluated { step, best, .. } => Some(format!("evaluated {step}, best {best}")),
            Event::EpochEnded { epoch, loss, .. } => Some(format!("epoch {epoch}: {loss}")),
            Event::Note {
                text,
                step: Some(step),
            } => Some(format!("note {step}: {text}")),
            Event::Skipped {
                split,
                sample,
                count,
                step,
                ..
            } => Some(format!("{split} {count}, step {step}: {}", sample.reason)),
            _ => None,
        });
        Ok(())
    }
}

/// A folder in memory where the system has one: these tests save thousands of checkpoints, each synced to the disk.
fn scratch() -> tempfile::TempDir {
    let memory = tempfile::tempdir_in("/dev/shm");
    memory.or_else(|_| tempfile::tempdir()).unwrap()
}

/// A run of the fake task.
#[derive(Clone)]
struct Run {
    bad: Vec<usize>,
    bad_validation: Vec<usize>,
    samples: usize,
    batch: usize,
    workers: usize,
    accumulate: usize,
    epochs: u64,
    max_steps: Option<u64>,
    evaluate: EvaluateConfig,
    every_steps: Option<u64>,
    early_stopping: Option<EarlyStopping>,
    schedule: ScheduleConfig,
    goal: Goal,
    scores: Scores,
}

impl Default for Run {
    fn default() -> Self {
        Self {
            bad: Vec::new(),
            bad_validation: Vec::new(),
            samples: 10,
            batch: 2,
            workers: 0,
            accumulate: 1,
            epochs: 3,
            max_steps: None,
            evaluate: EvaluateConfig::default(),
            every_steps: None,
            early_stopping: None,
            schedule: ScheduleConfig::default(),
            goal: Goal::Max,
            scores: |updates| Some(updates as f64),
        }
    }
}

/// How a session is broken off: by a signal, or with nothing saved, at its event of a number from 1.
#[derive(Clone, Copy)]
enum Break {
    Never,
    Signal(usize),
    Kill(usize),
}

/// What came of a session.
struct Told {
    outcome: Result<Outcome, EngineError>,
    lines: Vec<String>,
    digest: i64,
    updates: i64,
    events: usize,
}

impl Told {
    fn progress(&self) -> Progress {
        let outcome = self.outcome.as_ref().expect("the session was not killed");
        Progress {
            seconds: 0.0,
            ..outcome.progress.clone()
        }
    }

    fn said(&self, word: &str) -> Vec<&str> {
        let lines = self.lines.iter().map(String::as_str);
        lines.filter(|line| line.contains(word)).collect()
    }
}

impl Run {
    fn loader(&self, bad: &[usize], count: usize, train: bool) -> Loader {
        let config = LoaderConfig {
            batch_size: self.batch,
            shuffle: train,
            workers: self.workers,
            prefetch: 3,
            seed: 5,
            max_bad: bad.len(),
            ..LoaderConfig::default()
        };
        let bad = bad.to_vec();
        let source = Arc::new(Samples { count, bad });
        Loader::new(source, Arc::default(), Normalize::default(), config).unwrap()
    }

    /// One session in a folder, from its newest checkpoint on if there is one.
    fn session(&self, folder: &Path, at: Break) -> Told {
        let train = self.loader(&self.bad, self.samples, true);
        let validation = self.loader(&self.bad_validation, 5, false);
        let checkpoints = CheckpointStore::new(folder.to_owned(), 2);
        let mut task = Fake {
            memory: Memory {
                digest: 1,
                updates: 0,
            },
            gathered: Vec::new(),
            scores: self.scores,
        };
        let mut progress = Progress::default();
        if let Ok((path, checkpoint)) = checkpoints.load_newest(|_| {}) {
            progress = Engine::restore(&mut task, &path, checkpoint).unwrap();
        }
        let stop = StopSignal::default();
        let steps = Engine::steps_per_epoch(train.batches_per_epoch(), self.accumulate);
        let total = steps * self.epochs;
        let mut engine = Engine {
            config: EngineConfig {
                seed: 3,
                epochs: self.epochs,
                max_steps: self.max_steps,
                accumulate: self.accumulate,
                learning_rate: 1.0,
                evaluate: self.evaluate.clone(),
                checkpoint: CheckpointConfig {
                    every_steps: self.every_steps,
                    ..CheckpointConfig::default()
                },
                watched: Watched {
                    metric: "score".to_owned(),
                    goal: self.goal,
                    needs: "a good day".to_owned(),
                },
                early_stopping: self.early_stopping,
                files: Vec::new(),
            },
            train: &train,
            validation: Some(&validation),
            schedule: Schedule::new(self.schedule.clone(), None, total, steps, self.goal),
            device: Device::flex(),
            checkpoints: &checkpoints,
            stop: stop.clone(),
        };
        let mut journal = Journal {
            lines: Vec::new(),
            events: 0,
            stop: match at {
                Break::Signal(event) => Some((event, stop)),
                Break::Never | Break::Kill(_) => None,
            },
            kill: match at {
                Break::Kill(event) => Some(event),
                Break::Never | Break::Signal(_) => None,
            },
        };
        let outcome = engine.run(&mut task, progress, &mut journal);
        Told {
            outcome,
            lines: journal.lines,
            digest: task.memory.digest,
            updates: task.memory.updates,
            events: journal.events,
        }
    }

    fn whole(&self) -> Told {
        let folder = scratch();
        self.session(folder.path(), Break::Never)
    }

    /// Breaks the run off at each of its events in turn and goes on; each must end as one that was never stopped.
    fn assert_every_stop_ends_alike(&self, what: &str) {
        let whole = self.whole();
        for event in 1..=whole.events {
            for signal in [true, false] {
                let what = format!("{what}: broken off at event {event}, by signal: {signal}");
                let folder = scratch();
                let first = match signal {
                    true => self.session(folder.path(), Break::Signal(event)),
                    false => self.session(folder.path(), Break::Kill(event)),
                };
                let second = self.session(folder.path(), Break::Never);
                assert_eq!(second.progress(), whole.progress(), "{what}");
                assert_eq!(second.digest, whole.digest, "{what}");
                if signal {
                    // Nothing is lost and nothing is told twice.
                    let told = [first.lines, second.lines].concat();
                    assert_eq!(told, whole.lines, "{what}");
                }
                let third = self.session(folder.path(), Break::Never);
                assert_eq!(third.lines, Vec::<String>::new(), "{what}: it is over");
                assert_eq!(third.progress(), whole.progress(), "{what}: it is over");
            }
        }
    }
}

#[test]
fn every_stop_ends_alike() {
    let plain = Run::default();
    let checkpoints = Run {
        every_steps: Some(1),
        ..Run::default()
    };
    let evaluations = Run {
        evaluate: EvaluateConfig {
            every_steps: Some(2),
            ..EvaluateConfig::default()
        },
        every_steps: Some(1),
        ..Run::default()
    };
    let limited = Run {
        max_steps: Some(7),
        every_steps: Some(3),
        ..Run::default()
    };
    let limited_at_an_end = Run {
        max_steps: Some(10),
        every_steps: Some(3),
        ..Run::default()
    };
    let accumulating = Run {
        accumulate: 3,
        every_steps: Some(1),
        ..Run::default()
    };
    for (what, run) in [
        ("plain", plain),
        ("a checkpoint at each step", checkpoints),
        ("evaluations within epochs", evaluations),
        ("max-steps within an epoch", limited),
        ("max-steps at an epoch's end", limited_at_an_end),
        ("accumulation over an epoch's end", accumulating),
    ] {
        run.assert_every_stop_ends_alike(what);
    }
}

/// A batch whose samples are all bad is not there; batches after it keep their numbers.
#[test]
fn every_stop_in_an_epoch_with_bad_samples_ends_alike() {
    for workers in [0, 2] {
        for accumulate in [1, 2] {
            for (batch, bad) in [
                (1, vec![3]),
                (1, vec![0, 2, 5, 7, 9]),
                (2, vec![1, 4, 6]),
                // All batches but one.
                (1, vec![0, 1, 2, 3, 4, 5, 6, 8, 9]),
            ] {
                let run = Run {
                    workers,
                    accumulate,
                    batch,
                    bad_validation: vec![2],
                    every_steps: Some(1),
                    epochs: 2,
                    bad: bad.clone(),
                    ..Run::default()
                };
                let what = format!("{workers} workers, {accumulate} batches a step, bad {bad:?}");
                let told = run.whole();
                assert_eq!(
                    told.said("damaged").len(),
                    bad.len() + 1,
                    "{what}: each once"
                );
                let good = (10 - bad.len()).div_ceil(batch);
                if batch == 1 {
                    assert_eq!(told.said("batch").len(), 2 * good, "{what}");
                    let steps = 2 * good.div_ceil(accumulate);
                    assert_eq!(
                        told.updates as usize, steps,
                        "{what}: a step after each {accumulate}"
                    );
                }
                // Fewer stops where workers have to be started for each.
                if workers == 0 || (batch, bad.len()) == (1, 5) {
                    run.assert_every_stop_ends_alike(&what);
                }
            }
        }
    }
}

/// A sample that has gone bad between two sessions is the third, not the first.
#[test]
fn a_resumed_run_goes_on_counting_bad_samples() {
    let run = Run {
        batch: 1,
        bad: vec![3, 5],
        every_steps: Some(1),
        ..Run::default()
    };
    let folder = scratch();
    let at = run.whole().events / 2;
    let first = run.session(folder.path(), Break::Signal(at));
    assert_eq!(first.progress().skipped["train"].len(), 2);
    let bad = vec![3, 5, 7];
    let told = Run { bad, ..run }.session(folder.path(), Break::Never);
    assert_eq!(told.said("damaged").len(), 1, "{:?}", told.lines);
    assert_eq!(told.said("train 3, step").len(), 1, "{:?}", told.lines);
}

#[test]
fn a_run_that_is_over_goes_on_only_where_more_is_asked_for() {
    let folder = scratch();
    let run = Run {
        max_steps: Some(7),
        ..Run::default()
    };
    let at = |run: &Run| {
        let progress = run.session(folder.path(), Break::Never).progress();
        (progress.step, progress.finished)
    };
    assert_eq!(at(&run), (7, Some(Finish::MaxSteps)));
    assert_eq!(at(&run), (7, Some(Finish::MaxSteps)));
    let more = Run {
        max_steps: Some(9),
        ..run.clone()
    };
    assert_eq!(at(&more), (9, Some(Finish::MaxSteps)));
    let all = Run {
        max_steps: None,
        ..run.clone()
    };
    assert_eq!(at(&all), (15, Some(Finish::Epochs)));
    assert_eq!(at(&all), (15, Some(Finish::Epochs)));
    let longer = Run { epochs: 4, ..all };
    assert_eq!(at(&longer), (20, Some(Finish::Epochs)));
}

#[test]
fn early_stopping_bears_patience_and_is_final() {
    let run = Run {
        epochs: 20,
        early_stopping: Some(EarlyStopping {
            patience: 2,
            min_delta: 0.0,
        }),
        // Five updates an epoch; rises until the third.
        scores: |updates| Some(updates.min(15) as f64),
        ..Run::default()
    };
    let folder = scratch();
    let told = run.session(folder.path(), Break::Never);
    let progress = told.progress();
    assert_eq!(
        (progress.epoch, progress.finished),
        (6, Some(Finish::EarlyStopping))
    );
    // Of equal scores the latest is the best.
    assert_eq!(progress.best.unwrap().step, 30);
    let longer = Run {
        epochs: 40,
        ..run.clone()
    };
    let again = longer.session(folder.path(), Break::Never);
    assert_eq!((again.progress().epoch, again.lines.len()), (6, 0));
    run.assert_every_stop_ends_alike("early stopping");
}

/// A score that falls by a half of the delta at each evaluation gains at every third.
#[test]
fn slow_and_steady_progress_does_not_end_a_run() {
    let run = |patience, min_delta| Run {
        epochs: 12,
        goal: Goal::Min,
        early_stopping: Some(EarlyStopping {
            patience,
            min_delta,
        }),
        scores: |updates| Some(100.0 - updates as f64 / 5.0),
        ..Run::default()
    };
    assert_eq!(
        run(2, 2.0).whole().progress().finished,
        Some(Finish::Epochs)
    );
    assert_eq!(run(2, 3.0).whole().progress().epoch, 4);
    run(1, 1.0).assert_every_stop_ends_alike("a reference that stays");
}

#[test]
fn an_undefined_score_is_noted_at_each_change_and_ends_nothing() {
    let run = Run {
        epochs: 6,
        early_stopping: Some(EarlyStopping {
            patience: 0,
            min_delta: 0.0,
        }),
        scores: |updates| match updates / 5 {
            3 | 4 => Some(updates as f64),
            _ => None,
        },
        ..Run::default()
    };
    let told = run.whole();
    let notes = told.said("undefined");
    assert_eq!(notes.len(), 2, "{notes:?}");
    assert!(
        notes[0].starts_with("note 5: `score` is undefined on the validation split of 5 samples")
    );
    assert!(notes[0].contains("it needs a good day") && notes[1].starts_with("note 25"));
    let progress = told.progress();
    assert_eq!(
        (progress.finished, progress.best.unwrap().step),
        (Some(Finish::Epochs), 20)
    );
    run.assert_every_stop_ends_alike("a score that comes and goes");
    let never = Run {
        scores: |_| None,
        ..run
    };
    let folder = scratch();
    let told = never.session(folder.path(), Break::Never);
    assert_eq!(
        (told.said("undefined").len(), told.progress().best),
        (1, None)
    );
    assert!(folder.path().join("last").exists() && !folder.path().join("best").exists());
}

#[test]
fn a_plateau_lowers_the_rate_and_is_remembered() {
    let run = Run {
        epochs: 6,
        schedule: ScheduleConfig::Plateau(PlateauConfig {
            factor: 0.5,
            patience: 1,
            ..PlateauConfig::default()
        }),
        scores: |_| Some(1.0),
        ..Run::default()
    };
    let told = run.whole();
    assert_eq!(told.said("plateau").len(), 2, "{:?}", told.said("plateau"));
    assert!(told.said("plateau")[0].starts_with("note 15:"));
    run.assert_every_stop_ends_alike("a plateau");
}
