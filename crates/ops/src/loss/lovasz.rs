//! Lovasz-softmax (Berman et al. 2018, "The Lovász-Softmax loss"), the surrogate of the intersection over union.

use burn::tensor::{Int, Tensor};

use super::ClassAverage;
use super::dice::{average_classes, by_class};

/// The Lovasz extension of the Jaccard loss of each class over all pixels of the batch, averaged over the classes.
///
/// Ignored pixels have error 0 and so come last in the sorted order, where they change nothing: no tensor of a
/// size that depends on the data is needed. A batch of nothing else gives 0.
///
/// # Shapes
/// - `logits`: `[N, C, H, W]`
/// - `targets`: `[N, H, W]`, class indices in `0..C` or the ignore index
/// - output: `[1]`
pub fn lovasz_softmax(
    logits: Tensor<4>,
    targets: Tensor<3, Int>,
    ignore_index: Option<i64>,
    average: ClassAverage,
) -> Tensor<1> {
    let (probabilities, truth, counted) = by_class(logits, targets, ignore_index);
    let [classes, pixels] = truth.dims();
    let total = truth.clone().sum_dim(1);
    // |truth - p|, written without the absolute value, whose gradient at 0 would be 0.
    let errors = truth.clone() + probabilities * (truth.clone().mul_scalar(-2.0).add_scalar(1.0));
    let order = errors.clone().detach().argsort_descending(1);
    let errors = errors.gather(1, order.clone());
    let truth = truth.gather(1, order.clone());
    let counted = counted.expand([classes, pixels]).gather(1, order);

    let intersection = total.clone() - truth.clone().cumsum(1);
    let union = total.clone() + (counted - truth).cumsum(1);
    // The union is 0 only where no pixel at all counts.
    let jaccard = intersection.div(union.clamp_min(1.0)).neg().add_scalar(1.0);
    let before = jaccard.clone().narrow(1, 0, pixels - 1);
    let first = Tensor::zeros([classes, 1], &before.device());
    let slope = jaccard - Tensor::cat(vec![first, before], 1);
    let loss = (errors * slope.detach()).sum_dim(1).squeeze_dim::<1>(1);
    average_classes(loss, total.squeeze_dim(1), average)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{assert_near, cases, devices, float, int, numbers, values};

    #[test]
    fn equals_the_formula_in_pytorch() {
        for device in devices() {
            let device = device.autodiff();
            for case in cases("losses", "lovasz") {
                let average = match case["present"].as_bool().unwrap() {
                    true => ClassAverage::Present,
                    false => ClassAverage::All,
                };
                let logits = float::<4>(&case["logits"], &device).require_grad();
                let target = int(&case["target"], &device);
                let loss = lovasz_softmax(logits.clone(), target, case["ignore"].as_i64(), average);
                let grad = logits.grad(&loss.backward()).unwrap();
                assert_near(
                    &values(loss),
                    &[case["value"].as_f64().unwrap() as f32],
                    1e-5,
                    "value",
                );
                assert_near(&values(grad), &numbers(&case["grad"]), 1e-5, "gradient");
            }
        }
    }

    #[test]
    fn nothing_but_ignored_pixels_gives_zero() {
        for device in devices() {
            let device = device.autodiff();
            let logits = Tensor::<4>::ones([1, 2, 2, 2], &device).require_grad();
            let target = Tensor::<3, Int>::full([1, 2, 2], 255, &device);
            let loss = lovasz_softmax(logits.clone(), target, Some(255), ClassAverage::All);
            let grad = logits.grad(&loss.backward()).unwrap();
            assert_eq!(values(loss), [0.0]);
            assert_eq!(values(grad), [0.0; 8]);
        }
    }
}
