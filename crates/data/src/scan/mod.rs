//! Looks through a whole dataset before it is trained on: what each class has, sizes, what cannot be read, what
//! contradicts itself, what is suspicious, and which pictures occur in two splits. [`scan`] reads everything;
//! [`scan_labels`] reads labels alone, within a limit of time, and finds the same as far as they show it.
//!
//! A sample is *bad* if it cannot be read or if its label cannot be true (a class out of range, a box outside
//! the picture or without area, a mask of another size). `max-bad = N` lets each split have up to N of them;
//! they are then skipped. Which samples are bad depends on their files alone, so the same ones are skipped in
//! every epoch and run, whatever the order or the number of workers; their places in the split, and so the
//! random draws of all others, do not move. Nothing is ever written to the dataset. What is suspicious is
//! reported and does not keep anything from being used. A training split that teaches nothing (no object, no pixel
//! that counts, one class of several) is *empty*, whatever `max-bad` allows.
//!
//! ```
//! use firesight_data::datasets::digits::DigitsConfig;
//! use firesight_data::scan::{Lesson, scan};
//!
//! let report = scan(&DigitsConfig::default().open()?, Lesson::Classes, &|_, _| {});
//! report.check(0)?; // no bad sample
//! assert_eq!(report.splits[1].samples, 360);
//! # Ok::<(), firesight_data::DataError>(())
//! ```

mod look;
mod show;
mod summary;
#[cfg(test)]
mod tests;

use std::collections::{HashMap, HashSet};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use rayon::prelude::*;
use serde::Serialize;
use sha2::{Digest, Sha256};

use crate::error::DataError;
use crate::source::{Remark, Source, Splits};
use crate::target::Target;

pub use look::content_hash;
use summary::Summary;

/// How many samples are looked at before what they told is summed up, which bounds the memory.
const CHUNK: usize = 4096;
/// Of how many pictures of a split [`scan_labels`] wants to know the size.
const SIZES: usize = 200;

/// What is learned from a dataset.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Lesson {
    /// One class a picture.
    Classes,
    /// Objects in boxes.
    Boxes,
    /// A class for every pixel.
    Masks,
    /// The pictures alone; labels play no part.
    Pictures,
}

impl Lesson {
    /// Whether such a target teaches it.
    pub fn takes(self, target: &Target) -> bool {
        match self {
            Self::Classes => target.class().is_some(),
            Self::Boxes => target.boxes.is_some(),
            Self::Masks => target.mask.is_some(),
            Self::Pictures => true,
        }
    }
}

/// How much a finding matters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Severity {
    /// The split teaches nothing.
    Empty,
    /// The sample cannot be used; it counts against `max-bad`.
    Bad,
    /// It can be used, and should be looked at.
    Suspicious,
}

/// One thing that was found.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// How much it matters.
    pub severity: Severity,
    /// `train`, `validation` or `test`.
    pub split: String,
    /// The file, with the line where the format has lines, or the record and its file.
    pub origin: String,
    /// What is wrong with it.
    pub message: String,
}

/// What there is of a class.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct ClassCount {
    /// Its name.
    pub name: String,
    /// Pictures, objects or pixels of the class, whichever are learned from; crowds left out.
    pub count: u64,
    /// Pictures that have any of it.
    pub pictures: u64,
    /// Regions that hold a crowd of the class.
    pub crowds: u64,
}

/// What was found in one split.
#[derive(Clone, Debug, Serialize)]
pub struct SplitReport {
    /// `train`, `validation` or `test`.
    pub name: String,
    /// All samples, the bad ones included.
    pub samples: usize,
    /// Those whose labels were looked at; fewer where time was short.
    pub looked_at: usize,
    /// The indices of the bad samples.
    pub bad: Vec<usize>,
    /// What is learned.
    pub lesson: Lesson,
    /// Each class and what there is of it; empty where the pictures alone are learned from.
    pub classes: Vec<ClassCount>,
    /// Pixels of masks that are ignored.
    pub ignored: u64,
    /// The sizes of the images as width, height, channels and how many have them, the most frequent first.
    pub sizes: Vec<(usize, usize, usize, usize)>,
}

/// What was found in a dataset.
#[derive(Clone, Debug, Serialize)]
pub struct ScanReport {
    /// One for each split that exists.
    pub splits: Vec<SplitReport>,
    /// What is empty, bad and suspicious, at most 50 of each kind and split; suspicions of the same words are listed three
    /// times, and then counted.
    pub findings: Vec<Finding>,
    /// Pictures that occur in more than one split, by pixels: how many.
    pub shared_between_splits: usize,
    /// Pictures that occur more than once within a split: how many.
    pub repeated_within_a_split: usize,
}

impl ScanReport {
    /// Whether there is something to learn, and each split has at most `max_bad` bad samples.
    ///
    /// # Errors
    /// [`DataError::TooManyBad`] about the first split that has more; [`DataError::Unreadable`] about a training split
    /// that teaches nothing.
    pub fn check(&self, max_bad: usize) -> Result<(), DataError> {
        let over = |split: &&SplitReport| split.bad.len() > max_bad;
        if let Some(split) = self.splits.iter().find(over) {
            let is_one = |finding: &&Finding| {
                finding.severity == Severity::Bad && finding.split == split.name
            };
            let finding = self.findings.iter().find(is_one);
            let (origin, reason) = finding.map_or_else(Default::default, |finding| {
                (&*finding.origin, &*finding.message)
            });
            return Err(DataError::TooManyBad {
                found: split.bad.len(),
                allowed: max_bad,
                last: Box::new(DataError::unreadable(origin, reason)),
            });
        }
        let is_empty = |finding: &&Finding| finding.severity == Severity::Empty;
        match self.findings.iter().find(is_empty) {
            Some(found) => Err(DataError::unreadable(&*found.origin, &*found.message)),
            None => Ok(()),
        }
    }
}

