//! Boxes as offsets from reference boxes, and back.
//!
//! ```
//! use burn::tensor::{Device, Tensor};
//! use firesight_ops::BoxCoder;
//!
//! let device = Device::default();
//! let anchor = Tensor::<2>::from_floats([[0.0, 0.0, 10.0, 10.0]], &device);
//! let truth = Tensor::<2>::from_floats([[2.0, 0.0, 12.0, 20.0]], &device);
//! let offsets = BoxCoder::default().encode(truth.clone(), anchor.clone()); // 0.2, 0.5, ln 1, ln 2
//! let back = BoxCoder::default().decode(offsets, anchor);
//! assert!((back - truth).abs().max().into_scalar::<f32>() < 1e-4);
//! ```

use burn::tensor::Tensor;

use crate::boxes::{columns, from_columns};

/// Offsets of the center in units of the reference's sides, and logarithms of the ratios of the sides
/// (Girshick et al. 2014; torchvision's `BoxCoder`).
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct BoxCoder {
    /// Factors of the four offsets x, y, width, height; all 1 in RetinaNet and the region proposal network, 10, 10, 5,
    /// 5 in the head of Faster R-CNN.
    pub weights: [f64; 4],
    /// The largest logarithm of a ratio that decoding takes, so that an untrained head cannot overflow.
    pub clamp: f64,
}

impl Default for BoxCoder {
    /// Weights of 1 and a largest ratio of 1000 / 16.
    fn default() -> Self {
        Self {
            weights: [1.0; 4],
            clamp: (1000.0_f64 / 16.0).ln(),
        }
    }
}

impl BoxCoder {
    /// Offsets that lead from `references` to `boxes`; both need sides greater than 0.
    ///
    /// # Shapes
    /// - `boxes`, `references` and output: `[N, 4]`
    pub fn encode(&self, boxes: Tensor<2>, references: Tensor<2>) -> Tensor<2> {
        let [x, y, w, h] = centered(boxes);
        let [rx, ry, rw, rh] = centered(references);
        let [wx, wy, ww, wh] = self.weights;
        from_columns([
            ((x - rx) / rw.clone()).mul_scalar(wx),
            ((y - ry) / rh.clone()).mul_scalar(wy),
            (w / rw).log().mul_scalar(ww),
            (h / rh).log().mul_scalar(wh),
        ])
    }

    /// The boxes that offsets lead to.
    ///
    /// # Shapes
    /// - `offsets`, `references` and output: `[N, 4]`
    pub fn decode(&self, offsets: Tensor<2>, references: Tensor<2>) -> Tensor<2> {
        let [dx, dy, dw, dh] = columns(offsets);
        let [rx, ry, rw, rh] = centered(references);
        let [wx, wy, ww, wh] = self.weights;
        let x = dx.div_scalar(wx) * rw.clone() + rx;
        let y = dy.div_scalar(wy) * rh.clone() + ry;
        let w = dw.div_scalar(ww).clamp_max(self.clamp).exp() * rw.mul_scalar(0.5);
        let h = dh.div_scalar(wh).clamp_max(self.clamp).exp() * rh.mul_scalar(0.5);
        from_columns([x.clone() - w.clone(), y.clone() - h.clone(), x + w, y + h])
    }
}

/// Center and sides.
fn centered(boxes: Tensor<2>) -> [Tensor<2>; 4] {
    let [x1, y1, x2, y2] = columns(boxes);
    let (w, h) = (x2 - x1.clone(), y2 - y1.clone());
    [
        x1 + w.clone().mul_scalar(0.5),
        y1 + h.clone().mul_scalar(0.5),
        w,
        h,
    ]
}

/// Distances from the reference's center to the box's four sides (FCOS; torchvision's `BoxLinearCoder`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LinearBoxCoder {
    /// Whether distances are in units of the reference's sides rather than in pixels.
    pub normalize: bool,
}

