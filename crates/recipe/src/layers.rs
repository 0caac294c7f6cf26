//! The layers that a recipe is made of: the bases it extends, the file itself, and each `--set`, lowest first.

use std::io::Read;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::diagnostic::Diagnostic;
use crate::item::{self, Ids, Item, Value};
use crate::source::{Place, Source};
use crate::suggest;

/// The key that names the base of a recipe.
pub(crate) const EXTENDS: &str = "extends";

/// A recipe larger than this is taken for some other file.
const LARGEST: u64 = 16 << 20;

/// What was read, before it has any type.
#[derive(Debug, Default)]
pub(crate) struct Layers {
    /// Lowest first: the last base, ..., the file itself, the first `--set`, ...
    pub items: Vec<Item>,
    /// Every text in the order in which its findings are shown: the file itself first, then its bases, then the `--set`s.
    pub sources: Vec<Arc<Source>>,
    /// The files read, the recipe itself first.
    pub files: Vec<PathBuf>,
    /// What was wrong so far.
    pub found: Vec<Diagnostic>,
    /// Whether a layer could not be read, so that a missing key may stand in it.
    pub incomplete: bool,
    ids: Ids,
}

impl Layers {
    /// The layers of a recipe file.
    pub fn read(path: &Path, overrides: &[String]) -> Self {
        let mut layers = Self::default();
        match read_text(path) {
            Ok(text) => layers.chain(path, text, true),
            Err(found) => layers.fail([*found]),
        }
        layers.overrides(overrides);
        layers
    }

    /// The layers of a recipe that is no file; a base is looked for beside `name`.
    pub fn of_text(text: &str, name: &str, overrides: &[String]) -> Self {
        let mut layers = Self::default();
        layers.chain(Path::new(name), text.to_owned(), false);
        layers.overrides(overrides);
        layers
    }

    fn fail(&mut self, found: impl IntoIterator<Item = Diagnostic>) {
        self.found.extend(found);
        self.incomplete = true;
    }

    /// Reads a file and the bases it extends.
    fn chain(&mut self, path: &Path, text: String, is_file: bool) {
        let mut path = path.to_owned();
        let mut text = text;
        let mut seen: Vec<(PathBuf, String)> = Vec::new();
        if is_file {
            self.files.push(path.clone());
            seen.push((identity(&path), shown(&path)));
        }
        loop {
            let source = Arc::new(Source::new(shown(&path), text, false));
            self.sources.push(source.clone());
            let mut item = match item::parse(&source, &mut self.ids) {
                Ok(item) => item,
                Err(found) => return self.fail(found),
            };
            let base = take(&mut item, EXTENDS);
            self.items.insert(0, item);
            let Some(base) = base else { return };
            let Value::String(name) = &base.value else {
                let message = format!(
                    "`{EXTENDS}` must be the path of a recipe, but is {}",
                    base.value.describe()
                );
                return self.fail([Diagnostic::error(message).at(base.place)]);
            };
            let next = path.parent().unwrap_or(Path::new("")).join(name);
            let identity = identity(&next);
            if let Some(first) = seen.iter().position(|(seen, _)| *seen == identity) {
                let chain: Vec<&str> = seen[first..]
                    .iter()
                    .map(|(_, name)| name.as_str())
                    .collect();
                let message = format!(
                    "`{EXTENDS}` goes in a circle: {} -> {}",
                    chain.join(" -> "),
                    seen[first].1
                );
                let found = Diagnostic::error(message)
                    .at(base.place)
                    .label("leads back");
                return self.fail([found.help("a base must not extend a recipe that extends it")]);
            }
            text = match read_text(&next) {
                Ok(text) => text,
                Err(found) => {
                    let mut found = found.at(base.place);
                    found.message = format!("the base recipe cannot be read: {}", found.message);
                    return self.fail([found]);
                }
            };
            self.files.push(next.clone());
            seen.push((identity, shown(&next)));
            path = next;
        }
    }

    fn overrides(&mut self, overrides: &[String]) {
        for text in overrides {
            let source = Arc::new(Source::new("--set", text.as_str(), true));
            self.sources.push(source.clone());
            match parse_override(&source, &mut self.ids) {
                Ok(item) => self.items.push(item),
                Err(found) => self.fail(found),
            }
        }
    }
}

/// Removes an entry of a table.
fn take(item: &mut Item, name: &str) -> Option<Item> {
    let Value::Table(entries) = &mut item.value else {
        return None;
    };
    let position = entries.iter().position(|(key, _)| key == name)?;
    Some(entries.remove(position).1)
}

