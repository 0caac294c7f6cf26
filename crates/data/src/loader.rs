//! The loader: batches in a fixed order, made by worker threads.
//!
//! The batches of an epoch depend on the dataset, the settings and `(seed, epoch)` alone. Workers take whole batches
//! by number; everything random about a sample comes from the stream of its position in the epoch, so that any
//! number of workers gives the same bits, and an epoch can be entered at any batch. Batches are delivered in order,
//! and no worker runs further ahead of the consumer than `prefetch` batches, which bounds the memory.
//!
//! ```
//! use std::sync::Arc;
//!
//! use firesight_data::augment::Pipeline;
//! use firesight_data::datasets::digits::DigitsConfig;
//! use firesight_data::loader::{Loader, LoaderConfig};
//! use firesight_data::normalize::Normalize;
//!
//! let epoch = |workers| {
//!     let config = LoaderConfig { batch_size: 32, seed: 42, workers, ..Default::default() };
//!     let source = DigitsConfig::default().open()?.train;
//!     let loader = Loader::new(source, Arc::new(Pipeline::default()), Normalize::default(), config)?;
//!     loader.epoch(0, 40).collect::<Result<Vec<_>, _>>() // the last five batches of 45
//! };
//! let batches = epoch(0)?;
//! assert_eq!((batches.len(), batches[0].shape), (5, [32, 1, 8, 8]));
//! assert_eq!(batches, epoch(3)?);
//! # Ok::<(), firesight_data::DataError>(())
//! ```

use std::any::Any;
use std::collections::{BTreeMap, BTreeSet};
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;

use crate::augment::{self, Pipeline};
use crate::batch::{Batch, Mixing, mix};
use crate::combine::{Combine, combine};
use crate::error::DataError;
use crate::normalize::Normalize;
use crate::random::{Domain, stream};
use crate::sampling::{Sampler, Sampling};
use crate::source::Source;

/// The settings of a [`Loader`].
#[derive(Clone, Debug, PartialEq)]
pub struct LoaderConfig {
    /// Samples in a batch, at least 1.
    pub batch_size: usize,
    /// Another order in each epoch.
    pub shuffle: bool,
    /// Leave a last batch with fewer samples out.
    pub drop_last: bool,
    /// Threads that make batches; 0 makes them in the caller's thread, as they are asked for.
    pub workers: usize,
    /// How many batches may be ready or in work ahead of the consumer, all workers together; at least 1 is taken.
    /// Fewer than `workers` leaves workers idle.
    pub prefetch: usize,
    /// What all random draws derive from.
    pub seed: u64,
    /// How many samples of the dataset may be unreadable. They are left out of their batches, which are smaller
    /// then, and listed by [`Loader::skipped`]; one more is an error.
    pub max_bad: usize,
    /// How often each sample is drawn.
    pub sampling: Sampling,
    /// Ways of combining each sample with others before it is augmented, one after the other; none for none.
    pub combine: Vec<Combine>,
    /// Ways of mixing the images of a batch, one of which is drawn for each; none for no mixing.
    pub mixing: Vec<Mixing>,
}

impl Default for LoaderConfig {
    fn default() -> Self {
        LoaderConfig {
            batch_size: 64,
            shuffle: true,
            drop_last: false,
            workers: 2,
            prefetch: 4,
            seed: 0,
            max_bad: 0,
            sampling: Sampling::Uniform,
            combine: Vec::new(),
            mixing: Vec::new(),
        }
    }
}

/// A sample that could not be read and was left out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Skipped {
    /// Its index in the source.
    pub index: usize,
    /// Where it comes from.
    pub origin: String,
    /// What is wrong with it.
    pub reason: String,
}

/// Makes the batches of a dataset, epoch by epoch.
#[derive(Clone)]
pub struct Loader {
    inner: Arc<Inner>,
}

struct Inner {
    source: Arc<dyn Source>,
    pipeline: Arc<Pipeline>,
    normalize: Normalize,
    config: LoaderConfig,
    sampler: Sampler,
    skipped: Mutex<Bad>,
}

