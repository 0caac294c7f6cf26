//! Samples, datasets, augmentations and the deterministic loader, in CPU memory on plain buffers.

pub mod sample;

pub use sample::{BoxLabel, Image, Label, Mask, Sample};
