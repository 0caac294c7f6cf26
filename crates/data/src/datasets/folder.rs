//! Image folders: one folder a class, image files of any kind and depth below it.
//!
//! With a folder `train` that has folders in it, the dataset gives its splits itself: `train/<class>/*`, and
//! `validation` (or `val`, `valid`) and `test` in the same form, if they are there; `Training` and `Testing`, in any
//! case, are the same. Without, the folder itself holds the classes (`<class>/*`), and the splits are held out by
//! fraction. Classes are numbered by the sorted names of the training folders, files sorted by path; hidden files are
//! left out, files with other endings, and what lies beside the splits, are left out and remarked on. Folders that
//! are called like splits and cannot be any are refused: they are never taken for classes.
//!
//! ```
//! use firesight_data::datasets::folder::FolderConfig;
//!
//! let config = FolderConfig { path: "pets".into(), ..Default::default() };
//! let missing = config.open("/nowhere".as_ref()).err().unwrap();
//! assert!(missing.to_string().contains("/nowhere/pets"));
//! ```

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::problems::same_but_for_case;
use crate::decode::{self, Decoding, EXTENSIONS};
use crate::error::DataError;
use crate::sample::Sample;
use crate::source::{Remark, Source, Splits, out_of_range};
use crate::target::Target;

/// How many folders may lie in each other below a class; more is most likely a loop of links.
const MAX_DEPTH: usize = 16;

/// A folder of images sorted into one folder a class.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, rename_all = "kebab-case", deny_unknown_fields)]
pub struct FolderConfig {
    /// The folder, relative to the data root.
    pub path: PathBuf,
    /// How image files are read, and what one may cost.
    #[serde(alias = "limits")]
    pub decode: Decoding,
}

impl FolderConfig {
    /// How its image files are read.
    pub(super) fn decoding(&self) -> Decoding {
        self.decode
    }

    /// What is wrong with the values, as pairs of a dotted key inside this table and a message.
    pub fn problems(&self) -> Vec<(String, String)> {
        super::problems::path_problems(&self.path, "the images")
    }

    /// Lists the files; none is opened.
    ///
    /// # Errors
    /// A missing folder, a part without classes or images, classes that the training part does not have, folders
    /// called like splits that are none.
    pub fn open(&self, data_root: &Path) -> Result<Splits, DataError> {
        let root = data_root.join(&self.path);
        if !root.is_dir() {
            return Err(DataError::Missing {
                path: root,
                hint: "expected a folder with `train/<class>/` or `<class>/` folders in it".into(),
            });
        }
        let open = |part: &str, classes: Option<&[String]>| -> Result<Folder, DataError> {
            Folder::open(&root, part, classes, self.decode)
        };
        let fault = |reason: String| DataError::unreadable(root.display().to_string(), reason);
        let entries = list(&root)?;
        let folders: Vec<&str> = entries
            .iter()
            .filter(|(_, path)| path.is_dir())
            .map(|(name, _)| &**name)
            .collect();
        let named = |part: Part| -> Result<Option<&str>, DataError> {
            let mut there = folders.iter().filter(|name| Part::of(name) == Some(part));
            match (there.next(), there.next()) {
                (first, None) => Ok(first.copied()),
                (Some(one), Some(other))
                    if [one, other]
                        .iter()
                        .any(|name| has_folders(&root.join(name))) =>
                {
                    Err(fault(format!(
                        "both `{one}` and `{other}` are there; keep one of them"
                    )))
                }
                (first, Some(_)) => Ok(first.copied()),
            }
        };
        let train = named(Part::Train)?.filter(|name| has_folders(&root.join(name)));
        let Some(train_name) = train else {
            let parts: Vec<&str> = folders
                .iter()
                .filter(|name| Part::of(name).is_some())
                .copied()
                .collect();
            let nested = parts.iter().any(|name| has_folders(&root.join(name)));
            if parts.len() > 1 && (nested || parts.len() == folders.len()) {
                let parts = quoted(&parts);
                return Err(fault(match nested {
                    true => format!(
                        "{parts} are the names of splits, and none of them is a `train` with class folders in it"
                    ),
                    false => format!(
                        "{parts} are the names of splits, not of classes; expected class folders in them: \
                         `{}/<class>/`",
                        folders[0]
                    ),
                }));
            }
            let mut whole = open("", None)?;
            whole.refuse_inner_splits()?;
            if let [part] = parts[..] {
                whole
                    .remarks
                    .push(Remark::new(part, "taken for a class, not for a split"));
            }
            return Ok(Splits {
                train: Arc::new(whole),
                validation: None,
                test: None,
            });
        };
        let mut train = open(train_name, None)?;
        train.refuse_inner_splits()?;
        let given = |part: Part| -> Result<Option<Named<'_>>, DataError> {
            let Some(name) = named(part)? else {
                return Ok(None);
            };
            let part = open(name, Some(&train.classes))?;
            Ok(Some((name, Arc::new(part))))
        };
        let (validation, test) = (given(Part::Validation)?, given(Part::Test)?);
        let used: Vec<&str> = [Some(train_name)]
            .into_iter()
            .chain([&validation, &test].map(|part| part.as_ref().map(|(name, _)| *name)))
            .flatten()
            .collect();
        if used
            .iter()
            .any(|name| !["train", "validation", "val", "valid", "test"].contains(name))
        {
            let message = format!("{} are taken for the dataset's splits", quoted(&used));
            train
                .remarks
                .push(Remark::new(self.path.display().to_string(), message));
        }
        for (name, _) in entries.iter().filter(|(name, _)| !used.contains(&&**name)) {
            let message = format!("it lies beside `{train_name}` and is no split, left out");
            train.remarks.push(Remark::new(&**name, message));
        }
        Ok(Splits {
            train: Arc::new(train),
            validation: validation.map(|(_, part)| part),
            test: test.map(|(_, part)| part),
        })
    }
}

