//! The run folder's running record: `metrics.jsonl`, TensorBoard events, `log.txt`.

use std::fs::{File, OpenOptions};
use std::io::Write;
use std::path::Path;

use firesight_report::events::EventWriter;
use firesight_report::jsonl::{Eval, Record, Train, Writer};

use super::epoch_line;
use crate::engine::{Event, Sink};

/// Writes what happens into the run folder.
pub struct Files {
    metrics: Writer,
    events: EventWriter,
    log: File,
    epochs: u64,
    ema: bool,
}

impl Files {
    /// Starts the files of a new run.
    ///
    /// # Errors
    /// A file that cannot be made.
    pub fn create(run: &Path, recipe: &str, ema: bool) -> anyhow::Result<Self> {
        let mut events = EventWriter::create(run)?;
        events.text("recipe", 0, &format!("```toml\n{recipe}\n```"))?;
        Ok(Self {
            metrics: Writer::create(run)?,
            events,
            log: log(run)?,
            epochs: 0,
            ema,
        })
    }

    /// Goes on with the files of a run after a step; what was written of later steps is dropped.
    ///
    /// # Errors
    /// A file that cannot be opened.
    pub fn resume(run: &Path, step: u64, ema: bool) -> anyhow::Result<Self> {
        Ok(Self {
            metrics: Writer::resume(run, step)?,
            events: EventWriter::resume(run, step)?,
            log: log(run)?,
            epochs: 0,
            ema,
        })
    }

    fn line(&mut self, text: &str) -> anyhow::Result<()> {
        let now = firesight_report::environment::now();
        writeln!(self.log, "{now} {text}").map_err(|e| anyhow::anyhow!("log.txt: {e}"))
    }
}

fn log(run: &Path) -> anyhow::Result<File> {
    let path = run.join("log.txt");
    OpenOptions::new()
        .create(true)
        .append(true)
        .open(&path)
        .map_err(|error| anyhow::anyhow!("{}: {error}", path.display()))
}

impl Sink for Files {
    fn event(&mut self, event: &Event<'_>) -> anyhow::Result<()> {
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
                loss,
                rate,
                gradient_norm,
                images_per_second,
                seconds,
            } => {
                self.metrics.write(&Record::Train(Train {
                    step: *step,
                    epoch: epoch + 1,
                    loss: *loss,
                    learning_rate: *rate,
                    images_per_second: *images_per_second,
                    time: *seconds,
                    ..Train::default()
                }))?;
                self.events.scalar("train/loss", *step, *loss)?;
                self.events.scalar("train/learning_rate", *step, *rate)?;
                self.events
                    .scalar("train/gradient_norm", *step, *gradient_norm)?;
                self.events
                    .scalar("train/images_per_second", *step, *images_per_second)?;
            }
            Event::Evaluated {
                step,
                epoch,
                evaluation,
                ..
            } => {
                self.metrics.write(&Record::Eval(Eval {
                    split: "validation".into(),
                    step: *step,
                    epoch: epoch.ceil() as u64,
                    ema: self.ema,
                    metrics: evaluation.metrics.clone(),
                }))?;
                for (name, value) in &evaluation.metrics {
                    self.events
                        .scalar(&format!("validation/{name}"), *step, *value)?;
                }
            }
            Event::EpochEnded { .. } => {
                if let Some(line) = epoch_line(event, self.epochs) {
                    self.line(&line)?;
                }
            }
            Event::Saved { path, .. } => self.line(&format!("saved {}", path.display()))?,
            Event::Note(text) => self.line(text)?,
            Event::Warning(text) => self.line(&format!("warning: {text}"))?,
            Event::Batch { .. } | Event::Evaluating { .. } => {}
        }
        Ok(())
    }
}
