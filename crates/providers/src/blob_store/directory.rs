//! Blobs in a directory: a file each, in a folder for each container.
//!
//! # Layout
//! - `tree`: the work with files, which blocks

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

/// How many bytes of an upload wait at most to be made durable before the last chunk has come. The disk is at work then
/// while chunks come, and not only after the last.
const FLUSH_INTERVAL_BYTES: u64 = 8 * 1024 * 1024;

/// A directory of blobs.
pub(super) struct DirectoryBackend {
    tree: Arc<BlobTree>,
}

impl DirectoryBackend {
    /// Opens a directory, which is made if its parent is there.
    ///
    /// # Errors
    /// A text that names the link value and the directory.
    pub(super) async fn open(root: PathBuf) -> Result<DirectoryBackend, String> {
        let named = root.display().to_string();
        let opened = run_blocking(move || BlobTree::open(&root)).await;
        let tree = opened.map_err(|refusal| format!("the value ROOT={named:?} is no place for blobs: {refusal}"))?;
        Ok(DirectoryBackend { tree: Arc::new(tree) })
    }

    /// Where it is.
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

/// A blob that is read. It stays as it is when it is replaced or removed in the meantime.
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

/// A file that is not a blob yet. It is removed when it is dropped.
struct FileUpload {
    tree: Arc<BlobTree>,
    name: BlobName,
    path: Option<TempPath>,
    /// How many bytes had come when the last flush was begun.
    flushed: u64,
    flush: Option<BlockingTask<()>>,
}

impl FileUpload {
    /// Waits for the flush that was begun last, if there is one.
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
        // The operating system tells of a failure once: whom it was told must not have it pass as durable.
        self.finish_flush().await?;
        let path = self.path.take().ok_or_else(|| BlobStoreError::UploadNotFound(self.name.id.clone()))?;
        let (tree, name, file) = (self.tree.clone(), self.name.clone(), spool.file().clone());
        run_blocking(move || tree.publish(&name, &file, path)).await
    }

    async fn abandon(&mut self) {
        let path = self.path.take();
        // Removing a large file takes its time.
        let _ = run_blocking(move || {
            drop(path);
            Ok(())
        })
        .await;
    }
}
