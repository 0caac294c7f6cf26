//! Dice loss (Milletari et al. 2016, "V-Net"), for classes as different in size as organs in a scan.
//!
//! The sums run over all pixels of the batch, not image by image, so that an image without a class does not
//! pull that class's loss to an extreme.

use burn::tensor::activation::{sigmoid, softmax};
use burn::tensor::{Int, Tensor};

use super::ClassAverage;

/// `1 - (2 sum(p g) + smooth) / (sum(p) + sum(g) + smooth)` of each class, averaged over the classes; `p` is the
/// softmax probability, `g` 1 at the class's pixels. Ignored pixels count nowhere; a batch of nothing else gives 0.
///
/// # Shapes
/// - `logits`: `[N, C, H, W]`
/// - `targets`: `[N, H, W]`, class indices in `0..C` or the ignore index
/// - output: `[1]`
pub fn dice_loss(
    logits: Tensor<4>,
    targets: Tensor<3, Int>,
    ignore_index: Option<i64>,
    smooth: f64,
    average: ClassAverage,
) -> Tensor<1> {
    let (probabilities, truth, _) = by_class(logits, targets, ignore_index);
    let pixels = truth.clone().sum_dim(1).squeeze_dim::<1>(1);
    let loss = dice(probabilities, truth, smooth);
    average_classes(loss, pixels, average)
}

/// Dice loss of one sigmoid map for each channel, averaged over the channels.
///
/// # Shapes
/// - `logits` and `targets` (from 0 to 1): `[N, C, H, W]`
/// - output: `[1]`
pub fn binary_dice_loss(logits: Tensor<4>, targets: Tensor<4>, smooth: f64) -> Tensor<1> {
    let classes = logits.dims()[1];
    let flat = |x: Tensor<4>| x.swap_dims(0, 1).reshape([classes as i32, -1]);
    dice(flat(sigmoid(logits)), flat(targets), smooth).mean()
}

/// The loss `[C]` of rows `[C, P]`; a class with neither probability nor truth has loss 0.
fn dice(probabilities: Tensor<2>, truth: Tensor<2>, smooth: f64) -> Tensor<1> {
    let overlap = (probabilities.clone() * truth.clone())
        .sum_dim(1)
        .squeeze_dim::<1>(1);
    let mass = (probabilities + truth).sum_dim(1).squeeze_dim::<1>(1);
    let empty = mass.clone().add_scalar(smooth).equal_elem(0.0);
    let score = overlap.mul_scalar(2.0).add_scalar(smooth)
        / mass.add_scalar(smooth).mask_fill(empty.clone(), 1.0);
    score.neg().add_scalar(1.0).mask_fill(empty, 0.0)
}

/// Softmax probabilities, one-hot truth and the mask of counted pixels, as `[C, P]`, `[C, P]` and `[1, P]` with
/// P = N * H * W; probabilities and truth are 0 at ignored pixels.
pub(super) fn by_class(
    logits: Tensor<4>,
    targets: Tensor<3, Int>,
    ignore_index: Option<i64>,
) -> (Tensor<2>, Tensor<2>, Tensor<2>) {
    let [n, classes, h, w] = logits.dims();
    let pixels = n * h * w;
    let device = logits.device();
    let probabilities = softmax(logits, 1)
        .swap_dims(0, 1)
        .reshape([classes, pixels]);
    let targets = targets.reshape([1, pixels]);
    let counted = match ignore_index {
        Some(index) => targets.clone().not_equal_elem(index).float(),
        None => Tensor::ones([1, pixels], &device),
    };
    let index = Tensor::<1, Int>::arange(0..classes as i64, &device).reshape([classes, 1]);
    let truth = targets
        .expand([classes, pixels])
        .equal(index.expand([classes, pixels]))
        .float();
    (
        probabilities * counted.clone(),
        truth * counted.clone(),
        counted,
    )
}

/// The mean of the classes' losses `[C]`; `pixels` counts the pixels of each class in the targets.
pub(super) fn average_classes(
    loss: Tensor<1>,
    pixels: Tensor<1>,
    average: ClassAverage,
) -> Tensor<1> {
    match average {
        ClassAverage::All => loss.mean(),
        ClassAverage::Present => {
            let present = pixels.greater_elem(0.0).float();
            (loss * present.clone()).sum() / present.sum().clamp_min(1.0)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{assert_near, cases, devices, float, int, numbers, values};

    #[test]
    fn equals_the_formula_in_pytorch() {
        for device in devices() {
            let device = device.autodiff();
            for case in cases("losses", "dice") {
                let average = match case["present"].as_bool().unwrap() {
                    true => ClassAverage::Present,
                    false => ClassAverage::All,
                };
                let logits = float::<4>(&case["logits"], &device).require_grad();
                let target = int(&case["target"], &device);
                let smooth = case["smooth"].as_f64().unwrap();
                let loss = dice_loss(
                    logits.clone(),
                    target,
                    case["ignore"].as_i64(),
                    smooth,
                    average,
                );
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
            for average in [ClassAverage::Present, ClassAverage::All] {
                let logits = Tensor::<4>::ones([1, 2, 2, 2], &device).require_grad();
                let target = Tensor::<3, Int>::full([1, 2, 2], 255, &device);
                let loss = dice_loss(logits.clone(), target, Some(255), 0.0, average);
                let grad = logits.grad(&loss.backward()).unwrap();
                assert_eq!(values(loss), [0.0]);
                assert_eq!(values(grad), [0.0; 8]);
            }
        }
    }

    #[test]
    fn a_perfect_binary_map_has_no_loss() {
        for device in devices() {
            let truth = Tensor::<4>::from_floats([[[[1.0, 0.0], [0.0, 1.0]]]], &device);
            let logits = truth.clone().mul_scalar(80.0).sub_scalar(40.0);
            assert!(values(binary_dice_loss(logits, truth, 0.0))[0].abs() < 1e-6);
        }
    }
}
