//! Several samples into one, before augmentation: other pictures of the dataset, with their boxes and masks, come into the
//! picture of a sample.
//!
//! Which pictures, where and how is drawn from a stream of its own for each place in the epoch, so that neither workers nor
//! other draws change it. Partners are read as they are; their own turn in the epoch is another matter.
//!
//! Adding a way is a file here, whose type implements [`Combination`], and its line in `combinations!` below.
//!
//! ```
//! use firesight_data::combine::{Combine, Mosaic, combine};
//! use firesight_data::random::{Domain, stream};
//! use firesight_data::{Source, datasets::scenes::ScenesConfig};
//!
//! let scenes = ScenesConfig { train: 8, ..Default::default() }.open(".".as_ref())?.train;
//! let mosaic = Combine::Mosaic(Mosaic { width: 96, height: 64, ..Default::default() });
//! let mut rng = stream(42, 0, 3, Domain::Combine);
//! let sample = combine(&[mosaic], scenes.read(3)?, &*scenes, &mut rng)?;
//! assert_eq!(sample.image.size(), [96, 64]);
//! assert!(sample.target.fault(Some([96, 64]), 10, 11).is_none());
//! # Ok::<(), firesight_data::DataError>(())
//! ```

mod copy_paste;
mod mixup;
mod mosaic;

pub use copy_paste::CopyPaste;
pub use mixup::MixupBoxes;
pub use mosaic::Mosaic;

use rand_chacha::ChaCha8Rng;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::augment::{Plan, check};
use crate::error::DataError;
use crate::geometry::Geometry;
use crate::names::{kebab, under};
use crate::random::below;
use crate::sample::Sample;
use crate::source::Source;

/// How often another partner is drawn in place of one that cannot be read, before the sample stays as it is.
const TRIES: usize = 8;

/// A way of making one sample of several.
pub trait Combination {
    /// Draws whether it happens, and with how many partners; none for not at all.
    fn partners(&self, rng: &mut ChaCha8Rng) -> usize;

    /// Combines a sample with its partners.
    ///
    /// # Errors
    /// Samples that it cannot combine, by what they lack.
    fn combine(
        &self,
        sample: Sample,
        partners: Vec<Sample>,
        rng: &mut ChaCha8Rng,
    ) -> Result<Sample, DataError>;

    /// What is wrong with the settings: key and message.
    fn problems(&self) -> Vec<(String, String)>;
}

macro_rules! combinations {
    ($($(#[$doc:meta])+ $name:ident($config:ty),)+) => {
        /// One entry of a recipe's `combine` list.
        #[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
        #[serde(rename_all = "kebab-case", deny_unknown_fields)]
        pub enum Combine {
            $($(#[$doc])+ $name($config),)+
        }

        impl Combine {
            /// Every way there is, with its defaults.
            pub fn all() -> Vec<Combine> {
                vec![$(Combine::$name(<$config>::default()),)+]
            }

            /// The name by which a recipe asks for it.
            pub fn name(&self) -> String {
                match self { $(Combine::$name(_) => kebab(stringify!($name)),)+ }
            }

            fn inner(&self) -> &dyn Combination {
                match self { $(Combine::$name(inner) => inner,)+ }
            }
        }
    };
}

combinations! {
    /// Four pictures around a point.
    Mosaic(Mosaic),
    /// Objects of another picture, cut out by their masks.
    CopyPaste(CopyPaste),
    /// The weighted mean of two pictures, with the objects of both.
    Mixup(MixupBoxes),
}

impl Combine {
    /// What is wrong with the settings: key and message.
    pub fn problems(&self) -> Vec<(String, String)> {
        under(&self.name(), self.inner().problems())
    }
}

/// Combines a sample with others of its source, by each of the ways in turn.
///
/// # Errors
/// Samples that cannot be combined, by what they lack; errors of the source that are no single sample's. Partners that
/// cannot be read are drawn anew.
pub fn combine(
    ways: &[Combine],
    mut sample: Sample,
    source: &dyn Source,
    rng: &mut ChaCha8Rng,
) -> Result<Sample, DataError> {
    let classes = [source.classes().len(), source.mask_classes().len()];
    for way in ways {
        let count = way.inner().partners(rng);
        let mut partners = Vec::with_capacity(count);
        for _ in 0..TRIES * count {
            if partners.len() == count {
                break;
            }
            let index = below(rng, source.len());
            let read = source.read(index);
            let read = read.and_then(|partner| {
                check(&partner, &source.origin(index), classes)?;
                Ok(partner)
            });
            match read {
                Ok(partner) => partners.push(partner),
                Err(error) if error.is_bad_sample() => {}
                Err(error) => return Err(error),
            }
        }
        if count == 0 || partners.len() < count {
            continue;
        }
        let refuse = |reason| {
            Err(DataError::setting(
                format!("combine.{}", way.name()),
                reason,
            ))
        };
        let channels = sample.image.channels();
        if let Some(other) = partners.iter().find(|p| p.image.channels() != channels) {
            let other = other.image.channels();
            return refuse(format!(
                "pictures of {channels} and of {other} channels; one number is needed"
            ));
        }
        if std::iter::once(&sample)
            .chain(&partners)
            .any(|s| s.target.classes.is_some())
        {
            return refuse(
                "a class of the whole picture cannot be combined; take the entry out, or see `data.mix`".into(),
            );
        }
        sample = way.inner().combine(sample, partners, rng)?;
    }
    Ok(sample)
}

/// The error of two pictures whose values are of two kinds.
fn of_two_kinds() -> DataError {
    let reason = "pictures of 8 bits and of floating-point numbers; one kind is needed";
    DataError::setting("combine", reason)
}

/// A sample resized to `[width, height]` and laid at `(x, y)` on a frame, the rest of which is `fill`.
fn laid(
    sample: Sample,
    [width, height]: [usize; 2],
    [x, y]: [i64; 2],
    frame: [usize; 2],
    fill: [u8; 3],
) -> Result<Sample, DataError> {
    let mut plan = Plan::for_sample(&sample);
    plan.geometry(Geometry::Resize { width, height });
    plan.geometry(Geometry::Crop {
        x: -x,
        y: -y,
        width: frame[0],
        height: frame[1],
        fill,
    });
    plan.apply(sample)
}

/// The size of an image that fits a frame, keeping its shape, times a factor; at least one pixel.
fn fitted([width, height]: [usize; 2], frame: [usize; 2], factor: f64) -> [usize; 2] {
    let scale = (frame[0] as f64 / width as f64).min(frame[1] as f64 / height as f64) * factor;
    [width, height].map(|side| ((side as f64 * scale).round() as usize).max(1))
}

/// Collects what is wrong with settings.
struct Settings(Vec<(String, String)>);

impl Settings {
    fn range(mut self, key: &str, [low, high]: [f64; 2], least: f64, most: f64) -> Self {
        if !(least <= low && low <= high && high <= most) {
            let message =
                format!("[{low}, {high}] is not a range [low, high] from {least} to {most}");
            self.0.push((key.to_owned(), message));
        }
        self
    }

    fn share(mut self, key: &str, value: f64) -> Self {
        if !(0.0..=1.0).contains(&value) {
            self.0
                .push((key.to_owned(), format!("{value} is not between 0 and 1")));
        }
        self
    }
}

#[cfg(test)]
mod tests;
