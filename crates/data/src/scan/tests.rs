//! Reports about small sets, and that labels alone tell what the pictures with them do.

use super::*;
use crate::datasets::digits::DigitsConfig;
use crate::sample::{Image, Sample};
use crate::source::Source;
use crate::target::{BoxLabel, Mask};
use std::sync::Arc;

/// Samples as given; `None` cannot be read.
struct List(Vec<Option<Sample>>, Vec<String>);

impl Source for List {
    fn len(&self) -> usize {
        self.0.len()
    }
    fn read(&self, index: usize) -> Result<Sample, DataError> {
        self.0[index]
            .clone()
            .ok_or_else(|| DataError::unreadable(self.origin(index), "damaged"))
    }
    fn origin(&self, index: usize) -> String {
        format!("list.txt:{}", index + 1)
    }
    fn classes(&self) -> &[String] {
        &self.1
    }
    fn class_of(&self, index: usize) -> Option<usize> {
        self.0[index].as_ref()?.target.class()
    }
}

fn sample(first: u8, target: Target) -> Option<Sample> {
    let image = Image {
        width: 2,
        height: 2,
        channels: 1,
        pixels: vec![first, 1, 2, 3],
    };
    Some(Sample {
        image: image.into(),
        target,
    })
}

fn splits(train: Vec<Option<Sample>>, test: Vec<Option<Sample>>) -> Splits {
    let list = |samples| Arc::new(List(samples, vec!["a".into(), "b".into()]));
    Splits {
        train: list(train),
        validation: None,
        test: Some(list(test)),
    }
}

fn a_box(xyxy: [f32; 4]) -> Target {
    Target::of_boxes(vec![BoxLabel {
        xyxy,
        class: 1,
        ..BoxLabel::default()
    }])
}

#[test]
fn counts_and_names_what_is_bad_and_shared() {
    let train = vec![
        sample(0, Target::of_class(0)),
        None,
        sample(5, Target::of_class(2)),
        sample(6, a_box([0.0, 0.0, 2.0, 3.0])),
        sample(7, a_box([1.0, 1.0, 1.0, 2.0])),
        sample(0, Target::of_class(0)),
    ];
    let splits = splits(train, vec![sample(0, Target::of_class(1))]);
    let report = scan(&splits, Lesson::Classes, &|_, _| {});
    let train = &report.splits[0];
    assert_eq!((train.samples, &train.bad[..]), (6, &[1, 2, 3, 4][..]));
    let count = |class: &ClassCount| (class.name.clone(), class.count);
    let counts: Vec<_> = train.classes.iter().map(count).collect();
    assert_eq!(counts, [("a".to_string(), 2), ("b".into(), 0)]);
    assert_eq!(train.sizes, [(2, 2, 1, 2)]);
    assert_eq!(
        (report.shared_between_splits, report.repeated_within_a_split),
        (1, 1)
    );
    let text = report.to_string();
    for expected in [
        "bad: list.txt:2: damaged (train)",
        "bad: list.txt:3: class 2 is out of range: there are 2 classes (train)",
        "bad: list.txt:4: box 0 [0, 0, 2, 3] leaves the image of 2x2 pixels (train)",
        "bad: list.txt:5: box 0 [1, 1, 1, 2] has no area (train)",
        "suspicious: class `b`: does not occur (train)",
        "suspicious: list.txt:6: the same picture as list.txt:1 (train)\n",
        "suspicious: list.txt:1: the same picture as list.txt:1 of train, of another class (test)\n",
        "  1 picture is in more than one split\n  1 picture is there more than once\n",
    ] {
        assert!(text.contains(expected), "{expected}\n{text}");
    }
    // One class of two is nothing to tell apart.
    let empty = report.check(4).unwrap_err().to_string();
    assert_eq!(
        empty,
        "train: class `a` alone occurs, `b` does not: there is nothing to tell apart"
    );
    assert!(matches!(
        report.check(3),
        Err(DataError::TooManyBad {
            found: 4,
            allowed: 3,
            ..
        })
    ));
}

fn masks(values: &[u8]) -> Vec<Option<Sample>> {
    let mask = |value| Mask {
        width: 2,
        height: 2,
        classes: vec![0, 0, 0, value],
    };
    let numbered = (10..).zip(values);
    numbered
        .map(|(first, &value)| sample(first, Target::of_mask(mask(value))))
        .collect()
}

fn only(train: Vec<Option<Sample>>) -> Splits {
    Splits {
        test: None,
        ..splits(train, Vec::new())
    }
}

