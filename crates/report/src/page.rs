//! `report.html`: one file for one run.

use std::path::{Path, PathBuf};

use serde::Serialize;

use crate::{
    chart::{self, Chart, Curve, Figure},
    curves,
    error::ReportError,
    format::{self, Metric},
    picture::{self, Inlined},
    recipe::{self, Token},
    results::{Cell, ClassRow, Evaluation, Example, LineChart, Results, Section, Table, Weights},
    run::{self, RunFolder},
    template,
};

/// Name of the report within a run folder.
pub const FILE_NAME: &str = "report.html";

/// Above this many classes the confusion matrix is left out, and only its pairs are listed.
const MOST_CLASSES: usize = 100;
/// Up to this many classes its cells hold their counts.
const MOST_CLASSES_WITH_COUNTS: usize = 24;
/// Pairs, previews and messages shown.
const MOST_PAIRS: usize = 12;
const MOST_PREVIEWS: usize = 8;
const MOST_EVENTS: usize = 200;

/// Makes `report.html` of the run folder `run` anew, and returns its path. Whatever is missing in
/// the folder is missing in the page; a run that is not finished gets a report as far as it went.
///
/// # Errors
/// [`ReportError::NotARun`] where `run` is no run folder; [`ReportError::Io`] where the page cannot
/// be written.
pub fn write(run: &Path) -> Result<PathBuf, ReportError> {
    let folder = RunFolder::read(run)?;
    let html = template::render("report.html", &Page::of(&folder))?;
    let path = run.join(FILE_NAME);
    run::write_whole(&path, html.as_bytes())?;
    Ok(path)
}

/// What the template shows; the names are those it uses.
#[derive(Debug, Serialize)]
struct Page {
    name: String,
    subtitle: String,
    status: Option<String>,
    problems: Vec<String>,
    headlines: Vec<Headline>,
    numbers: Option<Grid>,
    facts: Vec<Fact>,
    charts: Vec<Figure>,
    /// "test split, best checkpoint (step 690, EMA)".
    source: String,
    confusion: Option<Matrix>,
    confusion_left_out: Option<String>,
    classes: Option<Grid>,
    pairs: Vec<Pair>,
    examples: Vec<Examples>,
    sections: Vec<Part>,
    previews: Vec<Inlined>,
    recipe: Vec<Vec<Token>>,
    environment: Vec<Fact>,
    events: Vec<Message>,
    events_left_out: usize,
    made: String,
    version: &'static str,
}

/// A large number at the top.
#[derive(Debug, Serialize)]
struct Headline {
    label: String,
    value: String,
    note: String,
}

/// A name with its value.
#[derive(Debug, Serialize)]
struct Fact {
    name: String,
    value: String,
}

/// A table as shown.
#[derive(Debug, Default, Serialize)]
struct Grid {
    caption: String,
    columns: Vec<Column>,
    /// Cells with whether they are numbers.
    rows: Vec<Vec<(String, bool)>>,
}

/// A column heading.
#[derive(Debug, Default, Serialize)]
struct Column {
    name: String,
    note: String,
    number: bool,
}

impl Column {
    fn new(name: impl Into<String>, number: bool) -> Self {
        Column {
            name: name.into(),
            number,
            ..Column::default()
        }
    }
}

/// The confusion matrix.
#[derive(Debug, Serialize)]
struct Matrix {
    names: Vec<String>,
    /// Whether the names are short enough to stand upright over narrow columns.
    upright: bool,
    counts: bool,
    /// Edge of a cell without a count, in CSS pixels.
    cell: usize,
    rows: Vec<Vec<Shade>>,
}

/// A cell of the confusion matrix.
#[derive(Debug, Serialize)]
struct Shade {
    count: u64,
    /// Strength of the shade, percent.
    shade: u32,
    /// Whether the text needs the light colour.
    strong: bool,
}

/// A pair of confused classes.
#[derive(Debug, Serialize)]
struct Pair {
    truth: String,
    predicted: String,
    count: String,
    share: String,
    /// Length of its bar, percent of the longest.
    bar: f64,
}

/// Worst or best examples.
#[derive(Debug, Serialize)]
struct Examples {
    title: &'static str,
    note: &'static str,
    cards: Vec<Card>,
}

/// One example.
#[derive(Debug, Serialize)]
struct Card {
    picture: Inlined,
    truth: Option<String>,
    right: Option<bool>,
    top: Vec<Bar>,
    loss: String,
    origin: String,
}

/// A class with its probability.
#[derive(Debug, Serialize)]
struct Bar {
    name: String,
    percent: String,
    width: f64,
    truth: bool,
}

