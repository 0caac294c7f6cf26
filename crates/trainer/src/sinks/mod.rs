//! What happens in a run, shown on a terminal and written to the run folder.
//!
//! ```
//! use trainer::engine::{Event, Sink};
//! use trainer::sinks::{Files, Sinks, duration, metric};
//!
//! let run = tempfile::tempdir()?;
//! let files = Files::create(run.path(), "epochs = 1", false)?;
//! Sinks(vec![Box::new(files)]).event(&Event::Note("best checkpoint: step 300".into()))?;
//! assert!(std::fs::read_to_string(run.path().join("log.txt"))?.contains("step 300"));
//! assert_eq!(metric("top1", 0.9956), "99.56 %");
//! assert_eq!(metric("loss", 0.25), "0.2500");
//! assert_eq!(duration(7865.0), "2 h 11 min");
//! # anyhow::Ok(())
//! ```

mod console;
mod files;

pub use console::Console;
pub use files::Files;

use crate::engine::{Event, Sink};

/// Several sinks as one.
pub struct Sinks(pub Vec<Box<dyn Sink>>);

impl Sink for Sinks {
    fn event(&mut self, event: &Event<'_>) -> anyhow::Result<()> {
        self.0.iter_mut().try_for_each(|sink| sink.event(event))
    }
}

/// Metrics in a line: the shares as percent, the rest as they are.
pub fn metrics_line(metrics: &std::collections::BTreeMap<String, f64>) -> String {
    let parts = metrics
        .iter()
        .map(|(name, value)| format!("{name} {}", metric(name, *value)));
    parts.collect::<Vec<_>>().join("  ")
}

/// A metric's value: shares from 0 to 1 as percent.
pub fn metric(name: &str, value: f64) -> String {
    // Losses and distances are no shares, whatever they are of: `generator_loss`, `pixel_fid_500`.
    let plain = |word: &str| ["loss", "fid", "kid", "nearest"].contains(&word);
    match name.split('_').any(plain) {
        true => format!("{value:.4}"),
        false => format!("{:.2} %", value * 100.0),
    }
}

/// A duration for people: `42 s`, `3 min 5 s`, `2 h 11 min`.
pub fn duration(seconds: f64) -> String {
    let whole = seconds.round() as u64;
    match (whole / 3600, whole / 60 % 60, whole % 60) {
        (0, 0, _) if seconds < 10.0 => format!("{seconds:.1} s"),
        (0, 0, s) => format!("{s} s"),
        (0, m, s) => format!("{m} min {s} s"),
        (h, m, _) => format!("{h} h {m} min"),
    }
}

/// The line that closes an epoch, for the log and where there is no terminal.
fn epoch_line(event: &Event<'_>, epochs: u64) -> Option<String> {
    let Event::EpochEnded {
        epoch,
        loss,
        rate,
        images_per_second,
        evaluation,
        best,
        seconds,
        ..
    } = event
    else {
        return None;
    };
    let scores = match evaluation {
        Some(evaluation) => format!("  validation: {}", metrics_line(&evaluation.metrics)),
        None => String::new(),
    };
    let star = if *best { "  (best)" } else { "" };
    Some(format!(
        "epoch {epoch:>3}/{epochs}  loss {loss:.4}{scores}{star}  rate {rate:.2e}  \
         {images_per_second:.0} images/s  {}",
        duration(*seconds)
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_readable() {
        assert_eq!(duration(4.26), "4.3 s");
        assert_eq!(duration(59.7), "1 min 0 s");
        assert_eq!(duration(7865.0), "2 h 11 min");
    }
}
