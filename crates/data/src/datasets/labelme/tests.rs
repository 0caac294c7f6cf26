//! Scenes written as labelme has them come back as they were; every field missing, null, doubled, of another type or unknown
//! is read, refused by name, or remarked on.

use std::path::Path;

use serde_json::json;

use super::super::objects::Faulty;
use super::super::testing::{
    Said, assert_outcomes, assert_same, outcome, polygon, rows, scenes, write_blank, write_pictures,
};
use super::LabelmeConfig;

#[test]
fn scenes_come_back_as_they_were_written() {
    let (scenes, classes) = scenes();
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path();
    write_pictures(&scenes, &root.join("pictures"));
    for (part, images) in [("a", "../pictures"), ("val", "..\\pictures")] {
        std::fs::create_dir(root.join(part)).unwrap();
        for (number, scene) in scenes.iter().enumerate() {
            let points =
                |polygon: Vec<f64>| polygon.chunks(2).map(<[f64]>::to_vec).collect::<Vec<_>>();
            let shape = |(group, object): (usize, &crate::target::BoxLabel)| {
                let label = &classes[object.class];
                let points = points(polygon(object));
                json!({"label": label, "points": points, "group_id": group, "shape_type": "polygon", "flags": {}})
            };
            let shapes: Vec<_> = scene
                .target
                .objects()
                .iter()
                .enumerate()
                .map(shape)
                .collect();
            let file = json!({
                "version": "5.4.1", "flags": {}, "shapes": shapes, "imagePath": format!("{images}/{number}.png"),
                "imageData": "iVBORw0K", "imageHeight": 128, "imageWidth": 128
            });
            std::fs::write(
                root.join(part).join(format!("{number}.json")),
                file.to_string(),
            )
            .unwrap();
        }
    }
    let config = LabelmeConfig {
        validation: Some("val".into()),
        classes,
        ..Default::default()
    };
    for (_, part) in config.open(root).unwrap().named() {
        assert_same(&**part, &scenes, Said::Box);
        assert_eq!(part.remarks(), []);
    }
    let masks = LabelmeConfig {
        instance_masks: true,
        class_masks: true,
        ..config
    };
    for (_, part) in masks.open(root).unwrap().named() {
        assert_same(&**part, &scenes, Said::Outline);
    }
}

const SHAPE: &str = r#"{"label": "cat", "points": [[1, 1], [5, 1], [5, 5]], "shape_type": "polygon", "group_id": null}"#;

fn file(shapes: &str) -> String {
    format!(
        r#"{{"imagePath": "b.png", "imageWidth": 20, "imageHeight": 10, "shapes": [{shapes}]}}"#
    )
}

/// What came of a file beside a good one, which is left out of the words.
fn said(text: &str, faulty: Faulty) -> String {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path();
    for name in ["a", "b"] {
        write_blank(&root.join(format!("{name}.png")), 20, 10);
    }
    std::fs::write(root.join("a.json"), file(SHAPE).replace("b.png", "a.png")).unwrap();
    std::fs::write(root.join("b.json"), text).unwrap();
    let found = outcome(
        LabelmeConfig {
            faulty,
            ..Default::default()
        }
        .open(root),
        root,
    );
    found.replacen("read 1\n", "", 1)
}

