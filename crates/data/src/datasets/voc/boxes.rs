//! Boxes from Pascal VOC's XML.
//!
//! Coordinates are whole pixels that start at 1 and include the last one, so `xmin = 1, xmax = 1` is the first column;
//! here that becomes `x1 = 0, x2 = 1`. A name without an annotation file is a valid image without objects.

use std::collections::{BTreeSet, HashMap};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rayon::prelude::*;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::super::objects::{
    Faulty, Tally, clipped, impossible, inspect_stated, leaves, placed, shown, together,
};
use super::super::problems::{path_problems, same_but_for_case};
use super::layout::{Layout, List, Listed};
use super::xml::{Annotation, Fault, Reading};
use super::{ANNOTATIONS, IMAGES};
use crate::decode::turn::Turn;
use crate::decode::{self, Decoding};
use crate::error::DataError;
use crate::sample::Sample;
use crate::source::{Remark, Source, Splits, out_of_range};
use crate::target::{BoxLabel, Target};

const SETS: &str = "ImageSets/Main";

/// A folder in Pascal VOC's layout.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, rename_all = "kebab-case", deny_unknown_fields)]
pub struct VocConfig {
    /// The folder that holds `Annotations`, `JPEGImages` and `ImageSets`, relative to the data root.
    pub path: PathBuf,
    /// The list of training images: a name in `ImageSets/Main` without `.txt`.
    pub train: String,
    /// The list of validation images; none where it is empty, or `val` and not there.
    pub validation: String,
    /// The list of test images; none where it is empty, or `test` and not there.
    pub test: String,
    /// The class names in order; empty for those of the training annotations, sorted.
    pub classes: Vec<String>,
    /// Whether coordinates start at 1 and include the last pixel, as Pascal VOC's do.
    pub one_based: bool,
    /// What to do about objects that cannot be true or are not understood. `faulty-boxes` is an older name of this key.
    #[serde(alias = "faulty-boxes")]
    pub faulty: Faulty,
    /// How image files are read, and what one may cost.
    #[serde(alias = "limits")]
    pub decode: Decoding,
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
            faulty: Faulty::Refuse,
            decode: Decoding::default(),
        }
    }
}

impl VocConfig {
    /// How its image files are read.
    pub(in crate::datasets) fn decoding(&self) -> Decoding {
        self.decode
    }

    /// What is wrong with the values, as pairs of a dotted key inside this table and a message.
    pub fn problems(&self) -> Vec<(String, String)> {
        let mut problems = path_problems(&self.path, "`Annotations` and `JPEGImages`");
        let mut seen = BTreeSet::new();
        if let Some(twice) = self.classes.iter().find(|class| !seen.insert(*class)) {
            problems.push(("classes".into(), format!("`{twice}` is given twice")));
        }
        problems
    }

    /// Reads the lists and all annotations; no image is opened.
    ///
    /// # Errors
    /// A missing folder or list, a picture that is in a list twice, annotations without a single class.
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
        let layout = Arc::new(Layout::open(&root)?);
        let read = |list: List| -> (Vec<Entry>, Vec<Remark>) {
            let lines = list.lines.into_par_iter();
            let entries = lines.map(|listed| Entry::read(&root, listed)).collect();
            (entries, list.remarks)
        };
        let needed = "the training images; `train` names another list";
        let train = layout.list(SETS, &self.train, "", Some(needed))?;
        let mut train = read(train.unwrap_or_default());
        let classes = match self.classes.is_empty() {
            false => self.classes.clone(),
            true => {
                let names = train.0.iter().flat_map(|entry| &entry.annotation.objects);
                let names: BTreeSet<String> =
                    names.filter_map(|object| object.name.clone()).collect();
                names.into_iter().collect()
            }
        };
        if classes.is_empty() {
            return Err(no_classes(&root, &train.0));
        }
        for (class, other) in same_but_for_case(&classes) {
            let of_class = |entry: &Entry| {
                let mut objects = entry.annotation.objects.iter();
                let object = objects.find(|object| object.name.as_ref() == Some(class))?;
                Some(entry.place(object.line))
            };
            let place = train.0.iter().find_map(of_class);
            let message = format!("the class `{class}` differs from `{other}` in case alone");
            let place = place.unwrap_or_else(|| shown(&root.join(ANNOTATIONS)));
            train.1.push(Remark::new(place, message));
        }
        let part =
            |(entries, remarks): (Vec<Entry>, Vec<Remark>)| -> Result<Arc<dyn Source>, DataError> {
                let voc = Voc {
                    numbers: classes
                        .iter()
                        .enumerate()
                        .map(|(i, name)| (name.clone(), i))
                        .collect(),
                    classes: classes.clone(),
                    config: self.clone(),
                    layout: Arc::clone(&layout),
                    pictures: Vec::new(),
                    remarks,
                };
                voc.with(entries).map(|voc| Arc::new(voc) as _)
            };
        let optional = |name: &str, usual: &str| -> Result<Option<Arc<dyn Source>>, DataError> {
            let list = layout.list(SETS, name, usual, None)?;
            list.map(|list| part(read(list))).transpose()
        };
        let train = part(train)?;
        Ok(Splits {
            validation: optional(&self.validation, "val")?,
            test: optional(&self.test, "test")?,
            train,
        })
    }
}

