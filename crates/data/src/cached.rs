//! A dataset kept decoded in memory.
//!
//! ```
//! use firesight_data::Source;
//! use firesight_data::cached::Cached;
//! use firesight_data::datasets::digits::DigitsConfig;
//!
//! let digits = Cached::new(DigitsConfig::default().open()?.train, 1 << 20);
//! digits.read(0)?;
//! assert_eq!(digits.read(0)?, digits.read(0)?);
//! assert!(digits.used() >= 64); // one image of 8x8 bytes
//! # Ok::<(), firesight_data::DataError>(())
//! ```

use std::path::PathBuf;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};

use crate::error::DataError;
use crate::sample::Sample;
use crate::source::{Remark, Source};
use crate::target::Target;

/// Another source with its samples kept as they are first read, up to a limit of memory; shared by all workers.
///
/// What does not fit below the limit is read anew each time, so that a dataset larger than memory streams. Samples
/// that cannot be read are not remembered.
pub struct Cached {
    source: Arc<dyn Source>,
    samples: Vec<OnceLock<Sample>>,
    used: AtomicUsize,
    limit: usize,
}

impl Cached {
    /// Keeps up to `limit` bytes of images, masks and boxes.
    pub fn new(source: Arc<dyn Source>, limit: usize) -> Cached {
        let samples = std::iter::repeat_with(OnceLock::new)
            .take(source.len())
            .collect();
        Cached {
            source,
            samples,
            used: AtomicUsize::new(0),
            limit,
        }
    }

    /// Bytes of images, masks and boxes that are kept now.
    pub fn used(&self) -> usize {
        self.used.load(Ordering::Relaxed)
    }
}

/// The memory behind a sample, in bytes.
fn size(sample: &Sample) -> usize {
    sample.image.memory() + sample.target.bytes()
}

impl Source for Cached {
    fn len(&self) -> usize {
        self.source.len()
    }

    fn read(&self, index: usize) -> Result<Sample, DataError> {
        let Some(slot) = self.samples.get(index) else {
            return self.source.read(index);
        };
        if let Some(sample) = slot.get() {
            return Ok(sample.clone());
        }
        let sample = self.source.read(index)?;
        let size = size(&sample);
        // Reserved first, so that two workers cannot pass the limit together.
        let fits = |used: usize| used.checked_add(size).filter(|&sum| sum <= self.limit);
        if self
            .used
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, fits)
            .is_ok()
            && slot.set(sample.clone()).is_err()
        {
            self.used.fetch_sub(size, Ordering::Relaxed);
        }
        Ok(sample)
    }

    fn origin(&self, index: usize) -> String {
        self.source.origin(index)
    }

    fn file(&self, index: usize) -> Option<PathBuf> {
        self.source.file(index)
    }

    fn classes(&self) -> &[String] {
        self.source.classes()
    }

    fn mask_classes(&self) -> &[String] {
        self.source.mask_classes()
    }

    fn class_of(&self, index: usize) -> Option<usize> {
        self.source.class_of(index)
    }

    fn target(&self, index: usize) -> Result<Target, DataError> {
        match self.samples.get(index).and_then(OnceLock::get) {
            Some(sample) => Ok(sample.target.clone()),
            None => self.source.target(index),
        }
    }

    fn dimensions(&self, index: usize) -> Result<Option<[usize; 3]>, DataError> {
        self.source.dimensions(index)
    }

    fn ignored_hint(&self) -> Option<String> {
        self.source.ignored_hint()
    }

    fn identity(&self, index: usize) -> Vec<u8> {
        self.source.identity(index)
    }

    fn number(&self, index: usize) -> u64 {
        self.source.number(index)
    }

    fn class_number(&self, class: usize) -> u64 {
        self.source.class_number(class)
    }

    fn remarks(&self) -> Vec<Remark> {
        self.source.remarks()
    }

    fn inspect(&self, index: usize) -> Result<(Sample, Vec<Remark>), DataError> {
        self.source.inspect(index)
    }

    fn inspect_target(&self, index: usize) -> Result<(Target, Vec<Remark>), DataError> {
        self.source.inspect_target(index)
    }

    fn known_bad(&self) -> Vec<(usize, Remark)> {
        self.source.known_bad()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::loader::tests::Counting;

    #[test]
    fn each_sample_is_read_once_up_to_the_limit() {
        let counting = Arc::new(Counting::new(10));
        let bytes = size(&counting.read(0).unwrap());
        let cached = Cached::new(counting.clone(), 4 * bytes);
        let start = counting.reads();
        for _ in 0..3 {
            (0..10).for_each(|i| assert_eq!(cached.read(i).unwrap(), counting.sample(i)));
        }
        assert_eq!(counting.reads() - start, 4 + 3 * 6);
        assert_eq!(cached.used(), 4 * bytes);
        assert!(cached.read(10).is_err());
    }
}
