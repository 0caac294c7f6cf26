//! From the paths of a `data.yaml` to its pictures and their label files.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::path::{Component, Path, PathBuf};

use super::super::listing::Listing;
use super::super::objects::{Tally, shown};
use super::super::text::utf8;
use super::description::{Description, Text};
use crate::decode::EXTENSIONS;
use crate::error::DataError;
use crate::source::Remark;

/// A picture and where its labels are, or would be.
pub(super) struct Listed {
    /// How messages and reports name it.
    pub name: String,
    /// Its file; or why there is none.
    pub file: Result<PathBuf, Remark>,
    pub labels: PathBuf,
}

/// Where a dataset lies.
pub(super) struct Place<'a> {
    /// How messages name the `data.yaml`.
    description: String,
    root: PathBuf,
    data_root: &'a Path,
}

impl<'a> Place<'a> {
    /// Finds the folder of a dataset.
    ///
    /// # Errors
    /// A `path` that is not there, where its own folder does not hold the training pictures either.
    pub fn find(description: &mut Description, data_root: &'a Path) -> Result<Self, DataError> {
        let folder = &description.folder;
        let at = |root: PathBuf| Self {
            description: description.shown.clone(),
            root,
            data_root,
        };
        let Some(Text { text, line }) = &description.path else {
            return Ok(at(folder.clone()));
        };
        let written = slashed(text);
        let tried = [folder.join(&*written), data_root.join(&*written)];
        if let Some(root) = tried.iter().find(|path| path.is_dir()) {
            return Ok(at(root.clone()));
        }
        let own = at(folder.clone());
        let place = format!("{}:{line}", description.shown);
        if own.find_path(&description.train[0].text).is_none() {
            let [one, other] = tried.map(|path| shown(&path));
            let tried = match one == other {
                true => format!("there is no folder {one}"),
                false => format!("there is neither {one} nor {other}"),
            };
            return Err(DataError::unreadable(place, format!("`path`: {tried}")));
        }
        let message = format!(
            "`path` ({text}) is not there; the folder of the file holds the pictures and is taken"
        );
        description.remarks.push(Remark::new(place, message));
        Ok(own)
    }

    /// A file or folder that is there, and whether `../` was left out for it.
    fn find_path(&self, text: &str) -> Option<(PathBuf, bool)> {
        let written = slashed(text);
        let path = self.root.join(&*written);
        if path.exists() {
            return Some((path, false));
        }
        let inner = self.root.join(written.strip_prefix("../")?);
        inner.exists().then_some((inner, true))
    }

    /// The pictures that the paths of a part name, in order, each once.
    ///
    /// # Errors
    /// A path that is not there, is neither folder nor list, or holds no picture.
    pub fn pictures(
        &self,
        texts: &[Text],
        remarks: &mut Vec<Remark>,
    ) -> Result<Vec<Listed>, DataError> {
        let mut found: Vec<Listed> = Vec::new();
        let mut seen: HashMap<PathBuf, String> = HashMap::new();
        let mut tally = Tally::default();
        for Text { text, line } in texts {
            let place = format!("{}:{line}", self.description);
            let Some((path, shortened)) = self.find_path(text) else {
                let reason = format!("`{text}`: there is no {}", shown(&self.root.join(text)));
                return Err(DataError::unreadable(place, reason));
            };
            if shortened {
                let message = format!("`{text}` is not there; {} is taken", shown(&path));
                remarks.push(Remark::new(&*place, message));
            }
            let listed = match path.is_dir() {
                true => self.in_folder(&path, &mut tally)?,
                false => self.in_list(&path)?,
            };
            if listed.is_empty() {
                let endings = EXTENSIONS.join(", ");
                let reason =
                    format!("holds no picture (known endings: {endings}); {place} names it");
                return Err(DataError::unreadable(shown(&path), reason));
            }
            for (origin, picture) in listed {
                let key = picture.file.as_ref().ok().cloned();
                match key.and_then(|key| seen.insert(key, origin.clone())) {
                    Some(first) => tally
                        .add("the picture is named already, and is taken once", || {
                            format!("{origin} ({first})")
                        }),
                    None => found.push(picture),
                }
            }
        }
        remarks.extend(tally.remarks());
        Ok(found)
    }