/// Why no class is known: the fault that all annotations have, if they have one.
fn no_classes(root: &Path, entries: &[Entry]) -> DataError {
    let count = entries.len();
    let faulty = |entry: &&Entry| entry.faults().next().is_some();
    let faults = entries.iter().filter(faulty).count();
    if let Some(entry) = entries.iter().find(faulty)
        && let Some(Fault { line, reason }) = entry.faults().next()
    {
        let reason = format!(
            "{reason}; so no class is known: {faults} of the {count} training images have a faulty annotation"
        );
        return DataError::unreadable(entry.place(*line), reason);
    }
    match entries.first() {
        Some(entry) if entries.iter().all(|entry| !entry.annotated) => DataError::unreadable(
            &*entry.listed.place,
            format!(
                "no annotation `{}`; none of the training images ({count}) has one, so no class is known",
                entry.file_name()
            ),
        ),
        _ => DataError::unreadable(
            root.join(ANNOTATIONS).display().to_string(),
            "none of the training images has an object, so there are no classes; name them by `classes`",
        ),
    }
}

/// One picture of a list and what its annotation says.
struct Entry {
    listed: Listed,
    /// Its annotation file.
    path: PathBuf,
    annotation: Annotation,
    /// Whether there is an annotation file.
    annotated: bool,
}

impl Entry {
    fn read(root: &Path, listed: Listed) -> Self {
        let path = root.join(ANNOTATIONS).join(format!("{}.xml", listed.name));
        let annotated = path.exists();
        let annotation = match annotated.then(|| std::fs::read(&path)) {
            None => Annotation::default(),
            Some(Ok(bytes)) => Annotation::parse(&bytes),
            Some(Err(error)) => Annotation::unread(&error),
        };
        Self {
            listed,
            path,
            annotation,
            annotated,
        }
    }

    fn faults(&self) -> impl Iterator<Item = &Fault> {
        let objects = self.annotation.objects.iter();
        let objects = objects.flat_map(|object| &object.faults);
        self.annotation.faults.iter().chain(objects)
    }

    /// The annotation file in the dataset's folder, for messages.
    fn file_name(&self) -> String {
        format!("{ANNOTATIONS}/{}.xml", self.listed.name)
    }

    /// The annotation file with a line.
    fn place(&self, line: u32) -> String {
        place(&self.path, line)
    }

    /// Whether `filename` is the name of the picture, with or without its ending and folder.
    fn is_named(&self, filename: &str) -> bool {
        let last = |name: &str| {
            name.rsplit(['/', '\\'])
                .next()
                .unwrap_or_default()
                .to_owned()
        };
        let bare = |name: &str| match name.rsplit_once('.') {
            Some((stem, _)) => stem.to_owned(),
            None => name.to_owned(),
        };
        let (said, name) = (last(filename), last(&self.listed.name));
        said == name || bare(&said) == name
    }
}

