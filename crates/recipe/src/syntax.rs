//! Text that is no TOML: what the parser says, in a recipe's words, and without the echoes of the first mistake.

use std::ops::Range;
use std::sync::Arc;

use crate::diagnostic::Diagnostic;
use crate::source::{Place, Source};

/// The findings for the parser's errors: one per line, none behind a bracket that is never closed.
pub(crate) fn findings(source: &Arc<Source>, errors: &[toml::de::Error]) -> Vec<Diagnostic> {
    let mut errors: Vec<(Range<usize>, &str)> = errors
        .iter()
        .map(|error| (error.span().unwrap_or(0..0), error.message()))
        .collect();
    errors.sort_by_key(|(span, _)| (span.start, span.end));
    let open = open_bracket(&source.text);
    let mut found = Vec::new();
    let mut last_line = 0;
    for (span, message) in errors {
        let line = source.position(span.start).0;
        if let Some(at) = open.filter(|at| *at < span.start) {
            let what = if source.text[at..].starts_with('[') {
                ("list", "]")
            } else {
                ("table", "}")
            };
            let message = format!(
                "not valid TOML: this {} is not closed by `{}`",
                what.0, what.1
            );
            found.push(
                Diagnostic::error(message)
                    .at(Place::new(source, at..at + 1))
                    .label("opened here"),
            );
            return found;
        }
        if line != last_line {
            last_line = line;
            found.push(finding(source, span, message));
        }
    }
    found
}

fn finding(source: &Arc<Source>, span: Range<usize>, message: &str) -> Diagnostic {
    let written = source.slice(&span).trim().to_owned();
    let (text, help) = if message.starts_with("string values must be quoted") && written.is_empty()
    {
        ("a value is missing".to_owned(), None)
    } else if message.starts_with("string values must be quoted") {
        (
            format!("`{written}` is no value"),
            Some(format!("if it is a string, write \"{written}\"")),
        )
    } else if message.starts_with("invalid boolean") {
        (
            format!("`{written}` is no value"),
            Some(format!("write `{}`", written.to_lowercase())),
        )
    } else if message.starts_with("invalid basic string, expected `\"`")
        || message.starts_with("invalid literal string, expected `'`")
    {
        ("this string is not closed on its line".to_owned(), None)
    } else if message.starts_with("key with no value") {
        (
            "a key has no value".to_owned(),
            Some("write `key = value`".to_owned()),
        )
    } else if message.starts_with("invalid unquoted key") && written.starts_with(':') {
        ("`:` stands where `=` should".to_owned(), None)
    } else if message.starts_with("invalid unquoted key") {
        (
            format!("a key with `{written}` must be quoted"),
            Some("bare keys have letters a to z, digits, `-` and `_`".to_owned()),
        )
    } else if message.starts_with("unclosed table") {
        ("this header is not closed by `]`".to_owned(), None)
    } else if message == "duplicate key" {
        (
            format!("`{written}` is given twice"),
            Some("keep one of them".to_owned()),
        )
    } else {
        (message.to_owned(), None)
    };
    let mut found =
        Diagnostic::error(format!("not valid TOML: {text}")).at(Place::new(source, span));
    found.help.extend(help);
    found
}

/// The outermost bracket of a value that is still open at the end of the text.
fn open_bracket(text: &str) -> Option<usize> {
    let bytes = text.as_bytes();
    let mut open: Vec<(usize, u8)> = Vec::new();
    let (mut is_header, mut line_starts) = (false, true);
    let mut at = 0;
    while at < bytes.len() {
        let next = match bytes[at] {
            b'\n' => {
                line_starts = true;
                if is_header {
                    open.clear();
                    is_header = false;
                }
                at += 1;
                continue;
            }
            b' ' | b'\t' | b'\r' => {
                at += 1;
                continue;
            }
            b'#' => at + text[at..].find('\n').unwrap_or(text.len() - at),
            b'"' | b'\'' => at + string_length(&bytes[at..]),
            opening @ (b'[' | b'{') => {
                is_header |= line_starts && open.is_empty() && opening == b'[';
                open.push((at, opening));
                at + 1
            }
            closing @ (b']' | b'}') => {
                let opening = if closing == b']' { b'[' } else { b'{' };
                if open.last().is_some_and(|(_, open)| *open == opening) {
                    open.pop();
                }
                is_header &= !open.is_empty();
                at + 1
            }
            _ => at + 1,
        };
        line_starts = false;
        at = next;
    }
    open.first().filter(|_| !is_header).map(|(at, _)| *at)
}

/// The length of the string that starts a text, up to the line's end where it is not closed.
fn string_length(text: &[u8]) -> usize {
    let quote = text[0];
    let triple = text.starts_with(&[quote; 3]);
    let mut at = if triple { 3 } else { 1 };
    while at < text.len() {
        match text[at] {
            b'\n' if !triple => return at,
            b'\\' if quote == b'"' && text.get(at + 1) != Some(&b'\n') => at += 1,
            c if c == quote && !triple => return at + 1,
            c if c == quote && text[at..].starts_with(&[quote; 3]) => return at + 3,
            _ => {}
        }
        at += 1;
    }
    text.len()
}

#[cfg(test)]
mod tests {
    use super::open_bracket;

    #[test]
    fn only_a_bracket_that_stays_open_is_found() {
        for (text, open) in [
            ("a = [1, 2]\n[b]\nc = { d = [] }", None),
            ("a = [1, 2\n[b]\nc = 1", Some(4)),
            ("a = { b = [1]\n[c]", Some(4)),
            (
                "a = \"[\" # [\nb = '['\nc = '''\n[\n'''\nd = \"\"\"\\\"[ \"\"\"",
                None,
            ),
            ("[a\nb = 1", None),
            ("[[a]]\nb = [\"x", Some(10)),
            ("a = ]\nb = \"\\", None),
        ] {
            assert_eq!(open_bracket(text), open, "{text}");
        }
    }
}
