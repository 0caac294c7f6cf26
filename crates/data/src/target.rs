//! What is known about an image, and the one rule by which it follows the image through a transform.
//!
//! ```
//! use firesight_data::{BoxLabel, Mask, Target};
//!
//! let mask = Mask { width: 3, height: 1, classes: vec![0, 2, 2] };
//! let boxes = vec![BoxLabel { xyxy: [1.0, 0.0, 3.0, 1.0], class: 1, ..Default::default() }];
//! let target = Target { boxes: Some(boxes), mask: Some(mask), ..Default::default() };
//! assert_eq!(target.class(), None); // no class of the whole image is known
//! assert!(target.fault(Some([3, 1]), 2, 3).is_none());
//! assert!(target.fault(Some([2, 1]), 2, 3).unwrap().contains("leaves the image of 2x1 pixels"));
//! ```

/// A number per pixel, `height x width`: of class masks the class, [`Mask::IGNORE`] where there is no label; of the mask
/// of one object 1 where the object is and 0 elsewhere.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mask {
    /// Width in pixels.
    pub width: usize,
    /// Height in pixels.
    pub height: usize,
    /// `height * width` numbers.
    pub classes: Vec<u8>,
}

impl Mask {
    /// The class index of a pixel that neither trains nor counts.
    pub const IGNORE: u8 = 255;
}

/// One labelled object: absolute pixels, `x1 y1 x2 y2`, `0 <= x1 < x2 <= width`.
#[derive(Clone, Debug, PartialEq)]
pub struct BoxLabel {
    /// `[x1, y1, x2, y2]`
    pub xyxy: [f32; 4],
    /// Class index from 0; background is not a class.
    pub class: usize,
    /// A region that holds a crowd of the class (COCO's `iscrowd`), not one object.
    pub crowd: bool,
    /// Marked as difficult (Pascal VOC), left out of the score.
    pub difficult: bool,
    /// The share of the box that the object itself covers, 1 unless the dataset says otherwise (COCO's `area`). It
    /// decides between small, medium and large objects in the score.
    pub cover: f32,
    /// Where in the image the object is: its instance mask, if it is known, of the image's size.
    pub mask: Option<Mask>,
}

impl Default for BoxLabel {
    fn default() -> Self {
        BoxLabel {
            xyxy: [0.0; 4],
            class: 0,
            crowd: false,
            difficult: false,
            cover: 1.0,
            mask: None,
        }
    }
}

/// What is known about an image; `None` is what is not.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Target {
    /// The classes of the image as a whole, by index from 0: one where an image has one class.
    pub classes: Option<Vec<usize>>,
    /// Its objects; an empty list is a valid image without any.
    pub boxes: Option<Vec<BoxLabel>>,
    /// A class for each pixel.
    pub mask: Option<Mask>,
}

impl Target {
    /// One class for the whole image.
    pub fn of_class(class: usize) -> Target {
        Target {
            classes: Some(vec![class]),
            ..Target::default()
        }
    }

    /// Objects.
    pub fn of_boxes(boxes: Vec<BoxLabel>) -> Target {
        Target {
            boxes: Some(boxes),
            ..Target::default()
        }
    }

    /// A class for each pixel.
    pub fn of_mask(mask: Mask) -> Target {
        Target {
            mask: Some(mask),
            ..Target::default()
        }
    }

    /// The class of the image, if it has exactly one.
    pub fn class(&self) -> Option<usize> {
        match self.classes.as_deref() {
            Some([class]) => Some(*class),
            _ => None,
        }
    }

    /// The objects; none where none are known.
    pub fn objects(&self) -> &[BoxLabel] {
        self.boxes.as_deref().unwrap_or_default()
    }

    /// The memory behind it, in bytes.
    pub fn bytes(&self) -> usize {
        let pixels = |mask: &Option<Mask>| mask.as_ref().map_or(0, |mask| mask.classes.len());
        let object = |object: &BoxLabel| size_of::<BoxLabel>() + pixels(&object.mask);
        let classes = self.classes.as_ref().map_or(0, Vec::len) * size_of::<usize>();
        classes + self.objects().iter().map(object).sum::<usize>() + pixels(&self.mask)
    }

    /// The same on a moved image: `place` tells where a box comes to lie, if anything of it is left, and `moved` gives a
    /// mask in its new place, with the number that stands where nothing of the old one does.
    #[must_use]
    pub(crate) fn carried(
        self,
        place: impl Fn([f32; 4]) -> Option<[f32; 4]>,
        moved: impl Fn(Mask, u8) -> Mask,
    ) -> Target {
        let object = |object: BoxLabel| {
            Some(BoxLabel {
                xyxy: place(object.xyxy)?,
                mask: object.mask.map(|mask| moved(mask, 0)),
                ..object
            })
        };
        Target {
            classes: self.classes,
            boxes: (self.boxes).map(|boxes| boxes.into_iter().filter_map(object).collect()),
            mask: self.mask.map(|mask| moved(mask, Mask::IGNORE)),
        }
    }

