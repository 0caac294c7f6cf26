//! The recipe as text, each line with its reason above it.

use std::fmt::Write;
use std::path::Path;

use firesight_data::scan::Lesson;
use firesight_data::words::counted;
use serde_json::Value;

use super::Wanted;
use super::facts::Facts;
use super::recognize::Candidate;
use super::settings::Settings;

/// A recipe under construction.
struct Recipe(String);

impl Recipe {
    /// A line of the recipe with the reason for it.
    fn line(&mut self, text: impl AsRef<str>, reason: impl AsRef<str>) {
        self.note(reason);
        let _ = writeln!(self.0, "{}", text.as_ref());
    }

    /// A comment.
    fn note(&mut self, text: impl AsRef<str>) {
        for line in wrapped(text.as_ref()) {
            let _ = writeln!(self.0, "# {line}");
        }
    }

    /// A line that stands there as a comment, and what it would be for.
    fn other(&mut self, text: impl AsRef<str>, reason: impl AsRef<str>) {
        self.note(reason);
        let _ = writeln!(self.0, "# {}", text.as_ref());
    }

    fn table(&mut self, header: &str) {
        let _ = writeln!(self.0, "\n{header}");
    }
}

/// Words in lines of a length that is read well.
fn wrapped(text: &str) -> Vec<String> {
    let mut lines = vec![String::new()];
    for word in text.split_whitespace() {
        let last = lines.last_mut().expect("there is a line");
        if !last.is_empty() && last.chars().count() + word.chars().count() > 110 {
            lines.push(word.to_owned());
        } else {
            let space = if last.is_empty() { "" } else { " " };
            *last += &format!("{space}{word}");
        }
    }
    lines
}

/// A value in one line of TOML.
fn inline(value: &Value) -> String {
    match value {
        Value::Object(table) => {
            let entries = table
                .iter()
                .map(|(key, value)| format!("{key} = {}", inline(value)));
            format!("{{ {} }}", entries.collect::<Vec<_>>().join(", "))
        }
        Value::Array(list) => format!(
            "[{}]",
            list.iter().map(inline).collect::<Vec<_>>().join(", ")
        ),
        // Strings of JSON are strings of TOML.
        other => other.to_string(),
    }
}

/// Writes the recipe of a folder.
pub(super) fn write(
    folder: &Path,
    wanted: &Wanted,
    candidate: &Candidate,
    facts: &Facts,
    others: &[Candidate],
) -> String {
    let settings = Settings::of(facts);
    let mut recipe = Recipe(String::new());
    recipe.note(format!(
        "Drafted by `trainer new` for {}: {}.",
        folder.display(),
        candidate.why
    ));
    for said in facts.said() {
        recipe.note(format!("{said}."));
    }
    recipe.line("seed = 1", "Every random draw follows from it.");
    let Settings { epochs, steps, .. } = settings;
    recipe.line(
        format!("epochs = {epochs}"),
        format!("Passes over {}: {steps} steps in all. Where the loss still falls at the end, more help.", counted(settings.train, "training picture")),
    );
    recipe.table("[data]");
    source(&mut recipe, facts, others);
    recipe.line(
        format!("batch-size = {}", settings.batch),
        format!("Pictures of a step: {}.", settings.batch_why),
    );
    if settings.train > settings.batch {
        recipe.line(
            "drop-last = true",
            "A last batch of few pictures would count as much as a full one.",
        );
    }
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let workers = (cores / 2).clamp(1, 8);
    recipe.line(
        format!("workers = {workers}"),
        format!(
            "Threads that read and change pictures: half of the {}.",
            counted(cores, "core")
        ),
    );
    if facts.decoded() < facts.memory / 8 {
        let mebibytes = facts.decoded() >> 20;
        recipe.line(
            "cache = true",
            format!(
                "All decoded pictures, about {mebibytes} MiB, stay in memory and are decoded once."
            ),
        );
    }
    if let (bad @ 1.., first) = &facts.bad {
        recipe.line(format!("max-bad = {bad}"), format!("So many samples cannot be used; they are left out, and `check` names them: {first}."));
    }
    pictures(&mut recipe, facts, &settings);
    split(&mut recipe, facts, &settings);
    task(&mut recipe, wanted, facts, &settings);
    training(&mut recipe, facts);
    recipe.0
}

