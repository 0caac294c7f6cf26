//! `environment.json`: what a run was made with and on.
//!
//! ```
//! use firesight_report::environment::{Environment, now};
//!
//! let run = tempfile::tempdir()?;
//! let mut environment = Environment {
//!     backend: "flex".into(),
//!     started: Some(now()),
//!     ..Environment::default()
//! };
//! environment.write(run.path())?;
//! // ... and when training has ended:
//! environment.finished = Some(now());
//! environment.write(run.path())?;
//! assert_eq!(Environment::read(run.path())?, Some(environment));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

use std::{
    path::{Path, PathBuf},
    time::SystemTime,
};

use serde::{Deserialize, Serialize};

use crate::{error::ReportError, json, metric::Metric};

/// Name of the file within a run folder.
pub const FILE_NAME: &str = "environment.json";

/// What a run was made with and on. Everything is optional when read, so that a report of an older
/// or a half-finished run works.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Environment {
    /// Version of Firesight, with the commit where it is known: `0.1.0 (87d11c9)`.
    pub version: String,
    /// The backend's name: `flex`, `cuda`, ...
    pub backend: String,
    /// The device within it: `cpu`, `cuda:0`, ...
    pub device: String,
    /// Threads the backend and the loader use.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub threads: Option<usize>,
    /// Operating system and architecture: `linux x86_64`.
    pub os: String,
    /// Model name of the processor.
    pub cpu: String,
    /// Task of the recipe: `classification`, ...
    pub task: String,
    /// Model as the recipe names it: `resnet18`.
    pub model: String,
    /// Parameters of all networks; running statistics are none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub parameters: Option<u64>,
    /// Those of them that train.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub trainable: Option<u64>,
    /// Name of the dataset as the recipe gives it: `digits`.
    pub dataset: String,
    /// Content of the dataset as one hash (SHA-256, hexadecimal).
    pub dataset_fingerprint: String,
    /// The splits that were opened and their sizes.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub splits: Vec<Split>,
    /// The metrics of its evaluations; the first one stands for the run.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub metrics: Vec<Metric>,
    /// The whole command as it was given, quoted for a shell.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub command: String,
    /// The recipe's file as an absolute path.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub recipe: Option<PathBuf>,
    /// What replaced values of that file: `data.source.mnist.path=fashion-mnist`.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub overrides: Vec<String>,
    /// The folder that the recipe's data paths are relative to, as an absolute path.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub data_root: Option<PathBuf>,
    /// When training began, RFC 3339 in UTC; [`now`] makes it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub started: Option<String>,
    /// When the run ended by itself; absent while it runs and after a kill.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub finished: Option<String>,
}

/// A split of the dataset and its number of samples.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Split {
    /// `train`, `validation` or `test`.
    pub name: String,
    /// Samples in it.
    pub samples: usize,
    /// Its content as one hash; empty where it is not known.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub fingerprint: String,
}

impl Environment {
    /// Writes `environment.json` into the run folder, in place of the one there; whole or not at all.
    ///
    /// # Errors
    /// [`ReportError::Io`].
    pub fn write(&self, run: &Path) -> Result<(), ReportError> {
        json::write_json(&run.join(FILE_NAME), self)
    }

    /// Reads `environment.json` of the run folder; `None` where there is none.
    ///
    /// # Errors
    /// [`ReportError::Io`] and [`ReportError::Json`].
    pub fn read(run: &Path) -> Result<Option<Self>, ReportError> {
        json::read_json(&run.join(FILE_NAME))
    }

    /// Seconds between `started` and `finished`, where both are known.
    pub fn seconds(&self) -> Option<f64> {
        let time = |text: &Option<String>| humantime::parse_rfc3339_weak(text.as_deref()?).ok();
        let span = time(&self.finished)?
            .duration_since(time(&self.started)?)
            .ok()?;
        Some(span.as_secs_f64())
    }
}

/// The present moment as `started` and `finished` hold it: `2026-11-23T18:32:25Z`.
pub fn now() -> String {
    humantime::format_rfc3339_seconds(SystemTime::now()).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read_back() {
        let run = tempfile::tempdir().unwrap();
        assert_eq!(Environment::read(run.path()).unwrap(), None);
        let environment = Environment {
            version: "0.1.0".into(),
            threads: Some(2),
            started: Some("2026-11-23T18:00:00Z".into()),
            finished: Some("2026-11-23T18:01:30Z".into()),
            splits: vec![Split {
                name: "train".into(),
                samples: 1437,
                ..Split::default()
            }],
            ..Environment::default()
        };
        environment.write(run.path()).unwrap();
        environment.write(run.path()).unwrap();
        assert_eq!(
            Environment::read(run.path()).unwrap().as_ref(),
            Some(&environment)
        );
        assert_eq!(environment.seconds(), Some(90.0));
        assert_eq!(
            std::fs::read_dir(run.path()).unwrap().count(),
            1,
            "no temporary file stays"
        );
        assert!(humantime::parse_rfc3339(&now()).is_ok());
    }

    #[test]
    fn fields_may_be_missing_and_unknown() {
        let run = tempfile::tempdir().unwrap();
        std::fs::write(
            run.path().join(FILE_NAME),
            r#"{"backend":"flex","later":1}"#,
        )
        .unwrap();
        assert_eq!(
            Environment::read(run.path()).unwrap().unwrap().backend,
            "flex"
        );
        std::fs::write(run.path().join(FILE_NAME), "{").unwrap();
        let message = Environment::read(run.path()).unwrap_err().to_string();
        assert!(message.contains(FILE_NAME), "{message}");
    }
}
