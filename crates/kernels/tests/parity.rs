//! Every fast path against Burn's own operator over random shapes: outputs, gradients, non-finite values,
//! the same bits for any number of threads, on every instruction set the machine has.
#![cfg(feature = "flex")]

use std::sync::Mutex;

use burn::module::{Module, Param, RunningState};
use burn::nn::conv::{Conv2dConfig, ConvTranspose2dConfig};
use burn::nn::pool::{AdaptiveAvgPool2dConfig, MaxPool2dConfig};
use burn::nn::{BatchNorm, BatchNormConfig, PaddingConfig2d};
use burn::tensor::{Device, Distribution, Tensor};
use firesight_kernels::fast::simd::{Isa, available, force_isa};
use firesight_kernels::{
    Activation, Mode, activation, adaptive_avg_pool2d, batch_norm_act, batch_norm_add_act,
    conv_transpose2d, conv2d, conv2d_norm_act, max_pool2d, set_mode,
};

/// Mode and instruction set are the process's: tests that set them take turns.
static TURN: Mutex<()> = Mutex::new(());

/// A small generator of its own, so that shapes do not depend on another crate's version.
struct Dice(u64);

impl Dice {
    fn roll(&mut self, low: usize, high: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        low + (self.0 % (high - low + 1) as u64) as usize
    }

    fn chance(&mut self, one_in: usize) -> bool {
        self.roll(1, one_in) == 1
    }
}

fn device() -> Device {
    Device::flex().autodiff()
}

fn random<const D: usize>(shape: [usize; D]) -> Tensor<D> {
    Tensor::random(shape, Distribution::Uniform(-1.0, 1.0), &device())
}

fn values<const D: usize>(x: &Tensor<D>) -> Vec<f32> {
    x.clone().into_data().try_into_vec_as().unwrap()
}

/// Runs `f` with the kernels and with Burn's operators and compares all it returns.
fn compare(what: &str, bound: f32, f: impl Fn() -> Vec<Vec<f32>>) {
    set_mode(Mode::Fast);
    let fast = f();
    set_mode(Mode::Burn);
    let burn = f();
    set_mode(Mode::Fast);
    assert_eq!(fast.len(), burn.len());
    for (number, (fast, burn)) in fast.iter().zip(&burn).enumerate() {
        assert_eq!(fast.len(), burn.len(), "{what}: lengths of result {number}");
        let largest = burn
            .iter()
            .filter(|v| v.is_finite())
            .fold(1e-3f32, |m, v| m.max(v.abs()));
        for (i, (a, b)) in fast.iter().zip(burn).enumerate() {
            let same = if b.is_finite() {
                (a - b).abs() <= bound * largest
            } else {
                a.to_bits() == b.to_bits() || (a.is_nan() && b.is_nan()) || a == b
            };
            assert!(
                same,
                "{what}: element {i} of result {number}: {a}, Burn's {b} of {largest}"
            );
        }
    }
}

fn every_isa(mut f: impl FnMut(Isa)) {
    let _turn = TURN.lock().unwrap_or_else(|e| e.into_inner());
    let sets = available();
    for isa in &sets {
        assert!(force_isa(*isa));
        // The same values in every run; the generator is the process's, and the turn is ours.
        device().seed(0x5eed);
        f(*isa);
    }
    force_isa(sets[0]);
}

/// The output and the gradients of `inputs` for a loss that weighs every output differently.
fn gradients<const N: usize>(
    y: Tensor<4>,
    weights: &Tensor<4>,
    inputs: [&Tensor<4>; N],
    others: &[&Tensor<1>],
) -> Vec<Vec<f32>> {
    let output = values(&y);
    let gradients = (y * weights.clone()).sum().backward();
    let mut all = vec![output];
    all.extend(inputs.iter().map(|x| values(&x.grad(&gradients).unwrap())));
    all.extend(others.iter().map(|x| values(&x.grad(&gradients).unwrap())));
    all
}

