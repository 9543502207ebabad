//! The configuration of a link, parsed from its values.

use std::collections::HashMap;
use std::time::Duration;

use super::super::link_values::{LinkValues, link_values};
use super::HttpClient;
use super::egress::{EgressPolicy, HostRule};

/// Fits the payload of a call or an answer, with its other fields.
const MAX_BODY_LIMIT: usize = 63 * 1024 * 1024;

const DEFAULT_BODY_LIMIT: usize = 8 * 1024 * 1024;
const DEFAULT_TIMEOUT_MS: u64 = 30_000;
const DEFAULT_CONNECT_TIMEOUT_MS: u64 = 10_000;
const MAX_TIMEOUT_MS: u64 = 24 * 60 * 60 * 1000;
const DEFAULT_REDIRECTS: usize = 5;
const MAX_REDIRECTS: usize = 20;

link_values! {
    HttpClient:
    "ALLOWED_HOSTS"
        => "Hosts that requests may be sent to, separated by commas: `api.example.com`, `*.example.com`, or an IP address. A suffix `:port` restricts an entry to that port.",
        "any host";
    "ALLOWED_NETWORKS"
        => "Networks that may be reached in addition to public ones, separated by commas: `127.0.0.1`, `10.0.0.0/8`, `fd00::/8`.",
        "none";
    "TIMEOUT_MS"
        => "Maximum duration of a request, including its response. Unit: milliseconds. Range: 1 to 86400000 (1 day).",
        "`30000` (30 s)";
    "CONNECT_TIMEOUT_MS"
        => "Maximum duration of connecting. Unit: milliseconds. Range: 1 to 86400000 (1 day).",
        "`10000` (10 s)";
    "MAX_REDIRECTS"
        => "Maximum number of redirects that are followed. `0` returns redirects to the actor. Maximum: 20.",
        "`5`";
    "REQUEST_LIMIT"
        => "Maximum size of a request body. Unit: bytes. Maximum: 66060288 (63 MiB).",
        "`8388608` (8 MiB)";
    "RESPONSE_LIMIT"
        => "Maximum size of a response body. Unit: bytes. Maximum: 66060288 (63 MiB).",
        "`8388608` (8 MiB)";
    "CA_CERT"
        => "Certificates to trust instead of the system's: PEM text, or the path of a PEM file. Read when the link is established.",
        "the system's certificates";
    "timeout", "max_redirects"
        => "Accepted for compatibility with providers of 2021. No effect.",
        "";
}

/// The configuration of a link.
#[derive(Debug, Clone)]
pub(super) struct HttpClientConfig {
    pub(super) egress: EgressPolicy,
    pub(super) timeout: Duration,
    pub(super) connect_timeout: Duration,
    pub(super) request_limit: usize,
    pub(super) response_limit: usize,
    /// PEM text, or the path of a PEM file.
    pub(super) ca_cert: Option<String>,
}

impl HttpClientConfig {
    /// Parses the values of a link.
    ///
    /// # Errors
    /// Names the value that is unknown or invalid.
    pub(super) fn from_link_values(values: &HashMap<String, String>) -> Result<HttpClientConfig, String> {
        let values = LinkValues::check(values, HttpClient::LINK_VALUES)?;
        let host = |text: &str| text.parse::<HostRule>().map_err(|error| format!("{text:?} is not a host: {error}"));
        let network =
            |text: &str| text.parse().map_err(|error| format!("{text:?} is not an address or network: {error}"));
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
    fn an_invalid_value_is_named() {
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
    fn an_empty_list_of_hosts_allows_no_host() {
        assert!(read(&[("ALLOWED_HOSTS", ",")]).unwrap().egress.hosts.unwrap().is_empty());
    }
}
