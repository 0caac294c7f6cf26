//! Boxes from COCO's JSON.
//!
//! Class indices follow the category ids in order. Annotations with `iscrowd` are kept and marked; images without
//! annotations are valid. An annotation without a `bbox` has the bound of its outline.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::super::objects::{Faulty, clipped, fault, inspect_stated};
use super::super::outline::{drawn, instance};
use super::super::problems::path_problems;
use super::classes::Classes;
use super::picture::{Object, Parts, Picture, Wanted};
use super::truth::Truth;
use crate::decode::Decoding;
use crate::decode::turn::Turn;
use crate::error::DataError;
use crate::sample::Sample;
use crate::source::{Remark, Source, Splits};
use crate::target::{BoxLabel, Mask, Target};

/// An annotation file and its images.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct CocoPart {
    /// The JSON file, relative to the dataset's folder.
    pub annotations: PathBuf,
    /// The folder of the images, relative to the dataset's folder.
    pub images: PathBuf,
}

/// A dataset in COCO's format.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct CocoConfig {
    /// The dataset's folder, relative to the data root.
    pub path: PathBuf,
    /// What is learnt from.
    pub train: CocoPart,
    /// What decides which checkpoint is best; without it a part of the training images.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub validation: Option<CocoPart>,
    /// What the final numbers come from.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub test: Option<CocoPart>,
    /// What to do about objects that cannot be true or are not understood. `faulty-boxes` is an older name of this key.
    #[serde(default, alias = "faulty-boxes")]
    pub faulty: Faulty,
    /// Whether each box comes with the mask of its object, from `segmentation` (polygons or run lengths).
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub instance_masks: bool,
    /// How image files are read, and what one may cost.
    #[serde(default, alias = "limits")]
    pub decode: Decoding,
}

impl CocoConfig {
    /// How its image files are read.
    pub(in crate::datasets) fn decoding(&self) -> Decoding {
        self.decode
    }

    /// What is wrong with the values, as pairs of a dotted key inside this table and a message.
    pub fn problems(&self) -> Vec<(String, String)> {
        path_problems(&self.path, "the annotations and images")
    }

    /// Reads the annotation files; no image is opened.
    ///
    /// # Errors
    /// A missing file, malformed JSON, ids of images or categories that are missing or occur twice, annotations of
    /// images that there are not, a category that the training part does not have.
    pub fn open(&self, data_root: &Path) -> Result<Splits, DataError> {
        let root = data_root.join(&self.path);
        let open = |part: &CocoPart, classes: Option<&Classes>| {
            let truth = Truth::open(&Wanted {
                annotations: root.join(&part.annotations),
                images: root.join(&part.images),
                faulty: self.faulty,
                parts: match self.instance_masks {
                    true => Parts::Both,
                    false => Parts::Box,
                },
                chosen: &[],
                classes,
            })?;
            Ok(Coco {
                truth,
                images: part.images.clone(),
                decode: self.decode,
            })
        };
        let train = open(&self.train, None)?;
        let given = |part: &Option<CocoPart>| -> Result<Option<Arc<dyn Source>>, DataError> {
            let Some(part) = part else { return Ok(None) };
            Ok(Some(Arc::new(open(part, Some(&train.truth.classes))?)))
        };
        let (validation, test) = (given(&self.validation)?, given(&self.test)?);
        Ok(Splits {
            train: Arc::new(train),
            validation,
            test,
        })
    }
}

/// One part of a dataset.
struct Coco {
    truth: Truth,
    /// The folder of the images as the recipe has it.
    images: PathBuf,
    decode: Decoding,
}

impl Coco {
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
            let Some(written) = object.xyxy else { continue };
            let mut inside = clipped(frame.xyxy(written, stored), size);
            let name = &self.truth.classes.names[object.class];
            let (mask, wrong) = match outlined(object, stored) {
                Ok((mask, wrong)) => (mask.map(|mask| frame.mask(mask)), wrong),
                Err(reason) => {
                    inside = None;
                    (None, Some(reason))
                }
            };
            let of_box = |reason| {
                let [x1, y1, x2, y2] = written;
                format!("`{name}` [{x1}, {y1}, {}, {}]: {reason}", x2 - x1, y2 - y1)
            };
            let reason = fault(written, stored).map(of_box);
            if let Some(reason) = reason.or_else(|| wrong.map(|wrong| format!("`{name}`: {wrong}")))
            {
                let place = self.truth.place(object);
                let done = match self.truth.faulty {
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
                crowd: object.crowd,
                difficult: false,
                cover: object.cover,
                mask,
            }));
        }
        Ok(boxes)
    }
}