fn place(path: &Path, line: u32) -> String {
    match line {
        0 => shown(path),
        _ => format!("{}:{line}", shown(path)),
    }
}

/// A picture with the objects that can be used.
struct Picture {
    name: String,
    /// Relative to the folder of the pictures; or why there is none.
    file: Result<String, Remark>,
    /// The annotation file.
    path: PathBuf,
    stated: Option<[usize; 2]>,
    objects: Vec<Object>,
    /// What makes it a bad sample, apart from the picture itself.
    faults: Vec<Remark>,
}

/// An object as far as it is known.
struct Object {
    class: usize,
    /// `xmin ymin xmax ymax` as written.
    bounds: [f64; 4],
    difficult: bool,
    /// The line of the file that it begins in.
    line: u32,
}

/// One split of a Pascal VOC folder.
struct Voc {
    config: VocConfig,
    layout: Arc<Layout>,
    pictures: Vec<Picture>,
    classes: Vec<String>,
    /// The index of each class.
    numbers: HashMap<String, usize>,
    remarks: Vec<Remark>,
}

impl Voc {
    /// With the pictures of a list.
    ///
    /// # Errors
    /// Annotations of which no object can be used, where faulty ones are left out.
    fn with(mut self, entries: Vec<Entry>) -> Result<Self, DataError> {
        let mut tally = Tally::default();
        let (mut objects, mut left_out) = (0, Vec::new());
        for entry in entries {
            if !entry.annotated {
                let message = format!(
                    "no annotation `{}`: taken for an image without objects",
                    entry.file_name()
                );
                self.remarks
                    .push(Remark::new(&*entry.listed.place, message));
            }
            for Fault { line, reason } in &entry.annotation.asides {
                tally.add(reason, || entry.place(*line));
            }
            let filename = entry.annotation.filename.as_deref();
            if let Some(filename) = filename.filter(|filename| !entry.is_named(filename)) {
                let kind = "`filename` does not name the picture that has the annotation's name, which is taken";
                tally.add(kind, || format!("{} (`{filename}`)", entry.place(0)));
            }
            objects += entry.annotation.objects.len();
            let Entry {
                listed,
                path,
                annotation,
                ..
            } = entry;
            let named = |Fault { line, reason }| Remark::new(place(&path, line), reason);
            let mut picture = Picture {
                name: listed.name,
                file: listed
                    .picture
                    .map_err(|reason| Remark::new(listed.place, reason)),
                stated: annotation.stated,
                objects: Vec::new(),
                faults: annotation.faults.into_iter().map(named).collect(),
                path: PathBuf::new(),
            };
            for reading in annotation.objects {
                let (object, mut faults) = self.object(reading, picture.stated);
                match (self.config.faulty, &object) {
                    (Faulty::Refuse, _) => picture.faults.extend(faults.drain(..).map(named)),
                    (Faulty::Repair, Some(_)) => {
                        let used = faults.drain(..).map(named);
                        let used = used.map(|r| {
                            Remark::new(r.origin, format!("{}; used all the same", r.message))
                        });
                        self.remarks.extend(used);
                    }
                    _ => {}
                }
                if let Some(object) = object.as_ref().filter(|object| self.is_pixel(object)) {
                    let message = self.about(object, "a box of a single pixel");
                    self.remarks
                        .push(Remark::new(place(&path, object.line), message));
                }
                match faults.is_empty() {
                    true => picture.objects.extend(object),
                    false => left_out.push(named(faults.swap_remove(0))),
                }
            }
            picture.path = path;
            self.pictures.push(picture);
        }
        if objects > 0 && left_out.len() == objects {
            let Remark { origin, message } = left_out.swap_remove(0);
            let reason = format!("{message}; none of the {objects} objects can be used");
            return Err(DataError::unreadable(origin, reason));
        }
        let done = |r: Remark| Remark::new(r.origin, format!("{}; left out", r.message));
        self.remarks.extend(left_out.into_iter().map(done));
        self.remarks.extend(tally.remarks());
        Ok(self)
    }

