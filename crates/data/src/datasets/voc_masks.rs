//! Pascal VOC's segmentation layout: `JPEGImages/<id>.jpg`, `SegmentationClass/<id>.png` (palette masks, 255 between
//! objects is ignored), and the parts listed in `ImageSets/Segmentation/<part>.txt`.
//!
//! ```
//! use firesight_data::datasets::voc_masks::VocMasksConfig;
//!
//! let folder = tempfile::tempdir()?;
//! let lists = folder.path().join("ImageSets/Segmentation");
//! std::fs::create_dir_all(&lists)?;
//! std::fs::write(lists.join("train.txt"), "2007_000032\n2007_000039\n")?;
//! let config = VocMasksConfig { validation: "".into(), ..Default::default() };
//! let train = config.open(folder.path())?.train; // no image is opened yet
//! assert_eq!((train.len(), train.classes()[15].as_str()), (2, "person"));
//! assert_eq!(train.origin(1), "JPEGImages/2007_000039.jpg");
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

use std::path::{Path, PathBuf};
use std::sync::Arc;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::pairs::{Pairs, Shared, class_problems};
use crate::decode::DecodeLimits;
use crate::decode::mask::Encoding;
use crate::error::DataError;
use crate::source::{Source, Splits};

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
    /// The list of the validation images; empty for none.
    pub validation: String,
    /// The list of the test images; empty for none.
    pub test: String,
    /// What one image file may cost.
    pub limits: DecodeLimits,
}

impl Default for VocMasksConfig {
    fn default() -> Self {
        Self {
            path: PathBuf::new(),
            classes: CLASSES.map(String::from).to_vec(),
            train: "train".into(),
            validation: "val".into(),
            test: String::new(),
            limits: DecodeLimits::default(),
        }
    }
}

impl VocMasksConfig {
    /// What is wrong with the values, as pairs of a dotted key inside this table and a message.
    pub fn problems(&self) -> Vec<(String, String)> {
        let mut problems = super::path_problems(&self.path, "`JPEGImages` and `SegmentationClass`");
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
    /// A missing or empty list.
    pub fn open(&self, data_root: &Path) -> Result<Splits, DataError> {
        let root = data_root.join(&self.path);
        let part = |name: &str| -> Result<Arc<dyn Source>, DataError> {
            let list = root.join(format!("ImageSets/Segmentation/{name}.txt"));
            let text = std::fs::read_to_string(&list).map_err(|error| match error.kind() {
                std::io::ErrorKind::NotFound => DataError::Missing {
                    path: list.clone(),
                    hint: "expected a text file with one image name a line, as Pascal VOC has it"
                        .into(),
                },
                _ => DataError::io(&list, "read", error),
            })?;
            let ids = text.lines().map(str::trim).filter(|id| !id.is_empty());
            let pair = |id: &str| {
                let image = root.join(format!("JPEGImages/{id}.jpg"));
                (image, root.join(format!("SegmentationClass/{id}.png")))
            };
            let files: Vec<_> = ids.map(pair).collect();
            if files.is_empty() {
                return Err(DataError::unreadable(
                    list.display().to_string(),
                    "names no image",
                ));
            }
            let shared = Shared {
                classes: self.classes.clone(),
                encoding: Encoding::Index { void: None },
                limits: self.limits,
            };
            Ok(Arc::new(Pairs::new(&root, files, shared)))
        };
        let optional = |name: &str| (!name.is_empty()).then(|| part(name)).transpose();
        Ok(Splits {
            train: part(&self.train)?,
            validation: optional(&self.validation)?,
            test: optional(&self.test)?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sample::Label;

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
        let error = config.open(Path::new("")).err().unwrap().to_string();
        assert!(error.contains("val.txt: not found"), "{error}");
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
                .contains("a.jpg")
        );
        let Label::Mask(mask) = splits.validation.unwrap().read(0).unwrap().label else {
            panic!("no mask");
        };
        assert_eq!(mask.classes, [0, 20, 255, 1]);
        std::fs::write(root.join("ImageSets/Segmentation/val.txt"), "\n").unwrap();
        let error = config.open(Path::new("")).err().unwrap().to_string();
        assert!(error.contains("val.txt: names no image"), "{error}");
    }
}
