//! The rules that watch a run: metrics, the best checkpoint, early stopping; and what a run tells of itself.

use std::path::Path;
use std::process::Output;

use serde_json::{Value, json};

use crate::common::{last_step, records, run, succeed};
use crate::inputs::{
    CLASSIFIER, DETECTOR, GENERATOR, SEGMENTER, annotation, coco, mask, picture_of, pictures,
    recipe, write,
};

/// What the program said on standard error.
fn said(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

/// The metrics of a run's evaluations by name.
fn evaluations(run: &Path) -> Vec<Value> {
    let records = records(run).into_iter();
    let evaluations = records.filter(|record| record["type"] == "eval");
    evaluations
        .map(|record| record["metrics"].clone())
        .collect()
}

/// Detection on COCO: eight pictures to train on, four for validation, which hold no object.
fn objects_in_training_alone(folder: &Path) -> String {
    let images = pictures(folder.join("d/im"), 12);
    let annotations: Vec<Value> = (1..=8).map(annotation).collect();
    coco(folder.join("d/a.json"), &images[..8], &annotations);
    coco(folder.join("d/v.json"), &images[8..], &[]);
    let split = |file: &str| format!("{{ annotations = \"{file}\", images = \"im\" }}");
    let (train, validation) = (split("a.json"), split("v.json"));
    format!("{{ coco = {{ path = \"d\", train = {train}, validation = {validation} }} }}")
}

/// Segmentation with twelve pairs; the masks of the last four, which are for validation, are void throughout.
fn void_validation(folder: &Path) -> String {
    for index in 0..12 {
        let name = format!("{index}.png");
        picture_of(folder.join("s/im").join(&name), [96, 64], None, index);
        let (inside, outside) = if index < 8 { (1, 0) } else { (255, 255) };
        mask(folder.join("s/ma").join(&name), inside, outside);
    }
    "{ pairs = { images = \"s/im\", masks = \"s/ma\", classes = [\"background\", \"thing\"], \
     validation = { first = 8, last = 11 } } }"
        .to_owned()
}

/// The run ends as it should, says once what is undefined, and is of use afterwards.
fn undefined_but_done(folder: &Path, metric: &str, needs: &str) {
    let output = run(folder, &["train", "r.toml", "--out", "run"]);
    let all = said(&output);
    assert_eq!(output.status.code(), Some(0), "{all}");
    let note = format!("`{metric}` is undefined");
    assert_eq!(all.matches(&note).count(), 1, "{all}");
    let line = all.lines().find(|line| line.contains(&note)).unwrap();
    assert!(line.contains(needs), "{line}");
    let made = folder.join("run");
    let log = std::fs::read_to_string(made.join("log.txt")).unwrap();
    assert_eq!(log.matches(&note).count(), 1, "{log}");
    let page = std::fs::read_to_string(made.join("report.html")).unwrap();
    assert!(
        page.contains(&format!("{metric}` is undefined")),
        "the report tells"
    );
    assert_eq!(evaluations(&made).len(), 2);
    assert!(last_step(&made) > 0 && !made.join("checkpoints/best").exists());
    let text = succeed(folder, &["eval", "run", "--split", "validation", "--json"]);
    let numbers: Value = serde_json::from_str(&text).unwrap();
    assert!(numbers["metrics"].get(metric).is_none());
    succeed(folder, &["report", "run"]);
}

#[test]
fn a_validation_without_objects_ends_no_run() {
    let kept = tempfile::tempdir().unwrap();
    let folder = kept.path();
    let source = objects_in_training_alone(folder);
    write(
        folder.join("r.toml"),
        recipe(DETECTOR, &source, "epochs = 2", "", ""),
    );
    succeed(folder, &["check", "r.toml"]);
    undefined_but_done(folder, "ap", "it needs an object that is no crowd");
    succeed(folder, &["predict", "run", "d/im/0.png"]);

    // The parts of the loss add up to it, wherever they are shown.
    for record in records(&folder.join("run")) {
        if record["type"] == "train" {
            let losses = record["losses"].as_object().unwrap();
            assert!(losses.contains_key("classification"), "{record}");
            assert!(losses.contains_key("bbox_regression"), "{record}");
            let sum: f64 = losses.values().map(|loss| loss.as_f64().unwrap()).sum();
            assert!(
                (sum - record["loss"].as_f64().unwrap()).abs() < 1e-5,
                "{record}"
            );
        }
    }
    let made = folder.join("run");
    let page = std::fs::read_to_string(made.join("report.html")).unwrap();
    assert!(page.contains("Parts of the training loss") && page.contains("bbox regression"));
    assert!(
        page.contains(" parameters, trained on coco"),
        "the count of parameters"
    );
    let entries = std::fs::read_dir(&made)
        .unwrap()
        .map(|entry| entry.unwrap().path());
    let is_events = |path: &std::path::PathBuf| path.display().to_string().contains("tfevents");
    let events = std::fs::read(entries.into_iter().find(is_events).unwrap()).unwrap();
    let events = String::from_utf8_lossy(&events);
    assert!(events.contains("train/loss/bbox_regression"));
}

#[test]
fn a_validation_of_void_masks_ends_no_run() {
    let kept = tempfile::tempdir().unwrap();
    let folder = kept.path();
    let source = void_validation(folder);
    write(
        folder.join("r.toml"),
        recipe(SEGMENTER, &source, "epochs = 2", "", ""),
    );
    undefined_but_done(folder, "miou", "it needs a pixel of a known class");
}

#[test]
fn too_few_pictures_to_compare_with_end_no_run() {
    let kept = tempfile::tempdir().unwrap();
    let folder = kept.path();
    for index in 0..60 {
        let side = 4 + index % 8 + 1;
        let path = folder.join(format!("d/a/{index}.png"));
        picture_of(path, [16, 16], Some([4, 4, side, 12]), index);
    }
    let source = "{ folder = { path = \"d\" } }";
    let text =
        recipe(GENERATOR, source, "epochs = 2", "", "").replace("batch-size = 4", "batch-size = 8");
    write(folder.join("r.toml"), text);
    undefined_but_done(
        folder,
        "pixel_fid_50",
        "of 6 samples: it needs at least 10 images",
    );
    succeed(
        folder,
        &["generate", "run", "--count", "4", "--out", "g.png"],
    );
    let train = records(&folder.join("run"))
        .into_iter()
        .find(|r| r["type"] == "train");
    let losses = train.unwrap()["losses"].clone();
    assert!(
        losses["generator"].is_f64() && losses["discriminator"].is_f64(),
        "{losses}"
    );
}

/// Twelve pictures with an object of 1120 pixels each: a medium one.
fn medium_objects(folder: &Path) -> &'static str {
    let images = pictures(folder.join("d/im"), 12);
    let annotations: Vec<Value> = (1..=12).map(annotation).collect();
    coco(folder.join("d/a.json"), &images, &annotations);
    "{ coco = { path = \"d\", train = { annotations = \"a.json\", images = \"im\" } } }"
}

