//! The claims of tokens about actors and providers.
//!
//! [`Claims`] is the envelope of the crate [wascap](https://docs.rs/wascap). Its types in this API are re-exported here, so
//! programs need no dependency on wascap. The envelope holds *metadata*: an [`Actor`] or a [`CapabilityProvider`]. Both are
//! read and written in the JSON format of wascap 0.13. Later releases of wascap omit capabilities and contracts.
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

/// The revision of wascap's claims that tokens are issued in. wascap does not check the hash for older revisions, or none.
pub(super) const REVISION: u32 = 3;

/// The claims of a token about an actor.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Actor {
    /// The actor's human-readable name.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,

    /// The SHA-256 of the module without its token, in upper-case hex.
    #[serde(rename = "hash")]
    pub module_hash: String,

    /// The actor's tags. Any text is allowed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tags: Option<Vec<String>>,

    /// The contracts of the capabilities that the actor may use, such as `wasmcloud:keyvalue`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub caps: Option<Vec<String>>,

    /// The actor's revision, which increases with each release.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rev: Option<i32>,

    /// The actor's human-readable version.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ver: Option<String>,

    /// The name by which other actors may call the actor.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub call_alias: Option<String>,

    /// Whether the module is a capability provider. Some of wasmCloud 0.18 were modules; this host does not start them.
    #[serde(rename = "prov", default)]
    pub provider: bool,
}

/// The claims of a token about a capability provider.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct CapabilityProvider {
    /// The provider's human-readable name.
    pub name: Option<String>,

    /// The contract that the provider serves, such as `wasmcloud:keyvalue`.
    pub capid: String,

    /// The provider's vendor.
    pub vendor: String,

    /// The provider's revision, which increases with each release.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rev: Option<i32>,

    /// The provider's human-readable version.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ver: Option<String>,

    /// The SHA-256 of each library in upper-case hex, by target, such as `x86_64-linux`.
    pub target_hashes: HashMap<String, String>,

    /// A JSON schema of the values of the provider's links.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub config_schema: Option<serde_json::Value>,
}

impl Actor {
    /// Returns unsigned claims about the actor with the public key `subject`, issued by the account `issuer`. They do not
    /// expire. [`signing`](crate::signing) signs modules.
    pub fn claims(self, issuer: impl Into<String>, subject: impl Into<String>) -> Claims<Actor> {
        claims(self, issuer.into(), subject.into())
    }
}

impl CapabilityProvider {
    /// Returns unsigned claims about the provider with the public key `subject`, issued by the account `issuer`. They do not
    /// expire. A provider that is part of the program needs no signature: see `NativeCapability::from_async`.
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
    // Has a random id and the time of issue.
    let dated = ClaimsBuilder::<T>::new().build();
    let mut claims: Claims<T> = empty_claims();
    claims.id = dated.id;
    claims.issued_at = dated.issued_at;
    claims.issuer = issuer;
    claims.subject = subject;
    claims.metadata = Some(metadata);
    claims
}

/// Returns empty claims with a revision. wascap allows the revision to be set only through JSON.
fn empty_claims<T: Default + DeserializeOwned>() -> Claims<T> {
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
    fn metadata_is_written_in_the_order_of_wascap_and_absent_fields_are_left_out() {
        let json = |actor: &Actor| serde_json::to_string(actor).unwrap();
        assert_eq!(json(&Actor::default()), r#"{"hash":"","prov":false}"#);
        let full =
            r#"{"name":"a","hash":"b","tags":["c"],"caps":["d"],"rev":1,"ver":"e","call_alias":"f","prov":true}"#;
        assert_eq!(json(&serde_json::from_str(full).unwrap()), full);
        let provider = r#"{"name":null,"capid":"","vendor":"","target_hashes":{}}"#;
        assert_eq!(serde_json::to_string(&CapabilityProvider::default()).unwrap(), provider);
    }

    #[test]
    fn absent_names_have_defaults() {
        assert_eq!(Actor::default().claims("", "").name(), "Anonymous");
        assert_eq!(CapabilityProvider::default().claims("", "").name(), "Unnamed Provider");
    }
}
