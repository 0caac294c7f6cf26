//! The program as a user meets it: train, evaluate, predict, export, and the exit codes.

use crate::common::{SMALL, recipe, run, succeed};
use serde_json::Value;

fn train_and_use(device: &str) {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    recipe(folder, SMALL);
    succeed(
        folder,
        &["train", "recipe.toml", "--out", "run", "--device", device],
    );
    for file in [
        "recipe.toml",
        "environment.json",
        "metrics.jsonl",
        "log.txt",
        "report.html",
        "results.json",
    ] {
        assert!(folder.join("run").join(file).is_file(), "{file} is missing");
    }

    let eval = succeed(
        folder,
        &[
            "eval",
            "run",
            "--device",
            device,
            "--json",
            "--predictions",
            "p.csv",
        ],
    );
    let eval: Value = serde_json::from_str(&eval).expect("nothing but JSON on standard output");
    assert_eq!(eval["task"], "classification");
    assert_eq!(eval["split"], "test");
    assert_eq!(eval["samples"], 360);
    let top1 = eval["metrics"]["top1"].as_f64().unwrap();
    assert!(top1 > 0.8, "eight epochs give more than {top1}");
    assert!(eval["metrics"]["top5"].as_f64().unwrap() >= top1);
    assert!(eval["metrics"]["loss"].as_f64().unwrap() < 1.0);
    let predictions = std::fs::read_to_string(folder.join("p.csv")).unwrap();
    assert_eq!(predictions.lines().count(), 361);

    // A validation example, drawn for the report, is an image that can be predicted again.
    let example = "run/examples/test/best-01.png";
    let predicted = succeed(
        folder,
        &[
            "predict", "run", example, "--device", device, "--json", "--top", "3",
        ],
    );
    let predicted: Value = serde_json::from_str(&predicted).unwrap();
    assert_eq!(predicted[0]["file"], example);
    let scores: Vec<f64> = predicted[0]["scores"]
        .as_array()
        .unwrap()
        .iter()
        .map(|s| s.as_f64().unwrap())
        .collect();
    assert_eq!(scores.len(), 3);
    assert!(
        scores.is_sorted_by(|a, b| a >= b) && scores[0] > 0.5,
        "{scores:?}"
    );

    succeed(
        folder,
        &[
            "export",
            "run",
            "--out",
            "model.safetensors",
            "--device",
            device,
        ],
    );
    let bytes = std::fs::read(folder.join("model.safetensors")).unwrap();
    let tensors = safetensors::SafeTensors::deserialize(&bytes).unwrap();
    assert!(tensors.names().iter().any(|name| name.ends_with(".weight")));
    let sidecar = std::fs::read(folder.join("model.safetensors.json")).unwrap();
    let sidecar: Value = serde_json::from_slice(&sidecar).unwrap();
    assert_eq!(sidecar["classes"].as_array().unwrap().len(), 10);

    // The exported file predicts what the run predicts.
    let again = ["predict", "model.safetensors", example, "--device", device];
    let again = succeed(folder, &[&again[..], &["--json", "--top", "3"]].concat());
    assert_eq!(serde_json::from_str::<Value>(&again).unwrap(), predicted);
}

#[test]
fn the_way_from_recipe_to_prediction_on_flex() {
    train_and_use("flex");
}

#[cfg(feature = "ndarray")]
#[test]
fn the_way_from_recipe_to_prediction_on_ndarray() {
    train_and_use("ndarray");
}

#[test]
fn what_the_user_got_wrong_ends_with_exit_code_2() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    recipe(folder, &SMALL.replace("batch-size", "batch-sice"));
    std::fs::write(folder.join("right.toml"), SMALL).unwrap();
    for (arguments, expected) in [
        (&["train", "recipe.toml"][..], "did you mean `batch-size`?"),
        (&["train", "missing.toml"], "missing.toml"),
        (
            &["train", "right.toml", "--device", "gpu"],
            "no backend of that name",
        ),
        (&["train", "right.toml", "--set", "epoch=3"], "epochs"),
        (&["train", "right.toml", "--resume"], "no run"),
        (&["eval", "nowhere"], "no such folder"),
        (&["check", "recipe.toml", "right.toml"], "1 of 2 recipes"),
        (&["train"], "RECIPE"),
    ] {
        let output = run(folder, arguments);
        let errors = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(2), "{arguments:?}: {errors}");
        assert!(errors.contains(expected), "{arguments:?}: {errors}");
        assert!(!errors.contains("panicked"), "{errors}");
    }
}

