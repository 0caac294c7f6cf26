//! `trainer train`: a recipe becomes a run folder with a trained model.

use std::path::{Path, PathBuf};

use anyhow::bail;
use clap::Args;
use firesight::device;
use firesight::engine::{Finish, StopSignal};
use firesight::error::RunIsThere;
use firesight::recipe::Recipe;
use firesight::run_folder::{RECIPE_FILE, name_of};
use firesight::sinks::duration;
use firesight::train::{End as Ended, Options, Origin, Trained, train};
use firesight_data::words::counted;
use firesight_recipe::Loaded;
use firesight_report::environment::Environment;
use firesight_report::metric::Metrics;

use super::hint::{self, Hint};
use super::{DeviceArgs, End, RecipeArgs, Usage, read_recipe};
use crate::console::Console;
use crate::terminal::Terminal;

/// Arguments of `trainer train`.
#[derive(Args, Debug)]
pub struct TrainArgs {
    /// The recipe, for example configs/classification/digits.toml; with --resume also a run folder, whose own recipe
    /// it is then
    recipe: PathBuf,
    #[command(flatten)]
    overrides: RecipeArgs,
    #[command(flatten)]
    device: DeviceArgs,
    /// The folder to write (runs/<recipe name>-<n> if not given)
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
    /// Go on with the run in --out, or with the newest run of this recipe
    #[arg(long)]
    resume: bool,
}

/// Trains.
///
/// # Errors
/// A wrong recipe, device or dataset; numbers that go wrong; files that cannot be written.
pub fn run(args: TrainArgs) -> anyhow::Result<End> {
    let args = of_run_folder(args)?;
    let loaded = read_recipe(&args.recipe, &args.overrides.set)?;
    let terminal = Terminal::default();
    let options = Options {
        out: args.out.clone(),
        name: name_of(&args.recipe),
        data_root: args.overrides.data_root.clone(),
        resume: args.resume,
        stop: StopSignal::listen()?,
        sinks: vec![Box::new(|metrics| Box::new(Console::new(metrics.clone())))],
        notify: &terminal,
        origin: Origin {
            command: hint::whole().to_string(),
            recipe: Some(args.recipe.clone()),
            overrides: args.overrides.set.clone(),
        },
        ..Options::new(device::select(args.device.device.as_deref())?)
    };
    let trained = train(&loaded, options).map_err(|error| already_there(error, &args))?;
    match trained.end {
        Ended::Complete(finish) => {
            let why = match finish {
                Finish::MaxSteps => "`max-steps` is reached; a higher one would let it go on",
                Finish::EarlyStopping => "early stopping has used up its patience",
                Finish::Epochs => "its epochs are done; more `epochs` would let it go on",
            };
            let (run, step) = (trained.run.display(), trained.progress.step);
            eprintln!("{run}: the run is finished at step {step} and stays as it is: {why}");
            Ok(End::Done)
        }
        Ended::Stopped(signal) => {
            let step = trained.progress.step;
            eprintln!("stopped at step {step}; everything is saved. To go on:");
            eprintln!("  {}", resuming(&trained.run, &args));
            Ok(End::Stopped(signal))
        }
        Ended::Done => {
            summary(&trained, &loaded, &args)?;
            Ok(End::Done)
        }
    }
}

/// Where a run folder is given in place of a recipe, the run's own recipe and folder.
fn of_run_folder(mut args: TrainArgs) -> anyhow::Result<TrainArgs> {
    if !args.recipe.is_dir() {
        return Ok(args);
    }
    let run = args.recipe.clone();
    let shown = run.display();
    let recipe = run.join(RECIPE_FILE);
    if !recipe.is_file() {
        bail!(Usage(format!(
            "{shown}: this folder is no run, since it holds no {RECIPE_FILE}; give a recipe"
        )));
    }
    if !args.resume {
        let hint = resuming(&run, &args);
        bail!(Usage(format!(
            "{shown}: this is the folder of a run. To go on with it:\n  {hint}"
        )));
    }
    let same = |out: &PathBuf| out.canonicalize().ok() == run.canonicalize().ok();
    if let Some(out) = args.out.as_ref().filter(|out| !same(out)) {
        bail!(Usage(format!(
            "--out {}: the run {shown} goes on in its own folder; leave --out away",
            out.display()
        )));
    }
    (args.recipe, args.out) = (recipe, Some(run));
    Ok(args)
}

/// The command that goes on with a run.
fn resuming(run: &Path, args: &TrainArgs) -> Hint {
    let command = hint::command("train").path(run).word("--resume");
    command.data_root(&args.overrides).device(&args.device)
}

/// A run folder that cannot be made; how to go on where a run is there.
fn already_there(error: firesight::Error, args: &TrainArgs) -> anyhow::Error {
    match (&args.out, error.find::<RunIsThere>()) {
        (Some(out), Some(_)) => {
            let hint = resuming(out, args);
            Usage(format!("{error:#}\nto go on with it:\n  {hint}")).into()
        }
        _ => error.into(),
    }
}

/// What the training came to, and what to do next.
fn summary(trained: &Trained, loaded: &Loaded<Recipe>, args: &TrainArgs) -> anyhow::Result<()> {
    let progress = &trained.progress;
    let why = match progress.finished {
        Some(Finish::MaxSteps) => " (max-steps)",
        Some(Finish::EarlyStopping) => " (early stopping)",
        _ => "",
    };
    eprintln!(
        "done after {}, {}, {}{why}",
        counted(progress.epoch, "epoch"),
        counted(progress.step, "step"),
        duration(progress.seconds)
    );
    let environment = Environment::read(&trained.run)?.unwrap_or_default();
    if let Some(best) = &progress.best {
        let metrics = Metrics(environment.metrics.clone());
        let value = metrics.of(&best.metric).line(best.value);
        eprintln!(
            "best validation {}: {value} at step {}",
            best.metric, best.step
        );
    }
    if let Some((which, path)) = &trained.checkpoint {
        eprintln!("{which} checkpoint: {}", path.display());
    }
    if let Some(report) = &trained.report {
        eprintln!("report: {}", report.display());
    }
    if environment.splits.iter().any(|split| split.name == "test") {
        let eval = hint::command("eval").path(&trained.run);
        let eval = eval.data_root(&args.overrides).device(&args.device);
        eprintln!("evaluate it on the test split:  {eval}");
    }
    let purpose = loaded.value.task.table().purpose();
    let mut command = hint::command(purpose.command).path(&trained.run);
    if let Some(argument) = purpose.argument {
        command = command.blank(argument);
    }
    let words = format!("{}:", purpose.words);
    eprintln!("{words:<31} {}", command.device(&args.device));
    Ok(())
}
