//! COCO's twelve numbers, the AP of each class, precision-recall curves and TIDE's errors, computed by hotcoco, whose
//! numbers equal those of pycocotools; this file is the only one that knows hotcoco.

use hotcoco::params::IouType;
use hotcoco::{AccumulatedEval, Annotation, COCO, COCOeval, Category, Dataset, Image};
use serde::Serialize;

use super::{ImageBoxes, check};
use crate::MetricError;

/// COCO's numbers for boxes. `None` where COCO's tool writes -1: no true object takes part.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct CocoScores {
    /// Mean AP over IoU 0.50 to 0.95 in steps of 0.05, over the classes; most detections.
    pub ap: Option<f64>,
    /// AP at IoU 0.50.
    pub ap50: Option<f64>,
    /// AP at IoU 0.75.
    pub ap75: Option<f64>,
    /// AP of objects smaller than 32 * 32 pixels.
    pub ap_small: Option<f64>,
    /// AP of objects between.
    pub ap_medium: Option<f64>,
    /// AP of objects larger than 96 * 96 pixels.
    pub ap_large: Option<f64>,
    /// Mean recall with the fewest detections for each image (1 unless set otherwise).
    pub ar1: Option<f64>,
    /// Mean recall with the middle number of detections (10).
    pub ar10: Option<f64>,
    /// Mean recall with the most detections (100).
    pub ar100: Option<f64>,
    /// Mean recall of small objects.
    pub ar_small: Option<f64>,
    /// Mean recall of medium objects.
    pub ar_medium: Option<f64>,
    /// Mean recall of large objects.
    pub ar_large: Option<f64>,
    /// For each class, in order of its index.
    pub per_class: Vec<ClassAp>,
    /// What the errors cost.
    pub errors: Vec<ErrorShare>,
}

/// The scores of one class.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct ClassAp {
    /// AP over IoU 0.50 to 0.95.
    pub ap: Option<f64>,
    /// AP at IoU 0.50.
    pub ap50: Option<f64>,
    /// AP at IoU 0.75.
    pub ap75: Option<f64>,
    /// Mean recall with the most detections.
    pub ar: Option<f64>,
    /// True objects of the class, crowds left out.
    pub truths: usize,
    /// The curve at IoU 0.50, `None` without true objects.
    pub curve: Option<Curve>,
}

/// A precision-recall curve, interpolated as AP is: the best precision at this recall or a higher one.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Curve {
    /// 0.00, 0.01 .. 1.00.
    pub recall: Vec<f64>,
    /// Precision at each recall; 0 where that recall is not reached.
    pub precision: Vec<f64>,
    /// The score of the detection that reaches each recall; 0 where it is not reached.
    pub score: Vec<f64>,
}

/// One kind of error (Bolya et al. 2020, "TIDE"), at IoU 0.5 with background below 0.1.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct ErrorShare {
    /// `class`, `place`, `class-and-place`, `duplicate`, `background` or `missed`.
    pub kind: &'static str,
    /// How many there are.
    pub count: u64,
    /// Their share of all errors, from 0 to 1; 0 without errors.
    pub share: f64,
    /// What AP at IoU 0.5 would gain if they were all mended.
    pub ap_cost: f64,
}

/// hotcoco's names of the errors, and ours.
const ERRORS: [(&str, &str); 6] = [
    ("Cls", "class"),
    ("Loc", "place"),
    ("Both", "class-and-place"),
    ("Dupe", "duplicate"),
    ("Bkg", "background"),
    ("Miss", "missed"),
];

