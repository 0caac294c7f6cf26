//! Pooling.

use burn::nn::pool::{AdaptiveAvgPool2d, AvgPool2d, MaxPool2d};
use burn::tensor::Tensor;

/// 2D max pooling.
///
/// # Shapes
/// - `x`: `[N, C, H, W]`
/// - output: `[N, C, H_out, W_out]`
pub fn max_pool2d(pool: &MaxPool2d, x: Tensor<4>) -> Tensor<4> {
    #[cfg(feature = "flex")]
    if let Some(shape) = fast::max_shape(pool, &x) {
        return fast::max_pool2d(shape, x);
    }
    pool.forward(x)
}

/// 2D average pooling.
///
/// # Shapes
/// - `x`: `[N, C, H, W]`
/// - output: `[N, C, H_out, W_out]`
pub fn avg_pool2d(pool: &AvgPool2d, x: Tensor<4>) -> Tensor<4> {
    pool.forward(x)
}

/// 2D average pooling to a fixed output size.
///
/// # Shapes
/// - `x`: `[N, C, H, W]`
/// - output: `[N, C, pool.output_size[0], pool.output_size[1]]`
pub fn adaptive_avg_pool2d(pool: &AdaptiveAvgPool2d, x: Tensor<4>) -> Tensor<4> {
    #[cfg(feature = "flex")]
    if pool.output_size == [1, 1] && fast::takes(&x) && x.dims().iter().all(|n| *n > 0) {
        return fast::mean_pool2d(x);
    }
    pool.forward(x)
}

#[cfg(feature = "flex")]
mod fast {
    use std::sync::Arc;

    use burn::nn::pool::MaxPool2d;
    use burn::tensor::Tensor;

    use crate::fast::conv::ConvShape;
    use crate::fast::norm::Planes;
    use crate::fast::pool::{self, PoolShape};
    pub(super) use crate::fast::tensor::takes;
    use crate::fast::tensor::{FlexTensor, Gradient, apply, contiguous, dims, open, slice, tensor};

    /// The numbers of the pooling, `None` where it is left to Burn.
    pub(super) fn max_shape(pool: &MaxPool2d, x: &Tensor<4>) -> Option<PoolShape> {
        let [images, channels, height, width] = x.dims();
        let (rows, columns) = crate::padding::pairs(
            &pool.padding,
            [height, width],
            pool.kernel_size,
            pool.stride,
        );
        let symmetric = rows.0 == rows.1 && columns.0 == columns.1;
        if !takes(x) || pool.ceil_mode || !symmetric || height * width > u32::MAX as usize {
            return None;
        }
        let out = ConvShape::output_size(
            [height, width],
            pool.kernel_size,
            pool.stride,
            [rows, columns],
            pool.dilation,
        )?;
        (x.dims().iter().all(|n| *n > 0)).then_some(PoolShape {
            planes: images * channels,
            size: [height, width],
            out,
            kernel: pool.kernel_size,
            stride: pool.stride,
            padding: [rows.0, columns.0],
            dilation: pool.dilation,
        })
    }

    pub(super) fn max_pool2d(shape: PoolShape, x: Tensor<4>) -> Tensor<4> {
        apply::<1, 4, _>([open(x)], |[x], tracked| {
            let x = contiguous(x);
            let [images, channels, _, _] = dims::<4>(&x);
            let (y, places) = pool::max_forward(&shape, slice(&x), tracked);
            let y = tensor(y, [images, channels, shape.out[0], shape.out[1]]);
            (
                y,
                tracked.then(|| MaxPool {
                    shape,
                    places: Arc::new(places),
                }),
            )
        })
    }

    #[derive(Clone, Debug)]
    struct MaxPool {
        shape: PoolShape,
        places: Arc<Vec<u32>>,
    }

    impl Gradient<1> for MaxPool {
        fn gradients(self, dy: FlexTensor, _: [bool; 1]) -> [Option<FlexTensor>; 1] {
            let [images, channels, _, _] = dims::<4>(&dy);
            let dx = pool::max_backward(&self.shape, &self.places, slice(&contiguous(dy)));
            let [height, width] = self.shape.size;
            [Some(tensor(dx, [images, channels, height, width]))]
        }
    }

    pub(super) fn mean_pool2d(x: Tensor<4>) -> Tensor<4> {
        apply::<1, 4, _>([open(x)], |[x], _| {
            let x = contiguous(x);
            let [images, channels, height, width] = dims::<4>(&x);
            let planes = Planes {
                images,
                channels,
                places: height * width,
            };
            let y = pool::mean_forward(planes, slice(&x));
            (
                tensor(y, [images, channels, 1, 1]),
                Some(MeanPool {
                    size: [height, width],
                }),
            )
        })
    }

    #[derive(Clone, Debug)]
    struct MeanPool {
        size: [usize; 2],
    }

    impl Gradient<1> for MeanPool {
        fn gradients(self, dy: FlexTensor, _: [bool; 1]) -> [Option<FlexTensor>; 1] {
            let [images, channels, _, _] = dims::<4>(&dy);
            let [height, width] = self.size;
            let planes = Planes {
                images,
                channels,
                places: height * width,
            };
            let dx = pool::mean_backward(planes, slice(&contiguous(dy)));
            [Some(tensor(dx, [images, channels, height, width]))]
        }
    }
}
