//! What images are compared in: the features of a network that the recipe names, or small versions of the images.

use std::path::Path;

use crate::error::Context;
use burn::tensor::{Device, Tensor, TensorData};
use firesight_data::augment::Resize;
use firesight_data::normalize::Normalize;
use firesight_data::preprocess::{Preprocess, PreprocessStep};
use firesight_data::sample::{Image, Sample};
use firesight_data::target::Target;
use firesight_models::classification::{Classifier, ClassifierConfig, InputSpec};
use firesight_models::weights::{LoadOptions, load};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::task::OpenModel;
use firesight_predict::{Predictor, with_channels};

/// The network whose features images are compared in. Generated images are rounded to 8 bits first, as if they had
/// been written to files.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub enum FeaturesConfig {
    /// The run folder of a classifier trained here: the features before its last layer. Images are brought to its
    /// size as `predict` does it (bilinear, antialiased).
    Run(String),
    /// A weights file of torchvision's `inception_v3`: its 2,048 pooled features. Images are resized to 299x299
    /// (bilinear, antialiased) and normalised as for ImageNet. Distances are not those of papers, whose features
    /// come from another Inception network.
    Inception(String),
}

/// Images in one forward pass.
const BATCH: usize = 100;
/// The side of the small versions.
const SMALL: usize = 8;

/// What gives the features.
pub enum Extractor {
    /// A classifier trained here, and where it comes from.
    Run(Box<Predictor>, String),
    /// torchvision's Inception v3.
    Inception(Box<Classifier>, Device),
    /// Images reduced to 8x8.
    Pixels,
}

/// Features of images, and what a classifier thinks of them.
#[derive(Default)]
pub struct Features {
    /// One row for each image.
    pub rows: Vec<f32>,
    /// Numbers in a row.
    pub dims: usize,
    /// The class and its probability for each image, where the classifier knows the dataset's classes.
    pub guesses: Vec<(usize, f64)>,
}

/// What stands before the names of metrics: nothing for features of a network.
pub fn prefix(config: Option<&FeaturesConfig>) -> &'static str {
    match config {
        None => "pixel_",
        Some(FeaturesConfig::Run(_) | FeaturesConfig::Inception(_)) => "",
    }
}

impl Extractor {
    /// Loads what the recipe names.
    ///
    /// # Errors
    /// A run or file that is not there, is damaged, or is no classifier.
    pub fn new(
        config: Option<&FeaturesConfig>,
        device: &Device,
        open: OpenModel,
    ) -> crate::Result<Self> {
        match config {
            None => Ok(Self::Pixels),
            Some(FeaturesConfig::Run(path)) => {
                let (predictor, origin) = open(Path::new(path), device).context("run")?;
                predictor
                    .classifier()
                    .with_context(|| format!("run {path}"))?;
                Ok(Self::Run(Box::new(predictor), origin))
            }
            Some(FeaturesConfig::Inception(path)) => {
                let config = ClassifierConfig::named("inception_v3")?;
                let model = config.init(InputSpec::rgb(299), 1000, device)?;
                let options = LoadOptions::default();
                let (model, _) = load(model, Path::new(path), &options).context("inception")?;
                Ok(Self::Inception(Box::new(model), device.clone()))
            }
        }
    }

    /// What the features are, in words.
    pub fn describe(&self) -> String {
        match self {
            Self::Run(_, origin) => {
                format!("features before the last layer of the classifier {origin}")
            }
            Self::Inception(..) => {
                "pooled features of torchvision's Inception v3 at 299x299".to_owned()
            }
            Self::Pixels => "the images themselves, reduced to 8x8 pixels".to_owned(),
        }
    }

    /// Class names by index, where the features are those of a classifier trained here.
    pub fn classes(&self) -> Option<&[String]> {
        match self {
            Self::Run(predictor, _) => Some(predictor.classes()),
            _ => None,
        }
    }

    /// The features of images.
    ///
    /// # Errors
    /// An image that the classifier's preparation does not take.
    pub fn of(&self, images: &[Image]) -> crate::Result<Features> {
        let mut found = Features::default();
        for images in images.chunks(BATCH) {
            let (rows, dims) = match self {
                Self::Run(predictor, _) => {
                    let channels = predictor.card().channels;
                    let images: Vec<Image> = images
                        .iter()
                        .map(|image| with_channels(image.clone(), channels))
                        .collect();
                    let best = predictor.classify(images.clone())?;
                    let best = best.iter().map(|guesses| &guesses[0]);
                    found.guesses.extend(best.map(|g| (g.class, g.probability)));
                    predictor.features(images)?
                }
                Self::Inception(model, device) => {
                    let features = model.features(inception_input(images, device)?);
                    let dims = features.dims()[1];
                    (features.into_data().iter::<f32>().collect(), dims)
                }
                Self::Pixels => small(images)?,
            };
            found.rows.extend(rows);
            found.dims = dims;
        }
        Ok(found)
    }
}

fn resized(image: &Image, side: usize) -> crate::Result<Image> {
    let resize = PreprocessStep::Resize(Resize {
        width: side,
        height: side,
    });
    let sample = Sample {
        image: image.clone().into(),
        target: Target::default(),
    };
    let resized = Preprocess::new(&[resize]).apply(sample)?.image;
    Ok(resized.shown().into_owned())
}

fn small(images: &[Image]) -> crate::Result<(Vec<f32>, usize)> {
    let mut rows = Vec::new();
    for image in images {
        let image = resized(image, SMALL)?;
        rows.extend(image.pixels.iter().map(|value| f32::from(*value) / 255.0));
    }
    Ok((
        rows,
        images
            .first()
            .map_or(0, |image| SMALL * SMALL * image.channels),
    ))
}

fn inception_input(images: &[Image], device: &Device) -> crate::Result<Tensor<4>> {
    let normalize = Normalize::imagenet();
    let mut values = Vec::new();
    for image in images {
        let mut image = resized(image, 299)?;
        if image.channels == 1 {
            image.pixels = image.pixels.iter().flat_map(|&gray| [gray; 3]).collect();
            image.channels = 3;
        }
        values.extend(normalize.apply(&image.into()));
    }
    let data = TensorData::new(values, [images.len(), 3, 299, 299]);
    Ok(Tensor::from_data(data, device))
}
