//! Several runs side by side: a page with their curves, numbers and differences, and a table for
//! the terminal.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::{Path, PathBuf},
};

use serde::Serialize;

mod charts;
mod numbers;

use crate::{
    chart::Figure, curves, environment::Environment, error::ReportError, format, json,
    metric::Metrics, recipe, run::RunRecord, template,
};

/// A comparison that was made.
#[derive(Clone, Debug)]
pub struct Comparison {
    /// The page.
    pub path: PathBuf,
    /// Numbers and recipe differences as a plain table, for a terminal.
    pub text: String,
}

/// Compares runs: their curves, numbers and the differences of their recipes and machines. Writes
/// one HTML file to `out`; runs may be unfinished and of different tasks.
///
/// # Errors
/// [`ReportError::NoRuns`] for an empty list, [`ReportError::NotARun`] for a folder that is none,
/// [`ReportError::Io`] where `out` cannot be written.
pub fn compare(runs: &[PathBuf], out: &Path) -> Result<Comparison, ReportError> {
    if runs.is_empty() {
        return Err(ReportError::NoRuns);
    }
    let mut runs: Vec<RunRecord> = runs
        .iter()
        .map(|run| RunRecord::read(run))
        .collect::<Result<_, _>>()?;
    name_apart(&mut runs);
    let page = Page::of(&runs);
    let html = template::render("compare.html", &page)?;
    json::write_whole(out, html.as_bytes())?;
    Ok(Comparison {
        path: out.to_path_buf(),
        text: page.text(),
    })
}

/// What the template shows.
#[derive(Debug, Serialize)]
struct Page {
    runs: Vec<Run>,
    problems: Vec<String>,
    numbers: Vec<Row>,
    charts: Vec<Figure>,
    recipe: Vec<Row>,
    recipe_same: usize,
    machine: Vec<Row>,
    made: String,
    version: &'static str,
}

/// A run in the list at the top.
#[derive(Debug, Serialize)]
struct Run {
    name: String,
    note: String,
}

/// A row of a table with a cell per run.
#[derive(Debug, Serialize)]
struct Row {
    name: String,
    cells: Vec<Value>,
}

/// A cell, and whether it is the best of its row.
#[derive(Debug, Serialize)]
struct Value {
    text: String,
    top: bool,
}

impl Page {
    fn of(runs: &[RunRecord]) -> Self {
        let recipes: Vec<_> = runs
            .iter()
            .map(|run| {
                run.recipe
                    .as_deref()
                    .map_or(Ok(BTreeMap::new()), recipe::flatten)
            })
            .collect();
        let mut problems: Vec<_> = runs
            .iter()
            .flat_map(|run| {
                run.problems
                    .iter()
                    .map(|problem| format!("{}: {problem}", run.name))
            })
            .collect();
        for (run, recipe) in runs.iter().zip(&recipes) {
            if let Err(reason) = recipe {
                problems.push(format!("{}: recipe.toml is not TOML: {reason}", run.name));
            }
        }
        let recipes: Vec<_> = recipes.into_iter().map(Result::unwrap_or_default).collect();
        let (recipe, recipe_same) = differences(&recipes);
        let metrics = Metrics(runs.iter().flat_map(|run| run.metrics().0).collect());
        let machines: Vec<_> = runs
            .iter()
            .map(|run| machine(run.environment.as_ref()))
            .collect();
        Page {
            runs: runs.iter().map(Run::of).collect(),
            problems,
            numbers: numbers::of(runs, &metrics),
            charts: charts::of(runs, &metrics),
            recipe,
            recipe_same,
            machine: differences(&machines).0,
            made: format::moment(&crate::environment::now()),
            version: env!("CARGO_PKG_VERSION"),
        }
    }

    /// The tables of numbers and recipe differences in columns; the best of a row has a star.
    fn text(&self) -> String {
        let head = |title: &str| {
            std::iter::once(title.to_string()).chain(self.runs.iter().map(|run| run.name.clone()))
        };
        let mut text = String::new();
        for (title, rows) in [
            ("numbers", &self.numbers),
            ("recipe", &self.recipe),
            ("machine", &self.machine),
        ] {
            if rows.is_empty() {
                continue;
            }
            let mut lines = vec![head(title).collect::<Vec<_>>()];
            for row in rows {
                let star =
                    |cell: &Value| format!("{}{}", cell.text, if cell.top { " *" } else { "" });
                lines.push(
                    std::iter::once(row.name.clone())
                        .chain(row.cells.iter().map(star))
                        .collect(),
                );
            }
            if !text.is_empty() {
                text.push('\n');
            }
            text += &columns(&lines);
        }
        text
    }
}

