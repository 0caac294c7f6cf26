//! COCO's instances rendered to class masks: each pixel has the class of the object that covers it.
//!
//! Background is class 0, the categories follow in the order of their ids, or of `classes` where it is given. Pixels
//! that two objects cover do not count. Crowds (`iscrowd`) are drawn like any other object, since tools such as CVAT mark
//! every brush stroke as one; both are as in torchvision's segmentation reference. A polygon covers the pixels whose
//! centers lie inside it (even-odd), which differs from COCO's own tool by pixels along the edge.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::super::objects::{Faulty, clipped, inspect_stated};
use super::super::outline::{drawn, mark, mask_classes, touched};
use super::classes::Classes;
use super::picture::{Object, Parts, Picture, Wanted};
use super::truth::Truth;
use crate::decode::Decoding;
use crate::error::DataError;
use crate::sample::Sample;
use crate::source::{Remark, Source, Splits};
use crate::target::{Mask, Target};

/// COCO instances as class masks.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, rename_all = "kebab-case", deny_unknown_fields)]
pub struct CocoMasksConfig {
    /// The training part.
    pub train: CocoMasksPart,
    /// The validation part, if there is one.
    pub validation: Option<CocoMasksPart>,
    /// The test part, if there is one.
    pub test: Option<CocoMasksPart>,
    /// The names of the categories to render, background left out; all of the training file unless given. Objects of
    /// other categories are background.
    pub classes: Vec<String>,
    /// What to do about objects that cannot be true or are not understood.
    pub faulty: Faulty,
    /// How image files are read, and what one may cost.
    #[serde(alias = "limits")]
    pub decode: Decoding,
}

/// Images and their instances.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, rename_all = "kebab-case", deny_unknown_fields)]
pub struct CocoMasksPart {
    /// The folder of the images, relative to the data root.
    pub images: PathBuf,
    /// The file of the instances, relative to the data root.
    pub annotations: PathBuf,
}

impl CocoMasksConfig {
    /// How its image files are read.
    pub(in crate::datasets) fn decoding(&self) -> Decoding {
        self.decode
    }

    /// What is wrong with the values, as pairs of a dotted key inside this table and a message.
    pub fn problems(&self) -> Vec<(String, String)> {
        let mut problems = Vec::new();
        let optional = [("validation", &self.validation), ("test", &self.test)];
        let parts = optional
            .into_iter()
            .filter_map(|(key, part)| Some((key, part.as_ref()?)));
        for (key, part) in std::iter::once(("train", &self.train)).chain(parts) {
            if part.images.as_os_str().is_empty() {
                let message = "give the folder that the images lie in";
                problems.push((format!("{key}.images"), message.into()));
            }
            if part.annotations.as_os_str().is_empty() {
                let message = "give the file of the instances";
                problems.push((format!("{key}.annotations"), message.into()));
            }
        }
        if self.classes.len() > 254 {
            let message = "a mask of 8 bits holds at most 254 classes beside background";
            problems.push(("classes".into(), message.into()));
        }
        let mut seen = std::collections::HashSet::new();
        if let Some(twice) = self.classes.iter().find(|class| !seen.insert(*class)) {
            problems.push(("classes".into(), format!("`{twice}` is given twice")));
        }
        problems
    }

    /// Reads the files of the instances; no image is opened.
    ///
    /// # Errors
    /// Those of [`super::CocoConfig::open`], a name in `classes` that no category has, more than 254 classes.
    pub fn open(&self, data_root: &Path) -> Result<Splits, DataError> {
        let train = self.part(data_root, &self.train, None)?;
        let optional =
            |part: &Option<CocoMasksPart>| -> Result<Option<Arc<dyn Source>>, DataError> {
                let Some(part) = part else { return Ok(None) };
                let source = self.part(data_root, part, Some(&train.truth.classes))?;
                Ok(Some(Arc::new(source)))
            };
        let (validation, test) = (optional(&self.validation)?, optional(&self.test)?);
        Ok(Splits {
            train: Arc::new(train),
            validation,
            test,
        })
    }

    fn part(
        &self,
        data_root: &Path,
        part: &CocoMasksPart,
        classes: Option<&Classes>,
    ) -> Result<CocoMasks, DataError> {
        let truth = Truth::open(&Wanted {
            annotations: data_root.join(&part.annotations),
            images: data_root.join(&part.images),
            faulty: self.faulty,
            parts: Parts::Outline,
            chosen: &self.classes,
            classes,
        })?;
        let count = truth.classes.names.len();
        if count > 254 {
            let reason = format!("/categories: {count} of them; name 1 to 254 in `classes`");
            return Err(DataError::unreadable(truth.shown, reason));
        }
        Ok(CocoMasks {
            classes: mask_classes(&truth.classes.names),
            folder: part.images.clone(),
            decode: self.decode,
            truth,
        })
    }
}

