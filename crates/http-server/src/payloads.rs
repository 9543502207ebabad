//! The payloads of `wasmcloud:httpserver`, encoded as msgpack maps with the field names of the contract.

use std::borrow::Cow;

use hyper::header::{self, HeaderMap, HeaderName};
use serde::de::{MapAccess, Visitor};
use serde::ser::SerializeMap;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// The operation of an actor that handles a request.
pub(crate) const HANDLE_REQUEST: &str = "HandleRequest";

/// Upper bounds of the encoding overhead of a header and of a request. Unit: bytes.
const FIELD_OVERHEAD: usize = 10;
const REQUEST_OVERHEAD: usize = 64;

/// A request to an actor.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct RequestPayload<'a> {
    pub(crate) method: &'a str,
    pub(crate) path: &'a str,
    pub(crate) query_string: &'a str,
    pub(crate) header: JoinedHeaders<'a>,
    #[serde(with = "serde_bytes")]
    pub(crate) body: &'a [u8],
}

impl RequestPayload<'_> {
    pub(crate) fn encode(&self) -> Result<Vec<u8>, rmp_serde::encode::Error> {
        // Allocated once: a growing buffer would take up to twice the size of a large body.
        let headers: usize =
            self.header.0.iter().map(|(name, value)| name.as_str().len() + value.len() + FIELD_OVERHEAD).sum();
        let rest = self.method.len() + self.path.len() + self.query_string.len() + headers;
        let mut bytes = Vec::with_capacity(self.body.len() + rest + REQUEST_OVERHEAD);
        rmp_serde::encode::write_named(&mut bytes, self)?;
        Ok(bytes)
    }
}

/// Headers with one text per name. Repeated headers are joined in order (RFC 9110, section 5.3), and cookies with semicolons
/// (RFC 6265, section 5.4).
#[derive(Debug)]
pub(crate) struct JoinedHeaders<'a>(pub(crate) &'a HeaderMap);

impl JoinedHeaders<'_> {
    fn text(&self, name: &HeaderName) -> Cow<'_, str> {
        let mut values = self.0.get_all(name).iter().map(|value| String::from_utf8_lossy(value.as_bytes()));
        let first = values.next().unwrap_or_default();
        let separator = if name == header::COOKIE { "; " } else { ", " };
        values.fold(first, |text, value| Cow::Owned(format!("{text}{separator}{value}")))
    }
}

impl Serialize for JoinedHeaders<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(self.0.keys_len()))?;
        for name in self.0.keys() {
            map.serialize_entry(name.as_str(), &self.text(name))?;
        }
        map.end()
    }
}

/// Decodes a field whose nil means the default: encoders of some languages write nil for empty values.
fn nil_is_default<'de, D, T>(deserializer: D) -> Result<T, D::Error>
where
    D: Deserializer<'de>,
    T: Deserialize<'de> + Default,
{
    Option::deserialize(deserializer).map(Option::unwrap_or_default)
}

/// Decodes bytes from bin, text or an array of integers. Nil means no bytes.
fn nil_is_no_bytes<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Cow<'de, [u8]>, D::Error> {
    serde_bytes::deserialize::<Option<_>, _>(deserializer).map(Option::unwrap_or_default)
}

/// The response of an actor. Borrows from the answer if possible.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct ResponsePayload<'a> {
    pub(crate) status_code: u32,
    #[serde(default, borrow, deserialize_with = "nil_is_default")]
    pub(crate) header: HeaderPairs<'a>,
    #[serde(default, borrow, deserialize_with = "nil_is_no_bytes")]
    pub(crate) body: Cow<'a, [u8]>,
}

/// The entries of a map, in order.
#[derive(Debug, Default)]
pub(crate) struct HeaderPairs<'a>(pub(crate) Vec<(&'a str, &'a str)>);

impl<'de: 'a, 'a> Deserialize<'de> for HeaderPairs<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<HeaderPairs<'a>, D::Error> {
        struct Entries;

        impl<'de> Visitor<'de> for Entries {
            type Value = HeaderPairs<'de>;

            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("a map of texts")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<HeaderPairs<'de>, A::Error> {
                let mut pairs = Vec::new();
                while let Some(pair) = map.next_entry()? {
                    pairs.push(pair);
                }
                Ok(HeaderPairs(pairs))
            }
        }

        deserializer.deserialize_map(Entries)
    }
}