/// A part with the name of its folder.
type Named<'a> = (&'a str, Arc<dyn Source>);

/// The parts of a dataset, by the names of folders.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Part {
    Train,
    Validation,
    Test,
}

impl Part {
    /// The part that a folder's name means, in any case.
    fn of(name: &str) -> Option<Self> {
        match &*name.to_lowercase() {
            "train" | "training" => Some(Self::Train),
            "validation" | "val" | "valid" => Some(Self::Validation),
            "test" | "testing" => Some(Self::Test),
            _ => None,
        }
    }
}

/// Names for a message: `a`, `b` and `c`.
fn quoted(names: &[&str]) -> String {
    let mut quoted: Vec<String> = names.iter().map(|name| format!("`{name}`")).collect();
    match quoted.pop() {
        Some(last) if !quoted.is_empty() => format!("{} and {last}", quoted.join(", ")),
        last => last.unwrap_or_default(),
    }
}

/// Whether a folder is there and has folders in it. A folder `train` with nothing but images is a class.
fn has_folders(folder: &Path) -> bool {
    list(folder).is_ok_and(|entries| entries.iter().any(|(_, path)| path.is_dir()))
}

/// One part of an image folder.
struct Folder {
    root: PathBuf,
    files: Vec<Entry>,
    classes: Vec<String>,
    decode: Decoding,
    remarks: Vec<Remark>,
}

struct Entry {
    /// Relative to the root.
    path: PathBuf,
    class: usize,
    bytes: u64,
}

