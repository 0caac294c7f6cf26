//! How many images a second the loader delivers: image folder, random resized crop 224, flip, normalise.
//!
//! ```text
//! cargo run --release -p firesight-data --example throughput -- FOLDER [--workers N] [--epochs N] [--batch N]
//! ```
//!
//! `FOLDER` holds one folder a class; the word `digits` in its place takes the embedded digits (8x8) with a light affine
//! augmentation instead. Prints one line a measured epoch, `images/s <number> resident <MiB>`, after one
//! epoch to warm up. `scripts/compare_data.py` runs this beside torchvision's loader.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Instant;

use firesight_data::augment::{
    Augment, HorizontalFlip, Pipeline, RandomResizedCrop, Rotate, Scale, Translate,
};
use firesight_data::datasets::digits::DigitsConfig;
use firesight_data::datasets::folder::FolderConfig;
use firesight_data::loader::{Loader, LoaderConfig};
use firesight_data::normalize::Normalize;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut arguments = std::env::args().skip(1);
    let folder = PathBuf::from(
        arguments
            .next()
            .ok_or("name a folder with one folder a class")?,
    );
    let (mut workers, mut epochs, mut batch_size) = (2, 3, 32);
    while let Some(flag) = arguments.next() {
        let value: usize = arguments
            .next()
            .ok_or(format!("{flag} needs a number"))?
            .parse()?;
        match flag.as_str() {
            "--workers" => workers = value,
            "--epochs" => epochs = value,
            "--batch" => batch_size = value,
            other => {
                return Err(format!("{other}: --workers, --epochs and --batch are known").into());
            }
        }
    }
    let (source, augmentations, normalize) = if folder.as_os_str() == "digits" {
        let augmentations = vec![
            Augment::Rotate(Rotate::default()),
            Augment::Translate(Translate::default()),
            Augment::Scale(Scale::default()),
        ];
        (
            DigitsConfig::default().open()?.train,
            augmentations,
            Normalize::default(),
        )
    } else {
        let augmentations = vec![
            Augment::RandomResizedCrop(RandomResizedCrop::default()),
            Augment::HorizontalFlip(HorizontalFlip::default()),
        ];
        (
            FolderConfig::default().open(&folder)?.train,
            augmentations,
            Normalize::imagenet(),
        )
    };
    let config = LoaderConfig {
        batch_size,
        workers,
        prefetch: 2 * workers.max(1),
        ..LoaderConfig::default()
    };
    let loader = Loader::new(
        source,
        Arc::new(Pipeline::new(augmentations)),
        normalize,
        config,
    )?;
    for epoch in 0..=epochs as u64 {
        let start = Instant::now();
        let mut images = 0;
        let mut sum = 0.0f32;
        for batch in loader.epoch(epoch, 0) {
            let batch = batch?;
            images += batch.shape[0];
            sum += batch.images[batch.images.len() / 2];
        }
        let seconds = start.elapsed().as_secs_f64();
        if epoch > 0 {
            println!(
                "images/s {:.1} resident {:.1} checksum {sum:.4}",
                images as f64 / seconds,
                resident()
            );
        }
    }
    Ok(())
}

/// Memory of this process in MiB, where the system tells (Linux), else 0.
fn resident() -> f64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    line.and_then(|rest| {
        rest.trim()
            .trim_end_matches("kB")
            .trim()
            .parse::<f64>()
            .ok()
    })
    .unwrap_or(0.0)
        / 1024.0
}
