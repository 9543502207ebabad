//! The keys of the registry. A key is a text of a few tokens, and each can be read back from its text.

use std::fmt;

use data_encoding::BASE64URL_NOPAD;
use sha2::{Digest, Sha256};
use wasmcloud_core::entity::{KeyKind, expect_contract, expect_key, is_key, link_name};
use wasmcloud_core::error::{Error, ErrorKind, Result};

/// The greatest length of a link name, an alias or a contract. Unit: bytes.
pub const LONGEST_NAME: usize = 256;

/// The greatest length of an image reference. Unit: bytes.
pub const LONGEST_REFERENCE: usize = 2048;

/// The key of a link. Two links of one actor differ in contract or name.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct LinkKey {
    /// The public key of the actor.
    pub actor: String,
    /// The contract.
    pub contract: String,
    /// The link name.
    pub link_name: String,
}

impl LinkKey {
    /// Returns the key of a link. An empty link name stands for `default`.
    ///
    /// # Errors
    /// `InvalidArgument` if the actor is not a public key of an actor, or the contract or the link name is too long.
    pub fn new(actor: &str, contract: &str, name: &str) -> Result<LinkKey> {
        expect_key(actor, KeyKind::Actor)?;
        expect_contract(contract)?;
        let name = link_name(Some(name));
        expect_name(name)?;
        Ok(LinkKey { actor: actor.to_owned(), contract: contract.to_owned(), link_name: name.to_owned() })
    }
}

/// A key of the registry.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Key {
    /// A link: `link.<actor>.<contract>.<link name>`.
    Link(LinkKey),
    /// The token of an actor or provider: `claims.<public key>`.
    Claims(String),
    /// The holder of a call alias: `alias.<alias>`.
    Alias(String),
    /// An image reference: `ref.<SHA-256 of the reference>`.
    Reference(String),
    /// The index of the links of a provider: `provider.<provider>.<link name>.<actor>.<contract>`.
    Index {
        /// The public key of the provider.
        provider: String,
        /// The link.
        link: LinkKey,
    },
}

impl Key {
    /// Returns the key of an image reference.
    pub fn of_reference(reference: &str) -> Key {
        Key::Reference(data_encoding::HEXLOWER.encode(&Sha256::digest(reference.as_bytes())))
    }

    /// Returns the key that a text stands for, or `None` for any other text.
    pub fn parse(text: &str) -> Option<Key> {
        let parts: Vec<&str> = text.split('.').take(6).collect();
        match parts[..] {
            ["link", actor, contract, name] => read_link(actor, contract, name).map(Key::Link),
            ["claims", key] => is_entity(key).then(|| Key::Claims(key.to_owned())),
            ["alias", alias] => read_name(alias).map(Key::Alias),
            ["ref", hash] => is_hash(hash).then(|| Key::Reference(hash.to_owned())),
            ["provider", provider, name, actor, contract] => {
                let link = read_link(actor, contract, name)?;
                is_key(provider, KeyKind::Provider).then(|| Key::Index { provider: provider.to_owned(), link })
            }
            _ => None,
        }
    }
}

impl fmt::Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Key::Link(LinkKey { actor, contract, link_name }) => {
                write!(f, "link.{actor}.{}.{}", token(contract), token(link_name))
            }
            Key::Claims(key) => write!(f, "claims.{key}"),
            Key::Alias(alias) => write!(f, "alias.{}", token(alias)),
            Key::Reference(hash) => write!(f, "ref.{hash}"),
            Key::Index { provider, link } => {
                let name = token(&link.link_name);
                write!(f, "provider.{provider}.{name}.{}.{}", link.actor, token(&link.contract))
            }
        }
    }
}

/// Returns a text as one token of a key.
pub(super) fn token(text: &str) -> String {
    BASE64URL_NOPAD.encode(text.as_bytes())
}

/// Checks that a text can be a link name or an alias.
pub(super) fn expect_name(name: &str) -> Result<()> {
    if !name.is_empty() && name.len() <= LONGEST_NAME {
        return Ok(());
    }
    let message = format!("a link name or alias has 1 to {LONGEST_NAME} bytes, not {}", name.len());
    Err(Error::new(ErrorKind::InvalidArgument, message))
}

/// Checks that a text is the public key of an actor or a provider.
pub(super) fn expect_entity(key: &str) -> Result<()> {
    if key.starts_with('V') { expect_key(key, KeyKind::Provider) } else { expect_key(key, KeyKind::Actor) }
}

fn is_entity(key: &str) -> bool {
    expect_entity(key).is_ok()
}

fn is_hash(text: &str) -> bool {
    text.len() == 64 && text.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
}

fn read_name(token: &str) -> Option<String> {
    // Bounds the work before anything is decoded.
    if token.len() > LONGEST_NAME.div_ceil(3) * 4 {
        return None;
    }
    let name = String::from_utf8(BASE64URL_NOPAD.decode(token.as_bytes()).ok()?).ok()?;
    expect_name(&name).is_ok().then_some(name)
}

fn read_link(actor: &str, contract: &str, name: &str) -> Option<LinkKey> {
    LinkKey::new(actor, &read_name(contract)?, &read_name(name)?).ok()
}

#[cfg(test)]
mod tests {
    use nkeys::KeyPair;
    use proptest::prelude::*;

    use super::*;

    fn keys() -> impl Strategy<Value = Key> {
        let actor = KeyPair::new_module().public_key();
        let provider = KeyPair::new_service().public_key();
        ("[^\\p{C}]{1,60}", any::<[char; 4]>(), 0..5).prop_map(move |(contract, name, kind)| {
            let name: String = name.iter().collect();
            let link = LinkKey { actor: actor.clone(), contract: contract.clone(), link_name: name.clone() };
            match kind {
                0 => Key::Link(link),
                1 => Key::Claims(actor.clone()),
                2 => Key::Alias(name),
                3 => Key::of_reference(&contract),
                _ => Key::Index { provider: provider.clone(), link },
            }
        })
    }

    proptest! {
        #[test]
        fn a_key_is_read_back_from_its_text(key in keys()) {
            let text = key.to_string();
            prop_assert!(text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte)), "{}", text);
            prop_assert_eq!(Key::parse(&text), Some(key));
        }

        #[test]
        fn any_text_is_a_key_or_none(text in "(link|claims|alias|ref|provider|x)(\\.[A-Za-z0-9_=.>*-]{0,12}){0,5}") {
            if let Some(key) = Key::parse(&text) {
                prop_assert_eq!(key.to_string(), text);
            }
        }
    }

    #[test]
    fn a_long_or_foreign_token_is_not_a_key() {
        let actor = KeyPair::new_module().public_key();
        let account = KeyPair::new_account().public_key();
        assert_eq!(Key::parse(&format!("link.{actor}.{}.ZGVmYXVsdA", "YQ".repeat(100_000))), None);
        assert_eq!(Key::parse(&format!("claims.{account}")), None);
        assert_eq!(Key::parse(&format!("claims.{actor}.x")), None);
        assert_eq!(Key::parse("alias."), None);
    }

    #[test]
    fn an_empty_link_name_is_the_default() {
        let actor = KeyPair::new_module().public_key();
        assert_eq!(LinkKey::new(&actor, "a:b", "").unwrap().link_name, "default");
        assert!(LinkKey::new(&actor, "a:b", &"n".repeat(257)).is_err());
        assert!(LinkKey::new("M", "a:b", "").is_err());
    }
}
