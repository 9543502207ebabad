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

use super::backend::{Source, Store, Target};
use super::blocking::{Blocking, blocking, blocking_meanwhile};
use super::error::Refusal;
use super::payloads::{Blob, Name};
use super::spool::{self, Spool};
use tree::{Tree, not_durable};

/// How many bytes of an upload wait at most to be made durable before the last chunk has come. The disk is at work then
/// while chunks come, and not only after the last.
const FLUSHED_AFTER: u64 = 8 * 1024 * 1024;

/// A directory of blobs.
pub(super) struct Directory {
    tree: Arc<Tree>,
}

impl Directory {
    /// Opens a directory, which is made if its parent is there.
    ///
    /// # Errors
    /// A text that names the link value and the directory.
    pub(super) async fn open(root: PathBuf) -> Result<Directory, String> {
        let named = root.display().to_string();
        let opened = blocking(move || Tree::open(&root)).await;
        let tree = opened.map_err(|refusal| format!("the value ROOT={named:?} is no place for blobs: {refusal}"))?;
        Ok(Directory { tree: Arc::new(tree) })
    }

    /// Where it is.
    pub(super) fn path(&self) -> &Path {
        self.tree.root()
    }

    async fn with<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Tree) -> Result<T, Refusal> + Send + 'static,
    ) -> Result<T, Refusal> {
        let tree = self.tree.clone();
        blocking(move || work(&tree)).await
    }
}

#[async_trait]
impl Store for Directory {
    async fn create_container(&self, container: &str) -> Result<(), Refusal> {
        let container = container.to_owned();
        self.with(move |tree| tree.create_container(&container)).await
    }

    async fn remove_container(&self, container: &str) -> Result<(), Refusal> {
        let container = container.to_owned();
        self.with(move |tree| tree.remove_container(&container)).await
    }

    async fn list(&self, container: &str) -> Result<Vec<Blob>, Refusal> {
        let container = container.to_owned();
        self.with(move |tree| tree.list(&container)).await
    }

    async fn remove(&self, name: &Name) -> Result<(), Refusal> {
        let name = name.clone();
        self.with(move |tree| tree.remove(&name)).await
    }

    async fn open(&self, name: &Name) -> Result<Box<dyn Source>, Refusal> {
        let name = name.clone();
        let (file, size) = self.with(move |tree| tree.open_blob(&name)).await?;
        Ok(Box::new(OpenFile { file: Arc::new(file), size }))
    }

    async fn begin(&self, name: &Name, total: u64, chunk_size: u64) -> Result<(Spool, Box<dyn Target>), Refusal> {
        let (name, tree) = (name.clone(), self.tree.clone());
        let container = name.container.clone();
        let (file, path) = self.with(move |tree| tree.begin(&container)).await?;
        let spool = Spool::new(Arc::new(file), total, chunk_size);
        Ok((spool, Box::new(Unpublished { tree, name, path: Some(path), flushed: 0, flush: None })))
    }

    async fn health(&self) -> Result<(), Refusal> {
        self.with(Tree::health).await
    }
}

/// A blob that is read. It stays as it is when it is replaced or removed in the meantime.
struct OpenFile {
    file: Arc<File>,
    size: u64,
}

#[async_trait]
impl Source for OpenFile {
    fn size(&self) -> u64 {
        self.size
    }

    async fn read(&self, range: Range<u64>) -> Result<Bytes, Refusal> {
        let length = usize::try_from(range.end - range.start);
        let length = length.map_err(|error| Refusal::unavailable("the file could not be read", error))?;
        spool::read(self.file.clone(), range.start, length).await
    }
}

/// A file that is not a blob yet. It is removed when it is dropped.
struct Unpublished {
    tree: Arc<Tree>,
    name: Name,
    path: Option<TempPath>,
    /// How many bytes had come when the last flush was begun.
    flushed: u64,
    flush: Option<Blocking<()>>,
}

impl Unpublished {
    /// Waits for the flush that was begun last, if there is one.
    async fn end_of_flush(&mut self) -> Result<(), Refusal> {
        match self.flush.take() {
            Some(flush) => flush.await,
            None => Ok(()),
        }
    }
}

#[async_trait]
impl Target for Unpublished {
    async fn advance(&mut self, spool: &mut Spool) -> Result<(), Refusal> {
        let is_due = spool.contiguous() - self.flushed >= FLUSHED_AFTER;
        if !is_due || self.flush.as_ref().is_some_and(|flush| !flush.is_done()) {
            return Ok(());
        }
        self.end_of_flush().await?;
        let file = spool.file().clone();
        self.flushed = spool.contiguous();
        self.flush = Some(blocking_meanwhile(move || file.sync_data().map_err(not_durable)));
        Ok(())
    }

    async fn finish(&mut self, spool: &mut Spool) -> Result<(), Refusal> {
        spool.settle().await?;
        // The operating system tells of a failure once: whom it was told must not have it pass as durable.
        self.end_of_flush().await?;
        let path = self.path.take().ok_or_else(|| Refusal::NoUpload(self.name.id.clone()))?;
        let (tree, name, file) = (self.tree.clone(), self.name.clone(), spool.file().clone());
        blocking(move || tree.publish(&name, &file, path)).await
    }

    async fn abandon(&mut self) {
        let path = self.path.take();
        // Removing a large file takes its time.
        let _ = blocking(move || {
            drop(path);
            Ok(())
        })
        .await;
    }
}
