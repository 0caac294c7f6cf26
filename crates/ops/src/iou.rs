//! Overlap of boxes: IoU, generalised IoU (Rezatofighi et al. 2019), distance and complete IoU (Zheng et al. 2020),
//! of all pairs and as losses of matched pairs.
//!
//! The numbers are torchvision's, with one difference: where a quotient is 0/0 (two boxes without area)
//! torchvision gives NaN and here it is 0, so that a degenerate box cannot poison a matcher or a loss.
//!
//! ```
//! use burn::tensor::{Device, Tensor};
//! use firesight_ops::iou::box_iou;
//!
//! let device = Device::default();
//! let a = Tensor::<2>::from_floats([[0.0, 0.0, 10.0, 10.0]], &device);
//! let b = Tensor::<2>::from_floats([[5.0, 0.0, 15.0, 10.0]], &device);
//! let iou: f32 = box_iou(a, b).into_scalar(); // 50 of 150
//! assert!((iou - 1.0 / 3.0).abs() < 1e-6);
//! ```

use std::f64::consts::PI;

use burn::tensor::Tensor;

use crate::boxes::columns;

/// Which overlap.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum IouKind {
    /// Intersection over union, 0 to 1.
    Iou,
    /// Less the share of the hull that neither box covers, -1 to 1.
    #[default]
    Generalized,
    /// Less the squared distance of the centers over the squared diagonal of the hull, -1 to 1.
    Distance,
    /// The distance IoU less a term for unlike aspect ratios.
    Complete,
}

/// IoU of all pairs.
///
/// # Shapes
/// - `a`: `[N, 4]`
/// - `b`: `[M, 4]`
/// - output: `[N, M]`
pub fn box_iou(a: Tensor<2>, b: Tensor<2>) -> Tensor<2> {
    pairwise(IouKind::Iou, a, b)
}

/// Any overlap of all pairs: torchvision's `box_iou`, `generalized_box_iou`, `distance_box_iou` (with its
/// epsilon of 1e-7) and `complete_box_iou`.
///
/// # Shapes
/// - `a`: `[N, 4]`
/// - `b`: `[M, 4]`
/// - output: `[N, M]`
pub fn pairwise(kind: IouKind, a: Tensor<2>, b: Tensor<2>) -> Tensor<2> {
    // Columns of `a` are [N, 1], those of `b` [1, M]; everything after broadcasts.
    overlap(
        kind,
        columns(a),
        columns(b).map(|c| c.swap_dims(0, 1)),
        Epsilon::Pairwise,
    )
}

/// `1 - overlap` of matched pairs: torchvision's `generalized_box_iou_loss`, `distance_box_iou_loss` and
/// `complete_box_iou_loss` without reduction (epsilon 1e-7), and the same of the plain IoU.
///
/// # Shapes
/// - `input`, `target`: `[N, 4]`
/// - output: `[N]`
pub fn iou_loss(kind: IouKind, input: Tensor<2>, target: Tensor<2>) -> Tensor<1> {
    let value = overlap(kind, columns(input), columns(target), Epsilon::Loss);
    value.neg().add_scalar(1.0).squeeze_dim(1)
}

const EPSILON: f64 = 1e-7;

/// Where torchvision adds its epsilon: the losses in every quotient, the pairwise functions in the hull's diagonal.
#[derive(Clone, Copy, PartialEq)]
enum Epsilon {
    Pairwise,
    Loss,
}

impl Epsilon {
    /// `a / b`, 0 where both are 0.
    fn divide(self, a: Tensor<2>, b: Tensor<2>) -> Tensor<2> {
        match self {
            Epsilon::Loss => a / b.add_scalar(EPSILON),
            Epsilon::Pairwise => {
                let zero = b.clone().equal_elem(0.0);
                (a / b.mask_fill(zero.clone(), 1.0)).mask_fill(zero, 0.0)
            }
        }
    }
}

