//! Folders of images and their class masks: `images/7.png` with `masks/7.png`.
//!
//! A mask belongs to the image whose name without its ending it has, followed by `mask-suffix`. Pairs are numbered
//! by name, numbers in names by their value (`2` before `10`), and the parts of the dataset are given as ranges of
//! those numbers, or held out by the recipe's split where none is given.
//!
//! Images and masks may lie in one folder: with a `mask-suffix`, files that have it are masks; without, JPEG, WebP
//! and GIF files are images and PNG, TIFF and BMP files their masks.
//!
//! ```
//! use firesight_data::datasets::pairs::PairsConfig;
//!
//! let folder = tempfile::tempdir()?;
//! for part in ["images", "masks"] {
//!     std::fs::create_dir(folder.path().join(part))?;
//!     for number in [2, 9, 10] {
//!         std::fs::write(folder.path().join(format!("{part}/{number}.png")), "")?;
//!     }
//! }
//! let config = r#"{"images": "images", "masks": "masks", "validation": {"first": 2, "last": 2}}"#;
//! let splits = serde_json::from_str::<PairsConfig>(config)?.open(folder.path())?; // no image is opened yet
//! assert_eq!(splits.train.len(), 2);
//! assert_eq!(splits.validation.unwrap().origin(0), "images/10.png");
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod files;
mod matching;

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::decode::Decoding;
use crate::decode::mask::Encoding;
use crate::error::DataError;
use crate::source::{Remark, Source, Splits, Subset};
use crate::words::counted;

pub(super) use files::{Pairs, Shared};

/// Folders of images and masks.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, rename_all = "kebab-case", deny_unknown_fields)]
pub struct PairsConfig {
    /// The folder of the images, relative to the data root.
    pub images: PathBuf,
    /// The folder of the masks, relative to the data root.
    pub masks: PathBuf,
    /// What a mask's name has after its image's, before the ending: `_mask` for `7.jpg` and `7_mask.png`.
    pub mask_suffix: String,
    /// The names of the classes, by class index.
    pub classes: Vec<String>,
    /// How the pixels of a mask stand for classes.
    pub encoding: MaskEncoding,
    /// The training pairs by number, all that are in no other part unless given.
    pub train: Option<PairRange>,
    /// The validation pairs by number.
    pub validation: Option<PairRange>,
    /// The test pairs by number.
    pub test: Option<PairRange>,
    /// How image files are read, and what one may cost.
    #[serde(alias = "limits")]
    pub decode: Decoding,
}

/// Numbers from `first` to `last`, both counted, from 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct PairRange {
    /// The first number.
    pub first: usize,
    /// The last number.
    pub last: usize,
}

/// How the pixels of a mask stand for classes.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub enum MaskEncoding {
    /// The number that a PNG, TIFF or BMP file with a palette or gray values stores is the class; 255 is ignored.
    #[default]
    Index,
    /// 0 is the first class, 255 (or white of another depth) the second.
    Binary,
    /// Each number of a table is a class: the stored numbers of ADE20K, where 0 is none, or of Cityscapes.
    Numbers(NumberTable),
    /// Each color is a class.
    #[serde(alias = "colours")]
    Colors(ColorTable),
}

/// Stored numbers and their classes; 255 is ignored unless it stands there.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, rename_all = "kebab-case", deny_unknown_fields)]
pub struct NumberTable {
    /// The number of each class, by class index.
    pub table: Vec<u16>,
    /// Numbers that are ignored.
    pub ignore: Vec<u16>,
    /// Whether all other numbers are ignored; otherwise one of them is a fault.
    pub ignore_others: bool,
}

/// Colors and their classes.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, rename_all = "kebab-case", deny_unknown_fields)]
pub struct ColorTable {
    /// `[red, green, blue]` of each class, by class index.
    pub table: Vec<[u8; 3]>,
    /// Colors that are ignored.
    pub ignore: Vec<[u8; 3]>,
}

impl MaskEncoding {
    fn encoding(&self) -> Encoding {
        match self {
            Self::Index => Encoding::Index { void: None },
            Self::Binary => Encoding::Binary,
            Self::Numbers(numbers) => Encoding::Numbers {
                table: classes_of(&numbers.table, &numbers.ignore),
                ignore_others: numbers.ignore_others,
            },
            Self::Colors(colors) => Encoding::Colors(classes_of(&colors.table, &colors.ignore)),
        }
    }

