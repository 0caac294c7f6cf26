//! `trainer export`: a trained model's weights under PyTorch's names.

use std::path::PathBuf;

use anyhow::Context;
use clap::Args;

use super::{DeviceArgs, End, usage};
use crate::device;
use crate::predictor::{Predictor, Sidecar};

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
    let beside = Sidecar::path(&args.out);
    std::fs::write(
        &beside,
        serde_json::to_vec_pretty(&Sidecar::new(&predictor)?)?,
    )
    .with_context(|| format!("{}", beside.display()))?;
    println!("{}", args.out.display());
    println!("{}", beside.display());
    Ok(End::Done)
}
