//! Someone else's program: a ResNet-18 of the zoo for ten classes, on a batch of two images.

use burn::tensor::{Device, Distribution, Tensor};
use firesight_models::classification::{ClassifierConfig, InputSpec};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let device = Device::flex();
    let model = ClassifierConfig::named("resnet18")?.init(InputSpec::rgb(64), 10, &device)?;
    let images = Tensor::<4>::random([2, 3, 64, 64], Distribution::Normal(0.0, 1.0), &device);
    let logits = model.forward(images);
    println!("logits {:?}", logits.dims());
    assert_eq!(logits.dims(), [2, 10]);
    Ok(())
}