impl Folder {
    fn open(
        root: &Path,
        part: &str,
        classes: Option<&[String]>,
        decode: Decoding,
    ) -> Result<Self, DataError> {
        let base = root.join(part);
        let mut names = Vec::new();
        let mut remarks = Vec::new();
        for (name, path) in list(&base)? {
            if !path.is_dir() {
                remarks.push(Remark::new(
                    shown(root, &path),
                    "outside a class folder, left out",
                ));
            } else if name == "__MACOSX" {
                let message = "what a Mac's archives have beside the files, left out";
                remarks.push(Remark::new(shown(root, &path), message));
            } else {
                names.push((name, path));
            }
        }
        let trains = classes.is_none();
        let classes = match classes {
            Some(classes) => {
                refuse_unknown(&base, &names, classes)?;
                classes.to_vec()
            }
            None => {
                refuse_labels(&base, &names)?;
                names.iter().map(|(name, _)| name.clone()).collect()
            }
        };
        let mut files = Vec::new();
        for (name, path) in &names {
            let Some(class) = classes.iter().position(|class| class == name) else {
                continue;
            };
            let before = files.len();
            walk(
                root,
                path,
                class,
                0,
                decode.extensions(),
                &mut files,
                &mut remarks,
            )?;
            if files.len() == before {
                remarks.push(Remark::new(shown(root, path), "a class without images"));
            }
        }
        let same = if trains {
            same_but_for_case(&classes)
        } else {
            Vec::new()
        };
        for (name, other) in same {
            let message = format!("it differs from the class `{other}` in case alone");
            remarks.push(Remark::new(shown(root, &base.join(name)), message));
        }
        if let [(name, path)] = &names[..]
            && part.is_empty()
            && has_folders(path)
        {
            let message = format!(
                "the only class, with folders in it; if they are the classes, add `{name}` to `path`"
            );
            remarks.push(Remark::new(shown(root, path), message));
        }
        if files.is_empty() {
            return Err(DataError::Missing {
                path: base,
                hint: format!(
                    "no class folders with images in it (known endings: {})",
                    decode.extensions().join(", ")
                ),
            });
        }
        Ok(Self {
            root: root.to_path_buf(),
            files,
            classes,
            decode,
            remarks,
        })
    }

    /// Refuses `<class>/train/` and `<class>/test/`: images to test by would be trained on.
    fn refuse_inner_splits(&self) -> Result<(), DataError> {
        let mut inner: BTreeMap<PathBuf, BTreeSet<String>> = BTreeMap::new();
        for file in &self.files {
            for folder in file.path.ancestors().skip(1) {
                let name = folder.file_name().unwrap_or_default().to_string_lossy();
                if let (Some(above), Some(_)) = (folder.parent(), Part::of(&name))
                    && !above.as_os_str().is_empty()
                {
                    let names = inner.entry(above.to_path_buf()).or_default();
                    names.insert(name.into_owned());
                }
            }
        }
        let several = |(_, names): &(_, &BTreeSet<String>)| {
            let mut parts = names.iter().map(|name| Part::of(name));
            let first = parts.next();
            first.is_some_and(|first| parts.any(|part| part != first))
        };
        match inner.iter().find(several) {
            Some((folder, names)) => {
                let names: Vec<&str> = names.iter().map(String::as_str).collect();
                let names = quoted(&names);
                Err(DataError::unreadable(
                    self.root.join(folder).display().to_string(),
                    format!(
                        "splits inside a class ({names}); expected `train/<class>/` and `test/<class>/`"
                    ),
                ))
            }
            None => Ok(()),
        }
    }
}

/// Refuses a folder of pictures with a folder of labels beside it: neither is a class.
fn refuse_labels(base: &Path, names: &[(String, PathBuf)]) -> Result<(), DataError> {
    let among = |known: &[&str]| {
        let is_one = |(name, _): &&(String, PathBuf)| known.contains(&&*name.to_lowercase());
        names.iter().find(is_one)
    };
    let pictures = among(&["images", "image", "imgs", "img", "jpegimages"]);
    let labels = among(&["labels", "label", "masks", "mask", "annotations", "annots"]);
    let (Some((pictures, _)), Some((labels, folder))) = (pictures, labels) else {
        return Ok(());
    };
    let found = endings(folder, 0)?;
    let has = |ending: &str| found.contains(ending);
    let what = if EXTENSIONS.iter().any(|ending| has(ending)) {
        "masks, which are read by `source = { pairs = .. }` where a class for every pixel is learnt"
    } else if has("txt") {
        "labels as YOLO has them, which are read by `source = { yolo = .. }` where boxes or masks are learnt, with a \
         `data.yaml`"
    } else if has("xml") {
        "Pascal VOC's annotations, which are read by `source = { voc = .. }` where boxes are learnt"
    } else if has("json") {
        "annotations, which are read by `source = { coco = .. }` if they are COCO's"
    } else {
        return Ok(());
    };
    Err(DataError::unreadable(
        base.display().to_string(),
        format!(
            "`{pictures}` and `{labels}` look like pictures and their {what}, not like two classes"
        ),
    ))
}

