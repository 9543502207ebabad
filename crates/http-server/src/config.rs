//! The configuration of a link, parsed from its values.

use std::collections::HashMap;
use std::fmt::Display;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::num::NonZeroU16;
use std::str::FromStr;

use crate::cors::Cors;
use crate::link_value_names;
use crate::tls::TlsSource;

const DEFAULT_PORT: u16 = 8080;
const DEFAULT_ADDRESS: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);
const DEFAULT_BODY_LIMIT: usize = 8 * 1024 * 1024;

/// Fits the payload of a call to an actor, with the other fields of the request.
const MAX_BODY_LIMIT: usize = 63 * 1024 * 1024;

/// The configuration of a link.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct HttpServerConfig {
    pub(crate) address: SocketAddr,
    pub(crate) body_limit: usize,
    pub(crate) tls: Option<TlsSource>,
    pub(crate) cors: Option<Cors>,
    pub(crate) trace: TraceOfClient,
}

/// What becomes of the trace that a client names.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum TraceOfClient {
    /// The request continues it.
    Continued,
    /// Its headers are removed, and the request begins a trace of its own.
    Dropped,
}

impl HttpServerConfig {
    /// Parses the values of a link.
    ///
    /// # Errors
    /// Names the value that is unknown or invalid. `TLS_CERT` and `TLS_KEY` are not shown.
    pub(crate) fn from_link_values(values: &HashMap<String, String>) -> Result<HttpServerConfig, String> {
        link_value_names::check(values)?;
        let port = parse_value(values, "PORT", DEFAULT_PORT, "a TCP port (0 to 65535)")?;
        let BindAddress(ip) = parse_value(values, "BIND", BindAddress(DEFAULT_ADDRESS), "an address to listen on")?;
        let body_limit = parse_value(values, "BODY_LIMIT", DEFAULT_BODY_LIMIT, "a number of bytes")?;
        if body_limit > MAX_BODY_LIMIT {
            return Err(format!("the value BODY_LIMIT={body_limit} is too large: at most {MAX_BODY_LIMIT} bytes"));
        }
        // Checked, but without effect: the thread of the provider serves all connections.
        parse_value(values, "WORKERS", NonZeroU16::MIN, "a number of workers (1 to 65535)")?;
        Ok(HttpServerConfig {
            address: SocketAddr::new(ip, port),
            body_limit,
            tls: read_tls(values)?,
            cors: Cors::from_link_values(values)?,
            trace: parse_value(values, "TRACE", TraceOfClient::Continued, "a treatment of the traces of clients")?,
        })
    }
}

/// The IP address to listen on.
struct BindAddress(IpAddr);

impl FromStr for BindAddress {
    type Err = String;

    fn from_str(text: &str) -> Result<BindAddress, String> {
        if text.eq_ignore_ascii_case("localhost") {
            return Ok(BindAddress(IpAddr::V4(Ipv4Addr::LOCALHOST)));
        }
        let in_brackets = text.strip_prefix('[').and_then(|text| text.strip_suffix(']'));
        let address = match in_brackets {
            Some(address) => address.parse::<Ipv6Addr>().ok().map(IpAddr::V6),
            None => text.parse().ok(),
        };
        address.map(BindAddress).ok_or_else(|| match text.parse::<SocketAddr>() {
            Ok(address) => format!("write BIND={} and PORT={}", address.ip(), address.port()),
            Err(_) => "write an IP address or localhost; 0.0.0.0 and :: are all addresses of the machine".to_owned(),
        })
    }
}

impl FromStr for TraceOfClient {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<TraceOfClient, &'static str> {
        match text {
            "continue" => Ok(TraceOfClient::Continued),
            "restart" => Ok(TraceOfClient::Dropped),
            _ => Err("write continue or restart"),
        }
    }
}

