//! Annotations as other people's tools write them: what has one meaning is read, and everything else is named.

use std::path::Path;

use firesight_data::datasets::coco::CocoConfig;
use serde_json::{Value, json};

use crate::common::{run, succeed};
use crate::inputs::{
    BNDBOX, DETECTOR, RECTANGLE, SEGMENTER, annotation, coco, coco_of, mask, object, picture,
    pictures, pixels, recipe, voc, write,
};

const COCO: &str =
    "{ coco = { path = \"d\", train = { annotations = \"a.json\", images = \"im\" } } }";
const COCO_MASKS: &str =
    "{ coco-masks = { train = { annotations = \"d/a.json\", images = \"d/im\" } } }";

/// Exit code, and standard output and error together.
fn check(folder: &Path, recipe: &str) -> (Option<i32>, String) {
    write(folder.join("r.toml"), recipe);
    let output = run(folder, &["check", "r.toml"]);
    let text = [output.stdout, output.stderr].concat();
    (output.status.code(), String::from_utf8(text).unwrap())
}

/// A recipe that detects, and one that segments, with keys of `data`.
fn both(data: &str) -> [String; 2] {
    [
        recipe(DETECTOR, COCO, "epochs = 1", data, ""),
        recipe(SEGMENTER, COCO_MASKS, "epochs = 1", data, ""),
    ]
}

/// Twelve pictures with their annotations, each changed by `change`.
fn twelve(folder: &Path, mut change: impl FnMut(usize, &mut Value)) -> (Vec<Value>, Vec<Value>) {
    let images = pictures(folder.join("d/im"), 12);
    let mut annotations: Vec<Value> = (1..=12).map(annotation).collect();
    annotations
        .iter_mut()
        .enumerate()
        .for_each(|(i, one)| change(i, one));
    (images, annotations)
}

/// Sets a key of the fourth annotation, or takes it away.
fn fourth(key: &'static str, value: Option<Value>) -> impl FnMut(usize, &mut Value) {
    move |number, annotation| {
        if number == 3 {
            match &value {
                Some(value) => annotation[key] = value.clone(),
                None => drop(annotation.as_object_mut().unwrap().remove(key)),
            }
        }
    }
}

#[test]
fn two_categories_of_one_name_are_told_apart_by_their_ids() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let (images, annotations) = twelve(folder, |_, _| {});
    let categories = json!([
        {"id": 0, "name": "cell", "supercategory": "none"},
        {"id": 1, "name": "cell", "supercategory": "cell"},
    ]);
    coco_of(folder.join("d/a.json"), &images, &annotations, categories);
    let [detector, segmenter] = both("");
    let (code, text) = check(folder, &detector);
    assert_eq!(code, Some(0), "{text}");
    assert!(
        text.contains("class `cell (id 0)`: does not occur"),
        "{text}"
    );
    write(folder.join("seg.toml"), segmenter);
    succeed(folder, &["train", "seg.toml", "--out", "run"]);
    let eval = succeed(folder, &["eval", "run", "--split", "validation", "--json"]);
    let eval: Value = serde_json::from_str(&eval).unwrap();
    // Objects of id 1 reached the masks: were they background, this would be undefined.
    assert!(eval["metrics"]["class_iou.cell"].is_number(), "{eval}");
}

#[test]
fn an_id_of_two_images_and_a_file_of_two_ids_are_named() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let (mut images, mut annotations) = twelve(folder, |_, _| {});
    let [detector, segmenter] = both("");
    images[5]["id"] = json!(5);
    coco(folder.join("d/a.json"), &images, &annotations);
    for recipe in [&detector, &segmenter] {
        let (code, text) = check(folder, recipe);
        assert_eq!(code, Some(2), "{text}");
        assert!(
            text.contains("d/a.json: /images/5: the id 5 occurs twice"),
            "{text}"
        );
        assert!(
            text.contains("`5.png`") && text.contains("`4.png`"),
            "{text}"
        );
    }
    images[5]["id"] = json!(6);
    let mut again = images[0].clone();
    again["id"] = json!(99);
    images.push(again);
    let mut other = annotation(99);
    other["bbox"] = json!([70, 2, 20, 10]);
    annotations.push(other);
    coco(folder.join("d/a.json"), &images, &annotations);
    let (code, text) = check(folder, &detector);
    assert_eq!(code, Some(0), "{text}");
    assert!(
        text.contains("/images/12: `0.png` is listed as images 1 and 99, each with other boxes"),
        "{text}"
    );
}

