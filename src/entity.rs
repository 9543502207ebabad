//! The names things go by: public keys, contract ids and link names.
//!
//! A public key is an nkey: a letter for its kind, then base32 with a checksum, 56 characters in all. `M` is an
//! actor (module), `V` a provider, `A` an account that signs them, `N` a host.

mod url;

use std::fmt;

use nkeys::{KeyPair, KeyPairType};

use crate::error::{Error, ErrorKind, Result};
use crate::text::escaped;

/// The link name that an empty one stands for.
pub(crate) const DEFAULT_LINK_NAME: &str = "default";

/// The origin of what the host itself asks of a provider.
pub const SYSTEM_ACTOR: &str = "system";

/// Somebody who calls or can be called.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum WasmCloudEntity {
    /// The host, for whoever embeds it. It calls and is not called.
    Host,
    /// An actor, by its public key.
    Actor(String),
    /// A capability provider.
    Capability {
        /// Its public key.
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
                let (link_name, contract_id) = (escaped(link_name), escaped(contract_id));
                write!(f, "provider {} (link name {link_name}) for {contract_id}", escaped(id))
            }
        }
    }
}

/// What a public key is the key of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum KeyKind {
    Account,
    Actor,
    Provider,
}

impl KeyKind {
    pub(crate) fn describe(self) -> &'static str {
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

/// Whether `text` is a well-formed public key of this kind, checksum included.
pub(crate) fn is_key(text: &str, kind: KeyKind) -> bool {
    KeyPair::from_public_key(text).is_ok_and(|key| kind.matches(&key.key_pair_type()))
}

/// Refuses anything but a well-formed public key of this kind.
pub(crate) fn expect_key(text: &str, kind: KeyKind) -> Result<()> {
    if is_key(text, kind) {
        return Ok(());
    }
    Err(Error::new(ErrorKind::InvalidArgument, format!("{:?} is not {}", shorten(text), kind.describe())))
}

/// Refuses what cannot be the id of a contract.
pub(crate) fn expect_contract(text: &str) -> Result<()> {
    if !text.is_empty() && text.len() <= 256 && !text.chars().any(char::is_control) {
        return Ok(());
    }
    Err(Error::new(
        ErrorKind::InvalidArgument,
        format!("{:?} is not a contract id, such as wasmcloud:httpserver", shorten(text)),
    ))
}

/// Refuses what should not be signed as the id of a contract: one without a vendor and a name, which no provider can serve.
pub(crate) fn expect_whole_contract(text: &str) -> Result<()> {
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

/// A link name as it is stored: an empty or missing one is `default`.
pub(crate) fn link_name(given: Option<&str>) -> &str {
    given.filter(|name| !name.is_empty()).unwrap_or(DEFAULT_LINK_NAME)
}

/// Text from outside, cut so that it can go into an error or a log line.
pub(crate) fn shorten(text: &str) -> &str {
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
    fn malformed_keys_are_refused_without_a_panic() {
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
