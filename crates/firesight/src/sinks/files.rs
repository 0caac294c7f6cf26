//! The run folder's running record: `metrics.jsonl`, TensorBoard events, `log.txt`.

use std::fs::{File, OpenOptions};
use std::io::Write;
use std::path::Path;

use firesight_report::events::EventWriter;
use firesight_report::jsonl::{Eval, Message, MessageKind, Record, Train, Writer};
use firesight_report::metric::Metrics;

use super::{epoch_line, skipped_line};
use crate::error::Context;
use firesight_engine::{BoxError, Event, Sink};

/// Writes what happens into the run folder.
pub struct Files {
    metrics: Writer,
    events: EventWriter,
    log: File,
    names: Metrics,
    epochs: u64,
    ema: bool,
}

impl Files {
    /// Starts the files of a new run; `names` describes its metrics.
    ///
    /// # Errors
    /// A file that cannot be made.
    pub fn create(run: &Path, recipe: &str, names: Metrics, ema: bool) -> crate::Result<Self> {
        let mut events = EventWriter::create(run)?;
        events.text("recipe", 0, &format!("```toml\n{recipe}\n```"))?;
        Ok(Self {
            metrics: Writer::create(run)?,
            events,
            log: log(run)?,
            names,
            epochs: 0,
            ema,
        })
    }

    /// Goes on with the files of a run after a step; what was written of later steps is dropped.
    ///
    /// # Errors
    /// A file that cannot be opened.
    pub fn resume(run: &Path, step: u64, names: Metrics, ema: bool) -> crate::Result<Self> {
        Ok(Self {
            metrics: Writer::resume(run, step)?,
            events: EventWriter::resume(run, step)?,
            log: log(run)?,
            names,
            epochs: 0,
            ema,
        })
    }

    /// A message for people, in `log.txt` and in `metrics.jsonl`, which the report reads.
    fn message(
        &mut self,
        kind: MessageKind,
        step: Option<u64>,
        message: String,
    ) -> crate::Result<()> {
        match kind {
            MessageKind::Note => self.line(&message)?,
            MessageKind::Warning | MessageKind::Skipped => {
                self.line(&format!("warning: {message}"))?
            }
        }
        self.metrics.write(&Record::Event(Message {
            kind,
            message,
            step,
            time: None,
        }))?;
        Ok(())
    }

    /// A record, in `metrics.jsonl` and for TensorBoard.
    fn record(&mut self, record: &Record) -> crate::Result<()> {
        self.metrics.write(record)?;
        self.events.record(record)?;
        Ok(())
    }

    fn line(&mut self, text: &str) -> crate::Result<()> {
        let now = firesight_report::environment::now();
        writeln!(self.log, "{now} {text}").context("log.txt")
    }
}

fn log(run: &Path) -> crate::Result<File> {
    let path = run.join("log.txt");
    OpenOptions::new()
        .create(true)
        .append(true)
        .open(&path)
        .with_context(|| path.display().to_string())
}

impl Sink for Files {
    fn event(&mut self, event: &Event<'_>) -> Result<(), BoxError> {
        match event {
            Event::Started {
                epochs,
                total_steps,
                progress,
                ..
            } => {
                self.epochs = *epochs;
                self.line(&format!(
                    "training from step {} to {total_steps}",
                    progress.step
                ))?;
            }
            Event::Step {
                step,
                epoch,
                losses,
                rate,
                gradient_norm,
                images_per_second,
                seconds,
            } => {
                self.record(&Record::Train(Train {
                    step: *step,
                    epoch: epoch + 1,
                    loss: losses.loss,
                    losses: losses.parts.clone(),
                    learning_rate: *rate,
                    images_per_second: *images_per_second,
                    time: *seconds,
                }))?;
                self.events
                    .scalar("train/gradient_norm", *step, *gradient_norm)?;
            }
            Event::Evaluated {
                step,
                epoch,
                evaluation,
                ..
            } => self.record(&Record::Eval(Eval {
                split: "validation".into(),
                step: *step,
                epoch: epoch.ceil() as u64,
                ema: self.ema,
                metrics: evaluation.metrics.clone(),
            }))?,
            Event::EpochEnded { .. } => {
                if let Some(line) = epoch_line(event, self.epochs, &self.names) {
                    self.line(&line)?;
                }
            }
            Event::Saved { path, .. } => self.line(&format!("saved {}", path.display()))?,
            Event::Note { text, step } => self.message(MessageKind::Note, *step, text.clone())?,
            Event::Warning { text, step } => {
                self.message(MessageKind::Warning, *step, text.clone())?
            }
            Event::Skipped { step, .. } => {
                let text = skipped_line(event).unwrap_or_default();
                self.message(MessageKind::Skipped, Some(*step), text)?;
            }
            Event::Batch { .. } | Event::Evaluating { .. } => {}
        }
        Ok(())
    }
}
