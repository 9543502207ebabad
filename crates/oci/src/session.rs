//! Requests to one repository, with authentication that is renewed once.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use reqwest::header::HeaderValue;
use reqwest::{Method, Response, StatusCode, Url};
use wasmcloud_core::error::{Error, ErrorKind, Result};

use crate::auth::{self, Challenge, Grant};
use crate::failure;
use crate::http::{self, Http, Outgoing};
use crate::options::RegistryOptions;
use crate::reference::Reference;

/// How many headers are kept. Beyond that, all are asked for again.
const MAX_KNOWN: usize = 1024;

/// The authorization of each repository, as long as it is accepted.
#[derive(Debug, Default)]
pub(crate) struct Known(Mutex<HashMap<Key, HeaderValue>>);

/// What an authorization is for.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct Key {
    registry: String,
    repository: String,
    access: Access,
}

/// What is done with a repository.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Access {
    Pull,
    Push,
}

impl Known {
    fn get(&self, key: &Key) -> Option<HeaderValue> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).get(key).cloned()
    }

    /// Replaces the authorization for a key; `None` forgets it.
    fn set(&self, key: &Key, value: Option<HeaderValue>) {
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        match value {
            None => drop(known.remove(key)),
            Some(value) => {
                if known.len() >= MAX_KNOWN {
                    known.clear();
                }
                known.insert(key.clone(), value);
            }
        }
    }
}

/// Requests to the repository of a reference.
#[derive(Debug)]
pub(crate) struct Session<'a> {
    http: &'a Http,
    options: &'a RegistryOptions,
    known: &'a Known,
    reference: &'a Reference,
    key: Key,
}

impl<'a> Session<'a> {
    /// Begins requests for a reference.
    pub(crate) fn new(
        http: &'a Http,
        options: &'a RegistryOptions,
        known: &'a Known,
        reference: &'a Reference,
        access: Access,
    ) -> Self {
        let registry = reference.registry().to_owned();
        let key = Key { registry, repository: reference.repository().to_owned(), access };
        Session { http, options, known, reference, key }
    }

    /// Returns the address of the registry.
    pub(crate) fn registry(&self) -> &str {
        &self.key.registry
    }

    /// Returns the address of something in the repository, such as `blobs/sha256:...`.
    pub(crate) fn url(&self, path: &str) -> Result<Url> {
        let base = self.http.base(self.registry())?;
        base.join(&format!("{}/{path}", self.key.repository)).map_err(|error| {
            Error::new(ErrorKind::InvalidArgument, format!("cannot make an address of '{}'", self.reference))
                .caused_by(error)
        })
    }

    /// Sends a request. If it is refused, the authorization is renewed and the request is sent once more.
    ///
    /// Some registries answer an expired token with 403 where 401 is meant.
    pub(crate) async fn send(&self, request: &Outgoing) -> Result<Response> {
        let is_own = http::is_authority(&request.url, self.registry());
        let known = self.known.get(&self.key).filter(|_| is_own);
        let first = self.http.send(self.registry(), request, known.as_ref()).await?;
        let is_answered_here = is_own && http::is_authority(first.url(), self.registry());
        if !is_refusal(first.status()) || !is_answered_here {
            return Ok(first);
        }
        let Some(fresh) = self.authorize(Challenge::of(first.headers())).await? else { return Ok(first) };
        if known.as_ref() == Some(&fresh) {
            return Ok(first);
        }
        self.known.set(&self.key, Some(fresh.clone()));
        let second = self.http.send(self.registry(), request, Some(&fresh)).await?;
        if is_refusal(second.status()) {
            self.known.set(&self.key, None);
        }
        Ok(second)
    }

    /// Sends a request whose answer has to be a success.
    pub(crate) async fn fetch(&self, request: &Outgoing) -> Result<Response> {
        let response = self.send(request).await?;
        self.check(response).await
    }

    /// Answers a challenge. `None`: there is none, or the credentials do not fit it.
    async fn authorize(&self, challenge: Option<Challenge>) -> Result<Option<HeaderValue>> {
        self.known.set(&self.key, None);
        let challenge = match challenge {
            Some(challenge) => Some(challenge),
            // A refusal by 403 names no challenge. The root of the interface does.
            None => {
                let root = Outgoing::new(Method::GET, self.http.base(self.registry())?);
                Challenge::of(self.http.send(self.registry(), &root, None).await?.headers())
            }
        };
        let Some(challenge) = challenge else { return Ok(None) };
        let found = self.options.credentials.find_for_challenge(self.registry()).await?;
        let operations = match self.key.access {
            Access::Pull => "pull",
            Access::Push => "pull,push",
        };
        let scope = format!("repository:{}:{operations}", self.key.repository);
        let grant = Grant { registry: self.registry(), scope: &scope };
        auth::answer(self.http, &challenge, &found, &grant).await
    }

    /// Returns an answer that is a success, or the error that its status means.
    pub(crate) async fn check(&self, response: Response) -> Result<Response> {
        let status = response.status();
        if status.is_success() {
            http::check_not_html(self.registry(), &response)?;
            return Ok(response);
        }
        if is_refusal(status) {
            return Err(self.denied().await);
        }
        let registry = self.registry();
        let said = http::excerpt(registry, response).await;
        let (kind, text) = match status.as_u16() {
            404 => (ErrorKind::OciNotFound, format!("{registry} does not have '{}': check the name", self.reference)),
            429 => (ErrorKind::OciUnavailable, format!("{registry} limits how often it is asked: try again later")),
            500..=599 => {
                (ErrorKind::OciUnavailable, format!("the registry {registry} failed ({status}): try again later"))
            }
            _ => (ErrorKind::OciRefused, format!("the registry {registry} answers {status} for '{}'", self.reference)),
        };
        let error = Error::new(kind, text);
        Err(if said.is_empty() { error } else { error.caused_by(said) })
    }

    /// Returns the error of a refusal, with where the credentials came from.
    async fn denied(&self) -> Error {
        let found = match self.options.credentials.find(self.registry()).await {
            Ok(found) => found,
            Err(error) => return error,
        };
        let doing = match self.key.access {
            Access::Pull => "a pull",
            Access::Push => "a push",
        };
        let refusal = format!("the registry {} refuses {doing} of '{}'", self.registry(), self.reference);
        let origin = found.origin;
        let text = match found.credentials {
            Some(_) => {
                format!("{refusal} with the credentials that it was given ({origin}): check them, and what they allow")
            }
            None => format!(
                "{refusal} without credentials ({origin}): check the name, log in by 'docker login {}', or set \
                 OCI_REGISTRY_USER and OCI_REGISTRY_PASSWORD",
                self.registry()
            ),
        };
        Error::new(ErrorKind::OciDenied, text)
    }

    /// Returns the error of an operation that took longer than its limit.
    pub(crate) fn overdue(&self) -> Error {
        failure::overdue(self.registry(), self.options.total_timeout)
    }
}

/// Returns whether a status means that the request was not authorized.
fn is_refusal(status: StatusCode) -> bool {
    matches!(status, StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN)
}
