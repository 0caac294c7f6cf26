//! Cityscapes' layout: `leftImg8bit/<part>/<city>/<name>_leftImg8bit.png` with `gtFine/<part>/<city>/<name>_gtFine_labelIds.png`.
//!
//! The 34 `labelIds` are read as the 19 classes that are trained and measured; all others do not count, as in Cityscapes' own
//! scripts. `train` is learnt from, `val` validates; the labels of `test` are not published, so that it is left out.
//!
//! ```
//! use firesight_data::datasets::cityscapes::CityscapesConfig;
//! use firesight_data::draw::write_png;
//! use firesight_data::Image;
//!
//! let folder = tempfile::tempdir()?;
//! for (path, pixels) in [
//!     ("leftImg8bit/train/ulm/ulm_1_leftImg8bit.png", vec![90; 3]),
//!     ("gtFine/train/ulm/ulm_1_gtFine_labelIds.png", vec![7, 33, 3]),
//! ] {
//!     let path = folder.path().join(path);
//!     std::fs::create_dir_all(path.parent().unwrap())?;
//!     write_png(&Image { width: 3, height: 1, channels: 1, pixels }, &path)?;
//! }
//! let train = CityscapesConfig::default().open(folder.path())?.train;
//! assert_eq!(train.read(0)?.target.mask.unwrap().classes, [0, 18, 255]); // road, bicycle, what does not count
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

use std::path::{Path, PathBuf};
use std::sync::Arc;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::listing::files_in;
use super::objects::Tally;
use super::pairs::{Pairs, Shared};
use crate::decode::Decoding;
use crate::decode::mask::Encoding;
use crate::error::DataError;
use crate::source::{Source, Splits};

/// The classes that are trained, each with its number in `labelIds` (Cordts et al., "The Cityscapes Dataset", 2016; the table
/// of their scripts).
pub const CLASSES: [(&str, u16); 19] = [
    ("road", 7),
    ("sidewalk", 8),
    ("building", 11),
    ("wall", 12),
    ("fence", 13),
    ("pole", 17),
    ("traffic light", 19),
    ("traffic sign", 20),
    ("vegetation", 21),
    ("terrain", 22),
    ("sky", 23),
    ("person", 24),
    ("rider", 25),
    ("car", 26),
    ("truck", 27),
    ("bus", 28),
    ("train", 31),
    ("motorcycle", 32),
    ("bicycle", 33),
];

const IMAGES: &str = "leftImg8bit";
const MASKS: &str = "gtFine";
/// What the names of pictures and of masks end with.
const ENDINGS: [&str; 2] = ["_leftImg8bit.png", "_gtFine_labelIds.png"];

/// A folder in Cityscapes' layout.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, rename_all = "kebab-case", deny_unknown_fields)]
pub struct CityscapesConfig {
    /// The folder that holds `leftImg8bit` and `gtFine`, relative to the data root.
    pub path: PathBuf,
    /// How image files are read, and what one may cost.
    pub decode: Decoding,
}

impl CityscapesConfig {
    /// How its image files are read.
    pub(super) fn decoding(&self) -> Decoding {
        self.decode
    }

    /// What is wrong with the values, as pairs of a dotted key inside this table and a message.
    pub fn problems(&self) -> Vec<(String, String)> {
        super::problems::path_problems(&self.path, "`leftImg8bit` and `gtFine`")
    }

    /// Lists the files; none is opened. `val` may be absent.
    ///
    /// # Errors
    /// A missing folder, one without images.
    pub fn open(&self, data_root: &Path) -> Result<Splits, DataError> {
        let root = data_root.join(&self.path);
        let validation = root.join(IMAGES).join("val").is_dir();
        let validation = validation.then(|| self.part(&root, "val")).transpose()?;
        Ok(Splits {
            train: Arc::new(self.part(&root, "train")?),
            validation: validation.map(|part| Arc::new(part) as Arc<dyn Source>),
            test: None,
        })
    }

