//! Tokens: asked for when they are needed, and renewed once when they have expired.

use std::sync::Arc;
use std::sync::atomic::{AtomicU16, AtomicUsize, Ordering};

use wasmcloud_core::error::ErrorKind;

use super::content::Content;
use super::server::{Answer, Seen, Server, answer};
use super::{module, options, reference};
use crate::{CredentialSources, Credentials, NoProgress, RegistryClient};

/// A registry that wants a token, which it hands out itself.
struct Tokens {
    server: Server,
    /// The number of the token that is accepted at present.
    valid: Arc<AtomicUsize>,
    /// The status by which others are refused.
    refusal: Arc<AtomicU16>,
}

impl Tokens {
    async fn start() -> Self {
        let (valid, refusal) = (Arc::new(AtomicUsize::new(1)), Arc::new(AtomicU16::new(401)));
        let (accepted, status) = (valid.clone(), refusal.clone());
        let server = Server::start(move |seen| {
            let number = accepted.load(Ordering::Relaxed);
            respond(seen, &format!("opaque-{number}"), status.load(Ordering::Relaxed))
        })
        .await;
        Tokens { server, valid, refusal }
    }

    fn tokens_asked(&self) -> usize {
        self.server.count("/token")
    }
}

/// Answers a request where one token is valid. The server of tokens is at the path `/token`.
fn respond(seen: &Seen, token: &str, refusal: u16) -> Answer {
    if seen.path.starts_with("/token") {
        return answer(200, &[], format!(r#"{{"access_token": "{token}"}}"#));
    }
    if seen.authorization.as_deref() == Some(&format!("Bearer {token}")) {
        return Content::new(module("echo")).answer(&seen.path);
    }
    // A refusal by 403 names no challenge, as that of the registries in question.
    if seen.path != "/v2/" && refusal == 403 {
        return answer(403, &[], "");
    }
    let challenge = format!(r#"WWW-Authenticate: Bearer realm="http://{}/token",service="registry""#, seen.host);
    answer(401, &[&challenge], "")
}

#[tokio::test]
async fn a_token_is_asked_for_once_and_renewed_when_it_has_expired() {
    for refusal in [401, 403] {
        let tokens = Tokens::start().await;
        tokens.refusal.store(refusal, Ordering::Relaxed);
        let registry = tokens.server.address.clone();
        let cache = tempfile::tempdir().unwrap();
        let sources = CredentialSources::none().with(&registry, Credentials::basic("me", "secret"));
        let client = RegistryClient::new(options(&cache, &registry).credentials(sources)).unwrap();
        let tagged = reference(&registry, "echo:1");
        client.pull(&tagged, &NoProgress).await.unwrap();
        client.resolve(&tagged).await.unwrap();
        assert_eq!(tokens.tokens_asked(), 1);
        tokens.valid.store(2, Ordering::Relaxed);
        client.resolve(&tagged).await.unwrap();
        assert_eq!(tokens.tokens_asked(), 2);
        let asked = tokens.server.seen().into_iter().find(|seen| seen.path.starts_with("/token")).unwrap();
        assert!(asked.path.contains("scope=repository%3Aecho%3Apull"), "{}", asked.path);
        assert!(asked.path.contains("service=registry"), "{}", asked.path);
        assert_eq!(asked.authorization.as_deref(), Some("Basic bWU6c2VjcmV0"));
    }
}

#[tokio::test]
async fn a_token_that_is_never_accepted_is_renewed_once() {
    let tokens = Tokens::start().await;
    let registry = tokens.server.address.clone();
    let cache = tempfile::tempdir().unwrap();
    let sources = CredentialSources::none().with(&registry, Credentials::registry_token("old"));
    let client = RegistryClient::new(options(&cache, &registry).credentials(sources)).unwrap();
    let error = client.resolve(&reference(&registry, "echo:1")).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::OciDenied);
    assert!(!error.to_string().contains("old"), "{error}");
    assert_eq!(tokens.server.count(Content::TAG), 2);
}

#[tokio::test]
async fn identity_tokens_are_exchanged() {
    let tokens = Tokens::start().await;
    let registry = tokens.server.address.clone();
    let cache = tempfile::tempdir().unwrap();
    let sources = CredentialSources::none().with(&registry, Credentials::identity_token("a+b&c"));
    let client = RegistryClient::new(options(&cache, &registry).credentials(sources)).unwrap();
    client.pull(&reference(&registry, "echo:1"), &NoProgress).await.unwrap();
    let asked = tokens.server.seen().into_iter().find(|seen| seen.path == "/token").unwrap();
    assert_eq!(asked.method, "POST");
    assert!(asked.body.contains("grant_type=refresh_token"), "{}", asked.body);
    assert!(asked.body.contains("refresh_token=a%2Bb%26c"), "{}", asked.body);
    assert_eq!(asked.authorization, None);
}

#[tokio::test]
async fn a_refusal_says_that_there_are_no_credentials() {
    let server = Server::start(|_| answer(401, &[r#"WWW-Authenticate: Basic realm="x""#], "")).await;
    let cache = tempfile::tempdir().unwrap();
    let sources = CredentialSources::none().docker_config("/nonexistent/config.json");
    let client = RegistryClient::new(options(&cache, &server.address).credentials(sources)).unwrap();
    let error = client.pull(&reference(&server.address, "echo:1"), &NoProgress).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::OciDenied);
    for part in
        ["without credentials", "'/nonexistent/config.json' does not exist", "docker login", "OCI_REGISTRY_USER"]
    {
        assert!(error.to_string().contains(part), "{error}");
    }
}

#[tokio::test]
async fn a_server_of_tokens_in_a_private_network_is_refused() {
    let inside = Server::start(|_| answer(200, &[], r#"{"token": "x"}"#)).await;
    for realm in [format!("http://{}/token", inside.address), "https://169.254.169.254/token".to_owned()] {
        let challenge = format!(r#"WWW-Authenticate: Bearer realm="{realm}""#);
        let server = Server::start(move |_| answer(401, &[&challenge], "")).await;
        let cache = tempfile::tempdir().unwrap();
        let sources = CredentialSources::none().fallback(Credentials::basic("me", "secret"));
        let client = RegistryClient::new(options(&cache, &server.address).credentials(sources)).unwrap();
        let error = client.pull(&reference(&server.address, "echo:1"), &NoProgress).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::OciRefused, "{error}");
    }
    assert_eq!(inside.seen().len(), 0);
}
