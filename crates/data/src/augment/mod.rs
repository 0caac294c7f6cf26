//! Augmentation: random parameters are drawn once and applied to image, mask and boxes alike.
//!
//! A recipe's list of [`Augment`]s makes a [`Pipeline`]. For each sample the pipeline first draws a [`Plan`] (the
//! parameters, from the sample's own random stream) and then carries it out: geometric operations through one
//! [`Canvas`](crate::geometry::Canvas), which composes them, and operations on values in between.
//!
//! Adding an augmentation is a file here, whose type implements [`Augmentation`], and its line in the list below.
//!
//! ```
//! use firesight_data::augment::{Augment, CentreCrop, Pipeline, ResizeShortest};
//! use firesight_data::random::{Domain, stream};
//! use firesight_data::{Image, Sample, Target};
//!
//! let image = Image { width: 40, height: 30, channels: 3, pixels: vec![128; 40 * 30 * 3] };
//! let pipeline = Pipeline::new(vec![
//!     Augment::ResizeShortest(ResizeShortest { size: 16, ..Default::default() }),
//!     Augment::CentreCrop(CentreCrop { width: 12, height: 12, ..Default::default() }),
//! ]);
//! let mut rng = stream(42, 0, 0, Domain::Sample);
//! let sample = pipeline.apply(Sample { image, target: Target::of_class(3) }, &mut rng)?;
//! assert_eq!((sample.image.width, sample.image.height), (12, 12));
//! # Ok::<(), firesight_data::DataError>(())
//! ```

mod affine;
mod auto;
mod colour;
mod crop;
mod erase;
mod filter;
mod flip;
mod objects;
mod perspective;
mod pipeline;
mod policies;
mod preparation;
mod resize;
mod values;

pub use affine::{Rotate, Scale, Shear, Translate};
pub use auto::{AutoAugment, Policy, RandAugment, TrivialAugmentWide};
pub use colour::{
    AutoContrast, ColourJitter, Equalise, Greyscale, Invert, Posterise, Sharpness, Solarise,
};
pub use crop::{CentreCrop, PadAndCrop, RandomCrop, RandomResizedCrop};
pub use erase::{Erase, EraseValue, RandomErasing};
pub use filter::{Blur, GaussianBlur, GaussianNoise, Noise};
pub use flip::{HorizontalFlip, Transpose, VerticalFlip};
pub use objects::{IouCrop, ScaleJitter, ZoomOut};
pub use perspective::Perspective;
pub(crate) use pipeline::check;
pub use pipeline::{MINIMUM_VISIBLE, Pipeline, PixelOperation, Plan, Transform};
pub use preparation::{Preparation, Prepare};
pub use resize::{Letterbox, RandomResizeShortest, Resize, ResizeShortest};
pub use values::Values;

use rand_chacha::ChaCha8Rng;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// One kind of augmentation.
pub trait Augmentation {
    /// Draws the parameters for one image and adds the resulting transforms to the plan.
    fn draw(&self, rng: &mut ChaCha8Rng, plan: &mut Plan);

    /// What is wrong with the settings: key and message.
    fn problems(&self) -> Vec<(String, String)>;
}

macro_rules! augmentations {
    ($($name:ident),* $(,)?) => {
        /// One entry of a recipe's `augment` list.
        #[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
        #[serde(rename_all = "kebab-case", deny_unknown_fields)]
        pub enum Augment {
            $(#[doc = concat!("See [`", stringify!($name), "`].")] $name($name),)*
        }

        impl Augmentation for Augment {
            fn draw(&self, rng: &mut ChaCha8Rng, plan: &mut Plan) {
                match self { $(Augment::$name(inner) => inner.draw(rng, plan),)* }
            }

            fn problems(&self) -> Vec<(String, String)> {
                let (name, problems) = match self {
                    $(Augment::$name(inner) => (stringify!($name), inner.problems()),)*
                };
                let name = kebab(name);
                let under = |key: String| if key.is_empty() { name.clone() } else { format!("{name}.{key}") };
                problems.into_iter().map(|(key, problem)| (under(key), problem)).collect()
            }
        }
    };
}

augmentations! {
    HorizontalFlip, VerticalFlip, Transpose,
    Rotate, Translate, Scale, Shear, Perspective,
    CentreCrop, PadAndCrop, RandomCrop, RandomResizedCrop,
    Resize, ResizeShortest, RandomResizeShortest, Letterbox,
    IouCrop, ZoomOut, ScaleJitter,
    ColourJitter, Greyscale, Solarise, Posterise, Equalise, AutoContrast, Invert, Sharpness,
    GaussianBlur, GaussianNoise, RandomErasing,
    RandAugment, TrivialAugmentWide, AutoAugment,
}

/// `HorizontalFlip` as `horizontal-flip`, the way serde names it.
fn kebab(name: &str) -> String {
    let mut kebab = String::new();
    for (i, c) in name.char_indices() {
        if c.is_ascii_uppercase() && i > 0 {
            kebab.push('-');
        }
        kebab.push(c.to_ascii_lowercase());
    }
    kebab
}

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
