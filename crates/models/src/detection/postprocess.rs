//! From raw outputs to boxes: score threshold, best candidates of each level, decoding, clipping, suppression.
//! The decisions are taken on plain numbers, so that they are the same on every backend.

use std::iter::StepBy;
use std::ops::Range;

use burn::tensor::{Tensor, TensorData};
use firesight_ops::nms::{NmsError, batched_nms, nms};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// An object that was found.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Detection {
    /// `x1 y1 x2 y2` in pixels of the network's input.
    pub xyxy: [f32; 4],
    /// Class index from 0.
    pub class: usize,
    /// From 0 to 1.
    pub score: f32,
}

/// Among which boxes the best become candidates.
#[derive(Clone, Copy, Debug)]
pub(super) enum Candidates<'a> {
    /// Among those of each level, which have so many rows, for whatever class.
    OfLevel(&'a [usize]),
    /// Among all, for each class by itself.
    OfClass {
        /// Rows of an image.
        rows: usize,
    },
}

impl Candidates<'_> {
    /// Rows of an image.
    pub fn rows(&self) -> usize {
        match self {
            Self::OfLevel(rows) => rows.iter().sum(),
            Self::OfClass { rows } => *rows,
        }
    }

    /// The places among `rows * classes` scores, group by group.
    fn groups(self, classes: usize) -> Vec<StepBy<Range<usize>>> {
        match self {
            Self::OfLevel(levels) => {
                let mut first = 0;
                let level = |rows: &usize| {
                    let last = first + rows * classes;
                    (std::mem::replace(&mut first, last)..last).step_by(1)
                };
                levels.iter().map(level).collect()
            }
            Self::OfClass { rows } => {
                let class = |class| (class..rows * classes).step_by(classes);
                (0..classes).map(class).collect()
            }
        }
    }
}

/// Which of a head's boxes become detections.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Postprocess {
    /// Scores up to this one are dropped.
    pub score_threshold: f32,
    /// The most candidates of each level, in an SSD of each class.
    pub candidates: usize,
    /// A box goes where its IoU with a better one of its class is greater.
    pub iou_threshold: f32,
    /// The most detections of an image.
    #[serde(alias = "most")]
    pub max_detections: usize,
    /// Whether boxes of different classes suppress each other too.
    #[serde(default)]
    pub class_agnostic: bool,
}

impl Postprocess {
    /// torchvision's numbers for RetinaNet.
    pub const RETINANET: Self = Self {
        score_threshold: 0.05,
        candidates: 1000,
        iou_threshold: 0.5,
        max_detections: 300,
        class_agnostic: false,
    };
    /// torchvision's numbers for FCOS.
    pub const FCOS: Self = Self {
        score_threshold: 0.2,
        candidates: 1000,
        iou_threshold: 0.6,
        max_detections: 100,
        class_agnostic: false,
    };

    /// The numbers of the published YOLOX' evaluation, which has no limits: of its pictures of 640 pixels all 8,400 boxes
    /// are candidates.
    pub const YOLOX: Self = Self {
        score_threshold: 0.01,
        candidates: 10_000,
        iou_threshold: 0.65,
        max_detections: 10_000,
        class_agnostic: false,
    };

    /// torchvision's numbers for SSD; the candidates are of each class.
    pub const SSD: Self = Self {
        score_threshold: 0.01,
        candidates: 400,
        iou_threshold: 0.45,
        max_detections: 200,
        class_agnostic: false,
    };
    /// torchvision's numbers for SSDlite; the candidates are of each class.
    pub const SSDLITE: Self = Self {
        score_threshold: 0.001,
        candidates: 300,
        iou_threshold: 0.55,
        max_detections: 300,
        class_agnostic: false,
    };

    /// What is wrong with the values: key and message.
    pub fn problems(&self) -> Vec<(String, String)> {
        let mut problems = Vec::new();
        for (key, value) in [
            ("score-threshold", self.score_threshold),
            ("iou-threshold", self.iou_threshold),
        ] {
            if !(0.0..=1.0).contains(&value) {
                problems.push((key.to_string(), format!("{value} is not between 0 and 1")));
            }
        }
        for (key, value) in [
            ("candidates", self.candidates),
            ("max-detections", self.max_detections),
        ] {
            if !(1..=1_000_000).contains(&value) {
                let message = format!("{value} is not from 1 to 1000000");
                problems.push((key.to_string(), message));
            }
        }
        problems
    }

