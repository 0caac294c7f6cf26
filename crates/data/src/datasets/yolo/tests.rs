//! Scenes written as YOLO has them come back as they were; every key and every row missing, empty, of another kind, doubled
//! or unknown is read, refused by name, or remarked on.

use std::path::Path;

use super::super::objects::Faulty;
use super::super::testing::{
    Said, assert_outcomes, assert_same, outcome, polygon, rows as mask_rows, scenes, write_blank,
    write_pictures,
};
use super::YoloConfig;
use crate::sample::Sample;
use crate::target::BoxLabel;

/// Writes the labels of scenes, in shares of their size.
fn write_labels(scenes: &[Sample], folder: &Path, said: Said) {
    std::fs::create_dir_all(folder).unwrap();
    let row = |object: &BoxLabel| {
        let [x1, y1, x2, y2] = object.xyxy.map(f64::from);
        let values = match said {
            Said::Box => vec![(x1 + x2) / 2.0, (y1 + y2) / 2.0, x2 - x1, y2 - y1],
            Said::Outline => polygon(object),
        };
        let values: Vec<String> = values
            .iter()
            .map(|value| (value / 128.0).to_string())
            .collect();
        format!("{} {}\n", object.class, values.join(" "))
    };
    for (number, scene) in scenes.iter().enumerate() {
        let text: String = scene.target.objects().iter().map(row).collect();
        std::fs::write(folder.join(format!("{number}.txt")), text).unwrap();
    }
}

#[test]
fn scenes_come_back_as_they_were_written() {
    let (scenes, classes) = scenes();
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path();
    // Ultralytics' layout, and Roboflow's with paths that start one folder too high.
    for (images, labels) in [
        ("images/train", "labels/train"),
        ("valid/images", "valid/labels"),
    ] {
        write_pictures(&scenes, &root.join(images));
        write_labels(&scenes, &root.join(labels), Said::Outline);
    }
    write_pictures(&scenes, &root.join("beside"));
    write_labels(&scenes, &root.join("beside"), Said::Box);
    let list: String = (0..scenes.len())
        .map(|number| format!("./beside/{number}.png\r\n"))
        .collect();
    std::fs::write(root.join("list.txt"), list).unwrap();
    let names: String = (classes.iter().enumerate().rev())
        .map(|(number, name)| format!("  {number}: {name}\n"))
        .collect();
    let text = format!(
        "train: images/train\nval: ../valid/images\ntest: [list.txt]\nnc: 10\nnames:\n{names}"
    );
    std::fs::write(root.join("data.yaml"), text).unwrap();
    let config = YoloConfig {
        path: "data.yaml".into(),
        ..Default::default()
    };
    let boxes = config.open(root).unwrap();
    assert_eq!(boxes.train.classes(), classes);
    for (_, part) in boxes.named() {
        assert_same(&**part, &scenes, Said::Box);
    }
    assert_eq!(
        boxes.train.remarks().len(),
        1,
        "{:?}",
        boxes.train.remarks()
    );
    let masks = YoloConfig {
        instance_masks: true,
        class_masks: true,
        faulty: Faulty::Repair,
        ..config
    };
    let masks = masks.open(root).unwrap();
    assert_same(&*masks.train, &scenes, Said::Outline);
    assert_same(&*masks.validation.unwrap(), &scenes, Said::Outline);
    let (background, named) = masks.train.mask_classes().split_first().unwrap();
    assert_eq!((background.as_str(), named), ("background", &*classes));
}

/// A dataset of two pictures of 20x10 pixels, the second without objects.
struct Set(tempfile::TempDir);

impl Set {
    fn new(description: &str, labels: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path();
        for name in ["a", "b"] {
            write_blank(&root.join(format!("images/{name}.png")), 20, 10);
        }
        std::fs::create_dir(root.join("labels")).unwrap();
        std::fs::write(root.join("labels/a.txt"), labels).unwrap();
        std::fs::write(root.join("labels/b.txt"), "").unwrap();
        std::fs::write(root.join("data.yaml"), description).unwrap();
        Self(folder)
    }