/// The endings, in lower case, of the files in a folder and in its folders.
fn endings(folder: &Path, depth: usize) -> Result<BTreeSet<String>, DataError> {
    let mut found = BTreeSet::new();
    for (_, path) in list(folder)? {
        if path.is_dir() && depth < 2 {
            found.append(&mut endings(&path, depth + 1)?);
        }
        let ending = path.extension().unwrap_or_default();
        found.insert(ending.to_string_lossy().to_lowercase());
    }
    Ok(found)
}

/// Refuses class folders of a part that the training folder does not have, all of them at once.
fn refuse_unknown(
    base: &Path,
    names: &[(String, PathBuf)],
    classes: &[String],
) -> Result<(), DataError> {
    let unknown: Vec<&str> = names
        .iter()
        .map(|(name, _)| &**name)
        .filter(|name| !classes.iter().any(|class| class == name))
        .collect();
    let known = classes.len();
    let reason = match unknown[..] {
        [] => return Ok(()),
        [one] => {
            let same = |class: &&String| class.to_lowercase() == one.to_lowercase();
            let near = classes.iter().find(same);
            let near = near.map_or(String::new(), |near| format!("; `{near}` differs in case"));
            format!("class `{one}` is none of the training folder's ({known} of them){near}")
        }
        ref several => {
            let (shown, more) = several.split_at(several.len().min(20));
            let more = if more.is_empty() { "" } else { " and others" };
            format!(
                "the classes {}{more} are none of the training folder's ({known} of them)",
                quoted(shown)
            )
        }
    };
    let at = match unknown[..] {
        [one] => base.join(one),
        _ => base.to_path_buf(),
    };
    Err(DataError::unreadable(at.display().to_string(), reason))
}

/// What lies in a folder and is not hidden, by name.
fn list(folder: &Path) -> Result<Vec<(String, PathBuf)>, DataError> {
    let fault = |error| DataError::io(folder, "list", error);
    let mut entries = Vec::new();
    for entry in std::fs::read_dir(folder).map_err(fault)? {
        let entry = entry.map_err(fault)?;
        let name = entry.file_name().to_string_lossy().into_owned();
        if !name.starts_with('.') {
            entries.push((name, entry.path()));
        }
    }
    entries.sort();
    Ok(entries)
}

/// Adds the images below `folder`. Links are followed; one that leads nowhere is an entry that cannot be read.
fn walk(
    root: &Path,
    folder: &Path,
    class: usize,
    depth: usize,
    endings: &[&str],
    files: &mut Vec<Entry>,
    remarks: &mut Vec<Remark>,
) -> Result<(), DataError> {
    if depth > MAX_DEPTH {
        return Err(DataError::unreadable(
            folder.display().to_string(),
            format!("more than {MAX_DEPTH} folders in each other; is it a loop of links?"),
        ));
    }
    for (_, path) in list(folder)? {
        let metadata = std::fs::metadata(&path).ok();
        if metadata.as_ref().is_some_and(|metadata| metadata.is_dir()) {
            walk(root, &path, class, depth + 1, endings, files, remarks)?;
        } else if metadata
            .as_ref()
            .is_some_and(|metadata| !metadata.is_file())
        {
            remarks.push(Remark::new(
                shown(root, &path),
                "not a regular file, left out",
            ));
        } else if !has_image_extension(&path, endings) {
            remarks.push(Remark::new(
                shown(root, &path),
                "not the ending of an image file, left out",
            ));
        } else {
            files.push(Entry {
                path: path.strip_prefix(root).unwrap_or(&path).to_path_buf(),
                class,
                bytes: metadata.map_or(0, |metadata| metadata.len()),
            });
        }
    }
    Ok(())
}

fn has_image_extension(path: &Path, known: &[&str]) -> bool {
    let extension = path
        .extension()
        .map(|extension| extension.to_string_lossy().to_lowercase());
    extension.is_some_and(|extension| known.contains(&extension.as_str()))
}

/// A path relative to the root, with `/` on every platform.
fn shown(root: &Path, path: &Path) -> String {
    let path = path.strip_prefix(root).unwrap_or(path);
    path.components()
        .map(|part| part.as_os_str().to_string_lossy())
        .collect::<Vec<_>>()
        .join("/")
}

