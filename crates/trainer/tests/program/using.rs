//! A trained model in use: what `predict`, `eval`, `export` and `generate` read and write, and what they refuse.

use std::fs;
use std::path::Path;

use serde_json::{Value, json};

use crate::common::{run, succeed};
use crate::inputs::{self, CLASSIFIER, DETECTOR, RECTANGLE, SEGMENTER, SIZE};

/// Writes `d/a` and `d/b`, eight pictures each, with and without the rectangle, and trains a classifier in `run`.
fn classifier(folder: &Path) {
    for index in 0..8 {
        inputs::picture(folder.join(format!("d/a/{index}.png")), index);
        inputs::picture_of(
            folder.join(format!("d/b/{index}.png")),
            SIZE,
            None,
            100 + index,
        );
    }
    let text = inputs::recipe(
        CLASSIFIER,
        "{ folder = { path = \"d\" } }",
        "epochs = 1",
        "",
        "",
    );
    inputs::write(folder.join("cls.toml"), text);
    succeed(
        folder,
        &["train", "cls.toml", "--out", "run", "--device", "flex"],
    );
}

/// Writes eight pictures with masks, and trains a segmenter in `seg`.
fn segmenter(folder: &Path, more: &str) {
    for index in 0..8 {
        inputs::picture(folder.join(format!("pairs/images/{index}.png")), index);
        inputs::mask(folder.join(format!("pairs/masks/{index}.png")), 1, 0);
    }
    let source = "{ pairs = { images = \"pairs/images\", masks = \"pairs/masks\", classes = [\"ground\", \"thing\"] } }";
    let task = format!("{SEGMENTER}\n{more}");
    let text = inputs::recipe(&task, source, "epochs = 1", "", "");
    inputs::write(folder.join("seg.toml"), text);
}

/// Every file below a folder with its content.
fn contents(folder: &Path) -> Vec<(String, Vec<u8>)> {
    let mut files: Vec<(String, Vec<u8>)> = fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.is_file())
        .map(|path| (path.display().to_string(), fs::read(&path).unwrap()))
        .collect();
    files.sort();
    files
}

/// The errors of a call that must end with exit code 2.
fn refused(folder: &Path, arguments: &[&str]) -> String {
    let output = run(folder, arguments);
    let errors = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(2), "{arguments:?}: {errors}");
    assert!(!errors.contains("panicked"), "{errors}");
    errors
}

fn predicted(folder: &Path, arguments: &[&str]) -> Vec<Value> {
    let arguments = [&["predict", "run", "--json"], arguments].concat();
    serde_json::from_str(&succeed(folder, &arguments)).unwrap()
}

#[test]
fn predict_leaves_what_it_reads_and_what_is_there() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    classifier(folder);
    for name in ["same", "mac", "inside"] {
        for index in 0..8 {
            let (from, to) = (format!("d/a/{index}.png"), format!("{name}/{index}.png"));
            inputs::write(folder.join(to), fs::read(folder.join(from)).unwrap());
        }
    }
    // Results in the folder of the images would be images the next time.
    let before = contents(&folder.join("same"));
    let errors = refused(folder, &["predict", "run", "same", "--out", "same"]);
    assert!(
        errors.contains("same") && errors.contains("--out"),
        "{errors}"
    );
    assert_eq!(contents(&folder.join("same")), before);
    // Where the image is named alone, its result gets another name.
    let one = predicted(folder, &["same/0.png", "--out", "same"]);
    assert_eq!(one[0]["picture"], "same/0-2.png");
    assert_eq!(contents(&folder.join("same")).len(), 9);
    assert!(
        before
            .iter()
            .all(|file| contents(&folder.join("same")).contains(file))
    );

    inputs::write(
        folder.join("mac/._0.png"),
        b"\0\x05\x16\x07\0\x02\0\0Mac OS X        ",
    );
    assert_eq!(predicted(folder, &["mac"]).len(), 8);
    let output = run(folder, &["predict", "run", "mac"]);
    assert_eq!(output.status.code(), Some(0));
    assert!(String::from_utf8_lossy(&output.stderr).contains("hidden images left out: 1"));

    for round in ["", "-2", "-3"] {
        let found = predicted(folder, &["inside", "--out", "inside/out"]);
        assert_eq!(found.len(), 8, "the folder of results is not read");
        assert_eq!(found[3]["picture"], format!("inside/out/3{round}.png"));
    }
    assert_eq!(contents(&folder.join("inside/out")).len(), 24);

    // A file of features is written over by --force alone, and an image never.
    let features = ["predict", "run", "mac", "--features", "f.safetensors"];
    succeed(folder, &features);
    assert!(refused(folder, &features).contains("--force"));
    succeed(folder, &[&features[..], &["--force"]].concat());
    let image = [
        "predict",
        "run",
        "same",
        "--features",
        "same/1.png",
        "--force",
    ];
    assert!(refused(folder, &image).contains("reads the file"));
}

