//! Checkpoints: immutable folders that are there whole or not at all.
//!
//! `checkpoints/step-<n>/` is written beside its target, synced, given a manifest with each file's size
//! and SHA-256, and renamed into place. What may still change at the same step is small and replaced atomically: `progress.json`
//! in the folder, which is told anew after an evaluation, and `best` and `last`, one-line files that name a folder; pruning
//! spares what they name. Tensors are written once. Everything in a checkpoint is keyed by names, so
//! a newly built model takes it whatever its parameter ids are.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use burn::tensor::{DType, TensorData};
use safetensors::tensor::{Dtype, SafeTensors, TensorView};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use firesight_models::weights::StateDict;

use crate::network::{NetworkState, StateScalar};
use crate::progress::Progress;

/// The checkpoints of one run.
#[derive(Clone, Debug)]
pub struct CheckpointStore {
    folder: PathBuf,
    keep: usize,
    /// The steps that this session has written or read, and knows to be whole.
    whole: Arc<Mutex<BTreeSet<u64>>>,
}

/// Everything that a run needs to go on.
#[derive(Clone, Debug)]
pub struct Checkpoint {
    /// Where the run stands.
    pub progress: Progress,
    /// The state of each network by name.
    pub networks: BTreeMap<String, NetworkState>,
}

/// What a checkpoint could not do.
#[derive(Debug, thiserror::Error)]
pub enum CheckpointError {
    /// A file or folder could not be read or written.
    #[error("{path}: {source}", path = path.display())]
    Io {
        /// Which.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The disk is full.
    #[error(
        "{path}: no space left on the device; a checkpoint of this model needs {needed} bytes. \
         The checkpoints before it are whole", path = path.display()
    )]
    DiskFull {
        /// The folder that was being written.
        path: PathBuf,
        /// The size of a whole checkpoint.
        needed: u64,
    },
    /// The files are not what the manifest says.
    #[error("{path}: damaged: {reason}", path = path.display())]
    Damaged {
        /// The checkpoint's folder.
        path: PathBuf,
        /// What is wrong.
        reason: String,
    },
    /// There are checkpoints, but none is whole.
    #[error("{path}: none of the {count} checkpoints can be loaded:\n{reasons}", path = path.display())]
    NoneWhole {
        /// The folder of the checkpoints.
        path: PathBuf,
        /// How many were tried.
        count: usize,
        /// Why each failed, a line each.
        reasons: String,
    },
    /// There is no checkpoint.
    #[error("{path}: there is no checkpoint here", path = path.display())]
    Missing {
        /// The folder that was looked into.
        path: PathBuf,
    },
}

/// Sizes and hashes of a checkpoint's files.
#[derive(Debug, Serialize, Deserialize)]
struct Manifest {
    files: BTreeMap<String, FileEntry>,
}

#[derive(Debug, PartialEq, Serialize, Deserialize)]
struct FileEntry {
    bytes: u64,
    sha256: String,
}

/// `state.json`: the numbers of the networks that are no tensors.
#[derive(Debug, Serialize, Deserialize)]
struct State {
    /// In checkpoints of older versions, which had no `progress.json`.
    #[serde(default, skip_serializing)]
    progress: Option<Progress>,
    networks: BTreeMap<String, NetworkNumbers>,
}

#[derive(Debug, Serialize, Deserialize)]
struct NetworkNumbers {
    ema_updates: u64,
    optimizer: BTreeMap<String, StateScalar>,
}

const MANIFEST: &str = "manifest.json";
const STATE: &str = "state.json";
const PROGRESS: &str = "progress.json";

/// `progress.json`: where the run stands, which may be told again at the same step.
#[derive(Debug, Serialize, Deserialize)]
struct Stamped {
    /// Of the progress as compact JSON.
    sha256: String,
    progress: serde_json::Value,
}

impl Stamped {
    fn of(progress: &Progress) -> Self {
        let progress = serde_json::to_value(progress).expect("a progress is plain data");
        let sha256 = FileEntry::of(progress.to_string().as_bytes()).sha256;
        Self { sha256, progress }
    }

    /// The progress, where it is what the digest was made of.
    fn checked(self) -> Result<Progress, String> {
        if FileEntry::of(self.progress.to_string().as_bytes()).sha256 != self.sha256 {
            return Err("it does not have the SHA-256 that it states".to_owned());
        }
        serde_json::from_value(self.progress).map_err(|error| error.to_string())
    }

