//! The backend that stores blobs in a directory: a folder per container, and a file per blob.
//!
//! # Layout
//! - `tree`: the file operations, which block

mod tree;

use std::fs::File;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use tempfile::TempPath;

use super::backend::{BlobBackend, BlobReader, BlobWriter};
use super::blocking::{BlockingTask, run_blocking, start_blocking};
use super::error::BlobStoreError;
use super::payloads::{Blob, BlobName};
use super::spool::{self, Spool};
use tree::{BlobTree, not_durable};

/// Number of bytes after which an unfinished upload is flushed, so that the disk works while chunks arrive. Unit: bytes.
const FLUSH_INTERVAL_BYTES: u64 = 8 * 1024 * 1024;

/// A directory that holds blobs.
pub(super) struct DirectoryBackend {
    tree: Arc<BlobTree>,
}

impl DirectoryBackend {
    /// Opens a directory. Creates it if its parent exists.
    ///
    /// # Errors
    /// Names the link value and the directory.
    pub(super) async fn open(root: PathBuf) -> Result<DirectoryBackend, String> {
        let named = root.display().to_string();
        let opened = run_blocking(move || BlobTree::open(&root)).await;
        let tree = opened.map_err(|refusal| format!("the value ROOT={named:?} cannot be used: {refusal}"))?;
        Ok(DirectoryBackend { tree: Arc::new(tree) })
    }

    /// Returns the absolute path of the directory.
    pub(super) fn path(&self) -> &Path {
        self.tree.root()
    }

    async fn run<T: Send + 'static>(
        &self,
        work: impl FnOnce(&BlobTree) -> Result<T, BlobStoreError> + Send + 'static,
    ) -> Result<T, BlobStoreError> {
        let tree = self.tree.clone();
        run_blocking(move || work(&tree)).await
    }
}

#[async_trait]
impl BlobBackend for DirectoryBackend {
    async fn create_container(&self, container: &str) -> Result<(), BlobStoreError> {
        let container = container.to_owned();
        self.run(move |tree| tree.create_container(&container)).await
    }

    async fn remove_container(&self, container: &str) -> Result<(), BlobStoreError> {
        let container = container.to_owned();
        self.run(move |tree| tree.remove_container(&container)).await
    }

    async fn list(&self, container: &str) -> Result<Vec<Blob>, BlobStoreError> {
        let container = container.to_owned();
        self.run(move |tree| tree.list(&container)).await
    }

    async fn remove(&self, name: &BlobName) -> Result<(), BlobStoreError> {
        let name = name.clone();
        self.run(move |tree| tree.remove(&name)).await
    }

    async fn open(&self, name: &BlobName) -> Result<Box<dyn BlobReader>, BlobStoreError> {
        let name = name.clone();
        let (file, size) = self.run(move |tree| tree.open_blob(&name)).await?;
        Ok(Box::new(FileReader { file: Arc::new(file), size }))
    }

    async fn begin(
        &self,
        name: &BlobName,
        total: u64,
        chunk_size: u64,
    ) -> Result<(Spool, Box<dyn BlobWriter>), BlobStoreError> {
        let (name, tree) = (name.clone(), self.tree.clone());
        let container = name.container.clone();
        let (file, path) = self.run(move |tree| tree.begin(&container)).await?;
        let spool = Spool::new(Arc::new(file), total, chunk_size);
        Ok((spool, Box::new(FileUpload { tree, name, path: Some(path), flushed: 0, flush: None })))
    }

    async fn health(&self) -> Result<(), BlobStoreError> {
        self.run(BlobTree::health).await
    }
}

/// An open file of a blob. Replacing or removing the blob does not change it.
struct FileReader {
    file: Arc<File>,
    size: u64,
}

#[async_trait]
impl BlobReader for FileReader {
    fn size(&self) -> u64 {
        self.size
    }

    async fn read(&self, range: Range<u64>) -> Result<Bytes, BlobStoreError> {
        let length = usize::try_from(range.end - range.start);
        let length = length.map_err(|error| BlobStoreError::unavailable("the file could not be read", error))?;
        spool::read(self.file.clone(), range.start, length).await
    }
}

/// The temporary file of an upload. Dropping this removes the file.
struct FileUpload {
    tree: Arc<BlobTree>,
    name: BlobName,
    path: Option<TempPath>,
    /// Number of bytes that had arrived when the last flush started.
    flushed: u64,
    flush: Option<BlockingTask<()>>,
}

impl FileUpload {
    /// Waits for the flush in progress, if there is one.
    async fn finish_flush(&mut self) -> Result<(), BlobStoreError> {
        match self.flush.take() {
            Some(flush) => flush.await,
            None => Ok(()),
        }
    }
}

#[async_trait]
impl BlobWriter for FileUpload {
    async fn advance(&mut self, spool: &mut Spool) -> Result<(), BlobStoreError> {
        let is_due = spool.contiguous() - self.flushed >= FLUSH_INTERVAL_BYTES;
        if !is_due || self.flush.as_ref().is_some_and(|flush| !flush.is_done()) {
            return Ok(());
        }
        self.finish_flush().await?;
        let file = spool.file().clone();
        self.flushed = spool.contiguous();
        self.flush = Some(start_blocking(move || file.sync_data().map_err(not_durable)));
        Ok(())
    }

    async fn finish(&mut self, spool: &mut Spool) -> Result<(), BlobStoreError> {
        spool.finish_writes().await?;
        // The operating system reports a failed flush only once, so each flush has to be checked.
        self.finish_flush().await?;
        let path = self.path.take().ok_or_else(|| BlobStoreError::UploadNotFound(self.name.id.clone()))?;
        let (tree, name, file) = (self.tree.clone(), self.name.clone(), spool.file().clone());
        run_blocking(move || tree.publish(&name, &file, path)).await
    }

    async fn abandon(&mut self) {
        let path = self.path.take();
        // Removing a large file may block.
        let _ = run_blocking(move || {
            drop(path);
            Ok(())
        })
        .await;
    }
}
