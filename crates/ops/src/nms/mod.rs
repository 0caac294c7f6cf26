//! Non-maximum suppression: the best box stays, the others that overlap it go.
//!
//! It works on plain slices, so that it is the same on every backend and can be used after an asynchronous read. Boxes of
//! different classes never touch each other where classes are given ([`batched_nms`]); without, all do ([`nms`], class-agnostic). The result equals
//! torchvision's, ties included: equal scores keep their order, a box goes where its IoU with one that stays is
//! greater than the threshold (computed in `f32` as there), and boxes without area or inverted touch nothing.
//!
//! ```
//! use firesight_ops::nms::{batched_nms, nms};
//!
//! let boxes = [[0.0, 0.0, 10.0, 10.0], [1.0, 0.0, 11.0, 10.0], [50.0, 50.0, 60.0, 60.0]];
//! let scores = [0.8, 0.9, 0.3];
//! assert_eq!(nms(&boxes, &scores, 0.5)?, [1, 2]);
//! assert_eq!(batched_nms(&boxes, &scores, &[0, 1, 0], 0.5)?, [1, 0, 2]);
//! # Ok::<(), firesight_ops::nms::NmsError>(())
//! ```

mod grid;
mod soft;

pub use soft::{Decay, Kept, soft_nms};

use grid::Grid;

/// Input that suppression cannot take.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum NmsError {
    /// A score is NaN, so that there is no order.
    #[error(
        "score {index} is NaN: the model's output is broken, look for a diverged loss or bad weights"
    )]
    NanScore {
        /// The box's index.
        index: usize,
    },
    /// A coordinate is NaN or infinite.
    #[error("box {index} has a coordinate that is NaN or infinite: {coordinates:?}")]
    BadBox {
        /// The box's index.
        index: usize,
        /// Its corners.
        coordinates: [f32; 4],
    },
    /// The threshold is no share.
    #[error("the IoU threshold {threshold} is outside 0..=1")]
    Threshold {
        /// What was given.
        threshold: f32,
    },
    /// Lists of different length.
    #[error("{boxes} boxes, but {got} {what}")]
    Length {
        /// The number of boxes.
        boxes: usize,
        /// What does not fit them.
        what: &'static str,
        /// How many of that there are.
        got: usize,
    },
}

/// The indices of the boxes that stay, best score first; every box can touch every other.
///
/// Boxes are `x1 y1 x2 y2`; `threshold` is from 0 to 1.
pub fn nms(boxes: &[[f32; 4]], scores: &[f32], threshold: f32) -> Result<Vec<usize>, NmsError> {
    check(boxes, scores, None, threshold)?;
    Ok(greedy(boxes, scores, |_| 0, threshold))
}

/// The indices of the boxes that stay, best score first; a box touches only those of its class.
///
/// To treat the images of a batch apart in one call, let `classes` be `image * class_count + class`.
pub fn batched_nms(
    boxes: &[[f32; 4]],
    scores: &[f32],
    classes: &[usize],
    threshold: f32,
) -> Result<Vec<usize>, NmsError> {
    check(boxes, scores, Some(classes), threshold)?;
    Ok(greedy(boxes, scores, |i| classes[i], threshold))
}

fn check(
    boxes: &[[f32; 4]],
    scores: &[f32],
    classes: Option<&[usize]>,
    threshold: f32,
) -> Result<(), NmsError> {
    let count = boxes.len();
    let lengths = [
        ("scores", scores.len()),
        ("classes", classes.map_or(count, <[usize]>::len)),
    ];
    if let Some((what, got)) = lengths.into_iter().find(|(_, got)| *got != count) {
        return Err(NmsError::Length {
            boxes: count,
            what,
            got,
        });
    }
    if !(0.0..=1.0).contains(&threshold) {
        return Err(NmsError::Threshold { threshold });
    }
    if let Some(index) = scores.iter().position(|s| s.is_nan()) {
        return Err(NmsError::NanScore { index });
    }
    match boxes.iter().position(|b| b.iter().any(|v| !v.is_finite())) {
        Some(index) => Err(NmsError::BadBox {
            index,
            coordinates: boxes[index],
        }),
        None => Ok(()),
    }
}

fn greedy(
    boxes: &[[f32; 4]],
    scores: &[f32],
    class: impl Fn(usize) -> usize,
    threshold: f32,
) -> Vec<usize> {
    let mut order: Vec<usize> = (0..boxes.len()).collect();
    // Stable; adding 0 makes -0 equal to 0, as they are for torchvision.
    order.sort_by(|a, b| (scores[*b] + 0.0).total_cmp(&(scores[*a] + 0.0)));
    let mut grid = Grid::new(threshold);
    order.retain(|&i| {
        let (b, class) = (&boxes[i], class(i));
        // A box without area, or inverted, intersects nothing, itself included.
        if b[2] <= b[0] || b[3] <= b[1] {
            return true;
        }
        let stays = !grid.any(b, class, |other| iou(other, b) > threshold);
        if stays {
            grid.insert(b, class);
        }
        stays
    });
    order
}

