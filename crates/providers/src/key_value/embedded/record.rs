//! What the store keeps under a key: its kind, when it expires, and for lists and sets where their parts are.
//!
//! The first byte is the kind, the next eight are the time of expiry in milliseconds since 1970 or 0, little-endian as all
//! numbers; the rest is the text, or the numbers of a list or set.

/// A key's value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Record<'a> {
    /// When it expires, in milliseconds since 1970; 0 is never.
    pub(super) expires: u64,
    pub(super) content: Content<'a>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Content<'a> {
    Text(&'a str),
    List(ListExtent),
    /// A set, and how many members it has.
    Set(u64),
}

/// A list lies at positions from its front to its back. There may be gaps, where items were taken out.
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
    /// Reads what was written; nothing if this is no record.
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

    /// Whether its time has come.
    pub(super) fn is_expired(&self, now: u64) -> bool {
        self.expires != 0 && self.expires <= now
    }
}

impl ListExtent {
    /// Whether there are no gaps, so that an item's number says where it is.
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
    fn records_are_read_as_they_were_written() {
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
        fn any_bytes_are_a_record_or_none(bytes: Vec<u8>) {
            let _ = Record::decode(&bytes);
        }
    }
}
