//! Documents in YAML, JSON or TOML, such as manifests: read within limits, and with their keys checked.
//!
//! All formats are read into the same tree, so that one schema checks all of them. Errors are written here and not by a
//! library, because those of libraries repeat values, which may be secrets.
//!
//! # Layout
//! - [`read_text`], [`Format`]: files
//! - [`Node`], [`DocumentError`]: the tree of a document, and errors with keys and positions
//! - [`yaml`], [`json`], [`toml`]: the formats
//! - [`Expansion`]: expands `${VARIABLE:default}`
//! - [`Fields`], [`Field`]: the keys of a mapping, and the types of their values
//! - [`quantity`]: numbers with units

mod expansion;
mod fields;
mod file;
pub mod json;
pub mod quantity;
#[cfg(test)]
mod tests;
pub mod toml;
pub mod yaml;

use std::collections::HashSet;
use std::fmt;

use wasmcloud_core::entity::shorten;
use wasmcloud_core::text::escaped;

pub use expansion::{Expansion, Variables, environment};
pub use fields::{Field, Fields, closest, named_values, one_of, scalar, text, wrong};
pub use file::{Format, TextError, read_text};

/// The size of the largest document, in bytes.
pub const LARGEST_TEXT: usize = 1024 * 1024;

/// The size of the largest document after aliases or variables are expanded, in bytes.
const LARGEST_CONTENT: usize = 8 * 1024 * 1024;

/// How deep lists and mappings may nest. A manifest needs six levels.
const DEEPEST: usize = 16;

/// A value in a document, and the position where it begins, if it is known.
#[derive(Debug, Clone)]
pub struct Node {
    /// The position where it begins.
    pub position: Option<Position>,
    /// Its content.
    pub content: Content,
}

/// The content of a value.
#[derive(Debug, Clone)]
pub enum Content {
    /// No value.
    Nothing,
    /// A text.
    Text(String),
    /// A number or a boolean, as it is written.
    Literal(String),
    /// A list.
    List(Vec<Node>),
    /// A mapping, in the order of its keys in the text.
    Mapping(Vec<Entry>),
}

/// A key and its value.
#[derive(Debug, Clone)]
pub struct Entry {
    /// The key.
    pub key: String,
    /// The position where the key begins.
    pub position: Option<Position>,
    /// The value.
    pub value: Node,
}

/// A position in a text. Lines and columns begin at one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Position {
    /// The line.
    pub line: usize,
    /// The column, in characters.
    pub column: usize,
}

/// An error in a document, with its key and position.
#[derive(Debug)]
pub struct DocumentError {
    /// The key, such as `links[0].values.PORT`. Empty if the error concerns the document as a whole.
    key: String,
    position: Option<Position>,
    reason: String,
}

impl Node {
    /// Visits all values that are texts.
    ///
    /// # Errors
    /// The first reason that `visit` returns, with the key and the position.
    pub fn each_text(&mut self, visit: &mut dyn FnMut(&mut String) -> Result<(), String>) -> Result<(), DocumentError> {
        self.visit_texts(String::new(), visit)
    }

    fn visit_texts(
        &mut self,
        name: String,
        visit: &mut dyn FnMut(&mut String) -> Result<(), String>,
    ) -> Result<(), DocumentError> {
        match &mut self.content {
            Content::Text(text) => {
                visit(text).map_err(|reason| DocumentError::at(name, reason).at_position(self.position))
            }
            Content::List(nodes) => nodes
                .iter_mut()
                .enumerate()
                .try_for_each(|(number, node)| node.visit_texts(format!("{name}[{number}]"), visit)),
            Content::Mapping(entries) => {
                entries.iter_mut().try_for_each(|entry| entry.value.visit_texts(inner(&name, &entry.key), visit))
            }
            Content::Nothing | Content::Literal(_) => Ok(()),
        }
    }

    /// Returns the name of the value's type in errors.
    pub fn kind(&self) -> &'static str {
        match self.content {
            Content::Nothing => "empty",
            Content::Text(_) => "a text",
            Content::Literal(_) => "a number or boolean",
            Content::List(_) => "a list",
            Content::Mapping(_) => "a mapping",
        }
    }
}

impl DocumentError {
    /// Returns an error that concerns the document as a whole.
    pub fn of_document(reason: impl Into<String>) -> DocumentError {
        DocumentError { key: String::new(), position: None, reason: reason.into() }
    }

    /// Returns an error in the value of a key.
    pub fn at(key: impl Into<String>, reason: impl Into<String>) -> DocumentError {
        DocumentError { key: key.into(), position: None, reason: reason.into() }
    }

    /// Sets the position of the error.
    #[must_use]
    pub fn at_position(self, position: Option<Position>) -> DocumentError {
        DocumentError { position, ..self }
    }
}

impl std::error::Error for DocumentError {}

impl fmt::Display for DocumentError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let DocumentError { key, position, reason } = self;
        match (key.as_str(), position) {
            ("", None) => write!(f, "{reason}"),
            ("", Some(position)) => write!(f, "line {}, column {}: {reason}", position.line, position.column),
            (key, None) => write!(f, "{key}: {reason}"),
            (key, Some(position)) => write!(f, "{key} (line {}, column {}): {reason}", position.line, position.column),
        }
    }
}

/// Returns the full name of a key inside the value with this name.
pub fn inner(name: &str, key: &str) -> String {
    let key = printable(key);
    if name.is_empty() { key } else { format!("{name}.{key}") }
}

/// Returns a name for errors: shortened and escaped.
pub fn printable(name: &str) -> String {
    escaped(shorten(name)).into_owned()
}

/// The keys of a mapping that is being read.
#[derive(Debug, Default)]
struct Keys(HashSet<String>);

impl Keys {
    /// Adds a key.
    ///
    /// # Errors
    /// The reason, if the mapping has the key already.
    fn add(&mut self, key: &str) -> Result<(), String> {
        if self.0.insert(key.to_owned()) {
            return Ok(());
        }
        Err(format!("the key {} is repeated", printable(key)))
    }
}

/// Returns the reason for refusing a text that is too large.
fn too_large() -> String {
    format!("it is larger than the limit of {LARGEST_TEXT} bytes")
}

/// Checks the size of a text.
fn check_size(text: &str) -> Result<(), DocumentError> {
    if text.len() <= LARGEST_TEXT { Ok(()) } else { Err(DocumentError::of_document(too_large())) }
}

/// Returns the reason for refusing a document that nests too deep.
fn too_deep() -> String {
    format!("lists and mappings nest deeper than the limit of {DEEPEST} levels")
}
