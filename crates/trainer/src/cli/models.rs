//! `trainer models`: the zoo.

use burn::tensor::Device;
use clap::Args;
use firesight_models::classification::registry;
use firesight_models::detection;
use firesight_models::segmentation::Entry as Segmenter;
use firesight_models::tags::{multiply_adds, tags};
use serde::Serialize;

use super::{End, print_json};

/// Arguments of `trainer models`.
#[derive(Args, Debug)]
pub struct ModelsArgs {
    /// Print one JSON list
    #[arg(long)]
    json: bool,
}

#[derive(Serialize)]
struct Row {
    name: &'static str,
    task: &'static str,
    family: &'static str,
    parameters: usize,
    minimum_size: usize,
    /// Multiply-adds for one 224x224 RGB image.
    multiply_adds: Option<u64>,
    tags: Vec<&'static str>,
}

/// Lists every model.
///
/// # Errors
/// A standard output that cannot be written.
pub fn run(args: ModelsArgs) -> anyhow::Result<End> {
    let rows = registry().into_iter().map(|entry| Row {
        name: entry.name,
        task: "classification",
        family: entry.family,
        parameters: entry.parameters,
        minimum_size: entry.minimum,
        multiply_adds: multiply_adds(entry.name),
        tags: tags(entry.name).map(|tag| tag.tag).collect(),
    });
    let device = firesight::device::select(None)?;
    let segmenters = firesight_models::segmentation::registry();
    let segmenters = segmenters.into_iter().map(|entry| Row {
        name: entry.name,
        task: "segmentation",
        family: "",
        parameters: segmenter_parameters(&entry, &device.device),
        minimum_size: entry.config.minimum(),
        multiply_adds: None,
        tags: Vec::new(),
    });
    let detectors = detection::registry().into_iter().map(|entry| Row {
        name: entry.name,
        task: "detection",
        family: entry.family,
        parameters: entry.parameters,
        minimum_size: 32,
        multiply_adds: None,
        tags: Vec::new(),
    });
    let rows: Vec<Row> = rows.chain(segmenters).chain(detectors).collect();
    if args.json {
        print_json(&rows)?;
        return Ok(End::Done);
    }
    println!(
        "{:<28} {:<15} {:>12} {:>9} {:>9}  tags",
        "name", "task", "parameters", "GMAC@224", "min size"
    );
    for row in rows {
        let tags = row.tags.join(", ");
        let work = row
            .multiply_adds
            .map_or_else(String::new, |n| format!("{:.2}", n as f64 / 1e9));
        println!(
            "{:<28} {:<15} {:>12} {work:>9} {:>9}  {tags}",
            row.name, row.task, row.parameters, row.minimum_size
        );
    }
    Ok(End::Done)
}

/// The parameters of a segmenter for three channels and 21 classes, counted; none of them is initialised by that.
fn segmenter_parameters(entry: &Segmenter, device: &Device) -> usize {
    let model = entry.config.init(3, 21, device);
    model.map_or(0, |model| {
        firesight_models::weights::parameter_count(&model)
    })
}
