//! Training: a recipe becomes a run folder with a trained, measured model.
//!
//! ```
//! use firesight::{device, recipe, train};
//!
//! let recipe = recipe::read_str("
//!     epochs = 1
//!     max-steps = 2
//!     data = { source = { digits = {} }, batch-size = 64 }
//!     task = { classification = { model = { cnn = { channels = [4] } } } }
//!     optimizer = { sgd = { learning-rate = 0.1 } }
//! ", "digits.toml")?;
//! let folder = tempfile::tempdir()?;
//! let out = folder.path().join("run");
//! let trained = train::train(&recipe, train::Options::new(device::select(None)?).out(&out))?;
//! assert_eq!(trained.progress.step, 2);
//! assert!(trained.report.unwrap().ends_with("report.html"));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod resume;
mod session;

use std::path::{Path, PathBuf};

use firesight_engine::{Finish, Progress, Signal, Sink, StopSignal};
use firesight_recipe::Loaded;
use firesight_report::environment::Environment;
use firesight_report::metric::Metrics;

use crate::device::NamedDevice;
use crate::error::{Error, bail};
use crate::examine;
use crate::experiment::Experiment;
use crate::notify::Notify;
use crate::recipe::{self, Recipe};
use crate::run_folder::{RECIPE_FILE, RunFolder};
use resume::Resumed;
use session::Session;

/// How a training is run, beside what its recipe says.
pub struct Options<'a> {
    /// Where it computes.
    pub device: NamedDevice,
    /// The run's folder; if not given, `runs/<name>-<n>` with the next free number.
    pub out: Option<PathBuf>,
    /// The name of runs without a folder of their own.
    pub name: String,
    /// The folder that the recipe's data paths are relative to; if not given, the one that the run to go on with
    /// remembers, else the working directory.
    pub data_root: Option<PathBuf>,
    /// Goes on with the run in `out`, or with the newest one of that name, from its newest checkpoint.
    pub resume: bool,
    /// Where a stop is heard of: the run then saves and ends.
    pub stop: StopSignal,
    /// Who sees what happens, beside the files of the run; each is made when the metrics are known.
    pub sinks: Vec<MakeSink<'a>>,
    /// Who hears what happens before the first step.
    pub notify: &'a dyn Notify,
    /// How the training was started, for the report: a command, the recipe's file, what was set on top of it.
    pub origin: Origin,
}

/// Makes a sink for evaluations of these metrics.
pub type MakeSink<'a> = Box<dyn FnOnce(&Metrics) -> Box<dyn Sink + 'a> + 'a>;

/// How a training was started.
#[derive(Clone, Debug, Default)]
pub struct Origin {
    /// The command line.
    pub command: String,
    /// The recipe's file.
    pub recipe: Option<PathBuf>,
    /// What was laid over it, `key=value`.
    pub overrides: Vec<String>,
}

impl<'a> Options<'a> {
    /// A new run on a device, in a folder of the next free number, seen by nobody.
    pub fn new(device: NamedDevice) -> Self {
        Self {
            device,
            out: None,
            name: "run".to_owned(),
            data_root: None,
            resume: false,
            stop: StopSignal::default(),
            sinks: Vec::new(),
            notify: &(),
            origin: Origin::default(),
        }
    }

    /// With a folder for the run.
    pub fn out(self, folder: impl AsRef<Path>) -> Self {
        let out = Some(folder.as_ref().to_path_buf());
        Self { out, ..self }
    }

    /// With the folder that the recipe's data paths are relative to.
    pub fn data_root(self, folder: impl AsRef<Path>) -> Self {
        let data_root = Some(folder.as_ref().to_path_buf());
        Self { data_root, ..self }
    }

    /// Going on with the run in the folder that was given, if there is one.
    pub fn resume_if_there(self) -> Self {
        let out = self.out.as_ref();
        let resume = out.is_some_and(|out| out.join(RECIPE_FILE).exists());
        Self { resume, ..self }
    }

    /// Going on with a run.
    pub fn resume(self) -> Self {
        let resume = true;
        Self { resume, ..self }
    }

    /// With one more that sees what happens.
    pub fn sink(mut self, sink: impl Sink + 'a) -> Self {
        self.sinks.push(Box::new(|_| Box::new(sink)));
        self
    }
}

