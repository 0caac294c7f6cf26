//! Looks through a whole dataset before it is trained on: counts, sizes, what cannot be read, what contradicts
//! itself, what is suspicious, and which pictures occur in two splits.
//!
//! A sample is *bad* if it cannot be read or if its label cannot be true (a class out of range, a box outside
//! the picture or without area, a mask of another size). `max-bad = N` lets each split have up to N of them;
//! they are then skipped. Which samples are bad depends on their files alone, so the same ones are skipped in
//! every epoch and run, whatever the order or the number of workers; their places in the split, and so the
//! random draws of all others, do not move. Nothing is ever written to the dataset. What is suspicious is
//! reported and does not keep anything from being used.
//!
//! ```
//! use firesight_data::datasets::digits::DigitsConfig;
//! use firesight_data::scan::scan;
//!
//! let report = scan(&DigitsConfig::default().open()?, &|_, _| {});
//! report.check(0)?; // no bad sample
//! assert_eq!(report.splits[1].samples, 360);
//! # Ok::<(), firesight_data::DataError>(())
//! ```

use std::collections::{BTreeMap, HashMap};
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use rayon::prelude::*;
use serde::Serialize;
use sha2::{Digest, Sha256};

use crate::error::DataError;
use crate::sample::{Image, Label, Mask, Sample};
use crate::source::{Remark, Source, Splits};

/// How many findings of a kind are listed; all are counted.
const LISTED: usize = 50;
/// A side this many times as long as the other is suspicious.
const LONG: usize = 20;

/// How much a finding matters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Severity {
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

/// What was found in one split.
#[derive(Clone, Debug, Serialize)]
pub struct SplitReport {
    /// `train`, `validation` or `test`.
    pub name: String,
    /// All samples, the bad ones included.
    pub samples: usize,
    /// The indices of the bad samples.
    pub bad: Vec<usize>,
    /// Each class and how often it occurs: samples for class labels, boxes for boxes.
    pub classes: Vec<(String, usize)>,
    /// Each class of a mask and how many pixels have it; empty without masks.
    pub mask_classes: Vec<(String, u64)>,
    /// The sizes of the images as width, height, channels and how many have them, the most frequent first.
    pub sizes: Vec<(usize, usize, usize, usize)>,
}

/// What was found in a dataset.
#[derive(Clone, Debug, Serialize)]
pub struct ScanReport {
    /// One for each split that exists.
    pub splits: Vec<SplitReport>,
    /// What is bad and what is suspicious, at most 50 of each kind and split.
    pub findings: Vec<Finding>,
    /// Pictures that occur in more than one split, by pixels: how many.
    pub shared_between_splits: usize,
    /// Pictures that occur more than once within a split: how many.
    pub repeated_within_a_split: usize,
}

impl ScanReport {
    /// Whether each split has at most `max_bad` bad samples.
    ///
    /// # Errors
    /// [`DataError::TooManyBad`] about the first split that has more.
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
        Ok(())
    }
}

/// Reads every sample of every split once, on all cores. `progress` hears how many of how many are done.
pub fn scan(splits: &Splits, progress: &(dyn Fn(usize, usize) + Sync)) -> ScanReport {
    let parts = splits.named();
    let total = parts.iter().map(|(_, part)| part.len()).sum();
    let done = AtomicUsize::new(0);
    let mut report = ScanReport {
        splits: Vec::new(),
        findings: Vec::new(),
        shared_between_splits: 0,
        repeated_within_a_split: 0,
    };
    let mut places: HashMap<[u8; 32], Vec<(usize, usize)>> = HashMap::new();
    for (number, (name, part)) in parts.iter().enumerate() {
        let seen: Vec<Seen> = (0..part.len())
            .into_par_iter()
            .map(|index| {
                let seen = look(&***part, index);
                progress(done.fetch_add(1, Ordering::Relaxed) + 1, total);
                seen
            })
            .collect();
        for (index, seen) in seen.iter().enumerate() {
            if let Some(digest) = seen.digest {
                places.entry(digest).or_default().push((number, index));
            }
        }
        summarise(name, part, seen, &mut report);
    }
    duplicates(&parts, places, &mut report);
    report
}

/// What one sample told.
struct Seen {
    bad: Option<String>,
    suspicious: Vec<String>,
    remarks: Vec<Remark>,
    digest: Option<[u8; 32]>,
    size: Option<(usize, usize, usize)>,
    classes: Vec<usize>,
    pixels: BTreeMap<u8, u64>,
}