    fn to_bytes(&self) -> Vec<u8> {
        serde_json::to_vec_pretty(self).expect("a progress is plain data")
    }
}

impl CheckpointStore {
    /// The checkpoints in a folder (which need not exist yet), keeping the newest `keep`.
    pub fn new(folder: PathBuf, keep: usize) -> Self {
        Self {
            folder,
            keep: keep.max(1),
            whole: Arc::default(),
        }
    }

    /// The folder of all checkpoints.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// Writes a checkpoint, with `extra` files beside it, and points `last`, and `best` where asked, to it.
    ///
    /// # Errors
    /// [`CheckpointError::Io`] and [`CheckpointError::DiskFull`]; nothing that was there is touched.
    pub fn save(
        &self,
        checkpoint: &Checkpoint,
        extra: &[(String, Vec<u8>)],
        best: bool,
    ) -> Result<PathBuf, CheckpointError> {
        let step = checkpoint.progress.step;
        let name = format!("step-{step}");
        let target = self.folder.join(&name);
        if target.exists() && self.knows_whole(step) {
            // The same step once more, after an evaluation or at the end: the weights are those that lie there.
            let fresh = self.folder.join(format!(".{name}.progress"));
            let bytes = Stamped::of(&checkpoint.progress).to_bytes();
            write_synced(&fresh, &bytes).map_err(|error| {
                let _ = fs::remove_file(&fresh);
                self.failed(&fresh, error, bytes.len() as u64)
            })?;
            fs::rename(&fresh, target.join(PROGRESS)).map_err(io_error(&target))?;
            sync_folder(&target)?;
        } else {
            let fresh = self.write_beside(&name, checkpoint, extra)?;
            if target.exists() {
                // What an earlier session left, and this one could not read or has come to again.
                let old = self.folder.join(format!(".{name}.old"));
                let _ = fs::remove_dir_all(&old);
                fs::rename(&target, &old).map_err(io_error(&target))?;
                fs::rename(&fresh, &target).map_err(io_error(&target))?;
                let _ = fs::remove_dir_all(&old);
            } else {
                fs::rename(&fresh, &target).map_err(io_error(&target))?;
            }
            self.remember(step);
        }
        sync_folder(&self.folder)?;
        if best {
            self.point("best", &name)?;
        }
        self.point("last", &name)?;
        self.prune()?;
        Ok(target)
    }

    fn knows_whole(&self, step: u64) -> bool {
        let whole = self.whole.lock();
        whole.is_ok_and(|whole| whole.contains(&step))
    }

    fn remember(&self, step: u64) {
        if let Ok(mut whole) = self.whole.lock() {
            whole.insert(step);
        }
    }

    fn failed(&self, path: &Path, error: io::Error, needed: u64) -> CheckpointError {
        let path = path.to_owned();
        match error.kind() {
            io::ErrorKind::StorageFull => CheckpointError::DiskFull { path, needed },
            _ => CheckpointError::Io {
                path,
                source: error,
            },
        }
    }

    fn write_beside(
        &self,
        name: &str,
        checkpoint: &Checkpoint,
        extra: &[(String, Vec<u8>)],
    ) -> Result<PathBuf, CheckpointError> {
        let files = &encode(checkpoint, extra);
        let fresh = self.folder.join(format!(".{name}.new"));
        let needed = files.values().map(|bytes| bytes.len() as u64).sum();
        let write_all = || -> Result<(), (PathBuf, io::Error)> {
            if fresh.exists() {
                fs::remove_dir_all(&fresh).map_err(|error| (fresh.clone(), error))?;
            }
            fs::create_dir_all(&fresh).map_err(|error| (fresh.clone(), error))?;
            let mut manifest = Manifest {
                files: BTreeMap::new(),
            };
            for (name, bytes) in files {
                let path = fresh.join(name);
                write_synced(&path, bytes).map_err(|error| (path, error))?;
                manifest.files.insert(name.clone(), FileEntry::of(bytes));
            }
            let path = fresh.join(PROGRESS);
            let progress = Stamped::of(&checkpoint.progress).to_bytes();
            write_synced(&path, &progress).map_err(|error| (path, error))?;
            let path = fresh.join(MANIFEST);
            let text = serde_json::to_vec_pretty(&manifest).expect("a manifest is plain data");
            write_synced(&path, &text).map_err(|error| (path, error))
        };
        write_all().map_err(|(path, error)| {
            let _ = fs::remove_dir_all(&fresh);
            self.failed(&path, error, needed)
        })?;
        sync_folder(&fresh)?;
        Ok(fresh)
    }

