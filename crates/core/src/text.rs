//! Escapes text from outside for terminals and logs.

use std::borrow::Cow;
use std::fmt::{self, Write};

/// The length at which text of unknown length is cut. Unit: bytes.
const MAX_PRINTABLE_BYTES: usize = 8 * 1024;

/// Escapes control characters and invisible characters of a text, as Rust does: `\n`, `\u{1b}`, `\u{202e}`.
///
/// Control characters could control a terminal or forge a line of a log. Characters that change the direction of
/// writing, break lines or have no glyph could make one text look like another. Spaces are kept. The variation selectors
/// U+FE0E and U+FE0F are kept behind a symbol, whose form they choose. All errors and log lines of the runtime are escaped.
/// Escaping an escaped text changes nothing.
///
/// ```
/// assert_eq!(wasmcloud_host::escaped("evil\u{1b}[31m\nERROR"), "evil\\u{1b}[31m\\nERROR");
/// assert_eq!(wasmcloud_host::escaped("harmless: \"é\" \\ 日本語"), "harmless: \"é\" \\ 日本語");
/// ```
pub fn escaped(text: &str) -> Cow<'_, str> {
    if first_to_escape(None, text).is_none() {
        return Cow::Borrowed(text);
    }
    let mut safe = String::with_capacity(text.len() + 16);
    // Writing to a string does not fail.
    let _ = Escaping::new(&mut safe).write_str(text);
    Cow::Owned(safe)
}

/// Returns bytes as escaped text for logs and errors. Bytes after the first 8 KiB are dropped, and invalid UTF-8 is
/// replaced.
pub fn printable(bytes: &[u8]) -> String {
    escaped(&String::from_utf8_lossy(&bytes[..bytes.len().min(MAX_PRINTABLE_BYTES)])).into_owned()
}

/// Returns the beginning of a text as one line for a log: escaped, and with the number of bytes that are left out at its end.
/// `length` is the length of the whole text. Invalid UTF-8 is replaced.
///
/// ```
/// # use wasmcloud_core::text::log_line;
/// assert_eq!(log_line(b"evil\nERROR", 10), "evil\\nERROR");
/// assert_eq!(log_line(b"evil", 100), "evil... (96 more bytes)");
/// ```
pub fn log_line(beginning: &[u8], length: usize) -> String {
    let kept = &beginning[..beginning.len().min(MAX_PRINTABLE_BYTES)];
    let shown = printable(kept);
    match length.saturating_sub(kept.len()) {
        0 => shown,
        left_out => format!("{shown}... ({left_out} more bytes)"),
    }
}

/// A writer that escapes the text written to it.
#[derive(Debug)]
pub struct Escaping<'a, W> {
    inner: &'a mut W,
    /// The last character that was written.
    last: Option<char>,
}

impl<'a, W> Escaping<'a, W> {
    /// Returns a writer that passes the escaped text on to another one.
    pub fn new(inner: &'a mut W) -> Escaping<'a, W> {
        Escaping { inner, last: None }
    }
}

impl<W: Write> Write for Escaping<'_, W> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        let mut rest = text;
        while let Some(at) = first_to_escape(self.last, rest) {
            let (plain, from) = rest.split_at(at);
            self.inner.write_str(plain)?;
            let mut characters = from.chars();
            self.last = characters.next();
            if let Some(character) = self.last {
                write!(self.inner, "{}", character.escape_default())?;
            }
            rest = characters.as_str();
        }
        self.last = rest.chars().next_back().or(self.last);
        self.inner.write_str(rest)
    }
}

/// Returns where the first character is that has to be escaped. `before` is the character before the text.
fn first_to_escape(before: Option<char>, text: &str) -> Option<usize> {
    let mut before = before;
    text.find(|character: char| {
        let previous = before.replace(character);
        is_invisible(character) || (is_form_selector(character) && !previous.is_some_and(has_forms))
    })
}

/// Returns whether a character chooses the form of the one before it: as text, or as an emoji.
fn is_form_selector(character: char) -> bool {
    matches!(character, '\u{fe0e}' | '\u{fe0f}')
}

/// Returns whether a character is a symbol, such as those that are shown as text or as emoji. Behind others, a selector of
/// the form is invisible.
fn has_forms(character: char) -> bool {
    matches!(
        character,
        '\u{a9}' | '\u{ae}' | '\u{203c}' | '\u{2049}' | '\u{2122}' | '\u{2139}' | '\u{24c2}'
            | '\u{2190}'..='\u{23ff}'
            | '\u{25a0}'..='\u{27bf}'
            | '\u{2934}'..='\u{2935}'
            | '\u{2b00}'..='\u{2bff}'
            | '\u{3030}' | '\u{303d}' | '\u{3297}' | '\u{3299}'
            | '\u{1f000}'..='\u{1faff}'
    )
}