    fn outcome(&self, config: YoloConfig) -> String {
        let path = "data.yaml".into();
        outcome(
            YoloConfig { path, ..config }.open(self.0.path()),
            self.0.path(),
        )
    }
}

const GOOD: &str = "train: images\nnames: [cat, dog]\n";
const BOX: &str = "0 0.5 0.5 0.5 0.5\n";
const READ: &str = "read 1\nread 0";

#[test]
fn every_key_is_read_or_said_to_be_wrong() {
    let cases: &[(&str, &[&str])] = &[
        (GOOD, &[READ]),
        ("\u{feff}train: images\r\nnames: [cat, dog]\r\n", &[READ]),
        (
            "# a comment\n---\ntrain: \"images\"\nval:\ntest: null\nnames: {1: dog, '0': cat}\nnc: '2'\n",
            &[READ],
        ),
        (
            "path: .\ntrain: [images]\nnames: [cat, dog]\ndownload: |\n  echo\nroboflow: {workspace: w}\n",
            &[READ],
        ),
        (
            "train: images\nnc: 2.0\n",
            &[
                "read 1",
                "data.yaml:2: no `names`; the 2 classes are called `class_0`",
            ],
        ),
        ("", &["file data.yaml: the file is empty"]),
        (
            "- a\n",
            &["file data.yaml: is a list, not keys with values"],
        ),
        ("train: [images\n", &["file data.yaml:", "not YAML:"]),
        ("train: *a\nnames: [a]\n", &["file data.yaml:1"]),
        (
            "train: images\nnames: [a]\n---\ntrain: b\n",
            &["data.yaml:3: a second document"],
        ),
        (
            "[a]: b\ntrain: images\n",
            &["data.yaml:1: the key is a list, not a word"],
        ),
        ("names: [cat, dog]\n", &["file data.yaml: has no `train`"]),
        (
            "train:\nnames: [cat, dog]\n",
            &["file data.yaml: has no `train`"],
        ),
        (
            "train: {a: b}\nnames: [a]\n",
            &["data.yaml:1: `train` is a map, not a path"],
        ),
        (
            "train: [[images]]\nnames: [a]\n",
            &["data.yaml:1: `train` is a list, not a path"],
        ),
        (
            "train: [images, ~]\nnames: [a]\n",
            &["data.yaml:1: `train` has an empty path in its list"],
        ),
        (
            "train: pictures\nnames: [a]\n",
            &["data.yaml:1: `pictures`: there is no pictures"],
        ),
        (
            "train: labels\nnames: [a]\n",
            &["file labels: holds no picture", "data.yaml:1 names it"],
        ),
        (
            "train: data.yaml\nnames: [a]\n",
            &["data.yaml: neither a folder nor a list"],
        ),
        (
            "train: images\ntrain: images\nnames: [a]\n",
            &["data.yaml:2: the key `train` stands in line 1 already"],
        ),
        (
            "train: images\nval: nowhere\nnames: [a]\n",
            &["data.yaml:2: `nowhere`: there is no nowhere"],
        ),
        (
            "train: images\nval: images\nvalidation: images\nnames: [a]\n",
            &["data.yaml:3: `validation` means the same as `val` in line 2"],
        ),
        (
            "train: images\ntest: nowhere\nnames: [cat, dog]\n",
            &["read 1", "there is no test part: data.yaml:2: `nowhere`"],
        ),
        (
            "path: nowhere\ntrain: images\nnames: [cat, dog]\n",
            &[
                "read 1",
                "data.yaml:1: `path` (nowhere) is not there; the folder of the file",
            ],
        ),
        (
            "path: nowhere\ntrain: pictures\nnames: [a]\n",
            &["data.yaml:1: `path`: there is no folder nowhere"],
        ),
        (
            "path: [images]\ntrain: a\nnames: [a]\n",
            &["data.yaml:1: `path` is a list, not a path"],
        ),
        (
            "train: ../images\nnames: [cat, dog]\n",
            &[
                "read 1",
                "data.yaml:1: `../images` is not there; images is taken",
            ],
        ),
        ("train: images\n", &["file data.yaml: has no `names`"]),
        (
            "train: images\nnames:\n",
            &["file data.yaml: has no `names`"],
        ),
        (
            "train: images\nnames: cat\n",
            &["data.yaml:2: `names` is `cat`, neither a list nor a map"],
        ),
        (
            "train: images\nnames: []\n",
            &["data.yaml:2: `names` has no class"],
        ),
        (
            "train: images\nnames: [cat, '']\n",
            &["data.yaml:2: `names` has no name for class 1"],
        ),
        (
            "train: images\nnames: [cat, [dog]]\n",
            &["data.yaml:2: `names` has a list for the name of class 1"],
        ),
        (
            "train: images\nnames: {1: cat, 2: dog}\n",
            &[
                "data.yaml:2: `names` has 2 classes and one of the number 2; they are numbered from 0 to 1; are they",
            ],
        ),
        (
            "train: images\nnames: {0: cat, 5: dog}\n",
            &["one of the number 5"],
        ),
        (
            "train: images\nnames: {0: cat, 00: dog}\n",
            &["data.yaml:2: `names` has the class 0 twice"],
        ),
        (
            "train: images\nnames: {0: cat, 0: dog}\n",
            &["data.yaml:2: the key `0` stands in line 2 already"],
        ),
        (
            "train: images\nnames: {cat: 0}\n",
            &["data.yaml:2: `names` has the key `cat`, not a number from 0"],
        ),
        (
            "train: images\nnames: [cat, cat]\n",
            &["read 1", "class 1 is called `cat (class 1)`"],
        ),
        (
            "train: images\nnames: [cat, Cat]\n",
            &["read 1", "the class `Cat` differs from `cat` in case alone"],
        ),
        (
            "train: images\nnames: [cat, dog]\nnc: 3\n",
            &["data.yaml:2: `names` has 2 classes, and `nc` says 3"],
        ),
        (
            "train: images\nnc: two\n",
            &["data.yaml:2: `nc` is `two`, not a number from 1"],
        ),
        (
            "train: images\nnc: 0\n",
            &["data.yaml:2: `nc` is `0`, not a number from 1"],
        ),
        (
            "train: images\nnames: [cat, dog]\nkpt_shape: 17\n",
            &["data.yaml:3: `kpt_shape` is `17`, not `[points, 2 or 3]`"],
        ),
        (
            "train: images\nnames: [cat, dog]\nkpt_shape: [17, 4]\n",
            &["data.yaml:3: `kpt_shape` is not `[points, 2 or 3]`"],
        ),
        (
            "train: images\nnames: [cat, dog]\ncolor: 3\n",
            &[
                "read 1",
                "data.yaml:3: the key `color` is not one of YOLO's and is not read",
            ],
        ),
    ];
    assert_outcomes(cases, |text| {
        Set::new(text, BOX).outcome(YoloConfig::default())
    });
}

