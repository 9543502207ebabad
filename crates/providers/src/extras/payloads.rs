//! The payloads of `wasmcloud:extras`, byte for byte, in the two shapes that actors of different years speak.

use serde::{Deserialize, Serialize};
use wasmcloud_core::text::printable;

/// What an actor wants.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Wish {
    Guid,
    Number {
        min: u32,
        max: u32,
    },
    AnyNumber,
    /// `RequestRandom` in the older shape, without its flag.
    NoNumber,
    Sequence,
}

/// How messages look.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Shape {
    /// Each operation has all fields of any.
    Older,
    /// Each operation has what it needs.
    Newer,
}

/// What an actor wants, and how it wants to be answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Request {
    pub(super) wish: Wish,
    pub(super) shape: Shape,
}

/// A message in the older shape. What `guid` and `sequence` say never mattered.
#[derive(Deserialize)]
#[allow(dead_code, reason = "the flags tell the shape by being there")]
struct OlderRequest {
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

impl Request {
    /// Reads a call.
    ///
    /// # Errors
    /// Where the contract has no such operation, or the message is not what the operation takes.
    pub(super) fn decode(operation: &str, message: &[u8]) -> Result<Request, String> {
        if !matches!(operation, "RequestGuid" | "RequestRandom" | "RequestSequence") {
            return Err("wasmcloud:extras has no such operation".to_owned());
        }
        if let Ok(older) = rmp_serde::from_slice::<OlderRequest>(message) {
            let wish = match operation {
                "RequestGuid" => Wish::Guid,
                "RequestSequence" => Wish::Sequence,
                _ if older.random => Wish::Number { min: older.min, max: older.max },
                _ => Wish::NoNumber,
            };
            return Ok(Request { wish, shape: Shape::Older });
        }
        let wish = match operation {
            "RequestRandom" if !is_nothing(message) => {
                let Range { min, max } = rmp_serde::from_slice(message).map_err(|error| {
                    let reason = printable(error.to_string().as_bytes());
                    format!("the message is not what the operation takes: {reason}")
                })?;
                Wish::Number { min, max }
            }
            _ if !is_nothing(message) => return Err("the message is not what the operation takes".to_owned()),
            "RequestRandom" => Wish::AnyNumber,
            "RequestGuid" => Wish::Guid,
            _ => Wish::Sequence,
        };
        Ok(Request { wish, shape: Shape::Newer })
    }
}

/// Whether a message says nothing: it is empty, nil, or a structure without fields.
fn is_nothing(message: &[u8]) -> bool {
    matches!(message, b"" | b"\xc0" | b"\x80" | b"\x90")
}

/// What an actor is answered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Answer {
    Guid(String),
    Random(u32),
    Sequence(u64),
}

/// An answer in the older shape.
#[derive(Serialize, Default)]
struct OlderAnswer {
    guid: Option<String>,
    #[serde(rename = "sequenceNumber")]
    sequence_number: u64,
    random_number: u32,
}