fn look(source: &dyn Source, index: usize) -> Seen {
    let mut seen = Seen {
        bad: None,
        suspicious: Vec::new(),
        remarks: Vec::new(),
        digest: None,
        size: None,
        classes: Vec::new(),
        pixels: BTreeMap::new(),
    };
    let sample = match source.inspect(index) {
        Ok((sample, remarks)) => {
            seen.remarks = remarks;
            sample
        }
        Err(error) => {
            seen.bad = Some(without_path(error, &source.origin(index)));
            return seen;
        }
    };
    let image = &sample.image;
    seen.bad = impossible(&sample, source.classes().len(), source.mask_classes().len());
    seen.size = Some((image.width, image.height, image.channels));
    seen.digest = Some(content_hash(image));
    if image
        .pixels
        .chunks_exact(image.channels.max(1))
        .all(|pixel| pixel == &image.pixels[..image.channels])
    {
        seen.suspicious
            .push("all pixels have the same colour".into());
    }
    let (shorter, longer) = (image.width.min(image.height), image.width.max(image.height));
    if longer >= LONG * shorter {
        seen.suspicious
            .push(format!("{}x{} pixels: a strip", image.width, image.height));
    }
    match &sample.label {
        Label::None => seen.suspicious.push("no label".into()),
        Label::Class(class) => seen.classes.push(*class),
        Label::Boxes(boxes) | Label::BoxesAndMask(boxes, _) => {
            seen.classes.extend(boxes.iter().map(|b| b.class));
        }
        Label::Mask(_) => {}
    }
    if let Label::Mask(mask) | Label::BoxesAndMask(_, mask) = &sample.label {
        mask.classes
            .iter()
            .for_each(|&class| *seen.pixels.entry(class).or_default() += 1);
        if mask.classes.iter().all(|&class| class == Mask::IGNORE) {
            seen.suspicious
                .push("every pixel of its mask is to be ignored".into());
        }
    }
    seen
}

/// What is wrong, without the sample's file, which a finding names itself; another file, such as that of the labels
/// with its line, stays.
fn without_path(error: DataError, sample: &str) -> String {
    match error {
        DataError::Unreadable { origin, reason } if origin.ends_with(sample) => reason,
        DataError::Unreadable { origin, reason } => format!("{origin}: {reason}"),
        DataError::OverLimit { reason, .. } => format!("refused: {reason}"),
        DataError::Io { action, source, .. } => format!("cannot {action}: {source}"),
        error => error.to_string(),
    }
}

/// Why a label cannot be true of its image, if it cannot.
pub fn impossible(sample: &Sample, classes: usize, mask_classes: usize) -> Option<String> {
    let image = &sample.image;
    if image.pixels.len() != image.width * image.height * image.channels || image.pixels.is_empty()
    {
        return Some(format!(
            "{} bytes for {}x{} pixels",
            image.pixels.len(),
            image.width,
            image.height
        ));
    }
    if let Label::Class(class) = sample.label
        && class >= classes
    {
        return Some(format!(
            "class {class} is out of range: there are {classes} classes"
        ));
    }
    if let Label::Boxes(boxes) | Label::BoxesAndMask(boxes, _) = &sample.label {
        for (number, label) in boxes.iter().enumerate() {
            let [x1, y1, x2, y2] = label.xyxy;
            let (width, height) = (image.width as f32, image.height as f32);
            let shown = format!("box {number} [{x1}, {y1}, {x2}, {y2}]");
            if label.class >= classes {
                let class = label.class;
                return Some(format!(
                    "{shown}: class {class} is out of range: there are {classes} classes"
                ));
            }
            if !label.xyxy.iter().all(|edge| edge.is_finite()) || x1 >= x2 || y1 >= y2 {
                return Some(format!("{shown} has no area"));
            }
            if x1 < 0.0 || y1 < 0.0 || x2 > width || y2 > height {
                return Some(format!(
                    "{shown} leaves the image of {width}x{height} pixels"
                ));
            }
        }
    }
    if let Label::Mask(mask) | Label::BoxesAndMask(_, mask) = &sample.label {
        if (mask.width, mask.height) != (image.width, image.height)
            || mask.classes.len() != mask.width * mask.height
        {
            let (width, height) = (mask.width, mask.height);
            return Some(format!(
                "its mask is {width}x{height}, the image {}x{}",
                image.width, image.height
            ));
        }
        let out = |class: &u8| usize::from(*class) >= mask_classes && *class != Mask::IGNORE;
        if let Some(at) = mask.classes.iter().position(out) {
            let (class, x, y) = (mask.classes[at], at % mask.width, at / mask.width);
            return Some(format!(
                "class {class} at {x}, {y} of its mask: there are {mask_classes} classes"
            ));
        }
    }
    None
}

/// SHA-256 over size and pixels.
pub fn content_hash(image: &Image) -> [u8; 32] {
    let mut hasher = Sha256::new();
    for size in [image.width, image.height, image.channels] {
        hasher.update((size as u64).to_le_bytes());
    }
    hasher.update(&image.pixels);
    hasher.finalize().into()
}

