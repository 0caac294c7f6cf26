//! COCO's instances rendered to class masks: each pixel has the class of the object that covers it.
//!
//! Background is class 0, the categories follow in the order of their ids, or of `classes` where it is given. Pixels
//! that two objects cover, and those of crowds, do not count, as in torchvision's segmentation reference. A polygon
//! covers the pixels whose centres lie inside it (even-odd), which differs from COCO's own tool by pixels along the
//! edge.
//!
//! ```
//! use firesight_data::datasets::coco_masks::{CocoMasksConfig, CocoMasksPart};
//! use firesight_data::mosaic::write_png;
//! use firesight_data::{Image, Label};
//!
//! let folder = tempfile::tempdir()?;
//! let image = Image { width: 4, height: 2, channels: 1, pixels: vec![0; 8] };
//! write_png(&image, &folder.path().join("a.png"))?;
//! let truth = r#"{"images": [{"id": 7, "file_name": "a.png", "width": 4, "height": 2}],
//!     "categories": [{"id": 2, "name": "cat"}],
//!     "annotations": [{"image_id": 7, "category_id": 2, "segmentation": [[0, 0, 2, 0, 2, 2, 0, 2]]}]}"#;
//! std::fs::write(folder.path().join("truth.json"), truth)?;
//! let train = CocoMasksPart { images: "".into(), annotations: "truth.json".into() };
//! let train = CocoMasksConfig { train, ..Default::default() }.open(folder.path())?.train;
//! assert_eq!(train.classes(), ["background", "cat"]);
//! let Label::Mask(mask) = train.read(0)?.label else { unreachable!() };
//! assert_eq!(mask.classes, [1, 1, 0, 0, 1, 1, 0, 0]);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::decode::{self, DecodeLimits};
use crate::error::DataError;
use crate::sample::{Label, Mask, Sample};
use crate::source::{Source, Splits, out_of_range};

/// COCO instances as class masks.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, rename_all = "kebab-case", deny_unknown_fields)]
pub struct CocoMasksConfig {
    /// The training part.
    pub train: CocoMasksPart,
    /// The validation part, if there is one.
    pub validation: Option<CocoMasksPart>,
    /// The test part, if there is one.
    pub test: Option<CocoMasksPart>,
    /// The names of the categories to render, background left out; all of the training file unless given. Objects of
    /// other categories are background.
    pub classes: Vec<String>,
    /// What one image file may cost.
    pub limits: DecodeLimits,
}

/// Images and their instances.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, rename_all = "kebab-case", deny_unknown_fields)]
pub struct CocoMasksPart {
    /// The folder of the images, relative to the data root.
    pub images: PathBuf,
    /// The file of the instances, relative to the data root.
    pub annotations: PathBuf,
}

#[derive(Deserialize)]
struct Instances {
    images: Vec<Picture>,
    annotations: Vec<Instance>,
    categories: Vec<Category>,
}

#[derive(Deserialize)]
struct Picture {
    id: u64,
    file_name: String,
    width: usize,
    height: usize,
}

#[derive(Deserialize)]
struct Instance {
    image_id: u64,
    category_id: u64,
    segmentation: Shape,
    #[serde(default)]
    iscrowd: u8,
}

#[derive(Deserialize)]
struct Category {
    id: u64,
    name: String,
}

/// Where an object is: polygons, or lengths of runs that alternate between outside and inside, column by column.
#[derive(Deserialize)]
#[serde(untagged)]
enum Shape {
    Polygons(Vec<Vec<f64>>),
    Runs { counts: Counts, size: [usize; 2] },
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Counts {
    Plain(Vec<usize>),
    Packed(String),
}

impl CocoMasksConfig {
    /// What is wrong with the values, as pairs of a dotted key inside this table and a message.
    pub fn problems(&self) -> Vec<(String, String)> {
        let mut problems = Vec::new();
        let optional = [("validation", &self.validation), ("test", &self.test)];
        let parts = optional
            .into_iter()
            .filter_map(|(key, part)| Some((key, part.as_ref()?)));
        for (key, part) in std::iter::once(("train", &self.train)).chain(parts) {
            if part.images.as_os_str().is_empty() {
                let message = "give the folder that the images lie in";
                problems.push((format!("{key}.images"), message.into()));
            }
            if part.annotations.as_os_str().is_empty() {
                let message = "give the file of the instances";
                problems.push((format!("{key}.annotations"), message.into()));
            }
        }
        if self.classes.len() > 254 {
            let message = "a mask of 8 bits holds at most 254 classes beside background";
            problems.push(("classes".into(), message.into()));
        }
        problems
    }

