//! The curves of several runs, one chart per quantity.

use std::collections::BTreeSet;

use super::measured;
use crate::{
    chart::{self, Chart, Curve, Figure, Unit},
    curves,
    metric::{self, Metrics},
    path,
    run::RunRecord,
};

/// One chart per quantity with a curve per run.
pub(super) fn of(runs: &[RunRecord], metrics: &Metrics) -> Vec<Figure> {
    let overlay =
        |title: String, x: &str, unit, from_zero, points: &dyn Fn(&RunRecord) -> Vec<[f64; 2]>| {
            let curves: Vec<_> = runs
                .iter()
                .enumerate()
                .map(|(index, run)| Curve {
                    name: run.name.clone(),
                    points: points(run),
                    color: index,
                    dashed: index >= 8,
                    dots: true,
                    ..Curve::default()
                })
                .filter(|curve| !curve.points.is_empty())
                .collect();
            let log = title.contains("oss") && Chart::suits_log(&curves, 30.0);
            Chart {
                title,
                x: x.into(),
                unit,
                log,
                from_zero,
                curves,
                ..Chart::default()
            }
            .figure()
        };
    let train = |run: &RunRecord, value: fn(&crate::jsonl::Train) -> f64| {
        run.log
            .train()
            .map(|t| [t.step as f64, value(t)])
            .collect::<Vec<_>>()
    };
    let smooth = |run: &RunRecord, value: fn(&crate::jsonl::Train) -> f64| {
        path::running_mean(&train(run, value))
    };
    let mut figures = vec![
        overlay("Training loss".into(), "step", Unit::Plain, true, &|run| {
            smooth(run, |t| t.loss)
        }),
        overlay(
            "Validation loss".into(),
            "step",
            Unit::Plain,
            true,
            &|run| measured(run, "loss"),
        ),
    ];
    let names: BTreeSet<String> = runs
        .iter()
        .flat_map(|run| curves::metric_names(&run.log))
        .collect();
    let primary = runs
        .iter()
        .find_map(|run| run.results.as_ref()?.primary.clone());
    let mut names: Vec<_> = names.into_iter().collect();
    names.sort_by_key(|name| (primary.as_ref() != Some(name), name.clone()));
    for (index, name) in names.iter().enumerate() {
        let metric = metrics.of(name);
        let unit = if metric.unit == metric::Unit::Share {
            Unit::Percent
        } else {
            Unit::Plain
        };
        figures.push(overlay(metric.title.clone(), "step", unit, false, &|run| {
            measured(run, name)
        }));
        if index == 0 {
            let title = format!("{} over time", metric.title);
            figures.push(overlay(title, "seconds of training", unit, false, &|run| {
                over_time(run, name)
            }));
        }
    }
    figures.push(overlay(
        "Learning rate".into(),
        "step",
        Unit::Plain,
        true,
        &|run| train(run, |t| t.learning_rate),
    ));
    figures.push(overlay(
        "Images per second".into(),
        "step",
        Unit::Plain,
        true,
        &|run| smooth(run, |t| t.images_per_second),
    ));
    let mut figures: Vec<_> = figures.into_iter().flatten().collect();
    chart::arrange(&mut figures);
    figures
}

/// The points of a metric over the seconds of training, by the training record before each.
fn over_time(run: &RunRecord, name: &str) -> Vec<[f64; 2]> {
    let train: Vec<_> = run.log.train().collect();
    measured(run, name)
        .into_iter()
        .filter_map(|[step, value]| {
            let before = train.partition_point(|record| record.step as f64 <= step);
            Some([train.get(before.checked_sub(1)?)?.time, value])
        })
        .collect()
}
