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

/// The value as TOML, the same text for the same value. Options that hold nothing are left out.
///
/// # Errors
/// [`WriteError`] if the value is no struct, map or enum with content, if a list holds nothing (`None`), or if
/// a map's keys are neither strings, numbers nor truth values.
pub fn to_toml<T: Serialize + ?Sized>(value: &T) -> Result<String, WriteError> {
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
