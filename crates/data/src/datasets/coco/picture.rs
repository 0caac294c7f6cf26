//! What a part of a dataset is read with, and what its annotations become.

use std::path::PathBuf;

use super::super::json::Id;
use super::super::objects::Faulty;
use super::super::outline::Outline;
use super::classes::{Classes, Note};
use super::file::Odd;

/// How many faults of a file or picture a message lists.
const LISTED: usize = 3;

/// Which parts of an annotation are learnt from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Parts {
    /// Its box.
    Box,
    /// Its outline.
    Outline,
    /// Both.
    Both,
}

impl Parts {
    pub fn outline(self) -> bool {
        self != Self::Box
    }

    pub fn bbox(self) -> bool {
        self != Self::Outline
    }
}

/// What a part is read with.
pub(super) struct Wanted<'a> {
    /// The annotation file.
    pub annotations: PathBuf,
    /// The folder of the images.
    pub images: PathBuf,
    pub faulty: Faulty,
    /// What is learnt from.
    pub parts: Parts,
    /// The names of the classes that are asked for, all where it is empty.
    pub chosen: &'a [String],
    /// The classes of the training part, where this is another.
    pub classes: Option<&'a Classes>,
}

/// One image and its objects.
pub(super) struct Picture {
    /// Its place in the file.
    pub place: usize,
    pub id: Id,
    /// Its file in the folder of the images.
    pub file: PathBuf,
    /// Width and height, where the file states them.
    pub stated: Option<[usize; 2]>,
    pub objects: Vec<Object>,
    /// Whether any annotation is about it.
    pub annotated: bool,
    /// What makes it a bad sample: JSON pointers and what is wrong.
    pub faults: Vec<Note>,
}

/// An annotation that can be used.
pub(super) struct Object {
    /// Its place in the file.
    pub number: usize,
    pub class: usize,
    /// `x1 y1 x2 y2`; nothing where outlines are learnt from and there is no box.
    pub xyxy: Option<[f64; 4]>,
    /// The outline, where it is learnt from; nothing where the box alone is known.
    pub outline: Option<Outline>,
    pub crowd: bool,
    /// The share of the box that the object covers.
    pub cover: f32,
}

/// Several faults as one: the first, and how many more.
pub(super) fn together(mut faults: Vec<Note>) -> Note {
    let count = faults.len();
    let more = faults.split_off(1.min(count));
    let (pointer, mut reason) = faults.pop().unwrap_or_default();
    for (pointer, other) in more.iter().take(LISTED - 1) {
        reason += &format!("; {pointer}: {other}");
    }
    if count > LISTED {
        reason += &format!("; {count} faults in all");
    }
    (pointer, reason)
}

/// What is odd in an entry, with its JSON pointer.
pub(super) fn note(list: &str, number: usize, odd: Odd) -> Note {
    match odd.key {
        Some(key) => (format!("/{list}/{number}/{key}"), odd.reason),
        None => (format!("/{list}/{number}"), odd.reason),
    }
}
