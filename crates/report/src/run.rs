//! A run folder as the report reads it: whatever is there, and a note about whatever is damaged.
//!
//! ```
//! use firesight_report::RunRecord;
//!
//! let folder = tempfile::tempdir()?;
//! std::fs::write(folder.path().join("recipe.toml"), "seed = 42\n")?;
//! let run = RunRecord::read(folder.path())?;
//! assert_eq!(run.recipe.as_deref(), Some("seed = 42\n"));
//! assert!(run.results.is_none() && run.problems.is_empty());
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

use std::path::{Path, PathBuf};

use crate::{
    environment::Environment,
    error::{ReportError, io},
    jsonl::{self, Log},
    metric::Metrics,
    results::Results,
};

/// Name of the resolved recipe within a run folder.
pub const RECIPE_FILE: &str = "recipe.toml";
/// Name of the folder of preview pictures within a run folder.
pub const PREVIEW_FOLDER: &str = "preview";

/// What a run folder holds. Every part may be missing: a run that has just begun, or was killed, is
/// read as far as it went.
#[derive(Clone, Debug, Default)]
pub struct RunRecord {
    /// The folder.
    pub path: PathBuf,
    /// Its last component.
    pub name: String,
    /// Text of `recipe.toml`.
    pub recipe: Option<String>,
    /// `environment.json`.
    pub environment: Option<Environment>,
    /// `metrics.jsonl`.
    pub log: Log,
    /// `results.json`.
    pub results: Option<Results>,
    /// The pictures in `preview/`, by name.
    pub previews: Vec<PathBuf>,
    /// What could not be read, one sentence each.
    pub problems: Vec<String>,
}

impl RunRecord {
    /// Reads the run folder at `path`.
    ///
    /// # Errors
    /// [`ReportError::NotARun`] where there is no such folder, or nothing of a run in it. A damaged
    /// file within is no error but an entry of `problems`.
    pub fn read(path: &Path) -> Result<Self, ReportError> {
        let not_a_run = |reason: &str| ReportError::NotARun {
            path: path.to_path_buf(),
            reason: reason.to_string(),
        };
        if !path.is_dir() {
            return Err(not_a_run(
                "there is no such folder; give the folder that `train` wrote",
            ));
        }
        let parts = [RECIPE_FILE, crate::environment::FILE_NAME, jsonl::FILE_NAME];
        if !parts
            .iter()
            .chain(&[crate::results::FILE_NAME])
            .any(|part| path.join(part).exists())
        {
            return Err(not_a_run(
                "it holds none of recipe.toml, environment.json, metrics.jsonl and results.json; \
                 give the folder that `train` wrote",
            ));
        }
        let mut run = RunRecord {
            path: path.to_path_buf(),
            ..RunRecord::default()
        };
        run.name = std::path::absolute(path)
            .ok()
            .and_then(|full| {
                full.file_name()
                    .map(|name| name.to_string_lossy().into_owned())
            })
            .unwrap_or_else(|| path.display().to_string());
        let recipe = path.join(RECIPE_FILE);
        if recipe.exists() {
            run.recipe = run.note(
                std::fs::read(&recipe)
                    .map(|bytes| String::from_utf8_lossy(&bytes).into_owned())
                    .map_err(io("read", &recipe)),
            );
        }
        run.environment = run.note(Environment::read(path)).flatten();
        run.results = run.note(Results::read(path)).flatten();
        run.log = run.note(jsonl::read(path)).unwrap_or_default();
        if run.log.torn {
            run.problems
                .push("The last line of metrics.jsonl is torn and was left out.".into());
        }
        if !run.log.unreadable.is_empty() {
            let lines = run.log.unreadable.iter().take(5).map(usize::to_string);
            run.problems.push(format!(
                "{} damaged line(s) of metrics.jsonl were left out (line {}{}).",
                run.log.unreadable.len(),
                lines.collect::<Vec<_>>().join(", "),
                if run.log.unreadable.len() > 5 {
                    ", ..."
                } else {
                    ""
                },
            ));
        }
        run.previews = pictures(&path.join(PREVIEW_FOLDER));
        Ok(run)
    }

    /// How the numbers of this run are called and read.
    pub fn metrics(&self) -> Metrics {
        let environment = self.environment.as_ref();
        Metrics(environment.map_or_else(Vec::new, |environment| environment.metrics.clone()))
    }

    /// Keeps a value, or notes why there is none.
    fn note<T>(&mut self, result: Result<T, ReportError>) -> Option<T> {
        result
            .map_err(|error| self.problems.push(error.to_string()))
            .ok()
    }
}

/// The PNG and JPEG files of a folder, by name; none where there is no folder.
fn pictures(folder: &Path) -> Vec<PathBuf> {
    let Ok(entries) = std::fs::read_dir(folder) else {
        return Vec::new();
    };
    let mut files: Vec<_> = entries
        .filter_map(|entry| Some(entry.ok()?.path()))
        .filter(|file| {
            file.extension().is_some_and(|e| {
                ["png", "jpg", "jpeg"]
                    .iter()
                    .any(|k| e.eq_ignore_ascii_case(k))
            })
        })
        .collect();
    files.sort();
    files
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_half_finished_or_damaged_run_is_read_as_far_as_it_went() {
        let folder = tempfile::tempdir().unwrap();
        assert!(matches!(
            RunRecord::read(folder.path()),
            Err(ReportError::NotARun { .. })
        ));
        assert!(matches!(
            RunRecord::read(&folder.path().join("missing")),
            Err(ReportError::NotARun { .. })
        ));
        std::fs::write(folder.path().join(RECIPE_FILE), b"seed = 1 # \xff\n").unwrap();
        std::fs::write(folder.path().join("results.json"), "[").unwrap();
        std::fs::write(folder.path().join("metrics.jsonl"), "x\n{\"type\":").unwrap();
        let run = RunRecord::read(folder.path()).unwrap();
        assert!(run.recipe.unwrap().starts_with("seed = 1"));
        assert_eq!(run.environment, None);
        assert_eq!(run.problems.len(), 3, "{:?}", run.problems);
        assert!(run.problems.iter().any(|p| p.contains("results.json")));
    }
}
