//! What a dataset teaches: `check` and `train` say what each class has, and what has nothing, before anything is
//! trained.

use std::path::{Path, PathBuf};
use std::process::Output;

use crate::common::run;
use crate::inputs::{
    CLASSIFIER, DETECTOR, GENERATOR, SEGMENTER, annotation, coco, mask, picture, picture_of,
    pictures, recipe, write,
};

const BOTH: &str = r#"classes = ["background", "thing"]"#;

/// What a command printed, on both channels, and how it ended.
fn said(folder: &Path, arguments: &[&str]) -> (Option<i32>, String) {
    let Output {
        status,
        stdout,
        stderr,
    } = run(folder, arguments);
    let text = String::from_utf8(stdout).unwrap() + &String::from_utf8(stderr).unwrap();
    (status.code(), text)
}

fn all_in(text: &str, expected: &[&str]) {
    for part in expected {
        assert!(text.contains(part), "{part}\n---\n{text}");
    }
}

/// Writes a picture under a photograph's name; formats are told apart by content.
fn photo(path: PathBuf, seed: u32) {
    let other = path.with_extension("bmp");
    picture(&other, seed);
    std::fs::rename(other, path).unwrap();
}

/// Writes 12 pictures and their masks, with what the first few and the others have inside and outside.
fn pairs(folder: &Path, few: usize, [first, rest]: [(u8, u8); 2]) -> String {
    for index in 0..12 {
        let (inside, outside) = if index < few { first } else { rest };
        picture(folder.join(format!("d/im/{index}.png")), index as u32);
        mask(folder.join(format!("d/ma/{index}.png")), inside, outside);
    }
    format!(r#"pairs = {{ images = "d/im", masks = "d/ma", {BOTH}"#)
}

#[test]
fn masks_of_0_and_255_are_called_binary_by_check_and_train() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let source = pairs(folder, 12, [(255, 0); 2]);
    let text = recipe(
        SEGMENTER,
        &format!("{{ {source} }} }}"),
        "epochs = 1",
        "",
        "",
    );
    write(folder.join("r.toml"), text);
    let expected = [
        "train: class `background` alone occurs, `thing` does not",
        "are ignored (the value 255)",
        "encoding = \"binary\"",
    ];
    let (code, text) = said(folder, &["check", "r.toml"]);
    assert_eq!(code, Some(2), "{text}");
    all_in(&text, &expected);
    all_in(
        &text,
        &[
            "class `thing`: does not occur in any mask (train)",
            "thing 0 (0.0 %) in 0 images",
        ],
    );
    let (code, text) = said(folder, &["train", "r.toml", "--out", "run"]);
    assert_eq!(code, Some(2), "{text}");
    all_in(&text, &expected);
    assert!(
        !folder.join("run").exists(),
        "a start that failed leaves a folder"
    );
    // As it is said.
    let set = "data.source.pairs.encoding=\"binary\"";
    let (code, text) = said(folder, &["check", "r.toml", "--set", set]);
    assert_eq!(code, Some(0), "{text}");
    all_in(
        &text,
        &[
            "thing 12320 (18.2 %) in 11 images; ignored 0 (0.0 %)",
            "correct",
        ],
    );
}

#[test]
fn pictures_and_masks_of_one_folder_are_told_apart() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    for index in 0..12 {
        photo(folder.join(format!("suffix/{index}.jpg")), index);
        mask(folder.join(format!("suffix/{index}_mask.png")), 1, 0);
        photo(folder.join(format!("ending/{index}.jpg")), index);
        mask(folder.join(format!("ending/{index}.png")), 1, 0);
        picture(folder.join(format!("alike/{index}.png")), index);
    }
    write(
        folder.join("suffix/_classes.csv"),
        "Pixel Value,Class\n0,background\n1,thing\n",
    );
    for (name, suffix) in [("suffix", "_mask"), ("ending", ""), ("alike", "")] {
        let source = format!(
            r#"{{ pairs = {{ images = "{name}", masks = "{name}", mask-suffix = "{suffix}", {BOTH} }} }}"#
        );
        let text = recipe(SEGMENTER, &source, "epochs = 1", "", "");
        write(folder.join(format!("{name}.toml")), text);
    }
    for name in ["suffix", "ending"] {
        let (code, text) = said(folder, &["check", &format!("{name}.toml")]);
        assert_eq!(code, Some(0), "{text}");
        all_in(
            &text,
            &[
                "train: 11 images",
                "validation: 1 image\n",
                "thing 12320 (18.2 %) in 11 images",
                "correct",
            ],
        );
    }
    let (code, text) = said(folder, &["check", "alike.toml"]);
    assert_eq!(code, Some(2), "{text}");
    all_in(
        &text,
        &[
            "alike: images and masks are to lie in this one folder",
            "set `mask-suffix`",
        ],
    );
}

