//! What an evaluation of a detector says: numbers, and for the report tables, curves and pictures.

use std::collections::BTreeMap;

use firesight_data::draw::{BoxColor, DrawnBox, draw_boxes};
use firesight_data::sample::Image;
use firesight_metrics::MetricError;
use firesight_metrics::detection::{
    BoxOutcome, CocoScores, ImageBoxes, VocAp, coco_scores, outcomes, voc_ap,
};
use firesight_report::metric::Metric;
use firesight_report::results::{Cell, LineChart, Section, Series, Table};
use serde::Serialize;

use super::AN_IMAGE;
use crate::task::{Details, Gallery};

/// Names of the numbers: COCO's twelve, and Pascal VOC's AP at IoU 0.5 over the whole curve and by 11 points.
const METRICS: [&str; 14] = [
    "ap",
    "ap50",
    "ap75",
    "ap_small",
    "ap_medium",
    "ap_large",
    "ar1",
    "ar10",
    "ar100",
    "ar_small",
    "ar_medium",
    "ar_large",
    "voc_ap",
    "voc_ap_11",
];

/// What the numbers are.
pub fn described() -> Vec<Metric> {
    let numbers = METRICS.iter().map(|key| {
        let (family, by) = key.split_once('_').unwrap_or((key, ""));
        let title = family.to_uppercase();
        let needs = match by {
            "small" => "an object that is no crowd and smaller than 32x32 pixels",
            "medium" => "an object that is no crowd and from 32x32 to 96x96 pixels large",
            "large" => "an object that is no crowd and larger than 96x96 pixels",
            _ if family == "voc" => "an object that is not marked as difficult",
            _ => "an object that is no crowd",
        };
        let (title, chart) = match (family, by) {
            ("voc", "ap") => ("VOC AP".to_owned(), "VOC average precision"),
            ("voc", _) => ("VOC AP, 11 points".to_owned(), "VOC average precision"),
            (_, "") if family.starts_with("ap") => (title, "Average precision"),
            (_, "") => (title, "Average recall"),
            ("ap", by) => (format!("{title}, {by}"), "Average precision by size"),
            (_, by) => (format!("{title}, {by}"), "Average recall by size"),
        };
        Metric::share(*key, title).chart(chart).needs(needs)
    });
    let loss = Metric::loss("loss", "Loss").needs(AN_IMAGE);
    numbers.chain([loss]).collect()
}

/// COCO's detections of each image: fewest, middle, most.
const MOST: [usize; 3] = [1, 10, 100];
/// Images that the report shows.
pub(super) const PICTURES: usize = 48;
/// Pictures with faults and pictures in order that the report shows at most.
const SHOWN: usize = 12;
/// The IoU at which pictures and the confusion of classes are judged.
const IOU: f64 = 0.5;
/// Detections below this score are not drawn, nor counted in the confusion.
const DRAWN: f64 = 0.5;

/// The images of an evaluation.
#[derive(Default)]
pub(super) struct Judged {
    /// In pixels of the original images.
    pub images: Vec<ImageBoxes>,
    /// The index of each in its split.
    pub indices: Vec<usize>,
    /// The first images as the network saw them.
    pub pictures: Vec<Image>,
    /// What belongs to `pictures`, in their pixels.
    pub prepared: Vec<ImageBoxes>,
}

/// All numbers by name, and what they come from. Numbers that are undefined (no object of that size) are left out.
///
/// # Errors
/// Boxes or scores that are not finite.
#[allow(clippy::type_complexity, reason = "three results of one computation")]
pub fn metrics(
    images: &[ImageBoxes],
    classes: usize,
) -> Result<(BTreeMap<String, f64>, CocoScores, (VocAp, Vec<VocAp>)), MetricError> {
    let coco = coco_scores(images, classes, MOST)?;
    let voc = voc_ap(images, classes, IOU)?;
    let values = [
        coco.ap,
        coco.ap50,
        coco.ap75,
        coco.ap_small,
        coco.ap_medium,
        coco.ap_large,
        coco.ar1,
        coco.ar10,
        coco.ar100,
        coco.ar_small,
        coco.ar_medium,
        coco.ar_large,
        voc.0.all_points,
        voc.0.eleven_points,
    ];
    let defined = METRICS.iter().zip(values);
    let numbers = defined
        .filter_map(|(name, value)| Some((name.to_string(), value?)))
        .collect();
    Ok((numbers, coco, voc))
}

