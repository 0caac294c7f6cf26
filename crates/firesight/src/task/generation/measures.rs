//! The evaluation of a generator: losses, distances between generated and real images, and the pictures of a report.
//!
//! `fid_<n>`, `kid_<n>`, `precision_<n>` and `recall_<n>` compare `n` generated images, always from the same latent
//! vectors, with real ones in the features of the recipe. The Frechet distance takes all real images of the split,
//! the others `n` of them, evenly spaced over the split (all where it has fewer).

use std::collections::BTreeMap;
use std::path::Path;

use burn::tensor::{Device, Int, Tensor, TensorData};
use firesight_data::DataError;
use firesight_data::sample::Image;
use firesight_metrics::generation::{
    FeatureStatistics, PrecisionRecall, frechet_distance, kernel_distance, precision_recall,
};
use firesight_models::generation::{Discriminator, Generator};
use firesight_ops::loss::{discriminator_loss, generator_loss};
use firesight_report::metric::{Better, Metric};
use firesight_report::results::{Picture, Section, Table};

use super::features::{Features, FeaturesConfig, prefix};
use super::{FOLDER, GenerationConfig, GenerationTask, pictures, value};
use crate::task::AN_IMAGE;
use crate::task::{Details, Gallery};
use firesight_engine::{Batches, Evaluation, Weights};
use firesight_predict::latent;

/// The neighbours that reach around an image in precision and recall, as in the paper.
const NEIGHBOURS: usize = 3;
/// The fewest images that can be measured.
pub const LEAST: usize = 10;
/// Generated images that are looked for among the training images.
const SOUGHT: usize = 1000;
/// Training images, at most, among which they are looked for.
const KNOWN: usize = 100_000;
/// Pairs that the report shows.
const SHOWN: usize = 12;
/// Rows of distances computed at once.
const CHUNK: usize = 2000;

/// One evaluation.
pub struct Measures<'a> {
    task: &'a GenerationTask,
    generator: Generator,
    discriminator: Discriminator,
    device: Device,
}

/// What the numbers of a recipe are.
pub fn described(config: &GenerationConfig) -> Vec<Metric> {
    let (count, prefix) = (config.samples, prefix(config.features.as_ref()));
    let key = |name: &str| format!("{prefix}{name}_{count}");
    let title = |name: &str| match prefix {
        "" => format!("{name} ({count} samples)"),
        _ => format!("{name} of pixels ({count} samples)"),
    };
    let enough = format!("at least {LEAST} images");
    let mut all = vec![
        Metric::loss(key("fid"), title("FID")).needs(&enough),
        Metric::loss(key("kid"), title("KID")).needs(&enough),
        Metric::share(key("precision"), title("Precision")).needs(&enough),
        Metric::share(key("recall"), title("Recall")).needs(&enough),
        Metric::loss("generator_loss", "Generator loss"),
        Metric::loss("discriminator_loss", "Discriminator loss").needs(AN_IMAGE),
    ];
    if matches!(config.features, Some(FeaturesConfig::Run(_))) {
        let key = |name: &str| format!("{name}_{count}");
        let title = |name: &str| format!("{name} ({count} samples)");
        all.extend([
            Metric::share(key("confidence"), title("Confidence")),
            Metric::share(key("least_class_share"), title("Least class share")),
            // All images are of one class at 1.
            Metric::share(key("largest_class_share"), title("Largest class share"))
                .better(Better::Lower),
        ]);
    }
    // Near is a copy, far is no likeness: neither way is good.
    all.extend([
        Metric::plain(nearest_key(count), "Distance to the nearest training image")
            .needs("a training image"),
        Metric::plain(NEAREST_REAL, "The same of real images")
            .chart("Distance to the nearest training image")
            .needs("an image and a training image"),
    ]);
    all
}

/// The metric of how near generated images come to training images, for `count` generated ones.
fn nearest_key(count: usize) -> String {
    format!("nearest_training_p05_{}", count.min(SOUGHT))
}

/// The same of the real images of the split.
const NEAREST_REAL: &str = "nearest_training_p05_real";

/// Sums over images.
#[derive(Default)]
struct Mean(f64, usize);

