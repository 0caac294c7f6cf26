//! Pictures with objects, however a format writes them down: what the readers of labels share once a file is read. Boxes and
//! outlines become boxes, masks of objects and class masks here, and what is done about faulty ones is done here.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::objects::{Faulty, clipped, fault, impossible, inspect_stated, placed, together};
use super::outline::{Outline, drawn, instance, mark, mask_classes, touched};
use super::problems::same_but_for_case;
use crate::decode::turn::Turn;
use crate::decode::{self, Decoding};
use crate::error::DataError;
use crate::sample::Sample;
use crate::source::{Remark, Source, out_of_range};
use crate::target::{BoxLabel, Mask, Target};

/// What coordinates are counted in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Unit {
    Pixels,
    /// Shares of the picture's width and height.
    Fractions,
}

/// How the labels of a format are read.
#[derive(Clone, Copy)]
pub(super) struct Reading {
    pub unit: Unit,
    pub faulty: Faulty,
    /// Whether each box comes with the mask of its object.
    pub instance_masks: bool,
    /// Whether each picture comes with a class mask.
    pub class_masks: bool,
    pub decode: Decoding,
    /// How messages name the place of an object in the file of its labels.
    pub place: fn(&str, u32) -> String,
}

/// Where an object is, in the unit of its format.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Shape {
    /// `x1 y1 x2 y2`
    Box([f64; 4]),
    /// Polygons `x y x y ..` of at least three points each.
    Polygons(Vec<Vec<f64>>),
}

/// An object.
pub(super) struct Object {
    pub class: usize,
    pub shape: Shape,
    /// Whether it is marked as difficult.
    pub difficult: bool,
    /// Its line or number in the file of the labels.
    pub at: u32,
}

/// An object as it was read: itself as far as it can be used, and what is wrong with it.
pub(super) struct Read {
    pub at: u32,
    pub object: Result<Object, String>,
}

/// A picture with its objects.
pub(super) struct Picture {
    /// How messages and reports name it.
    pub name: String,
    /// Its file; or why there is none.
    pub file: Result<PathBuf, Remark>,
    /// How messages name the file of its labels.
    pub labels: Arc<str>,
    /// Width and height, where the labels state them.
    pub stated: Option<[usize; 2]>,
    pub objects: Vec<Object>,
    /// What makes it a bad sample.
    pub faults: Vec<Remark>,
}

/// One part of a dataset.
pub(super) struct Annotated {
    /// How messages name the whole.
    shown: String,
    reading: Reading,
    classes: Vec<String>,
    /// The names of the values of class masks, where there are any.
    mask_classes: Vec<String>,
    pictures: Vec<Picture>,
    remarks: Vec<Remark>,
}

impl Annotated {
    /// A part of pictures, each with its objects as they were read; `remarks` is what was noticed so far.
    ///
    /// # Errors
    /// No picture, objects of which none can be used where faulty ones are left out, more classes than a mask holds.
    pub fn new(
        shown: String,
        reading: Reading,
        classes: Vec<String>,
        entries: Vec<(Picture, Vec<Read>)>,
        remarks: Vec<Remark>,
    ) -> Result<Self, DataError> {
        if entries.is_empty() {
            return Err(DataError::unreadable(shown, "there is no picture in it"));
        }
        let mut part = Self {
            mask_classes: match reading.class_masks {
                true => mask_classes(&classes),
                false => Vec::new(),
            },
            shown,
            reading,
            classes,
            pictures: Vec::with_capacity(entries.len()),
            remarks,
        };
        if part.mask_classes.len() > usize::from(u8::MAX) {
            let count = part.classes.len();
            let reason =
                format!("{count} classes: a mask of 8 bits holds at most 254 beside background");
            return Err(DataError::unreadable(part.shown, reason));
        }
        let (mut objects, mut left_out) = (0, Vec::new());
        for (picture, found) in entries {
            objects += found.len();
            part.add(picture, found, &mut left_out);
        }
        if objects > 0 && left_out.len() == objects {
            let Remark { origin, message } = left_out.swap_remove(0);
            let reason = format!("{message}; none of the {objects} objects can be used");
            return Err(DataError::unreadable(origin, reason));
        }
        let done = |r: Remark| Remark::new(r.origin, format!("{}; left out", r.message));
        part.remarks.extend(left_out.into_iter().map(done));
        Ok(part)
    }

