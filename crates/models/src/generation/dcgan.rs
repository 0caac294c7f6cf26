//! DCGAN, "Unsupervised Representation Learning with Deep Convolutional Generative Adversarial Networks"
//! (Radford, Metz and Chintala 2015, arXiv:1511.06434), in the form and under the keys of PyTorch's DCGAN example.
//!
//! The generator is a 4x4 transposed convolution from the latent vector and then one of stride 2 for each doubling
//! of the side, the discriminator its mirror. Channels double with each halving of the side. Batch normalisation
//! stands after every convolution but the generator's last and the discriminator's first and last. The published
//! network makes images of 64 pixels; here the number of doublings follows from the images. Where a network is told
//! the class, the class enters as further input channels, one for each class (Mirza and Osindero 2014,
//! arXiv:1411.1784), so that no key changes.
//!
//! ```
//! use burn::tensor::Device;
//! use firesight_models::InputSpec;
//! use firesight_models::generation::Gan;
//! use firesight_models::generation::dcgan::DcganConfig;
//! use firesight_models::weights::parameter_count;
//!
//! let (config, device) = (DcganConfig::default(), Device::default());
//! let generator = config.generator(InputSpec::rgb(64), 0, &device)?;
//! assert_eq!(parameter_count(&generator), 3_576_704);
//! let error = config.generator(InputSpec::gray(28), 0, &device).unwrap_err();
//! assert!(error.to_string().contains("28x28"));
//! # Ok::<(), firesight_models::ModelError>(())
//! ```

use burn::module::Module;
use burn::nn::conv::{Conv2d, ConvTranspose2d, ConvTranspose2dConfig};
use burn::nn::{BatchNorm, Initializer};
use burn::tensor::activation::sigmoid;
use burn::tensor::{Device, Int, Tensor, TensorData};
use firesight_kernels::{self as kernels, Activation};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{
    DiscriminatorArchitecture, Gan, GanNetwork, GeneratorArchitecture, PublishedGan, SpectralConv,
};
use crate::layers::{Init, MAX_WIDTH, batch_norm, conv};
use crate::sequential::Named;
use crate::verify::NamedOutputs;
use crate::weights::{StateDict, TorchNames};
use crate::{InputSpec, ModelError};

/// Sides of the images that can be made.
pub const SIDES: [usize; 5] = [8, 16, 32, 64, 128];
/// The slope of the discriminator's leaky ReLU.
const SLOPE: f32 = 0.2;
/// Standard deviation of all weights at the start.
const STD: f64 = 0.02;

/// The example's networks for RGB images of 64 pixels.
pub const DCGAN: PublishedGan = PublishedGan {
    parameters: 3_576_704 + 2_765_568,
    image: InputSpec::rgb(64),
    minimum: SIDES[0],
};

/// Options of the DCGAN.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields, default)]
pub struct DcganConfig {
    /// Numbers in a latent vector.
    pub latent: usize,
    /// Channels before the generator's last layer; they double with each halving of the side.
    pub generator_width: usize,
    /// Channels behind the discriminator's first layer; they double with each halving of the side.
    pub discriminator_width: usize,
    /// Tells both networks the class of an image; the dataset must have classes.
    pub conditional: bool,
    /// Spectral normalisation in the discriminator, in place of its batch normalisation.
    pub spectral_norm: bool,
}

impl Default for DcganConfig {
    fn default() -> Self {
        Self {
            latent: 100,
            generator_width: 64,
            discriminator_width: 64,
            conditional: false,
            spectral_norm: false,
        }
    }
}

impl Gan for DcganConfig {
    type Generator = DcganGenerator;
    type Discriminator = DcganDiscriminator;

    fn problems(&self) -> Vec<(String, String)> {
        // Widths double up to four times.
        let sizes = [
            ("latent", self.latent, MAX_WIDTH),
            ("generator-width", self.generator_width, MAX_WIDTH / 16),
            (
                "discriminator-width",
                self.discriminator_width,
                MAX_WIDTH / 16,
            ),
        ];
        let wrong = sizes
            .into_iter()
            .filter(|(_, size, most)| !(1..=*most).contains(size));
        wrong
            .map(|(key, size, most)| (key.to_string(), format!("{size} is not from 1 to {most}")))
            .collect()
    }

