//! Every field of COCO's JSON missing, null, empty, of another type, doubled, misspelt: both readers read it, refuse it
//! by name, or remark on it, and nothing is dropped in silence.

use std::path::Path;

use super::super::objects::Faulty;
use super::{CocoConfig, CocoMasksConfig, CocoMasksPart, CocoPart};
use crate::error::DataError;
use crate::source::Splits;
use crate::target::Target;

/// What is done to a field.
#[derive(Clone, Copy, Debug)]
enum Change {
    Missing,
    /// Another value.
    Is(&'static str),
    /// Twice, with the same value.
    Twice,
    /// Under another name.
    Named(&'static str),
}

use Change::{Is, Missing, Named, Twice};

type Fields = &'static [(&'static str, &'static str)];

const TOP: Fields = &[
    ("images", ""),
    ("annotations", ""),
    ("categories", ""),
    ("info", "{}"),
];
const IMAGE: Fields = &[
    ("id", "9"),
    ("file_name", "\"a.png\""),
    ("width", "20"),
    ("height", "10"),
    ("license", "1"),
];
const CATEGORY: Fields = &[
    ("id", "7"),
    ("name", "\"dog\""),
    ("supercategory", "\"animal\""),
];
const ANNOTATION: Fields = &[
    ("id", "1"),
    ("image_id", "9"),
    ("category_id", "7"),
    ("bbox", "[2, 1, 4, 3]"),
    ("iscrowd", "0"),
    ("area", "12"),
    ("segmentation", "[[2, 1, 6, 1, 6, 4, 2, 4]]"),
    ("keypoints", "[]"),
];

/// An object's text with a change of one key; a key that it does not have is added.
fn object(fields: Fields, change: Option<(&str, Change)>) -> String {
    let mut text = Vec::new();
    let mut met = false;
    for (key, value) in fields {
        match change {
            Some((changed, change)) if changed == *key => {
                met = true;
                match change {
                    Missing => {}
                    Is(other) => text.push(format!("\"{key}\": {other}")),
                    Twice => text.extend([(); 2].map(|()| format!("\"{key}\": {value}"))),
                    Named(other) => text.push(format!("\"{other}\": {value}")),
                }
            }
            _ => text.push(format!("\"{key}\": {value}")),
        }
    }
    if let (Some((key, Is(value))), false) = (change, met) {
        text.push(format!("\"{key}\": {value}"));
    }
    format!("{{{}}}", text.join(", "))
}

/// The file: two images with one object each, of which the first is changed.
fn text(list: &str, key: &str, change: Change) -> String {
    let of = |name: &str, fields| object(fields, (name == list).then_some((key, change)));
    let lists = [
        format!(
            r#"[{}, {{"id": 4, "file_name": "b.png", "width": 20, "height": 10}}]"#,
            of("images", IMAGE)
        ),
        format!(
            r#"[{}, {{"image_id": 4, "category_id": 3, "bbox": [0, 0, 8, 5], "segmentation": [[0, 0, 8, 0, 8, 5, 0, 5]]}}]"#,
            of("annotations", ANNOTATION)
        ),
        format!(
            r#"[{}, {{"id": 3, "name": "cat"}}]"#,
            of("categories", CATEGORY)
        ),
    ];
    let mut parts = Vec::new();
    for (number, (name, value)) in TOP.iter().enumerate() {
        let value = lists.get(number).map_or(*value, String::as_str);
        let times = match (list.is_empty() && key == *name, change) {
            (false, _) => vec![format!("\"{name}\": {value}")],
            (true, Missing) => vec![],
            (true, Is(other)) => vec![format!("\"{name}\": {other}")],
            (true, Twice) => vec![format!("\"{name}\": {value}"); 2],
            (true, Named(other)) => vec![format!("\"{other}\": {value}")],
        };
        parts.extend(times);
    }
    if let (true, "videos", Is(value)) = (list.is_empty(), key, change) {
        parts.push(format!("\"{key}\": {value}"));
    }
    format!("{{{}}}", parts.join(", "))
}

/// A dataset whose file has this text.
struct Set(tempfile::TempDir);

impl Set {
    fn new(text: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        for name in ["a.png", "b.png"] {
            let image = image::RgbImage::from_pixel(20, 10, image::Rgb([9; 3]));
            image.save(folder.path().join(name)).unwrap();
        }
        std::fs::write(folder.path().join("t.json"), text).unwrap();
        Self(folder)
    }

    fn boxes(&self, faulty: Faulty) -> Result<Splits, DataError> {
        let config = CocoConfig {
            path: self.0.path().into(),
            train: CocoPart {
                annotations: "t.json".into(),
                images: "".into(),
            },
            faulty,
            ..Default::default()
        };
        config.open(Path::new(""))
    }

    fn masks(&self, faulty: Faulty) -> Result<Splits, DataError> {
        let config = CocoMasksConfig {
            train: CocoMasksPart {
                annotations: self.0.path().join("t.json"),
                images: self.0.path().into(),
            },
            faulty,
            ..Default::default()
        };
        config.open(Path::new(""))
    }

    /// What comes of it: the message of the file, or bad samples, or labels that are not the usual ones, and remarks.
    fn outcome(&self, splits: Result<Splits, DataError>) -> String {
        let root = format!("{}/", self.0.path().display());
        let train = match splits {
            Err(error) => return format!("file {error}").replace(&root, ""),
            Ok(splits) => splits.train,
        };
        let mut parts = Vec::new();
        for remark in train.remarks() {
            parts.push(format!("remark {}: {}", remark.origin, remark.message));
        }
        let known = train.known_bad();
        for index in 0..train.len() {
            let known = known.iter().find(|(at, _)| *at == index);
            match train.inspect(index) {
                Err(error) => {
                    assert!(error.is_bad_sample());
                    if let Some((_, remark)) = known {
                        let remark = format!("{}: {}", remark.origin, remark.message);
                        assert_eq!(error.to_string(), remark);
                    }
                    let when = if known.is_some() {
                        "bad"
                    } else {
                        "bad when read"
                    };
                    parts.push(format!("{when} {error}"));
                }
                Ok((sample, remarks)) => {
                    assert_eq!(known, None);
                    for remark in remarks {
                        parts.push(format!("remark {}: {}", remark.origin, remark.message));
                    }
                    let found = shown(&sample.target, train.classes());
                    let usual = [
                        "dog [2, 1, 6, 4] 1",
                        "cat [0, 0, 8, 5] 1",
                        "dog 12",
                        "cat 40",
                    ];
                    if !usual.contains(&&*found) {
                        parts.push(format!("image {index} has {found}"));
                    }
                }
            }
        }
        if parts.is_empty() {
            parts.push("read".into());
        }
        parts.join(" | ").replace(&root, "")
    }
}

fn shown(target: &Target, classes: &[String]) -> String {
    let mut all = Vec::new();
    for one in target.objects() {
        let crowd = if one.crowd { " crowd" } else { "" };
        let edges = one.xyxy.map(|edge| edge.to_string()).join(", ");
        let name = &classes[one.class];
        all.push(format!("{name} [{edges}] {}{crowd}", one.cover));
    }
    for number in 1..=255u8 {
        let pixels = target.mask.iter().flat_map(|mask| &mask.classes);
        let count = pixels.filter(|class| **class == number).count();
        let name = classes
            .get(usize::from(number))
            .map_or("ignored", String::as_str);
        if count > 0 {
            all.push(format!("{name} {count}"));
        }
    }
    match all.is_empty() {
        true => "nothing".into(),
        false => all.join(", "),
    }
}

/// List (empty for the outermost object), key, change, and what boxes and masks come to.
const CASES: &[(&str, &str, Change, &str, &str)] = &include!("cases.in");

#[test]
fn no_field_is_dropped_in_silence() {
    let mut wrong = Vec::new();
    for &(list, key, change, boxes, masks) in CASES {
        let set = Set::new(&text(list, key, change));
        let found = [
            set.outcome(set.boxes(Faulty::Refuse)),
            set.outcome(set.masks(Faulty::Refuse)),
        ];
        if found != [boxes, masks] {
            wrong.push(format!(
                "({list:?}, {key:?}, {change:?}, {:?}, {:?}),",
                found[0], found[1]
            ));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// As [`CASES`], where faulty objects are repaired or left out.
const FAULTY: &[(Faulty, &str, &str, Change, &str, &str)] = &include!("faulty.in");

#[test]
fn faulty_objects_go_by_one_setting_and_are_named() {
    let mut wrong = Vec::new();
    for &(faulty, list, key, change, boxes, masks) in FAULTY {
        let set = Set::new(&text(list, key, change));
        let found = [
            set.outcome(set.boxes(faulty)),
            set.outcome(set.masks(faulty)),
        ];
        if found != [boxes, masks] {
            let [boxes, masks] = found;
            wrong.push(format!(
                "(Faulty::{faulty:?}, {list:?}, {key:?}, {change:?}, {boxes:?}, {masks:?}),"
            ));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn what_is_no_json_names_the_entry_it_stands_in() {
    let good = text("", "info", Missing);
    let cut = good.find("category_id").unwrap();
    let (boxes, _) = good.split_at(cut);
    for (text, message) in [
        (boxes.to_owned(), "t.json:1:"),
        (
            boxes.to_owned(),
            ": /annotations/0: not JSON: EOF while parsing",
        ),
        (
            good.replace("[2, 1, 4, 3]", "[2, 1, NaN, 3]"),
            ": /annotations/0/bbox: not JSON: NaN and Infinity",
        ),
        (
            good.replace("\"area\": 12", "\"area\": -Infinity"),
            ": /annotations/0/area: not JSON: NaN and Infinity",
        ),
        (
            good.replace("\"width\": 20", "\"width\": 20,,"),
            ": /images/0: not JSON: key must be a string",
        ),
        (format!("{good} x"), ": /: not JSON: trailing characters"),
        (String::new(), "t.json: the file is empty"),
        (
            "[]".into(),
            "t.json: /: a list, not an object with `images`",
        ),
        ("{\0}\0".into(), "t.json: not UTF-8, as JSON is, but UTF-16"),
    ] {
        let set = Set::new(&text);
        let error = set.boxes(Faulty::Refuse).err().expect(message).to_string();
        assert!(error.contains(message), "{error}");
    }
    let set = Set::new(&format!("\u{feff}{good}"));
    assert_eq!(set.outcome(set.boxes(Faulty::Refuse)), "read");
}

#[test]
fn one_fault_of_all_annotations_is_the_message() {
    let good = text("", "info", Missing);
    let nowhere = Set::new(&good.replace("\"image_id\": ", "\"image_id\": 7"));
    let error = nowhere.outcome(nowhere.boxes(Faulty::Refuse));
    assert_eq!(
        error,
        "file t.json: /annotations/0: there is no image 79; 2 of the 2 annotations belong to no image"
    );
    let error = nowhere.outcome(nowhere.boxes(Faulty::Drop));
    assert_eq!(
        error,
        "file t.json: /annotations/0: there is no image 79; none of the 2 annotations can be used"
    );
    let one = Set::new(&good.replace("\"image_id\": 4", "\"image_id\": 9, \"id\": 1.0"));
    let error = one.outcome(one.boxes(Faulty::Refuse));
    assert!(
        error.contains("bad t.json: /annotations/1: the id 1 occurs twice"),
        "{error}"
    );
}

/// LVIS gives addresses of images, and says of each which categories were looked for.
#[test]
fn images_by_their_address_are_read() {
    let good = text("", "info", Missing);
    let lvis = good
        .replace(
            "\"file_name\": \"a.png\"",
            "\"coco_url\": \"http://images.cocodataset.org/train2017/a.png\", \"neg_category_ids\": [3], \
             \"not_exhaustive_category_ids\": []",
        )
        .replace("\"name\": \"cat\"", "\"name\": \"cat\", \"synset\": \"cat.n.01\", \"frequency\": \"f\"");
    let set = Set::new(&lvis);
    let remark = "remark t.json: /images/0: `train2017/a.png` is not there; a.png is taken";
    assert_eq!(set.outcome(set.boxes(Faulty::Refuse)), remark);
    std::fs::create_dir(set.0.path().join("train2017")).unwrap();
    std::fs::rename(
        set.0.path().join("a.png"),
        set.0.path().join("train2017/a.png"),
    )
    .unwrap();
    assert_eq!(set.outcome(set.masks(Faulty::Refuse)), "read");
}

#[test]
fn classes_that_differ_in_case_alone_are_remarked_on() {
    let set = Set::new(&text("categories", "name", Is("\"CAT\"")));
    let remark = "remark t.json: /categories/0: the class `CAT` differs from `cat` in case alone";
    for found in [set.boxes(Faulty::Refuse), set.masks(Faulty::Refuse)] {
        let found = set.outcome(found);
        assert!(found.contains(remark), "{found}");
    }
}

#[test]
fn parts_share_their_classes_by_name() {
    let good = text("", "info", Missing);
    let set = Set::new(&good);
    let other = |from: &str, to: &str| {
        std::fs::write(set.0.path().join("v.json"), good.replace(from, to)).unwrap();
        let config = serde_json::json!({
            "path": set.0.path(),
            "train": {"annotations": "t.json", "images": ""},
            "validation": {"annotations": "v.json", "images": ""},
        });
        let config: CocoConfig = serde_json::from_value(config).unwrap();
        config
            .open(Path::new(""))
            .map(|splits| splits.validation.unwrap())
    };
    // Other ids for the same names.
    let validation = other("\"category_id\": 7", "\"category_id\": 5").err();
    assert!(validation.is_none());
    let swapped = good
        .replace("\"id\": 7", "\"id\": 5")
        .replace("\"category_id\": 7", "\"category_id\": 5");
    std::fs::write(set.0.path().join("w.json"), swapped).unwrap();
    let validation = other("\"name\": \"dog\"", "\"name\": \"cow\"")
        .err()
        .unwrap();
    assert!(
        validation
            .to_string()
            .contains("/categories/0: `cow` (id 7) is none of the classes of the training part"),
        "{validation}"
    );
}