#[test]
fn convolution_is_burns() {
    every_isa(|isa| {
        let mut dice = Dice(0x5eed_0001 + isa as u64);
        let mut checked = 0;
        while checked < 400 {
            let groups = [1, 1, 1, 2, 3][dice.roll(0, 4)];
            let mut channels = [groups * dice.roll(1, 5), groups * dice.roll(1, 9)];
            let mut groups = groups;
            if dice.chance(5) {
                groups = channels[0];
                channels[1] = channels[0] * dice.roll(1, 2);
            }
            let kernel = [dice.roll(1, 4), dice.roll(1, 4)];
            let stride = [dice.roll(1, 3), dice.roll(1, 3)];
            let dilation = [dice.roll(1, 2), dice.roll(1, 2)];
            let pads = [0; 4].map(|_| dice.roll(0, 2));
            let size = [dice.roll(1, 12), dice.roll(1, 24)];
            let images = if dice.chance(4) { 9 } else { dice.roll(1, 3) };
            let fits = |i: usize| size[i] + pads[i] + pads[i + 2] > dilation[i] * (kernel[i] - 1);
            if !fits(0) || !fits(1) {
                continue;
            }
            let conv = Conv2dConfig::new(channels, kernel)
                .with_stride(stride)
                .with_dilation(dilation)
                .with_groups(groups)
                .with_bias(dice.chance(2))
                .with_padding(PaddingConfig2d::Explicit(
                    pads[0], pads[1], pads[2], pads[3],
                ))
                .init(&device());
            let x = random([images, channels[0], size[0], size[1]]).require_grad();
            let weights = random(conv.forward(x.clone()).dims());
            compare(&format!("{isa:?} {size:?} {images} {conv}"), 1e-4, || {
                let others: Vec<_> = conv.bias.iter().map(|b| b.val()).collect();
                let others: Vec<_> = others.iter().collect();
                gradients(
                    conv2d(&conv, x.clone()),
                    &weights,
                    [&x, &conv.weight.val()],
                    &others,
                )
            });
            checked += 1;
        }
    });
}

/// Shapes with channels enough for Winograd's way (few tiles and many, rows of tiles that fill vectors and that do not),
/// and with a few columns more than whole vectors.
#[test]
fn wide_convolution_is_burns() {
    let shapes = [
        (2, [32, 64], [16, 16], 3, 1),
        (3, [24, 72], [7, 9], 3, 1),
        (1, [40, 64], [8, 8], 3, 1),
        (16, [64, 96], [4, 4], 3, 1),
        (9, [20, 33], [32, 32], 3, 1),
        (2, [16, 128], [12, 64], 3, 1),
        (1, [32, 40], [7, 7], 1, 1),
        (2, [16, 32], [13, 13], 3, 2),
        (1, [48, 20], [1, 1], 1, 1),
    ];
    every_isa(|isa| {
        for (images, channels, size, kernel, stride) in shapes {
            let pad = kernel / 2;
            let conv = Conv2dConfig::new(channels, [kernel; 2])
                .with_stride([stride; 2])
                .with_padding(PaddingConfig2d::Explicit(pad, pad, pad, pad))
                .init(&device());
            let x = random([images, channels[0], size[0], size[1]]).require_grad();
            let weights = random(conv.forward(x.clone()).dims());
            let what = format!("{isa:?} {images} {size:?} {conv}");
            compare(&what, 1e-3, || {
                let bias = conv.bias.as_ref().unwrap().val();
                let y = conv2d(&conv, x.clone());
                gradients(y, &weights, [&x, &conv.weight.val()], &[&bias])
            });
            let mut norm = BatchNormConfig::new(channels[1]).init(&device()).valid();
            norm.gamma = Param::from_tensor(random([channels[1]]).inner());
            norm.running_mean = RunningState::new(random([channels[1]]).inner());
            let (conv, x) = (conv.valid(), x.inner());
            compare(&what, 1e-3, || {
                vec![values(&conv2d_norm_act(
                    &conv,
                    &norm,
                    x.clone(),
                    Activation::Relu,
                ))]
            });
        }
    });
}

/// Large enough for Winograd's way by phases.
#[test]
fn halving_convolution_is_burns() {
    every_isa(|isa| {
        let conv = Conv2dConfig::new([32, 64], [4, 4])
            .with_stride([2, 2])
            .with_bias(false)
            .with_padding(PaddingConfig2d::Explicit(1, 1, 1, 1))
            .init(&device());
        let x = random([32, 32, 34, 30]).require_grad();
        let weights = random([32, 64, 17, 15]);
        compare(&format!("{isa:?} {conv}"), 1e-3, || {
            gradients(
                conv2d(&conv, x.clone()),
                &weights,
                [&x, &conv.weight.val()],
                &[],
            )
        });
    });
}