#[test]
fn a_class_is_called_what_is_written() {
    let set = Set::new("train: images\nnames: [no, on, 1, null, '~', 2.50]\n", BOX);
    let config = YoloConfig {
        path: set.0.path().into(),
        ..Default::default()
    };
    let train = config.open(Path::new("")).unwrap().train;
    assert_eq!(train.classes(), ["no", "on", "1", "null", "~", "2.50"]);
}

#[test]
fn every_row_is_read_or_goes_by_faulty() {
    // A row, then what `refuse`, `repair` and `drop` make of a file with it and a good one.
    let cases: &[(&str, &[&str; 3])] = &[
        ("1 0.5 0.5 0.25 0.5", &["read 2", "read 2", "read 2"]),
        (
            "\t1.0  5e-1 +.5 0.25\t0.5 \r",
            &["read 2", "read 2", "read 2"],
        ),
        ("1 0.1 0.1 0.4 0.1 0.4 0.8", &["read 2", "read 2", "read 2"]),
        (
            "0 0.5 0.5 0.5 0.5",
            &["remark labels/a.txt:2: the row stands there already, and is read once"; 3],
        ),
        (
            "1 0.95 0.5 0.4 0.5",
            &[
                "bad labels/a.txt:2: `dog` [0.75, 0.25, 1.15, 0.75] of the image's size: the box leaves the image of 20x10",
                "the box leaves the image of 20x10 pixels; clipped",
                "left out",
            ],
        ),
        (
            "1 1.5 0.5 0.4 0.5",
            &["the box leaves the image", "left out", "left out"],
        ),
        (
            "1 0.1 0.1 1.2 0.1 0.4 0.8",
            &["the box leaves the image", "clipped", "left out"],
        ),
        (
            "1 0.5 0.5 0 0.5",
            &[
                "bad labels/a.txt:2: `dog` [0.5, 0.25, 0.5, 0.75] of the image's size: the box has no area",
                "left out",
                "left out",
            ],
        ),
        (
            "1 0.5 0.5 -0.1 0.5",
            &["the box is inverted", "left out", "left out"],
        ),
        (
            "1 0.1 0.1 0.4 0.1 0.8 0.1",
            &["the box has no area", "left out", "left out"],
        ),
        (
            "2 0.5 0.5 0.5 0.5",
            &[
                "bad labels/a.txt:2: class 2: there are 2 classes, numbered from 0",
                "left out",
                "left out",
            ],
        ),
        (
            "-1 0.5 0.5 0.5 0.5",
            &[
                "the class is -1, not a whole number",
                "left out",
                "left out",
            ],
        ),
        (
            "1.5 0.5 0.5 0.5 0.5",
            &[
                "the class is 1.5, not a whole number",
                "left out",
                "left out",
            ],
        ),
        (
            "dog 0.5 0.5 0.5 0.5",
            &[
                "the class is `dog`, not a number from 0",
                "left out",
                "left out",
            ],
        ),
        (
            "1,0.5,0.5,0.5,0.5",
            &["commas in it", "left out", "left out"],
        ),
        (
            "1 0.5 x 0.5 0.5",
            &["`x` is not a number", "left out", "left out"],
        ),
        (
            "1 nan 0.5 0.5 0.5",
            &["`nan` is not a number", "left out", "left out"],
        ),
        (
            "1 inf 0.5 0.5 0.5",
            &["`inf` is not a number", "left out", "left out"],
        ),
        ("# a", &["the class is `#`", "left out", "left out"]),
        ("1", &["1 numbers; a row is", "left out", "left out"]),
        (
            "1 0.5 0.5 0.5",
            &["4 numbers; a row is", "left out", "left out"],
        ),
        (
            "1 0.5 0.5 0.5 0.5 0.9",
            &["is the last one a confidence?", "left out", "left out"],
        ),
        (
            "1 0.1 0.1 0.4 0.1 0.4 0.8 0.2",
            &["8 numbers; a row is", "left out", "left out"],
        ),
        (
            "1 10 5 4 4",
            &[
                "10 is no share of the picture's size, from 0 to 1; are these pixels?",
                "left out",
                "left out",
            ],
        ),
    ];
    let by = [Faulty::Refuse, Faulty::Repair, Faulty::Drop];
    let cases: Vec<((&str, Faulty), &[&str])> = cases
        .iter()
        .flat_map(|(row, said)| {
            by.into_iter()
                .zip(said.iter())
                .map(|(faulty, said)| ((*row, faulty), std::slice::from_ref(said)))
        })
        .collect();
    assert_outcomes(&cases, |(row, faulty)| {
        let found = Set::new(GOOD, &format!("{BOX}{row}\n")).outcome(YoloConfig {
            faulty: *faulty,
            ..Default::default()
        });
        found.replace("\nread 0", "")
    });
}

