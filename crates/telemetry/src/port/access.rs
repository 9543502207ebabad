//! Who may ask.

use std::net::IpAddr;
use std::time::Instant;

use hyper::header::{self, HeaderMap, HeaderValue};
use hyper::http::uri::Authority;
use hyper::{Request, Response, StatusCode};
use wasmcloud_core::entity::shorten;

use super::answers::{Body, refusal};
use super::attempts::Attempts;
use crate::options::{TelemetryOptions, TokenHash};

/// Checks requests before they are answered.
pub(super) struct Access {
    token: Option<TokenHash>,
    names: Vec<String>,
    attempts: Attempts,
}

/// What a request may learn.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Permission {
    /// All.
    Whole,
    /// What strangers may know.
    Stranger,
}

impl Access {
    pub(super) fn new(options: &TelemetryOptions) -> Access {
        let (token, names) = (options.token_hash().cloned(), options.names().to_vec());
        Access { token, names, attempts: Attempts::default() }
    }

    /// Returns what a request may learn.
    ///
    /// # Errors
    /// The answer to a request that is refused.
    #[allow(clippy::result_large_err, reason = "the error is the answer that is sent")]
    pub(super) fn permission<B>(&self, request: &Request<B>, peer: IpAddr) -> Result<Permission, Response<Body>> {
        expect_own_page(request.headers())?;
        let Some(token) = &self.token else {
            self.expect_own_name(request)?;
            return Ok(Permission::Whole);
        };
        let Some(given) = request.headers().get(header::AUTHORIZATION) else { return Ok(Permission::Stranger) };
        let now = Instant::now();
        if !self.attempts.may_try(peer, now) {
            let mut refusal = refusal(
                StatusCode::TOO_MANY_REQUESTS,
                "too many wrong tokens came from this address: wait a few seconds, and use the right one",
            );
            refusal.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from_static("10"));
            return Err(refusal);
        }
        if bearer(given).is_some_and(|given| TokenHash::of(given).is_same(token)) {
            return Ok(Permission::Whole);
        }
        self.attempts.has_failed(peer, now);
        Err(unauthorized("the token is wrong"))
    }

    /// Checks that a browser was not led here by a name that someone else controls. With a token there is no need: a page of
    /// that name does not know it.
    #[allow(clippy::result_large_err, reason = "the error is the answer that is sent")]
    fn expect_own_name<B>(&self, request: &Request<B>) -> Result<(), Response<Body>> {
        let mut named = Vec::new();
        named.extend(request.headers().get_all(header::HOST).iter().map(|host| host.to_str().unwrap_or_default()));
        named.extend(request.uri().authority().map(Authority::as_str));
        if named.is_empty() {
            return Err(refusal(StatusCode::BAD_REQUEST, "the request names no host"));
        }
        match named.into_iter().find(|host| !self.is_own_name(host)) {
            None => Ok(()),
            Some(host) => {
                let reason = format!(
                    "{:?} is no name of this host: use its address or localhost, or set the name in its telemetry options",
                    shorten(host)
                );
                Err(refusal(StatusCode::MISDIRECTED_REQUEST, &reason))
            }
        }
    }

    fn is_own_name(&self, host: &str) -> bool {
        let Ok(authority) = host.parse::<Authority>() else { return false };
        let name = authority.host().trim_start_matches('[').trim_end_matches(']');
        name.parse::<IpAddr>().is_ok()
            || name.eq_ignore_ascii_case("localhost")
            || self.names.iter().any(|own| own.eq_ignore_ascii_case(name))
    }
}

/// Returns the answer to a request that needs the token.
pub(super) fn unauthorized(reason: &str) -> Response<Body> {
    let mut refusal = refusal(StatusCode::UNAUTHORIZED, reason);
    refusal.headers_mut().insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
    refusal
}

/// Checks that a request was not made by the page of another site. A link there may lead here.
#[allow(clippy::result_large_err, reason = "the error is the answer that is sent")]
fn expect_own_page(headers: &HeaderMap) -> Result<(), Response<Body>> {
    let text = |name: &str| headers.get(name).map(|value| value.to_str().unwrap_or_default());
    let is_own = matches!(text("sec-fetch-site"), None | Some("same-origin" | "none"));
    if is_own || text("sec-fetch-mode") == Some("navigate") {
        return Ok(());
    }
    Err(refusal(StatusCode::FORBIDDEN, "a page of another site asks: open the dashboard itself"))
}

