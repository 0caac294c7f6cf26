//! Writes classifiers as safetensors for PyTorch, each with an input and this crate's output for it
//! in a second file; `scripts/check_export.py` loads them into torchvision's models.
//!
//! ```sh
//! cargo run --release -p firesight-models --example export_zoo -- OUT_FOLDER [NAME ...]
//! ```
//!
//! Without names, every registered model is written. The weights are freshly drawn, as torchvision
//! draws them, and one batch has been seen in training mode, so that running statistics are not at
//! their defaults.

use std::collections::BTreeMap;
use std::error::Error;
use std::path::PathBuf;

use burn::module::Module;
use burn::tensor::{Device, Tensor};
use firesight_models::classification::{InputSpec, registry};
use firesight_models::{formula, weights};

const CLASSES: usize = 7;

fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args().skip(1);
    let out = PathBuf::from(
        arguments
            .next()
            .ok_or("usage: export_zoo OUT_FOLDER [NAME ...]")?,
    );
    let names: Vec<String> = arguments.collect();
    std::fs::create_dir_all(&out)?;
    let device = Device::flex();
    let training = device.clone().autodiff();
    for entry in registry() {
        if !names.is_empty() && !names.iter().any(|name| name == entry.name) {
            continue;
        }
        let side = if entry.input.height < 64 {
            entry.input.height
        } else {
            64.max(entry.minimum)
        };
        let input = InputSpec {
            height: side,
            width: side,
            ..entry.input
        };
        training.seed(42);
        let model = entry.config.init(input, CLASSES, &training)?;
        let images = formula::images([2, input.channels, side, side]);
        let _ = model.forward_train(Tensor::from_data(images.clone(), &training));
        let model = model.valid();
        let output = model
            .forward(Tensor::from_data(images.clone(), &device))
            .into_data();
        let about = BTreeMap::from([("model".to_string(), entry.name.to_string())]);
        weights::save_safetensors(
            &model,
            &out.join(format!("{}.safetensors", entry.name)),
            &about,
        )?;
        let reference = BTreeMap::from([("input".into(), images), ("output".into(), output)]);
        let path = out.join(format!("{}.reference.safetensors", entry.name));
        weights::write_safetensors(&reference, &path, &about)?;
        println!("{}", entry.name);
    }
    Ok(())
}
