//! What a backend does: containers and blobs, read in ranges and written from a spool.

use std::ops::Range;

use async_trait::async_trait;
use bytes::Bytes;

use super::error::BlobStoreError;
use super::payloads::{Blob, BlobName};
use super::spool::Spool;

/// How much a list of blobs may have, as the actor is told it: what fits a message, with room for what is around it.
const LONGEST_LIST: usize = 60 * 1024 * 1024;

/// A backend. What it acknowledges is there to stay.
#[async_trait]
pub(super) trait BlobBackend: Send + Sync {
    /// Makes a container, if there is none yet.
    async fn create_container(&self, container: &str) -> Result<(), BlobStoreError>;

    /// Removes a container without blobs.
    async fn remove_container(&self, container: &str) -> Result<(), BlobStoreError>;

    /// Every blob of a container.
    async fn list(&self, container: &str) -> Result<Vec<Blob>, BlobStoreError>;

    /// Removes a blob.
    async fn remove(&self, name: &BlobName) -> Result<(), BlobStoreError>;

    /// A blob to read from.
    async fn open(&self, name: &BlobName) -> Result<Box<dyn BlobReader>, BlobStoreError>;

    /// Begins to write a blob, which is not there before all of it is.
    async fn begin(
        &self,
        name: &BlobName,
        total: u64,
        chunk_size: u64,
    ) -> Result<(Spool, Box<dyn BlobWriter>), BlobStoreError>;

    /// Whether it can be used.
    async fn health(&self) -> Result<(), BlobStoreError>;
}

/// A blob that is read: as it was when it was opened, or not at all.
#[async_trait]
pub(super) trait BlobReader: Send + Sync {
    /// Its length in bytes.
    fn size(&self) -> u64;

    /// Some of its bytes, all of which must be there.
    async fn read(&self, range: Range<u64>) -> Result<Bytes, BlobStoreError>;
}

/// Where the bytes of a spool go.
#[async_trait]
pub(super) trait BlobWriter: Send {
    /// More bytes are in the spool.
    async fn advance(&mut self, spool: &mut Spool) -> Result<(), BlobStoreError>;

    /// All bytes are in the spool. When this returns, the blob is there.
    async fn finish(&mut self, spool: &mut Spool) -> Result<(), BlobStoreError>;

    /// The upload is given up: nothing of it stays.
    async fn abandon(&mut self);
}

/// A list of blobs that ends before it is too long to be told.
pub(super) struct BoundedBlobList {
    blobs: Vec<Blob>,
    /// What is beside the id of each blob.
    frame: usize,
    length: usize,
}

impl BoundedBlobList {
    pub(super) fn of(container: &str) -> BoundedBlobList {
        BoundedBlobList { blobs: Vec::new(), frame: container.len() + 48, length: 0 }
    }

    pub(super) fn add(&mut self, id: String, size: u64) -> Result<(), BlobStoreError> {
        self.length += id.len() + self.frame;
        if self.length > LONGEST_LIST {
            return Err(BlobStoreError::ResponseTooLarge);
        }
        self.blobs.push(Blob { id, size });
        Ok(())
    }

    /// The blobs, in the order of their ids.
    pub(super) fn sorted(mut self) -> Vec<Blob> {
        self.blobs.sort_unstable_by(|a, b| a.id.cmp(&b.id));
        self.blobs
    }
}
