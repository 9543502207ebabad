//! The entries of the registry: what a host states about a key, signed by that host.
//!
//! An entry is signed together with its namespace, its key, the revision that it follows and the time. An entry that is moved
//! to another key or namespace does not verify, and one that is written again later follows a revision that has passed. The
//! outer form stays the same in later versions of the schema, so that an entry of a newer version is recognised and left alone.

mod refusal;

use std::fmt;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use nkeys::{KeyPair, KeyPairType};
use serde::{Deserialize, Serialize};
use wasmcloud_claims::jwt::{Actor, CapabilityProvider, Claims};
use wasmcloud_claims::read_token;
use wasmcloud_core::entity::{KeyKind, is_key, link_name};
use wasmcloud_core::error::{Error, ErrorKind, Result};
use wasmcloud_core::text::escaped;

use super::key::{Key, LONGEST_REFERENCE, LinkKey};

pub use refusal::Refusal;

/// The version of the schema of entries that this host writes.
pub const SCHEMA: u16 = 1;

/// The greatest size of an entry. NATS accepts 1 MiB for a message with its headers by default. Unit: bytes.
pub const LARGEST_ENTRY: usize = (1 << 20) - (64 << 10);

/// Decides which hosts may write to the registry.
pub trait TrustedWriters: Send + Sync + 'static {
    /// Returns whether entries of the host with this public key (`N...`) are accepted.
    fn trusts_host(&self, key: &str) -> bool;
}

impl<F: Fn(&str) -> bool + Send + Sync + 'static> TrustedWriters for F {
    fn trusts_host(&self, key: &str) -> bool {
        self(key)
    }
}

/// The definition of a link in the registry.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LinkRecord {
    /// The public key of the actor.
    pub actor: String,
    /// The contract.
    pub contract: String,
    /// The link name.
    pub link_name: String,
    /// The public key of the provider.
    pub provider: String,
    /// The configuration of the provider for this link. The values may be secrets.
    pub values: std::collections::BTreeMap<String, String>,
}

impl LinkRecord {
    /// Returns the key of the link.
    ///
    /// # Errors
    /// `InvalidArgument` if the actor or the provider is not a public key, or a name is too long.
    pub fn key(&self) -> Result<LinkKey> {
        wasmcloud_core::entity::expect_key(&self.provider, KeyKind::Provider)?;
        LinkKey::new(&self.actor, &self.contract, &self.link_name)
    }

    /// Returns the definition with its link name as it is stored: an empty one is `default`.
    pub(super) fn normalised(&self) -> LinkRecord {
        LinkRecord { link_name: link_name(Some(&self.link_name)).to_owned(), ..self.clone() }
    }
}

impl fmt::Debug for LinkRecord {
    /// Writes the names of the values only: the values may be secrets.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LinkRecord")
            .field("actor", &self.actor)
            .field("contract", &self.contract)
            .field("link_name", &self.link_name)
            .field("provider", &self.provider)
            .field("value_names", &self.values.keys().collect::<Vec<_>>())
            .finish()
    }
}

/// What an entry states about its key.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum Value {
    /// The link is set.
    Link(LinkRecord),
    /// The token of the actor or provider.
    Claims(String),
    /// The actor holds the alias, as its token states.
    Alias(String),
    /// The image reference stands for an actor or provider.
    Reference(ReferenceRecord),
    /// The link of an index entry is about to change.
    Intent,
    /// The link of an index entry exists.
    Settled(Settlement),
    /// What the key stands for was removed.
    Removed(Removal),
}

/// An image reference and what it stands for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct ReferenceRecord {
    pub(super) reference: String,
    pub(super) entity: String,
}

/// The revisions that an index entry points at. 0 stands for one that its writer did not know.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Settlement {
    pub(super) intent: u64,
    pub(super) link: u64,
    pub(super) claims: u64,
}

