//! A recipe written back as TOML: the resolved recipe of a run, itself a recipe that can be run.
//!
//! Keys stand in the order in which the types declare them, those of maps sorted. A table that holds nothing but
//! one other table has no header of its own (`[optimizer.sgd]`, not `[optimizer]` before it), and one that is short and
//! stands beside plain values is written on one line (`source = { digits = {} }`).

mod tree;

use serde::Serialize;

use crate::path::bare;
use tree::{Builder, Tree};

/// Why a value cannot be written as TOML.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("cannot be written as TOML: {0}")]
pub struct WriteError(String);

impl serde::ser::Error for WriteError {
    fn custom<T: std::fmt::Display>(message: T) -> Self {
        Self(message.to_string())
    }
}

/// Inline tables up to this many columns stay on one line.
const WIDTH: usize = 88;

/// A recipe as TOML, the same text for the same value. Options that hold nothing are left out.
///
/// # Panics
/// Where [`try_to_toml`] has an error, which is a mistake in the type: no value that was read from TOML has one.
pub fn to_toml<T: Serialize + ?Sized>(recipe: &T) -> String {
    try_to_toml(recipe).unwrap_or_else(|error| panic!("the type of this recipe {error}"))
}

/// As [`to_toml`], for values of any type.
///
/// # Errors
/// [`WriteError`] if the value is no struct, map or enum with content, if a list holds nothing (`None`), or if
/// a map's keys are neither strings, numbers nor truth values.
pub fn try_to_toml<T: Serialize + ?Sized>(value: &T) -> Result<String, WriteError> {
    let Some(Tree::Table(entries)) = value.serialize(Builder)? else {
        return Err(WriteError("a recipe is a table".to_owned()));
    };
    let mut text = String::new();
    table(&mut text, &[], &entries);
    Ok(text)
}

type Entries = [(String, Tree)];

/// Writes the entries of a table: values first, then the tables that have headers.
fn table(text: &mut String, path: &[String], entries: &Entries) {
    let with_header = |(_, value): &&(String, Tree)| has_header(path, value, entries.len());
    for (key, value) in entries.iter().filter(|entry| !with_header(entry)) {
        let key = bare(key);
        let line = format!("{key} = {}", inline(value));
        match value {
            Tree::Array(values) if line.chars().count() > WIDTH => {
                *text += &format!("{key} = [\n");
                values
                    .iter()
                    .for_each(|value| *text += &format!("    {},\n", inline(value)));
                *text += "]\n";
            }
            _ => *text += &format!("{line}\n"),
        }
    }
    for (key, value) in entries.iter().filter(with_header) {
        let Tree::Table(inner) = value else { continue };
        let path: Vec<String> = path.iter().cloned().chain([bare(key)]).collect();
        let leads_on =
            matches!(inner.as_slice(), [(_, Tree::Table(_))]) && has_header(&path, &inner[0].1, 1);
        if !leads_on {
            if !text.is_empty() {
                text.push('\n');
            }
            *text += &format!("[{}]\n", path.join("."));
        }
        table(text, &path, inner);
    }
}

/// Whether a value is written under a header of its own: in the table at `path`, one of `siblings` values.
fn has_header(path: &[String], value: &Tree, siblings: usize) -> bool {
    let Tree::Table(_) = value else { return false };
    match (path.len(), siblings) {
        // `[warmup]`, and `[optimizer.sgd]`, where the variant makes up the whole table.
        (0, _) | (1, 1) => true,
        _ => inline(value).chars().count() > WIDTH - 20,
    }
}

fn inline(value: &Tree) -> String {
    match value {
        Tree::Bool(value) => value.to_string(),
        Tree::Number(text) => text.clone(),
        Tree::String(text) => string(text),
        Tree::Array(values) => format!(
            "[{}]",
            values.iter().map(inline).collect::<Vec<_>>().join(", ")
        ),
        Tree::Table(entries) if entries.is_empty() => "{}".to_owned(),
        Tree::Table(entries) => {
            let entry =
                |(key, value): &(String, Tree)| format!("{} = {}", bare(key), inline(value));
            format!(
                "{{ {} }}",
                entries.iter().map(entry).collect::<Vec<_>>().join(", ")
            )
        }
    }
}

/// A string in TOML's basic quotes.
fn string(text: &str) -> String {
    let mut quoted = String::from("\"");
    for c in text.chars() {
        match c {
            '"' => quoted += "\\\"",
            '\\' => quoted += "\\\\",
            '\n' => quoted += "\\n",
            '\r' => quoted += "\\r",
            '\t' => quoted += "\\t",
            c if c.is_control() => quoted += &format!("\\u{:04X}", u32::from(c)),
            c => quoted.push(c),
        }
    }
    quoted + "\""
}

#[cfg(test)]
mod tests {
    use std::collections::{BTreeMap, HashMap};

    use serde::{Deserialize, Serialize};

    use super::*;

    #[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
    #[serde(rename_all = "kebab-case")]
    enum Shape {
        Dot,
        Circle(f32),
        Box(u8, u8),
        Path { points: Vec<[i64; 2]> },
    }

    #[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
    struct All {
        text: String,
        wide: u64,
        small: f32,
        floats: Vec<f64>,
        nothing: Option<u8>,
        letter: char,
        shapes: Vec<Shape>,
        names: HashMap<String, i8>,
        numbers: BTreeMap<u16, Option<bool>>,
        deep: BTreeMap<String, BTreeMap<String, Vec<Shape>>>,
    }

    #[test]
    fn every_kind_of_value_comes_back() {
        let path = Shape::Path {
            points: vec![[i64::MIN, i64::MAX]; 5],
        };
        let value = All {
            text: "a \"quote\", a \\, a tab\t, a line\n\r\u{7f}\u{1}, é, 数".to_owned(),
            wide: u64::MAX,
            small: 0.1,
            floats: vec![
                0.1,
                -0.0,
                1e16,
                1e-7,
                5.0,
                f64::MAX,
                f64::MIN_POSITIVE,
                f64::INFINITY,
                f64::NEG_INFINITY,
            ],
            nothing: None,
            letter: '"',
            shapes: vec![
                Shape::Dot,
                Shape::Circle(2.0),
                Shape::Box(1, 2),
                path.clone(),
            ],
            names: [
                ("z".to_owned(), 1),
                ("a b".to_owned(), -1),
                ("m.n".to_owned(), 0),
            ]
            .into(),
            numbers: [(7, Some(true)), (30, Some(false))].into(),
            deep: [("x".to_owned(), [("y".to_owned(), vec![path])].into())].into(),
        };
        let text = to_toml(&value);
        let read = crate::read_str::<All>(&text, "all.toml", &[])
            .unwrap_or_else(|found| panic!("{found}\n{text}"));
        assert_eq!(read.value, value, "{text}");
        assert_eq!(to_toml(&read.value), text);
        assert!(
            text.contains("small = 0.1\n")
                && text.contains("floats = [\n    0.1,\n    -0.0,\n    1e16,"),
            "{text}"
        );
        assert!(
            text.contains("[names]\n\"a b\" = -1\n\"m.n\" = 0\nz = 1\n"),
            "{text}"
        );
    }

    #[test]
    fn what_toml_cannot_say_is_an_error() {
        assert!(try_to_toml(&3).is_err());
        assert!(try_to_toml("word").is_err());
        assert!(try_to_toml(&BTreeMap::from([("list", vec![Some(1), None])])).is_err());
        assert!(try_to_toml(&BTreeMap::from([([1, 2], 3)])).is_err());
    }
}
