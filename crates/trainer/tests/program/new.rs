//! A recipe drafted for a folder: whatever the format, `check` passes on it and `train` learns by it.

use std::fmt::Write as _;
use std::fs;
use std::path::Path;

use image::{GrayImage, Luma, Rgb, RgbImage};
use serde_json::json;

use crate::common::{run, succeed};

const SIZE: [u32; 2] = [96, 64];
const COUNT: u32 = 12;

/// The corner and the class of the one object of a picture, which is 20 pixels wide and 16 high.
fn object(number: u32) -> ([u32; 2], &'static str) {
    (
        [8 + number * 4, 4 + number * 3],
        ["cat", "dog"][number as usize % 2],
    )
}

/// A picture of textured ground with a bright object.
fn picture(number: u32) -> RgbImage {
    let ([left, top], _) = object(number);
    RgbImage::from_fn(SIZE[0], SIZE[1], |x, y| {
        let ground = ((x * 7 + y * 13 + number * 29) % 90) as u8;
        match (left..left + 20).contains(&x) && (top..top + 16).contains(&y) {
            true => Rgb([200, 60 + ground, 240 - ground]),
            false => Rgb([ground, ground + 20, 90 - ground]),
        }
    })
}

fn write(path: impl AsRef<Path>, text: impl AsRef<[u8]>) {
    fs::create_dir_all(path.as_ref().parent().unwrap()).unwrap();
    fs::write(path, text).unwrap();
}

/// Writes all pictures below a folder, each by its name without ending.
fn pictures(root: &Path, name: impl Fn(u32) -> String) {
    for number in 0..COUNT {
        let path = root.join(format!("{}.png", name(number)));
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        picture(number).save(path).unwrap();
    }
}

fn yolo(root: &Path) {
    // Two pictures were made of each original.
    let name = |number: u32| format!("{}.rf.{number}", number / 2);
    pictures(&root.join("train/images"), name);
    for number in 0..COUNT {
        let ([x, y], class) = object(number);
        let [cx, cy] = [(x + 10) as f64 / 96.0, (y + 8) as f64 / 64.0];
        let row = format!(
            "{} {cx} {cy} {} 0.25\n",
            u32::from(class == "dog"),
            20.0 / 96.0
        );
        write(root.join(format!("train/labels/{}.txt", name(number))), row);
    }
    let text = "train: ../train/images\nval:\ntest: ../test/images\nnc: 2\nnames: ['cat', 'dog']\n";
    write(root.join("data.yaml"), text);
}

fn coco(root: &Path) {
    pictures(&root.join("train"), |number| number.to_string());
    let images = (0..COUNT).map(|number| json!({"id": number, "file_name": format!("{number}.png"), "width": 96, "height": 64}));
    let annotations = (0..COUNT).map(|number| {
        let ([x, y], class) = object(number);
        json!({"id": number, "image_id": number, "category_id": if class == "dog" { 2 } else { 1 },
            "bbox": [x, y, 20, 16], "area": 320, "iscrowd": 0, "segmentation": []})
    });
    let text = json!({
        "images": images.collect::<Vec<_>>(), "annotations": annotations.collect::<Vec<_>>(),
        "categories": [{"id": 1, "name": "cat"}, {"id": 2, "name": "dog"}]
    });
    write(root.join("train/_annotations.coco.json"), text.to_string());
}

/// Pascal VOC's XML; the first box begins at 0 where `from` is 0.
fn xml(number: u32, from: u32) -> String {
    let ([x, y], class) = object(number);
    let x = if number == 0 { 0 } else { x } + from;
    format!(
        "<annotation><size><width>96</width><height>64</height><depth>3</depth></size><object><name>{class}</name><bndbox>\
         <xmin>{x}</xmin><ymin>{}</ymin><xmax>{}</xmax><ymax>{}</ymax></bndbox></object></annotation>",
        y + from,
        x + 20 - from,
        y + 16
    )
}