/// A removal. The issuer is that of the last holder of an alias.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Removal {
    pub(super) intent: u64,
    pub(super) issuer: Option<String>,
}

/// The outer form of an entry, which later versions keep.
#[derive(Serialize, Deserialize)]
struct Envelope<'a> {
    schema: u16,
    #[serde(borrow)]
    writer: &'a str,
    base: u64,
    seconds: u64,
    #[serde(borrow, with = "serde_bytes")]
    body: &'a [u8],
    #[serde(borrow, with = "serde_bytes")]
    signature: &'a [u8],
}

impl Envelope<'_> {
    /// Returns the bytes that are signed. The length of each part precedes it, so that no two entries lead to the same bytes.
    fn signed(&self, namespace: &str, key: &str) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(self.body.len() + 512);
        bytes.extend_from_slice(b"wasmcloud lattice registry entry\0");
        bytes.extend_from_slice(&self.schema.to_be_bytes());
        bytes.extend_from_slice(&self.base.to_be_bytes());
        bytes.extend_from_slice(&self.seconds.to_be_bytes());
        for part in [namespace.as_bytes(), key.as_bytes(), self.writer.as_bytes(), self.body] {
            bytes.extend_from_slice(&(part.len() as u64).to_be_bytes());
            bytes.extend_from_slice(part);
        }
        bytes
    }
}

/// An entry that has been verified.
#[derive(Debug, Clone)]
pub(super) struct Entry {
    /// The greatest revision that the writer knew to have passed: that of the entry it replaced, if there was one.
    pub(super) base: u64,
    /// The time at which the entry was signed, since 1970. Unit: seconds.
    pub(super) seconds: u64,
    pub(super) value: Value,
}

/// Where an entry belongs, and who may have written it.
pub(super) struct Verifier<'a> {
    pub(super) namespace: &'a str,
    pub(super) trust: &'a dyn TrustedWriters,
}

impl Verifier<'_> {
    /// Reads and verifies an entry. What costs least is checked first.
    pub(super) fn read(&self, key: &Key, bytes: &[u8]) -> Result<Entry, Refusal> {
        if bytes.len() > LARGEST_ENTRY {
            return Err(Refusal::TooLarge);
        }
        let envelope: Envelope<'_> = rmp_serde::from_slice(bytes).map_err(|_| Refusal::Malformed)?;
        if envelope.writer.len() != 56 || envelope.signature.len() != 64 || envelope.schema == 0 {
            return Err(Refusal::Malformed);
        }
        if !self.trust.trusts_host(envelope.writer) {
            return Err(Refusal::Untrusted);
        }
        let writer = KeyPair::from_public_key(envelope.writer).map_err(|_| Refusal::Malformed)?;
        if !matches!(writer.key_pair_type(), KeyPairType::Server | KeyPairType::Cluster) {
            return Err(Refusal::Untrusted);
        }
        let signed = envelope.signed(self.namespace, &key.to_string());
        writer.verify(&signed, envelope.signature).map_err(|_| Refusal::Forged)?;
        if envelope.schema > SCHEMA {
            return Err(Refusal::NewerSchema);
        }
        let value: Value = rmp_serde::from_slice(envelope.body).map_err(|_| Refusal::Malformed)?;
        if !belongs(key, &value) {
            return Err(Refusal::Mismatch);
        }
        Ok(Entry { base: envelope.base, seconds: envelope.seconds, value })
    }
}

/// Returns a signed entry.
///
/// # Errors
/// `MessageTooLarge` if the entry exceeds [`LARGEST_ENTRY`].
pub(super) fn sign(writer: &KeyPair, namespace: &str, key: &Key, base: u64, value: &Value) -> Result<Vec<u8>> {
    let body = rmp_serde::to_vec(value).map_err(unwritable)?;
    sign_body(writer, namespace, key, base, SCHEMA, &body)
}