#[test]
fn unreadable_images_are_reported_and_the_rest_is_done() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    recipe(folder, &SMALL.replace("epochs = 8", "epochs = 1"));
    succeed(folder, &["train", "recipe.toml", "--out", "run"]);
    let good = "run/examples/validation/best-01.png";
    std::fs::write(folder.join("bad.png"), b"this is no image").unwrap();
    let output = run(
        folder,
        &["predict", "run", "bad.png", good, "missing.jpg", "--json"],
    );
    assert_eq!(output.status.code(), Some(1));
    let predicted: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(predicted.as_array().unwrap().len(), 1);
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(
        errors.contains("bad.png") && errors.contains("missing.jpg"),
        "{errors}"
    );
}

#[test]
fn predicting_reads_standard_input_augments_and_draws() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    recipe(folder, &SMALL.replace("epochs = 8", "epochs = 3"));
    succeed(folder, &["train", "recipe.toml", "--out", "run"]);
    let example = "run/examples/validation/best-01.png";
    let json = |text: &str| serde_json::from_str::<Value>(text).unwrap();
    let plain = json(&succeed(folder, &["predict", "run", example, "--json"]));

    let mut command =
        crate::common::trainer(folder, &["predict", "run", "-", "--json", "--out", "drawn"]);
    let input = std::fs::File::open(folder.join(example)).unwrap();
    let output = command.stdin(input).output().unwrap();
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    let piped = json(&String::from_utf8(output.stdout).unwrap());
    assert_eq!(piped[0]["scores"], plain[0]["scores"]);
    assert_eq!(piped[0]["file"], "-");
    assert!(folder.join("drawn/stdin.png").is_file());

    // Two files of one name get two pictures; averaging over copies moves the scores, the same each time.
    let twice = [
        "predict",
        "run",
        example,
        example,
        "--json",
        "--out",
        "drawn",
        "--augment",
        "4",
    ];
    let averaged = json(&succeed(folder, &twice));
    assert_ne!(averaged[0]["scores"], plain[0]["scores"]);
    assert_eq!(averaged[0]["scores"], averaged[1]["scores"]);
    let again = json(&succeed(folder, &twice));
    assert_eq!(averaged[0]["scores"], again[0]["scores"]);
    // What the call before wrote stays as it is.
    assert_eq!(again[1]["picture"], "drawn/best-01-4.png");
    for name in ["best-01.png", "best-01-2.png"] {
        assert!(folder.join("drawn").join(name).is_file(), "{name}");
    }
}

#[test]
fn the_range_test_suggests_a_rate_and_draws_its_curve() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    recipe(folder, SMALL);
    let found = succeed(
        folder,
        &["lr-find", "recipe.toml", "--steps", "60", "--json"],
    );
    let found: Value = serde_json::from_str(&found).unwrap();
    let rate = found["suggestion"].as_f64().unwrap();
    assert!(
        (1e-4..1.0).contains(&rate),
        "AdamW learns the digits at about 0.01, not at {rate}"
    );
    let picture = std::fs::read_to_string(folder.join("recipe-lr-find.svg")).unwrap();
    assert!(picture.contains("<polyline") && !picture.contains("NaN"));
    let output = run(
        folder,
        &["lr-find", "recipe.toml", "--from", "1", "--to", "0.1"],
    );
    assert_eq!(output.status.code(), Some(2));
}

#[test]
fn the_listings_are_json_where_asked_for() {
    let folder = tempfile::tempdir().unwrap();
    let models: Value =
        serde_json::from_str(&succeed(folder.path(), &["models", "--json"])).unwrap();
    assert!(
        models
            .as_array()
            .unwrap()
            .iter()
            .any(|model| model["name"] == "resnet18")
    );
    let devices: Value =
        serde_json::from_str(&succeed(folder.path(), &["devices", "--json"])).unwrap();
    assert!(devices["default"].is_string());
}
