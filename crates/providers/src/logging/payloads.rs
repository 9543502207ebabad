//! The payload of `wasmcloud:logging`, encoded as a msgpack map with the field names of the contract.

use log::Level;
use serde::{Deserialize, Deserializer, de};
use wasmcloud_core::text::printable;
use wasmcloud_provider::wire::nil_is_default;

/// A line of an actor.
#[derive(Debug, PartialEq, Eq, Deserialize)]
pub(super) struct LogLine<'a> {
    /// The target that the actor names.
    #[serde(default, borrow, deserialize_with = "nil_is_default")]
    pub(super) target: &'a str,
    /// The severity. Lines without a level are discarded.
    #[serde(deserialize_with = "level")]
    pub(super) level: Option<Level>,
    #[serde(borrow)]
    pub(super) text: &'a str,
}

impl<'a> LogLine<'a> {
    /// Decodes the payload of an operation.
    ///
    /// # Errors
    /// Returns an error if the contract has no such operation, or if the payload is invalid.
    pub(super) fn decode(operation: &str, payload: &'a [u8]) -> Result<LogLine<'a>, String> {
        if operation != "WriteLog" {
            return Err("wasmcloud:logging has no such operation".to_owned());
        }
        rmp_serde::from_slice(payload).map_err(|error| {
            format!("the payload is not what the operation takes: {}", printable(error.to_string().as_bytes()))
        })
    }
}

/// A level, as a number or a name.
#[derive(Deserialize)]
#[serde(untagged)]
enum LevelPayload<'a> {
    Number(u64),
    Name(&'a str),
}

fn level<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Level>, D::Error> {
    match LevelPayload::deserialize(deserializer)? {
        LevelPayload::Number(0) => Ok(None),
        LevelPayload::Number(number) => {
            let level = usize::try_from(number).ok().and_then(|number| Level::iter().nth(number - 1));
            level.map(Some).ok_or_else(|| de::Error::custom(format!("there is no level {number}")))
        }
        LevelPayload::Name(name) => parse_level(name).ok_or_else(|| de::Error::custom("there is no such level")),
    }
}

/// Parses the name of a level. Returns `None` if it is unknown, and `Some(None)` if it discards lines.
pub(super) fn parse_level(name: &str) -> Option<Option<Level>> {
    let names = ["off", "none", "warning"];
    match names.iter().position(|known| name.eq_ignore_ascii_case(known)) {
        Some(2) => Some(Some(Level::Warn)),
        Some(_) => Some(None),
        None => name.parse().ok().map(Some),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::payload_fields::{Field, OPTIONAL_TEXT, REQUIRED, TEXT, check, field};

    fn level_of(written: &[u8]) -> Result<Option<Level>, String> {
        let payload = [b"\x83\xa6target\xa1t\xa5level", written, b"\xa4text\xa2hi"].concat();
        LogLine::decode("WriteLog", &payload).map(|line| {
            assert_eq!((line.target, line.text), ("t", "hi"));
            line.level
        })
    }

    #[test]
    fn levels_are_names_or_numbers() {
        for (name, number, level) in [
            (&b"\xa5error"[..], &b"\x01"[..], Some(Level::Error)),
            (b"\xa4WARN", b"\x02", Some(Level::Warn)),
            (b"\xa7warning", b"\xcc\x02", Some(Level::Warn)),
            (b"\xa4info", b"\xcd\x00\x03", Some(Level::Info)),
            (b"\xa5debug", b"\x04", Some(Level::Debug)),
            (b"\xa5Trace", b"\x05", Some(Level::Trace)),
            (b"\xa4none", b"\x00", None),
        ] {
            assert_eq!(level_of(name), Ok(level));
            assert_eq!(level_of(number), Ok(level));
        }
        for bad in [&b"\x06"[..], b"\xff", b"\xa0", b"\xa4loud", b"\xc0", b"\xcf\xff\xff\xff\xff\xff\xff\xff\xff"] {
            assert!(level_of(bad).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn every_encoding_of_every_field_is_decoded() {
        let fields: &[Field<'_>] = &[
            field("target", OPTIONAL_TEXT, b"\xa0"),
            field("level", REQUIRED, b"\xa4info"),
            field("text", TEXT, b"\xa2hi"),
        ];
        let line = |payload: &[u8]| {
            let LogLine { target, level, text } = LogLine::decode("WriteLog", payload).ok()?;
            Some((target.to_owned(), level, text.to_owned()))
        };
        check(fields, line);
    }

    #[test]
    fn a_target_may_be_left_out() {
        let line = LogLine::decode("WriteLog", b"\x82\xa5level\xa4info\xa4text\xa2hi").unwrap();
        assert_eq!(line, LogLine { target: "", level: Some(Level::Info), text: "hi" });
        assert!(LogLine::decode("Write", b"\x82\xa5level\xa4info\xa4text\xa2hi").is_err());
        assert!(LogLine::decode("WriteLog", b"\x81\xa5level\xa4info").is_err());
    }

    proptest! {
        #[test]
        fn decoding_any_bytes_does_not_panic(bytes in proptest::collection::vec(any::<u8>(), 0..60)) {
            let _ = LogLine::decode("WriteLog", &bytes);
        }
    }
}
