//! The measures of a segmenter over a split, from one confusion matrix of all its pixels.

use std::collections::BTreeMap;

use firesight_data::Mask;
use firesight_data::draw::overlay::{fitted, overlay, side_by_side, with_legend};
use firesight_data::sample::Image;
use firesight_metrics::{BoundaryF1, ConfusionMatrix};
use firesight_report::metric::Metric;
use firesight_report::results::{Cell, Section, Table};

use super::loss::IGNORE;
use crate::task::{Details, Gallery};
use firesight_engine::Evaluation;

/// How many worst and best images a report shows.
const EXAMPLES: usize = 6;
/// The longer side of their pictures in pixels, about.
const SIDE: usize = 256;
/// The distance within which a boundary counts as found, as a share of the image's diagonal.
const BOUNDARY_TOLERANCE: f64 = 0.0075;

/// What the numbers of a segmenter of these classes are.
pub(super) fn described(classes: &[String]) -> Vec<Metric> {
    let pixel = "a pixel of a known class";
    let mut all = vec![
        Metric::share("miou", "Mean IoU").needs(pixel),
        Metric::share("pixel_accuracy", "Pixel accuracy").needs(pixel),
        Metric::share("mean_accuracy", "Mean accuracy").needs(pixel),
        Metric::share("fw_iou", "Frequency-weighted IoU").needs(pixel),
    ];
    if let [_, class] = classes {
        let needs = format!("a pixel that is `{class}` or is taken for it");
        all.push(Metric::share("dice", "Dice").needs(needs));
    }
    all.push(Metric::share(BOUNDARY, "Boundary F1").needs("a boundary of a known class"));
    all.extend(classes.iter().map(|class| {
        Metric::share(iou_of(class), format!("IoU, {class}"))
            .chart("IoU by class")
            .needs(format!("a pixel that is `{class}` or is taken for it"))
            .detail()
    }));
    all.push(Metric::loss("loss", "Loss").needs(pixel));
    all
}

/// The metric that looks for every boundary of every image: only where details are asked for, or it is watched.
const BOUNDARY: &str = "boundary_f1";

/// The metric of a class; only where details are asked for, or it is watched.
fn iou_of(class: &str) -> String {
    format!("class_iou.{class}")
}

/// The counts of a split so far.
pub(super) struct Score<'a> {
    classes: &'a [String],
    /// The metric that is watched, if the recipe names one.
    watched: Option<&'a str>,
    detailed: bool,
    confusion: ConfusionMatrix,
    boundary: Option<BoundaryF1>,
    loss: f64,
    pixels: f64,
    samples: usize,
    worst: Vec<Example>,
    best: Vec<Example>,
}

/// An image with its score.
#[derive(Clone)]
struct Example {
    score: f64,
    index: usize,
    picture: Image,
}

/// One image of a split with its true and its predicted classes.
pub(super) struct Measured<'a> {
    /// Its index in the split.
    pub index: usize,
    /// The true mask.
    pub truth: &'a Mask,
    /// The predicted classes, row by row.
    pub predicted: &'a [u8],
}

impl<'a> Score<'a> {
    pub(super) fn new(classes: &'a [String], detailed: bool, watched: Option<&'a str>) -> Self {
        let count = classes.len();
        Self {
            classes,
            watched,
            detailed,
            confusion: ConfusionMatrix::new(count),
            boundary: (detailed || watched == Some(BOUNDARY))
                .then(|| BoundaryF1::new(count, BOUNDARY_TOLERANCE)),
            loss: 0.0,
            pixels: 0.0,
            samples: 0,
            worst: Vec::new(),
            best: Vec::new(),
        }
    }

    pub(super) fn samples(&self) -> usize {
        self.samples
    }

    /// Adds the mean loss of a batch over its `pixels` that count.
    pub(super) fn add_loss(&mut self, loss: f64, pixels: usize) {
        self.loss += loss * pixels as f64;
        self.pixels += pixels as f64;
    }

