//! A GAN trained, measured, resumed and used through the program.

use crate::common::{kill_and_resume, recipe, run, succeed};
use serde_json::Value;

/// Both networks, an average, dropout-free noise, two optimizers, accumulation: all that has a state or draws.
const SMALL: &str = r#"
seed = 3
epochs = 3
accumulate = 2

[data]
source = { digits = {} }
split = { validation = { fraction = 0.1 }, seed = 0 }
batch-size = 64
workers = 0

[task.generation]
model = { dcgan = { latent = 8, generator-width = 4, discriminator-width = 4 } }
input-noise = 0.05
samples = 50
pictures-every = 5
discriminator-optimizer = { adam = { learning-rate = 0.001, betas = [0.5, 0.999] } }

[optimizer.adam]
learning-rate = 0.002
betas = [0.5, 0.999]

[ema]
decay = 0.9

[checkpoint]
every-steps = 2
"#;

fn killed_and_resumed(what: &str, text: &str) {
    let folder = kill_and_resume(what, text, &[4, 12]);
    let folder = folder.path();
    let checkpoints = folder.join("killed/checkpoints");
    let last = std::fs::read_to_string(checkpoints.join("last")).unwrap();
    for network in ["generator", "discriminator"] {
        let file = checkpoints
            .join(last.trim())
            .join(format!("{network}.safetensors"));
        assert!(
            file.exists(),
            "both networks are in the checkpoint: {}",
            file.display()
        );
    }
    let picture = |run: &str| std::fs::read(folder.join(run).join("samples/step-0000015.png"));
    assert_eq!(picture("whole").unwrap(), picture("killed").unwrap());
}

#[test]
fn a_gan_that_was_killed_ends_in_the_same_bits() {
    killed_and_resumed("a GAN", SMALL);
}

#[test]
fn so_does_one_with_classes_and_spectral_norm() {
    let text = SMALL.replace(
        "latent = 8",
        "latent = 8, conditional = true, spectral-norm = true",
    );
    killed_and_resumed("one with classes and spectral norm", &text);
}

#[test]
fn a_run_shows_what_it_learned_and_generates() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    recipe(
        folder,
        &SMALL.replace("pictures-every = 5", "pictures-every = 10"),
    );
    let trained = run(folder, &["train", "recipe.toml", "--out", "run"]);
    let said = String::from_utf8_lossy(&trained.stderr);
    assert!(trained.status.success(), "{said}");
    assert!(
        said.contains(" generate run") && !said.contains(" predict "),
        "{said}"
    );
    for file in [
        "real.png",
        "step-0000001.png",
        "step-0000020.png",
        "training.png",
    ] {
        assert!(folder.join("run/samples").join(file).exists(), "{file}");
    }
    let page = std::fs::read_to_string(folder.join("run/report.html")).unwrap();
    for title in [
        "Generated images",
        "Latent interpolation",
        "Nearest training images",
        "Course of the training",
    ] {
        assert!(page.contains(title), "{title}");
    }
    let measured = succeed(folder, &["eval", "run", "--json", "--split", "validation"]);
    let measured: Value = serde_json::from_str(&measured).unwrap();
    let metrics = measured["metrics"].as_object().unwrap();
    for name in [
        "pixel_fid_50",
        "pixel_kid_50",
        "pixel_precision_50",
        "pixel_recall_50",
        "generator_loss",
        "discriminator_loss",
        "nearest_training_p05_50",
    ] {
        assert!(
            metrics[name].as_f64().unwrap().is_finite(),
            "{name}: {metrics:?}"
        );
    }

    let generate = |out: &str, more: &[&str]| {
        let arguments = [&["generate", "run", "--count", "6", "--out", out], more].concat();
        succeed(folder, &arguments);
    };
    let bytes = |name: &str| std::fs::read(folder.join(name)).unwrap();
    generate("a.png", &[]);
    generate("b.png", &[]);
    generate("c.png", &["--seed", "1"]);
    generate("d.png", &["--truncation", "0.5"]);
    assert_eq!(
        bytes("a.png"),
        bytes("b.png"),
        "the same seed gives the same pixels"
    );
    assert_ne!(bytes("a.png"), bytes("c.png"));
    assert_ne!(bytes("a.png"), bytes("d.png"));
    generate("files", &[]);
    assert_eq!(std::fs::read_dir(folder.join("files")).unwrap().count(), 6);
    generate("raw.safetensors", &["--interpolate", "5"]);
    let raw = bytes("raw.safetensors");
    let raw = safetensors::SafeTensors::deserialize(&raw).unwrap();
    assert_eq!(raw.tensor("images").unwrap().shape(), [30, 1, 8, 8]);
    assert_eq!(raw.tensor("latent").unwrap().shape(), [30, 8]);
    let wrong = run(folder, &["generate", "run", "--out", "a.gif"]);
    assert_eq!(wrong.status.code(), Some(2));
    let wrong = run(folder, &["generate", "run", "--class", "3"]);
    assert_eq!(wrong.status.code(), Some(2));
}

#[test]
fn a_classifier_of_this_project_judges_the_samples() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    recipe(
        folder,
        &crate::common::SMALL.replace("epochs = 8", "epochs = 1"),
    );
    succeed(folder, &["train", "recipe.toml", "--out", "judge"]);
    let text = SMALL.replace("epochs = 3", "epochs = 1").replace(
        "samples = 50",
        "samples = 50\nfeatures = { run = \"judge\" }",
    );
    recipe(folder, &text);
    succeed(folder, &["train", "recipe.toml", "--out", "run"]);
    let measured = succeed(folder, &["eval", "run", "--json"]);
    let measured: Value = serde_json::from_str(&measured).unwrap();
    let metrics = measured["metrics"].as_object().unwrap();
    let number = |name: &str| metrics[name].as_f64().unwrap();
    assert!(number("fid_50") > 0.0);
    assert!((0.1..=1.0).contains(&number("confidence_50")));
    assert!(number("least_class_share_50") <= 0.1 && number("largest_class_share_50") >= 0.1);
    let output = run(folder, &["generate", "judge"]);
    assert_eq!(output.status.code(), Some(2));
    assert!(String::from_utf8_lossy(&output.stderr).contains("classifies images"));
}
