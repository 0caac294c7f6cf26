//! Image folders: one folder a class, image files of any kind and depth below it.
//!
//! With a folder `train` that has folders in it, the dataset gives its splits itself: `train/<class>/*`, and
//! `validation` (or `val`, `valid`) and `test` in the same form, if they are there. Without, the folder itself
//! holds the classes (`<class>/*`), and the splits are held out by fraction. Classes are numbered by the sorted
//! names of the training folders, files sorted by path; hidden files are left out, files with other endings are
//! left out and remarked on.
//!
//! ```
//! use firesight_data::datasets::folder::FolderConfig;
//!
//! let config = FolderConfig { path: "pets".into(), ..Default::default() };
//! let missing = config.open("/nowhere".as_ref()).err().unwrap();
//! assert!(missing.to_string().contains("/nowhere/pets"));
//! ```

use std::path::{Path, PathBuf};
use std::sync::Arc;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::decode::{self, DecodeLimits, EXTENSIONS};
use crate::error::DataError;
use crate::sample::{Label, Sample};
use crate::source::{Remark, Source, Splits, out_of_range};

/// How many folders may lie in each other below a class; more is most likely a loop of links.
const MAX_DEPTH: usize = 16;

/// A folder of images sorted into one folder a class.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, rename_all = "kebab-case", deny_unknown_fields)]
pub struct FolderConfig {
    /// The folder, relative to the data root.
    pub path: PathBuf,
    /// What one image file may cost.
    pub limits: DecodeLimits,
}

impl FolderConfig {
    /// What is wrong with the values, as pairs of a dotted key inside this table and a message.
    pub fn problems(&self) -> Vec<(String, String)> {
        super::path_problems(&self.path, "the images")
    }

    /// Lists the files; none is opened.
    ///
    /// # Errors
    /// A missing folder, a part without classes or images, a class that the training part does not have.
    pub fn open(&self, data_root: &Path) -> Result<Splits, DataError> {
        let root = data_root.join(&self.path);
        if !root.is_dir() {
            return Err(DataError::Missing {
                path: root,
                hint: "expected a folder with `train/<class>/` or `<class>/` folders in it".into(),
            });
        }
        let open = |part: &str, classes: Option<&[String]>| -> Result<Arc<dyn Source>, DataError> {
            Ok(Arc::new(Folder::open(&root, part, classes, self.limits)?))
        };
        if !has_folders(&root.join("train")) {
            return Ok(Splits {
                train: open("", None)?,
                validation: None,
                test: None,
            });
        }
        let train = open("train", None)?;
        let given = |names: &[&str]| -> Result<Option<Arc<dyn Source>>, DataError> {
            let there: Vec<&&str> = names
                .iter()
                .filter(|name| root.join(name).is_dir())
                .collect();
            match there[..] {
                [] => Ok(None),
                [name] => open(name, Some(train.classes())).map(Some),
                [one, other, ..] => Err(DataError::unreadable(
                    root.display().to_string(),
                    format!("both `{one}` and `{other}` are there; keep one of them"),
                )),
            }
        };
        let (validation, test) = (given(&["validation", "val", "valid"])?, given(&["test"])?);
        Ok(Splits {
            train,
            validation,
            test,
        })
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
    limits: DecodeLimits,
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
        limits: DecodeLimits,
    ) -> Result<Self, DataError> {
        let base = root.join(part);
        let mut names = Vec::new();
        let mut remarks = Vec::new();
        for (name, path) in list(&base)? {
            if path.is_dir() {
                names.push((name, path));
            } else {
                remarks.push(Remark::new(
                    shown(root, &path),
                    "outside a class folder, left out",
                ));
            }
        }
        let classes = match classes {
            Some(classes) => classes.to_vec(),
            None => names.iter().map(|(name, _)| name.clone()).collect(),
        };
        let mut files = Vec::new();
        for (name, path) in &names {
            let class = classes
                .iter()
                .position(|class| class == name)
                .ok_or_else(|| {
                    let known = classes.len();
                    DataError::unreadable(
                        path.display().to_string(),
                        format!(
                            "class `{name}` is none of the {known} classes of the training folder"
                        ),
                    )
                })?;
            let before = files.len();
            walk(root, path, class, 0, &mut files, &mut remarks)?;
            if files.len() == before {
                remarks.push(Remark::new(shown(root, path), "a class without images"));
            }
        }
        if files.is_empty() {
            return Err(DataError::Missing {
                path: base,
                hint: format!(
                    "no class folders with images in it (known endings: {})",
                    EXTENSIONS.join(", ")
                ),
            });
        }
        Ok(Self {
            root: root.to_path_buf(),
            files,
            classes,
            limits,
            remarks,
        })
    }
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
            walk(root, &path, class, depth + 1, files, remarks)?;
        } else if metadata
            .as_ref()
            .is_some_and(|metadata| !metadata.is_file())
        {
            remarks.push(Remark::new(
                shown(root, &path),
                "not a regular file, left out",
            ));
        } else if !has_image_extension(&path) {
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

fn has_image_extension(path: &Path) -> bool {
    let extension = path
        .extension()
        .map(|extension| extension.to_string_lossy().to_lowercase());
    extension.is_some_and(|extension| EXTENSIONS.contains(&extension.as_str()))
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
            image: decode::decode_file(&self.root.join(&entry.path), &self.limits)?,
            label: Label::Class(entry.class),
        })
    }

    fn origin(&self, index: usize) -> String {
        self.files.get(index).map_or_else(String::new, |entry| {
            shown(&self.root, &self.root.join(&entry.path))
        })
    }

    fn classes(&self) -> &[String] {
        &self.classes
    }

    fn class_of(&self, index: usize) -> Option<usize> {
        self.files.get(index).map(|entry| entry.class)
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
    use crate::source::SourceConfig;
    use crate::split::{HoldOut, SplitConfig};

    fn put(root: &Path, path: &str, colour: u8) {
        let path = root.join(path);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        image::RgbImage::from_pixel(3, 2, image::Rgb([colour; 3]))
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
        assert_eq!(train.read(1).unwrap().image.pixels, [2; 18]);
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
            error.contains("class `bird` is none of the 2 classes"),
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
            seed: None,
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
