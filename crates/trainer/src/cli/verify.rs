//! `trainer verify`: compares a model's outputs with a reference, for example PyTorch's.

use std::path::PathBuf;

use burn::tensor::Device;
use clap::Args;
use firesight_models::classification::{ClassifierConfig, InputSpec};
use firesight_models::detection::DetectorConfig;
use firesight_models::generation::dcgan::DcganNetwork;
use firesight_models::segmentation::SegmenterConfig;
use firesight_models::tags::tags;
use firesight_models::verify::{ATOL, NamedOutputs, RTOL, Verdict, verify};
use firesight_models::weights::{
    LoadOptions, LoadReport, StateDict, TorchNames, apply, read, unwrapped,
};
use serde::Serialize;

use super::{DeviceArgs, End, Usage, print_json, usage};
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

impl VerifyArgs {
    fn classes(&self) -> Option<usize> {
        self.classes.map(|classes| classes as usize)
    }
}

#[derive(Serialize)]
struct Output {
    model: String,
    passed: bool,
    rtol: f64,
    atol: f64,
    outputs: Vec<Row>,
}

#[derive(Serialize)]
struct Row {
    name: String,
    values: usize,
    max_absolute_error: f64,
    max_relative_error: f64,
    outside: usize,
}

/// Verifies; a comparison that fails ends with exit code 1.
///
/// # Errors
/// Files that cannot be read or do not fit the model.
pub fn run(args: VerifyArgs) -> anyhow::Result<End> {
    let device = device::select(args.device.device.as_deref())?;
    let reference = read(&args.reference).map_err(usage)?;
    let weights = read(&args.weights).map_err(usage)?;
    let (verdict, report) = match args.model.starts_with("dcgan") {
        true => dcgan(&args, &unwrapped(weights), &reference, &device.device)?,
        false => of_images(&args, &weights, &reference, &device.device)?,
    };
    let rows = verdict.outputs.iter().map(|output| Row {
        name: output.name.clone(),
        values: output.count,
        max_absolute_error: output.max_absolute,
        max_relative_error: output.max_relative,
        outside: output.outside,
    });
    let output = Output {
        model: args.model,
        passed: verdict.passed,
        rtol: RTOL,
        atol: ATOL,
        outputs: rows.collect(),
    };
    if args.json {
        print_json(&output)?;
    } else {
        println!("{}: {}", output.model, firesight::init::describe(&report));
        for row in &output.outputs {
            println!(
                "  {:<12} {} values, max absolute error {:.3e}, max relative error {:.3e}, {} outside",
                row.name, row.values, row.max_absolute_error, row.max_relative_error, row.outside
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

/// Classes of torchvision's detectors, as it counts them.
const COCO_CLASSES: usize = 91;
/// Classes of torchvision's segmenters, the background among them.
const VOC_CLASSES: usize = 21;

/// What a network's outputs were found to be, and what was loaded into it.
type Outcome = anyhow::Result<(Verdict, LoadReport)>;

/// A network that takes images: a segmenter, a detector or a classifier, by its name.
fn of_images(
    args: &VerifyArgs,
    weights: &StateDict,
    reference: &StateDict,
    device: &Device,
) -> Outcome {
    let input = reference
        .get("input")
        .map(|data| data.shape().to_vec())
        .unwrap_or_default();
    let [_, channels, height, width] = input[..] else {
        let path = args.reference.display();
        return Err(Usage(format!(
            "{path}: there is no tensor `input` of shape [N, C, H, W]"
        ))
        .into());
    };
    let input = InputSpec {
        channels,
        height,
        width,
    };
    if let Ok(config) = SegmenterConfig::named(&args.model) {
        // Published weights come with and without the auxiliary head.
        let config = config.with_aux(weights.keys().any(|key| key.contains("aux_classifier.")));
        let model = config.init(channels, args.classes().unwrap_or(VOC_CLASSES), device);
        return compare(model.map_err(usage)?, weights, reference, device);
    }
    if let Ok(config) = DetectorConfig::named(&args.model) {
        let model = config.init(input, args.classes().unwrap_or(COCO_CLASSES), device);
        let mut model = model.map_err(usage)?;
        // The published file is run as torchvision runs it.
        let epsilon = tags(&args.model).find_map(|tag| Some((tag, tag.body_epsilon()?)));
        if let Some((tag, epsilon)) = epsilon
            && std::fs::read(&args.weights).is_ok_and(|content| tag.matches(&content))
        {
            model = model.with_body_epsilon(epsilon);
        }
        return compare(model, weights, reference, device);
    }
    let config = ClassifierConfig::named(&args.model).map_err(usage)?;
    let entries = firesight_models::classification::registry();
    let published = entries.iter().find(|entry| entry.name == args.model);
    let classes = args
        .classes()
        .or(published.map(|entry| entry.classes))
        .unwrap_or(1000);
    let model = config.init(input, classes, device).map_err(usage)?;
    compare(model, weights, reference, device)
}

/// Layers and widths follow from the weights, and so does which of the two networks it is.
fn dcgan(
    args: &VerifyArgs,
    weights: &StateDict,
    reference: &StateDict,
    device: &Device,
) -> Outcome {
    let path = args.weights.display();
    let network = DcganNetwork::fitting(weights, device)
        .map_err(|reason| usage(anyhow::anyhow!("{path}: {reason}")))?;
    match (network, args.model.as_str()) {
        (DcganNetwork::Generator(model), "dcgan" | "dcgan_generator") => {
            compare(model, weights, reference, device)
        }
        (DcganNetwork::Discriminator(model), "dcgan" | "dcgan_discriminator") => {
            compare(model, weights, reference, device)
        }
        (network, name) => {
            let is = match network {
                DcganNetwork::Generator(_) => "dcgan_generator",
                DcganNetwork::Discriminator(_) => "dcgan_discriminator",
            };
            Err(Usage(format!(
                "--model {name}: {path} holds a `{is}`; `dcgan` takes either"
            ))
            .into())
        }
    }
}

/// Loads the weights into a model and runs it on the reference.
fn compare<M: TorchNames + NamedOutputs>(
    model: M,
    weights: &StateDict,
    reference: &StateDict,
    device: &Device,
) -> Outcome {
    let options = LoadOptions {
        replace_head: false,
        ..LoadOptions::default()
    };
    let (model, report) = apply(model, weights, &options).map_err(usage)?;
    let verdict = verify(&model, reference, device).map_err(usage)?;
    Ok((verdict, report))
}
