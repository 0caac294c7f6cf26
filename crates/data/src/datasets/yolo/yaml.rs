//! YAML as a tree of what is written, with lines: scalars stay text, so that a class called `no` or `1` is called so.

use saphyr_parser::{Event, Parser, ScalarStyle};

use crate::error::DataError;

/// A value and the line that it begins in.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Node {
    pub line: usize,
    pub value: Value,
}

#[derive(Clone, Debug, PartialEq)]
pub(super) enum Value {
    /// A word, number or quoted text.
    Text(String),
    /// Nothing, `~` or `null` without quotes, as it is written.
    Null(String),
    List(Vec<Node>),
    /// In the order of the file; keys are texts and occur once.
    Map(Vec<(Node, Node)>),
}

impl Node {
    /// What it is, for a message.
    pub fn kind(&self) -> String {
        match &self.value {
            Value::Text(text) => format!("`{text}`"),
            Value::Null(_) => "empty".into(),
            Value::List(_) => "a list".into(),
            Value::Map(_) => "a map".into(),
        }
    }

    /// The text of a scalar as it is written, that of a word for nothing too.
    pub fn text(&self) -> Option<&str> {
        match &self.value {
            Value::Text(text) | Value::Null(text) => Some(text),
            _ => None,
        }
    }

    pub fn is_null(&self) -> bool {
        matches!(self.value, Value::Null(_))
    }
}

/// What is open while a document is read.
enum Open {
    List(Vec<Node>),
    Map(Vec<(Node, Node)>, Option<Node>),
}

/// Reads the one document of a text. `shown` is how messages name the file.
///
/// # Errors
/// What is no YAML, with line and column; several documents, aliases, keys that are no words or occur twice.
pub(super) fn read(text: &str, shown: &str) -> Result<Node, DataError> {
    let wrong =
        |line: usize, reason: &str| Err(DataError::unreadable(format!("{shown}:{line}"), reason));
    let mut open: Vec<(usize, Open)> = Vec::new();
    let mut whole = None;
    for event in Parser::new_from_str(text) {
        let (event, span) = event.map_err(|error| {
            let at = error.marker();
            let place = format!("{shown}:{}:{}", at.line(), at.col() + 1);
            DataError::unreadable(place, format!("not YAML: {}", error.info()))
        })?;
        let line = span.start.line();
        let done = match event {
            Event::SequenceStart(..) => {
                open.push((line, Open::List(Vec::new())));
                continue;
            }
            Event::MappingStart(..) => {
                open.push((line, Open::Map(Vec::new(), None)));
                continue;
            }
            Event::SequenceEnd | Event::MappingEnd => match open.pop() {
                Some((line, Open::List(list))) => Node {
                    line,
                    value: Value::List(list),
                },
                Some((line, Open::Map(map, _))) => Node {
                    line,
                    value: Value::Map(map),
                },
                None => continue,
            },
            Event::Scalar(text, style, ..) => {
                let is_null = matches!(&*text, "" | "~" | "null" | "Null" | "NULL");
                let text = text.into_owned();
                let value = match is_null && style == ScalarStyle::Plain {
                    true => Value::Null(text),
                    false => Value::Text(text),
                };
                Node { line, value }
            }
            Event::Alias(_) => {
                return wrong(line, "an alias (`*`) is not read; write the value out");
            }
            Event::DocumentStart(_) if whole.is_some() => {
                return wrong(line, "a second document; one is read");
            }
            _ => continue,
        };
        match open.last_mut() {
            None => whole = Some(done),
            Some((_, Open::List(list))) => list.push(done),
            Some((_, Open::Map(map, key @ Some(_)))) => {
                map.extend(key.take().map(|key| (key, done)))
            }
            Some((_, Open::Map(map, key))) => {
                let Some(name) = done.text() else {
                    return wrong(line, &format!("the key is {}, not a word", done.kind()));
                };
                if let Some((first, _)) = map.iter().find(|(key, _)| key.text() == Some(name)) {
                    let first = first.line;
                    return wrong(
                        line,
                        &format!("the key `{name}` stands in line {first} already"),
                    );
                }
                *key = Some(done);
            }
        }
    }
    whole.ok_or_else(|| DataError::unreadable(shown, "the file is empty"))
}