    /// Adds a picture with those of its objects that can be used; the others are added to those left out.
    fn add(&mut self, mut picture: Picture, found: Vec<Read>, left_out: &mut Vec<Remark>) {
        let Reading { faulty, place, .. } = self.reading;
        for Read { at, object } in found {
            let here = |reason: String| Remark::new(place(&picture.labels, at), reason);
            let object = match object.and_then(|object| self.possible(object, picture.stated)) {
                Ok(object) => object,
                Err(reason) if faulty == Faulty::Refuse => {
                    picture.faults.push(here(reason));
                    continue;
                }
                Err(reason) => {
                    left_out.push(here(reason));
                    continue;
                }
            };
            if self.wants_outlines() && matches!(object.shape, Shape::Box(_)) {
                let reason = format!("`{}` has a box and no outline", self.classes[object.class]);
                match (faulty, self.reading.class_masks) {
                    (Faulty::Refuse, _) => {
                        picture.faults.push(here(reason));
                        continue;
                    }
                    (Faulty::Drop, _) => {
                        left_out.push(here(reason));
                        continue;
                    }
                    (Faulty::Repair, true) => self.remarks.push(here(format!(
                        "{reason}; the pixels of its box do not count"
                    ))),
                    (Faulty::Repair, false) => {
                        self.remarks.push(here(format!("{reason}; it has no mask")));
                    }
                }
            }
            picture.objects.push(object);
        }
        self.pictures.push(picture);
    }

    /// The object, if it can be true as far as that is known without its picture.
    ///
    /// # Errors
    /// Why it cannot.
    fn possible(&self, object: Object, stated: Option<[usize; 2]>) -> Result<Object, String> {
        let bound = object.shape.bound();
        // Where objects are not refused, what leaves the image is seen to when it is read.
        let size = stated.filter(|_| self.reading.faulty == Faulty::Refuse);
        let wrong = match size {
            Some(size) => fault(
                object.shape.in_pixels(self.reading.unit, size).bound(),
                size,
            ),
            None => impossible(bound),
        };
        match wrong {
            Some(reason) => Err(self.about(&object, &reason)),
            None => Ok(object),
        }
    }

    fn wants_outlines(&self) -> bool {
        self.reading.instance_masks || self.reading.class_masks
    }

    /// A reason with the object that it is about, as its format has it.
    fn about(&self, object: &Object, reason: &str) -> String {
        let [x1, y1, x2, y2] = object.shape.bound();
        let name = &self.classes[object.class];
        match self.reading.unit {
            Unit::Pixels => format!("`{name}` [{x1}, {y1}, {x2}, {y2}]: {reason}"),
            Unit::Fractions => {
                let shares = [x1, y1, x2, y2].map(|edge| (edge * 1e6).round() / 1e6);
                format!("`{name}` {shares:?} of the image's size: {reason}")
            }
        }
    }

    fn picture(&self, index: usize) -> Result<&Picture, DataError> {
        let picture = self.pictures.get(index);
        picture.ok_or_else(|| out_of_range(index, self.pictures.len(), &*self.shown))
    }

    /// What makes a picture a bad sample, if its labels alone do.
    fn label_fault(&self, picture: &Picture) -> Option<Remark> {
        match &picture.file {
            Err(remark) => Some(remark.clone()),
            Ok(_) => together(&picture.faults),
        }
    }

