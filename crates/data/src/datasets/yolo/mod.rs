//! YOLO's text files, as Ultralytics and Roboflow lay them out: a `data.yaml` names the folders or lists of the pictures and
//! the classes, and a text file for each picture has a row for each object: `class x y width height` with the center of the
//! box, or the class and the corners of a polygon, in shares of the picture's width and height.
//!
//! - A relative `path` of the `data.yaml` starts from its own folder, then from the data root. `train`, `val` and `test` start
//!   from there; of `../train/images` that is not there, `train/images` is taken, as Roboflow means it. Each is a folder, which
//!   is read with all folders in it, a list of pictures (`.txt`), or several of these. A line of a list starts from the
//!   dataset's folder, from the folder of the list (first where it begins with `./`), or from the data root.
//! - The labels of `images/x.y.jpg` are `labels/x.y.txt` (the last folder called `images` counts), or lie beside the picture.
//!   A picture without them, or with an empty file, has no object.
//! - A row that is not understood, a box without area or one that leaves the picture goes by `faulty`, the row alone; where
//!   faulty rows are refused, the picture is a bad sample. Rows that repeat another one are read once and remarked on.
//! - A class is called what the file says: `no` is no truth value here. Of rows with keypoints the box is read. Nothing is
//!   ever written.
//!
//! ```
//! use firesight_data::datasets::yolo::YoloConfig;
//! use firesight_data::draw::write_png;
//! use firesight_data::Image;
//!
//! let folder = tempfile::tempdir()?;
//! let root = folder.path();
//! for part in ["images", "labels"] {
//!     std::fs::create_dir(root.join(part))?;
//! }
//! std::fs::write(root.join("data.yaml"), "train: images\nnames: [yes, no]\n")?;
//! std::fs::write(root.join("labels/a.txt"), "1 0.5 0.5 0.5 1\n")?;
//! let image = Image { width: 8, height: 6, channels: 1, pixels: vec![0; 48] };
//! write_png(&image, &root.join("images/a.png"))?;
//! let train = YoloConfig::default().open(root)?.train;
//! let boxes = train.read(0)?.target.boxes.unwrap();
//! assert_eq!((boxes[0].xyxy, train.classes()[1].as_str()), ([2.0, 0.0, 6.0, 6.0], "no"));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod description;
mod labels;
mod pictures;
#[cfg(test)]
mod tests;
mod yaml;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use rayon::prelude::*;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use self::description::Description;
use self::labels::{Rows, rows};
use self::pictures::{Listed, Place};
use super::annotated::{Annotated, Picture, Read, Reading, Unit};
use super::objects::{Faulty, Tally, shown};
use super::problems::path_problems;
use super::text::utf8;
use crate::decode::Decoding;
use crate::error::DataError;
use crate::source::{Remark, Source, Splits};
use crate::words::counted;

/// A dataset that a `data.yaml` tells.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, rename_all = "kebab-case", deny_unknown_fields)]
pub struct YoloConfig {
    /// The `data.yaml`, or the folder that it lies in, relative to the data root.
    pub path: PathBuf,
    /// What to do about rows that cannot be true or are not understood.
    pub faulty: Faulty,
    /// Whether each box comes with the mask of its object, from polygons.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub instance_masks: bool,
    /// Whether each image comes with a class mask, from polygons: background is class 0, and pixels that two objects
    /// cover do not count.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub class_masks: bool,
    /// How image files are read, and what one may cost.
    pub decode: Decoding,
}

impl YoloConfig {
    /// How its image files are read.
    pub(in crate::datasets) fn decoding(&self) -> Decoding {
        self.decode
    }

    /// What is wrong with the values, as pairs of a dotted key inside this table and a message.
    pub fn problems(&self) -> Vec<(String, String)> {
        path_problems(&self.path, "`data.yaml`")
    }

