//! Whole pages: made-up run folders in, HTML out.

#[path = "../examples/sample_run/generate.rs"]
mod generate;

use std::{fs, path::Path};

use firesight_report::{compare, write};
use generate::Plan;

/// What must hold of every page: nothing is loaded from elsewhere, nothing runs, and every opened
/// element is closed.
fn check_page(html: &str) {
    for forbidden in [
        "<script",
        "http://",
        "https://",
        "<img src=x",
        "url(",
        "@import",
        "javascript:",
    ] {
        assert!(!html.contains(forbidden), "the page holds {forbidden:?}");
    }
    assert!(html.contains("default-src 'none'"));
    assert!(html.starts_with("<!doctype html>"));
    for source in html.split(" src=\"").skip(1) {
        assert!(
            source.starts_with("data:image/"),
            "{}",
            &source[..40.min(source.len())]
        );
    }
    for image in html.split("<img ").skip(1) {
        let tag = &image[..image.find('>').unwrap()];
        assert!(
            tag.contains(" alt=\"") && !tag.contains(" alt=\"\""),
            "a picture without a text"
        );
    }
    balanced(html);
}

/// Opening and closing tags match each other.
fn balanced(html: &str) {
    let void = ["!doctype", "meta", "link", "img"];
    let mut open: Vec<&str> = Vec::new();
    for piece in html.split('<').skip(1) {
        let tag = &piece[..piece
            .find('>')
            .unwrap_or_else(|| panic!("a tag is not closed: {piece}"))];
        let name = tag
            .trim_start_matches('/')
            .split([' ', '/', '\n'])
            .next()
            .unwrap();
        if let Some(closed) = tag.strip_prefix('/') {
            assert_eq!(open.pop(), Some(closed), "closing tag of another element");
        } else if !tag.ends_with('/') && !void.contains(&name) {
            open.push(name);
        }
    }
    assert!(open.is_empty(), "left open: {open:?}");
}

fn page(run: &Path) -> String {
    let html = fs::read_to_string(write(run).unwrap()).unwrap();
    check_page(&html);
    html
}

#[test]
fn a_classifier_has_every_part() {
    let folder = tempfile::tempdir().unwrap();
    let run = folder.path().join("digits-lenet-1");
    generate::classifier(&run, &Plan::digits()).unwrap();
    let html = page(&run);
    for part in [
        "Top-1 accuracy, test split",
        "Top-1 accuracy, validation split",
        "best checkpoint (step ",
        ", EMA weights)",
        "lenet with 61.7 k parameters, trained on digits (1437 images)",
        "id=\"curves\"",
        "Learning rate",
        "Images per second",
        "log scale",
        "Confusion matrix",
        "Most confused pairs",
        "highest loss first",
        "lowest loss first",
        "Training images",
        "<span class=\"t-key\">momentum</span>",
        "Dataset fingerprint",
        "Stopped by SIGINT",
        "Warning: The disk is nearly full.",
        "Left out of the train split (1 of at most 3): 7.png is no picture",
        "Images left out",
        "scope=\"col\"",
        "role=\"img\" aria-label=\"Loss over step",
    ] {
        assert!(html.contains(part), "the page lacks {part:?}");
    }
    assert!(
        html.contains("&lt;&#x2f;script&gt;&lt;img src=x"),
        "a class name is shown as it is"
    );
    assert!(html.contains("{{ 7 * 7 }}"), "and is no template");
    assert!(html.len() < 1 << 20, "{} bytes", html.len());
    assert_eq!(html.len(), page(&run).len(), "made anew in place");
}

#[test]
fn a_hundred_classes_are_shaded_and_more_are_listed() {
    let folder = tempfile::tempdir().unwrap();
    let run = folder.path().join("many");
    generate::classifier(
        &run,
        &Plan {
            classes: 100,
            ..Plan::digits()
        },
    )
    .unwrap();
    let html = page(&run);
    assert!(html.contains("class=\"matrix slanted dense\""));
    assert!(html.len() < 2 << 20, "{} bytes", html.len());

    let run = folder.path().join("more");
    generate::classifier(
        &run,
        &Plan {
            classes: 130,
            ..Plan::digits()
        },
    )
    .unwrap();
    let html = page(&run);
    assert!(!html.contains("class=\"matrix"));
    assert!(html.contains("of 130 classes is too large") && html.contains("Most confused pairs"));
}

