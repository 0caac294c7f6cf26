//! What is found in the data before anything is trained on it. `check` and `train` find it by the same functions:
//! `check` reads everything, `train` the labels alone.
//!
//! ```
//! use firesight::examine;
//! use firesight::experiment::Experiment;
//!
//! let recipe = "
//!     epochs = 1
//!     data = { source = { digits = {} }, batch-size = 68, workers = 0 }
//!     task = { classification = { model = { cnn = { channels = [4] } } } }
//!     optimizer = { sgd = {} }
//! ";
//! let recipe = firesight_recipe::read_str(recipe, "digits.toml", &[])?.value;
//! let experiment = Experiment::open(recipe, ".".as_ref(), &())?;
//! let found = examine::before_training(&experiment)?; // 1293 images are 19 batches of 68 and one image
//! assert!(found.len() == 1 && found[0].contains("drop-last"), "{found:?}");
//! # anyhow::Ok(())
//! ```

use std::collections::BTreeSet;
use std::time::Duration;

use crate::error::bail;
use firesight_data::HoldOut;
use firesight_data::augment::Pipeline;
use firesight_data::preprocess::Preprocess;
use firesight_data::random::{Domain, stream};
use firesight_data::scan::{Finding, ScanReport, Severity, SplitReport, scan_labels};
use firesight_data::words::counted;
use firesight_engine::ScheduleConfig;

use crate::experiment::Experiment;
use crate::recipe::evaluations;

/// How long `train` reads the labels of a split.
const LIMIT: Duration = Duration::from_secs(10);
/// How many findings `train` shows; `check` shows all.
const SHOWN: usize = 8;
/// How often random sizes are drawn for pictures of one size.
const DRAWS: u64 = 4;
/// How many sizes of pictures are sent through the augmentations.
const SIZES: usize = 500;

/// All that is found by the labels: what `train` shows before the first batch.
///
/// # Errors
/// More bad samples than `max-bad` allows, labels that teach nothing, settings that the data contradicts.
pub fn before_training(experiment: &Experiment) -> crate::Result<Vec<String>> {
    let mut found = settings(experiment)?;
    let lesson = experiment.recipe.task.table().lesson();
    let report = scan_labels(&experiment.splits, lesson, LIMIT);
    let max_bad = experiment.recipe.data.max_bad;
    report.check(max_bad)?;
    if experiment.unreadable.len() > max_bad {
        bail!("{}", experiment.unreadable[0]);
    }
    found.extend(sizes(experiment, &report)?);
    found.extend(short(&report));
    Ok(found)
}

/// What the settings and the number of images say, without any label.
///
/// # Errors
/// Settings that the data contradicts.
pub fn settings(experiment: &Experiment) -> crate::Result<Vec<String>> {
    let (data, images) = (&experiment.recipe.data, experiment.splits.train.len());
    let size = data.batch_size;
    if data.drop_last && images < size {
        bail!(
            "data.batch-size = {size}: {} for training: no batch is full, and `drop-last` leaves out what is not",
            counted(images, "image")
        );
    }
    let task = experiment.recipe.task.table();
    if let (true, Some(trained)) = (task.is_bound_to_size(), &experiment.augmented) {
        let card = &experiment.card;
        bail!(
            "data.augment: training images come out as {}x{} pixels, all others as {}x{} (`data.preprocess`), and {} takes \
             one size alone; let `preprocess` bring all images to that size",
            trained.width,
            trained.height,
            card.width,
            card.height,
            card.model
        );
    }
    // What cannot be set up now could not be later.
    experiment.train_loader()?;
    for (_, split) in experiment.splits.named() {
        experiment.evaluation_loader(split.clone())?;
    }
    let mut found = Vec::new();
    found.extend(patience(experiment));
    if size > 1 && images > 1 && experiment.smallest_batch() == 1 {
        found.push(format!(
            "data.batch-size = {size}: the last batch of an epoch holds one of the {images} training images; \
             `drop-last = true` leaves it out"
        ));
    }
    if let (HoldOut::Fraction(share), None) =
        (&data.split.validation, &experiment.splits.validation)
        && *share > 0.0
    {
        found.push(format!(
            "data.split.validation: {share} of {} is none, so nothing is validated; give a larger `fraction`, or a `count`",
            counted(images, "image")
        ));
    }
    Ok(found)
}

