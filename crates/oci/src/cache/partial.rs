//! A blob that is being written.

use std::path::PathBuf;

use tempfile::{NamedTempFile, TempPath};
use tokio::io::AsyncWriteExt;
use wasmcloud_core::error::Result;

use super::{Cache, Verified, add_start};
use crate::digest::{Digest, Hasher};
use crate::failure;

/// A blob that is being written. It is removed unless it is finished.
#[derive(Debug)]
pub(crate) struct Partial {
    cache: Cache,
    file: tokio::fs::File,
    path: TempPath,
    hasher: Hasher,
    size: u64,
    start: Vec<u8>,
}

impl Partial {
    pub(super) fn new(cache: Cache, file: NamedTempFile) -> Self {
        let (file, path) = file.into_parts();
        let file = tokio::fs::File::from_std(file);
        Partial { cache, file, path, hasher: Hasher::default(), size: 0, start: Vec::new() }
    }

    /// Replaces the file, for tests of disks that are full.
    #[cfg(test)]
    pub(super) fn replace_file(&mut self, file: std::fs::File) {
        self.file = tokio::fs::File::from_std(file);
    }

    /// Returns how many bytes have been written.
    pub(crate) fn size(&self) -> u64 {
        self.size
    }

    /// Adds the next piece.
    pub(crate) async fn write(&mut self, piece: &[u8]) -> Result<()> {
        self.hasher.update(piece);
        self.size += piece.len() as u64;
        add_start(&mut self.start, piece);
        self.file.write_all(piece).await.map_err(|error| self.failed(error))
    }

    /// Names the file by its digest, if it is this one.
    pub(crate) async fn finish(mut self, digest: &Digest) -> Result<Verified> {
        self.file.flush().await.map_err(|error| self.failed(error))?;
        let found = std::mem::take(&mut self.hasher).finish();
        if found != *digest {
            return Err(failure::refused(format!(
                "the registry sent content with the digest {found} in place of {digest}: it is damaged or forged, so try \
                 again, and ask the operator of the registry if it stays so"
            )));
        }
        let Partial { cache, path, size, start, .. } = self;
        let target: PathBuf = cache.path_of(digest);
        let renamed = target.clone();
        cache.blocking("name a blob", move || path.persist(renamed).map_err(|error| error.error)).await?;
        Ok(Verified { path: target, size, start })
    }

    fn failed(&self, error: std::io::Error) -> wasmcloud_core::error::Error {
        failure::file(&self.cache.folder, "write a blob", error)
    }
}