/// Lines of cells with the columns aligned.
fn columns(lines: &[Vec<String>]) -> String {
    let count = lines.iter().map(Vec::len).max().unwrap_or(0);
    let width = |column: usize| {
        lines
            .iter()
            .filter_map(|line| line.get(column))
            .map(|cell| cell.chars().count())
            .max()
    };
    let widths: Vec<_> = (0..count)
        .map(|column| width(column).unwrap_or(0))
        .collect();
    let mut text = String::new();
    for line in lines {
        let padded: Vec<_> = line
            .iter()
            .zip(&widths)
            .map(|(cell, width)| format!("{cell:<width$}"))
            .collect();
        text += padded.join("  ").trim_end();
        text.push('\n');
    }
    text
}

/// Gives runs of one name (in different folders) their paths as names.
fn name_apart(runs: &mut [RunRecord]) {
    let names: Vec<_> = runs.iter().map(|run| run.name.clone()).collect();
    for run in runs {
        if names.iter().filter(|name| **name == run.name).count() > 1 {
            run.name = run.path.display().to_string();
        }
    }
}

impl Run {
    fn of(run: &RunRecord) -> Self {
        let env = run.environment.clone().unwrap_or_default();
        let parameters = env
            .parameters
            .map(|n| format!("{} parameters", format::short_count(n)));
        let finished = env.finished.is_some() || run.results.is_some();
        let note = [env.model, parameters.unwrap_or_default(), env.dataset]
            .into_iter()
            .chain((!finished).then(|| "not finished".to_string()))
            .filter(|part| !part.is_empty());
        Run {
            name: run.name.clone(),
            note: note.collect::<Vec<_>>().join(" · "),
        }
    }
}

/// The points of a metric on the split that a run measured first of all: validation where it has
/// one.
fn measured(run: &RunRecord, name: &str) -> Vec<[f64; 2]> {
    curves::splits(&run.log)
        .iter()
        .map(|(split, ema)| curves::eval_points(&run.log, split, *ema, name))
        .find(|points| !points.is_empty())
        .unwrap_or_default()
}

/// The keys whose values differ between the runs, and the number of those that do not.
fn differences(runs: &[BTreeMap<String, String>]) -> (Vec<Row>, usize) {
    let keys: BTreeSet<&String> = runs.iter().flat_map(BTreeMap::keys).collect();
    let all = keys.len();
    let rows: Vec<_> = keys
        .into_iter()
        .filter(|key| runs.iter().any(|run| run.get(*key) != runs[0].get(*key)))
        .map(|key| Row {
            name: key.clone(),
            cells: runs
                .iter()
                .map(|run| Value {
                    text: run.get(key).cloned().unwrap_or(format::NONE.into()),
                    top: false,
                })
                .collect(),
        })
        .collect();
    let same = all - rows.len();
    (rows, same)
}

/// What of the environment should be equal for numbers to be compared.
fn machine(env: Option<&Environment>) -> BTreeMap<String, String> {
    let Some(env) = env else {
        return BTreeMap::new();
    };
    [
        ("firesight", env.version.clone()),
        ("backend", env.backend.clone()),
        ("device", env.device.clone()),
        (
            "threads",
            env.threads.map_or(String::new(), |n| n.to_string()),
        ),
        ("system", env.os.clone()),
        ("processor", env.cpu.clone()),
        ("dataset", env.dataset.clone()),
        ("dataset fingerprint", env.dataset_fingerprint.clone()),
    ]
    .into_iter()
    .filter(|(_, value)| !value.is_empty())
    .map(|(key, value)| (key.to_string(), value))
    .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn map(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
        pairs
            .iter()
            .map(|(k, v)| (k.to_string(), v.to_string()))
            .collect()
    }

    #[test]
    fn differences_leave_out_what_is_equal() {
        let runs = [
            map(&[("a", "1"), ("b", "2")]),
            map(&[("a", "1"), ("b", "3"), ("c", "4")]),
        ];
        let (rows, same) = differences(&runs);
        let shown: Vec<_> = rows
            .iter()
            .map(|row| {
                (
                    row.name.as_str(),
                    row.cells
                        .iter()
                        .map(|cell| cell.text.as_str())
                        .collect::<Vec<_>>(),
                )
            })
            .collect();
        assert_eq!(shown, [("b", vec!["2", "3"]), ("c", vec!["–", "4"])]);
        assert_eq!(same, 1);
    }

    #[test]
    fn columns_are_aligned() {
        let line = |cells: &[&str]| cells.iter().map(|c| c.to_string()).collect::<Vec<_>>();
        assert_eq!(
            columns(&[line(&["a", "run"]), line(&["ünï", "1"])]),
            "a    run\nünï  1\n"
        );
    }

    #[test]
    fn comparing_needs_runs() {
        assert!(matches!(
            compare(&[], Path::new("x.html")),
            Err(ReportError::NoRuns)
        ));
    }
}
