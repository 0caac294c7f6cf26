//! Batches of one image and normalisations that get one value per channel of them.

use crate::common::{run, succeed};
use crate::inputs::{self, mask, picture, write};

const MODEL: &str = "[task.segmentation]\nmodel = { deeplabv3 = { backbone = { cnn = { channels = [8, 16] } }, \
                     channels = 8, rates = [1, 2, 3] } }";
const SOURCE: &str =
    "{ pairs = { images = \"d/im\", masks = \"d/ma\", classes = [\"background\", \"thing\"] } }";

#[test]
fn a_batch_of_one_value_per_channel_is_refused_before_training() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    for index in 0..5 {
        picture(folder.join(format!("d/im/{index}.png")), index);
        mask(folder.join(format!("d/ma/{index}.png")), 1, 0);
    }
    let none = "split = { validation = \"none\" }";
    let text = inputs::recipe(MODEL, SOURCE, "epochs = 1", none, "");
    write(folder.join("four.toml"), &text);
    write(
        folder.join("one.toml"),
        text.replace("batch-size = 4", "batch-size = 1"),
    );
    write(
        folder.join("drop.toml"),
        text.replace("batch-size = 4", "batch-size = 4\ndrop-last = true"),
    );
    for (name, part) in [
        ("four", "(5 images in batches of 4) has one image"),
        ("one", "a batch has one image"),
    ] {
        let recipe = format!("{name}.toml");
        for arguments in [&["check", &recipe][..], &["train", &recipe, "--out", name]] {
            let output = run(folder, arguments);
            let errors = String::from_utf8_lossy(&output.stderr).into_owned();
            assert_eq!(output.status.code(), Some(2), "{errors}");
            for part in [part, "one value per channel", "convs.4"] {
                assert!(errors.contains(part), "{part}: {errors}");
            }
        }
        assert!(!folder.join(name).exists());
    }
    succeed(folder, &["train", "drop.toml", "--out", "drop"]);
}

/// A batch that is known to be one image only when the others turn out to be broken.
#[test]
fn a_batch_that_shrinks_to_one_value_per_channel_ends_the_run_with_the_layer() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    for index in 0..4 {
        picture(folder.join(format!("d/im/{index}.png")), index);
        mask(folder.join(format!("d/ma/{index}.png")), 1, 0);
    }
    write(folder.join("d/im/2.png"), "no picture");
    let data = "split = { validation = \"none\" }\nmax-bad = 1";
    let text = inputs::recipe(MODEL, SOURCE, "epochs = 1", data, "");
    let text = text.replace("batch-size = 4", "batch-size = 2");
    for (name, kernels) in [("fast", ""), ("burn", "kernels = \"burn\"\n")] {
        write(folder.join("r.toml"), format!("{kernels}{text}"));
        let output = run(folder, &["train", "r.toml", "--out", name]);
        let errors = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(1), "{errors}");
        for part in ["convs.4", "one value per channel", "drop-last"] {
            assert!(errors.contains(part), "{part}: {errors}");
        }
        assert!(!errors.contains("panicked"), "{errors}");
    }
}
