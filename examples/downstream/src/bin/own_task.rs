//! A task of one's own, the regression of a number (which digit is written), with our engine, loader, resume and report.
use burn::tensor::{Device, Tensor};
use firesight::prelude::*;

/// By how much the network's answers are wrong, `[N]`.
fn errors(network: &Classifier, mut batch: Batch, device: &Device) -> Tensor<1> {
    let digit = |target: &Target| target.class().unwrap_or(0) as f32;
    let digits: Vec<f32> = batch.targets.iter().map(digit).collect();
    let answers = network.forward(images(&mut batch, device)).flatten(0, 1);
    answers - Tensor::from_floats(&digits[..], device)
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let run = std::env::args().nth(1).ok_or("usage: own_task RUN")?;
    let task = OwnTask::per_sample(
        "regression",
        Metric::loss("mean_error", "Mean error"),
        |card, device| ClassifierConfig::named("cnn")?.init(card.input(), 1, device),
        |network, batch, device| errors(network, batch, device).square(),
        |network, batch, device| errors(network, batch, device).abs(),
    );
    let (data, adam) = (DataConfig::digits(64), OptimizerConfig::adam(1e-3));
    let recipe = Recipe::new(10, data, TaskConfig::Own(task), adam);
    let options = Options::new(device::select(None)?);
    let options = options.out(&run).resume_if_there();
    println!("{:?}", train(&recipe.into(), options)?.progress.best);
    Ok(())
}
