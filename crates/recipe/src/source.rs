//! The text of a recipe and positions in it: byte spans become lines and columns here and nowhere else.

use std::ops::Range;
use std::sync::Arc;

/// One text that settings come from: a recipe file, a base it extends, or one `--set`.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Source {
    /// The name shown before the line number: a path as the user wrote it, or `--set`.
    pub name: String,
    /// The whole text; bytes that are no UTF-8 have been replaced.
    pub text: String,
    /// True for a `--set`, whose bare words are strings.
    pub is_override: bool,
    /// Byte offset of the start of each line.
    lines: Vec<usize>,
}

impl Source {
    /// A source from its name and text.
    pub fn new(name: impl Into<String>, text: impl Into<String>, is_override: bool) -> Self {
        let text = text.into();
        let mut lines = vec![0];
        lines.extend(text.match_indices('\n').map(|(at, _)| at + 1));
        Self {
            name: name.into(),
            text,
            is_override,
            lines,
        }
    }

    /// Line (from 1) and column (from 1, counted in characters) of a byte offset. An offset past the end
    /// or inside a character is taken back to the nearest boundary.
    pub fn position(&self, offset: usize) -> (usize, usize) {
        let offset = self.boundary(offset);
        let line = self.lines.partition_point(|start| *start <= offset);
        let start = self.lines[line - 1];
        let skip = if line == 1 && self.text.starts_with('\u{feff}') {
            1
        } else {
            0
        };
        let column = self.text[start..offset]
            .chars()
            .count()
            .saturating_sub(skip);
        (line, column + 1)
    }

    /// The text of a line (from 1) without its end, and the byte offset at which it starts.
    pub fn line(&self, line: usize) -> (&str, usize) {
        let start = self.lines[line - 1];
        let end = self
            .lines
            .get(line)
            .map_or(self.text.len(), |next| next - 1);
        let text = &self.text[start..end];
        (text.strip_suffix('\r').unwrap_or(text), start)
    }

    /// The text of a span.
    pub fn slice(&self, span: &Range<usize>) -> &str {
        &self.text[self.boundary(span.start)..self.boundary(span.end.max(span.start))]
    }

    fn boundary(&self, offset: usize) -> usize {
        let mut offset = offset.min(self.text.len());
        while !self.text.is_char_boundary(offset) {
            offset -= 1;
        }
        offset
    }
}

/// A place in a recipe: a file, and where it is known the bytes of it that are meant.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    pub(crate) source: Arc<Source>,
    pub(crate) span: Option<Range<usize>>,
}

impl Place {
    pub(crate) fn new(source: &Arc<Source>, span: Range<usize>) -> Self {
        Self {
            source: source.clone(),
            span: Some(span),
        }
    }

    pub(crate) fn whole(source: &Arc<Source>) -> Self {
        Self {
            source: source.clone(),
            span: None,
        }
    }

    /// The file's name as shown, or `--set` for a setting from the command line.
    pub fn file(&self) -> &str {
        &self.source.name
    }

    /// The bytes meant, as offsets into the file; `None` where the file as a whole is meant.
    pub fn span(&self) -> Option<Range<usize>> {
        self.span.clone()
    }

    /// The line, from 1; 1 where the file as a whole is meant.
    pub fn line(&self) -> usize {
        self.span
            .as_ref()
            .map_or(1, |span| self.source.position(span.start).0)
    }

    /// The column, from 1, in characters; 1 where the file as a whole is meant.
    pub fn column(&self) -> usize {
        self.span
            .as_ref()
            .map_or(1, |span| self.source.position(span.start).1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn positions_count_characters_and_never_panic() {
        let source = Source::new("a", "ä = 1\r\nb = \"ö\"", false);
        assert_eq!(source.position(0), (1, 1));
        assert_eq!(
            source.position(1),
            (1, 1),
            "inside a character is its start"
        );
        assert_eq!(source.position(3), (1, 3));
        assert_eq!(source.position(8), (2, 1));
        assert_eq!(source.position(usize::MAX), (2, 8));
        assert_eq!(source.line(1).0, "ä = 1");
        assert_eq!(Source::new("a", "", false).position(0), (1, 1));
        assert_eq!(
            Source::new("a", "\u{feff}x", false).position(3),
            (1, 1),
            "the mark has no column"
        );
    }
}
