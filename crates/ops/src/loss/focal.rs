//! Focal loss (Lin et al. 2017, "Focal Loss for Dense Object Detection").

use burn::tensor::activation::{log_softmax, sigmoid};
use burn::tensor::{Int, Tensor};

use super::binary_cross_entropy_with_logits;

/// Element-wise focal loss of independent classes: `torchvision.ops.sigmoid_focal_loss(.., reduction="none")`.
///
/// A negative `alpha` leaves the balance between positive and negative targets out; `gamma`, at least 0, is the
/// power of the factor `1 - p_t` that quiets easy elements. Usual values are 0.25 and 2.
///
/// # Shapes
/// - `logits`, `targets` (from 0 to 1) and output: the same, any rank
pub fn sigmoid_focal_loss<const D: usize>(
    logits: Tensor<D>,
    targets: Tensor<D>,
    alpha: f64,
    gamma: f64,
) -> Tensor<D> {
    let p = sigmoid(logits.clone());
    // 1 - p_t = p + t - 2 p t
    let miss = p.clone() + targets.clone() - (p * targets.clone()).mul_scalar(2.0);
    let loss = binary_cross_entropy_with_logits(logits, targets.clone(), None) * power(miss, gamma);
    if alpha < 0.0 {
        return loss;
    }
    let balance = targets
        .mul_scalar(2.0 * alpha - 1.0)
        .add_scalar(1.0 - alpha);
    loss * balance
}

/// Focal loss of exclusive classes for each sample, `-(1 - p)^gamma log p` with `p` the softmax probability of
/// the target.
///
/// # Shapes
/// - `logits`: `[N, C]`
/// - `targets`: `[N]`, in `0..C`
/// - output: `[N]`
pub fn softmax_focal_loss(logits: Tensor<2>, targets: Tensor<1, Int>, gamma: f64) -> Tensor<1> {
    let log_p = log_softmax(logits, 1)
        .gather(1, targets.unsqueeze_dim::<2>(1))
        .squeeze_dim::<1>(1);
    let miss = log_p.clone().exp().neg().add_scalar(1.0);
    (power(miss, gamma) * log_p).neg()
}

/// `x^gamma` for `x` from 0 to 1, with finite gradients also at 0.
fn power<const D: usize>(x: Tensor<D>, gamma: f64) -> Tensor<D> {
    match gamma {
        0.0 => x.ones_like(),
        1.0 => x,
        2.0 => x.clone() * x,
        // Rounding may leave `x` a little below 0, and below 1 the slope at 0 has no bound.
        gamma => x.clamp_min(1e-12).powf_scalar(gamma),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{assert_near, cases, devices, float, int, numbers, values};

    #[test]
    fn sigmoid_focal_equals_torchvision() {
        for device in devices() {
            let device = device.autodiff();
            for case in cases("losses", "sigmoid_focal") {
                let (alpha, gamma) = (
                    case["alpha"].as_f64().unwrap(),
                    case["gamma"].as_f64().unwrap(),
                );
                let logits = float::<2>(&case["logits"], &device).require_grad();
                let loss = sigmoid_focal_loss(
                    logits.clone(),
                    float(&case["target"], &device),
                    alpha,
                    gamma,
                );
                let grads = (loss.clone() * float::<2>(&case["upstream"], &device))
                    .sum()
                    .backward();
                let what = format!("alpha {alpha} gamma {gamma}");
                assert_near(&values(loss), &numbers(&case["value"]), 1e-5, &what);
                assert_near(
                    &values(logits.grad(&grads).unwrap()),
                    &numbers(&case["grad"]),
                    1e-5,
                    &what,
                );
            }
        }
    }

    #[test]
    fn softmax_focal_equals_the_formula_in_pytorch() {
        for device in devices() {
            let device = device.autodiff();
            for case in cases("losses", "softmax_focal") {
                let logits = float::<2>(&case["logits"], &device).require_grad();
                let target = int(&case["target"], &device);
                let loss =
                    softmax_focal_loss(logits.clone(), target, case["gamma"].as_f64().unwrap());
                let grads = (loss.clone() * float::<1>(&case["upstream"], &device))
                    .sum()
                    .backward();
                assert_near(&values(loss), &numbers(&case["value"]), 1e-5, "value");
                assert_near(
                    &values(logits.grad(&grads).unwrap()),
                    &numbers(&case["grad"]),
                    1e-5,
                    "gradient",
                );
            }
        }
    }
}
