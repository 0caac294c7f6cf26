//! What the tests of the program share.

#![allow(dead_code, reason = "each test program uses a part of it")]

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

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
