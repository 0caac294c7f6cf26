//! The direct way: products of matrices, of weights with columns and of output gradients with columns.
//!
//! `tile` and `dots` are the inner products in registers, `matrix` is how they find weights. On them stand the ways
//! that pack columns (`packed`, `weight`) and the ones that read padded rows where they stand (`flat`).

pub(crate) mod dots;
pub(crate) mod flat;
mod groups;
pub(crate) mod matrix;
pub(crate) mod packed;
pub(crate) mod tile;
pub(crate) mod weight;
