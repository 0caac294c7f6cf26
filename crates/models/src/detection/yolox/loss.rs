//! The loss of a YOLOX.

use burn::tensor::{Tensor, TensorData};
use firesight_ops::iou::{IouKind, iou_loss};
use firesight_ops::loss::binary_cross_entropy_with_logits;
use firesight_ops::sum;

use super::assign::{Cell, Predictions, assign, cells};
use super::decode;
use crate::detection::head::HeadOutput;
use crate::detection::loss::{DetectorLoss, Objects, nothing, select};
use crate::detection::postprocess::{boxes_tensor, read};

/// The weight of the boxes.
const BOX_WEIGHT: f64 = 5.0;

/// Every part is a sum divided by the cells of the batch that answer for an object, at least 1: of `1 - IoU^2`, five times;
/// of the cross-entropy of the objectness of all cells; of that of the classes, which are to be as probable as the boxes
/// overlap; and with `l1` of the absolute differences of the raw box values.
pub(super) fn yolox_loss(output: &HeadOutput, objects: &[Objects], l1: bool) -> DetectorLoss {
    let [_, all, classes] = output.cls_logits.dims();
    let device = output.cls_logits.device();
    let cells = cells(&output.levels);
    let found = matches(output, &cells, objects);
    let count = found.len().max(1) as f64;
    let share = |total: Tensor<1>| total.div_scalar(count);
    let rows: Vec<i64> = found
        .iter()
        .map(|m| (m.image * all + m.cell) as i64)
        .collect();

    let objectness = output.objectness.as_ref().expect("a YOLOX's head gives it");
    let mut present = vec![0.0f32; objects.len() * all];
    rows.iter().for_each(|row| present[*row as usize] = 1.0);
    let present = Tensor::<3>::from_data(TensorData::new(present, objectness.dims()), &device);
    let presence = binary_cross_entropy_with_logits(objectness.clone(), present, None);
    let mut others = vec![("objectness", share(sum(presence)))];

    let raw = select(&output.bbox_regression, &rows);
    let (Some(raw), Some(logits)) = (raw, select(&output.cls_logits, &rows)) else {
        others.extend(l1.then(|| ("l1", nothing(&output.bbox_regression))));
        return DetectorLoss {
            classification: nothing(&output.cls_logits),
            bbox_regression: nothing(&output.bbox_regression),
            others,
        };
    };
    let mut target = vec![0.0f32; rows.len() * classes];
    for (row, m) in target.chunks_exact_mut(classes).zip(&found) {
        row[m.class] = m.iou;
    }
    let target = Tensor::<2>::from_data(TensorData::new(target, [rows.len(), classes]), &device);
    let classification = binary_cross_entropy_with_logits(logits, target, None);

    let matched: Vec<Cell> = found.iter().map(|m| cells[m.cell]).collect();
    if l1 {
        let encoded = found
            .iter()
            .zip(&matched)
            .map(|(m, cell)| cell.encode(m.truth));
        let encoded = boxes_tensor(&encoded.collect::<Vec<_>>(), &device);
        others.push(("l1", share(sum((raw.clone() - encoded).abs()))));
    }
    let truths: Vec<[f32; 4]> = found.iter().map(|m| m.truth).collect();
    let apart = iou_loss(
        IouKind::Iou,
        decode(raw, &matched),
        boxes_tensor(&truths, &device),
    );
    // 1 - IoU^2 out of d = 1 - IoU.
    let apart = apart.clone() * apart.neg().add_scalar(2.0);
    DetectorLoss {
        classification: share(sum(classification)),
        bbox_regression: share(sum(apart)).mul_scalar(BOX_WEIGHT),
        others,
    }
}

/// A cell of the batch that answers for an object.
#[derive(Clone, Copy, Debug)]
struct Answer {
    image: usize,
    cell: usize,
    class: usize,
    truth: [f32; 4],
    iou: f32,
}

/// The assignment needs no gradient: it is taken on numbers read from the device.
fn matches(output: &HeadOutput, cells: &[Cell], objects: &[Objects]) -> Vec<Answer> {
    let [_, all, classes] = output.cls_logits.dims();
    let logits = read(output.cls_logits.clone());
    let objectness = output.objectness.clone().map_or_else(Vec::new, read);
    let raw = read(output.bbox_regression.clone());
    let (raw, _) = raw.as_chunks::<4>();
    let mut found = Vec::new();
    for (image, objects) in objects.iter().enumerate() {
        let own = image * all..(image + 1) * all;
        let boxes = raw[own.clone()].iter().zip(cells);
        let boxes: Vec<[f32; 4]> = boxes.map(|(raw, cell)| cell.decode(*raw)).collect();
        let seen = Predictions {
            boxes: &boxes,
            objectness: &objectness[own.clone()],
            logits: &logits[own.start * classes..own.end * classes],
        };
        found.extend(assign(cells, &seen, objects).into_iter().map(|m| Answer {
            image,
            cell: m.cell,
            class: objects.classes[m.object],
            truth: objects.boxes[m.object],
            iou: m.iou,
        }));
    }
    found
}
