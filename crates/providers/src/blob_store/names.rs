//! Any text as names of files, and back: nothing in it is a path, a special name or a difference of case.
//!
//! Lower-case letters, digits, `-`, `_` and dots inside stay as they are; each other byte becomes `%` and two hexadecimal
//! digits, upper-case letters too, since some file systems take them for lower-case ones. The empty text is `%_`. What is
//! longer than a file name may be goes on in a folder, whose name ends in `%`.

use std::fmt::Write as _;

/// How long an id may be, in bytes.
pub(super) const MAX_ID_BYTES: usize = 1024;

/// How long a name may become; most file systems take 255 bytes.
const MAX_PART_BYTES: usize = 200;

const EMPTY_NAME: &str = "%_";

/// The names of the folders on the way, if any, and of the file.
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
            // Writing to a string cannot fail.
            _ => _ = write!(part, "%{byte:02x}"),
        }
    }
    let folders = parts.len() - 1;
    parts[..folders].iter_mut().for_each(|folder| folder.push('%'));
    parts
}

/// Whether a name is one of the folders in which long names go on.
pub(super) fn is_continuation(name: &str) -> bool {
    name.ends_with('%')
}

/// The text that these are the names of; nothing where they are no text's, so somebody else's.
pub(super) fn decode(parts: &[&str]) -> Option<String> {
    let joined: String = parts.iter().map(|part| part.strip_suffix('%').unwrap_or(part)).collect();
    let text = if joined == EMPTY_NAME { String::new() } else { unescape(&joined)? };
    // Whatever else would lead to the same text is not how it is written.
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
    fn ordinary_names_stay_readable_and_special_ones_are_none() {
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
    fn other_names_are_nobodys() {
        for name in ["", "%", ".", "..", "A", "%2E", "%61", "%zz", "%c3", "a b", "é", "a%", ".container", "%+1", "%_a"]
        {
            assert_eq!(decode(&[name]), None, "{name}");
        }
        assert_eq!(decode(&["a%", "b"]), None);
        assert_eq!(decode(&[]), None);
    }

    proptest! {
        #[test]
        fn any_text_comes_back_from_names_that_fit(text in any::<String>(), repeated in 1..80_usize) {
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
        fn texts_that_differ_have_names_that_differ_whatever_their_case(texts in prop::collection::vec(".{0,6}", 2..20)) {
            let mut names = HashMap::new();
            for text in texts {
                let name = encode(&text).join("/").to_ascii_lowercase();
                let before = names.insert(name, text.clone());
                prop_assert!(before.is_none_or(|before| before == text));
            }
        }
    }
}
