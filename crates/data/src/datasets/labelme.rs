//! labelme's JSON: a file for each picture, with polygons, rectangles and circles in pixels.
//!
//! A part is a folder with all folders in it; each `.json` in it that has `shapes` is a picture. `imagePath` starts from the
//! folder of the file; where it names no file, the picture of the same name beside it is taken and remarked on. A picture
//! without a file is left out and remarked on: labelme saves one for a picture without objects too. Shapes of one label and
//! one `group_id` are one object. Points and lines have no area and go by `faulty`, as all does that is not understood.
//!
//! ```
//! use firesight_data::datasets::labelme::LabelmeConfig;
//! use firesight_data::draw::write_png;
//! use firesight_data::Image;
//!
//! let folder = tempfile::tempdir()?;
//! let image = Image { width: 4, height: 2, channels: 1, pixels: vec![0; 8] };
//! write_png(&image, &folder.path().join("a.png"))?;
//! let file = r#"{"imagePath": "a.png", "imageWidth": 4, "imageHeight": 2, "shapes": [
//!     {"label": "dog", "shape_type": "polygon", "points": [[0, 0], [2, 0], [2, 2], [0, 2]]}]}"#;
//! std::fs::write(folder.path().join("a.json"), file)?;
//! let config = LabelmeConfig { class_masks: true, ..Default::default() };
//! let target = config.open(folder.path())?.train.read(0)?.target;
//! assert_eq!(target.objects()[0].xyxy, [0.0, 0.0, 2.0, 2.0]);
//! assert_eq!(target.mask.unwrap().classes, [1, 1, 0, 0, 1, 1, 0, 0]);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod file;
#[cfg(test)]
mod tests;

use std::collections::{BTreeSet, HashMap};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rayon::prelude::*;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use self::file::{File, ShapeEntry};
use super::annotated::{Annotated, Names, Object, Picture, Read, Reading, Shape, Unit};
use super::listing::{Beside, beside};
use super::objects::{Faulty, Tally, shown};
use super::problems::{name_problems, path_problems};
use crate::decode::Decoding;
use crate::error::DataError;
use crate::source::{Remark, Source, Splits};

/// Folders of labelme's files.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, rename_all = "kebab-case", deny_unknown_fields)]
pub struct LabelmeConfig {
    /// The dataset's folder, relative to the data root.
    pub path: PathBuf,
    /// The folder of the training part in it; the whole without the other parts unless given.
    pub train: PathBuf,
    /// The folder of the validation part in it, if there is one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub validation: Option<PathBuf>,
    /// The folder of the test part in it, if there is one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub test: Option<PathBuf>,
    /// The class names in order; empty for the labels of the training part, sorted.
    pub classes: Vec<String>,
    /// What to do about shapes that cannot be true or are not understood.
    pub faulty: Faulty,
    /// Whether each box comes with the mask of its object.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub instance_masks: bool,
    /// Whether each image comes with a class mask: background is class 0, and pixels that two objects cover do not count.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub class_masks: bool,
    /// How image files are read, and what one may cost.
    pub decode: Decoding,
}

impl LabelmeConfig {
    /// How its image files are read.
    pub(super) fn decoding(&self) -> Decoding {
        self.decode
    }

    /// What is wrong with the values, as pairs of a dotted key inside this table and a message.
    pub fn problems(&self) -> Vec<(String, String)> {
        let mut problems = path_problems(&self.path, "the files of labelme");
        problems.extend(name_problems(&self.classes));
        problems
    }

    /// Reads all files of labels; no image is opened.
    ///
    /// # Errors
    /// A missing folder, one without files of labelme, labels without a class.
    pub fn open(&self, data_root: &Path) -> Result<Splits, DataError> {
        let root = data_root.join(&self.path);
        let read = |part: &Path, without: &[&Path]| Folder::read(&root, part, without);
        let others: Vec<&Path> = [&self.validation, &self.test]
            .into_iter()
            .flatten()
            .map(PathBuf::as_path)
            .collect();
        let train = read(&self.train, &others)?;
        let mut remarks = Vec::new();
        let found = train.files.iter().flat_map(File::labels);
        let names = Names::new(&train.shown, &self.classes, found, &mut remarks)?;
        let optional = |part: &Option<PathBuf>| -> Result<Option<Arc<dyn Source>>, DataError> {
            let Some(part) = part else { return Ok(None) };
            Ok(Some(Arc::new(read(part, &[])?.part(
                self,
                &root,
                &names,
                Vec::new(),
            )?)))
        };
        Ok(Splits {
            validation: optional(&self.validation)?,
            test: optional(&self.test)?,
            train: Arc::new(train.part(self, &root, &names, remarks)?),
        })
    }
}

