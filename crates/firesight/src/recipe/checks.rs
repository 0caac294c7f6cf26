//! What serde cannot know: ranges of values, and settings that contradict each other.

use firesight_data::augment::Augmentation;
use firesight_data::decode::PixelFormat;
use firesight_data::source::Splits;
use firesight_data::words::counted;
use firesight_recipe::{Checks, Diagnostics, Loaded};
use firesight_report::metric::Metrics;

use firesight_engine::WEIGHT_DECAY;

use super::{Clip, Recipe, ScheduleConfig};
use crate::card::ModelCard;
use crate::checks::{above, optimizer, problems, regular_expression, share, whole, within};

/// Checks a recipe by itself; every finding points at the key that is wrong.
pub fn check(recipe: &Recipe, checks: &mut Checks<'_>) {
    run(recipe, checks);
    data(recipe, checks);
    task(recipe, checks);
    optimizer(&recipe.optimizer, "optimizer", checks);
    schedule(recipe, checks);
}

/// The most images of a batch.
const MOST_IN_A_BATCH: usize = 1_000_000;
/// Mean and deviation of measurements are at most so large.
const MOST_MEASURED: f64 = 1e9;

fn run(recipe: &Recipe, checks: &mut Checks<'_>) {
    if recipe.epochs == 0 {
        checks.error("epochs", "0 epochs train nothing", Some("give 1 or more"));
    }
    let help = Some("1 updates after each batch");
    whole(checks, "accumulate", recipe.accumulate, [1, 65_536], help);
    if recipe.max_steps == Some(0) {
        checks.error(
            "max-steps",
            "0 steps train nothing",
            Some("leave it out for no limit"),
        );
    }
    match recipe.clip {
        Some(Clip::Norm(limit)) => above(checks, "clip.norm", limit, 1e9),
        Some(Clip::Value(limit)) => above(checks, "clip.value", limit, 1e9),
        None => {}
    }
    if let Some(ema) = &recipe.ema {
        share(checks, "ema.decay", ema.decay);
    }
    if let Some(size) = recipe.evaluate.batch_size {
        whole(
            checks,
            "evaluate.batch-size",
            size,
            [1, MOST_IN_A_BATCH],
            None,
        );
    }
    if recipe.checkpoint.keep == 0 {
        checks.error(
            "checkpoint.keep",
            "no checkpoint would be kept",
            Some("give 1 or more"),
        );
    }
    if let Some(stop) = &recipe.early_stopping {
        within(
            checks,
            "early-stopping.min-delta",
            stop.min_delta,
            [0.0, 1e9],
        );
    }
    if !evaluates(recipe) {
        let message = "there are no evaluations to watch";
        let help = Some("set `evaluate.every-epochs` or `evaluate.every-steps` to 1 or more");
        for rule in watchers(recipe) {
            checks.error(rule, message, help);
        }
    }
}

/// Whether the recipe asks for evaluations in the course of training.
fn evaluates(recipe: &Recipe) -> bool {
    let every_steps = recipe.evaluate.every_steps.unwrap_or(0);
    recipe.evaluate.every_epochs > 0 || every_steps > 0
}

/// The keys of the rules that act upon the score of an evaluation.
fn watchers(recipe: &Recipe) -> Vec<&'static str> {
    let stops = recipe.early_stopping.is_some();
    let lowers = matches!(recipe.schedule, ScheduleConfig::Plateau(_));
    let best = &recipe.checkpoint.best;
    [
        ("early-stopping", stops),
        ("schedule.plateau", lowers),
        (
            "checkpoint.best",
            best.metric.is_some() || best.goal.is_some(),
        ),
    ]
    .into_iter()
    .filter_map(|(key, asked)| asked.then_some(key))
    .collect()
}

