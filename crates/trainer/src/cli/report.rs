//! `trainer report` and `trainer compare`: pages about finished runs.

use std::path::PathBuf;

use clap::Args;

use super::{End, usage};

/// Arguments of `trainer report`.
#[derive(Args, Debug)]
pub struct ReportArgs {
    /// A run folder
    run: PathBuf,
}

/// Arguments of `trainer compare`.
#[derive(Args, Debug)]
pub struct CompareArgs {
    /// Run folders
    #[arg(required = true, num_args = 2..)]
    runs: Vec<PathBuf>,
    /// The page to write
    #[arg(long, default_value = "compare.html", value_name = "FILE")]
    out: PathBuf,
}

/// Makes a run's report anew.
///
/// # Errors
/// A folder that is no run, a file that cannot be written.
pub fn report(args: ReportArgs) -> anyhow::Result<End> {
    let page = firesight_report::write(&args.run).map_err(usage)?;
    println!("{}", page.display());
    Ok(End::Done)
}

/// Puts several runs side by side.
///
/// # Errors
/// A folder that is no run, a file that cannot be written.
pub fn compare(args: CompareArgs) -> anyhow::Result<End> {
    let comparison = firesight_report::compare(&args.runs, &args.out).map_err(usage)?;
    println!("{}", comparison.text);
    println!("{}", comparison.path.display());
    Ok(End::Done)
}
