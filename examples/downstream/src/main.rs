//! Someone else's program: it loads a run that `trainer` trained on the digits and classifies the test
//! split's images with it, knowing nothing of how the model was trained.
//!
//! ```text
//! downstream RUN_OR_CHECKPOINT
//! ```

use std::path::PathBuf;

use anyhow::{Context, ensure};
use firesight_data::datasets::digits::DigitsConfig;
use firesight_data::target::Target;
use firesight::device;
use firesight::predictor::Predictor;

fn main() -> anyhow::Result<()> {
    let run = std::env::args_os()
        .nth(1)
        .context("usage: downstream RUN")?;
    let predictor = Predictor::load(&PathBuf::from(run), &device::select(None)?)?;
    println!(
        "{}: {} classes",
        predictor.origin(),
        predictor.classes().len()
    );

    let images = DigitsConfig::default().open()?.test;
    let images = images.context("the digits have a test split")?;
    let samples = (0..images.len())
        .map(|index| images.read(index))
        .collect::<Result<Vec<_>, _>>()?;
    let (mut right, count) = (0, samples.len());
    for batch in samples.chunks(64) {
        let guesses =
            predictor.classify(batch.iter().map(|sample| sample.image.clone()).collect())?;
        for (sample, guesses) in batch.iter().zip(&guesses) {
            right += usize::from(sample.target == Target::of_class(guesses[0].class));
        }
    }
    println!("{right} of {count} test images are right");
    ensure!(
        2 * right > count,
        "a trained model knows more than half of the digits"
    );
    Ok(())
}
