//! Policies that choose among many operations: RandAugment, TrivialAugment and AutoAugment.
//!
//! The spaces, magnitudes and policies are those of torchvision. Geometric operations interpolate bilinearly, where
//! torchvision takes the nearest pixel by default.

use rand_chacha::ChaCha8Rng;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::affine::about_centre;
use super::policies;
use super::values::Values;
use super::{Augmentation, Plan, Problems};
use crate::geometry::{Geometry, Map};
use crate::random::{below, coin};

/// An operation of the policies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Operation {
    Identity,
    ShearX,
    ShearY,
    TranslateX,
    TranslateY,
    Rotate,
    Brightness,
    Colour,
    Contrast,
    Sharpness,
    Posterise,
    Solarise,
    AutoContrast,
    Equalise,
    Invert,
}
use Operation::*;

/// The operations that RandAugment and TrivialAugment draw from.
const CHOICE: [Operation; 14] = [
    Identity,
    ShearX,
    ShearY,
    TranslateX,
    TranslateY,
    Rotate,
    Brightness,
    Colour,
    Contrast,
    Sharpness,
    Posterise,
    Solarise,
    AutoContrast,
    Equalise,
];

/// How strong the operations are at the full magnitude.
struct Strength {
    shear: f64,
    /// Pixels, or a share of the side where below 1.
    translate: f64,
    degrees: f64,
    blend: f64,
    /// How many bits posterising takes away.
    bits: f64,
}

const USUAL: Strength = Strength {
    shear: 0.3,
    translate: 150.0 / 331.0,
    degrees: 30.0,
    blend: 0.9,
    bits: 4.0,
};
const WIDE: Strength = Strength {
    shear: 0.99,
    translate: 32.0,
    degrees: 135.0,
    blend: 0.99,
    bits: 6.0,
};

impl Operation {
    fn is_signed(self) -> bool {
        !matches!(
            self,
            Identity | Posterise | Solarise | AutoContrast | Equalise | Invert
        )
    }

    /// Adds the operation at a magnitude from 0 to 1; its direction is drawn.
    fn add(
        self,
        magnitude: f64,
        strength: &Strength,
        fill: [u8; 3],
        rng: &mut ChaCha8Rng,
        plan: &mut Plan,
    ) {
        let signed = if self.is_signed() && coin(rng, 0.5) {
            -magnitude
        } else {
            magnitude
        };
        let [width, height] = plan.size();
        let shift = |side: usize| {
            let most = if strength.translate < 1.0 {
                strength.translate * side as f64
            } else {
                strength.translate
            };
            (signed * most).trunc()
        };
        let shear = (signed * strength.shear).atan().to_degrees();
        let factor = (1.0 + signed * strength.blend) as f32;
        match self {
            Identity => {}
            ShearX => plan.geometry(Geometry::Warp {
                map: Map::shearing(shear, 0.0),
                fill,
            }),
            ShearY => plan.geometry(Geometry::Warp {
                map: Map::shearing(0.0, shear),
                fill,
            }),
            TranslateX => plan.geometry(Geometry::Warp {
                map: Map::translation(shift(width), 0.0),
                fill,
            }),
            TranslateY => plan.geometry(Geometry::Warp {
                map: Map::translation(0.0, shift(height)),
                fill,
            }),
            Rotate => about_centre(plan, Map::rotation(signed * strength.degrees), fill),
            Brightness => plan.pixels(Values::Brightness(factor)),
            Colour => plan.pixels(Values::Saturation(factor)),
            Contrast => plan.pixels(Values::Contrast(factor)),
            Sharpness => plan.pixels(Values::Sharpness(factor)),
            Posterise => plan.pixels(Values::Posterise(
                (8.0 - magnitude * strength.bits).round_ties_even() as u32,
            )),
            Solarise => plan.pixels(Values::Solarise((255.0 * (1.0 - magnitude)) as f32)),
            AutoContrast => plan.pixels(Values::AutoContrast),
            Equalise => plan.pixels(Values::Equalise),
            Invert => plan.pixels(Values::Invert),
        }
    }
}

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
    /// Red, green and blue outside the image; a grey image takes the first.
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
    /// Red, green and blue outside the image; a grey image takes the first.
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
    /// Red, green and blue outside the image; a grey image takes the first.
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
            image,
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
                assert_eq!((result.image.width, result.image.height), (17, 11));
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
            pixels(Posterise, 9.0 / 30.0, &USUAL),
            "Pixels(Posterise(7))"
        );
        assert_eq!(pixels(Posterise, 1.0, &WIDE), "Pixels(Posterise(2))");
        assert_eq!(pixels(Solarise, 0.0, &USUAL), "Pixels(Solarise(255.0))");
        assert!(
            pixels(TranslateX, 1.0, &USUAL).contains("45.0")
                && pixels(TranslateY, 1.0, &WIDE).contains("32.0")
        );
    }
}