    /// Adds an image; `image` is asked for its picture where details are wanted.
    pub(super) fn add(&mut self, one: &Measured<'_>, image: impl FnOnce() -> Image) {
        let wide = |classes: &[u8]| classes.iter().map(|c| i64::from(*c)).collect::<Vec<_>>();
        let (truth, predicted) = (wide(&one.truth.classes), wide(one.predicted));
        let mut own = ConfusionMatrix::new(self.classes.len());
        own.add(&truth, &predicted, Some(IGNORE))
            .expect("sources give classes in range");
        self.confusion.merge(&own);
        self.samples += 1;
        let Some(boundary) = &mut self.boundary else {
            return;
        };
        boundary
            .add(&truth, &predicted, one.truth.width, Some(IGNORE))
            .expect("a mask has whole rows");
        if !self.detailed {
            return;
        }
        let Some(score) = own.mean_iou() else {
            return;
        };
        let beats = |list: &[Example], better: fn(f64, f64) -> bool| {
            list.len() < EXAMPLES || list.last().is_some_and(|last| better(score, last.score))
        };
        let is_worst = beats(&self.worst, |new, old| new < old);
        let is_best = beats(&self.best, |new, old| new > old);
        if !is_worst && !is_best {
            return;
        }
        let example = Example {
            score,
            index: one.index,
            picture: picture(&image(), one),
        };
        let keep = |list: &mut Vec<Example>, sign: f64| {
            list.push(example.clone());
            list.sort_by(|a, b| (sign * a.score).total_cmp(&(sign * b.score)));
            list.truncate(EXAMPLES);
        };
        if is_worst {
            keep(&mut self.worst, 1.0);
        }
        if is_best {
            keep(&mut self.best, -1.0);
        }
    }

    /// The metrics, and the details where they are wanted.
    pub(super) fn finish(self, details: Option<&mut Details>) -> Evaluation {
        let mut metrics = BTreeMap::new();
        let mut put = |name: &str, value: Option<f64>| {
            if let Some(value) = value {
                metrics.insert(name.to_owned(), value);
            }
        };
        put("loss", (self.pixels > 0.0).then(|| self.loss / self.pixels));
        put("miou", self.confusion.mean_iou());
        put("pixel_accuracy", self.confusion.accuracy());
        put("mean_accuracy", self.confusion.mean_accuracy());
        put("fw_iou", self.confusion.frequency_weighted_iou());
        if self.classes.len() == 2 {
            put("dice", self.confusion.class(1).f1);
        }
        if let Some(boundary) = &self.boundary {
            put(BOUNDARY, boundary.mean());
        }
        for (name, scores) in self.classes.iter().zip(self.confusion.per_class()) {
            let key = iou_of(name);
            if self.detailed || self.watched == Some(&key) {
                put(&key, scores.iou);
            }
        }
        if let Some(details) = details {
            self.describe(details);
        }
        Evaluation::new(self.samples, metrics)
    }

    fn describe(&self, details: &mut Details) {
        let classes = self.classes.len();
        let rows = (0..classes).map(|class| self.confusion.row(class).to_vec());
        details.confusion = Some(rows.collect());
        let total = self.confusion.total().max(1) as f64;
        let boundary = self.boundary.as_ref().map(BoundaryF1::per_class);
        let cell = |value: Option<f64>| value.map_or(Cell::Empty, Cell::from);
        let row = |class: usize| {
            let scores = self.confusion.class(class);
            let edge = boundary.as_ref().and_then(|b| b[class]);
            vec![
                self.classes[class].as_str().into(),
                cell(scores.iou),
                cell(scores.recall),
                cell(scores.precision),
                cell(scores.f1),
                cell(edge),
                Cell::from(scores.support as f64 / total),
            ]
        };
        let columns = [
            "Class",
            "IoU",
            "Accuracy",
            "Precision",
            "Dice",
            "Boundary F1",
            "Share of pixels",
        ];
        details.sections.push(Section {
            title: "Classes".to_owned(),
            text: vec![
                "All numbers come from one count of the pixels of the whole split; a class that is neither in \
                 the truth nor predicted has none and stays out of the means."
                    .to_owned(),
            ],
            tables: vec![Table {
                caption: "Scores by class".to_owned(),
                columns: columns.map(String::from).to_vec(),
                rows: (0..classes).map(row).collect(),
            }],
            ..Section::default()
        });
        for (title, list) in [("Worst images", &self.worst), ("Best images", &self.best)] {
            let shown = |example: &Example| {
                let names = self.classes.iter().enumerate();
                let legend: Vec<_> = names.map(|(i, n)| (i as u8, n.as_str())).collect();
                let caption = format!("sample {}: mean IoU {:.3}", example.index, example.score);
                (with_legend(example.picture.clone(), &legend), caption)
            };
            details.galleries.push(Gallery {
                title: title.to_owned(),
                text: vec!["The image, the truth and the prediction; the mean IoU is that of the image's own classes.".to_owned()],
                pictures: list.iter().map(shown).collect(),
            });
        }
    }
}

