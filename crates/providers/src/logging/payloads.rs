//! The payload of `wasmcloud:logging`, byte for byte.

use log::Level;
use serde::{Deserialize, Deserializer, de};
use wasmcloud_core::text::printable;
use wasmcloud_provider::wire::nil_is_default;

/// A line that an actor writes.
#[derive(Debug, PartialEq, Eq, Deserialize)]
pub(super) struct LogLine<'a> {
    /// What the line is about, in words of the actor's own.
    #[serde(default, borrow, deserialize_with = "nil_is_default")]
    pub(super) target: &'a str,
    /// How severe it is; a line without a level is not to be written.
    #[serde(deserialize_with = "level")]
    pub(super) level: Option<Level>,
    #[serde(borrow)]
    pub(super) text: &'a str,
}

impl<'a> LogLine<'a> {
    /// Reads a call.
    ///
    /// # Errors
    /// Where the contract has no such operation, or the message is not what the operation takes.
    pub(super) fn decode(operation: &str, payload: &'a [u8]) -> Result<LogLine<'a>, String> {
        if operation != "WriteLog" {
            return Err("wasmcloud:logging has no such operation".to_owned());
        }
        rmp_serde::from_slice(payload).map_err(|error| {
            format!("the payload is not what the operation takes: {}", printable(error.to_string().as_bytes()))
        })
    }
}

/// A level as actors of different languages write it.
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

/// What the name of a level means: nothing where it is none, and no level where nothing is to be written.
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
    use crate::payload_fields::{Fields, NEEDED, OPTIONAL_TEXT, TEXT, check};

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
    fn every_field_is_read_however_it_is_written() {
        let fields: Fields<'_> =
            &[("target", OPTIONAL_TEXT, b"\xa0"), ("level", NEEDED, b"\xa4info"), ("text", TEXT, b"\xa2hi")];
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
        fn any_bytes_end_in_an_answer(bytes in proptest::collection::vec(any::<u8>(), 0..60)) {
            let _ = LogLine::decode("WriteLog", &bytes);
        }
    }
}
