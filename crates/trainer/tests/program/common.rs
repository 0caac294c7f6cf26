//! What the tests of the program share.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output};
use std::thread::sleep;
use std::time::Duration;

use serde_json::Value;
use tempfile::TempDir;

/// A recipe that trains on the embedded digits within seconds.
pub const SMALL: &str = r#"
seed = 3
epochs = 8

[data]
source = { digits = {} }
split = { validation = { fraction = 0.1 }, seed = 0 }
batch-size = 128
workers = 0
augment = [{ rotate = { degrees = 10 } }, { translate = { fraction = 0.1 } }]

[task.classification]
model = { cnn = { channels = [8, 16], hidden = [32], dropout = 0.1 } }

[optimizer.adamw]
learning-rate = 0.01

[schedule.cosine]
"#;

/// The program with these arguments, in a folder of the test's own, on the fastest CPU backend unless they name a device.
pub fn trainer(folder: &Path, arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_trainer"));
    command
        .current_dir(folder)
        .env("FIRESIGHT_DEVICE", "flex")
        .args(arguments);
    command
}

/// Runs the program to its end.
pub fn run(folder: &Path, arguments: &[&str]) -> Output {
    trainer(folder, arguments)
        .output()
        .expect("the program starts")
}

/// Runs the program, which must succeed, and gives what it printed on standard output.
pub fn succeed(folder: &Path, arguments: &[&str]) -> String {
    let output = run(folder, arguments);
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(
        output.status.success(),
        "trainer {arguments:?}: {}\n{errors}",
        output.status
    );
    String::from_utf8(output.stdout).expect("output is text")
}

/// Writes a recipe into the folder.
pub fn recipe(folder: &Path, text: &str) -> PathBuf {
    let path = folder.join("recipe.toml");
    std::fs::write(&path, text).unwrap();
    path
}

/// The last checkpoint's tensors and numbers.
fn last(run: &Path) -> (Vec<(String, Vec<u8>)>, Value) {
    let folder = run.join("checkpoints");
    let name = std::fs::read_to_string(folder.join("last")).unwrap();
    let folder = folder.join(name.trim());
    let mut files: Vec<(String, Vec<u8>)> = std::fs::read_dir(&folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|e| e == "safetensors"))
        .map(|path| {
            (
                path.file_name().unwrap().to_string_lossy().into_owned(),
                std::fs::read(&path).unwrap(),
            )
        })
        .collect();
    files.sort();
    let state = std::fs::read(folder.join("state.json")).unwrap();
    let mut state: Value = serde_json::from_slice(&state).unwrap();
    let progress = std::fs::read(folder.join("progress.json")).unwrap();
    let progress: Value = serde_json::from_slice(&progress).unwrap();
    state["progress"] = progress["progress"].clone();
    state["progress"]["seconds"] = Value::Null;
    (files, state)
}

/// `metrics.jsonl`: what happened in a run, a record for each line.
pub fn records(run: &Path) -> Vec<Value> {
    let text = std::fs::read_to_string(run.join("metrics.jsonl")).unwrap();
    let lines = text.lines();
    lines
        .map(|line| serde_json::from_str(line).unwrap())
        .collect()
}

/// The course of a run: its records without what depends on the clock, and without messages that belong to a session.
pub fn metrics(run: &Path) -> Vec<Value> {
    let course = records(run)
        .into_iter()
        .filter(|record| record["type"] != "event" || record.get("step").is_some());
    let lines = course.map(|mut record| {
        if let Some(record) = record.as_object_mut() {
            record.remove("time");
            record.remove("images_per_second");
        }
        record
    });
    lines.collect()
}

pub fn assert_same(whole: &Path, resumed: &Path) {
    let ((files, state), (other_files, other_state)) = (last(whole), last(resumed));
    assert_eq!(state, other_state);
    assert_eq!(files.len(), other_files.len());
    for ((name, bytes), (other_name, other_bytes)) in files.iter().zip(&other_files) {
        assert_eq!(name, other_name);
        assert!(bytes == other_bytes, "{name} differs");
    }
    assert_eq!(metrics(whole), metrics(resumed));
}

/// The step of a run's last checkpoint; 0 without one.
pub fn last_step(run: &Path) -> u64 {
    let last = std::fs::read_to_string(run.join("checkpoints/last")).unwrap_or_default();
    let step = last.trim().strip_prefix("step-");
    step.map_or(0, |step| step.parse().unwrap())
}

/// Waits until a run in work has come far enough, or has ended.
pub fn wait_until(child: &mut Child, ready: impl Fn() -> bool) {
    while !ready() && child.try_wait().unwrap().is_none() {
        sleep(Duration::from_millis(1));
    }
}

/// Kills a run as soon as it has saved each of these steps, or a later one, and resumes it; compares the end with that of
/// a run that was never stopped. The folder that is returned holds both, `killed` and `whole`.
pub fn kill_and_resume(what: &str, text: &str, steps: &[u64]) -> TempDir {
    let kept = tempfile::tempdir().unwrap();
    let folder = kept.path();
    recipe(folder, text);
    succeed(folder, &["train", "recipe.toml", "--out", "whole"]);
    let killed = folder.join("killed");
    let arguments = ["train", "recipe.toml", "--out", "killed", "--resume"];
    for step in steps {
        let count = if killed.exists() { 5 } else { 4 };
        let mut child = trainer(folder, &arguments[..count])
            .stderr(std::process::Stdio::null())
            .spawn()
            .unwrap();
        wait_until(&mut child, || last_step(&killed) >= *step);
        child.kill().unwrap();
        let status = child.wait().unwrap();
        assert!(
            !status.success(),
            "{what}: the run ended before it could be killed at {step}"
        );
    }
    succeed(folder, &arguments);
    assert_same(&folder.join("whole"), &killed);
    kept
}
