//! Pascal VOC's average precision (Everingham et al. 2010): by 11 points as until 2009, and the whole area since.
//!
//! A detection answers for the true box of its class that it overlaps most. If that one is `difficult`, the detection
//! does not count; if it was found already, the detection is wrong. Crowds, which VOC does not have, are treated as
//! difficult. VOC's boxes count whole pixels from 1, so `x1 - 1` and `y1 - 1` are the continuous upper left
//! corner; with those the IoU here is the devkit's.

use serde::Serialize;

use super::{ImageBoxes, by_score, check, iou};
use crate::MetricError;
use crate::confusion::average;

/// The AP of a class, or their mean; `None` for a class without true boxes that count.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub struct VocAp {
    /// Mean of the best precisions at recall 0.0, 0.1 .. 1.0.
    pub eleven_points: Option<f64>,
    /// Area under the curve made monotonous.
    pub all_points: Option<f64>,
}

/// The mean over the classes, and each class, with the IoU at which a box counts as found (0.5 in VOC).
pub fn voc_ap(
    images: &[ImageBoxes],
    classes: usize,
    threshold: f64,
) -> Result<(VocAp, Vec<VocAp>), MetricError> {
    check(images, classes)?;
    let each: Vec<VocAp> = (0..classes)
        .map(|class| class_ap(images, class, threshold))
        .collect();
    let mean = VocAp {
        eleven_points: average(each.iter().map(|c| c.eleven_points)),
        all_points: average(each.iter().map(|c| c.all_points)),
    };
    Ok((mean, each))
}

fn class_ap(images: &[ImageBoxes], class: usize, threshold: f64) -> VocAp {
    let counts = |t: &&super::TrueBox| t.class == class && !t.difficult && !t.crowd;
    let total: usize = images
        .iter()
        .map(|i| i.truth.iter().filter(counts).count())
        .sum();
    if total == 0 {
        return VocAp::default();
    }
    let found: Vec<(usize, &super::DetectedBox)> = images
        .iter()
        .enumerate()
        .flat_map(|(i, image)| {
            image
                .detected
                .iter()
                .filter(|d| d.class == class)
                .map(move |d| (i, d))
        })
        .collect();
    let scores: Vec<f64> = found.iter().map(|(_, d)| d.score).collect();
    let mut taken: Vec<Vec<bool>> = images.iter().map(|i| vec![false; i.truth.len()]).collect();
    let (mut right, mut wrong) = (0_usize, 0_usize);
    let mut curve = Vec::new();
    for at in by_score(&scores) {
        let (image, detection) = found[at];
        let truths = images[image]
            .truth
            .iter()
            .enumerate()
            .filter(|(_, t)| t.class == class);
        let mut best: Option<(usize, f64)> = None;
        for (index, truth) in truths {
            let overlap = iou(&detection.bbox, &truth.bbox, false);
            if best.is_none_or(|(_, most)| overlap > most) {
                best = Some((index, overlap));
            }
        }
        match best {
            Some((index, overlap)) if overlap >= threshold => {
                let truth = &images[image].truth[index];
                if truth.difficult || truth.crowd {
                    continue;
                }
                match std::mem::replace(&mut taken[image][index], true) {
                    true => wrong += 1,
                    false => right += 1,
                }
            }
            _ => wrong += 1,
        }
        curve.push((
            right as f64 / total as f64,
            right as f64 / (right + wrong) as f64,
        ));
    }

    let best_from = |recall: f64| {
        curve
            .iter()
            .filter(|p| p.0 >= recall)
            .map(|p| p.1)
            .fold(0.0, f64::max)
    };
    let eleven = (0..=10).map(|i| best_from(i as f64 / 10.0)).sum::<f64>() / 11.0;
    // From the end, each precision is the best from there on.
    let (mut area, mut best) = (0.0, 0.0_f64);
    for i in (0..curve.len()).rev() {
        best = best.max(curve[i].1);
        area += best * (curve[i].0 - if i == 0 { 0.0 } else { curve[i - 1].0 });
    }
    VocAp {
        eleven_points: Some(eleven),
        all_points: Some(area),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::detection::{DetectedBox, TrueBox};
    use crate::testing::{fixture, near};

    #[test]
    fn equals_the_formula_in_numpy() {
        for case in fixture("detection")["voc"].as_array().unwrap() {
            let four = |v: &serde_json::Value| [0, 1, 2, 3].map(|i| v[i].as_f64().unwrap());
            let images: Vec<ImageBoxes> = case["images"]
                .as_array()
                .unwrap()
                .iter()
                .map(|image| ImageBoxes {
                    truth: (image["truth"].as_array().unwrap().iter())
                        .map(|t| TrueBox {
                            bbox: four(&t["bbox"]),
                            class: t["class"].as_u64().unwrap() as usize,
                            area: None,
                            crowd: false,
                            difficult: t["difficult"].as_bool().unwrap(),
                        })
                        .collect(),
                    detected: (image["detected"].as_array().unwrap().iter())
                        .map(|d| DetectedBox {
                            bbox: four(&d["bbox"]),
                            class: d["class"].as_u64().unwrap() as usize,
                            score: d["score"].as_f64().unwrap(),
                        })
                        .collect(),
                })
                .collect();
            let (mean, each) = voc_ap(&images, 4, 0.5).unwrap();
            for (got, want) in each.iter().zip(case["per_class"].as_array().unwrap()) {
                match got.eleven_points {
                    Some(eleven) => {
                        near(eleven, &want["eleven"], 1e-12);
                        near(got.all_points.unwrap(), &want["all"], 1e-12);
                    }
                    None => assert!(want.is_null()),
                }
            }
            assert_eq!(mean.all_points, average(each.iter().map(|c| c.all_points)));
        }
    }
}
