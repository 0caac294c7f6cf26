//! Whether two sets of detections are the same: by label and place, not by order. A detection that only one side has is
//! allowed where rounding may have decided: at the score threshold, at the cut of the best, or where its IoU with a
//! better one of its class is at the threshold of suppression.

use burn::tensor::TensorData;

use super::{Detection, Postprocess};
use crate::verify::{ATOL, OutputComparison, RTOL, VerifyError};
use crate::weights::StateDict;

/// Two boxes of the same object overlap at least so much when only rounding lies between them.
const SAME: f32 = 0.99;

/// Compares the detections of image `number` with `boxes.<number>`, `scores.<number>` and `labels.<number>` of a
/// reference, where the first class is `first_label`; `None` where it has none.
///
/// The comparison's largest absolute difference is that of the scores; `outside` counts the detections of either side
/// that the other lacks.
///
/// # Errors
/// [`VerifyError`] for tensors of other shapes.
pub(crate) fn compare_detections(
    number: usize,
    found: &[Detection],
    first_label: usize,
    reference: &StateDict,
    postprocess: &Postprocess,
) -> Result<Option<OutputComparison>, VerifyError> {
    let get = |what: &str| reference.get(&format!("{what}.{number}"));
    let (Some(boxes), Some(scores), Some(labels)) = (get("boxes"), get("scores"), get("labels"))
    else {
        return Ok(None);
    };
    let count = scores.num_elements();
    let shape = |name: &str, data: &TensorData, expected: Vec<usize>| match data.shape().to_vec()
        == expected
    {
        true => Ok(()),
        false => Err(VerifyError::Shape {
            name: format!("{name}.{number}"),
            actual: expected,
            expected: data.shape().to_vec(),
        }),
    };
    shape("boxes", boxes, vec![count, 4])?;
    shape("labels", labels, vec![count])?;
    let numbers = |data: &TensorData| {
        data.clone()
            .convert::<f32>()
            .iter::<f32>()
            .collect::<Vec<f32>>()
    };
    let (corners, labels) = (numbers(boxes), numbers(labels));
    let (corners, _) = corners.as_chunks::<4>();
    let label = labels.iter().find(|label| **label < first_label as f32);
    if let Some(label) = label {
        return Err(VerifyError::Outputs {
            message: format!(
                "`labels.{number}` of the reference has {label}, where {first_label} is the first class"
            ),
        });
    }
    let wanted: Vec<Detection> = (numbers(scores).into_iter().zip(corners).zip(labels))
        .map(|((score, xyxy), label)| Detection {
            xyxy: *xyxy,
            class: label as usize - first_label,
            score,
        })
        .collect();
    let mut taken = vec![false; found.len()];
    let (mut absolute, mut relative) = (0.0f64, 0.0f64);
    let mut lonely = Vec::new();
    for expected in &wanted {
        let fits = |(i, d): &(usize, &Detection)| {
            !taken[*i]
                && d.class == expected.class
                && near(d.score, expected.score)
                && same_place(&d.xyxy, &expected.xyxy)
        };
        match found.iter().enumerate().find(fits) {
            None => lonely.push((*expected, &wanted[..])),
            Some((i, d)) => {
                taken[i] = true;
                let difference = f64::from((d.score - expected.score).abs());
                absolute = absolute.max(difference);
                relative =
                    relative.max(difference / f64::from(expected.score.abs().max(ATOL as f32)));
            }
        }
    }
    lonely.extend(
        found
            .iter()
            .zip(&taken)
            .filter(|(_, taken)| !**taken)
            .map(|(d, _)| (*d, found)),
    );
    let outside = lonely
        .iter()
        .filter(|(d, side)| !undecided(d, side, postprocess))
        .count();
    Ok(Some(OutputComparison {
        name: format!("detections.{number}"),
        count,
        max_absolute: absolute,
        max_relative: relative,
        outside,
    }))
}

/// Boxes that were clipped to a line have no IoU; theirs are compared by their corners.
fn same_place(a: &[f32; 4], b: &[f32; 4]) -> bool {
    let corners = (0..4).all(|i| (a[i] - b[i]).abs() <= 1e-2);
    corners || iou(a, b) >= SAME
}

fn near(a: f32, b: f32) -> bool {
    f64::from((a - b).abs()) <= ATOL + RTOL * f64::from(b.abs())
}

/// Whether rounding may decide that a detection is on this side, whose others are `side`, and not on the other.
fn undecided(detection: &Detection, side: &[Detection], postprocess: &Postprocess) -> bool {
    let last = side.iter().map(|d| d.score).fold(f32::INFINITY, f32::min);
    let cut = side.len() >= postprocess.max_detections && near(detection.score, last);
    let suppressed = side.iter().any(|d| {
        let overlap = iou(&d.xyxy, &detection.xyxy);
        d != detection
            && d.class == detection.class
            && (overlap - postprocess.iou_threshold).abs() < 1e-3
    });
    near(detection.score, postprocess.score_threshold) || cut || suppressed
}

fn iou(a: &[f32; 4], b: &[f32; 4]) -> f32 {
    if a == b {
        return 1.0;
    }
    let side = |i: usize| (a[i + 2].min(b[i + 2]) - a[i].max(b[i])).max(0.0);
    let area = |b: &[f32; 4]| (b[2] - b[0]) * (b[3] - b[1]);
    let both = side(0) * side(1);
    both / (area(a) + area(b) - both)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reference(rows: &[([f32; 4], f32, f32)]) -> StateDict {
        let count = rows.len();
        let boxes: Vec<f32> = rows.iter().flat_map(|row| row.0).collect();
        let scores: Vec<f32> = rows.iter().map(|row| row.1).collect();
        let labels: Vec<f32> = rows.iter().map(|row| row.2).collect();
        [
            ("boxes.0".to_string(), TensorData::new(boxes, [count, 4])),
            ("scores.0".to_string(), TensorData::new(scores, [count])),
            ("labels.0".to_string(), TensorData::new(labels, [count])),
        ]
        .into()
    }

    #[test]
    fn order_is_free_and_differences_are_counted() {
        let (a, b) = ([0.0, 0.0, 10.0, 10.0], [20.0, 0.0, 30.0, 10.0]);
        let wanted = reference(&[(a, 0.9, 1.0), (b, 0.8, 0.0)]);
        let found = |class: usize, score: f32| {
            [
                Detection {
                    xyxy: b,
                    class,
                    score,
                },
                Detection {
                    xyxy: a,
                    class: 1,
                    score: 0.9,
                },
            ]
        };
        let outside = |found: &[Detection]| {
            let post = Postprocess::RETINANET;
            compare_detections(0, found, 0, &wanted, &post)
                .unwrap()
                .unwrap()
                .outside
        };
        assert_eq!(outside(&found(0, 0.8)), 0);
        assert_eq!(outside(&found(1, 0.8)), 2);
        assert_eq!(outside(&found(0, 0.7)), 2);
        assert_eq!(outside(&found(0, 0.8)[..1]), 1);
        // One more whose score rounding may have lifted over the threshold, and one that it cannot have.
        let extra = |score: f32| {
            let mut all = found(0, 0.8).to_vec();
            all.push(Detection {
                xyxy: [50.0, 50.0, 60.0, 60.0],
                class: 0,
                score,
            });
            all
        };
        assert_eq!(outside(&extra(0.05001)), 0);
        assert_eq!(outside(&extra(0.4)), 1);
        assert!(
            compare_detections(1, &[], 0, &wanted, &Postprocess::FCOS)
                .unwrap()
                .is_none()
        );
    }
}
