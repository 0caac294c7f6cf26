//! COCO's JSON: `images`, `annotations` with boxes `x y width height`, and `categories` whose ids may have gaps.
//!
//! Class indices follow the category ids in order. Annotations with `iscrowd` are kept and marked; images without
//! annotations are valid.
//!
//! ```
//! use firesight_data::datasets::coco::CocoConfig;
//! use firesight_data::mosaic::write_png;
//! use firesight_data::{Image, Label};
//!
//! let folder = tempfile::tempdir()?;
//! let image = Image { width: 8, height: 6, channels: 1, pixels: vec![0; 48] };
//! write_png(&image, &folder.path().join("a.png"))?;
//! let truth = r#"{"images": [{"id": 9, "file_name": "a.png"}], "categories": [{"id": 7, "name": "dog"}],
//!     "annotations": [{"image_id": 9, "category_id": 7, "bbox": [1, 2, 3, 4]}]}"#;
//! std::fs::write(folder.path().join("truth.json"), truth)?;
//! let config = r#"{"path": "", "train": {"annotations": "truth.json", "images": ""}}"#;
//! let train = serde_json::from_str::<CocoConfig>(config)?.open(folder.path())?.train;
//! let Label::Boxes(boxes) = train.read(0)?.label else { unreachable!() };
//! assert_eq!((boxes[0].xyxy, boxes[0].class), ([1.0, 2.0, 4.0, 6.0], 0));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

use std::collections::{HashMap, HashSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::objects::{FaultyBoxes, clipped, fault};
use crate::decode::{self, DecodeLimits};
use crate::error::DataError;
use crate::sample::{BoxLabel, Label, Sample};
use crate::source::{Remark, Source, Splits, out_of_range};

/// An annotation file and its images.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct CocoPart {
    /// The JSON file, relative to the dataset's folder.
    pub annotations: PathBuf,
    /// The folder of the images, relative to the dataset's folder.
    pub images: PathBuf,
}

/// A dataset in COCO's format.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct CocoConfig {
    /// The dataset's folder, relative to the data root.
    pub path: PathBuf,
    /// What is learnt from.
    pub train: CocoPart,
    /// What decides which checkpoint is best; without it a part of the training images.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub validation: Option<CocoPart>,
    /// What the final numbers come from.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub test: Option<CocoPart>,
    /// What to do about boxes that cannot be true.
    #[serde(default)]
    pub faulty_boxes: FaultyBoxes,
    /// What one image file may cost.
    #[serde(default)]
    pub limits: DecodeLimits,
}

impl CocoConfig {
    /// What is wrong with the values, as pairs of a dotted key inside this table and a message.
    pub fn problems(&self) -> Vec<(String, String)> {
        super::path_problems(&self.path, "the annotations and images")
    }

    /// Reads the annotation files; no image is opened.
    ///
    /// # Errors
    /// A missing file, malformed JSON, ids that occur twice or lead nowhere, parts with different categories.
    pub fn open(&self, data_root: &Path) -> Result<Splits, DataError> {
        let root = data_root.join(&self.path);
        let open = |part: &CocoPart| Coco::open(&root, part, self);
        let train = open(&self.train)?;
        let given = |part: &Option<CocoPart>| -> Result<Option<Arc<dyn Source>>, DataError> {
            let Some(part) = part else { return Ok(None) };
            let source = open(part)?;
            if (&source.classes, &source.categories) != (&train.classes, &train.categories) {
                return Err(DataError::unreadable(
                    root.join(&part.annotations).display().to_string(),
                    "/categories: they differ from those of the training part",
                ));
            }
            Ok(Some(Arc::new(source)))
        };
        let (validation, test) = (given(&self.validation)?, given(&self.test)?);
        Ok(Splits {
            train: Arc::new(train),
            validation,
            test,
        })
    }
}

#[derive(Deserialize)]
struct File {
    images: Vec<ImageEntry>,
    #[serde(default)]
    annotations: Vec<AnnotationEntry>,
    categories: Vec<CategoryEntry>,
}

#[derive(Deserialize)]
struct ImageEntry {
    id: u64,
    file_name: String,
}

#[derive(Deserialize)]
struct CategoryEntry {
    id: u64,
    name: String,
}

#[derive(Deserialize)]
struct AnnotationEntry {
    id: Option<u64>,
    image_id: u64,
    category_id: u64,
    bbox: Vec<f64>,
    /// Of the object's outline, in pixels.
    area: Option<f64>,
    #[serde(default)]
    iscrowd: Flag,
}