    fn point(&self, pointer: &str, name: &str) -> Result<(), CheckpointError> {
        let fresh = self.folder.join(format!(".{pointer}.new"));
        write_synced(&fresh, format!("{name}\n").as_bytes()).map_err(io_error(&fresh))?;
        let target = self.folder.join(pointer);
        fs::rename(&fresh, &target).map_err(io_error(&target))?;
        sync_folder(&self.folder)
    }

    /// The folder that `best` or `last` names.
    pub fn pointed(&self, pointer: &str) -> Option<PathBuf> {
        let name = fs::read_to_string(self.folder.join(pointer)).ok()?;
        let path = self.folder.join(name.trim());
        path.is_dir().then_some(path)
    }

    /// Every checkpoint folder, the newest first.
    pub fn all(&self) -> Vec<(u64, PathBuf)> {
        let entries = fs::read_dir(&self.folder).into_iter().flatten().flatten();
        let mut found: Vec<(u64, PathBuf)> = entries
            .filter_map(|entry| {
                let name = entry.file_name().into_string().ok()?;
                Some((name.strip_prefix("step-")?.parse().ok()?, entry.path()))
            })
            .collect();
        found.sort_by_key(|(step, _)| std::cmp::Reverse(*step));
        found
    }

    fn prune(&self) -> Result<(), CheckpointError> {
        let spared = [self.pointed("best"), self.pointed("last")];
        for (_, path) in self.all().into_iter().skip(self.keep) {
            if !spared.contains(&Some(path.clone())) {
                // Renamed first, so that a stop in the middle leaves no checkpoint half there.
                let doomed = path.with_file_name(format!(
                    ".{}.old",
                    path.file_name().unwrap_or_default().to_string_lossy()
                ));
                let _ = fs::remove_dir_all(&doomed);
                fs::rename(&path, &doomed).map_err(io_error(&path))?;
                fs::remove_dir_all(&doomed).map_err(io_error(&doomed))?;
            }
        }
        Ok(())
    }

    /// Puts a checkpoint back that was moved aside for a newer writing of the same step, where a kill came between the two
    /// renames.
    fn put_back(&self) {
        for entry in fs::read_dir(&self.folder).into_iter().flatten().flatten() {
            let name = entry.file_name().into_string().unwrap_or_default();
            let step = name.strip_prefix('.').and_then(|n| n.strip_suffix(".old"));
            let Some(target) = step.map(|step| self.folder.join(step)) else {
                continue;
            };
            // One that was being pruned is no longer whole, or as good as before.
            if !target.exists() && read_verified(&entry.path()).is_ok() {
                let _ = fs::rename(entry.path(), target);
            }
        }
    }

    /// The newest checkpoint that is whole. What was wrong with newer ones is told through `warn`.
    ///
    /// # Errors
    /// [`CheckpointError::Missing`] without any, [`CheckpointError::NoneWhole`] if all are damaged.
    pub fn load_newest(
        &self,
        mut warn: impl FnMut(String),
    ) -> Result<(PathBuf, Checkpoint), CheckpointError> {
        self.put_back();
        let all = self.all();
        if all.is_empty() {
            return Err(CheckpointError::Missing {
                path: self.folder.clone(),
            });
        }
        let mut reasons = Vec::new();
        for (_, path) in &all {
            match load(path) {
                Ok(checkpoint) => {
                    for reason in reasons {
                        warn(format!("{reason}; going on from {}", path.display()));
                    }
                    self.remember(checkpoint.progress.step);
                    return Ok((path.clone(), checkpoint));
                }
                Err(error) => reasons.push(error.to_string()),
            }
        }
        Err(CheckpointError::NoneWhole {
            path: self.folder.clone(),
            count: all.len(),
            reasons: reasons.join("\n"),
        })
    }
}