    /// The detections of one image, the best first.
    ///
    /// `scores` (from 0 to 1) are `classes` to each row and `boxes` one, all levels one after the other. Boxes are clipped
    /// to an image of `[height, width]` where one is given.
    ///
    /// # Errors
    /// A score or a coordinate that is not a number: the weights are broken.
    pub(super) fn detections(
        &self,
        scores: &[f32],
        classes: usize,
        candidates: Candidates<'_>,
        clipped: Option<[usize; 2]>,
        mut boxes: impl FnMut(usize) -> [f32; 4],
    ) -> Result<Vec<Detection>, NmsError> {
        if let Some(index) = scores.iter().position(|score| score.is_nan()) {
            return Err(NmsError::NanScore {
                index: index / classes,
            });
        }
        let mut found = Vec::new();
        for group in candidates.groups(classes) {
            let mut best: Vec<usize> = group
                .filter(|&i| scores[i] > self.score_threshold)
                .collect();
            // Stable, so that equal scores keep their order.
            best.sort_by(|a, b| scores[*b].total_cmp(&scores[*a]));
            best.truncate(self.candidates);
            found.extend(best.into_iter().map(|i| Detection {
                xyxy: clip(boxes(i / classes), clipped),
                class: i % classes,
                score: scores[i],
            }));
        }
        let corners: Vec<[f32; 4]> = found.iter().map(|d| d.xyxy).collect();
        let scores: Vec<f32> = found.iter().map(|d| d.score).collect();
        let keep = if self.class_agnostic {
            nms(&corners, &scores, self.iou_threshold)?
        } else {
            let classes: Vec<usize> = found.iter().map(|d| d.class).collect();
            batched_nms(&corners, &scores, &classes, self.iou_threshold)?
        };
        Ok(keep
            .into_iter()
            .take(self.max_detections)
            .map(|i| found[i])
            .collect())
    }
}

/// Every corner moved into an image of `[height, width]`, where one is given.
fn clip(xyxy @ [x1, y1, x2, y2]: [f32; 4], image: Option<[usize; 2]>) -> [f32; 4] {
    let Some([height, width]) = image else {
        return xyxy;
    };
    // `clamp` leaves NaN as it is; suppression refuses it by its index.
    let (x, y) = (
        |v: f32| v.clamp(0.0, width as f32),
        |v: f32| v.clamp(0.0, height as f32),
    );
    [x(x1), y(y1), x(x2), y(y2)]
}

/// The values of a tensor as `f32`.
pub(super) fn read<const D: usize>(x: Tensor<D>) -> Vec<f32> {
    x.into_data().iter::<f32>().collect()
}

/// Boxes as a tensor `[N, 4]`.
pub(super) fn boxes_tensor(boxes: &[[f32; 4]], device: &burn::tensor::Device) -> Tensor<2> {
    Tensor::from_data(
        TensorData::new(boxes.as_flattened().to_vec(), [boxes.len(), 4]),
        device,
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_best_of_each_level_survive_threshold_cut_and_suppression() {
        let post = Postprocess {
            candidates: 2,
            max_detections: 3,
            ..Postprocess::RETINANET
        };
        let boxes = [
            [0.0, 0.0, 10.0, 10.0],
            [1.0, 0.0, 10.0, 10.0],
            [50.0, 50.0, 60.0, 70.0],
            [-5.0, 0.0, 8.0, 8.0],
        ];
        // Two classes; three rows on the first level, one on the second.
        let scores = [0.9, 0.01, 0.8, 0.05, 0.3, 0.04, 0.2, 0.6];
        let found = post
            .detections(
                &scores,
                2,
                Candidates::OfLevel(&[3, 1]),
                Some([60, 55]),
                |i| boxes[i],
            )
            .unwrap();
        let told: Vec<_> = found.iter().map(|d| (d.class, d.score)).collect();
        // The second row is suppressed; 0.3 was cut since two better ones stood on its level.
        assert_eq!(told, [(0, 0.9), (1, 0.6)]);
        assert_eq!(found[1].xyxy, [0.0, 0.0, 8.0, 8.0]);
        let agnostic = Postprocess {
            class_agnostic: true,
            ..post
        };
        let found = agnostic
            .detections(
                &scores,
                2,
                Candidates::OfLevel(&[3, 1]),
                Some([60, 55]),
                |i| boxes[i],
            )
            .unwrap();
        assert_eq!(found.len(), 1);
    }

    #[test]
    fn candidates_of_a_class_are_its_own() {
        let post = Postprocess {
            candidates: 1,
            ..Postprocess::SSD
        };
        let boxes = [[0.0, 0.0, 9.0, 9.0], [20.0, 0.0, 29.0, 9.0]];
        // Both rows are surer of the second class, of which the better one is taken.
        let scores = [0.3, 0.6, 0.2, 0.7];
        let found = post
            .detections(&scores, 2, Candidates::OfClass { rows: 2 }, None, |i| {
                boxes[i]
            })
            .unwrap();
        let told: Vec<_> = found.iter().map(|d| (d.class, d.score)).collect();
        assert_eq!(told, [(1, 0.7), (0, 0.3)]);
    }

    #[test]
    fn what_is_no_number_is_refused_and_nothing_is_nothing() {
        let post = Postprocess::RETINANET;
        let one = Candidates::OfLevel(&[1]);
        assert!(
            post.detections(&[f32::NAN], 1, one, None, |_| [0.0; 4])
                .is_err()
        );
        assert!(
            post.detections(&[0.9], 1, one, Some([5, 5]), |_| [f32::NAN; 4])
                .is_err()
        );
        assert_eq!(
            post.detections(&[], 3, Candidates::OfLevel(&[0, 0]), None, |_| [0.0; 4])
                .unwrap(),
            []
        );
    }
}
