//! Files with documents: their sizes and formats.

use std::fs::File;
use std::io::{self, Read as _};
use std::path::Path;

use super::{DocumentError, LARGEST_TEXT, Node, json, toml, too_large, yaml};

/// The mark that some editors write before the first character of a file.
const BYTE_ORDER_MARK: char = '\u{feff}';

/// Why the text of a file cannot be read.
#[derive(Debug)]
pub enum TextError {
    /// The file cannot be read.
    Unreadable(io::Error),
    /// It is larger than [`LARGEST_TEXT`], or is not UTF-8.
    Invalid(DocumentError),
}

/// Reads the text of a file, up to the largest size of a document. This blocks the calling thread.
///
/// # Errors
/// Why it cannot be read.
pub fn read_text(path: &Path) -> Result<String, TextError> {
    let mut bytes = Vec::new();
    File::open(path)
        .and_then(|file| file.take(LARGEST_TEXT as u64 + 1).read_to_end(&mut bytes))
        .map_err(TextError::Unreadable)?;
    String::from_utf8(bytes).map_err(|error| {
        // The limit may cut a character in two, so the size is checked first.
        let reason = match error.as_bytes().len() {
            length if length > LARGEST_TEXT => too_large(),
            _ => "it is not UTF-8".to_owned(),
        };
        TextError::Invalid(DocumentError::of_document(reason))
    })
}

/// The format of a document, by the extension of its file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// YAML.
    Yaml,
    /// JSON.
    Json,
    /// TOML.
    Toml,
    /// JSON, because the extension belongs to no known format.
    JsonByDefault,
}

impl Format {
    /// Returns the format of a file. It is YAML without an extension.
    pub fn of(path: &Path) -> Format {
        let Some(extension) = path.extension() else { return Format::Yaml };
        let is = |known: &str| extension.eq_ignore_ascii_case(known);
        if is("yaml") || is("yml") {
            Format::Yaml
        } else if is("json") {
            Format::Json
        } else if is("toml") {
            Format::Toml
        } else {
            Format::JsonByDefault
        }
    }

    /// Reads a document.
    ///
    /// # Errors
    /// Why it cannot be read, with the position if it is known.
    pub fn read(self, text: &str) -> Result<Node, DocumentError> {
        let text = text.strip_prefix(BYTE_ORDER_MARK).unwrap_or(text);
        match self {
            Format::Yaml => yaml::read(text),
            Format::Toml => toml::read(text),
            Format::Json | Format::JsonByDefault => json::read(text),
        }
    }

    /// Returns a note for errors, in case the file was meant to be YAML.
    pub fn note(self) -> &'static str {
        match self {
            Format::JsonByDefault => " (it was read as JSON: use the extension .yaml or .yml for YAML, .toml for TOML)",
            Format::Yaml | Format::Json | Format::Toml => "",
        }
    }
}
