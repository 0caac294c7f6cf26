//! Which networks a classification may train: those of the zoo, and any of one's own.

use burn::tensor::{Device, Tensor};
use firesight_models::ModelError;
use firesight_models::classification::{Classifier, ClassifierConfig, ClassifierOutput, InputSpec};
use firesight_models::weights::TorchNames;
use firesight_predict::Classify;
use serde::Serialize;

/// A network that learns one class per image.
pub trait ClassificationModel: TorchNames + Classify {
    /// The forward pass in training; that of [`Classify`] alone, unless the network has auxiliary heads.
    ///
    /// # Shapes
    /// - `x`: `[N, C, H, W]`, normalised
    /// - logits: `[N, classes]`
    fn forward_train(&self, x: Tensor<4>) -> ClassifierOutput {
        ClassifierOutput {
            logits: self.logits(x),
            aux: Vec::new(),
        }
    }
}

impl ClassificationModel for Classifier {
    fn forward_train(&self, x: Tensor<4>) -> ClassifierOutput {
        Classifier::forward_train(self, x)
    }
}

/// The table of a network in a recipe.
pub trait ClassificationModelConfig: Clone + Serialize + 'static {
    /// The network.
    type Module: ClassificationModel + 'static;

    /// The network's name.
    fn name(&self) -> &'static str;

    /// The network with fresh weights.
    ///
    /// # Errors
    /// An input that it cannot take.
    fn init(
        &self,
        input: InputSpec,
        classes: usize,
        device: &Device,
    ) -> Result<Self::Module, ModelError>;

    /// What is wrong with the table: key and message.
    fn problems(&self) -> Vec<(String, String)> {
        Vec::new()
    }

    /// The smallest side of an image that the network can take, in pixels.
    fn minimum(&self) -> usize {
        1
    }

    /// Whether the network brings its input from one normalisation to another, where it can.
    fn transforms_input(&self) -> Option<bool> {
        None
    }

    /// Whether the network takes images of one size alone.
    fn is_bound_to_size(&self) -> bool {
        true
    }
}

impl ClassificationModelConfig for ClassifierConfig {
    type Module = Classifier;

    fn name(&self) -> &'static str {
        self.name()
    }

    fn init(
        &self,
        input: InputSpec,
        classes: usize,
        device: &Device,
    ) -> Result<Classifier, ModelError> {
        self.init(input, classes, device)
    }

    fn problems(&self) -> Vec<(String, String)> {
        self.problems()
    }

    fn minimum(&self) -> usize {
        self.minimum()
    }

    fn transforms_input(&self) -> Option<bool> {
        self.transforms_input()
    }

    fn is_bound_to_size(&self) -> bool {
        // Their first fully connected layer takes the map as it is; the others average over it.
        matches!(self, Self::Lenet(_) | Self::Cnn(_))
    }
}

/// A network of one's own that a function builds.
pub struct OwnModel<B> {
    name: &'static str,
    build: B,
}

impl<B> OwnModel<B> {
    /// A network of that name; `build` makes it with fresh weights for an input and a number of classes.
    pub fn new<M>(name: &'static str, build: B) -> Self
    where
        B: Fn(InputSpec, usize, &Device) -> M,
    {
        Self { name, build }
    }
}

impl<B: Clone> Clone for OwnModel<B> {
    fn clone(&self) -> Self {
        Self {
            name: self.name,
            build: self.build.clone(),
        }
    }
}

impl<B> Serialize for OwnModel<B> {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.name)
    }
}

impl<M, B> ClassificationModelConfig for OwnModel<B>
where
    M: ClassificationModel + 'static,
    B: Fn(InputSpec, usize, &Device) -> M + Clone + 'static,
{
    type Module = M;

    fn name(&self) -> &'static str {
        self.name
    }

    fn init(&self, input: InputSpec, classes: usize, device: &Device) -> Result<M, ModelError> {
        Ok((self.build)(input, classes, device))
    }
}