/// Scores detections against the truth as COCO's tool does, with at most `most` detections (fewest, middle, most;
/// COCO has 1, 10, 100) for each image and class.
///
/// Images count in their order here, which decides between equal scores of different images. An error names
/// the image by its position.
pub fn coco_scores(
    images: &[ImageBoxes],
    classes: usize,
    most: [usize; 3],
) -> Result<CocoScores, MetricError> {
    check(images, classes)?;
    let failed = |e: hotcoco::Error| MetricError::Evaluation(e.to_string());
    let truth = COCO::from_dataset(dataset(images, classes, true));
    let detected = COCO::from_dataset(dataset(images, classes, false));
    let mut evaluation = COCOeval::new(truth, detected, IouType::Bbox);
    evaluation.params.max_dets = most.to_vec();
    evaluation.evaluate().map_err(failed)?;
    evaluation.accumulate();
    let Some(numbers) = evaluation.accumulated() else {
        return Err(MetricError::Evaluation("no result was accumulated".into()));
    };
    let tide = evaluation.tide_errors(0.5, 0.1).map_err(failed)?;
    let total: u64 = ERRORS
        .iter()
        .filter_map(|(name, _)| tide.counts.get(*name))
        .sum();
    let share = |&(name, kind): &(&str, &'static str)| {
        let count = tide.counts.get(name).copied().unwrap_or(0);
        let ap_cost = tide.delta_ap.get(name).copied().unwrap_or(0.0);
        ErrorShare {
            kind,
            count,
            share: count as f64 / total.max(1) as f64,
            ap_cost,
        }
    };

    let all = || 0..numbers.shape.k;
    let precision = |t: &[usize], area: usize| mean_precision(numbers, t, all(), area);
    let recall = |area: usize, most: usize| mean_recall(numbers, all(), area, most);
    let every: Vec<usize> = (0..numbers.shape.t).collect();
    let [half, three_quarters] = [0.5, 0.75].map(|t| evaluation.params.nearest_iou_thr_idx(t));
    let per_class = (0..classes).map(|class| {
        let slot = numbers
            .cat_ids
            .iter()
            .position(|id| *id == class as u64 + 1);
        let slots = || slot.into_iter();
        let truths = |i: &ImageBoxes| {
            i.truth
                .iter()
                .filter(|t| t.class == class && !t.crowd)
                .count()
        };
        ClassAp {
            ap: mean_precision(numbers, &every, slots(), 0),
            ap50: mean_precision(numbers, &[half], slots(), 0),
            ap75: mean_precision(numbers, &[three_quarters], slots(), 0),
            ar: mean_recall(numbers, slots(), 0, 2),
            truths: images.iter().map(truths).sum(),
            curve: slot.and_then(|k| curve(numbers, &evaluation.params.rec_thrs, half, k)),
        }
    });
    Ok(CocoScores {
        ap: precision(&every, 0),
        ap50: precision(&[half], 0),
        ap75: precision(&[three_quarters], 0),
        ap_small: precision(&every, 1),
        ap_medium: precision(&every, 2),
        ap_large: precision(&every, 3),
        ar1: recall(0, 0),
        ar10: recall(0, 1),
        ar100: recall(0, 2),
        ar_small: recall(1, 2),
        ar_medium: recall(2, 2),
        ar_large: recall(3, 2),
        per_class: per_class.collect(),
        errors: ERRORS.iter().map(share).collect(),
    })
}

/// The boxes in hotcoco's form. Ids start at 1: image `i` is `i + 1`, class `c` is `c + 1`.
fn dataset(images: &[ImageBoxes], classes: usize, truth: bool) -> Dataset {
    let id = |i: usize| i as u64 + 1;
    let mut annotations = Vec::new();
    for (i, image) in images.iter().enumerate() {
        let image_id = id(i);
        let mut push =
            |class: usize, bbox: [f64; 4], area: f64, crowd: bool, score: Option<f64>| {
                annotations.push(Annotation {
                    id: annotations.len() as u64 + 1,
                    image_id,
                    category_id: id(class),
                    bbox: Some(bbox),
                    area: Some(area),
                    iscrowd: crowd,
                    score,
                    ..Default::default()
                });
            };
        match truth {
            true => image.truth.iter().for_each(|t| {
                push(
                    t.class,
                    t.bbox,
                    t.area.unwrap_or(t.bbox[2] * t.bbox[3]),
                    t.crowd,
                    None,
                );
            }),
            false => image.detected.iter().for_each(|d| {
                push(d.class, d.bbox, d.bbox[2] * d.bbox[3], false, Some(d.score));
            }),
        }
    }
    let categories = (0..classes).map(|c| Category {
        id: id(c),
        name: c.to_string(),
        ..Default::default()
    });
    Dataset {
        images: (0..images.len())
            .map(|i| Image {
                id: id(i),
                ..Default::default()
            })
            .collect(),
        annotations,
        categories: categories.collect(),
        ..Default::default()
    }
}

/// The mean of what is defined; hotcoco marks the rest with -1.
fn mean(values: impl Iterator<Item = f64>) -> Option<f64> {
    crate::confusion::average(values.map(|v| (v > -1.0).then_some(v)))
}

fn mean_precision(
    n: &AccumulatedEval,
    thresholds: &[usize],
    slots: impl Iterator<Item = usize> + Clone,
    area: usize,
) -> Option<f64> {
    let last = n.shape.m.checked_sub(1)?;
    let at = |t: usize| {
        let slots = slots.clone();
        slots.flat_map(move |k| {
            (0..n.shape.r).map(move |r| n.precision[n.precision_idx(t, r, k, area, last)])
        })
    };
    mean(thresholds.iter().flat_map(|t| at(*t)))
}

fn mean_recall(
    n: &AccumulatedEval,
    slots: impl Iterator<Item = usize> + Clone,
    area: usize,
    most: usize,
) -> Option<f64> {
    let at = |t: usize| {
        slots
            .clone()
            .map(move |k| n.recall[n.recall_idx(t, k, area, most)])
    };
    mean((0..n.shape.t).flat_map(at))
}

