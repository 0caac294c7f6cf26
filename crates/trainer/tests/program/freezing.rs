//! What `freeze` and `parameter-groups` take: names are the exported ones, and what is frozen stands still to the bit.

use std::path::Path;

use firesight::card::ModelCard;
use firesight::device;
use firesight::engine::Step;
use firesight::experiment::Experiment;
use firesight::parameters::ParameterSummary;
use firesight::recipe::Recipe;
use firesight_models::weights::{StateDict, read};

use crate::common::{run, succeed};
use crate::inputs::{self, picture, picture_of, write};

const DIGITS: &str = "{ digits = {} }";

fn digits(task: &str, top: &str, more: &str) -> String {
    let task = format!("[task.classification]\nmodel = \"resnet20\"\n{task}");
    inputs::recipe(&task, DIGITS, top, "", more).replace("batch-size = 4", "batch-size = 128")
}

/// What was printed on standard error, without its line breaks.
fn errors(output: &std::process::Output) -> String {
    let text = String::from_utf8_lossy(&output.stderr);
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

#[test]
fn a_pattern_that_matches_no_parameter_is_an_error() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let text = digits(
        "freeze = ['^layr1\\.', '^backbone\\.']",
        "epochs = 1\nmax-steps = 2",
        "[[parameter-groups]]\npattern = \"^layer9\"\nrate-factor = 0.1",
    );
    write(folder.join("r.toml"), text);
    for arguments in [
        &["check", "r.toml"][..],
        &["train", "r.toml", "--out", "run"],
    ] {
        let output = run(folder, arguments);
        let errors = errors(&output);
        assert_eq!(output.status.code(), Some(2), "{errors}");
        for part in [
            "`^layr1\\.` matches no parameter",
            "did you mean `layer1`",
            "`^backbone\\.` matches no parameter",
            "conv1, bn1, layer1, layer2, layer3, fc",
            "`^layer9` matches no parameter",
        ] {
            assert!(errors.contains(part), "{part}: {errors}");
        }
    }
    assert!(
        !folder.join("run").exists(),
        "a failed start leaves no folder"
    );
    // Everything frozen, and a group of which nothing is left.
    for (task, more, part) in [
        ("freeze = ['.']", "", "nothing is left to train"),
        (
            "freeze = ['^layer1\\.']",
            "[[parameter-groups]]\npattern = '^layer1\\.0'\nrate-factor = 0.1",
            "never counts",
        ),
    ] {
        write(folder.join("r.toml"), digits(task, "epochs = 1", more));
        let output = run(folder, &["train", "r.toml", "--out", "run"]);
        let errors = errors(&output);
        assert_eq!(output.status.code(), Some(2), "{errors}");
        assert!(errors.contains(part), "{errors}");
    }
}

/// The tensors that differ between two files of weights.
fn changed(before: &Path, after: &Path) -> Vec<String> {
    let (before, after) = (read(before).unwrap(), read(after).unwrap());
    assert!(before.keys().eq(after.keys()));
    different(&before, &after)
}

fn different(before: &StateDict, after: &StateDict) -> Vec<String> {
    let names = before
        .iter()
        .filter(|(name, data)| data.as_bytes() != after[*name].as_bytes());
    names.map(|(name, _)| name.clone()).collect()
}

#[test]
fn frozen_layers_stand_still_to_the_bit_and_all_others_move() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let frozen =
        "freeze = ['^conv1\\.', '^bn1\\.', '^layer1\\.']\ninit = { weights = \"a.safetensors\" }";
    let decay = "[ema]\ndecay = 0.9";
    let runs = [
        ("a", digits("", "epochs = 1\nmax-steps = 2", "")),
        ("b", digits(frozen, "epochs = 1\nmax-steps = 3", "")),
        ("c", digits(frozen, "epochs = 1\nmax-steps = 3", decay)),
    ];
    for (name, text) in &runs {
        // Decoupled weight decay that would show.
        let text = text.replace(
            "learning-rate = 0.003",
            "learning-rate = 0.003\nweight-decay = 0.1",
        );
        write(folder.join(format!("{name}.toml")), text);
        let output = run(folder, &["train", &format!("{name}.toml"), "--out", name]);
        let errors = errors(&output);
        assert!(output.status.success(), "{errors}");
        if *name != "a" {
            for part in [
                "255,242 of 269,434 parameters train",
                "task.classification.freeze[0] `^conv1\\.` freezes 1 tensor of 144 parameters",
            ] {
                assert!(errors.contains(part), "{part}: {errors}");
            }
        }
        succeed(
            folder,
            &["export", name, "--out", &format!("{name}.safetensors")],
        );
    }
    let all = read(&folder.join("a.safetensors")).unwrap();
    let still = |name: &str| {
        ["conv1.", "bn1.", "layer1."]
            .iter()
            .any(|part| name.starts_with(part))
    };
    let expected: Vec<String> = all.keys().filter(|name| !still(name)).cloned().collect();
    for name in ["b", "c"] {
        let after = folder.join(format!("{name}.safetensors"));
        assert_eq!(
            changed(&folder.join("a.safetensors"), &after),
            expected,
            "{name}"
        );
    }
}

