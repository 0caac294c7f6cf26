//! The table `data` of a recipe.

use std::path::PathBuf;

use firesight_data::SourceConfig;
use firesight_data::augment::{Augment, Resize};
use firesight_data::batch::Mixing;
use firesight_data::combine::Combine;
use firesight_data::datasets::folder::FolderConfig;
use firesight_data::normalize::Normalize;
use firesight_data::preprocess::PreprocessStep;
use firesight_data::sampling::Sampling;
use firesight_data::split::SplitConfig;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The images of a run.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct DataConfig {
    /// The dataset.
    pub source: SourceConfig,
    /// How validation and test images are set apart where the dataset does not say.
    #[serde(default)]
    pub split: SplitConfig,
    /// Images per batch.
    pub batch_size: usize,
    /// Other images of the dataset that come into a training image, with their boxes and masks, before `augment`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub combine: Vec<Combine>,
    /// Changes to each training image, in order.
    #[serde(default)]
    pub augment: Vec<Augment>,
    /// Mixing of the images of a training batch; one of the list is drawn for each batch.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub mix: Vec<Mixing>,
    /// How often each training image is drawn.
    #[serde(default)]
    pub sampling: Sampling,
    /// Changes to each image in training, evaluation and prediction alike, before `augment`: resizing, cropping.
    /// They draw nothing; what is random stands in `augment`.
    #[serde(default, alias = "prepare")]
    pub preprocess: Vec<PreprocessStep>,
    /// Mean of each channel, on values from 0 to 1; one value counts for all channels.
    #[serde(default = "half")]
    pub mean: Vec<f32>,
    /// Standard deviation of each channel, on values from 0 to 1; one value counts for all channels.
    #[serde(default = "half")]
    pub std: Vec<f32>,
    /// Threads that read and augment; 0 does it in the training thread. Never changes a result.
    #[serde(default = "one")]
    pub workers: usize,
    /// Batches read ahead.
    #[serde(default = "prefetch")]
    pub prefetch: usize,
    /// Leaves out an epoch's last batch when it is not full.
    #[serde(default)]
    pub drop_last: bool,
    /// Keeps decoded images in memory.
    #[serde(default)]
    pub cache: bool,
    /// Unreadable images of a split that are left out, each reported with its file and what is wrong with it, before the
    /// run fails. A resumed run goes on counting.
    #[serde(default)]
    pub max_bad: usize,
}

impl DataConfig {
    /// The embedded digits, 8x8 pixels, in batches of a size.
    pub fn digits(batch_size: usize) -> Self {
        Self::new(SourceConfig::Digits(Default::default()), batch_size)
    }

    /// A folder of pictures, one sub-folder a class, in batches of a size.
    pub fn folder(path: impl Into<PathBuf>, batch_size: usize) -> Self {
        let folder = FolderConfig {
            path: path.into(),
            ..FolderConfig::default()
        };
        Self::new(SourceConfig::Folder(folder), batch_size)
    }

    /// With all images resized to width and height, in pixels.
    pub fn resize(mut self, width: usize, height: usize) -> Self {
        self.preprocess
            .push(PreprocessStep::Resize(Resize { width, height }));
        self
    }

    /// Normalisation for a number of channels: a single value counts for all.
    pub fn normalize(&self, channels: usize) -> Normalize {
        let spread = |values: &[f32]| match values {
            [one] => vec![*one; channels],
            several => several.to_vec(),
        };
        Normalize {
            mean: spread(&self.mean),
            std: spread(&self.std),
        }
    }

    /// Images of a dataset in batches of a size; all else is as in a file that leaves it out.
    pub fn new(source: SourceConfig, batch_size: usize) -> Self {
        Self {
            source,
            split: SplitConfig::default(),
            batch_size,
            combine: Vec::new(),
            augment: Vec::new(),
            mix: Vec::new(),
            sampling: Sampling::default(),
            preprocess: Vec::new(),
            mean: half(),
            std: half(),
            workers: one(),
            prefetch: prefetch(),
            drop_last: false,
            cache: false,
            max_bad: 0,
        }
    }
}

fn one() -> usize {
    1
}

fn half() -> Vec<f32> {
    vec![0.5]
}

fn prefetch() -> usize {
    4
}
