//! Pictures that are measurements: read with the channels and the numbers of their files, from training to prediction.

use std::path::Path;

use serde_json::Value;

use crate::common::{run, succeed};
use crate::inputs::write;

const SIDE: usize = 8;

/// An array as NumPy saves it: five channels of signed numbers, in one of which rows or columns are bright.
fn array(across: bool, number: usize) -> Vec<u8> {
    let header = "{'descr': '<f4', 'fortran_order': False, 'shape': (8, 8, 5), }";
    let header = format!("{header:<117}\n");
    let mut bytes = b"\x93NUMPY\x01\x00".to_vec();
    bytes.extend((header.len() as u16).to_le_bytes());
    bytes.extend(header.as_bytes());
    for y in 0..SIDE {
        for x in 0..SIDE {
            let at = if across { y } else { x };
            let bright = ((at + number) / 2).is_multiple_of(2);
            for channel in 0..5 {
                let value = match (channel, bright) {
                    (3, true) => 1900.0 + number as f32,
                    (3, false) => -700.25,
                    _ => 40.0 * channel as f32,
                };
                bytes.extend(value.to_le_bytes());
            }
        }
    }
    bytes
}

fn recipe(more: &str) -> String {
    format!(
        "epochs = 12\noptimizer = {{ adam = {{ learning-rate = 0.01 }} }}\n\
         [data]\nsource = {{ folder = {{ path = \"scans\", decode = {{ pixels = \"stored\" }} }} }}\n\
         batch-size = 8\nmean = [600.0]\nstd = [1300.0]\nsplit = {{ validation = {{ fraction = 0.25 }} }}\n\
         augment = [{{ horizontal-flip = {{}} }}, {{ gaussian-blur = {{ sigma = [0.1, 0.3] }} }}{more}]\n\
         [task.classification.model.cnn]\nchannels = [8, 8]\nhidden = [8]\n"
    )
}

#[test]
fn arrays_of_five_bands_are_learnt_and_predicted() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    for number in 0..24 {
        for (class, across) in [("across", true), ("down", false)] {
            write(
                folder.join(format!("scans/{class}/{number}.npy")),
                array(across, number),
            );
        }
    }
    write(folder.join("r.toml"), recipe(""));
    let checked = succeed(folder, &["check", "r.toml"]);
    assert!(checked.contains("5x8x8"), "{checked}");
    succeed(folder, &["train", "r.toml", "--out", "run"]);
    let eval = succeed(folder, &["eval", "run", "--split", "validation", "--json"]);
    let eval: Value = serde_json::from_str(&eval).unwrap();
    assert_eq!(eval["metrics"]["top1"], 1.0, "{eval}");
    // A folder is searched for what the model's data was; the picture that is drawn is one for the eye.
    let arguments = ["predict", "run", "scans/down", "--json", "--out", "drawn"];
    let found: Value = serde_json::from_str(&succeed(folder, &arguments)).unwrap();
    let found = found.as_array().unwrap();
    assert_eq!(found.len(), 24);
    assert!(
        found.iter().all(|one| one["classes"][0] == "down"),
        "{found:?}"
    );
    assert!(folder.join("drawn").read_dir().unwrap().count() == 24);
    refused(
        folder,
        &recipe(", { color-jitter = {} }"),
        "needs values from 0 to 1, and this picture holds -700.25 to 19",
    );
    refused(
        folder,
        &recipe("")
            .replace(", decode = { pixels = \"stored\" }", "")
            .replace("mean = [600.0]\nstd = [1300.0]\n", ""),
        "no class folders with images in it",
    );
    // One that holds no number.
    let mut broken = array(true, 0);
    let end = broken.len();
    broken[end - 4..].copy_from_slice(&f32::NAN.to_le_bytes());
    write(folder.join("scans/across/0.npy"), broken);
    refused(folder, &recipe(""), "a value that is no finite number");
    let picture = run(folder, &["predict", "run", "scans/across/0.npy"]);
    let text = String::from_utf8(picture.stderr).unwrap();
    assert!(text.contains("values that are no finite numbers"), "{text}");
}

fn refused(folder: &Path, recipe: &str, reason: &str) {
    write(folder.join("wrong.toml"), recipe);
    let output = run(folder, &["check", "wrong.toml"]);
    let text = String::from_utf8([output.stdout, output.stderr].concat()).unwrap();
    assert_ne!(output.status.code(), Some(0), "{text}");
    assert!(text.contains(reason), "{text}");
}
