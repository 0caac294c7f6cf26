//! The command line itself: what it prints can be pasted, what it writes has its own name, and wrong words name the
//! right ones.

use std::fs;
use std::path::Path;

use serde_json::Value;

use crate::common::{SMALL, recipe, run, succeed};
use crate::inputs::{self, CLASSIFIER};

/// One epoch on the digits.
fn short() -> String {
    SMALL.replace("epochs = 8", "epochs = 1\nmax-steps = 3")
}

/// What a shell says to a line that was printed.
#[cfg(unix)]
fn paste(folder: &Path, line: &str) -> std::process::Output {
    let mut shell = std::process::Command::new("sh");
    shell
        .current_dir(folder)
        .args(["-c", line])
        .output()
        .unwrap()
}

/// The command behind the words of a line.
fn behind<'a>(said: &'a str, words: &str) -> &'a str {
    let line = said.lines().find(|line| line.contains(words));
    let line = line.unwrap_or_else(|| panic!("no `{words}` in {said}"));
    line.split_once(words).unwrap().1.trim()
}

fn refused(folder: &Path, arguments: &[&str]) -> String {
    let output = run(folder, arguments);
    let errors = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(2), "{arguments:?}: {errors}");
    errors
}

#[cfg(unix)]
#[test]
fn the_commands_that_are_printed_work_when_pasted() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    for part in ["train", "test"] {
        for (class, rectangle) in [("a", Some(inputs::RECTANGLE)), ("b", None)] {
            for index in 0..6 {
                let path = folder.join(format!("my data/it's/{part}/{class}/{index}.png"));
                inputs::picture_of(path, inputs::SIZE, rectangle, index);
            }
        }
    }
    let text = inputs::recipe(
        CLASSIFIER,
        "{ folder = { path = \"it's\" } }",
        "epochs = 1",
        "",
        "",
    );
    inputs::write(folder.join("the recipe.toml"), text);
    let arguments = [
        "train",
        "the recipe.toml",
        "--out",
        "run's 1",
        "--data-root",
        "my data",
        "--device",
        "flex",
        "--set",
        "data.batch-size=3",
    ];
    let output = run(folder, &arguments);
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(output.status.success(), "{said}");

    let eval = paste(folder, behind(&said, "evaluate it on the test split:"));
    assert!(
        eval.status.success(),
        "{}",
        String::from_utf8_lossy(&eval.stderr)
    );
    let predict =
        behind(&said, "predict with it:").replace("IMAGE", "\"my data/it's/test/a/0.png\"");
    let predict = paste(folder, &predict);
    assert!(
        predict.status.success(),
        "{}",
        String::from_utf8_lossy(&predict.stderr)
    );

    // A run that is there, and a run folder in place of a recipe: the way on is a command.
    for wrong in [
        &arguments[..],
        &["train", "run's 1", "--data-root", "my data"],
    ] {
        let errors = refused(folder, wrong);
        let resume = paste(folder, errors.trim().lines().last().unwrap());
        assert!(
            resume.status.success(),
            "{errors}\n{}",
            String::from_utf8_lossy(&resume.stderr)
        );
    }

    // What the run remembers is enough to find its data again.
    let environment = fs::read(folder.join("run's 1/environment.json")).unwrap();
    let environment: Value = serde_json::from_slice(&environment).unwrap();
    let command = environment["command"].as_str().unwrap();
    for part in [
        "train 'the recipe.toml'",
        "--data-root 'my data'",
        "--device flex",
        "--set data.batch-size=3",
    ] {
        assert!(command.contains(part), "{command}");
    }
    assert_eq!(environment["overrides"][0], "data.batch-size=3");
    assert_eq!(environment["dataset"], "folder (it's)");
    for (key, name) in [("data_root", "my data"), ("recipe", "the recipe.toml")] {
        let path = Path::new(environment[key].as_str().unwrap());
        assert!(
            path.is_absolute() && path.ends_with(name),
            "{}",
            path.display()
        );
    }
    let elsewhere = folder.join("elsewhere");
    fs::create_dir(&elsewhere).unwrap();
    let eval = run(&elsewhere, &["eval", "../run's 1"]);
    let said = String::from_utf8_lossy(&eval.stderr);
    assert!(eval.status.success() && !said.contains("warning"), "{said}");
    let page = fs::read_to_string(folder.join("run's 1/report.html")).unwrap();
    assert!(page.contains("data.batch-size=3") && page.contains("my data"));
}