fn data(recipe: &Recipe, checks: &mut Checks<'_>) {
    let data = &recipe.data;
    whole(
        checks,
        "data.batch-size",
        data.batch_size,
        [1, MOST_IN_A_BATCH],
        None,
    );
    whole(checks, "data.workers", data.workers, [0, 1024], None);
    whole(checks, "data.prefetch", data.prefetch, [0, 65_536], None);
    checks.errors("data.source", data.source.problems());
    checks.errors("data.split", data.split.problems());
    checks.errors("data.sampling", data.sampling.problems());
    for (index, step) in data.preprocess.iter().enumerate() {
        checks.errors(&format!("data.preprocess[{index}]"), step.problems());
    }
    for (index, step) in data.augment.iter().enumerate() {
        checks.errors(&format!("data.augment[{index}]"), step.problems());
    }
    for (index, combine) in data.combine.iter().enumerate() {
        checks.errors(&format!("data.combine[{index}]"), combine.problems());
    }
    for (index, mixing) in data.mix.iter().enumerate() {
        checks.errors(&format!("data.mix[{index}]"), mixing.problems());
    }
    if data.mean.is_empty() {
        checks.error(
            "data.mean",
            "no value",
            Some("give one value, or one for each channel"),
        );
    }
    if data.std.is_empty() {
        checks.error(
            "data.std",
            "no value",
            Some("give one value, or one for each channel"),
        );
    }
    // Measurements have units of their own.
    let measured = data.source.decoding().pixels == PixelFormat::Stored;
    let help = Some("divide it by 255 if it is meant for values from 0 to 255");
    for (index, mean) in data.mean.iter().enumerate() {
        let path = format!("data.mean[{index}]");
        if measured {
            within(
                checks,
                &path,
                f64::from(*mean),
                [-MOST_MEASURED, MOST_MEASURED],
            );
        } else if !(0.0..=1.0).contains(mean) {
            let message = format!("{mean} is not from 0 to 1, as the values are");
            checks.error(&path, message, help);
        }
    }
    for (index, std) in data.std.iter().enumerate() {
        let path = format!("data.std[{index}]");
        if measured {
            within(checks, &path, f64::from(*std), [1e-6, MOST_MEASURED]);
        } else if !(*std >= 1e-6 && *std <= 1.0) {
            let message = format!("{std} is not above 0 and at most 1; values are from 0 to 1");
            checks.error(&path, message, help);
        }
    }
}

fn task(recipe: &Recipe, checks: &mut Checks<'_>) {
    let task = recipe.task.table();
    task.check(&format!("task.{}", task.name()), &recipe.data, checks);
    for (index, pattern) in task.freeze().iter().enumerate() {
        let path = format!("task.{}.freeze[{index}]", task.name());
        regular_expression(checks, &path, pattern);
    }
    for (index, group) in recipe.parameter_groups.iter().enumerate() {
        let path = format!("parameter-groups[{index}]");
        regular_expression(checks, &format!("{path}.pattern"), &group.pattern);
        within(
            checks,
            &format!("{path}.rate-factor"),
            group.rate_factor,
            [0.0, 1e4],
        );
        if let Some(decay) = group.weight_decay {
            within(checks, &format!("{path}.weight-decay"), decay, WEIGHT_DECAY);
        }
    }
}

/// The range of a length in epochs.
const EPOCHS: [f64; 2] = [0.0, 1e9];

fn schedule(recipe: &Recipe, checks: &mut Checks<'_>) {
    if let Some(warmup) = &recipe.warmup {
        within(checks, "warmup.epochs", warmup.epochs, EPOCHS);
        if let Some(steps) = warmup.steps {
            let most = u32::MAX as usize;
            let steps = usize::try_from(steps).unwrap_or(usize::MAX);
            whole(checks, "warmup.steps", steps, [0, most], None);
        }
        if !(0.0..=1.0).contains(&warmup.start_factor) {
            let message = format!("{} is no share from 0 to 1", warmup.start_factor);
            checks.error("warmup.start-factor", message, None);
        }
        let epochs_known = recipe.epochs > 0 && !checks.tree().is_damaged("epochs");
        if epochs_known && warmup.steps.is_none() && warmup.epochs >= recipe.epochs as f64 {
            let message = format!(
                "a warm-up of {} in a run of {}",
                counted(warmup.epochs, "epoch"),
                recipe.epochs
            );
            checks.error(
                "warmup.epochs",
                message,
                Some("it must be shorter than the run"),
            );
        }
    }
    if recipe.schedule.rises() && recipe.warmup.is_some() {
        let message = format!("the {} schedule rises by itself", recipe.schedule.name());
        checks.error("warmup", message, Some("leave out `[warmup]`"));
    }
    let table = format!("schedule.{}", recipe.schedule.name());
    problems(checks, &table, recipe.schedule.problems());
}

