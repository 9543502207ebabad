//! Parses the values of a link, with the same rules and errors for every provider.
//!
//! White space around a value is ignored, and an empty value counts as missing. A link with an unknown name is refused: a
//! mistyped name would otherwise silently select a default.

use std::collections::HashMap;
use std::fmt::{Debug, Display};
use std::ops::RangeInclusive;
use std::str::FromStr;

use wasmcloud_core::entity::shorten;

/// The value of a link by which a provider is configured. A provider lists its own: see
/// [`Logging::LINK_VALUES`](crate::Logging::LINK_VALUES).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct LinkValue {
    /// The names of the value. Values that are explained together have one entry.
    pub names: &'static [&'static str],
    /// The meaning of the value, in Markdown.
    pub meaning: &'static str,
    /// The default of the value, in Markdown. It is empty if the value has no effect, as some of providers of 2021: links of
    /// that time can be established.
    pub default: &'static str,
}

/// Lists the values of a provider's links, for those who read them and for the documentation.
macro_rules! link_values {
    ($provider:ident: $($name:literal $(, $more:literal)* => $meaning:literal, $default:literal;)*) => {
        impl $provider {
            /// The values of a link to this provider:
            ///
            /// | Link value | Meaning | Default |
            /// |---|---|---|
            $(#[doc = concat!("| `", $name, "`" $(, ", `", $more, "`")*, " | ", $meaning, " | ", $default, " |")])*
            pub const LINK_VALUES: &'static [crate::LinkValue] = &[
                $(crate::LinkValue { names: &[$name $(, $more)*], meaning: $meaning, default: $default }),*
            ];
        }
    };
}
pub(super) use link_values;

/// The values of one link, whose names are accepted.
#[derive(Clone, Copy)]
pub(super) struct LinkValues<'a>(&'a HashMap<String, String>);

#[cfg_attr(not(feature = "messaging"), allow(dead_code, reason = "other providers use less of it"))]
impl<'a> LinkValues<'a> {
    /// Checks that all names are accepted.
    ///
    /// # Errors
    /// Names the unknown name, the known one that is closest to it, and all known names.
    pub(super) fn check(values: &'a HashMap<String, String>, known: &[LinkValue]) -> Result<LinkValues<'a>, String> {
        let is_known = |name: &str| known.iter().any(|value| value.names.contains(&name));
        let unknown = values.keys().filter(|name| !is_known(name)).min();
        unknown.map_or(Ok(LinkValues(values)), |name| Err(unknown_name(name, known)))
    }

    /// Returns the value, without surrounding white space. Returns `None` if it is missing or empty.
    pub(super) fn get(&self, key: &str) -> Option<&'a str> {
        self.0.get(key).map(|text| text.trim()).filter(|text| !text.is_empty())
    }

    /// Returns whether the value is given.
    pub(super) fn has(&self, key: &str) -> bool {
        self.get(key).is_some()
    }

    /// Returns the first of these names whose value is given.
    pub(super) fn first_of(&self, keys: &[&'static str]) -> Option<&'static str> {
        keys.iter().copied().find(|key| self.has(key))
    }

    /// Parses a number within `range`. Returns `default` if the value is missing.
    ///
    /// # Errors
    /// Names the value and shows it, because a number is no secret.
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

    /// Parses a list whose entries are separated by commas. Returns `None` if the value is missing. Empty entries are skipped,
    /// so a list that is given can be empty.
    ///
    /// # Errors
    /// Names the value, with the error of `read`.
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

/// Describes an unknown name. Values are never shown, because they may be secrets.
fn unknown_name(name: &str, known: &[LinkValue]) -> String {
    let shown = shorten(name);
    // What has no effect is accepted, and not suggested.
    let known = known.iter().filter(|value| !value.default.is_empty());
    let known: Vec<&str> = known.flat_map(|value| value.names.iter().copied()).collect();
    let hint = closest(shown, &known).map(|meant| format!(": did you mean {meant}?")).unwrap_or_default();
    let known = if known.is_empty() { "none".to_owned() } else { known.join(", ") };
    format!("the link value {shown:?} is unknown{hint} (known values: {known})")
}

/// Returns the known name that differs from this one in a few letters, case or white space.
fn closest<'a>(name: &str, known: &[&'a str]) -> Option<&'a str> {
    let name = name.trim().to_ascii_uppercase();
    let distance = |known: &&str| strsim::osa_distance(&name, known);
    let nearest = known.iter().copied().min_by_key(distance)?;
    // At most a third of the letters, so that short names do not all resemble each other.
    (distance(&nearest) <= (nearest.len() / 3).max(1)).then_some(nearest)
}

