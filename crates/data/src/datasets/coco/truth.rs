//! One part of a dataset in COCO's format: its file, with every entry put in relation to the others, and everything that
//! does not fit said by name. Boxes and class masks are both learnt from this.

use std::collections::HashMap;
use std::path::{Component, Path, PathBuf};

use super::super::json::{Id, Value};
use super::super::objects::{Faulty, placed, shown};
use super::classes::{Classes, Note};
use super::file::{AnnotationEntry, CocoFile, ImageEntry};
use super::picture::{Object, Picture, Wanted, note, together};
use super::reader::Reader;
use crate::decode::turn::Turn;
use crate::decode::{self, Decoding};
use crate::error::DataError;
use crate::source::{Remark, out_of_range};
use crate::words::counted;

/// One part.
pub(super) struct Truth {
    /// How messages name the file.
    pub shown: String,
    pub images: PathBuf,
    pub classes: Classes,
    pub pictures: Vec<Picture>,
    pub faulty: Faulty,
    pub remarks: Vec<Remark>,
}

impl Truth {
    /// Reads an annotation file; no image is opened.
    ///
    /// # Errors
    /// A file that cannot be read, ids of images or categories that are missing or occur twice, annotations of images
    /// that there are not (where faulty objects are refused), a file of which nothing can be used.
    pub fn open(wanted: &Wanted) -> Result<Self, DataError> {
        let file = CocoFile::read(&wanted.annotations, wanted.parts.outline())?;
        let shown = file.shown;
        let wrong =
            |(pointer, reason): Note| DataError::unreadable(format!("{shown}: {pointer}"), reason);
        let mut notes = Vec::new();
        let classes = match wanted.classes {
            Some(classes) => classes.of_part(file.categories, &mut notes),
            None => {
                let used = used(&file.annotations);
                Classes::of_training(file.categories, &used, wanted.chosen, &mut notes)
            }
        };
        let classes = classes.map_err(wrong)?;
        let (mut pictures, places) = pictures(file.images, &mut notes).map_err(wrong)?;
        let mut reader = Reader::new(wanted, &classes, notes);
        let annotations = file.annotations.len();
        for (number, annotation) in file.annotations.into_iter().enumerate() {
            reader.add(number, annotation, &places, &mut pictures);
        }
        let Reader {
            homeless,
            mut left_out,
            mut notes,
            ..
        } = reader;
        if let Some((pointer, reason)) = homeless.first().cloned() {
            let count = homeless.len();
            let reason = match count {
                1 => reason,
                _ => {
                    format!("{reason}; {count} of the {annotations} annotations belong to no image")
                }
            };
            return Err(wrong((pointer, reason)));
        }
        if annotations > 0 && left_out.len() == annotations {
            let (pointer, reason) = left_out.swap_remove(0);
            let reason = format!("{reason}; none of the {annotations} annotations can be used");
            return Err(wrong((pointer, reason)));
        }
        let done = |(pointer, reason)| (pointer, format!("{reason}; left out"));
        notes.extend(left_out.into_iter().map(done));
        if wanted.parts.bbox() {
            crowds_alone(&pictures, &classes, &mut notes);
        }
        numbers(&pictures, &classes, &mut notes);
        same_files(&pictures, !wanted.parts.bbox(), &mut notes);
        let empty = |picture: &&Picture| !picture.annotated && picture.faults.is_empty();
        let empty = pictures.iter().filter(empty).count();
        let mut remarks = file.remarks;
        if empty > 0 {
            let message = format!(
                "{} without annotations: taken to hold no object",
                counted(empty, "image")
            );
            remarks.push(Remark::new(&*shown, message));
        }
        let place = |pointer: String| format!("{shown}: {pointer}");
        remarks.extend(
            notes
                .into_iter()
                .map(|(pointer, m)| Remark::new(place(pointer), m)),
        );
        Ok(Self {
            images: wanted.images.clone(),
            faulty: wanted.faulty,
            classes,
            pictures,
            remarks,
            shown,
        })
    }

    /// The picture of an index.
    ///
    /// # Errors
    /// An index past the end.
    pub fn picture(&self, index: usize) -> Result<&Picture, DataError> {
        let picture = self.pictures.get(index);
        picture.ok_or_else(|| out_of_range(index, self.pictures.len(), &*self.shown))
    }

    /// The place of an annotation, for messages.
    pub fn place(&self, object: &Object) -> String {
        format!("{}: /annotations/{}", self.shown, object.number)
    }

    /// What makes a picture a bad sample, if its labels alone do.
    pub fn label_fault(&self, picture: &Picture) -> Option<Remark> {
        if picture.faults.is_empty() {
            return None;
        }
        let (pointer, reason) = together(picture.faults.clone());
        Some(Remark::new(format!("{}: {pointer}", self.shown), reason))
    }

