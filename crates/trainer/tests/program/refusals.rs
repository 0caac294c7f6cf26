//! What cannot be: memory that is not there, files that cannot be written, rules that can never act; and what is said of
//! what is left out.

use std::fs;
use std::path::Path;

use serde_json::Value;

use crate::common::{SMALL, recipe as write_recipe, run, succeed};
use crate::inputs::{
    BNDBOX, CLASSIFIER, DETECTOR, object, picture, picture_of, recipe, voc, write,
};

/// Exit code, standard output, standard error.
fn said(folder: &Path, arguments: &[&str]) -> (Option<i32>, String, String) {
    let output = run(folder, arguments);
    let text = |bytes| String::from_utf8(bytes).unwrap();
    (
        output.status.code(),
        text(output.stdout),
        text(output.stderr),
    )
}

/// Writes eight pictures for each of two classes, and a recipe that learns them in `r.toml`.
fn classes(folder: &Path, data: &str, more: &str) {
    for index in 0..8 {
        picture(folder.join(format!("d/a/{index}.png")), index);
        picture_of(
            folder.join(format!("d/b/{index}.png")),
            [96, 64],
            None,
            100 + index,
        );
    }
    let source = "{ folder = { path = \"d\" } }";
    write(
        folder.join("r.toml"),
        recipe(CLASSIFIER, source, "epochs = 1", data, more),
    );
}

/// A run whose results have no place: a file stands where their folder is to be.
#[test]
fn numbers_that_cannot_be_stored_are_printed() {
    let kept = tempfile::tempdir().unwrap();
    let folder = kept.path();
    write_recipe(folder, SMALL);
    let short = ["train", "recipe.toml", "--out", "run", "--set", "epochs=1"];
    succeed(folder, &short);
    let examples = folder.join("run/examples");
    fs::remove_dir_all(&examples).unwrap();
    fs::write(&examples, "").unwrap();
    let (code, out, errors) = said(folder, &["eval", "run", "--json"]);
    assert_eq!(code, Some(1), "{errors}");
    let numbers: Value = serde_json::from_str(&out).unwrap();
    assert!(numbers["metrics"]["top1"].is_number(), "{out}");
    let told = "run: the numbers are printed and could not be stored in the run: run/examples";
    assert!(errors.contains(told), "{errors}");
    // The system's reason stands there once.
    assert_eq!(errors.matches("os error").count(), 1, "{errors}");
    let (code, out, _) = said(folder, &["eval", "run"]);
    assert!(
        code == Some(1) && out.contains("test split, 360 images"),
        "{out}"
    );

    // Another network than the checkpoint's is a wrong argument.
    let other = "task.classification.model.cnn.hidden=[16]";
    let (code, _, errors) = said(folder, &["eval", "run", "--set", other]);
    assert_eq!(code, Some(2), "{errors}");
    assert!(
        errors.contains("--set: the recipe is not the checkpoint's"),
        "{errors}"
    );
}

#[test]
fn what_cannot_be_written_is_a_failure_of_the_work() {
    let kept = tempfile::tempdir().unwrap();
    let folder = kept.path();
    classes(folder, "", "");
    write(folder.join("file"), "");
    succeed(folder, &["train", "r.toml", "--out", "run"]);
    for arguments in [
        &["predict", "run", "d/a/0.png", "--out", "file/sub"][..],
        &["check", "r.toml", "--preview", "file/sub"],
        &["train", "r.toml", "--out", "file/sub"],
    ] {
        let (code, _, errors) = said(folder, arguments);
        assert_eq!(code, Some(1), "{arguments:?}: {errors}");
        assert!(errors.contains("file/sub"), "{errors}");
    }
}

#[test]
fn predictions_never_take_the_place_of_the_data() {
    let kept = tempfile::tempdir().unwrap();
    let folder = kept.path();
    classes(folder, "", "");
    succeed(folder, &["train", "r.toml", "--out", "run"]);
    let eval = |file: &str| {
        let arguments = [
            "eval",
            "run",
            "--split",
            "train",
            "--force",
            "--predictions",
            file,
        ];
        said(folder, &arguments)
    };
    let before = fs::read(folder.join("d/a/0.png")).unwrap();
    let (code, _, errors) = eval("d/a/0.png");
    assert_eq!(code, Some(2), "{errors}");
    assert!(
        errors.contains("d/a/0.png: the file is a picture"),
        "{errors}"
    );
    assert_eq!(fs::read(folder.join("d/a/0.png")).unwrap(), before);
    write(folder.join("p.csv"), "old");
    assert_eq!(eval("p.csv").0, Some(0));
    assert!(
        fs::read_to_string(folder.join("p.csv"))
            .unwrap()
            .starts_with("origin,")
    );
}

