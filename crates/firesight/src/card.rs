//! `model.json` in a checkpoint folder.

use std::path::Path;

pub use firesight_predict::ModelCard;

use crate::error::Context;

/// Reads the card of a checkpoint folder.
///
/// # Errors
/// A missing or unreadable file, named.
///
/// ```
/// use firesight::card::{self, ModelCard};
///
/// let checkpoint = tempfile::tempdir()?;
/// assert!(card::read(checkpoint.path()).is_err());
/// # Ok::<(), std::io::Error>(())
/// ```
pub fn read(checkpoint: &Path) -> crate::Result<ModelCard> {
    let path = checkpoint.join(ModelCard::FILE);
    let bytes = std::fs::read(&path).with_context(|| path.display().to_string())?;
    ModelCard::from_bytes(&bytes).with_context(|| path.display().to_string())
}
