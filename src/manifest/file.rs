//! The files of manifests: their sizes and formats.

use std::fs::File;
use std::io::Read as _;
use std::path::Path;

use wasmcloud_core::error::{Error, ErrorKind, Result};

use super::document::{self, DocumentError, LARGEST_TEXT, Node};
use super::invalid;

/// Reads the text of a manifest, up to its largest size.
pub(super) fn read(path: &Path) -> Result<String> {
    let mut bytes = Vec::new();
    File::open(path).and_then(|file| file.take(LARGEST_TEXT as u64 + 1).read_to_end(&mut bytes)).map_err(|error| {
        Error::new(ErrorKind::Io, format!("cannot read the manifest {}", path.display())).caused_by(error)
    })?;
    String::from_utf8(bytes).map_err(|error| {
        // The limit may cut a character in two, so the size is checked first.
        let reason = match error.as_bytes().len() {
            length if length > LARGEST_TEXT => document::too_large(),
            _ => "it is not UTF-8".to_owned(),
        };
        invalid(Some(path), &DocumentError::of_document(reason), "")
    })
}

/// The mark that some editors write before the first character of a file.
const BYTE_ORDER_MARK: char = '\u{feff}';

/// The format of a manifest, by the extension of its file.
#[derive(Debug, Clone, Copy)]
pub(super) enum Format {
    Yaml,
    Json,
    Toml,
    /// JSON, because the extension belongs to no known format.
    JsonByDefault,
}

impl Format {
    /// Returns the format of a file.
    pub(super) fn of(path: &Path) -> Format {
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
    pub(super) fn read(self, text: &str) -> Result<Node, DocumentError> {
        let text = text.strip_prefix(BYTE_ORDER_MARK).unwrap_or(text);
        match self {
            Format::Yaml => document::yaml::read(text),
            Format::Toml => document::toml::read(text),
            Format::Json | Format::JsonByDefault => document::json::read(text),
        }
    }

    /// Returns a note for errors, in case the file was meant to be YAML.
    pub(super) fn note(self) -> &'static str {
        match self {
            Format::JsonByDefault => " (it was read as JSON: use the extension .yaml or .yml for YAML, .toml for TOML)",
            Format::Yaml | Format::Json | Format::Toml => "",
        }
    }
}