impl ResponsePayload<'_> {
    pub(crate) fn decode(bytes: &[u8]) -> Result<ResponsePayload<'_>, rmp_serde::decode::Error> {
        rmp_serde::from_slice(bytes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use hyper::header::HeaderValue;
    use proptest::prelude::*;

    #[test]
    fn a_request_is_a_map_with_the_names_of_the_wire_and_a_binary_body() {
        let header = HeaderMap::from_iter([(HeaderName::from_static("a"), HeaderValue::from_static("b"))]);
        let request = RequestPayload {
            method: "GET",
            path: "/",
            query_string: "q",
            header: JoinedHeaders(&header),
            body: &[0xff],
        };
        let expected: &[u8] =
            b"\x85\xa6method\xa3GET\xa4path\xa1/\xabqueryString\xa1q\xa6header\x81\xa1a\xa1b\xa4body\xc4\x01\xff";
        assert_eq!(request.encode().unwrap(), expected);
    }

    #[test]
    fn a_request_takes_little_more_than_what_is_in_it() {
        let field =
            |number: usize| (HeaderName::try_from(format!("x-{number}")).unwrap(), "y".repeat(300).parse().unwrap());
        let header = HeaderMap::from_iter((0..90).map(field));
        let body = vec![1; 1024 * 1024];
        let request =
            RequestPayload { method: "POST", path: "/", query_string: "", header: JoinedHeaders(&header), body: &body };
        let encoded = request.encode().unwrap();
        assert!(encoded.capacity() - encoded.len() < 1024, "{} of {}", encoded.len(), encoded.capacity());
    }

    #[test]
    fn repeated_headers_are_joined_in_their_order() {
        let mut headers = HeaderMap::new();
        for (name, value) in [("accept", "a"), ("accept", "b"), ("cookie", "x=1"), ("cookie", "y=2")] {
            headers.append(name, HeaderValue::from_static(value));
        }
        assert_eq!(JoinedHeaders(&headers).text(&header::ACCEPT), "a, b");
        assert_eq!(JoinedHeaders(&headers).text(&header::COOKIE), "x=1; y=2");
    }

    #[test]
    fn a_response_is_read_with_a_binary_body_or_an_array() {
        for body in [&b"\xc4\x02\x01\xff"[..], b"\x92\x01\xcc\xff"] {
            let bytes = [b"\x84\xaastatusCode\xcc\xc8\xa6status\xa2OK\xa6header\x80\xa4body", body].concat();
            let response = ResponsePayload::decode(&bytes).unwrap();
            assert_eq!((response.status_code, &*response.body), (200, &[1, 255][..]));
        }
    }

    #[test]
    fn every_encoding_of_every_field_is_decoded() {
        // A field that is left out, and one that is nil, bin, text and an array of integers.
        let ways = [None, Some(&b"\xc0"[..]), Some(b"\xc4\x01a"), Some(b"\xa1a"), Some(b"\x91a")];
        let none = Some(&b""[..]);
        let a = Some(&b"a"[..]);
        for (field, bodies) in [
            ("statusCode", [None; 5]),
            ("status", [none; 5]),
            ("header", [none, none, None, None, None]),
            ("body", [none, none, a, a, a]),
        ] {
            for (way, expected) in ways.into_iter().zip(bodies) {
                let good: [(&str, &[u8]); 2] = [("statusCode", b"\xcc\xc8"), ("status", b"\xa2OK")];
                let others = good.into_iter().filter(|(name, _)| *name != field);
                let fields: Vec<_> = others.chain(way.map(|value| (field, value))).collect();
                let mut message = vec![0x80 | fields.len() as u8];
                for (name, value) in fields {
                    message.push(0xa0 | name.len() as u8);
                    message.extend_from_slice(name.as_bytes());
                    message.extend_from_slice(value);
                }
                let read = ResponsePayload::decode(&message).ok();
                let headers = read.as_ref().map_or(0, |response| response.header.0.len());
                let body = read.map(|response| response.body.into_owned());
                assert_eq!((body.as_deref(), headers), (expected, 0), "{field} as {way:?}");
            }
        }
    }

    proptest! {
        #[test]
        fn decoding_any_bytes_does_not_panic(bytes in proptest::collection::vec(any::<u8>(), 0..100)) {
            let _ = ResponsePayload::decode(&bytes);
        }
    }
}
