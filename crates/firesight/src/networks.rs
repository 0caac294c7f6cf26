//! The networks of an experiment as they are built: counted, checked, then trained.
//!
//! ```
//! use firesight::device;
//! use firesight::experiment::Experiment;
//! use firesight::task::Build;
//!
//! let recipe = r#"
//!     epochs = 1
//!     data = { source = { digits = {} }, batch-size = 64, workers = 0 }
//!     task = { classification = { model = "resnet20", freeze = ['^conv1\.', '^bn1\.', '^layer'] } }
//!     optimizer = { sgd = {} }
//! "#;
//! let recipe = firesight_recipe::read_str(recipe, "digits.toml", &[])?.value;
//! let experiment = Experiment::open(recipe, ".".as_ref(), &())?;
//! let networks = experiment.networks(&device::select(Some("cpu"))?)?;
//! let summary = networks.parameters();
//! assert_eq!((summary.trainable.tensors, summary.trainable.elements), (2, 650)); // the new head: 64 x 10 + 10
//! assert_eq!((summary.frozen[0].amount.tensors, summary.frozen[0].amount.elements), (1, 144)); // 16 x 1 x 3 x 3
//! let task = networks.task(Build::Fresh, None, &())?;
//! assert_eq!(task.networks()[0].name(), "model");
//! # anyhow::Ok(())
//! ```

use std::path::Path;

use firesight_data::words::counted;
use firesight_engine::{NetworkConfig, OneValue};
use firesight_recipe::Loaded;

use crate::device::NamedDevice;
use crate::error::Error;
use crate::experiment::Experiment;
use crate::memory;
use crate::notify::Notify;
use crate::parameters::ParameterSummary;
use crate::predictor;
use crate::recipe::Recipe;
use crate::task::{Build, Setup, TrainedTask, Untrained};

/// The networks of an experiment on a device, freshly built.
pub struct Networks<'a> {
    experiment: &'a Experiment,
    device: NamedDevice,
    untrained: Box<dyn Untrained + 'a>,
}

impl Experiment {
    /// Builds the networks of the recipe's task.
    ///
    /// # Errors
    /// What the model cannot be built from.
    pub fn networks(&self, device: &NamedDevice) -> crate::Result<Networks<'_>> {
        Ok(Networks {
            experiment: self,
            device: device.clone(),
            untrained: self.untrained(device)?,
        })
    }

    /// Some layers draw as they are built, the others when they are first used: all from the seed, which begins here.
    fn untrained(&self, device: &NamedDevice) -> crate::Result<Box<dyn Untrained + '_>> {
        device.device.seed(self.recipe.seed);
        let training = device.device.clone().autodiff();
        self.recipe.task.table().networks(&self.card, &training)
    }

    /// Builds the networks and, for the use that `build` says, what trains them.
    ///
    /// # Errors
    /// Those of [`Self::networks`] and [`Networks::task`].
    pub fn task(
        &self,
        device: &NamedDevice,
        build: Build,
        run: Option<&Path>,
        notify: &dyn Notify,
    ) -> crate::Result<Box<dyn TrainedTask>> {
        self.networks(device)?.task(build, run, notify)
    }
}

impl Networks<'_> {
    /// How many parameters train, and what the recipe's patterns take of them.
    pub fn parameters(&self) -> ParameterSummary {
        let recipe = &self.experiment.recipe;
        let task = recipe.task.table();
        ParameterSummary::new(
            &self.untrained.parameters(),
            &format!("task.{}", task.name()),
            task.freeze(),
            &recipe.parameter_groups,
        )
    }

    /// Checks what the recipe asks of the model as it is built: that every pattern finds parameters, that something trains,
    /// that no batch is too small to be normalised.
    ///
    /// # Errors
    /// Every pattern that is wrong, with its place.
    pub fn check(&mut self, loaded: &Loaded<Recipe>) -> crate::Result<ParameterSummary> {
        let (experiment, summary) = (self.experiment, self.parameters());
        let mut checks = loaded.diagnostics();
        let table = format!("task.{}", loaded.value.task.table().name());
        summary.check(&table, &mut checks);
        // As numbers of 32 bits, beside whatever the optimizer keeps.
        let bytes =
            (summary.total.elements as u64).saturating_add(summary.trainable.elements as u64);
        if let Some(excess) = memory::excess(bytes.saturating_mul(4), memory::limit()) {
            let message = format!("its parameters and their gradients need {excess}");
            checks.error(
                &format!("{table}.model"),
                message,
                Some("give it fewer or narrower layers"),
            );
        }
        if summary.trainable.tensors > 0
            && let Some(lone) = self.lone_norm().map_err(Error::input)?
        {
            let size = loaded.value.data.batch_size;
            let images = experiment.splits.train.len();
            let which = match size {
                1 => "a batch".to_owned(),
                _ => format!(
                    "the last batch of an epoch ({} in batches of {size})",
                    counted(images, "image")
                ),
            };
            let message = format!(
                "{which} has one image, of which the normalisation `{}` gets one value per channel ({:?}): that cannot be \
                 normalised, and its running variance would come nearer to 0 each time",
                lone.layer, lone.shape
            );
            let help = match size {
                _ if images == 1 => {
                    "give more training images, or enlarge them in `data.preprocess`"
                }
                1 => "give `data.batch-size` 2 or more, or enlarge the images in `data.preprocess`",
                _ => "set `data.drop-last = true`, or another `data.batch-size`",
            };
            checks.error("data.batch-size", message, Some(help));
        }
        checks.finish()?;
        Ok(summary)
    }

    /// The first layer that gets one value per channel to normalise in a batch of this recipe; none where there is no
    /// batch of one image. It is tried on networks of its own.
    fn lone_norm(&mut self) -> crate::Result<Option<OneValue>> {
        if self.experiment.smallest_batch() != 1 {
            return Ok(None);
        }
        let (experiment, device) = (self.experiment, &self.device);
        let task = experiment.recipe.task.table();
        let lone = task.lone_norm(experiment.trained_card(), &device.device)?;
        // They have drawn from the seed, as those that are to be trained did.
        self.untrained = experiment.untrained(device)?;
        Ok(lone)
    }

    /// What trains the networks: freshly initialised, for the use that `build` says; `run` is the run folder, where a
    /// training puts the pictures of its course.
    ///
    /// # Errors
    /// Weights that do not fit, labels that cannot be read where they are to be counted.
    pub fn task(
        self,
        build: Build,
        run: Option<&Path>,
        notify: &dyn Notify,
    ) -> crate::Result<Box<dyn TrainedTask>> {
        let (experiment, recipe) = (self.experiment, &self.experiment.recipe);
        self.untrained.train(&Setup {
            data: &recipe.data,
            seed: recipe.seed,
            network: NetworkConfig {
                optimizer: recipe.optimizer.clone(),
                groups: recipe.parameter_groups.clone(),
                clip: recipe.clip,
                ema: recipe.ema,
            },
            watched: recipe.checkpoint.best.metric.as_deref(),
            card: &experiment.card,
            device: &self.device.device.clone().autodiff(),
            train: &experiment.splits.train,
            build,
            run,
            notify,
            open: predictor::open,
        })
    }
}