    /// The pictures of a folder and the folders in it, each with its own name as the place that names it.
    fn in_folder(
        &self,
        folder: &Path,
        tally: &mut Tally,
    ) -> Result<Vec<(String, Listed)>, DataError> {
        let listing = Listing::of(folder)?;
        let mut labels: BTreeMap<PathBuf, BTreeSet<PathBuf>> = BTreeMap::new();
        let mut found = Vec::new();
        for file in listing.files() {
            let listed = self.listed(folder.join(file));
            let folder = listed
                .labels
                .parent()
                .unwrap_or(Path::new(""))
                .to_path_buf();
            labels
                .entry(folder)
                .or_default()
                .insert(listed.labels.clone());
            found.push((listed.name.clone(), listed));
        }
        for (folder, known) in &labels {
            // Texts beside pictures may be about anything.
            if !folder
                .components()
                .any(|part| part == Component::Normal("labels".as_ref()))
            {
                continue;
            }
            let files = std::fs::read_dir(folder)
                .into_iter()
                .flatten()
                .flatten()
                .map(|entry| entry.path());
            let is_alone = |path: &PathBuf| {
                path.extension().is_some_and(|ending| ending == "txt")
                    && path.file_name().is_some_and(|name| name != "classes.txt")
                    && !known.contains(path)
            };
            let mut alone: Vec<PathBuf> = files.filter(is_alone).collect();
            alone.sort();
            for path in alone {
                tally.add("labels without a picture, left out", || shown(&path));
            }
        }
        Ok(found)
    }

    /// The pictures that the lines of a list name, each with its line.
    fn in_list(&self, list: &Path) -> Result<Vec<(String, Listed)>, DataError> {
        let shown_list = shown(list);
        if list.extension().is_none_or(|ending| ending != "txt") {
            let reason = "neither a folder nor a list (`.txt`) of pictures";
            return Err(DataError::unreadable(shown_list, reason));
        }
        let bytes = std::fs::read(list).map_err(|error| DataError::io(list, "read", error))?;
        let text = utf8(&bytes).map_err(|reason| DataError::unreadable(&*shown_list, reason))?;
        let folder = list.parent().unwrap_or(Path::new(""));
        let mut found = Vec::new();
        for (number, line) in (1..).zip(text.lines()) {
            let line = line.trim();
            if line.is_empty() {
                continue;
            }
            let place = format!("{shown_list}:{number}");
            let written = slashed(line);
            let starts = match written.starts_with("./") {
                true => [folder, &self.root, self.data_root],
                false => [&*self.root, folder, self.data_root],
            };
            let mut paths = starts.iter().map(|start| start.join(&*written));
            let listed = match paths.find(|path| path.is_file()) {
                Some(path) => self.listed(path),
                None => {
                    let reason = format!(
                        "`{line}` names no picture: there is no {}",
                        shown(&starts[0].join(&*written))
                    );
                    Listed {
                        file: Err(Remark::new(&*place, reason)),
                        ..self.listed(starts[0].join(&*written))
                    }
                }
            };
            found.push((place, listed));
        }
        Ok(found)
    }

    fn listed(&self, path: PathBuf) -> Listed {
        let name = path.strip_prefix(&self.root).unwrap_or(&path);
        Listed {
            name: shown(name),
            labels: labels_of(&path),
            file: Ok(path),
        }
    }
}

/// Where the labels of a picture are: where its last folder `images` is called `labels`, or beside it.
fn labels_of(picture: &Path) -> PathBuf {
    let beside = picture.with_extension("txt");
    let folders = picture.parent().into_iter().flat_map(Path::ancestors);
    let images = folders
        .into_iter()
        .find(|folder| folder.file_name().is_some_and(|name| name == "images"));
    let Some(images) = images else { return beside };
    let Ok(below) = beside.strip_prefix(images) else {
        return beside;
    };
    let mirrored = images.with_file_name("labels").join(below);
    match !mirrored.is_file() && beside.is_file() {
        true => beside,
        false => mirrored,
    }
}

/// A path that was written on Windows, or any other.
fn slashed(text: &str) -> std::borrow::Cow<'_, str> {
    match text.contains('\\') {
        true => text.replace('\\', "/").into(),
        false => text.into(),
    }
}
