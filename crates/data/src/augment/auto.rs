//! Policies that choose among many operations: RandAugment, TrivialAugment and AutoAugment.
//!
//! The spaces, magnitudes and policies are those of torchvision. Geometric operations interpolate bilinearly, where
//! torchvision takes the nearest pixel by default.

use rand_chacha::ChaCha8Rng;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::operation::{CHOICE, USUAL, WIDE};
use super::policies;
use super::{Augmentation, Plan, Problems};
use crate::random::{below, coin};

/// Several random operations at one magnitude (Cubuk et al., "RandAugment", 2019).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields, default)]
pub struct RandAugment {
    /// How many operations, drawn with repetition.
    pub operations: usize,
    /// The magnitude, from 0 to `bins - 1`.
    pub magnitude: usize,
    /// How many magnitudes there are, at least 2; the last one is the full magnitude.
    pub bins: usize,
    /// Red, green and blue outside the image; a gray image takes the first.
    pub fill: [u8; 3],
}

impl Default for RandAugment {
    fn default() -> Self {
        RandAugment {
            operations: 2,
            magnitude: 9,
            bins: 31,
            fill: [0; 3],
        }
    }
}

impl Augmentation for RandAugment {
    fn draw(&self, rng: &mut ChaCha8Rng, plan: &mut Plan) {
        let magnitude = self.magnitude as f64 / self.bins.saturating_sub(1).max(1) as f64;
        for _ in 0..self.operations {
            CHOICE[below(rng, CHOICE.len())].add(magnitude.min(1.0), &USUAL, self.fill, rng, plan);
        }
    }

    fn problems(&self) -> Vec<(String, String)> {
        let Self {
            operations,
            magnitude,
            bins,
            ..
        } = *self;
        Problems::default()
            .check(
                operations <= 100,
                "operations",
                format!("{operations}; at most 100"),
            )
            .check(
                (2..=1000).contains(&bins),
                "bins",
                format!("{bins} is not from 2 to 1000"),
            )
            .check(
                magnitude < bins,
                "magnitude",
                format!("{magnitude} is not below bins = {bins}"),
            )
            .0
    }
}

/// One random operation at a random magnitude from a wide range (Müller and Hutter, "TrivialAugment", 2021).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields, default)]
pub struct TrivialAugmentWide {
    /// How many magnitudes there are, at least 2.
    pub bins: usize,
    /// Red, green and blue outside the image; a gray image takes the first.
    pub fill: [u8; 3],
}

impl Default for TrivialAugmentWide {
    fn default() -> Self {
        TrivialAugmentWide {
            bins: 31,
            fill: [0; 3],
        }
    }
}

impl Augmentation for TrivialAugmentWide {
    fn draw(&self, rng: &mut ChaCha8Rng, plan: &mut Plan) {
        let operation = CHOICE[below(rng, CHOICE.len())];
        let magnitude = below(rng, self.bins) as f64 / self.bins.saturating_sub(1).max(1) as f64;
        operation.add(magnitude, &WIDE, self.fill, rng, plan);
    }

    fn problems(&self) -> Vec<(String, String)> {
        Problems::default()
            .check(
                (2..=1000).contains(&self.bins),
                "bins",
                format!("{} is not from 2 to 1000", self.bins),
            )
            .0
    }
}

/// A learnt policy: one of 25 pairs of operations, each with its probability and magnitude (Cubuk et al.,
/// "AutoAugment", 2018).
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields, default)]
pub struct AutoAugment {
    /// The dataset that the policy was learnt on.
    pub policy: Policy,
    /// Red, green and blue outside the image; a gray image takes the first.
    pub fill: [u8; 3],
}

/// The datasets with published policies.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub enum Policy {
    /// ImageNet.
    #[default]
    Imagenet,
    /// CIFAR-10.
    Cifar10,
    /// Street View House Numbers.
    Svhn,
}

impl Augmentation for AutoAugment {
    fn draw(&self, rng: &mut ChaCha8Rng, plan: &mut Plan) {
        let policy = match self.policy {
            Policy::Imagenet => &policies::IMAGENET,
            Policy::Cifar10 => &policies::CIFAR10,
            Policy::Svhn => &policies::SVHN,
        };
        for (operation, probability, magnitude) in policy[below(rng, policy.len())] {
            if coin(rng, f64::from(probability) / 10.0) {
                operation.add(f64::from(magnitude) / 9.0, &USUAL, self.fill, rng, plan);
            }
        }
    }

    fn problems(&self) -> Vec<(String, String)> {
        Vec::new()
    }
}

#[cfg(test)]
mod tests {
    use super::super::operation::Operation::{self, *};
    use super::*;
    use crate::random::{Domain, stream};
    use crate::sample::{Image, Sample};
    use crate::target::Target;

    #[test]
    fn policies_keep_the_size_and_repeat() {
        let image = Image {
            width: 17,
            height: 11,
            channels: 3,
            pixels: (0..17 * 11 * 3).map(|i| (i * 5) as u8).collect(),
        };
        let sample = Sample {
            image: image.into(),
            target: Target::of_class(1),
        };
        let policies: [Box<dyn Augmentation>; 5] = [
            Box::new(RandAugment::default()),
            Box::new(TrivialAugmentWide::default()),
            Box::new(AutoAugment {
                policy: Policy::Imagenet,
                fill: [1, 2, 3],
            }),
            Box::new(AutoAugment {
                policy: Policy::Cifar10,
                fill: [0; 3],
            }),
            Box::new(AutoAugment {
                policy: Policy::Svhn,
                fill: [0; 3],
            }),
        ];
        for policy in policies {
            let mut changed = 0;
            for seed in 0..60 {
                let run = || {
                    let mut plan = Plan::new([17, 11]);
                    policy.draw(&mut stream(seed, 0, 0, Domain::Sample), &mut plan);
                    plan.apply(sample.clone()).unwrap()
                };
                let result = run();
                assert_eq!(result.image.size(), [17, 11]);
                assert_eq!(result, run());
                changed += usize::from(result != sample);
            }
            assert!(changed > 30, "only {changed} of 60 were changed");
        }
    }

    #[test]
    fn magnitudes_are_the_published_ones() {
        let pixels = |operation: Operation, magnitude: f64, strength| {
            let mut plan = Plan::new([100, 50]);
            operation.add(
                magnitude,
                strength,
                [0; 3],
                &mut stream(0, 0, 0, Domain::Sample),
                &mut plan,
            );
            format!("{:?}", plan.transforms()[0])
        };
        // torchvision: posterize at bin 9 of 31 keeps round(8 - 9 / 7.5) = 7 bits, at the last of the wide space 2.
        assert_eq!(
            pixels(Posterize, 9.0 / 30.0, &USUAL),
            "Pixels(Posterize(7))"
        );
        assert_eq!(pixels(Posterize, 1.0, &WIDE), "Pixels(Posterize(2))");
        assert_eq!(pixels(Solarize, 0.0, &USUAL), "Pixels(Solarize(255.0))");
        assert!(
            pixels(TranslateX, 1.0, &USUAL).contains("45.0")
                && pixels(TranslateY, 1.0, &WIDE).contains("32.0")
        );
    }
}
