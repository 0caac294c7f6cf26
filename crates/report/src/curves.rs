//! The curves of a run: from `metrics.jsonl` to charts.

use std::collections::BTreeMap;

use crate::{
    chart::{Chart, Curve, Unit},
    format,
    jsonl::Log,
    metric::{self, Metric, Metrics},
};

/// Label of the horizontal axis: `step (23 per epoch)` where the evaluations show it.
pub(crate) fn step_label(log: &Log) -> String {
    let mut evals = log.evals().filter(|eval| eval.epoch > 0);
    let Some(first) = evals.next() else {
        return "step".into();
    };
    let per_epoch = first.step / first.epoch;
    if per_epoch > 1
        && first.step % first.epoch == 0
        && evals.all(|e| e.step == per_epoch * e.epoch)
    {
        format!("step ({} per epoch)", format::count(per_epoch))
    } else {
        "step".into()
    }
}

/// The points of one metric on one split, in the order of the file.
pub(crate) fn eval_points(log: &Log, split: &str, ema: bool, metric: &str) -> Vec<[f64; 2]> {
    log.evals()
        .filter(|eval| eval.split == split && eval.ema == ema)
        .filter_map(|eval| Some([eval.step as f64, *eval.metrics.get(metric)?]))
        .collect()
}

/// The splits (and whether with averaged weights) that were measured during training.
pub(crate) fn splits(log: &Log) -> Vec<(String, bool)> {
    let mut splits: Vec<_> = log
        .evals()
        .map(|eval| (eval.split.clone(), eval.ema))
        .collect();
    splits.sort_by_key(|(split, ema)| (split != "validation", split.clone(), *ema));
    splits.dedup();
    splits
}

/// `validation`, or `validation, EMA`.
pub(crate) fn split_label(split: &str, ema: bool) -> String {
    if ema {
        format!("{split}, EMA")
    } else {
        split.to_string()
    }
}

/// The index of the best point; of equals the last, which is the run's best checkpoint.
pub(crate) fn best(points: &[[f64; 2]], metric: &Metric) -> Option<usize> {
    let mut best: Option<usize> = None;
    for (index, point) in points.iter().enumerate() {
        let as_good =
            |at: usize| metric.better.is_some() && !metric.better_than(points[at][1], point[1]);
        if point[1].is_finite() && best.is_none_or(as_good) {
            best = Some(index);
        }
    }
    best
}

/// A measured curve with its best point marked.
fn measured(log: &Log, split: &str, ema: bool, metric: &Metric) -> Curve {
    let points = eval_points(log, split, ema, &metric.key);
    let mark = best(&points, metric)
        .filter(|_| points.len() > 1)
        .map(|at| {
            let step = format::count(points[at][0] as u64);
            (
                at,
                format!("best {} at step {step}", metric.show(points[at][1])),
            )
        });
    Curve {
        name: split_label(split, ema),
        points,
        dots: true,
        mark,
        ..Curve::default()
    }
}

/// All charts of a run: loss, metrics (the primary one first), parts of the loss, learning rate,
/// images per second.
pub(crate) fn charts(log: &Log, metrics: &Metrics, primary: Option<&str>) -> Vec<Chart> {
    let x = step_label(log);
    let train = |value: fn(&crate::jsonl::Train) -> f64| -> Vec<[f64; 2]> {
        log.train().map(|t| [t.step as f64, value(t)]).collect()
    };
    let splits = splits(log);

    let mut loss = vec![Curve {
        name: "train".into(),
        points: train(|t| t.loss),
        smooth: true,
        ..Curve::default()
    }];
    for (index, (split, ema)) in splits.iter().enumerate() {
        let curve = measured(log, split, *ema, &metrics.of("loss"));
        if !curve.points.is_empty() {
            loss.push(Curve {
                color: index + 1,
                ..curve
            });
        }
    }
    let mut charts = vec![Chart {
        title: "Loss".into(),
        x: x.clone(),
        log: Chart::suits_log(&loss, 30.0),
        from_zero: true,
        curves: loss,
        ..Chart::default()
    }];

    // Metrics of one heading share a chart, in the order of their names.
    let mut groups: BTreeMap<(bool, String), Vec<Metric>> = BTreeMap::new();
    for name in metric_names(log) {
        let metric = metrics.of(&name);
        let first = primary.is_some_and(|primary| metrics.of(primary).chart == metric.chart);
        groups
            .entry((!first, metric.chart.clone()))
            .or_default()
            .push(metric);
    }
    for ((_, title), group) in groups {
        let mut curves = Vec::new();
        for (index, metric) in group.iter().enumerate() {
            for (place, (split, ema)) in splits.iter().enumerate() {
                let mut curve = measured(log, split, *ema, metric);
                if curve.points.is_empty() {
                    continue;
                }
                // Validation keeps its color from the loss chart; several metrics differ in
                // color, and further splits are dashed.
                curve.color = if group.len() == 1 {
                    place + 1
                } else {
                    index + 1
                };
                curve.dashed = group.len() > 1 && place > 0;
                if group.len() > 1 {
                    let label = metric.title.clone();
                    curve.name = if splits.len() > 1 {
                        format!("{label} ({})", curve.name)
                    } else {
                        label
                    };
                    curve.mark = curve.mark.filter(|_| index == 0);
                }
                curves.push(curve);
            }
        }
        // Where the legend names metrics only, the split stands beside the heading.
        let y = match &splits[..] {
            [(split, ema)] if group.len() > 1 => split_label(split, *ema),
            _ => String::new(),
        };
        let unit = if group[0].unit == metric::Unit::Share {
            Unit::Percent
        } else {
            Unit::Plain
        };
        charts.push(Chart {
            title,
            x: x.clone(),
            y,
            unit,
            curves,
            ..Chart::default()
        });
    }

    let mut parts: BTreeMap<&str, Vec<[f64; 2]>> = BTreeMap::new();
    for record in log.train() {
        for (name, value) in &record.losses {
            parts
                .entry(name)
                .or_default()
                .push([record.step as f64, *value]);
        }
    }
    let parts: Vec<_> = parts
        .into_iter()
        .enumerate()
        .map(|(color, (name, points))| Curve {
            name: name.replace('_', " "),
            points,
            color,
            smooth: true,
            ..Curve::default()
        })
        .collect();
    charts.push(Chart {
        title: "Parts of the training loss".into(),
        x: x.clone(),
        log: Chart::suits_log(&parts, 100.0),
        from_zero: true,
        curves: parts,
        ..Chart::default()
    });

    for (title, points, smooth) in [
        ("Learning rate", train(|t| t.learning_rate), false),
        ("Images per second", train(|t| t.images_per_second), true),
    ] {
        let curve = Curve {
            points,
            smooth,
            ..Curve::default()
        };
        let chart = Chart {
            title: title.into(),
            x: x.clone(),
            from_zero: true,
            curves: vec![curve],
            ..Chart::default()
        };
        charts.push(chart);
    }
    charts
}