/// The bad samples found so far.
#[derive(Default)]
struct Bad {
    indices: BTreeSet<usize>,
    /// In the order in which their batches were delivered.
    found: Vec<Skipped>,
}

impl Bad {
    /// Adds a sample that is not there yet.
    fn add(&mut self, sample: Skipped) {
        if self.indices.insert(sample.index) {
            self.found.push(sample);
        }
    }
}

impl Loader {
    /// A loader of `source`, each sample augmented by `pipeline` and normalised.
    ///
    /// # Errors
    /// Settings that cannot work, each by its key.
    pub fn new(
        source: Arc<dyn Source>,
        pipeline: Arc<Pipeline>,
        normalize: Normalize,
        config: LoaderConfig,
    ) -> Result<Loader, DataError> {
        if config.batch_size == 0 {
            return Err(DataError::setting("batch-size", "0; at least 1 is needed"));
        }
        let under =
            |prefix: &'static str| move |(key, problem)| (format!("{prefix}.{key}"), problem);
        let mixing = config
            .mixing
            .iter()
            .flat_map(Mixing::problems)
            .map(under("mixing"));
        let combining = config.combine.iter().flat_map(Combine::problems);
        let combining = combining.map(under("combine"));
        let problems = pipeline.problems().into_iter().map(under("augment"));
        let problems = problems
            .chain(normalize.problems().into_iter().map(under("normalize")))
            .chain(mixing)
            .chain(combining);
        if let Some((key, problem)) = { problems }.next() {
            return Err(DataError::setting(key, problem));
        }
        let sampler = Sampler::new(&config.sampling, config.shuffle, &*source)?;
        let skipped = Mutex::default();
        Ok(Loader {
            inner: Arc::new(Inner {
                source,
                pipeline,
                normalize,
                config,
                sampler,
                skipped,
            }),
        })
    }

    /// How many batches an epoch has, those included that turn out to hold unreadable samples only.
    pub fn batches_per_epoch(&self) -> usize {
        let Inner { source, config, .. } = &*self.inner;
        if config.drop_last {
            source.len() / config.batch_size
        } else {
            source.len().div_ceil(config.batch_size)
        }
    }

    /// The dataset.
    pub fn source(&self) -> &Arc<dyn Source> {
        &self.inner.source
    }

    /// The settings.
    pub fn config(&self) -> &LoaderConfig {
        &self.inner.config
    }

    /// The samples that were left out so far, each once, in the order in which they were met.
    pub fn skipped(&self) -> Vec<Skipped> {
        self.skipped_since(0)
    }

    /// [`Loader::skipped`] without the first `known` of them.
    pub fn skipped_since(&self, known: usize) -> Vec<Skipped> {
        let skipped = lock(&self.inner.skipped);
        skipped.found.get(known..).unwrap_or_default().to_vec()
    }

    /// Tells a new loader which samples one before it has left out, as a resumed run does: they count as left out from the
    /// start.
    pub fn remember_skipped(&self, indices: &[usize]) {
        let mut skipped = lock(&self.inner.skipped);
        for &index in indices {
            skipped.add(Skipped {
                index,
                origin: self.inner.source.origin(index),
                reason: "left out before".to_owned(),
            });
        }
    }

    /// The batches of an epoch, from batch number `start_batch` on.
    ///
    /// The iterator ends after an error. Dropping it stops the workers and waits for them.
    pub fn epoch(&self, epoch: u64, start_batch: usize) -> Epoch {
        let order = Arc::new(self.inner.sampler.order(self.inner.config.seed, epoch));
        let end = self.batches_per_epoch();
        let job = Job {
            inner: self.inner.clone(),
            order,
            epoch,
        };
        let count = self
            .inner
            .config
            .workers
            .min(end.saturating_sub(start_batch));
        Epoch {
            workers: Workers::start(&job, count, start_batch, end),
            job,
            next: start_batch,
            end,
        }
    }
}

/// What is needed to make any batch of an epoch.
#[derive(Clone)]
struct Job {
    inner: Arc<Inner>,
    order: Arc<Vec<usize>>,
    epoch: u64,
}

/// A batch, unless all of its samples are bad, and its bad samples.
struct Built {
    batch: Option<Batch>,
    bad: Vec<(usize, DataError)>,
}

