//! The payloads of `wasmcloud:keyvalue`, encoded as msgpack maps with the field names of the contract.

use serde::{Deserialize, Serialize};
use wasmcloud_core::text::printable;

use super::error::KeyValueError;

/// A decoded operation, which owns its data.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum KeyValueOperation {
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
    /// `Del` and `Clear`, which are the same: an empty list does not exist.
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
struct KeyPayload {
    key: String,
}

#[derive(Deserialize)]
struct KeysPayload {
    keys: Vec<String>,
}

#[derive(Deserialize)]
struct KeyAndValuePayload {
    key: String,
    value: String,
}

#[derive(Deserialize)]
struct AddPayload {
    key: String,
    value: i32,
}

#[derive(Deserialize)]
struct SetPayload {
    key: String,
    value: String,
    expires: i32,
}

#[derive(Deserialize)]
struct RangePayload {
    key: String,
    start: i32,
    stop: i32,
}

impl KeyValueOperation {
    /// Decodes the payload of an operation.
    ///
    /// # Errors
    /// Returns an error if the contract has no such operation, or if the payload is invalid.
    pub(super) fn decode(operation: &str, payload: &[u8]) -> Result<KeyValueOperation, KeyValueError> {
        let key = || read::<KeyPayload>(payload).map(|KeyPayload { key }| key);
        let keys = || read::<KeysPayload>(payload).and_then(require_keys);
        let pair = || read::<KeyAndValuePayload>(payload).map(|KeyAndValuePayload { key, value }| (key, value));
        Ok(match operation {
            "Get" => KeyValueOperation::Get { key: key()? },
            "KeyExists" => KeyValueOperation::KeyExists { key: key()? },
            "Add" => {
                let AddPayload { key, value } = read(payload)?;
                KeyValueOperation::Add { key, value }
            }
            "Set" => {
                let SetPayload { key, value, expires } = read(payload)?;
                KeyValueOperation::Set { key, value, expires }
            }
            "Del" | "Clear" => KeyValueOperation::Delete { key: key()? },
            "Range" => {
                let RangePayload { key, start, stop } = read(payload)?;
                KeyValueOperation::Range { key, start, stop }
            }
            "Push" => pair().map(|(key, value)| KeyValueOperation::Push { key, value })?,
            "ListItemDelete" => pair().map(|(key, value)| KeyValueOperation::ListItemDelete { key, value })?,
            "SetAdd" => pair().map(|(key, value)| KeyValueOperation::SetAdd { key, value })?,
            "SetRemove" => pair().map(|(key, value)| KeyValueOperation::SetRemove { key, value })?,
            "SetUnion" => KeyValueOperation::SetUnion { keys: keys()? },
            "SetIntersection" => KeyValueOperation::SetIntersection { keys: keys()? },
            "SetQuery" => KeyValueOperation::SetQuery { key: key()? },
            _ => return Err(KeyValueError::UnknownOperation),
        })
    }

    /// Returns the keys of the operation.
    pub(super) fn keys_mut(&mut self) -> &mut [String] {
        match self {
            KeyValueOperation::SetUnion { keys } | KeyValueOperation::SetIntersection { keys } => keys,
            KeyValueOperation::Get { key }
            | KeyValueOperation::KeyExists { key }
            | KeyValueOperation::Add { key, .. }
            | KeyValueOperation::Set { key, .. }
            | KeyValueOperation::Delete { key }
            | KeyValueOperation::Range { key, .. }
            | KeyValueOperation::Push { key, .. }
            | KeyValueOperation::ListItemDelete { key, .. }
            | KeyValueOperation::SetAdd { key, .. }
            | KeyValueOperation::SetRemove { key, .. }
            | KeyValueOperation::SetQuery { key } => std::slice::from_mut(key),
        }
    }

    /// Returns the value that the operation carries, if any.
    pub(super) fn value(&self) -> Option<&str> {
        match self {
            KeyValueOperation::Set { value, .. }
            | KeyValueOperation::Push { value, .. }
            | KeyValueOperation::ListItemDelete { value, .. }
            | KeyValueOperation::SetAdd { value, .. }
            | KeyValueOperation::SetRemove { value, .. } => Some(value),
            _ => None,
        }
    }

    /// Returns whether the operation changes nothing.
    pub(super) fn is_read_only(&self) -> bool {
        matches!(
            self,
            KeyValueOperation::Get { .. }
                | KeyValueOperation::KeyExists { .. }
                | KeyValueOperation::Range { .. }
                | KeyValueOperation::SetUnion { .. }
                | KeyValueOperation::SetIntersection { .. }
                | KeyValueOperation::SetQuery { .. }
        )
    }
}

fn read<'a, T: Deserialize<'a>>(payload: &'a [u8]) -> Result<T, KeyValueError> {
    rmp_serde::from_slice(payload).map_err(|error| KeyValueError::Malformed(printable(error.to_string().as_bytes())))
}

fn require_keys(KeysPayload { keys }: KeysPayload) -> Result<Vec<String>, KeyValueError> {
    if keys.is_empty() { Err(KeyValueError::Malformed("it has no keys".to_owned())) } else { Ok(keys) }
}

