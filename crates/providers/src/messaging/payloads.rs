//! The payloads of `wasmcloud:messaging`, encoded as msgpack maps with the field names of the contract. Bodies are bin.

use std::time::Duration;

use bytes::Bytes;
use serde::{Deserialize, Serialize};
use wasmcloud_core::text::printable;
use wasmcloud_provider::wire::nil_is_no_bytes;

use super::subject::check_subject;

/// The operation of an actor that receives a message.
pub(super) const HANDLE_MESSAGE: &str = "HandleMessage";

/// A message of the broker.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct BrokerMessage {
    pub(super) subject: String,
    /// The subject for an answer. Empty if none is expected.
    pub(super) reply_to: String,
    pub(super) body: Bytes,
}

/// A decoded operation.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum MessagingOperation {
    Publish(BrokerMessage),
    Request { subject: String, body: Bytes, timeout: Duration },
}

#[derive(Deserialize)]
struct PublishPayload {
    subject: String,
    #[serde(rename = "replyTo", default)]
    reply_to: Option<String>,
    #[serde(default, deserialize_with = "nil_is_no_bytes")]
    body: Vec<u8>,
}

#[derive(Deserialize)]
struct RequestPayload {
    subject: String,
    #[serde(default, deserialize_with = "nil_is_no_bytes")]
    body: Vec<u8>,
    timeout: i64,
}

impl MessagingOperation {
    /// Decodes the payload of an operation.
    ///
    /// # Errors
    /// Returns an error if the contract has no such operation, or if the payload is invalid.
    pub(super) fn decode(operation: &str, payload: &[u8]) -> Result<MessagingOperation, String> {
        match operation {
            "Publish" => {
                let PublishPayload { subject, reply_to, body } = read(payload)?;
                check_subject(&subject)?;
                let reply_to = reply_to.unwrap_or_default();
                if !reply_to.is_empty() {
                    check_subject(&reply_to)?;
                }
                Ok(MessagingOperation::Publish(BrokerMessage { subject, reply_to, body: body.into() }))
            }
            "Request" => {
                let RequestPayload { subject, body, timeout } = read(payload)?;
                check_subject(&subject)?;
                let milliseconds = u64::try_from(timeout).ok().filter(|milliseconds| *milliseconds > 0);
                let milliseconds =
                    milliseconds.ok_or_else(|| format!("the timeout of {timeout} ms must be positive"))?;
                Ok(MessagingOperation::Request {
                    subject,
                    body: body.into(),
                    timeout: Duration::from_millis(milliseconds),
                })
            }
            _ => Err("wasmcloud:messaging has no such operation".to_owned()),
        }
    }

    /// Returns the body of the message.
    pub(super) fn body(&self) -> &Bytes {
        match self {
            MessagingOperation::Publish(BrokerMessage { body, .. }) | MessagingOperation::Request { body, .. } => body,
        }
    }
}

fn read<'a, T: Deserialize<'a>>(payload: &'a [u8]) -> Result<T, String> {
    rmp_serde::from_slice(payload).map_err(|error| {
        format!("the message is not what the operation takes: {}", printable(error.to_string().as_bytes()))
    })
}

/// The payload of a message to an actor.
#[derive(Serialize)]
struct BrokerMessagePayload<'a> {
    subject: &'a str,
    #[serde(rename = "replyTo")]
    reply_to: &'a str,
    #[serde(with = "serde_bytes")]
    body: &'a [u8],
}

#[derive(Serialize)]
struct PublishResponsePayload {
    published: bool,
}

impl BrokerMessage {
    pub(super) fn encode(&self) -> Result<Vec<u8>, rmp_serde::encode::Error> {
        rmp_serde::to_vec_named(&BrokerMessagePayload {
            subject: &self.subject,
            reply_to: &self.reply_to,
            body: &self.body,
        })
    }
}

/// Encodes the response to `Publish`.
pub(super) fn published() -> Result<Vec<u8>, rmp_serde::encode::Error> {
    rmp_serde::to_vec_named(&PublishResponsePayload { published: true })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::payload_fields::{BYTES, Field, OPTIONAL_TEXT, REQUIRED, TEXT, check, field};

    #[test]
    fn requests_are_decoded_by_their_field_names() {
        let message = BrokerMessage { subject: "a".into(), reply_to: "b".into(), body: b"\x00\xff".as_slice().into() };
        let publish = b"\x83\xa7subject\xa1a\xa7replyTo\xa1b\xa4body\xc4\x02\x00\xff";
        assert_eq!(MessagingOperation::decode("Publish", publish), Ok(MessagingOperation::Publish(message.clone())));
        assert_eq!(message.encode().unwrap(), publish);
        let integers = b"\x83\xa7subject\xa1a\xa7replyTo\xa1b\xa4body\x92\x00\xcc\xff";
        assert_eq!(MessagingOperation::decode("Publish", integers), Ok(MessagingOperation::Publish(message)));
        let request = b"\x83\xa7subject\xa1a\xa4body\xc4\x01x\xa7timeout\xcd\x03\xe8";
        let expected = MessagingOperation::Request {
            subject: "a".into(),
            body: b"x".as_slice().into(),
            timeout: Duration::from_secs(1),
        };
        assert_eq!(MessagingOperation::decode("Request", request), Ok(expected));
        assert_eq!(published().unwrap(), b"\x81\xa9published\xc3");
    }

    #[test]
    fn every_encoding_of_every_field_is_decoded() {
        let publish: &[Field<'_>] = &[
            field("subject", TEXT, b"\xa1s"),
            field("replyTo", OPTIONAL_TEXT, b"\xa0"),
            field("body", BYTES, b"\xc4\x00"),
        ];
        check(publish, |message| MessagingOperation::decode("Publish", message).ok());
        let request: &[Field<'_>] = &[publish[0], publish[2], field("timeout", REQUIRED, b"\x05")];
        check(request, |message| MessagingOperation::decode("Request", message).ok());
    }

    #[test]
    fn invalid_payloads_are_refused() {
        for (operation, message) in [
            ("Publish", &b""[..]),
            ("Publish", b"\x83\xa7subject\xa0\xa7replyTo\xa0\xa4body\xc4\x00"),
            ("Publish", b"\x83\xa7subject\xa1*\xa7replyTo\xa0\xa4body\xc4\x00"),
            ("Publish", b"\x83\xa7subject\xa1a\xa7replyTo\xa1>\xa4body\xc4\x00"),
            ("Publish", b"\x83\xa7subject\xa1a\xa7replyTo\xa0\xa4body\xc6\xff\xff\xff\xff"),
            ("Request", b"\x83\xa7subject\xa1a\xa4body\xc4\x00\xa7timeout\x00"),
            ("Request", b"\x83\xa7subject\xa1a\xa4body\xc4\x00\xa7timeout\xff"),
            ("publish", b"\x83\xa7subject\xa1a\xa7replyTo\xa0\xa4body\xc4\x00"),
        ] {
            assert!(MessagingOperation::decode(operation, message).is_err(), "{operation} {message:?}");
        }
    }

    proptest! {
        #[test]
        fn decoding_any_bytes_does_not_panic(bytes in proptest::collection::vec(any::<u8>(), 0..100)) {
            let _ = (MessagingOperation::decode("Publish", &bytes), MessagingOperation::decode("Request", &bytes));
        }
    }
}