impl Job {
    fn build(&self, number: usize) -> Result<Built, DataError> {
        let config = &self.inner.config;
        let first = number * config.batch_size;
        let last = first
            .saturating_add(config.batch_size)
            .min(self.order.len());
        let count = last - first;
        let mut batch = Batch {
            images: Vec::new(),
            shape: [0; 4],
            targets: Vec::with_capacity(count),
            indices: Vec::with_capacity(count),
            sizes: Vec::with_capacity(count),
            number,
            mixes: Vec::new(),
        };
        let mut bad = Vec::new();
        for position in first..last {
            let index = self.order[position];
            match self.add(&mut batch, position, index) {
                Ok(()) => {}
                Err(error) if error.is_bad_sample() => bad.push((index, error)),
                Err(error) => return Err(error),
            }
        }
        if batch.targets.is_empty() {
            return Ok(Built { batch: None, bad });
        }
        if !config.mixing.is_empty() {
            let mut rng = stream(config.seed, self.epoch, number as u64, Domain::Batch);
            mix(&config.mixing, &mut batch, &mut rng)?;
        }
        Ok(Built {
            batch: Some(batch),
            bad,
        })
    }

    /// Reads, combines, augments and normalises one sample into the batch.
    fn add(&self, batch: &mut Batch, position: usize, index: usize) -> Result<(), DataError> {
        let Inner {
            source,
            pipeline,
            normalize,
            config,
            ..
        } = &*self.inner;
        let sample = source.read(index)?;
        let classes = [source.classes().len(), source.mask_classes().len()];
        augment::check(&sample, &source.origin(index), classes)?;
        let stream = |domain| stream(config.seed, self.epoch, position as u64, domain);
        let sample = match config.combine.is_empty() {
            true => sample,
            false => combine(
                &config.combine,
                sample,
                &**source,
                &mut stream(Domain::Combine),
            )?,
        };
        let original = sample.image.size();
        let sample = pipeline.apply(sample, &mut stream(Domain::Sample))?;
        let image = &sample.image;
        let ([width, height], channels) = (image.size(), image.channels());
        let shape = [channels, height, width];
        if batch.targets.is_empty() {
            batch.shape = [0, shape[0], shape[1], shape[2]];
            batch
                .images
                .reserve_exact(image.values() * batch.targets.capacity());
        } else if batch.shape[1..] != shape {
            let first = batch.indices[0];
            let [_, c, h, w] = batch.shape;
            let reason = format!(
                "{} is {width}x{height} with {channels} channels after augmentation, but {} in the same batch is {w}x{h} with {c}; let the \
                 list end in an operation that gives every image one size, such as `resize`, or set batch-size = 1",
                source.origin(index),
                source.origin(first),
            );
            return Err(DataError::setting("augment", reason));
        }
        if !normalize.fits(channels) {
            let reason = format!(
                "{} means and {} deviations for {}, which has {channels} channel(s)",
                normalize.mean.len(),
                normalize.std.len(),
                source.origin(index),
            );
            return Err(DataError::setting("normalize", reason));
        }
        normalize.write(image, &mut batch.images);
        batch.shape[0] += 1;
        batch.targets.push(sample.target);
        batch.indices.push(index);
        batch.sizes.push(original);
        Ok(())
    }

    /// Counts the bad samples of a batch that is about to be delivered. Since batches are delivered in order, the
    /// batch at which there are too many is the same for any number of workers.
    fn count(&self, bad: Vec<(usize, DataError)>) -> Result<(), DataError> {
        let allowed = self.inner.config.max_bad;
        let mut skipped = lock(&self.inner.skipped);
        for (index, error) in bad {
            if skipped.indices.contains(&index) {
                continue;
            }
            if allowed == 0 {
                return Err(error);
            }
            let count = skipped.indices.len();
            if count >= allowed {
                return Err(DataError::TooManyBad {
                    found: count + 1,
                    allowed,
                    last: Box::new(error),
                });
            }
            skipped.add(Skipped {
                index,
                origin: self.inner.source.origin(index),
                reason: error.to_string(),
            });
        }
        Ok(())
    }
}