#[test]
fn every_field_is_read_or_said_to_be_wrong() {
    let cases: Vec<(String, &[&str])> = vec![
        (file(SHAPE), &["read 1"]),
        (file(""), &["read 0"]),
        (format!("\u{feff}{}", file(SHAPE)), &["read 1"]),
        (
            file(SHAPE).replace("\"imagePath\": \"b.png\", ", ""),
            &[
                "read 1",
                "remark b.json: `imagePath` names no file; the picture of the same name",
            ],
        ),
        (
            file(SHAPE).replace("b.png", "x.png"),
            &["read 1", "`imagePath` names no file"],
        ),
        (
            file(SHAPE).replace("\"b.png\"", "null"),
            &["read 1", "`imagePath` names no file"],
        ),
        (
            file(SHAPE).replace("\"b.png\"", "3"),
            &["bad b.json: `imagePath` is 3, not a path"],
        ),
        (
            file(SHAPE).replace("b.png", "a.png"),
            &[
                "bad b.json: its picture is that of a.json too",
                "remark b.png: a picture without a file of labelme",
            ],
        ),
        (
            file(SHAPE).replace("20", "21"),
            &["bad b.png: 20x10 pixels, b.json says 21x10"],
        ),
        (
            file(SHAPE).replace("20", "\"wide\""),
            &["bad b.json: `imageWidth` is the string `wide`, not a number of pixels"],
        ),
        (file(SHAPE).replace("20", "null"), &["read 1"]),
        (
            file(SHAPE).replace("\"imagePath\"", "\"color\": 1, \"imagePath\""),
            &[
                "read 1",
                "remark b.json: the key `color` is not one of labelme's and is not read",
            ],
        ),
        (
            file(SHAPE).replace("\"imagePath\"", "\"imageWidth\": 20, \"imagePath\""),
            &["bad b.json: the key `imageWidth` occurs twice"],
        ),
        (
            file(SHAPE).replace("\"shapes\"", "\"Shapes\""),
            &["bad b.json: has no `shapes`; it has `Shapes`"],
        ),
        (
            r#"{"images": []}"#.into(),
            &["remark b.json: has no `shapes`, so it is no file of labelme, left out"],
        ),
        ("[]".into(), &["remark b.json: has no `shapes`"]),
        (
            r#"{"shapes": 3}"#.into(),
            &["bad b.json: `shapes` is 3, not a list"],
        ),
        (file("{").to_string(), &["bad b.json: /shapes/0: not JSON"]),
        (String::new(), &["bad b.json: /: not JSON: EOF"]),
        (file("3"), &["bad b.json: /shapes/0: is 3, not an object"]),
        (
            file(&SHAPE.replace("\"label\": \"cat\", ", "")),
            &["bad b.json: /shapes/0: has no `label`"],
        ),
        (
            file(&SHAPE.replace("\"cat\"", "\" \"")),
            &["bad b.json: /shapes/0: `label` is the string ` `, not the name of a class"],
        ),
        (
            file(&SHAPE.replace("\"cat\"", "null")),
            &["`label` is null, not the name"],
        ),
        (file(&SHAPE.replace("\"cat\"", "7")), &["read 1"]),
        (
            file(&SHAPE.replace("\"label\"", "\"label\": \"cat\", \"label\"")),
            &["/shapes/0: the key `label` occurs twice"],
        ),
        (
            file(&SHAPE.replace("\"points\"", "\"Points\"")),
            &["/shapes/0: has no `points`; it has `Points`"],
        ),
        (
            file(&SHAPE.replace("[[1, 1], [5, 1], [5, 5]]", "null")),
            &["`points` is null, not a list of points"],
        ),
        (
            file(&SHAPE.replace("[5, 5]", "[5]")),
            &["a point that is not `[x, y]`"],
        ),
        (
            file(&SHAPE.replace("[5, 5]", "5")),
            &["a point that is not `[x, y]`"],
        ),
        (
            file(&SHAPE.replace("[5, 5]", "[5, \"y\"]")),
            &["a point holds the string `y`, not a number"],
        ),
        (
            file(&SHAPE.replace(", [5, 5]", "")),
            &["a polygon of 2 points"],
        ),
        (
            file(&SHAPE.replace("[5, 5]", "[9, 1]")),
            &["the box has no area"],
        ),
        (
            file(&SHAPE.replace("[5, 5]", "[50, 5]")),
            &["`cat` [1, 1, 50, 5]: the box leaves the image of 20x10"],
        ),
        (file(&SHAPE.replace("\"polygon\"", "null")), &["read 1"]),
        (
            file(&SHAPE.replace("\"polygon\"", "3")),
            &["`shape_type` is 3, not a kind of shape"],
        ),
        (
            file(&SHAPE.replace("\"polygon\"", "\"star\"")),
            &["`shape_type` is `star`, which is not one of labelme's"],
        ),
        (
            file(&SHAPE.replace("\"polygon\"", "\"linestrip\"")),
            &["a linestrip has no area"],
        ),
        (
            file(&SHAPE.replace("\"polygon\"", "\"mask\"")),
            &["a shape of the kind `mask` is not read"],
        ),
        (
            file(&SHAPE.replace("\"polygon\"", "\"circle\"")),
            &["a circle of 3 points"],
        ),
        (
            file(&SHAPE.replace("\"group_id\": null", "\"group_id\": true")),
            &["`group_id` is true, not a number"],
        ),
        (
            file(&SHAPE.replace("\"group_id\"", "\"depth\"")),
            &[
                "read 1",
                "the key `depth` is not one of labelme's and is not read",
            ],
        ),
    ];
    assert_outcomes(&cases, |text| said(text, Faulty::Refuse));
    let wrong = file(&format!(
        "{SHAPE}, 3, {}",
        SHAPE.replace("[5, 5]", "[50, 5]")
    ));
    let [repaired, dropped] = [Faulty::Repair, Faulty::Drop].map(|faulty| said(&wrong, faulty));
    assert!(
        repaired.contains("read 2\n")
            && repaired.contains("; clipped")
            && repaired.contains("is 3, not an object; left out"),
        "{repaired}"
    );
    assert!(
        dropped.contains("read 1\n") && dropped.contains("pixels; left out"),
        "{dropped}"
    );
}

#[test]
fn shapes_of_a_group_are_one_object() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path();
    write_blank(&root.join("b.png"), 20, 10);
    let shape = |label: &str, kind: &str, points: &str, group: &str| {
        format!(
            r#"{{"label": "{label}", "points": {points}, "shape_type": "{kind}", "group_id": {group}}}"#
        )
    };
    let shapes = [
        shape("cat", "rectangle", "[[4, 3], [1, 1]]", "0"),
        shape("dog", "circle", "[[15, 5], [18, 5]]", "0"),
        shape("cat", "rectangle", "[[8, 1], [10, 3]]", "0"),
        shape("cat", "rectangle", "[[4, 7], [6, 9]]", "null"),
    ];
    std::fs::write(root.join("b.json"), file(&shapes.join(", "))).unwrap();
    let config = LabelmeConfig {
        instance_masks: true,
        class_masks: true,
        ..Default::default()
    };
    let train = config.open(root).unwrap().train;
    let target = train.read(0).unwrap().target;
    let boxes: Vec<_> = target
        .objects()
        .iter()
        .map(|object| (object.class, object.xyxy))
        .collect();
    assert_eq!(
        boxes,
        [
            (0, [1.0, 1.0, 10.0, 3.0]),
            (1, [12.0, 2.0, 18.0, 8.0]),
            (0, [4.0, 7.0, 6.0, 9.0])
        ]
    );
    assert_eq!(
        rows(&target.mask.unwrap()),
        [
            "....................",
            ".111....11..........",
            ".111....11...2222...",
            "............222222..",
            "............222222..",
            "............222222..",
            "............222222..",
            "....11.......2222...",
            "....11..............",
            "....................",
        ]
    );
    assert!(config.open(Path::new("/nowhere")).is_err());
}
