//! Where the port listens, and who may ask.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use sha2::{Digest, Sha256};
use wasmcloud_core::entity::shorten;
use wasmcloud_core::error::{Error, ErrorKind, Result};
use wasmcloud_core::text::escaped;

/// The port of a host, if none is named.
const DEFAULT_PORT: u16 = 9464;

/// The lengths that a token may have. Unit: bytes.
const SHORTEST_TOKEN: usize = 16;
const LONGEST_TOKEN: usize = 1024;

/// Where the telemetry of a host is served, and who may read it.
///
/// ```
/// use wasmcloud_telemetry::TelemetryOptions;
///
/// let everywhere = TelemetryOptions::new(([0, 0, 0, 0], 9464).into());
/// assert!(everywhere.validate().is_err());
/// assert!(everywhere.token("ieC6kahgh0Thoh5a")?.validate().is_ok());
/// # Ok::<(), wasmcloud_core::error::Error>(())
/// ```
#[derive(Clone, PartialEq, Eq)]
pub struct TelemetryOptions {
    address: SocketAddr,
    takes_another_port: bool,
    token: Option<TokenHash>,
    names: Vec<String>,
    unready: Option<String>,
}

/// The hash of a token. The token itself is not kept.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct TokenHash([u8; 32]);

impl TokenHash {
    pub(crate) fn of(token: &[u8]) -> TokenHash {
        TokenHash(Sha256::digest(token).into())
    }

    /// Compares two tokens in a time that tells nothing of where they differ.
    pub(crate) fn is_same(&self, other: &TokenHash) -> bool {
        let differences = self.0.iter().zip(&other.0).fold(0, |differences, (one, other)| differences | (one ^ other));
        std::hint::black_box(differences) == 0
    }
}

impl TelemetryOptions {
    /// Serves on an address. Port 0 stands for any free port.
    pub fn new(address: SocketAddr) -> TelemetryOptions {
        TelemetryOptions { address, takes_another_port: false, token: None, names: Vec::new(), unready: None }
    }

    /// Serves on any free port of the same address if the port is taken. Default: the start fails then.
    #[must_use]
    pub fn or_another_port(mut self) -> TelemetryOptions {
        self.takes_another_port = true;
        self
    }

    /// Requires a token: `Authorization: Bearer` with 16 to 1,024 visible ASCII characters. Without it, the port tells whether
    /// the host is alive and ready, and nothing else. Default: none, which only a loopback address may have.
    ///
    /// # Errors
    /// `InvalidArgument` for another text. The error does not show it.
    pub fn token(mut self, token: &str) -> Result<TelemetryOptions> {
        let is_visible = token.bytes().all(|byte| byte.is_ascii_graphic());
        if !is_visible || !(SHORTEST_TOKEN..=LONGEST_TOKEN).contains(&token.len()) {
            let message = format!(
                "the token of the telemetry has {SHORTEST_TOKEN} to {LONGEST_TOKEN} visible ASCII characters: make one with \
                 `openssl rand -hex 32`"
            );
            return Err(Error::new(ErrorKind::InvalidArgument, message));
        }
        self.token = Some(TokenHash::of(token.as_bytes()));
        Ok(self)
    }

    /// Answers requests for a host name. Without a token, only those for an IP address, `localhost` and the names given here are
    /// answered, so that no web page can make its own name lead here. A name stands without a port. Default: none.
    #[must_use]
    pub fn name(mut self, name: &str) -> TelemetryOptions {
        self.names.push(name.to_ascii_lowercase());
        self
    }

    /// Makes the host unready from its start, for a reason that the readiness tells.
    #[must_use]
    pub fn unready(mut self, reason: &str) -> TelemetryOptions {
        self.unready = Some(escaped(reason).into_owned());
        self
    }

