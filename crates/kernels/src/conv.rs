//! Convolution and transposed convolution.

use burn::nn::BatchNorm;
use burn::nn::conv::{Conv2d, ConvTranspose2d};
use burn::tensor::Tensor;

use crate::{Activation, batch_norm_act};

/// 2D convolution.
///
/// # Shapes
/// - `x`: `[N, C_in, H, W]`
/// - output: `[N, C_out, H_out, W_out]`
pub fn conv2d(conv: &Conv2d, x: Tensor<4>) -> Tensor<4> {
    #[cfg(feature = "flex")]
    if let Some(shape) = fast::shape(conv, &x) {
        return fast::conv2d(conv, shape, x);
    }
    conv.forward(x)
}

/// `activation(batch_norm(conv2d(x)))`. Outside of training the normalisation is one factor and one summand of each
/// output channel, applied to the convolution's sums before they reach memory.
///
/// # Shapes
/// - `x`: `[N, C_in, H, W]`
/// - output: `[N, C_out, H_out, W_out]`
pub fn conv2d_norm_act(
    conv: &Conv2d,
    norm: &BatchNorm,
    x: Tensor<4>,
    act: Activation,
) -> Tensor<4> {
    // `Relu6` is fused with the normalisation, not with the convolution.
    #[cfg(feature = "flex")]
    if act != Activation::Relu6
        && let Some(shape) = fast::foldable(conv, norm, &x)
    {
        return fast::conv2d_norm_act(conv, norm, shape, x, act);
    }
    batch_norm_act(norm, conv2d(conv, x), act)
}

/// 2D transposed convolution.
///
/// # Shapes
/// - `x`: `[N, C_in, H, W]`
/// - output: `[N, C_out, H_out, W_out]`
pub fn conv_transpose2d(conv: &ConvTranspose2d, x: Tensor<4>) -> Tensor<4> {
    #[cfg(feature = "flex")]
    if let Some(shape) = fast::transpose_shape(conv, &x) {
        return fast::conv_transpose2d(conv, shape, x);
    }
    conv.forward(x)
}

#[cfg(feature = "flex")]
mod fast {
    use burn::nn::BatchNorm;
    use burn::nn::conv::{Conv2d, ConvTranspose2d};
    use burn::tensor::Tensor;

    use crate::fast::conv::{self, ConvShape, Epilogue};
    use crate::fast::tensor::{
        FlexTensor, Gradient, apply, contiguous, dims, inner, open, plain, slice, takes, tensor,
    };
    use crate::{Activation, activation};

    /// The numbers of the convolution, `None` where it is left to Burn (which also explains shapes
    /// that do not fit).
    pub(super) fn shape(conv: &Conv2d, x: &Tensor<4>) -> Option<ConvShape> {
        let weight = conv.weight.val();
        let bias = conv.bias.as_ref().map(|b| b.val());
        if !takes(x) || !takes(&weight) || bias.is_some_and(|b| !takes(&b)) {
            return None;
        }
        let [images, channels_in, height, width] = x.dims();
        let [channels_out, group_in, kernel_y, kernel_x] = weight.dims();
        let kernel = [kernel_y, kernel_x];
        let (rows, columns) =
            crate::padding::pairs(&conv.padding, [height, width], kernel, conv.stride);
        let (size_in, padding) = ([height, width], [rows, columns]);
        let size_out =
            ConvShape::output_size(size_in, kernel, conv.stride, padding, conv.dilation)?;
        let shape = ConvShape {
            images,
            channels_in,
            channels_out,
            size_in,
            kernel,
            stride: conv.stride,
            padding,
            dilation: conv.dilation,
            groups: conv.groups,
            size_out,
        };
        let fits = channels_in == group_in * conv.groups && channels_out % conv.groups == 0;
        (fits && shape.lengths().iter().all(|n| *n > 0)).then_some(shape)
    }

