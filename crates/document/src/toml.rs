//! Reads TOML. The library limits the depth.
//!
//! Numbers keep their digits and lose the underscores between them.

use std::ops::Range;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::{Content, DEEPEST, DocumentError, Entry, Node, Position, check_size, too_deep};

/// Reads a document in TOML.
///
/// # Errors
/// Why it cannot be read, with the position if it is known.
pub fn read(text: &str) -> Result<Node, DocumentError> {
    check_size(text)?;
    let later_lines = text.match_indices('\n').map(|(newline, _)| newline + 1);
    let reader = Reader { text, line_starts: std::iter::once(0).chain(later_lines).collect() };
    let table = DeTable::parse(text).map_err(|error| {
        // The text of the error itself repeats the line, and with it values.
        let position = error.span().map(|span| reader.position(&span));
        DocumentError::of_document(error.message()).at_position(position)
    })?;
    let position = Some(Position { line: 1, column: 1 });
    Ok(Node { position, content: reader.table(table.into_inner(), 1)? })
}

/// The length of the longest line in which columns are counted in characters, not in bytes.
const LONGEST_LINE: usize = 4096;

struct Reader<'text> {
    text: &'text str,
    /// Where each line starts.
    line_starts: Vec<usize>,
}

impl Reader<'_> {
    fn table(&self, table: DeTable<'_>, depth: usize) -> Result<Content, DocumentError> {
        let mut spans = Vec::new();
        let mut entries = Vec::new();
        for (key, value) in table {
            spans.push(key.span().start);
            let position = Some(self.position(&key.span()));
            entries.push(Entry { key: key.into_inner().into_owned(), position, value: self.value(value, depth + 1)? });
        }
        // The library sorts keys by name. Errors name the first one in the text.
        let mut in_order: Vec<(usize, Entry)> = spans.into_iter().zip(entries).collect();
        in_order.sort_by_key(|(start, _)| *start);
        Ok(Content::Mapping(in_order.into_iter().map(|(_, entry)| entry).collect()))
    }

    fn value(&self, value: Spanned<DeValue<'_>>, depth: usize) -> Result<Node, DocumentError> {
        let position = self.position(&value.span());
        let refused = |reason: &str| DocumentError::of_document(reason).at_position(Some(position));
        if depth > DEEPEST {
            return Err(refused(&too_deep()));
        }
        let content = match value.into_inner() {
            DeValue::String(text) => Content::Text(text.into_owned()),
            DeValue::Integer(number) => Content::Literal(number.to_string()),
            DeValue::Float(number) => Content::Literal(number.as_str().to_owned()),
            DeValue::Boolean(truth) => Content::Literal(truth.to_string()),
            DeValue::Datetime(_) => {
                return Err(refused("dates and times have no meaning here: put the text in quotes"));
            }
            DeValue::Array(values) => {
                Content::List(values.into_iter().map(|value| self.value(value, depth + 1)).collect::<Result<_, _>>()?)
            }
            DeValue::Table(table) => self.table(table, depth)?,
        };
        Ok(Node { position: Some(position), content })
    }

    fn position(&self, span: &Range<usize>) -> Position {
        let line = self.line_starts.partition_point(|start| *start <= span.start).max(1);
        let start = self.line_starts.get(line - 1).copied().unwrap_or(0);
        let before = self.text.get(start..span.start).unwrap_or_default();
        // Characters of a line that no editor shows are not counted one by one.
        let characters = if before.len() > LONGEST_LINE { before.len() } else { before.chars().count() };
        Position { line, column: characters + 1 }
    }
}
