//! The final numbers, with the split and the weights that they come from.

use serde::Serialize;

use super::table::{Column, Grid};
use crate::{
    curves, format,
    metric::Metrics,
    results::{MeasuredWeights, Results, SplitResults},
    run::RunRecord,
};

/// A large number at the top.
#[derive(Debug, Serialize)]
pub(super) struct Headline {
    pub(super) label: String,
    pub(super) value: String,
    pub(super) note: String,
}

/// "test split, best checkpoint (step 690, EMA weights)".
pub(super) fn source(split: &str, weights: Option<&MeasuredWeights>) -> String {
    let mut text = if split.is_empty() {
        String::new()
    } else {
        format!("{split} split")
    };
    if let Some(weights) = weights {
        let mut details = Vec::new();
        if let Some(step) = weights.step {
            details.push(format!("step {}", format::count(step)));
        }
        if let Some(epoch) = weights.epoch {
            details.push(format!("epoch {}", format::count(epoch)));
        }
        if weights.ema {
            details.push("EMA weights".into());
        }
        let separator = if text.is_empty() || weights.checkpoint.is_empty() {
            ""
        } else {
            ", "
        };
        text += separator;
        if !weights.checkpoint.is_empty() {
            text += &format!("{} checkpoint", weights.checkpoint);
        }
        if !details.is_empty() {
            text += &format!(" ({})", details.join(", "));
        }
    }
    text
}

/// The evaluations in the order of their weight: test first, then validation, then others.
fn ordered(results: &Results) -> Vec<&SplitResults> {
    let mut evaluations: Vec<_> = results.evaluations.iter().collect();
    evaluations.sort_by_key(|e| match e.split.as_str() {
        "test" => 0,
        "validation" => 1,
        _ => 2,
    });
    evaluations
}

/// The primary metric of every evaluation; without one, the best of the log so far.
pub(super) fn headlines(run: &RunRecord, results: &Results) -> Vec<Headline> {
    let primary = |names: Vec<String>| {
        let first = names.into_iter().find(|name| name != "loss");
        results.primary.clone().or(first)
    };
    let metrics = run.metrics();
    let mut headlines = Vec::new();
    for evaluation in ordered(results) {
        let Some(name) = primary(evaluation.metrics.keys().cloned().collect()) else {
            continue;
        };
        let Some(value) = evaluation.metrics.get(&name) else {
            continue;
        };
        let metric = metrics.of(&name);
        let images = evaluation
            .samples
            .map(|n| format!("{} · ", format::counted(n as u64, "image")));
        let weights = source("", evaluation.weights.as_ref());
        headlines.push(Headline {
            label: format!("{}, {} split", metric.title, evaluation.split),
            value: metric.show(*value),
            note: format!("{}{weights}", images.unwrap_or_default())
                .trim_end_matches(" · ")
                .to_string(),
        });
    }
    if headlines.is_empty() {
        headlines.extend(best_so_far(run, primary(curves::metric_names(&run.log))));
    }
    headlines.truncate(3);
    headlines
}

/// The best value of a metric in the log of a run that has no results yet.
fn best_so_far(run: &RunRecord, name: Option<String>) -> Option<Headline> {
    let (name, splits) = (name?, curves::splits(&run.log));
    let (split, ema) = splits.first()?;
    let metric = run.metrics().of(&name);
    let points = curves::eval_points(&run.log, split, *ema, &name);
    let [step, value] = points[curves::best(&points, &metric)?];
    let weights = if *ema { " (EMA weights)" } else { "" };
    Some(Headline {
        label: format!("{}, {split} split", metric.title),
        value: metric.show(value),
        note: format!(
            "best so far, at step {}{weights}",
            format::count(step as u64)
        ),
    })
}

/// All final numbers: one row per metric, one column per evaluation.
pub(super) fn of(metrics: &Metrics, results: &Results) -> Option<Grid> {
    let evaluations = ordered(results);
    let mut names: Vec<_> = evaluations.iter().flat_map(|e| e.metrics.keys()).collect();
    names.sort_by_key(|name| {
        (
            results.primary.as_ref() != Some(name),
            name.as_str() == "loss",
            *name,
        )
    });
    names.dedup();
    if names.is_empty() {
        return None;
    }
    let mut columns = vec![Column::new("Metric", false)];
    columns.extend(evaluations.iter().map(|e| Column {
        note: source("", e.weights.as_ref()),
        ..Column::new(format!("{} split", e.split), true)
    }));
    let mut rows: Vec<Vec<(String, bool)>> = names
        .iter()
        .map(|name| {
            let metric = metrics.of(name);
            let values = evaluations.iter().map(|e| {
                (
                    e.metrics
                        .get(*name)
                        .map_or(format::NONE.into(), |value| metric.show(*value)),
                    true,
                )
            });
            std::iter::once((metric.title.clone(), false))
                .chain(values)
                .collect()
        })
        .collect();
    if evaluations.iter().any(|e| e.samples.is_some()) {
        let samples = evaluations.iter().map(|e| {
            (
                e.samples
                    .map_or(format::NONE.into(), |n| format::count(n as u64)),
                true,
            )
        });
        rows.push(
            std::iter::once(("Images".to_string(), false))
                .chain(samples)
                .collect(),
        );
    }
    Some(Grid {
        caption: "Final numbers by split".into(),
        columns,
        rows,
    })
}
