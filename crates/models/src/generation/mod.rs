//! Generators of images and their adversaries, one file per architecture.
//!
//! ```
//! use burn::tensor::{Device, Tensor};
//! use firesight_models::classification::InputSpec;
//! use firesight_models::generation::GanConfig;
//!
//! let config = r#"{"dcgan": {"latent": 5, "generator-width": 4, "discriminator-width": 4}}"#;
//! let config: GanConfig = serde_json::from_str(config).unwrap();
//! let device = Device::default();
//! let (generator, discriminator) = config.init(InputSpec::grey(8), 0, &device)?;
//! let images = generator.forward(Tensor::zeros([2, config.latent()], &device), None);
//! assert_eq!(images.dims(), [2, 1, 8, 8]);
//! assert_eq!(discriminator.forward(images, None).dims(), [2]);
//! # Ok::<(), firesight_models::ModelError>(())
//! ```

pub mod dcgan;
mod spectral;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::ModelError;
use crate::classification::InputSpec;
use dcgan::{DcganConfig, Discriminator, Generator};

pub use spectral::SpectralConv;

/// A generator and its discriminator as a recipe names them: `model = "dcgan"`, or with options
/// `model = { dcgan = { latent = 64 } }`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub enum GanConfig {
    /// DCGAN (Radford, Metz and Chintala 2015).
    Dcgan(DcganConfig),
}

impl GanConfig {
    /// The model's name in a recipe.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Dcgan(_) => "dcgan",
        }
    }

    /// What is wrong with the options: `(key inside the model's table, message)` pairs.
    pub fn problems(&self) -> Vec<(String, String)> {
        match self {
            Self::Dcgan(config) => config.problems(),
        }
    }

    /// Numbers in a latent vector.
    pub fn latent(&self) -> usize {
        match self {
            Self::Dcgan(config) => config.latent,
        }
    }

    /// Whether both networks are told the class.
    pub fn conditional(&self) -> bool {
        match self {
            Self::Dcgan(config) => config.conditional,
        }
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
        device: &burn::tensor::Device,
    ) -> Result<(Generator, Discriminator), ModelError> {
        let Self::Dcgan(config) = self;
        Ok((
            config.generator(image, classes, device)?,
            config.discriminator(image, classes, device)?,
        ))
    }
}