#[test]
fn masks_keep_clear_of_other_masks() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    segmenter(folder, "");
    succeed(
        folder,
        &["train", "seg.toml", "--out", "seg", "--device", "flex"],
    );
    inputs::write(folder.join("truth/0_mask.png"), "a true mask");
    let arguments = ["predict", "seg", "pairs/images", "--out", "truth", "--json"];
    let found: Vec<Value> = serde_json::from_str(&succeed(folder, &arguments)).unwrap();
    assert_eq!(
        (&found[0]["mask"], &found[0]["overlay"]),
        (
            &json!("truth/0-2_mask.png"),
            &json!("truth/0-2_overlay.png")
        )
    );
    assert_eq!(found[1]["mask"], "truth/1_mask.png");
    assert_eq!(
        fs::read(folder.join("truth/0_mask.png")).unwrap(),
        b"a true mask"
    );
    // Without --out, the folder `predictions` is not searched for images either.
    fs::remove_dir_all(folder.join("truth")).unwrap();
    for _ in 0..2 {
        let found = succeed(folder, &["predict", "seg", ".", "--json"]);
        let found: Vec<Value> = serde_json::from_str(&found).unwrap();
        assert!(
            found
                .iter()
                .all(|row| !row["file"].as_str().unwrap().starts_with("./predictions"))
        );
    }

    // Options of other tasks, and values beyond their bounds.
    for (option, value) in [
        ("--top", "3"),
        ("--features", "f.safetensors"),
        ("--augment", "2"),
        ("--score", "0.5"),
        ("--iou", "0.5"),
        ("--max-detections", "3"),
    ] {
        let errors = refused(folder, &["predict", "seg", "pairs/images", option, value]);
        assert!(
            errors.contains(option) && errors.contains("segments images"),
            "{errors}"
        );
    }
    for (option, value) in [
        ("--window", "0"),
        ("--window", "1"),
        ("--window", "9223372036854775807"),
        ("--overlap", "1"),
        ("--overlap", "nan"),
        ("--scales", "0,1"),
        ("--scales", "inf"),
    ] {
        let errors = refused(folder, &["predict", "seg", "pairs/images", option, value]);
        assert!(errors.contains(option), "{errors}");
    }
}