fn source(recipe: &mut Recipe, facts: &Facts, others: &[Candidate]) {
    for (key, why) in &facts.mended {
        recipe.note(format!("{key}: {why}."));
    }
    recipe.line(
        format!("source = {}", inline(&facts.candidate.source)),
        "Paths start from the working directory, or from --data-root.",
    );
    for other in others
        .iter()
        .filter(|other| other.lessons.contains(&facts.lesson))
    {
        recipe.other(
            format!("source = {}", inline(&other.source)),
            format!("Or else: {}.", other.why),
        );
    }
    if facts.candidate.format() == "pairs" && facts.candidate.table().get("encoding").is_none() {
        recipe.note("The names of the classes are not in the files; put them into `classes` in the order of their numbers.");
    }
}

/// What is done to the pictures.
fn pictures(recipe: &mut Recipe, facts: &Facts, settings: &Settings) {
    let side = settings.side;
    let [width, height] = facts.middle;
    let color = "{ color-jitter = { brightness = 0.2, contrast = 0.2, saturation = 0.2 } }";
    recipe.line(
        "mean = [0.485, 0.456, 0.406]",
        "The mean and the deviation of ImageNet, which published weights were trained with.",
    );
    let _ = writeln!(recipe.0, "std = [0.229, 0.224, 0.225]");
    let size = match facts.one_size {
        true => format!("all have {width}x{height}"),
        false => format!("the one in the middle has {width}x{height}"),
    };
    if settings.as_they_are {
        recipe.note(format!(
            "Pictures come as they are: {size}. A smaller `preprocess` trains faster."
        ));
    } else {
        let steps = match facts.lesson {
            Lesson::Classes if side <= 64 => {
                format!("[{{ resize = {{ width = {side}, height = {side} }} }}]")
            }
            Lesson::Classes => format!(
                "[{{ resize-shortest = {{ size = {} }} }}, {{ center-crop = {{ width = {side}, height = {side} }} }}]",
                side * 8 / 7 / 2 * 2
            ),
            _ => format!("[{{ letterbox = {{ width = {side}, height = {side} }} }}]"),
        };
        recipe.line(
            format!("preprocess = {steps}"),
            format!("A batch holds one size; {size}. Larger is slower and sees smaller things."),
        );
    }
    let frame = match settings.as_they_are {
        true => [width, height],
        false => [side, side],
    };
    let [w, h] = frame;
    let (augment, reason) = match facts.lesson {
        Lesson::Classes if side <= 64 => (
            "augment = [{ translate = { fraction = 0.1 } }]".to_owned(),
            "Small pictures are moved. Where a mirrored one is still of its class, add \"horizontal-flip\".",
        ),
        Lesson::Boxes => (
            format!(
                "augment = [\"horizontal-flip\", {{ scale-jitter = {{ width = {w}, height = {h}, scale = [0.8, 1.25] }} }}, {color}]"
            ),
            "Training pictures are mirrored, scaled and colored anew. Leave out the mirror where left and right differ, as in letters.",
        ),
        _ => (
            format!("augment = [\"horizontal-flip\", {color}]"),
            "Training pictures are mirrored and colored anew. Leave out the mirror where left and right differ, as in letters.",
        ),
    };
    recipe.line(augment, reason);
}

/// What is held out.
fn split(recipe: &mut Recipe, facts: &Facts, settings: &Settings) {
    if facts.validation.is_some() {
        recipe.note("The dataset gives its validation part itself.");
        return;
    }
    recipe.table("[data.split]");
    if settings.held == 0.0 {
        recipe.line(
            "validation = \"none\"",
            format!(
                "{} are too few to hold some out.",
                counted(facts.train, "picture")
            ),
        );
    } else {
        recipe.line(
            format!("validation = {{ fraction = {} }}", settings.held),
            "The dataset gives no validation part; so many training pictures decide which checkpoint is best.",
        );
    }
    if let Some((text, _)) = facts.group {
        recipe.line(
            format!("group = {{ until = \"{text}\" }}"),
            "Pictures that were made of one original are held out together; otherwise what is learnt by heart would look like skill.",
        );
    } else {
        recipe.other(
            "group = \"folder\"",
            "Where pictures of a folder are of one kind, as the frames of a video:",
        );
    }
    if facts.test.is_none() {
        recipe.other(
            "test = { fraction = 0.1 }",
            "Numbers to publish need pictures that decided nothing:",
        );
    }
}