/// One part.
struct CocoMasks {
    truth: Truth,
    classes: Vec<String>,
    /// The folder of the images as the recipe has it.
    folder: PathBuf,
    decode: Decoding,
}

/// The pixels of an object, and what was wrong with it if something was done about that.
struct Drawn {
    covered: Vec<bool>,
    /// The class of the pixels in a mask.
    class: u8,
    fault: Option<String>,
}

impl CocoMasks {
    /// The pixels of an object in a frame of `size`.
    ///
    /// # Errors
    /// Why it is not drawn.
    fn draw(&self, object: &Object, size: [usize; 2]) -> Result<Drawn, String> {
        let class = object.class as u8 + 1;
        let Some(outline) = &object.outline else {
            // Nothing but its box is known, which `faulty = "repair"` lets through.
            let inside = object.xyxy.and_then(|xyxy| clipped(xyxy, size));
            let xyxy = inside.ok_or("nothing of its box is inside the image")?;
            return Ok(Drawn {
                covered: touched(xyxy, size).collect(),
                class: Mask::IGNORE,
                fault: None,
            });
        };
        let (covered, fault) = drawn(outline, size)?;
        Ok(Drawn {
            covered,
            class,
            fault,
        })
    }
}

impl CocoMasks {
    /// The mask of a picture whose labels are about `size`; what is done about faulty outlines is added to the remarks.
    fn mask(
        &self,
        picture: &Picture,
        size: [usize; 2],
        remarks: &mut Vec<Remark>,
    ) -> Result<Mask, DataError> {
        let mut classes = vec![0; size[0] * size[1]];
        for object in &picture.objects {
            let place = self.truth.place(object);
            let name = &self.truth.classes.names[object.class];
            let (drawn, done) = match (self.draw(object, size), self.truth.faulty) {
                (
                    Ok(Drawn {
                        fault: None,
                        covered,
                        class,
                    }),
                    _,
                ) => {
                    mark(&mut classes, covered, class);
                    continue;
                }
                (
                    Ok(Drawn {
                        fault: Some(reason),
                        covered,
                        class,
                    }),
                    Faulty::Repair,
                ) => {
                    mark(&mut classes, covered, class);
                    (reason, "clipped")
                }
                (
                    Ok(Drawn {
                        fault: Some(reason),
                        ..
                    }),
                    _,
                ) => (reason, "left out"),
                (Err(reason), _) => (reason, "left out"),
            };
            let reason = format!("`{name}`: {drawn}");
            if self.truth.faulty == Faulty::Refuse {
                return Err(DataError::unreadable(place, reason));
            }
            remarks.push(Remark::new(place, format!("{reason}; {done}")));
        }
        Ok(Mask {
            width: size[0],
            height: size[1],
            classes,
        })
    }
}

impl Source for CocoMasks {
    fn len(&self) -> usize {
        self.truth.pictures.len()
    }

    fn read(&self, index: usize) -> Result<Sample, DataError> {
        self.inspect(index).map(|(sample, _)| sample)
    }

    fn origin(&self, index: usize) -> String {
        self.truth.origin(index, &self.folder)
    }

    fn file(&self, index: usize) -> Option<PathBuf> {
        self.truth.path(self.truth.picture(index).ok()?).ok()
    }

    fn classes(&self) -> &[String] {
        &self.classes
    }

    fn identity(&self, index: usize) -> Vec<u8> {
        let Some(picture) = self.truth.pictures.get(index) else {
            return Vec::new();
        };
        let mut bytes = format!("{} {}", picture.id, picture.file.display()).into_bytes();
        for object in &picture.objects {
            bytes.extend((object.class as u64).to_le_bytes());
            match &object.outline {
                Some(outline) => outline.identity(&mut bytes),
                None => bytes.extend(format!("{:?}", object.xyxy).bytes()),
            }
        }
        bytes
    }

    fn number(&self, index: usize) -> u64 {
        self.truth.number(index)
    }

    fn remarks(&self) -> Vec<Remark> {
        self.truth.remarks.clone()
    }

