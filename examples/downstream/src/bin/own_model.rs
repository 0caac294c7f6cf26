//! A network of one's own in the task of classification: loader, resume, report and predictions are ours.
use burn::module::Module;
use burn::nn::{Linear, LinearConfig};
use burn::tensor::{Tensor, activation::relu};
use firesight::prelude::*;

#[derive(Module, Debug)]
struct Perceptron {
    hidden: Linear,
    head: Linear,
}

impl TorchNames for Perceptron {}
impl ClassificationModel for Perceptron {}
impl Classify for Perceptron {
    fn logits(&self, x: Tensor<4>) -> Tensor<2> {
        self.head
            .forward(relu(self.hidden.forward(x.flatten(1, 3))))
    }
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let run = std::env::args().nth(1).ok_or("usage: own_model RUN")?;
    let model = OwnModel::new("perceptron", |input, classes, device| Perceptron {
        hidden: LinearConfig::new(input.channels * input.height * input.width, 64).init(device),
        head: LinearConfig::new(64, classes).init(device),
    });
    let task = OwnTask::new(ClassificationConfig::new(model));
    let (data, adam) = (DataConfig::digits(64), OptimizerConfig::adam(3e-3));
    let recipe = Recipe::new(10, data, TaskConfig::Own(task.clone()), adam);
    let device = device::select(None)?;
    let options = Options::new(device.clone()).out(&run).resume_if_there();
    println!("{:?}", train(&recipe.into(), options)?.progress.best);
    let predictor = Predictor::load_own(&run, &device, &task)?;
    println!("{}", predictor.origin());
    Ok(())
}
