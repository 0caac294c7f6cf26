//! A dataset's split as a numbered list of samples, the recipe setting that names one, and what is common to
//! all of them: subsets, fingerprints, and the way into Burn's own loader.
//!
//! ```
//! use firesight_data::datasets::digits::DigitsConfig;
//! use firesight_data::{Source, Subset};
//!
//! let digits = DigitsConfig::default().open()?.train;
//! let few = Subset::new(digits.clone(), vec![5, 5, 2])?;
//! assert_eq!((few.len(), few.read(2)?), (3, digits.read(2)?));
//! # Ok::<(), firesight_data::DataError>(())
//! ```

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use burn_dataset::{Dataset, DatasetError};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::datasets::camvid::CamvidConfig;
use crate::datasets::cifar::{Cifar10Config, Cifar100Config};
use crate::datasets::coco::{CocoConfig, CocoMasksConfig};
use crate::datasets::digits::DigitsConfig;
use crate::datasets::folder::FolderConfig;
use crate::datasets::idx::IdxConfig;
use crate::datasets::mnist::{FashionMnistConfig, MnistConfig};
use crate::datasets::pairs::PairsConfig;
use crate::datasets::scenes::ScenesConfig;
use crate::datasets::voc::{VocConfig, VocMasksConfig};
use crate::download::{Progress, Published};
use crate::error::DataError;
use crate::sample::Sample;
use crate::split::{self, SplitConfig};
use crate::target::Target;

/// One split of a dataset: samples by index, from any thread.
pub trait Source: Send + Sync {
    /// How many samples there are.
    fn len(&self) -> usize;

    /// Whether there are none.
    fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Reads one sample. Pure: the same index gives the same sample, whatever was read before.
    ///
    /// # Errors
    /// [`DataError::Index`] past the end; otherwise an error that names the file or record
    /// ([`DataError::is_bad_sample`]).
    fn read(&self, index: usize) -> Result<Sample, DataError>;

    /// Where a sample comes from, for messages and reports: `train/cat/1.jpg`, `row 17 of digits`.
    fn origin(&self, index: usize) -> String;

    /// The file that holds a sample's picture, where it has one of its own.
    fn file(&self, index: usize) -> Option<PathBuf> {
        let _ = index;
        None
    }

    /// The names of the classes, by class index.
    fn classes(&self) -> &[String];

    /// The names of the classes of a pixel, by the values in [`crate::Mask`]; by default those of
    /// [`Source::classes`].
    fn mask_classes(&self) -> &[String] {
        self.classes()
    }

    /// The class of a sample without decoding it; `None` if it has no single class or is out of range.
    fn class_of(&self, index: usize) -> Option<usize> {
        let _ = index;
        None
    }

    /// What is known of a sample, read without decoding its picture where that can be: by default its class, or
    /// what [`Source::read`] gives. Boxes may still leave the picture here.
    ///
    /// # Errors
    /// Those of [`Source::read`], as far as they concern the label.
    fn target(&self, index: usize) -> Result<Target, DataError> {
        match self.class_of(index) {
            Some(class) => Ok(Target::of_class(class)),
            None => Ok(self.read(index)?.target),
        }
    }

    /// Width, height and channels of a sample's picture as [`Source::read`] gives it, without decoding it; `None`
    /// where that is not known beforehand.
    ///
    /// # Errors
    /// Those of [`Source::read`], as far as a file's header shows them.
    fn dimensions(&self, index: usize) -> Result<Option<[usize; 3]>, DataError> {
        let _ = index;
        Ok(None)
    }

    /// What to change where pixels of masks are ignored that were meant to count, for messages.
    fn ignored_hint(&self) -> Option<String> {
        None
    }

    /// Bytes that identify the content of a sample cheaply: enough to notice that a dataset is another one. The
    /// default is its origin; a source whose samples are in memory gives their content, one that reads files
    /// their paths and sizes.
    fn identity(&self, index: usize) -> Vec<u8> {
        self.origin(index).into_bytes()
    }

    /// The number of a sample in files of results: its id in the dataset's own file where it has one,
    /// otherwise its place from 1.
    fn number(&self, index: usize) -> u64 {
        index as u64 + 1
    }

    /// The number of a class in files of results: its id in the dataset's own file where it has one,
    /// otherwise its index from 1.
    fn class_number(&self, class: usize) -> u64 {
        class as u64 + 1
    }

    /// What was noticed when the dataset was opened and does not keep it from being used.
    fn remarks(&self) -> Vec<Remark> {
        Vec::new()
    }

    /// As [`Source::read`], with what was noticed about this sample on the way and does not keep it from being used:
    /// what was repaired or left out, and what could have been meant in two ways.
    ///
    /// # Errors
    /// Those of [`Source::read`].
    fn inspect(&self, index: usize) -> Result<(Sample, Vec<Remark>), DataError> {
        Ok((self.read(index)?, Vec::new()))
    }