/// The image, the truth and the prediction beside each other.
fn picture(image: &Image, one: &Measured<'_>) -> Image {
    let predicted = Mask {
        classes: one.predicted.to_vec(),
        ..*one.truth
    };
    let (shown, truth) = fitted(image, one.truth, SIDE);
    let (_, predicted) = fitted(image, &predicted, SIDE);
    side_by_side(&[
        shown.clone(),
        overlay(&shown, &truth),
        overlay(&shown, &predicted),
    ])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mask(classes: &[u8]) -> Mask {
        Mask {
            width: 2,
            height: classes.len() / 2,
            classes: classes.to_vec(),
        }
    }

    /// What an evaluation in training gives beyond the cheap numbers: what is watched, and no more.
    #[test]
    fn what_is_watched_is_measured() {
        let classes = ["a".to_owned(), "b".to_owned()];
        let described = described(&classes);
        let of = |watched: Option<&str>, detailed: bool| -> Vec<String> {
            let mut score = Score::new(&classes, detailed, watched);
            let truth = mask(&[0, 0, 1, 1]);
            let predicted = &[0, 1, 1, 1];
            let one = Measured {
                index: 0,
                truth: &truth,
                predicted,
            };
            score.add_loss(0.5, 4);
            score.add(&one, gray);
            score.finish(None).metrics.into_keys().collect()
        };
        let few = of(None, false);
        assert_eq!(
            few,
            [
                "dice",
                "fw_iou",
                "loss",
                "mean_accuracy",
                "miou",
                "pixel_accuracy"
            ]
        );
        let mut all: Vec<String> = described.iter().map(|metric| metric.key.clone()).collect();
        all.sort();
        assert_eq!(of(None, true), all);
        for extra in all.into_iter().filter(|key| !few.contains(key)) {
            let mut expected = [few.clone(), vec![extra.clone()]].concat();
            expected.sort();
            assert_eq!(of(Some(&extra), false), expected);
        }
    }

    fn gray() -> Image {
        Image {
            width: 2,
            height: 2,
            channels: 3,
            pixels: vec![90; 12],
        }
    }

    /// The numbers of one matrix over both images are not the means of the images' numbers.
    #[test]
    fn scores_come_from_one_matrix_over_the_set() {
        let classes = ["a".to_owned(), "b".to_owned(), "never".to_owned()];
        let mut score = Score::new(&classes, true, None);
        for (index, truth, predicted) in [
            (0, mask(&[0, 0, 0, 255]), [0, 0, 1, 1]),
            (1, mask(&[0, 1, 1, 1]), [0, 1, 1, 0]),
        ] {
            let predicted = &predicted;
            let one = Measured {
                index,
                truth: &truth,
                predicted,
            };
            score.add(&one, gray);
        }
        let mut details = Details::default();
        let metrics = score.finish(Some(&mut details)).metrics;
        // a: 3 right, 4 true, 4 predicted; b: 2 right, 3 true, 3 predicted.
        let near = |name: &str, expected: f64| {
            assert!(
                (metrics[name] - expected).abs() < 1e-12,
                "{name}: {metrics:?}"
            );
        };
        near("class_iou.a", 3.0 / 5.0);
        near("class_iou.b", 2.0 / 4.0);
        near("miou", (3.0 / 5.0 + 2.0 / 4.0) / 2.0);
        near("pixel_accuracy", 5.0 / 7.0);
        near("mean_accuracy", (3.0 / 4.0 + 2.0 / 3.0) / 2.0);
        near("fw_iou", 4.0 / 7.0 * 3.0 / 5.0 + 3.0 / 7.0 * 2.0 / 4.0);
        assert!(!metrics.contains_key("class_iou.never"));
        assert_eq!(details.galleries[0].pictures.len(), 2);
        assert!(details.galleries[0].pictures[0].1.starts_with("sample 0"));
        assert_eq!(details.sections[0].tables[0].rows.len(), 3);
    }
}
