//! COCO's JSON: `images`, `annotations` and `categories`, read by one reader whatever is learnt from it, boxes
//! ([`CocoConfig`]) or class masks ([`CocoMasksConfig`]).
//!
//! What has one meaning only is read: whole numbers written as `1.0` or `"1"`, ids that are words, `iscrowd` in any
//! spelling of yes and no, a missing, null or empty `bbox` beside an outline, an outline that is one flat list of
//! numbers. Everything else is named by the file and its JSON pointer. Ids of images and categories that are missing or
//! occur twice and annotations of no image shut out the file; a fault of one image makes it a bad sample, which counts
//! against `max-bad`; a fault of one object goes by `faulty`.
//!
//! `width` and `height` of an image may be left out. Where they are stated they must be those of the picture, and they
//! tell in which frame boxes and outlines are: those of the picture as shown, or of the file before its EXIF orientation
//! turned it, in which case the labels are turned along.
//!
//! ```
//! use firesight_data::datasets::coco::{CocoConfig, CocoMasksConfig, CocoMasksPart};
//! use firesight_data::draw::write_png;
//! use firesight_data::Image;
//!
//! let folder = tempfile::tempdir()?;
//! let image = Image { width: 4, height: 2, channels: 1, pixels: vec![0; 8] };
//! write_png(&image, &folder.path().join("a.png"))?;
//! let truth = r#"{"images": [{"id": 9, "file_name": "a.png"}], "categories": [{"id": 7, "name": "dog"}],
//!     "annotations": [{"image_id": 9, "category_id": 7, "segmentation": [[0, 0, 2, 0, 2, 2, 0, 2]]}]}"#;
//! std::fs::write(folder.path().join("truth.json"), truth)?;
//!
//! let config = r#"{"path": "", "train": {"annotations": "truth.json", "images": ""}}"#;
//! let train = serde_json::from_str::<CocoConfig>(config)?.open(folder.path())?.train;
//! let boxes = train.read(0)?.target.boxes.unwrap();
//! assert_eq!((boxes[0].xyxy, boxes[0].class), ([0.0, 0.0, 2.0, 2.0], 0));
//!
//! let part = CocoMasksPart { images: "".into(), annotations: "truth.json".into() };
//! let train = CocoMasksConfig { train: part, ..Default::default() }.open(folder.path())?.train;
//! assert_eq!(train.classes(), ["background", "dog"]);
//! let mask = train.read(0)?.target.mask.unwrap();
//! assert_eq!(mask.classes, [1, 1, 0, 0, 1, 1, 0, 0]);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod boxes;
mod classes;
mod file;
mod masks;
mod outline;
mod picture;
mod reader;
#[cfg(test)]
mod tests;
mod truth;

pub use boxes::{CocoConfig, CocoPart};
pub use masks::{CocoMasksConfig, CocoMasksPart};
