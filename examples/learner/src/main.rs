//! Someone else's program: the zoo's LeNet learns to tell rising from falling stripes, trained by Burn's own
//! `Learner`. A classifier of the zoo is a Burn module like any other; what trains it is the caller's choice.

use burn::data::dataloader::batcher::Batcher;
use burn::data::dataloader::{DataLoader, DataLoaderBuilder};
use burn::data::dataset::InMemDataset;
use burn::lr_scheduler::constant::ConstantLr;
use burn::module::Module;
use burn::nn::loss::CrossEntropyLossConfig;
use burn::optim::AdamConfig;
use burn::tensor::{Device, Int, Tensor, TensorData};
use burn::train::metric::{AccuracyMetric, LossMetric};
use burn::train::{
    ClassificationOutput, InferenceStep, Learner, SupervisedTraining, TrainOutput, TrainStep,
};
use firesight_models::classification::{Classifier, ClassifierConfig, InputSpec};
use std::sync::Arc;

const SIDE: usize = 28;

/// The traits of Burn's `Learner` are implemented for a type of one's own around the zoo's network.
#[derive(Module, Debug)]
struct Stripes {
    network: Classifier,
}

impl Stripes {
    fn output(&self, batch: Batch) -> ClassificationOutput {
        let logits = self.network.forward(batch.images);
        let loss = CrossEntropyLossConfig::new().init(&logits.device());
        let loss = loss.forward(logits.clone(), batch.labels.clone());
        ClassificationOutput::new(loss, logits, batch.labels)
    }
}

impl TrainStep for Stripes {
    type Input = Batch;
    type Output = ClassificationOutput;

    fn step(&self, batch: Batch) -> TrainOutput<ClassificationOutput> {
        let output = self.output(batch);
        TrainOutput::new(self, output.loss.backward(), output)
    }
}

impl InferenceStep for Stripes {
    type Input = Batch;
    type Output = ClassificationOutput;

    fn step(&self, batch: Batch) -> ClassificationOutput {
        self.output(batch)
    }
}

/// Images `[N, 1, 28, 28]` and classes `[N]`.
#[derive(Clone, Debug)]
struct Batch {
    images: Tensor<4>,
    labels: Tensor<1, Int>,
}

struct Batches;

impl Batcher<usize, Batch> for Batches {
    fn batch(&self, items: Vec<usize>, device: &Device) -> Batch {
        let count = items.len();
        let pixels = items.iter().flat_map(|&item| stripes(item)).collect();
        let labels = items
            .iter()
            .map(|&item| (item % 2) as i32)
            .collect::<Vec<_>>();
        Batch {
            images: Tensor::from_data(
                TensorData::new::<f32, _>(pixels, [count, 1, SIDE, SIDE]),
                device,
            ),
            labels: Tensor::from_data(TensorData::new(labels, [count]), device),
        }
    }
}

/// Stripes that rise where the item's number is odd and fall where it is even, of many widths and phases.
fn stripes(item: usize) -> Vec<f32> {
    let (width, phase) = (1.5 + 0.37 * (item % 7) as f32, 0.61 * item as f32);
    let direction = if item % 2 == 1 { 1.0 } else { -1.0 };
    let pixel = |at: usize| {
        let (x, y) = ((at % SIDE) as f32, (at / SIDE) as f32);
        ((x + direction * y) / width + phase).sin()
    };
    (0..SIDE * SIDE).map(pixel).collect()
}

fn loader(items: std::ops::Range<usize>, device: &Device) -> Arc<dyn DataLoader<Batch>> {
    DataLoaderBuilder::new(Batches)
        .batch_size(32)
        .shuffle(1)
        .set_device(device.clone())
        .build(InMemDataset::new(items.collect()))
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let device = Device::flex();
    device.seed(1);
    let training = device.clone().autodiff();
    let network = ClassifierConfig::named("lenet")?.init(InputSpec::gray(SIDE), 2, &training)?;
    let folder = tempfile::tempdir()?;
    let learner = Learner::new(
        Stripes { network },
        AdamConfig::new().init(),
        ConstantLr::new(1e-3),
    );
    let result = SupervisedTraining::new(
        folder.path(),
        loader(0..512, &training),
        loader(512..640, &device),
    )
    .metrics((AccuracyMetric::new(), LossMetric::new()))
    .num_epochs(3)
    .launch(learner);

    let unseen = Batches.batch((640..768).collect(), &device);
    let guesses = result
        .model
        .network
        .forward(unseen.images)
        .argmax(1)
        .flatten::<1>(0, 1);
    let right: i64 = guesses.equal(unseen.labels).int().sum().into_scalar();
    println!("{right} of 128 unseen images are right");
    assert!(right > 115, "stripes are easy to learn");
    Ok(())
}
