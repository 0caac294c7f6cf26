//! A detector from recipe to pictures: train, evaluate, results files, predict, bad data.

use crate::common::{recipe, run, succeed};
use firesight_data::draw::write_png;
use firesight_data::sample::Image;
use serde_json::Value;

const SMALL: &str = r#"
seed = 1
epochs = 1

[data]
source = { scenes = { train = 12, validation = 4, test = 4 } }
batch-size = 4
workers = 0
preprocess = [{ resize = { width = 96, height = 64 } }]
augment = ["horizontal-flip", { iou-crop = {} }, { resize = { width = 96, height = 64 } }]

[task.detection.model.retinanet]
backbone = "resnet18"
channels = 16
levels = 3
head-depth = 1
anchor-size = 12
# Low enough that a hardly trained network finds something.
postprocess = { score-threshold = 0.001, candidates = 100, iou-threshold = 0.5, max-detections = 20 }

[optimizer.adamw]
learning-rate = 0.001
"#;

#[test]
fn a_detector_is_trained_measured_and_used() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    recipe(folder, SMALL);
    succeed(folder, &["train", "recipe.toml", "--out", "run"]);
    let arguments = ["eval", "run", "--json", "--predictions", "found.json"];
    let eval: Value = serde_json::from_str(&succeed(folder, &arguments)).unwrap();
    assert_eq!(
        (&eval["task"], &eval["samples"]),
        (&"detection".into(), &4.into())
    );
    for name in [
        "ap", "ap50", "ap75", "ar1", "ar10", "ar100", "voc_ap", "loss",
    ] {
        assert!(eval["metrics"][name].is_number(), "{name} of {eval}");
    }
    let report = std::fs::read_to_string(folder.join("run/report.html")).unwrap();
    for part in [
        "Average precision of each class",
        "Precision over recall",
        "Confusion",
        "Errors by kind",
    ] {
        assert!(report.contains(part), "{part}");
    }

    // The results file in COCO's format, against a truth with one of its boxes.
    let found: Vec<Value> =
        serde_json::from_str(&std::fs::read_to_string(folder.join("found.json")).unwrap()).unwrap();
    assert!(
        !found.is_empty()
            && found
                .iter()
                .all(|d| (1..=4).contains(&d["image_id"].as_u64().unwrap()))
    );
    let one = &found[0];
    let truth = serde_json::json!({
        "images": (1..=4).map(|id| serde_json::json!({ "id": id })).collect::<Vec<_>>(),
        "categories": (1..=10).map(|id| serde_json::json!({ "id": id, "name": id.to_string() })).collect::<Vec<_>>(),
        "annotations": [{ "image_id": one["image_id"], "category_id": one["category_id"], "bbox": one["bbox"] }],
    });
    std::fs::write(folder.join("truth.json"), truth.to_string()).unwrap();
    let scored = [
        "eval",
        "--from",
        "found.json",
        "--truth",
        "truth.json",
        "--json",
    ];
    let scored: Value = serde_json::from_str(&succeed(folder, &scored)).unwrap();
    assert_eq!(scored["metrics"]["ar100"], 1.0);
    let without = run(folder, &["eval", "--from", "found.json"]);
    assert_eq!(without.status.code(), Some(2));

    // A picture of another size than the network's input.
    let image = Image {
        width: 150,
        height: 300,
        channels: 3,
        pixels: (0..150 * 300 * 3).map(|i| (i % 251) as u8).collect(),
    };
    write_png(&image, &folder.join("any.png")).unwrap();
    let predict = [
        "predict", "run", "any.png", "--score", "0.001", "--out", "drawn", "--json",
    ];
    let predicted: Value = serde_json::from_str(&succeed(folder, &predict)).unwrap();
    let boxes = predicted[0]["boxes"].as_array().unwrap();
    assert_eq!(
        boxes.len(),
        predicted[0]["labels"].as_array().unwrap().len()
    );
    for corners in boxes {
        let at = |i: usize| corners[i].as_f64().unwrap();
        assert!(
            at(0) >= 0.0 && at(1) >= 0.0 && at(2) <= 150.0 && at(3) <= 300.0,
            "{corners}"
        );
    }
    assert!(folder.join("drawn/any.png").is_file());
}

#[test]
fn what_a_detector_cannot_use_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    recipe(
        folder,
        &SMALL.replace(
            "source = { scenes = { train = 12, validation = 4, test = 4 } }",
            "source = { digits = {} }",
        ),
    );
    let output = run(folder, &["check", "recipe.toml"]);
    assert_eq!(output.status.code(), Some(2));
    assert!(String::from_utf8_lossy(&output.stderr).contains("boxes of objects"));
    recipe(folder, &SMALL.replace("levels = 3", "levels = 9"));
    let output = run(folder, &["check", "recipe.toml", "--recipe-only"]);
    assert!(String::from_utf8_lossy(&output.stderr).contains("9 is not from 3 to 5"));
}