    /// Checks that the address needs no token, or has one, and that the names are names of hosts.
    ///
    /// # Errors
    /// `InvalidArgument` for an address that is not of the loopback interface, without a token, and for a name with a port or
    /// anything else that no name of a host has.
    pub fn validate(&self) -> Result<()> {
        if let Some(name) = self.names.iter().find(|name| !is_host_name(name)) {
            let message = format!(
                "{:?} is no name that the telemetry can be asked by: give the name of the host alone, such as host.example, \
                 without a port",
                shorten(name)
            );
            return Err(Error::new(ErrorKind::InvalidArgument, message));
        }
        if self.token.is_some() || self.address.ip().to_canonical().is_loopback() {
            return Ok(());
        }
        let message = format!(
            "telemetry on {} could be read by other machines: set a token, or serve on {}",
            self.address,
            SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), self.address.port())
        );
        Err(Error::new(ErrorKind::InvalidArgument, message))
    }

    /// Returns why the host is not ready at its start.
    pub fn unready_reason(&self) -> Option<&str> {
        self.unready.as_deref()
    }

    /// Returns the address, as it was given.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    pub(crate) fn takes_another_port(&self) -> bool {
        self.takes_another_port
    }

    pub(crate) fn token_hash(&self) -> Option<&TokenHash> {
        self.token.as_ref()
    }

    pub(crate) fn names(&self) -> &[String] {
        &self.names
    }
}

/// Returns whether a text can be the name of a host in a request.
fn is_host_name(name: &str) -> bool {
    let is_part = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_');
    !name.is_empty() && name.bytes().all(is_part)
}

impl Default for TelemetryOptions {
    /// Serves on `127.0.0.1:9464`, or any free port if that is taken.
    fn default() -> TelemetryOptions {
        TelemetryOptions::new(SocketAddr::from((Ipv4Addr::LOCALHOST, DEFAULT_PORT))).or_another_port()
    }
}

impl fmt::Debug for TelemetryOptions {
    /// Writes whether there is a token, and not which.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TelemetryOptions")
            .field("address", &self.address)
            .field("takes_another_port", &self.takes_another_port)
            .field("has_token", &self.token.is_some())
            .field("names", &self.names)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_loopback_needs_no_token() {
        for open in ["127.0.0.1:1", "127.9.9.9:1", "[::1]:1", "[::ffff:127.0.0.1]:1"] {
            assert!(TelemetryOptions::new(open.parse().unwrap()).validate().is_ok(), "{open}");
        }
        for closed in ["0.0.0.0:1", "[::]:1", "10.0.0.1:1", "[fe80::1]:1"] {
            let options = TelemetryOptions::new(closed.parse().unwrap());
            assert_eq!(options.validate().unwrap_err().kind(), ErrorKind::InvalidArgument, "{closed}");
            assert!(options.token("0123456789abcdef").unwrap().validate().is_ok());
        }
    }

    #[test]
    fn a_name_that_no_request_names_is_refused() {
        for name in ["host.example", "Host", "my_host", "xn--hst-sna.example", "host.example."] {
            assert!(TelemetryOptions::default().name(name).validate().is_ok(), "{name}");
        }
        for name in ["host:9464", "", "http://host", "host/", "a b", "höst", "*.example"] {
            let error = TelemetryOptions::default().name("host").name(name).validate().unwrap_err();
            assert_eq!(error.kind(), ErrorKind::InvalidArgument, "{name}");
        }
    }

    #[test]
    fn a_token_is_neither_short_nor_shown() {
        for bad in ["", "short", "0123456789abcde", "0123456789abcdef ", "0123456789abcdeé", &"x".repeat(1025)] {
            let error = TelemetryOptions::default().token(bad).unwrap_err();
            assert!(error.kind() == ErrorKind::InvalidArgument && (bad.is_empty() || !error.to_string().contains(bad)));
        }
        let options = TelemetryOptions::default().token("0123456789abcdef").unwrap();
        let shown = format!("{options:?}");
        assert!(shown.contains("has_token: true") && !shown.contains("0123456789abcdef"), "{shown}");
    }

    #[test]
    fn tokens_are_compared_whole() {
        let token = TokenHash::of(b"0123456789abcdef");
        assert!(token.is_same(&TokenHash::of(b"0123456789abcdef")));
        assert!(!token.is_same(&TokenHash::of(b"0123456789abcdeg")) && !token.is_same(&TokenHash::of(b"")));
    }
}
