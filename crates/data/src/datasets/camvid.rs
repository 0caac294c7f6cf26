//! CamVid as SegNet's authors prepared it: `train/` with `trainannot/`, `val/` with `valannot/`, `test/` with
//! `testannot/`, masks of class numbers with 11 for pixels that do not count.
//!
//! ```
//! use firesight_data::datasets::camvid::CamvidConfig;
//! use firesight_data::draw::write_png;
//! use firesight_data::Image;
//!
//! let folder = tempfile::tempdir()?;
//! for (name, pixels) in [("train", vec![90; 3]), ("trainannot", vec![0, 11, 10])] {
//!     std::fs::create_dir(folder.path().join(name))?;
//!     let image = Image { width: 3, height: 1, channels: 1, pixels };
//!     write_png(&image, &folder.path().join(name).join("7.png"))?;
//! }
//! let train = CamvidConfig::default().open(folder.path())?.train;
//! let mask = train.read(0)?.target.mask.unwrap();
//! assert_eq!(mask.classes, [0, 255, 10]); // sky, a pixel that does not count, bicyclist
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

use std::path::{Path, PathBuf};
use std::sync::Arc;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::pairs::{Pairs, Shared, class_problems};
use crate::decode::Decoding;
use crate::decode::mask::Encoding;
use crate::error::DataError;
use crate::source::{Remark, Source, Splits};

/// The 11 classes of Badrinarayanan, Kendall and Cipolla ("SegNet", 2015).
pub const CLASSES: [&str; 11] = [
    "sky",
    "building",
    "pole",
    "road",
    "pavement",
    "tree",
    "sign",
    "fence",
    "car",
    "pedestrian",
    "bicyclist",
];

/// A folder in CamVid's layout.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, rename_all = "kebab-case", deny_unknown_fields)]
pub struct CamvidConfig {
    /// The folder that holds `train` and `trainannot`, relative to the data root.
    pub path: PathBuf,
    /// The names of the classes, by class index; the usual 11 unless given.
    pub classes: Vec<String>,
    /// The number in the masks that does not count, besides 255.
    pub void: u8,
    /// How image files are read, and what one may cost.
    #[serde(alias = "limits")]
    pub decode: Decoding,
}

impl Default for CamvidConfig {
    fn default() -> Self {
        Self {
            path: PathBuf::new(),
            classes: CLASSES.map(String::from).to_vec(),
            void: 11,
            decode: Decoding::default(),
        }
    }
}

impl CamvidConfig {
    /// How its image files are read.
    pub(super) fn decoding(&self) -> Decoding {
        self.decode
    }

    /// What is wrong with the values, as pairs of a dotted key inside this table and a message.
    pub fn problems(&self) -> Vec<(String, String)> {
        let mut problems = super::problems::path_problems(&self.path, "`train` and `trainannot`");
        problems.extend(class_problems(&self.classes));
        if usize::from(self.void) < self.classes.len() {
            let message = format!("{} is the number of a class", self.void);
            problems.push(("void".into(), message));
        }
        problems
    }

    /// Lists the files; none is opened. `val` and `test` may be absent.
    ///
    /// # Errors
    /// A missing folder, one without images.
    pub fn open(&self, data_root: &Path) -> Result<Splits, DataError> {
        let root = data_root.join(&self.path);
        const PARTS: [&str; 3] = ["train", "val", "test"];
        let open = |name: &str| -> Result<Pairs, DataError> {
            let shared = Shared {
                classes: self.classes.clone(),
                encoding: Encoding::Index {
                    void: Some(self.void),
                },
                decode: self.decode,
            };
            let folders = [&*root.join(name), &*root.join(format!("{name}annot"))];
            Pairs::between(&root, folders, "", shared)
        };
        let optional = |name: &str| -> Result<Option<Arc<dyn Source>>, DataError> {
            let is_there = [name, &format!("{name}annot")]
                .iter()
                .any(|name| root.join(name).is_dir());
            let part = is_there.then(|| open(name)).transpose()?;
            Ok(part.map(|part| Arc::new(part) as _))
        };
        let mut train = open("train")?;
        let entries =
            std::fs::read_dir(&root).map_err(|error| DataError::io(&root, "list", error))?;
        let mut others: Vec<String> = entries
            .flatten()
            .filter(|entry| entry.path().is_dir())
            .map(|entry| entry.file_name().to_string_lossy().into_owned())
            .filter(|name| {
                let part = name.strip_suffix("annot").unwrap_or(name);
                !name.starts_with('.') && !PARTS.contains(&part)
            })
            .collect();
        others.sort();
        for name in others {
            train.remark(Remark::new(name, "no folder of CamVid's layout, left out"));
        }
        Ok(Splits {
            train: Arc::new(train),
            validation: optional("val")?,
            test: optional("test")?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_void_number_is_ignored_and_parts_may_be_absent() {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path();
        for part in ["train", "trainannot"] {
            std::fs::create_dir_all(root.join(part)).unwrap();
        }
        image::RgbImage::new(3, 1)
            .save(root.join("train/x.png"))
            .unwrap();
        let mask = image::GrayImage::from_raw(3, 1, vec![0, 11, 10]).unwrap();
        mask.save(root.join("trainannot/x.png")).unwrap();
        let config = CamvidConfig {
            path: root.into(),
            ..Default::default()
        };
        let splits = config.open(Path::new("")).unwrap();
        assert!(splits.validation.is_none() && splits.test.is_none());
        let mask = splits.train.read(0).unwrap().target.mask.unwrap();
        assert_eq!(mask.classes, [0, 255, 10]);
        std::fs::create_dir_all(root.join("valannot")).unwrap();
        let error = config.open(Path::new("")).err().unwrap().to_string();
        assert!(error.contains("val: not found"), "{error}");
        std::fs::rename(root.join("valannot"), root.join("validation")).unwrap();
        let remarks = config.open(Path::new("")).unwrap().train.remarks();
        assert_eq!((remarks.len(), &*remarks[0].origin), (1, "validation"));
        let wrong = CamvidConfig { void: 3, ..config };
        assert_eq!(wrong.problems()[0].0, "void");
    }
}
