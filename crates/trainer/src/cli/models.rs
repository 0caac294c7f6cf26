//! `trainer models`: the zoo.

use clap::Args;
use firesight_models::zoo;

use super::{End, print_json};

/// Arguments of `trainer models`.
#[derive(Args, Debug)]
pub struct ModelsArgs {
    /// Print one JSON list
    #[arg(long)]
    json: bool,
}

/// Lists every model.
///
/// # Errors
/// A standard output that cannot be written.
pub fn run(args: ModelsArgs) -> anyhow::Result<End> {
    let models = zoo::models();
    if args.json {
        print_json(&models)?;
        return Ok(End::Done);
    }
    println!(
        "{:<28} {:<15} {:>12} {:>9} {:>9}  tags",
        "name", "task", "parameters", "GMAC@224", "min size"
    );
    for model in models {
        let tags = model.tags.join(", ");
        let work = model
            .multiply_adds
            .map_or_else(String::new, |n| format!("{:.2}", n as f64 / 1e9));
        println!(
            "{:<28} {:<15} {:>12} {work:>9} {:>9}  {tags}",
            model.name, model.task, model.parameters, model.minimum_size
        );
    }
    Ok(End::Done)
}
