//! The messages by which chunks are requested.
//!
//! A request is the version, the offset (8 bytes) and the greatest length (4 bytes), big-endian. The answer is the chunk itself,
//! so that it is sent without being copied. An empty answer says that there is none: the payload is not offered any more, was
//! sent too often, or has no such place.

use bytes::{BufMut, Bytes, BytesMut};

const VERSION: u8 = 1;

/// The size of a request. Unit: bytes.
const REQUEST: usize = 13;

/// A request for a chunk.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Request {
    pub(super) offset: u64,
    /// The greatest length. The answer may be shorter.
    pub(super) length: u32,
}

impl Request {
    pub(super) fn encode(self) -> Bytes {
        let mut bytes = BytesMut::with_capacity(REQUEST);
        bytes.put_u8(VERSION);
        bytes.put_u64(self.offset);
        bytes.put_u32(self.length);
        bytes.freeze()
    }

    /// Reads a request. One for an empty chunk is none.
    pub(super) fn decode(bytes: &[u8]) -> Option<Request> {
        let bytes: &[u8; REQUEST] = bytes.try_into().ok()?;
        let ([VERSION], rest) = bytes.split_first_chunk()? else { return None };
        let (offset, length) = rest.split_first_chunk()?;
        let request =
            Request { offset: u64::from_be_bytes(*offset), length: u32::from_be_bytes(length.try_into().ok()?) };
        (request.length > 0).then_some(request)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn what_is_written_is_read_and_garbage_is_not(offset: u64, length in 1..u32::MAX, garbage: Vec<u8>) {
            let request = Request { offset, length };
            prop_assert_eq!(Request::decode(&request.encode()), Some(request));
            prop_assert!(garbage.len() == REQUEST || Request::decode(&garbage).is_none());
        }

        #[test]
        fn thirteen_bytes_are_a_request_or_none(bytes: [u8; REQUEST]) {
            let read = Request::decode(&bytes);
            prop_assert!(read.is_none_or(|request| request.encode() == bytes[..]));
        }
    }

    #[test]
    fn an_empty_chunk_is_not_requested() {
        assert_eq!(Request::decode(&Request { offset: 0, length: 0 }.encode()), None);
    }
}
