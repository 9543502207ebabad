//! The payloads of `wasmcloud:extras`, encoded as msgpack in the two formats of actors of different versions.

use serde::{Deserialize, Serialize};
use wasmcloud_core::text::printable;

/// A decoded operation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum ExtrasOperation {
    Guid,
    Random {
        min: u32,
        max: u32,
    },
    AnyRandom,
    /// `RequestRandom` in the legacy format, without its flag. Its answer is 0.
    Zero,
    Sequence,
}

/// The format of payloads.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum PayloadFormat {
    /// Each payload has the fields of all operations.
    Legacy,
    /// Each payload has the fields of its operation.
    Current,
}

/// An operation, and the format of its response.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct ExtrasRequest {
    pub(super) operation: ExtrasOperation,
    pub(super) format: PayloadFormat,
}

/// A request in the legacy format. The values of `guid` and `sequence` have no meaning.
#[derive(Deserialize)]
#[allow(dead_code, reason = "the flags identify the format by being present")]
struct LegacyRequest {
    guid: bool,
    sequence: bool,
    random: bool,
    min: u32,
    max: u32,
}

#[derive(Deserialize)]
struct Range {
    min: u32,
    max: u32,
}

impl ExtrasRequest {
    /// Decodes the payload of an operation.
    ///
    /// # Errors
    /// Returns an error if the contract has no such operation, or if the payload is invalid.
    pub(super) fn decode(name: &str, payload: &[u8]) -> Result<ExtrasRequest, String> {
        if !matches!(name, "RequestGuid" | "RequestRandom" | "RequestSequence") {
            return Err("wasmcloud:extras has no such operation".to_owned());
        }
        if let Ok(legacy) = rmp_serde::from_slice::<LegacyRequest>(payload) {
            let operation = match name {
                "RequestGuid" => ExtrasOperation::Guid,
                "RequestSequence" => ExtrasOperation::Sequence,
                _ if legacy.random => ExtrasOperation::Random { min: legacy.min, max: legacy.max },
                _ => ExtrasOperation::Zero,
            };
            return Ok(ExtrasRequest { operation, format: PayloadFormat::Legacy });
        }
        let operation = match name {
            "RequestRandom" if !is_empty_payload(payload) => {
                let Range { min, max } = rmp_serde::from_slice(payload).map_err(|error| {
                    let reason = printable(error.to_string().as_bytes());
                    format!("the payload is not what the operation takes: {reason}")
                })?;
                ExtrasOperation::Random { min, max }
            }
            _ if !is_empty_payload(payload) => return Err("the payload is not what the operation takes".to_owned()),
            "RequestRandom" => ExtrasOperation::AnyRandom,
            "RequestGuid" => ExtrasOperation::Guid,
            _ => ExtrasOperation::Sequence,
        };
        Ok(ExtrasRequest { operation, format: PayloadFormat::Current })
    }
}

/// Returns whether a payload is empty, nil, or a structure without fields.
fn is_empty_payload(payload: &[u8]) -> bool {
    matches!(payload, b"" | b"\xc0" | b"\x80" | b"\x90")
}

/// The response to an operation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum ExtrasResponse {
    Guid(String),
    Random(u32),
    Sequence(u64),
}

/// A response in the legacy format.
#[derive(Serialize, Default)]
struct LegacyResponse {
    guid: Option<String>,
    #[serde(rename = "sequenceNumber")]
    sequence_number: u64,
    random_number: u32,
}