    /// As [`Source::label`], with what [`Source::inspect`] would notice about the label.
    ///
    /// # Errors
    /// Those of [`Source::label`].
    fn inspect_target(&self, index: usize) -> Result<(Target, Vec<Remark>), DataError> {
        Ok((self.target(index)?, Vec::new()))
    }

    /// The samples that their labels alone show to be bad, by index, in order; no picture is opened for it.
    /// [`Source::read`] refuses each of them for the same reason.
    fn known_bad(&self) -> Vec<(usize, Remark)> {
        Vec::new()
    }
}

/// Something suspicious about a dataset.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Remark {
    /// The file, or the record and its file.
    pub origin: String,
    /// What was noticed.
    pub message: String,
}

impl Remark {
    /// A remark about a file or record.
    pub fn new(origin: impl Into<String>, message: impl Into<String>) -> Self {
        Self {
            origin: origin.into(),
            message: message.into(),
        }
    }
}

/// The parts of a dataset. `best` and early stopping look at validation only; test is for `eval` alone.
#[derive(Clone)]
pub struct Splits {
    /// What is learnt from.
    pub train: Arc<dyn Source>,
    /// What decides which checkpoint is best.
    pub validation: Option<Arc<dyn Source>>,
    /// What the final numbers come from.
    pub test: Option<Arc<dyn Source>>,
}

impl Splits {
    /// The parts that exist, with the names that recipes and reports give them.
    pub fn named(&self) -> Vec<(&'static str, &Arc<dyn Source>)> {
        let mut parts = vec![("train", &self.train)];
        parts.extend(self.validation.as_ref().map(|part| ("validation", part)));
        parts.extend(self.test.as_ref().map(|part| ("test", part)));
        parts
    }
}

/// Where the samples come from: `source = { digits = {} }` in a recipe.
///
/// Paths are relative to the data root, which is the working directory unless `--data-root` says otherwise.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub enum SourceConfig {
    /// The embedded digits: 1,797 handwritten digits of 8x8 pixels, grey, 10 classes. Needs no file.
    Digits(DigitsConfig),
    /// The embedded scenes: 2,750 composed pictures of 128x128 pixels with boxes and masks of handwritten
    /// digits. Needs no file.
    Scenes(ScenesConfig),
    /// Images and labels in IDX files, as MNIST and its relatives are published; grey.
    Idx(IdxConfig),
    /// MNIST: 70,000 handwritten digits of 28x28 pixels, grey, 10 classes.
    Mnist(MnistConfig),
    /// Fashion-MNIST: 70,000 pictures of clothes of 28x28 pixels, grey, 10 classes.
    FashionMnist(FashionMnistConfig),
    /// CIFAR-10 in its binary form: 60,000 images of 32x32 pixels, RGB, 10 classes.
    Cifar10(Cifar10Config),
    /// CIFAR-100 in its binary form: 60,000 images of 32x32 pixels, RGB, 100 or 20 classes.
    Cifar100(Cifar100Config),
    /// Image files in one folder a class.
    Folder(FolderConfig),
    /// Images with boxes in Pascal VOC's layout.
    Voc(VocConfig),
    /// Images with boxes in COCO's JSON.
    Coco(CocoConfig),
    /// Folders of images and class masks.
    Pairs(PairsConfig),
    /// A folder in Pascal VOC's segmentation layout.
    VocMasks(VocMasksConfig),
    /// A folder in CamVid's layout.
    Camvid(CamvidConfig),
    /// COCO's instances rendered to class masks.
    CocoMasks(CocoMasksConfig),
}

impl SourceConfig {
    /// The published dataset that this names, the folder it belongs in, and whether it may be fetched.
    fn published(&self) -> Option<(Published, &Path, bool)> {
        match self {
            Self::Mnist(config) => Some((Published::Mnist, &config.path, config.download)),
            Self::FashionMnist(config) => {
                Some((Published::FashionMnist, &config.path, config.download))
            }
            Self::Cifar10(config) => Some((Published::Cifar10, &config.path, config.download)),
            Self::Cifar100(config) => Some((Published::Cifar100, &config.path, config.download)),
            _ => None,
        }
    }

