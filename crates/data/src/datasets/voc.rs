//! Pascal VOC's layout: `JPEGImages/<id>.jpg`, `Annotations/<id>.xml`, and lists of ids in `ImageSets/Main`.
//!
//! Coordinates are whole pixels that start at 1 and include the last one, so `xmin = 1, xmax = 1` is the first column;
//! here that becomes `x1 = 0, x2 = 1`. A box whose two sides are written with the same number is nevertheless taken
//! for a slip of the annotator and not for an object of one pixel: it is faulty. An id without an annotation file is a
//! valid image without objects.
//!
//! ```
//! use firesight_data::datasets::voc::VocConfig;
//! use firesight_data::mosaic::write_png;
//! use firesight_data::{Image, Label};
//!
//! let folder = tempfile::tempdir()?;
//! let root = folder.path();
//! for part in ["Annotations", "JPEGImages", "ImageSets/Main"] {
//!     std::fs::create_dir_all(root.join(part))?;
//! }
//! let annotation = "<annotation><object><name>car</name><bndbox><xmin>1</xmin><ymin>2</ymin>
//!     <xmax>8</xmax><ymax>6</ymax></bndbox></object></annotation>";
//! std::fs::write(root.join("Annotations/000007.xml"), annotation)?;
//! std::fs::write(root.join("ImageSets/Main/train.txt"), "000007\n")?;
//! let image = Image { width: 8, height: 6, channels: 1, pixels: vec![0; 48] };
//! write_png(&image, &root.join("JPEGImages/000007.png"))?;
//! let train = VocConfig::default().open(root)?.train;
//! let Label::Boxes(boxes) = train.read(0)?.label else { unreachable!() };
//! assert_eq!((boxes[0].xyxy, train.classes()[0].as_str()), ([0.0, 1.0, 8.0, 6.0], "car"));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

use std::collections::{BTreeSet, HashMap};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rayon::prelude::*;
use roxmltree::{Document, Node};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::objects::{FaultyBoxes, clipped, fault};
use crate::decode::{self, DecodeLimits, EXTENSIONS};
use crate::error::DataError;
use crate::sample::{BoxLabel, Label, Sample};
use crate::source::{Remark, Source, Splits, out_of_range};

const ANNOTATIONS: &str = "Annotations";
const IMAGES: &str = "JPEGImages";
const SETS: &str = "ImageSets/Main";

/// A folder in Pascal VOC's layout.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, rename_all = "kebab-case", deny_unknown_fields)]
pub struct VocConfig {
    /// The folder that holds `Annotations`, `JPEGImages` and `ImageSets`, relative to the data root.
    pub path: PathBuf,
    /// The list of training images: a name in `ImageSets/Main` without `.txt`.
    pub train: String,
    /// The list of validation images; none where the file is not there.
    pub validation: String,
    /// The list of test images; none where the file is not there.
    pub test: String,
    /// The class names in order; empty for those of the training annotations, sorted.
    pub classes: Vec<String>,
    /// Whether coordinates start at 1 and include the last pixel, as Pascal VOC's do.
    pub one_based: bool,
    /// What to do about boxes that cannot be true.
    pub faulty_boxes: FaultyBoxes,
    /// What one image file may cost.
    pub limits: DecodeLimits,
}

impl Default for VocConfig {
    fn default() -> Self {
        Self {
            path: PathBuf::new(),
            train: "train".into(),
            validation: "val".into(),
            test: "test".into(),
            classes: Vec::new(),
            one_based: true,
            faulty_boxes: FaultyBoxes::Refuse,
            limits: DecodeLimits::default(),
        }
    }
}

impl VocConfig {
    /// What is wrong with the values, as pairs of a dotted key inside this table and a message.
    pub fn problems(&self) -> Vec<(String, String)> {
        let mut problems = super::path_problems(&self.path, "`Annotations` and `JPEGImages`");
        let mut seen = BTreeSet::new();
        if let Some(twice) = self.classes.iter().find(|class| !seen.insert(*class)) {
            problems.push(("classes".into(), format!("`{twice}` is given twice")));
        }
        problems
    }

