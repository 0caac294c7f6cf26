//! Classes with their probabilities: as a table, JSON or CSV.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::Context;
use firesight_data::draw::{captioned, write_png};
use firesight_data::sample::Image;
use safetensors::tensor::{Dtype, TensorView};
use serde::Serialize;

use super::{Names, Output, PredictArgs};
use crate::cli::eval::quoted;
use crate::cli::print_json;
use firesight::predictor::{Guess, Predictor};

/// Shows the best classes of each image.
pub(super) struct Guesses<'a> {
    predictor: &'a Predictor,
    args: &'a PredictArgs,
    rows: Vec<Row>,
    features: Features,
}

#[derive(Serialize)]
struct Row {
    file: String,
    classes: Vec<String>,
    scores: Vec<f64>,
    /// The annotated copy.
    #[serde(skip_serializing_if = "Option::is_none")]
    picture: Option<PathBuf>,
}

/// How many classes are shown unless `--top` says so.
const SHOWN: u32 = 5;

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
        }
    }
}

impl Output for Guesses<'_> {
    fn add(
        &mut self,
        files: &[PathBuf],
        images: Vec<Image>,
        mut names: Option<&mut Names>,
    ) -> anyhow::Result<()> {
        let shown: Vec<String> = files
            .iter()
            .map(|file| file.display().to_string())
            .collect();
        if self.args.features.is_some() {
            let features = self.predictor.features(images.clone())?;
            self.features.add(&shown, features);
        }
        let pictures = names.as_ref().map(|_| images.clone());
        let copies = self.args.augment.unwrap_or(0);
        let guesses = self.predictor.classify_augmented(images, copies)?;
        for (at, (file, guesses)) in shown.into_iter().zip(guesses).enumerate() {
            let top = &guesses[..guesses.len().min(self.args.top.unwrap_or(SHOWN) as usize)];
            let mut picture = None;
            if let (Some(names), Some(pictures)) = (&mut names, &pictures) {
                let [path] = names.next(&files[at], [".png"]);
                write_png(&captioned(&pictures[at], &lines(top)), &path)?;
                picture = Some(path);
            }
            if self.args.json {
                self.rows.push(Row {
                    file,
                    classes: top.iter().map(|guess| guess.name.clone()).collect(),
                    scores: top.iter().map(|guess| guess.probability).collect(),
                    picture,
                });
            } else {
                show(&file, top, self.args.csv);
                if let (Some(path), false) = (picture, self.args.csv) {
                    println!("  {}", path.display());
                }
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
