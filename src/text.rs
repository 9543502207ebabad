//! Text from outside, made fit for terminals and logs: the one place that decides which characters get there.

use std::borrow::Cow;
use std::fmt::{self, Write};

/// How much is kept of a text of which nobody knows how long it is, in bytes.
const LONGEST: usize = 8 * 1024;

/// Returns a text in which every character is escaped that is not to be seen: control characters, so that no text writes to
/// a terminal or forges a line of a log, and those that turn the direction of writing around, break lines or have no width,
/// so that none looks like another. Escapes are written as in Rust: `\n`, `\u{1b}`, `\u{202e}`.
///
/// The errors of this crate, and what it logs, have been through it. What has been through it once stays as it is.
///
/// ```
/// assert_eq!(wasmcloud_host::escaped("evil\u{1b}[31m\nERROR"), "evil\\u{1b}[31m\\nERROR");
/// assert_eq!(wasmcloud_host::escaped("harmless: \"é\" \\ 日本語"), "harmless: \"é\" \\ 日本語");
/// ```
pub fn escaped(text: &str) -> Cow<'_, str> {
    let Some(first) = text.find(is_unseen) else { return Cow::Borrowed(text) };
    let mut safe = String::with_capacity(text.len() + 16);
    safe.push_str(&text[..first]);
    // Writing to a string does not fail.
    let _ = Escaping(&mut safe).write_str(&text[first..]);
    Cow::Owned(safe)
}

/// Bytes as text that is fit for logs and errors: at most 8 KiB of it, and what is no UTF-8 replaced.
pub(crate) fn printable(bytes: &[u8]) -> String {
    escaped(&String::from_utf8_lossy(&bytes[..bytes.len().min(LONGEST)])).into_owned()
}

/// A writer of text that escapes what is written.
pub(crate) struct Escaping<'a, W>(pub(crate) &'a mut W);

impl<W: Write> Write for Escaping<'_, W> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        let mut rest = text;
        while let Some(at) = rest.find(is_unseen) {
            let (plain, from) = rest.split_at(at);
            self.0.write_str(plain)?;
            let mut characters = from.chars();
            if let Some(unseen) = characters.next() {
                write!(self.0, "{}", unseen.escape_default())?;
            }
            rest = characters.as_str();
        }
        self.0.write_str(rest)
    }
}

/// Whether a character does something else than being seen: controls, and what Unicode calls format characters, separators of
/// lines and paragraphs, and fillers without a glyph.
fn is_unseen(character: char) -> bool {
    if character.is_ascii() {
        return character.is_ascii_control();
    }
    character.is_control()
        || matches!(
            character,
            '\u{ad}'
                | '\u{34f}'
                | '\u{61c}'
                | '\u{115f}'..='\u{1160}'
                | '\u{17b4}'..='\u{17b5}'
                | '\u{180b}'..='\u{180f}'
                | '\u{200b}'..='\u{200f}'
                | '\u{2028}'..='\u{202e}'
                | '\u{2060}'..='\u{206f}'
                | '\u{3164}'
                | '\u{feff}'
                | '\u{ffa0}'
                | '\u{fff0}'..='\u{fffb}'
                | '\u{13430}'..='\u{1343f}'
                | '\u{1bca0}'..='\u{1bca3}'
                | '\u{1d173}'..='\u{1d17a}'
                | '\u{e0000}'..='\u{e0fff}'
        )
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn text_from_outside_cannot_forge_lines() {
        assert_eq!(printable("a\nERROR \u{1b}[31mé\u{fffd}".as_bytes()), "a\\nERROR \\u{1b}[31mé\u{fffd}");
        assert_eq!(printable(&[b'x'; 10_000]).len(), 8192);
        assert_eq!(printable(b"\xff\xfe"), "\u{fffd}\u{fffd}");
    }

    #[test]
    fn whatever_is_not_to_be_seen_is_escaped() {
        for (text, expected) in [
            ("\0\x07\x08\x0b\x0c\x7f", "\\u{0}\\u{7}\\u{8}\\u{b}\\u{c}\\u{7f}"),
            ("\r\n\t", "\\r\\n\\t"),
            // One character is enough for a sequence of the terminal.
            ("\u{9b}31m\u{85}", "\\u{9b}31m\\u{85}"),
            ("\u{202e}txt.exe\u{2066}\u{2069}\u{200f}", "\\u{202e}txt.exe\\u{2066}\\u{2069}\\u{200f}"),
            ("a\u{2028}b\u{2029}c", "a\\u{2028}b\\u{2029}c"),
            ("ad\u{200b}min\u{feff}", "ad\\u{200b}min\\u{feff}"),
            ("\u{e0041}", "\\u{e0041}"),
        ] {
            assert_eq!(escaped(text), expected);
        }
        for plain in ["", "a b", "\"'\\", "日本語 עברית العربية ไทย हिन्दी", "e\u{301}", "🙂"]
        {
            assert!(matches!(escaped(plain), Cow::Borrowed(same) if same == plain));
        }
    }

    /// Characters of which every second is not to be seen.
    fn texts() -> impl Strategy<Value = String> {
        let unseen = prop_oneof![0..0x20_u32, 0x7f..0xa0_u32, 0x2000..0x2070_u32, 0xe0000..0xe0080_u32];
        let unseen = unseen.prop_map(|code| char::from_u32(code).unwrap());
        proptest::collection::vec(prop_oneof![unseen, any::<char>()], 0..40).prop_map(String::from_iter)
    }

    proptest! {
        #[test]
        fn nothing_unseen_is_left_and_nothing_seen_is_changed(text in texts()) {
            let safe = escaped(&text);
            prop_assert!(!safe.contains(is_unseen) && !safe.contains(char::is_control), "{:?}", safe);
            let seen = |text: &str| text.chars().filter(|character| !is_unseen(*character)).collect::<String>();
            prop_assert!(seen(&safe).len() >= seen(&text).len());
            prop_assert_eq!(escaped(&safe), safe.as_ref());
        }

        #[test]
        fn written_in_pieces_it_is_the_same(text in texts(), at in 0..40_usize) {
            let at = text.floor_char_boundary(at.min(text.len()));
            let mut written = String::new();
            let mut escaping = Escaping(&mut written);
            escaping.write_str(&text[..at]).unwrap();
            escaping.write_str(&text[at..]).unwrap();
            prop_assert_eq!(written, escaped(&text));
        }

        #[test]
        fn any_bytes_can_be_shown(bytes: Vec<u8>) {
            prop_assert!(!printable(&bytes).contains(is_unseen));
        }
    }
}
