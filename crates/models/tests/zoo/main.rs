//! One suite over every model of every family. `cargo test -p firesight-models resnet18` runs the tests of one model.
//!
//! There is no list of models here: what is registered is tested, under its own name, and a model without what its
//! tests need fails.

mod classification;
mod detection;
mod generation;
mod reference;
mod segmentation;
