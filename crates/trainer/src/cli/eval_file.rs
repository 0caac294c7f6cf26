//! `trainer eval --from RESULTS --truth COCO`: scores any file in COCO's results format against any truth in COCO's
//! format.

use std::collections::BTreeMap;
use std::path::Path;

use anyhow::Context;
use firesight_data::words::counted;
use firesight_metrics::detection::{CocoCategory, read_coco};
use firesight_report::metric::Metrics;
use serde::Serialize;

use super::{End, Usage, print_json, usage};
use firesight::task::{described_detections, detection_metrics};

#[derive(Serialize)]
struct Output {
    task: &'static str,
    split: String,
    samples: usize,
    metrics: BTreeMap<String, f64>,
    /// By the category's name, and its id where several have one name.
    per_class: BTreeMap<String, Option<f64>>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    remarks: Vec<String>,
}

/// Scores.
///
/// # Errors
/// Files that cannot be read, are malformed, or do not fit each other.
pub(super) fn run(results: &Path, truth: &Path, json: bool) -> anyhow::Result<End> {
    let read =
        |path: &Path| std::fs::read_to_string(path).with_context(|| format!("{}", path.display()));
    let (truth_text, results_text) = (read(truth).map_err(usage)?, read(results).map_err(usage)?);
    let pair = read_coco(&truth_text, &results_text)
        .with_context(|| format!("{} against {}", results.display(), truth.display()))
        .map_err(usage)?;
    for remark in &pair.remarks {
        eprintln!("note: {remark}");
    }
    if pair.images.iter().all(|image| image.truth.is_empty()) {
        let shown = truth.display();
        return Err(Usage(format!(
            "{shown}: /annotations is empty; there is nothing to score against"
        ))
        .into());
    }
    let (metrics, coco, _) = detection_metrics(&pair.images, pair.categories.len())?;
    let per_class = pair.categories.iter().zip(&coco.per_class);
    let output = Output {
        task: "detection",
        split: truth.display().to_string(),
        samples: pair.images.len(),
        metrics,
        per_class: per_class
            .map(|(category, class)| (key(category, &pair.categories), class.ap))
            .collect(),
        remarks: pair.remarks,
    };
    if json {
        print_json(&output)?;
        return Ok(End::Done);
    }
    println!(
        "{} against {}, {}",
        results.display(),
        output.split,
        counted(output.samples, "image")
    );
    let names = Metrics(described_detections());
    for (name, value) in &output.metrics {
        println!("  {name:<16} {}", names.of(name).line(*value));
    }
    Ok(End::Done)
}

/// What a category's number is called: its name, and its id as well where it has none or shares it.
fn key(category: &CocoCategory, all: &[CocoCategory]) -> String {
    let CocoCategory { id, name } = category;
    let bearers = all.iter().filter(|other| other.name == *name).count();
    match (name.is_empty(), bearers) {
        (true, _) => id.to_string(),
        (false, 1) => name.clone(),
        _ => format!("{name} ({id})"),
    }
}
