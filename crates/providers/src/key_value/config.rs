//! What the values of a link mean.

use std::collections::HashMap;
use std::fmt;
use std::path::PathBuf;

use redis::{ConnectionInfo, IntoConnectionInfo};
use wasmcloud_core::text::escaped;

use super::super::link_values::{LinkValueNames, LinkValues};
use super::error::KeyValueError;
use super::payloads::{KeyValueOperation, KeyValueResponse};

/// Where the embedded store is without a value that says so.
const DEFAULT_FILE: &str = "keyvalue.redb";

/// The value of `PATH` for a store without a file.
const IN_MEMORY_PATH: &str = ":memory:";

const DEFAULT_KEY_LIMIT: usize = 4 * 1024;
const MAX_KEY_LIMIT: usize = 64 * 1024;
const DEFAULT_VALUE_LIMIT: usize = 8 * 1024 * 1024;

/// What fits a message to an actor, with some room for what is in it beside the value.
const MAX_VALUE_LIMIT: usize = 63 * 1024 * 1024;

/// What stands between a prefix and the actor's own key. No prefix holds one, so no prefix and key look like another
/// prefix with another key.
const SEPARATOR: char = ':';

/// What a prefix has in the place of the actor's public key.
const ACTOR_PLACEHOLDER: &str = "{actor}";

const LINK_VALUE_NAMES: LinkValueNames =
    LinkValueNames { known: &["PATH", "URL", "CA_FILE", "PREFIX", "KEY_LIMIT", "VALUE_LIMIT"], without_effect: &[] };

/// A link's values, read.
pub(super) struct KeyValueConfig {
    pub(super) backend: BackendConfig,
    pub(super) keyspace: Keyspace,
    /// Whether the values name a store at all.
    pub(super) is_default: bool,
}

/// Where keys are kept.
pub(super) enum BackendConfig {
    Embedded(StoreLocation),
    Redis { server: Box<ConnectionInfo>, ca_file: Option<PathBuf> },
}

/// Where an embedded store is.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) enum StoreLocation {
    Memory,
    File(PathBuf),
}

impl fmt::Display for StoreLocation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            StoreLocation::Memory => f.write_str("memory"),
            StoreLocation::File(path) => f.write_str(&escaped(&path.to_string_lossy())),
        }
    }
}

impl KeyValueConfig {
    /// Reads the values of an actor's link.
    ///
    /// # Errors
    /// A text that names the value which cannot be read. It does not repeat a `URL`, which may hold a password.
    pub(super) fn from_link_values(actor: &str, values: &HashMap<String, String>) -> Result<KeyValueConfig, String> {
        let values = LinkValues::check(values, LINK_VALUE_NAMES)?;
        let ca_file = read_ca_file(values)?;
        let backend = match (values.get("URL"), values.get("PATH")) {
            (Some(_), Some(_)) => {
                return Err(
                    "the values URL and PATH exclude each other: URL names a Redis server, PATH the file of the \
                            embedded store"
                        .to_owned(),
                );
            }
            (Some(url), None) => BackendConfig::Redis { server: Box::new(parse_server(url)?), ca_file },
            (None, Some(IN_MEMORY_PATH)) => BackendConfig::Embedded(StoreLocation::Memory),
            (None, path) => BackendConfig::Embedded(StoreLocation::File(path.unwrap_or(DEFAULT_FILE).into())),
        };
        let is_default = !values.has("URL") && !values.has("PATH");
        Ok(KeyValueConfig { backend, keyspace: Keyspace::from_link_values(actor, values)?, is_default })
    }
}

fn read_ca_file(values: LinkValues<'_>) -> Result<Option<PathBuf>, String> {
    let path = values.get("CA_FILE").map(PathBuf::from);
    let has_tls = values.get("URL").is_some_and(|url| url.starts_with("rediss://"));
    if path.is_some() && !has_tls {
        return Err("the value CA_FILE is for a Redis server with TLS, and there is no URL that begins with rediss://"
            .to_owned());
    }
    Ok(path)
}

fn parse_server(url: &str) -> Result<ConnectionInfo, String> {
    if !url.starts_with("redis://") && !url.starts_with("rediss://") {
        return Err("the value URL is none of a Redis server, which begins with redis:// or rediss://".to_owned());
    }
    // The reason is one of a few fixed texts of the library.
    url.into_connection_info().map_err(|error| format!("the value URL cannot be read: {}", error.category()))
}

/// What is one link's among what else is in its store.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Keyspace {
    /// What each key begins with, the separator included.
    prefix: String,
    key_limit: usize,
    value_limit: usize,
}

impl Keyspace {
    fn from_link_values(actor: &str, values: LinkValues<'_>) -> Result<Keyspace, String> {
        let prefix = values.get("PREFIX").unwrap_or_default();
        if prefix.contains(SEPARATOR) {
            return Err(format!("the value PREFIX={prefix:?} holds a colon, which is what ends a prefix"));
        }
        let mut prefix = prefix.replace(ACTOR_PLACEHOLDER, actor);
        if !prefix.is_empty() {
            prefix.push(SEPARATOR);
        }
        Ok(Keyspace {
            prefix,
            key_limit: values.number("KEY_LIMIT", DEFAULT_KEY_LIMIT, 0..=MAX_KEY_LIMIT)?,
            value_limit: values.number("VALUE_LIMIT", DEFAULT_VALUE_LIMIT, 0..=MAX_VALUE_LIMIT)?,
        })
    }

