//! Scores of object detection: COCO's twelve numbers, Pascal VOC's AP, and what went wrong with each box.
//!
//! Boxes stand here as COCO writes them, `x y width height`, and only here: equality with pycocotools holds on the
//! same bits, and a width computed from two corners is not always the width that was in the file. From corners, as
//! everywhere else, they come by [`xywh`].
//!
//! ```
//! use firesight_metrics::detection::{DetectedBox, ImageBoxes, TrueBox, coco_scores, voc_ap, xywh};
//!
//! let bbox = xywh([10.0, 10.0, 50.0, 30.0]);
//! let image = ImageBoxes {
//!     truth: vec![TrueBox { bbox, class: 0, area: None, crowd: false, difficult: false }],
//!     detected: vec![DetectedBox { bbox, class: 0, score: 0.9 }],
//! };
//! let ap = coco_scores(&[image.clone()], 1, [1, 10, 100])?.ap.unwrap();
//! assert!((ap - 1.0).abs() < 1e-9);
//! assert_eq!(voc_ap(&[image], 1, 0.5)?.0.all_points, Some(1.0));
//! # Ok::<(), firesight_metrics::MetricError>(())
//! ```

mod coco;
mod coco_file;
mod json;
mod outcome;
mod voc;

use crate::MetricError;

pub use coco::{ClassAp, CocoScores, Curve, ErrorShare, coco_scores};
pub use coco_file::{CocoCategory, CocoPair, read_coco};
pub use outcome::{BoxOutcome, Outcomes, outcomes};
pub use voc::{VocAp, voc_ap};

/// An object that is there.
#[derive(Clone, Debug, PartialEq)]
pub struct TrueBox {
    /// `x y width height` in pixels.
    pub bbox: [f64; 4],
    /// Class index.
    pub class: usize,
    /// The object's area where it is known better than by its box (COCO's segmented area); it decides between small,
    /// medium and large.
    pub area: Option<f64>,
    /// A region of many objects (COCO's `iscrowd`): detections in it are neither right nor wrong.
    pub crowd: bool,
    /// Pascal VOC's `difficult`: finding it or not does not count. COCO's numbers know no such flag and ignore it.
    pub difficult: bool,
}

/// An object that a model says is there.
#[derive(Clone, Debug, PartialEq)]
pub struct DetectedBox {
    /// `x y width height` in pixels.
    pub bbox: [f64; 4],
    /// Class index.
    pub class: usize,
    /// Any finite number; only the order counts.
    pub score: f64,
}

/// Truth and detections of one image; either may be empty.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ImageBoxes {
    /// What is there.
    pub truth: Vec<TrueBox>,
    /// What was found, in any order; equal scores keep it.
    pub detected: Vec<DetectedBox>,
}

/// `x1 y1 x2 y2` as `x y width height`.
pub fn xywh(corners: [f32; 4]) -> [f64; 4] {
    let [x1, y1, x2, y2] = corners.map(f64::from);
    [x1, y1, x2 - x1, y2 - y1]
}

/// An error for a class out of range, a coordinate or score that is not finite, a negative side.
fn check(images: &[ImageBoxes], classes: usize) -> Result<(), MetricError> {
    for (position, image) in images.iter().enumerate() {
        let boxes = image
            .truth
            .iter()
            .map(|t| ("true box of class", t.class, &t.bbox, 0.0));
        let found = image
            .detected
            .iter()
            .map(|d| ("detected box of class", d.class, &d.bbox, d.score));
        for (what, class, bbox, score) in boxes.chain(found) {
            if class >= classes {
                return Err(MetricError::Class {
                    what,
                    class: class as i64,
                    position,
                    classes,
                });
            }
            if !score.is_finite() {
                let what = "score of a detection, image";
                return Err(MetricError::Value {
                    what,
                    value: score,
                    position,
                    allowed: "finite",
                });
            }
            let good = |(i, v): (usize, &f64)| v.is_finite() && (i < 2 || *v >= 0.0);
            if let Some(at) = (0..4).find(|i| !good((*i, &bbox[*i]))) {
                let (what, allowed) = (
                    "coordinate of a box, image",
                    "finite, with sides of at least 0",
                );
                return Err(MetricError::Value {
                    what,
                    value: bbox[at],
                    position,
                    allowed,
                });
            }
        }
    }
    Ok(())
}

/// IoU of two boxes; of a detection with a crowd, the share of the detection that lies in it.
fn iou(detected: &[f64; 4], truth: &[f64; 4], crowd: bool) -> f64 {
    let side = |i: usize| {
        let (d, t) = (detected[i] + detected[i + 2], truth[i] + truth[i + 2]);
        (d.min(t) - detected[i].max(truth[i])).max(0.0)
    };
    let intersection = side(0) * side(1);
    let area = |b: &[f64; 4]| b[2] * b[3];
    let whole = if crowd {
        area(detected)
    } else {
        area(detected) + area(truth) - intersection
    };
    if intersection > 0.0 {
        intersection / whole
    } else {
        0.0
    }
}

/// Positions by falling score; equal scores keep their order.
fn by_score(scores: &[f64]) -> Vec<usize> {
    let mut order: Vec<usize> = (0..scores.len()).collect();
    // Adding 0 makes -0 equal to 0.
    order.sort_by(|a, b| (scores[*b] + 0.0).total_cmp(&(scores[*a] + 0.0)));
    order
}
