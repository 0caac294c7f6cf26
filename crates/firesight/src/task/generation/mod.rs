//! Generation: two networks that play against each other, a generator and its discriminator.
//!
//! A training step updates the discriminator on a real and a generated batch and then the generator, each network
//! with its own optimizer. The recipe's `ema` averages the generator alone. Both networks are told the class where
//! the model is conditional. Pictures of a fixed set of latent vectors show the course of the training.

mod features;
mod generate;
mod measures;
mod pictures;

use std::path::PathBuf;
use std::sync::Arc;

use burn::module::Module;
use burn::tensor::{Device, Distribution, Int, Tensor, TensorData};
use firesight_data::DataError;
use firesight_data::batch::Batch;
use firesight_data::decode::PixelFormat;
use firesight_data::draw::write_png;
use firesight_data::preprocess::Preprocess;
use firesight_data::scan::Lesson;
use firesight_data::source::Source;
use firesight_data::target::Target;
use firesight_models::generation::GanConfig;
use firesight_models::generation::{Discriminator, Generator};
use firesight_ops::loss::{AdversarialLoss, discriminator_loss, generator_loss};
use firesight_predict::latent;
use firesight_recipe::Checks;
use firesight_report::metric::Metric;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::NamedFile;
use super::TrainedWeights;
use super::{Details, Purpose, Setup, TaskNetworks, TaskRecipe, TrainedTask, Untrained, images};
use crate::card::ModelCard;
use crate::checks::{optimizer, share, whole, within};
use crate::data::DataConfig;
use crate::error::{Context, bail};
use crate::parameters::NetworkParameters;
use features::{Extractor, FeaturesConfig};
use firesight_engine::OptimizerConfig;
use firesight_engine::{
    Batches, BoxError, Evaluation, Network, OneValue, Step, StepError, StepReport, Task,
    TrainedNetwork, Watch, Weights,
};
use firesight_predict::Model;
pub use generate::{Generate, Generated, MOST};
use measures::Measures;

/// Generation: images like those of the dataset, by an adversarial network.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct GenerationConfig {
    /// The generator and its discriminator.
    pub model: GanConfig,
    /// The game that the two play.
    #[serde(default)]
    pub loss: LossConfig,
    /// By how much the discriminator's target for real images lies below 1, 0 to below 1.
    #[serde(default)]
    pub label_smoothing: f64,
    /// Standard deviation of the noise added to all images that the discriminator sees in training; images have
    /// values from -1 to 1.
    #[serde(default)]
    pub input_noise: f64,
    /// The discriminator's optimizer; the recipe's if not given. The schedule acts on both alike.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub discriminator_optimizer: Option<OptimizerConfig>,
    /// What images are compared in; small versions of the images themselves if not given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub features: Option<FeaturesConfig>,
    /// Images generated for an evaluation; the number is part of the metrics' names.
    #[serde(default = "samples")]
    pub samples: usize,
    /// Steps between two pictures of the fixed latent vectors; 0 for none.
    #[serde(default = "pictures_every")]
    pub pictures_every: u64,
}

fn samples() -> usize {
    1000
}

fn pictures_every() -> u64 {
    200
}

/// The game that generator and discriminator play.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum LossConfig {
    /// Cross-entropy, the generator raising the probability of being taken for real (the paper's).
    #[default]
    NonSaturating,
    /// The hinge loss.
    Hinge,
    /// Least squares with the targets 1 and 0.
    LeastSquares,
}

impl LossConfig {
    fn game(self) -> AdversarialLoss {
        match self {
            Self::NonSaturating => AdversarialLoss::NonSaturating,
            Self::Hinge => AdversarialLoss::Hinge,
            Self::LeastSquares => AdversarialLoss::LeastSquares,
        }
    }
}

impl GenerationConfig {
    /// The classes that the networks are told.
    fn told(&self, card: &ModelCard) -> usize {
        match self.model.conditional() {
            true => card.classes.len(),
            false => 0,
        }
    }
}