impl Mean {
    fn add(&mut self, value: f64, count: usize) {
        self.0 += value * count as f64;
        self.1 += count;
    }

    fn get(&self) -> f64 {
        self.0 / self.1.max(1) as f64
    }
}

impl<'a> Measures<'a> {
    /// With the weights asked for; the discriminator has no average.
    pub fn new(task: &'a GenerationTask, weights: Weights) -> Self {
        Self {
            task,
            generator: task.generator.inference(weights),
            discriminator: task.discriminator.inference(Weights::Current),
            device: task.device.clone().inner(),
        }
    }

    /// See [`firesight_engine::Task::evaluate`].
    pub fn evaluate(
        &self,
        batches: &mut Batches<'_>,
        watch: &mut dyn FnMut(usize) -> bool,
        details: Option<&mut Details>,
    ) -> Result<Evaluation, DataError> {
        let task = self.task;
        let game = task.config.loss.game();
        let (mut on_real, mut on_generated, mut own) =
            (Mean::default(), Mean::default(), Mean::default());
        let mut real = Features::default();
        let mut shown = Vec::new();
        for batch in batches {
            let mut batch = batch?;
            let count = batch.shape[0];
            let classes = self.classes(
                batch
                    .targets
                    .iter()
                    .map(|target| target.class().unwrap_or(0)),
            );
            let tensor = super::images(&mut batch, &self.device);
            let scores = self.discriminator.forward(tensor.clone(), classes);
            let [loss, _] = discriminator_loss(game, scores.clone(), scores, 0.0);
            on_real.add(value(&loss), count);
            let pictures = pictures::images(tensor);
            append(&mut real, self.features(&pictures)?);
            if shown.len() < super::FIXED {
                shown.extend(pictures.into_iter().take(super::FIXED - shown.len()));
            }
            if !watch(on_real.1) {
                return Ok(Evaluation::interrupted());
            }
        }
        let count = task.config.samples;
        let z = latent::draw(task.seed, 1, count, self.generator.latent(), None);
        let mut generated = Features::default();
        let mut samples = Vec::new();
        // A whole number of rounds of the classes in each part, so that the parts go on as one would.
        let round = task.conditions.len().max(1);
        let part = 100usize.div_ceil(round) * round;
        for z in z.chunks(part * self.generator.latent()) {
            let tensor = latent::generate(&self.generator, z, &task.conditions, &self.device);
            let rows = tensor.dims()[0];
            let classes = self
                .classes((0..rows).map(|i| task.conditions.get(i % round).copied().unwrap_or(0)));
            let scores = self.discriminator.forward(tensor.clone(), classes);
            let [_, loss] = discriminator_loss(game, scores.clone(), scores.clone(), 0.0);
            on_generated.add(value(&loss), rows);
            own.add(value(&generator_loss(game, scores)), rows);
            let pictures = pictures::images(tensor);
            append(&mut generated, self.features(&pictures)?);
            samples.extend(pictures);
            if !watch(on_real.1) {
                return Ok(Evaluation::interrupted());
            }
        }
        let mut metrics = BTreeMap::new();
        if on_real.1 > 0 {
            metrics.insert(
                "discriminator_loss".to_owned(),
                on_real.get() + on_generated.get(),
            );
        }
        metrics.insert("generator_loss".to_owned(), own.get());
        let prefix = prefix(task.config.features.as_ref());
        for (name, value) in distances(&real, &generated, count).map_err(|e| self.wrong(e))? {
            metrics.insert(format!("{prefix}{name}_{count}"), value);
        }
        let shares = self.shares(&generated);
        if let Some((confidence, shares)) = &shares {
            metrics.insert(format!("confidence_{count}"), *confidence);
            let least = shares.iter().copied().fold(1.0, f64::min);
            metrics.insert(format!("least_class_share_{count}"), least);
            let most = shares.iter().copied().fold(0.0, f64::max);
            metrics.insert(format!("largest_class_share_{count}"), most);
        }
        let watched = task.watched.as_deref();
        let keys = [nearest_key(count), NEAREST_REAL.to_owned()];
        if details.is_none() && keys.iter().any(|key| watched == Some(key)) {
            // Among all training images: only where it is asked for.
            let likeness = self.likeness(&real, &generated);
            if let Some(likeness) = likeness.map_err(|error| self.wrong(error))? {
                metrics.extend(likeness.metrics(count));
            }
        }
        if let Some(details) = details {
            let seen = Seen {
                real: &real,
                generated: &generated,
                samples: &samples,
                shown: &shown,
                shares: shares.map(|(_, shares)| shares),
            };
            self.report(&seen, &mut metrics, details)
                .map_err(|error| self.wrong(error))?;
        }
        Ok(Evaluation::new(on_real.1, metrics))
    }

