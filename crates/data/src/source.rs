//! A dataset's split as a numbered list of samples, and what is common to all of them: subsets, fingerprints, and the way
//! into Burn's own loader.
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
use std::path::PathBuf;
use std::sync::Arc;

use burn_dataset::{Dataset, DatasetError};
use serde::Serialize;
use sha2::{Digest, Sha256};

use crate::error::DataError;
use crate::sample::Sample;
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

    /// As [`Source::target`], with what [`Source::inspect`] would notice about the label.
    ///
    /// # Errors
    /// Those of [`Source::target`].
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
    format!("{:x}", hasher.finalize())
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
    use crate::datasets::digits::DigitsConfig;

    fn digits() -> Splits {
        DigitsConfig {}.open().unwrap()
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
}