#[test]
fn a_validation_part_with_nothing_to_measure_is_remarked_on() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let source = pairs(folder, 8, [(1, 0), (255, 255)]);
    let source = format!("{{ {source}, validation = {{ first = 8, last = 11 }} }} }}");
    write(
        folder.join("void.toml"),
        recipe(SEGMENTER, &source, "epochs = 1", "", ""),
    );
    let (code, text) = said(folder, &["check", "void.toml"]);
    assert_eq!(code, Some(0), "{text}");
    let void = "no pixel of any mask counts: nothing can be measured on it";
    all_in(
        &text,
        &[&format!("suspicious: validation: {void}"), "correct"],
    );

    let images = pictures(folder.join("c/im"), 12);
    let annotations: Vec<_> = (1..=8).map(annotation).collect();
    coco(folder.join("c/a.json"), &images[..8], &annotations);
    coco(folder.join("c/v.json"), &images[8..], &[]);
    let source = r#"{ coco = { path = "c", train = { annotations = "a.json", images = "im" }, validation = { annotations = "v.json", images = "im" } } }"#;
    write(
        folder.join("r.toml"),
        recipe(DETECTOR, source, "epochs = 1", "", ""),
    );
    let (code, text) = said(folder, &["check", "r.toml"]);
    assert_eq!(code, Some(0), "{text}");
    let none = "no object in any picture: nothing can be measured on it";
    all_in(
        &text,
        &[
            "boxes: thing 8 in 8 images",
            &format!("validation: there is {none}"),
            "correct",
        ],
    );
}

#[test]
fn train_says_what_check_says_and_writes_it_down() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let source = pairs(folder, 12, [(1, 0); 2]);
    mask(folder.join("d/ma/lost.png"), 1, 0);
    let source = format!(
        "{{ {source}, train = {{ first = 0, last = 8 }}, validation = {{ first = 9, last = 10 }} }} }}"
    );
    let source = source.replace("\"thing\"", "\"thing\", \"ghost\"");
    write(
        folder.join("r.toml"),
        recipe(SEGMENTER, &source, "epochs = 1", "", ""),
    );
    let expected = [
        "class `ghost`: does not occur in any mask",
        "d/ma/lost.png: a mask without an image, left out",
        "source.pairs: 1 pairs are in no part",
        "the last batch of an epoch holds one of the 9 training images; `drop-last = true` leaves it out",
    ];
    let (code, text) = said(folder, &["check", "r.toml"]);
    assert_eq!(code, Some(0), "{text}");
    all_in(&text, &expected);
    let (code, text) = said(
        folder,
        &["train", "r.toml", "--out", "run", "--device", "flex"],
    );
    assert_eq!(code, Some(0), "{text}");
    all_in(&text, &expected);
    all_in(
        &std::fs::read_to_string(folder.join("run/log.txt")).unwrap(),
        &expected,
    );
}

#[test]
fn a_bad_mask_ends_the_start_and_not_the_epoch() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let source = pairs(folder, 12, [(1, 0); 2]);
    mask(folder.join("d/ma/5.png"), 7, 0);
    let text = |max_bad| {
        let data = format!("max-bad = {max_bad}\nsplit = {{ validation = \"none\" }}");
        recipe(
            SEGMENTER,
            &format!("{{ {source} }} }}"),
            "epochs = 1",
            &data,
            "",
        )
    };
    write(folder.join("r.toml"), text(0));
    for command in [
        &["check", "r.toml"][..],
        &["train", "r.toml", "--out", "run"],
    ] {
        let (code, text) = said(folder, command);
        assert_eq!(code, Some(2), "{text}");
        all_in(
            &text,
            &["d/ma/5.png: class 7 at 20, 16: there are 2 classes"],
        );
    }
    assert!(!folder.join("run").exists());
    write(folder.join("r.toml"), text(1));
    let (code, text) = said(
        folder,
        &["train", "r.toml", "--out", "run", "--device", "flex"],
    );
    assert_eq!(code, Some(0), "{text}");
    all_in(&text, &["train: 1 bad sample is left out"]);
}