/// Returns whether a character is escaped wherever it is: a control or format character, a separator of lines or
/// paragraphs, a variation selector that no symbol needs, or a filler without a glyph.
fn is_invisible(character: char) -> bool {
    if character.is_ascii() {
        return character.is_ascii_control();
    }
    character.is_control()
        || matches!(
            character,
            '\u{ad}'
                | '\u{34f}'
                | '\u{61c}'
                | '\u{70f}'
                | '\u{115f}'..='\u{1160}'
                | '\u{17b4}'..='\u{17b5}'
                | '\u{180b}'..='\u{180f}'
                | '\u{200b}'..='\u{200f}'
                | '\u{2028}'..='\u{202e}'
                | '\u{2060}'..='\u{206f}'
                | '\u{2800}'
                | '\u{3164}'
                | '\u{fe00}'..='\u{fe0d}'
                | '\u{feff}'
                | '\u{ffa0}'
                | '\u{fff0}'..='\u{fffc}'
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
    fn invisible_characters_are_escaped() {
        for (text, expected) in [
            ("\0\x07\x08\x0b\x0c\x7f", "\\u{0}\\u{7}\\u{8}\\u{b}\\u{c}\\u{7f}"),
            ("\r\n\t", "\\r\\n\\t"),
            // A control sequence introducer in one character.
            ("\u{9b}31m\u{85}", "\\u{9b}31m\\u{85}"),
            ("\u{202e}txt.exe\u{2066}\u{2069}\u{200f}", "\\u{202e}txt.exe\\u{2066}\\u{2069}\\u{200f}"),
            ("a\u{2028}b\u{2029}c", "a\\u{2028}b\\u{2029}c"),
            ("ad\u{200b}min\u{feff}", "ad\\u{200b}min\\u{feff}"),
            ("\u{e0041}", "\\u{e0041}"),
            ("ad\u{fe00}min\u{fe0d}\u{2800}\u{e0100}", "ad\\u{fe00}min\\u{fe0d}\\u{2800}\\u{e0100}"),
            ("a\u{fffc}b\u{70f}", "a\\u{fffc}b\\u{70f}"),
            // Selectors of a form, where there is none to choose.
            ("ad\u{fe0f}min e\u{301}\u{fe0e}", "ad\\u{fe0f}min e\u{301}\\u{fe0e}"),
            ("\u{fe0f} \u{fe0f}", "\\u{fe0f} \\u{fe0f}"),
            ("❤\u{fe0f}\u{fe0f}", "❤\u{fe0f}\\u{fe0f}"),
        ] {
            assert_eq!(escaped(text), expected);
        }
        for plain in [
            "",
            "a b",
            "\"'\\",
            "日本語 עברית العربية ไทย हिन्दी",
            "e\u{301}",
            "🙂",
            "❤\u{fe0f}",
            "☎\u{fe0e}",
            "ℹ\u{fe0f} ⚠\u{fe0f} 🅰\u{fe0f}",
            "\u{a0}\u{3000}",
        ] {
            assert!(matches!(escaped(plain), Cow::Borrowed(same) if same == plain));
        }
    }

    /// Returns texts in which about half of the characters are invisible.
    fn texts() -> impl Strategy<Value = String> {
        let invisible =
            prop_oneof![0..0x20_u32, 0x7f..0xa0_u32, 0x2000..0x2070_u32, 0xfe00..0xfe10_u32, 0xe0000..0xe0080_u32];
        let invisible = invisible.prop_map(|code| char::from_u32(code).unwrap());
        proptest::collection::vec(prop_oneof![invisible, any::<char>()], 0..40).prop_map(String::from_iter)
    }

    proptest! {
        #[test]
        fn invisible_characters_are_replaced_and_visible_ones_are_kept(text in texts()) {
            let safe = escaped(&text);
            prop_assert!(first_to_escape(None, &safe).is_none() && !safe.contains(char::is_control), "{:?}", safe);
            let is_hidden = |character: char| is_invisible(character) || is_form_selector(character);
            let seen = |text: &str| text.chars().filter(|character| !is_hidden(*character)).collect::<String>();
            prop_assert!(seen(&safe).len() >= seen(&text).len());
            prop_assert_eq!(escaped(&safe), safe.as_ref());
        }

        #[test]
        fn text_written_in_pieces_is_escaped_the_same(text in texts(), at in 0..40_usize) {
            let at = text.floor_char_boundary(at.min(text.len()));
            let mut written = String::new();
            let mut escaping = Escaping::new(&mut written);
            escaping.write_str(&text[..at]).unwrap();
            escaping.write_str(&text[at..]).unwrap();
            prop_assert_eq!(written, escaped(&text));
        }

        #[test]
        fn any_bytes_can_be_shown(bytes: Vec<u8>) {
            prop_assert!(!printable(&bytes).contains(is_invisible));
            prop_assert!(!log_line(&bytes, bytes.len() + 1).contains(is_invisible));
            prop_assert_eq!(log_line(&bytes, bytes.len()), printable(&bytes));
        }
    }
}
