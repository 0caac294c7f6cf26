//! A trained model with the preprocessing that it was trained with.

use std::any::Any;

use burn::tensor::{Device, Tensor, TensorData};
use firesight_data::augment::{Pipeline, Resize};
use firesight_data::decode::{self, Decoding};
use firesight_data::normalize::Normalize;
use firesight_data::preprocess::{Preprocess, PreprocessStep};
use firesight_data::random::{Domain, stream};
use firesight_data::sample::{Image, Picture, Sample};
use firesight_data::target::Target;

use crate::card::ModelCard;
use crate::error::PredictError;
use crate::model::Model;
use crate::picture::{self, PictureError};

/// A trained model, ready for images.
pub struct Predictor {
    pub(crate) model: Model,
    pub(crate) device: Device,
    pub(crate) card: ModelCard,
    pub(crate) preprocess: Preprocess,
    pub(crate) normalize: Normalize,
}

impl Predictor {
    /// A model with what is done to its images: preparation, then normalisation of each channel.
    pub fn new(
        model: Model,
        card: ModelCard,
        preprocess: Preprocess,
        normalize: Normalize,
        device: Device,
    ) -> Self {
        Self {
            model,
            device,
            card,
            preprocess,
            normalize,
        }
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

    /// The network, where it is of that type and of a task that is not one of this crate's.
    ///
    /// ```
    /// # use firesight_data::normalize::Normalize;
    /// # use firesight_data::preprocess::Preprocess;
    /// # use firesight_models::classification::{Classifier, ClassifierConfig, InputSpec};
    /// # use firesight_models::detection::Detector;
    /// # use firesight_predict::{Model, ModelCard, Predictor};
    /// # let device = burn::tensor::Device::flex();
    /// # let network = ClassifierConfig::named("lenet")?.init(InputSpec::gray(28), 2, &device)?;
    /// # let (classes, channels, height, width) = (Vec::new(), 1, 28, 28);
    /// # let (task, model) = ("my-task".into(), "lenet".into());
    /// # let pixels = Default::default();
    /// # let card = ModelCard { task, model, classes, channels, height, width, pixels };
    /// # let normalize = Normalize { mean: vec![0.5], std: vec![0.5] };
    /// let model = Model::Other(Box::new(network)); // of the type `Classifier`
    /// let predictor = Predictor::new(model, card, Preprocess::new(&[]), normalize, device);
    /// assert!(predictor.network::<Classifier>().is_some());
    /// assert!(predictor.network::<Detector>().is_none());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn network<M: 'static>(&self) -> Option<&M> {
        match &self.model {
            Model::Other(network) => (network.as_ref() as &dyn Any).downcast_ref(),
            _ => None,
        }
    }

    /// The device that it computes on.
    pub fn device(&self) -> &Device {
        &self.device
    }

    /// How images are prepared.
    pub fn preprocess(&self) -> &Preprocess {
        &self.preprocess
    }

    /// Says that the model is of another task.
    pub fn other_task(&self) -> PredictError {
        PredictError::Task {
            model: self.card.model.clone(),
            does: self.model.does(),
        }
    }

    /// How image files are read for this model.
    pub fn decoding(&self) -> Decoding {
        Decoding {
            pixels: self.card.pixels,
            ..Decoding::default()
        }
    }

    /// Decodes the bytes of an image file as the model wants it: oriented, gray or RGB; `origin` is how messages name
    /// it.
    ///
    /// # Errors
    /// What is damaged or no image; a picture that the model cannot take.
    pub fn decode(&self, bytes: &[u8], origin: &str) -> Result<Picture, PredictError> {
        let image = decode::picture(bytes, origin, &self.decoding())?;
        self.fitting(image, origin)
    }

    /// A decoded image with the channels that the model wants; `origin` is how messages name it.
    ///
    /// # Errors
    /// A picture that the model cannot take.
    pub fn fitting(
        &self,
        image: impl Into<Picture>,
        origin: &str,
    ) -> Result<Picture, PredictError> {
        let image = match image.into() {
            Picture::Bytes(image) => with_channels(image, self.card.channels).into(),
            floats => floats,
        };
        self.check(&image).map_err(|source| PredictError::Named {
            origin: origin.to_owned(),
            source,
        })?;
        Ok(image)
    }

    /// Whether the model can take a picture; every use of the predictor asks this first.
    ///
    /// # Errors
    /// [`PictureError`]: no pixels, other channels, a buffer that is not as its size says, a side beyond 16,384 pixels.
    pub fn check(&self, image: &Picture) -> Result<(), PictureError> {
        picture::check(image, self.card.channels)
    }

    /// Images as the model's input, `[N, C, H, W]`: prepared as in training, normalised, on the device.
    ///
    /// # Errors
    /// An image that cannot be prepared.
    pub fn batch(
        &self,
        images: impl IntoIterator<Item = impl Into<Picture>>,
    ) -> Result<Tensor<4>, PredictError> {
        self.input(images, &self.preprocess.then(&[]), 0, 0)
    }

    /// Images as the model's input by a pipeline of one's own, which begins with the model's preparation; what is random
    /// in it is drawn from `seed` alike for every image, and otherwise for every `copy`.
    ///
    /// # Errors
    /// An image that cannot be prepared.
    pub fn input(
        &self,
        images: impl IntoIterator<Item = impl Into<Picture>>,
        pipeline: &Pipeline,
        seed: u64,
        copy: u64,
    ) -> Result<Tensor<4>, PredictError> {
        let (height, width) = (self.card.height, self.card.width);
        let fit = Preprocess::new(&[PreprocessStep::Resize(Resize { width, height })]);
        let (mut count, mut values) = (0, Vec::new());
        for image in images {
            let image = image.into();
            self.check(&image)?;
            count += 1;
            let sample = Sample {
                image,
                target: Target::default(),
            };
            // Preprocessing draws nothing, augmentation the same for every image of a copy.
            let mut rng = stream(seed, copy, 0, Domain::Sample);
            let mut image = pipeline.apply(sample, &mut rng)?.image;
            if image.size() != [width, height] {
                // Datasets of one size need no preparation of their own; a picture of another size
                // is brought to what the model was trained on.
                let sample = Sample {
                    image,
                    target: Target::default(),
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

/// Gray or RGB as asked for; gray is the luma of ITU-R BT.601, as Pillow's `convert("L")` has it.
pub fn with_channels(image: Image, channels: usize) -> Image {
    let pixels = match (image.channels, channels) {
        (3, 1) => image
            .pixels
            .chunks_exact(3)
            .map(|p| {
                let [r, g, b] = [u32::from(p[0]), u32::from(p[1]), u32::from(p[2])];
                ((r * 19595 + g * 38470 + b * 7471 + 0x8000) >> 16) as u8
            })
            .collect(),
        (1, 3) => image.pixels.iter().flat_map(|&gray| [gray; 3]).collect(),
        _ => return image,
    };
    Image {
        channels,
        pixels,
        ..image
    }
}
