//! The payloads of `wasmcloud:keyvalue`, byte for byte: msgpack, structs as maps, field names as on the wire.

use serde::{Deserialize, Serialize};
use wasmcloud_core::text::printable;

use super::error::Refusal;

/// What an actor asks for, read and made independent of its bytes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Operation {
    Get {
        key: String,
    },
    KeyExists {
        key: String,
    },
    Add {
        key: String,
        value: i32,
    },
    Set {
        key: String,
        value: String,
        expires: i32,
    },
    /// `Del` and `Clear`: what a list was cleared of is nowhere else.
    Delete {
        key: String,
    },
    Range {
        key: String,
        start: i32,
        stop: i32,
    },
    Push {
        key: String,
        value: String,
    },
    ListItemDelete {
        key: String,
        value: String,
    },
    SetAdd {
        key: String,
        value: String,
    },
    SetRemove {
        key: String,
        value: String,
    },
    SetUnion {
        keys: Vec<String>,
    },
    SetIntersection {
        keys: Vec<String>,
    },
    SetQuery {
        key: String,
    },
}

#[derive(Deserialize)]
struct Key {
    key: String,
}

#[derive(Deserialize)]
struct Keys {
    keys: Vec<String>,
}

#[derive(Deserialize)]
struct Pair {
    key: String,
    value: String,
}

#[derive(Deserialize)]
struct Addition {
    key: String,
    value: i32,
}

#[derive(Deserialize)]
struct Setting {
    key: String,
    value: String,
    expires: i32,
}

#[derive(Deserialize)]
struct Span {
    key: String,
    start: i32,
    stop: i32,
}

impl Operation {
    /// Reads a call.
    ///
    /// # Errors
    /// Where the contract has no such operation, or the message is not what the operation takes.
    pub(super) fn decode(operation: &str, message: &[u8]) -> Result<Operation, Refusal> {
        let key = || read::<Key>(message).map(|Key { key }| key);
        let keys = || read::<Keys>(message).and_then(some);
        let pair = || read::<Pair>(message).map(|Pair { key, value }| (key, value));
        Ok(match operation {
            "Get" => Operation::Get { key: key()? },
            "KeyExists" => Operation::KeyExists { key: key()? },
            "Add" => {
                let Addition { key, value } = read(message)?;
                Operation::Add { key, value }
            }
            "Set" => {
                let Setting { key, value, expires } = read(message)?;
                Operation::Set { key, value, expires }
            }
            "Del" | "Clear" => Operation::Delete { key: key()? },
            "Range" => {
                let Span { key, start, stop } = read(message)?;
                Operation::Range { key, start, stop }
            }
            "Push" => pair().map(|(key, value)| Operation::Push { key, value })?,
            "ListItemDelete" => pair().map(|(key, value)| Operation::ListItemDelete { key, value })?,
            "SetAdd" => pair().map(|(key, value)| Operation::SetAdd { key, value })?,
            "SetRemove" => pair().map(|(key, value)| Operation::SetRemove { key, value })?,
            "SetUnion" => Operation::SetUnion { keys: keys()? },
            "SetIntersection" => Operation::SetIntersection { keys: keys()? },
            "SetQuery" => Operation::SetQuery { key: key()? },
            _ => return Err(Refusal::UnknownOperation),
        })
    }

    /// The keys that it is about.
    pub(super) fn keys_mut(&mut self) -> &mut [String] {
        match self {
            Operation::SetUnion { keys } | Operation::SetIntersection { keys } => keys,
            Operation::Get { key }
            | Operation::KeyExists { key }
            | Operation::Add { key, .. }
            | Operation::Set { key, .. }
            | Operation::Delete { key }
            | Operation::Range { key, .. }
            | Operation::Push { key, .. }
            | Operation::ListItemDelete { key, .. }
            | Operation::SetAdd { key, .. }
            | Operation::SetRemove { key, .. }
            | Operation::SetQuery { key } => std::slice::from_mut(key),
        }
    }

    /// The text that it brings, if it brings one.
    pub(super) fn value(&self) -> Option<&str> {
        match self {
            Operation::Set { value, .. }
            | Operation::Push { value, .. }
            | Operation::ListItemDelete { value, .. }
            | Operation::SetAdd { value, .. }
            | Operation::SetRemove { value, .. } => Some(value),
            _ => None,
        }
    }

    /// Whether it leaves everything as it is.
    pub(super) fn only_reads(&self) -> bool {
        matches!(
            self,
            Operation::Get { .. }
                | Operation::KeyExists { .. }
                | Operation::Range { .. }
                | Operation::SetUnion { .. }
                | Operation::SetIntersection { .. }
                | Operation::SetQuery { .. }
        )
    }
}

fn read<'a, T: Deserialize<'a>>(message: &'a [u8]) -> Result<T, Refusal> {
    rmp_serde::from_slice(message).map_err(|error| Refusal::Malformed(printable(error.to_string().as_bytes())))
}

fn some(Keys { keys }: Keys) -> Result<Vec<String>, Refusal> {
    if keys.is_empty() { Err(Refusal::Malformed("there are no keys".to_owned())) } else { Ok(keys) }
}