impl Source for Folder {
    fn len(&self) -> usize {
        self.files.len()
    }

    fn read(&self, index: usize) -> Result<Sample, DataError> {
        let entry = self.files.get(index).ok_or_else(|| {
            out_of_range(index, self.files.len(), self.root.display().to_string())
        })?;
        Ok(Sample {
            image: decode::picture_file(&self.root.join(&entry.path), &self.decode)?,
            target: Target::of_class(entry.class),
        })
    }

    fn origin(&self, index: usize) -> String {
        self.files.get(index).map_or_else(String::new, |entry| {
            shown(&self.root, &self.root.join(&entry.path))
        })
    }

    fn file(&self, index: usize) -> Option<PathBuf> {
        Some(self.root.join(&self.files.get(index)?.path))
    }

    fn classes(&self) -> &[String] {
        &self.classes
    }

    fn class_of(&self, index: usize) -> Option<usize> {
        self.files.get(index).map(|entry| entry.class)
    }

    fn dimensions(&self, index: usize) -> Result<Option<[usize; 3]>, DataError> {
        let Some(entry) = self.files.get(index) else {
            return Ok(None);
        };
        let path = self.root.join(&entry.path);
        decode::file_dimensions(&path, &self.decode).map(Some)
    }

    fn identity(&self, index: usize) -> Vec<u8> {
        let bytes = self.files.get(index).map_or(0, |entry| entry.bytes);
        format!("{} {bytes}", self.origin(index)).into_bytes()
    }