/// Shows the names only, because the values may be secrets.
impl Debug for LinkValues<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_set().entries(self.0.keys()).finish()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const NAMES: [&str; 4] = ["BIND", "PORT", "BODY_LIMIT", "TLS_KEY"];

    const VALUES: &[LinkValue] = &[
        LinkValue { names: &["BIND", "PORT"], meaning: "", default: "none" },
        LinkValue { names: &["BODY_LIMIT"], meaning: "", default: "`8`" },
        LinkValue { names: &["TLS_KEY"], meaning: "", default: "none" },
        LinkValue { names: &["WORKERS"], meaning: "", default: "" },
    ];

    fn values(key: &str, text: &str) -> HashMap<String, String> {
        HashMap::from([(key.to_owned(), text.to_owned())])
    }

    #[test]
    fn an_unknown_name_is_refused_with_a_suggestion() {
        for (mistyped, meant) in [
            ("PORTS", "PORT"),
            ("POTR", "PORT"),
            ("port", "PORT"),
            (" PORT", "PORT"),
            ("bind", "BIND"),
            ("BODYLIMIT", "BODY_LIMIT"),
            ("body-limit", "BODY_LIMIT"),
        ] {
            let refusal = LinkValues::check(&values(mistyped, "secret"), VALUES).unwrap_err();
            assert!(refusal.contains(&format!("{mistyped:?} is unknown: did you mean {meant}?")), "{refusal}");
            assert!(!refusal.contains("secret"), "{refusal}");
        }
        let refusal = LinkValues::check(&values("ZONE", ""), VALUES).unwrap_err();
        assert_eq!(refusal, "the link value \"ZONE\" is unknown (known values: BIND, PORT, BODY_LIMIT, TLS_KEY)");
        let refusal = LinkValues::check(&values("A\u{1b}[31m\n", ""), &[]).unwrap_err();
        assert_eq!(refusal, "the link value \"A\\u{1b}[31m\\n\" is unknown (known values: none)");
        assert!(LinkValues::check(&values(&"x".repeat(1 << 20), ""), VALUES).unwrap_err().len() < 300);
    }

    #[test]
    fn known_and_former_names_are_accepted() {
        assert!(LinkValues::check(&HashMap::new(), VALUES).is_ok());
        for name in ["PORT", "WORKERS"] {
            assert_eq!(LinkValues::check(&values(name, "1"), VALUES).unwrap().get(name), Some("1"));
        }
    }

    #[test]
    fn an_empty_value_counts_as_missing() {
        for text in ["", " ", "\t\n"] {
            let values = values("A", text);
            let values = LinkValues(&values);
            assert!(!values.has("A"));
            assert_eq!(values.first_of(&["B", "A"]), None);
            assert_eq!(values.number("A", 7, 1..=2), Ok(7));
            assert_eq!(values.list("A", str::parse::<u8>), Ok(None));
        }
        assert_eq!(LinkValues(&values("A", " b c ")).get("A"), Some("b c"));
        assert_eq!(LinkValues(&values("A", "b")).first_of(&["B", "A"]), Some("A"));
    }

    #[test]
    fn a_list_can_be_empty() {
        let entries = |text| LinkValues(&values("A", text)).list("A", str::parse::<u8>);
        assert_eq!(entries(" , ,"), Ok(Some(Vec::new())));
        let refusal = entries("1,x,2").unwrap_err();
        assert!(refusal.contains("value A") && refusal.contains("digit"), "{refusal}");
    }

    #[test]
    fn debug_output_shows_names_only() {
        assert_eq!(format!("{:?}", LinkValues(&values("TOKEN", "secret"))), "{\"TOKEN\"}");
    }

    proptest! {
        #[test]
        fn names_with_one_letter_too_few_are_refused_with_the_right_one(name in 0..NAMES.len(), at in 0..10_usize) {
            let meant = NAMES[name];
            let mut mistyped = meant.to_owned();
            mistyped.remove(at % meant.len());
            let refusal = LinkValues::check(&values(&mistyped, "1"), VALUES).unwrap_err();
            prop_assert!(refusal.contains(&format!("did you mean {meant}?")), "{}", refusal);
        }

        #[test]
        fn any_name_is_accepted_or_refused_in_one_line(name in ".{0,200}|[A-Z_]{0,12}") {
            match LinkValues::check(&values(&name, "1"), VALUES) {
                Ok(_) => prop_assert!(name == "WORKERS" || NAMES.contains(&name.as_str())),
                Err(refusal) => prop_assert!(!refusal.contains(char::is_control)),
            }
        }

        #[test]
        fn a_number_is_in_its_range_or_named_with_what_was_given(text in ".{0,12}|-?[0-9]{1,22}", least in 0..50u32) {
            let values = values("N", &text);
            match LinkValues(&values).number("N", 60, least..=99) {
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
            prop_assert_eq!(LinkValues(&values).number("N", 0, 0..=u64::MAX), Ok(number));
        }

        #[test]
        fn a_list_has_its_entries_in_order(entries: Vec<i16>, between in "( ,|,| , ,)") {
            let text: Vec<_> = entries.iter().map(i16::to_string).collect();
            let values = values("L", &text.join(&between));
            let expected = Some(entries).filter(|entries| !entries.is_empty());
            prop_assert_eq!(LinkValues(&values).list("L", str::parse::<i16>), Ok(expected));
        }
    }
}