#[test]
fn the_best_metric_is_known_before_training() {
    let kept = tempfile::tempdir().unwrap();
    let folder = kept.path();
    let source = medium_objects(folder);
    let text = |metric: &str| {
        let best = format!("[checkpoint]\nbest = {{ metric = \"{metric}\" }}");
        recipe(DETECTOR, source, "epochs = 2", "", &best)
    };
    for (metric, hint) in [
        ("ap5", "did you mean `ap50`"),
        ("class_iou.thing", "ap_large"),
    ] {
        write(folder.join("r.toml"), text(metric));
        for arguments in [
            vec!["check", "r.toml"],
            vec!["train", "r.toml", "--out", "run"],
        ] {
            let output = run(folder, &arguments);
            let said = said(&output);
            assert_eq!(output.status.code(), Some(2), "{said}");
            for part in [metric, hint, "voc_ap_11", "r.toml:", "best = "] {
                assert!(said.contains(part), "{part}: {said}");
            }
            assert!(!folder.join("run").exists());
        }
    }
    // Defined, but not on these pictures.
    write(folder.join("r.toml"), text("ap_large"));
    succeed(folder, &["check", "r.toml"]);
    let needs = "it needs an object that is no crowd and larger than 96x96 pixels";
    undefined_but_done(folder, "ap_large", needs);
}