    /// Reads the lists and all annotations; no image is opened.
    ///
    /// # Errors
    /// A missing folder or list, an id that is in a list twice, annotations without a single class.
    pub fn open(&self, data_root: &Path) -> Result<Splits, DataError> {
        let root = data_root.join(&self.path);
        for folder in [IMAGES, ANNOTATIONS] {
            if !root.join(folder).is_dir() {
                let hint = format!("a Pascal VOC folder holds `{IMAGES}` and `{ANNOTATIONS}`");
                return Err(DataError::Missing {
                    path: root.join(folder),
                    hint,
                });
            }
        }
        let read = |name: &str| -> Result<Option<Vec<Entry>>, DataError> {
            let list = root.join(SETS).join(format!("{name}.txt"));
            if name.is_empty() || !list.is_file() {
                return Ok(None);
            }
            let ids = ids(&list)?;
            Ok(Some(
                ids.into_par_iter()
                    .map(|id| Entry::read(&root, id))
                    .collect(),
            ))
        };
        let train = read(&self.train)?.ok_or_else(|| DataError::Missing {
            path: root.join(SETS).join(format!("{}.txt", self.train)),
            hint: "it lists the ids of the training images, one a line; `train` names another"
                .into(),
        })?;
        let classes = match self.classes.is_empty() {
            false => self.classes.clone(),
            true => {
                let objects = train
                    .iter()
                    .flat_map(|entry| entry.objects.iter().flatten());
                objects
                    .map(|object| object.name.clone())
                    .collect::<BTreeSet<_>>()
                    .into_iter()
                    .collect()
            }
        };
        if classes.is_empty() {
            return Err(DataError::unreadable(
                root.join(ANNOTATIONS).display().to_string(),
                "none of the training images has an object, so there are no classes; name them by `classes`",
            ));
        }
        let part = |entries: Vec<Entry>| -> Arc<dyn Source> {
            Arc::new(Voc {
                numbers: classes
                    .iter()
                    .enumerate()
                    .map(|(i, name)| (name.clone(), i))
                    .collect(),
                classes: classes.clone(),
                config: self.clone(),
                root: root.clone(),
                entries,
            })
        };
        Ok(Splits {
            train: part(train),
            validation: read(&self.validation)?.map(part),
            test: read(&self.test)?.map(part),
        })
    }
}

/// The ids in a list: the first word of each line.
fn ids(list: &Path) -> Result<Vec<String>, DataError> {
    let text = std::fs::read_to_string(list).map_err(|error| DataError::io(list, "read", error))?;
    let mut seen: HashMap<&str, usize> = HashMap::new();
    let mut ids = Vec::new();
    for (number, line) in text.lines().enumerate() {
        let Some(id) = line.split_whitespace().next() else {
            continue;
        };
        let origin = || format!("{}:{}", list.display(), number + 1);
        if Path::new(id).components().count() != 1 || id == ".." {
            return Err(DataError::unreadable(
                origin(),
                format!("`{id}` is not the name of an image"),
            ));
        }
        if let Some(first) = seen.insert(id, number + 1) {
            let reason = format!("`{id}` stands in line {first} already");
            return Err(DataError::unreadable(origin(), reason));
        }
        ids.push(id.to_string());
    }
    match ids.is_empty() {
        true => Err(DataError::unreadable(
            list.display().to_string(),
            "lists no image",
        )),
        false => Ok(ids),
    }
}

/// One image and what its annotation says.
struct Entry {
    id: String,
    /// The objects, or what is wrong with the file: a line (0 for none) and a reason.
    objects: Result<Vec<Object>, (u32, String)>,
    /// Whether there is an annotation file.
    annotated: bool,
}

#[derive(Clone, Debug, PartialEq)]
struct Object {
    name: String,
    /// `xmin ymin xmax ymax` as written.
    bounds: [f64; 4],
    difficult: bool,
    /// The line of the file that it begins in.
    line: u32,
}

impl Entry {
    fn read(root: &Path, id: String) -> Entry {
        let path = root.join(ANNOTATIONS).join(format!("{id}.xml"));
        let annotated = path.exists();
        let objects = match annotated {
            false => Ok(Vec::new()),
            true => std::fs::read_to_string(&path)
                .map_err(|error| (0, format!("cannot read: {error}")))
                .and_then(|text| objects(&text)),
        };
        Entry {
            id,
            objects,
            annotated,
        }
    }
}

