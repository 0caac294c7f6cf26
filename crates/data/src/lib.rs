//! Samples, datasets, augmentations and the deterministic loader, in CPU memory on plain buffers.

pub mod augment;
pub mod batch;
pub mod cached;
pub mod error;
pub mod geometry;
pub mod loader;
pub mod mosaic;
pub mod normalize;
pub mod random;
pub mod sample;
pub mod sampling;
pub mod source;

pub use sample::{BoxLabel, Image, Label, Mask, Sample};
