//! `report.html`: one file for one run.

use std::path::{Path, PathBuf};

use serde::Serialize;

mod classes;
mod numbers;
mod section;
mod table;

use classes::{Examples, Matrix, Pair};
use numbers::Headline;
use section::Part;
use table::Grid;

use crate::{
    chart::{Chart, Figure},
    curves,
    error::ReportError,
    format, json,
    jsonl::MessageKind,
    picture::{self, Inlined},
    recipe::{self, Token},
    run::RunRecord,
    template,
};

/// Name of the report within a run folder.
pub const FILE_NAME: &str = "report.html";

const MOST_PREVIEWS: usize = 8;
const MOST_EVENTS: usize = 200;

/// Makes `report.html` of the run folder `run` anew, and returns its path. Whatever is missing in
/// the folder is missing in the page; a run that is not finished gets a report as far as it went.
///
/// # Errors
/// [`ReportError::NotARun`] where `run` is no run folder; [`ReportError::Io`] where the page cannot
/// be written.
pub fn write(run: &Path) -> Result<PathBuf, ReportError> {
    let folder = RunRecord::read(run)?;
    let html = template::render("report.html", &Page::of(&folder))?;
    let path = run.join(FILE_NAME);
    json::write_whole(&path, html.as_bytes())?;
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

/// A name with its value.
#[derive(Debug, Serialize)]
struct Fact {
    name: String,
    value: String,
}

/// A message of the log.
#[derive(Debug, Serialize)]
struct Message {
    place: String,
    text: String,
}

impl Page {
    fn of(run: &RunRecord) -> Self {
        let results = run.results.clone().unwrap_or_default();
        let metrics = run.metrics();
        let charts = curves::charts(&run.log, &metrics, results.primary.as_deref());
        let charts = section::arranged(charts.into_iter().filter_map(Chart::figure));
        let events: Vec<_> = run.log.events().collect();
        let skipped = events.len().saturating_sub(MOST_EVENTS);
        Page {
            name: run.name.clone(),
            subtitle: subtitle(run),
            status: status(run),
            problems: run.problems.clone(),
            headlines: numbers::headlines(run, &results),
            numbers: numbers::of(&metrics, &results),
            facts: facts(run),
            charts,
            source: numbers::source(&results.split, results.weights.as_ref()),
            confusion: classes::matrix(&results),
            confusion_left_out: classes::left_out(&results),
            classes: classes::by_class(&results),
            pairs: classes::pairs(&results),
            examples: classes::examples(run, &results),
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
fn subtitle(run: &RunRecord) -> String {
    let Some(env) = &run.environment else {
        return String::new();
    };
    let mut text = env.model.clone();
    if let Some(parameters) = env.parameters {
        let model = if text.is_empty() { "A model" } else { &text };
        let some = env.trainable.filter(|trainable| *trainable != parameters);
        let some = some.map(|n| format!(", of which {} train", format::short_count(n)));
        text = format!(
            "{model} with {} parameters{}",
            format::short_count(parameters),
            some.unwrap_or_default()
        );
    }
    if !env.dataset.is_empty() {
        text += &format!(
            "{}trained on {}",
            if text.is_empty() { "" } else { ", " },
            env.dataset
        );
        if let Some(train) = env.splits.iter().find(|split| split.name == "train") {
            text += &format!(" ({})", format::counted(train.samples as u64, "image"));
        }
    }
    text
}

/// What a reader must know of a run that did not finish.
fn status(run: &RunRecord) -> Option<String> {
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

/// The few facts beside the large numbers.
fn facts(run: &RunRecord) -> Vec<Fact> {
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
                "{}, {}",
                format::counted(last.epoch, "epoch"),
                format::counted(last.step, "step")
            ),
        ));
    }
    let time = last.map(|train| train.time).filter(|time| *time > 0.0);
    if let Some(seconds) = time.or_else(|| run.environment.as_ref()?.seconds()) {
        facts.push(fact("Training time", format::duration(seconds)));
    }
    let speeds = run.log.train().map(|train| train.images_per_second);
    if let Some(speed) = curves::median(speeds).filter(|speed| *speed > 0.0) {
        facts.push(fact(
            "Images per second",
            format!("{} (median)", format::number(speed, 3)),
        ));
    }
    let left_out = run
        .log
        .events()
        .filter(|event| event.kind == MessageKind::Skipped);
    let left_out = left_out.count() as u64;
    if left_out > 0 {
        facts.push(fact("Images left out", format::count(left_out)));
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

fn previews(run: &RunRecord) -> Vec<Inlined> {
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

fn environment(run: &RunRecord) -> Vec<Fact> {
    let Some(env) = &run.environment else {
        return Vec::new();
    };
    let splits = env
        .splits
        .iter()
        .map(|s| format!("{} {}", s.name, format::count(s.samples as u64)));
    let path = |path: &Option<PathBuf>| {
        let shown = |path: &PathBuf| path.display().to_string();
        path.as_ref().map(shown).unwrap_or_default()
    };
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
        ("Recipe", path(&env.recipe)),
        ("Replaced", env.overrides.join(", ")),
        ("Data root", path(&env.data_root)),
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

impl Message {
    fn of(event: &crate::jsonl::Message) -> Self {
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
            text: match event.kind {
                MessageKind::Warning => format!("Warning: {}", event.message),
                MessageKind::Note | MessageKind::Skipped => event.message.clone(),
            },
        }
    }
}