/// The model.
fn task(recipe: &mut Recipe, wanted: &Wanted, facts: &Facts, settings: &Settings) {
    let named = wanted.model.as_ref().map(|name| {
        (
            format!("model = {}", Value::from(name.as_str())),
            "As asked for.".to_owned(),
        )
    });
    let pictures = counted(settings.train, "picture");
    match facts.lesson {
        Lesson::Boxes => {
            recipe.table("[task.detection]");
            let (model, reason) = named.unwrap_or_else(|| {
                let model = format!(
                    "model = {{ retinanet = {{ backbone = \"resnet18\", channels = 128, levels = 4, head-depth = 2, \
                     anchor-size = {}, box-loss = \"giou\" }} }}",
                    settings.anchor
                );
                let small = facts.small_box.unwrap_or(0.1) * settings.side as f64;
                let reason = format!(
                    "A small RetinaNet learns from {pictures} without published weights. Nine of ten boxes have sides of {small:.0} \
                     pixels or more at this size, so the smallest anchors have {}.",
                    settings.anchor
                );
                (model, reason)
            });
            recipe.line(model, reason);
            if wanted.model.is_none() {
                recipe.other(
                    "backbone-init = { tag = \"IMAGENET1K_V1\" }",
                    "Better, with the published file in weights/:",
                );
            }
        }
        Lesson::Masks => {
            recipe.table("[task.segmentation]");
            let reason = format!("A U-Net learns from {pictures} without published weights.");
            let (model, reason) = named.unwrap_or_else(|| ("model = \"unet\"".into(), reason));
            recipe.line(model, reason);
            recipe.other(
                "class-weights = \"median-frequency\"",
                "Where rare classes are missed:",
            );
        }
        _ => {
            recipe.table("[task.classification]");
            let (model, reason) = named.unwrap_or_else(|| match settings.side <= 64 {
                true => (
                    "model = \"resnet20\"".into(),
                    format!("A network for small pictures, {pictures} of them."),
                ),
                false => (
                    "model = \"resnet18\"".into(),
                    format!("The smallest network of the usual kind, for {pictures}."),
                ),
            });
            recipe.line(model, reason);
            if settings.side > 64 && wanted.model.is_none() {
                recipe.other(
                    "init = { tag = \"IMAGENET1K_V1\" }",
                    "Better, and in a third of the epochs, with the published file in weights/:",
                );
            }
            recipe.line(
                "label-smoothing = 0.1",
                "Keeps the network from being too sure of few pictures.",
            );
        }
    }
}

/// How the weights are updated.
fn training(recipe: &mut Recipe, facts: &Facts) {
    let (rate, decay) = match facts.lesson {
        Lesson::Boxes => ("0.0005", "0.01"),
        Lesson::Masks => ("0.002", "0.01"),
        _ => ("0.001", "0.05"),
    };
    recipe.table("[optimizer.adamw]");
    recipe.line(format!("learning-rate = {rate}"), "The usual one for this model from random weights; `trainer lr-find` shows others. A tenth of it for published weights.");
    let _ = writeln!(
        recipe.0,
        "weight-decay = {decay}\ndecay-norm-and-bias = false"
    );
    if facts.lesson == Lesson::Boxes {
        recipe.table("[clip]");
        recipe.line(
            "norm = 5.0",
            "Keeps single batches of a detector from throwing the weights about.",
        );
    }
    recipe.table("[warmup]");
    recipe.line(
        "epochs = 1",
        "The rate rises in the first epoch, while the statistics of the network settle.",
    );
    let _ = writeln!(recipe.0);
    recipe.line("[schedule.cosine]", "And falls to nothing by the end.");
    if facts.lesson == Lesson::Boxes {
        recipe.table("[ema]");
        recipe.line(
            "decay = 0.99",
            "Averaged weights are evaluated and kept: they find more than those of the last step.",
        );
    }
}