impl ExtrasResponse {
    pub(super) fn encode(self, format: PayloadFormat) -> Result<Vec<u8>, rmp_serde::encode::Error> {
        match (format, self) {
            (PayloadFormat::Legacy, ExtrasResponse::Guid(guid)) => {
                rmp_serde::to_vec_named(&LegacyResponse { guid: Some(guid), ..LegacyResponse::default() })
            }
            (PayloadFormat::Legacy, ExtrasResponse::Random(random_number)) => {
                rmp_serde::to_vec_named(&LegacyResponse { random_number, ..LegacyResponse::default() })
            }
            (PayloadFormat::Legacy, ExtrasResponse::Sequence(sequence_number)) => {
                rmp_serde::to_vec_named(&LegacyResponse { sequence_number, ..LegacyResponse::default() })
            }
            (PayloadFormat::Current, ExtrasResponse::Guid(guid)) => rmp_serde::to_vec(&guid),
            (PayloadFormat::Current, ExtrasResponse::Random(number)) => rmp_serde::to_vec(&number),
            (PayloadFormat::Current, ExtrasResponse::Sequence(number)) => rmp_serde::to_vec(&number),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::payload_fields::{Field, REQUIRED, check, field};

    #[test]
    fn the_older_shape_is_told_by_its_flags() {
        let random = b"\x85\xa4guid\xc2\xa8sequence\xc2\xa6random\xc3\xa3min\x01\xa3max\x09";
        let legacy = |operation| Ok(ExtrasRequest { operation, format: PayloadFormat::Legacy });
        assert_eq!(ExtrasRequest::decode("RequestRandom", random), legacy(ExtrasOperation::Random { min: 1, max: 9 }));
        assert_eq!(ExtrasRequest::decode("RequestGuid", random), legacy(ExtrasOperation::Guid));
        assert_eq!(
            ExtrasRequest::decode("RequestSequence", b"\x95\xc2\xc3\xc2\x00\x00"),
            legacy(ExtrasOperation::Sequence)
        );
        assert_eq!(ExtrasRequest::decode("RequestRandom", b"\x95\xc2\xc2\xc2\x00\x00"), legacy(ExtrasOperation::Zero));
    }

    #[test]
    fn the_newer_shape_has_what_it_needs() {
        let current = |operation| Ok(ExtrasRequest { operation, format: PayloadFormat::Current });
        for range in [&b"\x82\xa3min\x01\xa3max\xce\xff\xff\xff\xff"[..], b"\x92\x01\xce\xff\xff\xff\xff"] {
            assert_eq!(
                ExtrasRequest::decode("RequestRandom", range),
                current(ExtrasOperation::Random { min: 1, max: u32::MAX })
            );
        }
        for nothing in [&b""[..], b"\xc0", b"\x80", b"\x90"] {
            assert_eq!(ExtrasRequest::decode("RequestRandom", nothing), current(ExtrasOperation::AnyRandom));
            assert_eq!(ExtrasRequest::decode("RequestGuid", nothing), current(ExtrasOperation::Guid));
            assert_eq!(ExtrasRequest::decode("RequestSequence", nothing), current(ExtrasOperation::Sequence));
        }
    }

    #[test]
    fn every_encoding_of_every_field_is_decoded() {
        let range: &[Field<'_>] = &[field("min", REQUIRED, b"\x01"), field("max", REQUIRED, b"\x09")];
        check(range, |payload| ExtrasRequest::decode("RequestRandom", payload).ok());
        let legacy: &[Field<'_>] = &[
            field("guid", REQUIRED, b"\xc2"),
            field("sequence", REQUIRED, b"\xc3"),
            field("random", REQUIRED, b"\xc2"),
            range[0],
            range[1],
        ];
        check(legacy, |payload| ExtrasRequest::decode("RequestSequence", payload).ok());
    }

    #[test]
    fn answers_have_the_shape_of_their_question() {
        let guid = ExtrasResponse::Guid("a".to_owned());
        let legacy = b"\x83\xa4guid\xa1a\xaesequenceNumber\x00\xadrandom_number\x00";
        assert_eq!(guid.clone().encode(PayloadFormat::Legacy).unwrap(), legacy);
        assert_eq!(guid.encode(PayloadFormat::Current).unwrap(), b"\xa1a");
        let legacy = b"\x83\xa4guid\xc0\xaesequenceNumber\x07\xadrandom_number\x00";
        assert_eq!(ExtrasResponse::Sequence(7).encode(PayloadFormat::Legacy).unwrap(), legacy);
        assert_eq!(ExtrasResponse::Sequence(7).encode(PayloadFormat::Current).unwrap(), b"\x07");
        let legacy = b"\x83\xa4guid\xc0\xaesequenceNumber\x00\xadrandom_number\xce\xff\xff\xff\xff";
        assert_eq!(ExtrasResponse::Random(u32::MAX).encode(PayloadFormat::Legacy).unwrap(), legacy);
        assert_eq!(ExtrasResponse::Random(u32::MAX).encode(PayloadFormat::Current).unwrap(), b"\xce\xff\xff\xff\xff");
    }

    #[test]
    fn invalid_payloads_are_refused() {
        for (operation, payload) in [
            ("RequestRandom", &b"\x81\xa3min\x01"[..]),
            ("RequestRandom", b"\x82\xa3min\xff\xa3max\x05"),
            ("RequestGuid", b"\xff"),
            ("RequestSequence", b"\xdf\xff\xff\xff\xff"),
            ("requestGuid", b""),
        ] {
            assert!(ExtrasRequest::decode(operation, payload).is_err(), "{operation} {payload:?}");
        }
    }

    proptest! {
        #[test]
        fn decoding_any_bytes_does_not_panic(bytes in proptest::collection::vec(any::<u8>(), 0..60)) {
            for operation in ["RequestGuid", "RequestRandom", "RequestSequence"] {
                let _ = ExtrasRequest::decode(operation, &bytes);
            }
        }
    }
}