/// A PNG with an EXIF orientation.
fn turned_png(path: &Path, orientation: u8, size: [u32; 2], rectangle: [u32; 4]) {
    let mut bytes = std::io::Cursor::new(Vec::new());
    let image = pixels(size, Some(rectangle), 1);
    image.write_to(&mut bytes, image::ImageFormat::Png).unwrap();
    let bytes = bytes.into_inner();
    // Big-endian TIFF with one entry: tag 274, a short, once.
    let mut chunk = b"eXIfMM\0*\0\0\0\x08\0\x01\x01\x12\0\x03\0\0\0\x01\0".to_vec();
    chunk.extend([orientation, 0, 0, 0, 0, 0, 0]);
    let length = chunk.len() as u32 - 4;
    let crc = chunk.iter().fold(!0u32, |crc, byte| {
        let start = crc ^ u32::from(*byte);
        (0..8).fold(start, |crc, _| {
            (crc >> 1) ^ (0xedb8_8320 & (crc & 1).wrapping_neg())
        })
    });
    // Behind the signature and the header.
    let (start, rest) = bytes.split_at(33);
    let parts = [
        start,
        &length.to_be_bytes(),
        &chunk,
        &(!crc).to_be_bytes(),
        rest,
    ];
    write(path, parts.concat());
}

#[test]
fn the_stated_size_says_whether_labels_are_turned_with_their_picture() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let stored = [2, 2, 22, 12];
    let mut images = Vec::new();
    for index in 0..12u32 {
        let name = format!("{index}.png");
        turned_png(&folder.join("d/im").join(&name), 6, [60, 40], stored);
        images.push(json!({"id": index + 1, "file_name": name, "width": 60, "height": 40}));
    }
    let labels: Vec<Value> = (1..=12)
        .map(|id| {
            json!({"id": id, "image_id": id, "category_id": 1, "bbox": [2, 2, 20, 10],
                   "segmentation": [[2, 2, 22, 2, 22, 12, 2, 12]]})
        })
        .collect();
    coco(folder.join("d/a.json"), &images, &labels);
    let config: CocoConfig = serde_json::from_value(json!({
        "path": "d", "train": {"annotations": "a.json", "images": "im"}
    }))
    .unwrap();
    let sample = config.open(folder).unwrap().train.read(0).unwrap();
    assert_eq!(sample.image.size(), [40, 60]);
    let boxes = sample.target.boxes.unwrap();
    // A quarter turn to the right takes the top left corner to the top right.
    assert_eq!(boxes[0].xyxy, [28.0, 2.0, 38.0, 22.0]);
    for (x, y, bright) in [
        (28, 2, true),
        (37, 21, true),
        (27, 2, false),
        (38, 21, false),
    ] {
        let red = sample.image.bytes().unwrap().pixels[(y * 40 + x) * 3];
        assert_eq!(red == 230, bright, "{x}, {y}");
    }
    let resized = "preprocess = [{ resize = { width = 64, height = 96 } }]";
    for recipe in both(resized) {
        let (code, text) = check(folder, &recipe);
        assert_eq!(code, Some(0), "{text}");
        assert!(!text.contains("EXIF"), "{text}");
    }
    images[3]["width"] = json!(61);
    coco(folder.join("d/a.json"), &images, &labels);
    for recipe in both(resized) {
        let (code, text) = check(folder, &recipe);
        assert_eq!(code, Some(2), "{text}");
        assert!(
            text.contains("40x60 pixels, d/a.json: /images/3 says 61x40"),
            "{text}"
        );
    }
}

#[test]
fn a_box_that_is_missing_is_that_of_the_outline() {
    for value in [None, Some(Value::Null), Some(json!([]))] {
        let folder = tempfile::tempdir().unwrap();
        let folder = folder.path();
        let (images, annotations) = twelve(folder, fourth("bbox", value));
        coco(folder.join("d/a.json"), &images, &annotations);
        let [detector, _] = both("");
        let (code, text) = check(folder, &detector);
        assert_eq!(code, Some(0), "{text}");
        let config = json!({"path": "d", "train": {"annotations": "a.json", "images": "im"}});
        let config: CocoConfig = serde_json::from_value(config).unwrap();
        let boxes = config
            .open(folder)
            .unwrap()
            .train
            .read(3)
            .unwrap()
            .target
            .boxes
            .unwrap();
        assert_eq!(boxes[0].xyxy, RECTANGLE.map(|edge| edge as f32));
    }
}