#[test]
fn options_of_other_tasks_are_refused_by_name() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    classifier(folder);
    for option in [
        &["--rotate"][..],
        &["--flip"],
        &["--window", "32"],
        &["--overlap", "0.5"],
        &["--scales", "1"],
        &["--score", "0.1"],
        &["--iou", "0.5"],
        &["--max-detections", "3"],
    ] {
        let errors = refused(folder, &[&["predict", "run", "d"], option].concat());
        assert!(
            errors.contains(option[0]) && errors.contains("classifies images"),
            "{errors}"
        );
    }
    for (option, value) in [
        ("--top", "0"),
        ("--batch-size", "0"),
        ("--batch-size", "4294967295"),
        ("--augment", "4294967295"),
    ] {
        assert!(refused(folder, &["predict", "run", "d", option, value]).contains(option));
    }

    let images = inputs::pictures(folder.join("det/images"), 8);
    let annotations: Vec<Value> = (1..=8).map(inputs::annotation).collect();
    inputs::coco(folder.join("det/train.json"), &images, &annotations);
    let source = "{ coco = { path = \"det\", train = { images = \"images\", annotations = \"train.json\" } } }";
    let text = inputs::recipe(
        DETECTOR,
        source,
        "epochs = 1\nmax-steps = 1",
        "preprocess = [{ resize = { width = 96, height = 64 } }]",
        "",
    );
    inputs::write(folder.join("det.toml"), text);
    succeed(
        folder,
        &["train", "det.toml", "--out", "found", "--device", "flex"],
    );
    for option in [
        &["--top", "3"][..],
        &["--rotate"],
        &["--features", "f.safetensors"],
        &["--augment", "1"],
        &["--window", "64"],
    ] {
        let errors = refused(
            folder,
            &[&["predict", "found", "det/images"], option].concat(),
        );
        assert!(
            errors.contains(option[0]) && errors.contains("finds objects"),
            "{errors}"
        );
    }
    for (option, value) in [
        ("--score", "1.5"),
        ("--iou", "nan"),
        ("--max-detections", "0"),
        ("--max-detections", "4294967295"),
    ] {
        assert!(
            refused(folder, &["predict", "found", "det/images", option, value]).contains(option)
        );
    }
}

#[test]
fn a_random_step_is_no_preparation() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let text = |step: &str| {
        inputs::recipe(
            CLASSIFIER,
            "{ digits = {} }",
            "epochs = 1",
            &format!("preprocess = [{{ resize = {{ width = 16, height = 16 }} }}, {step}]"),
            "",
        )
    };
    for step in [
        "{ rotate = { degrees = 30 } }",
        "\"horizontal-flip\"",
        "{ random-crop = { width = 8, height = 8 } }",
        "{ rand-augment = {} }",
    ] {
        inputs::write(folder.join("r.toml"), text(step));
        for command in [&["check", "r.toml"][..], &["train", "r.toml"]] {
            let errors = refused(folder, command);
            assert!(
                errors.contains("data.augment") && errors.contains("r.toml:8"),
                "{step}: {errors}"
            );
        }
    }
    inputs::write(
        folder.join("r.toml"),
        text("{ grayscale = { probability = 0.5 } }"),
    );
    assert!(refused(folder, &["check", "r.toml"]).contains("probability"));
    for step in [
        "\"grayscale\"",
        "{ letterbox = { width = 24, height = 20 } }",
        "{ center-crop = { width = 12, height = 12 } }",
    ] {
        inputs::write(folder.join("r.toml"), text(step));
        succeed(folder, &["check", "r.toml"]);
    }
}

/// Class weights that are counted from the masks stand in the loss of `train` and `lr-find` alike.
#[test]
fn the_range_test_has_the_loss_of_the_training() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    segmenter(folder, "class-weights = \"median-frequency\"");
    let first = |more: &[&str]| -> f64 {
        let arguments = [
            &[
                "lr-find",
                "seg.toml",
                "--device",
                "flex",
                "--steps",
                "10",
                "--json",
                "--set",
                "data.batch-size=2",
            ],
            more,
        ]
        .concat();
        let found: Value = serde_json::from_str(&succeed(folder, &arguments)).unwrap();
        found["points"][0]["loss"].as_f64().unwrap()
    };
    let (weighted, plain) = (
        first(&[]),
        first(&["--set", "task.segmentation.class-weights=equal"]),
    );
    assert!((weighted - plain).abs() > 1e-3, "{weighted} {plain}");
    succeed(
        folder,
        &[
            "train",
            "seg.toml",
            "--out",
            "seg",
            "--set",
            "max-steps=1",
            "--device",
            "flex",
            "--set",
            "data.batch-size=2",
        ],
    );
    let log = fs::read_to_string(folder.join("seg/metrics.jsonl")).unwrap();
    let step = log
        .lines()
        .map(|line| serde_json::from_str::<Value>(line).unwrap());
    let losses: Vec<f64> = step.filter_map(|line| line["loss"].as_f64()).collect();
    assert!(
        losses.iter().any(|loss| (loss - weighted).abs() < 1e-5),
        "{weighted}: {log}"
    );
}