/// Returns the token of `Authorization: Bearer`.
fn bearer(value: &HeaderValue) -> Option<&[u8]> {
    let (scheme, token) = value.as_bytes().split_at_checked(7)?;
    scheme.eq_ignore_ascii_case(b"Bearer ").then(|| token.trim_ascii())
}

#[cfg(test)]
mod tests {
    use super::*;

    const PEER: IpAddr = IpAddr::V4(std::net::Ipv4Addr::LOCALHOST);
    const TOKEN: &str = "0123456789abcdef";

    fn asked(access: &Access, headers: &[(&str, &str)]) -> Result<Permission, StatusCode> {
        let request = headers.iter().fold(Request::builder(), |request, (name, value)| request.header(*name, *value));
        access.permission(&request.body(()).unwrap(), PEER).map_err(|refusal| refusal.status())
    }

    #[test]
    fn names_of_others_lead_nowhere() {
        let access = Access::new(&TelemetryOptions::default().name("Host.Example"));
        for own in ["127.0.0.1:9464", "10.0.0.1", "[::1]:80", "localhost", "LOCALHOST:1", "host.example:9464"] {
            assert_eq!(asked(&access, &[("host", own)]), Ok(Permission::Whole), "{own}");
        }
        for other in ["evil.example", "127.0.0.1.evil.example", "localhost.evil.example", "", "[::1", "a b", "@"] {
            assert_eq!(asked(&access, &[("host", other)]), Err(StatusCode::MISDIRECTED_REQUEST), "{other}");
        }
        let both = [("host", "localhost"), ("host", "evil.example")];
        assert_eq!(asked(&access, &both), Err(StatusCode::MISDIRECTED_REQUEST));
        assert_eq!(asked(&access, &[]), Err(StatusCode::BAD_REQUEST));
    }

    #[test]
    fn a_token_is_needed_for_all_but_the_bare_health() {
        let access = Access::new(&TelemetryOptions::default().token(TOKEN).unwrap());
        assert_eq!(asked(&access, &[("host", "host.example")]), Ok(Permission::Stranger));
        assert_eq!(asked(&access, &[("authorization", &format!("Bearer {TOKEN}"))]), Ok(Permission::Whole));
        assert_eq!(asked(&access, &[("authorization", &format!("bearer  {TOKEN} "))]), Ok(Permission::Whole));
        for wrong in ["", "Bearer", "Bearer ", "Basic 0123456789abcdef", TOKEN, "Bearer 0123456789abcde"] {
            assert_eq!(asked(&access, &[("authorization", wrong)]), Err(StatusCode::UNAUTHORIZED), "{wrong}");
        }
    }

    #[test]
    fn guesses_are_not_even_looked_at_beyond_a_rate() {
        let access = Access::new(&TelemetryOptions::default().token(TOKEN).unwrap());
        let wrong = [("authorization", "Bearer wrong")];
        while asked(&access, &wrong) == Err(StatusCode::UNAUTHORIZED) {}
        let right = format!("Bearer {TOKEN}");
        assert_eq!(asked(&access, &[("authorization", &right)]), Err(StatusCode::TOO_MANY_REQUESTS));
        assert_eq!(asked(&access, &[]), Ok(Permission::Stranger));
    }

    #[test]
    fn pages_of_other_sites_learn_nothing() {
        let access = Access::new(&TelemetryOptions::default());
        let host = ("host", "localhost");
        for site in ["cross-site", "same-site", "é"] {
            assert_eq!(asked(&access, &[host, ("sec-fetch-site", site)]), Err(StatusCode::FORBIDDEN), "{site}");
        }
        assert!(asked(&access, &[host, ("sec-fetch-site", "same-origin")]).is_ok());
        assert!(asked(&access, &[host, ("sec-fetch-site", "cross-site"), ("sec-fetch-mode", "navigate")]).is_ok());
    }
}