/// Reads a checkpoint folder after verifying every file against the manifest.
///
/// # Errors
/// [`CheckpointError::Damaged`] with the file and what is wrong with it.
pub fn load(path: &Path) -> Result<Checkpoint, CheckpointError> {
    let damaged = |reason: String| CheckpointError::Damaged {
        path: path.to_owned(),
        reason,
    };
    let files = read_verified(path)?;
    let state = files
        .get(STATE)
        .ok_or_else(|| damaged(format!("{STATE} is missing")))?;
    let state: State = serde_json::from_slice(state)
        .map_err(|error| damaged(format!("{STATE} cannot be read: {error}")))?;
    let progress = match (fs::read(path.join(PROGRESS)), state.progress) {
        (Ok(bytes), _) => serde_json::from_slice::<Stamped>(&bytes)
            .map_err(|error| error.to_string())
            .and_then(Stamped::checked),
        (Err(_), Some(progress)) => Ok(progress),
        (Err(error), None) => Err(error.to_string()),
    };
    let progress =
        progress.map_err(|error| damaged(format!("{PROGRESS} cannot be read: {error}")))?;
    let mut networks = BTreeMap::new();
    for (name, numbers) in state.networks {
        let tensors = |suffix: &str| -> Result<Option<StateDict>, CheckpointError> {
            let file = format!("{name}{suffix}.safetensors");
            let Some(bytes) = files.get(&file) else {
                return Ok(None);
            };
            decode_tensors(bytes)
                .map(Some)
                .map_err(|error| damaged(format!("{file}: {error}")))
        };
        let weights =
            tensors("")?.ok_or_else(|| damaged(format!("{name}.safetensors is missing")))?;
        let network = NetworkState {
            weights,
            ema: tensors(".ema")?,
            ema_updates: numbers.ema_updates,
            optimizer: tensors(".optimizer")?.unwrap_or_default(),
            scalars: numbers.optimizer,
        };
        networks.insert(name, network);
    }
    Ok(Checkpoint { progress, networks })
}

fn read_verified(path: &Path) -> Result<BTreeMap<String, Vec<u8>>, CheckpointError> {
    let damaged = |reason: String| CheckpointError::Damaged {
        path: path.to_owned(),
        reason,
    };
    let text = fs::read(path.join(MANIFEST))
        .map_err(|error| damaged(format!("{MANIFEST} cannot be read: {error}")))?;
    let manifest: Manifest = serde_json::from_slice(&text)
        .map_err(|error| damaged(format!("{MANIFEST} cannot be read: {error}")))?;
    let mut files = BTreeMap::new();
    for (name, entry) in manifest.files {
        if name.contains(['/', '\\']) {
            return Err(damaged(format!(
                "{MANIFEST} names `{name}`, which is not a plain file"
            )));
        }
        let bytes = fs::read(path.join(&name))
            .map_err(|error| damaged(format!("{name} cannot be read: {error}")))?;
        if bytes.len() as u64 != entry.bytes {
            let (found, expected) = (bytes.len(), entry.bytes);
            return Err(damaged(format!("{name} has {found} bytes, not {expected}")));
        }
        if FileEntry::of(&bytes) != entry {
            return Err(damaged(format!(
                "{name} does not have the SHA-256 of the manifest"
            )));
        }
        files.insert(name, bytes);
    }
    Ok(files)
}

fn encode(checkpoint: &Checkpoint, extra: &[(String, Vec<u8>)]) -> BTreeMap<String, Vec<u8>> {
    let mut files = BTreeMap::new();
    let mut networks = BTreeMap::new();
    for (name, network) in &checkpoint.networks {
        files.insert(
            format!("{name}.safetensors"),
            encode_tensors(&network.weights),
        );
        if let Some(ema) = &network.ema {
            files.insert(format!("{name}.ema.safetensors"), encode_tensors(ema));
        }
        if !network.optimizer.is_empty() {
            let bytes = encode_tensors(&network.optimizer);
            files.insert(format!("{name}.optimizer.safetensors"), bytes);
        }
        let optimizer = network.scalars.clone();
        let numbers = NetworkNumbers {
            ema_updates: network.ema_updates,
            optimizer,
        };
        networks.insert(name.clone(), numbers);
    }
    let state = State {
        progress: None,
        networks,
    };
    let state = serde_json::to_vec_pretty(&state).expect("a state is plain data");
    files.insert(STATE.into(), state);
    files.extend(extra.iter().cloned());
    files
}

