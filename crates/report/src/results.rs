//! `results.json`: what a run reached, as the report shows it.
//!
//! A classifier fills the typed fields. Every other task describes its own tables, pictures and
//! curves as [`Section`]s, which the page shows in order; no template needs to know the task.
//! Everything may be missing when read.
//!
//! ```
//! use firesight_report::results::{SplitResults, Results, Section, Table};
//!
//! let run = tempfile::tempdir()?;
//! let results = Results {
//!     task: "detection".into(),
//!     primary: Some("ap".into()),
//!     evaluations: vec![SplitResults {
//!         split: "test".into(),
//!         samples: Some(500),
//!         metrics: [("ap".to_string(), 0.581)].into(),
//!         ..SplitResults::default()
//!     }],
//!     sections: vec![Section {
//!         title: "Sizes".into(),
//!         tables: vec![Table {
//!             caption: "By size of the object".into(),
//!             columns: vec!["Size".into(), "AP".into()],
//!             rows: vec![vec!["small".into(), 0.31.into()]],
//!         }],
//!         ..Section::default()
//!     }],
//!     ..Results::default()
//! };
//! results.write(run.path())?;
//! let page = std::fs::read_to_string(firesight_report::write(run.path())?)?;
//! assert!(page.contains("By size of the object"));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
};

use serde::{Deserialize, Serialize};

use crate::{error::ReportError, json};

/// Name of the file within a run folder.
pub const FILE_NAME: &str = "results.json";

/// What a run reached.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Results {
    /// `classification`, `segmentation`, `detection`, `generation`.
    pub task: String,
    /// The final numbers, one entry per split and set of weights measured.
    pub evaluations: Vec<SplitResults>,
    /// Name of the metric that stands for the run (`top1`, `miou`, `ap`); it decided which
    /// checkpoint is `best`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub primary: Option<String>,
    /// Class names by index.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub classes: Vec<String>,
    /// Counts of true against predicted classes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub confusion: Option<Confusion>,
    /// Numbers per class. Left empty, the report derives precision, recall and F1 from `confusion`.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub per_class: Vec<ClassRow>,
    /// Pairs of classes taken for each other, most frequent first. Left empty, the report derives
    /// them from `confusion`.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub most_confused: Vec<ConfusedPair>,
    /// Samples with the highest loss, worst first.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub worst: Vec<Example>,
    /// Samples with the lowest loss, best first.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub best: Vec<Example>,
    /// The split that `confusion`, `per_class`, `most_confused`, `worst` and `best` come from.
    pub split: String,
    /// The weights they come from.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub weights: Option<MeasuredWeights>,
    /// What the task adds: tables, pictures and curves of its own.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub sections: Vec<Section>,
}

/// Final numbers on one split.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct SplitResults {
    /// `validation` or `test`.
    pub split: String,
    /// Samples measured.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub samples: Option<usize>,
    /// The weights measured.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub weights: Option<MeasuredWeights>,
    /// Numbers by name; shares from 0 to 1.
    #[serde(with = "crate::number::map")]
    pub metrics: BTreeMap<String, f64>,
}

/// Which weights a number comes from.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct MeasuredWeights {
    /// `best` or `last`.
    pub checkpoint: String,
    /// Step of that checkpoint.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub step: Option<u64>,
    /// Epoch of that checkpoint, counting from 1.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub epoch: Option<u64>,
    /// Whether these are the averaged (EMA) weights.
    pub ema: bool,
}

/// Counts of true against predicted classes.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Confusion {
    /// `counts[truth][predicted]`, `[classes, classes]`.
    pub counts: Vec<Vec<u64>>,
}

/// Numbers of one class.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct ClassRow {
    /// Class index.
    pub class: usize,
    /// Samples (or objects, or pixels) of the class in the split.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub samples: Option<u64>,
    /// Shares from 0 to 1 by name: `precision`, `recall`, `iou`, `ap`, ...
    #[serde(with = "crate::number::map")]
    pub metrics: BTreeMap<String, f64>,
}