/// What an actor is answered.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(untagged)]
pub(super) enum Answer {
    /// To `Get` and `KeyExists`; the latter leaves the value empty, as it always did.
    Found { value: String, exists: bool },
    /// To `Add`.
    Sum { value: i32 },
    /// To `Set`: what was set.
    Stored { value: String },
    /// To `Del` and `Clear`, whether or not there was anything.
    Deleted { key: String },
    /// To `Range`, `SetUnion`, `SetIntersection` and `SetQuery`.
    Values { values: Vec<String> },
    /// To `Push`, how long the list is now; to `ListItemDelete`, how many items were taken out.
    List {
        #[serde(rename = "newCount")]
        new_count: i32,
    },
    /// To `SetAdd` and `SetRemove`, how many members were put in or taken out.
    Members { new_count: i32 },
}

impl Answer {
    pub(super) fn encode(&self) -> Result<Vec<u8>, rmp_serde::encode::Error> {
        rmp_serde::to_vec_named(self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::payload_fields::{Fields, NEEDED, TEXT, check};
    use proptest::prelude::*;

    #[test]
    fn calls_are_read_with_the_names_of_the_wire() {
        let set = b"\x83\xa3key\xa1a\xa5value\xa1b\xa7expires\x05";
        let expected = Operation::Set { key: "a".to_owned(), value: "b".to_owned(), expires: 5 };
        assert_eq!(Operation::decode("Set", set), Ok(expected));
        let range = b"\x83\xa3key\xa1a\xa5start\x00\xa4stop\xff";
        let expected = Operation::Range { key: "a".to_owned(), start: 0, stop: -1 };
        assert_eq!(Operation::decode("Range", range), Ok(expected));
        let union = b"\x81\xa4keys\x92\xa1a\xa1b";
        let expected = Operation::SetUnion { keys: vec!["a".to_owned(), "b".to_owned()] };
        assert_eq!(Operation::decode("SetUnion", union), Ok(expected));
        assert_eq!(Operation::decode("Del", b"\x91\xa1a"), Operation::decode("Clear", b"\x81\xa3key\xa1a"));
    }

    #[test]
    fn every_field_is_read_however_it_is_written() {
        let pair: Fields<'_> = &[("key", TEXT, b"\xa1k"), ("value", TEXT, b"\xa1v")];
        let key = pair[0];
        let cases: [(&[&str], Fields<'_>); 6] = [
            (&["Get", "KeyExists", "Del", "Clear", "SetQuery"], &pair[..1]),
            (&["Push", "ListItemDelete", "SetAdd", "SetRemove"], pair),
            (&["Add"], &[key, ("value", NEEDED, b"\x01")]),
            (&["Set"], &[key, pair[1], ("expires", NEEDED, b"\x00")]),
            (&["Range"], &[key, ("start", NEEDED, b"\x00"), ("stop", NEEDED, b"\xff")]),
            (&["SetUnion", "SetIntersection"], &[("keys", NEEDED, b"\x91\xa1k")]),
        ];
        for (operations, fields) in cases {
            for operation in operations {
                check(fields, |message| Operation::decode(operation, message).ok());
            }
        }
    }

    #[test]
    fn answers_are_written_with_the_names_of_the_wire() {
        let found = Answer::Found { value: "a".to_owned(), exists: true };
        assert_eq!(found.encode().unwrap(), b"\x82\xa5value\xa1a\xa6exists\xc3");
        assert_eq!(Answer::Sum { value: -1 }.encode().unwrap(), b"\x81\xa5value\xff");
        assert_eq!(Answer::Stored { value: "a".to_owned() }.encode().unwrap(), b"\x81\xa5value\xa1a");
        assert_eq!(Answer::Deleted { key: "a".to_owned() }.encode().unwrap(), b"\x81\xa3key\xa1a");
        assert_eq!(Answer::Values { values: vec!["a".to_owned()] }.encode().unwrap(), b"\x81\xa6values\x91\xa1a");
        assert_eq!(Answer::List { new_count: 3 }.encode().unwrap(), b"\x81\xa8newCount\x03");
        assert_eq!(Answer::Members { new_count: 3 }.encode().unwrap(), b"\x81\xa9new_count\x03");
    }

    #[test]
    fn what_is_no_call_is_refused() {
        for (operation, message) in [
            ("Get", &b""[..]),
            ("Get", b"\x80"),
            ("Get", b"\x81\xa3key\x01"),
            ("Get", b"\x81\xa3key\xa2\xff\xfe"),
            ("Get", b"\xdf\xff\xff\xff\xff"),
            ("Add", b"\x82\xa3key\xa1a\xa5value\xce\xff\xff\xff\xff"),
            ("Set", b"\x82\xa3key\xa1a\xa5value\xa1b"),
            ("SetUnion", b"\x81\xa4keys\x90"),
            ("SetUnion", b"\x81\xa4keys\xdd\xff\xff\xff\xff"),
        ] {
            let refused = Operation::decode(operation, message).unwrap_err();
            assert!(matches!(refused, Refusal::Malformed(_)), "{operation} {message:?}: {refused}");
        }
        assert_eq!(Operation::decode("get", b"\x81\xa3key\xa1a"), Err(Refusal::UnknownOperation));
    }

    proptest! {
        #[test]
        fn any_bytes_end_in_an_answer(bytes in proptest::collection::vec(any::<u8>(), 0..100)) {
            for operation in ["Get", "Add", "Set", "Range", "Push", "SetUnion"] {
                let _ = Operation::decode(operation, &bytes);
            }
        }
    }
}