#[test]
fn transposed_convolution_is_burns() {
    every_isa(|isa| {
        let mut dice = Dice(0x5eed_0002 + isa as u64);
        let mut checked = 0;
        while checked < 150 {
            let groups = [1, 1, 2][dice.roll(0, 2)];
            let channels = [groups * dice.roll(1, 5), groups * dice.roll(1, 5)];
            let kernel = [dice.roll(1, 4), dice.roll(1, 4)];
            let stride = [dice.roll(1, 3), dice.roll(1, 3)];
            let dilation = [dice.roll(1, 2), dice.roll(1, 2)];
            let padding = [dice.roll(0, 2), dice.roll(0, 2)];
            let extra = [dice.roll(0, stride[0] - 1), dice.roll(0, stride[1] - 1)];
            let size = [dice.roll(1, 7), dice.roll(1, 20)];
            let full =
                |i: usize| (size[i] - 1) * stride[i] + dilation[i] * (kernel[i] - 1) + 1 + extra[i];
            if full(0) <= 2 * padding[0] || full(1) <= 2 * padding[1] {
                continue;
            }
            let conv = ConvTranspose2dConfig::new(channels, kernel)
                .with_stride(stride)
                .with_dilation(dilation)
                .with_padding(padding)
                .with_padding_out(extra)
                .with_groups(groups)
                .init(&device());
            let x = random([dice.roll(1, 3), channels[0], size[0], size[1]]).require_grad();
            let weights = random(conv.forward(x.clone()).dims());
            compare(&format!("{isa:?} {size:?} {conv}"), 1e-4, || {
                let bias = conv.bias.as_ref().unwrap().val();
                let y = conv_transpose2d(&conv, x.clone());
                gradients(y, &weights, [&x, &conv.weight.val()], &[&bias])
            });
            checked += 1;
        }
    });
}

/// A copy with running statistics of its own.
fn copy(norm: &BatchNorm) -> BatchNorm {
    use burn::module::{Module, RunningState};
    let mut other = norm.clone();
    other.running_mean = RunningState::new(norm.running_mean.value_sync());
    other.running_var = RunningState::new(norm.running_var.value_sync());
    other.train()
}

#[test]
fn batch_norm_is_burns() {
    let activations = [
        Activation::Identity,
        Activation::Relu,
        Activation::Relu6,
        Activation::LeakyRelu(0.2),
        Activation::Silu,
    ];
    every_isa(|isa| {
        let mut dice = Dice(0x5eed_0003 + isa as u64);
        for round in 0..100 {
            let channels = dice.roll(1, 9);
            let shape = [dice.roll(2, 5), channels, dice.roll(1, 9), dice.roll(1, 23)];
            let mut norm = BatchNormConfig::new(channels).init(&device());
            norm.gamma = norm.gamma.map(|g| random(g.dims()).require_grad());
            norm.beta = norm.beta.map(|b| random(b.dims()).require_grad());
            // Also means far from zero.
            let offset = if dice.chance(3) { 30.0 } else { 0.3 };
            let x = (random(shape) * 2.0 + offset).detach().require_grad();
            let residual = random(shape).require_grad();
            let weights = random(shape);
            let act = activations[round % activations.len()];
            let what = format!("{isa:?} {shape:?} {act:?}");
            let bound = if offset > 1.0 { 1e-3 } else { 1e-4 };
            compare(&what, bound, || {
                let norm = copy(&norm);
                let y = batch_norm_act(&norm, x.clone(), act);
                let mut all = gradients(y, &weights, [&x], &[&norm.gamma.val(), &norm.beta.val()]);
                all.push(values(&norm.running_mean.value_sync()));
                all.push(values(&norm.running_var.value_sync()));
                all
            });
            compare(&what, bound, || {
                let norm = copy(&norm);
                let y = batch_norm_add_act(&norm, x.clone(), residual.clone(), act);
                gradients(
                    y,
                    &weights,
                    [&x, &residual],
                    &[&norm.gamma.val(), &norm.beta.val()],
                )
            });
            // Evaluation on the plain device, and a frozen layer on the training device.
            let still = x.clone().inner();
            compare(&what, 1e-4, || {
                use burn::module::Module;
                let norm = copy(&norm).valid();
                vec![values(&batch_norm_act(&norm, still.clone(), act))]
            });
            compare(&what, 1e-4, || {
                use burn::module::Module;
                let norm = copy(&norm).freeze();
                let y = batch_norm_act(&norm, x.clone(), act);
                gradients(y, &weights, [&x], &[])
            });
        }
    });
}