/// Checks a recipe against the data it names: class weights against classes, images against the model.
///
/// # Errors
/// Every contradiction, with the place of the key.
pub fn check_data(loaded: &Loaded<Recipe>, card: &ModelCard) -> Result<(), Diagnostics> {
    let task = loaded.value.task.table();
    let mut checks = loaded.diagnostics();
    task.check_data(&format!("task.{}", task.name()), card, &mut checks);
    checks.finish().map(|_| ())
}

/// Checks a recipe against the data that it is to be trained on: what [`check_data`] says, the metric that names the best
/// checkpoint, and the rules that watch it, which must be able to act.
///
/// # Errors
/// Every contradiction, with the place of the key.
pub fn check_training(
    loaded: &Loaded<Recipe>,
    card: &ModelCard,
    splits: &Splits,
) -> Result<(), Diagnostics> {
    let recipe = &loaded.value;
    let task = recipe.task.table();
    let mut checks = loaded.diagnostics();
    task.check_data(&format!("task.{}", task.name()), card, &mut checks);
    best_is_known(recipe, &Metrics(task.metrics(&card.classes)), &mut checks);
    rules(recipe, splits, &mut checks);
    checks.finish().map(|_| ())
}

/// The metric of the best checkpoint must be one that the task can give.
fn best_is_known(recipe: &Recipe, metrics: &Metrics, checks: &mut Checks<'_>) {
    let Some(key) = &recipe.checkpoint.best.metric else {
        return;
    };
    let path = "checkpoint.best.metric";
    let Some(metric) = metrics.get(key) else {
        let message = format!("`{key}` is no metric of {}", recipe.task.table().name());
        let help = format!(
            "{}an evaluation gives {}",
            meant(key, metrics),
            listed(metrics)
        );
        checks.error(path, message, Some(&help));
        return;
    };
    if metric.better.is_none() && recipe.checkpoint.best.goal.is_none() {
        let message = format!("`{key}` is good in neither direction by itself");
        let help = "say which one with `checkpoint.best.goal`: `max` or `min`";
        checks.error(path, message, Some(help));
    }
}

/// What a key was likely meant to be: one that begins with it, else one that is spelt nearly so.
fn meant(key: &str, metrics: &Metrics) -> String {
    let keys = || metrics.0.iter().map(|metric| metric.key.as_str());
    let begun = keys().find(|known| !key.is_empty() && known.starts_with(key));
    let found = begun.or_else(|| firesight_recipe::nearest(key, keys()));
    found.map_or_else(String::new, |found| format!("did you mean `{found}`? "))
}

/// The keys of all metrics, and the first few of those that there is one of for each class.
fn listed(metrics: &Metrics) -> String {
    const FEW: usize = 8;
    let (detail, main): (Vec<_>, Vec<_>) = metrics.0.iter().partition(|metric| metric.detail);
    let more = if detail.len() > FEW { ", ..." } else { "" };
    let keys = main.into_iter().chain(detail.into_iter().take(FEW));
    let keys: Vec<&str> = keys.map(|metric| metric.key.as_str()).collect();
    format!("{}{more}", keys.join(", "))
}

/// The rules that watch evaluations must be able to act.
fn rules(recipe: &Recipe, splits: &Splits, checks: &mut Checks<'_>) {
    let every_steps = recipe.evaluate.every_steps.filter(|every| *every > 0);
    if splits.validation.is_none() {
        let message = "there is no validation split to evaluate on";
        let help = Some("set images apart with `data.split.validation`, or leave this out");
        for rule in watchers(recipe) {
            checks.error(rule, message, help);
        }
        if every_steps.is_some() {
            checks.error("evaluate.every-steps", message, help);
        }
        return;
    }
    let [_, total] = steps(recipe, splits.train.len());
    if let Some(every) = every_steps.filter(|every| *every > total)
        && recipe.evaluate.every_epochs == 0
        && !watchers(recipe).is_empty()
    {
        let message =
            format!("the run has {total} steps and never comes to an evaluation at {every}");
        let help = format!(
            "`{}` needs evaluations to watch",
            watchers(recipe).join("`, `")
        );
        checks.error("evaluate.every-steps", message, Some(&help));
    }
}