    /// Reads the `data.yaml` and all labels; no image is opened.
    ///
    /// # Errors
    /// A `data.yaml` that is missing, is no YAML or does not say what it must; folders or lists that are not there; training
    /// pictures of which none has labels.
    pub fn open(&self, data_root: &Path) -> Result<Splits, DataError> {
        let mut description = Description::read(&data_root.join(&self.path))?;
        let place = Place::find(&mut description, data_root)?;
        let mut remarks = std::mem::take(&mut description.remarks);
        let parts = [
            &description.train,
            &description.validation,
            &description.test,
        ];
        let [train, validation, test] = parts.map(|texts| place.pictures(texts, &mut remarks));
        let (train, validation) = (train?, validation?);
        // Exports name a test part whether there is one or not.
        let test = test.unwrap_or_else(|error| {
            remarks.push(Remark::new(
                &*description.shown,
                format!("there is no test part: {error}"),
            ));
            Vec::new()
        });
        let part = |listed: Vec<Listed>,
                    remarks: Vec<Remark>,
                    trains: bool|
         -> Result<Option<Arc<dyn Source>>, DataError> {
            let part =
                (!listed.is_empty()).then(|| self.part(&description, listed, remarks, trains));
            Ok(part.transpose()?.map(|part| Arc::new(part) as _))
        };
        let train = part(train, remarks, true)?;
        Ok(Splits {
            train: train.ok_or_else(|| {
                DataError::unreadable(&*description.shown, "`train` holds no picture")
            })?,
            validation: part(validation, Vec::new(), false)?,
            test: part(test, Vec::new(), false)?,
        })
    }

    fn part(
        &self,
        description: &Description,
        listed: Vec<Listed>,
        mut remarks: Vec<Remark>,
        trains: bool,
    ) -> Result<Annotated, DataError> {
        let read = |listed: Listed| Entry::read(listed, description);
        let entries: Vec<Entry> = listed.into_par_iter().map(read).collect();
        let without = entries.iter().filter(|entry| !entry.labelled);
        if let (true, Some(first)) = (trains, entries.first())
            && entries.iter().all(|entry| !entry.labelled)
        {
            let count = counted(entries.len(), "training picture");
            let reason = format!("not there, and none of the {count} has labels");
            return Err(DataError::unreadable(&*first.picture.labels, reason));
        }
        let mut tally = Tally::default();
        for entry in without {
            let kind = "no labels: taken for an image without objects";
            tally.add(kind, || entry.picture.labels.to_string());
        }
        for entry in &entries {
            let place = |line: u32| place(&entry.picture.labels, line);
            for line in &entry.repeated {
                tally.add("the row stands there already, and is read once", || {
                    place(*line)
                });
            }
            if let Some(line) = entry.keypoints {
                tally.add("its keypoints are not read, its boxes are", || place(line));
            }
        }
        remarks.extend(tally.remarks());
        let entries = entries
            .into_iter()
            .map(|entry| (entry.picture, entry.objects));
        let reading = Reading {
            unit: Unit::Fractions,
            faulty: self.faulty,
            instance_masks: self.instance_masks,
            class_masks: self.class_masks,
            decode: self.decode,
            place,
        };
        let classes = description.classes.clone();
        Annotated::new(
            description.shown.clone(),
            reading,
            classes,
            entries.collect(),
            remarks,
        )
    }
}

/// A line of a label file, for messages.
fn place(labels: &str, line: u32) -> String {
    format!("{labels}:{line}")
}

/// One picture and what its label file says.
struct Entry {
    picture: Picture,
    objects: Vec<Read>,
    labelled: bool,
    repeated: Vec<u32>,
    keypoints: Option<u32>,
}

impl Entry {
    fn read(listed: Listed, description: &Description) -> Self {
        let labelled = listed.labels.is_file();
        let labels: Arc<str> = shown(&listed.labels).into();
        let mut faults = Vec::new();
        let bytes = labelled.then(|| std::fs::read(&listed.labels));
        let Rows {
            objects,
            repeated,
            keypoints,
        } = match bytes {
            None => Rows::default(),
            Some(Err(error)) => {
                faults.push(Remark::new(&*labels, format!("cannot read: {error}")));
                Rows::default()
            }
            Some(Ok(bytes)) => match utf8(&bytes) {
                Ok(text) => rows(text, description.classes.len(), description.keypoints),
                Err(reason) => {
                    faults.push(Remark::new(&*labels, reason));
                    Rows::default()
                }
            },
        };
        Self {
            picture: Picture {
                name: listed.name,
                file: listed.file,
                labels,
                stated: None,
                objects: Vec::new(),
                faults,
            },
            objects,
            labelled,
            repeated,
            keypoints,
        }
    }
}
