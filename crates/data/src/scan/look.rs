//! One sample: whether it can be true, and what it tells.

use std::collections::BTreeMap;

use sha2::{Digest, Sha256};

use super::Lesson;
use crate::error::DataError;
use crate::sample::{Image, Label, Mask, Sample};
use crate::source::{Remark, Source};

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

    /// Counts what a label that can be true teaches.
    fn learn(&mut self, label: &Label, lesson: Lesson) {
        match (lesson, label) {
            (Lesson::Pictures, _) => {}
            (Lesson::Classes, Label::Class(class)) => self.classes.push(*class),
            (Lesson::Boxes, Label::Boxes(boxes) | Label::BoxesAndMask(boxes, _)) => {
                for object in boxes {
                    match object.crowd {
                        true => self.crowds.push(object.class),
                        false => self.classes.push(object.class),
                    }
                }
            }
            (Lesson::Masks, Label::Mask(mask) | Label::BoxesAndMask(_, mask)) => {
                let mut counts = [0; 256];
                mask.classes
                    .iter()
                    .for_each(|&class| counts[usize::from(class)] += 1);
                let there = (0..=255).zip(counts).filter(|(_, count)| *count > 0);
                self.pixels = there.collect();
                if self.pixels.keys().eq([&Mask::IGNORE]) {
                    self.suspicious
                        .push("every pixel of its mask is to be ignored".into());
                }
            }
            _ => self.suspicious.push("no label to learn from".into()),
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
    let mut seen = Seen {
        bad: impossible(&sample, source.classes().len(), source.mask_classes().len()),
        size: Some([image.width, image.height, image.channels]),
        digest: Some(content_hash(image)),
        remarks,
        ..Seen::default()
    };
    if seen.bad.is_some() {
        return seen;
    }
    if image
        .pixels
        .chunks_exact(image.channels.max(1))
        .all(|pixel| pixel == &image.pixels[..image.channels])
    {
        seen.suspicious
            .push("all pixels have the same colour".into());
    }
    let (shorter, longer) = (image.width.min(image.height), image.width.max(image.height));
    if longer >= LONG * shorter {
        seen.suspicious
            .push(format!("{}x{} pixels: a strip", image.width, image.height));
    }
    seen.learn(&sample.label, lesson);
    seen
}

/// Reads a label, and the size of its picture if that is asked for.
pub(super) fn label(source: &dyn Source, index: usize, lesson: Lesson, sized: bool) -> Seen {
    let mut seen = Seen::default();
    if lesson != Lesson::Pictures {
        let label = match source.inspect_label(index) {
            Ok((label, remarks)) => {
                seen.remarks = remarks;
                label
            }
            Err(error) => return Seen::bad(error, source, index),
        };
        let (classes, mask_classes) = (source.classes().len(), source.mask_classes().len());
        seen.bad = untrue(&label, None, classes, mask_classes);
        if seen.bad.is_some() {
            return seen;
        }
        seen.learn(&label, lesson);
    }
    if sized {
        match source.dimensions(index) {
            Ok(size) => seen.size = size,
            Err(error) => return Seen::bad(error, source, index),
        }
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

/// Why a label cannot be true of its image, if it cannot.
pub(super) fn impossible(sample: &Sample, classes: usize, mask_classes: usize) -> Option<String> {
    let image = &sample.image;
    if image.pixels.len() != image.width * image.height * image.channels || image.pixels.is_empty()
    {
        return Some(format!(
            "{} bytes for {}x{} pixels",
            image.pixels.len(),
            image.width,
            image.height
        ));
    }
    let size = [image.width, image.height];
    untrue(&sample.label, Some(size), classes, mask_classes)
}

/// Why a label cannot be true, if it cannot; whether it fits its image is known by the image's `[width, height]`
/// alone.
fn untrue(
    label: &Label,
    size: Option<[usize; 2]>,
    classes: usize,
    mask_classes: usize,
) -> Option<String> {
    if let Label::Class(class) = label
        && *class >= classes
    {
        return Some(format!(
            "class {class} is out of range: there are {classes} classes"
        ));
    }
    if let Label::Boxes(boxes) | Label::BoxesAndMask(boxes, _) = label {
        for (number, object) in boxes.iter().enumerate() {
            let [x1, y1, x2, y2] = object.xyxy;
            let shown = format!("box {number} [{x1}, {y1}, {x2}, {y2}]");
            if object.class >= classes {
                let class = object.class;
                return Some(format!(
                    "{shown}: class {class} is out of range: there are {classes} classes"
                ));
            }
            if !object.xyxy.iter().all(|edge| edge.is_finite()) || x1 >= x2 || y1 >= y2 {
                return Some(format!("{shown} has no area"));
            }
            if let Some([width, height]) = size
                && (x1 < 0.0 || y1 < 0.0 || x2 > width as f32 || y2 > height as f32)
            {
                return Some(format!(
                    "{shown} leaves the image of {width}x{height} pixels"
                ));
            }
        }
    }
    if let Label::Mask(mask) | Label::BoxesAndMask(_, mask) = label {
        let (width, height) = (mask.width, mask.height);
        let [wide, high] = size.unwrap_or([width, height]);
        if [width, height] != [wide, high] || mask.classes.len() != width * height {
            return Some(format!(
                "its mask is {width}x{height}, the image {wide}x{high}"
            ));
        }
        let out = |class: &u8| usize::from(*class) >= mask_classes && *class != Mask::IGNORE;
        if let Some(at) = mask.classes.iter().position(out) {
            let (class, x, y) = (mask.classes[at], at % mask.width, at / mask.width);
            return Some(format!(
                "class {class} at {x}, {y} of its mask: there are {mask_classes} classes"
            ));
        }
    }
    None
}

/// SHA-256 over size and pixels.
pub fn content_hash(image: &Image) -> [u8; 32] {
    let mut hasher = Sha256::new();
    for size in [image.width, image.height, image.channels] {
        hasher.update((size as u64).to_le_bytes());
    }
    hasher.update(&image.pixels);
    hasher.finalize().into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn masks_are_checked_against_the_image() {
        let image = Image {
            width: 2,
            height: 2,
            channels: 1,
            pixels: vec![0, 1, 2, 3],
        };
        let bad = |width, classes| {
            let label = Label::Mask(Mask {
                width,
                height: 2,
                classes,
            });
            impossible(
                &Sample {
                    image: image.clone(),
                    label,
                },
                2,
                2,
            )
        };
        assert_eq!(bad(2, vec![0, 1, 255, 0]), None);
        assert!(
            bad(2, vec![0, 1, 2, 0])
                .unwrap()
                .contains("class 2 at 0, 1")
        );
        assert!(bad(1, vec![0, 1]).unwrap().contains("its mask is 1x2"));
    }
}