#[test]
fn pooling_is_burns() {
    every_isa(|isa| {
        let mut dice = Dice(0x5eed_0004 + isa as u64);
        let mut checked = 0;
        while checked < 200 {
            let kernel = [dice.roll(1, 4), dice.roll(1, 4)];
            let padding = [dice.roll(0, kernel[0] / 2), dice.roll(0, kernel[1] / 2)];
            let dilation = [dice.roll(1, 2), dice.roll(1, 2)];
            let shape = [
                dice.roll(1, 3),
                dice.roll(1, 5),
                dice.roll(1, 12),
                dice.roll(1, 12),
            ];
            let reach = |i: usize| dilation[i] * (kernel[i] - 1) + 1;
            let fits = |i: usize| shape[2 + i] + 2 * padding[i] >= reach(i);
            if !fits(0) || !fits(1) {
                continue;
            }
            let pool = MaxPool2dConfig::new(kernel)
                .with_strides([dice.roll(1, 3), dice.roll(1, 3)])
                .with_padding(PaddingConfig2d::Explicit(
                    padding[0], padding[1], padding[0], padding[1],
                ))
                .with_dilation(dilation)
                .init();
            let x = random(shape).require_grad();
            let weights = random(pool.forward(x.clone()).dims());
            compare(&format!("{isa:?} {shape:?} {pool}"), 1e-6, || {
                gradients(max_pool2d(&pool, x.clone()), &weights, [&x], &[])
            });
            let mean = AdaptiveAvgPool2dConfig::new([1, 1]).init();
            let weights = random([shape[0], shape[1], 1, 1]);
            compare(&format!("{isa:?} mean {shape:?}"), 1e-5, || {
                gradients(adaptive_avg_pool2d(&mean, x.clone()), &weights, [&x], &[])
            });
            checked += 1;
        }
    });
}

#[test]
fn relu_is_burns() {
    every_isa(|isa| {
        for len in [1, 3, 15, 16, 17, 1000, 40_000] {
            let x = random([1, 1, 1, len]).require_grad();
            let weights = random([1, 1, 1, len]);
            for act in [Activation::Relu, Activation::LeakyRelu(0.2)] {
                compare(&format!("{isa:?} {len} {act:?}"), 0.0, || {
                    gradients(activation(act, x.clone()), &weights, [&x], &[])
                });
            }
        }
    });
}

#[test]
fn silu_is_burns() {
    every_isa(|isa| {
        for len in [1, 3, 15, 16, 17, 1000, 40_000] {
            for scale in [1.0, 30.0, 1000.0] {
                let x = random([1, 1, 1, len])
                    .mul_scalar(scale)
                    .detach()
                    .require_grad();
                let weights = random([1, 1, 1, len]);
                compare(&format!("{isa:?} {len} {scale}"), 1e-5, || {
                    gradients(activation(Activation::Silu, x.clone()), &weights, [&x], &[])
                });
            }
        }
    });
}

#[test]
fn non_finite_values_propagate() {
    every_isa(|isa| {
        for bad in [f32::NAN, f32::INFINITY, f32::NEG_INFINITY] {
            let mut data = values(&random([2, 4, 6, 7]));
            data[50] = bad;
            let x = Tensor::<1>::from_data(data.as_slice(), &device()).reshape([2, 4, 6, 7]);
            let what = format!("{isa:?} {bad}");
            let conv = Conv2dConfig::new([4, 5], [3, 3])
                .with_padding(PaddingConfig2d::Explicit(1, 1, 1, 1))
                .init(&device());
            let norm = BatchNormConfig::new(4).init(&device());
            let pool = MaxPool2dConfig::new([2, 2]).init();
            compare(&what, 1e-4, || {
                vec![
                    values(&conv2d(&conv, x.clone())),
                    values(&batch_norm_act(&copy(&norm), x.clone(), Activation::Relu)),
                    values(&max_pool2d(&pool, x.clone())),
                    values(&activation(Activation::Relu, x.clone())),
                    values(&activation(Activation::LeakyRelu(0.2), x.clone())),
                ]
            });
        }
    });
}