#[test]
fn what_no_memory_holds_is_refused_by_its_key() {
    let kept = tempfile::tempdir().unwrap();
    let folder = kept.path();
    classes(folder, "", "");
    let wide = vec!["60000"; 100].join(", ");
    let wide = format!("task.classification.model.cnn.hidden=[{wide}]");
    for (set, parts) in [
        (
            vec![
                "data.batch-size=1000000",
                "data.preprocess=[{ resize = { width = 4096, height = 4096 } }]",
            ],
            [
                "data.batch-size: a batch of 1000000 images of 4096x4096x3",
                "of memory, of which",
            ],
        ),
        (
            vec![
                "evaluate.batch-size=1000000",
                "data.preprocess=[{ resize = { width = 4096, height = 4096 } }]",
            ],
            [
                "evaluate.batch-size: a batch of 1000000 images",
                "of memory, of which",
            ],
        ),
        (
            vec![wide.as_str()],
            [
                "its parameters and their gradients need",
                "task.classification.model",
            ],
        ),
    ] {
        for command in [
            &["check", "r.toml"][..],
            &["train", "r.toml", "--out", "run"],
        ] {
            let set = set.iter().flat_map(|set| ["--set", set]);
            let arguments: Vec<&str> = command.iter().copied().chain(set).collect();
            let (code, _, errors) = said(folder, &arguments);
            assert_eq!(code, Some(2), "{errors}");
            let line = errors.split_whitespace().collect::<Vec<_>>().join(" ");
            for part in parts {
                assert!(line.contains(part), "{part}: {errors}");
            }
        }
    }
}

#[test]
fn patience_beyond_the_run_is_remarked_on() {
    let kept = tempfile::tempdir().unwrap();
    let folder = kept.path();
    classes(
        folder,
        "",
        "[early-stopping]\npatience = 3\n\n[schedule.plateau]\npatience = 1",
    );
    let remarks = |epochs: &str| {
        let (code, out, errors) = said(folder, &["check", "r.toml", "--set", epochs]);
        assert_eq!(code, Some(0), "{errors}");
        let lines = out.lines().filter(|line| line.contains("patience"));
        lines.map(|line| line.trim().to_owned()).collect::<Vec<_>>()
    };
    let stop = "warning: early-stopping.patience = 3: the run has";
    assert_eq!(
        remarks("epochs=2"),
        [
            format!("{stop} 2 evaluations, so the run never stops early"),
            "warning: schedule.plateau.patience = 1: the run has 2 evaluations, so the rate never falls".into(),
        ]
    );
    assert_eq!(
        remarks("epochs=4"),
        [format!(
            "{stop} 4 evaluations, so the run never stops early"
        )]
    );
    assert!(remarks("epochs=5").is_empty());
}

#[test]
fn a_group_of_the_rate_0_counts_as_not_training() {
    let kept = tempfile::tempdir().unwrap();
    let folder = kept.path();
    let group =
        |pattern: &str| format!("[[parameter-groups]]\npattern = '{pattern}'\nrate-factor = 0.0");
    classes(folder, "", &group("bias$"));
    let out = succeed(folder, &["check", "r.toml"]);
    let line = out
        .lines()
        .find(|line| line.contains("`bias$` takes"))
        .unwrap();
    assert!(
        line.ends_with(", which stand still: its rate is 0"),
        "{line}"
    );
    let trains = out
        .lines()
        .find(|line| line.ends_with("parameters train"))
        .unwrap();
    let numbers: Vec<&str> = trains.split_whitespace().collect();
    assert_ne!(numbers[0], numbers[2], "{trains}");
    classes(folder, "", &group("."));
    let (code, _, errors) = said(folder, &["train", "r.toml", "--out", "run"]);
    assert_eq!(code, Some(2), "{errors}");
    assert!(errors.contains("nothing is left to train"), "{errors}");
    assert!(errors.contains("rate-factor = 0.0"), "{errors}");
}