    /// What is wrong with a table for so many classes: a key below `encoding`, and what.
    fn problem(&self, classes: usize) -> Option<(String, String)> {
        let (thing, all, found): (_, Vec<String>, _) = match self {
            Self::Index | Self::Binary => return None,
            Self::Numbers(NumberTable { table, ignore, .. }) => {
                let all = table.iter().chain(ignore).map(u16::to_string);
                ("number", all.collect(), table.len())
            }
            Self::Colors(ColorTable { table, ignore }) => {
                let all = table.iter().chain(ignore);
                let all = all.map(|color| format!("{color:?}"));
                ("color", all.collect(), table.len())
            }
        };
        // Of too few classes there is a message of its own.
        if found != classes && classes > 1 {
            let message = format!("{} for {classes} classes", counted(found, thing));
            return Some((format!("{thing}s.table"), message));
        }
        let twice = (1..all.len()).find(|&at| all[..at].contains(&all[at]))?;
        let message = format!("the {thing} {} stands there twice", all[twice]);
        Some((format!("{thing}s"), message))
    }
}

/// What the entries of a table stand for.
fn classes_of<T: Copy + Eq + std::hash::Hash>(table: &[T], ignore: &[T]) -> HashMap<T, Option<u8>> {
    let classes = (0u8..).map(Some);
    let ignored = ignore.iter().map(|entry| (*entry, None));
    table.iter().copied().zip(classes).chain(ignored).collect()
}

/// What is wrong with a list of the class names of masks.
pub(super) fn class_problems(classes: &[String]) -> Option<(String, String)> {
    let message = match classes.len() {
        0 | 1 => "name at least two classes, by class index".to_string(),
        2..=255 => return super::problems::name_problems(classes),
        many => format!("{many} classes: a mask of 8 bits holds at most 255 and the ignored one"),
    };
    Some(("classes".into(), message))
}

impl PairsConfig {
    /// How its image files are read.
    pub(in crate::datasets) fn decoding(&self) -> Decoding {
        self.decode
    }

    /// What is wrong with the values, as pairs of a dotted key inside this table and a message.
    pub fn problems(&self) -> Vec<(String, String)> {
        let mut problems = Vec::new();
        for (key, path) in [("images", &self.images), ("masks", &self.masks)] {
            if path.as_os_str().is_empty() {
                problems.push((key.into(), format!("give the folder that the {key} lie in")));
            }
        }
        problems.extend(class_problems(&self.classes));
        let classes = self.classes.len();
        match &self.encoding {
            MaskEncoding::Binary if classes != 2 => problems.push((
                "encoding".into(),
                format!("binary masks have 2 classes, {classes} are named"),
            )),
            encoding => problems.extend(
                encoding
                    .problem(classes)
                    .map(|(key, message)| (format!("encoding.{key}"), message)),
            ),
        }
        for (key, range) in self.ranges() {
            if let Some(PairRange { first, last }) = range
                && first > last
            {
                problems.push((
                    key.into(),
                    format!("first ({first}) is after last ({last})"),
                ));
            }
        }
        let given: Vec<_> = self
            .ranges()
            .into_iter()
            .filter_map(|(key, range)| Some((key, range?)))
            .collect();
        for (at, &(key, range)) in given.iter().enumerate() {
            for &(other, second) in &given[..at] {
                let (first, last) = (range.first.max(second.first), range.last.min(second.last));
                if first <= last {
                    let message = format!("it shares the pairs {first} to {last} with `{other}`");
                    problems.push((key.into(), message));
                }
            }
        }
        problems
    }

