//! The record of a key: its type, its expiry, and its text or the extent of its list or set.
//!
//! Layout: the type (1 byte), the expiry in milliseconds since 1970 or 0 (8 bytes), then the text, or the numbers of a list or
//! set. All numbers are little-endian.

/// The record of a key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Record<'a> {
    /// The time of expiry, or 0 for none. Unit: milliseconds since 1970.
    pub(super) expires: u64,
    pub(super) content: Content<'a>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Content<'a> {
    Text(&'a str),
    List(ListExtent),
    /// A set with this number of members.
    Set(u64),
}

/// The positions of a list's items, from front to back. Removed items leave gaps.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct ListExtent {
    pub(super) front: i64,
    pub(super) back: i64,
    pub(super) count: u64,
}

const TEXT: u8 = 1;
const LIST: u8 = 2;
const SET: u8 = 3;

impl<'a> Record<'a> {
    /// Decodes a record. Returns `None` if the bytes are not a record.
    pub(super) fn decode(bytes: &'a [u8]) -> Option<Record<'a>> {
        let (&kind, rest) = bytes.split_first()?;
        let (expires, rest) = number(rest)?;
        let content = match kind {
            TEXT => Content::Text(std::str::from_utf8(rest).ok()?),
            LIST => {
                let (front, rest) = number(rest)?;
                let (back, rest) = number(rest)?;
                let (count, _) = number(rest)?;
                Content::List(ListExtent { front: front.cast_signed(), back: back.cast_signed(), count })
            }
            SET => Content::Set(number(rest)?.0),
            _ => return None,
        };
        Some(Record { expires, content })
    }

    pub(super) fn encode(&self) -> Vec<u8> {
        let (kind, text) = match self.content {
            Content::Text(text) => (TEXT, text),
            Content::List(_) => (LIST, ""),
            Content::Set(_) => (SET, ""),
        };
        let mut bytes = Vec::with_capacity(text.len() + 33);
        bytes.push(kind);
        bytes.extend(self.expires.to_le_bytes());
        bytes.extend(text.as_bytes());
        match self.content {
            Content::Text(_) => {}
            Content::List(ListExtent { front, back, count }) => {
                bytes.extend(front.to_le_bytes());
                bytes.extend(back.to_le_bytes());
                bytes.extend(count.to_le_bytes());
            }
            Content::Set(count) => bytes.extend(count.to_le_bytes()),
        }
        bytes
    }

    /// Returns whether the record has expired.
    pub(super) fn is_expired(&self, now: u64) -> bool {
        self.expires != 0 && self.expires <= now
    }
}

impl ListExtent {
    /// Returns whether there are no gaps, so that the position of an item follows from its index.
    pub(super) fn is_dense(&self) -> bool {
        self.back.checked_sub(self.front).and_then(|span| u64::try_from(span).ok())
            == Some(self.count.saturating_sub(1))
    }
}

fn number(bytes: &[u8]) -> Option<(u64, &[u8])> {
    let (number, rest) = bytes.split_first_chunk()?;
    Some((u64::from_le_bytes(*number), rest))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn decoding_reverses_encoding() {
        let list = ListExtent { front: -3, back: 4, count: 8 };
        for content in [Content::Text(""), Content::Text("é"), Content::List(list), Content::Set(7)] {
            for expires in [0, 1, u64::MAX] {
                let record = Record { expires, content };
                assert_eq!(Record::decode(&record.encode()), Some(record));
            }
        }
        assert!(list.is_dense());
        assert!(!ListExtent { count: 7, ..list }.is_dense());
        assert!(!ListExtent { front: i64::MIN, back: i64::MAX, count: 1 }.is_dense());
    }

    proptest! {
        #[test]
        fn decoding_any_bytes_does_not_panic(bytes: Vec<u8>) {
            let _ = Record::decode(&bytes);
        }
    }
}
