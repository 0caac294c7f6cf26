//! The pictures of a folder, and names that stay in theirs.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Component, Path, PathBuf};

use crate::decode::EXTENSIONS;
use crate::error::DataError;

/// How many folders may lie in each other; more is most likely a loop of links.
const MAX_DEPTH: usize = 16;

/// The files of a folder and the folders in it that are images by their endings, by their names without them.
pub(super) struct Listing(BTreeMap<String, Vec<String>>);

impl Listing {
    /// Lists a folder and the folders in it.
    ///
    /// # Errors
    /// A folder that cannot be listed.
    pub fn of(folder: &Path) -> Result<Self, DataError> {
        let mut listing: BTreeMap<String, Vec<String>> = BTreeMap::new();
        for file in files_in(folder)? {
            if rank(&file) < EXTENSIONS.len()
                && let Some((stem, _)) = file.rsplit_once('.')
            {
                listing.entry(stem.to_owned()).or_default().push(file);
            }
        }
        for files in listing.values_mut() {
            files.sort_by_key(|file| rank(file));
        }
        Ok(Self(listing))
    }

    /// All files of a name without ending.
    pub fn called(&self, name: &str) -> &[String] {
        self.0.get(name).map_or(&[], Vec::as_slice)
    }

    /// All files, sorted.
    pub fn files(&self) -> Vec<&str> {
        let mut files: Vec<&str> = self.0.values().flatten().map(String::as_str).collect();
        files.sort_unstable();
        files
    }

    /// The file that a name with or without ending means: its name without ending, and itself.
    pub fn find(&self, name: &str) -> Option<(String, String)> {
        if let Some(files) = self.0.get(name) {
            return Some((name.to_owned(), files.first()?.clone()));
        }
        let (stem, _) = name.rsplit_once('.')?;
        let file = self.0.get(stem)?.iter().find(|file| *file == name)?;
        Some((stem.to_owned(), file.clone()))
    }
}

/// Files of labels with the pictures that they are about, in one folder or in folders of it.
pub(super) struct Beside {
    pub folder: PathBuf,
    pub labels: Vec<PathBuf>,
    pub pictures: BTreeSet<PathBuf>,
}

/// Lists the folder `part` of a dataset without the folders of other parts: files of labels have this ending.
///
/// # Errors
/// A folder that is missing or cannot be listed; `hint` says what it should be.
pub(super) fn beside(
    root: &Path,
    part: &Path,
    without: &[&Path],
    ending: &str,
    hint: &str,
) -> Result<Beside, DataError> {
    let folder = root.join(part);
    if !folder.is_dir() {
        let hint = hint.to_owned();
        return Err(DataError::Missing { path: folder, hint });
    }
    let mut found = Beside {
        labels: Vec::new(),
        pictures: BTreeSet::new(),
        folder,
    };
    for file in files_in(&found.folder)? {
        if without
            .iter()
            .any(|other| part.join(&file).starts_with(other))
        {
            continue;
        }
        let path = found.folder.join(&file);
        let is_labels = path
            .extension()
            .is_some_and(|of| of.eq_ignore_ascii_case(ending));
        if is_labels {
            found.labels.push(path);
        } else if rank(&file) < EXTENSIONS.len() {
            found.pictures.insert(path);
        }
    }
    Ok(found)
}

/// The files of a folder and the folders in it, relative to it and sorted; hidden ones and names that are no UTF-8 are left
/// out.
///
/// # Errors
/// A folder that cannot be listed, or that lies too deep.
pub(super) fn files_in(folder: &Path) -> Result<Vec<String>, DataError> {
    let mut files = Vec::new();
    add(folder, "", 0, &mut files)?;
    files.sort_unstable();
    Ok(files)
}

fn add(
    folder: &Path,
    prefix: &str,
    depth: usize,
    files: &mut Vec<String>,
) -> Result<(), DataError> {
    if depth > MAX_DEPTH {
        let reason = format!("more than {MAX_DEPTH} folders in each other; is it a loop of links?");
        return Err(DataError::unreadable(folder.display().to_string(), reason));
    }
    let fault = |error| DataError::io(folder, "list", error);
    for entry in std::fs::read_dir(folder).map_err(fault)? {
        let entry = entry.map_err(fault)?;
        let Ok(name) = entry.file_name().into_string() else {
            continue;
        };
        if name.starts_with('.') {
            continue;
        }
        let kind = entry.file_type().map_err(fault)?;
        match kind.is_dir() || (kind.is_symlink() && entry.path().is_dir()) {
            true => add(&entry.path(), &format!("{prefix}{name}/"), depth + 1, files)?,
            false => files.push(format!("{prefix}{name}")),
        }
    }
    Ok(())
}

/// The place of a file's ending among those that can be read, in capitals too.
fn rank(file: &str) -> usize {
    let ending = file
        .rsplit_once('.')
        .map(|(_, ending)| ending.to_lowercase());
    let place = EXTENSIONS
        .iter()
        .position(|known| Some(*known) == ending.as_deref());
    place.unwrap_or(EXTENSIONS.len())
}

/// A relative path without `.` and `..`, its parts put together by `/`; nothing where it leaves its folder.
pub(super) fn inside(name: &str) -> Option<String> {
    let mut parts: Vec<&str> = Vec::new();
    for part in Path::new(name).components() {
        match part {
            Component::Normal(part) => parts.push(part.to_str()?),
            Component::CurDir => {}
            Component::ParentDir if parts.pop().is_some() => {}
            _ => return None,
        }
    }
    (!parts.is_empty()).then(|| parts.join("/"))
}
