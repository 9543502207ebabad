//! What the values of a link mean.

use std::collections::HashMap;
use std::time::Duration;

use super::super::link_values::{LinkValueNames, LinkValues};
use super::egress::{EgressPolicy, HostRule};

/// What fits a message to or from an actor, with some room for what is in it beside the body.
const MAX_BODY_LIMIT: usize = 63 * 1024 * 1024;

const DEFAULT_BODY_LIMIT: usize = 8 * 1024 * 1024;
const DEFAULT_TIMEOUT_MS: u64 = 30_000;
const DEFAULT_CONNECT_TIMEOUT_MS: u64 = 10_000;
const MAX_TIMEOUT_MS: u64 = 24 * 60 * 60 * 1000;
const DEFAULT_REDIRECTS: usize = 5;
const MAX_REDIRECTS: usize = 20;

const LINK_VALUE_NAMES: LinkValueNames = LinkValueNames {
    known: &[
        "ALLOWED_HOSTS",
        "ALLOWED_NETWORKS",
        "TIMEOUT_MS",
        "CONNECT_TIMEOUT_MS",
        "MAX_REDIRECTS",
        "REQUEST_LIMIT",
        "RESPONSE_LIMIT",
        "CA_CERT",
    ],
    without_effect: &["max_redirects", "timeout"],
};

/// A link's values, read.
#[derive(Debug, Clone)]
pub(super) struct HttpClientConfig {
    pub(super) egress: EgressPolicy,
    pub(super) timeout: Duration,
    pub(super) connect_timeout: Duration,
    pub(super) request_limit: usize,
    pub(super) response_limit: usize,
    /// In PEM, or the path of a file in PEM.
    pub(super) ca_cert: Option<String>,
}

impl HttpClientConfig {
    /// Reads the values of a link.
    ///
    /// # Errors
    /// A text that names the value which cannot be read.
    pub(super) fn from_link_values(values: &HashMap<String, String>) -> Result<HttpClientConfig, String> {
        let values = LinkValues::check(values, LINK_VALUE_NAMES)?;
        let host = |text: &str| text.parse::<HostRule>().map_err(|error| format!("{text:?} is no host: {error}"));
        let network = |text: &str| text.parse().map_err(|error| format!("{text:?} is no address or network: {error}"));
        let hosts = values.list("ALLOWED_HOSTS", host)?;
        let networks = values.list("ALLOWED_NETWORKS", network)?.unwrap_or_default();
        let redirects = values.number("MAX_REDIRECTS", DEFAULT_REDIRECTS, 0..=MAX_REDIRECTS)?;
        let milliseconds = |key, default| values.number(key, default, 1..=MAX_TIMEOUT_MS);
        Ok(HttpClientConfig {
            egress: EgressPolicy { hosts, networks, redirects },
            timeout: Duration::from_millis(milliseconds("TIMEOUT_MS", DEFAULT_TIMEOUT_MS)?),
            connect_timeout: Duration::from_millis(milliseconds("CONNECT_TIMEOUT_MS", DEFAULT_CONNECT_TIMEOUT_MS)?),
            request_limit: values.number("REQUEST_LIMIT", DEFAULT_BODY_LIMIT, 0..=MAX_BODY_LIMIT)?,
            response_limit: values.number("RESPONSE_LIMIT", DEFAULT_BODY_LIMIT, 0..=MAX_BODY_LIMIT)?,
            ca_cert: values.get("CA_CERT").map(str::to_owned),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(values: &[(&str, &str)]) -> Result<HttpClientConfig, String> {
        HttpClientConfig::from_link_values(
            &values.iter().map(|(key, value)| (key.to_string(), value.to_string())).collect(),
        )
    }

    #[test]
    fn without_values_the_defaults_hold() {
        let config = read(&[]).unwrap();
        assert!(config.egress.hosts.is_none() && config.egress.networks.is_empty());
        assert_eq!(config.timeout, Duration::from_secs(30));
        assert_eq!((config.egress.redirects, config.response_limit), (5, 8 * 1024 * 1024));
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
        assert!(read(&[("ALLOWED_HOSTS", ",")]).unwrap().egress.hosts.unwrap().is_empty());
    }
}