#[test]
fn eval_compares_the_data_with_the_runs() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    classifier(folder);
    let eval = ["eval", "run", "--split", "validation", "--json"];
    let output = run(folder, &eval);
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(
        output.status.success() && !errors.contains("warning"),
        "{errors}"
    );

    // Two pictures more: what has changed is said, and the numbers are given.
    for index in 8..10 {
        inputs::picture(folder.join(format!("d/a/{index}.png")), index);
    }
    let output = run(folder, &eval);
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{errors}");
    assert!(
        errors.contains("warning: run: the train split has"),
        "{errors}"
    );

    // Another class: the order is another, and no number would mean anything.
    inputs::picture(folder.join("d/aa/1.png"), 30);
    let errors = refused(folder, &eval);
    for part in [
        "class 1 is `b` in the run and `aa` in the data",
        "2 classes: a, b",
        "3 classes: a, aa, b",
    ] {
        assert!(errors.contains(part), "{part}: {errors}");
    }
    let errors = refused(folder, &["train", "run", "--resume", "--set", "epochs=2"]);
    assert!(
        errors.contains("2 classes: a, b") && errors.contains("--resume"),
        "{errors}"
    );
}

/// A run is measured without the weights that it started from.
#[test]
fn eval_and_resume_need_no_initial_weights() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    classifier(folder);
    succeed(folder, &["export", "run", "--out", "start.safetensors"]);
    let init = [
        "--set",
        "task.classification.init.weights=start.safetensors",
    ];
    succeed(
        folder,
        &[&["train", "cls.toml", "--out", "two"], &init[..]].concat(),
    );
    fs::remove_file(folder.join("start.safetensors")).unwrap();
    succeed(folder, &["eval", "two", "--split", "validation"]);
    succeed(folder, &["train", "two", "--resume", "--set", "epochs=2"]);
}

#[test]
fn an_onnx_file_holds_weights_and_what_feeds_them() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    classifier(folder);
    let export = ["export", "run", "--out", "m.onnx"];
    succeed(folder, &export);
    assert!(refused(folder, &export).contains("--force"));
    let wider = fs::read(folder.join("m.onnx")).unwrap();
    let half = ["--force", "--precision", "f16", "--with", "postprocessing"];
    succeed(folder, &[&export[..], &half].concat());
    let narrower = fs::read(folder.join("m.onnx")).unwrap();
    assert!(narrower.len() < wider.len());
    let says =
        |file: &[u8], word: &str| file.windows(word.len()).any(|part| part == word.as_bytes());
    for word in ["preprocess", "std", "classification", "weights_sha256"] {
        assert!(says(&wider, word) && says(&narrower, word), "{word}");
    }
    assert!(says(&wider, "logits") && !says(&wider, "probabilities"));
    assert!(says(&narrower, "probabilities") && !says(&narrower, "logits"));
}