#[test]
fn folders_called_training_and_testing_are_splits() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    for (index, class) in (0..8).zip(["cat", "dog"].iter().cycle()) {
        picture(
            folder.join(format!("d/Training/{class}/{index}.png")),
            index,
        );
        picture(
            folder.join(format!("d/Testing/{class}/{index}.png")),
            20 + index,
        );
        picture(folder.join(format!("flat/train/{index}.png")), index);
        picture(folder.join(format!("flat/test/{index}.png")), 20 + index);
    }
    for name in ["d", "flat"] {
        let source = format!(r#"{{ folder = {{ path = "{name}" }} }}"#);
        let text = recipe(CLASSIFIER, &source, "epochs = 1", "", "");
        write(folder.join(format!("{name}.toml")), text);
    }
    let (code, text) = said(folder, &["check", "d.toml"]);
    assert_eq!(code, Some(0), "{text}");
    all_in(
        &text,
        &[
            "`Training` and `Testing` are taken for the dataset's splits",
            "test: 8 images",
            "cat 4, dog 4",
        ],
    );
    for command in [
        &["check", "flat.toml"][..],
        &["train", "flat.toml", "--out", "run"],
    ] {
        let (code, text) = said(folder, command);
        assert_eq!(code, Some(2), "{text}");
        all_in(
            &text,
            &["`test` and `train` are the names of splits, not of classes"],
        );
    }
}

#[test]
fn pictures_of_many_sizes_are_an_error_before_training() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    for index in 0..8 {
        let size = if index == 6 { [64, 64] } else { [96, 64] };
        for class in ["cat", "dog"] {
            let path = folder.join(format!("d/{class}/{index}.png"));
            picture_of(
                path,
                size,
                None,
                index + if class == "cat" { 0 } else { 50 },
            );
        }
    }
    let source = r#"{ folder = { path = "d" } }"#;
    let text = |data: &str| recipe(CLASSIFIER, source, "epochs = 1", data, "");
    write(folder.join("r.toml"), text(""));
    for command in [
        &["check", "r.toml"][..],
        &["train", "r.toml", "--out", "run"],
    ] {
        let (code, text) = said(folder, command);
        assert_eq!(code, Some(2), "{text}");
        all_in(
            &text,
            &["come out as 64x64x3 and as 96x64x3, and a batch holds one size"],
        );
    }
    // A random crop in training leaves the validation images as they are.
    let crop = r#"augment = [{ random-crop = { width = 48, height = 48 } }]
        split = { validation = { fraction = 0.5 } }"#;
    write(
        folder.join("r.toml"),
        text(crop).replace("cnn = { channels = [8], hidden = [16] }", "resnet18 = {}"),
    );
    let (code, text) = said(folder, &["train", "r.toml", "--out", "run"]);
    assert_eq!(code, Some(2), "{text}");
    all_in(
        &text,
        &[
            "images of validation come out as",
            "`evaluate.batch-size` to 1",
        ],
    );
    // Of one size they are right, and the model's input is that of a prepared picture.
    let preprocess = "preprocess = [{ resize = { width = 56, height = 40 } }]";
    write(
        folder.join("r.toml"),
        recipe(CLASSIFIER, source, "epochs = 1", preprocess, ""),
    );
    let (code, text) = said(folder, &["check", "r.toml"]);
    assert_eq!(code, Some(0), "{text}");
    all_in(
        &text,
        &[
            "the model's input is 3x40x56",
            "sizes: 96x64x3 13, 64x64x3 1",
        ],
    );
}

