//! Why a network cannot become an ONNX file.

use std::path::PathBuf;

/// Why a network cannot become an ONNX file.
#[derive(Debug, thiserror::Error)]
pub enum OnnxError {
    /// The forward pass cannot be recorded.
    #[error("the forward pass cannot be recorded: {0}")]
    Record(String),
    /// An operation that has no counterpart among ONNX's, or none that is written yet.
    #[error("{layer}: the operation {operation} cannot be written as ONNX{why}")]
    Operation {
        /// Burn's name of it.
        operation: String,
        /// The layer, by the last named tensor that was read before.
        layer: String,
        /// What of it stands in the way, after a comma; empty where it is the operation as such.
        why: String,
    },
    /// Something follows from the number of samples in a way that an ONNX file with a free batch axis cannot say.
    #[error(
        "{layer}: {what} follows from the number of samples in a way that a file for any number of them cannot say"
    )]
    Batch {
        /// The layer, by the last named tensor that was read before.
        layer: String,
        /// What it is.
        what: String,
    },
    /// Other operations run for other numbers of samples.
    #[error(
        "which operations the forward pass runs follows from the number of samples, so that no file can be written for any \
         number of them"
    )]
    Operations,
    /// The file would be larger than its format allows.
    #[error("the file would have {bytes} bytes; ONNX allows 2147483647{mend}")]
    TooLarge {
        /// Bytes that it would have.
        bytes: usize,
        /// What helps, if anything does.
        mend: &'static str,
    },
    /// The file cannot be written.
    #[error("{}: cannot write: {source}", path.display())]
    Write {
        /// The file.
        path: PathBuf,
        /// The system's reason.
        source: std::io::Error,
    },
}
