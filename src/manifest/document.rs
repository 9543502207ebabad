//! The text of a manifest as a tree, whatever it is written in.
//!
//! Both formats are read into the same tree, so that one `schema` judges both, and so that no error of a library's repeats
//! what stands in the text: that may be a secret.

pub(super) mod json;
#[cfg(test)]
mod tests;
pub(super) mod yaml;

use std::collections::HashSet;
use std::fmt;

use super::printable;

/// How long a manifest may be, in bytes.
pub(super) const LARGEST_TEXT: usize = 1024 * 1024;

/// How much a manifest may become with aliases or variables expanded, in bytes.
pub(super) const LARGEST_CONTENT: usize = 8 * 1024 * 1024;

/// How deep lists and mappings may lie in each other. A manifest needs four levels.
const DEEPEST: usize = 16;

/// Something in a document, and where it begins.
#[derive(Debug, Clone)]
pub(super) struct Node {
    pub(super) place: Option<Place>,
    pub(super) content: Content,
}

/// What a document is made of.
#[derive(Debug, Clone)]
pub(super) enum Content {
    Nothing,
    Text(String),
    /// A number or a truth value, as it is written.
    Literal(String),
    List(Vec<Node>),
    Mapping(Vec<Entry>),
}

/// A key and what it holds.
#[derive(Debug, Clone)]
pub(super) struct Entry {
    pub(super) key: String,
    pub(super) place: Option<Place>,
    pub(super) value: Node,
}

/// A place in a text. Lines and columns are counted from one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Place {
    pub(super) line: usize,
    pub(super) column: usize,
}

/// What is wrong with a manifest, and where.
#[derive(Debug)]
pub(super) struct Fault {
    /// Such as `links[0].values.PORT`; nothing where the document as a whole is meant.
    key: String,
    place: Option<Place>,
    reason: String,
}

impl Node {
    /// Goes through all texts but keys, each with what it is called in errors.
    ///
    /// # Errors
    /// The first reason that `visit` gives, with the key and the place.
    pub(super) fn each_text(&mut self, visit: &mut dyn FnMut(&mut String) -> Result<(), String>) -> Result<(), Fault> {
        self.visit_texts(String::new(), visit)
    }

    fn visit_texts(
        &mut self,
        name: String,
        visit: &mut dyn FnMut(&mut String) -> Result<(), String>,
    ) -> Result<(), Fault> {
        match &mut self.content {
            Content::Text(text) => visit(text).map_err(|reason| Fault::at(name, reason).placed(self.place)),
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

    /// What it is called in errors.
    pub(super) fn kind(&self) -> &'static str {
        match self.content {
            Content::Nothing => "nothing",
            Content::Text(_) => "a text",
            Content::Literal(_) => "a number or truth value",
            Content::List(_) => "a list",
            Content::Mapping(_) => "a mapping",
        }
    }
}

impl Fault {
    pub(super) fn of_document(reason: impl Into<String>) -> Fault {
        Fault { key: String::new(), place: None, reason: reason.into() }
    }

    pub(super) fn at(key: impl Into<String>, reason: impl Into<String>) -> Fault {
        Fault { key: key.into(), place: None, reason: reason.into() }
    }

    pub(super) fn placed(self, place: Option<Place>) -> Fault {
        Fault { place, ..self }
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Fault { key, place, reason } = self;
        match (key.as_str(), place) {
            ("", None) => write!(f, "{reason}"),
            ("", Some(place)) => write!(f, "line {}, column {}: {reason}", place.line, place.column),
            (key, None) => write!(f, "{key}: {reason}"),
            (key, Some(place)) => write!(f, "{key} (line {}, column {}): {reason}", place.line, place.column),
        }
    }
}

/// What something inside of something is called.
pub(super) fn inner(name: &str, key: &str) -> String {
    let key = printable(key);
    if name.is_empty() { key } else { format!("{name}.{key}") }
}

/// The keys of a mapping that is being read.
#[derive(Default)]
struct Keys(HashSet<String>);

impl Keys {
    /// Refuses a key that is there already.
    fn add(&mut self, key: &str) -> Result<(), String> {
        if self.0.insert(key.to_owned()) {
            return Ok(());
        }
        Err(format!("the key {} is there twice", printable(key)))
    }
}

/// Why a text is refused that is longer than it may be.
pub(super) fn too_large() -> String {
    format!("it has more than {LARGEST_TEXT} bytes, and no manifest needs as many")
}

/// Refuses a text that is longer than it may be.
fn check_size(text: &str) -> Result<(), Fault> {
    if text.len() <= LARGEST_TEXT { Ok(()) } else { Err(Fault::of_document(too_large())) }
}

/// Why lists and mappings are refused that lie too deep in each other.
fn too_deep() -> String {
    format!("lists and mappings lie deeper in each other than {DEEPEST} levels")
}
