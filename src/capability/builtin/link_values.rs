//! The values of a link, read: what every provider understands alike, and how each says what it cannot.
//!
//! White space around a value counts for nothing, and an empty value as none. Names that a provider does not know are
//! left alone.

use std::collections::HashMap;
use std::fmt::{Debug, Display};
use std::ops::RangeInclusive;
use std::str::FromStr;

/// The values of one link.
#[derive(Clone, Copy)]
pub(super) struct LinkValues<'a>(&'a HashMap<String, String>);

#[cfg_attr(not(feature = "messaging"), allow(dead_code, reason = "other providers use less of it"))]
impl<'a> LinkValues<'a> {
    pub(super) fn new(values: &'a HashMap<String, String>) -> LinkValues<'a> {
        LinkValues(values)
    }

    /// A value, if it is given.
    pub(super) fn get(&self, key: &str) -> Option<&'a str> {
        self.0.get(key).map(|text| text.trim()).filter(|text| !text.is_empty())
    }

    pub(super) fn has(&self, key: &str) -> bool {
        self.get(key).is_some()
    }

    /// The first of these that is given.
    pub(super) fn first_of(&self, keys: &[&'static str]) -> Option<&'static str> {
        keys.iter().copied().find(|key| self.has(key))
    }

    /// A number in this range, or the default.
    ///
    /// # Errors
    /// A text that shows the value: no number is a secret.
    pub(super) fn number<T>(&self, key: &str, default: T, range: RangeInclusive<T>) -> Result<T, String>
    where
        T: FromStr + PartialOrd + Display,
    {
        let Some(text) = self.get(key) else { return Ok(default) };
        let number = text.parse().ok().filter(|number| range.contains(number));
        number.ok_or_else(|| {
            format!("the value {key}={text:?} is not a number from {} to {}", range.start(), range.end())
        })
    }

    /// The entries of a list with commas, nothing where it is not given. Empty entries do not count, so that a list that
    /// is given can be without any.
    ///
    /// # Errors
    /// A text with what `read` says of an entry that it refuses, and which.
    pub(super) fn list<T, E: Display>(
        &self,
        key: &str,
        read: impl Fn(&str) -> Result<T, E>,
    ) -> Result<Option<Vec<T>>, String> {
        let Some(text) = self.get(key) else { return Ok(None) };
        let entries = text.split(',').map(str::trim).filter(|entry| !entry.is_empty());
        let refuse = |error| format!("the value {key} cannot be used: {error}");
        entries.map(read).collect::<Result<_, _>>().map(Some).map_err(refuse)
    }
}

/// With the names alone: among the values may be secrets.
impl Debug for LinkValues<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_set().entries(self.0.keys()).finish()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn values(key: &str, text: &str) -> HashMap<String, String> {
        HashMap::from([(key.to_owned(), text.to_owned())])
    }

    #[test]
    fn what_is_empty_is_not_given() {
        for text in ["", " ", "\t\n"] {
            let values = values("A", text);
            let values = LinkValues::new(&values);
            assert!(!values.has("A"));
            assert_eq!(values.first_of(&["B", "A"]), None);
            assert_eq!(values.number("A", 7, 1..=2), Ok(7));
            assert_eq!(values.list("A", str::parse::<u8>), Ok(None));
        }
        assert_eq!(LinkValues::new(&values("A", " b c ")).get("A"), Some("b c"));
        assert_eq!(LinkValues::new(&values("A", "b")).first_of(&["B", "A"]), Some("A"));
    }

    #[test]
    fn a_list_can_be_without_entries() {
        let entries = |text| LinkValues::new(&values("A", text)).list("A", str::parse::<u8>);
        assert_eq!(entries(" , ,"), Ok(Some(Vec::new())));
        let refusal = entries("1,x,2").unwrap_err();
        assert!(refusal.contains("value A") && refusal.contains("digit"), "{refusal}");
    }

    #[test]
    fn no_value_is_shown_for_its_own_sake() {
        assert_eq!(format!("{:?}", LinkValues::new(&values("TOKEN", "secret"))), "{\"TOKEN\"}");
    }

    proptest! {
        #[test]
        fn a_number_is_in_its_range_or_named_with_what_was_given(text in ".{0,12}|-?[0-9]{1,22}", least in 0..50u32) {
            let values = values("N", &text);
            match LinkValues::new(&values).number("N", 60, least..=99) {
                Ok(60) if text.trim().is_empty() => {}
                Ok(number) => {
                    prop_assert!((least..=99).contains(&number));
                    prop_assert_eq!(text.trim().parse(), Ok(number));
                }
                Err(refusal) => prop_assert!(refusal.contains(&format!("N={:?}", text.trim())), "{}", refusal),
            }
        }

        #[test]
        fn every_number_of_a_range_is_read(number: u64, before in "[ \t]{0,2}", after in "[ \n]{0,2}") {
            let values = values("N", &format!("{before}{number}{after}"));
            prop_assert_eq!(LinkValues::new(&values).number("N", 0, 0..=u64::MAX), Ok(number));
        }

        #[test]
        fn a_list_has_its_entries_in_order(entries: Vec<i16>, between in "( ,|,| , ,)") {
            let text: Vec<_> = entries.iter().map(i16::to_string).collect();
            let values = values("L", &text.join(&between));
            let expected = Some(entries).filter(|entries| !entries.is_empty());
            prop_assert_eq!(LinkValues::new(&values).list("L", str::parse::<i16>), Ok(expected));
        }
    }
}