    /// All pictures that are bad samples by their labels.
    pub fn known_bad(&self) -> Vec<(usize, Remark)> {
        let pictures = self.pictures.iter().enumerate();
        pictures
            .filter_map(|(index, picture)| Some((index, self.label_fault(picture)?)))
            .collect()
    }

    /// Opens the image of a picture: it, the turn from the frame of its labels to it, and what was noticed.
    ///
    /// # Errors
    /// Faults of its labels, a file that is missing or cannot be decoded, a stated size that contradicts it.
    pub fn image(
        &self,
        picture: &Picture,
        decoding: &Decoding,
    ) -> Result<(crate::sample::Picture, Turn, Vec<Remark>), DataError> {
        if let Some(Remark { origin, message }) = self.label_fault(picture) {
            return Err(DataError::unreadable(origin, message));
        }
        let (path, elsewhere) = self.found(picture)?;
        let (image, turn) = decode::decode_turned(&path, decoding)?;
        let size = image.size();
        let labels = format!("{}: /images/{}", self.shown, picture.place);
        let (frame, doubt) = placed(picture.stated, (size, turn), self.faulty, &path, &labels)?;
        let elsewhere = elsewhere.then(|| {
            let (named, found) = (picture.file.display(), shown(&path));
            Remark::new(labels, format!("`{named}` is not there; {found} is taken"))
        });
        Ok((image, frame, doubt.into_iter().chain(elsewhere).collect()))
    }

    /// Width, height and channels of the image of a picture as it will be shown, by its header.
    ///
    /// # Errors
    /// A file that is missing or damaged, as far as its header shows.
    pub fn dimensions(
        &self,
        picture: &Picture,
        decoding: &Decoding,
    ) -> Result<[usize; 3], DataError> {
        let path = self.path(picture)?;
        decode::file_dimensions(&path, decoding)
    }

    /// The image of a picture.
    ///
    /// # Errors
    /// A file that is missing.
    pub fn path(&self, picture: &Picture) -> Result<PathBuf, DataError> {
        self.found(picture).map(|(path, _)| path)
    }

    /// The image of a picture, and whether it lies in another folder than its name says.
    fn found(&self, picture: &Picture) -> Result<(PathBuf, bool), DataError> {
        // Perhaps written on Windows.
        let name = picture.file.to_string_lossy().replace('\\', "/");
        let last = name.rsplit('/').next().map(PathBuf::from);
        let ways = [
            (Some(picture.file.clone()), false),
            (inside(&name), false),
            // Named with the folder that the images lie in, or with one of several that were put into one.
            (last, true),
        ];
        let mut paths = ways.into_iter().filter_map(|(file, elsewhere)| {
            let path = self.images.join(file?);
            path.is_file().then_some((path, elsewhere))
        });
        paths.next().ok_or_else(|| DataError::Missing {
            path: self.images.join(&picture.file),
            hint: format!("{}: /images/{} names it", self.shown, picture.place),
        })
    }

    /// Where a sample comes from.
    pub fn origin(&self, index: usize, folder: &Path) -> String {
        let picture = self.pictures.get(index);
        picture.map_or_else(String::new, |picture| {
            match picture.file.as_os_str().is_empty() {
                true => format!("image {}", picture.id),
                false => folder.join(&picture.file).display().to_string(),
            }
        })
    }

    /// The number of a sample in files of results.
    pub fn number(&self, index: usize) -> u64 {
        let id = self
            .pictures
            .get(index)
            .and_then(|picture| picture.id.number());
        id.unwrap_or(index as u64 + 1)
    }

    /// The number of a class in files of results.
    pub fn class_number(&self, class: usize) -> u64 {
        let id = self.classes.ids.get(class).and_then(Option::as_ref);
        id.and_then(Id::number).unwrap_or(class as u64 + 1)
    }
}

/// How many annotations each category has.
fn used(annotations: &[Result<AnnotationEntry, Value>]) -> HashMap<Id, usize> {
    let mut used = HashMap::new();
    for annotation in annotations.iter().flatten() {
        if let Ok(category) = &annotation.category {
            match used.get_mut(category) {
                Some(count) => *count += 1,
                None => drop(used.insert(category.clone(), 1)),
            }
        }
    }
    used
}

/// A relative path without `.` and `..`; nothing where it leaves its folder or names none.
fn inside(name: &str) -> Option<PathBuf> {
    let mut path = PathBuf::new();
    for part in Path::new(name).components() {
        match part {
            Component::Normal(part) => path.push(part),
            Component::CurDir => {}
            Component::ParentDir if path.pop() => {}
            _ => return None,
        }
    }
    (!path.as_os_str().is_empty()).then_some(path)
}

