//! The folder of a run: where it is, and which checkpoint of it is meant.
//!
//! ```
//! use firesight::run_folder::{ModelPath, RECIPE_FILE, RunFolder};
//!
//! let runs = tempfile::tempdir()?;
//! let out = runs.path().join("digits-1");
//! let run = RunFolder::create(Some(&out), "digits")?;
//! assert_eq!(run.name(), "digits-1");
//! assert!(ModelPath::find(&out).is_err()); // no checkpoint yet
//! std::fs::write(out.join(RECIPE_FILE), "epochs = 1")?;
//! assert!(RunFolder::create(Some(&out), "digits").is_err()); // never overwritten
//! assert!(RunFolder::find(Some(&out), "digits").is_ok());
//! # anyhow::Ok(())
//! ```

use std::collections::BTreeSet;
use std::ffi::OsString;
use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use crate::error::{Context, RunIsThere, bail};

use firesight_engine::CheckpointStore;

/// The resolved recipe's file name.
pub const RECIPE_FILE: &str = "recipe.toml";

/// A run folder.
#[derive(Clone, Debug)]
pub struct RunFolder {
    /// Its path.
    pub path: PathBuf,
    /// What this start found in its place; none for the folder of an earlier one.
    found: Option<Found>,
}

/// What a start found where its folder was to be.
#[derive(Clone, Debug)]
enum Found {
    Nothing,
    /// A folder with these entries.
    Folder(BTreeSet<OsString>),
}

impl RunFolder {
    /// Makes the folder of a new run: `out` if given, else `runs/<name>-<n>` with the next free
    /// number.
    ///
    /// # Errors
    /// A folder that holds a run already, or files under names that a run writes: neither is overwritten.
    pub fn create(out: Option<&Path>, name: &str) -> crate::Result<Self> {
        let path = match out {
            Some(out) => {
                if out.join(RECIPE_FILE).exists() {
                    return Err(RunIsThere(out.to_path_buf()).into());
                }
                if let Some(name) = foreign(out) {
                    bail!(
                        "{}: `{name}` is there already, and a run would write over it; give a new folder with --out",
                        out.display()
                    );
                }
                out.to_path_buf()
            }
            None => return Self::create_numbered(Path::new("runs"), name),
        };
        let found = match fs::read_dir(&path) {
            Ok(entries) => {
                Found::Folder(entries.flatten().map(|entry| entry.file_name()).collect())
            }
            Err(_) => Found::Nothing,
        };
        fs::create_dir_all(&path).with_context(|| format!("{}", path.display()))?;
        Self::made(path, found)
    }

    /// The folder of the next free number; of two starts at the same time each gets its own.
    fn create_numbered(folder: &Path, name: &str) -> crate::Result<Self> {
        fs::create_dir_all(folder).with_context(|| format!("{}", folder.display()))?;
        loop {
            let path = next_free(folder, name);
            match fs::create_dir(&path) {
                Ok(()) => return Self::made(path, Found::Nothing),
                Err(error) if error.kind() == ErrorKind::AlreadyExists => {}
                Err(error) => return Err(error).with_context(|| format!("{}", path.display())),
            }
        }
    }

    fn made(path: PathBuf, found: Found) -> crate::Result<Self> {
        let checkpoints = path.join("checkpoints");
        fs::create_dir_all(&checkpoints).with_context(|| format!("{}", path.display()))?;
        let found = Some(found);
        Ok(Self { path, found })
    }

    /// Whether this start made it.
    pub fn is_new(&self) -> bool {
        self.found.is_some()
    }

    /// Removes what this start made, so that a start that failed is in nobody's way; what was there before stays, and so
    /// does the folder of an earlier run.
    pub fn undo(&self) {
        // What cannot be removed is no worse than the failure itself, which is being reported.
        match &self.found {
            None => {}
            Some(Found::Nothing) => drop(fs::remove_dir_all(&self.path)),
            Some(Found::Folder(before)) => {
                for entry in fs::read_dir(&self.path).into_iter().flatten().flatten() {
                    if before.contains(&entry.file_name()) {
                        continue;
                    }
                    let path = entry.path();
                    let _ = match path.is_dir() {
                        true => fs::remove_dir_all(&path),
                        false => fs::remove_file(&path),
                    };
                }
            }
        }
    }

