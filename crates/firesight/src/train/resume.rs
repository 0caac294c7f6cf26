//! A run to go on with: which one it is, and whether it may.

use std::path::{Path, PathBuf};

use firesight_engine::{Checkpoint, CheckpointError};
use firesight_report::environment::Environment;

use super::{End, Options, Trained};
use crate::card;
use crate::error::{Context, Error, bail};
use crate::experiment::Experiment;
use crate::recipe::{Recipe, TaskConfig};
use crate::run_folder::{RECIPE_FILE, RunFolder};
use crate::stored;

/// A run to go on with.
pub(super) struct Resumed {
    pub folder: RunFolder,
    /// Its newest checkpoint; none for a new run, and for one that was stopped before its first.
    pub checkpoint: Option<(PathBuf, Checkpoint)>,
    pub warnings: Vec<String>,
}

impl Resumed {
    /// Nothing to go on with: a new run.
    pub fn none(folder: RunFolder) -> Self {
        Self {
            folder,
            checkpoint: None,
            warnings: Vec::new(),
        }
    }

    pub fn find(options: &Options<'_>, recipe: &Recipe) -> crate::Result<Self> {
        let folder = RunFolder::find(options.out.as_deref(), &options.name)?;
        let mut resumed = Self::none(folder);
        let Self {
            folder,
            checkpoint,
            warnings,
        } = &mut resumed;
        let checkpoints = folder.checkpoints(recipe.checkpoint.keep);
        match checkpoints.load_newest(|warning| warnings.push(warning)) {
            Ok(found) => {
                check_unchanged(folder, &found.0, recipe)?;
                let step = found.1.progress.step;
                if let Some(max) = recipe.max_steps.filter(|max| *max < step) {
                    bail!(
                        "--resume: max-steps = {max} lies behind step {step}, which {} has come to; give more, or leave \
                         it out",
                        folder.path.display()
                    );
                }
                *checkpoint = Some(found);
            }
            // Nothing has been trained that another recipe could spoil.
            Err(CheckpointError::Missing { .. }) => {
                let path = folder.path.display();
                warnings.push(format!(
                    "{path}: there is no checkpoint yet; the run begins anew"
                ));
            }
            Err(error) => return Err(Error::input(error)),
        }
        Ok(resumed)
    }

    /// What the run came to, where it has come to its end and its report is written.
    pub fn complete(&self, recipe: &Recipe) -> crate::Result<Option<Trained>> {
        let Some((path, checkpoint)) = &self.checkpoint else {
            return Ok(None);
        };
        let progress = &checkpoint.progress;
        let Some(finish) = progress.complete(recipe.epochs, recipe.max_steps) else {
            return Ok(None);
        };
        // A session that was killed between its last checkpoint and its report has not written that.
        let environment = Environment::read(&self.folder.path)?;
        if environment.is_some_and(|environment| environment.finished.is_none()) {
            return Ok(None);
        }
        Ok(Some(Trained {
            run: self.folder.path.clone(),
            progress: progress.clone(),
            end: End::Complete(finish),
            checkpoint: Some(("last", path.clone())),
            report: None,
        }))
    }
}

/// On resume nothing may differ but how long the run is and how its images are read.
fn check_unchanged(folder: &RunFolder, checkpoint: &Path, recipe: &Recipe) -> crate::Result<()> {
    // The checkpoint's own recipe is what its weights were trained with, whatever became of the run's.
    let own = checkpoint.join(RECIPE_FILE);
    let path = match own.is_file() {
        true => own,
        false => folder.path.join(RECIPE_FILE),
    };
    let stored = match recipe.task.as_own() {
        Some(task) => crate::recipe::read_own(&path, &[], task)?,
        None => firesight_recipe::read::<Recipe>(&path, &[])?,
    };
    let stored = stored.value;
    let mut same = recipe.clone();
    same.epochs = stored.epochs;
    same.max_steps = stored.max_steps;
    same.data.workers = stored.data.workers;
    same.data.prefetch = stored.data.prefetch;
    let new = firesight_recipe::to_toml(&same);
    // What a task of the program's own was is known by the text alone.
    let old = match recipe.task {
        TaskConfig::Own(_) => std::fs::read_to_string(&path).context(path.display())?,
        _ => firesight_recipe::to_toml(&stored),
    };
    if old == new {
        return Ok(());
    }
    let changed = old.lines().zip(new.lines()).find(|(old, new)| old != new);
    let (old, new) = changed.unwrap_or(("", ""));
    bail!(
        "--resume: the recipe is not that of {}: `{old}` there, `{new}` here; on resume only \
         `epochs`, `max-steps`, `data.workers` and `data.prefetch` may change",
        folder.path.display()
    )
}

/// On resume the data has the classes that the model learns; what else is other is given in words.
pub(super) fn check_data(
    folder: &RunFolder,
    experiment: &Experiment,
) -> crate::Result<Vec<String>> {
    let stored = match folder.checkpoints(1).pointed("last") {
        Some(checkpoint) => Some(card::read(&checkpoint)?),
        None => None,
    };
    let knows_classes = experiment.recipe.task.table().knows_classes();
    if let Some(stored) = stored.filter(|_| knows_classes) {
        stored::same_classes(&stored, &experiment.card)
            .with_context(|| format!("--resume: {}", folder.path.display()))?;
    }
    let changes = stored::changes(&folder.path, experiment)?.into_iter();
    Ok(changes
        .map(|change| format!("--resume: {change}"))
        .collect())
}
