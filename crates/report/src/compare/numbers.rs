//! The numbers of several runs, one row each.

use std::collections::BTreeSet;

use super::{Row, Value, measured};
use crate::{
    curves, format,
    metric::{Better, Metric, Metrics},
    run::RunRecord,
};

/// Final numbers by split, the best validation numbers of the log, and what they cost.
pub(super) fn of(runs: &[RunRecord], metrics: &Metrics) -> Vec<Row> {
    let mut rows = Vec::new();
    let mut add =
        |name: String, values: Vec<f64>, show: &dyn Fn(f64) -> String, best: Option<&Metric>| {
            if values.iter().all(|value| value.is_nan()) {
                return;
            }
            // Where all known values are equal, none stands out.
            let known: Vec<f64> = values
                .iter()
                .copied()
                .filter(|value| !value.is_nan())
                .collect();
            let top = best
                .filter(|_| known.iter().any(|value| *value != known[0]))
                .and_then(|metric| {
                    known
                        .iter()
                        .copied()
                        .reduce(|a, b| if metric.better_than(b, a) { b } else { a })
                });
            let cells = values.iter().map(|value| Value {
                text: if value.is_nan() {
                    format::NONE.into()
                } else {
                    show(*value)
                },
                top: top == Some(*value),
            });
            rows.push(Row {
                name,
                cells: cells.collect(),
            });
        };

    let keys: BTreeSet<(u8, bool, String, String)> = runs
        .iter()
        .flat_map(|run| {
            let primary = run
                .results
                .as_ref()
                .and_then(|results| results.primary.clone());
            run.results
                .iter()
                .flat_map(|results| &results.evaluations)
                .flat_map(move |evaluation| {
                    let order = match evaluation.split.as_str() {
                        "test" => 0,
                        "validation" => 1,
                        _ => 2,
                    };
                    let primary = primary.clone();
                    evaluation.metrics.keys().map(move |name| {
                        (
                            order,
                            primary.as_ref() != Some(name),
                            evaluation.split.clone(),
                            name.clone(),
                        )
                    })
                })
        })
        .collect();
    let mut seen = BTreeSet::new();
    for (_, _, split, name) in keys {
        if !seen.insert((split.clone(), name.clone())) {
            continue;
        }
        let metric = metrics.of(&name);
        let value = |run: &RunRecord| {
            let evaluations = run.results.iter().flat_map(|results| &results.evaluations);
            let mut found = evaluations
                .filter(|e| e.split == split)
                .filter_map(|e| e.metrics.get(&name));
            found.next().copied().unwrap_or(f64::NAN)
        };
        let values = runs.iter().map(value).collect();
        add(
            format!("{}, {split}", metric.title),
            values,
            &|v| metric.show(v),
            Some(&metric),
        );
    }

    let logged: BTreeSet<String> = runs
        .iter()
        .flat_map(|run| curves::metric_names(&run.log))
        .collect();
    for name in logged.iter().map(String::as_str).chain(["loss"]) {
        let metric = metrics.of(name);
        let values = runs.iter().map(|run| {
            let points = measured(run, name);
            curves::best(&points, &metric).map_or(f64::NAN, |at| points[at][1])
        });
        let label = format!("{}, best while training", metric.title);
        add(label, values.collect(), &|v| metric.show(v), Some(&metric));
    }

    let whole = |v: f64| format::count(v as u64);
    let last = |run: &RunRecord| run.log.train().last().cloned().unwrap_or_default();
    let known = |value: f64| if value > 0.0 { value } else { f64::NAN };
    let of = |value: &dyn Fn(&RunRecord) -> f64| {
        runs.iter().map(|run| known(value(run))).collect::<Vec<_>>()
    };
    add(
        "Epochs".into(),
        of(&|run| last(run).epoch as f64),
        &whole,
        None,
    );
    add(
        "Steps".into(),
        of(&|run| last(run).step as f64),
        &whole,
        None,
    );
    let env = |run: &RunRecord| run.environment.clone().unwrap_or_default();
    add(
        "Parameters".into(),
        of(&|run| env(run).parameters.unwrap_or(0) as f64),
        &whole,
        None,
    );
    let time = |run: &RunRecord| {
        if last(run).time > 0.0 {
            last(run).time
        } else {
            env(run).seconds().unwrap_or(0.0)
        }
    };
    add("Training time".into(), of(&time), &format::duration, None);
    let speed = |run: &RunRecord| {
        curves::median(run.log.train().map(|train| train.images_per_second)).unwrap_or(0.0)
    };
    let faster = Metric::plain("images_per_second", "Images per second").better(Better::Higher);
    add(
        "Images per second".into(),
        of(&speed),
        &|v| format::number(v, 3),
        Some(&faster),
    );
    rows
}