#[test]
fn bits_do_not_depend_on_threads() {
    every_isa(|isa| {
        // Some channels, and so many that the rows of weights are what is shared among few threads.
        for channels in [24, 64] {
            let x = random([5, 16, 20, 20]).require_grad();
            let residual = random([5, channels, 20, 20]).require_grad();
            let conv = Conv2dConfig::new([16, channels], [3, 3])
                .with_padding(PaddingConfig2d::Explicit(1, 1, 1, 1))
                .init(&device());
            let norm = BatchNormConfig::new(channels).init(&device());
            let weights = random([5, channels, 20, 20]);
            let run = |threads: usize| {
                let pool = rayon::ThreadPoolBuilder::new()
                    .num_threads(threads)
                    .build()
                    .unwrap();
                pool.install(|| {
                    let norm = copy(&norm);
                    let y = conv2d(&conv, x.clone());
                    let y = batch_norm_add_act(&norm, y, residual.clone(), Activation::Relu);
                    let bias = conv.bias.as_ref().unwrap().val();
                    gradients(y, &weights, [&x, &residual, &conv.weight.val()], &[&bias])
                })
            };
            let one = run(1);
            for threads in [1, 2, 3, 5, 8] {
                assert!(
                    run(threads) == one,
                    "{isa:?}: {channels} channels, {threads} threads"
                );
            }
        }
    });
}

/// Outside of training: the normalisation is the convolution's last step, also after a tensor has changed.
#[test]
fn folded_convolution_is_burns() {
    every_isa(|isa| {
        let mut dice = Dice(0x5eed_0101 + isa as u64);
        for round in 0..150 {
            let groups = [1, 1, 2, 4][dice.roll(0, 3)];
            let channels = [groups * dice.roll(1, 24), groups * dice.roll(1, 12)];
            let kernel = [1, 3, 3, 5][dice.roll(0, 3)];
            let stride = dice.roll(1, 2);
            let pad = kernel / 2;
            let mut conv = Conv2dConfig::new(channels, [kernel; 2])
                .with_stride([stride; 2])
                .with_padding(PaddingConfig2d::Explicit(pad, pad, pad, pad))
                .with_groups(groups)
                .with_bias(dice.chance(2))
                .init(&device())
                .valid();
            let mut norm = BatchNormConfig::new(channels[1]).init(&device()).valid();
            let act = [Activation::Identity, Activation::Relu, Activation::Relu6][round % 3];
            let side = dice.roll(1, 30);
            let mut x = random([dice.roll(1, 2), channels[0], side, side]).inner();
            for change in 0..5 {
                let what =
                    format!("{isa:?} {channels:?} k{kernel} g{groups} side {side} change {change}");
                let vector = || random([channels[1]]).inner();
                match change {
                    0 => {}
                    1 => norm.gamma = Param::from_tensor(vector()),
                    2 => norm.running_mean = RunningState::new(vector()),
                    3 => norm.running_var = RunningState::new(vector().abs()),
                    // In place where nothing else holds the buffer.
                    _ => conv.weight = conv.weight.map(|w| w.mul_scalar(-0.5)),
                }
                for _ in 0..2 {
                    compare(&what, 1e-3, || {
                        vec![
                            values(&conv2d_norm_act(&conv, &norm, x.clone(), act)),
                            values(&conv2d(&conv, x.clone())),
                        ]
                    });
                }
            }
            x = x.slice_fill([0..1, 0..1, 0..1, 0..1], f32::NAN);
            compare("not a number", 1e-3, || {
                vec![values(&conv2d_norm_act(
                    &conv,
                    &norm,
                    x.clone(),
                    Activation::Identity,
                ))]
            });
        }
    });
}
