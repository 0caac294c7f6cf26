//! Soft suppression (Bodla et al. 2017, "Soft-NMS"): an overlapped box loses score instead of its place.

use super::{NmsError, check, iou};

/// How much score a box keeps beside a better one.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Decay {
    /// `1 - IoU` where the IoU is greater than the threshold.
    Linear {
        /// From 0 to 1; 0.3 in the paper.
        threshold: f32,
    },
    /// `exp(-IoU^2 / sigma)`.
    Gaussian {
        /// Greater than 0; 0.5 in the paper. At 0 or less every box that overlaps a better one loses everything.
        sigma: f32,
    },
}

/// A box that stays.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Kept {
    /// Its index in the input.
    pub index: usize,
    /// Its score after decay.
    pub score: f32,
}

/// The boxes whose decayed score is at least `least`, best first; of equal scores the lower index comes first.
///
/// With `classes`, a box touches only those of its class.
pub fn soft_nms(
    boxes: &[[f32; 4]],
    scores: &[f32],
    classes: Option<&[usize]>,
    decay: Decay,
    least: f32,
) -> Result<Vec<Kept>, NmsError> {
    let threshold = match decay {
        Decay::Linear { threshold } => threshold,
        Decay::Gaussian { .. } => 0.0,
    };
    check(boxes, scores, classes, threshold)?;
    let mut left: Vec<Kept> = scores
        .iter()
        .enumerate()
        .map(|(index, score)| Kept {
            index,
            score: *score,
        })
        .collect();
    let mut kept = Vec::new();
    while let Some(best) =
        (0..left.len()).reduce(|a, b| if better(&left[b], &left[a]) { b } else { a })
    {
        let best = left.swap_remove(best);
        if best.score < least {
            break;
        }
        kept.push(best);
        for other in &mut left {
            if classes.is_some_and(|c| c[other.index] != c[best.index]) {
                continue;
            }
            // Two boxes without area have no IoU, and do not touch.
            let overlap = iou(&boxes[best.index], &boxes[other.index]);
            other.score *= match decay {
                Decay::Linear { threshold } if overlap > threshold => 1.0 - overlap,
                Decay::Gaussian { sigma } if overlap > 0.0 => {
                    if sigma > 0.0 {
                        (-overlap * overlap / sigma).exp()
                    } else {
                        0.0
                    }
                }
                _ => 1.0,
            };
        }
        left.retain(|k| k.score >= least);
    }
    Ok(kept)
}

fn better(a: &Kept, b: &Kept) -> bool {
    a.score > b.score || (a.score == b.score && a.index < b.index)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{assert_near, cases, integers, numbers, stored_boxes};

    #[test]
    fn equals_the_paper_s_loop() {
        for case in cases("nms", "soft_nms") {
            let number = |key: &str| case[key].as_f64().unwrap() as f32;
            let decay = match case["method"].as_str().unwrap() {
                "linear" => Decay::Linear {
                    threshold: number("threshold"),
                },
                _ => Decay::Gaussian {
                    sigma: number("sigma"),
                },
            };
            let classes: Vec<usize> = integers(&case["classes"])
                .iter()
                .map(|c| *c as usize)
                .collect();
            let (boxes, scores) = (stored_boxes(&case["boxes"]), numbers(&case["scores"]));
            let kept = soft_nms(&boxes, &scores, Some(&classes), decay, number("least")).unwrap();
            let indices: Vec<i64> = kept.iter().map(|kept| kept.index as i64).collect();
            assert_eq!(indices, integers(&case["keep"]));
            let scores: Vec<f32> = kept.iter().map(|kept| kept.score).collect();
            assert_near(&scores, &numbers(&case["kept_scores"]), 1e-5, "scores");
        }
    }

    #[test]
    fn degenerate_boxes_and_settings_stay_finite() {
        let boxes = [
            [5.0, 5.0, 5.0, 5.0],
            [5.0, 5.0, 5.0, 5.0],
            [0.0, 0.0, 9.0, 9.0],
            [0.0, 0.0, 9.0, 9.0],
        ];
        let scores = [0.9, 0.8, 0.7, 0.6];
        for sigma in [0.5, 0.0] {
            let kept = soft_nms(&boxes, &scores, None, Decay::Gaussian { sigma }, 0.5).unwrap();
            assert_eq!(kept.iter().map(|k| k.index).collect::<Vec<_>>(), [0, 1, 2]);
        }
        let nan = soft_nms(
            &boxes,
            &[f32::NAN; 4],
            None,
            Decay::Gaussian { sigma: 0.5 },
            0.0,
        );
        assert_eq!(nan, Err(NmsError::NanScore { index: 0 }));
        assert_eq!(
            soft_nms(&[], &[], None, Decay::Linear { threshold: 0.3 }, 0.0),
            Ok(vec![])
        );
    }
}
