//! A DCGAN for 64x64 images (Radford et al. 2015, arXiv:1511.06434) in plain layers: the generator's and
//! discriminator's step of one batch.

use burn::module::Module;
use burn::nn::conv::{Conv2d, Conv2dConfig, ConvTranspose2d, ConvTranspose2dConfig};
use burn::nn::{BatchNorm, BatchNormConfig, PaddingConfig2d};
use burn::tensor::activation::log_sigmoid;
use burn::tensor::{Device, Tensor};
use firesight_kernels::optim::Adam;
use firesight_kernels::{Activation, activation, batch_norm_act, conv_transpose2d, conv2d};

use super::optimizer::{Trained, gradients_of};
use super::{Work, random};

const LATENT: usize = 100;
const WIDTH: usize = 64;

#[derive(Module, Debug)]
struct Generator {
    convs: Vec<ConvTranspose2d>,
    norms: Vec<BatchNorm>,
}

#[derive(Module, Debug)]
struct Discriminator {
    convs: Vec<Conv2d>,
    norms: Vec<BatchNorm>,
}

impl Generator {
    fn new(device: &Device) -> Self {
        let widths = [LATENT, WIDTH * 8, WIDTH * 4, WIDTH * 2, WIDTH, 3];
        let conv = |i: usize| {
            let (stride, padding) = if i == 0 { (1, 0) } else { (2, 1) };
            ConvTranspose2dConfig::new([widths[i], widths[i + 1]], [4, 4])
                .with_stride([stride; 2])
                .with_padding([padding; 2])
                .with_bias(false)
                .init(device)
        };
        let norm = |i: usize| BatchNormConfig::new(widths[i]).init(device);
        Self {
            convs: (0..5).map(conv).collect(),
            norms: (1..5).map(norm).collect(),
        }
    }

    /// `[N, 100, 1, 1]` to `[N, 3, 64, 64]`.
    fn forward(&self, z: Tensor<4>) -> Tensor<4> {
        let last = self.norms.len();
        let x = (0..last).fold(z, |x, i| {
            let x = conv_transpose2d(&self.convs[i], x);
            batch_norm_act(&self.norms[i], x, Activation::Relu)
        });
        activation(Activation::Tanh, conv_transpose2d(&self.convs[last], x))
    }
}

impl Discriminator {
    fn new(device: &Device) -> Self {
        let widths = [3, WIDTH, WIDTH * 2, WIDTH * 4, WIDTH * 8, 1];
        let conv = |i: usize| {
            let (stride, pad) = if i == 4 { (1, 0) } else { (2, 1) };
            Conv2dConfig::new([widths[i], widths[i + 1]], [4, 4])
                .with_stride([stride; 2])
                .with_padding(PaddingConfig2d::Explicit(pad, pad, pad, pad))
                .with_bias(false)
                .init(device)
        };
        let norm = |i: usize| BatchNormConfig::new(widths[i]).init(device);
        Self {
            convs: (0..5).map(conv).collect(),
            norms: (2..5).map(norm).collect(),
        }
    }

    /// `[N, 3, 64, 64]` to logits `[N, 1]`.
    fn forward(&self, x: Tensor<4>) -> Tensor<2> {
        let leaky = Activation::LeakyRelu(0.2);
        let x = activation(leaky, conv2d(&self.convs[0], x));
        let x = self
            .norms
            .iter()
            .zip(&self.convs[1..])
            .fold(x, |x, (norm, conv)| {
                batch_norm_act(norm, conv2d(conv, x), leaky)
            });
        conv2d(&self.convs[4], x).flatten::<2>(1, 3)
    }
}

/// Binary cross-entropy of logits that should all be real, or all be generated.
fn loss(logits: Tensor<2>, real: bool) -> Tensor<1> {
    let signed = if real { logits } else { logits.neg() };
    log_sigmoid(signed).mean().neg()
}

/// The discriminator's step on real and generated images, then the generator's.
pub fn step(batch: usize) -> Result<Work, String> {
    let device = Device::flex().autodiff();
    let adam = Adam {
        beta_1: 0.5,
        ..Adam::default()
    };
    let mut generator = Trained::new(Generator::new(&device), adam);
    let mut discriminator = Trained::new(Discriminator::new(&device), adam);
    let real = random([batch, 3, 64, 64], &device);
    let noise = random([batch, LATENT, 1, 1], &device);
    Ok(Box::new(move || {
        let fake = generator.module().forward(noise.clone());
        let judge = discriminator.module();
        let of_real = loss(judge.forward(real.clone()), true);
        let of_fake = loss(judge.forward(fake.clone().detach()), false);
        let total = of_real + of_fake;
        assert!(total.clone().into_scalar::<f32>().is_finite());
        let gradients = gradients_of(total, judge);
        discriminator.step(gradients, 2e-4);

        let total = loss(discriminator.module().forward(fake), true);
        assert!(total.clone().into_scalar::<f32>().is_finite());
        let gradients = gradients_of(total, generator.module());
        generator.step(gradients, 2e-4);
    }))
}