/// What a whole look and one at the labels alone say: the same, and whether there is something to learn.
fn both(splits: &Splits, lesson: Lesson) -> (String, bool) {
    let whole = scan(splits, lesson, &|_, _| {});
    let labels = scan_labels(splits, lesson, Duration::from_secs(600));
    assert_eq!(whole.findings, labels.findings);
    assert_eq!(whole.splits[0].classes, labels.splits[0].classes);
    assert_eq!(whole.check(0).is_ok(), labels.check(0).is_ok());
    (whole.to_string(), whole.check(0).is_ok())
}

#[test]
fn a_mask_counts_pixels_and_a_class_without_any_is_named() {
    let (text, teaches) = both(&only(masks(&[1, 1, 0, 255])), Lesson::Masks);
    assert!(teaches);
    let line = "pixels: a 13 (81.2 %) in 4 images, b 2 (12.5 %) in 2 images; ignored 1 (6.2 %)";
    assert!(text.contains(line), "{text}");
    let (text, teaches) = both(&only(masks(&[255, 0])), Lesson::Masks);
    assert!(!teaches);
    for expected in [
        "empty: train: class `a` alone occurs, `b` does not: there is nothing to tell apart; 12.5 % of the pixels of its masks \
         are ignored (the value 255)\n",
        "suspicious: class `b`: does not occur in any mask (train)",
    ] {
        assert!(text.contains(expected), "{expected}\n{text}");
    }
}

#[test]
fn a_validation_split_without_anything_to_measure_is_remarked_on() {
    let void = |first| {
        let classes = vec![255; 4];
        sample(
            first,
            Target::of_mask(Mask {
                width: 2,
                height: 2,
                classes,
            }),
        )
    };
    let splits = splits(masks(&[1, 0]), vec![void(50), void(51)]);
    let (text, teaches) = both(&splits, Lesson::Masks);
    assert!(teaches);
    let expected =
        "suspicious: test: no pixel of any mask counts: nothing can be measured on it; 100.0 %";
    assert!(text.contains(expected), "{text}");
    assert!(
        text.contains("suspicious: list.txt:2: every pixel of its mask"),
        "{text}"
    );
}

#[test]
fn crowds_are_no_objects() {
    let mut crowd = a_box([0.0, 0.0, 1.0, 1.0]);
    let boxes = crowd.boxes.as_mut().unwrap();
    boxes[0].crowd = true;
    let (text, teaches) = both(&only(vec![sample(0, crowd)]), Lesson::Boxes);
    assert!(!teaches);
    for expected in [
        "boxes: a 0 in 0 images, b 0 and 1 crowd in 0 images",
        "empty: train: there is no object in any picture: there is nothing to learn",
        "suspicious: class `b`: does not occur but as a crowd (1 of them)",
    ] {
        assert!(text.contains(expected), "{expected}\n{text}");
    }
    // One class of objects is enough.
    assert!(
        both(
            &only(vec![sample(0, a_box([0.0, 0.0, 1.0, 1.0]))]),
            Lesson::Boxes
        )
        .1
    );
    // A generator learns from pictures alone.
    assert!(both(&only(vec![sample(0, Target::default())]), Lesson::Pictures).1);
}

#[test]
fn many_classes_take_few_lines() {
    let names = (0..300).map(|class| format!("c{class}")).collect();
    let label = |class| sample(0, Target::of_class(class));
    let samples = (0..100).chain(0..100).map(label).collect();
    let train = Arc::new(List(samples, names));
    let splits = Splits {
        train,
        validation: None,
        test: None,
    };
    let report = scan_labels(&splits, Lesson::Classes, Duration::from_secs(600));
    let text = report.to_string();
    assert_eq!(text.lines().count(), 3, "{text}");
    assert!(
        text.contains("300 of them, 200 without any; most: c0 2, "),
        "{text}"
    );
    assert!(
        text.contains("200 of 300 classes: do not occur: `c100`, "),
        "{text}"
    );
    assert!(text.lines().all(|line| line.len() < 400), "{text}");
}

#[test]
fn too_little_time_is_admitted() {
    let report = scan_labels(&only(masks(&[1, 1])), Lesson::Masks, Duration::ZERO);
    assert_eq!(
        (report.splits[0].samples, report.splits[0].looked_at),
        (2, 0)
    );
    assert!(report.to_string().contains("labels looked at: 0"));
    // What was not looked at is not said to be missing.
    assert!(report.findings.is_empty() && report.check(0).is_ok());
    for len in [1, 2, 3, 10, 12, 4096, 5000] {
        let mut places: Vec<usize> = (0..len).map(|place| place * stride(len) % len).collect();
        places.sort_unstable();
        assert!(places.into_iter().eq(0..len), "{len}");
    }
}

