//! Each kernel alone, beside Burn's own operator: forward, and forward with all gradients.
//!
//! ```text
//! cargo bench -p firesight-kernels --features flex,optim
//! cargo bench -p firesight-kernels --features flex,optim -- conv
//! ```
//!
//! The comparison with PyTorch is `scripts/compare_pytorch.py`.

use burn::nn::conv::{Conv2d, Conv2dConfig, ConvTranspose2d, ConvTranspose2dConfig};
use burn::nn::pool::{MaxPool2d, MaxPool2dConfig};
use burn::nn::{BatchNorm, BatchNormConfig, PaddingConfig2d};
use burn::optim::{DynOptimizer, DynState};
use burn::tensor::{Device, Distribution, Tensor};
use divan::{Bencher, black_box};
use firesight_kernels::optim::{Adam, Sgd};
use firesight_kernels::{self as kernels, Activation, Mode};

fn main() {
    divan::main();
}

/// A layer and the shape of what it takes.
#[derive(Clone, Copy, Debug)]
enum Layer {
    /// Convolution: channels in and out, kernel, stride, groups, side, images.
    Conv([usize; 7]),
    /// Transposed convolution of 4x4 and stride 2: channels in and out, side, images.
    Transposed([usize; 4]),
    /// Batch normalisation with ReLU: channels, side, images.
    Norm([usize; 3]),
    /// Maximum of 3x3 at stride 2: channels, side, images.
    Pool([usize; 3]),
}

impl std::fmt::Display for Layer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match *self {
            Layer::Conv([input, output, kernel, stride, groups, side, images]) => {
                write!(f, "conv {kernel}x{kernel}/{stride} {input}-{output}")?;
                if groups > 1 {
                    write!(f, " groups {groups}")?;
                }
                write!(f, " {side}px x{images}")
            }
            Layer::Transposed([input, output, side, images]) => {
                write!(
                    f,
                    "conv transposed 4x4/2 {input}-{output} {side}px x{images}"
                )
            }
            Layer::Norm([channels, side, images]) => {
                write!(f, "norm relu {channels} {side}px x{images}")
            }
            Layer::Pool([channels, side, images]) => {
                write!(f, "max pool 3x3/2 {channels} {side}px x{images}")
            }
        }
    }
}

const LAYERS: &[Layer] = &[
    Layer::Conv([64, 64, 3, 1, 1, 32, 64]),
    Layer::Conv([128, 128, 3, 1, 1, 16, 64]),
    Layer::Conv([256, 256, 3, 1, 1, 8, 64]),
    Layer::Conv([512, 512, 3, 1, 1, 4, 64]),
    Layer::Conv([16, 16, 3, 1, 1, 32, 128]),
    Layer::Conv([3, 64, 3, 1, 1, 32, 64]),
    Layer::Conv([64, 128, 3, 2, 1, 32, 64]),
    Layer::Conv([64, 128, 1, 2, 1, 32, 64]),
    Layer::Conv([256, 1024, 1, 1, 1, 14, 1]),
    Layer::Conv([3, 64, 7, 2, 1, 224, 8]),
    Layer::Conv([96, 96, 3, 1, 96, 32, 64]),
    Layer::Conv([6, 16, 5, 1, 1, 14, 256]),
    Layer::Transposed([128, 64, 16, 32]),
    Layer::Norm([64, 32, 64]),
    Layer::Pool([64, 112, 8]),
];

/// Who computes.
const FAST: bool = true;
const BURN: bool = false;

/// A layer of Burn, which holds its parameters.
enum Module {
    Conv(Conv2d),
    Transposed(ConvTranspose2d),
    Norm(BatchNorm),
    Pool(MaxPool2d),
}

impl Layer {
    fn init(self, device: &Device) -> (Module, Tensor<4>) {
        let pad = |n: usize| PaddingConfig2d::Explicit(n, n, n, n);
        let (module, shape) = match self {
            Layer::Conv([input, output, kernel, stride, groups, side, images]) => {
                let conv = Conv2dConfig::new([input, output], [kernel; 2])
                    .with_stride([stride; 2])
                    .with_padding(pad(kernel / 2))
                    .with_groups(groups)
                    .with_bias(false);
                (Module::Conv(conv.init(device)), [images, input, side, side])
            }
            Layer::Transposed([input, output, side, images]) => {
                let conv = ConvTranspose2dConfig::new([input, output], [4, 4])
                    .with_stride([2, 2])
                    .with_padding([1, 1])
                    .with_bias(false);
                (
                    Module::Transposed(conv.init(device)),
                    [images, input, side, side],
                )
            }
            Layer::Norm([channels, side, images]) => {
                let norm = BatchNormConfig::new(channels).init(device);
                (Module::Norm(norm), [images, channels, side, side])
            }
            Layer::Pool([channels, side, images]) => {
                let pool = MaxPool2dConfig::new([3, 3]).with_strides([2, 2]);
                let pool = pool.with_padding(pad(1)).init();
                (Module::Pool(pool), [images, channels, side, side])
            }
        };
        let x = Tensor::random(shape, Distribution::Normal(0.0, 1.0), device);
        (module, x)
    }
}

impl Module {
    fn forward(&self, x: Tensor<4>) -> Tensor<4> {
        match self {
            Module::Conv(conv) => kernels::conv2d(conv, x),
            Module::Transposed(conv) => kernels::conv_transpose2d(conv, x),
            Module::Norm(norm) => kernels::batch_norm_act(norm, x, Activation::Relu),
            Module::Pool(pool) => kernels::max_pool2d(pool, x),
        }
    }
}

fn choose(fast: bool) {
    kernels::set_mode(if fast { Mode::Fast } else { Mode::Burn });
}

#[divan::bench(args = LAYERS, consts = [FAST, BURN])]
fn forward<const KERNELS: bool>(bencher: Bencher, layer: Layer) {
    choose(KERNELS);
    let (module, x) = layer.init(&Device::flex());
    bencher.bench_local(|| black_box(module.forward(x.clone())));
}

#[divan::bench(args = LAYERS, consts = [FAST, BURN])]
fn gradients<const KERNELS: bool>(bencher: Bencher, layer: Layer) {
    choose(KERNELS);
    let (module, x) = layer.init(&Device::flex().autodiff());
    let x = x.require_grad();
    bencher.bench_local(|| black_box(module.forward(x.clone()).backward()));
}

/// The update of a 512x512x3x3 weight, as the engine makes it.
#[divan::bench(args = ["sgd", "adam"], consts = [FAST, BURN])]
fn update<const KERNELS: bool>(bencher: Bencher, rule: &str) {
    choose(KERNELS);
    let device = Device::flex();
    let draw = || Tensor::<4>::random([512, 512, 3, 3], Distribution::Normal(0.0, 1.0), &device);
    let rule: Box<dyn DynOptimizer> = match rule {
        "sgd" => Box::new(Sgd {
            momentum: 0.9,
            dampening: 0.0,
            nesterov: false,
            weight_decay: 5e-4,
        }),
        _ => Box::new(Adam::default()),
    };
    let gradient = draw();
    let mut parameter = Some(draw());
    let mut state: Option<DynState> = None;
    bencher.bench_local(|| {
        if let Some(before) = parameter.take() {
            let gradient = gradient.clone().into_bridge();
            let (after, next) =
                rule.step_dyn(4, 1e-4, before.into_bridge(), gradient, state.take());
            (parameter, state) = (Some(Tensor::from_bridge(after)), next);
        }
    });
}