/// A section of the task's own.
#[derive(Debug, Serialize)]
struct Part {
    title: String,
    text: Vec<String>,
    charts: Vec<Figure>,
    tables: Vec<Grid>,
    images: Vec<Inlined>,
}

/// A message of the log.
#[derive(Debug, Serialize)]
struct Message {
    place: String,
    text: String,
}

impl Page {
    fn of(run: &RunFolder) -> Self {
        let results = run.results.clone().unwrap_or_default();
        let charts = curves::charts(&run.log, results.primary.as_deref());
        let charts = arranged(charts.into_iter().filter_map(Chart::figure));
        let events: Vec<_> = run.log.events().collect();
        let skipped = events.len().saturating_sub(MOST_EVENTS);
        Page {
            name: run.name.clone(),
            subtitle: subtitle(run),
            status: status(run),
            problems: run.problems.clone(),
            headlines: headlines(run, &results),
            numbers: numbers(&results),
            facts: facts(run),
            charts,
            source: source(&results.split, results.weights.as_ref()),
            confusion: matrix(&results),
            confusion_left_out: left_out(&results),
            classes: classes(&results),
            pairs: pairs(&results),
            examples: examples(run, &results),
            sections: results
                .sections
                .iter()
                .map(|s| Part::of(&run.path, s))
                .collect(),
            previews: previews(run),
            recipe: run
                .recipe
                .as_deref()
                .map(recipe::highlight)
                .unwrap_or_default(),
            environment: environment(run),
            events: events[skipped..]
                .iter()
                .map(|event| Message::of(event))
                .collect(),
            events_left_out: skipped,
            made: format::moment(&crate::environment::now()),
            version: env!("CARGO_PKG_VERSION"),
        }
    }
}

/// "resnet18 with 11.2 M parameters, trained on cifar10 (45,000 images)".
fn subtitle(run: &RunFolder) -> String {
    let Some(env) = &run.environment else {
        return String::new();
    };
    let mut text = env.model.clone();
    if let Some(parameters) = env.parameters {
        let model = if text.is_empty() { "A model" } else { &text };
        text = format!(
            "{model} with {} parameters",
            format::short_count(parameters)
        );
    }
    if !env.dataset.is_empty() {
        text += &format!(
            "{}trained on {}",
            if text.is_empty() { "" } else { ", " },
            env.dataset
        );
        if let Some(train) = env.splits.iter().find(|split| split.name == "train") {
            text += &format!(" ({} images)", format::count(train.samples as u64));
        }
    }
    text
}

/// What a reader must know of a run that did not finish.
fn status(run: &RunFolder) -> Option<String> {
    if run
        .environment
        .as_ref()
        .is_some_and(|env| env.finished.is_some())
    {
        return None;
    }
    let step = run
        .log
        .records
        .iter()
        .filter_map(crate::jsonl::Record::step)
        .max();
    let reached = step.map_or("before its first record".into(), |step| {
        format!("at step {}", format::count(step))
    });
    run.results.is_none().then(|| {
        format!("This run has not finished: it is still going on or was stopped. The report shows it as it stood {reached}.")
    })
}

