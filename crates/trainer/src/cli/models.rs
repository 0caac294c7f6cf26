//! `trainer models`: the zoo.

use clap::Args;
use firesight_models::classification::registry;
use serde::Serialize;

use super::{End, print_json};

/// Arguments of `trainer models`.
#[derive(Args, Debug)]
pub struct ModelsArgs {
    /// Print one JSON list
    #[arg(long)]
    json: bool,
}

#[derive(Serialize)]
struct Row {
    name: &'static str,
    task: &'static str,
    family: &'static str,
    parameters: usize,
    minimum_size: usize,
    tags: Vec<&'static str>,
}

/// Lists every model.
///
/// # Errors
/// A standard output that cannot be written.
pub fn run(args: ModelsArgs) -> anyhow::Result<End> {
    let rows = registry().into_iter().map(|entry| Row {
        name: entry.name,
        task: "classification",
        family: entry.family,
        parameters: entry.parameters,
        minimum_size: entry.minimum,
        tags: Vec::new(),
    });
    let rows: Vec<Row> = rows.collect();
    if args.json {
        print_json(&rows)?;
        return Ok(End::Done);
    }
    println!("{:<20} {:<15} {:>12}  {:>8}  tags", "name", "task", "parameters", "min size");
    for row in rows {
        let tags = row.tags.join(", ");
        println!(
            "{:<20} {:<15} {:>12}  {:>8}  {tags}",
            row.name, row.task, row.parameters, row.minimum_size
        );
    }
    Ok(End::Done)
}
