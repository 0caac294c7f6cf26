//! Generators of images and their adversaries, one file per architecture. Adding one is a file that implements [`Gan`]
//! and a line in the list below.
//!
//! ```
//! use burn::tensor::{Device, Tensor};
//! use firesight_models::InputSpec;
//! use firesight_models::generation::GanConfig;
//!
//! let config = r#"{"dcgan": {"latent": 5, "generator-width": 4, "discriminator-width": 4}}"#;
//! let config: GanConfig = serde_json::from_str(config).unwrap();
//! let device = Device::default();
//! let (generator, discriminator) = config.init(InputSpec::gray(8), 0, &device)?;
//! let images = generator.forward(Tensor::zeros([2, config.latent()], &device), None);
//! assert_eq!(images.dims(), [2, 1, 8, 8]);
//! assert_eq!(discriminator.forward(images, None).dims(), [2]);
//! # Ok::<(), firesight_models::ModelError>(())
//! ```

pub mod dcgan;
mod spectral;

use burn::module::Module;
use burn::tensor::{Device, Int, Tensor, TensorData};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::family::{Entry, Family, each_architecture, list};
use crate::verify::NamedOutputs;
use crate::weights::{StateDict, TorchNames, unwrapped};
use crate::{InputSpec, ModelError};

pub use spectral::SpectralConv;

/// A pair of networks as published.
#[derive(Clone, Copy, Debug)]
pub struct PublishedGan {
    /// The parameters of both for images of `image`.
    pub parameters: usize,
    /// The images that they were published for.
    pub image: InputSpec,
    /// The smallest side in pixels of an image.
    pub minimum: usize,
}

/// A generator and its discriminator, as the options of a recipe.
pub trait Gan {
    /// Makes images.
    type Generator: GeneratorArchitecture;
    /// Judges them.
    type Discriminator: DiscriminatorArchitecture;

    /// What is wrong with the options: `(key inside the model's table, message)` pairs.
    fn problems(&self) -> Vec<(String, String)>;

    /// Numbers in a latent vector.
    fn latent(&self) -> usize;

    /// Whether both networks are told the class.
    fn conditional(&self) -> bool;

    /// Makes the generator with freshly drawn parameters; `classes` counts where the model is conditional.
    ///
    /// # Errors
    /// [`ModelError`] for options out of range and images of a size that the model does not make.
    fn generator(
        &self,
        image: InputSpec,
        classes: usize,
        device: &Device,
    ) -> Result<Self::Generator, ModelError>;

    /// Makes the discriminator, as [`Gan::generator`].
    ///
    /// # Errors
    /// As [`Gan::generator`].
    fn discriminator(
        &self,
        image: InputSpec,
        classes: usize,
        device: &Device,
    ) -> Result<Self::Discriminator, ModelError>;

    /// A freshly drawn network with the layers and widths of a state dict, whichever of the two that belongs to.
    ///
    /// # Errors
    /// What is missing, or has a shape that neither network has.
    fn fitting(state: &StateDict, device: &Device) -> Result<GanNetwork, String>;
}

/// A network that makes images from latent vectors.
pub trait GeneratorArchitecture: TorchNames + NamedOutputs {
    /// Numbers in a latent vector.
    fn latent(&self) -> usize;

    /// Classes that the generator is told; 0 where it is told none.
    fn classes(&self) -> usize;

    /// Images from latent vectors; `classes` is needed where the generator is conditional, and ignored elsewhere.
    ///
    /// # Shapes
    /// - `z`: `[N, latent]`, standard normal
    /// - `classes`: `[N]`
    /// - output: `[N, channels, side, side]`, from -1 to 1
    fn forward(&self, z: Tensor<2>, classes: Option<Tensor<1, Int>>) -> Tensor<4>;
}

/// A network that tells images of the dataset from generated ones.
pub trait DiscriminatorArchitecture: TorchNames + NamedOutputs {
    /// The score of each image, high for those of the dataset; the probability is its sigmoid. `classes` is needed
    /// where the discriminator is conditional, and ignored elsewhere.
    ///
    /// # Shapes
    /// - `images`: `[N, channels, side, side]`, from -1 to 1
    /// - `classes`: `[N]`
    /// - output: `[N]`
    fn forward(&self, images: Tensor<4>, classes: Option<Tensor<1, Int>>) -> Tensor<1>;
}

