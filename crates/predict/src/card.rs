//! `model.json`: what a model must know beside its weights and how it was made.

use firesight_data::decode::PixelFormat;
use firesight_models::classification::InputSpec;
use serde::{Deserialize, Serialize};

/// What the data contributed to a model; stored in every checkpoint.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ModelCard {
    /// The task's name in the recipe.
    pub task: String,
    /// The model's name in the recipe.
    pub model: String,
    /// Class names by index.
    pub classes: Vec<String>,
    /// Channels of the input: 1 for gray, 3 for RGB, or others up to 64.
    pub channels: usize,
    /// Height of the input in pixels.
    pub height: usize,
    /// Width of the input in pixels.
    pub width: usize,
    /// What the values of its pictures are, of what their files hold.
    #[serde(default)]
    pub pixels: PixelFormat,
}

impl ModelCard {
    /// The file's name in a checkpoint.
    pub const FILE: &'static str = "model.json";

    /// The input that the model was built for.
    pub fn input(&self) -> InputSpec {
        InputSpec {
            channels: self.channels,
            height: self.height,
            width: self.width,
        }
    }

    /// The card as a file.
    ///
    /// ```
    /// use firesight_predict::ModelCard;
    ///
    /// let card = ModelCard {
    ///     task: "classification".into(),
    ///     model: "resnet20".into(),
    ///     classes: vec!["cat".into(), "dog".into()],
    ///     channels: 3,
    ///     height: 32,
    ///     width: 48,
    ///     pixels: Default::default(),
    /// };
    /// assert_eq!(ModelCard::from_bytes(&card.to_bytes())?, card);
    /// # Ok::<(), serde_json::Error>(())
    /// ```
    pub fn to_bytes(&self) -> Vec<u8> {
        serde_json::to_vec_pretty(self).expect("a card is plain data")
    }

    /// Reads a card.
    ///
    /// # Errors
    /// What is no JSON, or lacks something.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, serde_json::Error> {
        serde_json::from_slice(bytes)
    }
}
