//! A generator in use: images of latent vectors that are drawn, or that lie between drawn ones.

use std::path::Path;

use burn::tensor::{Tensor, TensorData};
use firesight_data::sample::Image;
use firesight_models::generation::Generator;
use firesight_models::weights::{StateDict, write_safetensors};
use firesight_predict::{Predictor, latent};

use super::pictures;
use crate::task::predict::setting;

/// What is to be generated.
#[derive(Clone, Copy, Debug)]
pub struct Generate {
    /// How many images; with `interpolate`, how many ways through the latent space.
    pub count: usize,
    /// The same seed gives the same images.
    pub seed: u64,
    /// Draws each latent number anew until it is no further than this from 0, 0.05 or more.
    pub truncation: Option<f64>,
    /// Images on each way from one latent vector to another, 2 or more.
    pub interpolate: Option<usize>,
    /// The class by its index, where the model is conditional; all in turn if not given.
    pub class: Option<usize>,
}

/// The most images at once.
pub const MOST: usize = 65_536;
/// The most values of all images together: 2 GiB.
const VALUES: usize = 1 << 29;

impl Generate {
    /// So many images of a seed.
    pub fn new(count: usize, seed: u64) -> Self {
        Self {
            count,
            seed,
            truncation: None,
            interpolate: None,
            class: None,
        }
    }

    /// The number of images.
    pub fn images(&self) -> usize {
        self.count.saturating_mul(self.interpolate.unwrap_or(1))
    }

    /// The columns of a grid of the images: one for each class or for each step of a way, else about as many as rows.
    pub fn columns(&self, generator: &Generator) -> usize {
        match (self.interpolate, self.class) {
            (Some(steps), _) => steps,
            (None, Some(_)) => pictures::columns(self.count, 1),
            (None, None) => pictures::columns(self.count, generator.classes()),
        }
    }

    /// Generates.
    ///
    /// # Errors
    /// A model that does not generate; what is out of range ([`firesight_predict::PredictError::Setting`]).
    pub fn by(&self, predictor: &Predictor) -> crate::Result<Generated> {
        let generator = predictor.generator()?;
        self.check(predictor, generator)?;
        let (conditions, latent) = (self.conditions(generator), self.latent(generator));
        Ok(Generated {
            images: latent::generate(generator, &latent, &conditions, predictor.device()),
            latent,
            columns: self.columns(generator),
            seed: self.seed,
        })
    }

    fn check(&self, predictor: &Predictor, generator: &Generator) -> crate::Result<()> {
        let images = self.images();
        let card = predictor.card();
        let most = VALUES / (card.channels * card.height * card.width).max(1);
        let most = most.min(MOST);
        if images == 0 || images > most {
            let message = format!("{images} images at once; from 1 to {most} are possible");
            return Err(setting("count", message));
        }
        if self.interpolate.is_some_and(|steps| steps < 2) {
            return Err(setting("interpolate", "a way has 2 images or more"));
        }
        if let Some(limit) = self
            .truncation
            .filter(|limit| !(0.05..f64::INFINITY).contains(limit))
        {
            let message = format!(
                "{limit} is out of range; give 0.05 or more: 2 keeps 95 % of the draws, 0.5 is strong"
            );
            return Err(setting("truncation", message));
        }
        match (self.class, generator.classes()) {
            (Some(class), 0) => {
                let message = format!("{class}: the model was not trained with classes");
                Err(setting("class", message))
            }
            (Some(class), classes) if class >= classes => {
                let message = format!("{class}: the model has the classes 0 to {}", classes - 1);
                Err(setting("class", message))
            }
            _ => Ok(()),
        }
    }

    /// The classes that are told in turn; none where the model is not conditional.
    fn conditions(&self, generator: &Generator) -> Vec<usize> {
        let classes = match self.class {
            Some(class) => class..class + 1,
            None => 0..generator.classes(),
        };
        // The class stays the same on the whole way.
        let steps = self.interpolate.unwrap_or(1);
        classes
            .flat_map(|class| std::iter::repeat_n(class, steps))
            .collect()
    }

    /// The latent vectors one behind the other.
    fn latent(&self, generator: &Generator) -> Vec<f32> {
        let width = generator.latent();
        let draw = |count| latent::draw(self.seed, 0, count, width, self.truncation);
        match self.interpolate {
            None => draw(self.count),
            Some(steps) => {
                let ends = draw(2 * self.count);
                let ways = ends.chunks(2 * width).map(|pair| pair.split_at(width));
                ways.flat_map(|(from, to)| latent::between(from, to, steps))
                    .collect()
            }
        }
    }
}

/// Generated images.
pub struct Generated {
    /// `[N, C, H, W]`, from -1 to 1.
    pub images: Tensor<4>,
    /// The latent vectors that they come from, one behind the other.
    pub latent: Vec<f32>,
    columns: usize,
    seed: u64,
}

impl Generated {
    /// Each image, rounded to 8 bits.
    pub fn pictures(&self) -> Vec<Image> {
        pictures::images(self.images.clone())
    }

    /// All images in a grid.
    pub fn grid(&self) -> Image {
        pictures::grid(&self.pictures(), self.columns)
    }

    /// Writes the tensors `images` `[N, C, H, W]` and `latent` `[N, numbers]` as safetensors.
    ///
    /// # Errors
    /// A file that cannot be written.
    pub fn save(self, path: impl AsRef<Path>) -> crate::Result<()> {
        let count = self.images.dims()[0];
        let shape = [count, self.latent.len() / count];
        let tensors = StateDict::from([
            ("images".to_owned(), self.images.into_data()),
            ("latent".to_owned(), TensorData::new(self.latent, shape)),
        ]);
        let about = [
            ("seed".to_owned(), self.seed.to_string()),
            ("range".to_owned(), "-1 to 1".to_owned()),
        ];
        Ok(write_safetensors(&tensors, path.as_ref(), &about.into())?)
    }
}