    fn latent(&self) -> usize {
        self.latent
    }

    fn conditional(&self) -> bool {
        self.conditional
    }

    fn generator(
        &self,
        image: InputSpec,
        classes: usize,
        device: &Device,
    ) -> Result<DcganGenerator, ModelError> {
        let doublings = self.check(image)?;
        let classes = if self.conditional { classes } else { 0 };
        let width = self.generator_width;
        let mut main = Vec::new();
        let mut before = self.latent + classes;
        for stage in 0..doublings {
            let after = width << (doublings - 1 - stage);
            let layer = Part::Transposed(transposed(before, after, stage > 0, device));
            main.push(((3 * stage).to_string(), layer));
            main.push(((3 * stage + 1).to_string(), Part::Norm(norm(after, device))));
            before = after;
        }
        let last = Part::Transposed(transposed(before, image.channels, true, device));
        main.push(((3 * doublings).to_string(), last));
        Ok(DcganGenerator {
            main: Named::new(main),
            latent: self.latent,
            classes,
        })
    }

    fn discriminator(
        &self,
        image: InputSpec,
        classes: usize,
        device: &Device,
    ) -> Result<DcganDiscriminator, ModelError> {
        let halvings = self.check(image)?;
        let classes = if self.conditional { classes } else { 0 };
        let layer = |before, after, halves: bool| {
            let spec = conv(before, after, 4).draw(Init::Normal(STD));
            let spec = if halves {
                spec.stride(2).padding(1)
            } else {
                spec
            };
            match self.spectral_norm {
                true => Part::Spectral(SpectralConv::new(spec, device)),
                false => Part::Conv(spec.no_bias().init(device)),
            }
        };
        let width = self.discriminator_width;
        let mut main = vec![(
            "0".to_string(),
            layer(image.channels + classes, width, true),
        )];
        let mut before = width;
        for stage in 1..halvings {
            let after = width << stage;
            let place = 3 * stage - 1;
            main.push((place.to_string(), layer(before, after, true)));
            if !self.spectral_norm {
                main.push(((place + 1).to_string(), Part::Norm(norm(after, device))));
            }
            before = after;
        }
        let place = 3 * halvings - 1;
        main.push((place.to_string(), layer(before, 1, false)));
        Ok(DcganDiscriminator {
            main: Named::new(main),
            classes,
        })
    }

    /// Whether it is a generator shows in the normalisation behind its first convolution, which no discriminator has.
    fn fitting(state: &StateDict, device: &Device) -> Result<GanNetwork, String> {
        let spectral = state.keys().any(|key| key.ends_with(".weight_orig"));
        let suffix = if spectral { "weight_orig" } else { "weight" };
        let mut shapes: Vec<(usize, Vec<usize>)> = state
            .iter()
            .filter_map(|(key, data)| {
                let place = key.strip_prefix("main.")?.strip_suffix(suffix)?;
                let place = place.strip_suffix('.')?.parse().ok()?;
                let shape = data.shape().to_vec();
                (shape.len() == 4).then_some((place, shape))
            })
            .collect();
        shapes.sort();
        let ([(_, first), ..], [.., (_, last)]) = (&shapes[..], &shapes[..]) else {
            return Err("no `main.0.weight` of a DCGAN is in the file".to_string());
        };
        let doublings = shapes.len() - 1;
        let side = 4usize.checked_shl(doublings as u32).unwrap_or(0);
        let generates = state.contains_key("main.1.weight");
        let mut config = Self {
            spectral_norm: spectral,
            ..Self::default()
        };
        let channels = match generates {
            true => {
                (config.latent, config.generator_width) = (first[0], last[0]);
                last[1]
            }
            false => {
                config.discriminator_width = first[0];
                first[1]
            }
        };
        let image = InputSpec {
            channels,
            height: side,
            width: side,
        };
        let made = match generates {
            true => config
                .generator(image, 0, device)
                .map(|network| GanNetwork::Generator(network.into())),
            false => config
                .discriminator(image, 0, device)
                .map(|network| GanNetwork::Discriminator(network.into())),
        };
        made.map_err(|error| format!("{} convolutions: {error}", shapes.len()))
    }
}

