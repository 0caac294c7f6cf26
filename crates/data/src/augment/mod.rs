//! Augmentation: random parameters are drawn once and applied to image, mask and boxes alike.
//!
//! A recipe's list of [`Augment`]s makes a [`Pipeline`]. For each sample the pipeline first draws a [`Plan`] (the
//! parameters, from the sample's own random stream) and then carries it out: geometric operations through one
//! [`Canvas`](crate::geometry::Canvas), which composes them, and operations on values in between.
//!
//! Adding an augmentation is a file here, whose type implements [`Augmentation`], and its line in `every_augmentation!`
//! below.
//!
//! ```
//! use firesight_data::augment::{Augment, CenterCrop, Pipeline, ResizeShortest};
//! use firesight_data::random::{Domain, stream};
//! use firesight_data::{Image, Sample, Target};
//!
//! let image = Image { width: 40, height: 30, channels: 3, pixels: vec![128; 40 * 30 * 3] };
//! let pipeline = Pipeline::new(vec![
//!     Augment::ResizeShortest(ResizeShortest { size: 16, ..Default::default() }),
//!     Augment::CenterCrop(CenterCrop { width: 12, height: 12, ..Default::default() }),
//! ]);
//! let mut rng = stream(42, 0, 0, Domain::Sample);
//! let sample = pipeline.apply(Sample { image: image.into(), target: Target::of_class(3) }, &mut rng)?;
//! assert_eq!(sample.image.size(), [12, 12]);
//! # Ok::<(), firesight_data::DataError>(())
//! ```

mod affine;
mod auto;
mod color;
mod crop;
mod erase;
mod filter;
mod flip;
mod floats;
mod objects;
mod operation;
mod perspective;
mod pipeline;
mod policies;
mod resize;
mod values;

pub use auto::Policy;
pub use erase::{Erase, EraseValue};
pub use filter::{Blur, Noise};
#[cfg(feature = "datasets")]
pub(crate) use pipeline::check;
pub use pipeline::{MINIMUM_VISIBLE, Pipeline, PixelOperation, Plan, Transform};
pub use resize::Placement;
pub use values::Values;

use rand_chacha::ChaCha8Rng;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::names::{kebab, under};

/// One kind of augmentation.
pub trait Augmentation {
    /// Draws the parameters for one image and adds the resulting transforms to the plan.
    fn draw(&self, rng: &mut ChaCha8Rng, plan: &mut Plan);

    /// What is wrong with the settings: key and message.
    fn problems(&self) -> Vec<(String, String)>;
}

/// Hands the list of all augmentations to a macro, by what they draw: the `fixed` draw nothing, those of a `coin` only
/// whether they happen. Each is named with its file, and with the name that older recipes have for it.
macro_rules! every_augmentation {
    ($then:ident) => {
        $then! {
            fixed {
                /// Resizes to an exact size, whatever the shape was.
                resize::Resize,
                /// Resizes so that the shortest side has a given length.
                resize::ResizeShortest,
                /// Resizes as large as fits a frame, keeping the shape, and pads the rest evenly.
                resize::Letterbox,
                /// Cuts the middle out; a smaller image is padded around.
                #[serde(alias = "centre-crop")]
                crop::CenterCrop,
            }
            coin {
                /// Takes the color out; the image keeps its channels.
                #[serde(alias = "greyscale")]
                color::Grayscale,
                /// Flattens the histogram of each channel.
                #[serde(alias = "equalise")]
                color::Equalize,
                /// Stretches each channel to the full range.
                color::AutoContrast,
                /// Inverts all values.
                color::Invert,
            }
            random {
                /// Mirrors left and right.
                flip::HorizontalFlip,
                /// Mirrors top and bottom.
                flip::VerticalFlip,
                /// Mirrors on the diagonal: rows become columns.
                flip::Transpose,
                /// Rotates about the center.
                affine::Rotate,
                /// Moves the content.
                affine::Translate,
                /// Enlarges or shrinks the content about the center.
                affine::Scale,
                /// Shears along the rows and columns.
                affine::Shear,
                /// A view from the side.
                perspective::Perspective,
                /// Pads the edges and cuts the old size out again, at a random place.
                crop::PadAndCrop,
                /// Cuts a piece of one size out, at a random place.
                crop::RandomCrop,
                /// Cuts a random piece out and resizes it to one size.
                crop::RandomResizedCrop,
                /// Resizes so that the shortest side has a random length.
                resize::RandomResizeShortest,
                /// Cuts a piece out that overlaps some object by a drawn share.
                objects::IouCrop,
                /// Puts the image somewhere on a larger canvas.
                objects::ZoomOut,
                /// Resizes by a random factor and cuts or pads to a frame.
                objects::ScaleJitter,
                /// Changes brightness, contrast, saturation and hue.
                #[serde(alias = "colour-jitter")]
                color::ColorJitter,
                /// Inverts the bright values.
                #[serde(alias = "solarise")]
                color::Solarize,
                /// Keeps the highest bits of each value.
                #[serde(alias = "posterise")]
                color::Posterize,
                /// Sharpens.
                color::Sharpness,
                /// Blurs.
                filter::GaussianBlur,
                /// Adds noise.
                filter::GaussianNoise,
                /// Overwrites a random rectangle.
                erase::RandomErasing,
                /// Several random operations at one magnitude.
                auto::RandAugment,
                /// One random operation at a random magnitude.
                auto::TrivialAugmentWide,
                /// A learnt policy: one of 25 pairs of operations.
                auto::AutoAugment,
            }
        }
    };
}
pub(crate) use every_augmentation;