/// The mask of an object in a frame of `size`, where its outline is kept, and what is wrong with the outline.
///
/// # Errors
/// Why there is none.
fn outlined(object: &Object, size: [usize; 2]) -> Result<(Option<Mask>, Option<String>), String> {
    let Some(outline) = &object.outline else {
        return Ok((None, None));
    };
    let (covered, wrong) = drawn(outline, size)?;
    Ok((Some(instance(size, covered)), wrong))
}

impl Source for Coco {
    fn len(&self) -> usize {
        self.truth.pictures.len()
    }

    fn read(&self, index: usize) -> Result<Sample, DataError> {
        self.inspect(index).map(|(sample, _)| sample)
    }

    fn origin(&self, index: usize) -> String {
        self.truth.origin(index, &self.images)
    }

    fn file(&self, index: usize) -> Option<PathBuf> {
        self.truth.path(self.truth.picture(index).ok()?).ok()
    }

    fn classes(&self) -> &[String] {
        &self.truth.classes.names
    }

    fn identity(&self, index: usize) -> Vec<u8> {
        let Some(picture) = self.truth.pictures.get(index) else {
            return Vec::new();
        };
        let objects = picture.objects.iter();
        let objects = objects.map(|o| format!(" {} {:?} {}", o.class, o.xyxy, o.crowd));
        let file = picture.file.display();
        let mut bytes =
            format!("{} {file}{}", picture.id, objects.collect::<String>()).into_bytes();
        let outlines = picture
            .objects
            .iter()
            .filter_map(|object| object.outline.as_ref());
        outlines.for_each(|outline| outline.identity(&mut bytes));
        bytes
    }

    fn number(&self, index: usize) -> u64 {
        self.truth.number(index)
    }

    fn class_number(&self, class: usize) -> u64 {
        self.truth.class_number(class)
    }

    fn remarks(&self) -> Vec<Remark> {
        self.truth.remarks.clone()
    }

    fn inspect(&self, index: usize) -> Result<(Sample, Vec<Remark>), DataError> {
        let picture = self.truth.picture(index)?;
        let (image, frame, mut remarks) = self.truth.image(picture, &self.decode)?;
        let boxes = self.boxes(picture, image.size(), frame, &mut remarks)?;
        let target = Target::of_boxes(boxes);
        Ok((Sample { image, target }, remarks))
    }

    fn target(&self, index: usize) -> Result<Target, DataError> {
        self.inspect_target(index).map(|(target, _)| target)
    }

    fn inspect_target(&self, index: usize) -> Result<(Target, Vec<Remark>), DataError> {
        let picture = self.truth.picture(index)?;
        let fault = self.truth.label_fault(picture);
        inspect_stated(self, index, picture.stated, fault, |size, remarks| {
            let boxes = self.boxes(picture, size, Turn::NONE, remarks)?;
            Ok(Target::of_boxes(boxes))
        })
    }

    fn dimensions(&self, index: usize) -> Result<Option<[usize; 3]>, DataError> {
        let picture = self.truth.pictures.get(index);
        picture
            .map(|picture| self.truth.dimensions(picture, &self.decode))
            .transpose()
    }

    fn known_bad(&self) -> Vec<(usize, Remark)> {
        self.truth.known_bad()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: &str = r#"{"images": [{"id": 9, "file_name": "a.png"}, {"id": 4, "file_name": "b.png"}],
        "categories": [{"id": 7, "name": "dog"}, {"id": 3, "name": "cat"}],
        "annotations": [{"id": 1, "image_id": 9, "category_id": 7, "bbox": [1, 2, 3.5, 4], "iscrowd": 1, "area": 3.5},
                        {"id": 2, "image_id": 9, "category_id": 3, "bbox": [0, 0, 20, 10]}]}"#;

