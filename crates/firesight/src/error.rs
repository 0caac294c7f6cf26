//! What went wrong, and whose it is to mend.

use std::fmt;

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
        let Self { cause, .. } = error.into();
        let kind = ErrorKind::Input;
        Self { kind, cause }
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

    /// The error of that type which lies below this one, if there is one.
    pub fn find<E: std::error::Error + Send + Sync + 'static>(&self) -> Option<&E> {
        self.cause.chain().find_map(|cause| cause.downcast_ref())
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.cause.fmt(f)
    }
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        self.cause.source()
    }
}

/// Whose each error of another crate is to mend.
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
    firesight_data::DataError => |_| ErrorKind::Input,
    firesight_recipe::Diagnostics => |_| ErrorKind::Input,
    crate::device::DeviceError => |_| ErrorKind::Input,
    firesight_predict::PredictError => |error| match error {
        firesight_predict::PredictError::Nms(_) => ErrorKind::Failed,
        _ => ErrorKind::Input,
    },
    firesight_predict::PictureError => |_| ErrorKind::Input,
    firesight_models::ModelError => |_| ErrorKind::Input,
    firesight_ops::nms::NmsError => |_| ErrorKind::Failed,
    regex::Error => |_| ErrorKind::Input,
    png::EncodingError => |_| ErrorKind::Failed,
    firesight_models::weights::WeightsError => |_| ErrorKind::Input,
    // Data that is wrong is the user's to mend, also where it shows in the middle of a run.
    firesight_engine::EngineError => |error| match error {
        firesight_engine::EngineError::Data(_) => ErrorKind::Input,
        _ => ErrorKind::Failed,
    },
    firesight_engine::CheckpointError => |_| ErrorKind::Failed,
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
