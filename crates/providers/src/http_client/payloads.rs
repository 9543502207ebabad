//! The payloads of `wasmcloud:httpclient`, encoded as msgpack maps with the field names of the contract.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use wasmcloud_provider::wire::{nil_is_default, nil_is_no_bytes};

/// The request of an actor.
#[derive(Debug, PartialEq, Deserialize)]
pub(super) struct RequestPayload {
    pub(super) method: String,
    pub(super) url: String,
    #[serde(default, deserialize_with = "nil_is_default")]
    pub(super) headers: BTreeMap<String, String>,
    #[serde(default, deserialize_with = "nil_is_no_bytes")]
    pub(super) body: serde_bytes::ByteBuf,
}

impl RequestPayload {
    pub(super) fn decode(bytes: &[u8]) -> Result<RequestPayload, rmp_serde::decode::Error> {
        rmp_serde::from_slice(bytes)
    }
}

/// The response to a request.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct ResponsePayload<'a> {
    pub(super) status_code: u32,
    pub(super) status: &'a str,
    pub(super) header: BTreeMap<&'a str, String>,
    #[serde(with = "serde_bytes")]
    pub(super) body: &'a [u8],
}

impl ResponsePayload<'_> {
    pub(super) fn encode(&self) -> Result<Vec<u8>, rmp_serde::encode::Error> {
        // Allocated once: the other fields need a few hundred bytes.
        let mut bytes = Vec::with_capacity(self.body.len() + 512);
        rmp_serde::encode::write_named(&mut bytes, self)?;
        Ok(bytes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::payload_fields::{BYTES, Field, OPTIONAL_MAP, TEXT, check, field};
    use proptest::prelude::*;

    #[test]
    fn a_request_is_read_by_the_names_of_the_wire_with_a_binary_body_or_an_array() {
        for body in [&b"\xc4\x02\x01\xff"[..], b"\x92\x01\xcc\xff"] {
            let bytes = [b"\x84\xa6method\xa3GET\xa3url\xa8http://a\xa7headers\x81\xa1x\xa1y\xa4body", body].concat();
            let request = RequestPayload::decode(&bytes).unwrap();
            assert_eq!((request.method.as_str(), request.url.as_str()), ("GET", "http://a"));
            assert_eq!(request.headers["x"], "y");
            assert_eq!(request.body.as_slice(), [1, 255]);
        }
    }

    #[test]
    fn every_encoding_of_every_field_is_decoded() {
        let fields: &[Field<'_>] = &[
            field("method", TEXT, b"\xa3GET"),
            field("url", TEXT, b"\xa8http://a"),
            field("headers", OPTIONAL_MAP, b"\x80"),
            field("body", BYTES, b"\xc4\x00"),
        ];
        check(fields, |message| RequestPayload::decode(message).ok());
    }

    #[test]
    fn a_response_is_a_map_with_the_names_of_the_wire_and_a_binary_body() {
        let header = BTreeMap::from([("a", "b".to_owned())]);
        let response = ResponsePayload { status_code: 200, status: "OK", header, body: &[0xff] };
        let expected: &[u8] = b"\x84\xaastatusCode\xcc\xc8\xa6status\xa2OK\xa6header\x81\xa1a\xa1b\xa4body\xc4\x01\xff";
        assert_eq!(response.encode().unwrap(), expected);
    }

    proptest! {
        #[test]
        fn decoding_any_bytes_does_not_panic(bytes in proptest::collection::vec(any::<u8>(), 0..100)) {
            let _ = RequestPayload::decode(&bytes);
        }
    }
}
