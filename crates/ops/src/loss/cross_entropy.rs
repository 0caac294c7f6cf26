//! Cross-entropy of class logits, with hard and soft targets, per sample and per pixel.
//!
//! Semantics, defaults and the weighted mean are those of `torch.nn.functional.cross_entropy`, with one
//! difference: where every target is ignored PyTorch's mean is NaN, and here it is 0 with zero gradients, so that a
//! batch without labels does not end a run.

use burn::tensor::activation::log_softmax;
use burn::tensor::{Int, Tensor, TensorData};

use crate::sum_stable;

/// The options of the cross-entropy functions; the default is the plain mean.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct CrossEntropyOptions {
    /// The share of the target that is spread evenly over all classes, from 0 (none) up to 1.
    pub label_smoothing: f64,
    /// A weight for each class, at least 0. A mean over hard targets is then divided by the sum of the targets'
    /// weights, as in PyTorch; a mean over soft targets by the number of samples.
    pub class_weights: Option<Vec<f32>>,
    /// Samples or pixels with this target do not count. It may lie outside the range of the classes (255).
    pub ignore_index: Option<i64>,
}

impl CrossEntropyOptions {
    fn weights<const D: usize>(&self, logits: &Tensor<D>) -> Option<Tensor<1>> {
        let weights = self.class_weights.as_ref()?;
        let classes = logits.dims()[1];
        assert_eq!(
            weights.len(),
            classes,
            "cross-entropy: class weights given, classes in the logits"
        );
        Some(Tensor::from_data(
            TensorData::new(weights.clone(), [classes]),
            &logits.device(),
        ))
    }
}

/// Mean cross-entropy of hard targets.
///
/// Targets other than the ignore index must lie in `0..C`; the range is the caller's to check.
///
/// # Shapes
/// - `logits`: `[N, C]`
/// - `targets`: `[N]`
/// - output: `[1]`
pub fn cross_entropy(
    logits: Tensor<2>,
    targets: Tensor<1, Int>,
    options: &CrossEntropyOptions,
) -> Tensor<1> {
    let (loss, weight) = hard(logits, targets.unsqueeze_dim::<2>(1), options);
    mean(loss, weight)
}

/// Cross-entropy of hard targets for each sample: PyTorch's `reduction="none"`; ignored samples have 0.
///
/// # Shapes
/// - `logits`: `[N, C]`
/// - `targets`: `[N]`
/// - output: `[N]`
pub fn cross_entropy_per_sample(
    logits: Tensor<2>,
    targets: Tensor<1, Int>,
    options: &CrossEntropyOptions,
) -> Tensor<1> {
    let (loss, _) = hard(logits, targets.unsqueeze_dim::<2>(1), options);
    loss.squeeze_dim(1)
}

/// Mean cross-entropy over the pixels of a class map.
///
/// # Shapes
/// - `logits`: `[N, C, H, W]`
/// - `targets`: `[N, H, W]`, class indices in `0..C` or the ignore index
/// - output: `[1]`
pub fn cross_entropy_pixels(
    logits: Tensor<4>,
    targets: Tensor<3, Int>,
    options: &CrossEntropyOptions,
) -> Tensor<1> {
    let (loss, weight) = hard(logits, targets.unsqueeze_dim::<4>(1), options);
    mean(loss, weight)
}

/// Mean cross-entropy of soft targets (mixup, cutmix, distillation); the ignore index has no meaning here.
///
/// # Shapes
/// - `logits`: `[N, C]`
/// - `targets`: `[N, C]`, shares of each class; rows usually sum to 1
/// - output: `[1]`
pub fn cross_entropy_soft(
    logits: Tensor<2>,
    targets: Tensor<2>,
    options: &CrossEntropyOptions,
) -> Tensor<1> {
    let samples = logits.dims()[0].max(1);
    cross_entropy_soft_per_sample(logits, targets, options)
        .sum()
        .div_scalar(samples as f64)
}

/// Cross-entropy of soft targets for each sample.
///
/// # Shapes
/// - `logits`: `[N, C]`
/// - `targets`: `[N, C]`
/// - output: `[N]`
pub fn cross_entropy_soft_per_sample(
    logits: Tensor<2>,
    targets: Tensor<2>,
    options: &CrossEntropyOptions,
) -> Tensor<1> {
    let classes = logits.dims()[1];
    let smoothing = options.label_smoothing;
    let weights = options.weights(&logits);
    let targets = match smoothing {
        0.0 => targets,
        s => targets.mul_scalar(1.0 - s).add_scalar(s / classes as f64),
    };
    let targets = match weights {
        Some(w) => targets * w.unsqueeze::<2>(),
        None => targets,
    };
    (log_softmax(logits, 1) * targets)
        .sum_dim(1)
        .neg()
        .squeeze_dim(1)
}