    fn remarks(&self) -> Vec<Remark> {
        self.remarks.clone()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::datasets::SourceConfig;
    use crate::split::{HoldOut, SplitConfig};

    fn put(root: &Path, path: &str, color: u8) {
        let path = root.join(path);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        image::RgbImage::from_pixel(3, 2, image::Rgb([color; 3]))
            .save(path)
            .unwrap();
    }

    fn config(root: &Path) -> FolderConfig {
        FolderConfig {
            path: root.into(),
            ..Default::default()
        }
    }

    #[test]
    fn given_parts_are_read_in_order_and_share_the_classes() {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path();
        put(root, "train/dog/b.png", 1);
        put(root, "train/dog/a.PNG", 2);
        put(root, "train/cat/deep/er/c.bmp", 3);
        put(root, "val/dog/x.png", 4);
        std::fs::write(root.join("train/dog/notes.txt"), "x").unwrap();
        std::fs::write(root.join("train/.DS_Store"), "x").unwrap();
        let splits = config(root).open(Path::new("")).unwrap();
        let train = &splits.train;
        let origins: Vec<String> = (0..train.len()).map(|index| train.origin(index)).collect();
        assert_eq!(
            origins,
            [
                "train/cat/deep/er/c.bmp",
                "train/dog/a.PNG",
                "train/dog/b.png"
            ]
        );
        assert_eq!(
            (train.classes(), train.class_of(0)),
            (&["cat".to_string(), "dog".into()][..], Some(0))
        );
        assert_eq!(
            train.read(1).unwrap().image.bytes().unwrap().pixels,
            [2; 18]
        );
        assert_eq!(
            train.remarks(),
            [Remark::new(
                "train/dog/notes.txt",
                "not the ending of an image file, left out"
            )]
        );
        assert_eq!(splits.validation.unwrap().class_of(0), Some(1));
        assert!(splits.test.is_none());

        put(root, "test/bird/x.png", 4);
        let error = config(root).open(Path::new("")).err().unwrap().to_string();
        assert!(
            error.contains("class `bird` is none of the training folder's (2 of them)"),
            "{error}"
        );
    }

    #[test]
    fn a_flat_folder_is_split_by_fraction() {
        let folder = tempfile::tempdir().unwrap();
        for number in 0..20u8 {
            put(
                folder.path(),
                &format!("{}/{number:02}.png", ["a", "b"][usize::from(number % 2)]),
                number,
            );
        }
        let split = SplitConfig {
            validation: HoldOut::Fraction(0.2),
            test: HoldOut::Fraction(0.1),
            ..Default::default()
        };
        let splits = SourceConfig::Folder(config(folder.path()))
            .open(Path::new(""), &split, 7)
            .unwrap();
        let (validation, test) = (splits.validation.unwrap(), splits.test.unwrap());
        assert_eq!(
            (splits.train.len(), validation.len(), test.len()),
            (14, 4, 2)
        );
        assert_ne!(test.class_of(0), test.class_of(1));
    }

    fn refused(files: &[&str]) -> String {
        let folder = tempfile::tempdir().unwrap();
        (1..)
            .zip(files)
            .for_each(|(number, file)| put(folder.path(), file, number));
        let error = config(folder.path()).open(Path::new("")).err();
        error.map_or_else(|| panic!("{files:?} is read"), |error| error.to_string())
    }

    fn opened(files: &[&str]) -> Splits {
        let folder = tempfile::tempdir().unwrap();
        (1..)
            .zip(files)
            .for_each(|(number, file)| put(folder.path(), file, number));
        config(folder.path()).open(Path::new("")).unwrap()
    }

    #[test]
    fn splits_are_known_by_other_names_and_in_any_case() {
        for [train, validation, test] in [
            ["Training", "Validation", "Testing"],
            ["TRAIN", "VAL", "TEST"],
            ["training", "valid", "test"],
        ] {
            let splits = opened(&[
                &format!("{train}/cat/1.png"),
                &format!("{train}/dog/1.png"),
                &format!("{validation}/cat/2.png"),
                &format!("{test}/dog/3.png"),
            ]);
            assert_eq!(splits.train.classes(), ["cat", "dog"]);
            let (validation, test) = (splits.validation.unwrap(), splits.test.unwrap());
            assert_eq!(
                (validation.class_of(0), test.class_of(0)),
                (Some(0), Some(1))
            );
            let remarks = splits.train.remarks();
            assert!(
                remarks[0].message.contains(&format!("`{train}`")),
                "{remarks:?}"
            );
            assert!(
                remarks[0]
                    .message
                    .contains("taken for the dataset's splits")
            );
        }
    }

    #[test]
    fn folders_called_like_splits_are_never_classes() {
        let found = refused(&["train/1.png", "test/2.png"]);
        assert!(
            found.contains("`test` and `train` are the names of splits, not of classes"),
            "{found}"
        );
        let found = refused(&["val/cat/1.png", "test/cat/2.png"]);
        assert!(
            found.contains("none of them is a `train` with class folders"),
            "{found}"
        );
        let found = refused(&["train/cat/1.png", "Training/cat/2.png"]);
        assert!(
            found.contains("both `Training` and `train` are there"),
            "{found}"
        );
        let found = refused(&["cat/train/1.png", "cat/test/2.png", "dog/train/3.png"]);
        assert!(
            found.contains("cat: splits inside a class (`test` and `train`)"),
            "{found}"
        );
        let found = refused(&["pets/train/cat/1.png", "pets/test/cat/2.png"]);
        assert!(found.contains("pets: splits inside a class"), "{found}");
    }

    #[test]
    fn pictures_and_their_labels_are_not_two_classes() {
        for (labels, message) in [
            ("masks/1.png", "pairs"),
            ("labels/train/1.txt", "YOLO"),
            ("Annotations/1.xml", "voc"),
            ("annotations/all.json", "coco"),
        ] {
            for part in ["", "train/"] {
                let folder = tempfile::tempdir().unwrap();
                put(folder.path(), &format!("{part}images/train/1.png"), 1);
                let file = folder.path().join(format!("{part}{labels}"));
                std::fs::create_dir_all(file.parent().unwrap()).unwrap();
                std::fs::write(file, "").unwrap();
                let error = config(folder.path()).open(Path::new("")).err();
                let error = error.expect(labels).to_string();
                let (name, _) = labels.split_once('/').unwrap();
                let said = format!("`images` and `{name}` look like pictures and their");
                assert!(error.contains(&said) && error.contains(message), "{error}");
            }
        }
        let classes = opened(&["images/1.png", "labels.png/2.png"]).train;
        assert_eq!(classes.classes(), ["images", "labels.png"]);
    }

    #[test]
    fn what_lies_beside_the_splits_and_the_classes_is_remarked_on() {
        let splits = opened(&[
            "train/cat/1.png",
            "train/dog/2.png",
            "unlabelled/3.png",
            "extra/cat/4.png",
        ]);
        assert_eq!(splits.train.len(), 2);
        let origins: Vec<String> = splits
            .train
            .remarks()
            .into_iter()
            .map(|r| r.origin)
            .collect();
        assert_eq!(origins, ["extra", "unlabelled"]);
        let splits = opened(&[
            "cat/1.png",
            "dog/2.png",
            "3.png",
            "__MACOSX/._1.png",
            "Dog/4.png",
        ]);
        assert_eq!(splits.train.classes(), ["Dog", "cat", "dog"]);
        let text = format!("{:?}", splits.train.remarks());
        for expected in [
            "3.png",
            "outside a class folder",
            "__MACOSX",
            "`Dog` in case alone",
        ] {
            assert!(text.contains(expected), "{expected}\n{text}");
        }
    }

    #[test]
    fn one_folder_too_high_is_remarked_on() {
        let splits = opened(&["pets/cat/1.png", "pets/dog/2.png"]);
        assert_eq!(splits.train.classes(), ["pets"]);
        let remark = &splits.train.remarks()[0];
        assert!(
            remark.message.contains("add `pets` to `path`"),
            "{}",
            remark.message
        );
    }

    #[test]
    fn classes_that_training_lacks_are_all_named() {
        let found = refused(&[
            "train/cat/1.png",
            "test/cat/2.png",
            "test/cow/3.png",
            "test/pig/4.png",
        ]);
        assert!(
            found.contains(
                "the classes `cow` and `pig` are none of the training folder's (1 of them)"
            ),
            "{found}"
        );
        let found = refused(&["train/Cat/1.png", "train/dog/2.png", "test/cat/2.png"]);
        assert!(
            found.contains("class `cat` is none of the training folder's (2 of them)")
                && found.contains("`Cat` differs in case"),
            "{found}"
        );
    }

    #[test]
    fn a_header_tells_the_size() {
        let folder = tempfile::tempdir().unwrap();
        put(folder.path(), "a/1.png", 1);
        let splits = config(folder.path()).open(Path::new("")).unwrap();
        let image = splits.train.read(0).unwrap().image;
        let size = splits.train.dimensions(0).unwrap();
        assert_eq!(
            size,
            Some([image.size()[0], image.size()[1], image.channels()])
        );
    }

    #[test]
    fn a_class_may_be_called_train() {
        let folder = tempfile::tempdir().unwrap();
        put(folder.path(), "bus/1.png", 1);
        put(folder.path(), "train/1.png", 2);
        let splits = config(folder.path()).open(Path::new("")).unwrap();
        assert_eq!(splits.train.classes(), ["bus", "train"]);
    }

    #[test]
    fn what_is_missing_or_broken_is_named() {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path();
        let fault = |path: &Path| config(path).open(Path::new("")).err().unwrap().to_string();
        assert!(fault(&root.join("none")).contains("none: not found"));
        assert!(fault(root).contains("no class folders with images"));
        put(root, "a/1.png", 1);
        std::fs::write(root.join("a/2.jpg"), "<html>").unwrap();
        let splits = config(root).open(Path::new("")).unwrap();
        let error = splits.train.read(1).unwrap_err();
        assert!(
            error.is_bad_sample() && error.to_string().contains("a/2.jpg: not a JPEG"),
            "{error}"
        );
    }

    #[cfg(unix)]
    #[test]
    fn links_that_loop_or_lead_nowhere_end() {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path();
        put(root, "a/1.png", 1);
        std::os::unix::fs::symlink(root.join("gone.png"), root.join("a/2.png")).unwrap();
        let splits = config(root).open(Path::new("")).unwrap();
        assert!(
            splits
                .train
                .read(1)
                .unwrap_err()
                .to_string()
                .contains("2.png: cannot open")
        );
        std::os::unix::fs::symlink(root.join("a"), root.join("a/loop")).unwrap();
        let error = config(root).open(Path::new("")).err().unwrap().to_string();
        assert!(error.contains("loop of links"), "{error}");
    }
}
