//! Samples, datasets, augmentations and the deterministic loader, in CPU memory on plain buffers.
//!
//! ```
//! use firesight_data::{SourceConfig, SplitConfig, Target};
//!
//! let digits = SourceConfig::Digits(Default::default());
//! let splits = digits.open(".".as_ref(), &SplitConfig::default(), 42)?;
//! let sample = splits.test.unwrap().read(0)?;
//! assert_eq!((sample.image.width, sample.target), (8, Target::of_class(0)));
//! # Ok::<(), firesight_data::DataError>(())
//! ```

pub mod augment;
pub mod batch;
pub mod cached;
pub mod datasets;
pub mod decode;
pub mod download;
pub mod draw;
pub mod error;
pub mod frequency;
pub mod geometry;
pub mod loader;
pub mod mosaic;
pub mod normalize;
pub mod random;
pub mod sample;
pub mod sampling;
pub mod scan;
pub mod source;
pub mod split;
pub mod target;
#[cfg(feature = "download")]
mod transfer;
pub mod words;

pub use decode::DecodeLimits;
pub use error::DataError;
pub use sample::{Image, Sample};
pub use source::{Remark, Source, SourceConfig, SourceDataset, Splits, Subset, fingerprint};
pub use split::{HoldOut, SplitConfig};
pub use target::{BoxLabel, Mask, Target};
