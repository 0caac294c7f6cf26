//! A dataset's split as a numbered list of samples.

use crate::error::DataError;
use crate::sample::Sample;

/// One split of a dataset: samples by index, from any thread.
pub trait Source: Send + Sync {
    /// How many samples there are.
    fn len(&self) -> usize;

    /// Whether there are none.
    fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Reads one sample. Pure: the same index gives the same sample, whatever was read before.
    ///
    /// # Errors
    /// [`DataError::Index`] past the end; otherwise an error that names the file or record
    /// ([`DataError::is_bad_sample`]).
    fn read(&self, index: usize) -> Result<Sample, DataError>;

    /// Where a sample comes from, for messages and reports: `train/cat/1.jpg`, `row 17 of digits`.
    fn origin(&self, index: usize) -> String;

    /// The names of the classes, by class index.
    fn classes(&self) -> &[String];

    /// The class of a sample without decoding it; `None` if it has no single class or is out of range.
    fn class_of(&self, index: usize) -> Option<usize> {
        let _ = index;
        None
    }

    /// Bytes that identify the content of a sample cheaply: enough to notice that a dataset is another one. The
    /// default is its origin; a source whose samples are in memory gives their content, one that reads files
    /// their paths and sizes.
    fn identity(&self, index: usize) -> Vec<u8> {
        self.origin(index).into_bytes()
    }
}
