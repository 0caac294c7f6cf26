//! Objects with their boxes: as a table, JSON or CSV, and drawn into copies of the images.

use std::path::PathBuf;

use firesight_data::draw::write_png;
use firesight_data::draw::{BoxColor, DrawnBox, draw_boxes};
use firesight_data::sample::Image;
use firesight_data::words::counted;
use firesight_models::detection::Postprocess;
use serde::Serialize;

use super::{Names, Output, PredictArgs};
use crate::cli::eval::quoted;
use crate::cli::{Usage, print_json};
use firesight::predictor::{Found, Predictor};

/// Shows the objects of each image.
pub(super) struct Boxes<'a> {
    predictor: &'a Predictor,
    args: &'a PredictArgs,
    choice: Postprocess,
    rows: Vec<Row>,
}

#[derive(Serialize)]
struct Row {
    file: String,
    boxes: Vec<[f32; 4]>,
    labels: Vec<String>,
    scores: Vec<f32>,
    /// The copy with the boxes drawn.
    #[serde(skip_serializing_if = "Option::is_none")]
    picture: Option<PathBuf>,
}

/// Below this score nothing is shown or drawn unless `--score` says so: a detector keeps many weak boxes, which its
/// average precision needs and a picture does not.
const SHOWN: f32 = 0.5;

impl<'a> Boxes<'a> {
    /// # Errors
    /// A threshold out of range.
    pub(super) fn new(predictor: &'a Predictor, args: &'a PredictArgs) -> anyhow::Result<Self> {
        let own = predictor.detector()?.postprocess().clone();
        let choice = Postprocess {
            score_threshold: args.score.unwrap_or(SHOWN),
            iou_threshold: args.iou.unwrap_or(own.iou_threshold),
            max_detections: args
                .max_detections
                .map_or(own.max_detections, |most| most as usize),
            ..own
        };
        if let Some((key, message)) = choice.problems().into_iter().next() {
            let option = match key.as_str() {
                "score-threshold" => "--score",
                "iou-threshold" => "--iou",
                "max-detections" => "--max-detections",
                other => other,
            };
            return Err(Usage(format!("{option}: {message}")).into());
        }
        if args.csv {
            println!("file,x1,y1,x2,y2,class,score");
        }
        Ok(Self {
            predictor,
            args,
            choice,
            rows: Vec::new(),
        })
    }

    fn show(&mut self, file: String, found: &[Found], picture: Option<PathBuf>) {
        if self.args.json {
            self.rows.push(Row {
                file,
                boxes: found.iter().map(|object| object.xyxy).collect(),
                labels: found.iter().map(|object| object.name.clone()).collect(),
                scores: found.iter().map(|object| object.score).collect(),
                picture,
            });
            return;
        }
        if !self.args.csv {
            println!("{file}: {}", counted(found.len(), "object"));
        }
        for Found {
            xyxy: [x1, y1, x2, y2],
            name,
            score,
            ..
        } in found
        {
            match self.args.csv {
                true => println!(
                    "{},{x1},{y1},{x2},{y2},{},{score}",
                    quoted(&file),
                    quoted(name)
                ),
                false => println!(
                    "  {:>6.2} %  {name}  {x1:.0} {y1:.0} {x2:.0} {y2:.0}",
                    100.0 * score
                ),
            }
        }
        if let (Some(path), false) = (picture, self.args.csv) {
            println!("  {}", path.display());
        }
    }
}

impl Output for Boxes<'_> {
    fn add(
        &mut self,
        files: &[PathBuf],
        images: Vec<Image>,
        mut names: Option<&mut Names>,
    ) -> anyhow::Result<()> {
        let found = self.predictor.detect(images.clone(), Some(&self.choice))?;
        for ((file, image), found) in files.iter().zip(images).zip(found) {
            let mut picture = None;
            if let Some(names) = &mut names {
                let drawn: Vec<DrawnBox> = found
                    .iter()
                    .map(|object| DrawnBox {
                        xyxy: object.xyxy,
                        text: format!("{} {:.0}%", object.name, 100.0 * object.score),
                        color: BoxColor::Class(object.class),
                    })
                    .collect();
                let [path] = names.next(file, [".png"]);
                write_png(&draw_boxes(&image, &drawn).0, &path)?;
                picture = Some(path);
            }
            self.show(file.display().to_string(), &found, picture);
        }
        Ok(())
    }

    fn finish(self: Box<Self>) -> anyhow::Result<()> {
        match self.args.json {
            true => print_json(&self.rows),
            false => Ok(()),
        }
    }
}
