//! From a reference to the digest and the bytes of its manifest.

use reqwest::Method;
use reqwest::header::ACCEPT;
use wasmcloud_core::error::{ErrorKind, Result};

use super::{Inner, RegistryClient, Resolved, attempt};
use crate::digest::Digest;
use crate::failure;
use crate::http::{self, Outgoing};
use crate::manifest;
use crate::reference::Reference;
use crate::session::{Access, Session};

/// The header by which registries tell the digest of a manifest.
const DIGEST_HEADER: &str = "docker-content-digest";

impl RegistryClient {
    /// Finds out which digest a reference means. A digest means itself.
    ///
    /// The registry is asked, unless it has confirmed the tag within [`RegistryOptions::revalidate_after`]. If it cannot be
    /// reached, the last known digest of the tag is returned as stale.
    ///
    /// [`RegistryOptions::revalidate_after`]: crate::RegistryOptions::revalidate_after
    ///
    /// # Errors
    /// `InvalidArgument` for a reference that is not pinned, unless that is allowed; `OciNotFound`, `OciDenied`,
    /// `OciRefused` and `OciUnavailable` as the registry answers; `Io` if the cache cannot be used.
    pub async fn resolve(&self, reference: &Reference) -> Result<Resolved> {
        self.inner.resolve(reference).await.map_err(|error| attempt("resolve", reference, error))
    }
}

impl Inner {
    pub(super) async fn resolve(&self, reference: &Reference) -> Result<Resolved> {
        self.options.check(reference)?;
        let resolved = |digest, is_stale| Resolved { reference: reference.clone(), digest, is_stale };
        if let Some(digest) = reference.digest() {
            return Ok(resolved(digest.clone(), false));
        }
        let remembered = self.cache.tag(reference).await?;
        if let Some(tag) = remembered.as_ref().filter(|tag| tag.is_fresh(self.options.revalidate_after)) {
            return Ok(resolved(tag.digest.clone(), false));
        }
        let session = self.session(reference, Access::Pull);
        match (self.within(&session, fetch(&session, &reference.target())).await, remembered) {
            (Ok(bytes), _) => {
                let digest = self.cache.keep(&bytes).await?;
                self.cache.set_tag(reference, &digest).await?;
                Ok(resolved(digest, false))
            }
            (Err(error), Some(tag)) if error.kind() == ErrorKind::OciUnavailable => {
                log::warn!("using the digest that '{reference}' had before, {}: {error}", tag.digest);
                Ok(resolved(tag.digest, true))
            }
            (Err(error), _) => Err(error),
        }
    }

    /// Returns the manifest with a digest, from the cache or the registry.
    pub(super) async fn manifest(&self, session: &Session<'_>, digest: &Digest) -> Result<Vec<u8>> {
        if let Some(bytes) = self.cache.bytes(digest, manifest::MAX_MANIFEST).await? {
            return Ok(bytes);
        }
        let bytes = self.within(session, fetch(session, &digest.to_string())).await?;
        let found = Digest::of(&bytes);
        if found != *digest {
            return Err(lie(session, &found, &digest.to_string()));
        }
        self.cache.keep(&bytes).await?;
        Ok(bytes)
    }
}

/// Fetches the manifest that a tag or digest names. If the registry tells its digest, it has to be true.
async fn fetch(session: &Session<'_>, target: &str) -> Result<Vec<u8>> {
    let url = session.url(&format!("manifests/{target}"))?;
    let response = session.fetch(&Outgoing::new(Method::GET, url).header(ACCEPT, manifest::ACCEPTED)).await?;
    let told = response.headers().get(DIGEST_HEADER).and_then(|value| value.to_str().ok()).map(str::to_owned);
    let bytes = http::read(session.registry(), response, manifest::MAX_MANIFEST).await?;
    let found = Digest::of(&bytes);
    match told {
        Some(told) if told.starts_with("sha256:") && told != found.to_string() => Err(lie(session, &found, &told)),
        _ => Ok(bytes),
    }
}

/// Returns the error of a manifest that is not what the registry says it is.
fn lie(session: &Session<'_>, found: &Digest, told: &str) -> wasmcloud_core::error::Error {
    failure::refused(format!(
        "the registry {} sent a manifest with the digest {found} as {told}: it is damaged or forged, so try again, and ask \
         the operator of the registry if it stays so",
        session.registry()
    ))
}
