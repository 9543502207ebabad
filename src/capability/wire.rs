//! What the host tells providers of the era, byte for byte: msgpack, structs as maps with field names.

use std::collections::HashMap;

use serde::Serialize;

use super::traits::Binding;

/// The operation that tells a provider of a link.
pub(super) const BIND_ACTOR: &str = "BindActor";

/// The operation that tells a provider that a link is gone.
pub(super) const REMOVE_ACTOR: &str = "RemoveActor";

/// A link in the form that providers of the era know.
#[derive(Serialize)]
pub(super) struct CapabilityConfiguration {
    module: String,
    values: HashMap<String, String>,
}

impl CapabilityConfiguration {
    /// The payload of `BindActor`: the link's values, and beside them what the actor's token says.
    pub(super) fn bind(binding: Binding) -> CapabilityConfiguration {
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
    pub(super) fn remove(actor: &str) -> CapabilityConfiguration {
        CapabilityConfiguration { module: actor.to_owned(), values: HashMap::new() }
    }

    pub(super) fn encode(&self) -> Result<Vec<u8>, rmp_serde::encode::Error> {
        rmp_serde::to_vec_named(self)
    }
}