#[test]
fn one_picture_is_not_told_to_drop_it() {
    let kept = tempfile::tempdir().unwrap();
    let folder = kept.path();
    picture(folder.join("d/train/a/0.png"), 1);
    fs::create_dir(folder.join("d/train/b")).unwrap();
    let source = "{ folder = { path = \"d\" } }";
    let data = "split = { validation = \"none\" }";
    let small = CLASSIFIER.replace("cnn = { channels = [8], hidden = [16] }", "resnet20 = {}");
    let data = format!("{data}\npreprocess = [{{ resize = {{ width = 4, height = 4 }} }}]");
    write(
        folder.join("r.toml"),
        recipe(&small, source, "epochs = 1", &data, ""),
    );
    let (code, out, errors) = said(folder, &["check", "r.toml"]);
    let all = format!("{out}{errors}");
    assert_eq!(code, Some(2), "{all}");
    assert!(all.contains("give more training images"), "{all}");
    assert!(!all.contains("drop-last"), "{all}");
}

#[test]
fn numbers_that_a_split_does_not_give_say_what_they_need() {
    let kept = tempfile::tempdir().unwrap();
    let folder = kept.path();
    let difficult = |_| object("<difficult>1</difficult>", BNDBOX);
    voc(
        folder.join("d"),
        |i| i.to_string(),
        str::to_owned,
        difficult,
    );
    let text = recipe(DETECTOR, "{ voc = { path = \"d\" } }", "epochs = 1", "", "");
    write(folder.join("r.toml"), text);
    succeed(folder, &["train", "r.toml", "--out", "run"]);
    let (code, out, errors) = said(folder, &["eval", "run", "--split", "validation", "--json"]);
    assert_eq!(code, Some(0), "{errors}");
    let numbers: Value = serde_json::from_str(&out).unwrap();
    assert!(numbers["metrics"].get("voc_ap").is_none(), "{out}");
    let note = "note: `voc_ap`, `voc_ap_11` are undefined on the validation split: they need an object that is not marked \
                as difficult";
    assert!(errors.contains(note), "{errors}");
}

#[test]
fn predict_says_what_it_leaves_out() {
    let kept = tempfile::tempdir().unwrap();
    let folder = kept.path();
    classes(
        folder,
        "preprocess = [{ resize = { width = 32, height = 32 } }]",
        "",
    );
    succeed(folder, &["train", "r.toml", "--out", "run"]);
    // Two frames of one pixel.
    let mut animation = b"GIF89a\x01\0\x01\0\x80\0\0\0\0\0\xff\xff\xff".to_vec();
    for _ in 0..2 {
        animation.extend(b"\x2c\0\0\0\0\x01\0\x01\0\0\x02\x02\x44\x01\0");
    }
    animation.push(0x3b);
    write(folder.join("in/a.gif"), animation);
    picture(folder.join("in/b.png"), 1);
    let pipe = std::process::Command::new("mkfifo")
        .arg(folder.join("in/c.png"))
        .status();
    assert!(pipe.unwrap().success());
    let (code, _, errors) = said(folder, &["predict", "run", "in"]);
    assert_eq!(code, Some(0), "{errors}");
    for part in [
        "warning: in/a.gif: it holds more than one picture; the first is used",
        "warning: in/c.png: a pipe or a device, no file; left out",
    ] {
        assert!(errors.contains(part), "{part}: {errors}");
    }
    assert!(!errors.contains("b.png"), "{errors}");
}

#[test]
fn train_finds_pictures_of_two_splits_as_check_does() {
    let kept = tempfile::tempdir().unwrap();
    let folder = kept.path();
    for index in 0..8 {
        picture(folder.join(format!("d/train/a/{index}.png")), index);
        picture_of(
            folder.join(format!("d/train/b/{index}.png")),
            [96, 64],
            None,
            100 + index,
        );
    }
    picture(folder.join("d/val/a/other.png"), 3);
    picture(folder.join("d/val/b/9.png"), 50);
    let source = "{ folder = { path = \"d\" } }";
    write(
        folder.join("r.toml"),
        recipe(CLASSIFIER, source, "epochs = 1", "", ""),
    );
    let same = "val/a/other.png: the same picture as train/a/3.png of train";
    let (code, out, errors) = said(folder, &["check", "r.toml"]);
    assert_eq!(code, Some(0), "{errors}");
    assert!(
        out.contains(same) && out.contains("1 picture is in more than one split"),
        "{out}"
    );
    let (code, _, errors) = said(folder, &["train", "r.toml", "--out", "run"]);
    assert_eq!(code, Some(0), "{errors}");
    assert!(errors.contains(same), "{errors}");
    assert!(
        errors.contains("in more than one split: 1 picture"),
        "{errors}"
    );
}
