//! From a reference to a verified file.

use reqwest::Method;
use wasmcloud_core::error::{Error, ErrorKind, Result};

use super::{Inner, Pulled, RegistryClient, attempt, too_large};
use crate::cache::Verified;
use crate::failure;
use crate::http::Outgoing;
use crate::manifest::{self, Layer};
use crate::media::Kind;
use crate::progress::Progress;
use crate::reference::Reference;
use crate::session::{Access, Session};

impl RegistryClient {
    /// Pulls an actor or a provider archive into the cache.
    ///
    /// What a digest names is taken from the cache without asking the registry, if it is there. The tokens inside of the
    /// file are not verified here. The host verifies them when it loads the file.
    ///
    /// # Errors
    /// Those of [`RegistryClient::resolve`]; `OciRefused` also for content that is too large, has another digest or size, or
    /// is neither a module nor an archive.
    pub async fn pull(&self, reference: &Reference, progress: &dyn Progress) -> Result<Pulled> {
        self.inner.pull(reference, progress).await.map_err(|error| attempt("pull", reference, error))
    }

    /// Reads what was pulled, and verifies it once more: other processes share the cache.
    ///
    /// # Errors
    /// `Io` if the file cannot be read, or was removed or damaged since.
    pub async fn read(&self, pulled: &Pulled) -> Result<Vec<u8>> {
        let bytes = self.inner.cache.bytes(&pulled.blob, pulled.size).await?;
        bytes.ok_or_else(|| {
            let path = pulled.path.display();
            let text = format!("the cached file '{path}' was removed or damaged after it was pulled: pull it again");
            Error::new(ErrorKind::Io, text)
        })
    }
}

impl Inner {
    async fn pull(&self, reference: &Reference, progress: &dyn Progress) -> Result<Pulled> {
        let resolved = self.resolve(reference).await?;
        let session = self.session(reference, Access::Pull);
        let layer = manifest::read(&self.manifest(&session, &resolved.digest).await?)?;
        let limit = self.options.max_size(layer.kind);
        if layer.size > limit {
            return Err(too_large(layer.kind, layer.size, limit));
        }
        let cached = self.cache.blob(&layer.digest, limit).await?;
        let from_cache = cached.is_some();
        let blob = match cached {
            Some(blob) => blob,
            None => self.within(&session, self.download(&session, &layer, progress)).await?,
        };
        let kind = self.check_content(&layer, &blob)?;
        Ok(Pulled {
            reference: resolved.reference,
            digest: resolved.digest,
            path: blob.path,
            blob: layer.digest,
            kind,
            size: blob.size,
            from_cache,
            is_stale: resolved.is_stale,
        })
    }

    /// Streams a blob into the cache. No more is read than the manifest says, and that is within the limit.
    async fn download(&self, session: &Session<'_>, layer: &Layer, progress: &dyn Progress) -> Result<Verified> {
        let registry = session.registry();
        let url = session.url(&format!("blobs/{}", layer.digest))?;
        let mut response = session.fetch(&Outgoing::new(Method::GET, url)).await?;
        let mut partial = self.cache.begin().await?;
        progress.started(layer.size);
        while let Some(piece) = response.chunk().await.map_err(|error| failure::request(registry, error))? {
            if partial.size() + piece.len() as u64 > layer.size {
                return Err(failure::refused(format!(
                    "the registry {registry} sends more than the {} bytes that its manifest announces: ask its operator",
                    layer.size
                )));
            }
            partial.write(&piece).await?;
            progress.advanced(piece.len() as u64);
        }
        if partial.size() < layer.size {
            let text = format!(
                "the registry {registry} sent {} of the {} bytes that its manifest announces: try again",
                partial.size(),
                layer.size
            );
            return Err(Error::new(ErrorKind::OciUnavailable, text));
        }
        let blob = partial.finish(&layer.digest).await?;
        progress.finished();
        Ok(blob)
    }

    /// Compares what the content is with what the manifest says.
    fn check_content(&self, layer: &Layer, blob: &Verified) -> Result<Kind> {
        let found = Kind::of_content(&blob.start);
        let kind = match (layer.kind, found) {
            (None, Some(kind)) => kind,
            (Some(told), Some(kind)) if told == kind => kind,
            (told, _) => {
                let told = told.map_or("a module or a provider archive", Kind::name);
                let found = found.map_or("neither a module nor an archive", Kind::name);
                return Err(failure::refused(format!(
                    "the manifest announces {told}, and the content is {found}: push it again"
                )));
            }
        };
        let limit = self.options.max_size(Some(kind));
        if blob.size > limit { Err(too_large(Some(kind), blob.size, limit)) } else { Ok(kind) }
    }
}
