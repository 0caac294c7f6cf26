//! A disk that takes no more: the run ends with an error that names the file, and what was saved before is whole.
//!
//! A full disk is played by a limit on the size of files, which fails a write half-way in the same place.

use std::path::Path;
use std::process::{Command, Output};

use crate::common::{SMALL, recipe, succeed};

/// The program with a limit of 64 KiB on each file that it writes.
fn limited(folder: &Path, arguments: &[&str]) -> Output {
    // Ignored, the signal leaves the write to fail; the blocks of `ulimit -f` are of 512 bytes.
    let script = r#"trap '' XFSZ; ulimit -f 128; exec "$0" "$@""#;
    Command::new("sh")
        .current_dir(folder)
        .args(["-c", script, env!("CARGO_BIN_EXE_trainer")])
        .args(arguments)
        .output()
        .expect("sh starts")
}

#[test]
fn a_checkpoint_that_does_not_fit_leaves_the_one_before() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    // The weights alone take more than 64 KiB.
    recipe(folder, &SMALL.replace("hidden = [32]", "hidden = [512]"));
    let epochs = |count| ["train", "recipe.toml", "--out", "run", "--set", count];
    succeed(folder, &epochs("epochs=1"));
    let checkpoints = folder.join("run/checkpoints");
    let last = std::fs::read_to_string(checkpoints.join("last")).unwrap();

    let mut resume = epochs("epochs=2").to_vec();
    resume.push("--resume");
    let output = limited(folder, &resume);
    let errors = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{errors}");
    assert!(
        errors.contains("run/checkpoints"),
        "the file is named: {errors}"
    );
    assert!(!errors.contains("panicked"), "{errors}");
    let now = std::fs::read_to_string(checkpoints.join("last")).unwrap();
    assert_eq!(now, last, "`last` names what is whole");
    succeed(folder, &["eval", "run", "--json"]);

    // With room again the run goes on.
    succeed(folder, &resume);
    let now = std::fs::read_to_string(checkpoints.join("last")).unwrap();
    assert_ne!(now, last);
}
