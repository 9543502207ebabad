//! The unfinished uploads of a link.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::Mutex as AsyncMutex;

use super::backend::{BlobBackend, BlobWriter};
use super::blocking::run_blocking;
use super::error::BlobStoreError;
use super::payloads::{BlobName, Chunk};
use super::spool::Spool;

/// Maximum size of a repeated chunk that is compared with a finished blob. Unit: bytes.
const MAX_COMPARED_BYTES: usize = 64 * 1024 * 1024;

/// The unfinished uploads of a link, by the name of their blob.
pub(super) struct Uploads {
    limit: usize,
    /// Time without a chunk after which an upload is aborted.
    timeout: Duration,
    entries: Mutex<HashMap<BlobName, UploadEntry>>,
}

struct UploadEntry {
    upload: Arc<AsyncMutex<Upload>>,
    last_chunk: Instant,
}

struct Upload {
    /// `None` once the upload is aborted or finished.
    spool: Option<Spool>,
    target: Box<dyn BlobWriter>,
    chunk_size: u64,
}

impl Uploads {
    pub(super) fn new(limit: usize, timeout: Duration) -> Uploads {
        Uploads { limit, timeout, entries: Mutex::default() }
    }

    /// Starts an upload, and aborts an earlier one of the same blob. Adds the chunk, if it has bytes.
    pub(super) async fn start(&self, backend: &dyn BlobBackend, chunk: Chunk) -> Result<(), BlobStoreError> {
        if chunk.total > 0 && chunk.chunk_size == 0 {
            return Err(BlobStoreError::InvalidChunk("chunkSize is 0: it must be at least 1".to_owned()));
        }
        self.abort(self.remove(&chunk.name)).await;
        self.abort_stalled().await;
        self.check_capacity()?;
        let (spool, target) = backend.begin(&chunk.name, chunk.total, chunk.chunk_size).await?;
        let upload = Upload { spool: Some(spool), target, chunk_size: chunk.chunk_size };
        let upload = Arc::new(AsyncMutex::new(upload));
        let displaced = {
            let mut entries = self.lock();
            // Other uploads may have started meanwhile, so the limit is checked again.
            let is_full = entries.len() >= self.limit && !entries.contains_key(&chunk.name);
            let entry = UploadEntry { upload: upload.clone(), last_chunk: Instant::now() };
            if is_full { Some(entry) } else { entries.insert(chunk.name.clone(), entry) }
        };
        let is_refused = displaced.as_ref().is_some_and(|displaced| Arc::ptr_eq(&displaced.upload, &upload));
        self.abort(displaced.map(|displaced| displaced.upload)).await;
        if is_refused {
            return self.check_capacity().and(Err(BlobStoreError::UploadNotFound(chunk.name.id)));
        }
        if chunk.total == 0 || !chunk.bytes.is_empty() { self.add_chunk(upload, chunk).await } else { Ok(()) }
    }

    fn check_capacity(&self) -> Result<(), BlobStoreError> {
        let count = self.lock().len();
        if count < self.limit {
            return Ok(());
        }
        let (count, limit) = (count as u64 + 1, self.limit as u64);
        Err(BlobStoreError::LimitExceeded { what: "unfinished uploads", count, limit, link_value: "UPLOADS" })
    }

    /// Adds a chunk. The blob exists once its last missing chunk is added.
    pub(super) async fn add(&self, backend: &dyn BlobBackend, chunk: Chunk) -> Result<(), BlobStoreError> {
        let upload = {
            let mut entries = self.lock();
            entries.get_mut(&chunk.name).map(|entry| {
                entry.last_chunk = Instant::now();
                entry.upload.clone()
            })
        };
        match upload {
            Some(upload) => self.add_chunk(upload, chunk).await,
            None => accept_repeated_chunk(backend, &chunk).await,
        }
    }

    async fn add_chunk(&self, upload: Arc<AsyncMutex<Upload>>, chunk: Chunk) -> Result<(), BlobStoreError> {
        let name = chunk.name.clone();
        let done = upload.lock().await.add(chunk).await;
        let is_over = match &done {
            Ok(is_over) => *is_over,
            // A failed upload cannot be completed, so its space is freed.
            Err(refusal) => !matches!(refusal, BlobStoreError::InvalidChunk(_)),
        };
        if is_over {
            self.remove_if_same(&name, &upload);
            self.abort(Some(upload)).await;
        }
        done.map(drop)
    }