    /// The run to go on with: the folder `out` if given, else the newest run of the recipe.
    ///
    /// # Errors
    /// No such run.
    pub fn find(out: Option<&Path>, name: &str) -> crate::Result<Self> {
        match out {
            Some(out) if out.join(RECIPE_FILE).exists() => Ok(Self {
                path: out.to_path_buf(),
                found: None,
            }),
            Some(out) => bail!("{}: there is no run here to resume", out.display()),
            None => {
                let path = newest(Path::new("runs"), name)
                    .with_context(|| format!("runs/: there is no run of {name} to resume"))?;
                Ok(Self { path, found: None })
            }
        }
    }

    /// The checkpoints of this run.
    pub fn checkpoints(&self, keep: usize) -> CheckpointStore {
        CheckpointStore::new(self.path.join("checkpoints"), keep)
    }

    /// The run's name.
    pub fn name(&self) -> String {
        self.path
            .file_name()
            .unwrap_or_default()
            .to_string_lossy()
            .into_owned()
    }
}

/// A model on disk: a run folder's best (else last) checkpoint, or a checkpoint folder itself.
#[derive(Clone, Debug)]
pub struct ModelPath {
    /// The checkpoint's folder.
    pub checkpoint: PathBuf,
    /// The run's folder, where the checkpoint stands in one.
    pub run: Option<PathBuf>,
    /// How the checkpoint was found: `best`, `last` or `given`.
    pub which: &'static str,
}

impl ModelPath {
    /// Finds the checkpoint of a path that a user gave as `RUN`.
    ///
    /// # Errors
    /// A path that is neither; says what would be.
    pub fn find(path: &Path) -> crate::Result<Self> {
        if path.join("manifest.json").exists() {
            let run = path.parent().and_then(Path::parent);
            let run = run
                .filter(|run| run.join(RECIPE_FILE).exists())
                .map(Path::to_path_buf);
            return Ok(Self {
                checkpoint: path.to_path_buf(),
                run,
                which: "given",
            });
        }
        let store = CheckpointStore::new(path.join("checkpoints"), 1);
        for which in ["best", "last"] {
            if let Some(checkpoint) = store.pointed(which) {
                return Ok(Self {
                    checkpoint,
                    run: Some(path.to_path_buf()),
                    which,
                });
            }
        }
        if !path.exists() {
            bail!(
                "{}: there is no such folder; give a run folder (runs/...)",
                path.display()
            );
        }
        bail!(
            "{}: neither a run folder with a checkpoint nor a checkpoint folder",
            path.display()
        )
    }
}

/// What stands in a folder without a recipe under a name that a run writes. Empty folders and pictures of the preview are
/// what a start leaves that was killed before its recipe was written.
fn foreign(folder: &Path) -> Option<String> {
    const FILES: [&str; 5] = [
        "environment.json",
        "log.txt",
        "metrics.jsonl",
        "report.html",
        "results.json",
    ];
    let mut names: Vec<String> = fs::read_dir(folder)
        .into_iter()
        .flatten()
        .flatten()
        .filter(|entry| {
            let name = entry.file_name();
            let name = name.to_string_lossy();
            let written = || fs::read_dir(entry.path()).is_ok_and(|mut held| held.next().is_some());
            match &*name {
                "checkpoints" | "examples" => !entry.path().is_dir() || written(),
                "preview" => !entry.path().is_dir(),
                name => FILES.contains(&name) || name.starts_with("events.out.tfevents"),
            }
        })
        .map(|entry| entry.file_name().to_string_lossy().into_owned())
        .collect();
    names.sort();
    names.into_iter().next()
}

/// The name of the runs of a recipe file: its own without the ending.
pub fn name_of(recipe: &Path) -> String {
    recipe
        .file_stem()
        .unwrap_or_default()
        .to_string_lossy()
        .into_owned()
}