#[cfg(unix)]
#[test]
fn after_a_stop_the_way_on_is_a_command() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    recipe(folder, &SMALL.replace("epochs = 8", "epochs = 500"));
    let mut command = crate::common::trainer(folder, &["train", "recipe.toml", "--out", "a run"]);
    let child = command
        .stderr(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    while !folder.join("a run/checkpoints/last").exists() {
        std::thread::sleep(std::time::Duration::from_millis(50));
    }
    let id = child.id().to_string();
    std::process::Command::new("kill")
        .args(["-INT", &id])
        .status()
        .unwrap();
    let output = child.wait_with_output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(130), "{said}");
    let line = said.trim().lines().last().unwrap().trim();
    assert!(line.ends_with("train 'a run' --resume"), "{said}");
    let output = paste(folder, &format!("{line} --set max-steps=1"));
    // Another `max-steps` is another recipe; the run itself was found.
    assert!(String::from_utf8_lossy(&output.stderr).contains("max-steps"));
}

#[test]
fn a_run_folder_stands_for_its_recipe_on_resume() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    recipe(folder, &SMALL.replace("epochs = 8", "epochs = 1"));
    succeed(folder, &["train", "recipe.toml", "--out", "run"]);
    fs::remove_file(folder.join("recipe.toml")).unwrap();
    succeed(folder, &["train", "run", "--resume", "--set", "epochs=2"]);
    let state = fs::read_to_string(folder.join("run/checkpoints/last")).unwrap();
    assert_eq!(state.trim(), "step-22");
    assert!(
        refused(folder, &["train", "run", "--resume", "--out", "other"]).contains("--out other")
    );
    fs::create_dir(folder.join("empty")).unwrap();
    for more in [&[][..], &["--resume"]] {
        assert!(refused(folder, &[&["train", "empty"], more].concat()).contains("no run"));
    }
}

#[test]
fn words_of_other_programs_name_the_command() {
    let folder = tempfile::tempdir().unwrap();
    for (word, command) in [
        ("test", "eval"),
        ("detect", "predict"),
        ("infer", "predict"),
        ("fit", "train"),
        ("validate", "eval"),
        ("x.toml", "train"),
    ] {
        let errors = refused(folder.path(), &[word, "run"]);
        assert!(errors.contains(&format!("'{command}'")), "{errors}");
    }
    let help = succeed(folder.path(), &["predict", "--help"]);
    for word in [
        "Classifiers",
        "Segmenters",
        "Detectors",
        "masks",
        "per object",
    ] {
        assert!(help.contains(word), "{word}: {help}");
    }
    assert!(succeed(folder.path(), &["--help"]).contains("classes, masks, or boxes"));
}

#[test]
fn files_that_are_there_are_written_over_by_force_alone() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    recipe(folder, &short());
    succeed(folder, &["train", "recipe.toml", "--out", "one"]);
    succeed(folder, &["train", "recipe.toml", "--out", "two"]);
    for file in ["kept.svg", "kept.html", "kept.csv"] {
        fs::write(folder.join(file), "kept").unwrap();
    }
    for (command, file) in [
        (
            &["lr-find", "recipe.toml", "--steps", "10", "--out"][..],
            "kept.svg",
        ),
        (&["compare", "one", "two", "--out"], "kept.html"),
        (&["eval", "one", "--predictions"], "kept.csv"),
    ] {
        let call = [command, &[file]].concat();
        let errors = refused(folder, &call);
        assert!(
            errors.contains(file) && errors.contains("--force"),
            "{errors}"
        );
        assert_eq!(fs::read(folder.join(file)).unwrap(), b"kept");
        succeed(folder, &[&call[..], &["--force"]].concat());
        assert_ne!(fs::read(folder.join(file)).unwrap(), b"kept");
        // A folder that is not there is known before anything is computed.
        assert!(
            refused(
                folder,
                &[command, &[&format!("nowhere/{file}")[..]]].concat()
            )
            .contains("nowhere")
        );
    }
    // A name that nobody gave gives way.
    for _ in 0..2 {
        succeed(folder, &["lr-find", "recipe.toml", "--steps", "10"]);
        succeed(folder, &["compare", "one", "two"]);
    }
    for file in [
        "recipe-lr-find.svg",
        "recipe-lr-find-2.svg",
        "compare.html",
        "compare-2.html",
    ] {
        assert!(folder.join(file).exists(), "{file}");
    }
    assert!(
        refused(
            folder,
            &["lr-find", "recipe.toml", "--out", "recipe.toml", "--force"]
        )
        .contains(".svg")
    );
    assert!(
        refused(folder, &["eval", "one", "--data-root", "nowhere"]).contains("--data-root nowhere")
    );
}