/// Reads every sample of every split once, on all cores. `progress` hears how many of how many are done.
pub fn scan(
    splits: &Splits,
    lesson: Lesson,
    progress: &(dyn Fn(usize, usize) + Sync),
) -> ScanReport {
    let parts = splits.named();
    let total = parts.iter().map(|(_, part)| part.len()).sum();
    let done = AtomicUsize::new(0);
    let mut report = ScanReport::new();
    let mut places: HashMap<[u8; 32], Vec<(usize, usize)>> = HashMap::new();
    let mut remarked = HashSet::new();
    for (number, (name, part)) in parts.iter().enumerate() {
        let source = &***part;
        let mut summary = Summary::new(name, source, lesson);
        for chunk in chunks(source.len()) {
            let look = |index: usize| {
                let seen = look::whole(source, index, lesson);
                progress(done.fetch_add(1, Ordering::Relaxed) + 1, total);
                (index, seen)
            };
            let seen: Vec<_> = chunk.into_par_iter().map(look).collect();
            for (index, seen) in seen {
                if let Some(digest) = seen.digest {
                    places.entry(digest).or_default().push((number, index));
                }
                summary.add(index, seen);
            }
        }
        summary.finish(source, &mut remarked, &mut report);
    }
    summary::duplicates(&parts, places, &mut report);
    report
}

/// Reads the labels of every split, on all cores, and the sizes of some pictures; no picture is decoded where its
/// label can be had without. Each split has `limit` for it: where that is short, samples from all over the split are
/// looked at, and the report says how many. Pictures in several splits are known by files of the same bytes, as far as
/// one more `limit` allows.
pub fn scan_labels(splits: &Splits, lesson: Lesson, limit: Duration) -> ScanReport {
    let mut report = ScanReport::new();
    let mut remarked = HashSet::new();
    let parts = splits.named();
    for (name, part) in &parts {
        let start = Instant::now();
        let source = &***part;
        let len = source.len();
        let (stride, every) = (stride(len), (len / SIZES).max(1));
        let mut summary = Summary::new(name, source, lesson);
        for chunk in chunks(len) {
            let look = |place: usize| {
                let index = (place as u128 * stride as u128 % len as u128) as usize;
                let sized = index.is_multiple_of(every);
                (start.elapsed() < limit)
                    .then(|| (index, look::target(source, index, lesson, sized)))
            };
            let seen: Vec<_> = chunk.into_par_iter().filter_map(look).collect();
            seen.into_iter()
                .for_each(|(index, seen)| summary.add(index, seen));
        }
        // Known without looking, and so also where time was short.
        for (index, Remark { origin, message }) in source.known_bad() {
            summary.known_bad(index, format!("{origin}: {message}"));
        }
        summary.finish(source, &mut remarked, &mut report);
    }
    summary::duplicates(&parts, shared_files(&parts, limit), &mut report);
    report
}

/// Places, as numbers of splits and samples, of files in several splits that have the same bytes. Only files of the same
/// size are read, until `limit` is over.
fn shared_files(
    parts: &[(&'static str, &Arc<dyn Source>)],
    limit: Duration,
) -> HashMap<[u8; 32], Vec<(usize, usize)>> {
    let start = Instant::now();
    let mut sizes: HashMap<u64, Vec<(usize, usize, PathBuf)>> = HashMap::new();
    for (number, (_, part)) in parts.iter().enumerate() {
        for index in 0..part.len() {
            let Some(file) = part.file(index) else {
                continue;
            };
            let Ok(metadata) = file.metadata() else {
                continue;
            };
            let of_size = sizes.entry(metadata.len()).or_default();
            of_size.push((number, index, file));
        }
    }
    let several = |files: &Vec<(usize, usize, PathBuf)>| files[0].0 != files[files.len() - 1].0;
    let files: Vec<_> = sizes.into_values().filter(several).flatten().collect();
    let digest = |(number, index, file): (usize, usize, PathBuf)| {
        let bytes = (start.elapsed() < limit).then(|| std::fs::read(file).ok())??;
        Some((<[u8; 32]>::from(Sha256::digest(bytes)), (number, index)))
    };
    let digests: Vec<_> = files.into_par_iter().filter_map(digest).collect();
    let mut places: HashMap<_, Vec<_>> = HashMap::new();
    for (digest, place) in digests {
        places.entry(digest).or_default().push(place);
    }
    places
        .values_mut()
        .for_each(|places| places.sort_unstable());
    places.retain(|_, places| places[0].0 != places[places.len() - 1].0);
    places
}

impl ScanReport {
    fn new() -> Self {
        Self {
            splits: Vec::new(),
            findings: Vec::new(),
            shared_between_splits: 0,
            repeated_within_a_split: 0,
        }
    }
}

/// The places from 0 to below `len` in pieces.
fn chunks(len: usize) -> impl Iterator<Item = std::ops::Range<usize>> {
    (0..len)
        .step_by(CHUNK)
        .map(move |start| start..(start + CHUNK).min(len))
}

/// A step that leads from 0 through all places below `len`, far from the last at each, so that the first few lie all
/// over them.
fn stride(len: usize) -> usize {
    let divisor = |mut a: usize, mut b: usize| {
        while b > 0 {
            (a, b) = (b, a % b);
        }
        a
    };
    let near = (len as f64 * 0.618) as usize;
    let mut steps = (near..len).chain(1..2);
    steps.find(|&step| divisor(step, len) == 1).unwrap_or(1)
}
