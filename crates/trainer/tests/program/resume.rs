//! A run that was killed and resumed ends in the same bits as one that was not.

use std::path::Path;

use crate::common::{
    SMALL, assert_same, kill_and_resume, last_step, metrics, recipe, records, run, succeed,
    trainer, wait_until,
};
use crate::inputs;

/// A checkpoint every few steps, dropout, an average, mixing: all that has a state or draws.
fn full(workers: usize) -> String {
    SMALL
        .replace("workers = 0", &format!("workers = {workers}"))
        .replace("epochs = 8", "epochs = 4\naccumulate = 2")
        .replace(
            "batch-size = 128",
            "batch-size = 64\nmix = [{ mixup = { alpha = 0.2 } }]",
        )
        + "\n[ema]\ndecay = 0.9\n\n[checkpoint]\nevery-steps = 3\n\n[clip]\nnorm = 1.0\n"
}

#[test]
fn killed_at_any_step_the_run_ends_in_the_same_bits() {
    for (workers, steps) in [(0, [3, 12, 30]), (1, [6, 15, 42]), (4, [9, 21, 33])] {
        kill_and_resume(&format!("{workers} workers"), &full(workers), &steps);
    }
}

/// The large parameter crosses every threshold above which work is split over threads.
#[test]
fn so_does_one_with_a_parameter_of_five_mi_elements() {
    let text = full(1)
        .replace("hidden = [32]", "hidden = [2048, 2560]")
        .replace("epochs = 4", "epochs = 1");
    kill_and_resume("a parameter of 5 Mi elements", &text, &[3, 6]);
}

#[cfg(unix)]
#[test]
fn a_signal_saves_and_exits_with_its_code() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    recipe(folder, &SMALL.replace("epochs = 8", "epochs = 200"));
    // From here on the first signal is answered with a checkpoint.
    for (signal, code) in [("-INT", 130), ("-TERM", 143)] {
        let out = format!("run{signal}");
        let mut child = trainer(folder, &["train", "recipe.toml", "--out", &out])
            .stderr(std::process::Stdio::null())
            .spawn()
            .unwrap();
        let metrics = folder.join(&out).join("metrics.jsonl");
        let trains = || std::fs::read_to_string(&metrics).is_ok_and(|text| text.contains("train"));
        wait_until(&mut child, trains);
        let id = child.id().to_string();
        std::process::Command::new("kill")
            .args([signal, &id])
            .status()
            .unwrap();
        let status = child.wait().unwrap();
        assert_eq!(status.code(), Some(code));
        let checkpoints = folder.join(&out).join("checkpoints");
        assert!(
            checkpoints.join("last").exists(),
            "a checkpoint was written"
        );
    }
}

#[test]
fn on_resume_only_epochs_and_workers_may_change() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let one = SMALL.replace("epochs = 8", "epochs = 1");
    recipe(folder, &one);
    succeed(folder, &["train", "recipe.toml", "--out", "run"]);
    recipe(folder, &one.replace("0.01", "0.02"));
    let output = run(
        folder,
        &["train", "recipe.toml", "--out", "run", "--resume"],
    );
    let errors = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(2), "{errors}");
    assert!(errors.contains("learning-rate = 0.02"), "{errors}");
    recipe(
        folder,
        &one.replace("epochs = 1", "epochs = 2")
            .replace("workers = 0", "workers = 2"),
    );
    succeed(
        folder,
        &["train", "recipe.toml", "--out", "run", "--resume"],
    );
}

/// The names and bytes of all files below a folder.
fn files(folder: &Path) -> Vec<(String, Vec<u8>)> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        match path.is_dir() {
            true => found.extend(files(&path)),
            false => found.push((path.display().to_string(), std::fs::read(&path).unwrap())),
        }
    }
    found.sort();
    found
}

/// A network without normalisation and a rate that changes nothing.
const STILL: &str =
    "[task.classification]\nmodel = { cnn = { channels = [4], hidden = [8], batch-norm = false } }";

