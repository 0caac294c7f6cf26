//! `trainer verify`: compares a model's outputs with a reference, for example PyTorch's.

use std::path::PathBuf;

use clap::Args;
use firesight_models::tags::{Tag, tags};
use firesight_models::verify::{ATOL, OutputComparison, RTOL};
use firesight_models::weights::read;
use firesight_models::zoo;
use serde::Serialize;

use super::{DeviceArgs, End, print_json, usage};
use firesight::device;

/// Arguments of `trainer verify`.
#[derive(Args, Debug)]
pub struct VerifyArgs {
    /// The model's name in the zoo, or `dcgan` for either of its networks
    #[arg(long)]
    model: String,
    /// Its weights: .pth, .pt or .safetensors with PyTorch's names
    #[arg(long, value_name = "FILE")]
    weights: PathBuf,
    /// A safetensors file with the tensor `input` and the expected outputs: `output` of a classifier, `out` and `aux` of
    /// a segmenter
    #[arg(long, value_name = "FILE.safetensors")]
    reference: PathBuf,
    /// Number of classes (the model's published number if not given, 21 for a segmenter)
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    classes: Option<u32>,
    #[command(flatten)]
    device: DeviceArgs,
    /// Print one JSON object
    #[arg(long)]
    json: bool,
}

#[derive(Serialize)]
struct Output {
    model: String,
    passed: bool,
    rtol: f64,
    atol: f64,
    outputs: Vec<OutputComparison>,
}

/// Verifies; a comparison that fails ends with exit code 1.
///
/// # Errors
/// Files that cannot be read or do not fit the model.
pub fn run(args: VerifyArgs) -> anyhow::Result<End> {
    let device = device::select(args.device.device.as_deref())?;
    let reference = read(&args.reference).map_err(usage)?;
    let weights = read(&args.weights).map_err(usage)?;
    let (verdict, report) = zoo::compare(
        &args.model,
        &weights,
        published(&args),
        args.classes.map(|classes| classes as usize),
        &reference,
        &device.device,
    )
    .map_err(usage)?;
    let output = Output {
        model: args.model,
        passed: verdict.passed,
        rtol: RTOL,
        atol: ATOL,
        outputs: verdict.outputs,
    };
    if args.json {
        print_json(&output)?;
    } else {
        println!("{}: {}", output.model, firesight::init::describe(&report));
        for row in &output.outputs {
            let OutputComparison {
                name,
                count,
                max_absolute,
                max_relative,
                outside,
            } = row;
            println!(
                "  {name:<12} {count} values, max absolute error {max_absolute:.3e}, max relative error {max_relative:.3e}, \
                 {outside} outside"
            );
        }
        let verdict = if output.passed { "passed" } else { "FAILED" };
        println!("{verdict} within rtol {RTOL:e}, atol {ATOL:e}");
    }
    Ok(if output.passed {
        End::Done
    } else {
        End::Partly
    })
}

/// The published weights that the file is, where that changes how the model is run.
fn published(args: &VerifyArgs) -> Option<&'static Tag> {
    let tag = tags(&args.model).find(|tag| tag.body_epsilon().is_some())?;
    let content = std::fs::read(&args.weights).ok()?;
    tag.matches(&content).then_some(tag)
}
