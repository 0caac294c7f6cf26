//! The recipe reference: every table that a recipe can have, in Markdown, from the schema of its type.
//!
//! What is said of a key is the doc comment of the field, what is allowed comes from its type, and the default is the one
//! that the schema states; so the reference cannot differ from what is read.

use std::collections::BTreeSet;
use std::fmt::Write;

use schemars::Schema;
use serde_json::{Map, Value};

use crate::path::bare;

/// The reference of a recipe type, the same text for the same schema; `schemars::schema_for!(Recipe)` makes the schema.
///
/// The type's own doc comment opens it. Then follows one section per table: `optimizer` with its variants in the order in
/// which they are declared, `optimizer.sgd` with its keys, those that are required first, else by name. A type that
/// stands in several places is described at the first, and the others link there.
pub fn docs(schema: &Schema, title: &str) -> String {
    let root = schema.as_value();
    let definitions = root.get("$defs").and_then(Value::as_object);
    let mut writer = Writer {
        definitions,
        text: format!("# {title}\n"),
        described: BTreeSet::new(),
    };
    writer.paragraph(description(root));
    writer.keys("", root);
    writer.text
}

struct Writer<'s> {
    definitions: Option<&'s Map<String, Value>>,
    text: String,
    /// Names of the types that have a section, with its heading.
    described: BTreeSet<(String, String)>,
}

/// A type as the reference needs it.
struct Kind<'s> {
    /// The name of its definition, if it has one.
    name: Option<&'s str>,
    schema: &'s Value,
}

/// One variant of an enum.
struct Variant<'s> {
    name: &'s str,
    about: &'s str,
    /// What stands inside; `None` for a variant that is a word.
    content: Option<&'s Value>,
}

impl<'s> Writer<'s> {
    fn paragraph(&mut self, text: &str) {
        if !text.is_empty() {
            let _ = write!(self.text, "\n{text}\n");
        }
    }

