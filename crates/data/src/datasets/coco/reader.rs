//! From the annotations of a file to the objects of its pictures, and what is wrong with each.

use std::collections::{HashMap, HashSet};

use super::super::json::{Id, Value};
use super::super::objects::{Faulty, impossible, leaves};
use super::super::outline::outline_leaves;
use super::classes::{Classes, Note};
use super::file::{AnnotationEntry, Odd, TWICE};
use super::picture::{Object, Parts, Picture, Wanted, note, together};

/// Puts annotations to their pictures.
pub(super) struct Reader<'a> {
    wanted: &'a Wanted<'a>,
    classes: &'a Classes,
    /// Of the annotations so far.
    ids: HashSet<Id>,
    /// Faults of annotations that belong to no picture.
    pub homeless: Vec<Note>,
    /// One fault of each annotation that is not used.
    pub left_out: Vec<Note>,
    pub notes: Vec<Note>,
}

/// What an annotation is, and what is wrong with it.
#[derive(Default)]
struct Reading {
    /// What is known of the object, if that is enough to be used.
    object: Option<Object>,
    faults: Vec<Note>,
}

impl<'a> Reader<'a> {
    /// With what was noticed so far.
    pub fn new(wanted: &'a Wanted<'a>, classes: &'a Classes, notes: Vec<Note>) -> Self {
        Self {
            wanted,
            classes,
            ids: HashSet::new(),
            homeless: Vec::new(),
            left_out: Vec::new(),
            notes,
        }
    }

    /// Puts the annotation of a number in the file to its picture, by the places of the images' ids.
    pub fn add(
        &mut self,
        number: usize,
        annotation: Result<AnnotationEntry, Value>,
        places: &HashMap<Id, usize>,
        pictures: &mut [Picture],
    ) {
        let here = |reason: String| (format!("/annotations/{number}"), reason);
        let annotation = match annotation {
            Ok(annotation) => annotation,
            Err(value) => return self.homeless(here(format!("is {value}, not an object"))),
        };
        let picture = match &annotation.image {
            Ok(id) => match places.get(id) {
                Some(place) => &mut pictures[*place],
                None => return self.homeless(here(format!("there is no image {id}"))),
            },
            Err(odd) => return self.homeless(note("annotations", number, odd.clone())),
        };
        picture.annotated = true;
        let Reading { object, mut faults } = self.reading(number, annotation, picture.stated);
        match (self.wanted.faulty, &object) {
            (Faulty::Refuse, _) => picture.faults.append(&mut faults),
            (Faulty::Repair, Some(object)) => {
                let done = match self.wanted.parts == Parts::Outline && object.outline.is_none() {
                    true => "the pixels of its box do not count",
                    false => "used all the same",
                };
                let used = |(pointer, reason)| (pointer, format!("{reason}; {done}"));
                self.notes.extend(faults.drain(..).map(used));
            }
            _ => {}
        }
        match faults.is_empty() {
            true => picture.objects.extend(object),
            false => self.left_out.push(together(faults)),
        }
    }

    fn homeless(&mut self, fault: Note) {
        match self.wanted.faulty {
            Faulty::Refuse => self.homeless.push(fault),
            Faulty::Repair | Faulty::Drop => self.left_out.push(fault),
        }
    }

    fn reading(
        &mut self,
        number: usize,
        annotation: AnnotationEntry,
        stated: Option<[usize; 2]>,
    ) -> Reading {
        let here = |reason: String| (format!("/annotations/{number}"), reason);
        let odd_one = |odd: Odd| note("annotations", number, odd);
        let classes = self.classes;
        let mut faults: Vec<Note> = Vec::new();
        let category = match annotation.category {
            Ok(id) => match classes.numbers.get(&id) {
                // Not asked for: whatever else there is to it does not matter.
                Some(None) => return Reading::default(),
                Some(Some(class)) => Some(*class),
                None => {
                    faults.push(here(format!("there is no category {id}")));
                    None
                }
            },
            Err(odd) => {
                faults.push(odd_one(odd));
                None
            }
        };
        // Of two values for one key, neither is known to be meant.
        let mut usable = !annotation.odd.iter().any(|odd| odd.reason == TWICE);
        faults.extend(annotation.odd.into_iter().map(odd_one));
        self.notes
            .extend(annotation.passed_over.into_iter().map(odd_one));
        if let Some(id) = annotation.id {
            match self.ids.contains(&id) {
                true => faults.push(here(format!("the id {id} occurs twice"))),
                false => drop(self.ids.insert(id)),
            }
        }
        let crowd = annotation.crowd.unwrap_or_else(|odd| {
            faults.push(odd_one(odd));
            false
        });
        let Some(class) = category else {
            return Reading {
                object: None,
                faults,
            };
        };
        let name = &classes.names[class];
        let (outline, no_outline) = match annotation.outline {
            Ok(outline) => (outline, None),
            Err(odd) => (None, Some(odd)),
        };
        let (bbox, no_box) = match annotation.bbox {
            Ok(bbox) => (bbox, None),
            Err(odd) => (None, Some(odd)),
        };
        let parts = self.wanted.parts;
        let missing = [no_outline.is_none(), no_box.is_none()];
        for (odd, needed) in [(no_outline, parts.outline()), (no_box, parts.bbox())] {
            match odd {
                Some(odd) if needed => faults.push(odd_one(odd)),
                Some(Odd { key, reason }) => {
                    let reason = format!("{reason}; it is not needed");
                    self.notes.push(odd_one(Odd { key, reason }));
                }
                None => {}
            }
        }
        let bound = outline.as_ref().map(|around| around.bound);
        let xyxy = bbox.map(|[x, y, w, h]| [x, y, x + w, y + h]).or(bound);
        let mut object = Object {
            number,
            class,
            xyxy,
            outline: None,
            crowd,
            cover: 1.0,
        };
        // Where objects are not refused, what leaves the image is seen to when it is read.
        let size = stated.filter(|_| self.wanted.faulty == Faulty::Refuse);
        if parts.outline() {
            if let (Some(bound), Some([width, height])) = (bound, size)
                && leaves(bound, [width, height])
            {
                let reason = format!("`{name}`: {}", outline_leaves([width, height]));
                faults.push(here(reason));
            }
            if outline.is_none() && missing[0] {
                faults.push(here(format!("`{name}` has no outline (`segmentation`)")));
            }
            usable &= outline.is_some() || xyxy.is_some_and(|xyxy| impossible(xyxy).is_none());
            object.outline = outline.and_then(|around| around.outline);
        }
        if parts.bbox() {
            match xyxy {
                None if missing[1] => {
                    faults.push(here(format!(
                        "`{name}` has neither a `bbox` nor an outline"
                    )));
                }
                None => {}
                Some([x1, y1, x2, y2]) => {
                    let [w, h] = [x2 - x1, y2 - y1];
                    let wrong = impossible([x1, y1, x2, y2]);
                    usable &= wrong.is_none();
                    let out = size.filter(|size| leaves([x1, y1, x2, y2], *size));
                    let out =
                        out.map(|[w, h]| format!("the box leaves the image of {w}x{h} pixels"));
                    if let Some(reason) = wrong.or(out) {
                        faults.push(here(format!("`{name}` [{x1}, {y1}, {w}, {h}]: {reason}")));
                    }
                    object.cover = cover(annotation.area, w * h);
                }
            }
            usable &= xyxy.is_some();
        }
        Reading {
            object: usable.then_some(object),
            faults,
        }
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
