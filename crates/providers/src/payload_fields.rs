//! Checks how the fields of a contract's payloads are read, for the tests of each contract.

/// What becomes of a field that is written in some way.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Read {
    /// The message is refused.
    No,
    /// It is empty.
    Empty,
    /// It is `a`.
    Value,
}
use Read::{Empty, No, Value};

/// How a field may be left out, and may be written: as nil, as bin, as text, as an array of integers.
pub(crate) type Row = [Read; 5];

pub(crate) const BYTES: Row = [Empty, Empty, Value, Value, Value];
pub(crate) const TEXT: Row = [No, No, Value, Value, No];
pub(crate) const OPTIONAL_TEXT: Row = [Empty, Empty, Value, Value, No];
pub(crate) const OPTIONAL_MAP: Row = [Empty, Empty, No, No, No];
/// A number, a list or a structure, without which the message means nothing.
pub(crate) const NEEDED: Row = [No, No, No, No, No];

/// Each field with its row and a good value, which has to be empty where it may be.
pub(crate) type Fields<'a> = &'a [(&'a str, Row, &'a [u8])];

/// A map of msgpack, with values that are written already.
pub(crate) fn map(fields: &[(&str, &[u8])]) -> Vec<u8> {
    let mut message = vec![0x80 | u8::try_from(fields.len()).unwrap()];
    for (name, value) in fields {
        message.push(0xa0 | u8::try_from(name.len()).unwrap());
        message.extend_from_slice(name.as_bytes());
        message.extend_from_slice(value);
    }
    message
}

/// Writes each field of a message in every way, and checks that it is read as its row says.
pub(crate) fn check<T: std::fmt::Debug + PartialEq>(fields: Fields<'_>, decode: impl Fn(&[u8]) -> Option<T>) {
    for (field, row, _) in fields {
        let written = |value: Option<&[u8]>| {
            let others = fields.iter().map(|(name, _, good)| (*name, if name == field { value } else { Some(*good) }));
            let present: Vec<_> = others.filter_map(|(name, value)| Some((name, value?))).collect();
            decode(&map(&present))
        };
        let empty = written(Some(b"\xa0")).or_else(|| written(Some(b"\x80")));
        let value = written(Some(b"\xa1a"));
        let ways = [None, Some(&b"\xc0"[..]), Some(b"\xc4\x01a"), Some(b"\xa1a"), Some(b"\x91a")];
        for (way, expected) in ways.into_iter().zip(row) {
            let read = written(way);
            match expected {
                No => assert_eq!(read, None, "{field} as {way:?}"),
                Empty => assert!(read.is_some() && read == empty, "{field} as {way:?}: {read:?}"),
                Value => assert!(read.is_some() && read == value, "{field} as {way:?}: {read:?}"),
            }
        }
    }
}