    /// Fetches what the dataset needs, if it says `download = true` and the files are not there. [`Self::open`]
    /// does this itself; calling it before lets the progress be shown.
    ///
    /// # Errors
    /// Those of [`crate::download::fetch`].
    pub fn prepare(
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
        self.prepare(data_root, &mut |_| {})?;
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

    /// The splits that the dataset itself gives.
    fn open_given(&self, data_root: &Path) -> Result<Splits, DataError> {
        match self {
            Self::Digits(config) => config.open(),
            Self::Scenes(config) => config.open(data_root),
            Self::Idx(config) => config.open(data_root),
            Self::Mnist(config) => config.open(data_root),
            Self::FashionMnist(config) => config.open(data_root),
            Self::Cifar10(config) => config.open(data_root),
            Self::Cifar100(config) => config.open(data_root),
            Self::Folder(config) => config.open(data_root),
            Self::Voc(config) => config.open(data_root),
            Self::Coco(config) => config.open(data_root),
            Self::Pairs(config) => config.open(data_root),
            Self::VocMasks(config) => config.open(data_root),
            Self::Camvid(config) => config.open(data_root),
            Self::CocoMasks(config) => config.open(data_root),
        }
    }

    /// What is wrong with the values, as pairs of a dotted key inside this table and a message.
    pub fn problems(&self) -> Vec<(String, String)> {
        let (name, problems) = match self {
            Self::Digits(_) => ("digits", Vec::new()),
            Self::Scenes(config) => ("scenes", config.problems()),
            Self::Idx(config) => ("idx", config.problems()),
            Self::Mnist(_) => ("mnist", Vec::new()),
            Self::FashionMnist(_) => ("fashion-mnist", Vec::new()),
            Self::Cifar10(config) => ("cifar10", config.problems()),
            Self::Cifar100(config) => ("cifar100", config.problems()),
            Self::Folder(config) => ("folder", config.problems()),
            Self::Voc(config) => ("voc", config.problems()),
            Self::Coco(config) => ("coco", config.problems()),
            Self::Pairs(config) => ("pairs", config.problems()),
            Self::VocMasks(config) => ("voc-masks", config.problems()),
            Self::Camvid(config) => ("camvid", config.problems()),
            Self::CocoMasks(config) => ("coco-masks", config.problems()),
        };
        problems
            .into_iter()
            .map(|(key, message)| (format!("{name}.{key}"), message))
            .collect()
    }
}

/// Chosen samples of another source, in the order of the choice; an index may occur more than once.
pub struct Subset {
    source: Arc<dyn Source>,
    indices: Vec<usize>,
    remarks: Vec<Remark>,
}

impl Subset {
    /// The samples of `source` at `indices`.
    ///
    /// # Errors
    /// [`DataError::Index`] if one of them does not exist.
    pub fn new(source: Arc<dyn Source>, indices: Vec<usize>) -> Result<Self, DataError> {
        let len = source.len();
        match indices.iter().find(|&&index| index >= len) {
            Some(&index) => Err(out_of_range(index, len, "the source of a subset")),
            None => Ok(Self {
                source,
                indices,
                remarks: Vec::new(),
            }),
        }
    }

    /// The whole of `source`, with a remark beside its own.
    pub fn remarked(source: Arc<dyn Source>, remark: Remark) -> Self {
        Self {
            indices: (0..source.len()).collect(),
            source,
            remarks: vec![remark],
        }
    }

    /// The indices in the source.
    pub fn indices(&self) -> &[usize] {
        &self.indices
    }
}

impl Source for Subset {
    fn len(&self) -> usize {
        self.indices.len()
    }

    fn read(&self, index: usize) -> Result<Sample, DataError> {
        match self.indices.get(index) {
            Some(&index) => self.source.read(index),
            None => Err(out_of_range(index, self.len(), "a subset")),
        }
    }

    fn origin(&self, index: usize) -> String {
        self.indices
            .get(index)
            .map_or_else(String::new, |&index| self.source.origin(index))
    }

    fn file(&self, index: usize) -> Option<PathBuf> {
        let index = self.indices.get(index)?;
        self.source.file(*index)
    }

    fn classes(&self) -> &[String] {
        self.source.classes()
    }

    fn mask_classes(&self) -> &[String] {
        self.source.mask_classes()
    }

    fn class_of(&self, index: usize) -> Option<usize> {
        self.indices
            .get(index)
            .and_then(|&index| self.source.class_of(index))
    }

    fn target(&self, index: usize) -> Result<Target, DataError> {
        match self.indices.get(index) {
            Some(&index) => self.source.target(index),
            None => Err(out_of_range(index, self.len(), "a subset")),
        }
    }

    fn dimensions(&self, index: usize) -> Result<Option<[usize; 3]>, DataError> {
        match self.indices.get(index) {
            Some(&index) => self.source.dimensions(index),
            None => Err(out_of_range(index, self.len(), "a subset")),
        }
    }

    fn ignored_hint(&self) -> Option<String> {
        self.source.ignored_hint()
    }

    fn identity(&self, index: usize) -> Vec<u8> {
        self.indices
            .get(index)
            .map_or_else(Vec::new, |&index| self.source.identity(index))
    }

