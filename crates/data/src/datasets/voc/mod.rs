//! Pascal VOC's layout: pictures in `JPEGImages`, lists of them in `ImageSets`, and either boxes from XML files in
//! `Annotations` ([`VocConfig`]) or class masks in `SegmentationClass` ([`VocMasksConfig`]); and XML files in folders without
//! lists, as labelImg and Roboflow write them ([`VocFoldersConfig`]).
//!
//! A line of a list is a name, or a name and one of the flags `1`, `0` and `-1`, which are not read. Names may hold
//! spaces, stand in quotes, and have the ending of their picture; a picture may have any ending that can be read. What is
//! not understood is named by its file and line: a fault of one picture makes it a bad sample, which counts against
//! `max-bad`, and a fault of one object goes by `faulty`.
//!
//! ```
//! use firesight_data::datasets::voc::VocConfig;
//! use firesight_data::draw::write_png;
//! use firesight_data::Image;
//!
//! let folder = tempfile::tempdir()?;
//! let root = folder.path();
//! for part in ["Annotations", "JPEGImages", "ImageSets/Main"] {
//!     std::fs::create_dir_all(root.join(part))?;
//! }
//! let annotation = "<annotation><object><name>car</name><bndbox><xmin>1</xmin><ymin>2</ymin>
//!     <xmax>8</xmax><ymax>6</ymax></bndbox></object></annotation>";
//! std::fs::write(root.join("Annotations/photo (7).xml"), annotation)?;
//! std::fs::write(root.join("ImageSets/Main/train.txt"), "photo (7)\n")?;
//! let image = Image { width: 8, height: 6, channels: 1, pixels: vec![0; 48] };
//! write_png(&image, &root.join("JPEGImages/photo (7).png"))?;
//! let train = VocConfig::default().open(root)?.train;
//! let boxes = train.read(0)?.target.boxes.unwrap();
//! assert_eq!((boxes[0].xyxy, train.classes()[0].as_str()), ([0.0, 1.0, 8.0, 6.0], "car"));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod boxes;
mod folders;
mod layout;
mod masks;
#[cfg(test)]
mod tests;
mod xml;

pub use boxes::VocConfig;
pub use folders::VocFoldersConfig;
pub use masks::{CLASSES, VocMasksConfig};

const ANNOTATIONS: &str = "Annotations";
const IMAGES: &str = "JPEGImages";
