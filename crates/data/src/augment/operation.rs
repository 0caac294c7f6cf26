//! The operations that policies choose from, each with a magnitude.

use rand_chacha::ChaCha8Rng;

use super::Plan;
use super::affine::about_center;
use super::values::Values;
use crate::geometry::{Geometry, Map};
use crate::random::coin;

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
    Color,
    Contrast,
    Sharpness,
    Posterize,
    Solarize,
    AutoContrast,
    Equalize,
    Invert,
}
use Operation::*;

/// The operations that RandAugment and TrivialAugment draw from.
pub(super) const CHOICE: [Operation; 14] = [
    Identity,
    ShearX,
    ShearY,
    TranslateX,
    TranslateY,
    Rotate,
    Brightness,
    Color,
    Contrast,
    Sharpness,
    Posterize,
    Solarize,
    AutoContrast,
    Equalize,
];

/// How strong the operations are at the full magnitude.
pub(super) struct Strength {
    shear: f64,
    /// Pixels, or a share of the side where below 1.
    translate: f64,
    degrees: f64,
    blend: f64,
    /// How many bits posterizing takes away.
    bits: f64,
}

pub(super) const USUAL: Strength = Strength {
    shear: 0.3,
    translate: 150.0 / 331.0,
    degrees: 30.0,
    blend: 0.9,
    bits: 4.0,
};
pub(super) const WIDE: Strength = Strength {
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
            Identity | Posterize | Solarize | AutoContrast | Equalize | Invert
        )
    }

    /// Adds the operation at a magnitude from 0 to 1; its direction is drawn.
    pub(super) fn add(
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
            Rotate => about_center(plan, Map::rotation(signed * strength.degrees), fill),
            Brightness => plan.pixels(Values::Brightness(factor)),
            Color => plan.pixels(Values::Saturation(factor)),
            Contrast => plan.pixels(Values::Contrast(factor)),
            Sharpness => plan.pixels(Values::Sharpness(factor)),
            Posterize => plan.pixels(Values::Posterize(
                (8.0 - magnitude * strength.bits).round_ties_even() as u32,
            )),
            Solarize => plan.pixels(Values::Solarize((255.0 * (1.0 - magnitude)) as f32)),
            AutoContrast => plan.pixels(Values::AutoContrast),
            Equalize => plan.pixels(Values::Equalize),
            Invert => plan.pixels(Values::Invert),
        }
    }
}
