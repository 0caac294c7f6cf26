//! `trainer export`: a trained model's weights under PyTorch's names.

use std::path::PathBuf;

use anyhow::Context;
use clap::Args;
use serde::Serialize;

use super::{DeviceArgs, End, usage};
use crate::device;
use crate::experiment::normalize;
use crate::predictor::Predictor;

/// Arguments of `trainer export`.
#[derive(Args, Debug)]
pub struct ExportArgs {
    /// A run folder (its best checkpoint, else its last) or a checkpoint folder
    run: PathBuf,
    /// The file to write; `<FILE>.json` beside it holds classes and preprocessing
    #[arg(long, value_name = "FILE.safetensors")]
    out: PathBuf,
    #[command(flatten)]
    device: DeviceArgs,
}

/// What another program must know to feed the model.
#[derive(Serialize)]
struct Sidecar {
    model: String,
    classes: Vec<String>,
    channels: usize,
    height: usize,
    width: usize,
    mean: Vec<f32>,
    std: Vec<f32>,
    prepare: serde_json::Value,
}

/// Exports.
///
/// # Errors
/// No model, a file that cannot be written.
pub fn run(args: ExportArgs) -> anyhow::Result<End> {
    let device = device::select(args.device.device.as_deref())?;
    let predictor = Predictor::load(&args.run, &device).map_err(usage)?;
    let card = predictor.card();
    let metadata = [("model".to_owned(), card.model.clone())].into();
    predictor.model().save(&args.out, &metadata)?;
    let normalize = normalize(predictor.recipe(), card.channels);
    let sidecar = Sidecar {
        model: card.model.clone(),
        classes: card.classes.clone(),
        channels: card.channels,
        height: card.height,
        width: card.width,
        mean: normalize.mean,
        std: normalize.std,
        prepare: serde_json::to_value(&predictor.recipe().data.prepare)?,
    };
    let beside = args.out.with_extension("safetensors.json");
    std::fs::write(&beside, serde_json::to_vec_pretty(&sidecar)?)
        .with_context(|| format!("{}", beside.display()))?;
    println!("{}", args.out.display());
    println!("{}", beside.display());
    Ok(End::Done)
}
