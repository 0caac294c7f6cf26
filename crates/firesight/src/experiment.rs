//! A recipe brought to life: its data opened, its model built. What `train`, `eval`, `check` and
//! `lr-find` have in common.
//!
//! ```
//! use firesight::device;
//! use firesight::experiment::Experiment;
//! use firesight::task::Build;
//!
//! let recipe = "
//!     epochs = 1
//!     data = { source = { digits = {} }, batch-size = 64, workers = 0 }
//!     task = { classification = { model = { cnn = { channels = [4] } } } }
//!     optimizer = { sgd = {} }
//! ";
//! let recipe = firesight_recipe::read_str(recipe, "digits.toml", &[])?.value;
//! let experiment = Experiment::open(recipe, ".".as_ref(), &())?;
//! assert_eq!(experiment.sizes(), [("train", 1293), ("validation", 144), ("test", 360)]);
//! assert_eq!((experiment.card.width, experiment.card.classes.len()), (8, 10));
//! let task = experiment.task(&device::select(Some("cpu"))?, Build::Fresh, None, &())?;
//! assert_eq!(task.networks()[0].name(), "model");
//! # anyhow::Ok(())
//! ```

use std::path::Path;
use std::sync::Arc;

use firesight_data::DataError;
use firesight_data::augment::Pipeline;
use firesight_data::cached::Cached;
use firesight_data::loader::{Loader, LoaderConfig};
use firesight_data::preprocess::Preprocess;
use firesight_data::random::{Domain, stream};
use firesight_data::sample::Sample;
use firesight_data::source::{Source, Splits, fingerprint};
use firesight_data::words::counted;
use firesight_report::metric::Metrics;

use crate::card::ModelCard;
use crate::error::{Context, bail};
use crate::memory;
use crate::notify::Notify;
use crate::recipe::Recipe;

/// Decoded images of a split that `cache = true` keeps at most, in bytes; the rest is read anew.
const CACHE_LIMIT: usize = 4 << 30;

/// A recipe with its data opened.
pub struct Experiment {
    /// The recipe as resolved.
    pub recipe: Recipe,
    /// The splits of its dataset.
    pub splits: Splits,
    /// What the data tells the model: its input is a picture as `data.preprocess` leaves it, in evaluation and use.
    pub card: ModelCard,
    /// The same of a training picture, where `data.augment` gives it another size.
    pub augmented: Option<ModelCard>,
    /// What is wrong with the training samples before the first that can be read.
    pub unreadable: Vec<DataError>,
}

/// How many training samples are tried for one that can be read.
const TRIED: usize = 100;

impl Experiment {
    /// Opens the data of a recipe and finds out what the model is fed with.
    ///
    /// # Errors
    /// Whatever the dataset reports, and an empty training split.
    pub fn open(recipe: Recipe, data_root: &Path, notify: &dyn Notify) -> crate::Result<Self> {
        let source = &recipe.data.source;
        source.fetch(data_root, &mut |progress| notify.fetching(progress))?;
        let mut splits = recipe
            .data
            .source
            .open(data_root, &recipe.data.split, recipe.seed)?;
        if recipe.data.cache {
            splits.train = cached(splits.train);
            splits.validation = splits.validation.map(cached);
        }
        if splits.train.is_empty() {
            bail!("data.source: the training split has no images");
        }
        let (sample, unreadable) = first_sample(&splits.train)?;
        let (card, augmented) = cards(&recipe, &splits.train, sample, unreadable.len())?;
        Ok(Self {
            recipe,
            splits,
            card,
            augmented,
            unreadable,
        })
    }

    /// What the data tells the model in training.
    pub fn trained_card(&self) -> &ModelCard {
        self.augmented.as_ref().unwrap_or(&self.card)
    }

    /// What the data tells the model, in use and, where that differs, in training.
    pub fn cards(&self) -> impl Iterator<Item = &ModelCard> {
        std::iter::once(&self.card).chain(&self.augmented)
    }

    /// The split of a name.
    ///
    /// # Errors
    /// A name that is none of `train`, `validation`, `test`, or a split that the dataset lacks.
    pub fn split(&self, name: &str) -> crate::Result<Arc<dyn Source>> {
        let found = match name {
            "train" => Some(Arc::clone(&self.splits.train)),
            "validation" | "val" => self.splits.validation.clone(),
            "test" => self.splits.test.clone(),
            other => bail!("--split {other}: there are train, validation and test"),
        };
        found.with_context(|| {
            let there: Vec<&str> = self
                .splits
                .named()
                .into_iter()
                .map(|(name, _)| name)
                .collect();
            format!(
                "--split {name}: this dataset has no such split (it has {})",
                there.join(", ")
            )
        })
    }

    /// The loader of the training split.
    pub fn train_loader(&self) -> crate::Result<Loader> {
        let data = &self.recipe.data;
        let pipeline = Preprocess::new(&data.preprocess).then(&data.augment);
        let config = LoaderConfig {
            batch_size: data.batch_size,
            shuffle: true,
            drop_last: data.drop_last,
            workers: data.workers,
            prefetch: data.prefetch,
            seed: self.recipe.seed,
            max_bad: data.max_bad,
            sampling: data.sampling.clone(),
            combine: data.combine.clone(),
            mixing: data.mix.clone(),
        };
        self.loader(Arc::clone(&self.splits.train), pipeline, config)
    }