#[test]
fn the_input_is_that_of_a_prepared_picture() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let source = pairs(folder, 12, [(1, 0); 2]);
    let crop = "augment = [{ random-crop = { width = 48, height = 32 } }]";
    let text = recipe(
        SEGMENTER,
        &format!("{{ {source} }} }}"),
        "epochs = 1",
        crop,
        "",
    );
    write(folder.join("r.toml"), text);
    let (code, text) = said(folder, &["check", "r.toml"]);
    assert_eq!(code, Some(0), "{text}");
    all_in(
        &text,
        &["the model's input is 3x64x96", "in training it is 3x32x48"],
    );
    // A network that takes one size alone cannot be trained on another.
    picture(folder.join("f/cat/1.png"), 1);
    picture(folder.join("f/dog/2.png"), 2);
    let text = recipe(
        CLASSIFIER,
        r#"{ folder = { path = "f" } }"#,
        "epochs = 1",
        crop,
        "",
    );
    write(folder.join("r.toml"), text);
    let (code, text) = said(folder, &["check", "r.toml"]);
    assert_eq!(code, Some(2), "{text}");
    all_in(
        &text,
        &["data.augment: training images come out as 48x32 pixels, all others as 96x64"],
    );
}

#[test]
fn fewer_samples_than_a_batch_are_an_error_where_drop_last_leaves_them_out() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    for class in ["cat", "dog"] {
        picture(folder.join(format!("d/{class}/1.png")), class.len() as u32);
    }
    picture(folder.join("d/dog/1.png"), 9);
    let data = "drop-last = true\nsplit = { validation = \"none\" }";
    let text = recipe(
        CLASSIFIER,
        r#"{ folder = { path = "d" } }"#,
        "epochs = 1",
        data,
        "",
    );
    write(folder.join("r.toml"), text);
    for command in [
        &["check", "r.toml"][..],
        &["train", "r.toml", "--out", "run"],
    ] {
        let (code, text) = said(folder, command);
        assert_eq!(code, Some(2), "{text}");
        all_in(
            &text,
            &["data.batch-size = 4: 2 images for training: no batch is full"],
        );
    }
    assert!(!folder.join("run").exists());
}

#[test]
fn a_generator_needs_no_labels() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    for index in 0..8 {
        picture(folder.join(format!("d/all/{index}.png")), index);
    }
    let data = "preprocess = [{ resize = { width = 16, height = 16 } }]\nsplit = { validation = \"none\" }";
    let text = recipe(
        GENERATOR,
        r#"{ folder = { path = "d" } }"#,
        "epochs = 1",
        data,
        "",
    );
    write(folder.join("r.toml"), text);
    let (code, text) = said(folder, &["check", "r.toml"]);
    assert_eq!(code, Some(0), "{text}");
    assert!(
        !text.contains("suspicious") && !text.contains("classes:"),
        "{text}"
    );
}

#[test]
fn the_released_recipe_takes_cifar_10_with_its_test_file_and_without() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let records = |first: u32, count: u32| -> Vec<u8> {
        let record = |number: u32| {
            let pixels = (0..3072u32).map(move |at| (at.wrapping_mul(number + 7) >> 3) as u8);
            std::iter::once((number % 10) as u8).chain(pixels)
        };
        (first..first + count).flat_map(record).collect()
    };
    let inner = folder.join("cifar10/cifar-10-batches-bin");
    for batch in 1..=5 {
        write(
            inner.join(format!("data_batch_{batch}.bin")),
            records(1000 * batch, 220),
        );
    }
    let recipe: PathBuf = [
        env!("CARGO_MANIFEST_DIR"),
        "../../configs/classification/cifar10_resnet20.toml",
    ]
    .iter()
    .collect();
    let recipe = recipe.to_str().unwrap();
    let fewer = [
        "check",
        recipe,
        "--set",
        "data.split.test.last=60",
        "--set",
        "data.split.validation.count=100",
    ];
    let (code, text) = said(folder, &fewer);
    assert_eq!(code, Some(0), "{text}");
    all_in(
        &text,
        &[
            "train: 940 images",
            "validation: 100 images",
            "test: 60 images",
        ],
    );
    write(inner.join("test_batch.bin"), records(9000, 50));
    let (code, text) = said(
        folder,
        &["check", recipe, "--set", "data.split.validation.count=100"],
    );
    assert_eq!(code, Some(0), "{text}");
    all_in(
        &text,
        &[
            "train: 1000 images",
            "test: 50 images",
            "split.test: the dataset gives 50 test samples of its own; nothing is held out",
        ],
    );
}
