//! The loss of an SSD.

use burn::tensor::activation::log_softmax;
use burn::tensor::{Int, Tensor, TensorData};
use firesight_ops::iou::box_iou;
use firesight_ops::loss::smooth_l1_loss;
use firesight_ops::{Matcher, sum};

use super::CODER;
use crate::detection::head::HeadOutput;
use crate::detection::loss::{DetectorLoss, Objects, nothing, select};
use crate::detection::postprocess::{boxes_tensor, read};

/// Default boxes of the background for each that answers for an object.
const NEGATIVES: usize = 3;

/// Cross-entropy of the classes and smooth L1 of the offsets, both divided by the default boxes of the batch that answer for
/// an object, at least 1 (Liu et al. 2016, section 2.2, "Training"). The cross-entropy is that of those boxes and, in each
/// image, of three times as many of the background, whose own is largest; so that images without objects have none.
///
/// A default box answers for the object that it overlaps most, from an IoU of 0.5 on, and each object has the box that
/// overlaps it most, whatever that is; of objects that have the same one, the last.
pub(super) fn ssd_loss(
    output: &HeadOutput,
    boxes: &[[f32; 4]],
    objects: &[Objects],
) -> DetectorLoss {
    let [_, all, columns] = output.cls_logits.dims();
    let device = output.cls_logits.device();
    let plain = boxes_tensor(boxes, &device.clone().inner());
    let background = background_losses(output);
    // Rows of the batch that count, and for each the column that is right.
    let (mut rows, mut right) = (Vec::new(), Vec::new());
    let (mut matched, mut truths, mut references) = (Vec::new(), Vec::new(), Vec::new());
    for (image, objects) in objects.iter().enumerate() {
        let own = background[image * all..(image + 1) * all].iter();
        let mut others: Vec<(i64, f32)> = Vec::new();
        let before = matched.len();
        for ((row, loss), found) in own.enumerate().zip(matches(&plain, objects)) {
            let row_of_batch = (image * all + row) as i64;
            match found {
                None => others.push((row_of_batch, *loss)),
                Some(object) => {
                    matched.push(row_of_batch);
                    right.push(1 + objects.classes[object] as i64);
                    truths.push(objects.boxes[object]);
                    references.push(boxes[row]);
                }
            }
        }
        rows.extend_from_slice(&matched[before..]);
        // Stable, so that of equal losses the first are taken.
        others.sort_by(|a, b| b.1.total_cmp(&a.1));
        others.truncate(NEGATIVES * (matched.len() - before));
        rows.extend(others.iter().map(|(row, _)| *row));
        right.extend(others.iter().map(|_| 0));
    }
    let count = matched.len().max(1) as f64;
    let classification = match select(&output.cls_logits, &rows) {
        None => nothing(&output.cls_logits),
        Some(logits) => {
            debug_assert_eq!(logits.dims(), [rows.len(), columns]);
            let right = TensorData::new(right, [rows.len(), 1]);
            let right = Tensor::<2, Int>::from_data(right, &device);
            sum(log_softmax(logits, 1).gather(1, right)).neg()
        }
    };
    let bbox_regression = match select(&output.bbox_regression, &matched) {
        None => nothing(&output.bbox_regression),
        Some(offsets) => {
            let (truths, references) = (
                boxes_tensor(&truths, &device),
                boxes_tensor(&references, &device),
            );
            sum(smooth_l1_loss(
                offsets,
                CODER.encode(truths, references),
                1.0,
            ))
        }
    };
    DetectorLoss {
        classification: classification.div_scalar(count),
        bbox_regression: bbox_regression.div_scalar(count),
        others: Vec::new(),
    }
}

/// What each row's cross-entropy would be if it were background.
fn background_losses(output: &HeadOutput) -> Vec<f32> {
    let logits = output.cls_logits.clone().detach();
    read(log_softmax(logits, 2).narrow(2, 0, 1).neg())
}

/// For each default box the object that it answers for.
fn matches(boxes: &Tensor<2>, objects: &Objects) -> Vec<Option<usize>> {
    let all = boxes.dims()[0];
    if objects.boxes.is_empty() {
        return vec![None; all];
    }
    let quality = box_iou(boxes_tensor(&objects.boxes, &boxes.device()), boxes.clone());
    let matcher = Matcher {
        high: 0.5,
        low: 0.5,
        low_quality: false,
    };
    let matches = matcher.matches(quality.clone()).into_data();
    let mut matches: Vec<Option<usize>> = matches
        .iter::<i64>()
        .map(|object| usize::try_from(object).ok())
        .collect();
    for (object, overlaps) in read(quality).chunks_exact(all).enumerate() {
        // Of equal overlaps the first.
        let best = (0..all)
            .rev()
            .max_by(|a, b| overlaps[*a].total_cmp(&overlaps[*b]));
        best.into_iter()
            .for_each(|best| matches[best] = Some(object));
    }
    matches
}
