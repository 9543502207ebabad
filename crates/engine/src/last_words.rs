//! What a guest said before it was lost: its last error and its last line for the log, both of which panics of several
//! languages are told by before they trap.

use std::fmt;

use wasmcloud_core::error::printable;

/// How much of each text is told, in bytes.
const LONGEST: usize = 2 * 1024;

/// What a guest said in the call that it was lost in.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct LastWords {
    error: Option<String>,
    line: Option<String>,
}

impl LastWords {
    /// The error that a guest gave, and the line that it wrote to the log last.
    pub(super) fn new(error: Option<&str>, line: Option<&[u8]>) -> LastWords {
        let error = error.map(|text| shown(text.as_bytes())).filter(|text| !text.is_empty());
        let line = line.map(shown).filter(|text| !text.is_empty());
        LastWords { line: line.filter(|line| error.as_ref() != Some(line)), error }
    }

    /// How much of a line has to be kept.
    pub(super) fn kept(line: &[u8]) -> &[u8] {
        &line[..line.len().min(LONGEST + 1)]
    }
}

/// Text of a guest, cut and fit for a line of text.
fn shown(text: &[u8]) -> String {
    let mut text = printable(text.trim_ascii_end());
    if text.len() > LONGEST {
        text.truncate(text.floor_char_boundary(LONGEST));
        text.push_str("...");
    }
    text
}

impl fmt::Display for LastWords {
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
    fn both_are_told_and_what_is_missing_or_said_twice_is_not() {
        let told = |error, line| LastWords::new(error, line).to_string();
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
        let told = LastWords::new(Some(&long), Some(LastWords::kept(long.as_bytes()))).to_string();
        assert!(told.len() < 3 * LONGEST && told.contains("é..."), "{told}");
        let told = LastWords::new(None, Some(b"a\n\x1b[31m\xff")).to_string();
        assert_eq!(told, "; its last line on the log was: a\\n\\u{1b}[31m\u{fffd}");
    }
}
