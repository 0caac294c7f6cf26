//! Weights to start from.

use std::path::Path;

use anyhow::Context;
use firesight_models::classification::Classifier;
use firesight_models::weights::{LoadOptions, LoadReport, load};

use crate::recipe::InitConfig;

/// Loads the weights of a recipe's `init` into a freshly built classifier. The head keeps its random
/// values where the number of classes differs.
///
/// # Errors
/// A file that cannot be read or does not fit.
pub fn apply(module: Classifier, init: &InitConfig) -> anyhow::Result<(Classifier, LoadReport)> {
    match init {
        InitConfig::Weights(path) => load(module, Path::new(path), &LoadOptions::default())
            .with_context(|| "task.classification.init.weights"),
    }
}

/// What became of the tensors, in a sentence.
pub fn describe(report: &LoadReport) -> String {
    let mut text = format!("weights: {} tensors taken", report.taken.len());
    let parts = [("left random", &report.replaced), ("not in the file", &report.missing), ("not used", &report.unused)];
    for (what, names) in parts {
        if !names.is_empty() {
            text += &format!("; {what}: {}", names.join(", "));
        }
    }
    text
}