    /// Aborts the uploads that have received no chunk within the timeout.
    pub(super) async fn abort_stalled(&self) {
        let abandoned: Vec<_> = {
            let mut entries = self.lock();
            entries.extract_if(|_, entry| entry.last_chunk.elapsed() >= self.timeout).collect()
        };
        for (name, entry) in abandoned {
            log::debug!("the upload of {:?} received no chunk for {:?} and was aborted", name.id, self.timeout);
            self.abort(Some(entry.upload)).await;
        }
    }

    /// Aborts all uploads, each after the operation that is using it has ended.
    pub(super) async fn clear(&self) {
        let all = std::mem::take(&mut *self.lock());
        for entry in all.into_values() {
            self.abort(Some(entry.upload)).await;
        }
    }

    async fn abort(&self, upload: Option<Arc<AsyncMutex<Upload>>>) {
        if let Some(upload) = upload {
            upload.lock().await.abort().await;
        }
    }

    fn remove(&self, name: &BlobName) -> Option<Arc<AsyncMutex<Upload>>> {
        self.lock().remove(name).map(|entry| entry.upload)
    }

    /// Removes an upload, unless it has been replaced.
    fn remove_if_same(&self, name: &BlobName, upload: &Arc<AsyncMutex<Upload>>) {
        let mut entries = self.lock();
        if entries.get(name).is_some_and(|entry| Arc::ptr_eq(&entry.upload, upload)) {
            entries.remove(name);
        }
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<BlobName, UploadEntry>> {
        // A panic cannot leave the map inconsistent: each use of it is a single operation.
        self.entries.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Upload {
    /// Adds a chunk. Returns whether the blob is complete.
    async fn add(&mut self, chunk: Chunk) -> Result<bool, BlobStoreError> {
        let spool = self.spool.as_mut().ok_or_else(|| BlobStoreError::UploadNotFound(chunk.name.id.clone()))?;
        if chunk.chunk_size != self.chunk_size {
            let reason =
                format!("its chunkSize is {}, but that of the upload is {}", chunk.chunk_size, self.chunk_size);
            return Err(BlobStoreError::InvalidChunk(reason));
        }
        if chunk.total > 0 || !chunk.bytes.is_empty() {
            spool.write_chunk(chunk.sequence, chunk.total, chunk.bytes).await?;
        }
        if spool.is_complete() {
            self.target.finish(spool).await?;
            return Ok(true);
        }
        self.target.advance(spool).await?;
        Ok(false)
    }

    /// Frees the resources of the upload. Has no effect on a finished blob.
    async fn abort(&mut self) {
        let Some(mut spool) = self.spool.take() else { return };
        // Failed writes do not matter any more.
        while spool.finish_writes().await.is_err() {}
        self.target.abandon().await;
        // Closing a large file may block.
        let _ = run_blocking(move || {
            drop(spool);
            Ok(())
        })
        .await;
    }
}

/// Accepts a repeated chunk of a finished upload if the blob contains it: the answer to the last chunk may have been lost.
async fn accept_repeated_chunk(backend: &dyn BlobBackend, chunk: &Chunk) -> Result<(), BlobStoreError> {
    let no_upload = || BlobStoreError::UploadNotFound(chunk.name.id.clone());
    let blob = backend.open(&chunk.name).await.map_err(|refusal| match refusal {
        BlobStoreError::BlobNotFound(_) | BlobStoreError::ContainerNotFound(_) => no_upload(),
        other => other,
    })?;
    let offset = chunk.sequence.checked_mul(chunk.chunk_size).ok_or_else(no_upload)?;
    let end = offset.checked_add(chunk.bytes.len() as u64).ok_or_else(no_upload)?;
    if blob.size() != chunk.total || end > blob.size() || chunk.bytes.len() > MAX_COMPARED_BYTES {
        return Err(no_upload());
    }
    if blob.read(offset..end).await? == chunk.bytes { Ok(()) } else { Err(no_upload()) }
}