    /// The object that an element is, as far as it can be used, and its faults.
    fn object(&self, reading: Reading, stated: Option<[usize; 2]>) -> (Option<Object>, Vec<Fault>) {
        let Reading {
            line,
            name,
            bounds,
            difficult,
            mut faults,
        } = reading;
        // A second element of a kind makes it unknown which one is meant.
        let certain = !faults
            .iter()
            .any(|fault| fault.reason.starts_with("a second"));
        let class = name
            .as_ref()
            .and_then(|name| self.numbers.get(name).copied());
        if let (Some(name), None) = (&name, class) {
            let known = self.classes.join(", ");
            let reason = format!("`{name}` is none of the classes {known}");
            faults.push(Fault { line, reason });
        }
        let (Some(class), Some(bounds)) = (class, bounds) else {
            return (None, faults);
        };
        let object = Object {
            class,
            bounds,
            difficult,
            line,
        };
        let xyxy = self.xyxy(bounds);
        let wrong = self.wrong(bounds);
        let usable = certain && wrong.is_none();
        // Where objects are not refused, what leaves the image is seen to when it is read.
        let size = stated.filter(|_| self.config.faulty == Faulty::Refuse);
        let out = size.filter(|size| leaves(xyxy, *size));
        if let Some(reason) = wrong.or(out.map(|size| self.outside(bounds, size))) {
            let reason = self.about(&object, &reason);
            faults.push(Fault { line, reason });
        }
        (usable.then_some(object), faults)
    }

    /// A box in pixels from 0.
    fn xyxy(&self, [x1, y1, x2, y2]: [f64; 4]) -> [f64; 4] {
        let shift = if self.config.one_based { 1.0 } else { 0.0 };
        [x1 - shift, y1 - shift, x2, y2]
    }

    /// Whether a box is one pixel, which is mostly a slip of the annotator.
    fn is_pixel(&self, object: &Object) -> bool {
        let [x1, y1, x2, y2] = object.bounds;
        self.config.one_based && x1 == x2 && y1 == y2
    }

    /// Why a box cannot be true of any image.
    fn wrong(&self, [x1, y1, x2, y2]: [f64; 4]) -> Option<String> {
        // Judged as written, before the last pixel is counted in.
        match x1 > x2 || y1 > y2 {
            true => Some("the box is inverted".into()),
            false => impossible(self.xyxy([x1, y1, x2, y2])),
        }
    }

    fn outside(&self, bounds: [f64; 4], [width, height]: [usize; 2]) -> String {
        let reason = format!("the box leaves the image of {width}x{height} pixels");
        match self.config.one_based && bounds[..2].contains(&0.0) {
            true => format!(
                "{reason}: it begins at 0, and Pascal VOC counts from 1; where a tool counted from 0, set \
                 `one-based = false`"
            ),
            false => reason,
        }
    }

    fn about(&self, object: &Object, reason: &str) -> String {
        let shown = object.bounds.map(|edge| edge.to_string()).join(", ");
        format!("`{}` [{shown}]: {reason}", self.classes[object.class])
    }

    fn picture(&self, index: usize) -> Result<&Picture, DataError> {
        self.pictures.get(index).ok_or_else(|| {
            let path = self.config.path.display().to_string();
            out_of_range(index, self.pictures.len(), path)
        })
    }

    /// The boxes of a picture of `size`, turned by `frame` from that of its labels; what is done about faulty ones is
    /// added to the remarks.
    fn boxes(
        &self,
        picture: &Picture,
        size: [usize; 2],
        frame: Turn,
        remarks: &mut Vec<Remark>,
    ) -> Result<Vec<BoxLabel>, DataError> {
        let stored = frame.stored(size);
        let mut boxes = Vec::with_capacity(picture.objects.len());
        for object in &picture.objects {
            let written = self.xyxy(object.bounds);
            let mut inside = clipped(frame.xyxy(written, stored), size);
            if leaves(written, stored) {
                let place = place(&picture.path, object.line);
                let reason = self.about(object, &self.outside(object.bounds, stored));
                let done = match self.config.faulty {
                    Faulty::Refuse => return Err(DataError::unreadable(place, reason)),
                    Faulty::Repair if inside.is_some() => "clipped",
                    Faulty::Repair | Faulty::Drop => {
                        inside = None;
                        "left out"
                    }
                };
                remarks.push(Remark::new(place, format!("{reason}; {done}")));
            }
            boxes.extend(inside.map(|xyxy| BoxLabel {
                xyxy,
                class: object.class,
                difficult: object.difficult,
                ..BoxLabel::default()
            }));
        }
        Ok(boxes)
    }

