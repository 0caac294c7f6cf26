//! What can go wrong when a run folder is written or read.

use std::path::{Path, PathBuf};

/// An error of this crate; each names the file it is about.
#[derive(Debug, thiserror::Error)]
pub enum ReportError {
    /// The operating system refused to read or write a file.
    #[error("cannot {action} {}: {source}", path.display())]
    Io {
        /// What was tried: `read`, `write`, `create`, ...
        action: &'static str,
        /// The file or folder.
        path: PathBuf,
        /// The system's reason.
        source: std::io::Error,
    },
    /// The folder named as a run is not there, or is no folder.
    #[error("{} is not a run folder: {reason}", path.display())]
    NotARun {
        /// The path as given.
        path: PathBuf,
        /// Why, and what would be right.
        reason: String,
    },
    /// A JSON file of the run folder does not have the form it should have.
    #[error("{}: not the JSON expected there: {source}", path.display())]
    Json {
        /// The file.
        path: PathBuf,
        /// The position in the file and what was expected.
        source: serde_json::Error,
    },
    /// Bytes given as a picture are not a PNG image.
    #[error("the image for `{tag}` at step {step} is not a PNG file: encode it as PNG first")]
    NotPng {
        /// The TensorBoard tag.
        tag: String,
        /// The step.
        step: u64,
    },
    /// `compare` was called without a run.
    #[error("nothing to compare: name at least one run folder")]
    NoRuns,
    /// The page's template and its values do not fit each other (a defect of this crate).
    #[error("the page template `{template}` failed: {reason}")]
    Template {
        /// Name of the template.
        template: &'static str,
        /// The engine's message, with its line.
        reason: String,
    },
}

/// Makes the closure that turns an `io::Error` into a [`ReportError::Io`] about `path`.
pub(crate) fn io<'a>(
    action: &'static str,
    path: &'a Path,
) -> impl FnOnce(std::io::Error) -> ReportError + 'a {
    move |source| ReportError::Io {
        action,
        path: path.to_path_buf(),
        source,
    }
}
