//! The losses of one-stage detectors, as torchvision's heads compute them.
//!
//! ```
//! use burn::tensor::{Device, Tensor};
//! use firesight_models::detection::HeadOutput;
//! use firesight_models::detection::loss::{BoxLoss, Objects, retinanet_loss};
//!
//! let device = Device::default();
//! let output = HeadOutput {
//!     cls_logits: Tensor::zeros([1, 2, 1], &device),
//!     bbox_regression: Tensor::zeros([1, 2, 4], &device),
//!     bbox_ctrness: None,
//!     objectness: None,
//!     levels: vec![[1, 2]],
//! };
//! let anchors = [[0.0, 0.0, 8.0, 8.0], [8.0, 0.0, 16.0, 8.0]];
//! let objects = Objects { boxes: vec![anchors[1]], classes: vec![0] };
//! let loss = retinanet_loss(&output, &anchors, &[objects], BoxLoss::L1);
//! assert_eq!(loss.bbox_regression.into_scalar::<f32>(), 0.0); // the second anchor is the object's box
//! // Focal loss at a probability of a half, weighted by 0.25 for that anchor and by 0.75 for the other.
//! let expected = (0.25 + 0.75) * 0.5f32.powi(2) * 2f32.ln();
//! assert!((loss.classification.into_scalar::<f32>() - expected).abs() < 1e-6);
//! ```

use burn::tensor::{Int, Tensor, TensorData};
use firesight_ops::iou::{IouKind, box_iou, iou_loss};
use firesight_ops::loss::{binary_cross_entropy_with_logits, sigmoid_focal_loss, smooth_l1_loss};
use firesight_ops::{BoxCoder, LinearBoxCoder, Matcher, sum};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::head::HeadOutput;
use super::postprocess::{boxes_tensor, read};

/// The objects of one image.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Objects {
    /// `x1 y1 x2 y2` in pixels of the network's input, each with an area.
    pub boxes: Vec<[f32; 4]>,
    /// Class index of each, from 0.
    pub classes: Vec<usize>,
}

/// What RetinaNet's box regression minimises.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum BoxLoss {
    /// Smooth L1 of the offsets with a beta of 1/9 (Lin et al. 2017; Detectron's).
    #[default]
    SmoothL1,
    /// L1 of the offsets, torchvision's for version 1.
    L1,
    /// Generalised IoU of the boxes, torchvision's for version 2.
    Giou,
}

/// The parts of a detector's loss, each a mean over the batch.
#[derive(Clone, Debug)]
pub struct DetectorLoss {
    /// Of the class scores, `[1]`.
    pub classification: Tensor<1>,
    /// Of the boxes, `[1]`.
    pub bbox_regression: Tensor<1>,
    /// What an architecture has beside them, by name, `[1]` each.
    pub others: Vec<(&'static str, Tensor<1>)>,
}

impl DetectorLoss {
    /// Their sum, `[1]`.
    pub fn total(&self) -> Tensor<1> {
        let total = self.classification.clone() + self.bbox_regression.clone();
        let others = self.others.iter();
        others.fold(total, |total, (_, part)| total + part.clone())
    }

    /// The parts with their names.
    pub fn parts(&self) -> Vec<(&'static str, Tensor<1>)> {
        let mut parts = vec![
            ("classification", self.classification.clone()),
            ("bbox_regression", self.bbox_regression.clone()),
        ];
        parts.extend(self.others.iter().cloned());
        parts
    }
}

/// What every row of a head's output is to answer for.
#[derive(Default)]
struct Targets {
    /// For each row of the batch, the class to give 1.
    classes: Vec<Option<usize>>,
    /// For each row of the batch, its weight in the classification loss; 0 leaves it out.
    weights: Vec<f32>,
    /// Rows of the batch that answer for a box.
    rows: Vec<i64>,
    /// For each of `rows`: its anchor, its true box, its weight in the regression losses.
    anchors: Vec<[f32; 4]>,
    truths: Vec<[f32; 4]>,
    shares: Vec<f32>,
}

impl Targets {
    /// The sum of the weighted focal loss of all rows.
    fn classification(&self, logits: &Tensor<3>) -> Tensor<1> {
        let [n, rows, classes] = logits.dims();
        let device = logits.device();
        let mut target = vec![0.0f32; n * rows * classes];
        for (row, class) in self.classes.iter().enumerate() {
            if let Some(class) = class {
                target[row * classes + class] = 1.0;
            }
        }
        let target = Tensor::<2>::from_data(TensorData::new(target, [n * rows, classes]), &device);
        let weights = Tensor::<2>::from_data(
            TensorData::new(self.weights.clone(), [n * rows, 1]),
            &device,
        );
        let logits = logits.clone().reshape([n * rows, classes]);
        sum(sigmoid_focal_loss(logits, target, 0.25, 2.0) * weights)
    }