#[test]
fn the_feature_recipe_trains_the_new_head_alone() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    for class in ["cat", "dog", "owl"] {
        for index in 0..4 {
            picture_of(
                folder.join(format!("d/train/{class}/{index}.png")),
                [48, 40],
                None,
                index,
            );
            picture(folder.join(format!("d/val/{class}/{index}.png")), 7 + index);
        }
    }
    let model = "[task.classification]\nmodel = \"resnet18\"";
    let source = "{ folder = { path = \"d\" } }";
    let small = "preprocess = [{ resize = { width = 33, height = 33 } }]";
    write(
        folder.join("a.toml"),
        inputs::recipe(model, source, "epochs = 1\nmax-steps = 1", small, ""),
    );
    succeed(folder, &["train", "a.toml", "--out", "a"]);
    succeed(folder, &["export", "a", "--out", "a.safetensors"]);
    let recipe = concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/../../configs/classification/folder_resnet18_features.toml"
    );
    let mut arguments = vec!["train", recipe, "--out", "b"];
    for set in [
        "task.classification.init={ weights = \"a.safetensors\" }",
        "data.source.folder.path=d",
        "data.preprocess=[{ resize = { width = 33, height = 33 } }]",
        "data.batch-size=6",
        "epochs=2",
    ] {
        arguments.extend(["--set", set]);
    }
    let output = run(folder, &arguments);
    let errors = errors(&output);
    assert!(output.status.success(), "{errors}");
    assert!(
        errors.contains("1,539 of 11,178,051 parameters train"),
        "{errors}"
    ); // 512 x 3 + 3
    succeed(folder, &["export", "b", "--out", "b.safetensors"]);
    let moved = changed(&folder.join("a.safetensors"), &folder.join("b.safetensors"));
    assert_eq!(moved, ["fc.bias", "fc.weight"]);
}

/// Trains a task for a few batches and gives its networks' weights before and after, with the averages.
fn trained(text: &str, root: &Path) -> Vec<[StateDict; 2]> {
    let recipe = firesight_recipe::read_str::<Recipe>(text, "r.toml", &[]).unwrap();
    let experiment = Experiment::open(recipe.value, root, &()).unwrap();
    let device = device::select(Some("cpu")).unwrap();
    let mut task = experiment
        .task(&device, firesight::task::Build::Fresh, None, &())
        .unwrap();
    let state = |task: &dyn firesight::engine::Task| -> Vec<StateDict> {
        let networks = task.networks().into_iter();
        let states = networks.map(|network| network.state());
        states
            .flat_map(|state| [Some(state.weights), state.ema])
            .flatten()
            .collect()
    };
    let before = state(task.as_ref());
    for batch in experiment.train_loader().unwrap().epoch(0, 0).take(3) {
        let step = Step {
            rate: 0.01,
            update: true,
        };
        task.train_batch(batch.unwrap(), &step).unwrap();
    }
    let after = state(task.as_ref());
    before.into_iter().zip(after).map(|(a, b)| [a, b]).collect()
}

