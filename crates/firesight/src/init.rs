//! Weights to start from.
//!
//! ```
//! use firesight_models::classification::{ClassifierConfig, InputSpec};
//! use firesight_models::weights::save_safetensors;
//! use firesight::init::InitConfig;
//! use firesight::{device, init};
//!
//! let device = device::select(Some("cpu"))?.device;
//! let lenet = ClassifierConfig::named("lenet")?;
//! let folder = tempfile::tempdir()?;
//! let path = folder.path().join("ten-classes.safetensors");
//! save_safetensors(&lenet.init(InputSpec::gray(28), 10, &device)?, &path, &Default::default())?;
//! let model = lenet.init(InputSpec::gray(28), 3, &device)?;
//! let weights = InitConfig::Weights(path.display().to_string());
//! let (_model, report) = init::apply(model, "lenet", &weights, "task.classification.init", &())?;
//! assert!(init::describe(&report).contains("left random: fc3.")); // the head
//! # anyhow::Ok(())
//! ```

use std::path::PathBuf;

use firesight_data::words::counted;
use firesight_models::tags;
use firesight_models::weights::{LoadOptions, LoadReport, TorchNames, WeightsError, load};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::download;
use crate::error::{Context, bail};
use crate::notify::Notify;

/// Weights to start from.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub enum InitConfig {
    /// A `.pth`, `.pt` or `.safetensors` file with PyTorch's names.
    Weights(String),
    /// A published set of weights, for example `IMAGENET1K_V1`: the file lies in the folder `weights/`, or in
    /// the one that the environment variable `FIRESIGHT_WEIGHTS` names, and is fetched and verified if it
    /// does not.
    Tag(String),
}

/// Loads the weights of a recipe's `init`, which stands at `key`, into a freshly built model of that name.
/// The head keeps its random values where the number of classes differs.
///
/// # Errors
/// A file that cannot be read or does not fit, a tag that there is not, a file that is not the published
/// one.
pub fn apply<M: TorchNames>(
    module: M,
    model: &str,
    init: &InitConfig,
    key: &str,
    notify: &dyn Notify,
) -> crate::Result<(M, LoadReport)> {
    let (key, path) = match init {
        InitConfig::Weights(path) => (format!("{key}.weights"), PathBuf::from(path)),
        InitConfig::Tag(tag) => {
            let key = format!("{key}.tag");
            let path = published(model, tag, &key, notify)?;
            (key, path)
        }
    };
    load(module, &path, &LoadOptions::default()).map_err(|error| {
        let names_file = matches!(error, WeightsError::Read { .. } | WeightsError::File { .. });
        let place = match names_file {
            true => key,
            false => format!("{key}: {}", path.display()),
        };
        crate::Error::from(error).context(place)
    })
}

/// The file of a published tag, fetched if it is not there, checked against the published digits of its SHA-256.
fn published(model: &str, name: &str, key: &str, notify: &dyn Notify) -> crate::Result<PathBuf> {
    let Some(tag) = tags::tag(model, name) else {
        let known: Vec<&str> = tags::tags(model).map(|tag| tag.tag).collect();
        match known.is_empty() {
            true => bail!("{key}: there are no published weights of {model}"),
            false => bail!(
                "{key}: {model} has no weights `{name}`; there are {}",
                known.join(", ")
            ),
        }
    };
    download::weights(tag, notify).context(key)
}

/// What became of the tensors and where they were found, in a sentence.
pub fn describe(report: &LoadReport) -> String {
    let mut text = format!("weights: {} taken", counted(report.taken.len(), "tensor"));
    let parts = [
        ("left random", &report.replaced),
        ("not in the file", &report.missing),
        ("not used", &report.unused),
    ];
    for (what, names) in parts {
        if !names.is_empty() {
            text += &format!("; {what}: {}", some(names));
        }
    }
    for note in &report.notes {
        text += &format!("; {note}");
    }
    text
}

/// The first few of a list of names, and how many more there are.
fn some(names: &[String]) -> String {
    const SHOWN: usize = 8;
    let shown = names[..names.len().min(SHOWN)].join(", ");
    match names.len().saturating_sub(SHOWN) {
        0 => shown,
        more => format!("{shown} and {more} more"),
    }
}