/// The files of a part.
struct Folder {
    shown: String,
    files: Vec<File>,
    /// Pictures of the folder.
    pictures: BTreeSet<PathBuf>,
    tally: Tally,
}

impl Folder {
    fn read(root: &Path, part: &Path, without: &[&Path]) -> Result<Self, DataError> {
        let hint = "expected a folder with the files of labelme beside their pictures";
        let Beside {
            folder,
            labels,
            pictures,
        } = beside(root, part, without, "json", hint)?;
        let read: Vec<Result<File, PathBuf>> = labels.into_par_iter().map(File::read).collect();
        let (mut files, mut tally) = (Vec::new(), Tally::default());
        for file in read {
            match file {
                Ok(file) => files.push(file),
                Err(path) => tally.add(
                    "has no `shapes`, so it is no file of labelme, left out",
                    || shown(&path),
                ),
            }
        }
        if files.is_empty() {
            let hint = "no file of labelme (`.json` with `shapes`) in it".into();
            return Err(DataError::Missing { path: folder, hint });
        }
        Ok(Self {
            shown: shown(&folder),
            files,
            pictures,
            tally,
        })
    }

    fn part(
        self,
        config: &LabelmeConfig,
        root: &Path,
        names: &Names,
        mut remarks: Vec<Remark>,
    ) -> Result<Annotated, DataError> {
        let Self {
            shown: folder,
            files,
            mut pictures,
            mut tally,
        } = self;
        let mut seen: HashMap<PathBuf, String> = HashMap::new();
        let mut entries = Vec::with_capacity(files.len());
        for file in files {
            let labels = shown(&file.path);
            for (key, count) in &file.unknown {
                let kind = format!("the key `{key}` is not one of labelme's and is not read");
                (0..*count).for_each(|_| tally.add(&kind, || labels.clone()));
            }
            let mut faults: Vec<Remark> = file
                .faults
                .iter()
                .map(|reason| Remark::new(&*labels, &**reason))
                .collect();
            let picture = file.picture(|kind| tally.add(kind, || labels.clone()));
            if let Ok(path) = &picture {
                pictures.remove(path);
                if let Some(first) = seen.insert(path.clone(), labels.clone()) {
                    faults.push(Remark::new(
                        &*labels,
                        format!("its picture is that of {first} too"),
                    ));
                }
            }
            let name = picture.as_deref().unwrap_or(&file.path);
            let picture = Picture {
                name: shown(name.strip_prefix(root).unwrap_or(name)),
                file: picture
                    .clone()
                    .map_err(|reason| Remark::new(&*labels, reason)),
                labels: labels.into(),
                stated: file.stated,
                objects: Vec::new(),
                faults,
            };
            entries.push((picture, objects(file.shapes, names)));
        }
        for path in &pictures {
            tally.add("a picture without a file of labelme, left out", || {
                shown(path)
            });
        }
        remarks.extend(tally.remarks());
        let reading = Reading {
            unit: Unit::Pixels,
            faulty: config.faulty,
            instance_masks: config.instance_masks,
            class_masks: config.class_masks,
            decode: config.decode,
            place: |labels, number| format!("{labels}: /shapes/{number}"),
        };
        Annotated::new(folder, reading, names.names().to_vec(), entries, remarks)
    }
}

/// The objects that shapes are; those of one label and one group are one.
fn objects(shapes: Vec<ShapeEntry>, names: &Names) -> Vec<Read> {
    let mut groups: HashMap<(usize, String), usize> = HashMap::new();
    let mut objects: Vec<Read> = Vec::new();
    for (
        at,
        ShapeEntry {
            label,
            shape,
            group,
        },
    ) in (0..).zip(shapes)
    {
        let class = label.and_then(|label| names.number(&label));
        let object = class.and_then(|class| {
            Ok(Object {
                class,
                shape: Shape::Polygons(vec![shape?]),
                difficult: false,
                at,
            })
        });
        let group = group.transpose();
        let (object, group) = match (object, group) {
            (Ok(object), Ok(group)) => (Ok(object), group),
            (Err(reason), _) | (_, Err(reason)) => (Err(reason), None),
        };
        let first = match (&object, group) {
            (Ok(object), Some(group)) => match groups.entry((object.class, group)) {
                std::collections::hash_map::Entry::Occupied(first) => Some(*first.get()),
                std::collections::hash_map::Entry::Vacant(place) => {
                    place.insert(objects.len());
                    None
                }
            },
            _ => None,
        };
        match (first.map(|first| &mut objects[first].object), object) {
            (
                Some(Ok(Object {
                    shape: Shape::Polygons(all),
                    ..
                })),
                Ok(Object {
                    shape: Shape::Polygons(more),
                    ..
                }),
            ) => {
                all.extend(more);
            }
            (_, object) => objects.push(Read { at, object }),
        }
    }
    objects
}
