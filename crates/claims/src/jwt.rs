//! What tokens claim of actors and providers.
//!
//! The envelope is [`Claims`] of the crate `wascap`, which needs not be a dependency of a program: everything that an
//! interface of this crate mentions is here. What an envelope holds, its *metadata*, is [`Actor`] or
//! [`CapabilityProvider`]. Both are written and read as wascap 0.13 did, byte for byte; later releases of wascap have no
//! capabilities and no contracts in theirs.
//!
//! ```
//! use wasmcloud_host::jwt::{CapabilityProvider, Claims};
//! use wasmcloud_host::signing::KeyPair;
//!
//! let (account, provider) = (KeyPair::new_account(), KeyPair::new_service());
//! let metadata = CapabilityProvider {
//!     name: Some("Clock".to_owned()),
//!     capid: "example:clock".to_owned(),
//!     vendor: "Example".to_owned(),
//!     ..CapabilityProvider::default()
//! };
//! let claims: Claims<CapabilityProvider> = metadata.claims(account.public_key(), provider.public_key());
//! assert_eq!(claims.name(), "Clock");
//! ```

use std::collections::HashMap;

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

pub use wascap::jwt::{Claims, ClaimsBuilder, WascapEntity};

/// The revision of wascap's claims that tokens are made in. Readers that are told an older one, or none, check no hash.
pub(super) const REVISION: u32 = 3;

/// What a token says of an actor.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Actor {
    /// The actor's name for people.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,

    /// The SHA-256 of the module without its token, in upper-case hex.
    #[serde(rename = "hash")]
    pub module_hash: String,

    /// Tags of any text.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tags: Option<Vec<String>>,

    /// The contracts of the capabilities that the actor may use, such as `wasmcloud:keyvalue`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub caps: Option<Vec<String>>,

    /// The actor's revision, which grows with each release.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rev: Option<i32>,

    /// The actor's version for people.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ver: Option<String>,

    /// The name by which other actors may call it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub call_alias: Option<String>,

    /// Whether the module is a capability provider. The era had a few; this host starts none.
    #[serde(rename = "prov", default)]
    pub provider: bool,
}

/// What a token says of a capability provider.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct CapabilityProvider {
    /// The provider's name for people.
    pub name: Option<String>,

    /// The contract that it serves, such as `wasmcloud:keyvalue`.
    pub capid: String,

    /// Who makes it.
    pub vendor: String,

    /// The provider's revision, which grows with each release.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rev: Option<i32>,

    /// The provider's version for people.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ver: Option<String>,

    /// The SHA-256 of each of its libraries in upper-case hex, by target, such as `x86_64-linux`.
    pub target_hashes: HashMap<String, String>,

    /// A JSON schema of the values that its links may have.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub config_schema: Option<serde_json::Value>,
}

impl Actor {
    /// Returns claims about an actor with this public key, in the name of this account. They are valid for ever, and signed
    /// by nobody: see [`signing`](crate::signing).
    pub fn claims(self, issuer: impl Into<String>, subject: impl Into<String>) -> Claims<Actor> {
        claims(self, issuer.into(), subject.into())
    }
}

impl CapabilityProvider {
    /// Returns claims about a provider with this public key, in the name of this account. They are valid for ever, and
    /// signed by nobody. A program needs no more to vouch for a provider that is part of it: see
    /// `NativeCapability::from_async`.
    pub fn claims(self, issuer: impl Into<String>, subject: impl Into<String>) -> Claims<CapabilityProvider> {
        claims(self, issuer.into(), subject.into())
    }
}

impl WascapEntity for Actor {
    fn name(&self) -> String {
        self.name.clone().unwrap_or_else(|| "Anonymous".to_owned())
    }
}

impl WascapEntity for CapabilityProvider {
    fn name(&self) -> String {
        self.name.clone().unwrap_or_else(|| "Unnamed Provider".to_owned())
    }
}

fn claims<T>(metadata: T, issuer: String, subject: String) -> Claims<T>
where
    T: Default + DeserializeOwned + WascapEntity,
{
    // Has an id and the time of its issue.
    let dated = ClaimsBuilder::<T>::new().build();
    let mut claims: Claims<T> = revised();
    claims.id = dated.id;
    claims.issued_at = dated.issued_at;
    claims.issuer = issuer;
    claims.subject = subject;
    claims.metadata = Some(metadata);
    claims
}

/// Claims that say nothing but their revision, which wascap lets be set by JSON alone.
fn revised<T: Default + DeserializeOwned>() -> Claims<T> {
    let fields = serde_json::json!({"jti": "", "iat": 0, "iss": "", "sub": "", "wascap_revision": REVISION});
    serde_json::from_value(fields).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn claims_name_their_revision() {
        let claims = Actor::default().claims("issuer", "subject");
        let json = serde_json::to_value(&claims).unwrap();
        assert_eq!(json["wascap_revision"], REVISION);
        assert_eq!((json["iss"].as_str(), json["sub"].as_str()), (Some("issuer"), Some("subject")));
        assert!(!claims.id.is_empty() && claims.issued_at > 0);
        assert_ne!(claims.id, Actor::default().claims("issuer", "subject").id);
    }

    #[test]
    fn metadata_is_written_in_the_order_of_the_era_and_absent_fields_are_left_out() {
        let json = |actor: &Actor| serde_json::to_string(actor).unwrap();
        assert_eq!(json(&Actor::default()), r#"{"hash":"","prov":false}"#);
        let full =
            r#"{"name":"a","hash":"b","tags":["c"],"caps":["d"],"rev":1,"ver":"e","call_alias":"f","prov":true}"#;
        assert_eq!(json(&serde_json::from_str(full).unwrap()), full);
        let provider = r#"{"name":null,"capid":"","vendor":"","target_hashes":{}}"#;
        assert_eq!(serde_json::to_string(&CapabilityProvider::default()).unwrap(), provider);
    }

    #[test]
    fn names_are_told_where_none_was_given() {
        assert_eq!(Actor::default().claims("", "").name(), "Anonymous");
        assert_eq!(CapabilityProvider::default().claims("", "").name(), "Unnamed Provider");
    }
}