impl TaskRecipe for GenerationConfig {
    fn name(&self) -> &'static str {
        "generation"
    }

    fn model_name(&self) -> String {
        self.model.name().to_owned()
    }

    fn check(&self, table: &str, _: &DataConfig, checks: &mut Checks<'_>) {
        let name = self.model.name();
        checks.errors(&format!("{table}.model.{name}"), self.model.problems());
        share(
            checks,
            &format!("{table}.label-smoothing"),
            self.label_smoothing,
        );
        let noise = self.input_noise;
        within(checks, &format!("{table}.input-noise"), noise, [0.0, 10.0]);
        if let Some(own) = &self.discriminator_optimizer {
            optimizer(own, &format!("{table}.discriminator-optimizer"), checks);
        }
        let samples = format!("{table}.samples");
        whole(checks, &samples, self.samples, [0, 1_000_000], None);
        if self.samples < measures::LEAST {
            checks.error(
                &format!("{table}.samples"),
                format!("{} images are too few to be measured", self.samples),
                Some("give 10 or more; 1000 and more tell something"),
            );
        }
    }

    fn lesson(&self) -> Lesson {
        match self.model.conditional() {
            true => Lesson::Classes,
            false => Lesson::Pictures,
        }
    }

    fn is_bound_to_size(&self) -> bool {
        true
    }

    fn knows_classes(&self) -> bool {
        self.model.conditional()
    }

    fn needs(&self) -> &'static str {
        "one class per image, for a conditional model"
    }

    fn files(&self) -> Vec<(&'static str, NamedFile<'_>)> {
        match &self.features {
            None => Vec::new(),
            Some(FeaturesConfig::Run(path)) => vec![("features.run", NamedFile::Run(path))],
            Some(FeaturesConfig::Inception(path)) => {
                vec![("features.inception", NamedFile::File(path))]
            }
        }
    }

    fn metrics(&self, _classes: &[String]) -> Vec<Metric> {
        measures::described(self)
    }

    fn check_data(&self, table: &str, card: &ModelCard, checks: &mut Checks<'_>) {
        if card.pixels != PixelFormat::Rgb8 {
            checks.error(
                "data.source",
                "`decode.pixels = \"stored\"`, and a generator makes pictures of 8 bits".to_owned(),
                Some("take `decode.pixels` out"),
            );
        }
        // Building on no device at all is not possible; the shapes alone are checked as the model does.
        let sides = firesight_models::generation::dcgan::SIDES;
        if card.height != card.width || !sides.contains(&card.height) {
            let (width, height) = (card.width, card.height);
            checks.error(
                &format!("{table}.model"),
                format!("it makes images of 8, 16, 32, 64 or 128 pixels, not {width}x{height}"),
                Some("set `data.preprocess = [{ resize = { width = 32, height = 32 } }]`"),
            );
        }
    }

    fn purpose(&self) -> Purpose {
        Purpose {
            words: "make images with it",
            command: "generate",
            argument: None,
        }
    }
}

impl TaskNetworks for GenerationConfig {
    fn networks<'a>(
        &'a self,
        card: &ModelCard,
        device: &Device,
    ) -> crate::Result<Box<dyn Untrained + 'a>> {
        let classes = self.told(card);
        let (generator, discriminator) = self.model.init(card.input(), classes, device)?;
        Ok(Box::new(Built {
            config: self,
            generator,
            discriminator,
        }))
    }

    /// No map that is normalised is smaller than 4x4.
    fn lone_norm(&self, _: &ModelCard, _: &Device) -> crate::Result<Option<OneValue>> {
        Ok(None)
    }

    fn load(
        &self,
        card: &ModelCard,
        weights: &mut TrainedWeights,
        device: &Device,
    ) -> crate::Result<Model> {
        let (generator, _) = self.model.init(card.input(), card.classes.len(), device)?;
        Ok(Model::Generator(Box::new(
            weights.load("generator", generator)?,
        )))
    }
}

/// The two networks as they were built.
struct Built<'a> {
    config: &'a GenerationConfig,
    generator: Generator,
    discriminator: Discriminator,
}

impl Untrained for Built<'_> {
    fn parameters(&self) -> Vec<NetworkParameters> {
        vec![
            NetworkParameters::of("generator", &self.generator),
            NetworkParameters::of("discriminator", &self.discriminator),
        ]
    }

    fn train(self: Box<Self>, setup: &Setup<'_>) -> crate::Result<Box<dyn TrainedTask>> {
        Ok(Box::new(GenerationTask::new(*self, setup)?))
    }
}

/// Steps between two looks at whether the game is still one.
const WATCH_EVERY: u64 = 100;
/// A discriminator loss below this says that it is never deceived.
const NEVER_DECEIVED: f64 = 1e-3;
/// A standard deviation among samples below this, of images from -1 to 1, says that they are all alike.
const ALL_ALIKE: f64 = 0.02;
/// Fixed latent vectors that are drawn again and again.
const FIXED: usize = 64;
/// The folder of the pictures in a run folder.
pub(crate) const FOLDER: &str = "samples";
/// The file there that keeps what the watch has said, for the report.
const WATCH_FILE: &str = "watch.txt";

/// A generator and a discriminator under training.
pub struct GenerationTask {
    generator: Network<Generator>,
    discriminator: Network<Discriminator>,
    config: GenerationConfig,
    /// The discriminator's learning rate over the generator's.
    rate_factor: f64,
    classes: usize,
    seed: u64,
    device: Device,
    run: Option<PathBuf>,
    train: Arc<dyn Source>,
    preprocess: Preprocess,
    extractor: Extractor,
    /// The metric that the recipe has watched, if it says which.
    watched: Option<String>,
    last_discriminator_loss: f64,
    conditions: Vec<usize>,
}

