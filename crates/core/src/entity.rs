//! Entities and their names: public keys, contract ids and link names.
//!
//! A public key is an nkey: a letter for its kind, followed by base32 with a checksum, 56 characters in total. The
//! letter is `M` for an actor (module), `V` for a provider, `A` for an account that signs them, and `N` for a host.

mod url;

use std::fmt;

use nkeys::{KeyPair, KeyPairType};

use crate::error::{Error, ErrorKind, Result};
use crate::text::escaped;

/// The link name that an empty link name stands for.
pub const DEFAULT_LINK_NAME: &str = "default";

/// The actor name under which the host itself calls providers.
pub const SYSTEM_ACTOR: &str = "system";

/// A caller or a target of calls.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum WasmCloudEntity {
    /// The host, on behalf of its embedder. It calls and is never called.
    Host,
    /// An actor, with its public key.
    Actor(String),
    /// A capability provider.
    Capability {
        /// The public key of the provider.
        id: String,
        /// The contract that it serves.
        contract_id: String,
        /// The link name that it runs under.
        link_name: String,
    },
}

impl fmt::Display for WasmCloudEntity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            WasmCloudEntity::Host => f.write_str("the host"),
            WasmCloudEntity::Actor(key) => write!(f, "actor {}", escaped(key)),
            WasmCloudEntity::Capability { id, contract_id, link_name } => {
                let link_name = escaped(link_name);
                let contract_id = escaped(contract_id);
                write!(f, "provider {} (link name {link_name}) for {contract_id}", escaped(id))
            }
        }
    }
}

/// The kind of a public key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum KeyKind {
    /// An account, which signs actors and providers.
    Account,
    /// An actor.
    Actor,
    /// A provider.
    Provider,
}

impl KeyKind {
    /// Returns the kind with its article, for errors.
    pub fn describe(self) -> &'static str {
        match self {
            KeyKind::Account => "an account key (A...)",
            KeyKind::Actor => "an actor's public key (M...)",
            KeyKind::Provider => "a provider's public key (V...)",
        }
    }

    fn matches(self, found: &KeyPairType) -> bool {
        match self {
            KeyKind::Account => *found == KeyPairType::Account,
            KeyKind::Actor => *found == KeyPairType::Module,
            KeyKind::Provider => *found == KeyPairType::Service,
        }
    }
}

/// Returns whether a text is a well-formed public key of a kind, including its checksum.
pub fn is_key(text: &str, kind: KeyKind) -> bool {
    KeyPair::from_public_key(text).is_ok_and(|key| kind.matches(&key.key_pair_type()))
}

/// Returns whether a text has the form of an actor's public key: 56 characters of base32 that begin with `M`. The key is not
/// decoded, which takes as long as several calls of an actor.
pub fn has_form_of_actor_key(text: &str) -> bool {
    let is_base32 = |byte: u8| byte.is_ascii_uppercase() || (b'2'..=b'7').contains(&byte);
    text.len() == 56 && text.starts_with('M') && text.bytes().all(is_base32)
}

/// Checks that a text is a well-formed public key of a kind.
///
/// # Errors
/// `InvalidArgument` if it is not.
pub fn expect_key(text: &str, kind: KeyKind) -> Result<()> {
    if is_key(text, kind) {
        return Ok(());
    }
    Err(Error::new(ErrorKind::InvalidArgument, format!("{:?} is not {}", shorten(text), kind.describe())))
}

/// Checks that a text can be a contract id.
///
/// # Errors
/// `InvalidArgument` for an empty text, one of more than 256 bytes, and one with control characters.
pub fn expect_contract(text: &str) -> Result<()> {
    if !text.is_empty() && text.len() <= 256 && !text.chars().any(char::is_control) {
        return Ok(());
    }
    Err(Error::new(
        ErrorKind::InvalidArgument,
        format!("{:?} is not a contract id, such as wasmcloud:httpserver", shorten(text)),
    ))
}

/// Checks that a text is a contract id with a vendor and a name. Only such contracts can be signed and served.
///
/// # Errors
/// `InvalidArgument` if it is not.
pub fn expect_whole_contract(text: &str) -> Result<()> {
    expect_contract(text)?;
    let is_whole = text.split_once(':').is_some_and(|(vendor, name)| {
        let is_part = |part: &str| !part.is_empty() && part.trim() == part;
        is_part(vendor) && is_part(name)
    });
    if is_whole {
        return Ok(());
    }
    let message =
        format!("{:?} is not a contract id: it has a vendor and a name, as in wasmcloud:keyvalue", shorten(text));
    Err(Error::new(ErrorKind::InvalidArgument, message))
}

/// Returns a link name as it is stored. An empty or missing one is `default`.
pub fn link_name(given: Option<&str>) -> &str {
    given.filter(|name| !name.is_empty()).unwrap_or(DEFAULT_LINK_NAME)
}

/// Returns the first 80 characters of a text from outside, for errors and log lines.
pub fn shorten(text: &str) -> &str {
    const LONGEST: usize = 80;
    match text.char_indices().nth(LONGEST) {
        Some((end, _)) => &text[..end],
        None => text,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_told_apart_by_kind() {
        let actor = KeyPair::new_module().public_key();
        assert!(is_key(&actor, KeyKind::Actor));
        assert!(!is_key(&actor, KeyKind::Provider));
        assert!(is_key(&KeyPair::new_service().public_key(), KeyKind::Provider));
        assert!(is_key(&KeyPair::new_account().public_key(), KeyKind::Account));
    }

    #[test]
    fn malformed_keys_are_refused() {
        let mut wrong_sum = KeyPair::new_module().public_key();
        let last = if wrong_sum.ends_with('A') { "B" } else { "A" };
        wrong_sum.replace_range(55.., last);
        for text in ["", "M", "default", "wasmcloud:keyvalue", &"M".repeat(56), &"é".repeat(28), &wrong_sum] {
            assert!(!is_key(text, KeyKind::Actor), "{text:?}");
            assert_eq!(expect_key(text, KeyKind::Actor).unwrap_err().kind(), ErrorKind::InvalidArgument);
        }
    }

    #[test]
    fn contracts_that_are_signed_have_a_vendor_and_a_name() {
        for good in ["wasmcloud:keyvalue", "a:b", "a:b:c"] {
            assert!(expect_whole_contract(good).is_ok(), "{good}");
        }
        for bad in ["", "keyvalue", ":", "a:", ":b", "a: ", " a:b", "a:b\n", &"a:".repeat(200)] {
            assert_eq!(expect_whole_contract(bad).unwrap_err().kind(), ErrorKind::InvalidArgument, "{bad}");
        }
    }

    #[test]
    fn an_empty_link_name_is_the_default_one() {
        assert_eq!(link_name(None), "default");
        assert_eq!(link_name(Some("")), "default");
        assert_eq!(link_name(Some("backup")), "backup");
    }
}
