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

use std::collections::{HashMap, HashSet};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use rayon::prelude::*;
use serde::Serialize;

use crate::error::DataError;
use crate::sample::Label;
use crate::source::{Remark, Splits};

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
    /// Whether such a label teaches it.
    pub fn takes(self, label: &Label) -> bool {
        match self {
            Self::Classes => matches!(label, Label::Class(_)),
            Self::Boxes => matches!(label, Label::Boxes(_) | Label::BoxesAndMask(..)),
            Self::Masks => matches!(label, Label::Mask(_) | Label::BoxesAndMask(..)),
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
    /// What is empty, bad and suspicious, at most 50 of each kind and split.
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
/// looked at, and the report says how many.
pub fn scan_labels(splits: &Splits, lesson: Lesson, limit: Duration) -> ScanReport {
    let mut report = ScanReport::new();
    let mut remarked = HashSet::new();
    for (name, part) in splits.named() {
        let start = Instant::now();
        let source = &**part;
        let len = source.len();
        let (stride, every) = (stride(len), (len / SIZES).max(1));
        let mut summary = Summary::new(name, source, lesson);
        for chunk in chunks(len) {
            let look = |place: usize| {
                let index = (place as u128 * stride as u128 % len as u128) as usize;
                let sized = index.is_multiple_of(every);
                (start.elapsed() < limit)
                    .then(|| (index, look::label(source, index, lesson, sized)))
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
    report
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::datasets::digits::DigitsConfig;
    use crate::sample::{BoxLabel, Image, Mask, Sample};
    use crate::source::Source;
    use std::sync::Arc;

    /// Samples as given; `None` cannot be read.
    struct List(Vec<Option<Sample>>, Vec<String>);

    impl Source for List {
        fn len(&self) -> usize {
            self.0.len()
        }
        fn read(&self, index: usize) -> Result<Sample, DataError> {
            self.0[index]
                .clone()
                .ok_or_else(|| DataError::unreadable(self.origin(index), "damaged"))
        }
        fn origin(&self, index: usize) -> String {
            format!("list.txt:{}", index + 1)
        }
        fn classes(&self) -> &[String] {
            &self.1
        }
        fn class_of(&self, index: usize) -> Option<usize> {
            match self.0[index].as_ref()?.label {
                Label::Class(class) => Some(class),
                _ => None,
            }
        }
    }

    fn sample(first: u8, label: Label) -> Option<Sample> {
        let image = Image {
            width: 2,
            height: 2,
            channels: 1,
            pixels: vec![first, 1, 2, 3],
        };
        Some(Sample { image, label })
    }

    fn splits(train: Vec<Option<Sample>>, test: Vec<Option<Sample>>) -> Splits {
        let list = |samples| Arc::new(List(samples, vec!["a".into(), "b".into()]));
        Splits {
            train: list(train),
            validation: None,
            test: Some(list(test)),
        }
    }

    fn a_box(xyxy: [f32; 4]) -> Label {
        Label::Boxes(vec![BoxLabel {
            xyxy,
            class: 1,
            crowd: false,
            difficult: false,
            cover: 1.0,
        }])
    }

    #[test]
    fn counts_and_names_what_is_bad_and_shared() {
        let train = vec![
            sample(0, Label::Class(0)),
            None,
            sample(5, Label::Class(2)),
            sample(6, a_box([0.0, 0.0, 2.0, 3.0])),
            sample(7, a_box([1.0, 1.0, 1.0, 2.0])),
            sample(0, Label::Class(0)),
        ];
        let splits = splits(train, vec![sample(0, Label::Class(1))]);
        let report = scan(&splits, Lesson::Classes, &|_, _| {});
        let train = &report.splits[0];
        assert_eq!((train.samples, &train.bad[..]), (6, &[1, 2, 3, 4][..]));
        let count = |class: &ClassCount| (class.name.clone(), class.count);
        let counts: Vec<_> = train.classes.iter().map(count).collect();
        assert_eq!(counts, [("a".to_string(), 2), ("b".into(), 0)]);
        assert_eq!(train.sizes, [(2, 2, 1, 2)]);
        assert_eq!(
            (report.shared_between_splits, report.repeated_within_a_split),
            (1, 1)
        );
        let text = report.to_string();
        for expected in [
            "bad: list.txt:2: damaged (train)",
            "bad: list.txt:3: class 2 is out of range: there are 2 classes (train)",
            "bad: list.txt:4: box 0 [0, 0, 2, 3] leaves the image of 2x2 pixels (train)",
            "bad: list.txt:5: box 0 [1, 1, 1, 2] has no area (train)",
            "suspicious: class `b`: does not occur (train)",
            "suspicious: list.txt:6: the same picture as list.txt:1 (train) (train)\n",
            "suspicious: list.txt:1: the same picture as list.txt:1 (train), of another class (test)",
        ] {
            assert!(text.contains(expected), "{expected}\n{text}");
        }
        // One class of two is nothing to tell apart.
        let empty = report.check(4).unwrap_err().to_string();
        assert_eq!(
            empty,
            "train: class `a` alone occurs: there is nothing to tell apart"
        );
        assert!(matches!(
            report.check(3),
            Err(DataError::TooManyBad {
                found: 4,
                allowed: 3,
                ..
            })
        ));
    }

    fn masks(values: &[u8]) -> Vec<Option<Sample>> {
        let mask = |value| Mask {
            width: 2,
            height: 2,
            classes: vec![0, 0, 0, value],
        };
        let numbered = (10..).zip(values);
        numbered
            .map(|(first, &value)| sample(first, Label::Mask(mask(value))))
            .collect()
    }

    fn only(train: Vec<Option<Sample>>) -> Splits {
        Splits {
            test: None,
            ..splits(train, Vec::new())
        }
    }

    /// What a whole look and one at the labels alone say: the same, and whether there is something to learn.
    fn both(splits: &Splits, lesson: Lesson) -> (String, bool) {
        let whole = scan(splits, lesson, &|_, _| {});
        let labels = scan_labels(splits, lesson, Duration::from_secs(600));
        assert_eq!(whole.findings, labels.findings);
        assert_eq!(whole.splits[0].classes, labels.splits[0].classes);
        assert_eq!(whole.check(0).is_ok(), labels.check(0).is_ok());
        (whole.to_string(), whole.check(0).is_ok())
    }

    #[test]
    fn a_mask_counts_pixels_and_a_class_without_any_is_named() {
        let (text, teaches) = both(&only(masks(&[1, 1, 0, 255])), Lesson::Masks);
        assert!(teaches);
        let line = "pixels: a 13 (81.2 %) in 4 images, b 2 (12.5 %) in 2 images; ignored 1 (6.2 %)";
        assert!(text.contains(line), "{text}");
        let (text, teaches) = both(&only(masks(&[255, 0])), Lesson::Masks);
        assert!(!teaches);
        for expected in [
            "empty: train: class `a` alone occurs: there is nothing to tell apart; 12.5 % of the pixels of its masks \
             are ignored (the value 255) (train)",
            "suspicious: class `b`: does not occur in any mask (train)",
        ] {
            assert!(text.contains(expected), "{expected}\n{text}");
        }
    }

    #[test]
    fn a_validation_split_without_anything_to_measure_is_remarked_on() {
        let void = |first| {
            let classes = vec![255; 4];
            sample(
                first,
                Label::Mask(Mask {
                    width: 2,
                    height: 2,
                    classes,
                }),
            )
        };
        let splits = splits(masks(&[1, 0]), vec![void(50), void(51)]);
        let (text, teaches) = both(&splits, Lesson::Masks);
        assert!(teaches);
        let expected =
            "suspicious: test: no pixel of any mask counts: nothing can be measured on it; 100.0 %";
        assert!(text.contains(expected), "{text}");
        assert!(
            text.contains("suspicious: list.txt:2: every pixel of its mask"),
            "{text}"
        );
    }

    #[test]
    fn crowds_are_no_objects() {
        let mut crowd = a_box([0.0, 0.0, 1.0, 1.0]);
        let Label::Boxes(boxes) = &mut crowd else {
            unreachable!()
        };
        boxes[0].crowd = true;
        let (text, teaches) = both(&only(vec![sample(0, crowd)]), Lesson::Boxes);
        assert!(!teaches);
        for expected in [
            "boxes: a 0 in 0 images, b 0 and 1 crowds in 0 images",
            "empty: train: there is no object in any picture: there is nothing to learn",
            "suspicious: class `b`: does not occur but as a crowd (1 of them)",
        ] {
            assert!(text.contains(expected), "{expected}\n{text}");
        }
        // One class of objects is enough.
        assert!(
            both(
                &only(vec![sample(0, a_box([0.0, 0.0, 1.0, 1.0]))]),
                Lesson::Boxes
            )
            .1
        );
        // A generator learns from pictures alone.
        assert!(both(&only(vec![sample(0, Label::None)]), Lesson::Pictures).1);
    }

    #[test]
    fn many_classes_take_few_lines() {
        let names = (0..300).map(|class| format!("c{class}")).collect();
        let label = |class| sample(0, Label::Class(class));
        let samples = (0..100).chain(0..100).map(label).collect();
        let train = Arc::new(List(samples, names));
        let splits = Splits {
            train,
            validation: None,
            test: None,
        };
        let report = scan_labels(&splits, Lesson::Classes, Duration::from_secs(600));
        let text = report.to_string();
        assert_eq!(text.lines().count(), 3, "{text}");
        assert!(
            text.contains("300 of them, 200 without any; most: c0 2, "),
            "{text}"
        );
        assert!(
            text.contains("200 of 300 classes: do not occur: `c100`, "),
            "{text}"
        );
        assert!(text.lines().all(|line| line.len() < 400), "{text}");
    }

    #[test]
    fn too_little_time_is_admitted() {
        let report = scan_labels(&only(masks(&[1, 1])), Lesson::Masks, Duration::ZERO);
        assert_eq!(
            (report.splits[0].samples, report.splits[0].looked_at),
            (2, 0)
        );
        assert!(report.to_string().contains("labels looked at: 0"));
        // What was not looked at is not said to be missing.
        assert!(report.findings.is_empty() && report.check(0).is_ok());
        for len in [1, 2, 3, 10, 12, 4096, 5000] {
            let mut places: Vec<usize> = (0..len).map(|place| place * stride(len) % len).collect();
            places.sort_unstable();
            assert!(places.into_iter().eq(0..len), "{len}");
        }
    }

    #[test]
    fn the_digits_are_clean() {
        let report = scan(
            &DigitsConfig {}.open().unwrap(),
            Lesson::Classes,
            &|_, _| {},
        );
        assert!(report.check(0).is_ok());
        assert_eq!(
            report.splits[0]
                .classes
                .iter()
                .map(|class| class.count)
                .sum::<u64>(),
            1437
        );
        assert_eq!(report.shared_between_splits, 0, "{report}");
    }
}