/// "test split, best checkpoint (step 690, EMA weights)".
fn source(split: &str, weights: Option<&Weights>) -> String {
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
fn ordered(results: &Results) -> Vec<&Evaluation> {
    let mut evaluations: Vec<_> = results.evaluations.iter().collect();
    evaluations.sort_by_key(|e| match e.split.as_str() {
        "test" => 0,
        "validation" => 1,
        _ => 2,
    });
    evaluations
}

/// The primary metric of every evaluation; without one, the best of the log so far.
fn headlines(run: &RunFolder, results: &Results) -> Vec<Headline> {
    let primary = |names: Vec<String>| {
        let first = names.into_iter().find(|name| name != "loss");
        results.primary.clone().or(first)
    };
    let mut headlines = Vec::new();
    for evaluation in ordered(results) {
        let Some(name) = primary(evaluation.metrics.keys().cloned().collect()) else {
            continue;
        };
        let Some(value) = evaluation.metrics.get(&name) else {
            continue;
        };
        let metric = Metric::of(&name);
        let images = evaluation
            .samples
            .map(|n| format!("{} images · ", format::count(n as u64)));
        let weights = source("", evaluation.weights.as_ref());
        headlines.push(Headline {
            label: format!("{}, {} split", metric.label, evaluation.split),
            value: metric.show(*value),
            note: format!("{}{weights}", images.unwrap_or_default())
                .trim_end_matches(" · ")
                .to_string(),
        });
    }
    if headlines.is_empty() {
        if let (Some(name), Some((split, ema))) = (
            primary(curves::metric_names(&run.log)),
            curves::splits(&run.log).first(),
        ) {
            let metric = Metric::of(&name);
            let points = curves::eval_points(&run.log, split, *ema, &name);
            if let Some(at) = curves::best(&points, &metric) {
                headlines.push(Headline {
                    label: format!("{}, {split} split", metric.label),
                    value: metric.show(points[at][1]),
                    note: format!(
                        "best so far, at step {}{}",
                        format::count(points[at][0] as u64),
                        if *ema { " (EMA weights)" } else { "" }
                    ),
                });
            }
        }
    }
    headlines.truncate(3);
    headlines
}

/// All final numbers: one row per metric, one column per evaluation.
fn numbers(results: &Results) -> Option<Grid> {
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
            let metric = Metric::of(name);
            let values = evaluations.iter().map(|e| {
                (
                    e.metrics
                        .get(*name)
                        .map_or(format::NONE.into(), |value| metric.show(*value)),
                    true,
                )
            });
            std::iter::once((metric.label.clone(), false))
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

/// The few facts beside the large numbers.
fn facts(run: &RunFolder) -> Vec<Fact> {
    let fact = |name: &str, value: String| Fact {
        name: name.into(),
        value,
    };
    let mut facts = Vec::new();
    let last = run.log.train().last();
    if let Some(last) = last {
        facts.push(fact(
            "Trained for",
            format!(
                "{} epochs, {} steps",
                format::count(last.epoch),
                format::count(last.step)
            ),
        ));
    }
    let time = last.map(|train| train.time).filter(|time| *time > 0.0);
    if let Some(seconds) = time.or_else(|| run.environment.as_ref()?.seconds()) {
        facts.push(fact("Training time", format::duration(seconds)));
    }
    if let Some(speed) = curves::median(run.log.train().map(|train| train.images_per_second)) {
        if speed > 0.0 {
            facts.push(fact(
                "Images per second",
                format!("{} (median)", format::number(speed, 3)),
            ));
        }
    }
    if let Some(env) = &run.environment {
        let device = [&env.backend, &env.device]
            .into_iter()
            .filter(|s| !s.is_empty());
        let device = device.cloned().collect::<Vec<_>>().join(", ");
        let threads = env.threads.map_or(String::new(), |n| {
            format!(", {n} thread{}", if n == 1 { "" } else { "s" })
        });
        if !device.is_empty() {
            facts.push(fact("Device", device + &threads));
        }
    }
    facts
}

/// Shares of the true class as shades. Hits are shaded by their share, errors by its root, so that
/// rare ones are seen as well.
fn matrix(results: &Results) -> Option<Matrix> {
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
                    let shade = (strength * 90.0).round() as u32;
                    Shade {
                        count,
                        shade,
                        strong: shade > 66,
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

fn left_out(results: &Results) -> Option<String> {
    let classes = results.confusion.as_ref()?.counts.len();
    (classes > MOST_CLASSES).then(|| {
        format!("The confusion matrix of {classes} classes is too large to show; its most frequent errors are below.")
    })
}

fn classes(results: &Results) -> Option<Grid> {
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
            .map(|name| Column::new(Metric::of(name).label, true)),
    );
    columns.extend(samples.then(|| Column::new("Samples", true)));
    let rows = rows
        .iter()
        .map(|row| {
            let mut cells = vec![(results.class_name(row.class), false)];
            cells.extend(names.iter().map(|name| {
                let value = row.metrics.get(*name).copied().unwrap_or(f64::NAN);
                (Metric::of(name).show(value), true)
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

fn pairs(results: &Results) -> Vec<Pair> {
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

fn examples(run: &RunFolder, results: &Results) -> Vec<Examples> {
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

fn previews(run: &RunFolder) -> Vec<Inlined> {
    run.previews
        .iter()
        .take(MOST_PREVIEWS)
        .filter_map(|file| file.strip_prefix(&run.path).ok())
        .map(|file| {
            let name = file
                .file_stem()
                .unwrap_or_default()
                .to_string_lossy()
                .replace(['-', '_'], " ");
            let alt = format!("Mosaic of augmented training images with their labels: {name}");
            picture::inline(&run.path, file, &alt, &name)
        })
        .collect()
}

fn environment(run: &RunFolder) -> Vec<Fact> {
    let Some(env) = &run.environment else {
        return Vec::new();
    };
    let splits = env
        .splits
        .iter()
        .map(|s| format!("{} {}", s.name, format::count(s.samples as u64)));
    let moment = |text: &Option<String>| text.as_deref().map(format::moment).unwrap_or_default();
    let took = env.seconds().map_or(String::new(), |s| {
        format!(" (after {})", format::duration(s))
    });
    let finished = moment(&env.finished);
    let facts = [
        ("Started", moment(&env.started)),
        (
            "Finished",
            if finished.is_empty() {
                finished
            } else {
                finished + &took
            },
        ),
        ("Command", env.command.clone()),
        ("Firesight", env.version.clone()),
        ("Backend", env.backend.clone()),
        ("Device", env.device.clone()),
        (
            "Threads",
            env.threads.map_or(String::new(), |n| n.to_string()),
        ),
        ("System", env.os.clone()),
        ("Processor", env.cpu.clone()),
        ("Dataset", env.dataset.clone()),
        ("Images", splits.collect::<Vec<_>>().join(", ")),
        ("Dataset fingerprint", env.dataset_fingerprint.clone()),
    ];
    let fact = |(name, value): (&str, String)| Fact {
        name: name.into(),
        value,
    };
    facts
        .into_iter()
        .filter(|(_, value)| !value.is_empty())
        .map(fact)
        .collect()
}

impl Part {
    fn of(run: &Path, section: &Section) -> Self {
        let tables = section.tables.iter().map(|table| Grid {
            caption: table.caption.clone(),
            columns: table
                .columns
                .iter()
                .enumerate()
                .map(|(at, name)| Column::new(name, numeric(table, at)))
                .collect(),
            rows: cells(table),
        });
        let images = section.images.iter().map(|image| {
            let alt = if image.alt.is_empty() {
                &image.caption
            } else {
                &image.alt
            };
            picture::inline(run, &image.path, alt, &image.caption)
        });
        Part {
            title: section.title.clone(),
            text: section.text.clone(),
            charts: arranged(section.charts.iter().cloned().filter_map(line_chart)),
            tables: tables.collect(),
            images: images.collect(),
        }
    }
}

fn arranged(figures: impl Iterator<Item = Figure>) -> Vec<Figure> {
    let mut figures: Vec<_> = figures.collect();
    chart::arrange(&mut figures);
    figures
}

fn line_chart(chart: LineChart) -> Option<Figure> {
    let curves = chart
        .series
        .into_iter()
        .enumerate()
        .map(|(colour, series)| Curve {
            name: series.name,
            points: series.points,
            colour,
            dots: true,
            ..Curve::default()
        });
    Chart {
        title: chart.title,
        x: chart.x,
        y: chart.y,
        log: chart.log,
        curves: curves.collect(),
        ..Chart::default()
    }
    .figure()
}

/// Whether a column holds numbers and nothing else.
fn numeric(table: &Table, column: usize) -> bool {
    let mut cells = table
        .rows
        .iter()
        .filter_map(|row| row.get(column))
        .peekable();
    cells.peek().is_some() && cells.all(|cell| !matches!(cell, Cell::Text(_)))
}

/// The cells as text; the numbers of a column get as many decimals as the one that needs most.
fn cells(table: &Table) -> Vec<Vec<(String, bool)>> {
    let decimals = |column: usize| {
        let numbers = table.rows.iter().filter_map(|row| match row.get(column) {
            Some(Cell::Number(value)) => Some(format::number(*value, 4)),
            _ => None,
        });
        let decimals = |text: String| {
            text.split_once('.')
                .map_or(0, |(_, fraction)| fraction.len())
        };
        let texts: Vec<_> = numbers.collect();
        let plain = texts.iter().all(|text| !text.contains('e'));
        plain.then(|| texts.into_iter().map(decimals).max().unwrap_or(0))
    };
    let decimals: Vec<_> = (0..table.columns.len()).map(decimals).collect();
    let text = |(column, cell): (usize, &Cell)| match cell {
        Cell::Number(value) => match decimals.get(column).copied().flatten() {
            Some(decimals) if decimals > 0 => (format!("{value:.decimals$}"), true),
            _ => (format::number(*value, 4), true),
        },
        Cell::Text(text) => (text.clone(), false),
        Cell::Empty => (format::NONE.into(), true),
    };
    table
        .rows
        .iter()
        .map(|row| row.iter().enumerate().map(text).collect())
        .collect()
}

impl Message {
    fn of(event: &crate::jsonl::Event) -> Self {
        let step = event
            .step
            .map(|step| format!("step {}", format::count(step)));
        let time = event.time.map(format::duration);
        let place = [time, step]
            .into_iter()
            .flatten()
            .collect::<Vec<_>>()
            .join(", ");
        Message {
            place,
            text: event.message.clone(),
        }
    }
}
