//! Authentication: from the challenge of a registry to the header that answers it.

use data_encoding::BASE64;
use http_auth::parser::ChallengeParser;
use reqwest::header::{CONTENT_TYPE, HeaderMap, HeaderValue, WWW_AUTHENTICATE};
use reqwest::{Method, Url};
use serde::Deserialize;
use wasmcloud_core::error::{Error, ErrorKind, Result};
use zeroize::Zeroizing;

use crate::credentials::{Credentials, Found};
use crate::failure;
use crate::http::{self, Body, Http, Outgoing};

/// The largest answer of a server of tokens that is read.
const MAX_TOKEN: u64 = 256 << 10;

/// How the client names itself where an identity token is exchanged.
const CLIENT_ID: &str = "wasmcloud";

/// How a registry wants to be told who asks.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Challenge {
    /// By name and password.
    Basic,
    /// By a token of a server.
    Bearer {
        /// The address of the server.
        realm: Url,
        /// For which service the token is to be.
        service: Option<String>,
    },
}

impl Challenge {
    /// Reads the challenge of an answer. A server of tokens is preferred.
    pub(crate) fn of(headers: &HeaderMap) -> Option<Challenge> {
        let mut is_basic = false;
        for value in headers.get_all(WWW_AUTHENTICATE) {
            let Ok(text) = value.to_str() else { continue };
            for challenge in ChallengeParser::new(text).map_while(std::result::Result::ok) {
                let parameter = |name: &str| {
                    let found = challenge.params.iter().find(|(key, _)| key.eq_ignore_ascii_case(name));
                    found.map(|(_, value)| value.to_unescaped())
                };
                if challenge.scheme.eq_ignore_ascii_case("bearer") {
                    let realm = parameter("realm").and_then(|realm| Url::parse(&realm).ok());
                    if let Some(realm) = realm {
                        return Some(Challenge::Bearer { realm, service: parameter("service") });
                    }
                }
                is_basic |= challenge.scheme.eq_ignore_ascii_case("basic");
            }
        }
        is_basic.then_some(Challenge::Basic)
    }
}

/// What a token is to allow.
#[derive(Debug)]
pub(crate) struct Grant<'a> {
    /// The address of the registry.
    pub(crate) registry: &'a str,
    /// The repository and the operations on it, in the form of servers of tokens.
    pub(crate) scope: &'a str,
}

/// The answer of a server of tokens. Some use the one name, some the other.
#[derive(Deserialize)]
struct Token {
    token: Option<Zeroizing<String>>,
    access_token: Option<Zeroizing<String>>,
}

/// Answers a challenge. `None`: the credentials do not fit it.
pub(crate) async fn answer(
    http: &Http,
    challenge: &Challenge,
    found: &Found,
    grant: &Grant<'_>,
) -> Result<Option<HeaderValue>> {
    match (challenge, &found.credentials) {
        (_, Some(Credentials::RegistryToken(token))) => secret_header("Bearer", token).map(Some),
        (Challenge::Basic, Some(Credentials::Basic { user, password })) => basic(user, password).map(Some),
        (Challenge::Basic, _) => Ok(None),
        (Challenge::Bearer { realm, service }, credentials) => {
            let request = Exchange { realm, service: service.as_deref(), grant };
            let token = match credentials {
                Some(Credentials::IdentityToken(token)) => request.with_identity(http, token).await?,
                Some(Credentials::Basic { user, password }) => {
                    request.with_basic(http, Some(&basic(user, password)?)).await?
                }
                _ => request.with_basic(http, None).await?,
            };
            token.map(|token| secret_header("Bearer", &token)).transpose()
        }
    }
}

/// A request for a token.
struct Exchange<'a> {
    realm: &'a Url,
    service: Option<&'a str>,
    grant: &'a Grant<'a>,
}

