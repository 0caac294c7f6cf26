//! Conversions between box formats, areas, clipping and filtering, with torchvision's definitions.
//!
//! ```
//! use burn::tensor::{Device, Tensor};
//! use firesight_ops::boxes::{box_area, clip_boxes};
//!
//! let boxes = Tensor::<2>::from_floats([[-5.0, 0.0, 10.0, 20.0]], &Device::default());
//! let area: f32 = box_area(clip_boxes(boxes, 16.0, 16.0)).into_scalar();
//! assert_eq!(area, 160.0);
//! ```

use burn::tensor::{Int, Tensor};

/// The four columns of `[N, 4]`, each `[N, 1]`.
pub(crate) fn columns(boxes: Tensor<2>) -> [Tensor<2>; 4] {
    [0, 1, 2, 3].map(|i| boxes.clone().narrow(1, i, 1))
}

/// The four columns put together again.
pub(crate) fn from_columns(columns: [Tensor<2>; 4]) -> Tensor<2> {
    Tensor::cat(columns.to_vec(), 1)
}

/// `x1 y1 x2 y2` to `x1 y1 width height`.
///
/// # Shapes
/// - `boxes` and output: `[N, 4]`
pub fn xyxy_to_xywh(boxes: Tensor<2>) -> Tensor<2> {
    let [x1, y1, x2, y2] = columns(boxes);
    from_columns([x1.clone(), y1.clone(), x2 - x1, y2 - y1])
}

/// `x1 y1 width height` to `x1 y1 x2 y2`.
///
/// # Shapes
/// - `boxes` and output: `[N, 4]`
pub fn xywh_to_xyxy(boxes: Tensor<2>) -> Tensor<2> {
    let [x, y, w, h] = columns(boxes);
    from_columns([x.clone(), y.clone(), x + w, y + h])
}

/// `x1 y1 x2 y2` to `center-x center-y width height`.
///
/// # Shapes
/// - `boxes` and output: `[N, 4]`
pub fn xyxy_to_cxcywh(boxes: Tensor<2>) -> Tensor<2> {
    let [x1, y1, x2, y2] = columns(boxes);
    from_columns([
        (x1.clone() + x2.clone()).div_scalar(2.0),
        (y1.clone() + y2.clone()).div_scalar(2.0),
        x2 - x1,
        y2 - y1,
    ])
}

/// `center-x center-y width height` to `x1 y1 x2 y2`.
///
/// # Shapes
/// - `boxes` and output: `[N, 4]`
pub fn cxcywh_to_xyxy(boxes: Tensor<2>) -> Tensor<2> {
    let [x, y, w, h] = columns(boxes);
    let (w, h) = (w.mul_scalar(0.5), h.mul_scalar(0.5));
    from_columns([x.clone() - w.clone(), y.clone() - h.clone(), x + w, y + h])
}

/// Width times height; negative where exactly one side is inverted.
///
/// # Shapes
/// - `boxes`: `[N, 4]`
/// - output: `[N]`
pub fn box_area(boxes: Tensor<2>) -> Tensor<1> {
    let [x1, y1, x2, y2] = columns(boxes);
    ((x2 - x1) * (y2 - y1)).squeeze_dim(1)
}

/// Moves every corner into the image, `0..=width` and `0..=height`.
///
/// # Shapes
/// - `boxes` and output: `[N, 4]`
pub fn clip_boxes(boxes: Tensor<2>, height: f64, width: f64) -> Tensor<2> {
    let [x1, y1, x2, y2] = columns(boxes);
    from_columns([
        x1.clamp(0.0, width),
        y1.clamp(0.0, height),
        x2.clamp(0.0, width),
        y2.clamp(0.0, height),
    ])
}

/// The indices of the boxes whose two sides are both at least `least`, in order: torchvision's
/// `remove_small_boxes`. Reads from the device, since the number of results depends on the values.
///
/// # Shapes
/// - `boxes`: `[N, 4]`
/// - output: `[K]`
pub fn keep_large_boxes(boxes: Tensor<2>, least: f64) -> Tensor<1, Int> {
    let [x1, y1, x2, y2] = columns(boxes);
    let wide = (x2 - x1).greater_equal_elem(least);
    let high = (y2 - y1).greater_equal_elem(least);
    wide.bool_and(high)
        .squeeze_dim::<1>(1)
        .argwhere()
        .flatten(0, 1)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{assert_near, cases, devices, float, integers, numbers, values};

    #[test]
    fn everything_equals_torchvision() {
        for device in devices() {
            for case in cases("boxes", "convert") {
                let boxes = float::<2>(&case["boxes"], &device);
                let check = |got: Tensor<2>, key: &str| {
                    assert_near(&values(got), &numbers(&case[key]), 1e-6, key);
                };
                check(xyxy_to_xywh(boxes.clone()), "xywh");
                check(xywh_to_xyxy(boxes.clone()), "from_xywh");
                check(xyxy_to_cxcywh(boxes.clone()), "cxcywh");
                check(cxcywh_to_xyxy(boxes.clone()), "from_cxcywh");
                check(clip_boxes(boxes.clone(), 60.0, 90.0), "clipped");
                assert_near(
                    &values(box_area(boxes.clone())),
                    &numbers(&case["area"]),
                    1e-6,
                    "area",
                );
                for (least, key) in [(5.0, "large"), (1.0, "large_at_edge")] {
                    let keep = keep_large_boxes(boxes.clone(), least);
                    let keep: Vec<i64> = keep.try_into_vec_as().unwrap();
                    assert_eq!(keep, integers(&case[key]));
                }
            }
        }
    }
}
