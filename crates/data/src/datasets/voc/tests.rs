//! Every element of Pascal VOC's XML missing, empty, of another type, doubled, misspelt, and elements that are not known:
//! each is read, refused by name, or remarked on, and nothing is dropped in silence.

use std::path::Path;

use super::super::objects::Faulty;
use super::{ANNOTATIONS, IMAGES, VocConfig};

const OBJECT: &str = "<object>\n<name>dog</name>\n<pose>Left</pose>\n<truncated>0</truncated>\n\
    <difficult>1</difficult>\n<bndbox><xmin>3</xmin><ymin>2</ymin><xmax>6</xmax><ymax>4</ymax></bndbox>\n</object>";
const SIZE: &str = "<size><width>20</width><height>10</height><depth>3</depth></size>";

/// The annotation: one object in a picture of 20x10.
fn annotation() -> String {
    format!(
        "<annotation>\n<folder>x</folder><filename>a.png</filename>\n{SIZE}\n{OBJECT}\n</annotation>"
    )
}

/// What is done to an element.
#[derive(Clone, Copy, Debug)]
enum Change {
    Missing,
    /// Without content.
    Empty,
    /// With another content.
    Is(&'static str),
    Twice,
    /// Under another name.
    Named(&'static str),
    /// With an element behind it that is not known.
    With(&'static str),
}

use Change::{Empty, Is, Missing, Named, Twice, With};

/// The annotation with a change of its only element of a name.
fn changed(element: &str, change: Change) -> String {
    let all = annotation();
    let (open, close) = (format!("<{element}>"), format!("</{element}>"));
    let start = all.find(&open).expect(element);
    let end = all.find(&close).expect(element) + close.len();
    let whole = &all[start..end];
    let content = &whole[open.len()..whole.len() - close.len()];
    let new = match change {
        Missing => String::new(),
        Empty => format!("<{element}/>"),
        Is(other) => format!("{open}{other}{close}"),
        Twice => format!("{whole}{whole}"),
        Named(other) => format!("<{other}>{content}</{other}>"),
        With(other) => format!("{whole}{other}"),
    };
    format!("{}{new}{}", &all[..start], &all[end..])
}

/// What comes of an annotation: the message of the dataset, or bad samples, or labels that are not the usual ones, and
/// remarks.
fn outcome(xml: &[u8], change: impl FnOnce(&mut VocConfig)) -> String {
    let folder = tempfile::tempdir().unwrap();
    for part in [ANNOTATIONS, IMAGES, "ImageSets/Main"] {
        std::fs::create_dir_all(folder.path().join(part)).unwrap();
    }
    let image = image::RgbImage::from_pixel(20, 10, image::Rgb([9; 3]));
    image
        .save(folder.path().join(IMAGES).join("a.png"))
        .unwrap();
    std::fs::write(folder.path().join(ANNOTATIONS).join("a.xml"), xml).unwrap();
    std::fs::write(folder.path().join("ImageSets/Main/train.txt"), "a\n").unwrap();
    let mut config = VocConfig {
        path: folder.path().into(),
        classes: vec!["cat".into(), "dog".into()],
        ..Default::default()
    };
    change(&mut config);
    let root = format!("{}/", folder.path().display());
    let train = match config.open(Path::new("")) {
        Err(error) => return format!("dataset {error}").replace(&root, ""),
        Ok(splits) => splits.train,
    };
    let remarks = train.remarks().into_iter();
    let mut parts: Vec<String> = remarks
        .map(|remark| format!("remark {}: {}", remark.origin, remark.message))
        .collect();
    let known = train.known_bad();
    match train.inspect(0) {
        Err(error) => {
            assert!(error.is_bad_sample());
            if let Some((0, remark)) = known.first() {
                let remark = format!("{}: {}", remark.origin, remark.message);
                assert_eq!(error.to_string(), remark);
            }
            let when = if known.is_empty() {
                "bad when read"
            } else {
                "bad"
            };
            parts.push(format!("{when} {error}"));
        }
        Ok((sample, remarks)) => {
            assert_eq!(known, []);
            for remark in remarks {
                parts.push(format!("remark {}: {}", remark.origin, remark.message));
            }
            let boxes = sample.target.boxes.unwrap();
            let mut shown = Vec::new();
            for one in boxes {
                let edges = one.xyxy.map(|edge| edge.to_string()).join(", ");
                let difficult = if one.difficult { " difficult" } else { "" };
                shown.push(format!(
                    "{} [{edges}]{difficult}",
                    train.classes()[one.class]
                ));
            }
            let shown = shown.join(", ");
            if shown != "dog [2, 1, 6, 4] difficult" {
                parts.push(format!("has {shown}"));
            }
        }
    }
    if parts.is_empty() {
        parts.push("read".into());
    }
    parts.join(" | ").replace(&root, "")
}

/// Element, change, and what comes of it.
const CASES: &[(&str, Change, &str)] = &include!("cases.in");

#[test]
fn no_element_is_dropped_in_silence() {
    let mut wrong = Vec::new();
    for &(element, change, expected) in CASES {
        let found = outcome(changed(element, change).as_bytes(), |_| {});
        if found != expected {
            wrong.push(format!("({element:?}, {change:?}, {found:?}),"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// As [`CASES`], where faulty objects are repaired or left out.
const FAULTY: &[(Faulty, &str, Change, &str)] = &include!("faulty.in");

#[test]
fn faulty_objects_go_by_one_setting_and_are_named() {
    let mut wrong = Vec::new();
    for &(faulty, element, change, expected) in FAULTY {
        // A second object that is in order.
        let second = OBJECT.replace(">3<", ">4<").replace("dog", "cat");
        let xml =
            changed(element, change).replace("</annotation>", &format!("{second}</annotation>"));
        let found = outcome(xml.as_bytes(), |config| config.faulty = faulty);
        if found != expected {
            wrong.push(format!(
                "(Faulty::{faulty:?}, {element:?}, {change:?}, {found:?}),"
            ));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn one_fault_of_all_annotations_is_the_message() {
    let unnamed = |config: &mut VocConfig| config.classes.clear();
    let none = changed("name", Missing);
    assert_eq!(
        outcome(none.as_bytes(), unnamed),
        "dataset Annotations/a.xml:4: `object` without `name`; so no class is known: 1 of the 1 training images have a \
         faulty annotation"
    );
    assert_eq!(
        outcome(b"<annotation/>", unnamed),
        "dataset Annotations: none of the training images has an object, so there are no classes; name them by `classes`"
    );
    let outside = changed("xmin", Is("7"));
    assert_eq!(
        outcome(outside.as_bytes(), |config| config.faulty = Faulty::Drop),
        "dataset Annotations/a.xml:4: `dog` [7, 2, 6, 4]: the box is inverted; none of the 1 objects can be used"
    );
    let utf16: Vec<u8> = annotation()
        .encode_utf16()
        .flat_map(u16::to_le_bytes)
        .collect();
    assert_eq!(
        outcome(&utf16, |_| {}),
        "bad Annotations/a.xml: not UTF-8 but UTF-16; save it as UTF-8"
    );
    let marked = [b"\xef\xbb\xbf", annotation().as_bytes()].concat();
    assert_eq!(outcome(&marked, |_| {}), "read");
    assert_eq!(
        outcome(b"<annotation>\xe4", |_| {}),
        "bad Annotations/a.xml: not UTF-8; save it as UTF-8"
    );
}

#[test]
fn a_box_from_a_pixel_to_the_same_pixel_is_that_pixel() {
    let pixel = changed(
        "bndbox",
        Is("<xmin>6</xmin><ymin>4</ymin><xmax>6</xmax><ymax>4</ymax>"),
    );
    assert_eq!(
        outcome(pixel.as_bytes(), |_| {}),
        "remark Annotations/a.xml:4: `dog` [6, 4, 6, 4]: a box of a single pixel | has dog [5, 3, 6, 4] difficult"
    );
    assert_eq!(
        outcome(pixel.as_bytes(), |config| config.one_based = false),
        "bad Annotations/a.xml:4: `dog` [6, 4, 6, 4]: the box has no area"
    );
}