fn summarise(name: &str, part: &Arc<dyn Source>, seen: Vec<Seen>, report: &mut ScanReport) {
    let mut counts = vec![0; part.classes().len()];
    let mut pixels = vec![0; part.mask_classes().len()];
    let mut sizes: BTreeMap<(usize, usize, usize), usize> = BTreeMap::new();
    let mut bad = Vec::new();
    let mut list = Lister::new(name);
    for (index, seen) in seen.into_iter().enumerate() {
        if let Some(message) = seen.bad {
            bad.push(index);
            list.add(Severity::Bad, part.origin(index), message, report);
            continue;
        }
        seen.suspicious.into_iter().for_each(|message| {
            list.add(Severity::Suspicious, part.origin(index), message, report);
        });
        for Remark { origin, message } in seen.remarks {
            list.add(Severity::Suspicious, origin, message, report);
        }
        seen.classes.iter().for_each(|&class| counts[class] += 1);
        for (class, count) in seen
            .pixels
            .into_iter()
            .filter(|(class, _)| *class != Mask::IGNORE)
        {
            pixels[usize::from(class)] += count;
        }
        seen.size
            .into_iter()
            .for_each(|size| *sizes.entry(size).or_default() += 1);
    }
    for remark in part.remarks() {
        list.add(Severity::Suspicious, remark.origin, remark.message, report);
    }
    if counts.iter().any(|&count| count > 0) {
        for (class, _) in part
            .classes()
            .iter()
            .zip(&counts)
            .filter(|(_, count)| **count == 0)
        {
            list.add(
                Severity::Suspicious,
                format!("class `{class}`"),
                "does not occur".into(),
                report,
            );
        }
    }
    let mut channels: Vec<usize> = sizes.keys().map(|size| size.2).collect();
    channels.sort_unstable();
    channels.dedup();
    if channels.len() > 1 {
        list.add(
            Severity::Suspicious,
            name.into(),
            format!("images of {channels:?} channels are mixed"),
            report,
        );
    }
    list.finish(report);
    let mut sizes: Vec<_> = sizes
        .into_iter()
        .map(|((w, h, c), count)| (w, h, c, count))
        .collect();
    sizes.sort_by_key(|&(.., count)| std::cmp::Reverse(count));
    let has_masks = pixels.iter().any(|&count| count > 0);
    report.splits.push(SplitReport {
        name: name.into(),
        samples: part.len(),
        bad,
        // A set of masks alone counts pixels, and no sample has a class.
        classes: match has_masks && counts.iter().all(|count| *count == 0) {
            true => Vec::new(),
            false => part.classes().iter().cloned().zip(counts).collect(),
        },
        mask_classes: if has_masks {
            part.mask_classes().iter().cloned().zip(pixels).collect()
        } else {
            Vec::new()
        },
        sizes,
    });
}

/// Adds findings until there are enough of a kind, and then only counts.
struct Lister<'a> {
    split: &'a str,
    counts: [usize; 2],
}

impl<'a> Lister<'a> {
    fn new(split: &'a str) -> Self {
        Self {
            split,
            counts: [0; 2],
        }
    }

    fn add(
        &mut self,
        severity: Severity,
        origin: String,
        message: String,
        report: &mut ScanReport,
    ) {
        let count = &mut self.counts[severity as usize];
        *count += 1;
        if *count <= LISTED {
            report.findings.push(Finding {
                severity,
                split: self.split.into(),
                origin,
                message,
            });
        }
    }

    fn finish(self, report: &mut ScanReport) {
        for (severity, count) in [Severity::Bad, Severity::Suspicious]
            .into_iter()
            .zip(self.counts)
        {
            if count > LISTED {
                report.findings.push(Finding {
                    severity,
                    split: self.split.into(),
                    origin: self.split.into(),
                    message: format!("and {} more", count - LISTED),
                });
            }
        }
    }
}

