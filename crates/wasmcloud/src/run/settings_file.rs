//! The settings file: TOML, whose keys are the names of the flags.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use toml::Spanned;
use toml::de::{DeTable, DeValue};
use wasmcloud_core::text::escaped;

use super::catalogue::{ALL, Setting, Shape};
use super::origin::{Given, Origin};
use crate::input;
use crate::outcome::{CommandError, CommandResult};

/// The file that is read if it is in the working folder.
const DEFAULT: &str = "wasmcloud.toml";

/// The size of the largest settings file.
const LARGEST: usize = 1024 * 1024;

/// A settings file that was read.
#[derive(Debug)]
pub(super) struct SettingsFile {
    path: PathBuf,
    given: BTreeMap<&'static str, Given>,
}

impl SettingsFile {
    /// Reads the file that is named, or else the one in the working folder, if there is one.
    ///
    /// # Errors
    /// `Failed` if it cannot be read, `Usage` if it is malformed. The text names the line.
    pub(super) fn find(named: Option<&Path>) -> CommandResult<Option<SettingsFile>> {
        let default = Path::new(DEFAULT);
        let Some(path) = named.or_else(|| default.is_file().then_some(default)) else { return Ok(None) };
        let bytes = input::read_secret(path, "the settings file", LARGEST)?;
        let text = std::str::from_utf8(&bytes)
            .map_err(|_| CommandError::Usage(format!("the settings file {} is not UTF-8", path.display())))?;
        SettingsFile::parse(path, text).map(Some)
    }

    /// Parses the text of a settings file.
    pub(super) fn parse(path: &Path, text: &str) -> CommandResult<SettingsFile> {
        let at = |offset: usize, reason: String| {
            let before = &text[..offset.min(text.len())];
            let line = before.matches('\n').count() + 1;
            CommandError::Usage(format!("the settings file {} is invalid: line {line}: {reason}", path.display()))
        };
        let table = DeTable::parse(text).map_err(|error| {
            // The text of the error would show the line, which may hold a secret.
            at(error.span().map_or(0, |span| span.start), error.message().to_owned())
        })?;
        let mut given = BTreeMap::new();
        for (key, value) in table.get_ref() {
            let setting = named(key.get_ref()).ok_or_else(|| at(key.span().start, unknown(key.get_ref())))?;
            let values = values(setting, value)
                .map_err(|reason| at(value.span().start, format!("{}: {reason}", setting.name)))?;
            given.insert(setting.name, Given { values, origin: Origin::File });
        }
        Ok(SettingsFile { path: path.to_owned(), given })
    }

    pub(super) fn into_parts(self) -> (PathBuf, BTreeMap<&'static str, Given>) {
        (self.path, self.given)
    }
}

fn named(key: &str) -> Option<&'static Setting> {
    ALL.iter().copied().find(|setting| setting.name == key)
}

/// Returns the error of a key that no setting has, with the setting that was probably meant.
fn unknown(key: &str) -> String {
    let written = key.to_ascii_lowercase().replace('_', "-");
    let meant = ALL.iter().map(|setting| setting.name).max_by(|one, other| {
        let likeness = |name: &str| strsim::jaro_winkler(name, &written);
        likeness(one).total_cmp(&likeness(other))
    });
    let key = escaped(key);
    match meant.filter(|name| strsim::jaro_winkler(name, &written) > 0.8) {
        Some(name) => format!("there is no setting {key}: did you mean {name}?"),
        None => format!("there is no setting {key}: wasmcloud run --help lists all"),
    }
}

/// Returns the values of a setting. No error repeats a value, which may be a secret.
fn values(setting: &Setting, value: &Spanned<DeValue<'_>>) -> Result<Vec<String>, &'static str> {
    match (setting.shape, value.get_ref()) {
        (Shape::Switch, DeValue::Boolean(is_on)) => Ok(vec![is_on.to_string()]),
        (Shape::Switch, _) => Err("it should be true or false"),
        (Shape::Value(_), value) => Ok(vec![text(value).ok_or("it should be a text or a number")?]),
        (Shape::List(_), DeValue::Array(array)) => {
            array.iter().map(|value| text(value.get_ref()).ok_or("its entries should be texts")).collect()
        }
        (Shape::List("KEY=VALUE"), DeValue::Table(table)) => table
            .iter()
            .map(|(key, value)| {
                let value = text(value.get_ref()).ok_or("its values should be texts or numbers")?;
                Ok(format!("{}={value}", key.get_ref()))
            })
            .collect(),
        (Shape::List(_), value) => Ok(vec![text(value).ok_or("it should be a list of texts")?]),
    }
}

fn text(value: &DeValue<'_>) -> Option<String> {
    match value {
        DeValue::String(text) => Some(text.clone().into_owned()),
        DeValue::Integer(number) if number.radix() == 10 => Some(number.as_str().to_owned()),
        DeValue::Boolean(is_on) => Some(is_on.to_string()),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(text: &str) -> String {
        match SettingsFile::parse(Path::new("wasmcloud.toml"), text) {
            Err(CommandError::Usage(text)) => text,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn numbers_texts_lists_and_tables_are_read() {
        let file =
            "rpc-port = 4223\nrpc-host = \"nats\"\nmanifest = [\"a.yaml\", \"b.yaml\"]\n[label]\nzone = \"cellar\"";
        let (_, given) = SettingsFile::parse(Path::new("x"), file).unwrap().into_parts();
        for (name, expected) in [
            ("rpc-port", &["4223"][..]),
            ("rpc-host", &["nats"]),
            ("manifest", &["a.yaml", "b.yaml"]),
            ("label", &["zone=cellar"]),
        ] {
            assert_eq!(given[name].values, expected, "{name}");
        }
    }

    #[test]
    fn errors_have_a_line_and_a_suggestion_and_no_secret() {
        for (text, expected) in [
            ("\nrpc_host = 'x'", "line 2: there is no setting rpc_host: did you mean rpc-host?"),
            ("RPC_SEED = 'hidden'", "did you mean rpc-seed?"),
            ("frobnicate = 1", "wasmcloud run --help"),
            ("\n\nwatch = 'hidden'", "line 3: watch: it should be true or false"),
            ("rpc-seed = { a = 'hidden' }", "rpc-seed: it should be a text"),
            ("rpc-seed = 'hidden", "line 1"),
            ("rpc-seed = 'hidden'\nrpc-seed = 'hidden'", "line 2"),
            ("manifest = [['hidden']]", "its entries should be texts"),
        ] {
            let said = refused(text);
            assert!(said.contains(expected) && !said.contains("hidden"), "{text}: {said}");
        }
    }
}
