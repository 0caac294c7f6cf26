//! Weights as other programs save them: wrapped, nested, damaged; and the digests of exported ones.

use std::path::Path;

use burn::tensor::TensorData;
use firesight_models::weights::{StateDict, read, write_safetensors};

use crate::common::{run, succeed};
use crate::inputs::{self, write};

/// What `torch.save` can be given here.
enum Item {
    Tensor(TensorData),
    Number(i32),
    Dict(Vec<(String, Item)>),
}

/// A state dict with a word before each name.
fn under(prefix: &str, weights: &StateDict) -> Vec<(String, Item)> {
    let tensors = weights.iter();
    tensors
        .map(|(name, data)| (format!("{prefix}{name}"), Item::Tensor(data.clone())))
        .collect()
}

/// The bytes of `torch.save(item, .., _use_new_zipfile_serialization=False)`, all tensors of 32-bit floats.
fn pth(item: &Item) -> Vec<u8> {
    let text = |t: &str| [b"X", &(t.len() as u32).to_le_bytes()[..], t.as_bytes()].concat();
    let mut file =
        b"\x80\x02\x8a\x0al\xfc\x9cF\xf9 j\xa8P\x19.\x80\x02M\xe9\x03.\x80\x02}.\x80\x02".to_vec();
    let mut storages = Vec::new();
    pickle(item, &mut file, &mut storages);
    file.extend(b".\x80\x02](");
    for key in 0..storages.len() {
        file.extend(text(&key.to_string()));
    }
    file.extend(b"e.");
    for storage in storages {
        file.extend(((storage.len() / 4) as u64).to_le_bytes());
        file.extend(storage);
    }
    file
}

fn pickle(item: &Item, out: &mut Vec<u8>, storages: &mut Vec<Vec<u8>>) {
    let text = |t: &str| [b"X", &(t.len() as u32).to_le_bytes()[..], t.as_bytes()].concat();
    let int = |v: usize| [b"J", &(v as i32).to_le_bytes()[..]].concat();
    match item {
        Item::Number(value) => {
            out.push(b'J');
            out.extend(value.to_le_bytes());
        }
        Item::Dict(pairs) => {
            out.push(b'}');
            for (key, value) in pairs {
                out.extend(text(key));
                pickle(value, out, storages);
                out.push(b's');
            }
        }
        Item::Tensor(data) => {
            let shape = data.shape().to_vec();
            let strides: Vec<usize> = (0..shape.len())
                .map(|axis| shape[axis + 1..].iter().product())
                .collect();
            let tuple = |sides: &[usize]| {
                let sides: Vec<u8> = sides.iter().flat_map(|side| int(*side)).collect();
                [b"(", &sides[..], b"t"].concat()
            };
            out.extend(b"ctorch._utils\n_rebuild_tensor_v2\n((");
            out.extend(text("storage"));
            out.extend(b"ctorch\nFloatStorage\n");
            out.extend(text(&storages.len().to_string()));
            out.extend(text("cpu"));
            out.extend(int(shape.iter().product()));
            out.extend(b"tQ");
            out.extend(int(0));
            out.extend([tuple(&shape), tuple(&strides)].concat());
            out.extend(b"\x89}tR");
            storages.push(data.as_bytes().to_vec());
        }
    }
}

const MODEL: &str =
    "[task.classification]\nmodel = { cnn = { channels = [4, 8], hidden = [16] } }\n";

/// A recipe that hardly moves the weights it starts from.
fn recipe(init: &str) -> String {
    let task = format!("{MODEL}{init}");
    let text = inputs::recipe(
        &task,
        "{ digits = {} }",
        "epochs = 1\nmax-steps = 1",
        "",
        "",
    );
    let text = text.replace("batch-size = 4", "batch-size = 64");
    let adam = "[optimizer.adamw]\nlearning-rate = 0.003";
    text.replace(adam, "[optimizer.sgd]\nlearning-rate = 1e-30")
}

/// Weights of the model, from a run of their own.
fn weights(folder: &Path) -> StateDict {
    write(folder.join("a.toml"), recipe(""));
    succeed(folder, &["train", "a.toml", "--out", "a"]);
    succeed(folder, &["export", "a", "--out", "a.safetensors"]);
    read(&folder.join("a.safetensors")).unwrap()
}

fn start_from(folder: &Path, file: &str) -> std::process::Output {
    let init = format!("init = {{ weights = \"{file}\" }}");
    write(folder.join("r.toml"), recipe(&init));
    let _ = std::fs::remove_dir_all(folder.join("r"));
    run(folder, &["train", "r.toml", "--out", "r"])
}

