//! Every wrong recipe of `wrong/cases.rs` is read and its whole message compared with `snapshots/<name>.txt`.
//!
//! `UPDATE_SNAPSHOTS=1 cargo test -p firesight-recipe --test wrong` writes the messages anew, to be read in the diff.

#[path = "wrong/cases.rs"]
mod cases;
#[path = "wrong/schema.rs"]
mod schema;

use std::fs;
use std::path::{Path, PathBuf};

use cases::{CASES, Case, Text, VALID};
use firesight_recipe::{Loaded, RenderOptions, read, read_checked, read_str, to_toml};
use schema::Recipe;

fn message(case: &Case) -> Option<String> {
    let folder = tempfile::tempdir().unwrap();
    let text = match case.text {
        Text::Edit(edits) => edits.iter().fold(VALID.to_owned(), |text, (from, to)| {
            assert!(
                text.contains(from),
                "{}: the recipe has no {from:?}",
                case.name
            );
            let times = if *from == "\n" { usize::MAX } else { 1 };
            text.replacen(from, to, times)
        }),
        Text::Made(make) => make(),
        Text::Files(_) => String::new(),
    };
    fs::write(folder.path().join("recipe.toml"), text).unwrap();
    if let Text::Files(files) = case.text {
        for (name, bytes) in files {
            fs::write(folder.path().join(name), bytes).unwrap();
        }
    }
    let sets: Vec<String> = case.sets.iter().map(|text| (*text).to_owned()).collect();
    let found = read_checked::<Recipe, _>(&folder.path().join("recipe.toml"), &sets, schema::check)
        .err()?;
    let text = found.to_string();
    for found in found.iter() {
        assert!(
            found.message.lines().count() == 1,
            "{}: a message is one line",
            case.name
        );
    }
    Some(text.replace(
        &format!("{}/", folder.path().to_string_lossy().replace('\\', "/")),
        "",
    ))
}

fn snapshots() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/snapshots")
}

#[test]
fn every_wrong_recipe_has_its_message() {
    let update = std::env::var_os("UPDATE_SNAPSHOTS").is_some();
    let mut differ = Vec::new();
    for case in CASES {
        let path = snapshots().join(format!("{}.txt", case.name));
        let is =
            message(case).unwrap_or_else(|| panic!("{}: nothing was found to be wrong", case.name));
        if update {
            fs::write(&path, &is).unwrap();
        }
        let should = fs::read_to_string(&path)
            .unwrap_or_default()
            .replace("\r\n", "\n");
        if is != should {
            differ.push(format!(
                "== {}\n-- is\n{is}\n-- should be\n{should}",
                case.name
            ));
        }
    }
    assert!(differ.is_empty(), "{}", differ.join("\n"));
    assert!(CASES.len() >= 60);
}

#[test]
fn no_snapshot_is_left_over() {
    for entry in fs::read_dir(snapshots()).unwrap() {
        let name = entry.unwrap().file_name().into_string().unwrap();
        let known = CASES
            .iter()
            .any(|case| format!("{}.txt", case.name) == name);
        assert!(known, "{name} belongs to no case");
    }
}

fn load(text: &str, sets: &[&str]) -> Loaded<Recipe> {
    let sets: Vec<String> = sets.iter().map(|set| (*set).to_owned()).collect();
    read_str(text, "recipe.toml", &sets).unwrap_or_else(|found| panic!("{found}"))
}

#[test]
fn the_valid_recipe_is_read_and_written_back() {
    let read = load(VALID, &[]);
    assert_eq!(read.value.seed, 42);
    assert_eq!(read.value.warmup, Some(schema::Warmup { epochs: 1.0 }));
    assert_eq!(
        read.value.schedule,
        schema::Schedule::Cosine(schema::Cosine { floor: 0.0 })
    );
    assert_eq!(read.value.data.augment.len(), 2);

    let text = to_toml(&read.value);
    assert_eq!(load(&text, &[]).value, read.value, "{text}");
    assert_eq!(to_toml(&load(&text, &[]).value), text);
    assert_eq!(
        text,
        r#"seed = 42
epochs = 30
name = ""

[data]
source = { digits = {} }
batch-size = 64
augment = [{ rotate = { degrees = 10.0 } }, { translate = { fraction = 0.1 } }]
split = { validation = 0.0, test = 0.0 }
workers = 0
shuffle = false
class-weights = {}

[task.classification]
model = { lenet = { dropout = 0.25 } }
label-smoothing = 0.1

[optimizer.sgd]
learning-rate = 0.05
momentum = 0.9
nesterov = false
weight-decay = 0.0005

[warmup]
epochs = 1.0

[schedule.cosine]
floor = 0.0
"#
    );
}

