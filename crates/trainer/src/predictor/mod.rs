//! A trained model in use: weights, preprocessing and class names in one thing.
//!
//! ```
//! # use clap::Parser;
//! use trainer::{device, predictor::Predictor};
//!
//! # let folder = tempfile::tempdir()?;
//! # let (recipe, run) = (folder.path().join("digits.toml"), folder.path().join("run"));
//! # std::fs::write(&recipe, "
//! #     epochs = 1
//! #     max-steps = 2
//! #     data = { source = { digits = {} }, batch-size = 64 }
//! #     task = { classification = { model = { cnn = { channels = [4] } } } }
//! #     optimizer = { sgd = { learning-rate = 0.1 } }
//! # ")?;
//! # let (recipe, out) = (recipe.display().to_string(), run.display().to_string());
//! # trainer::cli::run(trainer::cli::Cli::parse_from(["trainer", "train", &recipe, "--out", &out]));
//! // `run` is a run folder: `trainer train` made it.
//! let predictor = Predictor::load(&run, &device::select(None)?)?;
//! # let five = std::fs::read_dir(run.join("preview"))?.next().unwrap()?.path();
//! let image = predictor.read(&five)?;
//! let prediction = &predictor.classify(vec![image])?[0];
//! println!("{} ({:.1} %)", prediction[0].name, 100.0 * prediction[0].probability);
//! # assert_eq!(prediction.len(), 10);
//! # anyhow::Ok(())
//! ```

mod classification;
mod detection;
mod export;
mod generation;
mod segmentation;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use burn::tensor::{Device, Tensor, TensorData};
use firesight_data::augment::{Augment, Pipeline, Resize};
use firesight_data::decode::{DecodeLimits, decode, decode_file};
use firesight_data::normalize::Normalize;
use firesight_data::random::{Domain, stream};
use firesight_data::sample::{Image, Label, Sample};
use firesight_models::classification::Classifier;
use firesight_models::detection::Detector;
use firesight_models::generation::dcgan::Generator;
use firesight_models::segmentation::Segmenter;
use firesight_models::weights::{
    StateDict, TorchNames, digest, load_state_dict, save_safetensors, state_dict,
};

pub use classification::Guess;
pub use detection::Found;
pub use export::Sidecar;
pub use segmentation::Segmentation;

use crate::card::ModelCard;
use crate::device::NamedDevice;
use crate::engine::{self, NetworkState, Weights};
use crate::experiment::normalize;
use crate::recipe::Recipe;
use crate::run_folder::{ModelPath, RECIPE_FILE};

/// A trained network, by what it is good for.
pub enum Model {
    /// One class per image.
    Classifier(Box<Classifier>),
    /// A class for every pixel.
    Segmenter(Box<Segmenter>),
    /// Boxes around objects.
    Detector(Box<Detector>),
    /// Images from latent vectors.
    Generator(Box<Generator>),
}

impl Model {
    /// What the model does, for messages: `classifies images`.
    fn does(&self) -> &'static str {
        match self {
            Self::Classifier(_) => "classifies images",
            Self::Segmenter(_) => "segments images",
            Self::Detector(_) => "finds objects",
            Self::Generator(_) => "generates images (`trainer generate`)",
        }
    }

    /// The SHA-256 of the weights: of names, types, shapes and numbers.
    pub fn digest(&self) -> String {
        let weights = match self {
            Self::Classifier(model) => state_dict(model.as_ref()),
            Self::Segmenter(model) => state_dict(model.as_ref()),
            Self::Detector(model) => state_dict(model.as_ref()),
            Self::Generator(model) => state_dict(model.as_ref()),
        };
        digest(&weights)
    }

    /// Writes the weights as safetensors under PyTorch's names.
    ///
    /// # Errors
    /// A file that cannot be written.
    pub fn save(&self, path: &Path, metadata: &BTreeMap<String, String>) -> anyhow::Result<()> {
        match self {
            Self::Classifier(model) => save_safetensors(model.as_ref(), path, metadata)?,
            Self::Segmenter(model) => save_safetensors(model.as_ref(), path, metadata)?,
            Self::Detector(model) => save_safetensors(model.as_ref(), path, metadata)?,
            Self::Generator(model) => save_safetensors(model.as_ref(), path, metadata)?,
        }
        Ok(())
    }
}

/// The networks of a checkpoint, for a task to take what predicts.
pub struct TrainedWeights {
    checkpoint: PathBuf,
    networks: BTreeMap<String, NetworkState>,
    which: Weights,
    /// The one network of an exported file, whatever its name.
    exported: Option<StateDict>,
}

impl TrainedWeights {
    /// Puts a network's weights into a freshly built module: the average where the run kept one.
    ///
    /// # Errors
    /// A network that is not there, weights that do not fit; each names the checkpoint.
    pub fn load<M: TorchNames>(&mut self, network: &str, module: M) -> anyhow::Result<M> {
        let path = self.checkpoint.display();
        if let Some(values) = self.exported.take() {
            return load_state_dict(module, &values)
                .map_err(|error| anyhow::anyhow!("{path}: {error}"));
        }
        let state = self
            .networks
            .remove(network)
            .ok_or_else(|| anyhow::anyhow!("{path}: no network `{network}`"))?;
        let values = match state.ema {
            Some(average) => {
                self.which = Weights::Ema;
                average
            }
            None => state.weights,
        };
        load_state_dict(module, &values).map_err(|error| anyhow::anyhow!("{path}: {error}"))
    }
}