#[test]
fn an_unfinished_run_is_shown_as_far_as_it_went() {
    let folder = tempfile::tempdir().unwrap();
    let run = folder.path().join("half");
    generate::unfinished(&run).unwrap();
    let html = page(&run);
    assert!(html.contains("This run has not finished") && html.contains("at step 207"));
    assert!(html.contains("metrics.jsonl is torn"));
    assert!(html.contains("best so far, at step 207"));

    // The barest of runs, and one of which every file is damaged.
    let bare = folder.path().join("bare");
    fs::create_dir(&bare).unwrap();
    fs::write(bare.join("recipe.toml"), "seed = 1\n").unwrap();
    assert!(page(&bare).contains("before its first record"));
    for file in ["environment.json", "results.json", "metrics.jsonl"] {
        fs::write(bare.join(file), "<b>\n").unwrap();
    }
    let html = page(&bare);
    assert!(html.contains("results.json: not the JSON expected") && html.contains("(line 1)"));
    assert!(write(&folder.path().join("nothing")).is_err());
}

#[test]
fn a_task_brings_its_own_sections() {
    let folder = tempfile::tempdir().unwrap();
    let run = folder.path().join("scenes");
    generate::detector(&run).unwrap();
    fs::remove_file(run.join("examples/scene-1.png")).unwrap();
    let html = page(&run);
    for part in [
        "<h2>Detections</h2>",
        "with 61.7 k parameters, of which 850 train, trained on scenes",
        "Precision over recall",
        "Average precision by size",
        "Parts of the training loss",
        "<td class=\"n\">0.54</td>",
        "examples/scene-1.png is missing",
    ] {
        let part = part.replace("examples/scene", "examples&#x2f;scene");
        assert!(html.contains(&part), "the page lacks {part:?}");
    }
}

#[test]
fn runs_are_compared() {
    let folder = tempfile::tempdir().unwrap();
    let runs = ["a", "b", "c"].map(|name| folder.path().join(name));
    generate::classifier(&runs[0], &Plan::digits()).unwrap();
    generate::classifier(
        &runs[1],
        &Plan {
            rate: 0.02,
            ..Plan::digits()
        },
    )
    .unwrap();
    generate::unfinished(&runs[2]).unwrap();
    let out = folder.path().join("compare.html");
    let made = compare(&runs, &out).unwrap();
    let html = fs::read_to_string(&made.path).unwrap();
    check_page(&html);
    for part in [
        "3 runs side by side",
        "Top-1 accuracy over time",
        "optimizer.sgd.learning-rate",
        "not finished",
    ] {
        assert!(html.contains(part), "the page lacks {part:?}");
    }
    let line = |start: &str| {
        made.text
            .lines()
            .find(|line| line.starts_with(start))
            .unwrap()
            .to_string()
    };
    let words = |line: String| {
        line.split_whitespace()
            .map(String::from)
            .collect::<Vec<_>>()
    };
    assert_eq!(
        words(line("optimizer")),
        ["optimizer.sgd.learning-rate", "0.05", "0.02", "0.05"]
    );
    assert!(
        line("Top-1 accuracy, test").contains(" * "),
        "the better run has a star"
    );
    assert!(!made.text.contains("momentum"), "what is equal is left out");

    let one = compare(&runs[..1], &out).unwrap();
    check_page(&fs::read_to_string(&out).unwrap());
    assert!(!one.text.contains('*'));
    // Two folders of one name are told apart by their paths.
    let twin = folder.path().join("other/a");
    fs::create_dir(folder.path().join("other")).unwrap();
    generate::unfinished(&twin).unwrap();
    let made = compare(&[runs[0].clone(), twin.clone()], &out).unwrap();
    assert!(made.text.contains(&twin.display().to_string()));
}