fn overlap(kind: IouKind, a: [Tensor<2>; 4], b: [Tensor<2>; 4], epsilon: Epsilon) -> Tensor<2> {
    let [ax1, ay1, ax2, ay2] = a;
    let [bx1, by1, bx2, by2] = b;
    let (aw, ah) = (ax2.clone() - ax1.clone(), ay2.clone() - ay1.clone());
    let (bw, bh) = (bx2.clone() - bx1.clone(), by2.clone() - by1.clone());
    let low = |p: &Tensor<2>, q: &Tensor<2>| broadcast(p, q, Tensor::min_pair);
    let high = |p: &Tensor<2>, q: &Tensor<2>| broadcast(p, q, Tensor::max_pair);

    let iw = (low(&ax2, &bx2) - high(&ax1, &bx1)).clamp_min(0.0);
    let ih = (low(&ay2, &by2) - high(&ay1, &by1)).clamp_min(0.0);
    let intersection = iw * ih;
    let union = aw.clone() * ah.clone() + bw.clone() * bh.clone() - intersection.clone();
    let iou = epsilon.divide(intersection, union.clone());
    if kind == IouKind::Iou {
        return iou;
    }

    let hull_w = high(&ax2, &bx2) - low(&ax1, &bx1);
    let hull_h = high(&ay2, &by2) - low(&ay1, &by1);
    if kind == IouKind::Generalized {
        let hull = hull_w.clamp_min(0.0) * hull_h.clamp_min(0.0);
        return iou - epsilon.divide(hull.clone() - union, hull);
    }

    let square = |x: Tensor<2>| x.clone() * x;
    let diagonal = (square(hull_w) + square(hull_h)).add_scalar(EPSILON);
    let across = square((ax1 + ax2 - bx1 - bx2).div_scalar(2.0));
    let down = square((ay1 + ay2 - by1 - by2).div_scalar(2.0));
    let distance = (across + down) / diagonal;
    if kind == IouKind::Distance {
        return iou - distance;
    }

    let slant = (bw / nonzero(bh)).atan() - (aw / nonzero(ah)).atan();
    let aspect = square(slant).mul_scalar(4.0 / (PI * PI));
    // The weight of the aspect term is a constant for the gradient, as in the paper.
    let weight =
        (aspect.clone() / (aspect.clone() - iou.clone()).add_scalar(1.0 + EPSILON)).detach();
    iou - distance - weight * aspect
}

/// A height for a quotient: exactly 0 becomes tiny, so that neither the angle nor its gradient is NaN.
fn nonzero(x: Tensor<2>) -> Tensor<2> {
    let zero = x.clone().equal_elem(0.0);
    x.mask_fill(zero, EPSILON)
}

/// `max_pair` and `min_pair` with both sides expanded to the common shape.
fn broadcast(
    a: &Tensor<2>,
    b: &Tensor<2>,
    f: impl Fn(Tensor<2>, Tensor<2>) -> Tensor<2>,
) -> Tensor<2> {
    let ([ar, ac], [br, bc]) = (a.dims(), b.dims());
    let shape = [ar.max(br), ac.max(bc)];
    f(a.clone().expand(shape), b.clone().expand(shape))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{assert_near, cases, devices, float, numbers, values};

    #[test]
    fn all_pairs_equal_torchvision() {
        for device in devices() {
            for case in cases("boxes", "iou") {
                for (kind, key) in [
                    (IouKind::Iou, "iou"),
                    (IouKind::Generalized, "giou"),
                    (IouKind::Distance, "diou"),
                    (IouKind::Complete, "ciou"),
                ] {
                    let (a, b) = (float(&case["a"], &device), float(&case["b"], &device));
                    let got = values(pairwise(kind, a, b));
                    let mut want = numbers(&case[key]);
                    // The stated difference: what is NaN there is finite here.
                    for (got, want) in got.iter().zip(&mut want) {
                        assert!(got.is_finite());
                        if want.is_nan() {
                            *want = *got;
                        }
                    }
                    assert_near(&got, &want, 1e-5, key);
                }
            }
        }
    }

    #[test]
    fn boxes_without_area_have_no_overlap() {
        for device in devices() {
            let point = Tensor::<2>::from_floats([[5.0, 5.0, 5.0, 5.0]], &device);
            assert_eq!(values(box_iou(point.clone(), point.clone())), [0.0]);
            for kind in [IouKind::Generalized, IouKind::Distance, IouKind::Complete] {
                let device = device.clone().autodiff();
                let point =
                    Tensor::<2>::from_floats([[5.0, 5.0, 5.0, 5.0]], &device).require_grad();
                let loss = iou_loss(kind, point.clone(), point.clone());
                let grad = point.grad(&loss.clone().sum().backward()).unwrap();
                assert!(
                    values(loss)
                        .iter()
                        .chain(&values(grad))
                        .all(|v| v.is_finite()),
                    "{kind:?}"
                );
            }
        }
    }

    #[test]
    fn losses_equal_torchvision_in_value_and_gradient() {
        for device in devices() {
            let device = device.autodiff();
            for case in cases("boxes", "iou_loss") {
                let (kind, name) = match case["name"].as_str().unwrap() {
                    "iou" => (IouKind::Iou, "iou"),
                    "giou" => (IouKind::Generalized, "giou"),
                    "diou" => (IouKind::Distance, "diou"),
                    _ => (IouKind::Complete, "ciou"),
                };
                let input = float::<2>(&case["input"], &device).require_grad();
                let loss = iou_loss(kind, input.clone(), float(&case["target"], &device));
                let grads = (loss.clone() * float::<1>(&case["upstream"], &device))
                    .sum()
                    .backward();
                assert_near(&values(loss), &numbers(&case["value"]), 1e-5, name);
                assert_near(
                    &values(input.grad(&grads).unwrap()),
                    &numbers(&case["grad"]),
                    1e-5,
                    name,
                );

                let special = float(&case["special_input"], &device);
                let loss = iou_loss(kind, special, float(&case["special_target"], &device));
                assert_near(&values(loss), &numbers(&case["special"]), 1e-5, name);
            }
        }
    }
}
