//! The identity of a request, which relates the lines of several logs.

use std::hash::{BuildHasher, RandomState};
use std::sync::atomic::{AtomicU64, Ordering};

use hyper::header::{HeaderMap, HeaderName, HeaderValue};

/// The header with the identity of a request, in the request and the response.
pub(crate) const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// Maximum size of an identity that a client sends. Unit: bytes.
const MAX_ID_BYTES: usize = 128;

/// Generates identities for requests without one.
#[derive(Debug)]
pub(crate) struct RequestIds {
    /// Distinguishes this generator from others on any machine.
    generator: u64,
    generated: AtomicU64,
}

impl RequestIds {
    pub(crate) fn new() -> RequestIds {
        RequestIds { generator: RandomState::new().hash_one(std::process::id()), generated: AtomicU64::default() }
    }

    /// Returns the identity that the client sent, if it is valid, or a new one.
    pub(crate) fn of(&self, headers: &HeaderMap) -> HeaderValue {
        let given = headers.get(REQUEST_ID).filter(|given| is_valid(given.as_bytes()));
        given.cloned().unwrap_or_else(|| self.next())
    }

    fn next(&self) -> HeaderValue {
        const DIGITS: &[u8; 16] = b"0123456789abcdef";
        let made = self.generated.fetch_add(1, Ordering::Relaxed);
        let number = u128::from(self.generator) << 64 | u128::from(made);
        let digit = |place: usize| DIGITS[(number >> (124 - 4 * place)) as usize & 0xf];
        let text: [u8; 32] = std::array::from_fn(digit);
        HeaderValue::from_bytes(&text).unwrap_or_else(|_| HeaderValue::from_static("-"))
    }
}

/// Returns whether an identity is safe in a header and on a line of a log.
fn is_valid(id: &[u8]) -> bool {
    let fits = |&byte: &u8| byte.is_ascii_alphanumeric() || b"-_.:/+=@".contains(&byte);
    (1..=MAX_ID_BYTES).contains(&id.len()) && id.iter().all(fits)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(ids: &RequestIds, given: &'static [u8]) -> HeaderValue {
        ids.of(&HeaderMap::from_iter([(REQUEST_ID, HeaderValue::from_bytes(given).unwrap())]))
    }

    #[test]
    fn a_valid_identity_is_kept_and_others_are_replaced() {
        let ids = RequestIds::new();
        assert_eq!(of(&ids, b"7b-a.B_1:2/3+4=@"), "7b-a.B_1:2/3+4=@");
        for odd in [&b""[..], b"a b", b"a\tb", b"\xff", b"a\"b", &[b'a'; 129]] {
            let made = of(&ids, odd);
            assert!(made.len() == 32 && is_valid(made.as_bytes()), "{made:?}");
        }
    }

    #[test]
    fn identities_differ() {
        let (one, two) = (RequestIds::new(), RequestIds::new());
        let made = [one.next(), one.next(), two.next(), two.next()];
        let different: std::collections::HashSet<_> = made.iter().collect();
        assert_eq!(different.len(), 4);
    }
}
