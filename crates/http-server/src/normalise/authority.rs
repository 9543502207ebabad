//! The authority of a target and the value of `host`: `uri-host [ ":" port ]` (RFC 3986, section 3.2; RFC 9110, section 7.2).

use std::net::Ipv6Addr;

/// Returns whether a text is an authority with a non-empty host and without userinfo.
pub(super) fn is_authority(text: &[u8]) -> bool {
    let Some((host, port)) = split(text) else { return false };
    is_host(host) && port.is_none_or(is_port)
}

/// An authority in a form that can be compared.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Authority {
    host: Vec<u8>,
    /// `None` stands for the default port of the scheme.
    port: Option<u16>,
}

impl Authority {
    /// Parses a valid authority.
    pub(super) fn of(text: &[u8], scheme: Option<&str>) -> Option<Authority> {
        let (host, port) = split(text)?;
        let port = port.filter(|port| !port.is_empty()).and_then(|port| std::str::from_utf8(port).ok()?.parse().ok());
        let default = if scheme == Some("https") { 443 } else { 80 };
        Some(Authority { host: host.to_ascii_lowercase(), port: port.filter(|&port| port != default) })
    }
}

/// Splits an authority into host and port. An IPv6 address keeps its brackets.
fn split(text: &[u8]) -> Option<(&[u8], Option<&[u8]>)> {
    let end = match text.first()? {
        b'[' => text.iter().position(|&byte| byte == b']')? + 1,
        _ => text.iter().position(|&byte| byte == b':').unwrap_or(text.len()),
    };
    let (host, rest) = text.split_at(end);
    match rest.split_first() {
        None => Some((host, None)),
        Some((b':', port)) => Some((host, Some(port))),
        Some(_) => None,
    }
}

fn is_host(host: &[u8]) -> bool {
    match host.strip_prefix(b"[").and_then(|host| host.strip_suffix(b"]")) {
        Some(literal) => is_ip_literal(literal),
        None => is_registered_name(host),
    }
}

fn is_ip_literal(literal: &[u8]) -> bool {
    let Ok(text) = std::str::from_utf8(literal) else { return false };
    // IPvFuture: "v" 1*HEXDIG "." 1*( unreserved / sub-delims / ":" )
    let is_ipv_future = || {
        let (version, address) = text.strip_prefix(['v', 'V'])?.split_once('.')?;
        let hex = !version.is_empty() && version.bytes().all(|byte| byte.is_ascii_hexdigit());
        Some(hex && !address.is_empty() && address.bytes().all(|byte| is_name_byte(byte) || byte == b':'))
    };
    text.parse::<Ipv6Addr>().is_ok() || is_ipv_future().unwrap_or(false)
}

/// `1*( unreserved / pct-encoded / sub-delims )`
fn is_registered_name(name: &[u8]) -> bool {
    let mut rest = name;
    while let Some((&byte, after)) = rest.split_first() {
        rest = match (byte, after) {
            (b'%', [high, low, after @ ..]) if high.is_ascii_hexdigit() && low.is_ascii_hexdigit() => after,
            (byte, after) if is_name_byte(byte) => after,
            _ => return false,
        };
    }
    !name.is_empty()
}

fn is_name_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"-._~!$&'()*+,;=".contains(&byte)
}

/// `*DIGIT`, up to 65535.
fn is_port(port: &[u8]) -> bool {
    let digits = port.iter().all(u8::is_ascii_digit);
    digits && (port.is_empty() || std::str::from_utf8(port).is_ok_and(|port| port.parse::<u16>().is_ok()))
}