    /// Has an operation be about this link's keys.
    ///
    /// # Errors
    /// Where it goes beyond the link's limits.
    pub(super) fn check_and_prefix(&self, operation: &mut KeyValueOperation) -> Result<(), KeyValueError> {
        let bytes = operation.value().map_or(0, str::len);
        if bytes > self.value_limit {
            return Err(KeyValueError::TooLarge {
                what: "value",
                bytes,
                limit: self.value_limit,
                link_value: "VALUE_LIMIT",
            });
        }
        for key in operation.keys_mut() {
            if key.len() > self.key_limit {
                let (bytes, limit) = (key.len(), self.key_limit);
                return Err(KeyValueError::TooLarge { what: "key", bytes, limit, link_value: "KEY_LIMIT" });
            }
            key.insert_str(0, &self.prefix);
        }
        Ok(())
    }

    /// Has an answer name keys as the actor does.
    pub(super) fn strip_prefix(&self, answer: &mut KeyValueResponse) {
        if let KeyValueResponse::Deleted { key } = answer {
            key.drain(..self.prefix.len());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(values: &[(&str, &str)]) -> Result<KeyValueConfig, String> {
        let values = values.iter().map(|(key, value)| (key.to_string(), value.to_string())).collect();
        KeyValueConfig::from_link_values("MACTOR", &values)
    }

    fn refusal(values: &[(&str, &str)]) -> String {
        read(values).err().expect("the values should be refused")
    }

    #[test]
    fn without_values_keys_are_kept_in_a_file() {
        let config = read(&[]).unwrap();
        assert!(
            matches!(config.backend, BackendConfig::Embedded(StoreLocation::File(file)) if file.as_os_str() == "keyvalue.redb")
        );
        assert!(config.is_default);
        assert_eq!(config.keyspace, Keyspace { prefix: String::new(), key_limit: 4096, value_limit: 8_388_608 });
    }

    #[test]
    fn values_are_read() {
        let config = read(&[("PATH", " a/b.redb "), ("PREFIX", "x-{actor}"), ("KEY_LIMIT", "10")]).unwrap();
        assert!(
            matches!(config.backend, BackendConfig::Embedded(StoreLocation::File(file)) if file.as_os_str() == "a/b.redb")
        );
        assert_eq!((config.keyspace.prefix.as_str(), config.keyspace.key_limit), ("x-MACTOR:", 10));
        assert!(matches!(
            read(&[("PATH", ":memory:")]).unwrap().backend,
            BackendConfig::Embedded(StoreLocation::Memory)
        ));
        assert!(matches!(read(&[("URL", "redis://h:1/2")]).unwrap().backend, BackendConfig::Redis { .. }));
    }

    #[test]
    fn a_bad_value_is_named_and_a_url_never_told() {
        for (key, text) in [
            ("PREFIX", "a:b"),
            ("KEY_LIMIT", "-1"),
            ("KEY_LIMIT", "70000"),
            ("VALUE_LIMIT", "many"),
            ("VALUE_LIMIT", "70000000"),
        ] {
            let refusal = refusal(&[(key, text)]);
            assert!(refusal.contains(key) && refusal.contains(text), "{refusal}");
        }
        for url in ["http://u:secret@h", "redis://u:secret@h:port", "redis://:secret@h/x", "redis:secret", "secret"] {
            let refusal = refusal(&[("URL", url)]);
            assert!(refusal.contains("URL") && !refusal.contains("secret"), "{refusal}");
        }
        assert!(refusal(&[("URL", "redis://h"), ("PATH", "x")]).contains("exclude"));
        for values in [&[("CA_FILE", "f")][..], &[("CA_FILE", "f"), ("URL", "redis://h")]] {
            assert!(refusal(values).contains("CA_FILE"));
        }
        assert!(read(&[("CA_FILE", "f"), ("URL", "rediss://h")]).is_ok());
    }

    #[test]
    fn no_key_reaches_into_another_prefix() {
        let keyspace = |prefix| read(&[("PREFIX", prefix)]).unwrap().keyspace;
        let full = |keyspace: &Keyspace, key: &str| {
            let mut operation = KeyValueOperation::Get { key: key.to_owned() };
            keyspace.check_and_prefix(&mut operation).unwrap();
            operation.keys_mut()[0].clone()
        };
        assert_eq!(full(&keyspace("a"), "b:c"), "a:b:c");
        assert_ne!(full(&keyspace("a"), "b:c"), full(&keyspace("ab"), ":c"));
        let mut answer = KeyValueResponse::Deleted { key: "a:b".to_owned() };
        keyspace("a").strip_prefix(&mut answer);
        assert_eq!(answer, KeyValueResponse::Deleted { key: "b".to_owned() });
    }
}