impl LinearBoxCoder {
    /// Distances left, top, right, bottom from the references' centers to the boxes' sides.
    ///
    /// # Shapes
    /// - `boxes`, `references` and output: `[N, 4]`
    pub fn encode(&self, boxes: Tensor<2>, references: Tensor<2>) -> Tensor<2> {
        let [x1, y1, x2, y2] = columns(boxes);
        let ([x, y], [w, h]) = self.center_and_unit(references);
        let [l, t, r, b] = [x.clone() - x1, y.clone() - y1, x2 - x, y2 - y];
        match self.normalize {
            true => from_columns([l / w.clone(), t / h.clone(), r / w, b / h]),
            false => from_columns([l, t, r, b]),
        }
    }

    /// The boxes at such distances.
    ///
    /// # Shapes
    /// - `distances`, `references` and output: `[N, 4]`
    pub fn decode(&self, distances: Tensor<2>, references: Tensor<2>) -> Tensor<2> {
        let [l, t, r, b] = columns(distances);
        let ([x, y], [w, h]) = self.center_and_unit(references);
        let [l, t, r, b] = match self.normalize {
            true => [l * w.clone(), t * h.clone(), r * w, b * h],
            false => [l, t, r, b],
        };
        from_columns([x.clone() - l, y.clone() - t, x + r, y + b])
    }

    fn center_and_unit(&self, references: Tensor<2>) -> ([Tensor<2>; 2], [Tensor<2>; 2]) {
        let [x1, y1, x2, y2] = columns(references);
        let center = [
            (x1.clone() + x2.clone()).mul_scalar(0.5),
            (y1.clone() + y2.clone()).mul_scalar(0.5),
        ];
        (center, [x2 - x1, y2 - y1])
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{assert_near, cases, devices, float, numbers, values};

    #[test]
    fn offsets_equal_torchvision_with_the_clamp() {
        for device in devices() {
            let device = device.autodiff();
            for case in cases("boxes", "coder") {
                let weights: [f32; 4] = numbers(&case["weights"]).try_into().unwrap();
                let coder = BoxCoder {
                    weights: weights.map(f64::from),
                    ..Default::default()
                };
                let boxes = float::<2>(&case["boxes"], &device);
                let encoded = coder.encode(float(&case["truth"], &device), boxes.clone());
                assert_near(
                    &values(encoded.clone()),
                    &numbers(&case["encoded"]),
                    1e-5,
                    "encoded",
                );
                let back = coder.decode(encoded, boxes.clone());
                assert_near(&values(back), &numbers(&case["truth"]), 1e-5, "back again");

                let offsets = float::<2>(&case["deltas"], &device).require_grad();
                let decoded = coder.decode(offsets.clone(), boxes);
                let grads = decoded.clone().sum().backward();
                assert_near(
                    &values(decoded),
                    &numbers(&case["decoded"]),
                    1e-5,
                    "decoded",
                );
                let grad = values(offsets.grad(&grads).unwrap());
                // The sum of a box's corners does not depend on its sides: what is left is rounding.
                for (got, want) in grad.chunks(4).zip(numbers(&case["grad"]).chunks(4)) {
                    assert_near(&got[..2], &want[..2], 1e-5, "gradient");
                    assert!(
                        got[2..].iter().all(|g| g.abs() < 1e-3),
                        "gradient of the sides: {got:?}"
                    );
                }
            }
        }
    }

    #[test]
    fn distances_equal_torchvision() {
        for device in devices() {
            for case in cases("boxes", "linear_coder") {
                let coder = LinearBoxCoder {
                    normalize: case["normalise"].as_bool().unwrap(),
                };
                let boxes = float::<2>(&case["boxes"], &device);
                let encoded = coder.encode(float(&case["truth"], &device), boxes.clone());
                // Distances are differences of coordinates up to 130: rounding is relative to those.
                assert_near(
                    &values(encoded),
                    &numbers(&case["encoded"]),
                    1e-5,
                    "encoded",
                );
                let decoded = coder.decode(float(&case["deltas"], &device), boxes);
                assert_near(
                    &values(decoded),
                    &numbers(&case["decoded"]),
                    1e-5,
                    "decoded",
                );
            }
        }
    }
}