/// The optimizer steps of an epoch over so many images, and those of the whole run.
fn steps(recipe: &Recipe, images: usize) -> [u64; 2] {
    let batch = recipe.data.batch_size.max(1);
    let batches = match recipe.data.drop_last {
        true => images / batch,
        false => images.div_ceil(batch),
    };
    let steps = batches.div_ceil(recipe.accumulate.max(1)) as u64;
    let total = steps.saturating_mul(recipe.epochs);
    [steps, total.min(recipe.max_steps.unwrap_or(u64::MAX))]
}

/// How often a run over so many training images is evaluated.
pub(crate) fn evaluations(recipe: &Recipe, images: usize) -> u64 {
    let [epoch, total] = steps(recipe, images);
    let epochs = epoch.saturating_mul(recipe.evaluate.every_epochs);
    let every = [epochs, recipe.evaluate.every_steps.unwrap_or(0)];
    let every = every.map(|steps| (steps > 0).then_some(steps));
    let count = |steps: Option<u64>| steps.map_or(0, |steps| total / steps);
    let both = match every {
        [Some(one), Some(other)] => Some(common_multiple(one, other)),
        _ => None,
    };
    // The last step is evaluated too.
    let is_due = every
        .into_iter()
        .flatten()
        .any(|steps| total.is_multiple_of(steps));
    let last = !is_due && (every[0].is_some() || recipe.max_steps == Some(total));
    count(every[0]) + count(every[1]) - count(both) + u64::from(last)
}

/// The least number that both divide.
fn common_multiple(one: u64, other: u64) -> u64 {
    let (mut divisor, mut rest) = (one, other);
    while rest > 0 {
        (divisor, rest) = (rest, divisor % rest);
    }
    (one / divisor).saturating_mul(other)
}

#[cfg(test)]
mod tests {
    #[test]
    fn evaluations_are_counted_as_the_loop_makes_them() {
        let recipe = |set: &str| -> super::Recipe {
            let folder = tempfile::tempdir().unwrap();
            let path = folder.path().join("recipe.toml");
            let text = r#"
                epochs = 5
                data = { source = { digits = {} }, batch-size = 10 }
                task = { classification = { model = { cnn = {} } } }
                optimizer = { sgd = { learning-rate = 0.1 } }
            "#;
            std::fs::write(&path, text).unwrap();
            let set: Vec<String> = set.split_whitespace().map(str::to_owned).collect();
            super::super::read(&path, &set).unwrap().value
        };
        // 40 images are 4 steps of each of 5 epochs.
        for (set, count) in [
            ("", 5),
            ("evaluate.every-epochs=2", 3),
            ("evaluate.every-epochs=9", 1),
            ("max-steps=10", 3),
            ("evaluate.every-epochs=0 evaluate.every-steps=6", 3),
            (
                "evaluate.every-epochs=0 evaluate.every-steps=6 max-steps=13",
                3,
            ),
            // At 4, 6, 8, 12, 16, 18 and 20.
            ("evaluate.every-steps=6", 7),
            ("accumulate=3", 5),
        ] {
            assert_eq!(super::evaluations(&recipe(set), 40), count, "{set}");
        }
    }

    /// A warm-up is not measured against epochs that are missing.
    #[test]
    fn a_missing_key_is_one_error() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("recipe.toml");
        let text = r#"
            warmup = { epochs = 2 }
            data = { source = { digits = {} }, batch-size = 64 }
            task = { classification = { model = { cnn = {} } } }
            optimizer = { sgd = { learning-rate = 0.1 } }
        "#;
        std::fs::write(&path, text).unwrap();
        let found = super::super::read(&path, &[]).unwrap_err();
        assert_eq!(found.0.len(), 1, "{found}");
        assert!(found.to_string().contains("missing key `epochs`"));
        let found = super::super::read(&path, &["epochs=2".to_owned()]).unwrap_err();
        assert!(
            found.to_string().contains("a warm-up of 2 epochs"),
            "{found}"
        );
    }
}