impl DcganConfig {
    /// How often the side of 4 is doubled, after all that can be wrong has been looked at.
    fn check(&self, image: InputSpec) -> Result<usize, ModelError> {
        let model = || "dcgan".to_string();
        if let Some((key, message)) = self.problems().into_iter().next() {
            let model = model();
            return Err(ModelError::Option {
                model,
                key,
                message,
            });
        }
        if image.channels == 0 {
            return Err(ModelError::NoChannels { model: model() });
        }
        if image.height != image.width || !SIDES.contains(&image.height) {
            return Err(ModelError::InputSide {
                model: model(),
                sides: "8, 16, 32, 64 or 128",
                height: image.height,
                width: image.width,
            });
        }
        Ok((image.height / 4).ilog2() as usize)
    }
}

/// Makes images from latent vectors.
#[derive(Module, Debug)]
pub struct DcganGenerator {
    main: Named<Part>,
    latent: usize,
    classes: usize,
}

impl GeneratorArchitecture for DcganGenerator {
    fn latent(&self) -> usize {
        self.latent
    }

    fn classes(&self) -> usize {
        self.classes
    }

    fn forward(&self, z: Tensor<2>, classes: Option<Tensor<1, Int>>) -> Tensor<4> {
        let [count, latent] = z.dims();
        let z = match classes {
            Some(classes) if self.classes > 0 => {
                Tensor::cat(vec![z, one_hot(classes, self.classes)], 1)
            }
            _ => z,
        };
        let told = z.dims()[1] - latent;
        self.layers(z.reshape([count, latent + told, 1, 1]))
    }
}

impl DcganGenerator {
    /// `x` holds the latent vectors and, where there are any, the classes: `[N, latent + classes, 1, 1]`.
    fn layers(&self, mut x: Tensor<4>) -> Tensor<4> {
        for (place, (_, part)) in self.main.entries().iter().enumerate() {
            let last = place + 1 == self.main.entries().len();
            x = match part {
                Part::Norm(norm) => kernels::batch_norm_act(norm, x, Activation::Relu),
                convolution if last => {
                    kernels::activation(Activation::Tanh, convolution.forward(x))
                }
                convolution => convolution.forward(x),
            };
        }
        x
    }
}

/// Tells images of the dataset from generated ones.
#[derive(Module, Debug)]
pub struct DcganDiscriminator {
    main: Named<Part>,
    classes: usize,
}

impl DiscriminatorArchitecture for DcganDiscriminator {
    fn forward(&self, images: Tensor<4>, classes: Option<Tensor<1, Int>>) -> Tensor<1> {
        let [count, _, height, width] = images.dims();
        let x = match classes {
            Some(classes) if self.classes > 0 => {
                let maps = one_hot(classes, self.classes).reshape([count, self.classes, 1, 1]);
                let maps = maps.expand([count, self.classes, height, width]);
                Tensor::cat(vec![images, maps], 1)
            }
            _ => images,
        };
        self.layers(x).reshape([count])
    }
}

impl DcganDiscriminator {
    fn layers(&self, mut x: Tensor<4>) -> Tensor<4> {
        let leaky = Activation::LeakyRelu(SLOPE);
        let entries = self.main.entries();
        for (place, (_, part)) in entries.iter().enumerate() {
            let next = entries.get(place + 1).map(|(_, part)| part);
            x = match (part, next) {
                (Part::Norm(norm), _) => kernels::batch_norm_act(norm, x, leaky),
                // The last layer gives the score; before a norm the activation comes behind the norm.
                (convolution, None | Some(Part::Norm(_))) => convolution.forward(x),
                (convolution, _) => kernels::activation(leaky, convolution.forward(x)),
            };
        }
        x
    }
}

