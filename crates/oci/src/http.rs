//! Requests to registries and to where they lead, with redirects that are checked.
//!
//! A request to the registry itself, or to a registry that is allowed to be insecure, goes to whatever address its name
//! has: the operator named it. Everywhere else a registry leads, TLS and a public address are needed, so that no registry
//! makes a host talk to the services of its own network.
//!
//! # Layout
//! - `address`: which addresses are public, and a resolver that yields those only
//! - `body`: bounded reading of answers

mod address;
mod body;

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::sync::Arc;

use bytes::Bytes;
use futures_util::TryStreamExt;
use reqwest::header::{CONTENT_LENGTH, HeaderMap, HeaderValue, LOCATION};
use reqwest::{Certificate, Method, RequestBuilder, Response, Url, redirect};
use tokio::sync::mpsc::UnboundedSender;
use tokio_util::io::ReaderStream;
use wasmcloud_core::error::{Error, ErrorKind, Result};

use crate::failure;
use crate::options::RegistryOptions;
pub(crate) use body::{check_not_html, excerpt, read};

/// How many redirects are followed.
const MAX_REDIRECTS: usize = 5;

/// The size of the pieces in which files are sent.
const PIECE: usize = 64 << 10;

/// How the client names itself.
const USER_AGENT: &str = concat!("wasmcloud-oci/", env!("CARGO_PKG_VERSION"));

/// A request that can be sent more than once.
#[derive(Debug, Clone)]
pub(crate) struct Outgoing {
    pub(crate) method: Method,
    pub(crate) url: Url,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Body,
}

/// The body of a request.
#[derive(Debug, Clone)]
pub(crate) enum Body {
    Empty,
    Bytes(Bytes),
    /// A file of a size, which is streamed.
    File {
        path: PathBuf,
        size: u64,
        /// Told after each piece how much of the file has been read. It begins anew when the request is sent again.
        position: UnboundedSender<u64>,
    },
}

impl Outgoing {
    /// Returns a request without a body.
    pub(crate) fn new(method: Method, url: Url) -> Self {
        Outgoing { method, url, headers: HeaderMap::new(), body: Body::Empty }
    }

    /// Adds a header with a value that is known to be valid.
    pub(crate) fn header(mut self, name: reqwest::header::HeaderName, value: &'static str) -> Self {
        self.headers.insert(name, HeaderValue::from_static(value));
        self
    }

    /// Sets the body.
    pub(crate) fn body(mut self, body: Body) -> Self {
        self.body = body;
        self
    }
}

/// Sends requests.
#[derive(Debug)]
pub(crate) struct Http {
    /// For what the operator named.
    direct: reqwest::Client,
    /// For what registries lead to: connects to public addresses only.
    guarded: reqwest::Client,
    insecure: BTreeSet<String>,
}

impl Http {
    /// Returns a sender with the options' time limits and insecure registries.
    pub(crate) fn new(options: &RegistryOptions) -> Result<Self> {
        let failed = |error| Error::new(ErrorKind::Io, "cannot prepare requests to registries").caused_by(error);
        let certificates = options.certificates.iter().map(|pem| certificates_of(pem)).collect::<Result<Vec<_>>>()?;
        let certificates = certificates.concat();
        let builder = || {
            reqwest::Client::builder()
                .tls_certs_merge(certificates.clone())
                .redirect(redirect::Policy::none())
                .connect_timeout(options.connect_timeout)
                .read_timeout(options.idle_timeout)
                .user_agent(USER_AGENT)
        };
        let resolver = Arc::new(address::PublicOnly::from_environment());
        Ok(Http {
            direct: builder().build().map_err(failed)?,
            guarded: builder().dns_resolver(resolver).build().map_err(failed)?,
            insecure: options.insecure.clone(),
        })
    }

    /// Returns where the interface of a registry begins.
    pub(crate) fn base(&self, registry: &str) -> Result<Url> {
        let scheme = if self.insecure.contains(&registry.to_ascii_lowercase()) { "http" } else { "https" };
        Url::parse(&format!("{scheme}://{registry}/v2/")).map_err(|error| {
            Error::new(ErrorKind::InvalidArgument, format!("'{registry}' is not the address of a registry"))
                .caused_by(error)
        })
    }