#[test]
fn label_files_are_named() {
    let said = |set: &Set| set.outcome(YoloConfig::default());
    let set = Set::new(GOOD, BOX);
    std::fs::write(
        set.0.path().join("labels/a.txt"),
        b"0 0.5 0.5 0.5 0.5\n\xff",
    )
    .unwrap();
    assert!(
        said(&set).contains("bad labels/a.txt: line 2 is not UTF-8"),
        "{}",
        said(&set)
    );
    std::fs::write(
        set.0.path().join("labels/a.txt"),
        "\u{feff}0 0.5 0.5 0.5 0.5",
    )
    .unwrap();
    assert_eq!(said(&set), READ);
    for name in ["classes.txt", "c.txt"] {
        std::fs::write(set.0.path().join("labels").join(name), "").unwrap();
    }
    assert_eq!(
        said(&set),
        format!("{READ}\nremark labels/c.txt: labels without a picture, left out")
    );
    std::fs::remove_file(set.0.path().join("labels/b.txt")).unwrap();
    assert!(
        said(&set).contains("remark labels/b.txt: no labels: taken for an image without objects"),
        "{}",
        said(&set)
    );
    std::fs::remove_file(set.0.path().join("labels/a.txt")).unwrap();
    assert!(
        said(&set).contains(
            "file labels/a.txt: not there, and none of the 2 training pictures has labels"
        ),
        "{}",
        said(&set)
    );
}