fn voc(root: &Path) {
    pictures(&root.join("JPEGImages"), |number| number.to_string());
    let mut list = String::new();
    for number in 0..COUNT {
        write(
            root.join(format!("Annotations/{number}.xml")),
            xml(number, 1),
        );
        let _ = writeln!(list, "{number}");
    }
    write(root.join("ImageSets/Main/default.txt"), list);
}

/// As raccoon's, with boxes that begin at 0.
fn voc_folders(root: &Path) {
    pictures(&root.join("images"), |number| format!("animal-{number}"));
    (0..COUNT).for_each(|number| {
        write(
            root.join(format!("annotations/animal-{number}.xml")),
            xml(number, 0),
        )
    });
}

fn labelme(root: &Path) {
    pictures(root, |number| number.to_string());
    for number in 0..COUNT {
        let ([x, y], class) = object(number);
        let points = [[x, y], [x + 20, y], [x + 20, y + 16], [x, y + 16]];
        let file = json!({"version": "5.4.1", "imagePath": format!("{number}.png"), "imageWidth": 96, "imageHeight": 64,
            "shapes": [{"label": class, "points": points, "shape_type": "polygon", "group_id": null, "flags": {}}]});
        write(root.join(format!("{number}.json")), file.to_string());
    }
}

fn csv_boxes(root: &Path) {
    pictures(&root.join("images"), |number| number.to_string());
    let mut table = "filename,width,height,class,xmin,ymin,xmax,ymax\n".to_owned();
    for number in 0..COUNT {
        let ([x, y], class) = object(number);
        // One of them leaves its picture.
        let right = if number == 3 { 120 } else { x + 20 };
        let _ = writeln!(
            table,
            "{number}.png,96,64,{class},{x},{y},{right},{}",
            y + 16
        );
    }
    write(root.join("train_labels.csv"), table);
}

fn csv_classes(root: &Path) {
    pictures(&root.join("train"), |number| number.to_string());
    let rows = (0..COUNT).map(|number| format!("{number},{}\n", object(number).1));
    write(
        root.join("labels.csv"),
        format!("id,breed\n{}", rows.collect::<String>()),
    );
}

fn pairs(root: &Path) {
    pictures(&root.join("images"), |number| number.to_string());
    for number in 0..COUNT {
        let ([left, top], _) = object(number);
        let mask = GrayImage::from_fn(SIZE[0], SIZE[1], |x, y| {
            Luma([255 * u8::from((left..left + 20).contains(&x) && (top..top + 16).contains(&y))])
        });
        fs::create_dir_all(root.join("masks")).unwrap();
        mask.save(root.join(format!("masks/{number}_mask.png")))
            .unwrap();
    }
}

fn folder(root: &Path) {
    pictures(root, |number| format!("{}/{number}", object(number).1));
}

/// Drafts a recipe for a dataset `d` that is written by `make`, checks it and trains a step by it: what was said, the recipe,
/// and what `check` said.
fn drafted(make: fn(&Path), more: &[&str]) -> [String; 3] {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path();
    make(&root.join("d"));
    let said = succeed(root, &[&["new", "d", "-o", "r.toml"], more].concat());
    let checked = succeed(root, &["check", "r.toml"]);
    succeed(
        root,
        &[
            "train",
            "r.toml",
            "--out",
            "run",
            "--set",
            "max-steps=1",
            "--set",
            "evaluate.every-epochs=1000",
        ],
    );
    [
        said,
        fs::read_to_string(root.join("r.toml")).unwrap(),
        checked,
    ]
}