impl GenerationTask {
    /// What trains both networks.
    ///
    /// # Errors
    /// Another normalisation than to -1..1, features that cannot be loaded.
    fn new(built: Built<'_>, setup: &Setup<'_>) -> crate::Result<Self> {
        let Built {
            config,
            generator,
            discriminator,
        } = built;
        let (data, device) = (setup.data, setup.device);
        let half = |values: &[f32]| values.iter().all(|value| *value == 0.5);
        if !half(&data.mean) || !half(&data.std) {
            bail!(
                "data.mean and data.std: a generator makes values from -1 to 1, so both must be 0.5; leave them out"
            );
        }
        let classes = config.told(setup.card);
        let network = setup.network.clone();
        let mut opponent = network.clone();
        opponent.ema = None;
        let mut rate_factor = 1.0;
        if let Some(optimizer) = &config.discriminator_optimizer {
            rate_factor = optimizer.learning_rate() / network.optimizer.learning_rate();
            opponent.optimizer = optimizer.clone();
        }
        let extractor = Extractor::new(
            config.features.as_ref(),
            &device.clone().inner(),
            setup.open,
        )
        .context("task.generation.features")?;
        Ok(Self {
            generator: Network::new("generator", generator, &network, device),
            discriminator: Network::new("discriminator", discriminator, &opponent, device),
            config: config.clone(),
            rate_factor,
            classes,
            seed: setup.seed,
            device: device.clone(),
            run: setup.run.map(PathBuf::from),
            train: Arc::clone(setup.train),
            preprocess: Preprocess::new(&data.preprocess),
            extractor,
            watched: setup.watched.map(str::to_owned),
            last_discriminator_loss: f64::NAN,
            conditions: (0..classes).collect(),
        })
    }

    /// The classes of a batch, where the networks are told them.
    fn classes_of(&self, batch: &Batch) -> Option<Tensor<1, Int>> {
        let class = |target: &Target| {
            let class = target.class();
            class.expect("a dataset with classes gives one to each image") as i32
        };
        (self.classes > 0).then(|| {
            let classes: Vec<i32> = batch.targets.iter().map(class).collect();
            let shape = [classes.len()];
            Tensor::from_data(TensorData::new(classes, shape), &self.device)
        })
    }

    /// Images as the discriminator sees them in training.
    fn blurred(&self, images: Tensor<4>) -> Tensor<4> {
        if self.config.input_noise == 0.0 {
            return images;
        }
        let noise = Distribution::Normal(0.0, self.config.input_noise);
        let noise = Tensor::random(images.dims(), noise, &images.device());
        images + noise
    }

    /// Images of the fixed latent vectors, in the classes' order where there are classes.
    fn fixed(&self, generator: &Generator) -> Tensor<4> {
        let device = self.device.clone().inner();
        let z = latent::draw(self.seed, 0, FIXED, generator.latent(), None);
        latent::generate(generator, &z, &self.conditions, &device)
    }

    /// The columns of a grid of the fixed images.
    fn columns(&self) -> usize {
        pictures::columns(FIXED, self.classes)
    }

    /// The weights that pictures are made with: the average where there is one.
    fn weights(&self) -> Weights {
        match self.generator.has_ema() {
            true => Weights::Ema,
            false => Weights::Current,
        }
    }

    /// What looks wrong with the game at a step.
    fn watch(&self, samples: &Tensor<4>, step: u64) -> Vec<String> {
        let mut warnings = Vec::new();
        let loss = self.last_discriminator_loss;
        if loss < NEVER_DECEIVED {
            warnings.push(format!(
                "step {step}: the discriminator's loss is {loss:.1e}: it is never deceived, and the generator learns \
                 nothing; `label-smoothing`, `input-noise` or a lower rate in `discriminator-optimizer` may help"
            ));
        }
        let spread: f32 = samples.clone().var(0).sqrt().mean().into_scalar();
        if f64::from(spread) < ALL_ALIKE || !spread.is_finite() {
            warnings.push(format!(
                "step {step}: generated images differ by a standard deviation of {spread:.1e} alone: the generator \
                 has collapsed"
            ));
        }
        warnings
    }
}

impl Task for GenerationTask {
    fn networks(&self) -> Vec<&dyn TrainedNetwork> {
        vec![&self.generator, &self.discriminator]
    }

    fn networks_mut(&mut self) -> Vec<&mut dyn TrainedNetwork> {
        vec![&mut self.generator, &mut self.discriminator]
    }