/// The loss of each position and the weight it has in the mean; both 0 where the target is ignored.
///
/// `logits` is `[N, C, ..]`, `targets` and both outputs `[N, 1, ..]`.
fn hard<const D: usize>(
    logits: Tensor<D>,
    targets: Tensor<D, Int>,
    options: &CrossEntropyOptions,
) -> (Tensor<D>, Tensor<D>) {
    let classes = logits.dims()[1];
    let weights = options.weights(&logits);
    let ignored = options
        .ignore_index
        .map(|index| targets.clone().equal_elem(index));
    // The gather reads every index, so an ignored one must be brought into range first.
    let targets = match &ignored {
        Some(ignored) => targets.mask_fill(ignored.clone(), 0),
        None => targets,
    };
    let log_p = log_softmax(logits, 1);

    let mut weight = match &weights {
        Some(w) => w
            .clone()
            .select(0, targets.clone().reshape([-1]))
            .reshape(targets.dims()),
        None => Tensor::ones(targets.dims(), &log_p.device()),
    };
    let mut loss = log_p.clone().gather(1, targets).neg() * weight.clone();
    if options.label_smoothing != 0.0 {
        let s = options.label_smoothing;
        let weighted = match weights {
            Some(w) => {
                let mut shape = [1; D];
                shape[1] = classes;
                log_p * w.reshape(shape)
            }
            None => log_p,
        };
        let spread = weighted.sum_dim(1).neg();
        loss = loss.mul_scalar(1.0 - s) + spread.mul_scalar(s / classes as f64);
    }
    if let Some(ignored) = ignored {
        loss = loss.mask_fill(ignored.clone(), 0.0);
        weight = weight.mask_fill(ignored, 0.0);
    }
    (loss, weight)
}

/// `sum(loss) / sum(weight)`, and 0 where the weights sum to 0.
fn mean<const D: usize>(loss: Tensor<D>, weight: Tensor<D>) -> Tensor<1> {
    let total = sum_stable(weight);
    let empty = total.clone().equal_elem(0.0);
    sum_stable(loss) / total.mask_fill(empty, 1.0)
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::*;
    use crate::testing::{assert_near, cases, devices, float, int, numbers, values};

    fn options(case: &Value) -> CrossEntropyOptions {
        CrossEntropyOptions {
            label_smoothing: case["smoothing"].as_f64().unwrap(),
            class_weights: case["weight"].as_array().map(|_| numbers(&case["weight"])),
            ignore_index: case["ignore"].as_i64(),
        }
    }

    fn check<const D: usize>(case: &Value, logits: Tensor<D>, loss: Tensor<1>) {
        let what = format!("{} {:?}", case["kind"], options(case));
        let grad = logits.grad(&loss.backward()).expect("a gradient");
        assert_near(
            &values(loss),
            &[case["value"].as_f64().unwrap() as f32],
            1e-5,
            &what,
        );
        assert_near(&values(grad), &numbers(&case["grad"]), 1e-5, &what);
    }

    #[test]
    fn hard_targets_equal_pytorch() {
        for device in devices() {
            for case in cases("losses", "cross_entropy") {
                let logits = float::<2>(&case["logits"], &device.clone().autodiff()).require_grad();
                let target = int::<1>(&case["target"], &device.clone().autodiff());
                let each =
                    cross_entropy_per_sample(logits.clone(), target.clone(), &options(&case));
                assert_near(
                    &values(each),
                    &numbers(&case["per_sample"]),
                    1e-5,
                    "per sample",
                );
                check(
                    &case,
                    logits.clone(),
                    cross_entropy(logits, target, &options(&case)),
                );
            }
        }
    }

    #[test]
    fn soft_targets_equal_pytorch() {
        for device in devices() {
            for case in cases("losses", "cross_entropy_soft") {
                let logits = float::<2>(&case["logits"], &device.clone().autodiff()).require_grad();
                let target = float::<2>(&case["target"], &device.clone().autodiff());
                let each =
                    cross_entropy_soft_per_sample(logits.clone(), target.clone(), &options(&case));
                assert_near(
                    &values(each),
                    &numbers(&case["per_sample"]),
                    1e-5,
                    "per sample",
                );
                check(
                    &case,
                    logits.clone(),
                    cross_entropy_soft(logits, target, &options(&case)),
                );
            }
        }
    }

    #[test]
    fn pixels_equal_pytorch() {
        for device in devices() {
            for case in cases("losses", "cross_entropy_pixels") {
                let logits = float::<4>(&case["logits"], &device.clone().autodiff()).require_grad();
                let target = int::<3>(&case["target"], &device.clone().autodiff());
                check(
                    &case,
                    logits.clone(),
                    cross_entropy_pixels(logits, target, &options(&case)),
                );
            }
        }
    }

    #[test]
    fn nothing_but_ignored_pixels_gives_zero_and_zero_gradients() {
        for device in devices() {
            for smoothing in [0.0, 0.1] {
                let device = device.clone().autodiff();
                let logits = Tensor::<4>::ones([1, 3, 2, 2], &device).require_grad();
                let target = Tensor::<3, Int>::full([1, 2, 2], 255, &device);
                let options = CrossEntropyOptions {
                    ignore_index: Some(255),
                    label_smoothing: smoothing,
                    class_weights: Some(vec![1.0, 2.0, 3.0]),
                };
                let loss = cross_entropy_pixels(logits.clone(), target, &options);
                let grad = logits.grad(&loss.backward()).expect("a gradient");
                assert_eq!(values(loss), [0.0]);
                assert_eq!(values(grad), [0.0; 12]);
            }
        }
    }

    #[test]
    fn huge_logits_stay_finite() {
        for device in devices() {
            let logits = Tensor::<2>::from_floats([[1e30, -1e30, 0.0], [1e4, 1e4, -1e4]], &device);
            let target = Tensor::<1, Int>::from_ints([0, 1], &device);
            let each = cross_entropy_per_sample(logits, target, &CrossEntropyOptions::default());
            assert_near(
                &values(each),
                &[0.0, std::f32::consts::LN_2],
                1e-6,
                "huge logits",
            );
        }
    }
}
