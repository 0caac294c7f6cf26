//! The commands. Each is one file: its arguments, and a function that does it.
//!
//! ```
//! use clap::Parser;
//! use clap::error::ErrorKind;
//! use trainer::cli::{Cli, Usage, usage};
//!
//! assert!(Cli::try_parse_from(["trainer", "train", "digits.toml", "--set", "epochs=3"]).is_ok());
//! let unknown = Cli::try_parse_from(["trainer", "learn"]).unwrap_err();
//! assert_eq!(unknown.kind(), ErrorKind::InvalidSubcommand);
//! assert!(usage(std::io::Error::other("no such folder")).is::<Usage>()); // exit code 2
//! ```

mod check;
mod devices;
mod eval;
mod eval_file;
mod export;
mod generate;
mod lr_find;
mod models;
mod predict;
pub mod recipe_docs;
mod report;
mod train;
mod verify;

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, Parser, Subcommand};

use crate::engine::Signal;

/// Trains, evaluates and uses computer-vision models from TOML recipes.
#[derive(Debug, Parser)]
#[command(name = "trainer", version, about, max_term_width = 100)]
pub struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Train a model from a recipe
    Train(train::TrainArgs),
    /// Try rising learning rates and show where the loss falls
    LrFind(lr_find::LrFindArgs),
    /// Measure a trained model on a split of its data
    Eval(eval::EvalArgs),
    /// Classify images with a trained model
    Predict(predict::PredictArgs),
    /// Make images with a trained generator
    Generate(generate::GenerateArgs),
    /// Write a trained model's weights under PyTorch's names
    Export(export::ExportArgs),
    /// Check a recipe, and the data it names, without training
    Check(check::CheckArgs),
    /// List the model zoo
    Models(models::ModelsArgs),
    /// Compare a model's outputs with a reference
    Verify(verify::VerifyArgs),
    /// Make a run's report anew
    Report(report::ReportArgs),
    /// Put several runs side by side
    Compare(report::CompareArgs),
    /// Print the reference of all recipe keys
    RecipeDocs,
    /// List backends and devices
    Devices(devices::DevicesArgs),
}

/// Arguments of all commands that read a recipe.
#[derive(Args, Clone, Debug)]
pub struct RecipeArgs {
    /// Replaces a value of the recipe: `--set epochs=3`, `--set data.batch-size=32`
    #[arg(long = "set", value_name = "KEY=VALUE")]
    pub set: Vec<String>,
    /// The folder that the recipe's data paths are relative to (the working directory if not given)
    #[arg(long, value_name = "DIR")]
    pub data_root: Option<PathBuf>,
}

/// Arguments of all commands that compute.
#[derive(Args, Clone, Debug)]
pub struct DeviceArgs {
    /// The device: cpu, flex, ndarray, wgpu, cuda:0, ... (`trainer devices` lists them)
    #[arg(long, value_name = "D")]
    pub device: Option<String>,
}

/// How a command ended, where that is not an error.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// All was done.
    Done,
    /// Most was done; what was not has been said.
    Partly,
    /// A signal stopped it, and a checkpoint was written.
    Stopped(Signal),
}

/// The command line, the recipe or the data is wrong: exit code 2.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct Usage(pub String);

/// Turns any error into one of usage: exit code 2, the message with its causes kept.
pub fn usage(error: impl Into<anyhow::Error>) -> anyhow::Error {
    Usage(format!("{:#}", error.into())).into()
}

/// Runs a command and gives the exit code of the process.
pub fn run(cli: Cli) -> ExitCode {
    let result = match cli.command {
        Command::Train(args) => train::run(args),
        Command::LrFind(args) => lr_find::run(args),
        Command::Eval(args) => eval::run(args),
        Command::Predict(args) => predict::run(args),
        Command::Generate(args) => generate::run(args),
        Command::Export(args) => export::run(args),
        Command::Check(args) => check::run(args),
        Command::Models(args) => models::run(args),
        Command::Verify(args) => verify::run(args),
        Command::Report(args) => report::report(args),
        Command::Compare(args) => report::compare(args),
        Command::RecipeDocs => recipe_docs::run(),
        Command::Devices(args) => devices::run(args),
    };
    match result {
        Ok(End::Done) => ExitCode::SUCCESS,
        Ok(End::Partly) => ExitCode::from(1),
        Ok(End::Stopped(signal)) => ExitCode::from(signal.exit_code()),
        Err(error) => {
            // Recipe diagnostics bring their own heading.
            let text = format!("{error:#}");
            match text.starts_with("error") {
                true => eprintln!("{text}"),
                false => eprintln!("error: {text}"),
            }
            ExitCode::from(if is_usage(&error) { 2 } else { 1 })
        }
    }
}

fn is_usage(error: &anyhow::Error) -> bool {
    error.chain().any(|cause| {
        cause.is::<Usage>()
            || cause.is::<firesight_recipe::Diagnostics>()
            || cause.is::<crate::device::DeviceError>()
            || cause.is::<firesight_data::DataError>()
    })
}

/// Prints one JSON object on standard output.
///
/// # Errors
/// A standard output that cannot be written.
pub fn print_json(value: &impl serde::Serialize) -> anyhow::Result<()> {
    use std::io::Write;
    let mut out = std::io::stdout().lock();
    serde_json::to_writer_pretty(&mut out, value)?;
    writeln!(out)?;
    Ok(())
}