/// One line of COCO's results format.
#[derive(Serialize)]
struct ResultLine {
    image_id: u64,
    category_id: u64,
    bbox: [f64; 4],
    score: f64,
}

/// The detections in COCO's results format; image and category ids are the dataset's own.
fn results(judged: &Judged, details: &Details) -> String {
    let number = |index: usize| {
        details
            .numbers
            .get(index)
            .copied()
            .unwrap_or(index as u64 + 1)
    };
    let class = |class: usize| {
        details
            .class_numbers
            .get(class)
            .copied()
            .unwrap_or(class as u64 + 1)
    };
    let lines = judged
        .images
        .iter()
        .zip(&judged.indices)
        .flat_map(|(image, index)| {
            image.detected.iter().map(move |d| ResultLine {
                image_id: number(*index),
                category_id: class(d.class),
                bbox: d.bbox,
                score: d.score,
            })
        });
    let lines: Vec<ResultLine> = lines.collect();
    serde_json::to_string(&lines).expect("numbers and ids are plain data")
}

/// Fills what the report shows and what `eval --predictions` writes.
pub(super) fn details_of(
    details: &mut Details,
    judged: &Judged,
    classes: &[String],
    coco: &CocoScores,
    voc: &(VocAp, Vec<VocAp>),
) {
    details.predictions = Some(results(judged, details));
    details.sections.push(class_section(classes, coco, voc));
    details.sections.push(error_section(coco));
    details.sections.push(confusion_section(judged, classes));
    details.galleries.extend(galleries(judged, classes));
}

fn cell(value: Option<f64>) -> Cell {
    value.map_or(Cell::Empty, Cell::from)
}

/// AP of each class and the precision-recall curves.
fn class_section(classes: &[String], coco: &CocoScores, voc: &(VocAp, Vec<VocAp>)) -> Section {
    let rows = coco
        .per_class
        .iter()
        .zip(&voc.1)
        .zip(classes)
        .map(|((class, voc), name)| {
            vec![
                name.as_str().into(),
                (class.truths as f64).into(),
                cell(class.ap),
                cell(class.ap50),
                cell(class.ap75),
                cell(class.ar),
                cell(voc.all_points),
            ]
        });
    let names = ["Class", "Objects", "AP", "AP50", "AP75", "AR100", "VOC AP"];
    let curves = coco
        .per_class
        .iter()
        .zip(classes)
        .filter_map(|(class, name)| {
            let curve = class.curve.as_ref()?;
            let points = curve
                .recall
                .iter()
                .zip(&curve.precision)
                .map(|(r, p)| [*r, *p]);
            Some(Series {
                name: name.clone(),
                points: points.collect(),
            })
        });
    Section {
        title: "Classes".into(),
        text: vec![
            "AP is COCO's: the mean over IoU 0.50 to 0.95. The curves are at IoU 0.50, interpolated as AP is.".into(),
        ],
        charts: vec![LineChart {
            title: "Precision over recall at IoU 0.50".into(),
            x: "recall".into(),
            y: "precision".into(),
            log: false,
            series: curves.collect(),
        }],
        tables: vec![Table {
            caption: "Average precision of each class".into(),
            columns: names.map(String::from).to_vec(),
            rows: rows.collect(),
        }],
        ..Section::default()
    }
}

/// What went wrong, after TIDE.
fn error_section(coco: &CocoScores) -> Section {
    let rows = coco.errors.iter().map(|error| {
        vec![
            error.kind.into(),
            (error.count as f64).into(),
            error.share.into(),
            error.ap_cost.into(),
        ]
    });
    Section {
        title: "Errors".into(),
        text: vec!["Kinds of error after TIDE (Bolya et al. 2020) at IoU 0.50: what AP50 would gain if all of a kind were mended.".into()],
        tables: vec![Table {
            caption: "Errors by kind".into(),
            columns: ["Kind", "Count", "Share", "Costs AP50"].map(String::from).to_vec(),
            rows: rows.collect(),
        }],
        ..Section::default()
    }
}