    fn dataset(text: &str) -> (tempfile::TempDir, CocoConfig) {
        let folder = tempfile::tempdir().unwrap();
        let image = image::RgbImage::from_pixel(20, 10, image::Rgb([9; 3]));
        for name in ["a.png", "b.png"] {
            image.save(folder.path().join(name)).unwrap();
        }
        std::fs::write(folder.path().join("truth.json"), text).unwrap();
        let part = CocoPart {
            annotations: "truth.json".into(),
            images: "".into(),
        };
        let config = CocoConfig {
            path: folder.path().into(),
            train: part,
            ..CocoConfig::default()
        };
        (folder, config)
    }

    #[test]
    fn each_box_brings_the_mask_of_its_object_where_that_is_asked_for() {
        let with = |outlines: [&str; 2]| {
            let [one, other] = outlines;
            let text = format!(
                r#"{{"images": [{{"id": 9, "file_name": "a.png", "width": 20, "height": 10}}],
                "categories": [{{"id": 7, "name": "dog"}}], "annotations": [
                {{"id": 1, "image_id": 9, "category_id": 7, "bbox": [1, 2, 3, 2] {one}}},
                {{"id": 2, "image_id": 9, "category_id": 7, "bbox": [0, 0, 2, 10] {other}}}]}}"#
            );
            let (folder, mut config) = dataset(&text);
            config.instance_masks = true;
            (folder, config)
        };
        let polygon = r#", "segmentation": [[1, 2, 4, 2, 4, 4, 1, 4]]"#;
        // Column by column: none of the first ten pixels, the next ten, none of the rest.
        let runs = r#", "iscrowd": 1, "segmentation": {"size": [10, 20], "counts": [10, 10, 180]}"#;
        let (_folder, config) = with([polygon, runs]);
        let source = config.open(Path::new("")).unwrap().train;
        let target = source.read(0).unwrap().target;
        assert_eq!(source.target(0).unwrap(), target);
        assert_eq!(target.fault(Some([20, 10]), 1, 0), None);
        let covered = |number: usize| {
            let mask = target.objects()[number].mask.as_ref().unwrap();
            let set = (0..200).filter(|&at| mask.classes[at] == 1);
            set.map(|at| [at % 20, at / 20]).collect::<Vec<_>>()
        };
        assert_eq!(covered(0), [[1, 2], [2, 2], [3, 2], [1, 3], [2, 3], [3, 3]]);
        assert_eq!(covered(1), (0..10).map(|y| [1, y]).collect::<Vec<_>>());

        let leaves = r#", "segmentation": [[1, 2, 4, 2, 4, 14, 1, 14]]"#;
        for (wrong, reason, left) in [
            ("", "`dog` has no outline (`segmentation`)", [2, 1]),
            (
                leaves,
                "the outline leaves the image of 20x10 pixels",
                [2, 1],
            ),
        ] {
            let (_folder, mut config) = with([wrong, runs]);
            let error = refusal(&config);
            assert!(
                error.contains("/annotations/0") && error.contains(reason),
                "{error}"
            );
            for (faulty, left) in [Faulty::Repair, Faulty::Drop].into_iter().zip(left) {
                config.faulty = faulty;
                let source = config.open(Path::new("")).unwrap().train;
                let target = source.read(0).unwrap().target;
                assert_eq!(target.objects().len(), left, "{faulty:?}: {reason}");
                assert_eq!(target.fault(Some([20, 10]), 1, 0), None);
            }
            // Boxes alone need no outline.
            config.instance_masks = false;
            config.faulty = Faulty::Refuse;
            let target = config
                .open(Path::new(""))
                .unwrap()
                .train
                .read(0)
                .unwrap()
                .target;
            assert!(target.objects().iter().all(|object| object.mask.is_none()));
        }
    }

    #[test]
    fn gaps_crowds_and_empty_images_are_read() {
        let (_folder, config) = dataset(GOOD);
        let source = config.open(Path::new("")).unwrap().train;
        assert_eq!(source.classes(), ["cat", "dog"]);
        assert_eq!(
            (source.class_number(1), source.number(0), source.number(1)),
            (7, 9, 4)
        );
        let boxes = source.read(0).unwrap().target.boxes.unwrap();
        assert_eq!(
            (boxes[0].xyxy, boxes[0].class, boxes[0].crowd),
            ([1.0, 2.0, 4.5, 6.0], 1, true)
        );
        assert_eq!((boxes[1].class, boxes[1].crowd), (0, false));
        assert_eq!((boxes[0].cover, boxes[1].cover), (0.25, 1.0));
        assert_eq!(source.read(1).unwrap().target, Target::of_boxes(vec![]));
        assert!(
            source.remarks()[0]
                .message
                .starts_with("1 image without annotations")
        );
    }

    /// The message of the file, or of the first of its images that is bad.
    fn refusal(config: &CocoConfig) -> String {
        let source = match config.open(Path::new("")) {
            Err(error) => return error.to_string(),
            Ok(splits) => splits.train,
        };
        let known = source.known_bad().into_iter().next();
        let (index, remark) = known.expect("nothing is wrong");
        let error = source.read(index).unwrap_err();
        assert!(error.is_bad_sample());
        assert_eq!(
            error.to_string(),
            format!("{}: {}", remark.origin, remark.message)
        );
        error.to_string()
    }

    #[test]
    fn contradictions_are_named_by_pointer() {
        let cases = [
            (
                GOOD.replace("\"id\": 4", "\"id\": 9"),
                "/images/1: the id 9 occurs twice",
            ),
            (
                GOOD.replace("\"id\": 3", "\"id\": 7"),
                "/categories/1: the id 7 occurs twice",
            ),
            (
                GOOD.replace("{\"id\": 2", "{\"id\": 1"),
                "/annotations/1: the id 1 occurs twice",
            ),
            (
                GOOD.replace(
                    "\"image_id\": 9, \"category_id\": 3",
                    "\"image_id\": 8, \"category_id\": 3",
                ),
                "/annotations/1: there is no image 8",
            ),
            (
                GOOD.replace("\"category_id\": 3", "\"category_id\": 5"),
                "/annotations/1: there is no category 5",
            ),
            (
                GOOD.replace("[0, 0, 20, 10]", "[0, 0, 20]"),
                "/annotations/1/bbox: has 3 numbers, not 4",
            ),
            (
                GOOD.replace("\"a.png\"", "\"../..\""),
                "/images/0/file_name: the file `../..` leaves the folder",
            ),
            (GOOD.replace("20, 10]", "NaN, 10]"), "truth.json:4:"),
            (GOOD[..100].to_string(), "EOF while parsing"),
        ];
        for (text, message) in cases {
            let (_folder, config) = dataset(&text);
            let error = refusal(&config);
            assert!(error.contains(message), "{error}");
        }
    }

    #[test]
    fn faulty_boxes_are_bad_samples_or_repaired() {
        for (bbox, message, left) in [
            ("[3, 3, 0, 4]", "has no area", 1),
            ("[3, 3, -2, 4]", "is inverted", 1),
            ("[15, 3, 9, 4]", "leaves the image of 20x10", 2),
        ] {
            let (_folder, mut config) = dataset(&GOOD.replace("[0, 0, 20, 10]", bbox));
            let error = config
                .open(Path::new(""))
                .unwrap()
                .train
                .read(0)
                .unwrap_err();
            assert!(error.is_bad_sample());
            let text = error.to_string();
            assert!(
                text.contains("truth.json: /annotations/1: `cat` [") && text.contains(message),
                "{text}"
            );
            config.faulty = Faulty::Repair;
            let boxes = config
                .open(Path::new(""))
                .unwrap()
                .train
                .read(0)
                .unwrap()
                .target
                .boxes
                .unwrap();
            assert_eq!(boxes.len(), left);
        }
        let (folder, config) = dataset(GOOD);
        std::fs::remove_file(folder.path().join("a.png")).unwrap();
        let error = config
            .open(Path::new(""))
            .unwrap()
            .train
            .read(0)
            .unwrap_err();
        assert!(matches!(error, DataError::Missing { .. }));
    }
}