/// The objects of an annotation file.
fn objects(text: &str) -> Result<Vec<Object>, (u32, String)> {
    let document = Document::parse(text)
        .map_err(|error| (error.pos().row, format!("malformed XML: {error}")))?;
    let root = document.root_element();
    let line = |node: &Node| document.text_pos_at(node.range().start).row;
    if !root.has_tag_name("annotation") {
        let name = root.tag_name().name();
        return Err((
            line(&root),
            format!("the outermost element is `{name}`, not `annotation`"),
        ));
    }
    let mut found = Vec::new();
    for object in root.children().filter(|node| node.has_tag_name("object")) {
        let child = |node: &Node<'_, '_>, name: &str| -> Result<String, (u32, String)> {
            let child = node.children().find(|child| child.has_tag_name(name));
            let text = child.and_then(|child| child.text().map(|text| text.trim().to_string()));
            text.filter(|text| !text.is_empty()).ok_or_else(|| {
                (
                    line(node),
                    format!("`{}` without `{name}`", node.tag_name().name()),
                )
            })
        };
        let bounds = object.children().find(|node| node.has_tag_name("bndbox"));
        let bounds =
            bounds.ok_or_else(|| (line(&object), "an object without `bndbox`".to_string()))?;
        let number = |name: &str| -> Result<f64, (u32, String)> {
            let text = child(&bounds, name)?;
            text.parse()
                .map_err(|_| (line(&bounds), format!("`{name}` is `{text}`, not a number")))
        };
        found.push(Object {
            name: child(&object, "name")?,
            bounds: [
                number("xmin")?,
                number("ymin")?,
                number("xmax")?,
                number("ymax")?,
            ],
            difficult: child(&object, "difficult").is_ok_and(|text| text != "0"),
            line: line(&object),
        });
    }
    Ok(found)
}

/// One split of a Pascal VOC folder.
struct Voc {
    root: PathBuf,
    config: VocConfig,
    entries: Vec<Entry>,
    classes: Vec<String>,
    /// The index of each class.
    numbers: HashMap<String, usize>,
}

impl Voc {
    fn image(&self, id: &str) -> Result<PathBuf, DataError> {
        let folder = self.root.join(IMAGES);
        let upper = ["JPG", "JPEG", "PNG"];
        let mut endings = EXTENSIONS.iter().copied().chain(upper);
        endings
            .find_map(|ending| {
                let path = folder.join(format!("{id}.{ending}"));
                path.is_file().then_some(path)
            })
            .ok_or_else(|| DataError::Missing {
                path: folder.join(format!("{id}.jpg")),
                hint: "an image list names it".into(),
            })
    }

    /// `Annotations/<id>.xml:line`
    fn place(&self, id: &str, line: u32) -> String {
        match line {
            0 => format!("{ANNOTATIONS}/{id}.xml"),
            _ => format!("{ANNOTATIONS}/{id}.xml:{line}"),
        }
    }

    /// The box of an object in pixels from 0, and what is wrong with it in an image of that size.
    fn place_box(&self, object: &Object, size: [usize; 2]) -> ([f64; 4], Option<String>) {
        let [x1, y1, x2, y2] = object.bounds;
        // Judged as written: with the last pixel included, a box of two equal sides would look like one pixel.
        let written = (x1 >= x2 || y1 >= y2)
            .then(|| fault(object.bounds, size))
            .flatten();
        let shift = if self.config.one_based { 1.0 } else { 0.0 };
        let xyxy = [x1 - shift, y1 - shift, x2, y2];
        let found = written.or_else(|| fault(xyxy, size));
        let number = |v: f64| v.to_string();
        let shown = object.bounds.map(number).join(", ");
        (
            xyxy,
            found.map(|reason| format!("`{}` [{shown}]: {reason}", object.name)),
        )
    }

    fn boxes(&self, entry: &Entry, size: [usize; 2]) -> Result<Vec<BoxLabel>, DataError> {
        let bad = |line, reason: String| DataError::unreadable(self.place(&entry.id, line), reason);
        let objects = match &entry.objects {
            Ok(objects) => objects,
            Err((line, reason)) => return Err(bad(*line, reason.clone())),
        };
        let mut boxes = Vec::with_capacity(objects.len());
        for object in objects {
            let class = *self.numbers.get(&object.name).ok_or_else(|| {
                let known = self.classes.join(", ");
                bad(
                    object.line,
                    format!("`{}` is none of the classes {known}", object.name),
                )
            })?;
            let (xyxy, fault) = self.place_box(object, size);
            let degenerate =
                object.bounds[0] >= object.bounds[2] || object.bounds[1] >= object.bounds[3];
            match (fault, self.config.faulty_boxes) {
                (Some(reason), FaultyBoxes::Refuse) => return Err(bad(object.line, reason)),
                (Some(_), FaultyBoxes::Repair) if degenerate => continue,
                _ => {}
            }
            if let Some(xyxy) = clipped(xyxy, size) {
                boxes.push(BoxLabel {
                    xyxy,
                    class,
                    crowd: false,
                    difficult: object.difficult,
                    cover: 1.0,
                });
            }
        }
        Ok(boxes)
    }
}

