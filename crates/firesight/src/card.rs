//! `model.json`: what a model must know beside its weights and its recipe.
//!
//! ```
//! use firesight::card::ModelCard;
//!
//! let card = ModelCard {
//!     task: "classification".into(),
//!     model: "resnet20".into(),
//!     classes: vec!["cat".into(), "dog".into()],
//!     channels: 3,
//!     height: 32,
//!     width: 48,
//! };
//! let checkpoint = tempfile::tempdir()?;
//! std::fs::write(checkpoint.path().join(ModelCard::FILE), card.to_bytes())?;
//! assert_eq!(ModelCard::read(checkpoint.path())?, card);
//! # anyhow::Ok(())
//! ```

use std::path::Path;

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
    /// Channels of the input, 1 or 3.
    pub channels: usize,
    /// Height of the input in pixels.
    pub height: usize,
    /// Width of the input in pixels.
    pub width: usize,
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
    pub fn to_bytes(&self) -> Vec<u8> {
        serde_json::to_vec_pretty(self).expect("a card is plain data")
    }

    /// Reads the card of a checkpoint folder.
    ///
    /// # Errors
    /// A missing or unreadable file, named.
    pub fn read(checkpoint: &Path) -> crate::Result<Self> {
        use crate::error::Context;
        let path = checkpoint.join(Self::FILE);
        let text = std::fs::read(&path).with_context(|| format!("{}", path.display()))?;
        serde_json::from_slice(&text).with_context(|| format!("{}", path.display()))
    }
}