/// The batches of one epoch, in order; made by [`Loader::epoch`].
pub struct Epoch {
    job: Job,
    workers: Option<Workers>,
    next: usize,
    end: usize,
}

impl Iterator for Epoch {
    type Item = Result<Batch, DataError>;

    fn next(&mut self) -> Option<Self::Item> {
        while self.next < self.end {
            let number = self.next;
            self.next += 1;
            let built = match &self.workers {
                Some(workers) => workers.take(number),
                None => self.job.build(number),
            };
            let counted = built.and_then(|built| self.job.count(built.bad).map(|()| built.batch));
            match counted {
                Ok(None) => continue,
                Ok(Some(batch)) => return Some(Ok(batch)),
                Err(error) => {
                    self.next = self.end;
                    self.workers = None;
                    return Some(Err(error));
                }
            }
        }
        self.workers = None;
        None
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        (0, Some(self.end.saturating_sub(self.next)))
    }
}

/// What a worker made of a batch: its result, or the panic of a dataset.
type Outcome = Result<Result<Built, DataError>, Box<dyn Any + Send>>;

/// The worker threads of one epoch; stopped and joined when dropped.
struct Workers {
    queue: Arc<Queue>,
    threads: Vec<JoinHandle<()>>,
}

struct Queue {
    state: Mutex<State>,
    /// Told when a batch is ready.
    ready: Condvar,
    /// Told when a batch was taken.
    room: Condvar,
}

struct State {
    /// The next batch that nobody makes yet.
    unclaimed: usize,
    /// The batches below this number were taken.
    taken: usize,
    ready: BTreeMap<usize, Outcome>,
    stopped: bool,
}

impl Workers {
    /// `None` where no thread is wanted or none can be started; the batches are made by the consumer then.
    fn start(job: &Job, count: usize, start: usize, end: usize) -> Option<Workers> {
        let state = State {
            unclaimed: start,
            taken: start,
            ready: BTreeMap::new(),
            stopped: false,
        };
        let queue = Arc::new(Queue {
            state: Mutex::new(state),
            ready: Condvar::new(),
            room: Condvar::new(),
        });
        let ahead = job.inner.config.prefetch.max(1);
        let mut threads = Vec::new();
        for worker in 0..count {
            let (job, queue) = (job.clone(), queue.clone());
            let name = format!("loader-{worker}");
            match std::thread::Builder::new()
                .name(name)
                .spawn(move || queue.work(&job, ahead, end))
            {
                Ok(thread) => threads.push(thread),
                Err(_) => break,
            }
        }
        (!threads.is_empty()).then_some(Workers { queue, threads })
    }

    /// Waits for a batch.
    fn take(&self, number: usize) -> Result<Built, DataError> {
        let mut state = lock(&self.queue.state);
        let outcome = loop {
            if let Some(outcome) = state.ready.remove(&number) {
                break outcome;
            }
            state = self
                .queue
                .ready
                .wait(state)
                .unwrap_or_else(PoisonError::into_inner);
        };
        state.taken = number + 1;
        drop(state);
        self.queue.room.notify_all();
        // The panic of a dataset is the caller's to see, as it would be without workers.
        outcome.unwrap_or_else(|panic| resume_unwind(panic))
    }
}

impl Queue {
    /// Makes batches until there are none left or the consumer is gone.
    fn work(&self, job: &Job, ahead: usize, end: usize) {
        loop {
            let mut state = lock(&self.state);
            while !state.stopped
                && state.unclaimed < end
                && state.unclaimed >= state.taken.saturating_add(ahead)
            {
                state = self
                    .room
                    .wait(state)
                    .unwrap_or_else(PoisonError::into_inner);
            }
            if state.stopped || state.unclaimed >= end {
                return;
            }
            let number = state.unclaimed;
            state.unclaimed += 1;
            drop(state);
            let outcome = catch_unwind(AssertUnwindSafe(|| job.build(number)));
            lock(&self.state).ready.insert(number, outcome);
            self.ready.notify_all();
        }
    }
}

