//! Classes with their probabilities: as a table, JSON or CSV.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::Context;
use firesight_data::mosaic::{captioned, write_png};
use firesight_data::sample::Image;
use safetensors::tensor::{Dtype, TensorView};
use serde::Serialize;

use super::{Names, Output, PredictArgs};
use crate::cli::eval::quoted;
use crate::cli::print_json;
use crate::predictor::{Guess, Predictor};

/// Shows the best classes of each image.
pub(super) struct Guesses<'a> {
    predictor: &'a Predictor,
    args: &'a PredictArgs,
    rows: Vec<Row>,
    features: Features,
    names: Names,
}

#[derive(Serialize)]
struct Row {
    file: String,
    classes: Vec<String>,
    scores: Vec<f64>,
}

impl<'a> Guesses<'a> {
    pub(super) fn new(predictor: &'a Predictor, args: &'a PredictArgs) -> Self {
        if args.csv {
            println!("file,rank,class,probability");
        }
        Self {
            predictor,
            args,
            rows: Vec::new(),
            features: Features::default(),
            names: Names::default(),
        }
    }
}

impl Output for Guesses<'_> {
    fn add(&mut self, files: &[PathBuf], images: Vec<Image>) -> anyhow::Result<()> {
        let names: Vec<String> = files
            .iter()
            .map(|file| file.display().to_string())
            .collect();
        if self.args.features.is_some() {
            let features = self.predictor.features(images.clone())?;
            self.features.add(&names, features);
        }
        let pictures = self.args.out.as_ref().map(|_| images.clone());
        let copies = self.args.augment;
        let guesses = self.predictor.classify_augmented(images, copies)?;
        for (at, (file, guesses)) in names.into_iter().zip(guesses).enumerate() {
            let top = &guesses[..guesses.len().min(self.args.top as usize)];
            if let (Some(folder), Some(pictures)) = (&self.args.out, &pictures) {
                let path = self.names.next(folder, &files[at]);
                write_png(&captioned(&pictures[at], &lines(top)), &path)?;
            }
            if self.args.json {
                self.rows.push(Row {
                    file,
                    classes: top.iter().map(|guess| guess.name.clone()).collect(),
                    scores: top.iter().map(|guess| guess.probability).collect(),
                });
            } else {
                show(&file, top, self.args.csv);
            }
        }
        Ok(())
    }

    fn finish(self: Box<Self>) -> anyhow::Result<()> {
        if self.args.json {
            print_json(&self.rows)?;
        }
        match &self.args.features {
            Some(path) => self.features.write(path),
            None => Ok(()),
        }
    }
}

/// What stands below an annotated copy.
fn lines(top: &[Guess]) -> Vec<String> {
    let line = |guess: &Guess| format!("{:.1}% {}", 100.0 * guess.probability, guess.name);
    top.iter().map(line).collect()
}

fn show(file: &str, top: &[Guess], csv: bool) {
    if csv {
        for (rank, guess) in top.iter().enumerate() {
            let (file, name) = (quoted(file), quoted(&guess.name));
            println!("{file},{},{name},{}", rank + 1, guess.probability);
        }
        return;
    }
    println!("{file}");
    for guess in top {
        println!("  {:>6.2} %  {}", 100.0 * guess.probability, guess.name);
    }
}

/// Features of all images, gathered for one file.
#[derive(Default)]
struct Features {
    names: Vec<String>,
    values: Vec<f32>,
    width: usize,
}

impl Features {
    fn add(&mut self, names: &[String], (values, width): (Vec<f32>, usize)) {
        self.names.extend_from_slice(names);
        self.values.extend(values);
        self.width = width;
    }

    /// Writes `features` `[N, width]`; the file names stand in the metadata as a JSON list.
    fn write(&self, path: &Path) -> anyhow::Result<()> {
        let bytes: Vec<u8> = self
            .values
            .iter()
            .flat_map(|value| value.to_le_bytes())
            .collect();
        let view = TensorView::new(Dtype::F32, vec![self.names.len(), self.width], &bytes)?;
        let files = serde_json::to_string(&self.names)?;
        let metadata = [("files".to_owned(), files)].into();
        let out = safetensors::serialize([("features", view)], Some(metadata))?;
        fs::write(path, out).with_context(|| format!("{}", path.display()))
    }
}
