//! Checks beyond types: findings that a program adds to a recipe it has read, each at the place that is meant.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use crate::de::{Places, sort};
use crate::diagnostic::{Diagnostic, Diagnostics, Severity};
use crate::source::{Place, Source};

/// Where each value of a recipe is written: file, line and column of its key and of the value, by dotted path
/// (`data.source.idx.path`, `augment.0.rotate`). Values that are not written, because a default applies, have no place.
#[derive(Clone, Debug, Default)]
pub struct Tree {
    pub(crate) sources: Vec<Arc<Source>>,
    pub(crate) places: BTreeMap<String, Places>,
    pub(crate) damaged: BTreeSet<String>,
}

impl Tree {
    /// The paths of all values that are written, sorted.
    pub fn paths(&self) -> impl Iterator<Item = &str> {
        self.places
            .keys()
            .map(String::as_str)
            .filter(|path| !path.is_empty())
    }

    /// Where the key of the value at a path is written; `None` also for the items of a list.
    pub fn key_place(&self, path: &str) -> Option<&Place> {
        self.places.get(&plain(path))?.key.as_ref()
    }

    /// The place of the value at a path (of a table with a header, the header's), or of the nearest table around it that is
    /// written; and whether it is the value.
    pub fn nearest(&self, path: &str) -> Option<(&Place, bool)> {
        let whole = plain(path);
        let mut path = whole.as_str();
        loop {
            if let Some(places) = self.places.get(path) {
                return Some((&places.value, path == whole));
            }
            if path.is_empty() {
                return None;
            }
            path = path.rfind('.').map_or("", |dot| &path[..dot]);
        }
    }

    /// Whether the value at a path, one inside it or one around it was wrong, so that another stands in for it.
    pub fn is_damaged(&self, path: &str) -> bool {
        let path = plain(path);
        let inside = |outer: &str, inner: &str| {
            outer.is_empty()
                || inner
                    .strip_prefix(outer)
                    .is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
        };
        self.damaged
            .iter()
            .any(|damaged| inside(damaged, &path) || inside(&path, damaged))
    }
}

/// `augment[0].rotate` as `augment.0.rotate`.
fn plain(path: &str) -> String {
    path.replace('[', ".").replace(']', "")
}

/// Collects the findings of checks beyond types and points them at the recipe.
///
/// ```
/// # #[derive(serde::Deserialize)]
/// # #[serde(rename_all = "kebab-case")]
/// # struct Recipe { batch_size: usize }
/// let read = firesight_recipe::read_str::<Recipe>("batch-size = 0", "digits.toml", &[]).unwrap();
/// let mut checks = read.diagnostics();
/// if read.value.batch_size == 0 {
///     checks.error("batch-size", "`batch-size` must be at least 1", Some("a usual value is 64"));
/// }
/// let found = checks.finish().unwrap_err();
/// assert_eq!((found.0[0].line(), found.0[0].column()), (Some(1), Some(14)));
/// ```
#[derive(Clone, Debug)]
pub struct Checks<'t> {
    tree: &'t Tree,
    is_whole: bool,
    found: Vec<Diagnostic>,
}

impl<'t> Checks<'t> {
    pub(crate) fn new(tree: &'t Tree, is_whole: bool) -> Self {
        Self {
            tree,
            is_whole,
            found: Vec::new(),
        }
    }

    /// Whether the recipe was read without an error so far. Where it was not, parts of the value are stand-ins:
    /// checks of single values may go on (what they say of a damaged place is dropped), but those that open files or
    /// compare values far apart should not.
    pub fn is_whole(&self) -> bool {
        self.is_whole
    }

    /// The places of the recipe.
    pub fn tree(&self) -> &'t Tree {
        self.tree
    }

    /// Adds an error at a dotted path (`data.source.idx.path`, `""` for the recipe as a whole). Where no such value is
    /// written, it points at the nearest table around it.
    pub fn error(
        &mut self,
        path: &str,
        message: impl Into<String>,
        help: Option<&str>,
    ) -> &mut Self {
        self.add(Severity::Error, path, message.into(), help)
    }

    /// Adds a warning at a dotted path.
    pub fn warning(
        &mut self,
        path: &str,
        message: impl Into<String>,
        help: Option<&str>,
    ) -> &mut Self {
        self.add(Severity::Warning, path, message.into(), help)
    }

    /// Adds an error for each `(path, message)`, the paths being inside the table at `table`.
    pub fn errors(
        &mut self,
        table: &str,
        problems: impl IntoIterator<Item = (String, String)>,
    ) -> &mut Self {
        for (path, message) in problems {
            let path = match (table, path.as_str()) {
                (table, "") => table.to_owned(),
                ("", path) => path.to_owned(),
                (table, path) => format!("{table}.{path}"),
            };
            self.error(&path, message, None);
        }
        self
    }

    /// Shows a second place with the finding added last, and what stands beside its carets.
    pub fn related(&mut self, path: &str, label: impl Into<String>) -> &mut Self {
        if let (Some((place, _)), Some(found)) = (self.tree.nearest(path), self.found.last_mut()) {
            found.related.push((place.clone(), label.into()));
        }
        self
    }

    fn add(
        &mut self,
        severity: Severity,
        path: &str,
        message: String,
        help: Option<&str>,
    ) -> &mut Self {
        if self.tree.is_damaged(path) {
            return self;
        }
        let mut found = Diagnostic::new(severity, message);
        if let Some((place, exact)) = self.tree.nearest(path) {
            found.place = Some(place.clone());
            if !exact && place.span.is_some() {
                found.label = format!("`{path}` is not written, its default applies");
            }
        }
        found.help.extend(help.map(str::to_owned));
        self.found.push(found);
        self
    }

    /// The findings in the order of files and lines.
    pub fn into_diagnostics(mut self) -> Diagnostics {
        sort(&mut self.found, &self.tree.sources);
        Diagnostics(self.found)
    }

    /// Ends the checks.
    ///
    /// # Errors
    /// All findings, if one of them is an error; else they are given back as they are: warnings.
    pub fn finish(self) -> Result<Diagnostics, Diagnostics> {
        let found = self.into_diagnostics();
        if found.has_errors() {
            Err(found)
        } else {
            Ok(found)
        }
    }
}