fn encode_tensors(tensors: &StateDict) -> Vec<u8> {
    let views = tensors.iter().map(|(name, data)| {
        let dtype = match data.dtype() {
            DType::F32 => Dtype::F32,
            DType::F64 => Dtype::F64,
            DType::F16 => Dtype::F16,
            DType::BF16 => Dtype::BF16,
            DType::I64 => Dtype::I64,
            DType::I32 => Dtype::I32,
            other => unreachable!("a float tensor of a model has the type {other:?}"),
        };
        let view = TensorView::new(dtype, data.shape().to_vec(), data.as_bytes())
            .expect("the bytes of a tensor match its shape");
        (name.as_str(), view)
    });
    safetensors::serialize(views, None).expect("views of whole tensors can be written")
}

fn decode_tensors(bytes: &[u8]) -> Result<StateDict, String> {
    let tensors = SafeTensors::deserialize(bytes).map_err(|error| error.to_string())?;
    let mut found = StateDict::new();
    for (name, view) in tensors.tensors() {
        let dtype = match view.dtype() {
            Dtype::F32 => DType::F32,
            Dtype::F64 => DType::F64,
            Dtype::F16 => DType::F16,
            Dtype::BF16 => DType::BF16,
            Dtype::I64 => DType::I64,
            Dtype::I32 => DType::I32,
            other => return Err(format!("the tensor `{name}` has the type {other:?}")),
        };
        let data = TensorData::from_bytes_vec(view.data().to_vec(), view.shape().to_vec(), dtype);
        found.insert(name, data);
    }
    Ok(found)
}

impl FileEntry {
    fn of(bytes: &[u8]) -> Self {
        Self {
            bytes: bytes.len() as u64,
            sha256: format!("{:x}", Sha256::digest(bytes)),
        }
    }
}

fn write_synced(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let mut file = File::create(path)?;
    file.write_all(bytes)?;
    file.sync_all()
}

/// Makes a rename in a folder last; platforms that cannot open a folder do so by themselves.
fn sync_folder(path: &Path) -> Result<(), CheckpointError> {
    #[cfg(unix)]
    File::open(path)
        .and_then(|folder| folder.sync_all())
        .map_err(io_error(path))?;
    let _ = path;
    Ok(())
}