/// A trained model, ready for images.
pub struct Predictor {
    model: Model,
    device: Device,
    card: ModelCard,
    recipe: Recipe,
    prepare: Pipeline,
    normalize: Normalize,
    weights: Weights,
    path: ModelPath,
}

impl Predictor {
    /// Loads a run folder's best (else last) checkpoint, or a checkpoint folder, the averaged weights
    /// where the run kept them; or a `.safetensors` file that `trainer export` wrote, with its `.json` beside it.
    ///
    /// # Errors
    /// A path that is none of these, a damaged checkpoint, weights that do not fit; each names the file.
    pub fn load(path: &Path, device: &NamedDevice) -> anyhow::Result<Self> {
        if path
            .extension()
            .is_some_and(|ending| ending == "safetensors")
        {
            return Self::load_export(path, device);
        }
        let path = ModelPath::find(path)?;
        let card = ModelCard::read(&path.checkpoint)?;
        let recipe = path.checkpoint.join(RECIPE_FILE);
        let recipe = firesight_recipe::read::<Recipe>(&recipe, &[])?.value;
        let weights = TrainedWeights {
            networks: engine::load(&path.checkpoint)?
                .networks
                .into_iter()
                .collect(),
            checkpoint: path.checkpoint.clone(),
            which: Weights::Current,
            exported: None,
        };
        Self::assemble(path, card, recipe, weights, device)
    }

    fn load_export(path: &Path, device: &NamedDevice) -> anyhow::Result<Self> {
        let (card, recipe, sha256) = export::read(path)?;
        let exported = firesight_models::weights::read(path)?;
        export::check_digest(path, sha256.as_deref(), &digest(&exported))?;
        let weights = TrainedWeights {
            checkpoint: path.to_path_buf(),
            networks: BTreeMap::new(),
            which: Weights::Current,
            exported: Some(exported),
        };
        let path = ModelPath {
            checkpoint: path.to_path_buf(),
            run: None,
            which: "exported",
        };
        Self::assemble(path, card, recipe, weights, device)
    }

    fn assemble(
        path: ModelPath,
        card: ModelCard,
        recipe: Recipe,
        mut weights: TrainedWeights,
        device: &NamedDevice,
    ) -> anyhow::Result<Self> {
        let task = recipe.task.table();
        let model = task.load(&card, &mut weights, &device.device)?;
        Ok(Self {
            model,
            device: device.device.clone(),
            prepare: Pipeline::new(recipe.data.prepare.clone()),
            normalize: normalize(&recipe, card.channels),
            card,
            recipe,
            weights: weights.which,
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
    pub fn model(&self) -> &Model {
        &self.model
    }

    /// The recipe that it was trained with.
    pub fn recipe(&self) -> &Recipe {
        &self.recipe
    }

    /// The device that it computes on.
    pub fn device(&self) -> &Device {
        &self.device
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

    /// Decodes the bytes of an image file as the model wants it; `origin` is how messages name it.
    ///
    /// # Errors
    /// What is damaged or no image.
    pub fn decode(&self, bytes: &[u8], origin: &str) -> anyhow::Result<Image> {
        let image = decode(bytes, origin, &DecodeLimits::default())?;
        Ok(with_channels(image, self.card.channels))
    }

    /// Images as the model's input, `[N, C, H, W]`: prepared as in training, normalised, on the device.
    ///
    /// # Errors
    /// An image that cannot be prepared.
    pub(crate) fn batch(&self, images: Vec<Image>) -> anyhow::Result<Tensor<4>> {
        self.input(images, &self.prepare, 0)
    }

    /// The same with the recipe's augmentations drawn as well, `copy` by `copy` others; the same each time.
    ///
    /// # Errors
    /// An image that cannot be prepared.
    pub(crate) fn augmented(&self, images: Vec<Image>, copy: u64) -> anyhow::Result<Tensor<4>> {
        let data = &self.recipe.data;
        let steps = data.prepare.iter().chain(&data.augment).cloned();
        self.input(images, &Pipeline::new(steps.collect()), copy)
    }

    fn input(
        &self,
        images: Vec<Image>,
        pipeline: &Pipeline,
        copy: u64,
    ) -> anyhow::Result<Tensor<4>> {
        let (height, width) = (self.card.height, self.card.width);
        let fit = Pipeline::new(vec![Augment::Resize(Resize { width, height })]);
        let count = images.len();
        let mut values = Vec::with_capacity(count * self.card.channels * height * width);
        for image in images {
            let sample = Sample {
                image,
                label: Label::None,
            };
            // Preparation draws nothing, augmentation the same for every image of a copy.
            let mut rng = stream(self.recipe.seed, copy, 0, Domain::Sample);
            let mut image = pipeline.apply(sample, &mut rng)?.image;
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
pub(crate) fn with_channels(image: Image, channels: usize) -> Image {
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
