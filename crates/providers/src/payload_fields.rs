//! Checks how the fields of payloads are decoded, for the unit tests of each contract.

/// The outcome of decoding a field that is encoded in one way.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Decoded {
    /// The payload is refused.
    Refused,
    /// The field is empty.
    Empty,
    /// The field is `a`.
    Value,
}
use Decoded::{Empty, Refused, Value};

/// The outcomes for a field that is missing, and for one that is encoded as nil, as bin, as text, and as an array of
/// integers.
pub(crate) type Outcomes = [Decoded; 5];

pub(crate) const BYTES: Outcomes = [Empty, Empty, Value, Value, Value];
pub(crate) const TEXT: Outcomes = [Refused, Refused, Value, Value, Refused];
pub(crate) const OPTIONAL_TEXT: Outcomes = [Empty, Empty, Value, Value, Refused];
pub(crate) const OPTIONAL_MAP: Outcomes = [Empty, Empty, Refused, Refused, Refused];
/// The outcomes for a required number, list or structure.
pub(crate) const REQUIRED: Outcomes = [Refused, Refused, Refused, Refused, Refused];

/// A field of a payload.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Field<'a> {
    pub(crate) name: &'a str,
    pub(crate) outcomes: Outcomes,
    /// A valid value in msgpack. It is empty if the field may be.
    pub(crate) valid: &'a [u8],
}

pub(crate) const fn field<'a>(name: &'a str, outcomes: Outcomes, valid: &'a [u8]) -> Field<'a> {
    Field { name, outcomes, valid }
}

/// Encodes a msgpack map whose values are encoded already.
pub(crate) fn map(fields: &[(&str, &[u8])]) -> Vec<u8> {
    let mut payload = vec![0x80 | u8::try_from(fields.len()).unwrap()];
    for (name, value) in fields {
        payload.push(0xa0 | u8::try_from(name.len()).unwrap());
        payload.extend_from_slice(name.as_bytes());
        payload.extend_from_slice(value);
    }
    payload
}

/// Encodes each field in every way, and checks the outcome of decoding it.
pub(crate) fn check<T: std::fmt::Debug + PartialEq>(fields: &[Field<'_>], decode: impl Fn(&[u8]) -> Option<T>) {
    for Field { name, outcomes, .. } in fields {
        let decode_with = |value: Option<&[u8]>| {
            let values =
                fields.iter().map(|field| (field.name, if field.name == *name { value } else { Some(field.valid) }));
            let present: Vec<_> = values.filter_map(|(name, value)| Some((name, value?))).collect();
            decode(&map(&present))
        };
        let empty = decode_with(Some(b"\xa0")).or_else(|| decode_with(Some(b"\x80")));
        let value = decode_with(Some(b"\xa1a"));
        let encodings = [None, Some(&b"\xc0"[..]), Some(b"\xc4\x01a"), Some(b"\xa1a"), Some(b"\x91a")];
        for (encoding, expected) in encodings.into_iter().zip(outcomes) {
            let decoded = decode_with(encoding);
            match expected {
                Refused => assert_eq!(decoded, None, "{name} as {encoding:?}"),
                Empty => assert!(decoded.is_some() && decoded == empty, "{name} as {encoding:?}: {decoded:?}"),
                Value => assert!(decoded.is_some() && decoded == value, "{name} as {encoding:?}: {decoded:?}"),
            }
        }
    }
}
