//! The labels by which metrics name actors and providers: the beginning of the public key, and the name.

use std::collections::HashSet;
use std::fmt::Write;
use std::hash::BuildHasher;

use foldhash::quality::FixedState;

/// The label of all that have no label of their own.
pub(super) const OTHER: &str = "other";

/// The label of targets that do not run on the host.
pub(super) const ABSENT: &str = "absent";

/// How many characters of a public key are shown.
const KEY_LENGTH: usize = 12;

/// The longest name. Unit: bytes.
const LONGEST_NAME: usize = 24;

/// The piece of a hash that is shown.
const HASH: u64 = 0xFF_FFFF;

/// The labels of one reading, each given once.
#[derive(Debug, Default)]
pub(super) struct Labels(HashSet<String>);

impl Labels {
    /// Returns the label of an actor or provider. It depends on nothing else, so that it stays the same whatever starts and stops:
    /// a name that is not shown as it is has a piece of its hash.
    pub(super) fn give(&mut self, key: &str, name: &str) -> String {
        let shown: String = key.chars().take(KEY_LENGTH).collect();
        let plain = plain(name, LONGEST_NAME);
        let mut label = format!("{shown} {plain}").trim_end().to_owned();
        if plain != name {
            let hash = FixedState::default().hash_one((key, name)) & HASH;
            // Writing to a string cannot fail.
            let _ = write!(label, " #{hash:06x}");
        }
        self.once(label)
    }

    /// Appends a number to a label that another one has, since a series must not be there twice.
    fn once(&mut self, label: String) -> String {
        let mut given = label.clone();
        let mut number = 1;
        while !self.0.insert(given.clone()) {
            number += 1;
            given = format!("{label} #{number}");
        }
        given
    }
}

/// Returns text with `_` for each character but letters, digits and common signs, cut at a length. Unit: bytes.
pub(super) fn plain(text: &str, longest: usize) -> String {
    let cut = &text[..text.floor_char_boundary(longest)];
    let is_plain = |letter: char| letter.is_alphanumeric() || " -_.:/+@#()".contains(letter);
    cut.chars().map(|letter| if is_plain(letter) { letter } else { '_' }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_label_is_short_harmless_and_given_once() {
        let mut labels = Labels::default();
        let key = "MBCFOPM6JW2APJLXJD3Z5O4CN7CPYJ2B4FTKLJUR5YR5MITIU7HD3WD5";
        assert_eq!(labels.give(key, "echo"), "MBCFOPM6JW2A echo");
        assert_eq!(labels.give(key, "echo"), "MBCFOPM6JW2A echo #2");
        assert_eq!(labels.give(key, ""), "MBCFOPM6JW2A");
        let hostile = labels.give(key, "<b>\"\\\n\u{202e}{x}\u{0}grün and much too long to be shown");
        assert!(hostile.starts_with("MBCFOPM6JW2A _b______x__grün and m #"), "{hostile}");
        assert_eq!(hostile.chars().count(), "MBCFOPM6JW2A _b______x__grün and m #123456".len() - 1);
    }

    #[test]
    fn a_label_does_not_depend_on_what_else_runs() {
        let names = ["customer-database-primary-a/Key-value store", "customer-database-primary-b/Key-value store"];
        let mut both = Labels::default();
        let [first, second] = names.map(|name| both.give("VA", name));
        assert_ne!(first, second);
        assert_eq!(Labels::default().give("VA", names[1]), second);
    }
}
