//! A detector in use: the objects of a picture with their boxes.

use std::path::{Path, PathBuf};

use firesight_data::draw::{BoxColor, DrawnBox, draw_boxes};
use firesight_data::sample::{Image, Picture};
use firesight_data::words::counted;
use firesight_models::detection::Postprocess;
use firesight_predict::{Found, Predictor};
use serde::{Deserialize, Serialize};

use crate::task::predict::{self, Predict, PredictOptions, Prediction, Used};

/// Below this score nothing is told or drawn unless `score` says so: a detector keeps many weak boxes, which its average
/// precision needs and a picture does not.
const SCORE: f32 = 0.5;

/// What may be set; else it is as the model has it.
#[derive(Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
struct Options {
    /// Objects from this score on, 0 to 1.
    #[serde(default = "score")]
    score: f32,
    /// An object goes where its IoU with a better one of its class is greater.
    iou: Option<f32>,
    /// The most objects of a picture.
    max_detections: Option<usize>,
}

fn score() -> f32 {
    SCORE
}

/// Finds the objects of pictures.
struct Objects<'a> {
    predictor: &'a Predictor,
    choice: Postprocess,
}

/// A detector's use.
///
/// # Errors
/// Settings that it does not have, or out of range.
pub(super) fn used<'a>(
    used: Used<'a>,
    options: PredictOptions,
) -> crate::Result<Box<dyn Predict + 'a>> {
    let predictor = used.predictor;
    let options: Options = predict::read(options)?;
    let own = predictor.detector()?.postprocess().clone();
    let choice = Postprocess {
        score_threshold: options.score,
        iou_threshold: options.iou.unwrap_or(own.iou_threshold),
        max_detections: options.max_detections.unwrap_or(own.max_detections),
        ..own
    };
    if let Some((key, message)) = choice.problems().into_iter().next() {
        let key = match key.as_str() {
            "score-threshold" => "score",
            "iou-threshold" => "iou",
            other => other,
        };
        return Err(predict::setting(key, message));
    }
    Ok(Box::new(Objects { predictor, choice }))
}

impl Predict for Objects<'_> {
    fn predict(&self, images: &[Picture]) -> crate::Result<Vec<Box<dyn Prediction>>> {
        let found = self.predictor.detect(images.to_vec(), Some(&self.choice))?;
        let told = |found| Box::new(Told::new(found)) as Box<dyn Prediction>;
        Ok(found.into_iter().map(told).collect())
    }

    fn columns(&self) -> &'static [&'static str] {
        &["x1", "y1", "x2", "y2", "class", "score"]
    }
}

/// The objects of a picture, the best first.
#[derive(Serialize)]
struct Told {
    /// `x1 y1 x2 y2` in pixels of the picture.
    boxes: Vec<[f32; 4]>,
    labels: Vec<String>,
    scores: Vec<f32>,
    /// The copy with the boxes drawn.
    #[serde(skip_serializing_if = "Option::is_none")]
    picture: Option<PathBuf>,
    /// The indices of the labels.
    #[serde(skip)]
    classes: Vec<usize>,
}

impl Told {
    fn new(found: Vec<Found>) -> Self {
        Self {
            boxes: found.iter().map(|object| object.xyxy).collect(),
            scores: found.iter().map(|object| object.score).collect(),
            classes: found.iter().map(|object| object.class).collect(),
            labels: found.into_iter().map(|object| object.name).collect(),
            picture: None,
        }
    }

    fn each(&self) -> impl Iterator<Item = ([f32; 4], &String, f32)> {
        let named = self.boxes.iter().zip(&self.labels).zip(&self.scores);
        named.map(|((xyxy, label), score)| (*xyxy, label, *score))
    }
}

impl Prediction for Told {
    fn lines(&self) -> Vec<String> {
        let line = |([x1, y1, x2, y2], label, score): ([f32; 4], &String, f32)| {
            let percent = 100.0 * score;
            format!("{percent:>6.2} %  {label}  {x1:.0} {y1:.0} {x2:.0} {y2:.0}")
        };
        self.each().map(line).collect()
    }

    fn summary(&self) -> Option<String> {
        Some(counted(self.boxes.len(), "object"))
    }

    fn records(&self) -> Vec<Vec<String>> {
        let record = |(xyxy, label, score): ([f32; 4], &String, f32)| {
            let corners = xyxy.iter().map(f32::to_string);
            corners.chain([label.clone(), score.to_string()]).collect()
        };
        self.each().map(record).collect()
    }

    fn draw(&self, picture: &Picture) -> Image {
        let drawn = self.each().zip(&self.classes);
        let drawn = drawn.map(|((xyxy, label, score), class)| DrawnBox {
            xyxy,
            text: format!("{label} {:.0}%", 100.0 * score),
            color: BoxColor::Class(*class),
        });
        draw_boxes(&picture.shown(), &drawn.collect::<Vec<_>>()).0
    }

    fn write(&mut self, picture: &Picture, stem: &Path) -> crate::Result<()> {
        self.picture = Some(predict::write_picture(&self.draw(picture), stem)?);
        Ok(())
    }

    fn files(&self) -> Vec<&Path> {
        self.picture.iter().map(PathBuf::as_path).collect()
    }
}