    /// The numbers of a convolution outside of training whose normalisation can be folded into it.
    pub(super) fn foldable(conv: &Conv2d, norm: &BatchNorm, x: &Tensor<4>) -> Option<ConvShape> {
        let values = [
            norm.gamma.val(),
            norm.beta.val(),
            norm.running_mean.value(),
            norm.running_var.value(),
        ];
        let shape = shape(conv, x)?;
        let plain = |device: burn::tensor::Device| !device.is_autodiff();
        let fits = values
            .iter()
            .all(|v| takes(v) && plain(v.device()) && v.dims() == [shape.channels_out]);
        let bias = conv.bias.as_ref().is_none_or(|b| plain(b.val().device()));
        (fits && bias && plain(x.device()) && plain(conv.weight.val().device())).then_some(shape)
    }

    pub(super) fn conv2d_norm_act(
        conv: &Conv2d,
        norm: &BatchNorm,
        shape: ConvShape,
        x: Tensor<4>,
        act: Activation,
    ) -> Tensor<4> {
        let x = contiguous(inner(x));
        let weight = contiguous(inner(conv.weight.val()));
        let parts = [
            norm.gamma.val(),
            norm.beta.val(),
            norm.running_mean.value(),
            norm.running_var.value(),
        ]
        .map(|v| contiguous(inner(v)));
        let bias = conv.bias.as_ref().map(|b| contiguous(inner(b.val())));
        let [gamma, beta, mean, variance] = parts.each_ref().map(slice);
        let scale: Vec<f32> = (gamma.iter().zip(variance))
            .map(|(gamma, variance)| gamma / (variance + norm.epsilon as f32).sqrt())
            .collect();
        let shift: Vec<f32> = (0..scale.len())
            .map(|c| {
                let bias = bias.as_ref().map_or(0.0, |b| slice(b)[c]);
                (bias - mean[c]) * scale[c] + beta[c]
            })
            .collect();
        let relu = act == Activation::Relu;
        let epilogue = Epilogue {
            scale: Some(&scale),
            bias: Some(&shift),
            relu,
        };
        let y = conv::forward(&shape, slice(&x), slice(&weight), epilogue);
        let [height, width] = shape.size_out;
        let y = plain(tensor(y, [shape.images, shape.channels_out, height, width]));
        if relu { y } else { activation(act, y) }
    }

    /// The numbers of the convolution whose input gradient the transposed convolution is.
    pub(super) fn transpose_shape(conv: &ConvTranspose2d, x: &Tensor<4>) -> Option<ConvShape> {
        let weight = conv.weight.val();
        let bias = conv.bias.as_ref().map(|b| b.val());
        if !takes(x) || !takes(&weight) || bias.is_some_and(|b| !takes(&b)) {
            return None;
        }
        let [images, channels_in, height, width] = x.dims();
        let [weight_in, group_out, kernel_y, kernel_x] = weight.dims();
        let (size, kernel) = ([height, width], [kernel_y, kernel_x]);
        let axis = |i: usize| {
            let full = (size[i].checked_sub(1)?) * conv.stride[i]
                + conv.dilation[i] * (kernel[i].checked_sub(1)?)
                + conv.padding_out[i]
                + 1;
            full.checked_sub(2 * conv.padding[i])
        };
        let shape = ConvShape {
            images,
            channels_in: group_out * conv.groups,
            channels_out: channels_in,
            size_in: [axis(0)?, axis(1)?],
            kernel,
            stride: conv.stride,
            padding: conv.padding.map(|p| (p, p)),
            dilation: conv.dilation,
            groups: conv.groups,
            size_out: size,
        };
        let fits = channels_in == weight_in && channels_in % conv.groups == 0;
        (fits && shape.lengths().iter().all(|n| *n > 0)).then_some(shape)
    }