/// COCO writes 0 and 1, others write booleans.
#[derive(Deserialize, Default)]
#[serde(untagged)]
enum Flag {
    #[default]
    Absent,
    Number(u8),
    Bool(bool),
}

/// One image and its objects.
struct Entry {
    id: u64,
    file: PathBuf,
    objects: Vec<Object>,
}

/// An annotation: its place in the file, and the box as `x1 y1 x2 y2`.
struct Object {
    number: usize,
    class: usize,
    xyxy: [f64; 4],
    crowd: bool,
    cover: f32,
}

/// One part of a dataset.
struct Coco {
    root: PathBuf,
    annotations: PathBuf,
    images: PathBuf,
    entries: Vec<Entry>,
    classes: Vec<String>,
    /// The id of each class in the file.
    categories: Vec<u64>,
    repair: bool,
    limits: DecodeLimits,
}

impl Coco {
    fn open(root: &Path, part: &CocoPart, config: &CocoConfig) -> Result<Self, DataError> {
        let path = root.join(&part.annotations);
        if !path.is_file() {
            let hint = "the recipe's `annotations` names it".to_string();
            return Err(DataError::Missing { path, hint });
        }
        let shown = path.display().to_string();
        let wrong = |reason: String| DataError::unreadable(shown.clone(), reason);
        let bytes = std::fs::read(&path).map_err(|error| DataError::io(&path, "read", error))?;
        let mut file: File = serde_json::from_slice(&bytes).map_err(|error| {
            DataError::unreadable(
                format!("{shown}:{}:{}", error.line(), error.column()),
                error.to_string(),
            )
        })?;
        file.categories.sort_by_key(|category| category.id);
        if let Some(twice) = file
            .categories
            .windows(2)
            .find(|pair| pair[0].id == pair[1].id)
        {
            return Err(wrong(format!(
                "/categories: the id {} occurs twice",
                twice[0].id
            )));
        }
        if file.categories.is_empty() {
            return Err(wrong("/categories: there is none".into()));
        }
        let categories: Vec<u64> = file.categories.iter().map(|category| category.id).collect();
        let classes: HashMap<u64, usize> = categories
            .iter()
            .enumerate()
            .map(|(i, id)| (*id, i))
            .collect();
        let mut places = HashMap::new();
        let mut entries = Vec::with_capacity(file.images.len());
        for (i, image) in file.images.into_iter().enumerate() {
            if places.insert(image.id, i).is_some() {
                return Err(wrong(format!(
                    "/images/{i}: the id {} occurs twice",
                    image.id
                )));
            }
            let file = PathBuf::from(&image.file_name);
            let inside =
                |part: std::path::Component| matches!(part, std::path::Component::Normal(_));
            if image.file_name.is_empty() || !file.components().all(inside) {
                return Err(wrong(format!(
                    "/images/{i}: the file `{}` leaves the folder",
                    image.file_name
                )));
            }
            entries.push(Entry {
                id: image.id,
                file,
                objects: Vec::new(),
            });
        }
        if entries.is_empty() {
            return Err(wrong("/images: there is none".into()));
        }
        let mut ids = HashSet::new();
        for (number, annotation) in file.annotations.into_iter().enumerate() {
            let wrong = |reason: String| wrong(format!("/annotations/{number}: {reason}"));
            if let Some(id) = annotation.id.filter(|id| !ids.insert(*id)) {
                return Err(wrong(format!("the id {id} occurs twice")));
            }
            let place = places.get(&annotation.image_id);
            let place = *place
                .ok_or_else(|| wrong(format!("there is no image {}", annotation.image_id)))?;
            let class = classes.get(&annotation.category_id);
            let class = *class
                .ok_or_else(|| wrong(format!("there is no category {}", annotation.category_id)))?;
            let [x, y, w, h] = annotation.bbox[..] else {
                return Err(wrong(format!(
                    "a box of {} numbers, not 4",
                    annotation.bbox.len()
                )));
            };
            entries[place].objects.push(Object {
                number,
                class,
                xyxy: [x, y, x + w, y + h],
                crowd: matches!(annotation.iscrowd, Flag::Number(1..) | Flag::Bool(true)),
                cover: cover(annotation.area, w * h),
            });
        }
        Ok(Self {
            root: root.to_path_buf(),
            annotations: part.annotations.clone(),
            images: part.images.clone(),
            entries,
            classes: file
                .categories
                .into_iter()
                .map(|category| category.name)
                .collect(),
            categories,
            repair: config.faulty_boxes == FaultyBoxes::Repair,
            limits: config.limits,
        })
    }

