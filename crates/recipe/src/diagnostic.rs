//! What is wrong with a recipe: one [`Diagnostic`] per finding, all of them in [`Diagnostics`].

use crate::source::Place;

/// Whether a finding stops the run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Severity {
    /// The recipe cannot be run.
    Error,
    /// The recipe can be run, but perhaps not as meant.
    Warning,
}

/// One finding: what is wrong, where, and what would be right.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Diagnostic {
    /// Whether it stops the run.
    pub severity: Severity,
    /// One line that says what is wrong and can be read alone.
    pub message: String,
    /// Where it is written; `None` where there is no file to point at.
    pub place: Option<Place>,
    /// What stands beside the carets; may be empty.
    pub label: String,
    /// Further places that belong to it, each with what stands beside its carets.
    pub related: Vec<(Place, String)>,
    /// What to do, a sentence each.
    pub help: Vec<String>,
    /// The words that would be allowed in its place; empty where that is not a matter of words.
    pub allowed: Vec<String>,
}

impl Diagnostic {
    /// A finding without a place.
    pub fn new(severity: Severity, message: impl Into<String>) -> Self {
        Self {
            severity,
            message: message.into(),
            place: None,
            label: String::new(),
            related: Vec::new(),
            help: Vec::new(),
            allowed: Vec::new(),
        }
    }

    pub(crate) fn error(message: impl Into<String>) -> Self {
        Self::new(Severity::Error, message)
    }

    pub(crate) fn at(mut self, place: Place) -> Self {
        self.place = Some(place);
        self
    }

    pub(crate) fn label(mut self, label: impl Into<String>) -> Self {
        self.label = label.into();
        self
    }

    pub(crate) fn help(mut self, help: impl Into<String>) -> Self {
        self.help.push(help.into());
        self
    }

    pub(crate) fn allowed<S: AsRef<str>>(mut self, allowed: impl IntoIterator<Item = S>) -> Self {
        self.allowed = allowed
            .into_iter()
            .map(|word| word.as_ref().to_owned())
            .collect();
        self
    }

    /// The name of the file, or `--set`.
    pub fn file(&self) -> Option<&str> {
        self.place.as_ref().map(Place::file)
    }

    /// The line, from 1.
    pub fn line(&self) -> Option<usize> {
        self.place.as_ref().map(Place::line)
    }

    /// The column, from 1, in characters.
    pub fn column(&self) -> Option<usize> {
        self.place.as_ref().map(Place::column)
    }
}

/// All findings of one reading, in the order of the files and lines.
///
/// As an error its text is every finding with its source line, so that printing it is all a program has to do.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Diagnostics(pub Vec<Diagnostic>);

impl Diagnostics {
    /// Whether one of them stops the run.
    pub fn has_errors(&self) -> bool {
        self.0.iter().any(|found| found.severity == Severity::Error)
    }

    /// Whether nothing was found.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The findings in order.
    pub fn iter(&self) -> std::slice::Iter<'_, Diagnostic> {
        self.0.iter()
    }
}

impl std::error::Error for Diagnostics {}
