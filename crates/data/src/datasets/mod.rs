//! One file for each dataset or format; [`SourceConfig`] names them in recipes.
//!
//! Adding one is a file here, whose configuration opens its [`Splits`], and its line in `datasets!` below: the recipe's
//! names, their documentation, the checks and the tests over every dataset follow from that line.
//!
//! ```
//! use firesight_data::{SourceConfig, SplitConfig};
//!
//! let config = SourceConfig::Digits(Default::default());
//! let splits = config.open(".".as_ref(), &SplitConfig::default(), 42)?;
//! let sizes: Vec<_> = splits.named().into_iter().map(|(name, part)| (name, part.len())).collect();
//! assert_eq!(sizes, [("train", 1293), ("validation", 144), ("test", 360)]);
//! # Ok::<(), firesight_data::DataError>(())
//! ```

mod annotated;
pub mod camvid;
pub mod cifar;
pub mod cityscapes;
pub mod coco;
pub mod csv_boxes;
pub mod csv_classes;
pub mod digits;
pub mod folder;
pub mod idx;
mod json;
pub mod labelme;
mod listing;
pub mod mnist;
pub mod objects;
mod outline;
pub(crate) mod packed;
pub mod pairs;
mod problems;
pub mod scenes;
mod table;
#[cfg(test)]
mod testing;
mod text;
pub mod voc;
pub mod yolo;

use std::path::Path;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::decode::Decoding;
use crate::download::{Progress, Published};
use crate::error::DataError;
use crate::names::{kebab, under};
use crate::source::Splits;
use crate::split::{self, SplitConfig};

/// A setting that is wrong: its key and why.
type Problem = (String, String);

/// What holds for a dataset unless its configuration has a method of that name itself, which goes first.
trait Otherwise {
    /// What is wrong with the values.
    fn problems(&self) -> Vec<Problem> {
        Vec::new()
    }

    /// The published dataset that this is, the folder it belongs in, and whether it may be fetched.
    fn published(&self) -> Option<(Published, &Path, bool)> {
        None
    }

    /// How its image files are read, where its samples are files.
    fn decoding(&self) -> Decoding {
        Decoding::default()
    }
}

impl<T> Otherwise for T {}

