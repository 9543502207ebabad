//! The payloads of `wasmcloud:httpserver`, byte for byte: msgpack, structs as maps, field names as on the wire.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// The operation of the actor.
pub(crate) const HANDLE_REQUEST: &str = "HandleRequest";

/// What an actor is asked.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Request<'a> {
    pub(crate) method: &'a str,
    pub(crate) path: &'a str,
    pub(crate) query_string: &'a str,
    pub(crate) header: BTreeMap<&'a str, String>,
    #[serde(with = "serde_bytes")]
    pub(crate) body: &'a [u8],
}

impl Request<'_> {
    pub(crate) fn encode(&self) -> Result<Vec<u8>, rmp_serde::encode::Error> {
        // Room for the body at once: the rest is a few hundred bytes.
        let mut bytes = Vec::with_capacity(self.body.len() + 512);
        rmp_serde::encode::write_named(&mut bytes, self)?;
        Ok(bytes)
    }
}

/// What an actor answers.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Response {
    pub(crate) status_code: u32,
    #[serde(default)]
    pub(crate) header: BTreeMap<String, String>,
    #[serde(default)]
    pub(crate) body: serde_bytes::ByteBuf,
}

impl Response {
    pub(crate) fn decode(bytes: &[u8]) -> Result<Response, rmp_serde::decode::Error> {
        rmp_serde::from_slice(bytes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_request_is_a_map_with_the_names_of_the_wire_and_a_binary_body() {
        let header = BTreeMap::from([("a", "b".to_owned())]);
        let request = Request { method: "GET", path: "/", query_string: "q", header, body: &[0xff] };
        let expected: &[u8] =
            b"\x85\xa6method\xa3GET\xa4path\xa1/\xabqueryString\xa1q\xa6header\x81\xa1a\xa1b\xa4body\xc4\x01\xff";
        assert_eq!(request.encode().unwrap(), expected);
    }

    #[test]
    fn a_response_is_read_with_a_binary_body_or_an_array() {
        for body in [&b"\xc4\x02\x01\xff"[..], b"\x92\x01\xcc\xff"] {
            let bytes = [b"\x84\xaastatusCode\xcc\xc8\xa6status\xa2OK\xa6header\x80\xa4body", body].concat();
            let response = Response::decode(&bytes).unwrap();
            assert_eq!((response.status_code, response.body.as_slice()), (200, &[1, 255][..]));
        }
    }

    proptest! {
        #[test]
        fn any_bytes_end_in_an_answer(bytes in proptest::collection::vec(any::<u8>(), 0..100)) {
            let _ = Response::decode(&bytes);
        }
    }
}