#[test]
fn a_setting_of_the_command_line_lies_over_the_recipe() {
    let read = load(
        VALID,
        &[
            "epochs=3",
            "optimizer.sgd.momentum = 0",
            "data.source.folder.path=/a b/2024",
            "name=2024",
        ],
    );
    assert_eq!(read.value.epochs, 3);
    assert_eq!(read.value.name, "2024");
    assert_eq!(
        read.value.data.source,
        schema::Source::Folder {
            path: "/a b/2024".into()
        }
    );
    let schema::Optimizer::Sgd(sgd) = &read.value.optimizer else {
        panic!("{:?}", read.value.optimizer)
    };
    assert_eq!((sgd.learning_rate, sgd.momentum), (0.05, 0.0));
    assert_eq!(
        load(VALID, &["optimizer=adam"]).value.optimizer,
        schema::Optimizer::Adam(schema::Adam::default())
    );
    let read = load(
        VALID,
        &[
            "optimizer=adam",
            "optimizer.adam.learning-rate=1",
            "data.augment=[\"flip\"]",
        ],
    );
    assert_eq!(
        read.value.optimizer,
        schema::Optimizer::Adam(schema::Adam {
            learning_rate: 1.0,
            ..Default::default()
        })
    );
    assert_eq!(read.value.data.augment, [schema::Augment::Flip]);
    assert_eq!(read.tree.nearest("data.augment").unwrap().0.file(), "--set");
}

#[test]
fn a_base_is_merged_key_by_key_and_another_variant_replaces_it() {
    let folder = tempfile::tempdir().unwrap();
    let write = |name: &str, text: &str| fs::write(folder.path().join(name), text).unwrap();
    fs::create_dir(folder.path().join("sub")).unwrap();
    write("base.toml", VALID);
    write(
        "sub/adam.toml",
        "extends = \"../base.toml\"\nepochs = 5\n[optimizer.adam]\nlearning-rate = 0.5\n[data]\nworkers = 3\n",
    );
    write(
        "again.toml",
        "extends = \"sub/adam.toml\"\ntask.classification.model.lenet = {}\n[optimizer.sgd]\nlearning-rate = 0.25\n",
    );
    write(
        "named.toml",
        "extends = \"base.toml\"\ntask.classification.model = \"lenet\"\nschedule = \"constant\"\n",
    );
    let load = |name: &str| {
        read::<Recipe>(&folder.path().join(name), &[]).unwrap_or_else(|found| panic!("{found}"))
    };

    let adam = load("sub/adam.toml");
    assert_eq!(
        (
            adam.value.epochs,
            adam.value.data.workers,
            adam.value.data.batch_size
        ),
        (5, 3, 64)
    );
    assert_eq!(
        adam.value.optimizer,
        schema::Optimizer::Adam(schema::Adam {
            learning_rate: 0.5,
            ..Default::default()
        })
    );
    assert_eq!(adam.files.len(), 2);
    assert!(
        adam.tree
            .nearest("data.batch-size")
            .unwrap()
            .0
            .file()
            .ends_with("base.toml")
    );
    assert!(
        adam.tree
            .paths()
            .all(|path| path != "optimizer.sgd.momentum")
    );

    // The keys that the replaced variant had two layers below do not come back.
    let again = load("again.toml");
    let schema::Optimizer::Sgd(sgd) = &again.value.optimizer else {
        panic!("{:?}", again.value.optimizer)
    };
    assert_eq!((sgd.learning_rate, sgd.momentum), (0.25, 0.0));
    let schema::Task::Classification(task) = &again.value.task else {
        panic!("{:?}", again.value.task)
    };
    assert_eq!(
        task.model,
        schema::Model::Lenet(schema::Lenet { dropout: 0.25 }),
        "the same variant is merged"
    );

    // A variant that is named by a string has its defaults.
    let named = load("named.toml");
    let schema::Task::Classification(task) = &named.value.task else {
        panic!("{:?}", named.value.task)
    };
    assert_eq!(
        task.model,
        schema::Model::Lenet(schema::Lenet { dropout: 0.0 })
    );
    assert_eq!(named.value.schedule, schema::Schedule::Constant);
}

