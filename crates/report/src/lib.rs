//! The run folder's files and the report made of them.
//!
//! - [`jsonl`]: `metrics.jsonl`, what happened, one record per line, complete after a kill.
//! - [`environment`] and [`results`]: what a run was made on, and what it reached.
//! - [`metric`]: how the numbers of an evaluation are called and read.
//! - [`events`]: TensorBoard event files.
//! - [`run`]: reading a whole run folder, finished or not.
//! - [`write()`]: `report.html`, one file that shows the run folder; [`compare`]: several runs side by
//!   side.
//!
//! ```
//! use firesight_report::jsonl::{Record, Train, Writer};
//!
//! let runs = tempfile::tempdir()?;
//! let run = runs.path().join("digits-1");
//! std::fs::create_dir(&run)?;
//! let mut log = Writer::create(&run)?;
//! log.write(&Record::Train(Train { step: 1, epoch: 1, loss: 2.3, ..Train::default() }))?;
//! let page = firesight_report::write(&run)?;
//! assert_eq!(page, run.join("report.html"));
//! let side_by_side = firesight_report::compare(&[run], &runs.path().join("compare.html"))?;
//! assert!(side_by_side.text.contains("digits-1"));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! The crate knows no model and no backend: plain numbers and files in, files out.

pub mod environment;
mod error;
pub mod events;
pub mod jsonl;
pub mod metric;
pub mod results;
pub mod run;

mod axis;
mod chart;
mod compare;
mod crc32c;
mod curves;
mod format;
mod json;
mod number;
mod page;
mod path;
mod picture;
mod recipe;
mod template;

pub use compare::{Comparison, compare};
pub use error::ReportError;
pub use format::duration;
pub use json::write_whole;
pub use page::{FILE_NAME, write};
pub use run::RunRecord;