/// What `eval` alone prints can name the best checkpoint, and is measured in training then.
#[test]
fn a_class_or_a_boundary_can_name_the_best_checkpoint() {
    let kept = tempfile::tempdir().unwrap();
    let folder = kept.path();
    for index in 0..6 {
        let name = format!("{index}.png");
        picture_of(
            folder.join("im").join(&name),
            [96, 64],
            Some([20, 16, 60, 44]),
            index,
        );
        mask(folder.join("ma").join(&name), 1, 0);
    }
    let source = "{ pairs = { images = \"im\", masks = \"ma\", classes = [\"background\", \"thing\"], \
                  validation = { first = 4, last = 5 } } }";
    for metric in ["class_iou.thing", "boundary_f1"] {
        let best = format!("[checkpoint]\nbest = {{ metric = \"{metric}\" }}");
        write(
            folder.join("r.toml"),
            recipe(SEGMENTER, source, "epochs = 1", "", &best),
        );
        let output = run(folder, &["train", "r.toml", "--out", metric]);
        let said = said(&output);
        assert_eq!(output.status.code(), Some(0), "{said}");
        assert!(
            said.contains(&format!("best validation {metric}: ")),
            "{said}"
        );
        let made = folder.join(metric);
        assert!(made.join("checkpoints/best").exists());
        assert!(evaluations(&made)[0][metric].is_f64());
        let results = std::fs::read(made.join("results.json")).unwrap();
        let results: Value = serde_json::from_slice(&results).unwrap();
        assert_eq!(results["primary"], json!(metric));
    }
}

/// Rules that no evaluation would ever wake are errors of the recipe; evaluations within epochs are enough for them.
#[test]
fn a_rule_that_can_never_act_is_refused() {
    let kept = tempfile::tempdir().unwrap();
    let folder = kept.path();
    let check = |data: &str, more: &str| {
        let text = recipe(CLASSIFIER, "{ digits = {} }", "epochs = 3", data, more);
        write(
            folder.join("r.toml"),
            text.replace("batch-size = 4", "batch-size = 128"),
        );
        run(folder, &["check", "r.toml"])
    };
    let none = "split = { validation = \"none\" }";
    let stopping = "[early-stopping]\npatience = 0\n";
    let plateau = "[schedule.plateau]\npatience = 0\n";
    let best = "[checkpoint]\nbest = { metric = \"loss\" }\n";
    let seldom = "[evaluate]\nevery-epochs = 0\n";
    let late = "[evaluate]\nevery-epochs = 0\nevery-steps = 5000\n";
    for (data, more, parts) in [
        (
            none,
            stopping.to_owned(),
            ["early-stopping", "no validation split"],
        ),
        (
            none,
            plateau.to_owned(),
            ["schedule.plateau", "no validation split"],
        ),
        (none, best.to_owned(), ["best = ", "no validation split"]),
        (
            none,
            "[evaluate]\nevery-steps = 5".to_owned(),
            ["every-steps", "no validation split"],
        ),
        (
            "",
            format!("{stopping}{seldom}"),
            ["early-stopping", "no evaluations"],
        ),
        (
            "",
            format!("{plateau}{seldom}every-steps = 0"),
            ["schedule.plateau", "no evaluations"],
        ),
        ("", format!("{best}{seldom}"), ["best = ", "no evaluations"]),
        ("", format!("{stopping}{late}"), ["every-steps", "33 steps"]),
        (
            "",
            "[early-stopping]\nmin-delta = nan".to_owned(),
            ["min-delta", "is not from 0"],
        ),
        (
            "",
            "[schedule.plateau]\nthreshold = -0.1".to_owned(),
            ["threshold", "is not from 0"],
        ),
    ] {
        let output = check(data, &more);
        let said = said(&output);
        assert_eq!(output.status.code(), Some(2), "{more}: {said}");
        assert!(
            parts.iter().all(|part| said.contains(part)),
            "{more}: {said}"
        );
    }
    for more in [stopping, plateau, best] {
        let output = check("", &format!("{more}{seldom}every-steps = 5"));
        assert_eq!(output.status.code(), Some(0), "{}", said(&output));
    }
}

