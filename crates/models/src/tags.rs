//! torchvision's published weights: which files there are, how their images are prepared, and what
//! they reach on ImageNet.
//!
//! A recipe says `init = { tag = "IMAGENET1K_V1" }`. The file's name ends in the first hex digits
//! of its SHA-256 (eight in most), which is all that is published about its content;
//! [`Tag::matches`] checks a file against them. This crate downloads nothing.
//!
//! ```
//! use firesight_models::tags;
//!
//! let tag = tags::tag("resnet18", "IMAGENET1K_V1").unwrap();
//! assert_eq!((tag.preprocessing.resize, tag.preprocessing.crop), (256, 224));
//! assert!(!tag.matches(b"something else"));
//! ```

use sha2::{Digest, Sha256};

#[allow(clippy::excessive_precision, reason = "the digits are as published")]
#[path = "tags_table.rs"]
mod table;

/// Where torchvision's files lie; a tag's file name follows.
pub const BASE_URL: &str = "https://download.pytorch.org/models/";

/// Preparation of the published detectors: the shorter side becomes 800 pixels, nothing is cropped.
const DETECTION: Preprocessing = Preprocessing {
    resize: 800,
    crop: 0,
    interpolation: ResizeFilter::Bilinear,
    mean: [0.485, 0.456, 0.406],
    std: [0.229, 0.224, 0.225],
};

/// The detectors' weights for COCO's 91 category numbers.
const DETECTORS: &[Tag] = &[
    detector(
        "retinanet_resnet50_fpn",
        "retinanet_resnet50_fpn_coco-eeacb38b.pth",
        "eeacb38b",
    ),
    detector(
        "retinanet_resnet50_fpn_v2",
        "retinanet_resnet50_fpn_v2_coco-5905b1c5.pth",
        "5905b1c5",
    ),
    detector(
        "fcos_resnet50_fpn",
        "fcos_resnet50_fpn_coco-99b0c9b7.pth",
        "99b0c9b7",
    ),
];

const fn detector(model: &'static str, file: &'static str, sha256_prefix: &'static str) -> Tag {
    Tag {
        model,
        tag: "COCO_V1",
        file,
        sha256_prefix,
        preprocessing: DETECTION,
        top1: None,
        top5: None,
    }
}

/// One set of published weights.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Tag {
    /// The model's name in the registry.
    pub model: &'static str,
    /// torchvision's name, such as `IMAGENET1K_V1`.
    pub tag: &'static str,
    /// The file's name below [`BASE_URL`].
    pub file: &'static str,
    /// The first hex digits of the file's SHA-256; empty where the name has none.
    pub sha256_prefix: &'static str,
    /// How images are prepared for these weights.
    pub preprocessing: Preprocessing,
    /// Published accuracy on ImageNet's validation split, in per cent; none for weights
    /// without a head.
    pub top1: Option<f64>,
    /// Published share of images with the class among the best five, in per cent.
    pub top5: Option<f64>,
}

/// How an image becomes a model's input, as torchvision's `ImageClassification` preset does it:
/// resize the shorter side (with antialias), crop the center, scale to 0..1, normalise.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Preprocessing {
    /// Pixels of the shorter side after resizing.
    pub resize: usize,
    /// Side of the central crop in pixels; 0 for none.
    pub crop: usize,
    /// Filter of the resizing, with antialias.
    pub interpolation: ResizeFilter,
    /// Subtracted per RGB channel, on values from 0 to 1.
    pub mean: [f32; 3],
    /// Divided by per RGB channel.
    pub std: [f32; 3],
}

/// The filter of a resizing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ResizeFilter {
    /// A triangle of two pixels.
    Bilinear,
    /// Keys' cubic with a = -0.5, as Pillow's and torchvision's antialiased one.
    Bicubic,
}

impl Tag {
    /// Where the file is published.
    pub fn url(&self) -> String {
        format!("{BASE_URL}{}", self.file)
    }