#[test]
fn the_digits_are_clean() {
    let report = scan(
        &DigitsConfig {}.open().unwrap(),
        Lesson::Classes,
        &|_, _| {},
    );
    assert!(report.check(0).is_ok());
    assert_eq!(
        report.splits[0]
            .classes
            .iter()
            .map(|class| class.count)
            .sum::<u64>(),
        1437
    );
    assert_eq!(report.shared_between_splits, 0, "{report}");
}

/// Writes a picture of 20x10 pixels.
fn picture(path: &std::path::Path) {
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    let image = image::RgbImage::from_fn(20, 10, |x, y| image::Rgb([x as u8, y as u8, 7]));
    image.save(path).unwrap();
}

/// What a source says of each sample's label, read whole and alone: the same label, or the same fault.
fn same_labels(source: &dyn Source) -> Vec<String> {
    let shown = |result: Result<(Target, Vec<Remark>), DataError>| match result {
        Ok((label, remarks)) => format!("{label:?} {remarks:?}"),
        Err(error) => error.to_string(),
    };
    let of = |index| {
        let whole = source.inspect(index);
        let whole = shown(whole.map(|(sample, remarks)| (sample.target, remarks)));
        assert_eq!(whole, shown(source.inspect_target(index)));
        whole
    };
    (0..source.len()).map(of).collect()
}

#[test]
fn boxes_and_outlines_are_known_without_their_pictures() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path();
    (0..4).for_each(|number| picture(&root.join(format!("im/{number}.png"))));
    let object = |image: u32, bbox: [i32; 4]| {
        let [x, y, w, h] = bbox;
        let outline = [x, y, x + w, y, x + w, y + h, x, y + h];
        format!(
            r#"{{"id": {image}, "image_id": {image}, "category_id": 1, "bbox": {bbox:?}, "segmentation": [{outline:?}],
                "area": {}, "iscrowd": 0}}"#,
            w * h
        )
    };
    // Sound, leaving its picture, without objects; the last states no size.
    let annotations = [
        object(0, [2, 2, 5, 5]),
        object(1, [15, 2, 9, 5]),
        object(3, [1, 1, 4, 4]),
    ];
    let image = |number: u32| match number {
        3 => r#"{"id": 3, "file_name": "3.png"}"#.to_string(),
        _ => {
            format!(r#"{{"id": {number}, "file_name": "{number}.png", "width": 20, "height": 10}}"#)
        }
    };
    let images: Vec<String> = (0..4).map(image).collect();
    let text = format!(
        r#"{{"images": [{}], "annotations": [{}], "categories": [{{"id": 1, "name": "thing"}}]}}"#,
        images.join(", "),
        annotations.join(", ")
    );
    std::fs::write(root.join("a.json"), text).unwrap();
    for faulty in ["refuse", "repair", "drop"] {
        let part = r#"{"annotations": "a.json", "images": "im"}"#;
        let boxes = format!(r#"{{"coco": {{"path": "", "train": {part}, "faulty": "{faulty}"}}}}"#);
        let masks = format!(r#"{{"coco-masks": {{"train": {part}, "faulty": "{faulty}"}}}}"#);
        for (config, count) in [(boxes, 1), (masks, 1)] {
            let config: crate::SourceConfig = serde_json::from_str(&config).unwrap();
            let split = crate::SplitConfig {
                validation: crate::split::HoldOut::None,
                ..Default::default()
            };
            let train = config.open(root, &split, 0).unwrap().train;
            let said = same_labels(&*train);
            let bad = said
                .iter()
                .filter(|text| text.contains("/annotations/1"))
                .count();
            assert_eq!(bad, count, "{said:?}");
            // The size of a picture is that of its file.
            assert_eq!(train.dimensions(0).unwrap(), Some([20, 10, 3]));
        }
    }
}

#[test]
fn what_is_alike_is_listed_three_times_and_then_counted() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path();
    for number in 0..6 {
        picture(&root.join(format!("train/cat/{number}.png")));
        std::fs::write(root.join(format!("train/cat/{number}.txt")), "").unwrap();
    }
    let train = folder_of(root).train;
    let text = scan_labels(&only_of(train), Lesson::Classes, Duration::from_secs(600)).to_string();
    let said = "not the ending of an image file, left out";
    let lines: Vec<&str> = text.lines().filter(|line| line.contains(said)).collect();
    let right = [0, 1, 2].map(|n| format!("  suspicious: train/cat/{n}.txt: {said} (train)"));
    assert_eq!(lines[..3], right);
    let rest = format!("  suspicious: train: and 3 more: {said}");
    assert_eq!(lines[3..], [rest]);
}

/// A folder of classes as a dataset.
fn folder_of(root: &std::path::Path) -> Splits {
    let config = crate::datasets::folder::FolderConfig {
        path: root.into(),
        ..Default::default()
    };
    config.open(std::path::Path::new("")).unwrap()
}

#[test]
fn files_of_two_splits_and_of_several_pictures_are_noticed_without_decoding() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path();
    picture(&root.join("train/cat/1.png"));
    picture(&root.join("train/dog/3.png"));
    picture(&root.join("test/cat/2.png"));
    // Of the same size, and another picture.
    let mut bytes = std::fs::read(root.join("train/dog/3.png")).unwrap();
    *bytes.last_mut().unwrap() ^= 1;
    std::fs::write(root.join("train/dog/3.png"), bytes).unwrap();
    let mut animation = Vec::new();
    let frames = [(); 2].map(|()| image::Frame::new(image::RgbaImage::new(3, 2)));
    let mut encoder = image::codecs::gif::GifEncoder::new(&mut animation);
    encoder.encode_frames(frames).unwrap();
    drop(encoder);
    std::fs::write(root.join("train/dog/4.gif"), animation).unwrap();
    let splits = folder_of(root);
    let several =
        "train/dog/4.gif: the file holds more than one picture; the first is used (train)\n";
    let labels = scan_labels(&splits, Lesson::Classes, Duration::from_secs(600));
    assert_eq!(
        (labels.shared_between_splits, labels.repeated_within_a_split),
        (1, 0)
    );
    let text = labels.to_string();
    let same = "test/cat/2.png: the same picture as train/cat/1.png of train (test)\n";
    assert!(text.contains(same) && text.contains(several), "{text}");
    let text = scan(&splits, Lesson::Classes, &|_, _| {}).to_string();
    assert!(text.contains(same) && text.contains(several), "{text}");
    let none = scan_labels(&splits, Lesson::Classes, Duration::ZERO);
    assert_eq!(none.shared_between_splits, 0);
}

