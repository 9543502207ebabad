//! What the host tells providers of the era, and asks of them and of actors, byte for byte: msgpack, structs as maps with
//! field names.
//!
//! Encoders of some languages write nil for what is empty, so nil means the same as a field that is left out, here and in
//! all contracts.

use std::collections::HashMap;
use std::fmt;

use serde::{Deserialize, Deserializer, Serialize};

use super::traits::Binding;

/// The operation that tells a provider of a link.
pub const BIND_ACTOR: &str = "BindActor";

/// The operation that tells a provider that a link is gone.
pub const REMOVE_ACTOR: &str = "RemoveActor";

/// Reads a field for which nil means what leaving it out means.
pub fn nil_is_default<'de, D, T>(deserializer: D) -> Result<T, D::Error>
where
    D: Deserializer<'de>,
    T: Deserialize<'de> + Default,
{
    Option::deserialize(deserializer).map(Option::unwrap_or_default)
}

/// Reads bytes, whether they are written as bin, as text or as an array of integers. Nil is none.
pub fn nil_is_no_bytes<'de, D, T>(deserializer: D) -> Result<T, D::Error>
where
    D: Deserializer<'de>,
    T: serde_bytes::Deserialize<'de> + Default,
{
    serde_bytes::deserialize::<Option<T>, _>(deserializer).map(Option::unwrap_or_default)
}

/// A link in the form that providers of the era know.
#[derive(Serialize)]
pub struct CapabilityConfiguration {
    module: String,
    values: HashMap<String, String>,
}

impl CapabilityConfiguration {
    /// The payload of `BindActor`: the link's values, and beside them what the actor's token says.
    pub fn bind(binding: Binding) -> CapabilityConfiguration {
        let Binding { actor, actor_name, issuer, capabilities, tags, expires, mut values, .. } = binding;
        // What the token says goes in last, so that no link value can pass for it.
        values.extend([
            ("__wasmcloud_issuer".to_owned(), issuer),
            ("__wasmcloud_capabilities".to_owned(), capabilities.join(",")),
            ("__wasmcloud_name".to_owned(), actor_name),
            ("__wasmcloud_expires".to_owned(), expires.unwrap_or(0).to_string()),
            ("__wasmcloud_tags".to_owned(), tags.join(",")),
        ]);
        CapabilityConfiguration { module: actor, values }
    }

    /// The payload of `RemoveActor`.
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
