//! The header `tracestate`: what other systems add to a trace. It is checked, kept and passed on, and means nothing here.

use std::fmt;
use std::sync::Arc;

/// The greatest length that is kept and passed on. Unit: bytes.
const MAX_LENGTH: usize = 512;

/// The length from which on an entry is dropped first. Unit: bytes.
const LONG_ENTRY: usize = 128;

/// The greatest number of entries.
const MAX_ENTRIES: usize = 32;

/// The greatest length of a key, and of a value. Unit: bytes.
const MAX_PART: usize = 256;

/// The greatest length of a header that is read at all. Unit: bytes.
const MAX_HEADER: usize = 16 * 1024;

/// What other systems have added to a trace: the content of a header `tracestate`, at most 512 bytes. Cheap to clone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TraceState(Arc<str>);

impl TraceState {
    /// Returns the state that a header states. Several headers are joined by commas before. Of a header of more than 512
    /// bytes, entries of more than 128 bytes are dropped, then entries from its end. `None` if it is malformed or empty.
    pub fn parse(header: &str) -> Option<TraceState> {
        if header.len() > MAX_HEADER {
            return None;
        }
        let is_blank = |character| matches!(character, ' ' | '\t');
        let entries = header.split(',').map(|entry| entry.trim_matches(is_blank)).filter(|entry| !entry.is_empty());
        let mut entries: Vec<&str> = entries.take(MAX_ENTRIES + 1).collect();
        let mut keys: Vec<&str> = entries.iter().map(|entry| key_of(entry)).collect::<Option<_>>()?;
        keys.sort_unstable();
        let is_repeated = keys.windows(2).any(|pair| pair[0] == pair[1]);
        if entries.is_empty() || entries.len() > MAX_ENTRIES || is_repeated {
            return None;
        }
        if length(&entries) > MAX_LENGTH {
            entries.retain(|entry| entry.len() <= LONG_ENTRY);
        }
        while length(&entries) > MAX_LENGTH {
            entries.pop();
        }
        (!entries.is_empty()).then(|| TraceState(entries.join(",").into()))
    }

    /// Returns the content of the header.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for TraceState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

fn length(entries: &[&str]) -> usize {
    let commas = entries.len().saturating_sub(1);
    entries.iter().map(|entry| entry.len()).sum::<usize>() + commas
}

/// Returns the key of an entry. `None` if the entry is malformed.
fn key_of(entry: &str) -> Option<&str> {
    let (key, value) = entry.split_once('=')?;
    let is_valid_key = |key: &str| {
        let is_first = |byte: &u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
        let is_further = |byte: u8| is_first(&byte) || b"_-*/@".contains(&byte);
        key.len() <= MAX_PART && key.as_bytes().first().is_some_and(is_first) && key.bytes().all(is_further)
    };
    let is_valid_value = |value: &str| {
        let is_allowed = |byte: u8| matches!(byte, 0x20..=0x7e) && byte != b'=';
        !value.is_empty() && value.len() <= MAX_PART && value.bytes().all(is_allowed)
    };
    (is_valid_key(key) && is_valid_value(value)).then_some(key)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn parsed(header: &str) -> Option<String> {
        TraceState::parse(header).map(|state| state.to_string())
    }

    #[test]
    fn entries_are_kept_in_order() {
        assert_eq!(
            parsed("rojo=00f067aa0ba902b7,congo=t61rcWkgMzE").unwrap(),
            "rojo=00f067aa0ba902b7,congo=t61rcWkgMzE"
        );
        assert_eq!(parsed(" a=1 ,\t, tenant@system=a b:c ").unwrap(), "a=1,tenant@system=a b:c");
    }

    #[test]
    fn malformed_headers_are_ignored() {
        for malformed in
            ["", " , ", "a", "a=", "=1", "A=1", "a=1,a=2", "a=1=2", "a=\u{1b}", "a=é", "a b=1", "a=1\r\nb=2"]
        {
            assert_eq!(parsed(malformed), None, "{malformed:?}");
        }
        let many: Vec<String> = (0..33).map(|number| format!("k{number}=1")).collect();
        assert_eq!(parsed(&many.join(",")), None);
        assert!(parsed(&many[..32].join(",")).is_some());
        assert_eq!(parsed(&format!("a={}", "x".repeat(257))), None);
    }

    #[test]
    fn long_headers_lose_long_entries_and_then_the_last_ones() {
        let long = format!("long={}", "x".repeat(200));
        let short = |name: &str| format!("{name}={}", "x".repeat(100));
        let header = [short("a"), long, short("b"), short("c"), short("d"), short("e")].join(",");
        assert_eq!(parsed(&header).unwrap(), ["a", "b", "c", "d"].map(short).join(","));
    }

    proptest! {
        #[test]
        fn what_is_kept_is_short_and_kept_again(header in "([a-z]{1,9}=[ -~]{1,150},?){0,40}|\\PC{0,60}") {
            if let Some(kept) = parsed(&header) {
                prop_assert!(kept.len() <= MAX_LENGTH);
                prop_assert!(kept.bytes().all(|byte| matches!(byte, 0x20..=0x7e)));
                prop_assert_eq!(parsed(&kept), Some(kept));
            }
        }
    }
}
