//! A trained model in use: weights, preprocessing and class names in one thing.
//!
//! ```no_run
//! use trainer::{device, predictor::Predictor};
//!
//! let predictor = Predictor::load("runs/digits-1".as_ref(), &device::select(None)?)?;
//! let image = predictor.read("five.png".as_ref())?;
//! let prediction = &predictor.classify(vec![image])?[0];
//! println!("{} ({:.1} %)", prediction[0].name, 100.0 * prediction[0].probability);
//! # anyhow::Ok(())
//! ```

use std::path::Path;

use burn::tensor::{Device, Tensor, TensorData};
use firesight_data::augment::{Augment, Pipeline, Resize};
use firesight_data::decode::{DecodeLimits, decode_file};
use firesight_data::normalize::Normalize;
use firesight_data::random::{Domain, stream};
use firesight_data::sample::{Image, Label, Sample};
use firesight_metrics::softmax;
use firesight_models::classification::Classifier;
use firesight_models::weights::load_state_dict;
use serde::Serialize;

use crate::card::ModelCard;
use crate::device::NamedDevice;
use crate::engine::{self, Weights};
use crate::experiment::normalize;
use crate::recipe::{Recipe, TaskConfig};
use crate::run_folder::{ModelPath, RECIPE_FILE};
use crate::task::best;

/// A class with its probability.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Guess {
    /// Its index.
    pub class: usize,
    /// Its name.
    pub name: String,
    /// From 0 to 1; all classes together give 1.
    pub probability: f64,
}

/// A trained classifier, ready for images.
pub struct Predictor {
    model: Classifier,
    device: Device,
    card: ModelCard,
    recipe: Recipe,
    prepare: Pipeline,
    normalize: Normalize,
    weights: Weights,
    path: ModelPath,
}

impl Predictor {
    /// Loads a run folder's best (else last) checkpoint, or a checkpoint folder; the averaged weights
    /// where the run kept them.
    ///
    /// # Errors
    /// A path that is neither, a damaged checkpoint, weights that do not fit; each names the file.
    pub fn load(path: &Path, device: &NamedDevice) -> anyhow::Result<Self> {
        let path = ModelPath::find(path)?;
        let card = ModelCard::read(&path.checkpoint)?;
        let recipe = path.checkpoint.join(RECIPE_FILE);
        let recipe = firesight_recipe::read::<Recipe>(&recipe, &[])?.value;
        let mut checkpoint = engine::load(&path.checkpoint)?;
        let state = checkpoint
            .networks
            .remove("model")
            .ok_or_else(|| anyhow::anyhow!("{}: no network `model`", path.checkpoint.display()))?;
        let (values, weights) = match state.ema {
            Some(ema) => (ema, Weights::Ema),
            None => (state.weights, Weights::Current),
        };
        let TaskConfig::Classification(config) = &recipe.task;
        let model = config
            .model
            .init(card.input(), card.classes.len(), &device.device)?;
        let model = load_state_dict(model, &values)
            .map_err(|error| anyhow::anyhow!("{}: {error}", path.checkpoint.display()))?;
        Ok(Self {
            model,
            device: device.device.clone(),
            prepare: Pipeline::new(recipe.data.prepare.clone()),
            normalize: normalize(&recipe, card.channels),
            card,
            recipe,
            weights,
            path,
        })
    }

    /// Class names by index.
    pub fn classes(&self) -> &[String] {
        &self.card.classes
    }

    /// What the model knows of its input.
    pub fn card(&self) -> &ModelCard {
        &self.card
    }

    /// The network itself.
    pub fn model(&self) -> &Classifier {
        &self.model
    }

    /// The recipe that it was trained with.
    pub fn recipe(&self) -> &Recipe {
        &self.recipe
    }

    /// Where the weights come from, in words.
    pub fn origin(&self) -> String {
        let average = match self.weights {
            Weights::Ema => ", averaged weights",
            Weights::Current => "",
        };
        format!(
            "{} ({}{average})",
            self.path.checkpoint.display(),
            self.path.which
        )
    }

    /// Reads an image file as the model wants it: oriented, grey or RGB.
    ///
    /// # Errors
    /// A file that is missing, damaged or no image.
    pub fn read(&self, path: &Path) -> anyhow::Result<Image> {
        let image = decode_file(path, &DecodeLimits::default())?;
        Ok(with_channels(image, self.card.channels))
    }

    /// Classifies images; for each, every class with its probability, the best first.
    ///
    /// # Errors
    /// An image that cannot be prepared.
    pub fn classify(&self, images: Vec<Image>) -> anyhow::Result<Vec<Vec<Guess>>> {
        if images.is_empty() {
            return Ok(Vec::new());
        }
        let count = self.card.classes.len();
        let logits = self.model.forward(self.batch(images)?);
        let logits: Vec<f32> = logits.into_data().iter::<f32>().collect();
        let probabilities = softmax(&logits, count);
        let rows = probabilities.chunks_exact(count).map(|row| {
            let sorted = best(row, count).into_iter();
            let guess = |(class, probability)| Guess {
                class,
                name: self.card.classes[class].clone(),
                probability,
            };
            sorted.map(guess).collect()
        });
        Ok(rows.collect())
    }

    /// The features before the head, `[N, features]` row by row, and how many there are.
    ///
    /// # Errors
    /// An image that cannot be prepared.
    pub fn features(&self, images: Vec<Image>) -> anyhow::Result<(Vec<f32>, usize)> {
        let features = self.model.features(self.batch(images)?);
        let [_, width] = features.dims();
        Ok((features.into_data().iter::<f32>().collect(), width))
    }

    fn batch(&self, images: Vec<Image>) -> anyhow::Result<Tensor<4>> {
        let (height, width) = (self.card.height, self.card.width);
        let fit = Pipeline::new(vec![Augment::Resize(Resize { width, height })]);
        let count = images.len();
        let mut values = Vec::with_capacity(count * self.card.channels * height * width);
        for image in images {
            let sample = Sample {
                image,
                label: Label::None,
            };
            // Preparation draws nothing; the stream is there because the pipeline asks for one.
            let mut rng = stream(0, 0, 0, Domain::Sample);
            let mut image = self.prepare.apply(sample, &mut rng)?.image;
            if (image.height, image.width) != (height, width) {
                // Datasets of one size need no preparation of their own; a picture of another size
                // is brought to what the model was trained on.
                let sample = Sample {
                    image,
                    label: Label::None,
                };
                image = fit.apply(sample, &mut rng)?.image;
            }
            values.extend(self.normalize.apply(&image));
        }
        let shape = [count, self.card.channels, height, width];
        Ok(Tensor::from_data(
            TensorData::new(values, shape),
            &self.device,
        ))
    }
}

/// Grey or RGB as asked for; grey is the luma of ITU-R BT.601, as Pillow's `convert("L")` has it.
fn with_channels(image: Image, channels: usize) -> Image {
    let pixels = match (image.channels, channels) {
        (3, 1) => image
            .pixels
            .chunks_exact(3)
            .map(|p| {
                let [r, g, b] = [u32::from(p[0]), u32::from(p[1]), u32::from(p[2])];
                ((r * 19595 + g * 38470 + b * 7471 + 0x8000) >> 16) as u8
            })
            .collect(),
        (1, 3) => image.pixels.iter().flat_map(|&grey| [grey; 3]).collect(),
        _ => return image,
    };
    Image {
        channels,
        pixels,
        ..image
    }
}