    /// A loader that gives a split in order, prepared but not augmented.
    pub fn evaluation_loader(&self, source: Arc<dyn Source>) -> crate::Result<Loader> {
        let data = &self.recipe.data;
        let config = LoaderConfig {
            batch_size: self.recipe.evaluate.batch_size.unwrap_or(data.batch_size),
            shuffle: false,
            drop_last: false,
            workers: data.workers,
            prefetch: data.prefetch,
            seed: self.recipe.seed,
            max_bad: data.max_bad,
            ..LoaderConfig::default()
        };
        self.loader(source, Preprocess::new(&data.preprocess).then(&[]), config)
    }

    fn loader(
        &self,
        source: Arc<dyn Source>,
        pipeline: Pipeline,
        config: LoaderConfig,
    ) -> crate::Result<Loader> {
        let normalize = self.recipe.data.normalize(self.card.channels);
        Ok(Loader::new(source, Arc::new(pipeline), normalize, config)?)
    }

    /// Images in the smallest batch that is trained where no image is bad.
    pub fn smallest_batch(&self) -> usize {
        let recipe = &self.recipe;
        let (images, size) = (self.splits.train.len(), recipe.data.batch_size.max(1));
        let steps = images.div_ceil(size).div_ceil(recipe.accumulate.max(1)) as u64;
        let last_is_trained =
            !recipe.data.drop_last && recipe.max_steps.is_none_or(|most| most >= steps);
        match images % size {
            rest if rest > 0 && last_is_trained => rest,
            _ => size.min(images),
        }
    }

    /// The dataset's splits by name and size.
    pub fn sizes(&self) -> Vec<(&'static str, usize)> {
        self.splits
            .named()
            .into_iter()
            .map(|(name, source)| (name, source.len()))
            .collect()
    }

    /// The metrics that an evaluation may give; the first one is the task's main one.
    pub fn metrics(&self) -> Metrics {
        Metrics(self.recipe.task.table().metrics(&self.card.classes))
    }

    /// What identifies the content of the training data.
    pub fn fingerprint(&self) -> String {
        fingerprint(self.splits.train.as_ref())
    }
}

/// The first training sample that can be read, and what is wrong with those before it.
fn first_sample(source: &Arc<dyn Source>) -> crate::Result<(Sample, Vec<DataError>)> {
    let mut unreadable = Vec::new();
    for index in 0..source.len().min(TRIED) {
        match source.read(index) {
            Ok(sample) => return Ok((sample, unreadable)),
            Err(error) if error.is_bad_sample() => unreadable.push(error),
            Err(error) => return Err(error.into()),
        }
    }
    let count = unreadable.len();
    let first = unreadable.into_iter().next();
    let first = first.context("data.source: there is no training sample")?;
    Err(crate::Error::from(first).context(format!(
        "data.source: none of the first {count} training samples can be read; the first"
    )))
}

/// What a sample tells the model, as prepared, and as augmented where that has another size.
fn cards(
    recipe: &Recipe,
    source: &Arc<dyn Source>,
    sample: Sample,
    index: usize,
) -> crate::Result<(ModelCard, Option<ModelCard>)> {
    let data = &recipe.data;
    let task = recipe.task.table();
    if !task.takes(&sample.target) {
        let (name, needs, origin) = (task.name(), task.needs(), source.origin(index));
        bail!("task.{name} needs a dataset with {needs}; {origin} has none");
    }
    let channels = sample.image.channels();
    for (key, values) in [("data.mean", &data.mean), ("data.std", &data.std)] {
        if values.len() != 1 && values.len() != channels {
            let found = values.len();
            bail!("{key}: {found} values for images of {channels} channels; give 1 or {channels}");
        }
    }
    let size = sample.image.size();
    let card = |[width, height]: [usize; 2]| ModelCard {
        task: task.name().to_owned(),
        model: task.model_name(),
        classes: task.classes(source.as_ref()),
        channels,
        height,
        width,
        pixels: data.source.decoding().pixels,
    };
    let preparation = Preprocess::new(&data.preprocess);
    let prepared = preparation.plan(size).size();
    let rng = || stream(recipe.seed, 0, 0, Domain::Sample);
    let pipeline = preparation.then(&data.augment);
    let drawn = pipeline.draw(size, &mut rng()).size();
    let evaluated = recipe.evaluate.batch_size.unwrap_or(data.batch_size);
    for (key, [width, height], images) in [
        ("data.batch-size", drawn, data.batch_size),
        ("evaluate.batch-size", prepared, evaluated),
    ] {
        // Numbers of 32 bits.
        let sides = [width, height, channels, images, 4];
        let bytes = sides
            .iter()
            .fold(1u64, |all, side| all.saturating_mul(*side as u64));
        if let Some(excess) = memory::excess(bytes, memory::limit()) {
            let each = counted(images, "image");
            bail!(
                "{key}: a batch of {each} of {width}x{height}x{channels} needs {excess}; give fewer images, or smaller ones \
                 in `data.preprocess`"
            );
        }
    }
    let trained = pipeline.apply(sample, &mut rng())?.image.size();
    let augmented = (trained != prepared).then(|| card(trained));
    Ok((card(prepared), augmented))
}

/// The same source with its decoded images kept in memory.
fn cached(source: Arc<dyn Source>) -> Arc<dyn Source> {
    Arc::new(Cached::new(source, CACHE_LIMIT))
}
