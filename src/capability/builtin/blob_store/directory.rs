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

use super::messages::{Blob, Name};
use super::refusal::Refusal;
use super::spool::{self, Spool};
use super::store::{Source, Store, Target, blocking};
use tree::Tree;

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
        Ok((spool, Box::new(Unpublished { tree, name, path: Some(path) })))
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
}

#[async_trait]
impl Target for Unpublished {
    async fn advance(&mut self, _: &Spool) -> Result<(), Refusal> {
        Ok(())
    }

    async fn finish(&mut self, spool: &Spool) -> Result<(), Refusal> {
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
