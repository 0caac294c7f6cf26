//! What a dataset is once it is read: how many pictures of which size, what is wrong with it, what belongs together.

use std::collections::BTreeSet;
use std::path::Path;
use std::time::Duration;

use firesight_data::scan::{Lesson, ScanReport, Severity, scan, scan_labels};
use firesight_data::source::{Source, Splits};
use firesight_data::split::{HoldOut, SplitConfig};
use firesight_data::words::counted;
use firesight_data::{DataError, SourceConfig};
use serde_json::{Value, json};

use super::recognize::Candidate;
use crate::{Error, memory};

/// Up to so many pictures are all read; of more the labels alone.
const ALL: usize = 3000;
/// How long labels are read.
const LIMIT: Duration = Duration::from_secs(30);
/// How many targets are looked at for the sizes of boxes.
const TARGETS: usize = 500;
/// What Roboflow puts between the name of an original and the hash of a picture made of it.
const ROBOFLOW: &str = ".rf.";

/// What is known of a dataset.
pub(super) struct Facts {
    /// The dataset with the settings under which the fewest samples are bad.
    pub candidate: Candidate,
    pub lesson: Lesson,
    pub train: usize,
    pub validation: Option<usize>,
    pub test: Option<usize>,
    pub classes: usize,
    /// Width and height of the middle picture by its longer side.
    pub middle: [usize; 2],
    /// Whether all pictures that were looked at have one size.
    pub one_size: bool,
    /// The most bad samples of a split, and what is wrong with the first.
    pub bad: (usize, String),
    /// Why a setting was added to the dataset's, by its key.
    pub mended: Vec<(String, String)>,
    /// The text that names of one original share before it, and how many pictures share theirs.
    pub group: Option<(&'static str, usize)>,
    /// The lower tenth of the sides of boxes, in shares of the longer side of their picture.
    pub small_box: Option<f64>,
    /// The memory of this machine in bytes.
    pub memory: u64,
}

impl Facts {
    /// Reads a dataset for what is to be learnt.
    ///
    /// # Errors
    /// A dataset that cannot be read, or teaches nothing of it.
    pub fn of(candidate: &Candidate, lesson: Lesson) -> crate::Result<Self> {
        let mut candidate = candidate.clone();
        if lesson == Lesson::Masks && candidate.lessons.contains(&Lesson::Boxes) {
            candidate = candidate.with("class-masks", true.into());
        }
        let mut splits = open(&candidate)?;
        let mut report = look(&splits, lesson);
        let mut mended = Vec::new();
        for (key, value, why) in [
            ("one-based", json!(false), "coordinates begin at 0 here"),
            (
                "faulty",
                json!("repair"),
                "what cannot be true is clipped or left out, and named by `check`",
            ),
        ] {
            let (count, first) = bad(&report);
            if count == 0 || !takes(&candidate, key, &value) {
                continue;
            }
            let with = candidate.with(key, value);
            let Ok(other) = open(&with) else { continue };
            let found = look(&other, lesson);
            if bad(&found).0 < count {
                mended.push((
                    key.to_owned(),
                    format!(
                        "{why}; without it {}, the first: {first}",
                        bad_samples(count)
                    ),
                ));
                (candidate, splits, report) = (with, other, found);
            }
        }
        let is_empty =
            |finding: &&firesight_data::scan::Finding| finding.severity == Severity::Empty;
        if let Some(finding) = report.findings.iter().find(is_empty) {
            return Err(Error::new(format!(
                "{}: {}",
                finding.origin, finding.message
            )));
        }
        let train = &*splits.train;
        let sizes = &report.splits[0].sizes;
        let Some(middle) = middle(sizes) else {
            let (_, first) = bad(&report);
            return Err(Error::new(format!(
                "no picture can be read; the first: {first}"
            )));
        };
        Ok(Self {
            lesson,
            train: train.len(),
            validation: splits.validation.as_ref().map(|part| part.len()),
            test: splits.test.as_ref().map(|part| part.len()),
            classes: match lesson {
                Lesson::Masks => train.mask_classes().len(),
                _ => train.classes().len(),
            },
            middle,
            one_size: sizes.len() == 1,
            bad: bad(&report),
            mended,
            group: group(train),
            small_box: (lesson == Lesson::Boxes)
                .then(|| small_box(train))
                .flatten(),
            memory: memory::limit(),
            candidate,
        })
    }