/// The response to an operation.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(untagged)]
pub(super) enum KeyValueResponse {
    /// To `Get` and `KeyExists`. The value is empty for `KeyExists`.
    Found { value: String, exists: bool },
    /// To `Add`.
    Sum { value: i32 },
    /// To `Set`: the value that was set.
    Stored { value: String },
    /// To `Del` and `Clear`, whether or not the key existed.
    Deleted { key: String },
    /// To `Range`, `SetUnion`, `SetIntersection` and `SetQuery`.
    Values { values: Vec<String> },
    /// To `Push`: the new length of the list. To `ListItemDelete`: the number of removed items.
    List {
        #[serde(rename = "newCount")]
        new_count: i32,
    },
    /// To `SetAdd` and `SetRemove`: the number of added or removed members.
    Members { new_count: i32 },
}

impl KeyValueResponse {
    pub(super) fn encode(&self) -> Result<Vec<u8>, rmp_serde::encode::Error> {
        rmp_serde::to_vec_named(self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::payload_fields::{Field, REQUIRED, TEXT, check, field};
    use proptest::prelude::*;

    #[test]
    fn requests_are_decoded_by_their_field_names() {
        let set = b"\x83\xa3key\xa1a\xa5value\xa1b\xa7expires\x05";
        let expected = KeyValueOperation::Set { key: "a".to_owned(), value: "b".to_owned(), expires: 5 };
        assert_eq!(KeyValueOperation::decode("Set", set), Ok(expected));
        let range = b"\x83\xa3key\xa1a\xa5start\x00\xa4stop\xff";
        let expected = KeyValueOperation::Range { key: "a".to_owned(), start: 0, stop: -1 };
        assert_eq!(KeyValueOperation::decode("Range", range), Ok(expected));
        let union = b"\x81\xa4keys\x92\xa1a\xa1b";
        let expected = KeyValueOperation::SetUnion { keys: vec!["a".to_owned(), "b".to_owned()] };
        assert_eq!(KeyValueOperation::decode("SetUnion", union), Ok(expected));
        assert_eq!(
            KeyValueOperation::decode("Del", b"\x91\xa1a"),
            KeyValueOperation::decode("Clear", b"\x81\xa3key\xa1a")
        );
    }

    #[test]
    fn every_encoding_of_every_field_is_decoded() {
        let pair: &[Field<'_>] = &[field("key", TEXT, b"\xa1k"), field("value", TEXT, b"\xa1v")];
        let key = pair[0];
        let cases: [(&[&str], &[Field<'_>]); 6] = [
            (&["Get", "KeyExists", "Del", "Clear", "SetQuery"], &pair[..1]),
            (&["Push", "ListItemDelete", "SetAdd", "SetRemove"], pair),
            (&["Add"], &[key, field("value", REQUIRED, b"\x01")]),
            (&["Set"], &[key, pair[1], field("expires", REQUIRED, b"\x00")]),
            (&["Range"], &[key, field("start", REQUIRED, b"\x00"), field("stop", REQUIRED, b"\xff")]),
            (&["SetUnion", "SetIntersection"], &[field("keys", REQUIRED, b"\x91\xa1k")]),
        ];
        for (operations, fields) in cases {
            for operation in operations {
                check(fields, |payload| KeyValueOperation::decode(operation, payload).ok());
            }
        }
    }

    #[test]
    fn responses_are_encoded_with_their_field_names() {
        let found = KeyValueResponse::Found { value: "a".to_owned(), exists: true };
        assert_eq!(found.encode().unwrap(), b"\x82\xa5value\xa1a\xa6exists\xc3");
        assert_eq!(KeyValueResponse::Sum { value: -1 }.encode().unwrap(), b"\x81\xa5value\xff");
        assert_eq!(KeyValueResponse::Stored { value: "a".to_owned() }.encode().unwrap(), b"\x81\xa5value\xa1a");
        assert_eq!(KeyValueResponse::Deleted { key: "a".to_owned() }.encode().unwrap(), b"\x81\xa3key\xa1a");
        assert_eq!(
            KeyValueResponse::Values { values: vec!["a".to_owned()] }.encode().unwrap(),
            b"\x81\xa6values\x91\xa1a"
        );
        assert_eq!(KeyValueResponse::List { new_count: 3 }.encode().unwrap(), b"\x81\xa8newCount\x03");
        assert_eq!(KeyValueResponse::Members { new_count: 3 }.encode().unwrap(), b"\x81\xa9new_count\x03");
    }

    #[test]
    fn invalid_payloads_are_refused() {
        for (operation, payload) in [
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
            let refused = KeyValueOperation::decode(operation, payload).unwrap_err();
            assert!(matches!(refused, KeyValueError::Malformed(_)), "{operation} {payload:?}: {refused}");
        }
        assert_eq!(KeyValueOperation::decode("get", b"\x81\xa3key\xa1a"), Err(KeyValueError::UnknownOperation));
    }

    proptest! {
        #[test]
        fn decoding_any_bytes_does_not_panic(bytes in proptest::collection::vec(any::<u8>(), 0..100)) {
            for operation in ["Get", "Add", "Set", "Range", "Push", "SetUnion"] {
                let _ = KeyValueOperation::decode(operation, &bytes);
            }
        }
    }
}
