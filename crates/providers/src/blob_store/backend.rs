//! The interface of backends: containers, and blobs that are read in ranges and written from a spool.

use std::ops::Range;

use async_trait::async_trait;
use bytes::Bytes;

use super::error::BlobStoreError;
use super::payloads::{Blob, BlobName};
use super::spool::Spool;

/// Maximum encoded size of a list of blobs: what fits the payload of an answer. Unit: bytes.
const MAX_LIST_BYTES: usize = 60 * 1024 * 1024;

/// A backend. Its acknowledged changes are durable.
#[async_trait]
pub(super) trait BlobBackend: Send + Sync {
    /// Creates a container, unless it exists.
    async fn create_container(&self, container: &str) -> Result<(), BlobStoreError>;

    /// Removes an empty container.
    async fn remove_container(&self, container: &str) -> Result<(), BlobStoreError>;

    /// Returns all blobs of a container, ordered by id.
    async fn list(&self, container: &str) -> Result<Vec<Blob>, BlobStoreError>;

    /// Removes a blob.
    async fn remove(&self, name: &BlobName) -> Result<(), BlobStoreError>;

    /// Opens a blob for reading.
    async fn open(&self, name: &BlobName) -> Result<Box<dyn BlobReader>, BlobStoreError>;

    /// Starts an upload. The blob becomes visible when [`BlobWriter::finish`] returns.
    async fn begin(
        &self,
        name: &BlobName,
        total: u64,
        chunk_size: u64,
    ) -> Result<(Spool, Box<dyn BlobWriter>), BlobStoreError>;

    /// Checks that the backend is usable.
    async fn health(&self) -> Result<(), BlobStoreError>;
}

/// A blob that is open for reading. Its content is the one it had when it was opened, otherwise reading fails.
#[async_trait]
pub(super) trait BlobReader: Send + Sync {
    /// Returns the size of the blob. Unit: bytes.
    fn size(&self) -> u64;

    /// Reads a range of bytes within the blob.
    async fn read(&self, range: Range<u64>) -> Result<Bytes, BlobStoreError>;
}

/// Writes the bytes of a spool to the backend.
#[async_trait]
pub(super) trait BlobWriter: Send {
    /// Processes bytes that were added to the spool.
    async fn advance(&mut self, spool: &mut Spool) -> Result<(), BlobStoreError>;

    /// Publishes the blob. All of its bytes are in the spool.
    async fn finish(&mut self, spool: &mut Spool) -> Result<(), BlobStoreError>;

    /// Aborts the upload and removes what was written.
    async fn abandon(&mut self);
}

/// A list of blobs with a limited encoded size.
pub(super) struct BoundedBlobList {
    blobs: Vec<Blob>,
    /// Encoded size of an entry, apart from its id. Unit: bytes.
    overhead: usize,
    length: usize,
}

impl BoundedBlobList {
    pub(super) fn new(container: &str) -> BoundedBlobList {
        BoundedBlobList { blobs: Vec::new(), overhead: container.len() + 48, length: 0 }
    }

    pub(super) fn add(&mut self, id: String, size: u64) -> Result<(), BlobStoreError> {
        self.length += id.len() + self.overhead;
        if self.length > MAX_LIST_BYTES {
            return Err(BlobStoreError::ResponseTooLarge);
        }
        self.blobs.push(Blob { id, size });
        Ok(())
    }

    /// Returns the blobs, ordered by id.
    pub(super) fn into_sorted(mut self) -> Vec<Blob> {
        self.blobs.sort_unstable_by(|a, b| a.id.cmp(&b.id));
        self.blobs
    }
}
