//! `trainer export`: a trained model's weights under PyTorch's names.

use std::path::PathBuf;

use clap::Args;

use super::{DeviceArgs, End, Usage, out, usage};
use firesight::device;
use firesight::export::safetensors;
use firesight::predictor::{Predictor, Sidecar};

/// Arguments of `trainer export`.
#[derive(Args, Debug)]
pub struct ExportArgs {
    /// A run folder (its best checkpoint, else its last) or a checkpoint folder
    run: PathBuf,
    /// The file to write, ending in .safetensors; `<FILE>.json` beside it holds classes and preprocessing
    #[arg(long, value_name = "FILE.safetensors")]
    out: PathBuf,
    /// Write over both files if they are there
    #[arg(long)]
    force: bool,
    #[command(flatten)]
    device: DeviceArgs,
}

/// Exports.
///
/// # Errors
/// No model, a file that cannot be written.
pub fn run(args: ExportArgs) -> anyhow::Result<End> {
    let ending = args
        .out
        .extension()
        .map(|e| e.to_string_lossy().into_owned());
    if ending.as_deref() != Some("safetensors") {
        let shown = args.out.display();
        let what = match ending.as_deref() {
            Some("onnx") => "ONNX is not written",
            Some("pth" | "pt" | "bin" | "ckpt") => {
                "PyTorch's own format is not written, but PyTorch reads safetensors \
                 (`safetensors.torch.load_file`)"
            }
            _ => "the format is safetensors",
        };
        let better = args.out.with_extension("safetensors");
        let message = format!(
            "--out {shown}: {what}; give a name such as {}",
            better.display()
        );
        return Err(Usage(message).into());
    }
    for file in [&args.out, &Sidecar::path(&args.out)] {
        out::claim("--out", file, args.force, &[&args.run])?;
    }
    let device = device::select(args.device.device.as_deref())?;
    let predictor = Predictor::load(&args.run, &device).map_err(usage)?;
    let beside = safetensors(&predictor, &args.out)?;
    println!("{}", args.out.display());
    println!("{}", beside.display());
    Ok(End::Done)
}