    pub(super) fn conv2d(conv: &Conv2d, shape: ConvShape, x: Tensor<4>) -> Tensor<4> {
        let (x, weight) = (open(x), open(conv.weight.val()));
        let state = |x: &FlexTensor, weight: &FlexTensor| Convolution {
            shape,
            x: x.clone(),
            weight: weight.clone(),
            transposed: false,
        };
        let forward = |x: &FlexTensor, weight: &FlexTensor, bias: Option<&[f32]>| {
            let y = conv::forward(&shape, slice(x), slice(weight), Epilogue::bias(bias));
            let [height, width] = shape.size_out;
            tensor(y, [shape.images, shape.channels_out, height, width])
        };
        match &conv.bias {
            Some(bias) => apply::<3, 4, _>([x, weight, open(bias.val())], |inputs, tracked| {
                let [x, weight, bias] = inputs.map(contiguous);
                let y = forward(&x, &weight, Some(slice(&bias)));
                (y, tracked.then(|| state(&x, &weight)))
            }),
            None => apply::<2, 4, _>([x, weight], |inputs, tracked| {
                let [x, weight] = inputs.map(contiguous);
                let y = forward(&x, &weight, None);
                (y, tracked.then(|| state(&x, &weight)))
            }),
        }
    }

    pub(super) fn conv_transpose2d(
        conv: &ConvTranspose2d,
        shape: ConvShape,
        x: Tensor<4>,
    ) -> Tensor<4> {
        let (x, weight) = (open(x), open(conv.weight.val()));
        let state = |x: &FlexTensor, weight: &FlexTensor| Convolution {
            shape,
            x: x.clone(),
            weight: weight.clone(),
            transposed: true,
        };
        let forward = |x: &FlexTensor, weight: &FlexTensor, bias: Option<&[f32]>| {
            let y = conv::input_gradient(&shape, slice(x), slice(weight), bias);
            let [height, width] = shape.size_in;
            tensor(y, [shape.images, shape.channels_in, height, width])
        };
        match &conv.bias {
            Some(bias) => apply::<3, 4, _>([x, weight, open(bias.val())], |inputs, tracked| {
                let [x, weight, bias] = inputs.map(contiguous);
                let y = forward(&x, &weight, Some(slice(&bias)));
                (y, tracked.then(|| state(&x, &weight)))
            }),
            None => apply::<2, 4, _>([x, weight], |inputs, tracked| {
                let [x, weight] = inputs.map(contiguous);
                let y = forward(&x, &weight, None);
                (y, tracked.then(|| state(&x, &weight)))
            }),
        }
    }

    /// What the gradients of a convolution need.
    #[derive(Clone, Debug)]
    struct Convolution {
        shape: ConvShape,
        x: FlexTensor,
        weight: FlexTensor,
        transposed: bool,
    }

    impl Convolution {
        fn gradient(&self, input: usize, dy: &FlexTensor) -> FlexTensor {
            let shape = &self.shape;
            let (x, weight, dy) = (slice(&self.x), slice(&self.weight), slice(dy));
            let [height, width] = if self.transposed {
                shape.size_out
            } else {
                shape.size_in
            };
            match (input, self.transposed) {
                (0, false) => {
                    let dx = conv::input_gradient(shape, dy, weight, None);
                    tensor(dx, [shape.images, shape.channels_in, height, width])
                }
                (0, true) => {
                    let dx = conv::forward(shape, dy, weight, Epilogue::default());
                    tensor(dx, [shape.images, shape.channels_out, height, width])
                }
                (1, transposed) => {
                    let (input, output) = if transposed { (dy, x) } else { (x, dy) };
                    let dw = conv::weight_gradient(shape, input, output);
                    tensor(dw, dims::<4>(&self.weight))
                }
                (_, transposed) => {
                    let channels = if transposed {
                        shape.channels_in
                    } else {
                        shape.channels_out
                    };
                    tensor(conv::bias_gradient(shape.images, channels, dy), [channels])
                }
            }
        }
    }

    impl<const N: usize> Gradient<N> for Convolution {
        fn gradients(self, dy: FlexTensor, wanted: [bool; N]) -> [Option<FlexTensor>; N] {
            let dy = contiguous(dy);
            std::array::from_fn(|input| wanted[input].then(|| self.gradient(input, &dy)))
        }
    }
}