#[test]
fn wrapped_and_nested_weights_are_found() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let plain = weights(folder);
    let one = || Item::Tensor(TensorData::new(vec![0.5f32], [1]));
    let mut average = vec![("n_averaged".to_owned(), one())];
    average.extend(under("module.", &plain));
    let other: StateDict = plain
        .iter()
        .map(|(name, data)| {
            let zeros = vec![0.0f32; data.shape().iter().product()];
            (name.clone(), TensorData::new(zeros, data.shape().clone()))
        })
        .collect();
    let files = [
        (
            "both",
            Item::Dict(under("_orig_mod.module.", &plain)),
            vec!["`_orig_mod.module.` before the names was taken off"],
        ),
        (
            "average",
            Item::Dict(average),
            vec!["`module.` before the names", "not used: n_averaged"],
        ),
        (
            // PyTorch's ImageNet script, with Lightning's prefix.
            "script",
            Item::Dict(vec![
                ("epoch".to_owned(), Item::Number(3)),
                ("best_acc1".to_owned(), one()),
                ("state_dict".to_owned(), Item::Dict(under("model.", &plain))),
                ("state_dict_ema".to_owned(), Item::Dict(under("", &other))),
            ]),
            vec![
                "taken from `state_dict` of the file",
                "the averaged weights in `state_dict_ema` were not taken",
                "`model.` before the names was taken off",
            ],
        ),
        (
            "own",
            Item::Dict(vec![
                ("acc".to_owned(), Item::Number(1)),
                ("net".to_owned(), Item::Dict(under("", &plain))),
            ]),
            vec!["taken from `net` of the file"],
        ),
    ];
    for (name, item, notes) in files {
        let file = format!("{name}.pth");
        write(folder.join(&file), pth(&item));
        let output = start_from(folder, &file);
        let errors = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(output.status.success(), "{name}: {errors}");
        for note in notes {
            assert!(errors.contains(note), "{note}: {errors}");
        }
        let exported = format!("{name}.safetensors");
        succeed(folder, &["export", "r", "--out", &exported]);
        let after = read(&folder.join(&exported)).unwrap();
        for (key, data) in plain.iter().filter(|(key, _)| !key.contains("running_")) {
            let near = |(a, b): (f32, f32)| (a - b).abs() <= 1e-20; // a step of the rate
            let both = data.iter::<f32>().zip(after[key].iter::<f32>());
            assert!(both.into_iter().all(near), "{name}: {key}");
        }
    }
}

#[test]
fn weights_that_are_not_understood_are_refused_with_some_names() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let plain = weights(folder);
    let foreign: Vec<(String, Item)> = (0..300)
        .map(|i| {
            let data = TensorData::new(vec![1.0f32], [1]);
            (format!("encoder.{i}.gain"), Item::Tensor(data))
        })
        .collect();
    let twice = [under("student.", &plain), under("teacher.", &plain)].concat_items();
    let mut infinite = plain.clone();
    let name = plain.keys().next().unwrap().clone();
    let data = &infinite[&name];
    let mut values: Vec<f32> = data.iter::<f32>().collect();
    values[0] = f32::NAN;
    let shape = data.shape().clone();
    infinite.insert(name.clone(), TensorData::new(values, shape));
    let files = [
        (
            "foreign",
            Item::Dict(foreign),
            vec!["encoder.", "the weights hold 300 tensors"],
        ),
        (
            "twice",
            twice,
            vec!["under `student.` and under `teacher.`"],
        ),
        (
            "infinite",
            Item::Dict(under("", &infinite)),
            vec!["not finite", &name],
        ),
        (
            "none",
            Item::Dict(vec![("epoch".to_owned(), Item::Number(3))]),
            vec!["without a state dict", "`epoch`"],
        ),
    ];
    for (name, item, parts) in files {
        let file = format!("{name}.pth");
        write(folder.join(&file), pth(&item));
        let train = start_from(folder, &file);
        for output in [train, run(folder, &["check", "r.toml"])] {
            let errors = String::from_utf8_lossy(&output.stderr).into_owned();
            assert_eq!(output.status.code(), Some(2), "{name}: {errors}");
            for part in &parts {
                assert!(errors.contains(part), "{part}: {errors}");
            }
            assert!(errors.len() < 3000, "{name}: {errors}");
        }
    }
}

trait ConcatItems {
    fn concat_items(self) -> Item;
}

impl ConcatItems for [Vec<(String, Item)>; 2] {
    fn concat_items(self) -> Item {
        Item::Dict(self.into_iter().flatten().collect())
    }
}

#[test]
fn exported_weights_that_were_changed_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let plain = weights(folder);
    let path = folder.join("a.safetensors");
    let predict = || {
        let picture = std::fs::read_dir(folder.join("a/preview")).unwrap().next();
        let picture = picture.unwrap().unwrap().path();
        run(
            folder,
            &["predict", "a.safetensors", picture.to_str().unwrap()],
        )
    };
    assert!(predict().status.success());
    // One number of the file is another.
    let whole = std::fs::read(&path).unwrap();
    let mut changed = whole.clone();
    let last = changed.len() - 2;
    changed[last] ^= 1;
    std::fs::write(&path, changed).unwrap();
    let output = predict();
    let errors = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(
        !output.status.success() && errors.contains("SHA-256"),
        "{errors}"
    );
    // Whole weights of another run beside the first one's description.
    let mut other = plain.clone();
    let (name, data) = plain.iter().next_back().unwrap();
    let zeros = vec![0.25f32; data.shape().iter().product()];
    other.insert(name.clone(), TensorData::new(zeros, data.shape().clone()));
    write_safetensors(&other, &path, &Default::default()).unwrap();
    let output = predict();
    let errors = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(!output.status.success(), "{errors}");
    assert!(
        errors.contains("a.safetensors.json: it belongs to weights of the SHA-256"),
        "{errors}"
    );
    // Not a number.
    other.insert(
        name.clone(),
        TensorData::new(
            vec![f32::INFINITY; data.num_elements()],
            data.shape().clone(),
        ),
    );
    write_safetensors(&other, &path, &Default::default()).unwrap();
    let mut about: serde_json::Value =
        serde_json::from_slice(&std::fs::read(folder.join("a.safetensors.json")).unwrap()).unwrap();
    about.as_object_mut().unwrap().remove("weights_sha256");
    write(folder.join("a.safetensors.json"), about.to_string());
    let output = predict();
    let errors = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(!output.status.success(), "{errors}");
    assert!(
        errors.contains("not finite") && errors.contains(name),
        "{errors}"
    );
}
