//! Trained models for other programs.

mod onnx;

use std::path::{Path, PathBuf};

use safetensors::tensor::{Dtype, TensorView};

pub use firesight_onnx::Precision;
pub use onnx::{OnnxOptions, onnx};

use crate::error::Context;
use crate::predictor::{Predictor, Sidecar};

/// Writes a model's weights as safetensors under PyTorch's names, and beside them `<FILE>.json` with classes and
/// preprocessing, from which [`Predictor::load`] has the model again; gives that file. Files that are there are written
/// over.
///
/// # Errors
/// A file that cannot be written.
///
/// ```
/// use firesight::prelude::*;
///
/// # let folder = tempfile::tempdir()?;
/// # let (run, file) = (folder.path().join("run"), folder.path().join("digits.safetensors"));
/// # let data = DataConfig::new(SourceConfig::Digits(DigitsConfig::default()), 64);
/// # let model = ClassificationConfig::new(ClassifierConfig::named("lenet")?);
/// # let (task, sgd) = (TaskConfig::Classification(model), OptimizerConfig::Sgd(SgdConfig::default()));
/// # let mut recipe = Recipe::new(1, data, task, sgd);
/// # recipe.data.preprocess = serde_json::from_str(r#"[{"resize": {"width": 28, "height": 28}}]"#)?;
/// # recipe.max_steps = Some(1);
/// let device = device::select(None)?;
/// # train(&recipe.into(), Options::new(device.clone()).out(&run))?;
/// let predictor = Predictor::load(&run, &device)?;
/// firesight::export::safetensors(&predictor, &file)?;
/// assert_eq!(Predictor::load(&file, &device)?.classes(), predictor.classes());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub fn safetensors(predictor: &Predictor, file: impl AsRef<Path>) -> crate::Result<PathBuf> {
    let file = file.as_ref();
    let metadata = [("model".to_owned(), predictor.card().model.clone())].into();
    predictor.save(file, &metadata)?;
    let beside = Sidecar::path(file);
    let sidecar = serde_json::to_vec_pretty(&predictor.sidecar()?)?;
    std::fs::write(&beside, sidecar).with_context(|| beside.display().to_string())?;
    Ok(beside)
}

/// Writes features of images, row by row, as the tensor `features` `[N, width]` of a safetensors file; the images' names stand
/// in the metadata `files` as a JSON list.
///
/// # Errors
/// A file that cannot be written.
pub fn features(file: impl AsRef<Path>, names: &[String], values: &[f32]) -> crate::Result<()> {
    let file = file.as_ref();
    let bytes: Vec<u8> = values
        .iter()
        .flat_map(|value| value.to_le_bytes())
        .collect();
    let shape = vec![names.len(), values.len() / names.len().max(1)];
    let write = || -> std::io::Result<()> {
        let view = TensorView::new(Dtype::F32, shape, &bytes).map_err(std::io::Error::other)?;
        let metadata = [("files".to_owned(), serde_json::to_string(names)?)].into();
        let out = safetensors::serialize([("features", view)], Some(metadata));
        std::fs::write(file, out.map_err(std::io::Error::other)?)
    };
    write().with_context(|| file.display().to_string())
}
