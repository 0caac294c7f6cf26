//! A classifier in use: the likeliest classes of a picture.

use std::path::{Path, PathBuf};

use firesight_data::augment::Pipeline;
use firesight_data::draw::captioned;
use firesight_data::sample::{Image, Picture};
use firesight_predict::{Guess, Predictor};
use serde::{Deserialize, Serialize};

use crate::task::predict::{self, Predict, PredictOptions, Prediction, Used};

/// What may be set.
#[derive(Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields, default)]
struct Options {
    /// How many classes are told.
    top: usize,
    /// How many more copies of a picture are averaged over, changed by the recipe's own augmentations.
    augment: u32,
}

impl Default for Options {
    fn default() -> Self {
        Self { top: 5, augment: 0 }
    }
}

/// Tells the likeliest classes of pictures.
struct Classes<'a> {
    predictor: &'a Predictor,
    options: Options,
    pipeline: Pipeline,
    seed: u64,
}

/// A classifier's use.
///
/// # Errors
/// Settings that it does not have or cannot follow.
pub(super) fn used<'a>(
    used: Used<'a>,
    options: PredictOptions,
) -> crate::Result<Box<dyn Predict + 'a>> {
    let Used {
        predictor,
        augment,
        seed,
    } = used;
    let options: Options = predict::read(options)?;
    if options.augment > 0 && augment.is_empty() {
        let message = "the recipe that this model was trained with has no `data.augment`";
        return Err(predict::setting("augment", message));
    }
    Ok(Box::new(Classes {
        predictor,
        options,
        pipeline: predictor.preprocess().then(augment),
        seed,
    }))
}

impl Predict for Classes<'_> {
    fn predict(&self, images: &[Picture]) -> crate::Result<Vec<Box<dyn Prediction>>> {
        let Options { top, augment } = self.options;
        let (images, pipeline) = (images.to_vec(), &self.pipeline);
        let guesses = self
            .predictor
            .classify_augmented(images, augment, pipeline, self.seed)?;
        let told = guesses.into_iter().map(|mut guesses| {
            guesses.truncate(top);
            Box::new(Told::new(&guesses)) as Box<dyn Prediction>
        });
        Ok(told.collect())
    }

    fn columns(&self) -> &'static [&'static str] {
        &["rank", "class", "probability"]
    }
}

/// The likeliest classes of a picture, the best first.
#[derive(Serialize)]
struct Told {
    classes: Vec<String>,
    scores: Vec<f64>,
    /// The annotated copy.
    #[serde(skip_serializing_if = "Option::is_none")]
    picture: Option<PathBuf>,
}

impl Told {
    fn new(guesses: &[Guess]) -> Self {
        Self {
            classes: guesses.iter().map(|guess| guess.name.clone()).collect(),
            scores: guesses.iter().map(|guess| guess.probability).collect(),
            picture: None,
        }
    }

    fn each(&self) -> impl Iterator<Item = (&String, f64)> {
        self.classes.iter().zip(self.scores.iter().copied())
    }
}

impl Prediction for Told {
    fn lines(&self) -> Vec<String> {
        let line = |(class, score)| format!("{:>6.2} %  {class}", 100.0 * score);
        self.each().map(line).collect()
    }

    fn records(&self) -> Vec<Vec<String>> {
        let record = |(at, (class, score)): (usize, (&String, f64))| {
            vec![(at + 1).to_string(), class.clone(), score.to_string()]
        };
        self.each().enumerate().map(record).collect()
    }

    fn draw(&self, picture: &Picture) -> Image {
        let line = |(class, score)| format!("{:.1}% {class}", 100.0 * score);
        captioned(&picture.shown(), &self.each().map(line).collect::<Vec<_>>())
    }

    fn write(&mut self, picture: &Picture, stem: &Path) -> crate::Result<()> {
        self.picture = Some(predict::write_picture(&self.draw(picture), stem)?);
        Ok(())
    }

    fn files(&self) -> Vec<&Path> {
        self.picture.iter().map(PathBuf::as_path).collect()
    }
}
