//! Segmentation as a user meets it: train on the embedded scenes, evaluate, predict, and what bad masks say.

use crate::common::{recipe, run, succeed};
use serde_json::Value;

/// A recipe that learns background from digits within seconds.
const SCENES: &str = r#"
seed = 3
epochs = 6

[data]
source = { scenes = { train = 48, validation = 8, test = 8 } }
batch-size = 8
workers = 0

[task.segmentation]
model = { unet = { channels = [8, 16, 16] } }
loss = ["cross-entropy", { dice = { weight = 0.5 } }]
class-weights = "median-frequency"
predict = { sliding-window = { size = 96 }, tta = { flip = true } }

[optimizer.adamw]
learning-rate = 0.01
"#;

#[test]
fn a_segmenter_is_trained_measured_and_used() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    recipe(folder, SCENES);
    let device = ["--device", "flex"];
    succeed(
        folder,
        &["train", "recipe.toml", "--out", "run", device[0], device[1]],
    );
    let eval = succeed(folder, &["eval", "run", "--json", device[0], device[1]]);
    let eval: Value = serde_json::from_str(&eval).unwrap();
    assert_eq!(eval["task"], "segmentation");
    let metric = |name: &str| eval["metrics"][name].as_f64().unwrap();
    for name in [
        "miou",
        "pixel_accuracy",
        "mean_accuracy",
        "fw_iou",
        "boundary_f1",
    ] {
        assert!((0.0..=1.0).contains(&metric(name)), "{name}");
    }
    assert!(metric("class_iou.background") > 0.3);
    let results = std::fs::read_to_string(folder.join("run/results.json")).unwrap();
    assert!(results.contains("Scores by class") && results.contains("worst-images-01.png"));

    // The picture is larger than a window.
    let picture = "run/preview/train.png";
    let predicted = succeed(
        folder,
        &[
            "predict", "run", picture, "--out", "masks", "--json", device[0], device[1],
        ],
    );
    let predicted: Value = serde_json::from_str(&predicted).unwrap();
    assert_eq!(predicted[0]["file"], picture);
    let mask = predicted[0]["mask"].as_str().unwrap();
    assert!(folder.join(mask).is_file());
    assert!(
        folder
            .join(predicted[0]["overlay"].as_str().unwrap())
            .is_file()
    );
}

#[test]
fn a_dataset_without_masks_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let scenes = "scenes = { train = 48, validation = 8, test = 8 }";
    recipe(folder.path(), &SCENES.replace(scenes, "digits = {}"));
    let output = run(folder.path(), &["check", "recipe.toml"]);
    let errors = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(2), "{errors}");
    assert!(errors.contains("a class for every pixel"), "{errors}");
}