/// One layer with parameters.
#[derive(Module, Debug)]
#[allow(
    clippy::large_enum_variant,
    reason = "one value per layer; Module is not implemented for Box"
)]
enum Part {
    Transposed(ConvTranspose2d),
    Conv(Conv2d),
    Spectral(SpectralConv),
    Norm(BatchNorm),
}

impl Part {
    fn forward(&self, x: Tensor<4>) -> Tensor<4> {
        match self {
            Self::Transposed(layer) => kernels::conv_transpose2d(layer, x),
            Self::Conv(layer) => kernels::conv2d(layer, x),
            Self::Spectral(layer) => layer.forward(x),
            Self::Norm(layer) => kernels::batch_norm(layer, x),
        }
    }
}

/// A 4x4 transposed convolution: from one pixel to 4x4, or a doubling of the side.
fn transposed(before: usize, after: usize, doubles: bool, device: &Device) -> ConvTranspose2d {
    let config = ConvTranspose2dConfig::new([before, after], [4, 4])
        .with_bias(false)
        .with_initializer(Initializer::Normal {
            mean: 0.0,
            std: STD,
        });
    match doubles {
        true => config.with_stride([2, 2]).with_padding([1, 1]),
        false => config,
    }
    .init(device)
}

/// Batch normalisation with scales drawn around 1.
fn norm(channels: usize, device: &Device) -> BatchNorm {
    let mut norm = batch_norm(channels, device);
    let scale = Initializer::Normal {
        mean: 1.0,
        std: STD,
    };
    norm.gamma = scale.init([channels], device);
    norm
}

/// `[N]` class indices as `[N, classes]` of zeros and ones.
fn one_hot(classes: Tensor<1, Int>, count: usize) -> Tensor<2> {
    let rows = classes.dims()[0];
    let numbers = Tensor::<1, Int>::arange(0..count as i64, &classes.device());
    let numbers = numbers.unsqueeze_dim::<2>(0).expand([rows, count]);
    let classes = classes.unsqueeze_dim::<2>(1).expand([rows, count]);
    numbers.equal(classes).float()
}

impl TorchNames for DcganGenerator {}

impl TorchNames for DcganDiscriminator {
    fn torch_name(&self, path: &str) -> String {
        // The normalised convolution's fields under the names of PyTorch's `spectral_norm`.
        match path.strip_suffix(".conv.weight") {
            Some(place) => format!("{place}.weight_orig"),
            None => match path.strip_suffix(".u") {
                Some(place) => format!("{place}.weight_u"),
                None => path.replace(".conv.", "."),
            },
        }
    }
}

impl NamedOutputs for DcganGenerator {
    /// `output`, the images, from an input `[N, latent, 1, 1]`.
    fn named_outputs(&self, input: Tensor<4>) -> Vec<(String, TensorData)> {
        vec![("output".to_string(), self.layers(input).into_data())]
    }
}

