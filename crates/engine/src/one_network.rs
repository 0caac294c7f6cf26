//! Training of one network, written once: what is learned is an [`Objective`].

use burn::tensor::Tensor;
use firesight_data::DataError;
use firesight_data::batch::Batch;
use firesight_models::weights::TorchNames;

use crate::network::{Network, StepError, TrainedNetwork, Weights};
use crate::task::{Batches, Evaluation, Step, StepReport, Task, Watch};

/// What one network learns: its loss and its measures.
pub trait Objective {
    /// The network.
    type Module: TorchNames;
    /// What is told of an evaluation beyond its numbers, where somebody asks for it; `()` for nothing.
    type Details;

    /// The loss of a batch, forward pass included. The module takes gradients.
    fn loss(&self, module: &Self::Module, batch: Batch) -> Loss;

    /// Measures an inference copy of the network on a split.
    ///
    /// # Errors
    /// What the data reports.
    fn evaluate(
        &self,
        module: &Self::Module,
        batches: &mut Batches<'_>,
        watch: &mut Watch<'_>,
        details: Option<&mut Self::Details>,
    ) -> Result<Evaluation, DataError>;
}

/// The loss of a batch.
pub struct Loss {
    /// What is minimised: the mean over the batch's samples, `[1]`.
    pub total: Tensor<1>,
    /// What it is the sum of, by name, each `[1]`; empty where it is of one piece.
    pub parts: Vec<(&'static str, Tensor<1>)>,
    /// Samples in the batch.
    pub samples: usize,
}

impl Loss {
    /// The mean of a loss of each sample, `[N]`.
    pub fn of(each: Tensor<1>) -> Self {
        let samples = each.dims()[0];
        Self {
            total: each.mean(),
            parts: Vec::new(),
            samples,
        }
    }
}

/// An evaluation that is one mean: of the numbers that `each` gives for the samples of a batch, `[N]`.
///
/// # Errors
/// What the data reports.
pub fn mean_over(
    batches: &mut Batches<'_>,
    watch: &mut Watch<'_>,
    metric: &str,
    each: impl Fn(Batch) -> Tensor<1>,
) -> Result<Evaluation, DataError> {
    let (mut sum, mut samples) = (0.0, 0);
    for batch in batches {
        let numbers = each(batch?).into_data();
        sum += numbers.iter::<f32>().map(f64::from).sum::<f64>();
        samples += numbers.num_elements();
        if !watch(samples) {
            return Ok(Evaluation::interrupted());
        }
    }
    let mean = (samples > 0).then(|| (metric, sum / samples as f64));
    Ok(Evaluation::new(samples, mean))
}

/// A network and what it learns: a [`Task`].
pub struct OneNetwork<O: Objective> {
    network: Network<O::Module>,
    objective: O,
}

impl<O: Objective> OneNetwork<O> {
    /// A network that learns an objective.
    pub fn new(network: Network<O::Module>, objective: O) -> Self {
        Self { network, objective }
    }

    /// Measures the network, and fills in the details where they are asked for.
    ///
    /// # Errors
    /// What the data reports.
    pub fn measure(
        &self,
        weights: Weights,
        batches: &mut Batches<'_>,
        watch: &mut Watch<'_>,
        details: Option<&mut O::Details>,
    ) -> Result<Evaluation, DataError> {
        let module = self.network.inference(weights);
        self.objective.evaluate(&module, batches, watch, details)
    }
}

impl<O: Objective> Task for OneNetwork<O> {
    fn networks(&self) -> Vec<&dyn TrainedNetwork> {
        vec![&self.network]
    }

    fn networks_mut(&mut self) -> Vec<&mut dyn TrainedNetwork> {
        vec![&mut self.network]
    }

    fn train_batch(&mut self, batch: Batch, step: &Step) -> Result<StepReport, StepError> {
        let Loss {
            total,
            parts,
            samples,
        } = self.objective.loss(self.network.module(), batch);
        let loss = f64::from(total.clone().into_scalar::<f32>());
        let parts = numbers(parts);
        let mut gradient_norm = None;
        // The loop refuses a loss that is no number; no gradient of it is taken.
        if loss.is_finite() {
            self.network.backward(total, samples as f64)?;
            if step.update {
                gradient_norm = Some(self.network.update(step.rate)?);
            }
        }
        Ok(StepReport {
            loss,
            parts,
            samples,
            gradient_norm,
        })
    }

    fn evaluate(
        &self,
        weights: Weights,
        batches: &mut Batches<'_>,
        watch: &mut Watch<'_>,
    ) -> Result<Evaluation, DataError> {
        self.measure(weights, batches, watch, None)
    }
}

/// The values of the parts of a loss, each `[1]`, read from the device at once.
fn numbers(parts: Vec<(&'static str, Tensor<1>)>) -> Vec<(&'static str, f64)> {
    if parts.is_empty() {
        return Vec::new();
    }
    let (names, parts): (Vec<_>, Vec<_>) = parts.into_iter().unzip();
    let parts = parts.into_iter().map(Tensor::inner).collect();
    let numbers = Tensor::cat(parts, 0).into_data();
    let numbers = numbers.iter::<f32>().map(f64::from);
    names.into_iter().zip(numbers).collect()
}