    fn boxes(&self, entry: &Entry, size: [usize; 2]) -> Result<Vec<BoxLabel>, DataError> {
        let mut boxes = Vec::with_capacity(entry.objects.len());
        for object in &entry.objects {
            if let Some(reason) = fault(object.xyxy, size).filter(|_| !self.repair) {
                let origin = format!(
                    "{}: /annotations/{}",
                    self.annotations.display(),
                    object.number
                );
                let [x1, y1, x2, y2] = object.xyxy;
                let shown = format!("[{x1}, {y1}, {}, {}]", x2 - x1, y2 - y1);
                let name = &self.classes[object.class];
                return Err(DataError::unreadable(
                    origin,
                    format!("`{name}` {shown}: {reason}"),
                ));
            }
            if let Some(xyxy) = clipped(object.xyxy, size) {
                boxes.push(BoxLabel {
                    xyxy,
                    class: object.class,
                    crowd: object.crowd,
                    difficult: false,
                    cover: object.cover,
                });
            }
        }
        Ok(boxes)
    }
}

/// The share of a box of `of` pixels that an object of `area` pixels covers; all of it where that is not known.
fn cover(area: Option<f64>, of: f64) -> f32 {
    let share = area.map_or(1.0, |area| area / of);
    if share.is_finite() && share >= 0.0 {
        share as f32
    } else {
        1.0
    }
}

impl Source for Coco {
    fn len(&self) -> usize {
        self.entries.len()
    }

    fn read(&self, index: usize) -> Result<Sample, DataError> {
        let entry = self.entries.get(index).ok_or_else(|| {
            out_of_range(
                index,
                self.entries.len(),
                self.annotations.display().to_string(),
            )
        })?;
        let path = self.root.join(&self.images).join(&entry.file);
        if !path.is_file() {
            let hint = format!("{} names it", self.annotations.display());
            return Err(DataError::Missing { path, hint });
        }
        let image = decode::decode_file(&path, &self.limits)?;
        let label = Label::Boxes(self.boxes(entry, [image.width, image.height])?);
        Ok(Sample { image, label })
    }

    fn origin(&self, index: usize) -> String {
        let path = |entry: &Entry| self.images.join(&entry.file).display().to_string();
        self.entries.get(index).map_or_else(String::new, path)
    }

    fn classes(&self) -> &[String] {
        &self.classes
    }

    fn identity(&self, index: usize) -> Vec<u8> {
        self.entries.get(index).map_or_else(Vec::new, |entry| {
            let objects = entry
                .objects
                .iter()
                .map(|o| format!(" {} {:?} {}", o.class, o.xyxy, o.crowd));
            format!(
                "{} {}{}",
                entry.id,
                entry.file.display(),
                objects.collect::<String>()
            )
            .into_bytes()
        })
    }

    fn number(&self, index: usize) -> u64 {
        self.entries.get(index).map_or(0, |entry| entry.id)
    }

    fn class_number(&self, class: usize) -> u64 {
        self.categories.get(class).copied().unwrap_or(0)
    }

    fn remarks(&self) -> Vec<Remark> {
        let empty = self
            .entries
            .iter()
            .filter(|entry| entry.objects.is_empty())
            .count();
        let mut remarks = Vec::new();
        if empty > 0 {
            let message =
                format!("{empty} images without annotations: taken for images without objects");
            remarks.push(Remark::new(self.annotations.display().to_string(), message));
        }
        let objects = self.entries.iter().flat_map(|entry| &entry.objects);
        // Without the images: boxes that leave them are found by the scan.
        let faults = objects.filter_map(|object| {
            let reason = fault(object.xyxy, [usize::MAX, usize::MAX])?;
            let origin = format!(
                "{}: /annotations/{}",
                self.annotations.display(),
                object.number
            );
            Some(Remark::new(origin, format!("{reason}; repaired")))
        });
        if self.repair {
            remarks.extend(faults);
        }
        remarks
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: &str = r#"{"images": [{"id": 9, "file_name": "a.png"}, {"id": 4, "file_name": "b.png"}],
        "categories": [{"id": 7, "name": "dog"}, {"id": 3, "name": "cat"}],
        "annotations": [{"id": 1, "image_id": 9, "category_id": 7, "bbox": [1, 2, 3.5, 4], "iscrowd": 1, "area": 3.5},
                        {"id": 2, "image_id": 9, "category_id": 3, "bbox": [0, 0, 20, 10]}]}"#;