#[test]
fn a_run_that_has_come_to_its_end_stays_as_it_is() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let text = |top: &str, more: &str| {
        inputs::recipe(STILL, "{ digits = {} }", top, "", more)
            .replace("batch-size = 4", "batch-size = 128")
            .replace("0.003", "1e-12")
    };
    let early = text("epochs = 20", "[early-stopping]\npatience = 1");
    for (name, text, end) in [
        ("steps", text("epochs = 5\nmax-steps = 7", ""), "step 7 "),
        ("epochs", text("epochs = 1", ""), "step 11 "),
        ("early", early, "patience"),
    ] {
        inputs::write(folder.join("r.toml"), text);
        succeed(folder, &["train", "r.toml", "--out", name]);
        let before = files(&folder.join(name));
        for _ in 0..2 {
            let output = run(folder, &["train", "r.toml", "--out", name, "--resume"]);
            let said = String::from_utf8_lossy(&output.stderr);
            assert_eq!(output.status.code(), Some(0), "{said}");
            assert!(said.contains("finished") && said.contains(end), "{said}");
            assert!(before == files(&folder.join(name)), "{name} has changed");
        }
    }
    assert_eq!(last_step(&folder.join("steps")), 7);

    // A higher limit, or more epochs, lets a run go on; patience that is used up stays so.
    let resume = |name: &str, text: String| {
        inputs::write(folder.join("r.toml"), text);
        succeed(folder, &["train", "r.toml", "--out", name, "--resume"]);
        last_step(&folder.join(name))
    };
    assert_eq!(resume("steps", text("epochs = 5\nmax-steps = 9", "")), 9);
    let stored = std::fs::read_to_string(folder.join("steps/recipe.toml")).unwrap();
    assert!(
        stored.contains("max-steps = 9"),
        "the recipe is the one that was trained: {stored}"
    );
    assert_eq!(resume("epochs", text("epochs = 2", "")), 22);
    let stopped = last_step(&folder.join("early"));
    let early = text("epochs = 40", "[early-stopping]\npatience = 1");
    assert_eq!(resume("early", early), stopped);
}

/// A session that was killed after its last checkpoint and before its report writes that when it is started again.
#[test]
fn a_report_that_is_missing_is_written_though_the_run_is_over() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    recipe(folder, &SMALL.replace("epochs = 8", "epochs = 1"));
    let train = ["train", "recipe.toml", "--out", "run", "--resume"];
    succeed(folder, &train[..4]);
    let (run, last) = (folder.join("run"), folder.join("run/checkpoints"));
    let before = files(&last);
    let environment = std::fs::read_to_string(run.join("environment.json")).unwrap();
    let unfinished = environment
        .lines()
        .filter(|line| !line.contains("\"finished\""));
    let unfinished: Vec<&str> = unfinished.collect();
    let unfinished = unfinished.join("\n").replace("Z\",\n}", "Z\"\n}");
    std::fs::write(run.join("environment.json"), unfinished).unwrap();
    std::fs::remove_file(run.join("report.html")).unwrap();
    succeed(folder, &train);
    assert!(run.join("report.html").exists());
    assert!(before == files(&last), "the checkpoints have changed");
}

/// Twelve pictures in two classes, one of which is none.
fn damaged(folder: &Path, seed: u64, more: &str) {
    for class in ["a", "b"] {
        for index in 0..6 {
            let rectangle = (class == "a").then_some(inputs::RECTANGLE);
            let path = folder.join(format!("d/{class}/{index}.png"));
            inputs::picture_of(path, [24, 16], rectangle.map(|_| [4, 4, 16, 12]), index);
        }
    }
    inputs::write(folder.join("d/a/3.png"), "no picture");
    let data = "max-bad = 1\nsplit = { validation = \"none\" }";
    let checkpoint = "[checkpoint]\nevery-steps = 1\nkeep = 1000";
    let task = "[task.classification]\nmodel = { cnn = { channels = [4], hidden = [8] } }";
    let text = inputs::recipe(
        task,
        "{ folder = { path = \"d\" } }",
        "epochs = 1",
        data,
        &format!("{checkpoint}\n{more}"),
    );
    let text = text
        .replace("batch-size = 4", "batch-size = 1")
        .replace("seed = 1", &format!("seed = {seed}"));
    inputs::write(folder.join("r.toml"), text);
}

