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
mod hint;
mod lr_find;
mod models;
mod new;
mod out;
mod predict;
pub mod recipe_docs;
mod report;
mod train;
mod verify;

use std::panic::AssertUnwindSafe;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::error::{ContextKind, ContextValue};
use clap::{Args, Parser, Subcommand};
use firesight_recipe::{Diagnostics, Loaded};

use firesight::ErrorKind;
use firesight::engine::Signal;
use firesight::error::in_full;
use firesight::predictor::PredictError;
use firesight::recipe::Recipe;
use firesight::train::data_root;

/// Trains, evaluates and uses computer-vision models from TOML recipes.
#[derive(Debug, Parser)]
#[command(name = "trainer", version, about, max_term_width = 100)]
pub struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Draft a recipe for a folder of pictures and labels
    New(new::NewArgs),
    /// Train a model from a recipe
    Train(train::TrainArgs),
    /// Try rising learning rates and show where the loss falls
    LrFind(lr_find::LrFindArgs),
    /// Measure a trained model on a split of its data
    Eval(eval::EvalArgs),
    /// Use a trained model on images: classes, masks, or boxes
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
    /// The folder that the recipe's data paths are relative to (if not given, the one that a run was trained with, else
    /// the working directory)
    #[arg(long, value_name = "DIR")]
    pub data_root: Option<PathBuf>,
}

impl RecipeArgs {
    /// The folder that data paths are relative to: as given; else the one that the run remembers, also where it is gone,
    /// so that what is missing is named and no other data are taken; else the working directory.
    ///
    /// # Errors
    /// A given folder that is not there, an `environment.json` of the run that cannot be read.
    fn root(&self, run: Option<&Path>) -> anyhow::Result<PathBuf> {
        Ok(data_root(self.data_root.as_deref(), run)?)
    }
}

/// Arguments of all commands that compute.
#[derive(Args, Clone, Debug)]
pub struct DeviceArgs {
    /// The device: cpu, flex, ndarray, wgpu, cuda:0, ... (`trainer devices` lists them; if not given, the one that the
    /// environment variable FIRESIGHT_DEVICE names, else the first)
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

/// Turns any error into one of usage: exit code 2, the message with its causes kept. What could not be written stays a
/// failure.
pub fn usage(error: impl Into<anyhow::Error>) -> anyhow::Error {
    let error = error.into();
    let known = error.downcast_ref::<firesight::Error>();
    match known.is_some_and(firesight::Error::is_failed_write) {
        true => error,
        false => Usage(in_full(error.chain())).into(),
    }
}

/// Turns an error of a setting of the model's task into one of the option of that name.
fn option(error: firesight::Error) -> anyhow::Error {
    match error.find() {
        Some(PredictError::Setting { key, message }) => Usage(format!("--{key}: {message}")).into(),
        _ => error.into(),
    }
}

/// Other programs' words for the commands here.
const WORDS: [(&str, &str); 24] = [
    ("init", "new"),
    ("draft", "new"),
    ("fit", "train"),
    ("learn", "train"),
    ("finetune", "train"),
    ("fine-tune", "train"),
    ("resume", "train"),
    ("test", "eval"),
    ("val", "eval"),
    ("valid", "eval"),
    ("validate", "eval"),
    ("evaluate", "eval"),
    ("score", "eval"),
    ("infer", "predict"),
    ("inference", "predict"),
    ("classify", "predict"),
    ("detect", "predict"),
    ("segment", "predict"),
    ("sample", "generate"),
    ("convert", "export"),
    ("save", "export"),
    ("lint", "check"),
    ("zoo", "models"),
    ("lr_find", "lr-find"),
];

/// Reads the command line of the process. A wrong one ends it with exit code 2; where a command is called by a word
/// that other programs have for it, the message names the one that is meant.
pub fn parse() -> Cli {
    Cli::try_parse().unwrap_or_else(|error| named(error).exit())
}

/// Adds the command that is meant to an error about a word that is none.
fn named(mut error: clap::Error) -> clap::Error {
    let word = match error.get(ContextKind::InvalidSubcommand) {
        Some(ContextValue::String(word)) => word.to_lowercase(),
        _ => return error,
    };
    let known = WORDS.iter().find(|(other, _)| *other == word);
    let meant = match known {
        Some((_, command)) => *command,
        // A recipe without a word before it.
        None if word.ends_with(".toml") => "train",
        None => return error,
    };
    let meant = ContextValue::Strings(vec![meant.to_owned()]);
    error.insert(ContextKind::SuggestedSubcommand, meant);
    error
}

/// Runs a command and gives the exit code of the process: 0 where it was done, 1 where it failed while it worked, 2
/// where the command line, the recipe or the data is wrong, and that of the signal that stopped it.
pub fn run(cli: Cli) -> ExitCode {
    quiet_about_closed_pipes();
    match std::panic::catch_unwind(AssertUnwindSafe(|| command(cli))) {
        Ok(result) => exit_code(result),
        // The message is out; that it was a fault of the program does not make it another kind of failure.
        Err(_) => ExitCode::from(1),
    }
}

/// A reader of the output that has seen enough (`trainer models | head`) is no fault to report.
fn quiet_about_closed_pipes() {
    let usual = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |panic| {
        let message = panic.payload().downcast_ref::<String>();
        if !message.is_some_and(|message| message.starts_with("failed printing to std")) {
            usual(panic);
        }
    }));
}