macro_rules! augmentations {
    ($($kind:ident { $($(#[$meta:meta])+ $file:ident::$name:ident,)* })*) => {
        $($(pub use $file::$name;)*)*

        /// One entry of a recipe's `augment` list.
        #[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
        #[serde(rename_all = "kebab-case", deny_unknown_fields)]
        pub enum Augment {
            $($($(#[$meta])+ $name($name),)*)*
        }

        impl Augment {
            /// Every augmentation there is, with its defaults.
            pub fn all() -> Vec<Augment> {
                vec![$($(Augment::$name($name::default()),)*)*]
            }

            /// The name by which a recipe asks for it.
            pub fn name(&self) -> String {
                match self { $($(Augment::$name(_) => kebab(stringify!($name)),)*)* }
            }
        }

        impl Augmentation for Augment {
            fn draw(&self, rng: &mut ChaCha8Rng, plan: &mut Plan) {
                match self { $($(Augment::$name(inner) => inner.draw(rng, plan),)*)* }
            }

            fn problems(&self) -> Vec<(String, String)> {
                let problems = match self {
                    $($(Augment::$name(inner) => inner.problems(),)*)*
                };
                under(&self.name(), problems)
            }
        }
    };
}

every_augmentation!(augmentations);

/// The longest side, in pixels, that an augmentation makes, so that a slip in a recipe does not use up the memory.
pub const MAX_SIDE: usize = 16_384;

/// Collects what is wrong with settings.
#[derive(Default)]
struct Problems(Vec<(String, String)>);

impl Problems {
    fn check(mut self, right: bool, key: &str, problem: impl Into<String>) -> Problems {
        if !right {
            self.0.push((key.to_string(), problem.into()));
        }
        self
    }

    fn probability(self, value: f64) -> Problems {
        self.check(
            (0.0..=1.0).contains(&value),
            "probability",
            format!("{value} is not between 0 and 1"),
        )
    }

    /// A side of an image.
    fn side(self, key: &str, pixels: usize) -> Problems {
        let problem = format!("{pixels} pixels; from 1 to {MAX_SIDE} are possible");
        self.check((1..=MAX_SIDE).contains(&pixels), key, problem)
    }

    /// `[low, high]` within bounds, in order.
    fn range(self, key: &str, [low, high]: [f64; 2], least: f64, most: f64) -> Problems {
        let right = low >= least && low <= high && high <= most;
        let bounds = if most.is_finite() {
            format!("from {least} to {most}")
        } else {
            format!("of at least {least}")
        };
        self.check(
            right,
            key,
            format!("[{low}, {high}] is not a range [low, high] of numbers {bounds}"),
        )
    }

    /// A finite number within bounds.
    fn within(self, key: &str, value: f64, least: f64, most: f64) -> Problems {
        let bounds = if most.is_finite() {
            format!("from {least} to {most}")
        } else {
            format!("of at least {least}")
        };
        self.check(
            value.is_finite() && value >= least && value <= most,
            key,
            format!("{value} is not {bounds}"),
        )
    }
}

#[cfg(test)]
mod properties;