    fn classes(&self, classes: impl Iterator<Item = usize>) -> Option<Tensor<1, Int>> {
        (self.task.classes > 0).then(|| {
            let classes: Vec<i32> = classes.map(|class| class as i32).collect();
            let shape = [classes.len()];
            Tensor::from_data(TensorData::new(classes, shape), &self.device)
        })
    }

    fn features(&self, images: &[Image]) -> Result<Features, DataError> {
        self.task
            .extractor
            .of(images)
            .map_err(|error| self.wrong(error))
    }

    /// What went wrong in the measuring, as an error of the data: images or features that cannot be compared.
    fn wrong(&self, error: impl Into<crate::Error>) -> DataError {
        DataError::Unreadable {
            origin: format!("comparing by {}", self.task.extractor.describe()),
            reason: format!("{:#}", error.into()),
        }
    }

    /// The mean confidence of the classifier in the generated images, and the share of each class among them.
    fn shares(&self, generated: &Features) -> Option<(f64, Vec<f64>)> {
        let classes = self.task.extractor.classes()?.len();
        let total = generated.guesses.len() as f64;
        let mut shares = vec![0.0; classes];
        let mut confidence = 0.0;
        for (class, probability) in &generated.guesses {
            shares[*class] += 1.0 / total;
            confidence += probability / total;
        }
        Some((confidence, shares))
    }
}

/// What an evaluation has gathered.
struct Seen<'a> {
    real: &'a Features,
    generated: &'a Features,
    samples: &'a [Image],
    shown: &'a [Image],
    shares: Option<Vec<f64>>,
}

/// How near images come to training images.
struct Likeness {
    /// The nearest training image of each generated one.
    found: Vec<(f64, usize)>,
    /// The distance that 5 % of the generated images lie below.
    generated: f64,
    /// The same of real images of the split; not a number without any.
    real: f64,
    /// Training images among which they were looked for.
    known: usize,
}

impl Likeness {
    fn metrics(&self, samples: usize) -> impl Iterator<Item = (String, f64)> {
        let both = [
            (nearest_key(samples), self.generated),
            (NEAREST_REAL.to_owned(), self.real),
        ];
        both.into_iter().filter(|(_, value)| value.is_finite())
    }
}