/// The reference of `min-delta` stays until it is beaten by more than that, as with Keras and Lightning.
#[test]
fn small_gains_add_up_to_one_that_counts() {
    let kept = tempfile::tempdir().unwrap();
    let folder = kept.path();
    let task = "[task.classification]\nmodel = { cnn = { channels = [4], hidden = [8], batch-norm = false, \
                dropout = 0.0 } }";
    let text = |more: &str| {
        let best = format!("[checkpoint]\nbest = {{ metric = \"loss\" }}\n{more}");
        let text = recipe(task, "{ digits = {} }", "epochs = 12", "", &best);
        let text = text.replace("batch-size = 4", "batch-size = 128");
        text.replace("adamw", "sgd").replace("0.003", "0.0005")
    };
    write(folder.join("r.toml"), text(""));
    succeed(folder, &["train", "r.toml", "--out", "run"]);
    let losses = evaluations(&folder.join("run")).into_iter();
    let losses: Vec<f64> = losses.map(|m| m["loss"].as_f64().unwrap()).collect();
    let gains = losses.windows(2).map(|pair| pair[0] - pair[1]);
    let delta = 2.0 * gains.fold(0.0, f64::max);
    for patience in [1, 4] {
        // The rule by hand.
        let (mut reference, mut waited, mut end) = (f64::INFINITY, 0, losses.len());
        for (at, loss) in losses.iter().enumerate() {
            (reference, waited) = match *loss < reference - delta {
                true => (*loss, 0),
                false => (reference, waited + 1),
            };
            if waited > patience {
                end = at + 1;
                break;
            }
        }
        let rule = format!("[early-stopping]\npatience = {patience}\nmin-delta = {delta:?}");
        write(folder.join("r.toml"), text(&rule));
        let out = format!("patience-{patience}");
        succeed(folder, &["train", "r.toml", "--out", &out]);
        assert_eq!(evaluations(&folder.join(&out)).len(), end, "{losses:?}");
        assert_eq!(
            end == losses.len(),
            patience == 4,
            "the two patiences tell the rules apart"
        );
    }
}

/// Pictures that cannot be read are told with file and reason, in training and in evaluation, wherever a run tells.
#[test]
fn left_out_pictures_are_told() {
    let kept = tempfile::tempdir().unwrap();
    let folder = kept.path();
    for split in ["train", "validation"] {
        for class in ["a", "b"] {
            for index in 0..4 {
                let path = folder.join(format!("d/{split}/{class}/{index}.png"));
                picture_of(
                    path,
                    [16, 16],
                    (class == "a").then_some([4, 4, 12, 12]),
                    index,
                );
            }
        }
    }
    write(folder.join("d/train/b/2.png"), "no picture");
    write(folder.join("d/validation/a/1.png"), "");
    let text = recipe(
        CLASSIFIER,
        "{ folder = { path = \"d\" } }",
        "epochs = 2",
        "max-bad = 3",
        "",
    );
    write(folder.join("r.toml"), text);
    let output = run(folder, &["train", "r.toml", "--out", "run"]);
    let all = said(&output);
    assert_eq!(output.status.code(), Some(0), "{all}");
    let made = folder.join("run");
    let log = std::fs::read_to_string(made.join("log.txt")).unwrap();
    let page = std::fs::read_to_string(made.join("report.html")).unwrap();
    let page = page.replace("&#x2f;", "/");
    for file in ["train/b/2.png", "validation/a/1.png"] {
        for (place, text) in [("terminal", &all), ("log.txt", &log), ("report", &page)] {
            assert!(text.contains(file), "{place}: {text}");
        }
        let told = records(&made).into_iter().filter(|record| {
            record["kind"] == "skipped" && record["message"].as_str().unwrap().contains(file)
        });
        assert_eq!(told.count(), 1, "{file}");
    }
    assert!(all.contains("(1 of at most 3, `data.max-bad`)"), "{all}");
    assert!(
        all.contains("1 sample of the validation split could not be read"),
        "{all}"
    );
    assert!(page.contains("Images left out"));
    let output = run(folder, &["eval", "run", "--split", "validation"]);
    assert!(
        said(&output).contains("validation/a/1.png"),
        "{}",
        said(&output)
    );

    // One more than is allowed: the data is wrong.
    write(folder.join("d/train/a/0.png"), "");
    let output = run(
        folder,
        &[
            "train",
            "r.toml",
            "--out",
            "more",
            "--set",
            "data.max-bad=1",
        ],
    );
    assert_eq!(output.status.code(), Some(2), "{}", said(&output));
    assert!(
        said(&output).contains("`max-bad` is 1"),
        "{}",
        said(&output)
    );
    assert!(!folder.join("more").exists());
}
