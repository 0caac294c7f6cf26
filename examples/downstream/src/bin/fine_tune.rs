//! Fine-tunes a network on a folder of pictures, one sub-folder a class, and uses it.
use std::path::Path;

use firesight::prelude::*;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [pictures, run, image, weights @ ..] = &arguments[..] else {
        return Err("usage: fine_tune PICTURES RUN IMAGE [WEIGHTS]".into());
    };
    let mut model = ClassificationConfig::new(ClassifierConfig::named("resnet18")?);
    if let Some(file) = weights.first() {
        // torchvision's, or an export; the head stays new, and the first layers keep still.
        model.init = Some(InitConfig::Weights(file.clone()));
        model.freeze = vec![r"^(conv1|bn1|layer1)\.".into()];
    }
    let data = DataConfig::folder(pictures, 8).resize(32, 32);
    let task = TaskConfig::Classification(model);
    let recipe = Recipe::new(6, data, task, OptimizerConfig::adam(1e-3));

    let device = device::select(None)?;
    let epochs = |event: &Event<'_>| {
        if let Event::EpochEnded { epoch, loss, .. } = event {
            println!("epoch {epoch}: loss {loss:.4}");
        }
    };
    let options = Options::new(device.clone()).out(run).sink(epochs);
    train(&recipe.into(), options)?;

    let predictor = Predictor::load(run, &device)?;
    let guess = &predictor.classify(vec![predictor.read(image)?])?[0][0];
    println!(
        "{image}: {} ({:.1} %)",
        guess.name,
        100.0 * guess.probability
    );
    firesight::export::safetensors(&predictor, Path::new(run).join("model.safetensors"))?;
    Ok(())
}