impl Source for Voc {
    fn len(&self) -> usize {
        self.entries.len()
    }

    fn read(&self, index: usize) -> Result<Sample, DataError> {
        let entry = self.entries.get(index).ok_or_else(|| {
            out_of_range(index, self.entries.len(), self.root.display().to_string())
        })?;
        let image = decode::decode_file(&self.image(&entry.id)?, &self.config.limits)?;
        let label = Label::Boxes(self.boxes(entry, [image.width, image.height])?);
        Ok(Sample { image, label })
    }

    fn origin(&self, index: usize) -> String {
        self.entries
            .get(index)
            .map_or_else(String::new, |entry| match self.image(&entry.id) {
                Ok(path) => {
                    let name = path
                        .file_name()
                        .unwrap_or_default()
                        .to_string_lossy()
                        .into_owned();
                    format!("{IMAGES}/{name}")
                }
                Err(_) => format!("{IMAGES}/{}", entry.id),
            })
    }

    fn classes(&self) -> &[String] {
        &self.classes
    }

    fn identity(&self, index: usize) -> Vec<u8> {
        self.entries.get(index).map_or_else(Vec::new, |entry| {
            format!("{} {:?}", entry.id, entry.objects).into_bytes()
        })
    }

    fn remarks(&self) -> Vec<Remark> {
        let mut remarks = Vec::new();
        for entry in &self.entries {
            let objects = match (&entry.objects, entry.annotated) {
                (_, false) => {
                    remarks.push(Remark::new(
                        format!("{IMAGES}/{}", entry.id),
                        "no annotation: taken for an image without objects",
                    ));
                    continue;
                }
                (Err(_), _) => continue,
                (Ok(objects), _) => objects,
            };
            if self.config.faulty_boxes == FaultyBoxes::Refuse {
                continue;
            }
            // Without the image: boxes that leave it are found by the scan.
            for object in objects {
                let (_, fault) = self.place_box(object, [usize::MAX, usize::MAX]);
                if let Some(reason) = fault {
                    let reason = format!("{reason}; repaired");
                    remarks.push(Remark::new(self.place(&entry.id, object.line), reason));
                }
            }
        }
        remarks
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn object(name: &str, bounds: [&str; 4], more: &str) -> String {
        let [x1, y1, x2, y2] = bounds;
        format!(
            "<object><name>{name}</name>{more}<bndbox><xmin>{x1}</xmin><ymin>{y1}</ymin><xmax>{x2}</xmax>\
             <ymax>{y2}</ymax></bndbox></object>"
        )
    }

    /// A dataset of images of 20x10 pixels; each entry an id and the objects of its annotation, `None` for none.
    fn dataset(entries: &[(&str, Option<&str>)]) -> tempfile::TempDir {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path();
        for part in [ANNOTATIONS, IMAGES, SETS] {
            std::fs::create_dir_all(root.join(part)).unwrap();
        }
        let mut list = String::new();
        for (id, objects) in entries {
            image::RgbImage::from_pixel(20, 10, image::Rgb([9; 3]))
                .save(root.join(IMAGES).join(format!("{id}.png")))
                .unwrap();
            if let Some(objects) = objects {
                let text = format!("<annotation>\n{objects}\n</annotation>");
                std::fs::write(root.join(ANNOTATIONS).join(format!("{id}.xml")), text).unwrap();
            }
            list += &format!("{id}  1\n");
        }
        std::fs::write(root.join(SETS).join("train.txt"), list).unwrap();
        folder
    }

    fn open(folder: &tempfile::TempDir, change: impl FnOnce(&mut VocConfig)) -> Arc<dyn Source> {
        let mut config = VocConfig {
            path: folder.path().into(),
            ..Default::default()
        };
        change(&mut config);
        config.open(Path::new("")).unwrap().train
    }

    #[test]
    fn coordinates_start_at_one_and_difficult_is_kept() {
        let objects = object("cell", ["1", "2", "20", "10"], "<difficult>1</difficult>")
            + &object("ball", ["3.0", "4", "5", "6"], "<difficult>0</difficult>");
        let folder = dataset(&[("a", Some(&objects)), ("empty", None)]);
        let source = open(&folder, |_| {});
        assert_eq!(source.classes(), ["ball", "cell"]);
        let Label::Boxes(boxes) = source.read(0).unwrap().label else {
            panic!()
        };
        assert_eq!(boxes[0].xyxy, [0.0, 1.0, 20.0, 10.0]);
        assert_eq!(
            (boxes[0].class, boxes[0].difficult, boxes[1].difficult),
            (1, true, false)
        );
        assert_eq!(boxes[1].xyxy, [2.0, 3.0, 5.0, 6.0]);
        assert_eq!(source.read(1).unwrap().label, Label::Boxes(vec![]));
        assert!(source.remarks()[0].message.contains("no annotation"));
        let zero = open(&folder, |config| config.one_based = false);
        let Label::Boxes(boxes) = zero.read(0).unwrap().label else {
            panic!()
        };
        assert_eq!(boxes[1].xyxy, [3.0, 4.0, 5.0, 6.0]);
    }

    #[test]
    fn faulty_boxes_are_named_with_file_and_line_or_repaired() {
        let good = object("cell", ["1", "1", "4", "4"], "");
        let cases = [
            (["5", "5", "5", "5"], "has no area", 1),
            (["9", "1", "5", "5"], "is inverted", 1),
            (["5", "1", "40", "5"], "leaves the image of 20x10 pixels", 2),
            (["nan", "1", "4", "5"], "not a finite number", 1),
        ];
        for (bounds, message, left) in cases {
            let objects = format!("{good}\n{}", object("cell", bounds, ""));
            let folder = dataset(&[("a", Some(&objects))]);
            let error = open(&folder, |_| {}).read(0).unwrap_err();
            assert!(error.is_bad_sample());
            let text = error.to_string();
            assert!(
                text.starts_with("Annotations/a.xml:3: `cell` [") && text.contains(message),
                "{text}"
            );
            let repaired = open(&folder, |config| config.faulty_boxes = FaultyBoxes::Repair);
            let Label::Boxes(boxes) = repaired.read(0).unwrap().label else {
                panic!()
            };
            assert_eq!(boxes.len(), left, "{message}");
        }
    }

    #[test]
    fn bad_files_are_bad_samples() {
        let cases = [
            ("<object>", "malformed XML"),
            (
                "<object><name>cell</name></object>",
                "an object without `bndbox`",
            ),
            (
                "<object><name>cell</name><bndbox></bndbox></object>",
                "without `xmin`",
            ),
            ("<object><bndbox></bndbox></object>", "without `name`"),
            (
                &object("cell", ["one", "1", "2", "2"], ""),
                "`xmin` is `one`",
            ),
            (
                &object("dog", ["1", "1", "2", "2"], ""),
                "`dog` is none of the classes cell",
            ),
        ];
        for (objects, message) in cases {
            let folder = dataset(&[("a", Some(objects))]);
            let source = open(&folder, |config| config.classes = vec!["cell".into()]);
            let error = source.read(0).unwrap_err();
            assert!(
                error.is_bad_sample() && error.to_string().contains(message),
                "{error}"
            );
            assert!(
                error.to_string().starts_with("Annotations/a.xml"),
                "{error}"
            );
        }
        let folder = dataset(&[("a", None)]);
        std::fs::remove_file(folder.path().join(IMAGES).join("a.png")).unwrap();
        let source = open(&folder, |config| config.classes = vec!["cell".into()]);
        assert!(matches!(source.read(0), Err(DataError::Missing { .. })));
        std::fs::write(folder.path().join(SETS).join("train.txt"), "a\nb\na\n").unwrap();
        let config = VocConfig {
            path: folder.path().into(),
            ..Default::default()
        };
        let error = config.open(Path::new("")).err().unwrap().to_string();
        assert!(
            error.contains("train.txt:3: `a` stands in line 1 already"),
            "{error}"
        );
    }
}
