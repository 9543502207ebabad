//! What the values of a link mean.

use std::collections::HashMap;
use std::fmt::Display;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::str::FromStr;

const DEFAULT_PORT: u16 = 8080;
const DEFAULT_ADDRESS: IpAddr = IpAddr::V4(Ipv4Addr::UNSPECIFIED);
const DEFAULT_BODY_LIMIT: usize = 8 * 1024 * 1024;

/// What fits a message to an actor, with some room for what is in it beside the body.
const LARGEST_BODY_LIMIT: usize = 63 * 1024 * 1024;

/// A link's values, read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Settings {
    pub(crate) address: SocketAddr,
    pub(crate) body_limit: usize,
}

impl Settings {
    /// Reads the values of a link.
    ///
    /// # Errors
    /// A text that names the value which cannot be read.
    pub(crate) fn read(values: &HashMap<String, String>) -> Result<Settings, String> {
        let port = value(values, "PORT", DEFAULT_PORT, "a TCP port (0 to 65535)")?;
        let ip = value(values, "BIND", DEFAULT_ADDRESS, "an IP address")?;
        let body_limit = value(values, "BODY_LIMIT", DEFAULT_BODY_LIMIT, "a number of bytes")?;
        if body_limit > LARGEST_BODY_LIMIT {
            return Err(format!("the value BODY_LIMIT={body_limit} is too large: at most {LARGEST_BODY_LIMIT} bytes"));
        }
        Ok(Settings { address: SocketAddr::new(ip, port), body_limit })
    }
}

fn value<T: FromStr<Err: Display>>(
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

    fn read(values: &[(&str, &str)]) -> Result<Settings, String> {
        Settings::read(&values.iter().map(|(key, value)| (key.to_string(), value.to_string())).collect())
    }

    #[test]
    fn without_values_the_defaults_hold() {
        let settings = read(&[]).unwrap();
        assert_eq!(settings.address.to_string(), "0.0.0.0:8080");
        assert_eq!(settings.body_limit, 8 * 1024 * 1024);
    }

    #[test]
    fn values_are_read() {
        let settings = read(&[("PORT", "81"), ("BIND", "::1"), ("BODY_LIMIT", "10"), ("OTHER", "x")]).unwrap();
        assert_eq!(settings.address.to_string(), "[::1]:81");
        assert_eq!(settings.body_limit, 10);
    }

    #[test]
    fn a_bad_value_is_named() {
        for (key, text) in [
            ("PORT", "http"),
            ("PORT", "65536"),
            ("BIND", "localhost"),
            ("BODY_LIMIT", "-1"),
            ("BODY_LIMIT", "70000000"),
        ] {
            let refusal = read(&[(key, text)]).unwrap_err();
            assert!(refusal.contains(key) && refusal.contains(text), "{refusal}");
        }
    }
}