    /// Reads the files of the instances; no image is opened.
    ///
    /// # Errors
    /// A file that is missing or not in COCO's format, a category that is not in the file.
    pub fn open(&self, data_root: &Path) -> Result<Splits, DataError> {
        let mut classes = self.classes.clone();
        let train = self.part(data_root, &self.train, &mut classes)?;
        let mut optional = |part: &Option<CocoMasksPart>| {
            let part = part.as_ref();
            part.map(|part| self.part(data_root, part, &mut classes))
                .transpose()
        };
        Ok(Splits {
            validation: optional(&self.validation)?,
            test: optional(&self.test)?,
            train,
        })
    }

    fn part(
        &self,
        data_root: &Path,
        part: &CocoMasksPart,
        classes: &mut Vec<String>,
    ) -> Result<Arc<dyn Source>, DataError> {
        let path = data_root.join(&part.annotations);
        let origin = path.display().to_string();
        let bytes = std::fs::read(&path).map_err(|error| match error.kind() {
            std::io::ErrorKind::NotFound => DataError::Missing {
                path: path.clone(),
                hint: "expected a file of instances in COCO's format".into(),
            },
            _ => DataError::io(&path, "read", error),
        })?;
        let mut file: Instances = serde_json::from_slice(&bytes).map_err(|error| {
            DataError::unreadable(&*origin, format!("not COCO's instances: {error}"))
        })?;
        file.categories.sort_by_key(|category| category.id);
        if classes.is_empty() {
            *classes = file.categories.iter().map(|c| c.name.clone()).collect();
        }
        if classes.is_empty() || classes.len() > 254 {
            let reason = format!("{} categories; name 1 to 254 in `classes`", classes.len());
            return Err(DataError::unreadable(origin, reason));
        }
        let mut numbers = HashMap::new();
        for (index, name) in classes.iter().enumerate() {
            let category = file
                .categories
                .iter()
                .find(|category| category.name == *name);
            let category = category.ok_or_else(|| {
                DataError::unreadable(&*origin, format!("there is no category `{name}` in it"))
            })?;
            numbers.insert(category.id, index as u8 + 1);
        }
        let mut objects: HashMap<u64, Vec<(u8, Shape)>> = HashMap::new();
        for one in file.annotations {
            if let Some(class) = numbers.get(&one.category_id) {
                let class = if one.iscrowd == 0 {
                    *class
                } else {
                    Mask::IGNORE
                };
                objects
                    .entry(one.image_id)
                    .or_default()
                    .push((class, one.segmentation));
            }
        }
        if file.images.is_empty() {
            return Err(DataError::unreadable(origin, "names no image"));
        }
        file.images.sort_by_key(|picture| picture.id);
        let named = std::iter::once("background".to_owned()).chain(classes.iter().cloned());
        Ok(Arc::new(CocoMasks {
            folder: data_root.join(&part.images),
            origin,
            classes: named.collect(),
            pictures: file
                .images
                .into_iter()
                .map(|picture| {
                    let shapes = objects.remove(&picture.id).unwrap_or_default();
                    (picture, shapes)
                })
                .collect(),
            limits: self.limits,
        }))
    }
}

/// One part.
struct CocoMasks {
    folder: PathBuf,
    origin: String,
    classes: Vec<String>,
    pictures: Vec<(Picture, Vec<(u8, Shape)>)>,
    limits: DecodeLimits,
}

impl Source for CocoMasks {
    fn len(&self) -> usize {
        self.pictures.len()
    }