#[test]
fn an_export_is_what_it_says() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    classifier(folder);
    for (name, word) in [
        ("m.pth", "PyTorch"),
        ("m.pt", "PyTorch"),
        ("m", "safetensors"),
        ("m.bin", "PyTorch"),
    ] {
        let errors = refused(folder, &["export", "run", "--out", name]);
        assert!(
            errors.contains(word) && errors.contains("m.safetensors"),
            "{errors}"
        );
        assert!(!folder.join(name).exists() && !folder.join("m.safetensors").exists());
    }
    for option in ["--precision=f16", "--with=postprocessing"] {
        let errors = refused(folder, &["export", "run", "--out", "m.safetensors", option]);
        assert!(errors.contains("m.onnx"), "{errors}");
    }
    let export = ["export", "run", "--out", "m.safetensors"];
    succeed(folder, &export);
    assert!(refused(folder, &export).contains("--force"));
    succeed(folder, &[&export[..], &["--force"]].concat());
    // What it reads it does not write.
    let itself = [
        "export",
        "m.safetensors",
        "--out",
        "m.safetensors",
        "--force",
    ];
    assert!(refused(folder, &itself).contains("reads the file"));

    // What the sidecar says and its recipe contradicts is an error with the key.
    let beside = folder.join("m.safetensors.json");
    let right: Value = serde_json::from_slice(&fs::read(&beside).unwrap()).unwrap();
    for (key, value) in [
        ("model", json!("resnet18")),
        ("task", json!("detection")),
        ("mean", json!([0.4, 0.5, 0.5])),
        ("std", json!([0.5])),
        ("preprocess", json!([{"resize": {"width": 8, "height": 8}}])),
        ("channels", json!(4)),
        ("width", json!(0)),
        ("height", json!(10_000_000_000u64)),
    ] {
        let mut wrong = right.clone();
        wrong[key] = value;
        fs::write(&beside, wrong.to_string()).unwrap();
        let errors = refused(folder, &["predict", "m.safetensors", "d/a/0.png"]);
        assert!(
            errors.contains(&format!("`{key}`")) && errors.contains("m.safetensors.json"),
            "{key}: {errors}"
        );
    }
    fs::write(&beside, right.to_string()).unwrap();
    succeed(folder, &["predict", "m.safetensors", "d/a/0.png"]);
}

#[test]
fn results_files_are_named_by_entry_and_value() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let [x1, y1, x2, y2] = RECTANGLE;
    let images: Vec<Value> = (1..=3).map(|id| json!({"id": id})).collect();
    let annotations: Vec<Value> = (1..=3).map(inputs::annotation).collect();
    let categories = json!([{"id": 1, "name": "cell"}, {"id": 2, "name": "cell"}]);
    inputs::coco_of(folder.join("truth.json"), &images, &annotations, categories);
    let found = |key: &str, value: Value| {
        let mut entry = json!({"image_id": 1, "category_id": 1, "bbox": [x1, y1, x2 - x1, y2 - y1], "score": 0.9});
        entry[key] = value;
        inputs::write(folder.join("found.json"), json!([entry]).to_string());
    };
    let score = [
        "eval",
        "--from",
        "found.json",
        "--truth",
        "truth.json",
        "--json",
    ];
    found("score", json!(0.9));
    let scored: Value = serde_json::from_str(&succeed(folder, &score)).unwrap();
    // Two categories of one name keep their own numbers.
    assert!(
        scored["per_class"]["cell (1)"].as_f64().unwrap() > 0.0
            && scored["per_class"]["cell (2)"].is_null(),
        "{scored}"
    );

    for (key, value, said) in [
        ("score", json!("0.9"), "/0/score: the string \"0.9\""),
        ("score", json!(null), "/0/score: null"),
        ("bbox", json!([1, 2, 3]), "/0/bbox: [1, 2, 3]"),
        ("bbox", json!([1, 2, -3, 4]), "/0/bbox: [1, 2, -3, 4]"),
        (
            "image_id",
            json!(77),
            "/0/image_id: the truth has no image 77",
        ),
        ("image_id", json!("1"), "/0/image_id: the string \"1\""),
        ("category_id", json!(9), "none of the 1 detections"),
    ] {
        found(key, value);
        let errors = refused(folder, &score);
        assert!(
            errors.contains(said) && errors.contains("found.json"),
            "{said}: {errors}"
        );
    }
    let exchanged = ["eval", "--from", "truth.json", "--truth", "found.json"];
    assert!(refused(folder, &exchanged).contains("exchanged"));
    let missing = ["eval", "--from", "none.json", "--truth", "truth.json"];
    assert!(refused(folder, &missing).contains("none.json"));
    // Options that a file has no use for are not passed over.
    for more in [
        &["--split", "test"][..],
        &["--set", "epochs=1"],
        &["--device", "flex"],
        &["--data-root", "."],
    ] {
        assert!(refused(folder, &[&score[..], more].concat()).contains(more[0]));
    }
}
