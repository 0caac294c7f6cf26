//! A run that was killed and resumed ends in the same bits as one that was not.

mod common;

use std::path::Path;
use std::thread::sleep;
use std::time::Duration;

use common::{SMALL, recipe, run, succeed, trainer};
use serde_json::Value;

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
/// compares the end with that of a run that was never stopped.
fn kill_and_compare(what: &str, text: &str, first: Duration) {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
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
}

#[test]
fn killed_at_any_step_the_run_ends_in_the_same_bits() {
    for workers in [0, 1, 4] {
        kill_and_compare(
            &format!("{workers} workers"),
            &full(workers),
            Duration::from_millis(400),
        );
    }
}

/// The large parameter crosses every threshold above which work is split over threads.
#[test]
fn so_does_one_with_a_parameter_of_five_mi_elements() {
    let text = full(1)
        .replace("hidden = [32]", "hidden = [2048, 2560]")
        .replace("epochs = 4", "epochs = 2");
    kill_and_compare(
        "a parameter of 5 Mi elements",
        &text,
        Duration::from_secs(2),
    );
}

#[cfg(unix)]
#[test]
fn a_signal_saves_and_exits_with_its_code() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    recipe(folder, &SMALL.replace("epochs = 8", "epochs = 200"));
    for (signal, code) in [("-INT", 130), ("-TERM", 143)] {
        let out = format!("run{signal}");
        let mut child = trainer(folder, &["train", "recipe.toml", "--out", &out])
            .stderr(std::process::Stdio::null())
            .spawn()
            .unwrap();
        sleep(Duration::from_millis(1500));
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
