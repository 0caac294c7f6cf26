//! What happens in a run, shown on a terminal and written to the run folder.
//!
//! ```
//! use firesight_report::metric::Metrics;
//! use firesight::engine::{Event, Sink};
//! use firesight::sinks::{Files, duration};
//!
//! let run = tempfile::tempdir()?;
//! let mut files = Files::create(run.path(), "epochs = 1", Metrics::default(), false)?;
//! files.event(&Event::note("best checkpoint: step 300")).unwrap();
//! assert!(std::fs::read_to_string(run.path().join("log.txt"))?.contains("step 300"));
//! assert!(std::fs::read_to_string(run.path().join("metrics.jsonl"))?.contains("step 300"));
//! assert_eq!(duration(7865.0), "2 h 11 min");
//! # anyhow::Ok(())
//! ```

mod files;

pub use files::Files;
pub use firesight_report::duration;

use firesight_report::metric::Metrics;

use firesight_engine::Event;

/// The line that closes an epoch, for the log and where there is no terminal.
pub fn epoch_line(event: &Event<'_>, epochs: u64, names: &Metrics) -> Option<String> {
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
        Some(evaluation) => format!("  validation: {}", names.summary(&evaluation.metrics)),
        None => String::new(),
    };
    let star = if *best { "  (best)" } else { "" };
    Some(format!(
        "epoch {epoch:>3}/{epochs}  loss {loss:.4}{scores}{star}  rate {rate:.2e}  \
         {images_per_second:.0} images/s  {}",
        duration(*seconds)
    ))
}

/// What is said of a sample that was left out.
pub fn skipped_line(event: &Event<'_>) -> Option<String> {
    let Event::Skipped {
        split,
        sample,
        count,
        allowed,
        ..
    } = event
    else {
        return None;
    };
    // The reason names the sample itself.
    Some(format!(
        "left out of the {split} split ({count} of at most {allowed}, `data.max-bad`): {}",
        sample.reason
    ))
}