/// How often one class was taken for another.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ConfusedPair {
    /// True class index.
    pub truth: usize,
    /// Predicted class index.
    pub predicted: usize,
    /// Samples of `truth` predicted as `predicted`.
    pub count: u64,
}

/// One sample with its prediction.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Example {
    /// A PNG file, relative to the run folder.
    pub picture: PathBuf,
    /// True class index, where it is known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub truth: Option<usize>,
    /// The likeliest classes, likeliest first.
    pub top: Vec<ClassProbability>,
    /// Loss of the sample.
    #[serde(with = "crate::number")]
    pub loss: f64,
    /// Where the sample comes from: `test/cat/1.jpg`, `row 17 of digits`.
    pub origin: String,
}

/// A class and its probability.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct ClassProbability {
    /// Class index.
    pub class: usize,
    /// From 0 to 1.
    #[serde(with = "crate::number")]
    pub probability: f64,
}

/// A part of the report that a task makes up itself. Its parts are shown in this order.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Section {
    /// Heading.
    pub title: String,
    /// Paragraphs of plain text.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub text: Vec<String>,
    /// Curves.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub charts: Vec<LineChart>,
    /// Tables.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub tables: Vec<Table>,
    /// Pictures.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub images: Vec<Picture>,
}

/// A table of a section.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Table {
    /// What the table shows.
    pub caption: String,
    /// Column headings; the first column names the row.
    pub columns: Vec<String>,
    /// Rows of as many cells as there are columns.
    pub rows: Vec<Vec<Cell>>,
}

/// A cell of a table: a number (set flush right), text, or nothing.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Cell {
    /// A number.
    Number(f64),
    /// Text.
    Text(String),
    /// Nothing known; also how a number that is not finite is read.
    Empty,
}

impl From<f64> for Cell {
    fn from(value: f64) -> Self {
        if value.is_finite() {
            Cell::Number(value)
        } else {
            Cell::Empty
        }
    }
}

impl From<&str> for Cell {
    fn from(value: &str) -> Self {
        Cell::Text(value.into())
    }
}

impl From<String> for Cell {
    fn from(value: String) -> Self {
        Cell::Text(value)
    }
}

/// A picture of a section.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Picture {
    /// A PNG file, relative to the run folder.
    pub path: PathBuf,
    /// Text under the picture.
    pub caption: String,
    /// What the picture shows, for those who cannot see it; the caption where it is empty.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub alt: String,
}

/// Curves over one axis.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct LineChart {
    /// Heading.
    pub title: String,
    /// Label of the horizontal axis.
    pub x: String,
    /// Label of the vertical axis.
    pub y: String,
    /// Whether the vertical axis is logarithmic (values above 0 only).
    pub log: bool,
    /// The curves.
    pub series: Vec<Series>,
}

/// One curve.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Series {
    /// Name in the legend.
    pub name: String,
    /// `[x, y]` with rising x; points that are not finite break the curve.
    #[serde(with = "crate::number::points")]
    pub points: Vec<[f64; 2]>,
}

impl Results {
    /// Writes `results.json` into the run folder, in place of the one there; whole or not at all.
    ///
    /// # Errors
    /// [`ReportError::Io`].
    pub fn write(&self, run: &Path) -> Result<(), ReportError> {
        json::write_json(&run.join(FILE_NAME), self)
    }

    /// Reads `results.json` of the run folder; `None` where there is none.
    ///
    /// # Errors
    /// [`ReportError::Io`] and [`ReportError::Json`].
    pub fn read(run: &Path) -> Result<Option<Self>, ReportError> {
        json::read_json(&run.join(FILE_NAME))
    }

    /// The name of a class, or `class 7` where it has none.
    pub fn class_name(&self, class: usize) -> String {
        self.classes
            .get(class)
            .cloned()
            .unwrap_or_else(|| format!("class {class}"))
    }
}

