//! The fast paths: kernels on `f32` slices, and the bridge from Burn's Flex tensors to them.

pub mod buffer;
pub mod conv;
pub(crate) mod norm;
pub(crate) mod parallel;
pub(crate) mod pointwise;
pub(crate) mod pool;
pub(crate) mod reduce;
pub mod simd;
pub(crate) mod tensor;
