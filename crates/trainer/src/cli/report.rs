//! `trainer report` and `trainer compare`: pages about finished runs.

use std::path::PathBuf;

use clap::Args;

use super::{End, out, usage};

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
    /// The page to write (compare.html if not given, numbered where that is there)
    #[arg(long, value_name = "FILE.html")]
    out: Option<PathBuf>,
    /// Write over the file of --out if it is there
    #[arg(long, requires = "out")]
    force: bool,
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
    if let Some(page) = &args.out {
        out::claim("--out", page, args.force, &[])?;
    }
    let page = args.out.unwrap_or_else(|| out::free("compare", "html"));
    let comparison = firesight_report::compare(&args.runs, &page).map_err(usage)?;
    println!("{}", comparison.text);
    println!("{}", comparison.path.display());
    Ok(End::Done)
}
