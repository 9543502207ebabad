//! The payloads of `wasmcloud:messaging`, byte for byte: msgpack, structs as maps, bodies as bin.

use std::time::Duration;

use bytes::Bytes;
use serde::{Deserialize, Serialize};
use wasmcloud_core::text::printable;
use wasmcloud_provider::wire::nil_is_no_bytes;

use super::subject::check_subject;

/// The operation that brings an actor a message.
pub(super) const HANDLE_MESSAGE: &str = "HandleMessage";

/// A message on its way.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Message {
    pub(super) subject: String,
    /// Where an answer is waited for; empty where none is.
    pub(super) reply_to: String,
    pub(super) body: Bytes,
}

/// What an actor asks for.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Operation {
    Publish(Message),
    Request { subject: String, body: Bytes, timeout: Duration },
}

#[derive(Deserialize)]
struct Publication {
    subject: String,
    #[serde(rename = "replyTo", default)]
    reply_to: Option<String>,
    #[serde(default, deserialize_with = "nil_is_no_bytes")]
    body: Vec<u8>,
}

#[derive(Deserialize)]
struct Question {
    subject: String,
    #[serde(default, deserialize_with = "nil_is_no_bytes")]
    body: Vec<u8>,
    timeout: i64,
}

impl Operation {
    /// Reads a call.
    ///
    /// # Errors
    /// Where the contract has no such operation, or the message is not what the operation takes.
    pub(super) fn decode(operation: &str, message: &[u8]) -> Result<Operation, String> {
        match operation {
            "Publish" => {
                let Publication { subject, reply_to, body } = read(message)?;
                check_subject(&subject)?;
                let reply_to = reply_to.unwrap_or_default();
                if !reply_to.is_empty() {
                    check_subject(&reply_to)?;
                }
                Ok(Operation::Publish(Message { subject, reply_to, body: body.into() }))
            }
            "Request" => {
                let Question { subject, body, timeout } = read(message)?;
                check_subject(&subject)?;
                let milliseconds = u64::try_from(timeout).ok().filter(|milliseconds| *milliseconds > 0);
                let milliseconds =
                    milliseconds.ok_or_else(|| format!("the timeout of {timeout} ms leaves no time for an answer"))?;
                Ok(Operation::Request { subject, body: body.into(), timeout: Duration::from_millis(milliseconds) })
            }
            _ => Err("wasmcloud:messaging has no such operation".to_owned()),
        }
    }

    /// What it has to say.
    pub(super) fn body(&self) -> &Bytes {
        match self {
            Operation::Publish(Message { body, .. }) | Operation::Request { body, .. } => body,
        }
    }
}

fn read<'a, T: Deserialize<'a>>(message: &'a [u8]) -> Result<T, String> {
    rmp_serde::from_slice(message).map_err(|error| {
        format!("the message is not what the operation takes: {}", printable(error.to_string().as_bytes()))
    })
}

/// A message as actors know it.
#[derive(Serialize)]
struct BrokerMessage<'a> {
    subject: &'a str,
    #[serde(rename = "replyTo")]
    reply_to: &'a str,
    #[serde(with = "serde_bytes")]
    body: &'a [u8],
}

#[derive(Serialize)]
struct PublishResponse {
    published: bool,
}

impl Message {
    pub(super) fn encode(&self) -> Result<Vec<u8>, rmp_serde::encode::Error> {
        rmp_serde::to_vec_named(&BrokerMessage { subject: &self.subject, reply_to: &self.reply_to, body: &self.body })
    }
}

/// The answer to `Publish`.
pub(super) fn published() -> Result<Vec<u8>, rmp_serde::encode::Error> {
    rmp_serde::to_vec_named(&PublishResponse { published: true })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::payload_fields::{BYTES, Fields, NEEDED, OPTIONAL_TEXT, TEXT, check};

    #[test]
    fn calls_are_read_with_the_names_of_the_wire() {
        let message = Message { subject: "a".into(), reply_to: "b".into(), body: b"\x00\xff".as_slice().into() };
        let publish = b"\x83\xa7subject\xa1a\xa7replyTo\xa1b\xa4body\xc4\x02\x00\xff";
        assert_eq!(Operation::decode("Publish", publish), Ok(Operation::Publish(message.clone())));
        assert_eq!(message.encode().unwrap(), publish);
        let integers = b"\x83\xa7subject\xa1a\xa7replyTo\xa1b\xa4body\x92\x00\xcc\xff";
        assert_eq!(Operation::decode("Publish", integers), Ok(Operation::Publish(message)));
        let request = b"\x83\xa7subject\xa1a\xa4body\xc4\x01x\xa7timeout\xcd\x03\xe8";
        let expected =
            Operation::Request { subject: "a".into(), body: b"x".as_slice().into(), timeout: Duration::from_secs(1) };
        assert_eq!(Operation::decode("Request", request), Ok(expected));
        assert_eq!(published().unwrap(), b"\x81\xa9published\xc3");
    }

    #[test]
    fn every_field_is_read_however_it_is_written() {
        let publish: Fields<'_> =
            &[("subject", TEXT, b"\xa1s"), ("replyTo", OPTIONAL_TEXT, b"\xa0"), ("body", BYTES, b"\xc4\x00")];
        check(publish, |message| Operation::decode("Publish", message).ok());
        let request: Fields<'_> = &[publish[0], publish[2], ("timeout", NEEDED, b"\x05")];
        check(request, |message| Operation::decode("Request", message).ok());
    }

    #[test]
    fn what_is_no_call_is_refused() {
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
            assert!(Operation::decode(operation, message).is_err(), "{operation} {message:?}");
        }
    }

    proptest! {
        #[test]
        fn any_bytes_end_in_an_answer(bytes in proptest::collection::vec(any::<u8>(), 0..100)) {
            let _ = (Operation::decode("Publish", &bytes), Operation::decode("Request", &bytes));
        }
    }
}