    fn read(&self, index: usize) -> Result<Sample, DataError> {
        let (picture, shapes) = self
            .pictures
            .get(index)
            .ok_or_else(|| out_of_range(index, self.pictures.len(), &*self.origin))?;
        let path = self.folder.join(&picture.file_name);
        let image = decode::decode_file(&path, &self.limits)?;
        let (width, height) = (image.width, image.height);
        if (width, height) != (picture.width, picture.height) {
            return Err(DataError::unreadable(
                path.display().to_string(),
                format!(
                    "{width}x{height} pixels, {} says {}x{}",
                    self.origin, picture.width, picture.height
                ),
            ));
        }
        let mut classes = vec![0; width * height];
        for (number, (class, shape)) in shapes.iter().enumerate() {
            let covered = shape.covered(width, height).map_err(|reason| {
                let id = picture.id;
                let origin = format!("{}: object {number} of image {id}", self.origin);
                DataError::unreadable(origin, reason)
            })?;
            for (pixel, _) in classes
                .iter_mut()
                .zip(covered)
                .filter(|(_, inside)| *inside)
            {
                *pixel = if *pixel == 0 { *class } else { Mask::IGNORE };
            }
        }
        let mask = Mask {
            width,
            height,
            classes,
        };
        Ok(Sample {
            image,
            label: Label::Mask(mask),
        })
    }

    fn origin(&self, index: usize) -> String {
        let picture = self.pictures.get(index);
        picture.map_or_else(String::new, |(picture, _)| picture.file_name.clone())
    }

    fn classes(&self) -> &[String] {
        &self.classes
    }