    /// The rows that answer for a box, out of `[N, A, values]`; `None` when there are none.
    fn matched(&self, x: &Tensor<3>) -> Option<Tensor<2>> {
        select(x, &self.rows)
    }

    fn shares(&self, device: &burn::tensor::Device) -> Tensor<1> {
        Tensor::from_data(
            TensorData::new(self.shares.clone(), [self.shares.len()]),
            device,
        )
    }
}

/// Rows of the batch, `[rows, values]` out of `[N, A, values]`; `None` when there are none.
pub(super) fn select(x: &Tensor<3>, rows: &[i64]) -> Option<Tensor<2>> {
    let [n, all, values] = x.dims();
    let index = TensorData::new(rows.to_vec(), [rows.len()]);
    let index = Tensor::<1, Int>::from_data(index, &x.device());
    (!rows.is_empty()).then(|| x.clone().reshape([n * all, values]).select(0, index))
}

/// A loss of 0 with a gradient of 0, for a batch in which no row answers for a box: every parameter still gets a
/// gradient, as in a batch with boxes.
pub(super) fn nothing(x: &Tensor<3>) -> Tensor<1> {
    sum(x.clone()).mul_scalar(0.0)
}

/// RetinaNet's loss: focal loss of all rows (those between the thresholds left out), box loss of the matched rows,
/// both divided by the matched rows of each image and averaged over the images.
///
/// `anchors` are those of all levels; matching is by IoU from 0.5 on and below 0.4, with low-quality matches.
pub fn retinanet_loss(
    output: &HeadOutput,
    anchors: &[[f32; 4]],
    objects: &[Objects],
    kind: BoxLoss,
) -> DetectorLoss {
    let matcher = Matcher {
        high: 0.5,
        low: 0.4,
        low_quality: true,
    };
    let device = output.cls_logits.device();
    // Decisions need no gradient: they are taken on the device without autodiff.
    let plain = device.clone().inner();
    let reference = boxes_tensor(anchors, &plain);
    let images = objects.len().max(1) as f32;
    let mut targets = Targets::default();
    for (image, objects) in objects.iter().enumerate() {
        let matches: Vec<i64> = if objects.boxes.is_empty() {
            vec![Matcher::BACKGROUND; anchors.len()]
        } else {
            let quality = box_iou(boxes_tensor(&objects.boxes, &plain), reference.clone());
            matcher.matches(quality).into_data().iter::<i64>().collect()
        };
        let matched = matches.iter().filter(|m| **m >= 0).count();
        let share = 1.0 / (matched.max(1) as f32 * images);
        for (row, found) in matches.into_iter().enumerate() {
            let object = usize::try_from(found).ok();
            targets
                .classes
                .push(object.map(|object| objects.classes[object]));
            targets.weights.push(if found == Matcher::BETWEEN {
                0.0
            } else {
                share
            });
            if let Some(object) = object {
                targets.rows.push((image * anchors.len() + row) as i64);
                targets.anchors.push(anchors[row]);
                targets.truths.push(objects.boxes[object]);
                targets.shares.push(share);
            }
        }
    }
    let bbox_regression = match targets.matched(&output.bbox_regression) {
        None => nothing(&output.bbox_regression),
        Some(offsets) => {
            let coder = BoxCoder::default();
            let anchors = boxes_tensor(&targets.anchors, &device);
            let truths = boxes_tensor(&targets.truths, &device);
            let loss = match kind {
                BoxLoss::Giou => {
                    iou_loss(IouKind::Generalized, coder.decode(offsets, anchors), truths)
                }
                BoxLoss::L1 | BoxLoss::SmoothL1 => {
                    let beta = if kind == BoxLoss::L1 { 0.0 } else { 1.0 / 9.0 };
                    let wanted = coder.encode(truths, anchors);
                    smooth_l1_loss(offsets, wanted, beta)
                        .sum_dim(1)
                        .squeeze_dim(1)
                }
            };
            sum(loss * targets.shares(&device))
        }
    };
    DetectorLoss {
        classification: targets.classification(&output.cls_logits),
        bbox_regression,
        others: Vec::new(),
    }
}

/// A position answers for a box only within this many strides of the box's center (Tian et al. 2020, section 3.2).
const CENTER_RADIUS: f32 = 1.5;

/// FCOS's loss (Tian et al. 2019, arXiv:1904.01355): focal loss of all positions, generalised IoU loss and
/// centerness of the matched ones, all divided by the matched positions of the batch.
///
/// `anchors` are squares of a level's stride around its positions, all levels, `level_rows` on each. A position
/// answers for the smallest box around it whose size suits its level.
pub fn fcos_loss(
    output: &HeadOutput,
    anchors: &[[f32; 4]],
    level_rows: &[usize],
    objects: &[Objects],
) -> DetectorLoss {
    let device = output.cls_logits.device();
    let mut targets = Targets::default();
    for (image, objects) in objects.iter().enumerate() {
        let matches = fcos_matches(anchors, level_rows, &objects.boxes);
        for (row, object) in matches.into_iter().enumerate() {
            targets
                .classes
                .push(object.map(|object| objects.classes[object]));
            if let Some(object) = object {
                targets.rows.push((image * anchors.len() + row) as i64);
                targets.anchors.push(anchors[row]);
                targets.truths.push(objects.boxes[object]);
            }
        }
    }
    let share = 1.0 / targets.rows.len().max(1) as f32;
    targets.weights = vec![share; targets.classes.len()];
    targets.shares = vec![share; targets.rows.len()];
    let logits = output.bbox_ctrness.as_ref();
    let centered = logits.and_then(|logits| targets.matched(logits));
    let bbox_regression = match targets.matched(&output.bbox_regression) {
        None => nothing(&output.bbox_regression),
        Some(distances) => {
            let coder = LinearBoxCoder { normalize: true };
            let boxes = coder.decode(distances, boxes_tensor(&targets.anchors, &device));
            let truths = boxes_tensor(&targets.truths, &device);
            sum(iou_loss(IouKind::Generalized, boxes, truths) * targets.shares(&device))
        }
    };
    let bbox_ctrness = centered.map(|logits| {
        let wanted: Vec<f32> = (targets.anchors.iter().zip(&targets.truths))
            .map(|(anchor, truth)| centerness(anchor, truth))
            .collect();
        let wanted = Tensor::<1>::from_data(TensorData::new(wanted, [targets.rows.len()]), &device);
        let loss = binary_cross_entropy_with_logits(logits.squeeze_dim::<1>(1), wanted, None);
        sum(loss * targets.shares(&device))
    });
    let bbox_ctrness = bbox_ctrness.or_else(|| logits.map(nothing));
    DetectorLoss {
        classification: targets.classification(&output.cls_logits),
        bbox_regression,
        others: Vec::from_iter(bbox_ctrness.map(|part| ("bbox_ctrness", part))),
    }
}

fn center([x1, y1, x2, y2]: &[f32; 4]) -> [f32; 2] {
    [(x1 + x2) / 2.0, (y1 + y2) / 2.0]
}

/// Distances from a point to a box's left, upper, right and lower side.
fn distances([x, y]: [f32; 2], [x1, y1, x2, y2]: &[f32; 4]) -> [f32; 4] {
    [x - x1, y - y1, x2 - x, y2 - y]
}

/// How central a position lies: 1 in the middle, 0 on a side (Tian et al. 2019, equation 3).
fn centerness(anchor: &[f32; 4], truth: &[f32; 4]) -> f32 {
    let [l, t, r, b] = distances(center(anchor), truth);
    ((l.min(r) / l.max(r)) * (t.min(b) / t.max(b)))
        .max(0.0)
        .sqrt()
}

/// For each position the box that it answers for.
fn fcos_matches(
    anchors: &[[f32; 4]],
    level_rows: &[usize],
    boxes: &[[f32; 4]],
) -> Vec<Option<usize>> {
    let coarsest = anchors.len() - level_rows.last().copied().unwrap_or(0);
    let finest = level_rows.first().copied().unwrap_or(0);
    let area = |b: &[f32; 4]| (b[2] - b[0]) * (b[3] - b[1]);
    let answer = |(row, anchor): (usize, &[f32; 4])| {
        let size = anchor[2] - anchor[0];
        let low = if row < finest { 0.0 } else { 4.0 * size };
        let high = if row >= coarsest {
            f32::INFINITY
        } else {
            8.0 * size
        };
        let point = center(anchor);
        let suits = |truth: &[f32; 4]| {
            let away = center(truth);
            let near = (0..2).all(|i| (point[i] - away[i]).abs() < CENTER_RADIUS * size);
            let sides = distances(point, truth);
            let farthest = sides.iter().copied().fold(f32::MIN, f32::max);
            near && sides.iter().all(|side| *side > 0.0) && farthest > low && farthest < high
        };
        let suited = boxes.iter().enumerate().filter(|(_, truth)| suits(truth));
        // Of equal areas the first.
        suited
            .min_by(|a, b| area(a.1).total_cmp(&area(b.1)))
            .map(|(object, _)| object)
    };
    anchors.iter().enumerate().map(answer).collect()
}

/// The scores of one image, from 0 to 1, out of logits `[N, A, classes]`: the sigmoid, and with a centerness the
/// geometric mean of the two.
pub(super) fn scores(output: &HeadOutput) -> Vec<f32> {
    let scores = burn::tensor::activation::sigmoid(output.cls_logits.clone());
    let scores = match &output.bbox_ctrness {
        Some(logits) => (scores * burn::tensor::activation::sigmoid(logits.clone())).sqrt(),
        None => scores,
    };
    read(scores)
}