impl NamedOutputs for DcganDiscriminator {
    /// `output`, the probability as PyTorch's example gives it, and `logits`, the score.
    fn named_outputs(&self, input: Tensor<4>) -> Vec<(String, TensorData)> {
        let logits = self.layers(input);
        vec![
            ("output".to_string(), sigmoid(logits.clone()).into_data()),
            ("logits".to_string(), logits.into_data()),
        ]
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::weights::{parameter_count, parameters};

    fn keys(module: &impl TorchNames) -> Vec<String> {
        parameters(module).into_iter().map(|p| p.name).collect()
    }

    #[test]
    fn the_published_network_has_pytorchs_keys_and_parameters() {
        let device = Device::flex();
        let config = DcganConfig::default();
        let generator = config.generator(InputSpec::rgb(64), 0, &device).unwrap();
        let discriminator = config
            .discriminator(InputSpec::rgb(64), 0, &device)
            .unwrap();
        // Counted by PyTorch for the example's defaults (nz = 100, ngf = ndf = 64, nc = 3).
        assert_eq!(parameter_count(&generator), 3_576_704);
        assert_eq!(parameter_count(&discriminator), 2_765_568);
        let names = keys(&generator);
        for key in [
            "main.0.weight",
            "main.1.running_var",
            "main.10.bias",
            "main.12.weight",
        ] {
            assert!(names.contains(&key.to_string()), "{key}: {names:?}");
        }
        let names = keys(&discriminator);
        for key in [
            "main.0.weight",
            "main.2.weight",
            "main.3.weight",
            "main.11.weight",
        ] {
            assert!(names.contains(&key.to_string()), "{key}: {names:?}");
        }
    }

    #[test]
    fn every_side_gives_images_of_its_size_and_one_score_each() {
        let device = Device::flex();
        for side in SIDES {
            for (conditional, spectral_norm) in [(false, false), (true, true)] {
                let config = DcganConfig {
                    latent: 5,
                    generator_width: 2,
                    discriminator_width: 3,
                    conditional,
                    spectral_norm,
                };
                let image = InputSpec {
                    channels: 2,
                    height: side,
                    width: side,
                };
                let generator = config.generator(image, 4, &device).unwrap();
                let discriminator = config.discriminator(image, 4, &device).unwrap();
                let z = Tensor::<2>::random(
                    [3, 5],
                    burn::tensor::Distribution::Normal(0.0, 1.0),
                    &device,
                );
                let classes = Tensor::<1, Int>::from_ints([0, 3, 1], &device);
                let images = generator.forward(z, Some(classes.clone()));
                assert_eq!(images.dims(), [3, 2, side, side]);
                assert_eq!(discriminator.forward(images, Some(classes)).dims(), [3]);
            }
        }
        let odd = InputSpec {
            channels: 1,
            height: 28,
            width: 28,
        };
        let error = DcganConfig::default()
            .generator(odd, 0, &device)
            .unwrap_err();
        assert!(error.to_string().contains("28x28"), "{error}");
    }

    #[test]
    fn weights_are_drawn_as_the_paper_says() {
        let device = Device::flex();
        device.seed(2);
        let generator = DcganConfig::default()
            .generator(InputSpec::rgb(32), 0, &device)
            .unwrap();
        let state = crate::weights::state_dict(&generator);
        for (name, mean) in [("main.3.weight", 0.0), ("main.1.weight", 1.0)] {
            let values = state[name].clone().try_to_vec::<f32>().unwrap();
            let n = values.len() as f64;
            let average = values.iter().map(|v| f64::from(*v)).sum::<f64>() / n;
            let square = values
                .iter()
                .map(|v| (f64::from(*v) - average).powi(2))
                .sum::<f64>()
                / n;
            assert!((average - mean).abs() < 0.004, "{name}: {average}");
            assert!(
                (square.sqrt() / STD - 1.0).abs() < 0.15,
                "{name}: {}",
                square.sqrt()
            );
        }
    }

    #[test]
    fn a_condition_changes_the_image_and_the_score() {
        let device = Device::flex();
        let config = DcganConfig {
            latent: 3,
            conditional: true,
            ..DcganConfig::default()
        };
        let generator = config.generator(InputSpec::gray(8), 2, &device).unwrap();
        let z = Tensor::<2>::ones([1, 3], &device);
        let class = |c| Some(Tensor::<1, Int>::from_ints([c], &device));
        let apart = generator.forward(z.clone(), class(0)) - generator.forward(z.clone(), class(1));
        assert!(apart.abs().max().into_scalar::<f32>() > 0.0);
        let discriminator = config
            .discriminator(InputSpec::gray(8), 2, &device)
            .unwrap();
        let image = generator.forward(z, class(0));
        let apart =
            discriminator.forward(image.clone(), class(0)) - discriminator.forward(image, class(1));
        assert!(apart.abs().max().into_scalar::<f32>() > 0.0);
    }
}
