//! A trained model in use: weights, preprocessing and class names in one thing.
//!
//! ```
//! use firesight::{device, predictor::Predictor};
//!
//! # let folder = tempfile::tempdir()?;
//! # let run = folder.path().join("run");
//! # let recipe = firesight::recipe::read_str("
//! #     epochs = 1
//! #     max-steps = 2
//! #     data = { source = { digits = {} }, batch-size = 64 }
//! #     task = { classification = { model = { cnn = { channels = [4] } } } }
//! #     optimizer = { sgd = { learning-rate = 0.1 } }
//! # ", "digits.toml")?;
//! # let options = firesight::train::Options::new(device::select(None)?);
//! # firesight::train::train(&recipe, options.out(&run))?;
//! // `run` is a run folder: `train` made it.
//! let predictor = Predictor::load(&run, &device::select(None)?)?;
//! # let five = std::fs::read_dir(run.join("preview"))?.next().unwrap()?.path();
//! let image = predictor.read(&five)?;
//! let prediction = &predictor.classify(vec![image])?[0];
//! println!("{} ({:.1} %)", prediction[0].name, 100.0 * prediction[0].probability);
//! # assert_eq!(prediction.len(), 10);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod classification;
mod detection;
mod export;
mod generation;
mod picture;
mod segmentation;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use crate::error::Context;
use burn::tensor::{Device, Tensor, TensorData};
use firesight_data::augment::{Pipeline, Preparation, Prepare, Resize};
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
pub use picture::PictureError;
pub use segmentation::Segmentation;