/// What writes a dataset, its `source`, and what else the recipe holds.
type Case = (fn(&Path), &'static str, &'static [&'static str]);

#[test]
fn whatever_the_format_the_recipe_trains() {
    let cases: [Case; 9] = [
        (
            yolo,
            "source = { yolo = { path = \"d/data.yaml\" } }",
            &["group = { until = \".rf.\" }", "[task.detection]"],
        ),
        (
            coco,
            "source = { coco = { path = \"d\", train = { annotations = \"train/_annotations.coco.json\", images = \"train\" } } }",
            &["[task.detection]"],
        ),
        (
            voc,
            "source = { voc = { path = \"d\", train = \"default\" } }",
            &["[task.detection]"],
        ),
        (
            voc_folders,
            "source = { voc-folders = { one-based = false, path = \"d\" } }",
            &["coordinates begin at 0 here"],
        ),
        (
            labelme,
            "source = { labelme = { path = \"d\" } }",
            &["[task.detection]"],
        ),
        (
            csv_boxes,
            "source = { csv-boxes = { faulty = \"repair\", images = \"images\", path = \"d\", train = \"train_labels.csv\" } }",
            &["the box leaves the image"],
        ),
        (
            csv_classes,
            "source = { csv-classes = { images = \"train\", path = \"d\", train = \"labels.csv\" } }",
            &["[task.classification]", "model = \"resnet20\""],
        ),
        (
            pairs,
            "source = { pairs = { classes = [\"background\", \"object\"], encoding = \"binary\", images = \"d/images\", mask-suffix = \"_mask\", masks = \"d/masks\" } }",
            &["model = \"unet\""],
        ),
        (
            folder,
            "source = { folder = { path = \"d\" } }",
            &["[task.classification]"],
        ),
    ];
    for (make, source, parts) in cases {
        let [said, recipe, _] = drafted(make, &[]);
        let shown = format!("{said}\n{recipe}");
        assert!(
            recipe.contains(&format!("\n{source}\n")),
            "{source}\n{shown}"
        );
        for part in parts {
            assert!(recipe.contains(part), "{part}\n{shown}");
        }
        assert!(said.contains("12 pictures to train on"), "{said}");
        // Every setting says why it is there.
        let lines: Vec<&str> = recipe.lines().collect();
        for pair in lines
            .windows(2)
            .filter(|pair| pair[1].contains(" = ") && !pair[1].starts_with('#'))
        {
            assert!(
                !pair[0].is_empty() && !pair[0].starts_with('['),
                "{}: no reason",
                pair[1]
            );
        }
    }
}

#[test]
fn polygons_are_segmented_where_that_is_asked_for() {
    let [_, recipe, checked] = drafted(labelme, &["--task", "segmentation"]);
    assert!(
        recipe.contains("class-masks = true") && recipe.contains("model = \"unet\""),
        "{recipe}"
    );
    assert!(checked.contains("background"), "{checked}");
    let [_, recipe, _] = drafted(folder, &["--model", "lenet"]);
    assert!(recipe.contains("model = \"lenet\""), "{recipe}");
}

#[test]
fn what_cannot_be_drafted_says_why() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path();
    let refused = |arguments: &[&str]| {
        let output = run(root, &[&["new"], arguments].concat());
        assert_eq!(output.status.code(), Some(2), "{arguments:?}");
        String::from_utf8(output.stderr).unwrap()
    };
    write(root.join("d/notes.txt"), "");
    let found = refused(&["d"]);
    assert!(
        found.contains("d: nothing that is known. Known are: `data.yaml` (YOLO)"),
        "{found}"
    );
    assert!(refused(&["e"]).contains("e: not found"));
    assert!(
        refused(&["d", "--task", "tracking"])
            .contains("--task tracking: a recipe can be drafted for")
    );
    yolo(&root.join("y"));
    fs::write(
        root.join("y/data.yaml"),
        "train: train/images\nnames: cat\n",
    )
    .unwrap();
    let found = refused(&["y"]);
    assert!(
        found.contains(
            "as YOLO's data.yaml, but it cannot be used: y/data.yaml:2: `names` is `cat`"
        ),
        "{found}"
    );
    assert!(
        refused(&["y", "--task", "classification"]).contains("cannot be used")
            || refused(&["y", "--task", "classification"]).contains("nothing that is known")
    );
    csv_classes(&root.join("c"));
    assert!(refused(&["c", "--model", "resnet3"]).contains("resnet3"));
    write(root.join("c.toml"), "mine");
    assert!(refused(&["c", "-o", "c.toml"]).contains("--out c.toml: there is a file of that name"));
    succeed(root, &["new", "c"]);
    assert!(root.join("c-2.toml").is_file());
}
