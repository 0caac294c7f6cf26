//! Samples, datasets, augmentations and the deterministic loader, in CPU memory on plain buffers.
//!
//! Without the feature `datasets`, which is on by default, there are no datasets, loader, scan, threads and files: what is
//! left (images and their targets, decoding from bytes, geometry, augmentation, preprocessing, normalisation, drawing) is
//! what a trained model needs in use, and builds for a browser too.
//!
//! ```
//! use firesight_data::{SourceConfig, SplitConfig, Target};
//!
//! let digits = SourceConfig::Digits(Default::default());
//! let splits = digits.open(".".as_ref(), &SplitConfig::default(), 42)?;
//! let sample = splits.test.unwrap().read(0)?;
//! assert_eq!((sample.image.size(), sample.target), ([8, 8], Target::of_class(0)));
//! # Ok::<(), firesight_data::DataError>(())
//! ```

pub mod augment;
pub mod batch;
#[cfg(feature = "datasets")]
pub mod cached;
#[cfg(feature = "datasets")]
pub mod combine;
#[cfg(feature = "datasets")]
pub mod datasets;
pub mod decode;
#[cfg(feature = "datasets")]
pub mod download;
pub mod draw;
pub mod error;
#[cfg(feature = "datasets")]
pub mod frequency;
pub mod geometry;
#[cfg(feature = "datasets")]
pub mod loader;
mod names;
pub mod normalize;
pub mod preprocess;
pub mod random;
#[cfg(feature = "datasets")]
mod remote;
pub mod sample;
#[cfg(feature = "datasets")]
pub mod sampling;
#[cfg(feature = "datasets")]
pub mod scan;
#[cfg(feature = "datasets")]
pub mod source;
#[cfg(feature = "datasets")]
pub mod split;
pub mod target;
#[cfg(feature = "download")]
mod transfer;
pub mod words;

#[cfg(feature = "datasets")]
pub use datasets::SourceConfig;
pub use decode::Decoding;
pub use error::DataError;
pub use sample::{Image, MAX_CHANNELS, Picture, Sample};
#[cfg(feature = "datasets")]
pub use source::{Remark, Source, SourceDataset, Splits, Subset, fingerprint};
#[cfg(feature = "datasets")]
pub use split::{Group, HoldOut, SplitConfig};
pub use target::{BoxLabel, Mask, Target};
