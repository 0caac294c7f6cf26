//! Findings as text, in the manner of rustc: place, source line, carets, help, what is allowed.

use std::fmt::{self, Write};

use unicode_width::UnicodeWidthChar;

use crate::diagnostic::{Diagnostic, Diagnostics, Severity};
use crate::source::Place;

/// How findings are written. The default is plain text, 100 columns wide.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RenderOptions {
    /// Whether ANSI color codes are written; off by default.
    pub color: bool,
    /// Columns that a source line or a list of allowed words may take, at least 40.
    pub width: usize,
}

impl Default for RenderOptions {
    fn default() -> Self {
        Self {
            color: false,
            width: 100,
        }
    }
}

const RED: &str = "1;31";
const YELLOW: &str = "1;33";
const BLUE: &str = "1;34";
const BOLD: &str = "1";

impl Diagnostics {
    /// The text of all findings, with color or another width if asked for.
    pub fn render(&self, options: &RenderOptions) -> String {
        diagnostics(self, options)
    }
}

impl fmt::Display for Diagnostics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.render(&RenderOptions::default()))
    }
}

impl fmt::Display for Diagnostic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&diagnostic(self, &RenderOptions::default()))
    }
}

/// Every finding, a blank line between two, and a last line that counts them if there are several.
fn diagnostics(all: &Diagnostics, options: &RenderOptions) -> String {
    let mut text: String = all
        .iter()
        .map(|found| diagnostic(found, options) + "\n")
        .collect();
    let count = |severity| {
        all.iter()
            .filter(|found| found.severity == severity)
            .count()
    };
    let counted: Vec<String> = [
        (count(Severity::Error), "error"),
        (count(Severity::Warning), "warning"),
    ]
    .into_iter()
    .filter(|(number, _)| *number > 0)
    .map(|(number, name)| format!("{number} {name}{}", if number == 1 { "" } else { "s" }))
    .collect();
    if all.0.len() > 1 {
        text += &counted.join(", ");
        text.push('\n');
    } else {
        text.pop();
    }
    text
}

/// One finding, ending in a line end.
fn diagnostic(found: &Diagnostic, options: &RenderOptions) -> String {
    let (name, color) = match found.severity {
        Severity::Error => ("error", RED),
        Severity::Warning => ("warning", YELLOW),
    };
    let paint = |code: &str, text: &str| match options.color {
        true if !text.is_empty() => format!("\u{1b}[{code}m{text}\u{1b}[0m"),
        _ => text.to_owned(),
    };
    let places = found
        .place
        .iter()
        .chain(found.related.iter().map(|(place, _)| place));
    let gutter = places
        .map(|place| place.line().to_string().len())
        .max()
        .unwrap_or(1);
    let bar = format!("{:gutter$} {}", "", paint(BLUE, "|"));

    let mut text = format!(
        "{}{}\n",
        paint(color, name),
        paint(BOLD, &format!(": {}", visible(&found.message)))
    );
    let first = found
        .place
        .iter()
        .map(|place| (place, &found.label, "-->", '^', color));
    let others = found
        .related
        .iter()
        .map(|(place, label)| (place, label, ":::", '-', BLUE));
    for (place, label, arrow, mark, color) in first.chain(others) {
        let Some(snippet) = Snippet::new(place, options.width.max(40)) else {
            let _ = writeln!(
                text,
                "{:gutter$}{} {}",
                "",
                paint(BLUE, arrow),
                visible(place.file())
            );
            continue;
        };
        let (line, column) = (place.line(), place.column());
        let _ = writeln!(
            text,
            "{:gutter$}{} {}:{line}:{column}",
            "",
            paint(BLUE, arrow),
            visible(place.file())
        );
        let number = paint(BLUE, &format!("{line:gutter$}"));
        let marks = format!("{} {label}", mark.to_string().repeat(snippet.marks));
        let _ = writeln!(
            text,
            "{bar}\n{number} {} {}",
            paint(BLUE, "|"),
            snippet.text
        );
        let _ = writeln!(
            text,
            "{bar} {:1$}{2}",
            "",
            snippet.indent,
            paint(color, marks.trim_end())
        );
    }
    let allowed = (!found.allowed.is_empty()).then(|| ("allowed", found.allowed.join(", ")));
    let help = found.help.iter().map(|help| ("help", help.clone()));
    for (position, (name, words)) in help.chain(allowed).enumerate() {
        if position == 0
            && found
                .place
                .as_ref()
                .is_some_and(|place| place.span.is_some())
        {
            let _ = writeln!(text, "{bar}");
        }
        let head = format!(
            "{:gutter$} {} {}: ",
            "",
            paint(BLUE, "="),
            paint(BOLD, name)
        );
        let indent = gutter + 5 + name.len();
        let lines = wrap(
            &visible(&words),
            options.width.max(40).saturating_sub(indent).max(20),
        );
        let _ = writeln!(text, "{head}{}", lines.join(&format!("\n{:indent$}", "")));
    }
    text.lines()
        .map(|line| line.trim_end().to_owned() + "\n")
        .collect()
}