    fn inspect(&self, index: usize) -> Result<(Sample, Vec<Remark>), DataError> {
        let picture = self.truth.picture(index)?;
        let (image, frame, mut remarks) = self.truth.image(picture, &self.decode)?;
        let size = frame.stored(image.size());
        let mask = frame.mask(self.mask(picture, size, &mut remarks)?);
        let target = Target::of_mask(mask);
        Ok((Sample { image, target }, remarks))
    }

    fn target(&self, index: usize) -> Result<Target, DataError> {
        self.inspect_target(index).map(|(target, _)| target)
    }

    fn inspect_target(&self, index: usize) -> Result<(Target, Vec<Remark>), DataError> {
        let picture = self.truth.picture(index)?;
        // What the file states may be far from what the picture is.
        let in_limits = |[w, h]: &[usize; 2]| w.saturating_mul(*h) as u64 <= self.decode.max_pixels;
        let stated = picture.stated.filter(in_limits);
        let fault = self.truth.label_fault(picture);
        inspect_stated(self, index, stated, fault, |size, remarks| {
            Ok(Target::of_mask(self.mask(picture, size, remarks)?))
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

    fn classes_of(annotations: &str) -> Result<Vec<u8>, String> {
        let folder = tempfile::tempdir().unwrap();
        image::RgbImage::new(4, 3)
            .save(folder.path().join("a.png"))
            .unwrap();
        let text = format!(
            r#"{{"images": [{{"id": 7, "file_name": "a.png", "width": 4, "height": 3}}],
                "categories": [{{"id": 9, "name": "dog"}}, {{"id": 2, "name": "cat"}}],
                "annotations": {annotations}}}"#
        );
        std::fs::write(folder.path().join("i.json"), text).unwrap();
        let config = CocoMasksConfig {
            train: CocoMasksPart {
                images: folder.path().into(),
                annotations: folder.path().join("i.json"),
            },
            ..Default::default()
        };
        let train = config
            .open(Path::new(""))
            .map_err(|error| error.to_string())?
            .train;
        assert_eq!(train.classes(), ["background", "cat", "dog"]);
        let sample = train.read(0).map_err(|error| error.to_string())?;
        Ok(sample.target.mask.unwrap().classes)
    }

    #[test]
    fn a_category_called_background_is_a_class_of_its_own() {
        let folder = tempfile::tempdir().unwrap();
        let truth = r#"{"images": [{"id": 7, "file_name": "a.png"}], "categories": [{"id": 9, "name": "background"}],
            "annotations": [{"image_id": 7, "category_id": 9, "segmentation": [[0, 0, 2, 0, 2, 2, 0, 2]]}]}"#;
        std::fs::write(folder.path().join("i.json"), truth).unwrap();
        let train = CocoMasksPart {
            images: "".into(),
            annotations: "i.json".into(),
        };
        let config = CocoMasksConfig {
            train,
            ..Default::default()
        };
        let train = config.open(folder.path()).unwrap().train;
        assert_eq!(train.classes(), ["background", "background (category)"]);
    }

    #[test]
    fn objects_become_classes_and_what_two_cover_does_not_count() {
        let classes = classes_of(
            r#"[{"image_id": 7, "category_id": 9, "iscrowd": 0, "segmentation": [[0, 0, 2, 0, 2, 2, 0, 2]]},
                {"image_id": 7, "category_id": 2, "segmentation": [[1, 1, 4, 1, 4, 2, 1, 2]]},
                {"image_id": 7, "category_id": 2, "iscrowd": 1,
                 "segmentation": {"counts": [2, 1, 9], "size": [3, 4]}}]"#,
        );
        assert_eq!(classes.unwrap(), [2, 2, 0, 0, 2, 255, 1, 1, 1, 0, 0, 0]);
    }

    #[test]
    fn what_is_wrong_with_an_object_names_it() {
        let fault = |shape: &str| {
            classes_of(&format!(
                r#"[{{"image_id": 7, "category_id": 2, "segmentation": {shape}}}]"#
            ))
            .unwrap_err()
        };
        let message = fault("[[0, 0, 1, 1]]");
        assert!(
            message.contains("i.json: /annotations/0/segmentation: has no polygon of three points"),
            "{message}"
        );
        let message = fault(r#"{"counts": [1, 20], "size": [3, 4]}"#);
        assert!(
            message.contains("run lengths for 21 pixels, more than its `size` of 4x3"),
            "{message}"
        );
        let message = fault(r#"{"counts": [1, 2], "size": [4, 3]}"#);
        assert!(
            message.contains("its run lengths are for 3x4 pixels, the image has 4x3"),
            "{message}"
        );
        assert!(fault(r#""nothing""#).contains("is the string `nothing`"));
    }
}
