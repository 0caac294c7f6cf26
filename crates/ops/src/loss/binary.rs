//! Binary cross-entropy on logits.

use burn::tensor::activation::softplus;
use burn::tensor::{Tensor, TensorData};

/// Element-wise binary cross-entropy on logits with soft targets:
/// `torch.nn.functional.binary_cross_entropy_with_logits(.., reduction="none")`.
///
/// Written with `softplus`, which is exact in both tails and has the right gradient at a logit of exactly 0,
/// where `max(x, 0)` and `|x|` have none.
///
/// # Shapes
/// - `logits`, `targets` (from 0 to 1) and output: the same, any rank; for `positive_weights` the last dimension
///   is the class, and they hold one weight for each
pub fn binary_cross_entropy_with_logits<const D: usize>(
    logits: Tensor<D>,
    targets: Tensor<D>,
    positive_weights: Option<&[f32]>,
) -> Tensor<D> {
    // -log(sigmoid(x)) = softplus(-x) and -log(1 - sigmoid(x)) = softplus(-x) + x.
    let positive = softplus(logits.clone().neg(), 1.0);
    let positive = match positive_weights {
        None => return (targets.neg().add_scalar(1.0)) * logits + positive,
        Some(weights) => {
            let classes = logits.dims()[D - 1];
            assert_eq!(
                weights.len(),
                classes,
                "binary cross-entropy: positive weights given, classes"
            );
            let weights = TensorData::new(weights.to_vec(), [classes]);
            let weights = Tensor::<1>::from_data(weights, &logits.device()).unsqueeze::<D>();
            positive * ((weights.sub_scalar(1.0)) * targets.clone()).add_scalar(1.0)
        }
    };
    (targets.neg().add_scalar(1.0)) * logits + positive
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{assert_near, cases, devices, float, numbers, values};

    #[test]
    fn equals_pytorch_also_at_zero_and_in_the_tails() {
        for device in devices() {
            let device = device.autodiff();
            for case in cases("losses", "bce") {
                let logits = float::<2>(&case["logits"], &device).require_grad();
                let weights = case["pos_weight"]
                    .as_array()
                    .map(|_| numbers(&case["pos_weight"]));
                let target = float::<2>(&case["target"], &device);
                let loss =
                    binary_cross_entropy_with_logits(logits.clone(), target, weights.as_deref());
                let grads = (loss.clone() * float::<2>(&case["upstream"], &device))
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