/// The part of a source line that is shown, and where the marks stand under it.
struct Snippet {
    text: String,
    indent: usize,
    marks: usize,
}

impl Snippet {
    fn new(place: &Place, width: usize) -> Option<Self> {
        let span = place.span.clone()?;
        let (line, start) = place.source.line(place.line());
        // Cells: what each character is shown as, whether it belongs to the span.
        let cells: Vec<(String, bool)> = line
            .char_indices()
            .filter(|(_, c)| *c != '\u{feff}')
            .map(|(at, c)| (shown(c), (span.start..span.end).contains(&(start + at))))
            .collect();
        let widths: Vec<usize> = cells.iter().map(|(cell, _)| columns(cell)).collect();
        let first = cells.iter().position(|(_, inside)| *inside);
        let first = first.unwrap_or(if span.start <= start {
            0
        } else {
            place.column().saturating_sub(1).min(cells.len())
        });

        // A line that is too wide is shown from a third of the width before the span.
        let (mut from, mut to) = (0, cells.len());
        if widths.iter().sum::<usize>() > width {
            let mut before = 0;
            from = first;
            while from > 0 && before + widths[from - 1] <= width / 3 {
                from -= 1;
                before += widths[from];
            }
            let mut total = 0;
            to = from;
            while to < cells.len() && total + widths[to] <= width {
                total += widths[to];
                to += 1;
            }
        }
        let (head, tail) = (
            if from > 0 { "..." } else { "" },
            if to < cells.len() { "..." } else { "" },
        );
        let body: String = cells[from..to]
            .iter()
            .map(|(cell, _)| cell.as_str())
            .collect();
        let indent = head.len() + widths[from..first].iter().sum::<usize>();
        let inside = |index: &usize| cells[*index].1;
        let marks = (first..to)
            .take_while(inside)
            .map(|index| widths[index])
            .sum::<usize>()
            .max(1);
        Some(Self {
            text: format!("{head}{body}{tail}"),
            indent,
            marks,
        })
    }
}

/// A character as it is shown: tabs as four spaces, and nothing that moves the cursor or the direction of writing.
fn shown(c: char) -> String {
    match c {
        '\t' => "    ".to_owned(),
        c if c.is_control() || is_direction(c) => '\u{fffd}'.to_string(),
        c => c.to_string(),
    }
}

fn is_direction(c: char) -> bool {
    matches!(c, '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

fn visible(text: &str) -> String {
    text.chars()
        .map(|c| if c == '\n' { " ".to_owned() } else { shown(c) })
        .collect()
}

fn columns(text: &str) -> usize {
    text.chars().map(|c| c.width().unwrap_or(0)).sum()
}

fn wrap(text: &str, width: usize) -> Vec<String> {
    let mut lines = vec![String::new()];
    for word in text.split(' ') {
        let line = lines.last_mut().expect("there is always a line");
        if !line.is_empty() && columns(line) + 1 + columns(word) > width {
            lines.push(word.to_owned());
        } else {
            if !line.is_empty() {
                line.push(' ');
            }
            line.push_str(word);
        }
    }
    lines
}
