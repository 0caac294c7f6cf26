//! What the tables of a recipe have checked alike: ranges, patterns, lists of names.

use firesight_engine::{OptimizerConfig, Problem, Problems};
use firesight_recipe::Checks;

/// A share from 0 to below 1.
pub(crate) fn share(checks: &mut Checks<'_>, path: &str, value: f64) {
    if !(0.0..1.0).contains(&value) {
        checks.error(
            path,
            format!("{value} is out of range"),
            Some("give 0 or more, below 1"),
        );
    }
}

/// A number above 0 and not above `most`.
pub(crate) fn above(checks: &mut Checks<'_>, path: &str, value: f64, most: f64) {
    if !(value > 0.0 && value <= most) {
        let message = format!("{value} is not above 0 and at most {most}");
        checks.error(path, message, None);
    }
}

/// A number from the first to the second of a range.
pub(crate) fn within(checks: &mut Checks<'_>, path: &str, value: f64, [least, most]: [f64; 2]) {
    if !(least..=most).contains(&value) {
        let message = format!("{value} is not from {least} to {most}");
        checks.error(path, message, None);
    }
}

/// A whole number from the first to the second of a range.
pub(crate) fn whole(
    checks: &mut Checks<'_>,
    path: &str,
    value: usize,
    [least, most]: [usize; 2],
    help: Option<&str>,
) {
    if !(least..=most).contains(&value) {
        let message = format!("{value} is not from {least} to {most}");
        checks.error(path, message, help);
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
