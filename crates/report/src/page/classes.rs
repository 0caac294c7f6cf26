//! What a classifier takes for what: confusion matrix, pairs, numbers by class, examples.

use serde::Serialize;

use super::table::{Column, Grid};
use crate::{
    format,
    metric::{Metric, capitalized},
    picture::{self, Inlined},
    results::{ClassRow, Example, Results},
    run::RunRecord,
};

/// Above this many classes the confusion matrix is left out, and only its pairs are listed.
const MOST_CLASSES: usize = 100;

/// Up to this many classes its cells hold their counts.
const MOST_CLASSES_WITH_COUNTS: usize = 24;

/// Pairs shown.
const MOST_PAIRS: usize = 12;

/// The confusion matrix.
#[derive(Debug, Serialize)]
pub(super) struct Matrix {
    pub(super) names: Vec<String>,
    /// Whether the names are short enough to stand upright over narrow columns.
    pub(super) upright: bool,
    pub(super) counts: bool,
    /// Edge of a cell without a count, in CSS pixels.
    pub(super) cell: usize,
    pub(super) rows: Vec<Vec<Shade>>,
}

/// A cell of the confusion matrix.
#[derive(Debug, Serialize)]
pub(super) struct Shade {
    pub(super) count: u64,
    /// Strength of the shade, percent.
    pub(super) shade: u32,
    /// Whether the text needs the light color.
    pub(super) strong: bool,
}

/// A pair of confused classes.
#[derive(Debug, Serialize)]
pub(super) struct Pair {
    pub(super) truth: String,
    pub(super) predicted: String,
    pub(super) count: String,
    pub(super) share: String,
    /// Length of its bar, percent of the longest.
    pub(super) bar: f64,
}

/// Worst or best examples.
#[derive(Debug, Serialize)]
pub(super) struct Examples {
    pub(super) title: &'static str,
    pub(super) note: &'static str,
    pub(super) cards: Vec<Card>,
}

/// One example.
#[derive(Debug, Serialize)]
pub(super) struct Card {
    pub(super) picture: Inlined,
    pub(super) truth: Option<String>,
    pub(super) right: Option<bool>,
    pub(super) top: Vec<Bar>,
    pub(super) loss: String,
    pub(super) origin: String,
}

/// A class with its probability.
#[derive(Debug, Serialize)]
pub(super) struct Bar {
    pub(super) name: String,
    pub(super) percent: String,
    pub(super) width: f64,
    pub(super) truth: bool,
}

/// The strongest shade, in percent, on which the page's own text color is readable.
const MOST_WITH_DARK_TEXT: u32 = 54;

/// A strength from 0 to 1 as a shade in percent. Shades between 54 and 78 are left out: on them
/// neither text color reaches the contrast of 4.5 that WCAG 2 asks for.
fn shade(strength: f64) -> u32 {
    let shade = if strength < 0.7 {
        54.0 * strength / 0.7
    } else {
        78.0 + 12.0 * (strength - 0.7) / 0.3
    };
    shade.round() as u32
}

/// Shares of the true class as shades. Hits are shaded by their share, errors by its root, so that
/// rare ones are seen as well.
pub(super) fn matrix(results: &Results) -> Option<Matrix> {
    let counts = &results.confusion.as_ref()?.counts;
    let classes = counts.len();
    if classes == 0 || classes > MOST_CLASSES {
        return None;
    }
    let names: Vec<_> = (0..classes)
        .map(|class| results.class_name(class))
        .collect();
    let rows = counts
        .iter()
        .enumerate()
        .map(|(truth, row)| {
            let total = row.iter().sum::<u64>().max(1) as f64;
            (0..classes)
                .map(|predicted| {
                    let count = row.get(predicted).copied().unwrap_or(0);
                    let share = count as f64 / total;
                    let strength = if truth == predicted {
                        share
                    } else {
                        share.sqrt()
                    };
                    let shade = shade(strength);
                    Shade {
                        count,
                        shade,
                        strong: shade > MOST_WITH_DARK_TEXT,
                    }
                })
                .collect()
        })
        .collect();
    Some(Matrix {
        upright: names.iter().all(|name| name.chars().count() <= 3),
        counts: classes <= MOST_CLASSES_WITH_COUNTS,
        cell: (940 / classes).clamp(9, 24),
        names,
        rows,
    })
}

pub(super) fn left_out(results: &Results) -> Option<String> {
    let classes = results.confusion.as_ref()?.counts.len();
    (classes > MOST_CLASSES).then(|| {
        format!("The confusion matrix of {classes} classes is too large to show; its most frequent errors are below.")
    })
}

/// A number of one class; all of them are shares.
fn share(name: &str) -> Metric {
    Metric::share(name, capitalized(name))
}

