//! Random changes of color, contrast, levels and sharpness.

use rand_chacha::ChaCha8Rng;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::values::Values;
use super::{Augmentation, Plan, Problems};
use crate::random::{coin, shuffle, uniform};

/// Brightness, contrast, saturation and hue, in random order, as torchvision's `ColorJitter`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields, default)]
pub struct ColorJitter {
    /// The factor is drawn from `1 - brightness` (but at least 0) to `1 + brightness`.
    pub brightness: f64,
    /// The factor is drawn from `1 - contrast` (but at least 0) to `1 + contrast`.
    pub contrast: f64,
    /// The factor is drawn from `1 - saturation` (but at least 0) to `1 + saturation`.
    pub saturation: f64,
    /// The hue is turned by up to this part of the color circle to either side, from 0 to 0.5.
    pub hue: f64,
    /// How often, from 0 to 1.
    pub probability: f64,
}

impl Default for ColorJitter {
    fn default() -> Self {
        ColorJitter {
            brightness: 0.4,
            contrast: 0.4,
            saturation: 0.4,
            hue: 0.1,
            probability: 1.0,
        }
    }
}

impl Augmentation for ColorJitter {
    fn draw(&self, rng: &mut ChaCha8Rng, plan: &mut Plan) {
        if !coin(rng, self.probability) {
            return;
        }
        let mut factor =
            |strength: f64| uniform(rng, (1.0 - strength).max(0.0), 1.0 + strength) as f32;
        let mut operations = [
            (self.brightness, Values::Brightness(factor(self.brightness))),
            (self.contrast, Values::Contrast(factor(self.contrast))),
            (self.saturation, Values::Saturation(factor(self.saturation))),
            (
                self.hue,
                Values::Hue(uniform(rng, -self.hue, self.hue) as f32),
            ),
        ];
        shuffle(rng, &mut operations);
        operations
            .into_iter()
            .filter(|(strength, _)| *strength > 0.0)
            .for_each(|(_, values)| plan.pixels(values));
    }

    fn problems(&self) -> Vec<(String, String)> {
        Problems::default()
            .within("brightness", self.brightness, 0.0, 100.0)
            .within("contrast", self.contrast, 0.0, 100.0)
            .within("saturation", self.saturation, 0.0, 100.0)
            .within("hue", self.hue, 0.0, 0.5)
            .probability(self.probability)
            .0
    }
}

/// Declares an augmentation that applies one fixed operation with a probability.
macro_rules! fixed {
    ($(#[$doc:meta])* $name:ident, $probability:literal, $($(#[$field_doc:meta])* $field:ident: $type:ty = $value:literal in $least:literal..=$most:literal,)? |$self:ident| $values:expr) => {
        $(#[$doc])*
        #[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
        #[serde(rename_all = "kebab-case", deny_unknown_fields, default)]
        pub struct $name {
            $($(#[$field_doc])* pub $field: $type,)?
            /// How often, from 0 to 1.
            pub probability: f64,
        }

        impl Default for $name {
            fn default() -> Self {
                $name { $($field: $value,)? probability: $probability }
            }
        }

        impl Augmentation for $name {
            fn draw(&self, rng: &mut ChaCha8Rng, plan: &mut Plan) {
                let $self = self;
                if coin(rng, $self.probability) {
                    plan.pixels($values);
                }
            }

            fn problems(&self) -> Vec<(String, String)> {
                Problems::default()
                    $(.within(stringify!($field), self.$field as f64, $least, $most))?
                    .probability(self.probability)
                    .0
            }
        }
    };
}

fixed! {
    /// Takes the color out, as torchvision's `RandomGrayscale`; the image keeps its channels.
    Grayscale, 0.1, |_own| Values::Grayscale
}
fixed! {
    /// Inverts the values from a threshold on, as torchvision's `RandomSolarize`.
    Solarize, 0.5,
    /// The lowest value that is inverted, from 0 to 256.
    threshold: f64 = 128.0 in 0.0..=256.0,
    |own| Values::Solarize(own.threshold as f32)
}
fixed! {
    /// Keeps the upper bits of each value, as torchvision's `RandomPosterize`.
    Posterize, 0.5,
    /// How many of the eight bits are kept, from 0 to 8.
    bits: u32 = 4 in 0.0..=8.0,
    |own| Values::Posterize(own.bits)
}
fixed! {
    /// Flattens the histogram of each channel, as torchvision's `RandomEqualize`.
    Equalize, 0.5, |_own| Values::Equalize
}
fixed! {
    /// Stretches each channel to the full range, as torchvision's `RandomAutocontrast`.
    AutoContrast, 0.5, |_own| Values::AutoContrast
}
fixed! {
    /// Inverts all values, as torchvision's `RandomInvert`.
    Invert, 0.5, |_own| Values::Invert
}
fixed! {
    /// Sharpens or smooths, as torchvision's `RandomAdjustSharpness`.
    Sharpness, 0.5,
    /// 0 smooths, 1 changes nothing, 2 sharpens; at most 100.
    factor: f64 = 2.0 in 0.0..=100.0,
    |own| Values::Sharpness(own.factor as f32)
}