macro_rules! datasets {
    (@open $config:ty) => { <$config>::open };
    (@open $config:ty, $open:expr) => { $open };
    ($($(#[$doc:meta])+ $name:ident($config:ty) $(= $open:expr)?,)+) => {
        /// Where the samples come from: `source = { digits = {} }` in a recipe.
        ///
        /// Paths are relative to the data root, which is the working directory unless `--data-root` says otherwise.
        #[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
        #[serde(rename_all = "kebab-case", deny_unknown_fields)]
        pub enum SourceConfig {
            $($(#[$doc])+ $name($config),)+
        }

        impl SourceConfig {
            /// The names of all datasets, as recipes write them.
            pub fn names() -> Vec<String> {
                vec![$(kebab(stringify!($name)),)+]
            }

            fn published(&self) -> Option<(Published, &Path, bool)> {
                match self { $(Self::$name(config) => config.published(),)+ }
            }

            /// How its image files are read, where its samples are files.
            pub fn decoding(&self) -> Decoding {
                match self { $(Self::$name(config) => config.decoding(),)+ }
            }

            /// The splits that the dataset itself gives.
            fn open_given(&self, data_root: &Path) -> Result<Splits, DataError> {
                type Open<T> = fn(&T, &Path) -> Result<Splits, DataError>;
                match self {
                    $(Self::$name(config) => {
                        let open: Open<$config> = datasets!(@open $config $(, $open)?);
                        open(config, data_root)
                    })+
                }
            }

            /// What is wrong with the values, as pairs of a dotted key inside this table and a message.
            pub fn problems(&self) -> Vec<Problem> {
                match self {
                    $(Self::$name(config) => under(&kebab(stringify!($name)), config.problems()),)+
                }
            }
        }
    };
}

datasets! {
    /// The embedded digits: 1,797 handwritten digits of 8x8 pixels, gray, 10 classes. Needs no file.
    Digits(digits::DigitsConfig) = |config, _| config.open(),
    /// The embedded scenes: 2,750 composed pictures of 128x128 pixels with boxes and masks of handwritten
    /// digits. Needs no file.
    Scenes(scenes::ScenesConfig),
    /// Images and labels in IDX files, as MNIST and its relatives are published; gray.
    Idx(idx::IdxConfig),
    /// MNIST: 70,000 handwritten digits of 28x28 pixels, gray, 10 classes.
    Mnist(mnist::MnistConfig),
    /// Fashion-MNIST: 70,000 pictures of clothes of 28x28 pixels, gray, 10 classes.
    FashionMnist(mnist::FashionMnistConfig),
    /// CIFAR-10 in its binary form: 60,000 images of 32x32 pixels, RGB, 10 classes.
    Cifar10(cifar::Cifar10Config),
    /// CIFAR-100 in its binary form: 60,000 images of 32x32 pixels, RGB, 100 or 20 classes.
    Cifar100(cifar::Cifar100Config),
    /// Image files in one folder a class.
    Folder(folder::FolderConfig),
    /// Images with boxes in Pascal VOC's layout.
    Voc(voc::VocConfig),
    /// Images with boxes in Pascal VOC's XML, in folders without lists.
    VocFolders(voc::VocFoldersConfig),
    /// Images with boxes in COCO's JSON.
    Coco(coco::CocoConfig),
    /// Images with boxes or outlines in YOLO's text files, told by a `data.yaml`.
    Yolo(yolo::YoloConfig),
    /// Images with polygons, boxes and circles in labelme's JSON.
    Labelme(labelme::LabelmeConfig),
    /// Images with boxes in a CSV table.
    CsvBoxes(csv_boxes::CsvBoxesConfig),
    /// Images with classes in a CSV table.
    CsvClasses(csv_classes::CsvClassesConfig),
    /// Folders of images and class masks.
    Pairs(pairs::PairsConfig),
    /// A folder in Pascal VOC's segmentation layout.
    VocMasks(voc::VocMasksConfig),
    /// A folder in CamVid's layout.
    Camvid(camvid::CamvidConfig),
    /// A folder in Cityscapes' layout, with its 19 trained classes.
    Cityscapes(cityscapes::CityscapesConfig),
    /// COCO's instances rendered to class masks.
    CocoMasks(coco::CocoMasksConfig),
}

impl SourceConfig {
    /// Fetches what the dataset needs, if it says `download = true` and the files are not there. [`Self::open`]
    /// does this itself; calling it before lets the progress be shown.
    ///
    /// # Errors
    /// Those of [`crate::download::fetch`].
    pub fn fetch(
        &self,
        data_root: &Path,
        progress: &mut dyn FnMut(Progress),
    ) -> Result<(), DataError> {
        match self.published() {
            Some((dataset, path, true)) => {
                let folder = data_root.join(path);
                if dataset.is_in(&folder) {
                    Ok(())
                } else {
                    dataset.fetch_into(&folder, progress)
                }
            }
            _ => Ok(()),
        }
    }

    /// Opens the dataset and completes its splits.
    ///
    /// `seed` is the seed of the run; [`SplitConfig::seed`] goes before it.
    ///
    /// # Errors
    /// Files that are missing, damaged or contradict each other, and settings that the dataset cannot follow.
    pub fn open(
        &self,
        data_root: &Path,
        split: &SplitConfig,
        seed: u64,
    ) -> Result<Splits, DataError> {
        self.fetch(data_root, &mut |_| {})?;
        let given =
            self.open_given(data_root)
                .map_err(|error| match (error, self.published()) {
                    (DataError::Missing { path, hint }, Some((_, _, false))) => {
                        DataError::Missing {
                            path,
                            hint: format!("{hint}; or set `download = true` to fetch it"),
                        }
                    }
                    (error, _) => error,
                })?;
        split::complete(given, split, seed)
    }
}

#[cfg(test)]
mod tests {
    use super::digits::DigitsConfig;
    use super::*;

    /// A predictor reads pictures as the dataset's files were read.
    #[test]
    fn every_dataset_says_how_its_files_are_read() {
        use crate::decode::PixelFormat;
        let mut asked = 0;
        for name in SourceConfig::names() {
            for path in ["", r#""path": "x", "#, r#""train": "x.csv", "#] {
                let text = format!(r#"{{"{name}": {{{path}"decode": {{"pixels": "stored"}}}}}}"#);
                if let Ok(config) = serde_json::from_str::<SourceConfig>(&text) {
                    assert_eq!(config.decoding().pixels, PixelFormat::Stored, "{name}");
                    asked += 1;
                }
            }
        }
        assert!(asked >= 12, "{asked}");
        let old = r#"{"folder": {"path": "x", "limits": {"max-pixels": 9}}}"#;
        let old: SourceConfig = serde_json::from_str(old).unwrap();
        assert_eq!(old.decoding().max_pixels, 9);
    }

    #[test]
    fn a_published_dataset_that_is_not_there_says_how_to_get_it() {
        let folder = tempfile::tempdir().unwrap();
        let open = |text: &str| {
            let config: SourceConfig = serde_json::from_str(text).unwrap();
            config
                .open(folder.path(), &SplitConfig::default(), 0)
                .err()
                .unwrap()
                .to_string()
        };
        let error = open(r#"{"mnist": {}}"#);
        assert!(
            error.contains("not found") && error.contains("set `download = true`"),
            "{error}"
        );
        #[cfg(not(feature = "download"))]
        {
            let error = open(r#"{"mnist": {"download": true}}"#);
            assert!(error.contains("cargo feature `download`"), "{error}");
        }
    }

    #[test]
    fn a_recipe_names_a_source_and_unknown_keys_are_refused() {
        let parse = |text: &str| serde_json::from_str::<SourceConfig>(text);
        assert_eq!(
            parse(r#"{"digits": {}}"#).unwrap(),
            SourceConfig::Digits(DigitsConfig {})
        );
        assert!(parse(r#"{"digits": {"path": "x"}}"#).is_err());
        assert!(parse(r#"{"fashion-mnist": {}}"#).is_ok());
        assert!(parse(r#"{"idx": {"path": "x", "paht": "y"}}"#).is_err());
        let problems = parse(r#"{"idx": {"path": ""}}"#).unwrap().problems();
        assert_eq!(problems[0].0, "idx.path");
    }

    #[test]
    fn every_dataset_is_read_by_its_name_and_refuses_keys_that_it_lacks() {
        for name in SourceConfig::names() {
            let text = format!(r#"{{"{name}": {{"no-such-key": 1}}}}"#);
            let error = serde_json::from_str::<SourceConfig>(&text).unwrap_err();
            assert!(
                error.to_string().contains("unknown field `no-such-key`"),
                "{error}"
            );
        }
    }
}
