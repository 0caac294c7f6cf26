//! Resizing feature maps, differentiable on every backend.
//!
//! Bilinear resizing is two matrix products with small interpolation matrices, one for each axis: Burn's own
//! interpolation has no bilinear backward pass on CubeCL backends. Nearest copies rows and columns by index.
//!
//! ```
//! use burn::tensor::{Device, Tensor};
//! use firesight_ops::{Interpolation, resize};
//!
//! let x = Tensor::<4>::from_floats([[[[0.0, 1.0]]]], &Device::default());
//! let wide = resize(x, [1, 4], Interpolation::Bilinear, false);
//! assert_eq!(wide.try_into_vec_as::<f32>().unwrap(), [0.0, 0.25, 0.75, 1.0]);
//! ```

use burn::tensor::{DType, Device, Int, Tensor, TensorData};

/// How values between the pixels are found.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Interpolation {
    /// Linear in both axes.
    #[default]
    Bilinear,
    /// The pixel whose area holds the point; PyTorch's `mode="nearest"`.
    Nearest,
}

/// `torch.nn.functional.interpolate(x, size, mode, align_corners)` without antialiasing.
///
/// `align_corners` has no meaning for [`Interpolation::Nearest`]. For a network, `false` is usual.
///
/// # Shapes
/// - `x`: `[N, C, H, W]`
/// - `size`: height and width of the output, at least 1
/// - output: `[N, C, size[0], size[1]]`
pub fn resize(
    x: Tensor<4>,
    size: [usize; 2],
    mode: Interpolation,
    align_corners: bool,
) -> Tensor<4> {
    let [n, c, h, w] = x.dims();
    if [h, w] == size {
        return x;
    }
    let device = x.device();
    match mode {
        Interpolation::Nearest => {
            let index =
                |from, to| Tensor::<1, Int>::from_ints(nearest(from, to).as_slice(), &device);
            x.select(2, index(h, size[0])).select(3, index(w, size[1]))
        }
        Interpolation::Bilinear => {
            let kind = (&device, x.dtype());
            let across = matrix(w, size[1], align_corners, kind).swap_dims(0, 1);
            let down = matrix(h, size[0], align_corners, kind).unsqueeze::<3>();
            let x = x
                .reshape([n * c * h, w])
                .matmul(across)
                .reshape([n * c, h, size[1]]);
            down.expand([n * c, size[0], h])
                .matmul(x)
                .reshape([n, c, size[0], size[1]])
        }
    }
}

/// The source pixel of each output pixel.
fn nearest(from: usize, to: usize) -> Vec<i64> {
    // PyTorch computes in float32, and the rounding of the product decides at some sizes.
    let scale = from as f32 / to as f32;
    (0..to)
        .map(|i| ((i as f32 * scale).floor() as usize).min(from - 1) as i64)
        .collect()
}

/// The matrix `[to, from]` whose rows mix two neighbouring pixels into an output pixel.
fn matrix(
    from: usize,
    to: usize,
    align_corners: bool,
    (device, dtype): (&Device, DType),
) -> Tensor<2> {
    let mut weights = vec![0.0_f32; to * from];
    for (i, row) in weights.chunks_mut(from).enumerate() {
        let at = match align_corners {
            true if to == 1 => 0.0,
            true => i as f64 * (from - 1) as f64 / (to - 1) as f64,
            false => ((i as f64 + 0.5) * from as f64 / to as f64 - 0.5).max(0.0),
        };
        let low = (at as usize).min(from - 1);
        let share = at - low as f64;
        row[low] += (1.0 - share) as f32;
        row[(low + 1).min(from - 1)] += share as f32;
    }
    Tensor::from_data(TensorData::new(weights, [to, from]), (device, dtype))
}

/// Weights with which a transposed convolution upsamples bilinearly (Long et al. 2015), to start an FCN decoder
/// from: for a factor f, kernel 2f - f % 2, stride f, padding ceil((f - 1) / 2).
///
/// # Shapes
/// - output: `[channels, channels / groups, kernel, kernel]`, Burn's and PyTorch's layout of a transposed convolution
///
/// # Panics
/// If `groups` does not divide `channels`.
pub fn bilinear_upsampling_weights(
    channels: usize,
    groups: usize,
    kernel: usize,
    device: &Device,
) -> Tensor<4> {
    assert!(
        groups > 0 && channels.is_multiple_of(groups),
        "groups must divide the channels"
    );
    let factor = kernel.div_ceil(2) as f64;
    let center = if kernel % 2 == 1 {
        factor - 1.0
    } else {
        factor - 0.5
    };
    let tent = |i: usize| 1.0 - (i as f64 - center).abs() / factor;
    let inner = channels / groups;
    let mut weights = vec![0.0_f32; channels * inner * kernel * kernel];
    for channel in 0..channels {
        let start = (channel * inner + channel % inner) * kernel * kernel;
        for (i, weight) in weights[start..][..kernel * kernel].iter_mut().enumerate() {
            *weight = (tent(i / kernel) * tent(i % kernel)) as f32;
        }
    }
    Tensor::from_data(
        TensorData::new(weights, [channels, inner, kernel, kernel]),
        device,
    )
}

#[cfg(test)]
mod tests {
    use burn::tensor::module::conv_transpose2d;
    use burn::tensor::ops::ConvTransposeOptions;

    use super::*;
    use crate::testing::{assert_near, cases, devices, float, numbers, values};

    #[test]
    fn equals_pytorch_in_value_and_gradient() {
        for device in devices() {
            let device = device.autodiff();
            for case in cases("sampling", "resize") {
                let mode = match case["mode"].as_str().unwrap() {
                    "nearest" => Interpolation::Nearest,
                    _ => Interpolation::Bilinear,
                };
                let size = [0, 1].map(|i| case["size"][i].as_u64().unwrap() as usize);
                let align = case["align"].as_bool().unwrap();
                let x = float::<4>(&case["input"], &device).require_grad();
                let y = resize(x.clone(), size, mode, align);
                let grads = (y.clone() * float::<4>(&case["upstream"], &device))
                    .sum()
                    .backward();
                let what = format!("{mode:?} to {size:?}, align corners {align}");
                assert_near(&values(y), &numbers(&case["value"]), 1e-5, &what);
                assert_near(
                    &values(x.grad(&grads).unwrap()),
                    &numbers(&case["grad"]),
                    1e-5,
                    &what,
                );
            }
        }
    }

    #[test]
    fn transposed_convolution_with_these_weights_is_bilinear_inside() {
        for device in devices() {
            for groups in [1, 2] {
                // Factor 2: kernel 4, stride 2, padding 1.
                let weights = bilinear_upsampling_weights(2, groups, 4, &device);
                let x: Vec<f32> = (0..40).map(|i| ((i * 7) % 13) as f32).collect();
                let x = Tensor::<4>::from_data(TensorData::new(x, [1, 2, 4, 5]), &device);
                let options = ConvTransposeOptions::new([2, 2], [1, 1], [0, 0], [1, 1], groups);
                let y = conv_transpose2d(x.clone(), weights, None, options);
                let want = resize(x, [8, 10], Interpolation::Bilinear, false);
                let inside = |t: Tensor<4>| values(t.slice([0..1, 0..2, 1..7, 1..9]));
                assert_near(&inside(y), &inside(want), 1e-5, "upsampled");
            }
        }
    }
}