impl Exchange<'_> {
    /// Asks for a token by name and password, or anonymously.
    async fn with_basic(&self, http: &Http, authorization: Option<&HeaderValue>) -> Result<Option<Zeroizing<String>>> {
        let mut url = self.realm.clone();
        url.query_pairs_mut().extend_pairs(self.parameters());
        self.send(http, &Outgoing::new(Method::GET, url), authorization).await
    }

    /// Exchanges an identity token.
    async fn with_identity(&self, http: &Http, token: &str) -> Result<Option<Zeroizing<String>>> {
        let mut form = self.realm.clone();
        form.set_query(None);
        form.query_pairs_mut()
            .extend_pairs([("grant_type", "refresh_token"), ("client_id", CLIENT_ID), ("refresh_token", token)])
            .extend_pairs(self.parameters());
        let body = form.query().unwrap_or_default().to_owned();
        let request = Outgoing::new(Method::POST, self.realm.clone())
            .header(CONTENT_TYPE, "application/x-www-form-urlencoded")
            .body(Body::Bytes(body.into()));
        self.send(http, &request, None).await
    }

    fn parameters(&self) -> impl Iterator<Item = (&str, &str)> {
        let service = self.service.map(|service| ("service", service));
        service.into_iter().chain([("scope", self.grant.scope)])
    }

    /// Sends the request. `None`: the credentials were refused.
    async fn send(
        &self,
        http: &Http,
        request: &Outgoing,
        authorization: Option<&HeaderValue>,
    ) -> Result<Option<Zeroizing<String>>> {
        let registry = self.grant.registry;
        let response = http.send(registry, request, authorization).await?;
        let status = response.status();
        if status.is_client_error() && status.as_u16() != 429 {
            return Ok(None);
        }
        if !status.is_success() {
            let text = format!("the server of tokens of the registry {registry} answers {status}: try again later");
            return Err(Error::new(ErrorKind::OciUnavailable, text));
        }
        http::check_not_html(registry, &response)?;
        let bytes = Zeroizing::new(http::read(registry, response, MAX_TOKEN).await?);
        // The parser's error could quote a secret.
        let token =
            serde_json::from_slice::<Token>(&bytes).ok().and_then(|answer| answer.token.or(answer.access_token));
        match token {
            Some(token) => Ok(Some(token)),
            None => Err(failure::refused(format!(
                "the server of tokens of the registry {registry} answers without a token"
            ))),
        }
    }
}

/// Returns the header with a name and a password.
fn basic(user: &str, password: &str) -> Result<HeaderValue> {
    let plain = Zeroizing::new(format!("{user}:{password}"));
    secret_header("Basic", &Zeroizing::new(BASE64.encode(plain.as_bytes())))
}

/// Returns a header that is not printed.
fn secret_header(scheme: &str, secret: &str) -> Result<HeaderValue> {
    let text = Zeroizing::new(format!("{scheme} {secret}"));
    let mut value = HeaderValue::from_str(&text).map_err(|_| {
        Error::new(ErrorKind::OciDenied, "a token for the registry has characters that no header may have")
    })?;
    value.set_sensitive(true);
    Ok(value)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn challenge(values: &[&'static str]) -> Option<Challenge> {
        let mut headers = HeaderMap::new();
        for value in values {
            headers.append(WWW_AUTHENTICATE, HeaderValue::from_static(value));
        }
        Challenge::of(&headers)
    }

    #[test]
    fn challenges_are_read() {
        let bearer = Challenge::Bearer {
            realm: Url::parse("https://auth.example.com/token").unwrap(),
            service: Some("example.com".to_owned()),
        };
        let text = r#"Bearer realm="https://auth.example.com/token",service="example.com",scope="repository:x:pull""#;
        assert_eq!(challenge(&[text]), Some(bearer));
        assert!(matches!(challenge(&[r#"Basic realm="x""#, text]), Some(Challenge::Bearer { .. })));
        assert_eq!(challenge(&[r#"basic realm="Registry Realm""#]), Some(Challenge::Basic));
        assert_eq!(challenge(&["Bearer realm=\"no address\""]), None);
        assert_eq!(challenge(&["Negotiate", "\"\"\""]), None);
        assert_eq!(challenge(&[]), None);
    }

    #[test]
    fn headers_are_written() {
        assert_eq!(basic("Aladdin", "open sesame").unwrap(), "Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ==");
        assert_eq!(secret_header("Bearer", "a\nb").unwrap_err().kind(), ErrorKind::OciDenied);
        assert_eq!(format!("{:?}", basic("me", "hunter2").unwrap()), "Sensitive");
    }
}
