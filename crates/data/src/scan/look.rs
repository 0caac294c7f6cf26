//! One sample: whether it can be true, and what it tells.

use std::collections::BTreeMap;

use sha2::{Digest, Sha256};

use super::Lesson;
use crate::decode::holds_several;
use crate::error::DataError;
use crate::sample::{Image, Picture, Sample, Value, with_image};
use crate::source::{Remark, Source};
use crate::target::{Mask, Target};

/// A side this many times as long as the other is suspicious.
const LONG: usize = 20;

/// What one sample told.
#[derive(Default)]
pub(super) struct Seen {
    pub bad: Option<String>,
    pub suspicious: Vec<String>,
    /// What the source noticed about it, each with a place of its own.
    pub remarks: Vec<Remark>,
    pub digest: Option<[u8; 32]>,
    pub size: Option<[usize; 3]>,
    /// The picture's class, or those of its objects without the crowds.
    pub classes: Vec<usize>,
    pub crowds: Vec<usize>,
    /// The pixels of each value of its mask.
    pub pixels: BTreeMap<u8, u64>,
}

impl Seen {
    fn bad(error: DataError, source: &dyn Source, index: usize) -> Self {
        Self {
            bad: Some(reason(error, &source.origin(index))),
            ..Self::default()
        }
    }

    /// Notes a file of which more than the first picture is left out.
    fn count_pictures(&mut self, source: &dyn Source, index: usize) {
        if source.file(index).is_some_and(|file| holds_several(&file)) {
            let message = "the file holds more than one picture; the first is used";
            self.suspicious.push(message.into());
        }
    }

    /// Counts what a target that can be true teaches.
    fn learn(&mut self, target: &Target, lesson: Lesson) {
        if !lesson.takes(target) {
            self.suspicious.push("no label to learn from".into());
            return;
        }
        match lesson {
            Lesson::Pictures => {}
            Lesson::Classes => self.classes.extend(target.class()),
            Lesson::Boxes => {
                for object in target.objects() {
                    match object.crowd {
                        true => self.crowds.push(object.class),
                        false => self.classes.push(object.class),
                    }
                }
            }
            Lesson::Masks => {
                let mut counts = [0; 256];
                let pixels = target.mask.iter().flat_map(|mask| &mask.classes);
                pixels.for_each(|&class| counts[usize::from(class)] += 1);
                let there = (0..=255).zip(counts).filter(|(_, count)| *count > 0);
                self.pixels = there.collect();
                if self.pixels.keys().eq([&Mask::IGNORE]) {
                    self.suspicious
                        .push("every pixel of its mask is to be ignored".into());
                }
            }
        }
    }
}

/// Reads a sample.
pub(super) fn whole(source: &dyn Source, index: usize, lesson: Lesson) -> Seen {
    let (sample, remarks) = match source.inspect(index) {
        Ok(inspected) => inspected,
        Err(error) => return Seen::bad(error, source, index),
    };
    let image = &sample.image;
    let [width, height] = image.size();
    let mut seen = Seen {
        bad: impossible(&sample, source.classes().len(), source.mask_classes().len()),
        size: Some([width, height, image.channels()]),
        digest: Some(content_hash(image)),
        remarks,
        ..Seen::default()
    };
    if seen.bad.is_some() {
        return seen;
    }
    if with_image!(image, image => is_plain(image)) {
        seen.suspicious
            .push("all pixels have the same color".into());
    }
    let (shorter, longer) = (width.min(height), width.max(height));
    if longer >= LONG * shorter {
        seen.suspicious
            .push(format!("{width}x{height} pixels: a strip"));
    }
    seen.learn(&sample.target, lesson);
    seen.count_pictures(source, index);
    seen
}

/// Reads a target, and the size of its picture if that is asked for.
pub(super) fn target(source: &dyn Source, index: usize, lesson: Lesson, sized: bool) -> Seen {
    let mut seen = Seen::default();
    if lesson != Lesson::Pictures {
        let target = match source.inspect_target(index) {
            Ok((target, remarks)) => {
                seen.remarks = remarks;
                target
            }
            Err(error) => return Seen::bad(error, source, index),
        };
        let (classes, mask_classes) = (source.classes().len(), source.mask_classes().len());
        seen.bad = target.fault(None, classes, mask_classes);
        if seen.bad.is_some() {
            return seen;
        }
        seen.learn(&target, lesson);
    }
    if sized {
        match source.dimensions(index) {
            Ok(size) => seen.size = size,
            Err(error) => return Seen::bad(error, source, index),
        }
        seen.count_pictures(source, index);
    }
    seen
}

/// What is wrong, without the file where that is the sample's own, which a finding names itself.
fn reason(error: DataError, own: &str) -> String {
    let (origin, reason) = match error {
        DataError::Unreadable { origin, reason } => (origin, reason),
        DataError::OverLimit { origin, reason } => (origin, format!("refused: {reason}")),
        DataError::Io {
            path,
            action,
            source,
        } => (
            path.display().to_string(),
            format!("cannot {action}: {source}"),
        ),
        error => return error.to_string(),
    };
    match origin.ends_with(own) {
        true => reason,
        false => format!("{origin}: {reason}"),
    }
}

/// Why a sample cannot be true, if it cannot.
pub(super) fn impossible(sample: &Sample, classes: usize, mask_classes: usize) -> Option<String> {
    let of_target = || {
        let size = Some(sample.image.size());
        sample.target.fault(size, classes, mask_classes)
    };
    sample.image.fault().or_else(of_target)
}

/// Whether all pixels are the same.
fn is_plain<T: Value>(image: &Image<T>) -> bool {
    let mut pixels = image.pixels.chunks_exact(image.channels.max(1));
    pixels.all(|pixel| pixel == &image.pixels[..image.channels])
}

/// SHA-256 over size and pixels.
pub fn content_hash(picture: &Picture) -> [u8; 32] {
    let mut hasher = Sha256::new();
    let [width, height] = picture.size();
    for size in [width, height, picture.channels()] {
        hasher.update((size as u64).to_le_bytes());
    }
    with_image!(picture, image => hasher.update(bytemuck::cast_slice::<_, u8>(&image.pixels)));
    hasher.finalize().into()
}
