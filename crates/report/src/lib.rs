//! The run folder's files and the report made of them.
//!
//! - [`jsonl`]: `metrics.jsonl`, what happened, one record per line, complete after a kill.
//! - [`environment`] and [`results`]: what a run was made on, and what it reached.
//! - [`events`]: TensorBoard event files.
//! - [`run`]: reading a whole run folder, finished or not.
//!
//! The crate knows no model and no backend: plain numbers and files in, files out.

pub mod environment;
mod error;
pub mod events;
pub mod jsonl;
pub mod results;
pub mod run;

mod crc32c;
mod number;

pub use error::ReportError;
