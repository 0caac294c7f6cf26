//! What can go wrong between a module and a weights file.

use std::path::PathBuf;

/// Why weights could not be read, taken or written.
#[derive(Debug, thiserror::Error)]
pub enum WeightsError {
    /// The file could not be opened or read.
    #[error("{}: cannot be read: {source}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// The system's reason.
        source: std::io::Error,
    },
    /// The file could not be written.
    #[error("{}: cannot be written: {source}", path.display())]
    Write {
        /// The file.
        path: PathBuf,
        /// The system's reason.
        source: std::io::Error,
    },
    /// The file is not what its format says, or more than this reader takes.
    #[error("{}: {fault}", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        fault: Fault,
    },
    /// Tensors that the model has and the weights have not.
    #[error(
        "the weights lack {} of the model's tensors, such as `{}`; they may belong to another model \
         (the weights hold, for example, {example})",
        names.len(), names.first().map_or("", String::as_str)
    )]
    Missing {
        /// The keys that are lacking.
        names: Vec<String>,
        /// A key that the weights do hold.
        example: String,
    },
    /// Tensors that the weights have and the model has not, where both must be the same.
    #[error(
        "the weights hold {} tensors that the model has not, such as `{}`; they belong to another model",
        names.len(), names.first().map_or("", String::as_str)
    )]
    Unused {
        /// The keys that are too many.
        names: Vec<String>,
    },
    /// A tensor of another shape.
    #[error("tensor `{name}`: the model has shape {expected:?}, the weights have {found:?}")]
    Shape {
        /// The tensor's key.
        name: String,
        /// The model's shape, in PyTorch's layout.
        expected: Vec<usize>,
        /// The weights' shape.
        found: Vec<usize>,
    },
    /// A tensor of a type that is no floating-point number.
    #[error("tensor `{name}`: the model takes floating-point numbers, the weights have {found}")]
    Type {
        /// The tensor's key.
        name: String,
        /// The type found.
        found: String,
    },
}

/// What is wrong with a weights file.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum Fault {
    /// The bytes contradict the format.
    #[error("damaged: {0}")]
    Damaged(String),
    /// The pickle asks for something that is not needed to rebuild tensors. Nothing was run.
    #[error(
        "refused: {0}; only tensors are read and nothing is executed \
         (`torch.save(model.state_dict(), path)` writes a file that can be read)"
    )]
    Refused(String),
    /// A correct file of a kind that is not read.
    #[error("not supported: {0}")]
    Unsupported(String),
}