    fn part(&self, root: &Path, part: &str) -> Result<Pairs, DataError> {
        let [images, masks] = [IMAGES, MASKS].map(|folder| root.join(folder).join(part));
        let [of_image, of_mask] = ENDINGS;
        let missing = |path: PathBuf| {
            let hint = format!("Cityscapes' layout has `{IMAGES}/{part}/<city>/*{of_image}`");
            DataError::Missing { path, hint }
        };
        if !images.is_dir() {
            return Err(missing(images));
        }
        let (mut files, mut tally) = (Vec::new(), Tally::default());
        for file in files_in(&images)? {
            match file.strip_suffix(of_image) {
                Some(name) => {
                    files.push((images.join(&file), masks.join(format!("{name}{of_mask}"))))
                }
                None => tally.add("not the name of a picture of Cityscapes, left out", || {
                    format!("{IMAGES}/{part}/{file}")
                }),
            }
        }
        if files.is_empty() {
            return Err(missing(images));
        }
        let table = (0u8..)
            .zip(CLASSES)
            .map(|(class, (_, number))| (number, Some(class)));
        let shared = Shared {
            classes: CLASSES.map(|(name, _)| name.to_owned()).to_vec(),
            encoding: Encoding::Numbers {
                table: table.collect(),
                ignore_others: true,
            },
            decode: self.decode,
        };
        let mut pairs = Pairs::new(root, files, shared);
        tally
            .remarks()
            .into_iter()
            .for_each(|remark| pairs.remark(remark));
        Ok(pairs)
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::{scenes, write_pictures};
    use super::*;
    use crate::draw::overlay::write_mask;
    use crate::target::Mask;

    #[test]
    fn scenes_come_back_as_they_were_written() {
        let (scenes, _) = scenes();
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path();
        write_pictures(&scenes, root);
        for (number, scene) in scenes.iter().enumerate() {
            for part in ["train", "val"] {
                let [image, mask] =
                    [IMAGES, MASKS].map(|folder| root.join(folder).join(part).join("ulm"));
                for folder in [&image, &mask] {
                    std::fs::create_dir_all(folder).unwrap();
                }
                let file = image.join(format!("{number}_leftImg8bit.png"));
                std::fs::copy(root.join(format!("{number}.png")), file).unwrap();
                let stored = scene.target.mask.clone().unwrap();
                let ids = stored
                    .classes
                    .iter()
                    .map(|class| CLASSES[usize::from(*class)].1 as u8);
                let ids = Mask {
                    classes: ids.collect(),
                    ..stored
                };
                write_mask(&ids, &mask.join(format!("{number}_gtFine_labelIds.png"))).unwrap();
            }
        }
        let config = CityscapesConfig::default();
        for (_, part) in config.open(root).unwrap().named() {
            assert_eq!((part.len(), part.remarks().len()), (scenes.len(), 0));
            for (index, scene) in scenes.iter().enumerate() {
                let sample = part.read(index).unwrap();
                assert_eq!(
                    (sample.image, sample.target.mask),
                    (scene.image.clone(), scene.target.mask.clone())
                );
            }
        }
        std::fs::write(root.join("leftImg8bit/train/ulm/notes.txt"), "").unwrap();
        std::fs::remove_file(root.join("gtFine/train/ulm/0_gtFine_labelIds.png")).unwrap();
        let train = config.open(root).unwrap().train;
        assert_eq!(train.remarks()[0].origin, "leftImg8bit/train/ulm/notes.txt");
        let error = train.read(0).unwrap_err().to_string();
        assert!(
            error.contains("gtFine/train/ulm/0_gtFine_labelIds.png: not found"),
            "{error}"
        );
        let error = config.open(&root.join("gtFine")).err().unwrap().to_string();
        assert!(
            error.contains("leftImg8bit/train: not found; Cityscapes' layout has"),
            "{error}"
        );
    }
}
