//! Sums whose bits do not depend on thread scheduling.

use burn::tensor::Tensor;

/// The sum of all elements, in an order that only the shape determines.
///
/// Burn's Flex backend adds up tensors of 4 Mi elements and more in parallel, in an order that depends on work
/// stealing, which would make two equal runs differ. Here dimensions are summed one after another from the
/// last, each element of a dimension's result by one thread. The pairwise shape also loses less precision than
/// one running sum.
///
/// # Shapes
/// - `x`: any
/// - output: `[1]`
pub fn sum_stable<const D: usize>(x: Tensor<D>) -> Tensor<1> {
    let mut x = x;
    for dim in (1..D).rev() {
        x = x.sum_dim(dim);
    }
    x.sum()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::devices;

    #[test]
    fn sums_every_dimension() {
        for device in devices() {
            let x = Tensor::<3>::ones([3, 4, 5], &device);
            assert_eq!(sum_stable(x).into_scalar::<f32>(), 60.0);
            let x = Tensor::<1>::ones([7], &device);
            assert_eq!(sum_stable(x).into_scalar::<f32>(), 7.0);
        }
    }
}