/// The pictures in the order of the file, and the place of each id among them.
fn pictures(
    entries: Vec<Result<ImageEntry, Value>>,
    notes: &mut Vec<Note>,
) -> Result<(Vec<Picture>, HashMap<Id, usize>), Note> {
    let mut places: HashMap<Id, usize> = HashMap::new();
    let mut pictures: Vec<Picture> = Vec::with_capacity(entries.len());
    let mut wrong = Vec::new();
    for (place, entry) in entries.into_iter().enumerate() {
        let pointer = format!("/images/{place}");
        let entry = match entry {
            Ok(entry) => entry,
            Err(value) => {
                wrong.push((pointer, format!("is {value}, not an object")));
                continue;
            }
        };
        let mut faults: Vec<Note> = Vec::new();
        for odd in entry.odd {
            faults.push(note("images", place, odd));
        }
        notes.extend(entry.passed_over.map(|odd| note("images", place, odd)));
        let name = entry.file_name.unwrap_or_else(|odd| {
            faults.push(note("images", place, odd));
            String::new()
        });
        let mut file = inside(&name).unwrap_or_default();
        if !name.is_empty() && file.as_os_str().is_empty() {
            // Where it lay on the machine of a tool.
            let last = name.rsplit(['/', '\\']).next().and_then(inside);
            let here = format!("{pointer}/file_name");
            let reason = format!("the file `{name}` leaves the folder of the images");
            match last {
                Some(last) => {
                    let done = format!("{reason}; `{}` in it is taken", last.display());
                    notes.push((here, done));
                    file = last;
                }
                None => faults.push((here, reason)),
            }
        }
        let id = match entry.id {
            Ok(id) => id,
            Err(odd) => {
                wrong.push(note("images", place, odd));
                continue;
            }
        };
        if let Some(first) = places.get(&id) {
            let Picture { place, file, .. } = &pictures[*first];
            let reason = format!(
                "the id {id} occurs twice: `{name}` has it, and `{}` in /images/{place}",
                file.display()
            );
            wrong.push((pointer, reason));
            continue;
        }
        places.insert(id.clone(), pictures.len());
        pictures.push(Picture {
            place,
            id,
            file,
            stated: entry.stated,
            objects: Vec::new(),
            annotated: false,
            faults,
        });
    }
    match (wrong.is_empty(), pictures.is_empty()) {
        (false, _) => Err(together(wrong)),
        (true, true) => Err(("/images".into(), "there is none".into())),
        (true, false) => Ok((pictures, places)),
    }
}

/// Notes classes of which all objects are crowds, which a detector does not learn from.
fn crowds_alone(pictures: &[Picture], classes: &Classes, notes: &mut Vec<Note>) {
    let mut counts = vec![[0usize; 2]; classes.names.len()];
    for object in pictures.iter().flat_map(|picture| &picture.objects) {
        counts[object.class][usize::from(object.crowd)] += 1;
    }
    for (name, [single, crowds]) in classes.names.iter().zip(counts) {
        if single == 0 && crowds > 0 {
            let message = format!(
                "`{name}`: it has crowds alone (`iscrowd`, {crowds} of them), which a detector does not learn from"
            );
            notes.push(("/annotations".into(), message));
        }
    }
}

/// Notes ids that cannot stand in a file of results.
fn numbers(pictures: &[Picture], classes: &Classes, notes: &mut Vec<Note>) {
    let images = pictures
        .iter()
        .filter(|picture| picture.id.number().is_none());
    let ids = classes.ids.iter().flatten();
    let categories = ids.filter(|id| id.number().is_none());
    for (list, count) in [
        ("images", images.count()),
        ("categories", categories.count()),
    ] {
        if count > 0 {
            let message = format!(
                "{} not a number of 0 or above; files of results number {list} by their place from 1",
                counted(count, "id")
            );
            notes.push((format!("/{list}"), message));
        }
    }
}

/// Notes files that are listed as several images.
fn same_files(pictures: &[Picture], masks: bool, notes: &mut Vec<Note>) {
    let mut seen: HashMap<&Path, &Picture> = HashMap::new();
    let labels = if masks { "outlines" } else { "boxes" };
    for picture in pictures {
        if picture.file.as_os_str().is_empty() {
            continue;
        }
        let Some(first) = seen.insert(&picture.file, picture) else {
            continue;
        };
        let objects = |picture: &Picture| -> Vec<(usize, Option<[f64; 4]>)> {
            let objects = picture.objects.iter();
            objects.map(|object| (object.class, object.xyxy)).collect()
        };
        let same = match objects(first) == objects(picture) {
            true => format!("both with the same {labels}"),
            false => format!("each with other {labels}"),
        };
        let message = format!(
            "`{}` is listed as images {} and {}, {same}",
            picture.file.display(),
            first.id,
            picture.id
        );
        notes.push((format!("/images/{}", picture.place), message));
    }
}
