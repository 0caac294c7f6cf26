//! What the tests of the program share.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};
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

/// The program with these arguments, in a folder of the test's own.
pub fn trainer(folder: &Path, arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_trainer"));
    command.current_dir(folder).args(arguments);
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
    state["progress"]["seconds"] = Value::Null;
    (files, state)
}

/// `metrics.jsonl` without what depends on the clock.
fn metrics(run: &Path) -> Vec<Value> {
    let text = std::fs::read_to_string(run.join("metrics.jsonl")).unwrap();
    let lines = text.lines().map(|line| {
        let mut record: Value = serde_json::from_str(line).unwrap();
        if let Some(record) = record.as_object_mut() {
            record.remove("time");
            record.remove("images_per_second");
        }
        record
    });
    lines.collect()
}

fn assert_same(whole: &Path, resumed: &Path) {
    let ((files, state), (other_files, other_state)) = (last(whole), last(resumed));
    assert_eq!(state, other_state);
    assert_eq!(files.len(), other_files.len());
    for ((name, bytes), (other_name, other_bytes)) in files.iter().zip(&other_files) {
        assert_eq!(name, other_name);
        assert!(bytes == other_bytes, "{name} differs");
    }
    assert_eq!(metrics(whole), metrics(resumed));
}

/// Kills a run after ever longer spans, from `first` on, and resumes it, until a span is enough for the rest;
/// compares the end with that of a run that was never stopped. The folder that is returned holds both, `killed` and
/// `whole`.
pub fn kill_and_resume(what: &str, text: &str, first: Duration) -> TempDir {
    let kept = tempfile::tempdir().unwrap();
    let folder = kept.path();
    recipe(folder, text);
    succeed(folder, &["train", "recipe.toml", "--out", "whole"]);
    let mut stops = 0;
    let mut resume = false;
    for attempt in 0..40u32 {
        let arguments = ["train", "recipe.toml", "--out", "killed", "--resume"];
        let count = if resume { 5 } else { 4 };
        let mut child = trainer(folder, &arguments[..count])
            .stderr(std::process::Stdio::null())
            .spawn()
            .unwrap();
        sleep(first + first / 4 * attempt + Duration::from_millis(u64::from(attempt * 173 % 700)));
        if let Some(status) = child.try_wait().unwrap() {
            assert!(status.success(), "attempt {attempt}: {status}");
            break;
        }
        child.kill().unwrap();
        child.wait().unwrap();
        stops += 1;
        // A run that was killed before its first checkpoint begins anew.
        resume = folder.join("killed/checkpoints/last").exists();
        if !resume {
            let _ = std::fs::remove_dir_all(folder.join("killed"));
        }
    }
    eprintln!("{what}: killed {stops} times, no bit differs");
    assert!(stops > 0, "the run ended before it could be killed");
    assert_same(&folder.join("whole"), &folder.join("killed"));
    kept
}