    /// What there is, in lines.
    pub fn said(&self) -> Vec<String> {
        let mut parts = vec![format!("{} to train on", counted(self.train, "picture"))];
        parts.extend(
            self.validation
                .map(|count| format!("{count} to validate by")),
        );
        parts.extend(self.test.map(|count| format!("{count} to test by")));
        let [width, height] = self.middle;
        let size = match self.one_size {
            true => format!("all of {width}x{height} pixels"),
            false => format!("of several sizes, {width}x{height} pixels in the middle"),
        };
        let mut said = vec![format!(
            "{}, {}, {size}",
            parts.join(", "),
            counted(self.classes, "class")
        )];
        said.extend(self.mended.iter().map(|(key, why)| format!("{key}: {why}")));
        if let (1.., first) = &self.bad {
            said.push(format!("{}: {first}", bad_samples(self.bad.0)));
        }
        if let Some((text, count)) = self.group {
            let count = counted(count, "picture");
            said.push(format!("{count} share their name before `{text}` with another: they were made of one original"));
        }
        said
    }

    /// The bytes of all decoded training pictures, about.
    pub fn decoded(&self) -> u64 {
        let [width, height] = self.middle;
        self.train as u64 * (width * height * 3) as u64
    }
}

fn bad_samples(count: usize) -> String {
    match count {
        1 => "1 sample is bad".to_owned(),
        _ => format!("{count} samples are bad"),
    }
}

/// Opens a dataset with the splits that it gives itself.
fn open(candidate: &Candidate) -> Result<Splits, DataError> {
    let config: SourceConfig = serde_json::from_value(candidate.source.clone())
        .map_err(|error| DataError::setting("source", error.to_string()))?;
    let split = SplitConfig {
        validation: HoldOut::None,
        ..SplitConfig::default()
    };
    config.open(Path::new(""), &split, 0)
}

/// Whether a dataset has a setting.
fn takes(candidate: &Candidate, key: &str, value: &Value) -> bool {
    let with = candidate.with(key, value.clone());
    serde_json::from_value::<SourceConfig>(with.source).is_ok()
}

fn look(splits: &Splits, lesson: Lesson) -> ScanReport {
    let all: usize = splits.named().iter().map(|(_, part)| part.len()).sum();
    match all <= ALL {
        true => scan(splits, lesson, &|_, _| {}),
        false => scan_labels(splits, lesson, LIMIT),
    }
}

/// The most bad samples of a split, and what is wrong with the first of them.
fn bad(report: &ScanReport) -> (usize, String) {
    let most = report.splits.iter().max_by_key(|split| split.bad.len());
    let count = most.map_or(0, |split| split.bad.len());
    let first = report
        .findings
        .iter()
        .find(|finding| finding.severity == Severity::Bad);
    let first = first.map_or_else(String::new, |finding| {
        format!("{}: {}", finding.origin, finding.message)
    });
    (count, first)
}

/// The size in the middle, by the longer side.
fn middle(sizes: &[(usize, usize, usize, usize)]) -> Option<[usize; 2]> {
    let mut sizes: Vec<_> = sizes.to_vec();
    sizes.sort_by_key(|(width, height, ..)| *width.max(height));
    let all: usize = sizes.iter().map(|(.., count)| count).sum();
    let mut before = 0;
    sizes.into_iter().find_map(|(width, height, _, count)| {
        before += count;
        (2 * before >= all).then_some([width, height])
    })
}

/// How many pictures share the name of an original with another.
fn group(source: &dyn Source) -> Option<(&'static str, usize)> {
    let mut originals = BTreeSet::new();
    let mut made = 0;
    for index in 0..source.len() {
        if let Some((original, _)) = source.origin(index).split_once(ROBOFLOW) {
            originals.insert(original.to_owned());
            made += 1;
        }
    }
    (made > originals.len()).then_some((ROBOFLOW, made - originals.len() + 1))
}

/// The lower tenth of the sides of boxes, in shares of the longer side of their picture.
fn small_box(source: &dyn Source) -> Option<f64> {
    let step = source.len().div_ceil(TARGETS).max(1);
    let mut sides: Vec<f64> = Vec::new();
    for index in (0..source.len()).step_by(step) {
        let (Ok(target), Ok(Some([width, height, _]))) =
            (source.target(index), source.dimensions(index))
        else {
            continue;
        };
        sides.extend(target.objects().iter().map(|object| {
            let [x1, y1, x2, y2] = object.xyxy.map(f64::from);
            ((x2 - x1) * (y2 - y1)).sqrt() / width.max(height) as f64
        }));
    }
    sides.sort_by(f64::total_cmp);
    sides.get(sides.len() / 10).copied()
}