    /// Why it cannot be true of an image of `[width, height]`, if it cannot, where `classes` and `mask_classes` are
    /// how many classes there are of images and boxes, and of pixels. Without a size, nothing is said about what fits
    /// the image.
    pub fn fault(
        &self,
        size: Option<[usize; 2]>,
        classes: usize,
        mask_classes: usize,
    ) -> Option<String> {
        let beyond = |class: usize| {
            (class >= classes)
                .then(|| format!("class {class} is out of range: there are {classes} classes"))
        };
        let own = self.classes.iter().flatten();
        let object = |(number, object): (usize, &BoxLabel)| {
            let shown = || {
                let [x1, y1, x2, y2] = object.xyxy;
                format!("box {number} [{x1}, {y1}, {x2}, {y2}]")
            };
            if let Some(problem) = beyond(object.class) {
                return Some(format!("{}: {problem}", shown()));
            }
            let [x1, y1, x2, y2] = object.xyxy;
            if !object.xyxy.iter().all(|edge| edge.is_finite()) || x1 >= x2 || y1 >= y2 {
                return Some(format!("{} has no area", shown()));
            }
            if let Some([width, height]) = size
                && (x1 < 0.0 || y1 < 0.0 || x2 > width as f32 || y2 > height as f32)
            {
                let of = format!("{width}x{height} pixels");
                return Some(format!("{} leaves the image of {of}", shown()));
            }
            let fault = mask_fault(object.mask.as_ref()?, size, 2)?;
            Some(format!("{}: {fault}", shown()))
        };
        (own.copied().find_map(beyond))
            .or_else(|| self.objects().iter().enumerate().find_map(object))
            .or_else(|| mask_fault(self.mask.as_ref()?, size, mask_classes))
    }
}

/// Why a mask of so many classes cannot be true, if it cannot.
fn mask_fault(mask: &Mask, size: Option<[usize; 2]>, classes: usize) -> Option<String> {
    let (width, height) = (mask.width, mask.height);
    let [wide, high] = size.unwrap_or([width, height]);
    if [width, height] != [wide, high] || mask.classes.len() != width * height {
        return Some(format!(
            "its mask is {width}x{height} with {} values, the image {wide}x{high}",
            mask.classes.len()
        ));
    }
    if classes > usize::from(u8::MAX) {
        return None;
    }
    let out = |class: &u8| usize::from(*class) >= classes && *class != Mask::IGNORE;
    let at = mask.classes.iter().position(out)?;
    let (class, x, y) = (mask.classes[at], at % width, at / width);
    Some(format!(
        "class {class} at {x}, {y} of its mask: there are {classes} classes"
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mask(width: usize, classes: &[u8]) -> Mask {
        Mask {
            width,
            height: classes.len() / width,
            classes: classes.to_vec(),
        }
    }

    #[test]
    fn each_part_is_checked_against_the_image_and_the_classes() {
        let object = |xyxy, class, mask| {
            Target::of_boxes(vec![BoxLabel {
                xyxy,
                class,
                mask,
                ..BoxLabel::default()
            }])
        };
        let whole = [0.0, 0.0, 2.0, 2.0];
        let instance = |width, classes: &[u8]| object(whole, 1, Some(mask(width, classes)));
        let cases = [
            (Target::default(), ""),
            (Target::of_class(1), ""),
            (Target::of_class(2), "class 2 is out of range"),
            (object(whole, 1, None), ""),
            (object(whole, 2, None), "class 2 is out of range"),
            (object([1.0, 1.0, 1.0, 2.0], 0, None), "has no area"),
            (object([0.0, 0.0, f32::NAN, 1.0], 0, None), "has no area"),
            (
                object([0.0, 0.0, 2.0, 3.0], 0, None),
                "leaves the image of 2x2",
            ),
            (instance(2, &[0, 1, 1, 0]), ""),
            (instance(2, &[0, 1, 2, 0]), "class 2 at 0, 1 of its mask"),
            (instance(1, &[0, 1]), "its mask is 1x2"),
            (Target::of_mask(mask(2, &[0, 1, 255, 0])), ""),
            (Target::of_mask(mask(2, &[0, 1, 2, 0])), "class 2 at 0, 1"),
            (Target::of_mask(mask(1, &[0, 1])), "its mask is 1x2"),
        ];
        for (target, expected) in cases {
            let fault = target.fault(Some([2, 2]), 2, 2);
            match expected {
                "" => assert_eq!(fault, None, "{target:?}"),
                text => assert!(fault.is_some_and(|f| f.contains(text)), "{target:?}"),
            }
        }
        let beyond = object([0.0, 0.0, 9.0, 9.0], 0, None);
        assert_eq!(beyond.fault(None, 2, 2), None);
    }
}
