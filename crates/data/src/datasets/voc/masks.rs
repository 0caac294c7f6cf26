//! Class masks in Pascal VOC's layout: pictures in `JPEGImages`, `SegmentationClass/<name>.png` (palette masks, 255
//! between objects is ignored), and the parts listed in `ImageSets/Segmentation/<part>.txt`.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::super::listing::Listing;
use super::super::pairs::{Pairs, Shared, class_problems};
use super::super::problems::path_problems;
use super::IMAGES;
use super::layout::Layout;
use crate::decode::Decoding;
use crate::decode::mask::Encoding;
use crate::error::DataError;
use crate::sample::Sample;
use crate::source::{Remark, Source, Splits};
use crate::target::Target;

const MASKS: &str = "SegmentationClass";
const SETS: &str = "ImageSets/Segmentation";

/// The classes of Pascal VOC, background first.
pub const CLASSES: [&str; 21] = [
    "background",
    "aeroplane",
    "bicycle",
    "bird",
    "boat",
    "bottle",
    "bus",
    "car",
    "cat",
    "chair",
    "cow",
    "diningtable",
    "dog",
    "horse",
    "motorbike",
    "person",
    "pottedplant",
    "sheep",
    "sofa",
    "train",
    "tvmonitor",
];

/// A folder in Pascal VOC's segmentation layout.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, rename_all = "kebab-case", deny_unknown_fields)]
pub struct VocMasksConfig {
    /// The folder that holds `JPEGImages`, relative to the data root.
    pub path: PathBuf,
    /// The names of the classes, by class index; Pascal VOC's 21 unless given.
    pub classes: Vec<String>,
    /// The list of the training images in `ImageSets/Segmentation`.
    pub train: String,
    /// The list of the validation images; none where it is empty, or `val` and not there.
    pub validation: String,
    /// The list of the test images; none where it is empty, or `test` and not there.
    pub test: String,
    /// How image files are read, and what one may cost.
    #[serde(alias = "limits")]
    pub decode: Decoding,
}

impl Default for VocMasksConfig {
    fn default() -> Self {
        Self {
            path: PathBuf::new(),
            classes: CLASSES.map(String::from).to_vec(),
            train: "train".into(),
            validation: "val".into(),
            test: String::new(),
            decode: Decoding::default(),
        }
    }
}

impl VocMasksConfig {
    /// How its image files are read.
    pub(in crate::datasets) fn decoding(&self) -> Decoding {
        self.decode
    }

    /// What is wrong with the values, as pairs of a dotted key inside this table and a message.
    pub fn problems(&self) -> Vec<(String, String)> {
        let mut problems = path_problems(&self.path, "`JPEGImages` and `SegmentationClass`");
        problems.extend(class_problems(&self.classes));
        if self.train.is_empty() {
            problems.push((
                "train".into(),
                "name the list of the training images".into(),
            ));
        }
        problems
    }

    /// Reads the lists; no image is opened.
    ///
    /// # Errors
    /// A missing folder, a missing or empty list, a picture that is in a list twice.
    pub fn open(&self, data_root: &Path) -> Result<Splits, DataError> {
        let root = data_root.join(&self.path);
        for folder in [IMAGES, MASKS] {
            if !root.join(folder).is_dir() {
                let hint = format!("Pascal VOC's segmentation layout has `{IMAGES}` and `{MASKS}`");
                return Err(DataError::Missing {
                    path: root.join(folder),
                    hint,
                });
            }
        }
        let (layout, masks) = (Layout::open(&root)?, Listing::of(&root.join(MASKS))?);
        let part =
            |name: &str, usual: &str, needed| -> Result<Option<Arc<dyn Source>>, DataError> {
                let Some(list) = layout.list(SETS, name, usual, needed)? else {
                    return Ok(None);
                };
                let (mut files, mut without) = (Vec::new(), BTreeMap::new());
                for listed in list.lines {
                    let mask = masks.find(&listed.name).map(|(_, file)| file);
                    let mask = mask.unwrap_or_else(|| format!("{}.png", listed.name));
                    let picture = listed.picture.unwrap_or_else(|reason| {
                        without.insert(files.len(), Remark::new(listed.place, reason));
                        listed.name
                    });
                    files.push((layout.picture(&picture), root.join(MASKS).join(mask)));
                }
                let shared = Shared {
                    classes: self.classes.clone(),
                    encoding: Encoding::Index { void: None },
                    decode: self.decode,
                };
                Ok(Some(Arc::new(VocMasks {
                    pairs: Pairs::new(&root, files, shared),
                    without,
                    remarks: list.remarks,
                })))
            };
        let needed = "the training images; `train` names another list";
        let train = part(&self.train, "", Some(needed))?;
        Ok(Splits {
            train: train.ok_or_else(|| DataError::setting("train", "names no list"))?,
            validation: part(&self.validation, "val", None)?,
            test: part(&self.test, "test", None)?,
        })
    }
}

