//! What the tables of a recipe have checked alike: ranges, patterns, lists of names.

use firesight_engine::{OptimizerConfig, Problem, Problems};
use firesight_recipe::Checks;

use crate::card::ModelCard;

/// A share from 0 to below 1.
pub(crate) fn share(checks: &mut Checks<'_>, path: &str, value: f64) {
    number(checks, path, |found| found.share("", value));
}

/// A number above 0 and not above `most`.
pub(crate) fn above(checks: &mut Checks<'_>, path: &str, value: f64, most: f64) {
    number(checks, path, |found| found.above("", value, most));
}

/// A number from the first to the second of a range.
pub(crate) fn within(checks: &mut Checks<'_>, path: &str, value: f64, range: [f64; 2]) {
    number(checks, path, |found| found.within("", value, range));
}

/// A whole number from the first to the second of a range.
pub(crate) fn whole(
    checks: &mut Checks<'_>,
    path: &str,
    value: usize,
    range: [usize; 2],
    help: Option<&str>,
) {
    number(checks, path, |found| found.whole("", value, range, help));
}

/// Adds what a check of one value finds.
fn number(checks: &mut Checks<'_>, path: &str, check: impl FnOnce(&mut Problems)) {
    let mut found = Problems::default();
    check(&mut found);
    for Problem { message, help, .. } in found.0 {
        checks.error(path, message, help.as_deref());
    }
}

/// A weight of each class in a loss.
pub(crate) fn class_weights(checks: &mut Checks<'_>, path: &str, weights: &[f64]) {
    for (index, weight) in weights.iter().enumerate() {
        within(checks, &format!("{path}[{index}]"), *weight, [0.0, 1e6]);
    }
    if !weights.is_empty() && weights.iter().all(|weight| *weight == 0.0) {
        let message = "all weights are 0, so that nothing would be learned";
        checks.error(path, message, None);
    }
}

/// As many weights as the data have classes, where there are any.
pub(crate) fn weights_of_all(
    checks: &mut Checks<'_>,
    path: &str,
    weights: &[f64],
    card: &ModelCard,
) {
    let (weights, classes) = (weights.len(), card.classes.len());
    if weights != 0 && weights != classes {
        let message = format!("{weights} weights for the {classes} classes of the dataset");
        let help = format!("the classes are {}", some(&card.classes));
        checks.error(path, message, Some(&help));
    }
}

/// Images that are not too small for a model.
pub(crate) fn least_side(checks: &mut Checks<'_>, table: &str, card: &ModelCard, least: usize) {
    if card.height.min(card.width) < least {
        let (name, width, height) = (&card.model, card.width, card.height);
        let message =
            format!("{name} needs images of at least {least}x{least}, not {width}x{height}");
        let help = "enlarge the images in `data.preprocess`, or take another model";
        checks.error(&format!("{table}.model"), message, Some(help));
    }
}

/// A pattern that compiles.
pub(crate) fn regular_expression(checks: &mut Checks<'_>, path: &str, pattern: &str) {
    if let Err(error) = regex::Regex::new(pattern) {
        let reason = error.to_string();
        let last = reason.lines().last().unwrap_or_default().trim().to_owned();
        checks.error(path, format!("this is no regular expression: {last}"), None);
    }
}

/// Checks an optimizer's settings; `key` is where it stands: `optimizer`.
pub(crate) fn optimizer(optimizer: &OptimizerConfig, key: &str, checks: &mut Checks<'_>) {
    let table = format!("{key}.{}", optimizer.name());
    problems(checks, &table, optimizer.problems());
}

/// Adds what is wrong with a table.
pub(crate) fn problems(checks: &mut Checks<'_>, table: &str, found: Problems) {
    for Problem { key, message, help } in found.0 {
        checks.error(&format!("{table}.{key}"), message, help.as_deref());
    }
}

/// The first few of a list of names.
pub(crate) fn some(names: &[String]) -> String {
    let shown = names
        .iter()
        .take(12)
        .cloned()
        .collect::<Vec<_>>()
        .join(", ");
    match names.len() > 12 {
        true => format!("{shown}, ..."),
        false => shown,
    }
}