pub(super) fn by_class(results: &Results) -> Option<Grid> {
    let derived: Vec<ClassRow>;
    let rows = match &results.confusion {
        _ if !results.per_class.is_empty() => &results.per_class,
        Some(confusion) => {
            derived = confusion.per_class();
            &derived
        }
        None => return None,
    };
    let mut names: Vec<&String> = rows.iter().flat_map(|row| row.metrics.keys()).collect();
    let order = ["precision", "recall", "f1"];
    names.sort_by_key(|name| {
        (
            order.iter().position(|known| known == name).unwrap_or(9),
            *name,
        )
    });
    names.dedup();
    let samples = rows.iter().any(|row| row.samples.is_some());
    let mut columns = vec![Column::new("Class", false)];
    columns.extend(
        names
            .iter()
            .map(|name| Column::new(share(name).title, true)),
    );
    columns.extend(samples.then(|| Column::new("Samples", true)));
    let rows = rows
        .iter()
        .map(|row| {
            let mut cells = vec![(results.class_name(row.class), false)];
            cells.extend(names.iter().map(|name| {
                let value = row.metrics.get(*name).copied().unwrap_or(f64::NAN);
                (share(name).show(value), true)
            }));
            if samples {
                cells.push((row.samples.map_or(format::NONE.into(), format::count), true));
            }
            cells
        })
        .collect();
    Some(Grid {
        caption: "Numbers by class".into(),
        columns,
        rows,
    })
}

pub(super) fn pairs(results: &Results) -> Vec<Pair> {
    let confusion = results.confusion.clone().unwrap_or_default();
    let mut pairs = results.most_confused.clone();
    if pairs.is_empty() {
        pairs = confusion.most_confused(MOST_PAIRS);
    }
    pairs.truncate(MOST_PAIRS);
    let longest = pairs
        .iter()
        .map(|pair| pair.count)
        .max()
        .unwrap_or(1)
        .max(1) as f64;
    let total = |class: usize| {
        confusion
            .counts
            .get(class)
            .map(|row| row.iter().sum::<u64>())
    };
    pairs
        .iter()
        .map(|pair| Pair {
            truth: results.class_name(pair.truth),
            predicted: results.class_name(pair.predicted),
            count: format::count(pair.count),
            share: total(pair.truth)
                .filter(|total| *total > 0)
                .map_or(String::new(), |total| {
                    format!("{:.1}\u{a0}%", 100.0 * pair.count as f64 / total as f64)
                }),
            bar: (1000.0 * pair.count as f64 / longest).round() / 10.0,
        })
        .collect()
}

pub(super) fn examples(run: &RunRecord, results: &Results) -> Vec<Examples> {
    let card = |example: &Example| {
        let name = |class: usize| results.class_name(class);
        let guess = example.top.first();
        let right = example
            .truth
            .zip(guess)
            .map(|(truth, guess)| truth == guess.class);
        let seen = guess.map_or("nothing".into(), |guess| name(guess.class));
        let alt = match example.truth {
            Some(truth) => format!("A sample of class {}, predicted as {seen}", name(truth)),
            None => format!("A sample predicted as {seen}"),
        };
        let top = example.top.iter().take(5).map(|guess| Bar {
            name: name(guess.class),
            percent: if guess.probability.is_finite() {
                format!("{:.1}\u{a0}%", guess.probability * 100.0)
            } else {
                format::NONE.into()
            },
            width: (guess.probability * 1000.0).clamp(0.0, 1000.0).round() / 10.0,
            truth: example.truth == Some(guess.class),
        });
        Card {
            picture: picture::inline(&run.path, &example.picture, &alt, ""),
            truth: example.truth.map(name),
            right,
            top: top.collect(),
            loss: format::number(example.loss, 3),
            origin: example.origin.clone(),
        }
    };
    [
        ("Worst", "highest loss first", &results.worst),
        ("Best", "lowest loss first", &results.best),
    ]
    .into_iter()
    .filter(|(_, _, examples)| !examples.is_empty())
    .map(|(title, note, examples)| Examples {
        title,
        note,
        cards: examples.iter().map(card).collect(),
    })
    .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::results::Confusion;

    #[test]
    fn shades_rise_and_keep_clear_of_unreadable_ones() {
        let shades: Vec<_> = (0..=100).map(|s| shade(f64::from(s) / 100.0)).collect();
        assert!(shades.is_sorted());
        assert_eq!((shades[0], shades[100]), (0, 90));
        assert!(!shades.iter().any(|shade| (55..78).contains(shade)));
    }

    #[test]
    fn rows_may_be_short_and_classes_nameless() {
        let confusion = Confusion {
            counts: vec![vec![3], vec![1, 1]],
        };
        let results = Results {
            confusion: Some(confusion),
            classes: vec!["a".into()],
            ..Results::default()
        };
        let matrix = matrix(&results).unwrap();
        assert_eq!(matrix.names, ["a", "class 1"]);
        assert_eq!(matrix.rows[0][1].count, 0);
        assert!(matrix.rows[0][0].strong && !matrix.rows[1][1].strong);
        assert_eq!(pairs(&results)[0].share, "50.0\u{a0}%");
        assert_eq!(by_class(&results).unwrap().rows[1][2].0, "50.00\u{a0}%");
        assert!(super::matrix(&Results::default()).is_none());
    }
}