#[test]
fn a_split_of_pascal_voc_is_known_without_its_pictures() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path();
    let write = |path: &str, text: &str| {
        let path = root.join(path);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    };
    for (name, right) in [("a", 15), ("b", 25)] {
        picture(&root.join(format!("JPEGImages/{name}.png")));
        let bounds = format!("<xmin>3</xmin><ymin>3</ymin><xmax>{right}</xmax><ymax>8</ymax>");
        write(
            &format!("Annotations/{name}.xml"),
            &format!(
                "<annotation><size><width>20</width><height>10</height><depth>3</depth></size><object><name>thing</name>\
                 <bndbox>{bounds}</bndbox></object></annotation>"
            ),
        );
    }
    write("ImageSets/Main/train.txt", "a\nb\n");
    let config = r#"{"voc": {"path": "", "classes": ["thing"], "validation": ""}}"#;
    let mut config: serde_json::Value = serde_json::from_str(config).unwrap();
    config["voc"]["path"] = root.to_str().unwrap().into();
    let config: crate::SourceConfig = serde_json::from_value(config).unwrap();
    let split = crate::SplitConfig {
        validation: crate::split::HoldOut::None,
        ..Default::default()
    };
    let train = config
        .open(std::path::Path::new(""), &split, 0)
        .unwrap()
        .train;
    let said = same_labels(&*train);
    assert!(said[0].contains("xyxy: [2.0, 2.0, 15.0, 8.0]"), "{said:?}");
    assert!(
        said[1].contains("the box leaves the image of 20x10"),
        "{said:?}"
    );
    let report = scan_labels(&only_of(train), Lesson::Boxes, Duration::from_secs(600));
    assert_eq!(report.splits[0].bad, [1]);
    assert!(report.check(0).is_err() && report.check(1).is_ok());
}

fn only_of(train: Arc<dyn Source>) -> Splits {
    Splits {
        train,
        validation: None,
        test: None,
    }
}
