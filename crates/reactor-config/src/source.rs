//! The text of one file, and places in it.

use std::fmt;
use std::ops::Range;
use std::path::Path;
use std::sync::{Arc, OnceLock};

use crate::secret;

/// The text of one file as it was read. Findings hold on to it, so they can be rendered after the file has changed.
pub struct Source {
    path: Arc<Path>,
    text: String,
    line_starts: Vec<usize>,
    masked: OnceLock<String>,
}

impl Source {
    /// Takes the text of the file at `path`. The path is only a name here; nothing is opened.
    pub fn new(path: &Path, text: &str) -> Arc<Self> {
        let line_starts = std::iter::once(0).chain(text.match_indices('\n').map(|(at, _)| at + 1)).collect();
        Arc::new(Self { path: Arc::from(path), text: text.to_owned(), line_starts, masked: OnceLock::new() })
    }

    /// Where it was read from.
    pub fn path(&self) -> &Arc<Path> {
        &self.path
    }

    /// The whole text, secrets included: never print it. See [`Self::masked`].
    pub fn text(&self) -> &str {
        &self.text
    }

    /// The text with the values of secret-like keys replaced by asterisks, byte for byte, so that places stay the same.
    pub fn masked(&self) -> &str {
        self.masked.get_or_init(|| secret::mask_toml(&self.text))
    }

    /// Line and column of a byte offset, both from 1. A column is a character.
    pub fn line_column(&self, offset: usize) -> (u32, u32) {
        let offset = self.floor(offset);
        let line = self.line_starts.partition_point(|&start| start <= offset);
        let start = self.line_starts[line - 1];
        let column = self.text[start..offset].chars().count() + 1;
        (u32::try_from(line).unwrap_or(u32::MAX), u32::try_from(column).unwrap_or(u32::MAX))
    }

    /// Byte range of the line (from 1), without its line feed; empty at the end if there is no such line.
    pub(crate) fn line_range(&self, line: u32) -> Range<usize> {
        let index = usize::try_from(line).unwrap_or(usize::MAX).saturating_sub(1);
        let Some(&start) = self.line_starts.get(index) else { return self.text.len()..self.text.len() };
        let end = self.line_starts.get(index + 1).map_or(self.text.len(), |next| next - 1);
        start..end
    }

    /// The nearest offset at or before `offset` that is inside the text and between two characters.
    pub(crate) fn floor(&self, offset: usize) -> usize {
        let mut offset = offset.min(self.text.len());
        while !self.text.is_char_boundary(offset) {
            offset -= 1;
        }
        offset
    }
}

impl fmt::Debug for Source {
    /// Only the name: the text may hold secrets.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Source").field("path", &self.path).field("bytes", &self.text.len()).finish()
    }
}

/// A range of bytes in a [`Source`].
#[derive(Clone, Debug)]
pub struct Location {
    /// The file.
    pub source: Arc<Source>,
    /// The bytes.
    pub span: Range<usize>,
}

impl Location {
    /// Line from 1.
    pub fn line(&self) -> u32 {
        self.source.line_column(self.span.start).0
    }

    /// Column from 1, in characters.
    pub fn column(&self) -> u32 {
        self.source.line_column(self.span.start).1
    }
}

impl fmt::Display for Location {
    /// `FILE:LINE:COLUMN`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (line, column) = self.source.line_column(self.span.start);
        write!(f, "{}:{line}:{column}", self.source.path.display())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_and_columns() {
        let source = Source::new(Path::new("x"), "ab\näöü = 1\n");
        assert_eq!(source.line_column(0), (1, 1));
        assert_eq!(source.line_column(2), (1, 3));
        assert_eq!(source.line_column(3), (2, 1));
        assert_eq!(source.line_column(7), (2, 3), "characters, not bytes");
        assert_eq!(source.line_column(8), (2, 3), "inside a character");
        assert_eq!(source.line_column(10_000), (3, 1));
        assert_eq!(&source.text()[source.line_range(2)], "äöü = 1");
        assert_eq!(source.line_range(9), 14..14);
    }
}
