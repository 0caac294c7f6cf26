//! What one reading knows: what was found so far, which items are left out, and where each value stands.
//!
//! Serde stops at its first error. So a reading is repeated: each pass records what it meets, leaves the item out (so
//! that its default applies) and starts again, until a pass goes through. Where something required is left out or
//! missing, a stand-in takes its place, and where no stand-in fits, the table around it is left out. Each pass
//! that fails changes one of these, so that there are at most as many passes as there are items.

use std::cell::{Cell, RefCell};
use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::sync::Arc;

use crate::diagnostic::Diagnostic;
use crate::item::Item;
use crate::path::Path;
use crate::source::{Place, Source};
use crate::suggest;

/// After this many findings the reading ends: they have one cause.
const MOST: usize = 50;

/// How an item that is wrong is passed over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Passed {
    /// As if it was not written.
    LeftOut,
    /// Something of the right type takes its place.
    StoodInFor,
}

/// Where a value stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Places {
    /// Its key.
    pub key: Option<Place>,
    /// The value itself.
    pub value: Place,
}

/// A required key that is not written.
#[derive(Clone, Debug, Default)]
pub(crate) struct Wanted {
    /// `a number`
    pub kind: Option<String>,
    /// The variants, where it is an enum.
    pub allowed: Vec<String>,
}

