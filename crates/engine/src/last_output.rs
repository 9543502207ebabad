//! The last error and log line of a guest that failed. Panics of several languages report through one of them before
//! they trap.

use std::fmt;

use wasmcloud_core::error::printable;

/// The length at which each text is cut. Unit: bytes.
const LONGEST: usize = 2 * 1024;

/// The last error and log line of a guest in the call that failed.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct LastOutput {
    error: Option<String>,
    line: Option<String>,
}

impl LastOutput {
    /// Returns the shortened error and log line. An empty text, or a line that repeats the error, is dropped.
    pub(super) fn new(error: Option<&str>, line: Option<&[u8]>) -> LastOutput {
        let error = error.map(|text| shown(text.as_bytes())).filter(|text| !text.is_empty());
        let line = line.map(shown).filter(|text| !text.is_empty());
        LastOutput { line: line.filter(|line| error.as_ref() != Some(line)), error }
    }

    /// Returns the part of a line that has to be kept.
    pub(super) fn kept(line: &[u8]) -> &[u8] {
        &line[..line.len().min(LONGEST + 1)]
    }
}

/// Returns text of a guest, escaped and cut for one line of text.
fn shown(text: &[u8]) -> String {
    let mut text = printable(text.trim_ascii_end());
    if text.len() > LONGEST {
        text.truncate(text.floor_char_boundary(LONGEST));
        text.push_str("...");
    }
    text
}

impl fmt::Display for LastOutput {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(error) = &self.error {
            write!(f, "; its error was: {error}")?;
        }
        self.line.as_ref().map_or(Ok(()), |line| write!(f, "; its last line on the log was: {line}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_texts_are_shown_unless_empty_or_repeated() {
        let told = |error, line| LastOutput::new(error, line).to_string();
        assert_eq!(told(None, None), "");
        assert_eq!(told(Some(""), Some(b"\n")), "");
        assert_eq!(told(Some("a"), None), "; its error was: a");
        assert_eq!(told(None, Some(b"b\n")), "; its last line on the log was: b");
        assert_eq!(told(Some("a"), Some(b"b")), "; its error was: a; its last line on the log was: b");
        assert_eq!(told(Some("a"), Some(b"a\n")), "; its error was: a");
    }

    #[test]
    fn long_and_hostile_text_is_cut_and_escaped() {
        let long = "é".repeat(LONGEST);
        let told = LastOutput::new(Some(&long), Some(LastOutput::kept(long.as_bytes()))).to_string();
        assert!(told.len() < 3 * LONGEST && told.contains("é..."), "{told}");
        let told = LastOutput::new(None, Some(b"a\n\x1b[31m\xff")).to_string();
        assert_eq!(told, "; its last line on the log was: a\\n\\u{1b}[31m\u{fffd}");
    }
}
