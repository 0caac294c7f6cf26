//! What the tests of the formats share: scenes to write down in them, and what came of a file in words.

use std::path::Path;

use super::scenes::ScenesConfig;
use crate::draw::write_png;
use crate::error::DataError;
use crate::sample::Sample;
use crate::source::{Source, Splits};
use crate::target::{BoxLabel, Mask};

/// How many scenes are written.
const COUNT: usize = 6;

/// Embedded scenes with a mask for each object, and the names of their classes.
pub(super) fn scenes() -> (Vec<Sample>, Vec<String>) {
    let config = ScenesConfig {
        train: COUNT,
        instance_masks: true,
        ..Default::default()
    };
    let train = config.open(Path::new("")).unwrap().train;
    let scenes = (0..COUNT).map(|index| train.read(index).unwrap());
    (scenes.collect(), train.classes().to_vec())
}

/// Writes the pictures of scenes into a folder, as `0.png` and so on.
pub(super) fn write_pictures(scenes: &[Sample], folder: &Path) {
    std::fs::create_dir_all(folder).unwrap();
    for (number, scene) in scenes.iter().enumerate() {
        write_png(&scene.image.shown(), &folder.join(format!("{number}.png"))).unwrap();
    }
}

/// What a format says of an object.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Said {
    /// Its box.
    Box,
    /// Its box and its mask; the class mask as well.
    Outline,
}

/// Asserts that a source gives the scenes, in their order.
pub(super) fn assert_same(source: &dyn Source, scenes: &[Sample], said: Said) {
    assert_eq!(source.len(), scenes.len());
    for (index, scene) in scenes.iter().enumerate() {
        let read = source.read(index).unwrap();
        assert_eq!(source.target(index).unwrap(), read.target);
        assert_eq!(read.image, scene.image);
        let plain = |object: &BoxLabel| BoxLabel {
            mask: object.mask.clone().filter(|_| said == Said::Outline),
            ..object.clone()
        };
        let expected: Vec<BoxLabel> = scene.target.objects().iter().map(plain).collect();
        assert_eq!(read.target.objects(), expected, "{index}");
        let mask = scene.target.mask.clone().filter(|_| said == Said::Outline);
        assert_eq!(read.target.mask, mask, "{index}");
    }
}

/// One polygon `x y x y ..` around every pixel of an object, its pieces joined by lines without width.
pub(super) fn polygon(object: &BoxLabel) -> Vec<f64> {
    let mask = object.mask.as_ref().unwrap();
    let left = f64::from(object.xyxy[0]);
    let mut points = vec![left, f64::from(object.xyxy[1])];
    for (y, row) in mask.classes.chunks_exact(mask.width).enumerate() {
        let (top, bottom) = (y as f64, (y + 1) as f64);
        let mut at = 0;
        for run in row.chunk_by(|a, b| a == b) {
            let (from, to) = (at as f64, (at + run.len()) as f64);
            at += run.len();
            if run[0] == 1 {
                points.extend([
                    left, top, from, top, to, top, to, bottom, from, bottom, from, top, left, top,
                ]);
            }
        }
    }
    points
}

/// What came of opening a dataset and reading its training pictures, in words, without the folder.
pub(super) fn outcome(splits: Result<Splits, DataError>, folder: &Path) -> String {
    let source = match splits {
        Ok(splits) => splits.train,
        Err(error) => {
            return format!("file {error}").replace(&format!("{}/", folder.display()), "");
        }
    };
    let mut said = Vec::new();
    let mut remarks = source.remarks();
    for index in 0..source.len() {
        match source.inspect(index) {
            Err(error) => said.push(format!("bad {error}")),
            Ok((sample, more)) => {
                let target = source.target(index).unwrap();
                assert_eq!(target, sample.target);
                let (classes, masks) = (source.classes().len(), source.mask_classes().len());
                let size = sample.image.size();
                assert_eq!(target.fault(Some(size), classes, masks), None);
                said.push(format!("read {}", target.objects().len()));
                remarks.extend(more);
            }
        }
    }
    for remark in remarks {
        said.push(format!("remark {}: {}", remark.origin, remark.message));
    }
    said.join("\n")
        .replace(&format!("{}/", folder.display()), "")
}

/// Asserts that each case comes out as it says.
pub(super) fn assert_outcomes<C: std::fmt::Debug>(
    cases: &[(C, &[&str])],
    mut outcome: impl FnMut(&C) -> String,
) {
    let mut wrong = Vec::new();
    for (case, expected) in cases {
        let found = outcome(case);
        let missing: Vec<_> = expected
            .iter()
            .filter(|text| !found.contains(**text))
            .collect();
        // What is read without a word is said so, and nothing else.
        if !missing.is_empty()
            || (expected.len() == 1 && expected[0].starts_with("read") && found != expected[0])
        {
            wrong.push(format!(
                "{case:?}: {missing:?} is not in\n    {}",
                found.replace('\n', "\n    ")
            ));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// A picture of one color.
pub(super) fn write_blank(path: &Path, width: u32, height: u32) {
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    image::RgbImage::from_pixel(width, height, image::Rgb([9; 3]))
        .save(path)
        .unwrap();
}

/// The classes of a mask in rows of text, `.` for background and `x` for what does not count.
pub(super) fn rows(mask: &Mask) -> Vec<String> {
    let letter = |class: &u8| match *class {
        0 => '.',
        Mask::IGNORE => 'x',
        class => (b'0' + class) as char,
    };
    mask.classes
        .chunks_exact(mask.width)
        .map(|row| row.iter().map(letter).collect())
        .collect()
}