/// What a training came to.
#[derive(Clone, Debug)]
pub struct Trained {
    /// The run's folder.
    pub run: PathBuf,
    /// Where the run stands.
    pub progress: Progress,
    /// How it ended.
    pub end: End,
    /// `best` or `last`, and that checkpoint; none where nothing was trained.
    pub checkpoint: Option<(&'static str, PathBuf)>,
    /// The report, where it could be written.
    pub report: Option<PathBuf>,
}

/// How a training ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// It is complete.
    Done,
    /// A signal stopped it; everything is saved.
    Stopped(Signal),
    /// It had been complete before, and nothing was done.
    Complete(Finish),
}

/// Trains, or goes on with a training. A recipe that is written in Rust becomes a loaded one by `into`.
///
/// # Errors
/// A wrong recipe or dataset, a run that is there already or is not there, numbers that go wrong, files that cannot be
/// written. A run that fails before its first checkpoint leaves nothing behind.
pub fn train(loaded: &Loaded<Recipe>, options: Options<'_>) -> crate::Result<Trained> {
    let recipe = &loaded.value;
    // A recipe that was written in Rust has been checked by nobody.
    let mut checks = loaded.diagnostics();
    recipe::check(recipe, &mut checks);
    checks.finish()?;
    recipe.kernels.apply();
    let resumed = match options.resume {
        true => Some(Resumed::find(&options, recipe)?),
        false => None,
    };
    if let Some(resumed) = &resumed
        && let Some(trained) = resumed.complete(recipe)?
    {
        return Ok(trained);
    }
    let goes_on = resumed
        .as_ref()
        .is_some_and(|resumed| resumed.checkpoint.is_some());
    if !goes_on {
        recipe::check_files(loaded)?;
    }
    let old = resumed.as_ref().map(|resumed| &*resumed.folder.path);
    let root = data_root(options.data_root.as_deref(), old)?;
    let experiment = Experiment::open(recipe.clone(), &root, options.notify)?;
    match goes_on {
        true => recipe::check_data(loaded, &experiment.card)?,
        false => recipe::check_training(loaded, &experiment.card, &experiment.splits)?,
    }
    if let Some(trained) = &experiment.augmented {
        recipe::check_data(loaded, trained)?;
    }
    let mut networks = experiment.networks(&options.device).map_err(Error::input)?;
    let parameters = networks.check(loaded)?;
    let found = examine::before_training(&experiment)?;

    let resumed = match resumed {
        Some(resumed) => resumed,
        None => Resumed::none(RunFolder::create(options.out.as_deref(), &options.name)?),
    };
    let folder = resumed.folder.clone();
    let mut warnings = resumed.warnings;
    if goes_on {
        warnings.extend(resume::check_data(&folder, &experiment)?);
    }
    warnings.extend(found);
    let session = Session {
        experiment: &experiment,
        options,
        folder: folder.clone(),
        resolved: firesight_recipe::to_toml(recipe),
        parameters,
        root,
        warnings,
    };
    session
        .run(networks, resumed.checkpoint)
        .inspect_err(|error| {
            if folder.is_new() && !session::has_trained(&folder, error) {
                folder.undo();
            }
        })
}

/// The folder that data paths are relative to: as given; else the one that a run remembers, also where it is gone, so
/// that what is missing is named and no other data are taken; else the working directory.
///
/// # Errors
/// A given folder that is not there, an `environment.json` of the run that cannot be read.
pub fn data_root(given: Option<&Path>, run: Option<&Path>) -> crate::Result<PathBuf> {
    if let Some(given) = given {
        if !given.is_dir() {
            bail!("--data-root {}: there is no such folder", given.display());
        }
        return Ok(given.to_path_buf());
    }
    let remembered = match run {
        Some(run) => Environment::read(run)?.and_then(|environment| environment.data_root),
        None => None,
    };
    // The working directory goes by the same name whoever gives it, so that messages name files alike.
    let here = PathBuf::from(".");
    let elsewhere = |root: &PathBuf| root.canonicalize().ok() != here.canonicalize().ok();
    Ok(remembered.filter(elsewhere).unwrap_or(here))
}
