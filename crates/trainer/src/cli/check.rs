//! `trainer check`: all that can be known of a recipe without training.

use std::path::{Path, PathBuf};

use anyhow::Context;
use clap::Args;
use firesight_data::scan::scan;
use firesight_data::words::counted;
use indicatif::ProgressBar;

use super::out::free;
use super::{End, RecipeArgs, Usage, is_usage, read_recipe, usage};
use crate::terminal::Terminal;
use firesight::error::in_full;
use firesight::experiment::Experiment;
use firesight::task::Build;
use firesight::{device, examine, recipe, results};

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
    let (mut wrong, mut failed) = (0, 0);
    for path in &args.recipes {
        if let Err(error) = check(path, &args) {
            match is_usage(&error) {
                true => wrong += 1,
                false => failed += 1,
            }
            eprintln!("{}", in_full(error.chain()));
        }
    }
    let all = args.recipes.len();
    let are = if wrong == 1 { "is" } else { "are" };
    match wrong {
        0 if failed > 0 => Ok(End::Partly),
        0 => Ok(End::Done),
        _ => Err(Usage(format!("{wrong} of {} {are} wrong", counted(all, "recipe"))).into()),
    }
}

fn check(path: &Path, args: &CheckArgs) -> anyhow::Result<()> {
    let device = device::select(Some("cpu")).or_else(|_| device::select(None))?;
    let loaded = read_recipe(path, &args.overrides.set)?;
    if !args.recipe_only {
        let fetched = recipe::check_files(&loaded)?;
        for note in &fetched {
            println!("  note: {note}");
        }
        let terminal = Terminal::default();
        let root = args.overrides.root(None)?;
        let experiment = Experiment::open(loaded.value.clone(), &root, &terminal).map_err(usage)?;
        recipe::check_training(&loaded, &experiment.card, &experiment.splits)?;
        if let Some(trained) = &experiment.augmented {
            recipe::check_data(&loaded, trained)?;
        }
        let mut networks = experiment.networks(&device).map_err(usage)?;
        let parameters = networks.check(&loaded)?;
        let card = &experiment.card;
        let (channels, height, width) = (card.channels, card.height, card.width);
        println!(
            "{}: the model's input is {channels}x{height}x{width}",
            path.display()
        );
        if let Some(trained) = &experiment.augmented {
            let (height, width) = (trained.height, trained.width);
            println!("  in training it is {channels}x{height}x{width}");
        }
        for line in parameters.lines() {
            println!("  {line}");
        }
        // Files that are at hand are tried; what would be fetched is left to the training.
        if fetched.is_empty() && !loaded.value.task.table().files().is_empty() {
            networks
                .task(Build::Fresh, None, &terminal)
                .map_err(usage)?;
        }
        let total: usize = experiment.sizes().iter().map(|(_, size)| size).sum();
        let bar = ProgressBar::new(total as u64);
        let lesson = loaded.value.task.table().lesson();
        let report = scan(&experiment.splits, lesson, &|done, _| {
            if done.is_multiple_of(64) {
                bar.set_position(done as u64);
            }
        });
        bar.finish_and_clear();
        print!("{report}");
        if let Some(folder) = &args.preview {
            std::fs::create_dir_all(folder).with_context(|| format!("{}", folder.display()))?;
            let file = free(&folder.join("train").display().to_string(), "png");
            results::preview(&file, &experiment, &experiment.train_loader()?)?;
            println!("  {}", file.display());
        }
        report.check(loaded.value.data.max_bad).map_err(usage)?;
        let found = examine::settings(&experiment).map_err(usage)?;
        let sizes = examine::sizes(&experiment, &report).map_err(usage)?;
        for line in found.iter().chain(&sizes) {
            println!("  warning: {line}");
        }
    }
    println!("{}: correct", path.display());
    Ok(())
}
