//! What became of each box at one IoU threshold: for pictures of right, false and missed boxes, and for the confusion of
//! classes.
//!
//! Detections are taken by falling score, as by COCO's tool, and each takes the free true box of its class that it
//! overlaps most. What is left over is named after TIDE's kinds (Bolya et al. 2020).

use super::{ImageBoxes, by_score, iou};

/// The outcome of one detection. `truth` is the index of a true box of the image.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BoxOutcome {
    /// It finds this true box.
    Right {
        /// The true box.
        truth: usize,
    },
    /// Place right, class wrong.
    Class {
        /// The true box there.
        truth: usize,
    },
    /// Class right, place not right enough.
    Place {
        /// The true box nearby.
        truth: usize,
    },
    /// Another detection of higher score has found this true box already.
    Duplicate {
        /// The true box.
        truth: usize,
    },
    /// No true box of its class is near, and none of another class is hit.
    Background,
    /// It lies in a crowd or on a difficult object, and does not count.
    Ignored,
    /// Its score is below the limit, and it was not looked at.
    TooLow,
}

/// The outcomes of an image.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Outcomes {
    /// For each detection, in the order of the image.
    pub detected: Vec<BoxOutcome>,
    /// For each true box, whether it was found; `None` for crowds and difficult ones, which need not be.
    pub found: Vec<Option<bool>>,
}

/// Below this IoU a detection has nothing to do with a true box; TIDE's value.
const BACKGROUND: f64 = 0.1;

/// Judges the detections of one image whose score is at least `least`, at an IoU `threshold` (0.5 is usual).
pub fn outcomes(image: &ImageBoxes, threshold: f64, least: f64) -> Outcomes {
    let free = |t: usize| !image.truth[t].crowd && !image.truth[t].difficult;
    let mut found: Vec<Option<bool>> = (0..image.truth.len())
        .map(|t| free(t).then_some(false))
        .collect();
    let mut detected = vec![BoxOutcome::TooLow; image.detected.len()];
    let scores: Vec<f64> = image.detected.iter().map(|d| d.score).collect();
    for at in by_score(&scores) {
        let detection = &image.detected[at];
        if detection.score < least || detection.score.is_nan() {
            continue;
        }
        let overlap: Vec<f64> = image
            .truth
            .iter()
            .map(|t| iou(&detection.bbox, &t.bbox, t.crowd))
            .collect();
        // The true box of most overlap among those that fit, the first of equals.
        let best = |fits: &dyn Fn(usize) -> bool| {
            let fitting = (0..overlap.len()).filter(|t| fits(*t));
            fitting.reduce(|a, b| if overlap[b] > overlap[a] { b } else { a })
        };
        let same = |t: usize| image.truth[t].class == detection.class;
        let hit = |t: usize| overlap[t] >= threshold;
        let near = |t: usize| overlap[t] >= BACKGROUND;
        detected[at] = if let Some(truth) = best(&|t| same(t) && hit(t) && found[t] == Some(false))
        {
            found[truth] = Some(true);
            BoxOutcome::Right { truth }
        } else if best(&|t| same(t) && hit(t) && !free(t)).is_some() {
            BoxOutcome::Ignored
        } else if let Some(truth) = best(&|t| same(t) && hit(t)) {
            BoxOutcome::Duplicate { truth }
        } else if let Some(truth) = best(&|t| !same(t) && hit(t) && free(t)) {
            BoxOutcome::Class { truth }
        } else if let Some(truth) = best(&|t| same(t) && near(t) && free(t)) {
            BoxOutcome::Place { truth }
        } else {
            BoxOutcome::Background
        };
    }
    Outcomes { detected, found }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::detection::{DetectedBox, TrueBox};

    #[test]
    fn every_outcome_happens() {
        let truth = |x: f64, class: usize, crowd: bool, difficult: bool| TrueBox {
            bbox: [x, 0.0, 10.0, 10.0],
            class,
            area: None,
            crowd,
            difficult,
        };
        let found = |x: f64, score: f64| DetectedBox {
            bbox: [x, 0.0, 10.0, 10.0],
            class: 0,
            score,
        };
        let image = ImageBoxes {
            truth: vec![
                truth(0.0, 0, false, false),
                truth(100.0, 0, false, false),
                truth(200.0, 1, false, false),
                truth(300.0, 0, true, false),
                truth(400.0, 0, false, true),
            ],
            detected: vec![
                found(1.0, 0.8),
                found(0.0, 0.9),
                found(106.0, 0.7),
                found(200.0, 0.6),
                found(302.0, 0.5),
                found(400.0, 0.5),
                found(700.0, 0.5),
                found(100.0, 0.1),
            ],
        };
        let got = outcomes(&image, 0.5, 0.3);
        assert_eq!(
            got.detected,
            [
                BoxOutcome::Duplicate { truth: 0 },
                BoxOutcome::Right { truth: 0 },
                BoxOutcome::Place { truth: 1 },
                BoxOutcome::Class { truth: 2 },
                BoxOutcome::Ignored,
                BoxOutcome::Ignored,
                BoxOutcome::Background,
                BoxOutcome::TooLow,
            ]
        );
        assert_eq!(
            got.found,
            [Some(true), Some(false), Some(false), None, None]
        );
    }
}