fn io_error(path: &Path) -> impl FnOnce(io::Error) -> CheckpointError {
    let path = path.to_owned();
    move |source| CheckpointError::Io { path, source }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn checkpoint(step: u64) -> Checkpoint {
        let data = TensorData::from([[1.0f32, -2.5], [f32::MIN_POSITIVE, step as f32]]);
        let network = NetworkState {
            weights: [("conv.weight".to_owned(), data.clone())].into(),
            ema: Some([("conv.weight".to_owned(), data.clone())].into()),
            ema_updates: step,
            optimizer: [("conv.weight.momentum.velocity".to_owned(), data)].into(),
            scalars: [("conv.weight.time".to_string(), StateScalar::Uint(step))].into(),
        };
        let progress = Progress {
            step,
            loss_sum: 0.1 + 0.2,
            ..Progress::default()
        };
        Checkpoint {
            progress,
            networks: [("model".to_string(), network)].into(),
        }
    }

    fn store(folder: &Path) -> CheckpointStore {
        fs::create_dir_all(folder).unwrap();
        CheckpointStore::new(folder.to_owned(), 2)
    }

    #[test]
    fn what_is_written_is_read_back_to_the_bit() {
        let folder = tempfile::tempdir().unwrap();
        let written = checkpoint(3);
        let path = store(folder.path())
            .save(
                &written,
                &[("recipe.toml".into(), b"seed = 1".to_vec())],
                true,
            )
            .unwrap();
        let read = load(&path).unwrap();
        assert_eq!(read.progress, written.progress);
        let (read, written) = (&read.networks["model"], &written.networks["model"]);
        assert_eq!(read.weights, written.weights);
        assert_eq!(read.ema, written.ema);
        assert_eq!(read.optimizer, written.optimizer);
        assert_eq!(read.scalars, written.scalars);
        assert_eq!(
            fs::read_to_string(path.join("recipe.toml")).unwrap(),
            "seed = 1"
        );
    }

    #[test]
    fn the_same_step_once_more_writes_no_tensor() {
        let folder = tempfile::tempdir().unwrap();
        let store = store(folder.path());
        let path = store.save(&checkpoint(3), &[], false).unwrap();
        let file = path.join("model.safetensors");
        // Bytes that only stay if the file is not written again.
        fs::write(&file, b"untouched").unwrap();
        let mut again = checkpoint(3);
        again.progress.evaluated_at = Some(3);
        store.save(&again, &[], true).unwrap();
        assert_eq!(fs::read(&file).unwrap(), b"untouched");
        let told = fs::read(path.join(PROGRESS)).unwrap();
        let told: Stamped = serde_json::from_slice(&told).unwrap();
        assert_eq!(told.checked().unwrap(), again.progress);
        // A session that knows nothing of the folder writes it anew.
        let other = CheckpointStore::new(folder.path().to_owned(), 2);
        other.save(&again, &[], true).unwrap();
        assert_eq!(load(&path).unwrap().progress, again.progress);
    }

    #[test]
    fn a_progress_that_was_changed_is_damaged() {
        let folder = tempfile::tempdir().unwrap();
        let path = store(folder.path())
            .save(&checkpoint(3), &[], false)
            .unwrap();
        let text = fs::read_to_string(path.join(PROGRESS)).unwrap();
        fs::write(
            path.join(PROGRESS),
            text.replacen("\"step\": 3", "\"step\": 4", 1),
        )
        .unwrap();
        let error = load(&path).unwrap_err().to_string();
        assert!(
            error.contains("progress.json") && error.contains("SHA-256"),
            "{error}"
        );
        fs::remove_file(path.join(PROGRESS)).unwrap();
        assert!(
            load(&path)
                .unwrap_err()
                .to_string()
                .contains("progress.json")
        );
    }

    #[test]
    fn pruning_spares_best_and_last() {
        let folder = tempfile::tempdir().unwrap();
        let store = store(folder.path());
        for step in 1..=5 {
            store.save(&checkpoint(step), &[], step == 1).unwrap();
        }
        let steps: Vec<u64> = store.all().into_iter().map(|(step, _)| step).collect();
        assert_eq!(steps, [5, 4, 1]);
        assert!(store.pointed("best").unwrap().ends_with("step-1"));
        assert!(store.pointed("last").unwrap().ends_with("step-5"));
    }

    #[test]
    fn a_checkpoint_that_was_moved_aside_is_put_back() {
        let folder = tempfile::tempdir().unwrap();
        let store = store(folder.path());
        let target = store.save(&checkpoint(3), &[], true).unwrap();
        fs::rename(&target, folder.path().join(".step-3.old")).unwrap();
        let (path, loaded) = store.load_newest(|_| {}).unwrap();
        assert_eq!((path, loaded.progress.step), (target.clone(), 3));
        assert_eq!(store.pointed("best"), Some(target.clone()));
        // What pruning had begun to remove stays away.
        fs::rename(&target, folder.path().join(".step-3.old")).unwrap();
        fs::remove_file(folder.path().join(".step-3.old/state.json")).unwrap();
        assert!(matches!(
            store.load_newest(|_| {}),
            Err(CheckpointError::Missing { .. })
        ));
    }

    #[test]
    fn a_damaged_checkpoint_gives_way_to_the_one_before() {
        let folder = tempfile::tempdir().unwrap();
        let store = store(folder.path());
        store.save(&checkpoint(1), &[], false).unwrap();
        let newest = store.save(&checkpoint(2), &[], false).unwrap();
        let file = newest.join("model.safetensors");
        let mut bytes = fs::read(&file).unwrap();
        *bytes.last_mut().unwrap() ^= 1;
        fs::write(&file, bytes).unwrap();
        let mut warnings = Vec::new();
        let (_, loaded) = store.load_newest(|warning| warnings.push(warning)).unwrap();
        assert_eq!(loaded.progress.step, 1);
        assert!(warnings[0].contains("SHA-256"), "{warnings:?}");

        fs::remove_file(folder.path().join("step-1/model.safetensors")).unwrap();
        let error = store.load_newest(|_| {}).unwrap_err().to_string();
        assert!(error.contains("none of the 2 checkpoints"), "{error}");
    }
}