#[test]
fn detectors_and_segmenters_freeze_by_the_same_names() {
    let detector = inputs::DETECTOR.replace(
        "[task.detection.model",
        "[task.detection]\nfreeze = ['^backbone\\.body\\.']\n\n[task.detection.model",
    );
    let source = "{ scenes = { train = 12, validation = 4, test = 4 } }";
    let small = "preprocess = [{ resize = { width = 64, height = 64 } }]";
    let average = "[ema]\ndecay = 0.5";
    let root = Path::new(".");
    let text = inputs::recipe(&detector, source, "epochs = 1", small, average);
    for [before, after] in trained(&text, root) {
        let moved = different(&before, &after);
        let rest: Vec<&String> = before
            .keys()
            .filter(|name| !name.starts_with("backbone.body."))
            .collect();
        assert_eq!(moved.iter().collect::<Vec<_>>(), rest);
    }
    // A segmenter, whose first block stands still.
    let text = inputs::recipe(inputs::SEGMENTER, source, "epochs = 1", small, average);
    let first = first_block(&text, root);
    let segmenter = format!("{}\nfreeze = ['^{first}\\.']", inputs::SEGMENTER);
    let text = inputs::recipe(&segmenter, source, "epochs = 1", small, average);
    for [before, after] in trained(&text, root) {
        let moved = different(&before, &after);
        let prefix = format!("{first}.");
        assert!(before.keys().any(|name| name.starts_with(&prefix)));
        let rest: Vec<&String> = before
            .keys()
            .filter(|name| !name.starts_with(&prefix))
            .collect();
        assert_eq!(moved.iter().collect::<Vec<_>>(), rest);
    }
}

/// The first segment of the first parameter's name.
fn first_block(text: &str, root: &Path) -> String {
    let recipe = firesight_recipe::read_str::<Recipe>(text, "r.toml", &[]).unwrap();
    let experiment = Experiment::open(recipe.value, root, &()).unwrap();
    let task = experiment.recipe.task.table();
    let device = device::select(Some("cpu")).unwrap();
    let networks = task.networks(&experiment.card, &device.device).unwrap();
    let name = &networks.parameters()[0].parameters[0].name;
    name.split('.').next().unwrap().to_owned()
}

#[test]
fn a_group_counts_in_any_of_two_networks() {
    let source = "{ digits = {} }";
    let small = "preprocess = [{ resize = { width = 16, height = 16 } }]";
    let group =
        |pattern: &str| format!("[[parameter-groups]]\npattern = '{pattern}'\nrate-factor = 0.5");
    let summary = |pattern: &str| -> ParameterSummary {
        let text = inputs::recipe(
            inputs::GENERATOR,
            source,
            "epochs = 1",
            small,
            &group(pattern),
        );
        let recipe = firesight_recipe::read_str::<Recipe>(&text, "r.toml", &[]).unwrap();
        let experiment = Experiment::open(recipe.value, Path::new("."), &()).unwrap();
        let device = device::select(Some("cpu")).unwrap();
        experiment.networks(&device).unwrap().parameters()
    };
    let both = summary("^main\\.0\\.");
    assert_eq!(both.groups[0].amount.tensors, 2); // the first convolution of each
    assert_eq!(both.total, both.trainable);
    assert_eq!(summary("^generator\\.").groups[0].matched, 0);
}

/// The patterns of the released recipes all find parameters, whatever the data.
#[test]
fn the_patterns_of_the_released_recipes_find_parameters() {
    let configs = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../../configs"));
    let device = device::select(Some("cpu")).unwrap().device;
    let mut patterns = 0;
    for folder in std::fs::read_dir(configs).unwrap() {
        for file in std::fs::read_dir(folder.unwrap().path()).unwrap() {
            let path = file.unwrap().path();
            let recipe = firesight_recipe::read::<Recipe>(&path, &[]).unwrap().value;
            let task = recipe.task.table();
            let side = if task.name() == "generation" { 32 } else { 64 };
            let card = ModelCard {
                task: task.name().into(),
                model: task.model_name(),
                classes: (0..3).map(|class| class.to_string()).collect(),
                channels: 3,
                height: side,
                width: side,
                pixels: Default::default(),
            };
            let networks = task.networks(&card, &device).unwrap().parameters();
            let table = format!("task.{}", task.name());
            let groups = &recipe.parameter_groups;
            let summary = ParameterSummary::new(&networks, &table, task.freeze(), groups);
            let what = path.display();
            for taken in summary.frozen.iter().chain(&summary.groups) {
                assert!(taken.amount.tensors > 0, "{what}: {}", taken.pattern);
                patterns += 1;
            }
            assert!(summary.trainable.tensors > 0, "{what}");
            if path.ends_with("folder_resnet18_features.toml") {
                assert_eq!(summary.trainable.elements, 512 * 3 + 3);
            }
        }
    }
    assert!(patterns >= 8, "{patterns}");
}
