//! The client of registries.
//!
//! # Layout
//! - `resolve`: from a tag to a digest and its manifest
//! - `pull`: from a reference to a verified file
//! - `push`: from a file to a reference

mod pull;
mod push;
mod resolve;

use std::path::PathBuf;
use std::sync::Arc;

use wasmcloud_core::error::{Error, ErrorKind, Result};

use crate::cache::Cache;
use crate::digest::Digest;
use crate::http::Http;
use crate::media::Kind;
use crate::options::RegistryOptions;
use crate::reference::Reference;
use crate::session::{Access, Known, Session};

/// Pulls and pushes actors and provider archives. Clones are cheap and share connections and tokens.
#[derive(Debug, Clone)]
pub struct RegistryClient {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    options: RegistryOptions,
    http: Http,
    known: Known,
    cache: Cache,
}

/// What a reference means.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Resolved {
    /// The reference as it was given.
    pub reference: Reference,
    /// The digest of the manifest.
    pub digest: Digest,
    /// Whether the registry could not be asked, so that the tag may mean something else by now.
    pub is_stale: bool,
}

/// What was pulled.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Pulled {
    /// The reference as it was given.
    pub reference: Reference,
    /// The digest of the manifest, by which the same content can be pulled again.
    pub digest: Digest,
    /// The file in the cache. It is not to be changed.
    pub path: PathBuf,
    /// The digest of the file, by which it is named in the cache.
    pub blob: Digest,
    /// What the file is.
    pub kind: Kind,
    /// The size of the file, in bytes.
    pub size: u64,
    /// Whether the file was in the cache already.
    pub from_cache: bool,
    /// Whether the registry could not be asked what the tag means, so that it may mean something else by now.
    pub is_stale: bool,
}

/// What was pushed.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Pushed {
    /// The reference as it was given.
    pub reference: Reference,
    /// The digest of the manifest.
    pub digest: Digest,
    /// What the file is.
    pub kind: Kind,
}

impl RegistryClient {
    /// Returns a client. Nothing is connected to and no file is written yet.
    ///
    /// # Errors
    /// `Io` if the certificates that this machine trusts cannot be read, `InvalidArgument` if those of the options are none.
    pub fn new(options: RegistryOptions) -> Result<Self> {
        let http = Http::new(&options)?;
        let cache = Cache::new(&options.cache);
        Ok(RegistryClient { inner: Arc::new(Inner { options, http, known: Known::default(), cache }) })
    }

    /// Returns the settings.
    pub fn options(&self) -> &RegistryOptions {
        &self.inner.options
    }
}

impl Inner {
    /// Begins requests for a reference.
    fn session<'a>(&'a self, reference: &'a Reference, access: Access) -> Session<'a> {
        Session::new(&self.http, &self.options, &self.known, reference, access)
    }

    /// Ends an operation that takes longer than the options allow.
    async fn within<T>(&self, session: &Session<'_>, work: impl Future<Output = Result<T>>) -> Result<T> {
        match tokio::time::timeout(self.options.total_timeout, work).await {
            Ok(result) => result,
            Err(_) => Err(session.overdue()),
        }
    }
}

/// Adds what was attempted to an error.
fn attempt(doing: &str, reference: &Reference, error: Error) -> Error {
    Error::new(error.kind(), format!("cannot {doing} '{reference}'")).caused_by(error)
}

/// Returns the error of content that is larger than the options allow.
fn too_large(kind: Option<Kind>, size: u64, limit: u64) -> Error {
    let what = kind.map_or("the content", Kind::name);
    Error::new(
        ErrorKind::OciRefused,
        format!("{what} of {size} bytes is larger than the limit of {limit} bytes: raise the limit if that is meant"),
    )
}