/// A batch whose only picture cannot be read is nowhere counted as trained, nor its place as another's.
#[test]
fn a_resume_behind_an_unreadable_picture_trains_each_batch_once() {
    for (seed, workers) in [(1, "0"), (5, "2")] {
        let kept = tempfile::tempdir().unwrap();
        let folder = kept.path();
        damaged(folder, seed, "");
        let workers = format!("data.workers={workers}");
        let train = |out: &str, more: &[&str]| {
            let arguments = ["train", "r.toml", "--out", out, "--set", &workers];
            succeed(folder, &[&arguments, more].concat());
        };
        train("whole", &[]);
        let whole = folder.join("whole");
        assert_eq!(last_step(&whole), 11);
        let skipped = |run: &Path| {
            let said = records(run).into_iter();
            said.filter(|record| record["kind"] == "skipped").count()
        };
        assert_eq!(skipped(&whole), 1);
        for step in [1, 4, 8, 10] {
            let out = format!("part-{step}");
            let part = folder.join(&out);
            copy(&whole, &part);
            for later in step + 1..=11 {
                std::fs::remove_dir_all(part.join(format!("checkpoints/step-{later}"))).unwrap();
            }
            train(&out, &["--resume"]);
            assert_same(&whole, &part);
            assert_eq!(skipped(&part), 1, "told once");
        }
    }
}

fn copy(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap() {
        let path = entry.unwrap().path();
        let to = to.join(path.file_name().unwrap());
        match path.is_dir() {
            true => copy(&path, &to),
            false => drop(std::fs::copy(&path, &to).unwrap()),
        }
    }
}

/// A run that was killed before its first checkpoint is begun anew in its place.
#[test]
fn a_run_without_a_checkpoint_begins_anew() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    recipe(folder, &SMALL.replace("epochs = 8", "epochs = 1"));
    let train = ["train", "recipe.toml", "--out", "run", "--resume"];
    succeed(folder, &train[..4]);
    let killed = folder.join("killed");
    copy(&folder.join("run"), &killed);
    std::fs::remove_dir_all(killed.join("checkpoints")).unwrap();
    std::fs::remove_file(killed.join("environment.json")).unwrap();
    // Without the word a run is never touched.
    let output = run(folder, &["train", "recipe.toml", "--out", "killed"]);
    assert_eq!(output.status.code(), Some(2));
    succeed(
        folder,
        &["train", "recipe.toml", "--out", "killed", "--resume"],
    );
    assert_same(&folder.join("run"), &killed);
    assert_eq!(metrics(&folder.join("run")), metrics(&killed));
    assert!(killed.join("environment.json").exists());
}

/// A start that fails leaves no folder that would be in the way of the next one.
#[test]
fn a_start_that_failed_leaves_no_folder() {
    let kept = tempfile::tempdir().unwrap();
    let folder = kept.path();
    let train = ["train", "r.toml", "--out", "run"];
    let fails = |what: &str, text: &str| {
        inputs::write(folder.join("r.toml"), text);
        let output = run(folder, &train);
        let said = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(2), "{what}: {said}");
        assert!(said.contains(what), "{said}");
        assert!(!folder.join("run").exists(), "{what}");
    };
    let digits = SMALL.replace("epochs = 8", "epochs = 1");
    let init = digits.replace(
        "[optimizer",
        "init = { weights = \"none.pth\" }\n[optimizer",
    );
    fails("none.pth", &init);
    let few = digits.replace("batch-size = 128", "batch-size = 5000\ndrop-last = true");
    fails("drop-last", &few);
    // A picture that shows its fault in the middle of the first epoch.
    damaged(folder, 5, "");
    let text = std::fs::read_to_string(folder.join("r.toml")).unwrap();
    let text = text
        .replace("max-bad = 1", "max-bad = 0")
        .replace("every-steps = 1\n", "");
    fails("3.png", &text);

    // What was there before stays, and the mended recipe starts under the same name.
    inputs::write(folder.join("run/notes.txt"), "mine");
    assert_eq!(run(folder, &train).status.code(), Some(2));
    assert_eq!(files(&folder.join("run")).len(), 1);
    inputs::write(
        folder.join("r.toml"),
        text.replace("max-bad = 0", "max-bad = 1"),
    );
    succeed(folder, &train);
    assert!(folder.join("run/notes.txt").exists());
}
