//! Transposed convolutions that start as bilinear interpolation.

use burn::module::Param;
use burn::nn::conv::{ConvTranspose2d, ConvTranspose2dConfig};
use burn::tensor::Device;
use firesight_ops::bilinear_upsampling_weights;

/// A transposed convolution without bias that multiplies height and width by `factor` and starts as bilinear
/// interpolation of each channel (Long et al. 2015, section 4.1). Its kernel is `2 * factor`; `padding` is taken
/// off each side, `factor / 2` for an output of exactly `factor` times the size.
pub(super) fn bilinear(
    channels: usize,
    factor: usize,
    padding: usize,
    device: &Device,
) -> ConvTranspose2d {
    let kernel = 2 * factor;
    let mut layer = ConvTranspose2dConfig::new([channels, channels], [kernel, kernel])
        .with_stride([factor, factor])
        .with_padding([padding, padding])
        .with_bias(false)
        .init(device);
    layer.weight = Param::from_tensor(bilinear_upsampling_weights(channels, 1, kernel, device));
    layer
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::segmentation::to_size;
    use burn::tensor::Tensor;
    use firesight_kernels::conv_transpose2d;

    /// Away from the border, where a transposed convolution has no neighbour, it is bilinear interpolation.
    #[test]
    fn starts_as_exact_bilinear_interpolation() {
        let device = Device::flex();
        for factor in [2, 8, 32] {
            let side = 5;
            let data = crate::formula::images([1, 3, side, side]);
            let x = Tensor::<4>::from_data(data, &device);
            let up = conv_transpose2d(&bilinear(3, factor, factor / 2, &device), x.clone());
            let wide = side * factor;
            assert_eq!(up.dims(), [1, 3, wide, wide]);
            let expected = to_size(x, [wide, wide]);
            let inside = |t: Tensor<4>| {
                let inner = factor..wide - factor;
                t.slice([0..1, 0..3, inner.clone(), inner])
            };
            let error = (inside(up) - inside(expected)).abs().max();
            assert!(error.into_scalar::<f32>() < 1e-5, "factor {factor}");
        }
    }
}
