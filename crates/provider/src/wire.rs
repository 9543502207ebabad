//! The payloads that the host exchanges with providers in the interface of wasmCloud 0.18: msgpack, with structs as maps of
//! field names.
//!
//! Encoders of some languages write nil for empty values. So nil means the same as an absent field, here and in all
//! contracts.

use std::collections::HashMap;
use std::fmt;

use serde::{Deserialize, Deserializer, Serialize};

use super::traits::Binding;

/// The operation that establishes a link.
pub const BIND_ACTOR: &str = "BindActor";

/// The operation that removes a link.
pub const REMOVE_ACTOR: &str = "RemoveActor";

/// Reads a field in which nil means the default.
pub fn nil_is_default<'de, D, T>(deserializer: D) -> Result<T, D::Error>
where
    D: Deserializer<'de>,
    T: Deserialize<'de> + Default,
{
    Option::deserialize(deserializer).map(Option::unwrap_or_default)
}

/// Reads bytes that are written as bin, as text or as an array of integers. Nil means no bytes.
pub fn nil_is_no_bytes<'de, D, T>(deserializer: D) -> Result<T, D::Error>
where
    D: Deserializer<'de>,
    T: serde_bytes::Deserialize<'de> + Default,
{
    serde_bytes::deserialize::<Option<T>, _>(deserializer).map(Option::unwrap_or_default)
}

/// A link in the form of wasmCloud 0.18.
#[derive(Serialize)]
pub struct CapabilityConfiguration {
    module: String,
    values: HashMap<String, String>,
}

impl CapabilityConfiguration {
    /// Returns the payload of `BindActor`: the link's values and the actor's claims.
    pub fn bind(binding: Binding) -> CapabilityConfiguration {
        let Binding { actor, actor_name, issuer, capabilities, tags, expires, mut values, .. } = binding;
        // The claims are added last, so that no link value can replace them.
        values.extend([
            ("__wasmcloud_issuer".to_owned(), issuer),
            ("__wasmcloud_capabilities".to_owned(), capabilities.join(",")),
            ("__wasmcloud_name".to_owned(), actor_name),
            ("__wasmcloud_expires".to_owned(), expires.unwrap_or(0).to_string()),
            ("__wasmcloud_tags".to_owned(), tags.join(",")),
        ]);
        CapabilityConfiguration { module: actor, values }
    }

    /// Returns the payload of `RemoveActor`.
    pub fn remove(actor: &str) -> CapabilityConfiguration {
        CapabilityConfiguration { module: actor.to_owned(), values: HashMap::new() }
    }

    /// Returns the payload in msgpack.
    ///
    /// # Errors
    /// Never for this type.
    pub fn encode(&self) -> Result<Vec<u8>, rmp_serde::encode::Error> {
        rmp_serde::to_vec_named(self)
    }
}

impl fmt::Debug for CapabilityConfiguration {
    /// Omits the values, which may hold secrets.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CapabilityConfiguration").field("module", &self.module).finish_non_exhaustive()
    }
}