use crate::card::ModelCard;
use crate::device::NamedDevice;
use crate::experiment::normalize;
use crate::recipe::Recipe;
use crate::run_folder::{ModelPath, RECIPE_FILE};
use firesight_engine::{self as engine, NetworkState, Weights};

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
    pub fn does(&self) -> &'static str {
        match self {
            Self::Classifier(_) => "classifies images",
            Self::Segmenter(_) => "segments images",
            Self::Detector(_) => "finds objects",
            Self::Generator(_) => "generates images (the command `generate`)",
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
    pub fn save(&self, path: &Path, metadata: &BTreeMap<String, String>) -> crate::Result<()> {
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
    pub fn load<M: TorchNames>(&mut self, network: &str, module: M) -> crate::Result<M> {
        let path = self.checkpoint.display();
        if let Some(values) = self.exported.take() {
            return load_state_dict(module, &values)
                .map_err(|error| crate::Error::from(error).context(path));
        }
        let state = self
            .networks
            .remove(network)
            .ok_or_else(|| crate::Error::new(format!("{path}: no network `{network}`")))?;
        let values = match state.ema {
            Some(average) => {
                self.which = Weights::Ema;
                average
            }
            None => state.weights,
        };
        load_state_dict(module, &values).map_err(|error| crate::Error::from(error).context(path))
    }
}

/// A trained model, ready for images.
pub struct Predictor {
    model: Model,
    device: Device,
    card: ModelCard,
    recipe: Recipe,
    prepare: Preparation,
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
    pub fn load(path: &Path, device: &NamedDevice) -> crate::Result<Self> {
        if path
            .extension()
            .is_some_and(|ending| ending == "safetensors")
        {
            return Self::load_export(path, device);
        }
        let path = ModelPath::find(path)?;
        let card = ModelCard::read(&path.checkpoint)?;
        let loaded = crate::recipe::read(&path.checkpoint.join(RECIPE_FILE), &[])?;
        let origin = path.checkpoint.join(ModelCard::FILE);
        crate::stored::same_model(&card, &loaded).context(origin.display().to_string())?;
        let recipe = loaded.value;
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

    fn load_export(path: &Path, device: &NamedDevice) -> crate::Result<Self> {
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
    ) -> crate::Result<Self> {
        let task = recipe.task.table();
        let model = task.load(&card, &mut weights, &device.device)?;
        Ok(Self {
            model,
            device: device.device.clone(),
            prepare: Preparation::new(&recipe.data.prepare),
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
    /// A file that is missing, damaged or no image; a picture that the model cannot take, with a [`PictureError`].
    pub fn read(&self, path: &Path) -> crate::Result<Image> {
        let image = decode_file(path, &DecodeLimits::default())?;
        self.fitting(image, &path.display().to_string())
    }

    /// Decodes the bytes of an image file as the model wants it; `origin` is how messages name it.
    ///
    /// # Errors
    /// What is damaged or no image; a picture that the model cannot take, with a [`PictureError`].
    pub fn decode(&self, bytes: &[u8], origin: &str) -> crate::Result<Image> {
        let image = decode(bytes, origin, &DecodeLimits::default())?;
        self.fitting(image, origin)
    }

    fn fitting(&self, image: Image, origin: &str) -> crate::Result<Image> {
        let image = with_channels(image, self.card.channels);
        self.check(&image).with_context(|| origin.to_owned())?;
        Ok(image)
    }

    /// Whether the model can take a picture; every use of the predictor asks this first.
    ///
    /// # Errors
    /// [`PictureError`]: no pixels, other channels, a buffer that is not as its size says, a side beyond 16,384 pixels.
    pub fn check(&self, image: &Image) -> Result<(), PictureError> {
        picture::check(image, self.card.channels)
    }

    /// Images as the model's input, `[N, C, H, W]`: prepared as in training, normalised, on the device.
    ///
    /// # Errors
    /// An image that cannot be prepared.
    pub(crate) fn batch(&self, images: Vec<Image>) -> crate::Result<Tensor<4>> {
        self.input(images, &self.prepare.then(&[]), 0)
    }

    /// The same with the recipe's augmentations drawn as well, `copy` by `copy` others; the same each time.
    ///
    /// # Errors
    /// An image that cannot be prepared.
    pub(crate) fn augmented(&self, images: Vec<Image>, copy: u64) -> crate::Result<Tensor<4>> {
        let data = &self.recipe.data;
        self.input(images, &self.prepare.then(&data.augment), copy)
    }

    fn input(
        &self,
        images: Vec<Image>,
        pipeline: &Pipeline,
        copy: u64,
    ) -> crate::Result<Tensor<4>> {
        let (height, width) = (self.card.height, self.card.width);
        let fit = Preparation::new(&[Prepare::Resize(Resize { width, height })]);
        let count = images.len();
        let mut values = Vec::with_capacity(count * self.card.channels * height * width);
        for image in images {
            self.check(&image)?;
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
                image = fit.apply(sample)?.image;
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

#[cfg(test)]
mod tests {
    use firesight_models::weights::state_dict;

    use super::*;
    use crate::recipe::TaskConfig;

    /// A predictor with untrained weights, for RGB pictures of 32x32.
    fn predictor(task: &str, prepare: &str) -> Predictor {
        let text = format!(
            "epochs = 1\ndata = {{ source = {{ digits = {{}} }}, batch-size = 8, prepare = {prepare} }}\n\
             optimizer = {{ sgd = {{}} }}\ntask = {{ {task} }}\n"
        );
        let recipe = crate::recipe::read_str(&text, "r.toml").unwrap().value;
        let device = crate::device::select(Some("cpu")).unwrap();
        let card = ModelCard {
            task: recipe.task.table().name().to_owned(),
            model: recipe.task.table().model_name(),
            classes: vec!["a".into(), "b".into()],
            channels: 3,
            height: 32,
            width: 32,
        };
        let (input, target) = (card.input(), &device.device);
        let weights = match &recipe.task {
            TaskConfig::Classification(c) => state_dict(&c.model.init(input, 2, target).unwrap()),
            TaskConfig::Segmentation(c) => state_dict(&c.model.init(3, 2, target).unwrap()),
            TaskConfig::Detection(c) => state_dict(&c.model.init(input, 2, target).unwrap()),
            TaskConfig::Generation(c) => state_dict(&c.model.init(input, 2, target).unwrap().0),
        };
        let weights = TrainedWeights {
            checkpoint: "memory".into(),
            networks: BTreeMap::new(),
            which: Weights::Current,
            exported: Some(weights),
        };
        let path = ModelPath {
            checkpoint: "memory".into(),
            run: None,
            which: "exported",
        };
        Predictor::assemble(path, card, recipe, weights, &device).unwrap()
    }

    fn image(width: usize, height: usize, channels: usize) -> Image {
        Image {
            width,
            height,
            channels,
            pixels: vec![7; width * height * channels],
        }
    }

    const CLASSIFIER: &str =
        "classification = { model = { cnn = { channels = [4], hidden = [4] } } }";
    const SEGMENTER: &str = "segmentation = { model = { unet = { channels = [4, 4, 4, 4] } } }";
    const DETECTOR: &str = "detection = { model = { retinanet = { backbone = \"resnet18\", channels = 16, levels = 3, \
                            head-depth = 1 } } }";

    /// What a library's caller hands in is an error of a kind of its own, or is used; nothing panics.
    #[test]
    fn a_picture_that_does_not_fit_is_an_error() {
        type Use = fn(&Predictor, Image) -> crate::Result<()>;
        let uses: [(&str, Use); 3] = [
            (CLASSIFIER, |p, image| {
                p.features(vec![image.clone()])?;
                p.classify(vec![image]).map(drop)
            }),
            (SEGMENTER, |p, image| {
                let settings = p.segmentation_settings()?;
                p.segment(&image, &settings).map(drop)
            }),
            (DETECTOR, |p, image| p.detect(vec![image], None).map(drop)),
        ];
        let crop =
            "[{ resize-shortest = { size = 40 } }, { centre-crop = { width = 32, height = 32 } }]";
        for (task, used) in uses {
            for prepare in ["[]", crop] {
                let predictor = predictor(task, prepare);
                for [width, height] in [[1, 1], [32, 32], [1, 60], [60, 1], [3, 2]] {
                    used(&predictor, image(width, height, 3)).unwrap();
                }
                let cut = Image {
                    pixels: vec![7; 5],
                    ..image(2, 2, 3)
                };
                let mut wrong = vec![
                    cut,
                    image(0, 0, 3),
                    image(0, 9, 3),
                    image(9, 0, 3),
                    image(16_385, 1, 3),
                ];
                wrong.extend([0, 1, 2, 4].map(|channels| image(8, 8, channels)));
                for image in wrong {
                    let what = format!("{}x{}x{}", image.width, image.height, image.channels);
                    let error = used(&predictor, image).unwrap_err();
                    assert!(error.find::<PictureError>().is_some(), "{task}: {what}: {error:#}");
                }
            }
        }
    }

    #[test]
    fn a_view_beyond_all_sizes_is_an_error() {
        let predictor = predictor(SEGMENTER, "[]");
        let mut settings = predictor.segmentation_settings().unwrap();
        settings.scales = vec![8.0];
        let error = predictor
            .segment(&image(2049, 1, 3), &settings)
            .unwrap_err();
        assert!(
            matches!(
                error.find::<PictureError>(),
                Some(PictureError::TooLarge { width: 16_392, .. })
            ),
            "{error:#}"
        );
        // Settings that came from elsewhere are checked too.
        settings.scales = vec![f64::NAN];
        assert!(predictor.segment(&image(8, 8, 3), &settings).is_err());
    }

    #[test]
    fn a_model_of_another_task_is_an_error() {
        let predictor = predictor(CLASSIFIER, "[]");
        assert!(predictor.detect(vec![image(32, 32, 3)], None).is_err());
        assert!(predictor.segmenter().is_err() && predictor.generator().is_err());
        assert!(predictor.classify(Vec::new()).unwrap().is_empty());
    }
}