    fn identity(&self, index: usize) -> Vec<u8> {
        let count = self
            .pictures
            .get(index)
            .map_or(0, |(_, shapes)| shapes.len());
        format!("{} {count}", self.origin(index)).into_bytes()
    }
}

impl Shape {
    /// Whether each pixel is covered, row by row.
    fn covered(&self, width: usize, height: usize) -> Result<Vec<bool>, String> {
        let mut covered = vec![false; width * height];
        match self {
            Self::Polygons(polygons) => {
                for polygon in polygons {
                    if polygon.len() < 6 || !polygon.len().is_multiple_of(2) {
                        return Err(format!("a polygon of {} numbers", polygon.len()));
                    }
                    if !polygon.iter().all(|value| value.is_finite()) {
                        return Err("a polygon with a number that is not finite".to_owned());
                    }
                    fill(polygon, width, height, &mut covered);
                }
            }
            Self::Runs { counts, size } => {
                if *size != [height, width] {
                    return Err(format!("runs for {}x{} pixels", size[1], size[0]));
                }
                let unpacked;
                let counts = match counts {
                    Counts::Plain(counts) => counts,
                    Counts::Packed(text) => {
                        unpacked = unpack(text)?;
                        &unpacked
                    }
                };
                let (mut at, mut inside) = (0usize, false);
                for count in counts {
                    let end = at.saturating_add(*count);
                    if end > covered.len() {
                        return Err("runs longer than the image".to_owned());
                    }
                    if inside {
                        (at..end).for_each(|i| covered[i % height * width + i / height] = true);
                    }
                    (at, inside) = (end, !inside);
                }
            }
        }
        Ok(covered)
    }
}

/// Marks the pixels whose centres lie inside a polygon `x y x y ..`.
fn fill(polygon: &[f64], width: usize, height: usize, covered: &mut [bool]) {
    let corners: Vec<(f64, f64)> = polygon.chunks_exact(2).map(|p| (p[0], p[1])).collect();
    let mut crossings = Vec::new();
    for (row, line) in covered.chunks_exact_mut(width).take(height).enumerate() {
        let y = row as f64 + 0.5;
        crossings.clear();
        for (i, &(x1, y1)) in corners.iter().enumerate() {
            let (x2, y2) = corners[(i + 1) % corners.len()];
            if (y1 <= y) != (y2 <= y) {
                crossings.push(x1 + (y - y1) / (y2 - y1) * (x2 - x1));
            }
        }
        crossings.sort_by(f64::total_cmp);
        for pair in crossings.chunks_exact(2) {
            // The first centre at or right of an edge; negative numbers become 0.
            let [from, to] = [pair[0], pair[1]].map(|x| ((x - 0.5).ceil() as usize).min(width));
            line[from..to].fill(true);
        }
    }
}

/// COCO's packed runs: groups of five bits from the lowest, in letters from `0` on, the sixth bit saying that more
/// follow; from the fourth on each is a difference to the one two before.
fn unpack(text: &str) -> Result<Vec<usize>, String> {
    let mut counts: Vec<i64> = Vec::new();
    let mut letters = text.bytes();
    while let Some(first) = letters.next() {
        let (mut value, mut shift, mut letter) = (0i64, 0u32, first);
        loop {
            let bits = i64::from(letter) - 48;
            if !(0..64).contains(&bits) || shift > 50 {
                return Err("runs that are not packed as COCO packs them".to_owned());
            }
            value |= (bits & 31) << shift;
            shift += 5;
            if bits & 32 == 0 {
                if bits & 16 != 0 {
                    value |= -1 << shift;
                }
                break;
            }
            letter = letters
                .next()
                .ok_or("runs that end in the middle of a number")?;
        }
        if counts.len() > 2 {
            value += counts[counts.len() - 2];
        }
        counts.push(value);
    }
    let whole = counts.into_iter().map(usize::try_from);
    whole
        .collect::<Result<_, _>>()
        .map_err(|_| "a run of negative length".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn classes_of(annotations: &str) -> Result<Vec<u8>, String> {
        let folder = tempfile::tempdir().unwrap();
        image::RgbImage::new(4, 3)
            .save(folder.path().join("a.png"))
            .unwrap();
        let text = format!(
            r#"{{"images": [{{"id": 7, "file_name": "a.png", "width": 4, "height": 3}}],
                "categories": [{{"id": 9, "name": "dog"}}, {{"id": 2, "name": "cat"}}],
                "annotations": {annotations}}}"#
        );
        std::fs::write(folder.path().join("i.json"), text).unwrap();
        let config = CocoMasksConfig {
            train: CocoMasksPart {
                images: folder.path().into(),
                annotations: folder.path().join("i.json"),
            },
            ..Default::default()
        };
        let train = config
            .open(Path::new(""))
            .map_err(|error| error.to_string())?
            .train;
        assert_eq!(train.classes(), ["background", "cat", "dog"]);
        match train.read(0).map_err(|error| error.to_string())?.label {
            Label::Mask(mask) => Ok(mask.classes),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn objects_become_classes_and_what_two_cover_does_not_count() {
        let classes = classes_of(
            r#"[{"image_id": 7, "category_id": 9, "iscrowd": 0, "segmentation": [[0, 0, 2, 0, 2, 2, 0, 2]]},
                {"image_id": 7, "category_id": 2, "segmentation": [[1, 1, 4, 1, 4, 2, 1, 2]]},
                {"image_id": 7, "category_id": 2, "iscrowd": 1,
                 "segmentation": {"counts": [2, 1, 9], "size": [3, 4]}}]"#,
        );
        assert_eq!(classes.unwrap(), [2, 2, 0, 0, 2, 255, 1, 1, 255, 0, 0, 0]);
    }

    #[test]
    fn what_is_wrong_with_an_object_names_it() {
        let fault = |shape: &str| {
            classes_of(&format!(
                r#"[{{"image_id": 7, "category_id": 2, "segmentation": {shape}}}]"#
            ))
            .unwrap_err()
        };
        let message = fault("[[0, 0, 1, 1]]");
        assert!(
            message.contains("i.json: object 0 of image 7: a polygon of 4"),
            "{message}"
        );
        let message = fault(r#"{"counts": [1, 20], "size": [3, 4]}"#);
        assert!(message.contains("runs longer than the image"), "{message}");
        let message = fault(r#"{"counts": [1], "size": [4, 3]}"#);
        assert!(message.contains("runs for 3x4 pixels"), "{message}");
        assert!(fault(r#""nothing""#).contains("not COCO's instances"));
    }

    /// The packed text is pycocotools' `mask.encode` of 10x7 pixels, those whose number is divisible by 3 or above 40.
    #[test]
    fn packed_runs_are_read_as_pycocotools_wrote_them() {
        let packed = "0120030M04OL10O41L030M04OL10O41LO4";
        let runs = [
            0, 1, 2, 1, 2, 4, 2, 1, 2, 5, 1, 1, 2, 1, 1, 5, 2, 1, 2, 4, 2, 1, 2, 5, 1, 1, 2, 1, 1,
            5, 2, 1, 1, 5,
        ];
        assert_eq!(unpack(packed).unwrap(), runs);
        assert!(unpack("o").is_err() && unpack("\u{7f}").is_err());
    }
}