pub(super) fn sign_body(
    writer: &KeyPair,
    namespace: &str,
    key: &Key,
    base: u64,
    schema: u16,
    body: &[u8],
) -> Result<Vec<u8>> {
    let public = writer.public_key();
    let seconds = since_1970(SystemTime::now()).as_secs();
    let mut envelope = Envelope { schema, writer: &public, base, seconds, body, signature: &[] };
    let signature = writer.sign(&envelope.signed(namespace, &key.to_string())).map_err(|error| {
        Error::new(ErrorKind::InvalidArgument, "the host's key cannot sign: supply its seed").caused_by(error)
    })?;
    envelope.signature = &signature;
    let bytes = rmp_serde::to_vec(&envelope).map_err(unwritable)?;
    if bytes.len() <= LARGEST_ENTRY {
        return Ok(bytes);
    }
    let key = key.to_string();
    let message = format!("the entry {} has {} bytes, of {LARGEST_ENTRY} at most", escaped(&key), bytes.len());
    Err(Error::new(ErrorKind::MessageTooLarge, message))
}

/// Returns the time since 1970, or 0 for an earlier time.
pub(super) fn since_1970(time: SystemTime) -> Duration {
    time.duration_since(UNIX_EPOCH).unwrap_or_default()
}

fn unwritable(error: rmp_serde::encode::Error) -> Error {
    Error::new(ErrorKind::Internal, "an entry of the registry cannot be written").caused_by(error)
}

/// Returns whether a value can stand under a key.
fn belongs(key: &Key, value: &Value) -> bool {
    match (key, value) {
        (Key::Link(key), Value::Link(link)) => {
            link.key().is_ok_and(|own| own == *key && link.link_name == own.link_name)
        }
        (Key::Claims(entity), Value::Claims(token)) => is_token_of(entity, token),
        (Key::Alias(alias), Value::Alias(token)) => holder(alias, token).is_some(),
        (Key::Reference(_), Value::Reference(record)) => {
            record.reference.len() <= LONGEST_REFERENCE
                && Key::of_reference(&record.reference) == *key
                && super::key::expect_entity(&record.entity).is_ok()
        }
        (Key::Index { .. }, Value::Intent | Value::Settled(_)) => true,
        (_, Value::Removed(_)) => true,
        _ => false,
    }
}

/// Returns the claims of the actor that holds an alias by its token.
pub(super) fn holder(alias: &str, token: &str) -> Option<Claims<Actor>> {
    let claims = read_token::<Actor>(token).ok()?;
    let carried = claims.metadata.as_ref()?.call_alias.as_deref();
    (carried == Some(alias)).then_some(claims)
}

/// The parts of a token by which two tokens of one entity are compared.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct TokenSummary {
    pub(super) subject: String,
    pub(super) issuer: String,
    pub(super) revision: i32,
}

/// Reads and verifies the token of an actor or provider.
///
/// # Errors
/// `InvalidToken` if it does not verify.
pub(super) fn summarise(token: &str) -> Result<TokenSummary> {
    match read_token::<Actor>(token) {
        Ok(claims) => {
            let revision = claims.metadata.as_ref().and_then(|actor| actor.rev).unwrap_or(0);
            Ok(TokenSummary { subject: claims.subject, issuer: claims.issuer, revision })
        }
        Err(error) => {
            let claims = read_token::<CapabilityProvider>(token).map_err(|_| error)?;
            let revision = claims.metadata.as_ref().and_then(|provider| provider.rev).unwrap_or(0);
            Ok(TokenSummary { subject: claims.subject, issuer: claims.issuer, revision })
        }
    }
}

fn is_token_of(entity: &str, token: &str) -> bool {
    if is_key(entity, KeyKind::Provider) {
        return read_token::<CapabilityProvider>(token).is_ok_and(|claims| claims.subject == entity);
    }
    read_token::<Actor>(token).is_ok_and(|claims| claims.subject == entity)
}

#[cfg(test)]
#[path = "entry_tests.rs"]
mod tests;
