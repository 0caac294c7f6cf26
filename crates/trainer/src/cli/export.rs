//! `trainer export`: a trained model for other programs, as weights under PyTorch's names or as ONNX.

use std::path::{Path, PathBuf};

use clap::{Args, ValueEnum};

use super::{DeviceArgs, End, Usage, out, usage};
use firesight::device;
use firesight::export::{OnnxOptions, Precision, onnx, safetensors};
use firesight::predictor::{Predictor, Sidecar};

/// Arguments of `trainer export`.
#[derive(Args, Debug)]
pub struct ExportArgs {
    /// A run folder (its best checkpoint, else its last) or a checkpoint folder
    run: PathBuf,
    /// The file to write: .safetensors (weights; `<FILE>.json` beside it holds classes and preprocessing) or .onnx (the
    /// whole network)
    #[arg(long, value_name = "FILE.safetensors|FILE.onnx")]
    out: PathBuf,
    /// Write over files that are there
    #[arg(long)]
    force: bool,
    /// How weights are stored in an ONNX file, which computes in f32 in either case
    #[arg(long, value_enum, value_name = "PRECISION")]
    precision: Option<PrecisionArg>,
    /// What else an ONNX file does; postprocessing gives answers instead of scores
    #[arg(long, value_enum, value_name = "PART")]
    with: Vec<Part>,
    #[command(flatten)]
    device: DeviceArgs,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum PrecisionArg {
    F32,
    F16,
}

#[derive(Clone, Copy, Debug, PartialEq, ValueEnum)]
enum Part {
    Postprocessing,
}

/// Exports.
///
/// # Errors
/// No model, a file that cannot be written, a network that ONNX cannot say.
pub fn run(args: ExportArgs) -> anyhow::Result<End> {
    let ending = args
        .out
        .extension()
        .map(|e| e.to_string_lossy().into_owned());
    match ending.as_deref() {
        Some("onnx") => to_onnx(&args),
        Some("safetensors") => to_safetensors(&args),
        ending => Err(no_such_format(&args.out, ending).into()),
    }
}

fn no_such_format(file: &Path, ending: Option<&str>) -> Usage {
    let what = match ending {
        Some("pth" | "pt" | "bin" | "ckpt") => {
            "PyTorch's own format is not written, but PyTorch reads safetensors (`safetensors.torch.load_file`)"
        }
        _ => "the formats are safetensors and onnx",
    };
    let (shown, better) = (file.display(), file.with_extension("safetensors"));
    let better = better.display();
    Usage(format!(
        "--out {shown}: {what}; give a name such as {better}"
    ))
}

fn load(args: &ExportArgs) -> anyhow::Result<Predictor> {
    let device = device::select(args.device.device.as_deref())?;
    Predictor::load(&args.run, &device).map_err(usage)
}

fn to_onnx(args: &ExportArgs) -> anyhow::Result<End> {
    out::claim("--out", &args.out, args.force, &[&args.run])?;
    let options = OnnxOptions {
        precision: match args.precision {
            Some(PrecisionArg::F16) => Precision::F16,
            Some(PrecisionArg::F32) | None => Precision::F32,
        },
        postprocessing: args.with.contains(&Part::Postprocessing),
    };
    onnx(&load(args)?, &args.out, &options)?;
    println!("{}", args.out.display());
    Ok(End::Done)
}

fn to_safetensors(args: &ExportArgs) -> anyhow::Result<End> {
    let other = [
        ("--precision", args.precision.is_some()),
        ("--with", !args.with.is_empty()),
    ];
    if let Some((option, _)) = other.into_iter().find(|(_, given)| *given) {
        let (shown, better) = (args.out.display(), args.out.with_extension("onnx"));
        let better = better.display();
        let message = format!(
            "{option} is of ONNX files, and --out {shown} is none; give a name such as {better}"
        );
        return Err(Usage(message).into());
    }
    for file in [&args.out, &Sidecar::path(&args.out)] {
        out::claim("--out", file, args.force, &[&args.run])?;
    }
    let beside = safetensors(&load(args)?, &args.out)?;
    println!("{}", args.out.display());
    println!("{}", beside.display());
    Ok(End::Done)
}
