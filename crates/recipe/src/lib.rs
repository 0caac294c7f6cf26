//! TOML recipes read into serde types, with every error at once, each at its place.
//!
//! Any `T: DeserializeOwned` can be read; kebab-case structs and externally tagged enums are what the messages are
//! written for. Beyond what TOML and serde say:
//! - `extends = "base.toml"` lays a recipe over another one, its path being relative to the file it stands in. Tables
//!   are merged key by key, lists and other values are replaced. Where a recipe names another variant of an enum than
//!   its base, the base's variant is dropped with all its keys; where it names the same, their keys are merged.
//! - A `--set key.path=value` lies over the files, a later one over an earlier one. A value that is not TOML is a string.
//! - `model = "lenet"` is the variant `lenet` with the defaults of its content, as is `model.lenet = {}`. Laid over a
//!   base that sets keys of `lenet`, it drops them.
//! - A key that a struct does not have is an error, with or without `deny_unknown_fields`; an optional key can be left
//!   out but not set to nothing. A whole number is taken where one with a fraction is meant, never the other way round.
//!
//! # Example
//! ```
//! use serde::Deserialize;
//!
//! #[derive(Deserialize)]
//! #[serde(rename_all = "kebab-case", default)]
//! struct Sgd { learning_rate: f64, momentum: f64 }
//!
//! impl Default for Sgd {
//!     fn default() -> Self {
//!         Self { learning_rate: 0.1, momentum: 0.0 }
//!     }
//! }
//!
//! #[derive(Deserialize)]
//! #[serde(rename_all = "kebab-case")]
//! enum Optimizer { Sgd(Sgd) }
//!
//! #[derive(Deserialize)]
//! struct Recipe { epochs: usize, optimizer: Optimizer }
//!
//! let text = "epochs = \"ten\"\n\n[optimizer.sgd]\nlearning_rate = 0.05\n";
//! let found = firesight_recipe::read_str::<Recipe>(text, "digits.toml", &[]).err().unwrap();
//! assert_eq!(found.to_string(), "\
//! error: `epochs` must be a whole number of at least 0, but is the string \"ten\"
//!  --> digits.toml:1:10
//!   |
//! 1 | epochs = \"ten\"
//!   |          ^^^^^ expected a whole number of at least 0
//!
//! error: unknown key `learning_rate` in `optimizer.sgd`
//!  --> digits.toml:4:1
//!   |
//! 4 | learning_rate = 0.05
//!   | ^^^^^^^^^^^^^ unknown
//!   |
//!   = help: did you mean `learning-rate`?
//!   = allowed: learning-rate, momentum
//!
//! 2 errors
//! ");
//! ```

mod checks;
mod de;
mod diagnostic;
mod docs;
mod item;
mod layers;
mod path;
mod render;
mod source;
mod suggest;
mod syntax;
mod write;

use std::path::{Path, PathBuf};

use serde::de::DeserializeOwned;

pub use checks::{Checks, Tree};
pub use diagnostic::{Diagnostic, Diagnostics, Severity};
pub use docs::docs;
pub use render::RenderOptions;
pub use source::Place;
pub use suggest::nearest;
pub use write::{WriteError, to_toml, try_to_toml};

use layers::Layers;

/// A recipe that was read.
#[derive(Clone, Debug)]
pub struct Loaded<T> {
    /// What it says.
    pub value: T,
    /// Where it says it.
    pub tree: Tree,
    /// The files it was read from: the recipe itself, then the bases it extends.
    pub files: Vec<PathBuf>,
    /// Warnings of the checks given to [`read_checked`]; empty for [`read`].
    pub warnings: Diagnostics,
}

/// A value that no file says: findings have no place.
impl<T> From<T> for Loaded<T> {
    fn from(value: T) -> Self {
        Self {
            value,
            tree: Tree::default(),
            files: Vec::new(),
            warnings: Diagnostics(Vec::new()),
        }
    }
}

impl<T> Loaded<T> {
    /// Starts checks beyond types, whose findings point at this recipe.
    pub fn diagnostics(&self) -> Checks<'_> {
        Checks::new(&self.tree, true)
    }
}

/// Reads a recipe file, the bases it extends, and `overrides` (each `key.path=value`, from `--set`) over them.
///
/// # Errors
/// Everything that is wrong with it: files that cannot be read, text that is no TOML, unknown keys, values of a
/// wrong type or out of range, missing keys, variants that there are not or of which there are two.
pub fn read<T: DeserializeOwned>(
    path: &Path,
    overrides: &[String],
) -> Result<Loaded<T>, Diagnostics> {
    read_checked(path, overrides, |_, _| {})
}

/// As [`read`], with checks beyond types whose findings come together with those of the reading.
///
/// The checks are run even where there were errors, on a value that has defaults or stand-ins in place of what was
/// wrong; see [`Checks::is_whole`]. What they find at such a place is dropped.
///
/// # Errors
/// As [`read`], and the errors that the checks added.
pub fn read_checked<T, F>(
    path: &Path,
    overrides: &[String],
    check: F,
) -> Result<Loaded<T>, Diagnostics>
where
    T: DeserializeOwned,
    F: FnOnce(&T, &mut Checks<'_>),
{
    interpret(Layers::read(path, overrides), check)
}

/// Reads a recipe from a text; `name` stands for the file in messages, and a base is looked for beside it.
///
/// # Errors
/// As [`read`].
pub fn read_str<T: DeserializeOwned>(
    text: &str,
    name: &str,
    overrides: &[String],
) -> Result<Loaded<T>, Diagnostics> {
    read_str_checked(text, name, overrides, |_, _| {})
}

/// As [`read_str`], with checks as in [`read_checked`].
///
/// # Errors
/// As [`read_checked`].
pub fn read_str_checked<T, F>(
    text: &str,
    name: &str,
    overrides: &[String],
    check: F,
) -> Result<Loaded<T>, Diagnostics>
where
    T: DeserializeOwned,
    F: FnOnce(&T, &mut Checks<'_>),
{
    interpret(Layers::of_text(text, name, overrides), check)
}

fn interpret<T, F>(layers: Layers, check: F) -> Result<Loaded<T>, Diagnostics>
where
    T: DeserializeOwned,
    F: FnOnce(&T, &mut Checks<'_>),
{
    let Layers {
        items,
        sources,
        files,
        mut found,
        incomplete,
        ..
    } = layers;
    let context = de::Context::new(sources.clone(), incomplete);
    let value: Option<T> = de::read(&items, &context);
    found.extend(context.findings());
    let tree = Tree {
        sources,
        places: context.places.take(),
        damaged: context.damaged.take(),
    };
    if let Some(value) = &value {
        let mut checks = Checks::new(&tree, found.is_empty());
        check(value, &mut checks);
        found.extend(checks.into_diagnostics().0);
    }
    de::sort(&mut found, &tree.sources);
    let found = Diagnostics(found);
    match value {
        Some(value) if !found.has_errors() => Ok(Loaded {
            value,
            tree,
            files,
            warnings: found,
        }),
        _ => Err(found),
    }
}