fn duplicates(
    parts: &[(&'static str, &Arc<dyn Source>)],
    places: HashMap<[u8; 32], Vec<(usize, usize)>>,
    report: &mut ScanReport,
) {
    let mut groups: Vec<Vec<(usize, usize)>> = places
        .into_values()
        .filter(|group| group.len() > 1)
        .collect();
    groups.sort_unstable();
    let mut lists: Vec<Lister> = parts.iter().map(|(name, _)| Lister::new(name)).collect();
    for group in groups {
        let (first_split, first) = group[0];
        let mut within = false;
        let mut between = false;
        for &(split, index) in &group[1..] {
            between |= split != first_split;
            within |= split == first_split;
            let (part, other) = (parts[split].1, parts[first_split].1);
            let other_class = if part.class_of(index) == other.class_of(first) {
                ""
            } else {
                ", of another class"
            };
            let message = format!(
                "the same picture as {} ({}){other_class}",
                other.origin(first),
                parts[first_split].0
            );
            lists[split].add(Severity::Suspicious, part.origin(index), message, report);
        }
        report.shared_between_splits += usize::from(between);
        report.repeated_within_a_split += usize::from(within);
    }
    lists.into_iter().for_each(|list| list.finish(report));
}

impl fmt::Display for ScanReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for split in &self.splits {
            writeln!(
                f,
                "{}: {} samples, {} bad",
                split.name,
                split.samples,
                split.bad.len()
            )?;
            let classes: Vec<String> = split
                .classes
                .iter()
                .map(|(class, count)| format!("{class} {count}"))
                .collect();
            writeln!(f, "  classes: {}", classes.join(", "))?;
            if !split.mask_classes.is_empty() {
                let classes: Vec<String> = split
                    .mask_classes
                    .iter()
                    .map(|(class, count)| format!("{class} {count}"))
                    .collect();
                writeln!(f, "  pixels: {}", classes.join(", "))?;
            }
            let sizes: Vec<String> = split
                .sizes
                .iter()
                .take(5)
                .map(|(width, height, channels, count)| {
                    format!("{width}x{height}x{channels} ({count})")
                })
                .collect();
            let more = split.sizes.len().saturating_sub(5);
            let more = if more > 0 {
                format!(" and {more} other sizes")
            } else {
                String::new()
            };
            writeln!(f, "  images: {}{more}", sizes.join(", "))?;
        }
        writeln!(
            f,
            "pictures in more than one split: {}",
            self.shared_between_splits
        )?;
        writeln!(
            f,
            "pictures more than once in a split: {}",
            self.repeated_within_a_split
        )?;
        for finding in &self.findings {
            let severity = match finding.severity {
                Severity::Bad => "bad",
                Severity::Suspicious => "suspicious",
            };
            let Finding {
                split,
                origin,
                message,
                ..
            } = finding;
            writeln!(f, "{severity}: {split}: {origin}: {message}")?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::datasets::digits::DigitsConfig;
    use crate::sample::BoxLabel;

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
        let report = scan(&splits(train, vec![sample(0, Label::Class(1))]), &|_, _| {});
        let train = &report.splits[0];
        assert_eq!((train.samples, &train.bad[..]), (6, &[1, 2, 3, 4][..]));
        assert_eq!(train.classes, [("a".to_string(), 2), ("b".into(), 0)]);
        assert_eq!(train.sizes, [(2, 2, 1, 2)]);
        assert_eq!(
            (report.shared_between_splits, report.repeated_within_a_split),
            (1, 1)
        );
        let text = report.to_string();
        for expected in [
            "bad: train: list.txt:2: damaged",
            "bad: train: list.txt:3: class 2 is out of range: there are 2 classes",
            "bad: train: list.txt:4: box 0 [0, 0, 2, 3] leaves the image of 2x2 pixels",
            "bad: train: list.txt:5: box 0 [1, 1, 1, 2] has no area",
            "suspicious: train: class `b`: does not occur",
            "suspicious: train: list.txt:6: the same picture as list.txt:1 (train)\n",
            "suspicious: test: list.txt:1: the same picture as list.txt:1 (train), of another class",
        ] {
            assert!(text.contains(expected), "{expected}\n{text}");
        }
        assert!(report.check(4).is_ok());
        assert!(matches!(
            report.check(3),
            Err(DataError::TooManyBad {
                found: 4,
                allowed: 3,
                ..
            })
        ));
    }

    #[test]
    fn masks_are_checked_against_the_image() {
        let mask = |width, classes| {
            Label::Mask(Mask {
                width,
                height: 2,
                classes,
            })
        };
        let bad = |label| impossible(&sample(0, label).unwrap(), 2, 2);
        assert_eq!(bad(mask(2, vec![0, 1, 255, 0])), None);
        assert!(
            bad(mask(2, vec![0, 1, 2, 0]))
                .unwrap()
                .contains("class 2 at 0, 1")
        );
        assert!(
            bad(mask(1, vec![0, 1]))
                .unwrap()
                .contains("its mask is 1x2")
        );
    }

    #[test]
    fn the_digits_are_clean() {
        let report = scan(&DigitsConfig {}.open().unwrap(), &|_, _| {});
        assert!(report.check(0).is_ok());
        assert_eq!(
            report.splits[0]
                .classes
                .iter()
                .map(|(_, count)| count)
                .sum::<usize>(),
            1437
        );
        assert_eq!(report.shared_between_splits, 0, "{report}");
    }
}