    /// What makes a picture a bad sample, if its line or its labels alone do.
    fn label_fault(&self, picture: &Picture) -> Option<Remark> {
        if let Err(remark) = &picture.file {
            return Some(remark.clone());
        }
        together(&picture.faults)
    }
}

impl Source for Voc {
    fn len(&self) -> usize {
        self.pictures.len()
    }

    fn read(&self, index: usize) -> Result<Sample, DataError> {
        self.inspect(index).map(|(sample, _)| sample)
    }

    fn origin(&self, index: usize) -> String {
        let picture = self.pictures.get(index);
        picture.map_or_else(String::new, |picture| {
            format!(
                "{IMAGES}/{}",
                picture.file.as_ref().unwrap_or(&picture.name)
            )
        })
    }

    fn file(&self, index: usize) -> Option<PathBuf> {
        let picture = self.pictures.get(index)?;
        Some(self.layout.picture(picture.file.as_ref().ok()?))
    }

    fn classes(&self) -> &[String] {
        &self.classes
    }

    fn identity(&self, index: usize) -> Vec<u8> {
        self.pictures.get(index).map_or_else(Vec::new, |picture| {
            let objects = picture.objects.iter();
            let objects = objects.map(|o| format!(" {} {:?} {}", o.class, o.bounds, o.difficult));
            format!("{}{}", picture.name, objects.collect::<String>()).into_bytes()
        })
    }

    fn remarks(&self) -> Vec<Remark> {
        self.remarks.clone()
    }

    fn inspect(&self, index: usize) -> Result<(Sample, Vec<Remark>), DataError> {
        let picture = self.picture(index)?;
        let bad = |Remark { origin, message }| Err(DataError::unreadable(origin, message));
        if let Some(remark) = self.label_fault(picture) {
            return bad(remark);
        }
        let file = match &picture.file {
            Ok(file) => self.layout.picture(file),
            Err(remark) => return bad(remark.clone()),
        };
        let (image, turn) = decode::decode_turned(&file, &self.config.decode)?;
        let size = image.size();
        let labels = shown(&picture.path);
        let (faulty, stated) = (self.config.faulty, picture.stated);
        let (frame, doubt) = placed(stated, (size, turn), faulty, &file, &labels)?;
        let mut remarks: Vec<Remark> = doubt.into_iter().collect();
        let boxes = self.boxes(picture, size, frame, &mut remarks)?;
        let target = Target::of_boxes(boxes);
        Ok((Sample { image, target }, remarks))
    }

    fn target(&self, index: usize) -> Result<Target, DataError> {
        self.inspect_target(index).map(|(target, _)| target)
    }

    fn inspect_target(&self, index: usize) -> Result<(Target, Vec<Remark>), DataError> {
        let picture = self.picture(index)?;
        let fault = self.label_fault(picture);
        inspect_stated(self, index, picture.stated, fault, |size, remarks| {
            let boxes = self.boxes(picture, size, Turn::NONE, remarks)?;
            Ok(Target::of_boxes(boxes))
        })
    }

    fn dimensions(&self, index: usize) -> Result<Option<[usize; 3]>, DataError> {
        let picture = self.pictures.get(index);
        let Some(Ok(file)) = picture.map(|picture| &picture.file) else {
            return Ok(None);
        };
        let file = self.layout.picture(file);
        decode::file_dimensions(&file, &self.config.decode).map(Some)
    }

