//! Smooth L1, the regression loss of most detectors.

use burn::tensor::Tensor;

/// Element-wise smooth L1: `torch.nn.functional.smooth_l1_loss(.., reduction="none")`.
///
/// Quadratic where the difference is smaller than `beta`, linear beyond; `beta = 0` is L1.
///
/// # Shapes
/// - `input`, `target` and output: the same, any rank
pub fn smooth_l1_loss<const D: usize>(input: Tensor<D>, target: Tensor<D>, beta: f64) -> Tensor<D> {
    let difference = input - target;
    let distance = difference.clone().abs();
    if beta <= 0.0 {
        return distance;
    }
    let near = distance.clone().lower_elem(beta);
    let quadratic = (difference.clone() * difference).mul_scalar(0.5 / beta);
    distance.sub_scalar(0.5 * beta).mask_where(near, quadratic)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{assert_near, cases, devices, float, numbers, values};

    #[test]
    fn equals_pytorch() {
        for device in devices() {
            let device = device.autodiff();
            for case in cases("losses", "smooth_l1") {
                let input = float::<2>(&case["input"], &device).require_grad();
                let beta = case["beta"].as_f64().unwrap();
                let loss = smooth_l1_loss(input.clone(), float(&case["target"], &device), beta);
                let grads = (loss.clone() * float::<2>(&case["upstream"], &device))
                    .sum()
                    .backward();
                assert_near(&values(loss), &numbers(&case["value"]), 1e-5, "value");
                assert_near(
                    &values(input.grad(&grads).unwrap()),
                    &numbers(&case["grad"]),
                    1e-5,
                    "gradient",
                );
            }
        }
    }
}