fn command(cli: Cli) -> anyhow::Result<End> {
    match cli.command {
        Command::New(args) => new::run(args),
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
    }
}

/// The one place that decides how the process ends.
fn exit_code(result: anyhow::Result<End>) -> ExitCode {
    match result {
        Ok(End::Done) => ExitCode::SUCCESS,
        Ok(End::Partly) => ExitCode::from(1),
        Ok(End::Stopped(signal)) => ExitCode::from(signal.exit_code()),
        Err(error) => {
            // Recipe diagnostics bring their own heading.
            let text = in_full(error.chain());
            match text.starts_with("error") {
                true => eprintln!("{text}"),
                false => eprintln!("error: {text}"),
            }
            ExitCode::from(if is_usage(&error) { 2 } else { 1 })
        }
    }
}

fn is_usage(error: &anyhow::Error) -> bool {
    // The first that knows decides.
    let known = error.chain().find_map(|cause| {
        if let Some(error) = cause.downcast_ref::<firesight::Error>() {
            return Some(error.kind() == ErrorKind::Input);
        }
        if let Some(error) = cause.downcast_ref::<firesight_data::DataError>() {
            return Some(!error.is_failed_write());
        }
        let is_input = cause.is::<Usage>()
            || cause.is::<Diagnostics>()
            || cause.is::<firesight::device::DeviceError>();
        is_input.then_some(true)
    });
    known.unwrap_or(false)
}

/// Reads a recipe for a command that trains or checks; what is remarked on goes to standard error.
///
/// # Errors
/// Every problem of the recipe, each with its place.
fn read_recipe(path: &Path, set: &[String]) -> Result<Loaded<Recipe>, Diagnostics> {
    let loaded = firesight::recipe::read(path, set)?;
    if !loaded.warnings.0.is_empty() {
        eprintln!("{}", loaded.warnings);
    }
    Ok(loaded)
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

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn a_word_of_other_programs_names_the_command() {
        let said = |words: &[&str]| {
            let words = [&["trainer"], words].concat();
            named(Cli::try_parse_from(words).unwrap_err()).to_string()
        };
        for (word, command) in WORDS {
            assert!(
                said(&[word, "run"]).contains(&format!("'{command}'")),
                "{word}"
            );
            // The command is there, and the word itself is none.
            Cli::command().find_subcommand(command).unwrap();
        }
        assert!(said(&["Detect"]).contains("'predict'"));
        assert!(said(&["digits.toml"]).contains("'train'"));
        assert!(said(&["trian"]).contains("'train'"));
        assert!(said(&["predict"]).contains("required arguments"));
    }

    #[test]
    fn the_arguments_are_well_formed() {
        Cli::command().debug_assert();
    }
}
