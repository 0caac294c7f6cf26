//! `trainer check`: all that can be known of a recipe without training.

use std::path::{Path, PathBuf};

use anyhow::Context;
use clap::Args;
use firesight_data::scan::{ScanReport, Severity, scan};
use indicatif::ProgressBar;

use super::{End, RecipeArgs, Usage, read_recipe, usage};
use crate::experiment::Experiment;
use crate::{recipe, results};

/// Arguments of `trainer check`.
#[derive(Args, Debug)]
pub struct CheckArgs {
    /// Recipes to check
    #[arg(required = true)]
    recipes: Vec<PathBuf>,
    #[command(flatten)]
    overrides: RecipeArgs,
    /// Check the recipe alone, not the data it names
    #[arg(long, conflicts_with = "preview")]
    recipe_only: bool,
    /// Write a mosaic of augmented training images into this folder
    #[arg(long, value_name = "DIR")]
    preview: Option<PathBuf>,
}

/// Checks.
///
/// # Errors
/// Everything that is wrong, after all recipes were looked at.
pub fn run(args: CheckArgs) -> anyhow::Result<End> {
    let mut wrong = 0;
    for path in &args.recipes {
        if let Err(error) = check(path, &args) {
            wrong += 1;
            eprintln!("{error:#}");
        }
    }
    match wrong {
        0 => Ok(End::Done),
        _ => Err(Usage(format!(
            "{wrong} of {} recipes are wrong",
            args.recipes.len()
        ))
        .into()),
    }
}

fn check(path: &Path, args: &CheckArgs) -> anyhow::Result<()> {
    let loaded = read_recipe(path, &args.overrides.set)?;
    if !args.recipe_only {
        for note in recipe::check_files(&loaded)? {
            println!("  note: {note}");
        }
    }
    if !args.recipe_only {
        let root = args.overrides.root(None)?;
        let experiment = Experiment::open(loaded.value.clone(), &root).map_err(usage)?;
        recipe::check_training(&loaded, &experiment.card, &experiment.splits)?;
        let parameters = recipe::check_parameters(&loaded, &experiment)?;
        let card = &experiment.card;
        let (channels, height, width) = (card.channels, card.height, card.width);
        println!(
            "{}: the model's input is {channels}x{height}x{width}",
            path.display()
        );
        for line in parameters.lines() {
            println!("  {line}");
        }
        let total: usize = experiment.sizes().iter().map(|(_, size)| size).sum();
        let bar = ProgressBar::new(total as u64);
        let report = scan(&experiment.splits, &|done, _| {
            if done.is_multiple_of(64) {
                bar.set_position(done as u64);
            }
        });
        bar.finish_and_clear();
        show(&report);
        if let Some(folder) = &args.preview {
            std::fs::create_dir_all(folder).with_context(|| format!("{}", folder.display()))?;
            results::preview(folder, &experiment, &experiment.train_loader()?)?;
            println!("  {}", folder.join("train.png").display());
        }
        report.check(loaded.value.data.max_bad).map_err(usage)?;
    }
    println!("{}: correct", path.display());
    Ok(())
}

/// Prints what a scan found.
fn show(report: &ScanReport) {
    for split in &report.splits {
        println!("  {}: {} images", split.name, split.samples);
        let classes = split
            .classes
            .iter()
            .map(|(name, count)| format!("{name} {count}"));
        println!("    classes: {}", classes.collect::<Vec<_>>().join(", "));
        let sizes = split.sizes.iter().take(5);
        let sizes = sizes.map(|(w, h, c, count)| format!("{w}x{h}x{c} {count}"));
        let more = split.sizes.len().saturating_sub(5);
        let more = if more > 0 {
            format!(" and {more} other sizes")
        } else {
            String::new()
        };
        println!("    sizes: {}{more}", sizes.collect::<Vec<_>>().join(", "));
    }
    for finding in &report.findings {
        let mark = match finding.severity {
            Severity::Bad => "bad",
            Severity::Suspicious => "suspicious",
        };
        println!(
            "  {mark}: {}: {} ({})",
            finding.origin, finding.message, finding.split
        );
    }
    if report.shared_between_splits > 0 {
        println!(
            "  {} pictures are in more than one split",
            report.shared_between_splits
        );
    }
    if report.repeated_within_a_split > 0 {
        println!(
            "  {} pictures are there more than once",
            report.repeated_within_a_split
        );
    }
}