#[test]
fn numbers_are_the_same_however_they_are_written() {
    let floats = |id: u64| {
        let mut one = annotation(id as u32);
        (one["image_id"], one["category_id"], one["iscrowd"]) =
            (json!(id as f64), json!(1.0), json!(0.0));
        one
    };
    let bools = |id: u64| {
        let mut one = annotation(id as u32);
        one["iscrowd"] = json!(false);
        one
    };
    let strings = |id: u64| {
        let mut one = annotation(id as u32);
        for key in ["id", "image_id", "category_id"] {
            one[key] = json!(one[key].to_string());
        }
        one
    };
    type Annotation<'a> = &'a dyn Fn(u64) -> Value;
    let kinds: [(Annotation<'_>, Value, bool); 3] = [
        (&floats, json!(1), false),
        (&bools, json!(1), false),
        (&strings, json!("1"), true),
    ];
    for (one, category, words) in kinds {
        let folder = tempfile::tempdir().unwrap();
        let folder = folder.path();
        let (mut images, _) = twelve(folder, |_, _| {});
        if words {
            images
                .iter_mut()
                .for_each(|image| image["id"] = json!(image["id"].to_string()));
        }
        let annotations: Vec<Value> = (1..=12).map(one).collect();
        let categories = json!([{"id": category, "name": "thing"}]);
        coco_of(folder.join("d/a.json"), &images, &annotations, categories);
        for recipe in both("") {
            let (code, text) = check(folder, &recipe);
            assert_eq!(code, Some(0), "{text}");
            assert!(!text.contains("suspicious: d/a.json"), "{text}");
        }
    }
}

#[test]
fn objects_without_an_outline_are_no_background() {
    for value in [None, Some(Value::Null), Some(json!([]))] {
        let folder = tempfile::tempdir().unwrap();
        let folder = folder.path();
        let (images, annotations) = twelve(folder, fourth("segmentation", value));
        coco(folder.join("d/a.json"), &images, &annotations);
        let [detector, segmenter] = both("max-bad = 1");
        assert_eq!(check(folder, &detector).0, Some(0));
        let (code, text) = check(folder, &segmenter);
        assert_eq!(code, Some(0), "{text}");
        assert!(
            text.contains("/annotations/3: `thing` has no outline"),
            "{text}"
        );
        let [_, segmenter] = both("");
        assert_eq!(check(folder, &segmenter).0, Some(2));
    }
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let (images, annotations) = twelve(folder, |_, one| one["segmentation"] = json!([]));
    coco(folder.join("d/a.json"), &images, &annotations);
    let [_, segmenter] = both("");
    let (code, text) = check(folder, &segmenter);
    assert_eq!(code, Some(2), "{text}");
    assert!(
        text.contains("/annotations/0: `thing` has no outline"),
        "{text}"
    );
    let dropped = segmenter.replace("coco-masks = {", "coco-masks = { faulty = \"drop\",");
    let (code, text) = check(folder, &dropped);
    assert_eq!(code, Some(2), "{text}");
    assert!(
        text.contains("none of the 12 annotations can be used"),
        "{text}"
    );
}

#[test]
fn pieces_of_two_points_and_flat_polygons_cost_no_picture() {
    let [x1, y1, x2, y2] = RECTANGLE;
    let good = json!([x1, y1, x2, y1, x2, y2, x1, y2]);
    for (value, said) in [(json!([good, [5, 5, 9, 9]]), true), (good.clone(), false)] {
        let folder = tempfile::tempdir().unwrap();
        let folder = folder.path();
        let (images, annotations) = twelve(folder, fourth("segmentation", Some(value)));
        coco(folder.join("d/a.json"), &images, &annotations);
        for recipe in both("") {
            let (code, text) = check(folder, &recipe);
            assert_eq!(code, Some(0), "{text}");
            let remark = "/annotations/3/segmentation: a piece of fewer than three points";
            assert_eq!(text.contains(remark), said, "{text}");
        }
    }
}

#[test]
fn an_unspecified_difficulty_leaves_objects_in_the_score() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let extra = "<truncated>Unspecified</truncated><difficult>Unspecified</difficult>";
    voc(
        folder.join("d"),
        |i| i.to_string(),
        str::to_owned,
        |_| object(extra, BNDBOX),
    );
    let detector = recipe(DETECTOR, "{ voc = { path = \"d\" } }", "epochs = 1", "", "");
    let (code, text) = check(folder, &detector);
    assert_eq!(code, Some(0), "{text}");
    assert!(
        text.contains("`difficult` is `Unspecified`, neither yes nor no"),
        "{text}"
    );
    succeed(folder, &["train", "r.toml", "--out", "run"]);
    let eval = succeed(folder, &["eval", "run", "--split", "validation", "--json"]);
    let eval: Value = serde_json::from_str(&eval).unwrap();
    assert!(eval["metrics"]["voc_ap"].is_number(), "{eval}");
}