/// The name of a missing key, and the number of its finding if it has one.
pub(crate) type MissingKey = (&'static str, Option<usize>);

/// The state of one reading over all its passes.
#[derive(Debug, Default)]
pub(crate) struct Context {
    /// The files, in the order in which findings are shown.
    sources: Vec<Arc<Source>>,
    /// Whether a layer is missing, so that keys may be.
    incomplete: bool,
    /// Where each value that the last pass read stands, by its dotted path.
    pub places: RefCell<BTreeMap<String, Places>>,
    /// Dotted paths that are passed over; what their values say is not what is written.
    pub damaged: RefCell<BTreeSet<String>>,
    /// Set when the recipe as a whole cannot be read, or enough was found.
    pub ended: Cell<bool>,
    /// Whether there are more findings than are kept.
    more: Cell<bool>,
    changed: Cell<bool>,
    found: RefCell<Vec<Diagnostic>>,
    reported: RefCell<HashSet<(usize, String)>>,
    passed: RefCell<HashMap<usize, Passed>>,
    missing: RefCell<BTreeMap<usize, Vec<MissingKey>>>,
    /// The dotted paths of all keys of the structs met.
    known: RefCell<BTreeSet<String>>,
    unknown: RefCell<Vec<UnknownKey>>,
}

/// An unknown key without a near one beside it: perhaps it stands in the wrong table.
#[derive(Debug)]
struct UnknownKey {
    found: usize,
    key: String,
}

impl Context {
    pub fn new(sources: Vec<Arc<Source>>, incomplete: bool) -> Self {
        Self {
            sources,
            incomplete,
            ..Self::default()
        }
    }

    pub fn start_pass(&self) {
        self.places.borrow_mut().clear();
        self.changed.set(false);
    }

    /// Whether the last pass left something out that the next one will not meet.
    pub fn changed(&self) -> bool {
        self.changed.get()
    }

    /// Adds a finding and gives its number; nothing once there are enough.
    fn add(&self, found: Diagnostic) -> Option<usize> {
        let mut all = self.found.borrow_mut();
        if all.len() < MOST {
            all.push(found);
            return Some(all.len() - 1);
        }
        self.ended.set(true);
        self.more.set(true);
        None
    }

    /// Records a finding at an item, once.
    pub fn report(&self, item: &Item, kind: &str, found: Diagnostic) -> Option<usize> {
        let new = self
            .reported
            .borrow_mut()
            .insert((item.id, kind.to_owned()));
        if new { self.add(found) } else { None }
    }

    /// Records a key that the table at `path` does not have.
    pub fn unknown_key(
        &self,
        path: &Path,
        key: &str,
        item: &Item,
        allowed: &'static [&'static str],
    ) {
        let near = suggest::nearest(key, allowed.iter().copied());
        let message = format!("unknown key `{key}` {}", path.within());
        let place = item.key.clone().unwrap_or_else(|| item.place.clone());
        let mut found = Diagnostic::error(message).at(place).allowed(allowed);
        match near {
            Some(near) => {
                found = found
                    .label("unknown")
                    .help(format!("did you mean `{near}`?"))
            }
            None if allowed.is_empty() => {
                found = found.label("unknown").help("this table has no keys")
            }
            None => found = found.label("unknown"),
        }
        if let Some(index) = self.report(item, "unknown", found) {
            match near {
                // What was mistyped is not missing too.
                Some(near) => drop(
                    self.reported
                        .borrow_mut()
                        .insert((item.id, format!("meant {near}"))),
                ),
                None => self.unknown.borrow_mut().push(UnknownKey {
                    found: index,
                    key: key.to_owned(),
                }),
            }
        }
    }

    /// Whether one of these unknown items was taken for a mistyped `name`.
    pub fn was_meant<'a>(&self, items: impl IntoIterator<Item = &'a Item>, name: &str) -> bool {
        let reported = self.reported.borrow();
        items
            .into_iter()
            .any(|item| reported.contains(&(item.id, format!("meant {name}"))))
    }

    pub fn know(&self, path: &Path, keys: &'static [&'static str]) {
        let mut known = self.known.borrow_mut();
        known.extend(keys.iter().map(|key| path.key(key).dotted()));
    }

    /// How an item is passed over, if it is.
    pub fn passed(&self, item: &Item) -> Option<Passed> {
        self.passed.borrow().get(&item.id).copied()
    }

    /// Leaves an item out of the next pass.
    pub fn leave_out(&self, item: &Item, path: &Path) {
        if path.is_top() {
            self.ended.set(true);
        }
        if self
            .passed
            .borrow_mut()
            .insert(item.id, Passed::LeftOut)
            .is_none()
        {
            self.changed.set(true);
            self.damaged.borrow_mut().insert(path.dotted());
        }
    }

    /// Puts a stand-in where an item was left out; whether it was.
    pub fn stand_in(&self, item: &Item) -> bool {
        let mut passed = self.passed.borrow_mut();
        let left_out = passed.get(&item.id) == Some(&Passed::LeftOut);
        if left_out {
            passed.insert(item.id, Passed::StoodInFor);
            self.changed.set(true);
        }
        left_out
    }

    /// Records a required key that is not written in a table; whether that is new.
    pub fn missing_key(
        &self,
        table: &Item,
        path: &Path,
        name: &'static str,
        found: Option<Diagnostic>,
    ) -> bool {
        if self
            .missing_keys(table)
            .iter()
            .any(|(known, _)| *known == name)
        {
            return false;
        }
        let index = found
            .filter(|_| !self.incomplete)
            .and_then(|found| self.add(found));
        self.missing
            .borrow_mut()
            .entry(table.id)
            .or_default()
            .push((name, index));
        self.damaged.borrow_mut().insert(path.key(name).dotted());
        self.changed.set(true);
        true
    }

    /// The keys that are known to be missing in a table, each with the number of its finding.
    pub fn missing_keys(&self, table: &Item) -> Vec<MissingKey> {
        self.missing
            .borrow()
            .get(&table.id)
            .cloned()
            .unwrap_or_default()
    }

    /// Completes the finding of a key that is missing in the table at `path` by what was wanted there.
    pub fn wanted(&self, found: usize, path: &Path, name: &str, wanted: Wanted) {
        let found = &mut self.found.borrow_mut()[found];
        if !found.help.is_empty() {
            return;
        }
        let place = if path.is_top() {
            " above the first `[table]`"
        } else {
            ""
        };
        found.help.push(match wanted.kind.as_deref() {
            Some("a table") if path.is_top() => format!("add a table `[{name}]`"),
            Some("a variant") if path.is_top() => format!("add a table `[{name}.<name>]`"),
            Some("a variant") | None => format!("add `{name} = ...`{place}"),
            Some(kind) => format!("add `{name} = ...` with {kind}{place}"),
        });
        found.allowed = wanted.allowed;
    }

    /// All findings in the order of files and lines, completed by what the whole reading showed.
    pub fn findings(&self) -> Vec<Diagnostic> {
        let mut found = self.found.take();
        let known = self.known.borrow();
        for unknown in self.unknown.borrow().iter() {
            let found = &mut found[unknown.found];
            let elsewhere: Vec<&String> = known
                .iter()
                .filter(|path| path.rsplit('.').next() == Some(unknown.key.as_str()))
                .collect();
            let help = match elsewhere.as_slice() {
                [path] if !path.contains('.') => {
                    format!(
                        "`{path}` is a key of the top level: it stands above the first `[table]`"
                    )
                }
                [path] => format!("did you mean `{path}`?"),
                _ => continue,
            };
            found.help = vec![help];
        }
        if self.more.get() {
            let message = format!("there are more than {MOST} errors, the others are not shown");
            found.push(Diagnostic::error(message));
        }
        sort(&mut found, &self.sources);
        found
    }
}

/// Sorts findings by file and line; those without a place stand last.
pub(crate) fn sort(found: &mut [Diagnostic], sources: &[Arc<Source>]) {
    let rank = |place: &Place| {
        sources
            .iter()
            .position(|source| Arc::ptr_eq(source, &place.source))
    };
    found.sort_by_key(|found| match &found.place {
        Some(place) => (0, rank(place), place.span.as_ref().map(|span| span.start)),
        None => (1, None, None),
    });
}