    fn number(&self, index: usize) -> u64 {
        let index = self.indices.get(index).copied().unwrap_or(usize::MAX - 1);
        self.source.number(index)
    }

    fn class_number(&self, class: usize) -> u64 {
        self.source.class_number(class)
    }

    fn remarks(&self) -> Vec<Remark> {
        let mut remarks = self.source.remarks();
        remarks.extend(self.remarks.iter().cloned());
        remarks
    }

    fn inspect(&self, index: usize) -> Result<(Sample, Vec<Remark>), DataError> {
        match self.indices.get(index) {
            Some(&index) => self.source.inspect(index),
            None => Err(out_of_range(index, self.len(), "a subset")),
        }
    }

    fn inspect_target(&self, index: usize) -> Result<(Target, Vec<Remark>), DataError> {
        match self.indices.get(index) {
            Some(&index) => self.source.inspect_target(index),
            None => Err(out_of_range(index, self.len(), "a subset")),
        }
    }

    fn known_bad(&self) -> Vec<(usize, Remark)> {
        let bad: BTreeMap<usize, Remark> = self.source.known_bad().into_iter().collect();
        let places = self.indices.iter().enumerate();
        places
            .filter_map(|(place, index)| Some((place, bad.get(index)?.clone())))
            .collect()
    }
}

/// The error for an index past the end.
pub(crate) fn out_of_range(index: usize, len: usize, origin: impl Into<String>) -> DataError {
    DataError::Index {
        index,
        len,
        origin: origin.into(),
    }
}

/// SHA-256, in hexadecimal, over what identifies the content of a source: class names, then the class and
/// [`Source::identity`] of each sample in order. It changes when the split does, and not with the folder that
/// the dataset lies in.
pub fn fingerprint(source: &dyn Source) -> String {
    let mut hasher = Sha256::new();
    let mut field = |bytes: &[u8]| {
        hasher.update((bytes.len() as u64).to_le_bytes());
        hasher.update(bytes);
    };
    field(b"firesight source 1");
    field(&(source.classes().len() as u64).to_le_bytes());
    source
        .classes()
        .iter()
        .for_each(|name| field(name.as_bytes()));
    field(&(source.len() as u64).to_le_bytes());
    for index in 0..source.len() {
        field(
            &source
                .class_of(index)
                .map_or(u64::MAX, |class| class as u64)
                .to_le_bytes(),
        );
        field(&source.identity(index));
    }
    hex(&hasher.finalize())
}

/// Lower-case hexadecimal.
pub(crate) fn hex(bytes: &[u8]) -> String {
    use std::fmt::Write;
    bytes.iter().fold(String::new(), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

/// A source as Burn's own `Dataset<Sample>`, for its loader and transforms.
#[derive(Clone)]
pub struct SourceDataset(pub Arc<dyn Source>);

impl Dataset<Sample> for SourceDataset {
    fn get(&self, index: usize) -> Result<Sample, DatasetError> {
        assert!(
            index < self.0.len(),
            "index {index} is out of range: the dataset has {} samples",
            self.0.len()
        );
        self.0.read(index).map_err(DatasetError::new)
    }

    fn len(&self) -> usize {
        self.0.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn digits() -> Splits {
        SourceConfig::Digits(DigitsConfig {})
            .open(Path::new("."), &SplitConfig::default(), 42)
            .unwrap()
    }

    #[test]
    fn a_subset_maps_indices_and_checks_them() {
        let test = digits().test.unwrap();
        let subset = Subset::new(test.clone(), vec![5, 0]).unwrap();
        assert_eq!(subset.read(0).unwrap(), test.read(5).unwrap());
        assert_eq!(subset.origin(1), test.origin(0));
        assert!(matches!(
            subset.read(2),
            Err(DataError::Index {
                index: 2,
                len: 2,
                ..
            })
        ));
        assert!(Subset::new(test.clone(), vec![test.len()]).is_err());
    }

    #[test]
    fn a_fingerprint_follows_the_content() {
        let (one, other) = (digits(), digits());
        assert_eq!(fingerprint(&*one.train), fingerprint(&*other.train));
        assert_ne!(
            fingerprint(&*one.train),
            fingerprint(&*one.test.clone().unwrap())
        );
        let swapped = Subset::new(one.train.clone(), vec![1, 0]).unwrap();
        let straight = Subset::new(one.train, vec![0, 1]).unwrap();
        assert_ne!(fingerprint(&swapped), fingerprint(&straight));
    }

    #[test]
    fn burn_takes_a_source_as_a_dataset() {
        let dataset = SourceDataset(digits().test.unwrap());
        assert_eq!(Dataset::len(&dataset), 360);
        assert_eq!(dataset.get(3).unwrap(), dataset.0.read(3).unwrap());
        assert_eq!(dataset.iter().count(), 360);
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
}