    fn ranges(&self) -> [(&'static str, Option<PairRange>); 3] {
        [
            ("train", self.train),
            ("validation", self.validation),
            ("test", self.test),
        ]
    }

    /// Lists the files; none is opened. An image without a mask, with two of them, or that shares its mask is a pair
    /// that cannot be read.
    ///
    /// # Errors
    /// A missing folder, no image, one folder whose images and masks cannot be told apart, a range past the end.
    pub fn open(&self, data_root: &Path) -> Result<Splits, DataError> {
        let mut pairs = Pairs::between(
            data_root,
            [&data_root.join(&self.images), &data_root.join(&self.masks)],
            &self.mask_suffix,
            Shared {
                classes: self.classes.clone(),
                encoding: self.encoding.encoding(),
                decode: self.decode,
            },
        )?;
        if self.encoding == MaskEncoding::Index {
            pairs.hint("if 255 stands for a class, set `encoding = \"binary\"`");
        }
        let len = pairs.len();
        for (key, range) in self.ranges() {
            if let Some(range) = range
                && range.last >= len
            {
                let reason = format!("ends at {}, but there are {len} pairs", range.last);
                return Err(DataError::setting(format!("source.pairs.{key}"), reason));
            }
        }
        if self.train.is_some() {
            let used = |index: usize| {
                let inside = |range: PairRange| (range.first..=range.last).contains(&index);
                self.ranges()
                    .into_iter()
                    .filter_map(|(_, range)| range)
                    .any(inside)
            };
            let unused: Vec<usize> = (0..len).filter(|&index| !used(index)).collect();
            if let Some(first) = unused.first() {
                let message = format!(
                    "{} pairs are in no part, the first of them {first}",
                    unused.len()
                );
                pairs.remark(Remark::new("source.pairs", message));
            }
        }
        let all: Arc<dyn Source> = Arc::new(pairs);
        let part = |range: Option<PairRange>| -> Result<Option<Arc<dyn Source>>, DataError> {
            let subset =
                |range: PairRange| Subset::new(all.clone(), (range.first..=range.last).collect());
            Ok(range
                .map(subset)
                .transpose()?
                .map(|part| Arc::new(part) as _))
        };
        let held = |index: &usize| {
            let in_range = |range: PairRange| (range.first..=range.last).contains(index);
            self.validation.is_some_and(in_range) || self.test.is_some_and(in_range)
        };
        let train = match part(self.train)? {
            Some(train) => train,
            None => Arc::new(Subset::new(
                all.clone(),
                (0..len).filter(|i| !held(i)).collect(),
            )?),
        };
        if train.is_empty() {
            let reason = "no pair is left for training; make the other ranges smaller";
            return Err(DataError::setting("source.pairs.train", reason));
        }
        Ok(Splits {
            train,
            validation: part(self.validation)?,
            test: part(self.test)?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use image::{GrayImage, Luma, RgbImage};

    fn put(root: &Path, number: usize, size: u32, class: u8) {
        for part in ["images", "masks"] {
            std::fs::create_dir_all(root.join(part)).unwrap();
        }
        let name = format!("{number}.png");
        RgbImage::new(4, 3)
            .save(root.join("images").join(&name))
            .unwrap();
        let mask = GrayImage::from_pixel(size, 3, Luma([class]));
        mask.save(root.join("masks").join(&name)).unwrap();
    }

    fn config(root: &Path) -> PairsConfig {
        PairsConfig {
            images: root.join("images"),
            masks: root.join("masks"),
            classes: vec!["cell".into(), "membrane".into()],
            ..Default::default()
        }
    }

    #[test]
    fn ranges_count_pairs_in_the_order_of_their_numbers() {
        let folder = tempfile::tempdir().unwrap();
        (0..12).for_each(|number| put(folder.path(), number, 4, (number % 2) as u8));
        let ranges = PairsConfig {
            validation: Some(PairRange { first: 9, last: 11 }),
            ..config(folder.path())
        };
        let splits = ranges.open(folder.path()).unwrap();
        let validation = splits.validation.unwrap();
        let origins: Vec<_> = (0..3).map(|i| validation.origin(i)).collect();
        assert_eq!(origins, ["images/9.png", "images/10.png", "images/11.png"]);
        assert_eq!(splits.train.len(), 9);
        let mask = validation.read(0).unwrap().target.mask.unwrap();
        assert_eq!(mask.classes, [1; 12]);
        let error = PairsConfig {
            test: Some(PairRange { first: 0, last: 12 }),
            ..config(folder.path())
        };
        let error = error.open(folder.path()).err().unwrap().to_string();
        assert!(
            error.contains("source.pairs.test") && error.contains("12 pairs"),
            "{error}"
        );
    }

    #[test]
    fn what_is_wrong_with_a_pair_names_its_file() {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path();
        put(root, 0, 5, 0);
        put(root, 1, 4, 2);
        put(root, 2, 4, 0);
        put(root, 3, 4, 255);
        std::fs::remove_file(root.join("masks/2.png")).unwrap();
        GrayImage::new(1, 1)
            .save(root.join("masks/lost.png"))
            .unwrap();
        let train = config(root).open(root).unwrap().train;
        let fault = |index| train.read(index).unwrap_err().to_string();
        assert!(
            fault(0).contains("masks/0.png: 5x3 pixels, its image"),
            "{}",
            fault(0)
        );
        assert!(
            fault(1).contains("masks/1.png: class 2 at 0, 0: there are 2"),
            "{}",
            fault(1)
        );
        assert!(
            fault(2).contains("masks/2.png: not found; the mask of"),
            "{}",
            fault(2)
        );
        assert!(train.read(3).is_ok());
        assert_eq!(
            train.remarks(),
            [Remark::new(
                "masks/lost.png",
                "a mask without an image, left out"
            )]
        );
        let empty = config(&root.join("none")).open(root).err().unwrap();
        assert!(
            empty
                .to_string()
                .contains("expected a folder of image files")
        );
    }

    /// Pictures and masks with these names, each mask with one pixel of its own number beside zeros.
    fn written(images: &[&str], masks: &[&str]) -> (tempfile::TempDir, PairsConfig) {
        let folder = tempfile::tempdir().unwrap();
        let config = PairsConfig {
            classes: (0..20).map(|class| format!("class {class}")).collect(),
            ..config(folder.path())
        };
        for path in images {
            let path = folder.path().join(path);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            match path.extension().unwrap().to_str().unwrap() {
                "jpg" => std::fs::write(&path, JPEG).unwrap(),
                _ => RgbImage::new(4, 3).save(&path).unwrap(),
            }
        }
        for (number, path) in (1..).zip(masks) {
            let path = folder.path().join(path);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            let mut mask = GrayImage::new(4, 3);
            mask.put_pixel(0, 0, Luma([number]));
            mask.save(path).unwrap();
        }
        (folder, config)
    }

    /// What stands for a picture that is listed and never read.
    const JPEG: &[u8] = b"\xff\xd8\xff\xe0\0\x10JFIF\0";

    fn faults(config: &PairsConfig) -> Vec<String> {
        let train = config.open(Path::new("")).unwrap().train;
        let fault = |index| {
            train
                .target(index)
                .err()
                .map_or("read".into(), |e| e.to_string())
        };
        let label: Vec<String> = (0..train.len()).map(fault).collect();
        let fault = |index| {
            train
                .read(index)
                .err()
                .map_or("read".into(), |e| e.to_string())
        };
        assert_eq!(label, (0..train.len()).map(fault).collect::<Vec<_>>());
        label
    }

    fn remarks(config: &PairsConfig) -> Vec<Remark> {
        config.open(Path::new("")).unwrap().train.remarks()
    }

    #[test]
    fn one_folder_holds_both_where_a_suffix_tells_them_apart() {
        let names = ["all/1.png", "all/2.png", "all/3_mask.png"];
        let masks = [
            "all/1_mask.png",
            "all/2_mask.png",
            "all/3_mask_mask.png",
            "all/lost_mask.png",
        ];
        let (folder, mut config) = written(&names, &masks);
        std::fs::write(folder.path().join("all/_classes.csv"), "").unwrap();
        config.images = folder.path().join("all");
        config.masks = folder.path().join("images/../all");
        std::fs::create_dir(folder.path().join("images")).unwrap();
        config.mask_suffix = "_mask".into();
        assert_eq!(faults(&config), ["read"; 3]);
        let remarks = remarks(&config);
        assert!(remarks[0].message.contains("`_classes.csv`"), "{remarks:?}");
        assert!(remarks[1].origin.ends_with("lost_mask.png"), "{remarks:?}");
        assert_eq!(remarks.len(), 2);
    }

    #[test]
    fn one_folder_holds_both_where_the_endings_tell_them_apart() {
        let (folder, mut config) =
            written(&["all/1.jpg", "all/2.jpg"], &["all/1.png", "all/3.png"]);
        config.images = folder.path().join("all");
        config.masks = config.images.clone();
        let splits = config.open(Path::new("")).unwrap();
        let origins: Vec<String> = (0..2).map(|i| splits.train.origin(i)).collect();
        assert!(
            origins[0].ends_with("all/1.jpg") && origins[1].ends_with("all/2.jpg"),
            "{origins:?}"
        );
        let remarks = splits.train.remarks();
        assert!(
            remarks[0]
                .message
                .contains("its 2 JPEG, WebP and GIF files are taken for images")
        );
        assert!(remarks[1].origin.ends_with("3.png"), "{remarks:?}");
        // Two PNG files a number: nothing tells which is which, and no picture is its own mask.
        let (folder, mut config) = written(&["all/1.png"], &["all/2.png"]);
        config.images = folder.path().join("all");
        config.masks = config.images.clone();
        let error = config.open(Path::new("")).err().unwrap().to_string();
        assert!(error.contains("set `mask-suffix`"), "{error}");
    }

    #[test]
    fn names_that_lead_to_no_mask_or_to_two_are_faults_of_their_pair() {
        let (_folder, config) = written(
            &[
                "images/1.png",
                "images/2.png",
                "images/2.bmp",
                "images/Cat.png",
                "images/7.png",
                "images/8.png",
            ],
            &[
                "masks/1.png",
                "masks/1.bmp",
                "masks/2.png",
                "masks/cat.png",
                "masks/7_seg.png",
                "masks/80.png",
            ],
        );
        let found = faults(&config);
        let expected = [
            "it has 2 masks",
            "it would share its mask with",
            "it would share its mask with",
            "is it",
            "8.png: not found; the mask of",
            "cat.png differs in case",
        ];
        for (found, expected) in found.iter().zip(expected) {
            assert!(found.contains(expected), "{expected}\n{found}");
        }
        assert!(found[3].contains("mask-suffix = \"_seg\""), "{}", found[3]);
        let alone: Vec<String> = remarks(&config).into_iter().map(|r| r.message).collect();
        assert_eq!(alone, ["a mask without an image, left out"; 3]);
    }

    #[test]
    fn a_picture_is_never_its_own_mask() {
        let (folder, config) = written(&["images/1.png"], &["masks/1.png"]);
        let gray = GrayImage::new(4, 3);
        gray.save(folder.path().join("images/1.png")).unwrap();
        gray.save(folder.path().join("masks/1.png")).unwrap();
        let found = faults(&config);
        assert!(
            found[0].contains("masks/1.png: the same file as its image"),
            "{}",
            found[0]
        );
    }

    #[test]
    fn a_picture_that_its_exif_turns_does_not_fit_a_mask_that_is_not_turned() {
        use image::ImageEncoder;
        let (folder, config) = written(&["images/1.png"], &["masks/1.png"]);
        // A little-endian TIFF directory with the one tag Orientation, 6: turned by 90 degrees.
        let exif = b"II*\0\x08\0\0\0\x01\0\x12\x01\x03\0\x01\0\0\0\x06\0\0\0\0\0\0\0";
        let file = std::fs::File::create(folder.path().join("images/1.png")).unwrap();
        let mut encoder = image::codecs::png::PngEncoder::new(file);
        encoder.set_exif_metadata(exif.to_vec()).unwrap();
        let pixels = [0; 4 * 3 * 3];
        encoder
            .write_image(&pixels, 4, 3, image::ExtendedColorType::Rgb8)
            .unwrap();
        let found = faults(&config);
        assert!(
            found[0].contains("masks/1.png: 4x3 pixels, its image")
                && found[0]
                    .contains("has 3x4 as its EXIF orientation turns it (it is stored as 4x3)"),
            "{}",
            found[0]
        );
    }

    #[test]
    fn other_lossless_masks_are_read_and_lossy_ones_are_named() {
        let (folder, config) = written(
            &["images/1.png", "images/2.png", "images/3.png"],
            &["masks/1.tif", "masks/2.bmp"],
        );
        std::fs::write(folder.path().join("masks/3.jpg"), JPEG).unwrap();
        let train = config.open(Path::new("")).unwrap().train;
        for (index, class) in [(0, 1), (1, 2)] {
            let mask = train.target(index).unwrap().mask.unwrap();
            assert_eq!(mask.classes[..3], [class, 0, 0]);
        }
        let found = faults(&config);
        assert!(
            found[2].contains("masks/3.jpg: a JPEG, which changes"),
            "{}",
            found[2]
        );
    }

    #[test]
    fn folders_that_lie_deeper_are_named() {
        let (folder, config) = written(&["images/train/1.png"], &["masks/1.png"]);
        let error = config.open(Path::new("")).err().unwrap().to_string();
        assert!(
            error.contains("no images in it, but the folders `train`"),
            "{error}"
        );
        RgbImage::new(4, 3)
            .save(folder.path().join("images/1.png"))
            .unwrap();
        let remarks = remarks(&config);
        assert!(remarks[0].message.contains("`train/`"), "{remarks:?}");
    }

    #[test]
    fn pairs_in_no_part_are_remarked_on() {
        let folder = tempfile::tempdir().unwrap();
        (0..12).for_each(|number| put(folder.path(), number, 4, 0));
        let ranges = PairsConfig {
            train: Some(PairRange { first: 0, last: 5 }),
            validation: Some(PairRange { first: 9, last: 11 }),
            ..config(folder.path())
        };
        assert!(ranges.problems().is_empty());
        assert_eq!(
            remarks(&ranges),
            [Remark::new(
                "source.pairs",
                "3 pairs are in no part, the first of them 6"
            )]
        );
        let overlapping = PairsConfig {
            validation: Some(PairRange { first: 4, last: 11 }),
            test: Some(PairRange {
                first: 11,
                last: 11,
            }),
            ..ranges
        };
        let problems = overlapping.problems();
        let expected = [
            ("validation", "it shares the pairs 4 to 5 with `train`"),
            ("test", "it shares the pairs 11 to 11 with `validation`"),
        ];
        assert_eq!(
            problems,
            expected.map(|(key, message)| (key.to_string(), message.to_string()))
        );
    }

    #[test]
    fn names_and_colors_that_stand_there_twice() {
        let doubled = PairsConfig {
            classes: vec!["a".into(), "b".into(), "a".into()],
            encoding: MaskEncoding::Colors(ColorTable {
                table: vec![[0; 3], [1; 3], [2; 3]],
                ignore: vec![[1; 3]],
            }),
            images: "i".into(),
            masks: "m".into(),
            ..Default::default()
        };
        let problems = doubled.problems();
        assert_eq!(problems.len(), 2, "{problems:?}");
        assert!(problems[0].1.contains("two classes are named `a`"));
        assert!(
            problems[1]
                .1
                .contains("the color [1, 1, 1] stands there twice")
        );
    }

    #[test]
    fn settings_that_contradict_each_other() {
        let config = PairsConfig {
            classes: vec!["a".into(), "b".into(), "c".into()],
            encoding: MaskEncoding::Binary,
            train: Some(PairRange { first: 3, last: 2 }),
            ..Default::default()
        };
        let keys: Vec<String> = config.problems().into_iter().map(|(key, _)| key).collect();
        assert_eq!(keys, ["images", "masks", "encoding", "train"]);
        assert!(class_problems(&vec![String::new(); 256]).is_some());
    }

    #[test]
    fn numbers_stand_for_classes_by_a_table() {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path();
        put(root, 0, 4, 0);
        let mut mask = GrayImage::new(4, 3);
        for (x, number) in (0..).zip([7, 0, 255, 9]) {
            mask.put_pixel(x, 0, Luma([number]));
        }
        mask.save(root.join("masks/0.png")).unwrap();
        let with = |text: &str| PairsConfig {
            encoding: serde_json::from_str(text).unwrap(),
            ..config(root)
        };
        let read = |text: &str| with(text).open(Path::new("")).unwrap().train.read(0);
        let zeros = [1; 8];
        let first = |text: &str| read(text).unwrap().target.mask.unwrap().classes;
        let both = r#"{"numbers": {"table": [7, 0], "ignore": [9]}}"#;
        assert_eq!(first(both), [&[0, 1, 255, 255][..], &zeros].concat());
        let others = r#"{"numbers": {"table": [255, 0], "ignore-others": true}}"#;
        assert_eq!(first(others), [&[255, 1, 0, 255][..], &zeros].concat());
        let error = read(r#"{"numbers": {"table": [7, 0]}}"#)
            .unwrap_err()
            .to_string();
        assert!(
            error.contains("masks/0.png: the value 9 at 3, 0: it is none of the 2 in the table"),
            "{error}"
        );
        for (text, message) in [
            (r#"{"numbers": {"table": [7]}}"#, "1 number for 2 classes"),
            (
                r#"{"numbers": {"table": [7, 0], "ignore": [7]}}"#,
                "the number 7 stands there twice",
            ),
            (
                r#"{"colors": {"table": [[1, 2, 3], [1, 2, 3]]}}"#,
                "the color [1, 2, 3] stands there twice",
            ),
        ] {
            let problems = with(text).problems();
            assert!(
                problems[0].0.starts_with("encoding.") && problems[0].1 == message,
                "{problems:?}"
            );
        }
    }
}
