//! `trainer new`: a recipe drafted for a folder.

use std::path::{Path, PathBuf};

use anyhow::Context;
use clap::Args;
use firesight::draft::{Wanted, draft};

use super::hint::command;
use super::out::{claim_text, free};
use super::{End, usage};

/// Arguments of `trainer new`.
#[derive(Args, Debug)]
pub struct NewArgs {
    /// The folder of a dataset, or a file of annotations (data.yaml, COCO's JSON, a CSV table)
    folder: PathBuf,
    /// classification, segmentation or detection (if not given, what the labels are mostly for)
    #[arg(long, value_name = "T")]
    task: Option<String>,
    /// A model of the zoo (if not given, one for as many pictures of that size; `trainer models` lists them)
    #[arg(long, value_name = "M")]
    model: Option<String>,
    /// The recipe to write (if not given, the folder's name with the ending .toml, in the working directory)
    #[arg(short, long, value_name = "FILE")]
    out: Option<PathBuf>,
    /// Write over the file if it is there
    #[arg(long)]
    force: bool,
}

/// Drafts.
///
/// # Errors
/// A folder in which nothing is recognised or that cannot be read, a file that is there.
pub fn run(args: NewArgs) -> anyhow::Result<End> {
    let out = args
        .out
        .clone()
        .unwrap_or_else(|| free(&name_of(&args.folder), "toml"));
    claim_text("--out", &out, args.force, &[&args.folder])?;
    let wanted = Wanted {
        task: args.task,
        model: args.model,
    };
    let draft = draft(&args.folder, &wanted).map_err(usage)?;
    std::fs::write(&out, &draft.text).with_context(|| format!("cannot write {}", out.display()))?;
    for line in &draft.said {
        println!("{line}");
    }
    println!("recipe: {}", out.display());
    println!("check it:    {}", command("check").path(&out));
    println!("train by it: {}", command("train").path(&out));
    Ok(End::Done)
}

/// The name of a recipe for a folder or file.
fn name_of(folder: &Path) -> String {
    let whole = folder.canonicalize();
    let folder = whole.as_deref().unwrap_or(folder);
    let stem = if folder.is_dir() {
        folder.file_name()
    } else {
        folder.file_stem()
    };
    stem.map_or_else(
        || "recipe".to_owned(),
        |name| name.to_string_lossy().into_owned(),
    )
}