#[test]
fn a_list_names_pictures_from_three_folders() {
    let lines = "images/a.png\n\n./images/b.png\nimages/a.png\nimages\\c.png\n";
    let set = Set::new("train: lists/train.txt\nnames: [cat, dog]\n", BOX);
    std::fs::create_dir(set.0.path().join("lists")).unwrap();
    std::fs::write(set.0.path().join("lists/train.txt"), lines).unwrap();
    let found = set.outcome(YoloConfig::default());
    for part in [
        "read 1\nread 0\nbad lists/train.txt:5: `images\\c.png` names no picture: there is no images/c.png",
        "remark lists/train.txt:4 (lists/train.txt:1): the picture is named already, and is taken once",
    ] {
        assert!(found.contains(part), "{found}");
    }
}

#[test]
fn boxes_of_rows_with_keypoints_are_read() {
    let text = "train: images\nnames: [cat, dog]\nkpt_shape: [2, 3]\n";
    let set = Set::new(
        text,
        "0 0.5 0.5 0.5 0.5 0.1 0.1 2 0.3 0.3 1\n0 0.5 0.5 0.5 0.5\n",
    );
    let found = set.outcome(YoloConfig {
        faulty: Faulty::Drop,
        ..Default::default()
    });
    assert!(
        found.contains("read 1\n") && found.contains("a.txt:1: its keypoints are not read"),
        "{found}"
    );
    assert!(
        found.contains("a.txt:2: 5 numbers; a class, a box and `kpt_shape` are 11; left out"),
        "{found}"
    );
}

#[test]
fn masks_need_outlines() {
    let config = |faulty| YoloConfig {
        faulty,
        instance_masks: true,
        class_masks: true,
        ..Default::default()
    };
    // A triangle that another object overlaps, and a box.
    let labels = "1 0 0 0.5 0 0 1\n0 0.2 0 0.4 0 0.4 0.4 0.2 0.4\n0 0.8 0.3 0.2 0.2\n";
    let set = Set::new(GOOD, labels);
    let found = set.outcome(config(Faulty::Refuse));
    assert!(
        found.contains("bad labels/a.txt:3: `cat` has a box and no outline"),
        "{found}"
    );
    let found = set.outcome(config(Faulty::Drop));
    assert!(
        found.contains("read 2\n") && found.contains("no outline; left out"),
        "{found}"
    );
    let found = set.outcome(config(Faulty::Repair));
    assert!(
        found.contains("read 3\n") && found.contains("the pixels of its box do not count"),
        "{found}"
    );
    let repaired = YoloConfig {
        path: "data.yaml".into(),
        ..config(Faulty::Repair)
    };
    let target = repaired
        .open(set.0.path())
        .unwrap()
        .train
        .read(0)
        .unwrap()
        .target;
    assert_eq!(
        mask_rows(&target.mask.unwrap()),
        [
            "2222xxxx2...........",
            "2222xxxx............",
            "2222xxx1......xxxx..",
            "2222xx11......xxxx..",
            "22222...............",
            "2222................",
            "222.................",
            "22..................",
            "2...................",
            "....................",
        ]
    );
    let masks: Vec<bool> = target
        .boxes
        .unwrap()
        .iter()
        .map(|object| object.mask.is_some())
        .collect();
    assert_eq!(masks, [true, true, false]);
}
