//! What can be wrong with the numbers a metric is given.

use thiserror::Error;

/// An input that a metric cannot take.
#[derive(Clone, Debug, Error, PartialEq)]
pub enum MetricError {
    /// Two lists that belong together differ in length.
    #[error("{what}: {got} given where {expected} are needed")]
    Length {
        /// The list, and what it belongs to.
        what: &'static str,
        /// Its length.
        got: usize,
        /// The length that fits.
        expected: usize,
    },
    /// A class index that does not exist.
    #[error(
        "{what} {class} at position {position} is out of range: there are {classes} classes, counted from 0"
    )]
    Class {
        /// Which list the index stands in.
        what: &'static str,
        /// The index.
        class: i64,
        /// Its position in the list.
        position: usize,
        /// The number of classes.
        classes: usize,
    },
    /// A value that is NaN or infinite, or outside its range.
    #[error("{what} {value} at position {position} is not {allowed}")]
    Value {
        /// Which list the value stands in.
        what: &'static str,
        /// The value.
        value: f64,
        /// Its position in the list.
        position: usize,
        /// What would be right.
        allowed: &'static str,
    },
    /// A file of truth or results that cannot be read.
    #[error("the {file} file: {message}")]
    File {
        /// Which of the two.
        file: &'static str,
        /// What is wrong, with line and column or JSON pointer.
        message: String,
    },
    /// The tool that computes COCO's numbers refused its input.
    #[error("COCO's numbers could not be computed: {0}")]
    Evaluation(String),
    /// Too few samples for the metric to be defined.
    #[error("{what} needs at least {needed} samples, {got} given")]
    TooFew {
        /// The metric, or the set that is too small.
        what: &'static str,
        /// How many are given.
        got: usize,
        /// How many it takes.
        needed: usize,
    },
}

/// An error unless `got == expected`.
pub(crate) fn same_length(
    what: &'static str,
    got: usize,
    expected: usize,
) -> Result<(), MetricError> {
    match got == expected {
        true => Ok(()),
        false => Err(MetricError::Length {
            what,
            got,
            expected,
        }),
    }
}