/// A `key.path=value`: the value is TOML, or else a string as it stands.
fn parse_override(source: &Arc<Source>, ids: &mut Ids) -> Result<Item, Vec<Diagnostic>> {
    let text = source.text.as_str();
    let whole = Place::new(source, 0..text.len());
    let wrong = |message: String| {
        let example = "write it as `--set key.path=value`, for example `--set epochs=10`";
        vec![Diagnostic::error(message).at(whole.clone()).help(example)]
    };
    let Some(equals) = equals_sign(text) else {
        return Err(wrong("a `--set` needs a key, `=` and a value".to_owned()));
    };
    // The keys are read as TOML reads them, at their own places in the text.
    let keys = Arc::new(Source::new("--set", format!("{}=0", &text[..equals]), true));
    let Ok(parsed) = item::parse(&keys, ids) else {
        return Err(wrong(format!("`{}` is not a key", text[..equals].trim())));
    };
    let mut path = Vec::new();
    let mut level = parsed.value;
    while let Value::Table(entries) = level {
        let mut entries = entries.into_iter();
        let (Some((key, item)), None) = (entries.next(), entries.next()) else {
            return Err(wrong("a `--set` sets one key".to_owned()));
        };
        path.push((
            key,
            item.key.and_then(|place| place.span).unwrap_or_default(),
        ));
        level = item.value;
    }
    if path.len() == 1 && path[0].0 == EXTENDS {
        let found = Diagnostic::error(format!("`{EXTENDS}` stands in a recipe, it cannot be set"));
        return Err(vec![found.at(whole)]);
    }

    let raw = &text[equals + 1..];
    let start = equals + 1 + (raw.len() - raw.trim_start().len());
    let range = start..start + raw.trim().len();
    let mut item = match item::parse_value(source, range.clone(), ids) {
        Some(item) => item?,
        None if raw.trim().starts_with(['[', '{', '"', '\'']) => {
            return Err(wrong(format!("`{}` is not a TOML value", raw.trim())));
        }
        None => {
            let value = Value::String(raw.trim().to_owned());
            Item {
                id: ids.next(),
                key: None,
                place: Place::new(source, range),
                value,
            }
        }
    };
    for (depth, (key, span)) in path.into_iter().rev().enumerate() {
        let place = Place::new(source, span);
        item.key = Some(place.clone());
        if depth > 0 {
            item.place = place.clone();
        }
        item = Item {
            id: ids.next(),
            key: None,
            place,
            value: Value::Table(vec![(key, item)]),
        };
    }
    item.place = whole;
    Ok(item)
}

/// The first `=` outside of quotes.
fn equals_sign(text: &str) -> Option<usize> {
    let mut quote = None;
    text.char_indices().find_map(|(at, c)| {
        match (quote, c) {
            (None, '=') => return Some(at),
            (None, '"' | '\'') => quote = Some(c),
            (Some(open), c) if open == c => quote = None,
            _ => {}
        }
        None
    })
}

/// The text of a file, or why it is none.
fn read_text(path: &Path) -> Result<String, Box<Diagnostic>> {
    let name = shown(path);
    let fail = |message: String| Err(Box::new(Diagnostic::error(message)));
    let mut bytes = Vec::new();
    let read =
        std::fs::File::open(path).and_then(|file| file.take(LARGEST + 1).read_to_end(&mut bytes));
    if path.is_dir() {
        return fail(format!("`{name}` is a folder, not a recipe"));
    }
    if let Err(error) = read {
        if error.kind() != std::io::ErrorKind::NotFound {
            return fail(format!("`{name}` cannot be read: {error}"));
        }
        let found = Diagnostic::error(format!("there is no file `{name}`"));
        return Err(Box::new(match similar_file(path) {
            Some(near) => found.help(format!("did you mean `{}`?", shown(&near))),
            None => found,
        }));
    }
    if bytes.len() as u64 > LARGEST {
        return fail(format!(
            "`{name}` is larger than {} MiB: that is no recipe",
            LARGEST >> 20
        ));
    }
    String::from_utf8(bytes).map_err(|error| {
        let valid = error.utf8_error().valid_up_to();
        let text = String::from_utf8_lossy(error.as_bytes()).into_owned();
        let source = Arc::new(Source::new(name.clone(), text, false));
        let place = Place::new(&source, valid..valid + '\u{fffd}'.len_utf8());
        let found = Diagnostic::error(format!("`{name}` is not text in UTF-8")).at(place);
        Box::new(found.label(format!("byte {valid} of the file starts no character")))
    })
}

/// The file in the same folder that was probably meant.
fn similar_file(path: &Path) -> Option<PathBuf> {
    let wanted = path.file_name()?.to_str()?;
    let parent = path.parent().unwrap_or(Path::new(""));
    let folder = if parent.as_os_str().is_empty() {
        Path::new(".")
    } else {
        parent
    };
    let mut names: Vec<String> = std::fs::read_dir(folder)
        .ok()?
        .filter_map(|entry| entry.ok()?.file_name().into_string().ok())
        .filter(|name| name.ends_with(".toml"))
        .collect();
    names.sort();
    let near = suggest::nearest(wanted, names.iter().map(String::as_str))?;
    Some(parent.join(near))
}

fn identity(path: &Path) -> PathBuf {
    path.canonicalize().unwrap_or_else(|_| path.to_owned())
}

/// A path as it is shown: with `/` everywhere, so that messages are the same on every system.
fn shown(path: &Path) -> String {
    let text = path.to_string_lossy();
    if cfg!(windows) {
        text.replace('\\', "/")
    } else {
        text.into_owned()
    }
}
