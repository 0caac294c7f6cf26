//! Sums whose bits do not depend on thread scheduling.
//!
//! Burn's Flex backend adds up tensors of 4 Mi elements and more in parallel, in an order that depends on work
//! stealing, which would make two equal runs differ.

use burn::tensor::Tensor;

/// From so many elements on a tensor is not summed in one call.
const LARGE: usize = 4 << 20;
/// Elements of a row of a large tensor; each row is summed by one thread.
const ROW: usize = 1 << 10;
/// The largest tensor whose squares are summed in one call.
const SQUARES: usize = 1 << 20;

/// The sum of all elements, in an order that only the shape determines: `x.sum()` for tensors of less than 4 Mi
/// elements, and to the bit; the sum of the sums of rows of 1,024 for larger ones.
///
/// # Shapes
/// - `x`: any
/// - output: `[1]`
pub fn sum<const D: usize>(x: Tensor<D>) -> Tensor<1> {
    let count = x.shape().num_elements();
    if count < LARGE {
        return x.sum();
    }
    let flat = x.reshape([count]);
    let whole = count / ROW * ROW;
    let rows = match whole == count {
        true => flat.clone(),
        false => flat.clone().slice(0..whole),
    };
    let total = sum(rows.reshape([whole / ROW, ROW]).sum_dim(1));
    match whole == count {
        true => total,
        false => total + flat.slice(whole..count).sum(),
    }
}

/// The mean of all elements, with [`sum`]; `x.mean()` to the bit for tensors of less than 4 Mi elements.
///
/// # Shapes
/// - `x`: any
/// - output: `[1]`
pub fn mean<const D: usize>(x: Tensor<D>) -> Tensor<1> {
    let count = x.shape().num_elements();
    match count < LARGE {
        true => x.mean(),
        false => sum(x).div_scalar(count as f64),
    }
}

/// The sum of all elements, dimensions one after another from the last, in an order that only the shape determines.
/// The pairwise shape also loses less precision than one running sum.
///
/// # Shapes
/// - `x`: any
/// - output: `[1]`
pub fn sum_stable<const D: usize>(x: Tensor<D>) -> Tensor<1> {
    let mut x = x;
    for dim in (1..D).rev() {
        x = x.sum_dim(dim);
    }
    sum(x)
}

/// The sum of the squares of all elements, in an order that only the shape determines.
///
/// # Shapes
/// - `x`: any
/// - output: `[1]`
pub fn sum_of_squares<const D: usize>(x: Tensor<D>) -> Tensor<1> {
    let count = x.shape().num_elements();
    let flat = x.reshape([count]);
    if count <= SQUARES {
        return flat.square().sum();
    }
    let chunks = (0..count).step_by(SQUARES).map(|start| {
        let end = (start + SQUARES).min(count);
        flat.clone().slice(start..end).square().sum()
    });
    chunks
        .reduce(|total, chunk| total + chunk)
        .expect("a tensor over the chunk size has chunks")
}

#[cfg(test)]
mod tests {
    use burn::tensor::{Device, Distribution};

    use super::*;
    use crate::testing::devices;

    type Form = fn(Tensor<1>) -> Tensor<1>;

    #[test]
    fn sums_every_dimension() {
        for device in devices() {
            let x = Tensor::<3>::ones([3, 4, 5], &device);
            assert_eq!(sum_stable(x.clone()).into_scalar::<f32>(), 60.0);
            assert_eq!(sum(x.clone()).into_scalar::<f32>(), 60.0);
            assert_eq!(mean(x.mul_scalar(2.0)).into_scalar::<f32>(), 2.0);
            let x = Tensor::<1>::ones([7], &device);
            assert_eq!(sum_stable(x).into_scalar::<f32>(), 7.0);
        }
    }

    #[test]
    fn small_tensors_are_summed_as_burn_does() {
        let device = Device::flex();
        device.seed(2);
        let x = Tensor::<2>::random([1000, 37], Distribution::Default, &device);
        let bits = |x: Tensor<1>| x.into_scalar::<f32>().to_bits();
        assert_eq!(bits(sum(x.clone())), bits(x.clone().sum()));
        assert_eq!(bits(mean(x.clone())), bits(x.mean()));
    }

    #[test]
    fn large_tensors_have_the_same_sum_each_time() {
        let device = Device::flex();
        device.seed(1);
        let normal = Distribution::Normal(0.0, 1.0);
        // No multiple of a row, and 4 Mi elements in one dimension.
        for count in [(4 << 20) + 4099, (6 << 20) + 1] {
            let x = Tensor::<1>::random([count], normal, &device).mul_scalar(1e3);
            let exact: f64 = x.clone().into_data().iter::<f64>().sum();
            let forms: [(&str, Form); 4] = [
                ("sum", sum),
                ("mean", mean),
                ("sum_stable", sum_stable),
                ("sum_of_squares", sum_of_squares),
            ];
            for (name, form) in forms {
                let bits = |_| form(x.clone()).into_scalar::<f32>().to_bits();
                let all: Vec<u32> = (0..12).map(bits).collect();
                assert!(all.iter().all(|bits| *bits == all[0]), "{name}: {all:?}");
            }
            let found = f64::from(sum(x.clone()).into_scalar::<f32>());
            assert!((found - exact).abs() < 20.0, "{found}, not {exact}");
        }
    }

    #[test]
    fn gradients_of_large_sums_are_ones() {
        let device = Device::flex().autodiff();
        let count = (4 << 20) + 5;
        let x = Tensor::<1>::ones([count], &device).require_grad();
        let gradient = x.grad(&sum(x.clone().mul_scalar(3.0)).backward()).unwrap();
        let values: Vec<f32> = gradient.into_data().iter::<f32>().collect();
        assert!(values.len() == count && values.iter().all(|v| *v == 3.0));
    }
}
