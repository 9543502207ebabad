//! What the host tells providers of the era, and asks of them and of actors, byte for byte: msgpack, structs as maps with
//! field names.

use std::collections::HashMap;

use serde::{Deserialize, Serialize};

use super::traits::Binding;
use crate::error::printable;

/// The operation that tells a provider of a link.
pub(crate) const BIND_ACTOR: &str = "BindActor";

/// The operation that tells a provider that a link is gone.
pub(super) const REMOVE_ACTOR: &str = "RemoveActor";

/// The operation that asks an actor or a provider how it is.
pub(crate) const HEALTH_REQUEST: &str = "HealthRequest";

/// The payload of `HealthRequest`: `{placeholder: false}`. It says nothing, but readers expect it.
const PLACEHOLDER: &[u8] = b"\x81\xabplaceholder\xc2";

/// The answer to `HealthRequest`.
#[derive(Deserialize)]
struct HealthResponse {
    healthy: bool,
    #[serde(default)]
    message: String,
}

/// The payload of `HealthRequest`.
pub(crate) fn health_request() -> Vec<u8> {
    PLACEHOLDER.to_vec()
}

/// What the answer to `HealthRequest` says.
///
/// # Errors
/// Why whoever answered is not well. Who answers something else than it should has answered all the same, and is well.
pub(crate) fn read_health(answer: &[u8]) -> Result<(), String> {
    match rmp_serde::from_slice(answer) {
        Ok(HealthResponse { healthy: false, message }) => Err(printable(message.as_bytes())),
        _ => Ok(()),
    }
}

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

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn only_who_says_so_is_not_well() {
        assert_eq!(read_health(b"\x82\xa7healthy\xc3\xa7message\xa0"), Ok(()));
        assert_eq!(read_health(b"\x82\xa7healthy\xc2\xa7message\xa3low"), Err("low".to_owned()));
        assert_eq!(read_health(b"\x81\xa7healthy\xc2"), Err(String::new()));
        assert_eq!(read_health(b"\x92\xc2\xa3low"), Err("low".to_owned()), "a struct as an array");
        assert_eq!(read_health(b"\x82\xa7healthy\xc2\xa7message\xa3a\nb"), Err("a\\nb".to_owned()));
        for something_else in [b"".as_slice(), b"\xc0", &health_request(), b"\xdf\xff\xff\xff\xff", b"\xff"] {
            assert_eq!(read_health(something_else), Ok(()), "{something_else:?}");
        }
    }

    proptest! {
        #[test]
        fn any_answer_can_be_read(answer: Vec<u8>) {
            let _ = read_health(&answer);
        }
    }
}
