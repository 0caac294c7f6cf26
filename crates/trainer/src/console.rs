//! Progress on standard error: bars on a terminal, one line per epoch elsewhere.

use std::io::IsTerminal;
use std::time::Duration;

use firesight_report::metric::Metrics;
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use firesight::engine::{BoxError, Event, Sink};
use firesight::sinks::{duration, epoch_line, skipped_line};

/// Samples left out that are shown one by one; the files name them all.
const SHOWN: usize = 10;

/// Shows a run to the person who started it.
pub struct Console {
    terminal: bool,
    bar: ProgressBar,
    names: Metrics,
    epochs: u64,
    score: String,
}

impl Console {
    /// A console on standard error; `names` describes the metrics.
    pub fn new(names: Metrics) -> Self {
        let terminal = std::io::stderr().is_terminal();
        let bar = match terminal {
            true => ProgressBar::no_length(),
            false => ProgressBar::with_draw_target(None, ProgressDrawTarget::hidden()),
        };
        bar.set_style(
            ProgressStyle::with_template(
                "{prefix} {bar:28} {pos}/{len}  {msg}  {eta} left in the epoch",
            )
            .expect("the template is a constant"),
        );
        Self {
            terminal,
            bar,
            names,
            epochs: 0,
            score: String::new(),
        }
    }

    fn line(&self, text: &str) {
        match self.terminal {
            true => self.bar.println(text),
            false => eprintln!("{text}"),
        }
    }
}

impl Sink for Console {
    fn event(&mut self, event: &Event<'_>) -> Result<(), BoxError> {
        match event {
            Event::Started {
                epochs,
                batches_per_epoch,
                total_steps,
                progress,
            } => {
                self.epochs = *epochs;
                self.bar.set_length(*batches_per_epoch as u64);
                self.bar.enable_steady_tick(Duration::from_millis(500));
                if progress.step > 0 {
                    self.line(&format!(
                        "going on from step {} of {total_steps} (epoch {}, {} of work so far)",
                        progress.step,
                        progress.epoch + 1,
                        duration(progress.seconds)
                    ));
                }
            }
            Event::Batch {
                epoch,
                batch,
                mean_loss,
                ..
            } if self.terminal => {
                if *batch == 0 {
                    self.bar.reset();
                }
                self.bar
                    .set_prefix(format!("epoch {:>3}/{}", epoch + 1, self.epochs));
                self.bar.set_position(*batch as u64 + 1);
                let speed = self.bar.per_sec();
                self.bar.set_message(format!(
                    "loss {mean_loss:.4}{}  {speed:.1} batches/s",
                    self.score
                ));
            }
            Event::Evaluating { samples, total } if self.terminal => {
                self.bar
                    .set_message(format!("validation {samples}/{total}{}", self.score));
            }
            Event::Evaluated { evaluation, .. } => {
                self.score = format!("  validation: {}", self.names.summary(&evaluation.metrics));
            }
            Event::EpochEnded { .. } => {
                if let Some(line) = epoch_line(event, self.epochs, &self.names) {
                    self.line(&line);
                }
            }
            // What belongs to no step describes the run.
            Event::Note { text, step: None } => self.line(text),
            Event::Note { text, .. } => self.line(&format!("note: {text}")),
            Event::Warning { text, .. } => self.line(&format!("warning: {text}")),
            Event::Skipped { count, split, .. } if *count <= SHOWN => {
                let text = skipped_line(event).unwrap_or_default();
                self.line(&format!("warning: {text}"));
                if *count == SHOWN {
                    self.line(&format!(
                        "  log.txt names further ones of the {split} split"
                    ));
                }
            }
            Event::Skipped { .. } => {}
            Event::Batch { .. }
            | Event::Step { .. }
            | Event::Evaluating { .. }
            | Event::Saved { .. } => {}
        }
        Ok(())
    }
}

impl Drop for Console {
    fn drop(&mut self) {
        self.bar.finish_and_clear();
    }
}