    /// Sends a request to a registry, and follows its redirects if it has no body.
    ///
    /// The authorization is for the host of the request alone: no redirect takes it elsewhere.
    pub(crate) async fn send(
        &self,
        registry: &str,
        request: &Outgoing,
        authorization: Option<&HeaderValue>,
    ) -> Result<Response> {
        let mut url = request.url.clone();
        for _ in 0..=MAX_REDIRECTS {
            let mut builder = self.begin(registry, request, &url).await?;
            if let Some(value) = authorization.filter(|_| url.origin() == request.url.origin()) {
                builder = builder.header(reqwest::header::AUTHORIZATION, value.clone());
            }
            let response = builder.send().await.map_err(|error| failure::request(registry, error))?;
            match redirect_of(&response, &url, registry)? {
                Some(_) if !matches!(request.body, Body::Empty) => {
                    return Err(failure::refused(format!(
                        "the registry {registry} redirects an upload: ask its operator"
                    )));
                }
                Some(next) => url = next,
                None => return Ok(response),
            }
        }
        let text = format!("the registry {registry} redirects more than {MAX_REDIRECTS} times: ask its operator");
        Err(failure::refused(text))
    }

    /// Begins a request to one address.
    async fn begin(&self, registry: &str, request: &Outgoing, url: &Url) -> Result<RequestBuilder> {
        let client = self.client_for(registry, url)?;
        let builder = client.request(request.method.clone(), url.clone()).headers(request.headers.clone());
        Ok(match &request.body {
            Body::Empty if request.method == Method::POST => builder.header(CONTENT_LENGTH, 0_u64),
            Body::Empty => builder,
            Body::Bytes(bytes) => builder.body(bytes.clone()),
            Body::File { path, size, position } => {
                let file = tokio::fs::File::open(path).await.map_err(|error| {
                    Error::new(ErrorKind::Io, format!("cannot read '{}'", path.display())).caused_by(error)
                })?;
                builder.header(CONTENT_LENGTH, *size).body(reported(file, position.clone()))
            }
        })
    }

    /// Chooses how an address is connected to, and refuses those that a registry may not lead to.
    fn client_for(&self, registry: &str, url: &Url) -> Result<&reqwest::Client> {
        if is_authority(url, registry) || self.is_insecure(url) {
            let is_downgrade = url.scheme() == "http" && !self.is_insecure(url);
            return if is_downgrade { Err(no_tls(url)) } else { Ok(&self.direct) };
        }
        match url.scheme() {
            "https" => {}
            "http" => return Err(no_tls(url)),
            other => return Err(failure::refused(format!("the registry {registry} leads to an address of '{other}'"))),
        }
        match url.host_str().map(address::is_private_literal) {
            Some(false) => Ok(&self.guarded),
            _ => Err(failure::private_network(&authority(url))),
        }
    }

    /// Returns whether an address is that of a registry that is allowed to be insecure.
    fn is_insecure(&self, url: &Url) -> bool {
        self.insecure.iter().any(|allowed| is_authority(url, allowed))
    }
}

fn certificates_of(pem: &[u8]) -> Result<Vec<Certificate>> {
    let invalid = || Error::new(ErrorKind::InvalidArgument, "what is to be trusted is no certificate in PEM");
    let found = Certificate::from_pem_bundle(pem).map_err(|error| invalid().caused_by(error))?;
    if found.is_empty() { Err(invalid()) } else { Ok(found) }
}

/// Returns a file as the body of a request, which reports how far it has been read.
fn reported(file: tokio::fs::File, position: UnboundedSender<u64>) -> reqwest::Body {
    let mut read = 0;
    let pieces = ReaderStream::with_capacity(file, PIECE).inspect_ok(move |piece| {
        read += piece.len() as u64;
        // The sender of the request may have stopped to listen.
        let _ = position.send(read);
    });
    reqwest::Body::wrap_stream(pieces)
}

/// Returns the address that an answer redirects to, if it does.
fn redirect_of(response: &Response, from: &Url, registry: &str) -> Result<Option<Url>> {
    if !matches!(response.status().as_u16(), 301 | 302 | 303 | 307 | 308) {
        return Ok(None);
    }
    let location = response.headers().get(LOCATION).and_then(|value| value.to_str().ok());
    match location.and_then(|location| from.join(location).ok()) {
        Some(next) => Ok(Some(next)),
        None => Err(failure::refused(format!("the registry {registry} redirects to no address: ask its operator"))),
    }
}

/// Returns host and port of an address, as the configuration writes them.
pub(crate) fn authority(url: &Url) -> String {
    match (url.host_str().unwrap_or_default(), url.port()) {
        (host, Some(port)) => format!("{host}:{port}"),
        (host, None) => host.to_owned(),
    }
}

/// Returns whether an address belongs to a registry. The usual port need not be written.
pub(crate) fn is_authority(url: &Url, registry: &str) -> bool {
    let Ok(named) = Url::parse(&format!("{}://{registry}/", url.scheme())) else { return false };
    url.host_str() == named.host_str() && url.port_or_known_default() == named.port_or_known_default()
}

fn no_tls(url: &Url) -> Error {
    let authority = authority(url);
    failure::refused(format!(
        "the registry leads to '{authority}' without TLS: if that is meant, add '{authority}' to the insecure registries"
    ))
}

#[cfg(test)]
mod tests;