#[test]
fn no_beginning_of_a_recipe_makes_the_reader_panic() {
    for end in 0..=VALID.len() {
        let found = read_str::<Recipe>(&VALID[..end], "recipe.toml", &[]);
        let _ = found.map_err(|found| found.to_string());
    }
}

#[test]
fn no_changed_byte_of_a_recipe_makes_the_reader_panic() {
    // Each place is overwritten, doubled or dropped in turn, with every letter that means something in TOML.
    let mut letters = "[]{}=.,\"'#\n\r\t\\ 0-e_\u{e9}\0".chars().cycle();
    for at in 0..VALID.len() {
        let (head, tail) = (&VALID[..at], &VALID[at..]);
        let letter = letters.next().unwrap();
        for text in [
            format!("{head}{letter}{}", &tail[1..]),
            format!("{head}{letter}{tail}"),
            format!("{head}{}", &tail[1..]),
        ] {
            let _ = read_str::<Recipe>(
                &text,
                "recipe.toml",
                &[&text[..at.min(20)]].map(str::to_owned),
            )
            .map_err(|found| {
                assert!(found.has_errors());
                found.render(&RenderOptions {
                    color: true,
                    width: 40,
                })
            });
        }
    }
}

#[test]
fn the_deepest_nesting_that_the_parser_takes_does_not_overflow() {
    let dotted = vec!["a"; 79].join(".");
    let nested = (0..79).fold("1".to_owned(), |inner, _| {
        format!("{{ {dotted} = {inner} }}")
    });
    let found = read_str::<Recipe>(
        &format!("[{dotted}]\n{dotted} = {nested}\n"),
        "recipe.toml",
        &[],
    )
    .unwrap_err();
    assert!(found.has_errors());
    assert!(found.to_string().len() < 2000, "{found}");
}

#[test]
fn a_recipe_of_many_keys_is_read_in_time() {
    let keys: String = (0..20_000)
        .map(|number| format!("k{number} = 1\n"))
        .collect();
    let start = std::time::Instant::now();
    let read = load(
        &format!("{VALID}\n[data.class-weights]\n{keys}"),
        &["data.class-weights.k7=2"],
    );
    assert_eq!(read.value.data.class_weights.len(), 20_000);
    let found = read_str::<Recipe>(&keys, "recipe.toml", &[]).unwrap_err();
    assert_eq!(found.iter().count(), 51);
    let wrong = keys.replace("= 1", "= true");
    let found = read_str::<Recipe>(
        &format!("{VALID}\n[data.class-weights]\n{wrong}"),
        "recipe.toml",
        &[],
    )
    .unwrap_err();
    assert_eq!(found.iter().count(), 51);
    assert!(start.elapsed().as_secs() < 20, "{:?}", start.elapsed());
}

#[test]
fn color_is_written_only_when_asked_for() {
    let found = read_str::<Recipe>("sed = 1", "recipe.toml", &[]).unwrap_err();
    assert!(!found.to_string().contains('\u{1b}'));
    assert!(
        found
            .render(&RenderOptions {
                color: true,
                width: 100
            })
            .contains("\u{1b}[1;31merror\u{1b}[0m")
    );
}

#[test]
fn a_missing_file_and_a_folder_are_errors_with_a_name() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("digits.toml"), "").unwrap();
    let wrong = |name: &str| {
        read::<Recipe>(&folder.path().join(name), &[])
            .unwrap_err()
            .to_string()
    };
    let text = wrong("digit.toml");
    assert!(text.starts_with("error: there is no file `"), "{text}");
    assert!(
        text.contains("did you mean `") && text.contains("digits.toml`?"),
        "{text}"
    );
    assert!(wrong("").contains("is a folder, not a recipe"));
}

#[test]
fn the_reference_has_every_key_and_variant() {
    let text = firesight_recipe::docs(&schemars::schema_for!(Recipe), "The recipe");
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/reference.md");
    if std::env::var_os("UPDATE_SNAPSHOTS").is_some() {
        fs::write(&path, &text).unwrap();
    }
    assert_eq!(
        text,
        fs::read_to_string(path).unwrap().replace("\r\n", "\n")
    );
}