fn curve(n: &AccumulatedEval, recall: &[f64], t: usize, k: usize) -> Option<Curve> {
    let last = n.shape.m.checked_sub(1)?;
    let index: Vec<usize> = (0..n.shape.r)
        .map(|r| n.precision_idx(t, r, k, 0, last))
        .collect();
    let take = |from: &[f64]| index.iter().map(|i| from[*i]).collect::<Vec<f64>>();
    let precision = take(&n.precision);
    let defined = precision.iter().all(|p| *p > -1.0);
    defined.then(|| Curve {
        recall: recall.to_vec(),
        precision,
        score: take(&n.scores),
    })
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::*;
    use crate::detection::{DetectedBox, read_coco};
    use crate::testing::{fixture, floats, near};

    fn agree(got: Option<f64>, want: &Value, what: &str) {
        let want = want.as_f64().unwrap();
        match got {
            Some(got) => assert!(
                (got - want).abs() <= 1e-9,
                "{what}: {got}, pycocotools has {want}"
            ),
            None => assert_eq!(want, -1.0, "{what} is undefined here"),
        }
    }

    #[test]
    fn the_twelve_numbers_equal_pycocotools() {
        for (number, case) in fixture("detection")["coco"]
            .as_array()
            .unwrap()
            .iter()
            .enumerate()
        {
            let pair = read_coco(&case["truth"].to_string(), &case["results"].to_string()).unwrap();
            let most: Vec<usize> = floats(&case["most"]).iter().map(|m| *m as usize).collect();
            let scores = coco_scores(
                &pair.images,
                pair.categories.len(),
                [most[0], most[1], most[2]],
            )
            .unwrap();
            let twelve = [
                scores.ap,
                scores.ap50,
                scores.ap75,
                scores.ap_small,
                scores.ap_medium,
                scores.ap_large,
                scores.ar1,
                scores.ar10,
                scores.ar100,
                scores.ar_small,
                scores.ar_medium,
                scores.ar_large,
            ];
            for (i, got) in twelve.into_iter().enumerate() {
                agree(
                    got,
                    &case["stats"][i],
                    &format!("case {number}, number {i}"),
                );
            }
            for (class, want) in scores
                .per_class
                .iter()
                .zip(case["per_class"].as_array().unwrap())
            {
                let what = format!("case {number}, a class");
                agree(class.ap, &want["ap"], &what);
                agree(class.ap50, &want["ap50"], &what);
                agree(class.ar, &want["ar"], &what);
                assert_eq!(class.truths as u64, want["truths"].as_u64().unwrap());
                let precision = floats(&want["curve"]);
                match &class.curve {
                    None => assert!(precision.iter().all(|p| *p == -1.0)),
                    Some(curve) => {
                        for (got, want) in curve
                            .precision
                            .iter()
                            .zip(want["curve"].as_array().unwrap())
                        {
                            near(*got, want, 1e-9);
                        }
                    }
                }
            }
        }
    }

    #[test]
    fn errors_are_counted_by_kind() {
        let truth = |x: f64, class: usize| crate::detection::TrueBox {
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
            truth: vec![
                truth(0.0, 0),
                truth(100.0, 0),
                truth(200.0, 1),
                truth(300.0, 0),
            ],
            detected: vec![
                found(0.0, 0, 0.9),   // right
                found(1.0, 0, 0.8),   // duplicate
                found(106.0, 0, 0.7), // place
                found(200.0, 0, 0.6), // class
                found(500.0, 0, 0.5), // background
            ],
        };
        let scores = coco_scores(&[image], 2, [1, 10, 100]).unwrap();
        let counts: Vec<_> = scores.errors.iter().map(|e| (e.kind, e.count)).collect();
        assert_eq!(
            counts,
            [
                ("class", 1),
                ("place", 1),
                ("class-and-place", 0),
                ("duplicate", 1),
                ("background", 1),
                ("missed", 1)
            ]
        );
        assert!(scores.errors.iter().all(|e| e.count == 0 || e.share == 0.2));
    }

    #[test]
    fn nothing_at_all_is_undefined_and_bad_boxes_are_errors() {
        let scores = coco_scores(&[ImageBoxes::default()], 2, [1, 10, 100]).unwrap();
        assert_eq!(
            (scores.ap, scores.ar100, scores.per_class[1].ap),
            (None, None, None)
        );
        assert_eq!(coco_scores(&[], 0, [1, 10, 100]).unwrap().ap, None);

        let bad = |bbox, class, score| ImageBoxes {
            truth: vec![],
            detected: vec![DetectedBox { bbox, class, score }],
        };
        for image in [
            bad([0.0, 0.0, 1.0, 1.0], 2, 0.5),
            bad([0.0, 0.0, 1.0, 1.0], 1, f64::NAN),
            bad([0.0, f64::NAN, 1.0, 1.0], 1, 0.5),
            bad([0.0, 0.0, -1.0, 1.0], 1, 0.5),
        ] {
            assert!(coco_scores(&[image], 2, [1, 10, 100]).is_err());
        }
    }
}
