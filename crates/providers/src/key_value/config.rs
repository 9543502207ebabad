//! The configuration of a link, parsed from its values.

use std::collections::HashMap;
use std::fmt;
use std::path::PathBuf;

use redis::{ConnectionInfo, IntoConnectionInfo};
use wasmcloud_core::text::escaped;

use super::super::link_values::{LinkValues, link_values};
use super::KeyValue;
use super::error::KeyValueError;
use super::payloads::{KeyValueOperation, KeyValueResponse};

/// The file of a link without `PATH` and `URL`.
const DEFAULT_FILE: &str = "keyvalue.redb";

/// The `PATH` of a store in memory.
const IN_MEMORY_PATH: &str = ":memory:";

const DEFAULT_KEY_LIMIT: usize = 4 * 1024;
const MAX_KEY_LIMIT: usize = 64 * 1024;
const DEFAULT_VALUE_LIMIT: usize = 8 * 1024 * 1024;

/// Fits the payload of an answer, with its other fields.
const MAX_VALUE_LIMIT: usize = 63 * 1024 * 1024;

/// Separates a prefix from the key. A prefix must not contain it, so that keys of different prefixes never collide.
const SEPARATOR: char = ':';

/// Stands for the actor's public key in a prefix.
const ACTOR_PLACEHOLDER: &str = "{actor}";

link_values! {
    KeyValue:
    "URL"
        => "Redis server: `redis://[user:password@]host[:port][/database]`, or `rediss://` with TLS. Excludes `PATH`.",
        "none: the embedded store is used";
    "CA_FILE"
        => "Path of a PEM file with the certificate authorities to trust. Requires a `rediss://` URL.",
        "the system's authorities";
    "PATH"
        => "File of the embedded store, in an existing directory. `:memory:` stores keys in memory until the last link ends. Excludes `URL`.",
        "`keyvalue.redb` in the host's working directory";
    "PREFIX"
        => "Prefix that separates the link's keys from others: each key becomes `PREFIX:key`. `{actor}` stands for the actor's public key. Must not contain a colon.",
        "none";
    "KEY_LIMIT"
        => "Maximum size of a key, without the prefix. Unit: bytes. Maximum: 65536 (64 KiB).",
        "`4096` (4 KiB)";
    "VALUE_LIMIT"
        => "Maximum size of a value. Unit: bytes. Maximum: 66060288 (63 MiB).",
        "`8388608` (8 MiB)";
}

/// The configuration of a link.
pub(super) struct KeyValueConfig {
    pub(super) backend: BackendConfig,
    pub(super) keyspace: Keyspace,
    /// Whether the link has neither `PATH` nor `URL`.
    pub(super) is_default: bool,
}

/// The backend of a link.
pub(super) enum BackendConfig {
    Embedded(StoreLocation),
    Redis { server: Box<ConnectionInfo>, ca_file: Option<PathBuf> },
}

/// The location of an embedded store.
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
    /// Parses the values of an actor's link.
    ///
    /// # Errors
    /// Names the value that is unknown or invalid. A `URL` is not shown, because it may contain a password.
    pub(super) fn from_link_values(actor: &str, values: &HashMap<String, String>) -> Result<KeyValueConfig, String> {
        let values = LinkValues::check(values, KeyValue::LINK_VALUES)?;
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
        return Err("the value CA_FILE requires a URL that begins with rediss://".to_owned());
    }
    Ok(path)
}

fn parse_server(url: &str) -> Result<ConnectionInfo, String> {
    if !url.starts_with("redis://") && !url.starts_with("rediss://") {
        return Err("the value URL does not begin with redis:// or rediss://".to_owned());
    }
    // The category is a fixed text of the library, so it shows nothing of the URL.
    url.into_connection_info().map_err(|error| format!("the value URL cannot be read: {}", error.category()))
}

/// The keys of a store that belong to a link, and the link's limits.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Keyspace {
    /// The prefix of each key, including the separator.
    prefix: String,
    key_limit: usize,
    value_limit: usize,
}

impl Keyspace {
    fn from_link_values(actor: &str, values: LinkValues<'_>) -> Result<Keyspace, String> {
        let prefix = values.get("PREFIX").unwrap_or_default();
        if prefix.contains(SEPARATOR) {
            return Err(format!(
                "the value PREFIX={prefix:?} contains a colon, which separates prefix and key: remove it"
            ));
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

    /// Checks the sizes of an operation's keys and value, and adds the prefix to its keys.
    ///
    /// # Errors
    /// `TooLarge` if a limit of the link is exceeded.
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

    /// Removes the prefix from the key of a response.
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
    fn without_values_keys_are_stored_in_a_file() {
        let config = read(&[]).unwrap();
        assert!(
            matches!(config.backend, BackendConfig::Embedded(StoreLocation::File(file)) if file.as_os_str() == "keyvalue.redb")
        );
        assert!(config.is_default);
        assert_eq!(config.keyspace, Keyspace { prefix: String::new(), key_limit: 4096, value_limit: 8_388_608 });
    }

    #[test]
    fn values_are_parsed() {
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
    fn an_invalid_value_is_named_and_a_url_is_not_shown() {
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
    fn keys_of_different_prefixes_do_not_collide() {
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
