//! Parsed TOML with the place of every key and value: what the `toml` crate's tree says, in a form that several files
//! can be laid over each other in.

use std::ops::Range;
use std::sync::Arc;

use toml::de::{DeTable, DeValue};

use crate::diagnostic::Diagnostic;
use crate::source::{Place, Source};
use crate::syntax;

/// Tables and lists may stand this deep inside each other; a recipe needs about ten levels.
pub(crate) const DEEPEST: usize = 64;

/// One value as written in one file.
#[derive(Debug)]
pub(crate) struct Item {
    /// Tells this item from every other of a reading.
    pub id: usize,
    /// The key it stands under; `None` for a file as a whole and for the items of a list.
    pub key: Option<Place>,
    /// The value itself; the header for a table that has one.
    pub place: Place,
    /// What is written.
    pub value: Value,
}

/// What is written at an [`Item`].
#[derive(Debug)]
pub(crate) enum Value {
    Bool(bool),
    Integer(i128),
    Float(f64),
    /// A number that is larger than any type holds, as it is written.
    Huge(String),
    String(String),
    Datetime(String),
    Array(Vec<Item>),
    /// Entries in the order in which they are written.
    Table(Vec<(String, Item)>),
}

impl Value {
    /// What a reader is told that was found: `the string "fast"`, `the number 3`, `a table`.
    pub fn describe(&self) -> String {
        match self {
            Self::Bool(value) => format!("`{value}`"),
            Self::Integer(value) => format!("the number {value}"),
            Self::Float(value) => format!("the number {value:?}"),
            Self::Huge(text) => format!("the number {}", cut(text)),
            Self::String(value) => format!("the string {}", quote(value)),
            Self::Datetime(value) => format!("the date {value}"),
            Self::Array(_) => "a list".to_owned(),
            Self::Table(entries) if entries.is_empty() => "an empty table".to_owned(),
            Self::Table(_) => "a table".to_owned(),
        }
    }
}

/// A string in quotes, cut where it is long.
pub(crate) fn quote(text: &str) -> String {
    format!("\"{}\"", cut(text))
}

fn cut(text: &str) -> String {
    let short: String = text.chars().take(40).collect();
    if short.len() < text.len() {
        short + "..."
    } else {
        short
    }
}

/// Counts the items of a reading.
#[derive(Debug, Default)]
pub(crate) struct Ids(usize);

impl Ids {
    pub fn next(&mut self) -> usize {
        self.0 += 1;
        self.0
    }
}

/// A document as an item; what does not parse, or nests too deep, is every finding of it.
pub(crate) fn parse(source: &Arc<Source>, ids: &mut Ids) -> Result<Item, Vec<Diagnostic>> {
    let (table, errors) = DeTable::parse_recoverable(&source.text);
    let mut found = syntax::findings(source, &errors);
    let mut reader = Reader {
        source,
        ids,
        shift: 0,
        too_deep: None,
        rest: Vec::new(),
    };
    let root = DeValue::Table(table.into_inner());
    let value = reader.value(root, 0);
    let id = reader.ids.next();
    reader.finish(&mut found);
    match found.is_empty() {
        true => Ok(Item {
            id,
            key: None,
            place: Place::whole(source),
            value,
        }),
        false => Err(found),
    }
}

/// A single value that stands at `range` of the source, as the value of a `--set`.
pub(crate) fn parse_value(
    source: &Arc<Source>,
    range: Range<usize>,
    ids: &mut Ids,
) -> Option<Result<Item, Vec<Diagnostic>>> {
    let value = DeValue::parse(&source.text[range.clone()]).ok()?;
    let mut reader = Reader {
        source,
        ids,
        shift: range.start,
        too_deep: None,
        rest: Vec::new(),
    };
    let value = reader.value(value.into_inner(), 1);
    let mut found = Vec::new();
    let id = reader.ids.next();
    reader.finish(&mut found);
    Some(match found.is_empty() {
        true => Ok(Item {
            id,
            key: None,
            place: Place::new(source, range),
            value,
        }),
        false => Err(found),
    })
}

struct Reader<'s> {
    source: &'s Arc<Source>,
    ids: &'s mut Ids,
    /// Where the parsed text starts in the source.
    shift: usize,
    too_deep: Option<Range<usize>>,
    /// Branches that were not read, taken apart without recursion.
    rest: Vec<DeValue<'s>>,
}

impl<'s> Reader<'s> {
    fn place(&self, span: Range<usize>) -> Place {
        Place::new(self.source, span.start + self.shift..span.end + self.shift)
    }

    fn value(&mut self, value: DeValue<'s>, depth: usize) -> Value {
        match value {
            DeValue::Boolean(value) => Value::Bool(value),
            DeValue::String(value) => Value::String(value.into_owned()),
            DeValue::Datetime(value) => Value::Datetime(value.to_string()),
            DeValue::Integer(value) => match i128::from_str_radix(value.as_str(), value.radix()) {
                Ok(value) => Value::Integer(value),
                Err(_) => Value::Huge(value.to_string()),
            },
            DeValue::Float(value) => match value.as_str().parse::<f64>() {
                Ok(number) if number.is_finite() || value.as_str().contains(['i', 'n']) => {
                    Value::Float(number)
                }
                _ => Value::Huge(value.to_string()),
            },
            DeValue::Array(values) => {
                let mut items = Vec::with_capacity(values.len());
                for value in values {
                    let span = value.span();
                    if self.descends(&span, depth) {
                        let value = self.value(value.into_inner(), depth + 1);
                        items.push(Item {
                            id: self.ids.next(),
                            key: None,
                            place: self.place(span),
                            value,
                        });
                    } else {
                        self.rest.push(value.into_inner());
                    }
                }
                Value::Array(items)
            }
            DeValue::Table(table) => {
                let mut entries = Vec::with_capacity(table.len());
                for (key, value) in table {
                    let (key_span, span) = (key.span(), value.span());
                    if self.descends(&key_span, depth) {
                        let value = self.value(value.into_inner(), depth + 1);
                        let (key_place, place) = (self.place(key_span), self.place(span));
                        let item = Item {
                            id: self.ids.next(),
                            key: Some(key_place),
                            place,
                            value,
                        };
                        entries.push((key.into_inner().into_owned(), item));
                    } else {
                        self.rest.push(value.into_inner());
                    }
                }
                entries.sort_by_key(|(_, item)| {
                    item.key
                        .as_ref()
                        .and_then(Place::span)
                        .map(|span| span.start)
                });
                Value::Table(entries)
            }
        }
    }

    fn descends(&mut self, span: &Range<usize>, depth: usize) -> bool {
        if depth >= DEEPEST {
            self.too_deep.get_or_insert_with(|| span.clone());
        }
        depth < DEEPEST
    }

    fn finish(mut self, found: &mut Vec<Diagnostic>) {
        if let Some(span) = self.too_deep.take() {
            let message =
                format!("tables and lists stand more than {DEEPEST} levels inside each other");
            // The parser's own limit and what follows from it say the same.
            found.clear();
            found.push(Diagnostic::error(message).at(self.place(span)));
        }
        while let Some(value) = self.rest.pop() {
            match value {
                DeValue::Array(values) => self
                    .rest
                    .extend(values.into_iter().map(|value| value.into_inner())),
                DeValue::Table(table) => self
                    .rest
                    .extend(table.into_iter().map(|(_, value)| value.into_inner())),
                _ => {}
            }
        }
    }
}