impl Drop for Workers {
    fn drop(&mut self) {
        lock(&self.queue.state).stopped = true;
        self.queue.room.notify_all();
        for thread in self.threads.drain(..) {
            // A worker catches the panics of its dataset, and they were handed on if anyone waited for them.
            let _ = thread.join();
        }
    }
}

/// Locks; nothing in here panics while it holds a lock.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
pub(crate) mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;
    use crate::augment::{Augment, HorizontalFlip, PadAndCrop, Rotate};
    use crate::sample::{Image, Sample};
    use crate::target::Target;

    /// A dataset of small images that counts how often it is read and may hold bad samples.
    pub(crate) struct Counting {
        classes: Vec<usize>,
        names: Vec<String>,
        bad: Vec<usize>,
        panics: Option<usize>,
        reads: AtomicUsize,
    }

    impl Counting {
        pub(crate) fn new(len: usize) -> Counting {
            Counting::with_classes((0..len).map(|i| i % 3).collect())
        }

        pub(crate) fn with_classes(classes: Vec<usize>) -> Counting {
            let names = ["a", "b", "c"].map(String::from).to_vec();
            Counting {
                classes,
                names,
                bad: Vec::new(),
                panics: None,
                reads: AtomicUsize::new(0),
            }
        }

        pub(crate) fn reads(&self) -> usize {
            self.reads.load(Ordering::Relaxed)
        }

        pub(crate) fn sample(&self, index: usize) -> Sample {
            let pixels = (0..6 * 5).map(|i| (i * 7 + index * 13) as u8).collect();
            let image = Image {
                width: 6,
                height: 5,
                channels: 1,
                pixels,
            };
            Sample {
                image: image.into(),
                target: Target::of_class(self.classes[index]),
            }
        }
    }

    impl Source for Counting {
        fn len(&self) -> usize {
            self.classes.len()
        }
        fn read(&self, index: usize) -> Result<Sample, DataError> {
            self.reads.fetch_add(1, Ordering::Relaxed);
            assert_ne!(self.panics, Some(index), "the dataset panics");
            if self.bad.contains(&index) || index >= self.len() {
                return Err(DataError::unreadable(self.origin(index), "damaged"));
            }
            Ok(self.sample(index))
        }
        fn origin(&self, index: usize) -> String {
            format!("sample {index}")
        }
        fn classes(&self) -> &[String] {
            &self.names
        }
        fn class_of(&self, index: usize) -> Option<usize> {
            self.classes.get(index).copied()
        }
    }

    fn loader(source: Counting, config: LoaderConfig) -> Loader {
        let pipeline = Pipeline::new(vec![
            Augment::HorizontalFlip(HorizontalFlip::default()),
            Augment::PadAndCrop(PadAndCrop::default()),
            Augment::Rotate(Rotate::default()),
        ]);
        Loader::new(
            Arc::new(source),
            Arc::new(pipeline),
            Normalize::default(),
            config,
        )
        .unwrap()
    }

    fn small(workers: usize) -> LoaderConfig {
        LoaderConfig {
            batch_size: 4,
            workers,
            prefetch: 3,
            seed: 9,
            ..LoaderConfig::default()
        }
    }

    fn all(loader: &Loader, epoch: u64, start: usize) -> Vec<Batch> {
        loader
            .epoch(epoch, start)
            .collect::<Result<_, _>>()
            .unwrap()
    }

    #[test]
    fn the_same_bits_for_any_number_of_workers() {
        let mixing = vec![
            Mixing::Mixup(Default::default()),
            Mixing::Cutmix(Default::default()),
        ];
        let config = |workers| LoaderConfig {
            mixing: mixing.clone(),
            ..small(workers)
        };
        let reference = all(&loader(Counting::new(50), config(0)), 3, 0);
        assert_eq!(reference.len(), 13);
        assert_eq!(reference[12].shape, [2, 1, 5, 6]);
        for workers in [1, 2, 8] {
            let loader = loader(Counting::new(50), config(workers));
            assert_eq!(all(&loader, 3, 0), reference, "{workers} workers");
            assert_eq!(
                all(&loader, 3, 5),
                reference[5..],
                "{workers} workers, from batch 5"
            );
            assert_ne!(all(&loader, 4, 0)[0].images, reference[0].images);
        }
    }

    #[test]
    fn an_epoch_holds_every_sample_once() {
        let loader = loader(
            Counting::new(50),
            LoaderConfig {
                drop_last: true,
                ..small(2)
            },
        );
        let batches = all(&loader, 0, 0);
        assert_eq!((batches.len(), loader.batches_per_epoch()), (12, 12));
        assert!(
            batches
                .iter()
                .enumerate()
                .all(|(i, b)| b.number == i && b.shape[0] == 4)
        );
        let mut indices: Vec<usize> = batches.iter().flat_map(|b| b.indices.clone()).collect();
        indices.sort_unstable();
        indices.dedup();
        assert_eq!(indices.len(), 48);
        assert_eq!(all(&loader, 0, 99), []);
    }

    #[test]
    fn a_sample_drawn_twice_is_augmented_twice() {
        let source = Counting::with_classes([vec![0; 40], vec![1]].concat());
        let loader = loader(
            source,
            LoaderConfig {
                batch_size: 41,
                sampling: Sampling::ClassBalanced,
                ..small(0)
            },
        );
        let batch = &all(&loader, 0, 0)[0];
        let twins: Vec<&[f32]> = (0..41)
            .filter(|&i| batch.indices[i] == 40)
            .map(|i| &batch.images[i * 30..][..30])
            .collect();
        assert!(twins.len() > 10 && twins.iter().any(|t| *t != twins[0]));
    }

    #[test]
    fn bad_samples_are_skipped_up_to_the_limit_the_same_way() {
        let with = |max_bad, workers| {
            let mut source = Counting::new(50);
            source.bad = vec![3, 17, 31];
            loader(
                source,
                LoaderConfig {
                    max_bad,
                    ..small(workers)
                },
            )
        };
        let reference = with(3, 0);
        let batches = all(&reference, 1, 0);
        assert_eq!(batches.iter().map(|b| b.shape[0]).sum::<usize>(), 47);
        let skipped = reference.skipped();
        let mut indices: Vec<usize> = skipped.iter().map(|s| s.index).collect();
        assert_eq!(reference.skipped_since(2), skipped[2..]);
        assert!(reference.skipped_since(3).is_empty());
        indices.sort_unstable();
        assert_eq!(indices, [3, 17, 31]);
        let three = skipped.iter().find(|s| s.index == 3).unwrap();
        assert_eq!(
            (three.origin.as_str(), three.reason.as_str()),
            ("sample 3", "sample 3: damaged")
        );
        assert_eq!(
            all(&reference, 2, 0)
                .iter()
                .map(|b| b.shape[0])
                .sum::<usize>(),
            47,
            "each counts once"
        );
        let run = |max_bad, workers| -> Vec<Result<Batch, String>> {
            with(max_bad, workers)
                .epoch(1, 0)
                .map(|b| b.map_err(|e| e.to_string()))
                .collect()
        };
        for workers in [1, 2, 8] {
            assert_eq!(all(&with(3, workers), 1, 0), batches);
            assert_eq!(run(2, workers), run(2, 0));
            assert_eq!(run(0, workers), run(0, 0));
        }
        assert!(
            run(2, 0)
                .last()
                .unwrap()
                .as_ref()
                .unwrap_err()
                .contains("`max-bad` is 2")
        );
        assert!(
            run(0, 0)
                .last()
                .unwrap()
                .as_ref()
                .unwrap_err()
                .ends_with("damaged")
        );
    }

    /// What a resumed run tells its loader counts as it counted before, and is not found anew.
    #[test]
    fn bad_samples_of_a_session_before_count_against_the_limit() {
        for workers in [0, 2] {
            let with = |known: &[usize]| {
                let mut source = Counting::new(50);
                source.bad = vec![3, 17, 31];
                let config = LoaderConfig {
                    max_bad: 2,
                    ..small(workers)
                };
                let loader = loader(source, config);
                loader.remember_skipped(known);
                let error = loader.epoch(1, 0).find_map(Result::err);
                let skipped: Vec<usize> = loader.skipped().iter().map(|s| s.index).collect();
                (skipped, error.map(|error| error.to_string()))
            };
            let (skipped, error) = with(&[]);
            assert_eq!(skipped.len(), 2);
            assert!(error.is_some());
            assert_eq!(with(&skipped), (skipped.clone(), error.clone()));
            assert_eq!(with(&skipped[..1]), (skipped, error));
        }
    }

    #[test]
    fn a_batch_of_bad_samples_is_left_out() {
        let mut source = Counting::new(12);
        source.bad = vec![4, 5, 6, 7];
        let loader = loader(
            source,
            LoaderConfig {
                shuffle: false,
                max_bad: 4,
                ..small(1)
            },
        );
        assert_eq!(
            all(&loader, 0, 0)
                .iter()
                .map(|b| b.number)
                .collect::<Vec<_>>(),
            [0, 2]
        );
    }

    #[test]
    fn prefetch_bounds_the_work_and_dropping_stops_it() {
        let source = Arc::new(Counting::new(400));
        let config = LoaderConfig {
            prefetch: 2,
            ..small(4)
        };
        let loader =
            Loader::new(source.clone(), Arc::default(), Normalize::default(), config).unwrap();
        let mut epoch = loader.epoch(0, 0);
        epoch.next().unwrap().unwrap();
        std::thread::sleep(std::time::Duration::from_millis(50));
        assert!(
            source.reads() <= 3 * 4,
            "{} samples were read for one batch taken and two ahead",
            source.reads()
        );
        drop(epoch);
        let references = Arc::strong_count(&source);
        drop(loader);
        assert_eq!(
            (references, Arc::strong_count(&source)),
            (2, 1),
            "no worker holds the dataset any more"
        );
    }

    #[test]
    fn a_panic_of_the_dataset_reaches_the_consumer() {
        for workers in [0, 2] {
            let mut source = Counting::new(20);
            source.panics = Some(9);
            let loader = loader(source, small(workers));
            let result = catch_unwind(AssertUnwindSafe(|| loader.epoch(0, 0).count()));
            assert!(result.is_err(), "{workers} workers");
        }
    }

    #[test]
    fn wrong_settings_are_named() {
        let new = |normalize, config| {
            Loader::new(
                Arc::new(Counting::new(5)),
                Arc::default(),
                normalize,
                config,
            )
            .err()
            .map(|e| e.to_string())
        };
        assert!(
            new(
                Normalize::default(),
                LoaderConfig {
                    batch_size: 0,
                    ..small(0)
                }
            )
            .unwrap()
            .contains("`batch-size`")
        );
        let normalize = Normalize {
            std: vec![0.0],
            ..Normalize::default()
        };
        assert!(
            new(normalize, small(0))
                .unwrap()
                .contains("`normalize.std`")
        );
        let gray = Loader::new(
            Arc::new(Counting::new(5)),
            Arc::default(),
            Normalize::imagenet(),
            small(0),
        )
        .unwrap();
        let error = gray.epoch(0, 0).next().unwrap().unwrap_err().to_string();
        assert!(
            error.contains("3 means") && error.contains("sample "),
            "{error}"
        );
    }

    /// Reads images of different sizes.
    struct Growing(Counting);
    impl Source for Growing {
        fn len(&self) -> usize {
            4
        }
        fn read(&self, index: usize) -> Result<Sample, DataError> {
            let image = Image {
                width: index + 1,
                height: 1,
                channels: 1,
                pixels: vec![0; index + 1],
            };
            Ok(Sample {
                image: image.into(),
                target: Target::default(),
            })
        }
        fn origin(&self, index: usize) -> String {
            self.0.origin(index)
        }
        fn classes(&self) -> &[String] {
            &[]
        }
    }

    #[test]
    fn different_sizes_in_a_batch_are_an_error_that_names_both() {
        let source = Arc::new(Growing(Counting::new(4)));
        let config = LoaderConfig {
            shuffle: false,
            ..small(2)
        };
        let loader = Loader::new(source, Arc::default(), Normalize::default(), config).unwrap();
        let error = loader.epoch(0, 0).next().unwrap().unwrap_err().to_string();
        assert!(
            error.contains("sample 1 is 2x1") && error.contains("sample 0"),
            "{error}"
        );
    }
}
