//! The facts about a module, an archive or a key, as a table for people or as JSON for programs.

use std::fmt::Write;

use serde::Serialize;
use serde_json::{Map, Value, json};
use wasmcloud_claims::jwt::{Actor, CapabilityProvider, Claims};
use wasmcloud_core::text::escaped;
use zeroize::Zeroizing;

use crate::outcome::{CommandError, CommandResult};
use crate::time;

/// Facts in the order of output.
#[derive(Debug, Default)]
pub(crate) struct Description(Vec<Fact>);

#[derive(Debug)]
struct Fact {
    title: &'static str,
    field: &'static str,
    value: Value,
}

impl Description {
    /// Describes a signed module by its claims.
    pub(crate) fn of_actor(claims: &Claims<Actor>) -> Description {
        let mut description = Description::default();
        description.add("Kind", "kind", json!("actor"));
        description.add("Name", "name", json!(claims.name()));
        description.add_keys(claims);
        if let Some(metadata) = &claims.metadata {
            description.add("Capabilities", "capabilities", json!(metadata.caps.as_deref().unwrap_or_default()));
            description.add("Tags", "tags", json!(metadata.tags.as_deref().unwrap_or_default()));
            description.add("Alias", "call_alias", json!(metadata.call_alias));
            description.add("Revision", "revision", json!(metadata.rev));
            description.add("Version", "version", json!(metadata.ver));
        }
        description.add_validity(claims);
        if let Some(metadata) = &claims.metadata {
            description.add("Hash", "hash", json!(metadata.module_hash));
        }
        description
    }

    /// Describes a provider archive by its claims and targets.
    pub(crate) fn of_archive(claims: &Claims<CapabilityProvider>, targets: Vec<String>) -> Description {
        let mut description = Description::default();
        description.add("Kind", "kind", json!("provider"));
        description.add("Name", "name", json!(claims.name()));
        description.add_keys(claims);
        if let Some(metadata) = &claims.metadata {
            description.add("Contract", "contract_id", json!(metadata.capid));
            description.add("Vendor", "vendor", json!(metadata.vendor));
            description.add("Revision", "revision", json!(metadata.rev));
            description.add("Version", "version", json!(metadata.ver));
        }
        description.add_validity(claims);
        description.add("Targets", "targets", json!(targets));
        if let Some(metadata) = &claims.metadata {
            description.add("Hashes", "target_hashes", json!(metadata.target_hashes));
        }
        description
    }

    pub(crate) fn add(&mut self, title: &'static str, field: &'static str, value: Value) {
        self.0.push(Fact { title, field, value });
    }

    fn add_keys<T>(&mut self, claims: &Claims<T>) {
        self.add("Public key", "public_key", json!(claims.subject));
        self.add("Issuer", "issuer", json!(claims.issuer));
    }

    fn add_validity<T>(&mut self, claims: &Claims<T>) {
        self.add("Issued", "issued_at", json!(claims.issued_at));
        self.add("Valid from", "not_before", json!(claims.not_before));
        self.add("Valid until", "expires", json!(claims.expires));
    }

    /// Returns the description as text.
    pub(crate) fn to_text(&self, as_json: bool) -> Zeroizing<String> {
        if as_json { self.json() } else { self.table() }.into()
    }

    fn json(&self) -> String {
        let fields: Map<String, Value> =
            self.0.iter().map(|fact| (fact.field.to_owned(), fact.value.clone())).collect();
        escaped_json(&format!("{:#}\n", Value::Object(fields)))
    }

    fn table(&self) -> String {
        let width = self.0.iter().map(|fact| fact.title.len()).max().unwrap_or_default();
        let mut table = String::new();
        for fact in &self.0 {
            for (number, line) in fact.lines().iter().enumerate() {
                let title = if number == 0 { fact.title } else { "" };
                // Writing to a string does not fail.
                let _ = writeln!(table, "{title:width$}  {line}");
            }
        }
        table
    }
}

impl Fact {
    /// Returns the value as lines of a table. Values from tokens are untrusted, so invisible characters are escaped.
    fn lines(&self) -> Vec<String> {
        let lines = match &self.value {
            Value::Null => vec![],
            Value::Array(values) => values.iter().map(plain).collect(),
            Value::Object(fields) => fields.iter().map(|(name, value)| format!("{name} {}", plain(value))).collect(),
            Value::Number(seconds) if ["issued_at", "not_before", "expires"].contains(&self.field) => {
                vec![seconds.as_u64().map(time::format_date).unwrap_or_default()]
            }
            value => vec![plain(value)],
        };
        if lines.is_empty() {
            vec!["-".to_owned()]
        } else {
            lines.iter().map(|line| escaped(line).into_owned()).collect()
        }
    }
}

/// Returns a result as JSON in the form of its type. Invisible characters are escaped.
///
/// # Errors
/// `Failed` if it cannot be written.
pub(crate) fn json(result: &impl Serialize) -> CommandResult {
    written(serde_json::to_string_pretty(result))
}

/// Returns a result as JSON in one line.
///
/// # Errors
/// As [`json()`].
pub(crate) fn json_line(result: &impl Serialize) -> CommandResult {
    written(serde_json::to_string(result))
}

fn written(json: serde_json::Result<String>) -> CommandResult {
    let json = json.map_err(|error| CommandError::Failed(format!("the result cannot be written as JSON: {error}")))?;
    Ok(escaped_json(&format!("{json}\n")).into())
}

fn plain(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

/// Escapes invisible characters in JSON. They occur only in strings.
fn escaped_json(json: &str) -> String {
    let mut safe = String::with_capacity(json.len());
    for character in json.chars() {
        if matches!(character, '\n') || escaped(character.encode_utf8(&mut [0; 4])).len() == character.len_utf8() {
            safe.push(character);
            continue;
        }
        for unit in character.encode_utf16(&mut [0; 2]) {
            // Writing to a string does not fail.
            let _ = write!(safe, "\\u{unit:04x}");
        }
    }
    safe
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tokens_cannot_write_to_the_terminal() {
        let mut description = Description::default();
        description.add("Name", "name", json!("\u{1b}[2Jevil\nIssuer  me\u{202e}"));
        assert_eq!(description.table(), "Name  \\u{1b}[2Jevil\\nIssuer  me\\u{202e}\n");
    }

    #[test]
    fn json_has_the_same_values_without_invisible_characters() {
        let name = "\u{1b}[2J\u{9b}31m\u{7f}evil\n\u{202e}\u{e0041}é \\ \"";
        let mut description = Description::default();
        description.add("Name", "name", json!(name));
        let text = description.json();
        assert_eq!(escaped(text.trim_end()).replace("\\n", "\n"), text.trim_end().replace("\\n", "\n"));
        assert!(text.contains("\\u009b31m\\u007fevil\\n\\u202e\\udb40\\udc41é"), "{text}");
        assert_eq!(serde_json::from_str::<Value>(&text).unwrap(), json!({"name": name}));
    }

    #[test]
    fn absent_and_multiple_values_are_shown() {
        let mut description = Description::default();
        description.add("Tags", "tags", json!(["a", "b"]));
        description.add("Valid until", "expires", json!(null));
        assert_eq!(description.table(), "Tags         a\n             b\nValid until  -\n");
        assert_eq!(
            serde_json::from_str::<Value>(&description.json()).unwrap(),
            json!({"tags": ["a", "b"], "expires": null})
        );
    }
}
