//! What the host tells providers of the era, and asks of them and of actors, byte for byte: msgpack, structs as maps with
//! field names.
//!
//! Encoders of some languages write nil for what is empty, so nil means the same as a field that is left out, here and in
//! all contracts.

use std::collections::HashMap;

use serde::{Deserialize, Deserializer, Serialize};

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
    #[serde(default, deserialize_with = "nil_is_default")]
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

/// Reads a field for which nil means what leaving it out means.
pub(super) fn nil_is_default<'de, D, T>(deserializer: D) -> Result<T, D::Error>
where
    D: Deserializer<'de>,
    T: Deserialize<'de> + Default,
{
    Option::deserialize(deserializer).map(Option::unwrap_or_default)
}

/// Reads bytes, whether they are written as bin, as text or as an array of integers. Nil is none.
#[cfg(any(feature = "blobstore", feature = "httpclient", feature = "messaging"))]
pub(super) fn nil_is_no_bytes<'de, D, T>(deserializer: D) -> Result<T, D::Error>
where
    D: Deserializer<'de>,
    T: serde_bytes::Deserialize<'de> + Default,
{
    serde_bytes::deserialize::<Option<T>, _>(deserializer).map(Option::unwrap_or_default)
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

/// Checks how the fields of a contract's payloads are read, for the tests of each.
#[cfg(test)]
pub(super) mod shapes {
    /// What becomes of a field that is written in some way.
    #[derive(Debug, Clone, Copy, PartialEq, Eq)]
    pub(in crate::capability) enum Read {
        /// The message is refused.
        No,
        /// It is empty.
        Empty,
        /// It is `a`.
        Value,
    }
    use Read::{Empty, No, Value};

    /// How a field may be left out, and may be written: as nil, as bin, as text, as an array of integers.
    pub(in crate::capability) type Row = [Read; 5];

    pub(in crate::capability) const BYTES: Row = [Empty, Empty, Value, Value, Value];
    pub(in crate::capability) const TEXT: Row = [No, No, Value, Value, No];
    pub(in crate::capability) const OPTIONAL_TEXT: Row = [Empty, Empty, Value, Value, No];
    pub(in crate::capability) const OPTIONAL_MAP: Row = [Empty, Empty, No, No, No];
    /// A number, a list or a structure, without which the message means nothing.
    pub(in crate::capability) const NEEDED: Row = [No, No, No, No, No];

    /// Each field with its row and a good value, which has to be empty where it may be.
    pub(in crate::capability) type Fields<'a> = &'a [(&'a str, Row, &'a [u8])];

    /// A map of msgpack, with values that are written already.
    pub(in crate::capability) fn map(fields: &[(&str, &[u8])]) -> Vec<u8> {
        let mut message = vec![0x80 | u8::try_from(fields.len()).unwrap()];
        for (name, value) in fields {
            message.push(0xa0 | u8::try_from(name.len()).unwrap());
            message.extend_from_slice(name.as_bytes());
            message.extend_from_slice(value);
        }
        message
    }

    /// Writes each field of a message in every way, and checks that it is read as its row says.
    pub(in crate::capability) fn check<T: std::fmt::Debug + PartialEq>(
        fields: Fields<'_>,
        decode: impl Fn(&[u8]) -> Option<T>,
    ) {
        for (field, row, _) in fields {
            let written = |value: Option<&[u8]>| {
                let others =
                    fields.iter().map(|(name, _, good)| (*name, if name == field { value } else { Some(*good) }));
                let present: Vec<_> = others.filter_map(|(name, value)| Some((name, value?))).collect();
                decode(&map(&present))
            };
            let empty = written(Some(b"\xa0")).or_else(|| written(Some(b"\x80")));
            let value = written(Some(b"\xa1a"));
            let ways = [None, Some(&b"\xc0"[..]), Some(b"\xc4\x01a"), Some(b"\xa1a"), Some(b"\x91a")];
            for (way, expected) in ways.into_iter().zip(row) {
                let read = written(way);
                match expected {
                    No => assert_eq!(read, None, "{field} as {way:?}"),
                    Empty => assert!(read.is_some() && read == empty, "{field} as {way:?}: {read:?}"),
                    Value => assert!(read.is_some() && read == value, "{field} as {way:?}: {read:?}"),
                }
            }
        }
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
        assert_eq!(read_health(b"\x82\xa7healthy\xc2\xa7message\xc0"), Err(String::new()), "nil is no message");
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