/// IoU in `f32`, operation by operation as torchvision's kernel; NaN for two boxes without area.
pub(crate) fn iou(a: &[f32; 4], b: &[f32; 4]) -> f32 {
    let area = |b: &[f32; 4]| (b[2] - b[0]) * (b[3] - b[1]);
    let w = (a[2].min(b[2]) - a[0].max(b[0])).max(0.0);
    let h = (a[3].min(b[3]) - a[1].max(b[1])).max(0.0);
    let intersection = w * h;
    intersection / (area(a) + area(b) - intersection)
}

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use serde_json::Value;

    use super::*;
    use crate::testing::{cases, integers, numbers, stored_boxes};

    fn indices_of(v: &Value) -> Vec<usize> {
        integers(v).iter().map(|i| *i as usize).collect()
    }

    #[test]
    fn equals_torchvision_with_ties_and_degenerate_boxes() {
        for (number, case) in cases("nms", "nms").iter().enumerate() {
            let (boxes, scores) = (stored_boxes(&case["boxes"]), numbers(&case["scores"]));
            let classes = indices_of(&case["classes"]);
            let threshold = case["threshold"].as_f64().unwrap() as f32;
            let keep = nms(&boxes, &scores, threshold).unwrap();
            assert_eq!(
                keep,
                indices_of(&case["keep"]),
                "case {number}, threshold {threshold}"
            );
            let batched = batched_nms(&boxes, &scores, &classes, threshold).unwrap();
            assert_eq!(
                batched,
                indices_of(&case["batched"]),
                "case {number}, batched, threshold {threshold}"
            );
        }
    }

    #[test]
    fn broken_input_is_an_error() {
        let b = [[0.0, 0.0, 1.0, 1.0]; 2];
        assert_eq!(
            nms(&b, &[0.5, f32::NAN], 0.5),
            Err(NmsError::NanScore { index: 1 })
        );
        assert!(matches!(nms(&b, &[0.5], 0.5), Err(NmsError::Length { .. })));
        assert!(matches!(
            batched_nms(&b, &[0.5, 0.4], &[1], 0.5),
            Err(NmsError::Length { .. })
        ));
        for threshold in [-0.1, 1.1, f32::NAN] {
            assert!(matches!(
                nms(&b, &[0.5, 0.4], threshold),
                Err(NmsError::Threshold { .. })
            ));
        }
        let bad = [[0.0, 0.0, 1.0, 1.0], [0.0, f32::INFINITY, 1.0, 1.0]];
        assert!(matches!(
            nms(&bad, &[0.5, 0.4], 0.5),
            Err(NmsError::BadBox { index: 1, .. })
        ));
        assert_eq!(nms(&[], &[], 0.5), Ok(vec![]));
        // Both zeros are one score: the first box wins.
        assert_eq!(nms(&b, &[-0.0, 0.0], 0.5), Ok(vec![0]));
    }

    /// Against every pair compared, on crowded boxes of very different sizes: pruning must change nothing.
    #[test]
    fn pruning_changes_nothing() {
        let mut state = 7_u64;
        let mut draw = || {
            state = state
                .wrapping_mul(6364136223846793005)
                .wrapping_add(1442695040888963407);
            (state >> 40) as f32 / (1 << 24) as f32
        };
        for threshold in [0.0, 0.01, 0.1, 0.5, 0.9] {
            let boxes: Vec<[f32; 4]> = (0..1500)
                .map(|_| {
                    let (x, y) = (draw() * 400.0 - 100.0, draw() * 400.0 - 100.0);
                    [
                        x,
                        y,
                        x + 300.0 * draw().powi(4) + 0.01,
                        y + 300.0 * draw().powi(4) + 0.01,
                    ]
                })
                .collect();
            let scores: Vec<f32> = (0..1500).map(|_| (draw() * 50.0).floor()).collect();
            let mut order: Vec<usize> = (0..1500).collect();
            order.sort_by(|a, b| scores[*b].partial_cmp(&scores[*a]).unwrap());
            let mut keep: Vec<usize> = Vec::new();
            for i in order {
                if keep.iter().all(|k| iou(&boxes[*k], &boxes[i]) <= threshold) {
                    keep.push(i);
                }
            }
            assert_eq!(
                nms(&boxes, &scores, threshold).unwrap(),
                keep,
                "threshold {threshold}"
            );
        }
    }

    #[test]
    fn ten_thousand_disjoint_boxes_are_fast() {
        let boxes: Vec<[f32; 4]> = (0..10_000)
            .map(|i| [(i % 100) as f32 * 10.0, (i / 100) as f32 * 10.0])
            .map(|[x, y]| [x, y, x + 8.0, y + 9.0])
            .collect();
        let scores: Vec<f32> = (0..10_000).map(|i| ((i * 7919) % 10_007) as f32).collect();
        // The best of several, since other programs share the machine.
        let best = (0..5)
            .map(|_| {
                let start = Instant::now();
                assert_eq!(nms(&boxes, &scores, 0.5).unwrap().len(), 10_000);
                start.elapsed()
            })
            .min()
            .unwrap();
        println!("10,000 disjoint boxes: {best:?}");
        assert!(best.as_millis() < 20, "10,000 disjoint boxes took {best:?}");
    }
}
