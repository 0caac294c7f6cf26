//! A trained network, by what it is good for.

use std::any::Any;

use burn::tensor::Tensor;
use firesight_models::classification::Classifier;
use firesight_models::detection::Detector;
use firesight_models::generation::Generator;
use firesight_models::segmentation::Segmenter;
use firesight_models::weights::{StateDict, TorchNames, digest, state_dict};

use crate::settings::PredictConfig;

/// A trained network, by what it is good for.
pub enum Model {
    /// One class per image.
    Classifier(Box<dyn Classify>),
    /// A class for every pixel.
    Segmenter {
        /// The network.
        network: Box<dyn Segment>,
        /// How images are seen.
        settings: PredictConfig,
        /// The smallest side that the network can see, in pixels.
        minimum: usize,
    },
    /// Boxes around objects.
    Detector(Box<Detector>),
    /// Images from latent vectors.
    Generator(Box<Generator>),
    /// A network of a task that is not one of these.
    Other(Box<dyn Weighted>),
}

/// What has weights under PyTorch's names.
pub trait Weighted: Any {
    /// Parameters and running statistics by name.
    fn weights(&self) -> StateDict;
}

impl<M: TorchNames + 'static> Weighted for M {
    fn weights(&self) -> StateDict {
        state_dict(self)
    }
}

/// A network that gives one class per image. Any of one's own does.
pub trait Classify: Weighted {
    /// Scores before the softmax.
    ///
    /// # Shapes
    /// - `x`: `[N, C, H, W]`, normalised
    /// - output: `[N, classes]`
    fn logits(&self, x: Tensor<4>) -> Tensor<2>;

    /// The features before the head, `[N, features]`, where the network has such.
    fn features(&self, x: Tensor<4>) -> Option<Tensor<2>> {
        let _ = x;
        None
    }
}

impl Classify for Classifier {
    fn logits(&self, x: Tensor<4>) -> Tensor<2> {
        self.forward(x)
    }

    fn features(&self, x: Tensor<4>) -> Option<Tensor<2>> {
        Some(self.features(x))
    }
}

/// A network that gives a class for every pixel. Any of one's own does.
pub trait Segment: Weighted {
    /// Scores before the softmax.
    ///
    /// # Shapes
    /// - `x`: `[N, C, H, W]`, normalised
    /// - output: `[N, classes, H, W]`
    fn logits(&self, x: Tensor<4>) -> Tensor<4>;
}

impl Segment for Segmenter {
    fn logits(&self, x: Tensor<4>) -> Tensor<4> {
        self.forward(x)
    }
}

impl Model {
    /// What the model does, for messages: `classifies images`.
    pub fn does(&self) -> &'static str {
        match self {
            Self::Classifier(_) => "classifies images",
            Self::Segmenter { .. } => "segments images",
            Self::Detector(_) => "finds objects",
            Self::Generator(_) => "generates images (the command `generate`)",
            Self::Other(_) => "does what its own program knows",
        }
    }

    /// Parameters and running statistics under PyTorch's names.
    pub fn weights(&self) -> StateDict {
        match self {
            Self::Classifier(model) => model.weights(),
            Self::Segmenter { network, .. } => network.weights(),
            Self::Detector(model) => model.weights(),
            Self::Generator(model) => model.weights(),
            Self::Other(model) => model.weights(),
        }
    }

    /// The SHA-256 of the weights: of names, types, shapes and numbers.
    pub fn digest(&self) -> String {
        digest(&self.weights())
    }
}