#[test]
fn boxes_that_count_from_0_are_told_the_way_out() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let border = "<bndbox><xmin>0</xmin><ymin>0</ymin><xmax>40</xmax><ymax>28</ymax></bndbox>";
    voc(
        folder.join("d"),
        |i| i.to_string(),
        str::to_owned,
        |_| object("", border),
    );
    let detector = |source| recipe(DETECTOR, source, "epochs = 1", "", "");
    let (code, text) = check(folder, &detector("{ voc = { path = \"d\" } }"));
    assert_eq!(code, Some(2), "{text}");
    assert!(
        text.contains(".xml:1: `thing` [0, 0, 40, 28]: the box leaves the image of 96x64 pixels"),
        "{text}"
    );
    assert!(text.contains("one-based = false"), "{text}");
    let (code, text) = check(
        folder,
        &detector("{ voc = { path = \"d\", one-based = false } }"),
    );
    assert_eq!(code, Some(0), "{text}");
}

#[test]
fn lists_name_pictures_in_many_ways() {
    type Line = fn(&str) -> String;
    let kinds: [(bool, Line); 4] = [
        (true, |name| name.to_owned()),
        (true, |name| format!("\"{name}\"")),
        (true, |name| format!("\"{name}\" 1")),
        (false, |name| format!("{name}.png 1")),
    ];
    for (spaces, line) in kinds {
        let folder = tempfile::tempdir().unwrap();
        let folder = folder.path();
        let name = |i: u32| match spaces {
            true => format!("photo ({i})"),
            false => format!("photo{i}"),
        };
        voc(folder.join("d"), name, line, |_| object("", BNDBOX));
        let detector = recipe(DETECTOR, "{ voc = { path = \"d\" } }", "epochs = 1", "", "");
        let (code, text) = check(folder, &detector);
        assert_eq!(code, Some(0), "{text}");
        assert!(
            text.contains("train: 8 images") && text.contains("validation: 4 images"),
            "{text}"
        );
        assert!(!text.contains("suspicious: d/"), "{text}");
    }
}

#[test]
fn masks_of_pictures_with_any_ending_are_found() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    for index in 0..12u32 {
        picture(folder.join(format!("d/JPEGImages/{index}.png")), index);
        mask(
            folder.join(format!("d/SegmentationClass/{index}.png")),
            1,
            0,
        );
    }
    let list = |range: std::ops::Range<u32>| range.map(|i| format!("{i}\n")).collect::<String>();
    write(
        folder.join("d/ImageSets/Segmentation/train.txt"),
        list(0..8),
    );
    write(folder.join("d/ImageSets/Segmentation/val.txt"), list(8..12));
    let source = "{ voc-masks = { path = \"d\", classes = [\"background\", \"thing\"] } }";
    let (code, text) = check(folder, &recipe(SEGMENTER, source, "epochs = 1", "", ""));
    assert_eq!(code, Some(0), "{text}");
    assert!(
        text.contains("train: 8 images") && text.contains("validation: 4 images"),
        "{text}"
    );
    write(
        folder.join("d/ImageSets/Segmentation/val.txt"),
        "8\ngone 1\n",
    );
    let (code, text) = check(folder, &recipe(SEGMENTER, source, "epochs = 1", "", ""));
    assert_eq!(code, Some(2), "{text}");
    assert!(
        text.contains("val.txt:2: the line `gone 1` names no picture"),
        "{text}"
    );
}
