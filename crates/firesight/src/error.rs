//! What went wrong, and whose it is to mend.

use std::fmt;
use std::path::PathBuf;

use firesight_data::DataError;
use firesight_models::weights::WeightsError;

/// The result of whatever can fail here.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Whose it is to mend an error.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ErrorKind {
    /// What was given is wrong: an argument, the recipe, the data, a file of weights. Done again, it fails again.
    Input,
    /// The work failed: a disk that is full, numbers that are none.
    Failed,
}

/// What went wrong. `{}` says what, `{:#}` says it with its causes.
#[derive(Debug)]
pub struct Error {
    kind: ErrorKind,
    cause: anyhow::Error,
}

impl Error {
    /// Whose it is to mend.
    pub fn kind(&self) -> ErrorKind {
        self.kind
    }

    /// The same, as something that was given wrongly.
    pub fn input(error: impl Into<Self>) -> Self {
        let error = error.into();
        // What cannot be written is a failure, whatever it was to be written for.
        let kind = match error.is_failed_write() {
            true => ErrorKind::Failed,
            false => ErrorKind::Input,
        };
        Self { kind, ..error }
    }

    /// An error of a message; of what was given, unless [`Self::failed`] says otherwise.
    pub fn new(message: impl fmt::Display) -> Self {
        Self {
            kind: ErrorKind::Input,
            cause: anyhow::anyhow!("{message}"),
        }
    }

    /// The same, as a failure of the work.
    pub fn failed(self) -> Self {
        let kind = ErrorKind::Failed;
        Self { kind, ..self }
    }

    /// The same, with where it happened before it.
    pub fn context(self, place: impl fmt::Display) -> Self {
        let Self { kind, cause } = self;
        let cause = cause.context(place.to_string());
        Self { kind, cause }
    }

    /// Whether it is about something that could not be written, which no other input mends.
    pub fn is_failed_write(&self) -> bool {
        self.cause.chain().any(is_failed_write)
    }

    /// The error of that type which lies below this one, if there is one.
    pub fn find<E: std::error::Error + Send + Sync + 'static>(&self) -> Option<&E> {
        self.cause.chain().find_map(|cause| cause.downcast_ref())
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match f.alternate() {
            true => f.write_str(&in_full(self.cause.chain())),
            false => self.cause.fmt(f),
        }
    }
}

/// An error and its causes in one line. A cause that the text before it ends with, as the system's reasons do, is not
/// said again.
pub fn in_full<'a>(chain: impl Iterator<Item = &'a (dyn std::error::Error + 'static)>) -> String {
    let mut text = String::new();
    for cause in chain {
        let cause = cause.to_string();
        if !text.ends_with(&cause) {
            let colon = if text.is_empty() { "" } else { ": " };
            text += &format!("{colon}{cause}");
        }
    }
    text
}

/// Whether an error is about something that could not be written.
fn is_failed_write(error: &(dyn std::error::Error + 'static)) -> bool {
    let data = error.downcast_ref::<DataError>();
    let weights = error.downcast_ref::<WeightsError>();
    let onnx = error.downcast_ref::<firesight_onnx::OnnxError>();
    data.is_some_and(DataError::is_failed_write)
        || matches!(weights, Some(WeightsError::Write { .. }))
        || matches!(onnx, Some(firesight_onnx::OnnxError::Write { .. }))
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        self.cause.source()
    }
}

/// A folder that holds a run already, where a new one was to be.
#[derive(Debug, thiserror::Error)]
#[error(
    "{}: there is a run here already; add --resume to go on with it, or give another folder with --out", .0.display()
)]
pub struct RunIsThere(pub PathBuf);

/// Whose each error is to mend.
macro_rules! kinds {
    ($($error:ty => $kind:expr,)*) => {$(
        impl From<$error> for Error {
            fn from(error: $error) -> Self {
                let kind: fn(&$error) -> ErrorKind = $kind;
                Self { kind: kind(&error), cause: error.into() }
            }
        }
    )*};
}