/// What can never happen, since it waits for more evaluations than the run has.
fn patience(experiment: &Experiment) -> Vec<String> {
    let recipe = &experiment.recipe;
    if experiment.splits.validation.is_none() {
        return Vec::new();
    }
    let evaluations = evaluations(recipe, experiment.splits.train.len());
    let plateau = match &recipe.schedule {
        ScheduleConfig::Plateau(plateau) => Some(plateau.patience),
        _ => None,
    };
    let stopping = recipe.early_stopping.map(|stop| stop.patience);
    let rules = [
        (
            "early-stopping.patience",
            stopping,
            "the run never stops early",
        ),
        ("schedule.plateau.patience", plateau, "the rate never falls"),
    ];
    // The first evaluation is a gain, and what comes after as many without one as are borne acts.
    let acts = |patience: u64| patience.saturating_add(2) <= evaluations;
    let found = rules.into_iter().filter_map(|(key, patience, so)| {
        let patience = patience.filter(|patience| !acts(*patience))?;
        let run = counted(evaluations, "evaluation");
        Some(format!("{key} = {patience}: the run has {run}, so {so}"))
    });
    found.collect()
}

/// Whether the pictures of a batch have one size once they are prepared and augmented; `report` knows their sizes.
///
/// # Errors
/// Several sizes in the training or the validation split, with the setting that would mend it.
pub fn sizes(experiment: &Experiment, report: &ScanReport) -> crate::Result<Vec<String>> {
    let recipe = &experiment.recipe;
    let data = &recipe.data;
    let evaluated = recipe.evaluate.batch_size.unwrap_or(data.batch_size);
    let preprocess = Preprocess::new(&data.preprocess);
    let (preprocess, both) = (preprocess.then(&[]), preprocess.then(&data.augment));
    let mut found = Vec::new();
    for split in &report.splits {
        let (pipeline, batch, key) = match &*split.name {
            "train" => (&both, data.batch_size, "data.batch-size"),
            _ => (&preprocess, evaluated, "evaluate.batch-size"),
        };
        let Some([one, other]) = two_sizes(pipeline, split, recipe.seed).filter(|_| batch > 1)
        else {
            continue;
        };
        let message = format!(
            "data.preprocess: images of {} come out as {one} and as {other}, and a batch holds one size; bring them to one \
             (`resize`, `letterbox`, or `resize-shortest` and `center-crop`), or set `{key}` to 1",
            split.name
        );
        match &*split.name {
            // Nothing but `eval` looks at it.
            "test" => found.push(message),
            _ => bail!(message),
        }
    }
    Ok(found)
}

/// Two sizes that pictures of a split come out with, if there are two.
fn two_sizes(pipeline: &Pipeline, split: &SplitReport, seed: u64) -> Option<[String; 2]> {
    let mut sizes = BTreeSet::new();
    let images: usize = split.sizes.iter().map(|(.., count)| count).sum();
    for &(width, height, channels, _) in split.sizes.iter().take(SIZES) {
        for draw in 0..DRAWS {
            let mut rng = stream(seed, 0, draw, Domain::Sample);
            let [width, height] = pipeline.draw([width, height], &mut rng).size();
            sizes.insert([width, height, channels]);
        }
    }
    let mut shown = sizes.into_iter().map(|[w, h, c]| format!("{w}x{h}x{c}"));
    match (shown.next(), shown.next()) {
        (Some(one), Some(other)) if images > 1 => Some([one, other]),
        _ => None,
    }
}

/// The first few findings.
fn short(report: &ScanReport) -> Vec<String> {
    let mut found = Vec::new();
    if report.shared_between_splits > 0 {
        let shared = counted(report.shared_between_splits, "picture");
        found.push(format!(
            "in more than one split: {shared}; `trainer check` names all"
        ));
    }
    for split in &report.splits {
        let SplitReport {
            name,
            samples,
            looked_at,
            bad,
            ..
        } = split;
        if looked_at < samples {
            found.push(format!(
                "{name}: {looked_at} of {samples} labels were looked at in {} s; `trainer check` looks at all",
                LIMIT.as_secs()
            ));
        }
        if !bad.is_empty() {
            let plural = if bad.len() == 1 { " is" } else { "s are" };
            found.push(format!("{name}: {} bad sample{plural} left out", bad.len()));
        }
    }
    let told = |finding: &&Finding| finding.severity != Severity::Bad;
    let all: Vec<&Finding> = report.findings.iter().filter(told).collect();
    found.extend(all.iter().take(SHOWN).map(|finding| {
        let Finding {
            split,
            origin,
            message,
            ..
        } = finding;
        match origin == split {
            true => format!("{split}: {message}"),
            false => format!("{split}: {origin}: {message}"),
        }
    }));
    if all.len() > SHOWN {
        let more = all.len() - SHOWN;
        found.push(format!(
            "and {more} more findings; `trainer check` lists them"
        ));
    }
    found
}
