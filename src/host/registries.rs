//! Actors and provider archives from OCI registries.
//!
//! # Layout
//! - `configuration`: what a builder knows of registries
//! - `thread`: the thread that pulls (feature `oci`)
//! - `starts`: starts by reference

mod configuration;
mod starts;
#[cfg(feature = "oci")]
mod thread;

use wasmcloud_claims::{Actor, ProviderArchive};
#[cfg(not(feature = "oci"))]
use wasmcloud_core::error::Error;
#[cfg(not(feature = "oci"))]
use wasmcloud_core::error::ErrorKind;
use wasmcloud_core::error::Result;

use super::Host;
pub(super) use configuration::RegistryConfiguration;
#[cfg(feature = "oci")]
use thread::RegistryThread;

/// What a host pulls by. The thread is started by the first pull.
#[derive(Debug)]
pub(super) struct Registries {
    #[cfg(feature = "oci")]
    thread: RegistryThread,
}

/// An image that was pulled into the cache.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct FetchedImage {
    /// The reference as it was given.
    pub(crate) reference: String,
    /// The digest that the reference stands for: `sha256:` and 64 digits.
    pub(crate) digest: String,
    pub(crate) kind: ImageKind,
    /// Whether the registry could not be asked, so that the tag may stand for something else by now.
    pub(crate) is_stale: bool,
}

/// The kind of an image.
#[cfg_attr(not(feature = "oci"), expect(dead_code, reason = "without the feature nothing is pulled"))]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ImageKind {
    Actor,
    Provider,
}

/// An image with its content, whose tokens have been verified.
#[derive(Debug)]
pub(crate) struct Fetched<T> {
    pub(crate) image: FetchedImage,
    pub(crate) content: T,
}

impl Registries {
    #[cfg_attr(not(feature = "oci"), expect(unused_variables, reason = "without the feature nothing is pulled"))]
    pub(super) fn new(configuration: &RegistryConfiguration) -> Registries {
        Registries {
            #[cfg(feature = "oci")]
            thread: RegistryThread::new(configuration.clone()),
        }
    }

    /// Ends pulls in progress, and the thread: the host has stopped.
    pub(super) fn close(&self) {
        #[cfg(feature = "oci")]
        self.thread.close();
    }
}

#[cfg(feature = "oci")]
impl Host {
    /// Pulls an actor, and verifies its token.
    ///
    /// # Errors
    /// `InvalidArgument` for a malformed reference, one of a provider, and one that is not pinned unless that is allowed;
    /// `OciNotFound`, `OciDenied`, `OciRefused` and `OciUnavailable` as the registry answers; `Io` if the cache cannot be used;
    /// `HostNotRunning` if the host stops meanwhile; `Unsupported` without the feature `oci`; those of
    /// [`Actor::from_slice`].
    pub(crate) async fn fetch_actor(&self, reference: &str) -> Result<Fetched<Actor>> {
        let load = |bytes: Vec<u8>| Actor::from_slice(&bytes);
        self.0.registries.thread.pull_content(reference, ImageKind::Actor, load).await
    }

    /// Pulls a provider archive, and verifies its token and hashes.
    ///
    /// # Errors
    /// Those of [`Host::fetch_actor`] that concern registries, and those of [`ProviderArchive::try_load`].
    pub(crate) async fn fetch_archive(&self, reference: &str) -> Result<Fetched<ProviderArchive>> {
        let load = |bytes: Vec<u8>| ProviderArchive::try_load(&bytes);
        self.0.registries.thread.pull_content(reference, ImageKind::Provider, load).await
    }
}

#[cfg(not(feature = "oci"))]
impl Host {
    pub(crate) async fn fetch_actor(&self, reference: &str) -> Result<Fetched<Actor>> {
        Err(unsupported(reference))
    }

    pub(crate) async fn fetch_archive(&self, reference: &str) -> Result<Fetched<ProviderArchive>> {
        Err(unsupported(reference))
    }
}

#[cfg(not(feature = "oci"))]
fn unsupported(reference: &str) -> Error {
    let message = format!(
        "cannot pull '{reference}': this program was built without the feature oci of wasmcloud-host: build it with the \
         feature, or start from a file"
    );
    Error::new(ErrorKind::Unsupported, message)
}