kinds! {
    DataError => |error| match error.is_failed_write() {
        true => ErrorKind::Failed,
        false => ErrorKind::Input,
    },
    firesight_recipe::Diagnostics => |_| ErrorKind::Input,
    crate::device::DeviceError => |_| ErrorKind::Input,
    firesight_predict::PredictError => |error| match error {
        firesight_predict::PredictError::Nms(_) => ErrorKind::Failed,
        _ => ErrorKind::Input,
    },
    firesight_predict::PictureError => |_| ErrorKind::Input,
    RunIsThere => |_| ErrorKind::Input,
    firesight_models::ModelError => |_| ErrorKind::Input,
    firesight_ops::nms::NmsError => |_| ErrorKind::Failed,
    regex::Error => |_| ErrorKind::Input,
    png::EncodingError => |_| ErrorKind::Failed,
    WeightsError => |error| match error {
        WeightsError::Write { .. } => ErrorKind::Failed,
        _ => ErrorKind::Input,
    },
    // Data that is wrong is the user's to mend, also where it shows in the middle of a run.
    firesight_engine::EngineError => |error| match error {
        firesight_engine::EngineError::Data(_) => ErrorKind::Input,
        _ => ErrorKind::Failed,
    },
    firesight_engine::CheckpointError => |_| ErrorKind::Failed,
    firesight_onnx::OnnxError => |error| match error {
        firesight_onnx::OnnxError::Write { .. } => ErrorKind::Failed,
        _ => ErrorKind::Input,
    },
    firesight_report::ReportError => |_| ErrorKind::Failed,
    firesight_metrics::MetricError => |_| ErrorKind::Failed,
    std::io::Error => |_| ErrorKind::Failed,
    serde_json::Error => |_| ErrorKind::Failed,
}

/// Says where an error happened, or what is missing.
pub(crate) trait Context<T> {
    /// With where it happened before it.
    fn context(self, place: impl fmt::Display) -> Result<T>;
    /// The same, worked out only where there is an error.
    fn with_context<P: fmt::Display>(self, place: impl FnOnce() -> P) -> Result<T>;
}

impl<T, E: Into<Error>> Context<T> for Result<T, E> {
    fn context(self, place: impl fmt::Display) -> Result<T> {
        self.map_err(|error| error.into().context(place))
    }
    fn with_context<P: fmt::Display>(self, place: impl FnOnce() -> P) -> Result<T> {
        self.map_err(|error| error.into().context(place()))
    }
}

impl<T> Context<T> for Option<T> {
    fn context(self, place: impl fmt::Display) -> Result<T> {
        self.ok_or_else(|| Error::new(place))
    }
    fn with_context<P: fmt::Display>(self, place: impl FnOnce() -> P) -> Result<T> {
        self.ok_or_else(|| Error::new(place()))
    }
}

/// Returns with an error of what was given.
macro_rules! bail {
    ($message:ident) => { return Err($crate::error::Error::new($message).into()) };
    ($($message:tt)*) => { return Err($crate::error::Error::new(format!($($message)*)).into()) };
}
pub(crate) use bail;

#[cfg(test)]
mod tests {
    use std::io;
    use std::path::Path;

    use super::*;

    #[test]
    fn a_reason_is_said_once_and_what_cannot_be_written_is_a_failure() {
        let fault = |action| DataError::io(Path::new("a.png"), action, io::Error::other("full"));
        let read = Error::from(fault("read")).context("eval");
        assert_eq!(format!("{read:#}"), "eval: a.png: cannot read: full");
        assert_eq!(read.kind(), ErrorKind::Input);
        let write = || Error::from(fault("write")).context("eval");
        assert_eq!(write().kind(), ErrorKind::Failed);
        assert_eq!(Error::input(write()).kind(), ErrorKind::Failed);
        assert_eq!(
            Error::input(io::Error::other("odd")).kind(),
            ErrorKind::Input
        );
    }
}
