//! What the values of a link mean.

use std::collections::HashMap;
use std::fmt::Display;
use std::str::FromStr;
use std::time::Duration;

use super::gate::{Gate, HostRule};

/// What fits a message to or from an actor, with some room for what is in it beside the body.
const LARGEST_LIMIT: usize = 63 * 1024 * 1024;

const DEFAULT_LIMIT: usize = 8 * 1024 * 1024;
const DEFAULT_TIMEOUT_MS: u64 = 30_000;
const DEFAULT_CONNECT_TIMEOUT_MS: u64 = 10_000;
const LONGEST_TIMEOUT_MS: u64 = 24 * 60 * 60 * 1000;
const DEFAULT_REDIRECTS: usize = 5;
const MOST_REDIRECTS: usize = 20;

/// A link's values, read.
#[derive(Debug, Clone)]
pub(super) struct Settings {
    pub(super) gate: Gate,
    pub(super) timeout: Duration,
    pub(super) connect_timeout: Duration,
    pub(super) request_limit: usize,
    pub(super) response_limit: usize,
    /// In PEM, or the path of a file in PEM.
    pub(super) certificates: Option<String>,
}

impl Settings {
    /// Reads the values of a link.
    ///
    /// # Errors
    /// A text that names the value which cannot be read.
    pub(super) fn read(values: &HashMap<String, String>) -> Result<Settings, String> {
        let hosts: Option<Vec<HostRule>> = list(values, "ALLOWED_HOSTS", "a host")?;
        let networks = list(values, "ALLOWED_NETWORKS", "an address or a network")?.unwrap_or_default();
        let redirects = number(values, "MAX_REDIRECTS", 0, DEFAULT_REDIRECTS, MOST_REDIRECTS)?;
        let milliseconds = |key, default| number(values, key, 1, default, LONGEST_TIMEOUT_MS);
        Ok(Settings {
            gate: Gate { hosts, networks, redirects },
            timeout: Duration::from_millis(milliseconds("TIMEOUT_MS", DEFAULT_TIMEOUT_MS)?),
            connect_timeout: Duration::from_millis(milliseconds("CONNECT_TIMEOUT_MS", DEFAULT_CONNECT_TIMEOUT_MS)?),
            request_limit: number(values, "REQUEST_LIMIT", 0, DEFAULT_LIMIT, LARGEST_LIMIT)?,
            response_limit: number(values, "RESPONSE_LIMIT", 0, DEFAULT_LIMIT, LARGEST_LIMIT)?,
            certificates: given(values, "CA_CERT").map(str::to_owned),
        })
    }
}

fn given<'a>(values: &'a HashMap<String, String>, key: &str) -> Option<&'a str> {
    values.get(key).map(|text| text.trim()).filter(|text| !text.is_empty())
}

fn number<T>(values: &HashMap<String, String>, key: &str, least: T, default: T, most: T) -> Result<T, String>
where
    T: FromStr + PartialOrd + Display,
{
    let Some(text) = given(values, key) else { return Ok(default) };
    text.parse()
        .ok()
        .filter(|number| (&least..=&most).contains(&number))
        .ok_or_else(|| format!("the value {key}={text:?} is not a number from {least} to {most}"))
}

/// The entries of a list with commas; nothing where it is not given.
fn list<T: FromStr<Err: Display>>(
    values: &HashMap<String, String>,
    key: &str,
    expected: &str,
) -> Result<Option<Vec<T>>, String> {
    let Some(text) = given(values, key) else { return Ok(None) };
    let entry = |entry: &str| {
        entry.parse().map_err(|error| format!("the value {key} has {entry:?} in it, which is not {expected}: {error}"))
    };
    text.split(',').map(str::trim).filter(|text| !text.is_empty()).map(entry).collect::<Result<_, _>>().map(Some)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(values: &[(&str, &str)]) -> Result<Settings, String> {
        Settings::read(&values.iter().map(|(key, value)| (key.to_string(), value.to_string())).collect())
    }

    #[test]
    fn without_values_the_defaults_hold() {
        let settings = read(&[]).unwrap();
        assert!(settings.gate.hosts.is_none() && settings.gate.networks.is_empty());
        assert_eq!(settings.timeout, Duration::from_secs(30));
        assert_eq!((settings.gate.redirects, settings.response_limit), (5, 8 * 1024 * 1024));
    }

    #[test]
    fn a_bad_value_is_named() {
        for (key, text) in [
            ("ALLOWED_HOSTS", "http://example.com"),
            ("ALLOWED_HOSTS", "a b"),
            ("ALLOWED_HOSTS", "a.*"),
            ("ALLOWED_HOSTS", "a:port"),
            ("ALLOWED_NETWORKS", "localhost"),
            ("ALLOWED_NETWORKS", "10.0.0.0/40"),
            ("TIMEOUT_MS", "0"),
            ("TIMEOUT_MS", "soon"),
            ("CONNECT_TIMEOUT_MS", "-1"),
            ("MAX_REDIRECTS", "21"),
            ("REQUEST_LIMIT", "70000000"),
            ("RESPONSE_LIMIT", "70000000"),
        ] {
            let refusal = read(&[(key, text)]).unwrap_err();
            assert!(refusal.contains(key) && refusal.contains(text), "{refusal}");
        }
    }

    #[test]
    fn a_list_that_was_given_empty_of_entries_allows_nothing() {
        assert!(read(&[("ALLOWED_HOSTS", ",")]).unwrap().gate.hosts.unwrap().is_empty());
    }
}
