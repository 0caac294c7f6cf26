//! Wrong recipes, each with a name under which its whole message is kept in `tests/snapshots`.

/// A recipe with nothing wrong; most cases change a line of it.
pub const VALID: &str = r#"# cargo run --release -p trainer -- train configs/classification/digits.toml
seed = 42
epochs = 30

[data]
source = { digits = {} }
batch-size = 64
augment = [{ rotate = { degrees = 10 } }, { translate = { fraction = 0.1 } }]

[task.classification]
model = { lenet = { dropout = 0.25 } }
label-smoothing = 0.1

[optimizer.sgd]
learning-rate = 0.05
momentum = 0.9
weight-decay = 5e-4

[warmup]
epochs = 1

[schedule.cosine]
"#;

/// What is read.
pub enum Text {
    /// [`VALID`] with each first text replaced by the second.
    Edit(&'static [(&'static str, &'static str)]),
    /// These files, the first of them read.
    Files(&'static [(&'static str, &'static [u8])]),
    /// A text that is made by a program.
    Made(fn() -> String),
}

/// One wrong recipe.
pub struct Case {
    pub name: &'static str,
    pub text: Text,
    pub sets: &'static [&'static str],
}

const fn edit(name: &'static str, edits: &'static [(&'static str, &'static str)]) -> Case {
    Case {
        name,
        text: Text::Edit(edits),
        sets: &[],
    }
}

const fn set(name: &'static str, sets: &'static [&'static str]) -> Case {
    Case {
        name,
        text: Text::Edit(&[]),
        sets,
    }
}

const fn files(name: &'static str, files: &'static [(&'static str, &'static [u8])]) -> Case {
    Case {
        name,
        text: Text::Files(files),
        sets: &[],
    }
}

const fn made(name: &'static str, text: fn() -> String) -> Case {
    Case {
        name,
        text: Text::Made(text),
        sets: &[],
    }
}

pub const CASES: &[Case] = &[
    // Keys that there are not.
    edit("unknown-key-top", &[("seed = 42", "sed = 42")]),
    edit("unknown-key-nested", &[("batch-size", "batchsize")]),
    edit("unknown-key-far-from-all", &[("seed = 42", "colour = \"red\"")]),
    edit("unknown-key-underscore", &[("batch-size", "batch_size")]),
    edit("unknown-key-initials", &[("learning-rate", "lr")]),
    edit("unknown-key-in-wrong-table", &[("batch-size = 64", "momentum = 0.9")]),
    edit("unknown-key-of-the-top-level", &[("batch-size = 64", "seed = 1"), ("seed = 42\n", "")]),
    edit("unknown-table", &[("[warmup]", "[warm-up]")]),
    edit("unknown-table-far-from-all", &[("[warmup]\nepochs = 1", "[telemetry]\nurl = 1")]),
    edit("unknown-key-in-inline-table", &[("dropout = 0.25", "drop-out = 0.25")]),
    edit("unknown-key-in-list", &[("degrees = 10", "degree = 10")]),
    edit("unknown-key-in-table-without-keys", &[("digits = {}", "digits = { size = 8 }")]),
    edit("unknown-key-in-unit-variant", &[("[schedule.cosine]", "[schedule.constant]\nfloor = 0.1")]),
    edit("unknown-key-quoted", &[("seed = 42", "\"se ed\" = 42")]),
    edit("unknown-key-dotted", &[("batch-size = 64", "split.validatoin = 0.1")]),
    edit("unknown-keys-many", &[("seed", "sed"), ("batch-size", "batch"), ("dropout", "drop"), ("momentum", "momentom")]),
    edit("foreign-key-in-variant", &[("[optimizer.sgd]", "[optimizer.adam]"), ("weight-decay = 5e-4", "")]),
    // Values of another type.
    edit("type-string-for-number", &[("learning-rate = 0.05", "learning-rate = \"fast\"")]),
    edit("type-quoted-number", &[("epochs = 30", "epochs = \"30\"")]),
    edit("type-quoted-float", &[("momentum = 0.9", "momentum = \"0.9\"")]),
    edit("type-float-for-whole", &[("epochs = 30", "epochs = 30.0")]),
    edit("type-fraction-for-whole", &[("epochs = 30", "epochs = 30.5")]),
    edit("type-number-for-string", &[("seed = 42", "name = 42")]),
    edit("type-number-for-truth", &[("batch-size = 64", "shuffle = 1")]),
    edit("type-quoted-truth", &[("batch-size = 64", "shuffle = \"True\"")]),
    edit("type-truth-for-number", &[("momentum = 0.9", "momentum = true")]),
    edit("type-date-for-string", &[("seed = 42", "name = 2024-05-01")]),
    edit("type-list-for-number", &[("batch-size = 64", "batch-size = [64]")]),
    edit("type-table-for-number", &[("batch-size = 64", "batch-size = { train = 64 }")]),
    edit("type-number-for-table", &[("[warmup]\nepochs = 1", ""), ("seed = 42", "warmup = 1")]),
    edit("type-table-for-list", &[("augment = [{ rotate = { degrees = 10 } }, { translate = { fraction = 0.1 } }]", "augment = { rotate = { degrees = 10 } }")]),
    edit("type-in-list", &[("degrees = 10", "degrees = \"ten\"")]),
    edit("type-in-map", &[("batch-size = 64", "class-weights = { cat = 1, dog = \"two\" }")]),
    edit("type-list-length", &[("batch-size = 64", "mean = [0.5, 0.5]")]),
    edit("type-list-element", &[("batch-size = 64", "mean = [0.5, \"x\", true]")]),
    edit("type-over-several-lines", &[("batch-size = 64", "batch-size = [\n  1,\n  2,\n]")]),
    edit("types-many-with-required", &[("epochs = 30", "epochs = []"), ("learning-rate = 0.05", "learning-rate = false"), ("momentum = 0.9", "momentum = \"x\""), ("digits = {}", "idx = { path = 3, max-bad = -1 }")]),
    // Numbers out of range.
    edit("range-negative-count", &[("epochs = 30", "epochs = -1")]),
    edit("range-over-u8", &[("batch-size = 64", "workers = 300")]),
    edit("range-over-u64", &[("seed = 42", "seed = 99999999999999999999")]),
    edit("range-beyond-all", &[("seed = 42", "seed = 9999999999999999999999999999999999999999999999")]),
    edit("range-over-f32", &[("degrees = 10", "degrees = 1e300")]),
    edit("range-over-f64", &[("momentum = 0.9", "momentum = 1e999")]),
    edit("range-zero-where-one-is-least", &[("seed = 42", "max-steps = 0")]),
    // Variants.
    edit("variant-unknown", &[("[optimizer.sgd]", "[optimizer.sdg]")]),
    edit("variant-unknown-model", &[("{ lenet = { dropout = 0.25 } }", "\"resnet51\"")]),
    edit("variant-unknown-inline", &[("digits = {}", "imagenet = {}")]),
    edit("variant-unknown-in-list", &[("{ rotate = { degrees = 10 } }", "{ spin = { degrees = 10 } }, \"flop\"")]),
    edit("variant-not-named", &[("[optimizer.sgd]", "[optimizer]")]),
    edit("variant-two", &[("[warmup]", "[optimizer.adam]\nlearning-rate = 1e-3\n\n[warmup]")]),
    edit("variant-two-inline", &[("digits = {}", "digits = {}, folder = { path = \"x\" }")]),
    edit("variant-with-stray-key", &[("[warmup]", "[optimizer]\nmomentum = 0.5\n\n[warmup]")]),
    edit("variant-empty-table", &[("{ digits = {} }", "{}")]),
    edit("variant-number", &[("{ digits = {} }", "7")]),
    edit("variant-string-lacks-required", &[("{ digits = {} }", "\"idx\"")]),
    edit("variant-string-lacks-value", &[("label-smoothing = 0.1", "init = \"weights\"")]),
    edit("variant-number-as-content", &[("{ digits = {} }", "{ digits = 3 }")]),
    edit("variant-unit-with-value", &[("[schedule.cosine]", "[schedule]\nconstant = true")]),
    edit("variant-wrong-case", &[("{ lenet = { dropout = 0.25 } }", "\"ResNet18\"")]),
    // Keys that are missing.
    edit("missing-key-top", &[("epochs = 30\n", "")]),
    edit("missing-key-in-header-table", &[("learning-rate = 0.05\n", "")]),
    edit("missing-key-in-inline-table", &[("degrees = 10", "")]),
    edit("missing-table", &[("source = { digits = {} }\nbatch-size = 64", "batch-size = 64")]),
    edit("missing-enum", &[("model = { lenet = { dropout = 0.25 } }\n", "")]),
    edit("missing-keys-many", &[("epochs = 30\n", ""), ("[schedule.cosine]", "[schedule.step]"), ("learning-rate = 0.05\n", "")]),
    files("missing-everything", &[("recipe.toml", b"")]),
    // Checks beyond types.
    edit("check-batch-size-zero", &[("batch-size = 64", "batch-size = 0")]),
    edit("check-negative-rate", &[("learning-rate = 0.05", "learning-rate = -0.05")]),
    edit("check-splits-over-one", &[("batch-size = 64", "split = { validation = 0.6, test = 0.6 }")]),
    edit("check-missing-folder", &[("digits = {}", "idx = { path = \"no/such/folder\" }")]),
    edit("check-together-with-types", &[("batch-size = 64", "batch-size = 0"), ("momentum = 0.9", "momentum = \"x\""), ("seed", "sed")]),
    edit("check-warning-and-error", &[("epochs = 30", "epochs = 0"), ("seed = 42", "sed = 42")]),
    // Bases.
    files("extends-missing", &[("recipe.toml", b"extends = \"bas.toml\"\nepochs = 3\nsed = 1\n"), ("base.toml", b"")]),
    files("extends-cycle", &[
        ("recipe.toml", b"extends = \"middle.toml\"\nepochs = 3\n"),
        ("middle.toml", b"# on the way\nextends = \"base.toml\"\n"),
        ("base.toml", b"extends = \"middle.toml\"\n"),
    ]),
    files("extends-itself", &[("recipe.toml", b"extends = \"recipe.toml\"\n")]),
    files("extends-no-string", &[("recipe.toml", b"extends = [\"base.toml\"]\n")]),
    files("extends-folder", &[("recipe.toml", b"extends = \".\"\n")]),
    files("extends-error-in-base", &[
        ("recipe.toml", b"extends = \"base.toml\"\n[optimizer.sgd]\nlearning-rate = \"x\"\n"),
        ("base.toml", b"epochs = 3\nsed = 1\ndata.source = \"digits\"\ntask.classification.model = \"lenet\"\n[optimizer.sgd]\nlearning-rate = \"replaced\"\nmomentum = \"y\"\n"),
    ]),
    files("extends-base-does-not-parse", &[
        ("recipe.toml", b"extends = \"base.toml\"\nsed = 1\n"),
        ("base.toml", b"epochs = 3\n[data\n"),
    ]),
    files("extends-foreign-key-after-replacing", &[
        ("recipe.toml", b"extends = \"base.toml\"\n[optimizer.adam]\nmomentum = 0.8\n"),
        ("base.toml", b"epochs = 3\ndata.source = \"digits\"\ntask.classification.model = \"lenet\"\n[optimizer.sgd]\nlearning-rate = 0.1\nmomentum = 0.9\n"),
    ]),
    // Settings of the command line.
    set("set-wrong-key", &["optimizer.sgd.learing-rate=0.1"]),
    set("set-wrong-table", &["optimiser.sgd.learning-rate=0.1"]),
    set("set-key-of-deeper-table", &["learning-rate=0.1"]),
    set("set-wrong-type", &["epochs=ten"]),
    set("set-no-value", &["epochs"]),
    set("set-empty-value", &["epochs="]),
    set("set-no-key", &["=3"]),
    set("set-broken-list", &["data.augment=[1, 2"]),
    set("set-item-of-list", &["data.augment.0.rotate.degrees=5"]),
    set("set-unknown-variant", &["optimizer=adamw"]),
    set("set-extends", &["extends=other.toml"]),
    set("set-into-value", &["seed.x=1"]),
    // Text that is no TOML, and files that are no text.
    edit("toml-no-value", &[("epochs = 30", "epochs =")]),
    edit("toml-open-string", &[("source = { digits = {} }", "source = \"digits")]),
    edit("toml-open-header", &[("[warmup]", "[warmup")]),
    edit("toml-bare-word", &[("{ lenet = { dropout = 0.25 } }", "lenet")]),
    edit("toml-capital-true", &[("batch-size = 64", "shuffle = True")]),
    edit("toml-key-twice", &[("seed = 42", "seed = 42\nseed = 43")]),
    edit("toml-table-twice", &[("[warmup]", "[data]\nworkers = 2\n\n[warmup]")]),
    edit("toml-colon", &[("epochs = 30", "epochs: 30")]),
    edit("toml-open-list", &[("0.1 } }]", "0.1 } }")]),
    edit("toml-two-lines", &[("epochs = 30", "epochs 30"), ("momentum = 0.9", "momentum = ,")]),
    edit("text-windows-lines", &[("\n", "\r\n"), ("momentum", "momentom")]),
    edit("text-tabs", &[("momentum = 0.9", "\tmomentum\t=\t\"x\"\t# tabs")]),
    edit("text-wide-letters", &[("seed = 42", "name = \"数字の分類\"\nsed = 1"), ("digits = {} }", "folder = { path = \"データ\", größe = 3 } }")]),
    edit("text-control-letters", &[("seed = 42", "name = \"\u{1b}[31m\"")]),
    edit("text-direction-letters", &[("seed = 42", "sed = \"\u{202e}txet\"")]),
    edit("text-byte-order-mark", &[("# cargo", "\u{feff}sed = 1 # cargo")]),
    made("text-long-line", || {
        let list = "{ rotate = { degrees = 10 } }, ".repeat(200);
        VALID.replace("augment = [", &format!("augment = [{list}{{ rotate = {{ degres = 10 }} }}, {list}"))
    }),
    made("nested-too-deep-list", || format!("seed = {}1{}\n", "[".repeat(100_000), "]".repeat(100_000))),
    made("nested-too-deep-dotted", || format!("{} = 1\n", vec!["a"; 70].join("."))),
    made("errors-without-end", || {
        let lines: String = (0..500).map(|number| format!("unknown-{number} = 1\n")).collect();
        lines + VALID
    }),
    files("file-not-utf8", &[("recipe.toml", b"seed = 1\nname = \"caf\xe9 au lait\"\n")]),
];