    /// What the objects of a picture of `size` are, which is turned by `frame` from that of its labels; what is done about
    /// faulty ones is added to the remarks.
    fn target(
        &self,
        picture: &Picture,
        size: [usize; 2],
        frame: Turn,
        remarks: &mut Vec<Remark>,
    ) -> Result<Target, DataError> {
        let Reading { faulty, unit, .. } = self.reading;
        let stored = frame.stored(size);
        let mut boxes = Vec::with_capacity(picture.objects.len());
        let mut classes = self.reading.class_masks.then(|| vec![0; size[0] * size[1]]);
        for object in &picture.objects {
            let shape = object.shape.in_pixels(unit, stored);
            let written = shape.bound();
            let mut inside = clipped(frame.xyxy(written, stored), size);
            let mut reason = fault(written, stored);
            let mut covered = None;
            if let (true, Some(outline)) = (self.wants_outlines(), shape.outline()) {
                match drawn(&outline, stored) {
                    // A polygon leaves the image where its box does.
                    Ok((pixels, wrong)) => {
                        reason = reason.map(|reason| wrong.unwrap_or(reason));
                        covered = Some(pixels);
                    }
                    Err(nothing) => {
                        inside = None;
                        reason = Some(nothing);
                    }
                }
            }
            if let Some(reason) = reason {
                let place = (self.reading.place)(&picture.labels, object.at);
                let reason = self.about(object, &reason);
                let done = match faulty {
                    Faulty::Refuse => return Err(DataError::unreadable(place, reason)),
                    Faulty::Repair if inside.is_some() => "clipped",
                    Faulty::Repair | Faulty::Drop => {
                        inside = None;
                        "left out"
                    }
                };
                remarks.push(Remark::new(place, format!("{reason}; {done}")));
            }
            let Some(xyxy) = inside else { continue };
            let mask = covered.map(|pixels| frame.mask(instance(stored, pixels)));
            if let Some(classes) = &mut classes {
                match &mask {
                    Some(mask) => {
                        let class = object.class as u8 + 1;
                        mark(classes, mask.classes.iter().map(|value| *value == 1), class);
                    }
                    None => {
                        mark(classes, touched(xyxy, size), Mask::IGNORE);
                    }
                }
            }
            boxes.push(BoxLabel {
                xyxy,
                class: object.class,
                difficult: object.difficult,
                mask: mask.filter(|_| self.reading.instance_masks),
                ..BoxLabel::default()
            });
        }
        Ok(Target {
            classes: None,
            boxes: Some(boxes),
            mask: classes.map(|classes| Mask {
                width: size[0],
                height: size[1],
                classes,
            }),
        })
    }
}

impl Shape {
    /// The smallest box `x1 y1 x2 y2` around it.
    fn bound(&self) -> [f64; 4] {
        match self {
            Self::Box(xyxy) => *xyxy,
            Self::Polygons(polygons) => {
                let points = polygons.iter().flat_map(|polygon| polygon.chunks_exact(2));
                points.fold([f64::MAX, f64::MAX, f64::MIN, f64::MIN], |bound, point| {
                    // A coordinate that is no number stays one in the bound, which tells it.
                    let least = |a: f64, b: f64| if b.is_nan() || b < a { b } else { a };
                    let most = |a: f64, b: f64| if b.is_nan() || b > a { b } else { a };
                    let [x1, y1, x2, y2] = bound;
                    let (x, y) = (point[0], point[1]);
                    [least(x1, x), least(y1, y), most(x2, x), most(y2, y)]
                })
            }
        }
    }

    fn in_pixels(&self, unit: Unit, [width, height]: [usize; 2]) -> Shape {
        let (w, h) = match unit {
            Unit::Pixels => return self.clone(),
            Unit::Fractions => (width as f64, height as f64),
        };
        match self {
            Self::Box([x1, y1, x2, y2]) => Self::Box([x1 * w, y1 * h, x2 * w, y2 * h]),
            Self::Polygons(polygons) => {
                let scaled = |polygon: &Vec<f64>| {
                    let points = polygon.chunks_exact(2);
                    points
                        .flat_map(|point| [point[0] * w, point[1] * h])
                        .collect()
                };
                Self::Polygons(polygons.iter().map(scaled).collect())
            }
        }
    }

    fn outline(self) -> Option<Outline> {
        match self {
            Self::Box(_) => None,
            Self::Polygons(polygons) => Some(Outline::Polygons(polygons)),
        }
    }
}

impl Source for Annotated {
    fn len(&self) -> usize {
        self.pictures.len()
    }

    fn read(&self, index: usize) -> Result<Sample, DataError> {
        self.inspect(index).map(|(sample, _)| sample)
    }

    fn origin(&self, index: usize) -> String {
        let picture = self.pictures.get(index);
        picture.map_or_else(String::new, |picture| picture.name.clone())
    }

    fn file(&self, index: usize) -> Option<PathBuf> {
        self.pictures.get(index)?.file.clone().ok()
    }

    fn classes(&self) -> &[String] {
        &self.classes
    }

    fn mask_classes(&self) -> &[String] {
        match self.reading.class_masks {
            true => &self.mask_classes,
            false => &self.classes,
        }
    }