/// Which class was taken for which at IoU 0.5; the last row and column are the background.
fn confusion_section(judged: &Judged, classes: &[String]) -> Section {
    let count = classes.len();
    let mut counts = vec![vec![0u64; count + 1]; count + 1];
    for image in &judged.images {
        let judged = outcomes(image, IOU, DRAWN);
        for (detection, outcome) in image.detected.iter().zip(&judged.detected) {
            let truth = match outcome {
                BoxOutcome::Right { truth } | BoxOutcome::Class { truth } => {
                    image.truth[*truth].class
                }
                BoxOutcome::Place { .. }
                | BoxOutcome::Duplicate { .. }
                | BoxOutcome::Background => count,
                BoxOutcome::Ignored | BoxOutcome::TooLow => continue,
            };
            counts[truth][detection.class] += 1;
        }
        for (truth, found) in image.truth.iter().zip(&judged.found) {
            counts[truth.class][count] += u64::from(*found == Some(false));
        }
    }
    let name = |class: usize| classes.get(class).map_or("background", String::as_str);
    let rows = counts.iter().enumerate().map(|(truth, row)| {
        let cells = row.iter().map(|count| Cell::from(*count as f64));
        std::iter::once(Cell::from(name(truth)))
            .chain(cells)
            .collect()
    });
    let columns = std::iter::once("True class").chain((0..=count).map(name));
    Section {
        title: "Confusion".into(),
        text: vec![format!(
            "Detections from a score of {DRAWN} on at IoU {IOU}, by the class of the object that they lie on. The column \
             of the background counts objects that were missed, its row detections without an object."
        )],
        tables: vec![Table {
            caption: "Detections by true and predicted class".into(),
            columns: columns.map(String::from).collect(),
            rows: rows.collect(),
        }],
        ..Section::default()
    }
}

/// The first images with what was found, and those with most faults.
fn galleries(judged: &Judged, classes: &[String]) -> Vec<Gallery> {
    let mut shown: Vec<(usize, usize, Image, String)> = Vec::new();
    for (at, (picture, boxes)) in judged.pictures.iter().zip(&judged.prepared).enumerate() {
        let outcome = outcomes(boxes, IOU, DRAWN);
        let (mut drawn, mut right, mut wrong) = (Vec::new(), 0, 0);
        let corners = |b: &[f64; 4]| [b[0], b[1], b[0] + b[2], b[1] + b[3]].map(|v| v as f32);
        for (detection, outcome) in boxes.detected.iter().zip(&outcome.detected) {
            let color = match outcome {
                BoxOutcome::TooLow | BoxOutcome::Ignored => continue,
                BoxOutcome::Right { .. } => {
                    right += 1;
                    BoxColor::Right
                }
                _ => {
                    wrong += 1;
                    BoxColor::Wrong
                }
            };
            let text = format!(
                "{} {:.0}%",
                classes[detection.class],
                100.0 * detection.score
            );
            drawn.push(DrawnBox {
                xyxy: corners(&detection.bbox),
                text,
                color,
            });
        }
        let missed = boxes
            .truth
            .iter()
            .zip(&outcome.found)
            .filter(|(_, found)| **found == Some(false));
        let missed: Vec<DrawnBox> = missed
            .map(|(truth, _)| DrawnBox {
                xyxy: corners(&truth.bbox),
                text: classes[truth.class].clone(),
                color: BoxColor::Missed,
            })
            .collect();
        let caption = format!(
            "image {}: {right} right, {wrong} false, {} missed",
            judged.indices[at],
            missed.len()
        );
        let faults = wrong + missed.len();
        drawn.extend(missed);
        shown.push((faults, at, draw_boxes(picture, &drawn).0, caption));
    }
    let pick = |list: &[(usize, usize, Image, String)]| {
        list.iter()
            .take(SHOWN)
            .map(|(_, _, image, caption)| (image.clone(), caption.clone()))
            .collect()
    };
    let text = format!(
        "Detections from a score of {DRAWN} on: green is right, red is false, yellow was missed."
    );
    let mut galleries = vec![Gallery {
        title: "Detections".into(),
        text: vec![text.clone()],
        pictures: pick(&shown),
    }];
    shown.sort_by_key(|(faults, at, ..)| (std::cmp::Reverse(*faults), *at));
    shown.retain(|(faults, ..)| *faults > 0);
    if !shown.is_empty() {
        galleries.push(Gallery {
            title: "Missed and false".into(),
            text: vec![format!(
                "Of the first {PICTURES} images those with most faults. {text}"
            )],
            pictures: pick(&shown),
        });
    }
    galleries
}

