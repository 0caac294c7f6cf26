//! The directions between the crates, and what a library never does.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

/// Which crates each crate may stand on; nothing else.
const DIRECTIONS: [(&str, &[&str]); 12] = [
    ("kernels", &[]),
    ("ops", &["kernels"]),
    ("models", &["kernels", "ops"]),
    ("onnx", &["models"]),
    ("data", &[]),
    ("recipe", &[]),
    ("metrics", &[]),
    ("report", &[]),
    ("predict", &["data", "models", "ops"]),
    ("engine", &["data", "kernels", "models", "ops"]),
    (
        "firesight",
        &[
            "data", "engine", "kernels", "metrics", "models", "onnx", "ops", "predict", "recipe",
            "report",
        ],
    ),
    (
        "trainer",
        &["data", "firesight", "metrics", "models", "recipe", "report"],
    ),
];

fn crates() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

/// The crates of this workspace that a manifest names under `[dependencies]`.
fn stands_on(manifest: &str) -> Vec<String> {
    let after = manifest.split("\n[dependencies]\n").nth(1).unwrap_or("");
    let own = after.split("\n[").next().unwrap_or("");
    let names = own.lines().filter_map(|line| {
        let name = line.split(['.', ' ', '=']).next()?;
        match name {
            "firesight" => Some(name),
            _ => name.strip_prefix("firesight-"),
        }
    });
    names.map(str::to_owned).collect()
}

#[test]
fn crates_stand_on_those_below_them_alone() {
    let allowed: BTreeMap<&str, &[&str]> = DIRECTIONS.into();
    let mut seen = 0;
    for entry in fs::read_dir(crates()).unwrap() {
        let folder = entry.unwrap().path();
        let name = folder.file_name().unwrap().to_str().unwrap().to_owned();
        let Ok(manifest) = fs::read_to_string(folder.join("Cargo.toml")) else {
            continue;
        };
        let may = allowed
            .get(name.as_str())
            .unwrap_or_else(|| panic!("{name}: a crate that this test does not know"));
        for other in stands_on(&manifest) {
            assert!(may.contains(&other.as_str()), "{name} stands on {other}");
        }
        seen += 1;
    }
    assert_eq!(seen, DIRECTIONS.len());
}

/// The lines of code of a file, its comments and tests left out.
fn code(text: &str) -> impl Iterator<Item = &str> {
    let before_tests = text.split("#[cfg(test)]\nmod tests").next().unwrap_or("");
    let lines = before_tests.lines();
    lines.filter(|line| !line.trim_start().starts_with("//"))
}

fn sources(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            sources(&path, found);
        } else if path.extension().is_some_and(|ending| ending == "rs") {
            found.push(path);
        }
    }
}

#[test]
fn libraries_print_nothing_and_give_errors_of_their_own() {
    let mut looked_at = 0;
    for (name, _) in DIRECTIONS
        .into_iter()
        .filter(|(name, _)| *name != "trainer")
    {
        let mut files = Vec::new();
        sources(&crates().join(name).join("src"), &mut files);
        for file in files {
            let text = fs::read_to_string(&file).unwrap();
            looked_at += 1;
            for line in code(&text) {
                let prints = ["println!(", "print!(", "dbg!("];
                let shown = file.display();
                let words = line.trim_start();
                assert!(
                    !prints.iter().any(|print| words.contains(print)),
                    "{shown}: {words}"
                );
                assert!(
                    !(words.starts_with("pub fn") && words.contains("anyhow::")),
                    "{shown}: {words}"
                );
            }
        }
    }
    assert!(looked_at > 200, "{looked_at}");
}
