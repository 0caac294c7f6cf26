//! A run that was killed and resumed ends in the same bits as one that was not.

use std::thread::sleep;
use std::time::Duration;

use crate::common::{SMALL, kill_and_resume, recipe, run, succeed, trainer};

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
    for workers in [0, 1, 4] {
        kill_and_resume(
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
    kill_and_resume(
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