/// One part.
struct VocMasks {
    pairs: Pairs,
    /// The lines of the list that name no picture.
    without: BTreeMap<usize, Remark>,
    remarks: Vec<Remark>,
}

impl Source for VocMasks {
    fn len(&self) -> usize {
        self.pairs.len()
    }

    fn read(&self, index: usize) -> Result<Sample, DataError> {
        self.inspect(index).map(|(sample, _)| sample)
    }

    fn origin(&self, index: usize) -> String {
        self.pairs.origin(index)
    }

    fn file(&self, index: usize) -> Option<PathBuf> {
        (!self.without.contains_key(&index)).then(|| self.pairs.file(index))?
    }

    fn classes(&self) -> &[String] {
        self.pairs.classes()
    }

    fn identity(&self, index: usize) -> Vec<u8> {
        self.pairs.identity(index)
    }

    fn remarks(&self) -> Vec<Remark> {
        let pairs = self.pairs.remarks();
        self.remarks.iter().cloned().chain(pairs).collect()
    }

    fn inspect(&self, index: usize) -> Result<(Sample, Vec<Remark>), DataError> {
        match self.without.get(&index) {
            Some(remark) => Err(DataError::unreadable(&*remark.origin, &*remark.message)),
            None => self.pairs.inspect(index),
        }
    }

    fn target(&self, index: usize) -> Result<Target, DataError> {
        match self.without.get(&index) {
            Some(remark) => Err(DataError::unreadable(&*remark.origin, &*remark.message)),
            None => self.pairs.target(index),
        }
    }

    fn dimensions(&self, index: usize) -> Result<Option<[usize; 3]>, DataError> {
        match self.without.contains_key(&index) {
            true => Ok(None),
            false => self.pairs.dimensions(index),
        }
    }

    fn known_bad(&self) -> Vec<(usize, Remark)> {
        let without = self.without.iter();
        without
            .map(|(index, remark)| (*index, remark.clone()))
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_name_the_pairs_of_a_part() {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path();
        for part in ["JPEGImages", "SegmentationClass", "ImageSets/Segmentation"] {
            std::fs::create_dir_all(root.join(part)).unwrap();
        }
        std::fs::write(root.join("ImageSets/Segmentation/train.txt"), "a\n\nb\n").unwrap();
        let config = VocMasksConfig {
            path: root.into(),
            ..Default::default()
        };
        assert!(config.open(Path::new("")).unwrap().validation.is_none());
        std::fs::write(root.join("ImageSets/Segmentation/val.txt"), "b\n").unwrap();
        // The reader goes by the content, and there is no JPEG encoder here.
        image::RgbImage::new(2, 2)
            .save_with_format(root.join("JPEGImages/b.jpg"), image::ImageFormat::Png)
            .unwrap();
        let mask = image::GrayImage::from_raw(2, 2, vec![0, 20, 255, 1]).unwrap();
        mask.save(root.join("SegmentationClass/b.png")).unwrap();
        let splits = config.open(Path::new("")).unwrap();
        assert_eq!(splits.train.len(), 2);
        assert!(
            splits
                .train
                .read(0)
                .unwrap_err()
                .to_string()
                .contains("train.txt:1: the line `a` names no picture")
        );
        let mask = splits
            .validation
            .unwrap()
            .read(0)
            .unwrap()
            .target
            .mask
            .unwrap();
        assert_eq!(mask.classes, [0, 20, 255, 1]);
        std::fs::write(root.join("ImageSets/Segmentation/val.txt"), "\n").unwrap();
        let error = config.open(Path::new("")).err().unwrap().to_string();
        assert!(error.contains("val.txt: lists no picture"), "{error}");
    }
}