impl Measures<'_> {
    /// Numbers and pictures for the report alone.
    fn report(
        &self,
        seen: &Seen<'_>,
        metrics: &mut BTreeMap<String, f64>,
        details: &mut Details,
    ) -> crate::Result<()> {
        let task = self.task;
        let fixed = pictures::images(task.fixed(&self.generator));
        details.galleries.push(Gallery {
            title: "Generated images".to_owned(),
            text: Vec::new(),
            pictures: vec![
                (
                    pictures::grid(&fixed, task.columns()),
                    "From the fixed latent vectors".to_owned(),
                ),
                (
                    pictures::grid(seen.shown, 8),
                    "Real images of the split".to_owned(),
                ),
            ],
        });
        details.galleries.push(self.interpolation());
        let mut text = vec![format!(
            "Images are compared by {}.",
            task.extractor.describe()
        )];
        text.extend(halves(seen.real));
        text.extend(self.course(details));
        let mut tables = Vec::new();
        if let (Some(shares), Some(classes)) = (&seen.shares, task.extractor.classes()) {
            tables.push(Table {
                caption: "What the classifier takes the generated images for".to_owned(),
                columns: vec!["Class".into(), "Share".into()],
                rows: classes
                    .iter()
                    .zip(shares)
                    .map(|(class, share)| vec![class.as_str().into(), (*share).into()])
                    .collect(),
            });
        }
        let Some(likeness) = self.likeness(seen.real, seen.generated)? else {
            return Ok(());
        };
        let (found, generated, real) = (&likeness.found, likeness.generated, likeness.real);
        let count = found.len();
        metrics.extend(likeness.metrics(task.config.samples));
        let below = found
            .iter()
            .filter(|(distance, _)| *distance < real)
            .count();
        text.push(format!(
            "Distance to the nearest of {} training images: 5 % of {count} generated images are nearer than \
             {generated:.4}, 5 % of the real images of the split nearer than {real:.4}; {:.1} % of the generated ones \
             are nearer than that. Far more than 5 % would say that training images are copied.",
            likeness.known,
            100.0 * below as f64 / count.max(1) as f64
        ));
        details.sections.push(Section {
            title: "Likeness".to_owned(),
            text,
            tables,
            ..Section::default()
        });
        details.galleries.push(self.pairs(seen, found)?);
        Ok(())
    }

    /// How near images come to training images; none where there are no training images.
    fn likeness(&self, real: &Features, generated: &Features) -> crate::Result<Option<Likeness>> {
        let known = self.known()?;
        if known.rows.is_empty() {
            return Ok(None);
        }
        let found = nearest(&evenly(generated, SOUGHT), &known, &self.device);
        let control = nearest(&evenly(real, SOUGHT), &known, &self.device);
        let fifth = |found: &[(f64, usize)]| {
            let mut distances: Vec<f64> = found.iter().map(|(distance, _)| *distance).collect();
            distances.sort_by(f64::total_cmp);
            distances
                .get(distances.len() / 20)
                .copied()
                .unwrap_or(f64::NAN)
        };
        Ok(Some(Likeness {
            generated: fifth(&found),
            real: fifth(&control),
            known: known.rows.len() / known.dims,
            found,
        }))
    }

    /// Rows from one latent vector to another.
    fn interpolation(&self) -> Gallery {
        const ROWS: usize = 6;
        const STEPS: usize = 10;
        let latent = self.generator.latent();
        let ends = latent::draw(self.task.seed, 2, 2 * ROWS, latent, None);
        let mut shown = Vec::new();
        for (row, pair) in ends.chunks(2 * latent).enumerate() {
            let path = latent::between(&pair[..latent], &pair[latent..], STEPS);
            let condition = self
                .task
                .conditions
                .get(row % self.task.conditions.len().max(1));
            let condition: Vec<usize> = condition.copied().into_iter().collect();
            let tensor = latent::generate(&self.generator, &path, &condition, &self.device);
            shown.extend(pictures::images(tensor));
        }
        Gallery {
            title: "Latent interpolation".to_owned(),
            text: vec!["Each row goes from one latent vector to another.".to_owned()],
            pictures: vec![(
                pictures::grid(&shown, STEPS),
                "Six ways through the latent space".to_owned(),
            )],
        }
    }

    /// The animation of the fixed latent vectors, where this run has drawn them, and what the watch has said.
    fn course(&self, details: &mut Details) -> Vec<String> {
        let Some(run) = &self.task.run else {
            return Vec::new();
        };
        let folder = run.join(FOLDER);
        let frames = pictures::frames(&folder);
        let mut images = Vec::new();
        let mut add = |name: &str, caption: &str| {
            images.push(Picture {
                path: Path::new(FOLDER).join(name),
                caption: caption.to_owned(),
                alt: caption.to_owned(),
            });
        };
        let mut text = Vec::new();
        if frames.len() > 1 {
            match pictures::animate(&frames, &folder.join("training.png")) {
                Ok(()) => add(
                    "training.png",
                    "The fixed latent vectors in the course of training",
                ),
                Err(error) => text.push(format!("The animation could not be made: {error:#}.")),
            }
        }
        if folder.join("real.png").exists() {
            add("real.png", "The first training batch");
        }
        if !images.is_empty() {
            details.sections.push(Section {
                title: "Course of the training".to_owned(),
                images,
                ..Section::default()
            });
        }
        let warnings = std::fs::read_to_string(folder.join(super::WATCH_FILE)).unwrap_or_default();
        match warnings.is_empty() {
            true => text.push("The watch over the training has seen no collapse.".to_owned()),
            false => text.extend(warnings.lines().map(|line| format!("Warning at {line}"))),
        }
        text
    }

    /// The features of the training images, prepared but not augmented.
    fn known(&self) -> crate::Result<Features> {
        let mut known = Features::default();
        let total = self.task.train.len().min(KNOWN);
        for first in (0..total).step_by(CHUNK) {
            let images: Vec<Image> = (first..(first + CHUNK).min(total))
                .filter_map(|index| self.training_image(index).ok())
                .collect();
            append(&mut known, self.task.extractor.of(&images)?);
        }
        Ok(known)
    }

    fn training_image(&self, index: usize) -> Result<Image, DataError> {
        let sample = self.task.train.read(index)?;
        let prepared = self.task.preprocess.apply(sample)?.image;
        Ok(prepared.shown().into_owned())
    }

    /// The generated images that are nearest to a training image, each beside it.
    fn pairs(&self, seen: &Seen<'_>, found: &[(f64, usize)]) -> crate::Result<Gallery> {
        let total = seen.samples.len();
        let mut order: Vec<usize> = (0..found.len()).collect();
        order.sort_by(|a, b| found[*a].0.total_cmp(&found[*b].0));
        let (mut above, mut below) = (Vec::new(), Vec::new());
        for place in order.into_iter().take(SHOWN) {
            above.push(seen.samples[place_of(place, found.len(), total)].clone());
            below.push(self.training_image(found[place].1)?);
        }
        above.extend(below);
        let columns = SHOWN.min(found.len());
        Ok(Gallery {
            title: "Nearest training images".to_owned(),
            text: vec![
                "The generated images that are nearest to a training image, above, and that image, below.".to_owned(),
            ],
            pictures: vec![(pictures::grid(&above, columns), "Generated above, training below".to_owned())],
        })
    }
}

