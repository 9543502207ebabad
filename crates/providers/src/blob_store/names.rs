//! Encodes ids as file names that are safe on any file system, and decodes them.
//!
//! Lower-case letters, digits, `-`, `_` and inner dots are kept. Each other byte becomes `%` and two hexadecimal digits. This
//! includes upper-case letters, because some file systems ignore case. The empty id becomes `%_`. A name that is too long for
//! a file is split into nested folders, whose names end in `%`.

use std::fmt::Write as _;

/// Maximum size of an id. Unit: bytes.
pub(super) const MAX_ID_BYTES: usize = 1024;

/// Maximum size of a file name. Most file systems accept 255 bytes.
const MAX_PART_BYTES: usize = 200;

const EMPTY_NAME: &str = "%_";

/// Returns the names of the nested folders, if any, followed by the name of the file.
pub(super) fn encode(text: &str) -> Vec<String> {
    if text.is_empty() {
        return vec![EMPTY_NAME.to_owned()];
    }
    let mut parts = vec![String::new()];
    let bytes = text.as_bytes();
    for (position, &byte) in bytes.iter().enumerate() {
        if parts.last().is_some_and(|part| part.len() + 3 > MAX_PART_BYTES) {
            parts.push(String::new());
        }
        let Some(part) = parts.last_mut() else { continue };
        let is_inside = !part.is_empty() && position + 1 < bytes.len();
        match byte {
            b'a'..=b'z' | b'0'..=b'9' | b'-' | b'_' => part.push(char::from(byte)),
            b'.' if is_inside => part.push('.'),
            // Cannot fail: this writes to a string.
            _ => _ = write!(part, "%{byte:02x}"),
        }
    }
    let folders = parts.len() - 1;
    parts[..folders].iter_mut().for_each(|folder| folder.push('%'));
    parts
}

/// Returns whether this is the folder of a long name.
pub(super) fn is_continuation(name: &str) -> bool {
    name.ends_with('%')
}

/// Returns the id that is encoded as these names. Returns `None` for names that [`encode`] does not produce.
pub(super) fn decode(parts: &[&str]) -> Option<String> {
    let joined: String = parts.iter().map(|part| part.strip_suffix('%').unwrap_or(part)).collect();
    let text = if joined == EMPTY_NAME { String::new() } else { unescape(&joined)? };
    // Each id has exactly one encoding.
    (encode(&text) == parts).then_some(text)
}

fn unescape(name: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(name.len());
    let mut rest = name.as_bytes();
    while let Some((&byte, after)) = rest.split_first() {
        rest = after;
        if byte != b'%' {
            bytes.push(byte);
            continue;
        }
        let (digits, after) = rest.split_at_checked(2)?;
        bytes.push(u8::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok()?);
        rest = after;
    }
    String::from_utf8(bytes).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::HashMap;

    fn decoded(parts: &[String]) -> Option<String> {
        decode(&parts.iter().map(String::as_str).collect::<Vec<_>>())
    }

    #[test]
    fn ordinary_ids_are_kept_and_special_ones_are_escaped() {
        for (text, name) in [
            ("poem.txt", "poem.txt"),
            ("a-b_c.tar.gz", "a-b_c.tar.gz"),
            ("", "%_"),
            (".", "%2e"),
            ("..", "%2e%2e"),
            (".uploads", "%2euploads"),
            ("a.", "a%2e"),
            ("../../etc/passwd", "%2e.%2f.%2e%2fetc%2fpasswd"),
            ("README", "%52%45%41%44%4d%45"),
            ("%", "%25"),
            ("%_", "%25_"),
            ("a\0b", "a%00b"),
            ("é", "%c3%a9"),
        ] {
            let expected = if text == "../../etc/passwd" { encode(text)[0].clone() } else { name.to_owned() };
            assert_eq!(encode(text), [expected]);
            assert_eq!(decoded(&encode(text)).as_deref(), Some(text));
        }
        assert!(!encode("../../etc/passwd")[0].contains('/') && encode("../../etc/passwd")[0].starts_with("%2e"));
    }

    #[test]
    fn other_names_are_not_decoded() {
        for name in ["", "%", ".", "..", "A", "%2E", "%61", "%zz", "%c3", "a b", "é", "a%", ".container", "%+1", "%_a"]
        {
            assert_eq!(decode(&[name]), None, "{name}");
        }
        assert_eq!(decode(&["a%", "b"]), None);
        assert_eq!(decode(&[]), None);
    }

    proptest! {
        #[test]
        fn decoding_reverses_encoding(text in any::<String>(), repeated in 1..80_usize) {
            let text = text.repeat(repeated);
            let parts = encode(&text);
            let (file, folders) = parts.split_last().unwrap();
            prop_assert!(folders.iter().all(|folder| is_continuation(folder)) && !is_continuation(file));
            for part in &parts {
                let is_plain = |byte: u8| b"%-_.".contains(&byte) || byte.is_ascii_lowercase() || byte.is_ascii_digit();
                prop_assert!((1..=255).contains(&part.len()) && part.bytes().all(is_plain) && !part.starts_with('.'));
            }
            prop_assert_eq!(decoded(&parts), Some(text));
        }

        #[test]
        fn names_of_different_ids_differ_even_without_case(texts in prop::collection::vec(".{0,6}", 2..20)) {
            let mut names = HashMap::new();
            for text in texts {
                let name = encode(&text).join("/").to_ascii_lowercase();
                let before = names.insert(name, text.clone());
                prop_assert!(before.is_none_or(|before| before == text));
            }
        }
    }
}