    /// The epsilon of the body's normalisations that belongs to these weights, where it is not the model's own.
    /// torchvision sets it to 0 when it loads the COCO weights of RetinaNet's first version, which were trained so; the
    /// published average precision needs it.
    pub fn body_epsilon(&self) -> Option<f64> {
        let first = (self.model, self.tag) == ("retinanet_resnet50_fpn", "COCO_V1");
        first.then_some(0.0)
    }

    /// Whether a file's content is the published one, as far as the published digits tell.
    pub fn matches(&self, content: &[u8]) -> bool {
        let digits = format!("{:x}", Sha256::digest(content));
        digits.starts_with(self.sha256_prefix)
    }
}

/// The tags of a model, oldest first; none for a model that torchvision lacks.
pub fn tags(model: &str) -> impl Iterator<Item = &'static Tag> + use<'_> {
    let all = table::TAGS.iter().chain(DETECTORS);
    all.filter(move |tag| tag.model == model)
}

/// One tag of a model. `DEFAULT` is the newest, as in torchvision.
pub fn tag(model: &str, name: &str) -> Option<&'static Tag> {
    match name {
        "DEFAULT" => tags(model).last(),
        _ => tags(model).find(|tag| tag.tag == name),
    }
}

/// Multiply-adds of the convolutions and linear layers for one 224x224 RGB image and 1000 classes.
/// `None` for a model that torchvision lacks.
pub fn multiply_adds(model: &str) -> Option<u64> {
    table::MULTIPLY_ADDS
        .iter()
        .find(|(name, _)| *name == model)
        .map(|(_, count)| *count)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn known_tags_have_their_published_facts() {
        let first = tag("resnet50", "IMAGENET1K_V1").unwrap();
        assert_eq!(
            first.url(),
            "https://download.pytorch.org/models/resnet50-0676ba61.pth"
        );
        assert_eq!(
            (first.preprocessing.resize, first.preprocessing.crop),
            (256, 224)
        );
        assert_eq!((first.top1, first.top5), (Some(76.13), Some(92.862)));
        let newest = tag("resnet50", "DEFAULT").unwrap();
        assert_eq!(
            (newest.tag, newest.preprocessing.resize),
            ("IMAGENET1K_V2", 232)
        );
        assert!(tag("resnet50", "IMAGENET1K_V9").is_none() && tag("lenet", "DEFAULT").is_none());
    }

    #[test]
    fn every_file_name_carries_its_digits() {
        for tag in table::TAGS.iter().chain(DETECTORS) {
            let digits = tag.sha256_prefix;
            assert!(
                tag.file.ends_with(&format!("-{digits}.pth")),
                "{}",
                tag.file
            );
            assert!(
                digits.len() >= 8 && digits.chars().all(|c| c.is_ascii_hexdigit()),
                "{}",
                tag.file
            );
            assert!(
                tag.preprocessing.resize >= tag.preprocessing.crop,
                "{tag:?}"
            );
        }
    }

    #[test]
    fn one_detectors_weights_have_an_epsilon_of_their_own() {
        let epsilon = |model| tag(model, "COCO_V1").unwrap().body_epsilon();
        assert_eq!(epsilon("retinanet_resnet50_fpn"), Some(0.0));
        assert_eq!(epsilon("retinanet_resnet50_fpn_v2"), None);
        assert_eq!(epsilon("fcos_resnet50_fpn"), None);
        assert_eq!(tag("resnet50", "DEFAULT").unwrap().body_epsilon(), None);
    }

    #[test]
    fn content_is_checked_against_the_digits() {
        let mut tag = *tag("resnet18", "DEFAULT").unwrap();
        tag.sha256_prefix = "ba7816bf"; // SHA-256 of "abc", FIPS 180-2
        assert!(tag.matches(b"abc") && !tag.matches(b"abd"));
    }

    #[test]
    fn resnet50_needs_4_1_billion_multiply_adds() {
        assert_eq!(multiply_adds("resnet50"), Some(4_089_184_256));
    }
}