fn append(all: &mut Features, more: Features) {
    if more.dims > 0 {
        all.dims = more.dims;
    }
    all.rows.extend(more.rows);
    all.guesses.extend(more.guesses);
}

/// The place in a list of `total` of one of `count` evenly spaced ones.
fn place_of(place: usize, count: usize, total: usize) -> usize {
    place * total / count.max(1)
}

/// At most `count` rows, evenly spaced.
fn evenly(features: &Features, count: usize) -> Features {
    let dims = features.dims.max(1);
    let total = features.rows.len() / dims;
    let count = count.min(total);
    let rows = (0..count).flat_map(|place| {
        let at = place_of(place, count, total) * dims;
        features.rows[at..at + dims].iter().copied()
    });
    Features {
        rows: rows.collect(),
        dims: features.dims,
        guesses: Vec::new(),
    }
}

/// Distances and shares between two sets, by name; none where a set is too small for them.
fn distances(
    real: &Features,
    generated: &Features,
    count: usize,
) -> crate::Result<Vec<(&'static str, f64)>> {
    let dims = generated.dims;
    if real.dims != dims || real.rows.len() / dims.max(1) < LEAST {
        return Ok(Vec::new());
    }
    let statistics = |features: &Features| {
        let mut statistics = FeatureStatistics::new(dims);
        statistics.add(&features.rows).map(|()| statistics)
    };
    let fid = frechet_distance(&statistics(real)?, &statistics(generated)?)?;
    let some = evenly(real, count);
    let kid = kernel_distance(&some.rows, &generated.rows, dims)?;
    let PrecisionRecall { precision, recall } =
        precision_recall(&some.rows, &generated.rows, dims, NEIGHBOURS)?;
    Ok(vec![
        ("fid", fid),
        ("kid", kid),
        ("precision", precision),
        ("recall", recall),
    ])
}

