//! Prepares photographs as each published tag wants them, for `scripts/check_preprocessing.py`.
//!
//! ```sh
//! cargo run --release -p firesight --example prepare_tags -- OUT_FOLDER PHOTOGRAPH...
//! ```
//!
//! Tags with the same preparation share a file `<n>.safetensors`, which holds one tensor `[3, H, W]` for each
//! photograph, named `0`, `1`, ...; `tags.json` says which file is whose.

use std::collections::BTreeMap;
use std::path::PathBuf;

use anyhow::{Context, ensure};
use burn::tensor::TensorData;
use firesight::preprocessing;
use firesight_data::decode::{Decoding, decode_file};
use firesight_data::preprocess::Preprocess;
use firesight_data::sample::Sample;
use firesight_data::target::Target;
use firesight_models::classification::registry;
use firesight_models::tags::{self, Preprocessing};
use firesight_models::weights::write_safetensors;

fn main() -> anyhow::Result<()> {
    let mut arguments = std::env::args_os().skip(1).map(PathBuf::from);
    let out = arguments
        .next()
        .context("usage: prepare_tags OUT_FOLDER PHOTOGRAPH...")?;
    let photographs: Vec<PathBuf> = arguments.collect();
    ensure!(!photographs.is_empty(), "no photograph given");
    std::fs::create_dir_all(&out)?;
    let mut kinds: Vec<Preprocessing> = Vec::new();
    let mut files = BTreeMap::new();
    for tag in registry().iter().flat_map(|entry| tags::tags(entry.name)) {
        let known = kinds.iter().position(|kind| *kind == tag.preprocessing);
        let number = known.unwrap_or(kinds.len());
        if known.is_none() {
            kinds.push(tag.preprocessing);
        }
        files.insert(format!("{}.{}", tag.model, tag.tag), number);
    }
    for (number, kind) in kinds.iter().enumerate() {
        let (preprocess, normalize) = preprocessing::of(kind);
        let preparation = Preprocess::new(&preprocess);
        let mut tensors = BTreeMap::new();
        for (index, path) in photographs.iter().enumerate() {
            let image = decode_file(path, &Decoding::default())?;
            let sample = Sample {
                image: image.into(),
                target: Target::default(),
            };
            let image = preparation.apply(sample)?.image;
            let [width, height] = image.size();
            let shape = [3, height, width];
            let data = TensorData::new(normalize.apply(&image), shape);
            tensors.insert(index.to_string(), data);
        }
        let path = out.join(format!("{number}.safetensors"));
        write_safetensors(&tensors, &path, &BTreeMap::new())?;
    }
    std::fs::write(out.join("tags.json"), serde_json::to_string(&files)?)?;
    println!("{} tags, {} ways of preparing", files.len(), kinds.len());
    Ok(())
}