    fn train_batch(&mut self, mut batch: Batch, step: &Step) -> Result<StepReport, StepError> {
        let samples = batch.shape[0];
        let classes = self.classes_of(&batch);
        let real = images(&mut batch, &self.device);
        self.keep_real(&real);
        let z = Tensor::random(
            [samples, self.generator.module().latent()],
            Distribution::Normal(0.0, 1.0),
            &self.device,
        );
        let generated = self.generator.module().forward(z, classes.clone());

        let game = self.config.loss.game();
        let judge = self.discriminator.module();
        let on_real = judge.forward(self.blurred(real), classes.clone());
        let on_generated = judge.forward(self.blurred(generated.clone().detach()), classes.clone());
        let [real_loss, generated_loss] =
            discriminator_loss(game, on_real, on_generated, self.config.label_smoothing);
        let loss = real_loss + generated_loss;
        let discriminator = value(&loss);
        self.discriminator.backward(loss, samples as f64)?;
        if step.update {
            self.discriminator.update(step.rate * self.rate_factor)?;
        }

        // Gradients flow through the discriminator, and none is needed of its own weights.
        let judge = self.discriminator.module().clone().no_grad();
        let loss = generator_loss(game, judge.forward(self.blurred(generated), classes));
        let generator = value(&loss);
        self.generator.backward(loss, samples as f64)?;
        let gradient_norm = match step.update {
            true => Some(self.generator.update(step.rate)?),
            false => None,
        };
        self.last_discriminator_loss = discriminator;
        Ok(StepReport {
            loss: discriminator + generator,
            parts: vec![("discriminator", discriminator), ("generator", generator)],
            samples,
            gradient_norm,
        })
    }

    fn after_update(&mut self, step: u64) -> Result<Vec<String>, BoxError> {
        let every = self.config.pictures_every;
        let draws = self.run.is_some() && every > 0 && (step == 1 || step.is_multiple_of(every));
        let watches = step.is_multiple_of(WATCH_EVERY);
        if !draws && !watches {
            return Ok(Vec::new());
        }
        let samples = self.fixed(&self.generator.inference(self.weights()));
        if let (true, Some(run)) = (draws, &self.run) {
            let folder = run.join(FOLDER);
            std::fs::create_dir_all(&folder).with_context(|| format!("{}", folder.display()))?;
            let picture = pictures::grid(&pictures::images(samples.clone()), self.columns());
            write_png(&picture, &folder.join(format!("step-{step:07}.png")))?;
        }
        if !watches {
            return Ok(Vec::new());
        }
        let warnings = self.watch(&samples, step);
        if let (false, Some(run)) = (warnings.is_empty(), &self.run) {
            remember(&run.join(FOLDER), &warnings)?;
        }
        Ok(warnings)
    }

    fn evaluate(
        &self,
        weights: Weights,
        batches: &mut Batches<'_>,
        watch: &mut Watch<'_>,
    ) -> Result<Evaluation, DataError> {
        Measures::new(self, weights).evaluate(batches, watch, None)
    }
}

impl TrainedTask for GenerationTask {
    fn examine(
        &self,
        weights: Weights,
        batches: &mut Batches<'_>,
        watch: &mut Watch<'_>,
        details: &mut Details,
    ) -> Result<Evaluation, DataError> {
        Measures::new(self, weights).evaluate(batches, watch, Some(details))
    }
}

impl GenerationTask {
    /// Keeps a picture of the first real batch beside those of the samples.
    fn keep_real(&self, real: &Tensor<4>) {
        let Some(run) = &self.run else { return };
        let folder = run.join(FOLDER);
        let path = folder.join("real.png");
        if self.config.pictures_every == 0 || path.exists() {
            return;
        }
        let count = real.dims()[0].min(FIXED);
        let images = pictures::images(real.clone().inner().slice(0..count));
        // A picture that cannot be written is no reason to end a training step; the samples' will tell.
        let _ = std::fs::create_dir_all(&folder)
            .is_ok_and(|()| write_png(&pictures::grid(&images, 8), &path).is_ok());
    }
}

/// Adds warnings to those that the report shows.
fn remember(folder: &std::path::Path, warnings: &[String]) -> crate::Result<()> {
    use std::io::Write;
    let path = folder.join(WATCH_FILE);
    // A resumed run passes some steps again.
    let before = std::fs::read_to_string(&path).unwrap_or_default();
    let write = || -> std::io::Result<()> {
        std::fs::create_dir_all(folder)?;
        let mut file = std::fs::OpenOptions::new()
            .append(true)
            .create(true)
            .open(&path)?;
        let new = warnings
            .iter()
            .filter(|line| !before.contains(line.as_str()));
        new.into_iter()
            .try_for_each(|line| writeln!(file, "{line}"))
    };
    write().with_context(|| format!("{}", path.display()))
}

fn value(loss: &Tensor<1>) -> f64 {
    f64::from(loss.clone().into_scalar::<f32>())
}