/// What the measures say of two halves of the real images: as good as a generator could be.
fn halves(real: &Features) -> Option<String> {
    let dims = real.dims.max(1);
    let half = |odd: usize| Features {
        rows: real
            .rows
            .chunks(dims)
            .skip(odd)
            .step_by(2)
            .flatten()
            .copied()
            .collect(),
        dims: real.dims,
        guesses: Vec::new(),
    };
    // Every pair is compared: more would take minutes and say the same.
    let (a, b) = (evenly(&half(0), SOUGHT), evenly(&half(1), SOUGHT));
    let count = b.rows.len() / dims;
    let found = distances(&a, &b, count).ok()?;
    if found.is_empty() {
        return None;
    }
    let found: Vec<String> = found
        .iter()
        .map(|(name, value)| format!("{name} {value:.4}"))
        .collect();
    Some(format!(
        "Two halves of the real images, {count} each, give {}: what a perfect generator would reach.",
        found.join(", ")
    ))
}

/// The Euclidean distance to the nearest row of `known` and its number, for each row of `sought`.
fn nearest(sought: &Features, known: &Features, device: &Device) -> Vec<(f64, usize)> {
    if sought.rows.is_empty() {
        return Vec::new();
    }
    let dims = known.dims;
    let matrix = |rows: &[f32]| {
        let shape = [rows.len() / dims, dims];
        Tensor::<2>::from_data(TensorData::new(rows.to_vec(), shape), device)
    };
    let points = matrix(&sought.rows);
    let count = points.dims()[0];
    let lengths = points.clone().square().sum_dim(1);
    let mut best = vec![(f32::INFINITY, 0); count];
    for (number, rows) in known.rows.chunks(CHUNK * dims).enumerate() {
        let others = matrix(rows);
        let other_lengths = others.clone().square().sum_dim(1).transpose();
        let products = points.clone().matmul(others.transpose()).mul_scalar(2.0);
        let (least, places) = (lengths.clone() + other_lengths - products).min_dim_with_indices(1);
        let places = places.into_data().iter::<i64>().collect::<Vec<_>>();
        let least = least.into_data().iter::<f32>().collect::<Vec<_>>();
        for ((best, least), place) in best.iter_mut().zip(least).zip(places) {
            if least < best.0 {
                *best = (least, number * CHUNK + place as usize);
            }
        }
    }
    // The squares above lose small distances to rounding; the one that counts is computed anew.
    let row = |features: &Features, at: usize| features.rows[at * dims..(at + 1) * dims].to_vec();
    let exact = best.into_iter().enumerate().map(|(at, (_, place))| {
        let pairs = row(sought, at).into_iter().zip(row(known, place));
        let square: f64 = pairs.map(|(a, b)| f64::from(a - b).powi(2)).sum();
        (square.sqrt(), place)
    });
    exact.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn features(rows: &[f32], dims: usize) -> Features {
        Features {
            rows: rows.to_vec(),
            dims,
            guesses: Vec::new(),
        }
    }

    #[test]
    fn the_nearest_row_is_found_across_chunks() {
        let known: Vec<f32> = (0..2 * CHUNK + 5).flat_map(|i| [i as f32, 1.0]).collect();
        let sought = features(&[3.25, 1.0, (2 * CHUNK + 3) as f32, 3.0], 2);
        let found = nearest(&sought, &features(&known, 2), &Device::flex());
        assert_eq!(found, [(0.25, 3), (2.0, 2 * CHUNK + 3)]);
    }

    #[test]
    fn evenly_spaced_rows_keep_their_place() {
        let all = features(&[0.0, 1.0, 2.0, 3.0, 4.0, 5.0], 1);
        assert_eq!(evenly(&all, 3).rows, [0.0, 2.0, 4.0]);
        assert_eq!(evenly(&all, 9).rows, all.rows);
    }

    #[test]
    fn equal_sets_are_near_and_too_few_give_no_number() {
        let rows: Vec<f32> = (0..40).map(|i| ((i * 37) % 23) as f32).collect();
        let set = features(&rows, 2);
        let found: BTreeMap<_, _> = distances(&set, &set, 20).unwrap().into_iter().collect();
        assert!(found["fid"].abs() < 1e-6, "{found:?}");
        assert_eq!((found["precision"], found["recall"]), (1.0, 1.0));
        let few = features(&rows[..4], 2);
        assert!(distances(&few, &set, 20).unwrap().is_empty());
    }
}