    fn identity(&self, index: usize) -> Vec<u8> {
        let Some(picture) = self.pictures.get(index) else {
            return Vec::new();
        };
        let mut bytes = picture.name.clone().into_bytes();
        let mut add = |values: &[f64]| values.iter().for_each(|v| bytes.extend(v.to_le_bytes()));
        for object in &picture.objects {
            add(&[object.class as f64]);
            match &object.shape {
                Shape::Box(xyxy) => add(xyxy),
                Shape::Polygons(polygons) => polygons.iter().for_each(|polygon| {
                    add(&[polygon.len() as f64]);
                    add(polygon);
                }),
            }
        }
        bytes
    }

    fn remarks(&self) -> Vec<Remark> {
        self.remarks.clone()
    }

    fn inspect(&self, index: usize) -> Result<(Sample, Vec<Remark>), DataError> {
        let picture = self.picture(index)?;
        if let Some(Remark { origin, message }) = self.label_fault(picture) {
            return Err(DataError::unreadable(origin, message));
        }
        let file = picture.file.as_deref().unwrap_or(Path::new(""));
        let (image, turn) = decode::decode_turned(file, &self.reading.decode)?;
        let size = image.size();
        let (frame, doubt) = placed(
            picture.stated,
            (size, turn),
            self.reading.faulty,
            file,
            &picture.labels,
        )?;
        let mut remarks: Vec<Remark> = doubt.into_iter().collect();
        let target = self.target(picture, size, frame, &mut remarks)?;
        Ok((Sample { image, target }, remarks))
    }

    fn target(&self, index: usize) -> Result<Target, DataError> {
        self.inspect_target(index).map(|(target, _)| target)
    }

    fn inspect_target(&self, index: usize) -> Result<(Target, Vec<Remark>), DataError> {
        let picture = self.picture(index)?;
        let fault = self.label_fault(picture);
        let in_limits =
            |[w, h]: &[usize; 2]| w.saturating_mul(*h) as u64 <= self.reading.decode.max_pixels;
        // What the labels do not state the head of the file tells.
        let size = match (&fault, picture.stated) {
            (None, None) => self
                .dimensions(index)?
                .map(|[width, height, _]| [width, height]),
            (_, stated) => stated.filter(in_limits),
        };
        inspect_stated(self, index, size, fault, |size, remarks| {
            self.target(picture, size, Turn::NONE, remarks)
        })
    }

    fn dimensions(&self, index: usize) -> Result<Option<[usize; 3]>, DataError> {
        match self.pictures.get(index).map(|picture| &picture.file) {
            Some(Ok(file)) => decode::file_dimensions(file, &self.reading.decode).map(Some),
            _ => Ok(None),
        }
    }

    fn known_bad(&self) -> Vec<(usize, Remark)> {
        let pictures = self.pictures.iter().enumerate();
        pictures
            .filter_map(|(index, picture)| Some((index, self.label_fault(picture)?)))
            .collect()
    }
}

/// The classes of a dataset whose labels name them.
pub(super) struct Names {
    names: Vec<String>,
    numbers: HashMap<String, usize>,
}

impl Names {
    /// The classes `given`, or those that were `found`, sorted; names that differ in case alone are remarked on.
    ///
    /// # Errors
    /// No class.
    pub fn new<'a>(
        shown: &str,
        given: &[String],
        found: impl Iterator<Item = &'a str>,
        remarks: &mut Vec<Remark>,
    ) -> Result<Self, DataError> {
        let names = match given.is_empty() {
            false => given.to_vec(),
            true => {
                let found: std::collections::BTreeSet<&str> = found.collect();
                found.into_iter().map(str::to_owned).collect()
            }
        };
        if names.is_empty() {
            let reason = "no object has a class, so none is known; name them by `classes`";
            return Err(DataError::unreadable(shown, reason));
        }
        for (name, other) in same_but_for_case(&names) {
            let message = format!("the class `{name}` differs from `{other}` in case alone");
            remarks.push(Remark::new(shown, message));
        }
        let numbers = names.iter().cloned().zip(0..).collect();
        Ok(Self { names, numbers })
    }

    /// The names in order.
    pub fn names(&self) -> &[String] {
        &self.names
    }

    /// The number of a class.
    ///
    /// # Errors
    /// A name that is none of them.
    pub fn number(&self, name: &str) -> Result<usize, String> {
        let number = self.numbers.get(name).copied();
        number.ok_or_else(|| {
            let known = self.names.join(", ");
            format!("`{name}` is none of the classes {known}")
        })
    }
}
