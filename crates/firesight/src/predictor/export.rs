//! `<FILE>.safetensors.json`: what stands beside exported weights, for PyTorch's side and for this program.

use std::path::{Path, PathBuf};

use crate::error::{Context, bail};
use serde::{Deserialize, Serialize};

use super::fits::same_model;
use crate::card::ModelCard;
use crate::recipe::Recipe;

/// What another program must know to feed the model.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Sidecar {
    /// Task, model, classes and size of the input.
    #[serde(flatten)]
    pub card: ModelCard,
    /// Mean of each channel, on values from 0 to 1.
    pub mean: Vec<f32>,
    /// Standard deviation of each channel, on values from 0 to 1.
    pub std: Vec<f32>,
    /// What is done to an image before that, as the recipe says it.
    #[serde(alias = "prepare")]
    pub preprocess: serde_json::Value,
    /// The SHA-256 of the weights that this belongs to; none in files of earlier versions.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub weights_sha256: Option<String>,
    /// The whole recipe, from which [`super::Predictor::load`] builds the network again.
    pub recipe: String,
}

impl Sidecar {
    /// The sidecar of a model that was trained by a recipe, and of the weights of that digest.
    ///
    /// # Errors
    /// None for a recipe that was read.
    pub(super) fn new(card: &ModelCard, recipe: &Recipe, digest: String) -> crate::Result<Self> {
        let normalize = recipe.data.normalize(card.channels);
        Ok(Self {
            card: card.clone(),
            mean: normalize.mean,
            std: normalize.std,
            preprocess: serde_json::to_value(&recipe.data.preprocess)?,
            weights_sha256: Some(digest),
            recipe: firesight_recipe::to_toml(recipe),
        })
    }

    /// The file beside the weights.
    pub fn path(weights: &Path) -> PathBuf {
        weights.with_extension("safetensors.json")
    }
}

/// Card, recipe and stated digest of exported weights.
///
/// # Errors
/// No such file, one that cannot be read, or one whose words contradict its own recipe.
pub(super) fn read(weights: &Path) -> crate::Result<(ModelCard, Recipe, Option<String>)> {
    let path = Sidecar::path(weights);
    let name = path.display().to_string();
    let text = std::fs::read(&path)
        .with_context(|| format!("{name} (the command `export` writes it beside the weights)"))?;
    let sidecar: Sidecar = serde_json::from_slice(&text).with_context(|| name.clone())?;
    sidecar.agreed(&name).with_context(|| name.clone())
}

impl Sidecar {
    /// Card and recipe, where all that is said twice is said alike.
    fn agreed(self, name: &str) -> crate::Result<(ModelCard, Recipe, Option<String>)> {
        let loaded = crate::recipe::read_str(&self.recipe, &format!("{name}, `recipe`"))?;
        same_model(&self.card, &loaded)?;
        let recipe = loaded.value;
        let normalize = recipe.data.normalize(self.card.channels);
        for (key, said, built) in [
            ("mean", &self.mean, &normalize.mean),
            ("std", &self.std, &normalize.std),
        ] {
            let (values, channels) = (said.len(), self.card.channels);
            if values != channels {
                bail!("`channels` is {channels}, but `{key}` has {values} values");
            }
            if said != built {
                bail!("`{key}` is {said:?}, but the recipe in the file gives {built:?}");
            }
        }
        let preprocess = serde_json::to_value(&recipe.data.preprocess)?;
        if self.preprocess != preprocess {
            bail!(
                "`preprocess` is {}, but the recipe in the file gives {preprocess}",
                self.preprocess
            );
        }
        Ok((self.card, recipe, self.weights_sha256))
    }
}

/// Whether weights are those that the file beside them was written for.
pub(super) fn check_digest(weights: &Path, stated: Option<&str>, found: &str) -> crate::Result<()> {
    match stated {
        Some(stated) if stated != found => bail!(
            "{}: it belongs to weights of the SHA-256 {stated}, those in {} have {found}; export both together again",
            Sidecar::path(weights).display(),
            weights.display()
        ),
        _ => Ok(()),
    }
}