/// Names of the metrics measured during training, `loss` apart.
pub(crate) fn metric_names(log: &Log) -> Vec<String> {
    let mut names: Vec<_> = log
        .evals()
        .flat_map(|e| e.metrics.keys().cloned())
        .collect();
    names.retain(|name| name != "loss");
    names.sort();
    names.dedup();
    names
}

/// The median of the finite values.
pub(crate) fn median(values: impl Iterator<Item = f64>) -> Option<f64> {
    let mut values: Vec<f64> = values.filter(|v| v.is_finite()).collect();
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::jsonl::{Eval, Record, Train};

    fn log() -> Log {
        let mut records = Vec::new();
        for epoch in 1..=4_u64 {
            let step = 10 * epoch;
            let loss = 1.0 / epoch as f64;
            records.push(Record::Train(Train {
                step,
                epoch,
                loss,
                ..Train::default()
            }));
            let top1 = [0.5, 0.9, 0.8, f64::NAN][epoch as usize - 1];
            let metrics = [("loss", loss), ("top1", top1), ("ap", 0.1), ("ap50", 0.3)];
            let metrics = metrics
                .map(|(name, value)| (name.to_string(), value))
                .into();
            records.push(Record::Eval(Eval {
                split: "validation".into(),
                step,
                epoch,
                ema: false,
                metrics,
            }));
        }
        Log {
            records,
            ..Log::default()
        }
    }

    #[test]
    fn of_equal_points_the_last_is_the_best() {
        let points = [
            [1.0, 0.5],
            [2.0, 0.9],
            [3.0, f64::NAN],
            [4.0, 0.9],
            [5.0, 0.7],
        ];
        assert_eq!(best(&points, &Metric::share("top1", "Top-1")), Some(3));
        assert_eq!(best(&points[..1], &Metric::loss("loss", "Loss")), Some(0));
        assert_eq!(best(&points[2..3], &Metric::loss("loss", "Loss")), None);
    }

    #[test]
    fn charts_stand_in_order_with_the_best_point_marked() {
        let metrics = Metrics(vec![
            Metric::share("top1", "Top-1 accuracy"),
            Metric::share("ap", "AP").chart("Average precision"),
            Metric::share("ap50", "AP50").chart("Average precision"),
            Metric::loss("loss", "Loss"),
        ]);
        let charts = charts(&log(), &metrics, Some("top1"));
        let titles: Vec<_> = charts.iter().map(|chart| chart.title.as_str()).collect();
        assert_eq!(
            titles,
            [
                "Loss",
                "Top-1 accuracy",
                "Average precision",
                "Parts of the training loss",
                "Learning rate",
                "Images per second"
            ]
        );
        assert_eq!(charts[0].x, "step (10 per epoch)");
        assert_eq!(
            charts[0].curves[1].mark,
            Some((3, "best 0.25 at step 40".into()))
        );
        assert_eq!(
            charts[1].curves[0].mark,
            Some((1, "best 90.00\u{a0}% at step 20".into()))
        );
        assert_eq!(charts[2].curves[1].name, "AP50");
    }

    #[test]
    fn an_empty_log_has_no_figures() {
        assert!(
            charts(&Log::default(), &Metrics::default(), None)
                .into_iter()
                .all(|chart| chart.figure().is_none())
        );
        assert_eq!(step_label(&Log::default()), "step");
        assert_eq!(median([3.0, f64::NAN, 1.0, 2.0].into_iter()), Some(2.0));
    }
}
