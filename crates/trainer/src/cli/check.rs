//! `trainer check`: all that can be known of a recipe without training.

use std::path::PathBuf;

use clap::Args;

use super::{End, RecipeArgs, Usage, usage};
use crate::experiment::{Experiment, data_root};
use crate::recipe;

/// Arguments of `trainer check`.
#[derive(Args, Debug)]
pub struct CheckArgs {
    /// Recipes to check
    #[arg(required = true)]
    recipes: Vec<PathBuf>,
    #[command(flatten)]
    overrides: RecipeArgs,
    /// Check the recipe alone, not the data it names
    #[arg(long)]
    recipe_only: bool,
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
        _ => Err(Usage(format!("{wrong} of {} recipes are wrong", args.recipes.len())).into()),
    }
}

fn check(path: &std::path::Path, args: &CheckArgs) -> anyhow::Result<()> {
    let loaded = recipe::read(path, &args.overrides.set)?;
    if !args.recipe_only {
        let root = data_root(args.overrides.data_root.as_deref());
        let experiment = Experiment::open(loaded.value.clone(), &root).map_err(usage)?;
        recipe::check_data(&loaded, &experiment.card)?;
        let card = &experiment.card;
        println!("{}: the model's input is {}x{}x{}", path.display(), card.channels, card.height, card.width);
        for (name, size) in experiment.sizes() {
            println!("  {name:<10} {size} images");
        }
    }
    println!("{}: correct", path.display());
    Ok(())
}