#[cfg(test)]
mod tests {
    use firesight_metrics::detection::{DetectedBox, TrueBox};

    use super::*;

    fn judged() -> Judged {
        let truth = |x: f64, class: usize| TrueBox {
            bbox: [x, 0.0, 10.0, 10.0],
            class,
            area: None,
            crowd: false,
            difficult: false,
        };
        let found = |x: f64, class: usize, score: f64| DetectedBox {
            bbox: [x, 0.0, 10.0, 10.0],
            class,
            score,
        };
        let image = ImageBoxes {
            truth: vec![truth(0.0, 0), truth(30.0, 1), truth(60.0, 1)],
            detected: vec![
                found(0.0, 0, 0.9),
                found(30.0, 0, 0.8),
                found(90.0, 1, 0.7),
                found(60.0, 1, 0.1),
            ],
        };
        let picture = Image {
            width: 110,
            height: 20,
            channels: 3,
            pixels: vec![0; 110 * 20 * 3],
        };
        Judged {
            images: vec![image.clone()],
            indices: vec![4],
            pictures: vec![picture],
            prepared: vec![image],
        }
    }

    #[test]
    fn the_numbers_are_described() {
        let all = described();
        let of = |key: &str| {
            let metric = all.iter().find(|metric| metric.key == key).unwrap();
            (metric.title.as_str(), metric.chart.as_str())
        };
        assert_eq!(all[0].key, "ap");
        assert_eq!(of("ap75"), ("AP75", "Average precision"));
        assert_eq!(of("ap_small"), ("AP, small", "Average precision by size"));
        assert_eq!(of("ar100"), ("AR100", "Average recall"));
        assert_eq!(of("ar_large"), ("AR, large", "Average recall by size"));
        assert_eq!(
            of("voc_ap_11"),
            ("VOC AP, 11 points", "VOC average precision")
        );
        let (numbers, ..) = metrics(&judged().images, 2).unwrap();
        assert!(
            numbers
                .keys()
                .all(|key| all.iter().any(|metric| metric.key == *key))
        );
    }

    #[test]
    fn results_carry_the_datasets_ids_and_the_report_its_parts() {
        let (judged, classes) = (judged(), ["a".to_string(), "b".into()]);
        let (numbers, coco, voc) = metrics(&judged.images, 2).unwrap();
        // Class a: found at once. Class b: of two objects one, below a false one. By hand.
        assert!(
            (numbers["voc_ap"] - (1.0 + 0.25) / 2.0).abs() < 1e-9,
            "{numbers:?}"
        );
        assert!(numbers.contains_key("ap_small") && !numbers.contains_key("ap_large"));
        let mut details = Details {
            numbers: vec![0, 0, 0, 0, 77],
            class_numbers: vec![3, 9],
            ..Details::default()
        };
        details_of(&mut details, &judged, &classes, &coco, &voc);
        let lines: Vec<serde_json::Value> =
            serde_json::from_str(details.predictions.as_deref().unwrap()).unwrap();
        assert_eq!(lines.len(), 4);
        assert_eq!(
            (&lines[2]["image_id"], &lines[2]["category_id"]),
            (&77.into(), &9.into())
        );
        assert_eq!(lines[2]["bbox"], serde_json::json!([90.0, 0.0, 10.0, 10.0]));
        let confusion = &details.sections[2].tables[0].rows;
        // True b taken for a; one b missed, its detection being below the limit; one detection on the background.
        assert_eq!(
            confusion[1],
            ["b".into(), 1.0.into(), 0.0.into(), 2.0.into()] as [Cell; 4]
        );
        assert_eq!(confusion[2][2], 1.0.into());
        assert_eq!(
            details.galleries[1].pictures[0].1,
            "image 4: 1 right, 2 false, 2 missed"
        );
    }
}
