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
        "the weights lack {} of the model's tensors, such as {}; the weights hold {}: they may belong to another model, \
         or lie under words that are not understood",
        names.len(), some(names), seen(keys)
    )]
    Missing {
        /// The names that are lacking.
        names: Vec<String>,
        /// The keys of the weights.
        keys: Vec<String>,
    },
    /// Weights that hold the model several times.
    #[error(
        "the weights hold the model more than once, {}; save the one that is meant by itself",
        places.join(" and ")
    )]
    Ambiguous {
        /// Where.
        places: Vec<String>,
    },
    /// Two keys that are one tensor of the model.
    #[error("the weights hold tensor `{name}` twice, as `{first}` and as `{second}`")]
    Twice {
        /// The tensor's name in the model.
        name: String,
        /// One of the keys.
        first: String,
        /// The other.
        second: String,
    },
    /// A tensor with a number that is not finite.
    #[error("tensor `{name}`: {count} of its {of} numbers are not finite, such as {value}")]
    NotFinite {
        /// The tensor's key.
        name: String,
        /// How many of its numbers.
        count: usize,
        /// How many numbers it has.
        of: usize,
        /// The first of them.
        value: f64,
    },
    /// Running variances below 0, of which no square root can be taken.
    #[error(
        "tensor `{name}`: {count} of its {of} numbers are below 0, such as {value}; a variance is 0 or more"
    )]
    Negative {
        /// The tensor's key.
        name: String,
        /// How many of its numbers.
        count: usize,
        /// How many numbers it has.
        of: usize,
        /// The first of them.
        value: f64,
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

/// The first few of a list of names.
fn some(names: &[String]) -> String {
    let shown: Vec<String> = names.iter().take(4).map(|n| format!("`{n}`")).collect();
    shown.join(", ")
}

/// The first few keys of weights, and how many there are.
fn seen(keys: &[String]) -> String {
    match keys.len() {
        0 => "no tensor".to_string(),
        count => format!("{count} tensors, such as {}", some(keys)),
    }
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
