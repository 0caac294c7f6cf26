//! Losses of a generator and its discriminator, on the discriminator's scores before any sigmoid.

use burn::tensor::Tensor;
use burn::tensor::activation::{relu, softplus};

/// Which game the two networks play.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum AdversarialLoss {
    /// Goodfellow et al. 2014 (arXiv:1406.2661), section 3: cross-entropy, and the generator raises the probability
    /// of being taken for real instead of lowering that of being found out.
    #[default]
    NonSaturating,
    /// Hinge loss (Lim and Ye 2017, arXiv:1705.02894).
    Hinge,
    /// Least squares (Mao et al. 2016, arXiv:1611.04076) with targets 1 and 0; half the squared distance.
    LeastSquares,
}

/// The discriminator's loss: the mean over real images plus the mean over generated ones.
///
/// `smoothing` lowers the target of real images from 1 to `1 - smoothing` (Salimans et al. 2016, one-sided label
/// smoothing); the hinge loss has no target and ignores it.
///
/// # Shapes
/// - `real`: `[N]`, `generated`: `[M]`
/// - output: two of `[1]`, on real and on generated images
pub fn discriminator_loss(
    loss: AdversarialLoss,
    real: Tensor<1>,
    generated: Tensor<1>,
    smoothing: f64,
) -> [Tensor<1>; 2] {
    match loss {
        AdversarialLoss::NonSaturating => [
            // Cross-entropy with the target t: softplus(-x) + (1 - t) * x.
            (softplus(real.clone().neg(), 1.0) + real.mul_scalar(smoothing)).mean(),
            softplus(generated, 1.0).mean(),
        ],
        AdversarialLoss::Hinge => [
            relu(real.neg().add_scalar(1.0)).mean(),
            relu(generated.add_scalar(1.0)).mean(),
        ],
        AdversarialLoss::LeastSquares => [
            square(real.sub_scalar(1.0 - smoothing))
                .mean()
                .mul_scalar(0.5),
            square(generated).mean().mul_scalar(0.5),
        ],
    }
}

/// The generator's loss, from the discriminator's scores of its images.
///
/// # Shapes
/// - `generated`: `[N]`
/// - output: `[1]`
pub fn generator_loss(loss: AdversarialLoss, generated: Tensor<1>) -> Tensor<1> {
    match loss {
        AdversarialLoss::NonSaturating => softplus(generated.neg(), 1.0).mean(),
        AdversarialLoss::Hinge => generated.neg().mean(),
        AdversarialLoss::LeastSquares => square(generated.sub_scalar(1.0)).mean().mul_scalar(0.5),
    }
}

fn square(x: Tensor<1>) -> Tensor<1> {
    x.clone() * x
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{assert_near, cases, devices, float, numbers, values};

    #[test]
    fn values_and_gradients_equal_pytorchs() {
        for device in devices() {
            let device = device.autodiff();
            for case in cases("adversarial", "adversarial") {
                let loss = match case["loss"].as_str().unwrap() {
                    "non_saturating" => AdversarialLoss::NonSaturating,
                    "hinge" => AdversarialLoss::Hinge,
                    "least_squares" => AdversarialLoss::LeastSquares,
                    other => panic!("{other}"),
                };
                let smoothing = case["smoothing"].as_f64().unwrap();
                let real = float::<1>(&case["real"], &device).require_grad();
                let generated = float::<1>(&case["generated"], &device).require_grad();
                let parts = discriminator_loss(loss, real.clone(), generated.clone(), smoothing);
                let [on_real, on_generated] = parts;
                let both = [on_real.clone(), on_generated.clone()].map(|part| values(part)[0]);
                assert_near(
                    &both,
                    &numbers(&case["discriminator"]),
                    1e-5,
                    "discriminator",
                );
                let grads = (on_real + on_generated).backward();
                for (tensor, key) in [(&real, "grad_real"), (&generated, "grad_generated")] {
                    let grad = values(tensor.grad(&grads).unwrap());
                    assert_near(&grad, &numbers(&case[key]), 1e-5, key);
                }
                let own = generator_loss(loss, generated.clone());
                assert_near(
                    &values(own.clone()),
                    &numbers(&case["generator"]),
                    1e-5,
                    "generator",
                );
                let grad = values(generated.grad(&own.backward()).unwrap());
                assert_near(
                    &grad,
                    &numbers(&case["grad_generator"]),
                    1e-5,
                    "its gradient",
                );
            }
        }
    }
}