    fn known_bad(&self) -> Vec<(usize, Remark)> {
        let pictures = self.pictures.iter().enumerate();
        pictures
            .filter_map(|(index, picture)| Some((index, self.label_fault(picture)?)))
            .collect()
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
            + &object("ball", ["3.0", "4", "5", "6"], "<difficult>0</difficult>")
            // From a pixel to the same pixel.
            + &object("ball", ["7", "7", "7", "8"], "");
        let folder = dataset(&[("a", Some(&objects)), ("empty", None)]);
        let source = open(&folder, |_| {});
        assert_eq!(source.classes(), ["ball", "cell"]);
        let boxes = source.read(0).unwrap().target.boxes.unwrap();
        assert_eq!(boxes[0].xyxy, [0.0, 1.0, 20.0, 10.0]);
        assert_eq!(
            (boxes[0].class, boxes[0].difficult, boxes[1].difficult),
            (1, true, false)
        );
        assert_eq!(boxes[1].xyxy, [2.0, 3.0, 5.0, 6.0]);
        assert_eq!(source.read(1).unwrap().target, Target::of_boxes(vec![]));
        let shown = |remark: &Remark| format!("{}: {}", remark.origin, remark.message);
        let list = folder.path().join(SETS).join("train.txt");
        assert_eq!(
            shown(&source.remarks()[0]),
            format!(
                "{}:2: no annotation `Annotations/empty.xml`: taken for an image without objects",
                list.display()
            )
        );
        assert_eq!(boxes[2].xyxy, [6.0, 6.0, 7.0, 8.0]);
        let zero = open(&folder, |config| {
            config.one_based = false;
            config.faulty = Faulty::Drop;
        });
        let boxes = zero.read(0).unwrap().target.boxes.unwrap();
        assert_eq!(boxes[1].xyxy, [3.0, 4.0, 5.0, 6.0]);
    }

    #[test]
    fn what_the_annotations_lack_names_the_list_and_what_they_double_the_line() {
        let folder = dataset(&[("a", None), ("b", None)]);
        let config = VocConfig {
            path: folder.path().into(),
            ..Default::default()
        };
        let error = config.open(Path::new("")).err().unwrap().to_string();
        let said = "train.txt:1: no annotation `Annotations/a.xml`; none of the training images (2) has one, so no class \
            is known";
        assert!(error.ends_with(said), "{error}");
        let one = object("ball", ["1", "1", "4", "4"], "");
        let other = object("Ball", ["1", "1", "4", "4"], "");
        let folder = dataset(&[("a", Some(&one)), ("b", Some(&format!("{one}\n{other}")))]);
        let source = open(&folder, |_| {});
        assert_eq!(source.classes(), ["Ball", "ball"]);
        let remark = &source.remarks()[0];
        assert!(remark.origin.ends_with("Annotations/a.xml:2"), "{remark:?}");
        assert_eq!(
            remark.message,
            "the class `ball` differs from `Ball` in case alone"
        );
    }

    #[test]
    fn faulty_are_named_with_file_and_line_or_repaired() {
        let good = object("cell", ["1", "1", "4", "4"], "");
        let cases = [
            (["5", "5", "5", "3"], "is inverted", 1),
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
                text.contains("Annotations/a.xml:3: `cell` [") && text.contains(message),
                "{text}"
            );
            let repaired = open(&folder, |config| config.faulty = Faulty::Repair);
            let boxes = repaired.read(0).unwrap().target.boxes.unwrap();
            assert_eq!(boxes.len(), left, "{message}");
        }
    }

    #[test]
    fn bad_files_are_bad_samples() {
        let cases = [
            ("<object>", "malformed XML"),
            (
                &object("cell", ["1", "1", "2", "2"], "<bndbox/>"),
                "a second `bndbox` in `object`",
            ),
            (
                "<object><name>cell</name><bndBox/></object>",
                "the element `bndBox` in `object`; is `bndbox` meant?",
            ),
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
            assert!(error.to_string().contains("Annotations/a.xml"), "{error}");
        }
        let folder = dataset(&[("a", None)]);
        std::fs::remove_file(folder.path().join(IMAGES).join("a.png")).unwrap();
        let source = open(&folder, |config| config.classes = vec!["cell".into()]);
        let error = source.read(0).unwrap_err();
        assert!(error.is_bad_sample());
        let error = error.to_string();
        assert!(
            error.contains("train.txt:1: the line `a  1` names no picture"),
            "{error}"
        );
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
