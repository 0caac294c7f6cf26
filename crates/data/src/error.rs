//! What can go wrong between a file on disk and a sample, and how it is said.
//!
//! ```
//! use firesight_data::DataError;
//!
//! let error = DataError::unreadable("train/cat/7.jpg", "the file is cut");
//! assert!(error.is_bad_sample()); // `max-bad` may let it pass
//! assert!(!DataError::setting("batch-size", "0").is_bad_sample());
//! ```

use std::io;
use std::path::{Path, PathBuf};

use crate::words::counted;

/// An error of this crate. Every message names the file, record, setting or index it is about.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DataError {
    /// The operating system refused to open, list, read or write a path.
    #[error("{}: cannot {action}: {source}", path.display())]
    Io {
        /// The file or folder.
        path: PathBuf,
        /// What was tried: `open`, `read`, `list`, `write`, ...
        action: &'static str,
        /// The reason that the operating system gave.
        source: io::Error,
    },

    /// A file or folder that a dataset needs is not there.
    #[error("{}: not found; {hint}", path.display())]
    Missing {
        /// Where it was looked for.
        path: PathBuf,
        /// What would mend it.
        hint: String,
    },

    /// A file or record that is damaged, or is not what it should be.
    #[error("{origin}: {reason}")]
    Unreadable {
        /// The file, or the record and its file.
        origin: String,
        /// What is wrong with it.
        reason: String,
    },

    /// A file that may be sound but asks for more memory than the limits allow. It is refused by its header,
    /// before anything of that size is allocated.
    #[error("{origin}: refused: {reason}")]
    OverLimit {
        /// The file, or the record and its file.
        origin: String,
        /// Which limit, and by how much.
        reason: String,
    },

    /// A setting that cannot be carried out with this dataset.
    #[error("setting `{key}`: {reason}")]
    Setting {
        /// The dotted key of the setting, such as `split.test`.
        key: String,
        /// What is wrong and what would be right.
        reason: String,
    },

    /// A sample was asked for that does not exist.
    #[error("index {index} is out of range: {origin} has {len} samples")]
    Index {
        /// The index asked for.
        index: usize,
        /// How many samples there are.
        len: usize,
        /// What they are samples of.
        origin: String,
    },

    /// More samples could not be read than `max-bad` allows.
    #[error("{} could not be read and `max-bad` is {allowed}; one of them: {last}", counted(*found, "sample"))]
    TooManyBad {
        /// How many there were, the last one included.
        found: usize,
        /// The value of `max-bad`.
        allowed: usize,
        /// The error of the last one.
        last: Box<DataError>,
    },

    /// A download that failed. Nothing of it is left on disk.
    #[error("{url}: {reason}")]
    Download {
        /// The address.
        url: String,
        /// What went wrong.
        reason: String,
    },
}

impl DataError {
    /// An [`DataError::Io`] about a path.
    pub fn io(path: &Path, action: &'static str, source: io::Error) -> Self {
        Self::Io {
            path: path.to_path_buf(),
            action,
            source,
        }
    }

    /// An [`DataError::Unreadable`].
    pub fn unreadable(origin: impl Into<String>, reason: impl Into<String>) -> Self {
        Self::Unreadable {
            origin: origin.into(),
            reason: reason.into(),
        }
    }

    /// An [`DataError::Setting`].
    pub fn setting(key: impl Into<String>, reason: impl Into<String>) -> Self {
        Self::Setting {
            key: key.into(),
            reason: reason.into(),
        }
    }

    /// Whether something could not be written, which no other input mends.
    pub fn is_failed_write(&self) -> bool {
        matches!(
            self,
            Self::Io {
                action: "write" | "write to" | "make" | "move",
                ..
            }
        )
    }

    /// Whether this is the fault of one sample, which `max-bad` may skip, and not of the whole dataset, of a
    /// setting or of the caller.
    pub fn is_bad_sample(&self) -> bool {
        matches!(
            self,
            Self::Io { .. }
                | Self::Missing { .. }
                | Self::Unreadable { .. }
                | Self::OverLimit { .. }
        )
    }
}