impl Answer {
    pub(super) fn encode(self, shape: Shape) -> Result<Vec<u8>, rmp_serde::encode::Error> {
        match (shape, self) {
            (Shape::Older, Answer::Guid(guid)) => {
                rmp_serde::to_vec_named(&OlderAnswer { guid: Some(guid), ..OlderAnswer::default() })
            }
            (Shape::Older, Answer::Random(random_number)) => {
                rmp_serde::to_vec_named(&OlderAnswer { random_number, ..OlderAnswer::default() })
            }
            (Shape::Older, Answer::Sequence(sequence_number)) => {
                rmp_serde::to_vec_named(&OlderAnswer { sequence_number, ..OlderAnswer::default() })
            }
            (Shape::Newer, Answer::Guid(guid)) => rmp_serde::to_vec(&guid),
            (Shape::Newer, Answer::Random(number)) => rmp_serde::to_vec(&number),
            (Shape::Newer, Answer::Sequence(number)) => rmp_serde::to_vec(&number),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::payload_fields::{Fields, NEEDED, check};

    #[test]
    fn the_older_shape_is_told_by_its_flags() {
        let random = b"\x85\xa4guid\xc2\xa8sequence\xc2\xa6random\xc3\xa3min\x01\xa3max\x09";
        let older = |wish| Ok(Request { wish, shape: Shape::Older });
        assert_eq!(Request::decode("RequestRandom", random), older(Wish::Number { min: 1, max: 9 }));
        assert_eq!(Request::decode("RequestGuid", random), older(Wish::Guid));
        assert_eq!(Request::decode("RequestSequence", b"\x95\xc2\xc3\xc2\x00\x00"), older(Wish::Sequence));
        assert_eq!(Request::decode("RequestRandom", b"\x95\xc2\xc2\xc2\x00\x00"), older(Wish::NoNumber));
    }

    #[test]
    fn the_newer_shape_has_what_it_needs() {
        let newer = |wish| Ok(Request { wish, shape: Shape::Newer });
        for range in [&b"\x82\xa3min\x01\xa3max\xce\xff\xff\xff\xff"[..], b"\x92\x01\xce\xff\xff\xff\xff"] {
            assert_eq!(Request::decode("RequestRandom", range), newer(Wish::Number { min: 1, max: u32::MAX }));
        }
        for nothing in [&b""[..], b"\xc0", b"\x80", b"\x90"] {
            assert_eq!(Request::decode("RequestRandom", nothing), newer(Wish::AnyNumber));
            assert_eq!(Request::decode("RequestGuid", nothing), newer(Wish::Guid));
            assert_eq!(Request::decode("RequestSequence", nothing), newer(Wish::Sequence));
        }
    }

    #[test]
    fn every_field_is_read_however_it_is_written() {
        let range: Fields<'_> = &[("min", NEEDED, b"\x01"), ("max", NEEDED, b"\x09")];
        check(range, |message| Request::decode("RequestRandom", message).ok());
        let older: Fields<'_> = &[
            ("guid", NEEDED, b"\xc2"),
            ("sequence", NEEDED, b"\xc3"),
            ("random", NEEDED, b"\xc2"),
            range[0],
            range[1],
        ];
        check(older, |message| Request::decode("RequestSequence", message).ok());
    }

    #[test]
    fn answers_have_the_shape_of_their_question() {
        let guid = Answer::Guid("a".to_owned());
        let older = b"\x83\xa4guid\xa1a\xaesequenceNumber\x00\xadrandom_number\x00";
        assert_eq!(guid.clone().encode(Shape::Older).unwrap(), older);
        assert_eq!(guid.encode(Shape::Newer).unwrap(), b"\xa1a");
        let older = b"\x83\xa4guid\xc0\xaesequenceNumber\x07\xadrandom_number\x00";
        assert_eq!(Answer::Sequence(7).encode(Shape::Older).unwrap(), older);
        assert_eq!(Answer::Sequence(7).encode(Shape::Newer).unwrap(), b"\x07");
        let older = b"\x83\xa4guid\xc0\xaesequenceNumber\x00\xadrandom_number\xce\xff\xff\xff\xff";
        assert_eq!(Answer::Random(u32::MAX).encode(Shape::Older).unwrap(), older);
        assert_eq!(Answer::Random(u32::MAX).encode(Shape::Newer).unwrap(), b"\xce\xff\xff\xff\xff");
    }

    #[test]
    fn what_is_no_call_is_refused() {
        for (operation, message) in [
            ("RequestRandom", &b"\x81\xa3min\x01"[..]),
            ("RequestRandom", b"\x82\xa3min\xff\xa3max\x05"),
            ("RequestGuid", b"\xff"),
            ("RequestSequence", b"\xdf\xff\xff\xff\xff"),
            ("requestGuid", b""),
        ] {
            assert!(Request::decode(operation, message).is_err(), "{operation} {message:?}");
        }
    }

    proptest! {
        #[test]
        fn any_bytes_end_in_an_answer(bytes in proptest::collection::vec(any::<u8>(), 0..60)) {
            for operation in ["RequestGuid", "RequestRandom", "RequestSequence"] {
                let _ = Request::decode(operation, &bytes);
            }
        }
    }
}