fn read_tls(values: &HashMap<String, String>) -> Result<Option<TlsSource>, String> {
    let given = |key: &str| values.get(key).map(|text| text.trim()).filter(|text| !text.is_empty()).map(str::to_owned);
    match (given("TLS_CERT"), given("TLS_KEY")) {
        (Some(certificate), Some(key)) => Ok(Some(TlsSource { certificate, key })),
        (None, None) => Ok(None),
        (None, Some(_)) => Err("the value TLS_KEY requires TLS_CERT".to_owned()),
        (Some(_), None) => Err("the value TLS_CERT requires TLS_KEY".to_owned()),
    }
}

fn parse_value<T: FromStr<Err: Display>>(
    values: &HashMap<String, String>,
    key: &str,
    default: T,
    expected: &str,
) -> Result<T, String> {
    match values.get(key).map(|text| text.trim()) {
        None | Some("") => Ok(default),
        Some(text) => text.parse().map_err(|error| format!("the value {key}={text:?} is not {expected}: {error}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(values: &[(&str, &str)]) -> Result<HttpServerConfig, String> {
        HttpServerConfig::from_link_values(
            &values.iter().map(|(key, value)| (key.to_string(), value.to_string())).collect(),
        )
    }

    #[test]
    fn without_values_the_defaults_hold() {
        let config = read(&[]).unwrap();
        assert_eq!(config.address.to_string(), "127.0.0.1:8080");
        assert_eq!(config.body_limit, 8 * 1024 * 1024);
        assert_eq!(config.trace, TraceOfClient::Continued);
    }

    #[test]
    fn values_are_parsed() {
        let config =
            read(&[("PORT", "81"), ("BIND", "::1"), ("BODY_LIMIT", "10"), ("WORKERS", "4"), ("TRACE", "restart")])
                .unwrap();
        assert_eq!(config.trace, TraceOfClient::Dropped);
        assert_eq!(config.address.to_string(), "[::1]:81");
        assert_eq!(config.body_limit, 10);
    }

    #[test]
    fn every_notation_of_an_address_is_accepted() {
        for (text, address) in [
            ("", "127.0.0.1:8080"),
            ("localhost", "127.0.0.1:8080"),
            ("LocalHost", "127.0.0.1:8080"),
            ("::1", "[::1]:8080"),
            ("[::1]", "[::1]:8080"),
            (" [::] ", "[::]:8080"),
            ("0.0.0.0", "0.0.0.0:8080"),
            ("192.0.2.1", "192.0.2.1:8080"),
        ] {
            assert_eq!(read(&[("BIND", text)]).unwrap().address.to_string(), address, "{text:?}");
        }
        let refusal = read(&[("BIND", "[::1]:81")]).unwrap_err();
        assert!(refusal.contains("BIND=::1 and PORT=81"), "{refusal}");
    }

    #[test]
    fn a_mistyped_name_is_refused() {
        let refusal = read(&[("PORTS", "81")]).unwrap_err();
        assert!(refusal.contains("PORTS") && refusal.contains("did you mean PORT?"), "{refusal}");
    }

    #[test]
    fn an_invalid_value_is_named() {
        for (key, text) in [
            ("PORT", "http"),
            ("PORT", "65536"),
            ("BIND", "localhost:80"),
            ("BIND", "127.0.0.1:80"),
            ("BIND", "[127.0.0.1]"),
            ("BIND", "[::1"),
            ("BIND", "*"),
            ("BIND", "eth0"),
            ("BIND", "127.0.0.1,127.0.0.2"),
            ("BODY_LIMIT", "-1"),
            ("BODY_LIMIT", "70000000"),
            ("WORKERS", "0"),
            ("TRACE", "off"),
        ] {
            let refusal = read(&[(key, text)]).unwrap_err();
            assert!(refusal.contains(key) && refusal.contains(text), "{refusal}");
        }
    }

    #[test]
    fn a_certificate_and_its_key_require_each_other_and_are_not_shown() {
        for key in ["TLS_CERT", "TLS_KEY"] {
            let refusal = read(&[(key, "the content")]).unwrap_err();
            assert!(refusal.contains(key) && !refusal.contains("the content"), "{refusal}");
        }
        let config = read(&[("TLS_CERT", "the certificate"), ("TLS_KEY", "the content")]).unwrap();
        assert!(!format!("{config:?}").contains("the content"));
    }
}