/// The runs of a name in a folder, with their numbers.
fn numbered(folder: &Path, name: &str) -> Vec<(u64, PathBuf)> {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    let mut runs: Vec<(u64, PathBuf)> = entries
        .filter_map(|entry| {
            let file = entry.file_name().into_string().ok()?;
            let number = file.strip_prefix(name)?.strip_prefix('-')?.parse().ok()?;
            Some((number, entry.path()))
        })
        .collect();
    runs.sort();
    runs
}

fn next_free(folder: &Path, name: &str) -> PathBuf {
    let number = numbered(folder, name)
        .last()
        .map_or(1, |(number, _)| number + 1);
    folder.join(format!("{name}-{number}"))
}

fn newest(folder: &Path, name: &str) -> Option<PathBuf> {
    let runs = numbered(folder, name).into_iter().rev();
    runs.map(|(_, path)| path)
        .find(|path| path.join(RECIPE_FILE).exists())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_count_up_and_are_never_reused() {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path();
        assert_eq!(next_free(root, "digits"), root.join("digits-1"));
        for number in [1, 2, 10] {
            fs::create_dir_all(root.join(format!("digits-{number}"))).unwrap();
        }
        fs::create_dir_all(root.join("digits-wide-11")).unwrap();
        assert_eq!(next_free(root, "digits"), root.join("digits-11"));
    }

    #[test]
    fn a_start_that_failed_leaves_what_was_there() {
        let folder = tempfile::tempdir().unwrap();
        let out = folder.path().join("run");
        let run = RunFolder::create(Some(&out), "a").unwrap();
        fs::write(out.join(RECIPE_FILE), "").unwrap();
        run.undo();
        assert!(!out.exists());

        fs::create_dir_all(out.join("notes")).unwrap();
        let run = RunFolder::create(Some(&out), "a").unwrap();
        fs::write(out.join(RECIPE_FILE), "").unwrap();
        fs::write(out.join("notes/mine.txt"), "").unwrap();
        run.undo();
        let left: Vec<_> = fs::read_dir(&out)
            .unwrap()
            .map(|e| e.unwrap().file_name())
            .collect();
        assert_eq!(left, ["notes"]);
        assert!(out.join("notes/mine.txt").exists());

        fs::write(out.join(RECIPE_FILE), "").unwrap();
        RunFolder::find(Some(&out), "a").unwrap().undo();
        assert!(
            out.join(RECIPE_FILE).exists(),
            "the folder of an earlier run stays"
        );
    }

    #[test]
    fn starts_at_the_same_time_have_folders_of_their_own() {
        let folder = tempfile::tempdir().unwrap();
        let paths: BTreeSet<PathBuf> = std::thread::scope(|scope| {
            let start = || RunFolder::create_numbered(folder.path(), "a").unwrap().path;
            let starts: Vec<_> = (0..8).map(|_| scope.spawn(start)).collect();
            starts
                .into_iter()
                .map(|start| start.join().unwrap())
                .collect()
        });
        assert_eq!(paths.len(), 8);
    }

    #[test]
    fn a_run_is_never_overwritten() {
        let folder = tempfile::tempdir().unwrap();
        let out = folder.path().join("run");
        RunFolder::create(Some(&out), "a").unwrap();
        fs::write(out.join(RECIPE_FILE), "").unwrap();
        let error = RunFolder::create(Some(&out), "a").unwrap_err();
        assert!(error.to_string().contains("--resume"), "{error}");
        for name in [
            "report.html",
            "log.txt",
            "checkpoints/best",
            "events.out.tfevents.1",
        ] {
            let other = folder.path().join(name.replace('/', "-"));
            fs::create_dir_all(other.join(name).parent().unwrap()).unwrap();
            fs::write(other.join(name), "kept").unwrap();
            let error = RunFolder::create(Some(&other), "a").unwrap_err();
            assert!(error.to_string().contains("is there already"), "{error}");
            assert_eq!(fs::read(other.join(name)).unwrap(), b"kept");
        }
        // Notes of one's own are in nobody's way.
        let noted = folder.path().join("noted");
        fs::create_dir_all(noted.join("checkpoints")).unwrap();
        fs::write(noted.join("notes.md"), "").unwrap();
        RunFolder::create(Some(&noted), "a").unwrap();
        assert!(ModelPath::find(&out).is_err());
    }
}