/// Names the pairs of networks. A line `file::{Config, Generator, Discriminator} { Variant name PUBLISHED }` needs those in
/// `file`: the config is a [`Gan`], and `PUBLISHED` a [`PublishedGan`].
macro_rules! gans {
    ($(#[$doc:meta] $file:ident::{$config:ident, $generator:ident, $discriminator:ident} {
        $variant:ident $name:ident $published:ident
    })+) => {
        /// A generator and its discriminator as a recipe names them: `model = "dcgan"`, or with options
        /// `model = { dcgan = { latent = 64 } }`.
        #[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
        #[serde(rename_all = "snake_case")]
        pub enum GanConfig {
            $(#[$doc] $variant($file::$config),)+
        }

        /// A generator of any architecture.
        #[derive(Module, Debug)]
        pub enum Generator {
            $(#[$doc] $variant($file::$generator),)+
        }

        /// A discriminator of any architecture.
        #[derive(Module, Debug)]
        pub enum Discriminator {
            $(#[$doc] $variant($file::$discriminator),)+
        }

        impl GanConfig {
            /// The model's name in a recipe.
            pub fn name(&self) -> &'static str {
                match self { $(Self::$variant(_) => stringify!($name),)+ }
            }

            /// Makes both networks with freshly drawn parameters for images of the given kind; `classes` counts where
            /// the model is conditional.
            ///
            /// # Errors
            /// [`ModelError`] for options out of range and images of a size that the model does not make.
            pub fn init(
                &self,
                image: InputSpec,
                classes: usize,
                device: &Device,
            ) -> Result<(Generator, Discriminator), ModelError> {
                match self {
                    $(Self::$variant(config) => Ok((
                        config.generator(image, classes, device)?.into(),
                        config.discriminator(image, classes, device)?.into(),
                    )),)+
                }
            }

            fn fitting(&self, state: &StateDict, device: &Device) -> Result<GanNetwork, String> {
                match self { $(Self::$variant(_) => <$file::$config>::fitting(state, device),)+ }
            }
        }

        impl Family for GanConfig {
            const TASK: &'static str = "generation";
            type Model = GanNetwork;

            fn registry() -> Vec<Entry<Self>> {
                vec![$(Entry {
                    name: stringify!($name),
                    family: stringify!($variant),
                    parameters: $file::$published.parameters,
                    input: $file::$published.image,
                    classes: 0,
                    minimum: $file::$published.minimum,
                    config: Self::$variant(Default::default()),
                }),+]
            }

            /// `name` is the pair's, or that of one network: `dcgan_generator`.
            fn for_weights(
                name: &str,
                weights: &StateDict,
                _: InputSpec,
                _: Option<usize>,
                device: &Device,
            ) -> Result<GanNetwork, ModelError> {
                let one = ["generator", "discriminator"].into_iter().find_map(|network| {
                    Some((name.strip_suffix(network)?.strip_suffix('_')?, network))
                });
                let (pair, asked) = one.map_or((name, None), |(pair, network)| (pair, Some(network)));
                let config = Self::named(pair)?;
                let wrong = |message| ModelError::Weights { model: name.to_string(), message };
                let network = config.fitting(&unwrapped(weights.clone()), device).map_err(wrong)?;
                let found = match &network {
                    GanNetwork::Generator(_) => "generator",
                    GanNetwork::Discriminator(_) => "discriminator",
                };
                match asked.is_none_or(|asked| asked == found) {
                    true => Ok(network),
                    false => Err(wrong(format!("the weights are those of a {found}; `{pair}` takes either"))),
                }
            }
        }

        each_architecture!(Generator { $($variant: $file::$generator)+ } each_generator);
        each_architecture!(Discriminator { $($variant: $file::$discriminator)+ } each_discriminator);

        /// Calls a function of the config inside.
        macro_rules! each_gan_config {
            ($self:expr, $gan:ident => $call:expr) => {
                match $self { $(GanConfig::$variant($gan) => $call,)+ }
            };
        }

        /// Hands the names of all generators to a macro.
        #[macro_export]
        macro_rules! each_gan {
            ($callback:ident) => { $callback! { $($file { $name })+ } };
        }
    };
}

gans! {
    /// DCGAN (Radford, Metz and Chintala 2015).
    dcgan::{DcganConfig, DcganGenerator, DcganDiscriminator} { Dcgan dcgan DCGAN }
}

list!(GanConfig);

impl GanConfig {
    /// What is wrong with the options: `(key inside the model's table, message)` pairs.
    pub fn problems(&self) -> Vec<(String, String)> {
        each_gan_config!(self, config => config.problems())
    }

    /// Numbers in a latent vector.
    pub fn latent(&self) -> usize {
        each_gan_config!(self, config => config.latent())
    }

    /// Whether both networks are told the class.
    pub fn conditional(&self) -> bool {
        each_gan_config!(self, config => config.conditional())
    }
}

impl Generator {
    /// Numbers in a latent vector.
    pub fn latent(&self) -> usize {
        each_generator!(self, model => model.latent())
    }

    /// Classes that the generator is told; 0 where it is told none.
    pub fn classes(&self) -> usize {
        each_generator!(self, model => model.classes())
    }

    /// See [`GeneratorArchitecture::forward`].
    pub fn forward(&self, z: Tensor<2>, classes: Option<Tensor<1, Int>>) -> Tensor<4> {
        each_generator!(self, model => model.forward(z, classes))
    }
}

impl Discriminator {
    /// See [`DiscriminatorArchitecture::forward`].
    pub fn forward(&self, images: Tensor<4>, classes: Option<Tensor<1, Int>>) -> Tensor<1> {
        each_discriminator!(self, model => model.forward(images, classes))
    }
}

/// Either network of a pair.
#[derive(Module, Debug)]
#[allow(
    clippy::large_enum_variant,
    reason = "one network at a time; Module is not implemented for Box"
)]
pub enum GanNetwork {
    /// A generator.
    Generator(Generator),
    /// A discriminator.
    Discriminator(Discriminator),
}

impl TorchNames for GanNetwork {
    fn torch_name(&self, path: &str) -> String {
        match self {
            Self::Generator(model) => model.torch_name(path),
            Self::Discriminator(model) => model.torch_name(path),
        }
    }
}

impl NamedOutputs for GanNetwork {
    fn named_outputs(&self, input: Tensor<4>) -> Vec<(String, TensorData)> {
        match self {
            Self::Generator(model) => each_generator!(model, model => model.named_outputs(input)),
            Self::Discriminator(model) => {
                each_discriminator!(model, model => model.named_outputs(input))
            }
        }
    }
}