    /// Follows references, options and single-part compositions to the schema that says something.
    fn resolve(&self, mut schema: &'s Value) -> Kind<'s> {
        let mut name = None;
        for _ in 0..16 {
            if let Some(target) = schema.get("$ref").and_then(Value::as_str) {
                let target = target.rsplit('/').next().unwrap_or(target);
                let Some(found) = self.definitions.and_then(|all| all.get_key_value(target)) else {
                    break;
                };
                name = Some(found.0.as_str());
                schema = found.1;
                continue;
            }
            let parts = ["allOf", "anyOf", "oneOf"]
                .iter()
                .find_map(|key| schema.get(key)?.as_array());
            let Some(parts) = parts else { break };
            let mut real = parts
                .iter()
                .filter(|part| part.get("type").and_then(Value::as_str) != Some("null"));
            match (real.next(), real.next()) {
                (Some(only), None) if variant(only).is_none() => schema = only,
                _ => break,
            }
        }
        Kind { name, schema }
    }

    /// The variants of an externally tagged enum, or nothing for any other type.
    fn variants(&self, schema: &'s Value) -> Option<Vec<Variant<'s>>> {
        if let Some(words) = schema.get("enum").and_then(Value::as_array) {
            let word = |word: &'s Value| {
                Some(Variant {
                    name: word.as_str()?,
                    about: "",
                    content: None,
                })
            };
            return words.iter().map(word).collect();
        }
        let parts = schema
            .get("oneOf")
            .or_else(|| schema.get("anyOf"))?
            .as_array()?;
        let mut found = Vec::new();
        for part in parts
            .iter()
            .filter(|part| part.get("type").and_then(Value::as_str) != Some("null"))
        {
            if part.get("enum").is_some() {
                found.extend(self.variants(part)?);
            } else {
                found.push(variant(part)?);
            }
        }
        Some(found)
    }

    /// A table of the keys of a struct, then a section for each that is a table of its own.
    fn keys(&mut self, path: &str, schema: &'s Value) {
        let Some(properties) = schema
            .get("properties")
            .and_then(Value::as_object)
            .filter(|keys| !keys.is_empty())
        else {
            self.paragraph("No keys.");
            return;
        };
        let required: Vec<&str> = schema
            .get("required")
            .and_then(Value::as_array)
            .map(|names| names.iter().filter_map(Value::as_str).collect())
            .unwrap_or_default();
        self.text += "\n| Key | Type | Default | Meaning |\n|---|---|---|---|\n";
        // Whether a schema keeps the order of keys depends on a feature of `serde_json`, so it is not relied on.
        let mut properties: Vec<(&String, &Value)> = properties.iter().collect();
        properties.sort_by_key(|(key, _)| (!required.contains(&key.as_str()), *key));
        for (key, schema) in &properties {
            let default = match schema.get("default") {
                _ if required.contains(&key.as_str()) => "**required**".to_owned(),
                Some(Value::Null) | None => "-".to_owned(),
                Some(default) => format!("`{}`", literal(default)),
            };
            let about = match description(schema) {
                "" => description(self.resolve(schema).schema),
                about => about,
            };
            let kind = self.kind(schema);
            let _ = writeln!(
                self.text,
                "| `{}` | {} | {} | {} |",
                bare(key),
                cell(&kind),
                cell(&default),
                cell(about)
            );
        }
        for (key, schema) in properties {
            self.section(&join(path, key), schema);
        }
    }

    /// A section for a key whose value is a table or an enum; the items of a list have one too.
    fn section(&mut self, path: &str, schema: &'s Value) {
        let kind = self.resolve(schema);
        if let Some(items) = kind
            .schema
            .get("items")
            .filter(|_| is(kind.schema, "array"))
        {
            return self.section(&format!("{path}[]"), items);
        }
        if let Some(values) = kind
            .schema
            .get("additionalProperties")
            .filter(|values| values.is_object())
        {
            return self.section(&format!("{path}.<name>"), values);
        }
        let variants = self.variants(kind.schema);
        let is_struct = kind
            .schema
            .get("properties")
            .is_some_and(|keys| keys.as_object().is_some_and(|keys| !keys.is_empty()));
        if variants.is_none() && !is_struct {
            return;
        }
        if let Some(name) = kind.name {
            let same = self
                .described
                .iter()
                .find(|(known, _)| known == name)
                .map(|(_, path)| path.clone());
            if let Some(first) = same {
                let _ = write!(
                    self.text,
                    "\n## `{path}`\n\nAs [`{first}`](#{}).\n",
                    anchor(&first)
                );
                return;
            }
            self.described.insert((name.to_owned(), path.to_owned()));
        }
        let _ = write!(self.text, "\n## `{path}`\n");
        self.paragraph(description(kind.schema));
        match variants {
            None => self.keys(path, kind.schema),
            Some(variants) => self.enumeration(path, &variants),
        }
    }

    fn enumeration(&mut self, path: &str, variants: &[Variant<'s>]) {
        let key = path
            .trim_end_matches("[]")
            .rsplit('.')
            .next()
            .unwrap_or(path);
        let words = variants.iter().all(|variant| variant.content.is_none());
        let how = match (words, path.ends_with("[]")) {
            (true, _) => format!("One of these words, as `{key} = \"{}\"`.", variants.first().map_or("", |first| first.name)),
            (false, true) => "Each item is one of these, as a word where its keys have defaults, else as a table of one key.".to_owned(),
            (false, false) => format!("One of these, as `{key} = \"<name>\"` where its keys have defaults, else as `{key} = {{ <name> = ... }}`."),
        };
        self.paragraph(&how);
        self.text += "\n| Name | Content | Meaning |\n|---|---|---|\n";
        for variant in variants {
            let content = variant.content.map_or("-".to_owned(), |content| {
                self.content(&join(path, variant.name), content)
            });
            let about = match (variant.about, variant.content) {
                ("", Some(content)) => description(self.resolve(content).schema),
                (about, _) => about,
            };
            let _ = writeln!(
                self.text,
                "| `{}` | {} | {} |",
                bare(variant.name),
                cell(&content),
                cell(about)
            );
        }
        for variant in variants {
            if let Some(content) = variant.content {
                self.section(&join(path, variant.name), content);
            }
        }
    }

    fn content(&self, path: &str, schema: &'s Value) -> String {
        let kind = self.resolve(schema);
        match kind.schema.get("properties").and_then(Value::as_object) {
            Some(keys) if !keys.is_empty() => format!("[keys](#{})", anchor(path)),
            _ if is(kind.schema, "object") => "`{}`".to_owned(),
            _ => self.kind(schema),
        }
    }

    /// The type of a value in words, with its range.
    fn kind(&self, schema: &'s Value) -> String {
        let kind = self.resolve(schema);
        if let Some(variants) = self.variants(kind.schema) {
            let names: Vec<String> = variants
                .iter()
                .take(6)
                .map(|variant| format!("`{}`", variant.name))
                .collect();
            let more = if variants.len() > 6 { ", ..." } else { "" };
            return format!("one of {}{more}", names.join(", "));
        }
        let schema = kind.schema;
        if is(schema, "array") {
            let length =
                ["minItems", "maxItems"].map(|key| schema.get(key).and_then(Value::as_u64));
            let items = schema
                .get("items")
                .or_else(|| schema.get("prefixItems")?.get(0));
            let of = items
                .filter(|items| items.is_object())
                .map_or(String::new(), |items| format!(" of {}", self.kind(items)));
            return match length {
                [Some(least), Some(most)] if least == most => {
                    format!("list of {least}:{}", of.trim_start_matches(" of"))
                }
                _ => format!("list{of}"),
            };
        }
        if is(schema, "object") {
            return match schema
                .get("additionalProperties")
                .filter(|values| values.is_object())
            {
                Some(values) => format!("table of names, each with {}", self.kind(values)),
                None => "table".to_owned(),
            };
        }
        let base = match () {
            () if is(schema, "boolean") => return "`true` or `false`".to_owned(),
            () if is(schema, "string") => return "string".to_owned(),
            () if is(schema, "integer") => "whole number",
            () if is(schema, "number") => "number",
            () => return "any value".to_owned(),
        };
        let bound = |inclusive: &str, exclusive: &str, words: [&str; 2]| {
            let bound = |key, word: &str| {
                schema
                    .get(key)
                    .map(|bound| format!("{word} {}", literal(bound)))
            };
            bound(inclusive, words[0]).or_else(|| bound(exclusive, words[1]))
        };
        let least = bound("minimum", "exclusiveMinimum", ["at least", "above"]);
        let most = bound("maximum", "exclusiveMaximum", ["at most", "below"]);
        [Some(base.to_owned()), least, most]
            .into_iter()
            .flatten()
            .collect::<Vec<_>>()
            .join(", ")
    }
}

/// Reads a schema as a variant: a word, or a table of one required key.
fn variant(schema: &Value) -> Option<Variant<'_>> {
    let about = description(schema);
    if let Some(word) = schema.get("const").and_then(Value::as_str) {
        return Some(Variant {
            name: word,
            about,
            content: None,
        });
    }
    let properties = schema.get("properties")?.as_object()?;
    let required = schema.get("required")?.as_array()?;
    match (properties.iter().next(), properties.len(), required.len()) {
        (Some((name, content)), 1, 1) => Some(Variant {
            name,
            about,
            content: Some(content),
        }),
        _ => None,
    }
}

fn description(schema: &Value) -> &str {
    schema
        .get("description")
        .and_then(Value::as_str)
        .unwrap_or("")
        .trim()
}

/// Whether a schema allows values of a type; an option allows `null` too.
fn is(schema: &Value, kind: &str) -> bool {
    match schema.get("type") {
        Some(Value::String(name)) => name == kind,
        Some(Value::Array(names)) => names.iter().any(|name| name == kind),
        _ => false,
    }
}

/// A JSON value as it is written in TOML, in one line.
fn literal(value: &Value) -> String {
    match value {
        Value::Array(values) => format!(
            "[{}]",
            values.iter().map(literal).collect::<Vec<_>>().join(", ")
        ),
        Value::Object(entries) if entries.is_empty() => "{}".to_owned(),
        Value::Object(entries) => {
            let kept = entries.iter().filter(|(_, value)| !value.is_null());
            let entries: Vec<String> = kept
                .map(|(key, value)| format!("{} = {}", bare(key), literal(value)))
                .collect();
            format!("{{ {} }}", entries.join(", "))
        }
        // A 32-bit number is shown as it was written, without the digits of its 64-bit neighbour.
        Value::Number(number) => match number.as_f64() {
            Some(float) if number.is_f64() && f64::from(float as f32) == float => {
                format!("{:?}", float as f32)
            }
            Some(float) if number.is_f64() => format!("{float:?}"),
            _ => number.to_string(),
        },
        other => other.to_string(),
    }
}

fn join(path: &str, key: &str) -> String {
    if path.is_empty() {
        bare(key)
    } else {
        format!("{path}.{}", bare(key))
    }
}

/// The anchor that Markdown viewers give the heading of a path.
fn anchor(path: &str) -> String {
    path.chars()
        .filter(|c| c.is_alphanumeric() || *c == '-' || *c == '_')
        .flat_map(char::to_lowercase)
        .collect()
}

/// Text that fits into a cell of a table.
fn cell(text: &str) -> String {
    text.split_whitespace()
        .collect::<Vec<_>>()
        .join(" ")
        .replace('|', "\\|")
}
