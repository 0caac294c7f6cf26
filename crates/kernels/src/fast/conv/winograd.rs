//! Winograd's way, for kernels of 3x3 and stride 1.
//!
//! `problem` says what is asked. `lines` are the transforms' arithmetic; `tiles` and `gathered` apply them to tiles that
//! are read from the image or were gathered, `transform` to all of a window. On them stand the convolution (`forward`)
//! and the gradient of its weights (`weight`).

pub(crate) mod forward;
mod gathered;
mod lines;
pub(crate) mod problem;
mod tiles;
mod transform;
pub(crate) mod weight;
