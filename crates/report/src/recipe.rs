//! The recipe as text: colored for the page, and flattened for comparing runs.

use std::collections::BTreeMap;

use serde::Serialize;

/// A stretch of a line with its kind: `key`, `table`, `string`, `value`, `comment` or none.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub(crate) struct Token {
    pub kind: &'static str,
    pub text: String,
}

/// The lines of a TOML text in colored stretches. The texts joined are the input again.
pub(crate) fn highlight(text: &str) -> Vec<Vec<Token>> {
    text.lines().map(line).collect()
}

fn line(line: &str) -> Vec<Token> {
    let token = |kind, text: &str| Token {
        kind,
        text: text.to_string(),
    };
    let trimmed = line.trim_start();
    if trimmed.is_empty() {
        return Vec::new();
    }
    if trimmed.starts_with('#') {
        return vec![token("comment", line)];
    }
    if trimmed.starts_with('[') && !line.contains('=') {
        return vec![token("table", line)];
    }
    let mut tokens = Vec::new();
    let mut rest = line;
    while !rest.is_empty() {
        let first = rest.chars().next().unwrap_or(' ');
        let (kind, length) = match first {
            '#' => ("comment", rest.len()),
            '"' | '\'' => ("string", string_end(rest, first)),
            c if c.is_alphanumeric() || "_-+.".contains(c) => {
                let end = |c: char| !(c.is_alphanumeric() || "_-+.:".contains(c));
                let length = rest.find(end).unwrap_or(rest.len());
                let is_key = rest[length..].trim_start().starts_with('=');
                (if is_key { "key" } else { "value" }, length)
            }
            _ => {
                let end = |c: char| c.is_alphanumeric() || "_-+.\"'#".contains(c);
                ("", rest.find(end).unwrap_or(rest.len()))
            }
        };
        tokens.push(token(kind, &rest[..length]));
        rest = &rest[length..];
    }
    tokens
}

/// Length of the string that `rest` begins with, quotes included.
fn string_end(rest: &str, quote: char) -> usize {
    let mut escaped = false;
    for (at, c) in rest.char_indices().skip(1) {
        match c {
            _ if escaped => escaped = false,
            '\\' if quote == '"' => escaped = true,
            _ if c == quote => return at + 1,
            _ => {}
        }
    }
    rest.len()
}

/// Every value of a TOML text by its dotted key: `optimizer.sgd.momentum` is `0.9`,
/// `data.augment[0].rotate.degrees` is `10`. Tables without entries are `{}`.
///
/// # Errors
/// The parser's message where the text is not TOML.
pub(crate) fn flatten(text: &str) -> Result<BTreeMap<String, String>, String> {
    let table: toml::Table = text
        .parse()
        .map_err(|error: toml::de::Error| error.to_string())?;
    let mut flat = BTreeMap::new();
    walk("", &toml::Value::Table(table), &mut flat);
    Ok(flat)
}

fn walk(key: &str, value: &toml::Value, flat: &mut BTreeMap<String, String>) {
    match value {
        toml::Value::Table(table) if !table.is_empty() => {
            for (name, value) in table {
                let dotted = if key.is_empty() {
                    name.clone()
                } else {
                    format!("{key}.{name}")
                };
                walk(&dotted, value, flat);
            }
        }
        toml::Value::Array(items)
            if items.iter().any(|item| item.is_table() || item.is_array()) =>
        {
            for (index, item) in items.iter().enumerate() {
                walk(&format!("{key}[{index}]"), item, flat);
            }
        }
        _ => {
            flat.insert(key.to_string(), show(value));
        }
    }
}

fn show(value: &toml::Value) -> String {
    match value {
        toml::Value::String(text) => text.clone(),
        toml::Value::Integer(value) => value.to_string(),
        toml::Value::Float(value) => value.to_string(),
        toml::Value::Boolean(value) => value.to_string(),
        toml::Value::Datetime(value) => value.to_string(),
        toml::Value::Array(items) => format!(
            "[{}]",
            items.iter().map(show).collect::<Vec<_>>().join(", ")
        ),
        toml::Value::Table(_) => "{}".into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn coloring_changes_no_character() {
        let text = "# a recipe\nname = \"a \\\" # b\" # c\n[data]\naugment = [{ rotate = { degrees = -1.5e3 } }, 'ü']\n  \nopen = \"never closed\n";
        for (tokens, line) in highlight(text).iter().zip(text.lines()) {
            let joined: String = tokens.iter().map(|token| token.text.as_str()).collect();
            assert_eq!(joined, line.trim_end_matches(|_| line.trim().is_empty()));
        }
        let tokens = highlight(text).remove(1);
        let kinds: Vec<_> = tokens.iter().map(|token| token.kind).collect();
        assert_eq!(kinds, ["key", "", "string", "", "comment"]);
    }

    #[test]
    fn values_are_found_by_dotted_key() {
        let text = "seed = 42\n[data]\nsource = { digits = {} }\naugment = [{ rotate = { degrees = 10 } }]\nmean = [0.5, 0.25]\n[optimizer.sgd]\nnesterov = true\n";
        let flat = flatten(text).unwrap();
        let expected = [
            ("data.augment[0].rotate.degrees", "10"),
            ("data.mean", "[0.5, 0.25]"),
            ("data.source.digits", "{}"),
            ("optimizer.sgd.nesterov", "true"),
            ("seed", "42"),
        ];
        assert_eq!(
            flat,
            expected.map(|(k, v)| (k.to_string(), v.to_string())).into()
        );
        assert!(flatten("= 1").is_err());
    }
}