    fn dataset(text: &str) -> (tempfile::TempDir, CocoConfig) {
        let folder = tempfile::tempdir().unwrap();
        let image = image::RgbImage::from_pixel(20, 10, image::Rgb([9; 3]));
        for name in ["a.png", "b.png"] {
            image.save(folder.path().join(name)).unwrap();
        }
        std::fs::write(folder.path().join("truth.json"), text).unwrap();
        let part = CocoPart {
            annotations: "truth.json".into(),
            images: "".into(),
        };
        let config = CocoConfig {
            path: folder.path().into(),
            train: part,
            validation: None,
            test: None,
            faulty_boxes: FaultyBoxes::Refuse,
            limits: DecodeLimits::default(),
        };
        (folder, config)
    }

    #[test]
    fn gaps_crowds_and_empty_images_are_read() {
        let (_folder, config) = dataset(GOOD);
        let source = config.open(Path::new("")).unwrap().train;
        assert_eq!(source.classes(), ["cat", "dog"]);
        assert_eq!(
            (source.class_number(1), source.number(0), source.number(1)),
            (7, 9, 4)
        );
        let Label::Boxes(boxes) = source.read(0).unwrap().label else {
            panic!()
        };
        assert_eq!(
            (boxes[0].xyxy, boxes[0].class, boxes[0].crowd),
            ([1.0, 2.0, 4.5, 6.0], 1, true)
        );
        assert_eq!((boxes[1].class, boxes[1].crowd), (0, false));
        assert_eq!((boxes[0].cover, boxes[1].cover), (0.25, 1.0));
        assert_eq!(source.read(1).unwrap().label, Label::Boxes(vec![]));
        assert!(
            source.remarks()[0]
                .message
                .starts_with("1 images without annotations")
        );
    }

    #[test]
    fn contradictions_are_named_by_pointer() {
        let cases = [
            (
                GOOD.replace("\"id\": 4", "\"id\": 9"),
                "/images/1: the id 9 occurs twice",
            ),
            (
                GOOD.replace("\"id\": 3", "\"id\": 7"),
                "/categories: the id 7 occurs twice",
            ),
            (
                GOOD.replace("{\"id\": 2", "{\"id\": 1"),
                "/annotations/1: the id 1 occurs twice",
            ),
            (
                GOOD.replace(
                    "\"image_id\": 9, \"category_id\": 3",
                    "\"image_id\": 8, \"category_id\": 3",
                ),
                "/annotations/1: there is no image 8",
            ),
            (
                GOOD.replace("\"category_id\": 3", "\"category_id\": 5"),
                "/annotations/1: there is no category 5",
            ),
            (
                GOOD.replace("[0, 0, 20, 10]", "[0, 0, 20]"),
                "/annotations/1: a box of 3 numbers",
            ),
            (
                GOOD.replace("\"a.png\"", "\"../a.png\""),
                "/images/0: the file `../a.png` leaves the folder",
            ),
            (GOOD.replace("20, 10]", "NaN, 10]"), "truth.json:4:"),
            (GOOD[..100].to_string(), "EOF while parsing"),
        ];
        for (text, message) in cases {
            let (_folder, config) = dataset(&text);
            let error = config.open(Path::new("")).err().expect(message).to_string();
            assert!(error.contains(message), "{error}");
        }
    }

    #[test]
    fn faulty_boxes_are_bad_samples_or_repaired() {
        for (bbox, message, left) in [
            ("[3, 3, 0, 4]", "has no area", 1),
            ("[3, 3, -2, 4]", "is inverted", 1),
            ("[15, 3, 9, 4]", "leaves the image of 20x10", 2),
        ] {
            let (_folder, mut config) = dataset(&GOOD.replace("[0, 0, 20, 10]", bbox));
            let error = config
                .open(Path::new(""))
                .unwrap()
                .train
                .read(0)
                .unwrap_err();
            assert!(error.is_bad_sample());
            let text = error.to_string();
            assert!(
                text.starts_with("truth.json: /annotations/1: `cat` [") && text.contains(message),
                "{text}"
            );
            config.faulty_boxes = FaultyBoxes::Repair;
            let Label::Boxes(boxes) = config
                .open(Path::new(""))
                .unwrap()
                .train
                .read(0)
                .unwrap()
                .label
            else {
                panic!()
            };
            assert_eq!(boxes.len(), left);
        }
        let (folder, config) = dataset(GOOD);
        std::fs::remove_file(folder.path().join("a.png")).unwrap();
        let error = config
            .open(Path::new(""))
            .unwrap()
            .train
            .read(0)
            .unwrap_err();
        assert!(matches!(error, DataError::Missing { .. }));
    }
}