impl Confusion {
    /// Pairs of different classes with a count above 0, most frequent first.
    pub fn most_confused(&self, limit: usize) -> Vec<ConfusedPair> {
        let mut pairs: Vec<_> = self
            .counts
            .iter()
            .enumerate()
            .flat_map(|(truth, row)| {
                row.iter()
                    .enumerate()
                    .filter(move |(predicted, count)| *predicted != truth && **count > 0)
                    .map(move |(predicted, &count)| ConfusedPair {
                        truth,
                        predicted,
                        count,
                    })
            })
            .collect();
        pairs.sort_by_key(|pair| (std::cmp::Reverse(pair.count), pair.truth, pair.predicted));
        pairs.truncate(limit);
        pairs
    }

    /// Precision, recall and F1 of each class; `NaN` where a class was never predicted, or never
    /// there.
    pub fn per_class(&self) -> Vec<ClassRow> {
        let share =
            |part: u64, whole: u64| part as f64 / if whole == 0 { f64::NAN } else { whole as f64 };
        (0..self.counts.len())
            .map(|class| {
                let cell = |row: &Vec<u64>| row.get(class).copied().unwrap_or(0);
                let hits = cell(&self.counts[class]);
                let truth: u64 = self.counts[class].iter().sum();
                let predicted: u64 = self.counts.iter().map(cell).sum();
                let metrics = BTreeMap::from([
                    ("precision".to_string(), share(hits, predicted)),
                    ("recall".to_string(), share(hits, truth)),
                    ("f1".to_string(), share(2 * hits, truth + predicted)),
                ]);
                ClassRow {
                    class,
                    samples: Some(truth),
                    metrics,
                }
            })
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read_back() {
        let run = tempfile::tempdir().unwrap();
        let results = Results {
            task: "classification".into(),
            evaluations: vec![SplitResults {
                split: "test".into(),
                samples: Some(10),
                weights: Some(MeasuredWeights {
                    checkpoint: "best".into(),
                    step: Some(7),
                    epoch: Some(1),
                    ema: true,
                }),
                metrics: BTreeMap::from([("top1".into(), 0.9)]),
            }],
            worst: vec![Example {
                truth: Some(1),
                loss: 3.5,
                ..Example::default()
            }],
            sections: vec![Section {
                title: "Boxes".into(),
                tables: vec![Table {
                    caption: "AP".into(),
                    columns: vec!["size".into(), "ap".into(), "n".into()],
                    rows: vec![vec!["small".into(), 0.25.into(), f64::NAN.into()]],
                }],
                ..Section::default()
            }],
            ..Results::default()
        };
        results.write(run.path()).unwrap();
        assert_eq!(Results::read(run.path()).unwrap(), Some(results));
        std::fs::write(run.path().join(FILE_NAME), "{}").unwrap();
        assert_eq!(Results::read(run.path()).unwrap(), Some(Results::default()));
    }

    #[test]
    fn confusion_gives_pairs_and_class_numbers() {
        // By hand: class 0 has 8 of 10 right, class 1 has 3 of 4, class 2 was never there.
        let confusion = Confusion {
            counts: vec![vec![8, 1, 1], vec![1, 3, 0], vec![0, 0, 0]],
        };
        let pairs = confusion.most_confused(2);
        assert_eq!(
            pairs[0],
            ConfusedPair {
                truth: 0,
                predicted: 1,
                count: 1
            }
        );
        assert_eq!(
            pairs[1],
            ConfusedPair {
                truth: 0,
                predicted: 2,
                count: 1
            }
        );
        let rows = confusion.per_class();
        assert_eq!(rows[0].samples, Some(10));
        assert_eq!(rows[0].metrics["recall"], 0.8);
        assert_eq!(rows[0].metrics["precision"], 8.0 / 9.0);
        assert_eq!(rows[1].metrics["f1"], 2.0 * 0.75 * 0.75 / 1.5);
        assert!(rows[2].metrics["recall"].is_nan());
        assert_eq!(rows[2].metrics["precision"], 0.0);
    }
}
