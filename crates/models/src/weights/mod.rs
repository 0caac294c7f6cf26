//! Weights in and out in PyTorch's names and layouts.

mod names;

pub use names::TorchNames;
