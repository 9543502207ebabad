//! The files and folders of a directory of blobs. Every function here blocks.
//!
//! A blob is the file `root/<container>/<blob>`, with the names that [`names`] encodes. The files of unfinished uploads are
//! in `root/.uploads/`. Files and their folder entries are flushed before they are acknowledged. Symbolic links below the
//! root are not followed, and count as missing.

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, ErrorKind};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use tempfile::TempPath;

use crate::blob_store::backend::BoundedBlobList;
use crate::blob_store::error::BlobStoreError;
use crate::blob_store::names;
use crate::blob_store::payloads::{Blob, BlobName};

/// The folder of unfinished uploads. No encoded container name begins with a dot.
const UPLOADS: &str = ".uploads";

/// Age after which the file of an upload is removed if it is not locked. Another process may be about to lock a younger one.
const STALE_AFTER: Duration = Duration::from_secs(60);

/// Maximum number of attempts to create folders that a concurrent operation removes because they are empty.
const MAX_ATTEMPTS: usize = 16;

/// The path of a blob.
struct BlobPath {
    container: PathBuf,
    /// The folders below the container, if the name of the blob is too long for a single file name.
    folders: Vec<String>,
    file: String,
}

/// The files and folders of a directory of blobs.
#[derive(Debug)]
pub(super) struct BlobTree {
    root: PathBuf,
}

impl BlobTree {
    /// Opens a directory, creates it if it is missing, and removes stale uploads.
    pub(super) fn open(root: &Path) -> Result<BlobTree, BlobStoreError> {
        let failed = |error| BlobStoreError::unavailable("it cannot be used", error);
        make_folder(root).map_err(failed)?;
        let tree = BlobTree { root: fs::canonicalize(root).map_err(failed)? };
        let uploads = tree.root.join(UPLOADS);
        make_folder(&uploads).and_then(|_| resolve_folder(&tree.root, &[UPLOADS.to_owned()])).map_err(failed)?;
        remove_stale_uploads(&uploads).map_err(failed)?;
        // Reports a directory that is not writable now, rather than at the first upload.
        tempfile::tempfile_in(&uploads).map_err(failed)?;
        Ok(tree)
    }

    pub(super) fn root(&self) -> &Path {
        &self.root
    }

    pub(super) fn health(&self) -> Result<(), BlobStoreError> {
        let folder = resolve_folder(&self.root, &[UPLOADS.to_owned()]);
        folder.map(drop).map_err(|error| BlobStoreError::unavailable("its directory cannot be used", error))
    }

    /// Returns the folder of an existing container.
    fn container(&self, id: &str) -> Result<PathBuf, BlobStoreError> {
        resolve_folder(&self.root, &names::encode(id)).map_err(|error| match error.kind() {
            ErrorKind::NotFound | ErrorKind::NotADirectory => BlobStoreError::ContainerNotFound(id.to_owned()),
            _ => BlobStoreError::unavailable("the container cannot be used", error),
        })
    }

    pub(super) fn create_container(&self, id: &str) -> Result<(), BlobStoreError> {
        let parts = names::encode(id);
        let made = retry_if_not_found(|| make_folders(&self.root, &parts));
        made.map(drop).map_err(|error| BlobStoreError::unavailable("the container could not be created", error))
    }

    pub(super) fn remove_container(&self, id: &str) -> Result<(), BlobStoreError> {
        let folder = self.container(id)?;
        let failed = |error: io::Error| match error.kind() {
            ErrorKind::DirectoryNotEmpty => BlobStoreError::ContainerNotEmpty(id.to_owned()),
            ErrorKind::NotFound => BlobStoreError::ContainerNotFound(id.to_owned()),
            _ => BlobStoreError::unavailable("the container could not be removed", error),
        };
        remove_empty_folders_in(&folder).map_err(failed)?;
        fs::remove_dir(&folder).map_err(failed)?;
        self.sync_and_prune(&folder, &self.root).map_err(failed)
    }

    /// Returns the path of a blob in an existing container.
    fn blob(&self, name: &BlobName) -> Result<BlobPath, BlobStoreError> {
        let container = self.container(&name.container)?;
        let mut folders = names::encode(&name.id);
        let file = folders.pop().unwrap_or_default();
        Ok(BlobPath { container, folders, file })
    }

    /// Returns the file of an existing blob.
    fn file(&self, name: &BlobName) -> Result<PathBuf, BlobStoreError> {
        let BlobPath { container, folders, file } = self.blob(name)?;
        let path = resolve_folder(&container, &folders).map(|folder| folder.join(file));
        let found = path.and_then(|path| Ok((fs::symlink_metadata(&path)?.is_file(), path)));
        match found {
            Ok((true, path)) => Ok(path),
            Ok((false, _)) => Err(BlobStoreError::BlobNotFound(name.id.clone())),
            Err(error) => Err(blob_error(name, error)),
        }
    }

    pub(super) fn open_blob(&self, name: &BlobName) -> Result<(File, u64), BlobStoreError> {
        let path = self.file(name)?;
        // The file may have been replaced by a symbolic link or a pipe since it was checked.
        let flags = libc::O_NOFOLLOW | libc::O_NONBLOCK;
        let opened = OpenOptions::new().read(true).custom_flags(flags).open(path);
        let opened = opened.and_then(|file| Ok((file.metadata()?.len(), file)));
        opened.map(|(size, file)| (file, size)).map_err(|error| blob_error(name, error))
    }

    pub(super) fn remove(&self, name: &BlobName) -> Result<(), BlobStoreError> {
        let path = self.file(name)?;
        let container = self.container(&name.container)?;
        fs::remove_file(&path).map_err(|error| blob_error(name, error))?;
        let tidied = self.sync_and_prune(&path, &container);
        tidied.map_err(|error| BlobStoreError::unavailable("the removal could not be made durable", error))
    }

    /// Flushes the removal of a file or folder, and removes the folders above it that are empty now.
    fn sync_and_prune(&self, removed: &Path, below: &Path) -> io::Result<()> {
        for folder in removed.ancestors().skip(1) {
            match sync_folder(folder) {
                // A concurrent operation has removed the folder.
                Err(error) if error.kind() == ErrorKind::NotFound && folder != below => continue,
                result => result?,
            }
            if folder == below || fs::remove_dir(folder).is_err() {
                break;
            }
        }
        Ok(())
    }

    pub(super) fn list(&self, id: &str) -> Result<Vec<Blob>, BlobStoreError> {
        let folder = self.container(id)?;
        let mut list = BoundedBlobList::new(id);
        list_into(&mut list, &folder, &mut Vec::new())?;
        Ok(list.into_sorted())
    }

    /// Creates the temporary file of an upload to an existing container.
    pub(super) fn begin(&self, container: &str) -> Result<(File, TempPath), BlobStoreError> {
        self.container(container)?;
        let begun = || {
            let (file, path) = tempfile::NamedTempFile::new_in(self.root.join(UPLOADS))?.into_parts();
            // The lock shows other processes that this one still writes the file.
            file.try_lock()?;
            Ok((file, path))
        };
        begun().map_err(|error: io::Error| BlobStoreError::unavailable("the upload could not be started", error))
    }

    /// Moves an uploaded file to the name of its blob, and flushes it. Replaces an existing blob.
    pub(super) fn publish(&self, name: &BlobName, file: &File, path: TempPath) -> Result<(), BlobStoreError> {
        file.sync_all().map_err(not_durable)?;
        let mut path = Some(path);
        let published = retry_if_not_found(|| {
            let BlobPath { container, folders, file } = self.blob(name).map_err(io::Error::other)?;
            let folder = make_folders(&container, &folders)?;
            if let Some(unpublished) = path.take() {
                unpublished.persist(folder.join(file)).map_err(|refused| {
                    path = Some(refused.path);
                    refused.error
                })?;
            }
            sync_folder(&folder)
        });
        // A missing container is the more useful error.
        published.or_else(|error| self.container(&name.container).and(Err(not_durable(error))))
    }
}

/// Describes a blob that could not be made durable.
pub(super) fn not_durable(error: io::Error) -> BlobStoreError {
    BlobStoreError::unavailable("the blob could not be made durable", error)
}

fn blob_error(name: &BlobName, error: io::Error) -> BlobStoreError {
    match error.kind() {
        ErrorKind::NotFound | ErrorKind::NotADirectory => BlobStoreError::BlobNotFound(name.id.clone()),
        _ => BlobStoreError::unavailable("the blob cannot be used", error),
    }
}

/// Returns the path of nested folders. Fails if one of them is a symbolic link.
fn resolve_folder(from: &Path, folders: &[String]) -> io::Result<PathBuf> {
    let mut path = from.to_path_buf();
    for folder in folders {
        path.push(folder);
        if !fs::symlink_metadata(&path)?.is_dir() {
            return Err(io::Error::new(ErrorKind::NotADirectory, format!("{} is not a folder", path.display())));
        }
    }
    Ok(path)
}

/// Creates a folder that only this user can read. Returns whether it is new.
fn make_folder(path: &Path) -> io::Result<bool> {
    match DirBuilder::new().mode(0o700).create(path) {
        Ok(()) => Ok(true),
        Err(error) if error.kind() == ErrorKind::AlreadyExists => Ok(false),
        Err(error) => Err(error),
    }
}

/// Creates nested folders that do not exist, and flushes them.
fn make_folders(from: &Path, folders: &[String]) -> io::Result<PathBuf> {
    let mut path = from.to_path_buf();
    for folder in folders {
        let above = path.clone();
        path.push(folder);
        if make_folder(&path)? {
            sync_folder(&above)?;
        }
    }
    resolve_folder(from, folders)
}

/// Repeats `work` while it fails with `NotFound`: a concurrent operation may remove a folder before a file is added to it.
fn retry_if_not_found<T>(mut work: impl FnMut() -> io::Result<T>) -> io::Result<T> {
    for _ in 1..MAX_ATTEMPTS {
        match work() {
            Err(error) if error.kind() == ErrorKind::NotFound => {}
            done => return done,
        }
    }
    work()
}

/// Flushes the entries of a folder.
fn sync_folder(path: &Path) -> io::Result<()> {
    File::open(path)?.sync_all()
}

/// Removes the empty folders of long names.
fn remove_empty_folders_in(folder: &Path) -> io::Result<()> {
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        if entry.file_type()?.is_dir() && entry.file_name().to_str().is_some_and(names::is_continuation) {
            remove_empty_folders_in(&entry.path())?;
            // Fails if the folder is not empty, which the caller detects.
            let _ = fs::remove_dir(entry.path());
        }
    }
    Ok(())
}

fn list_into(list: &mut BoundedBlobList, folder: &Path, above: &mut Vec<String>) -> Result<(), BlobStoreError> {
    let failed = |error| BlobStoreError::unavailable("the container cannot be listed", error);
    for entry in fs::read_dir(folder).map_err(failed)? {
        let entry = entry.map_err(failed)?;
        let Some(name) = entry.file_name().to_str().map(str::to_owned) else { continue };
        let kind = entry.file_type().map_err(failed)?;
        if kind.is_dir() && names::is_continuation(&name) && above.len() < names::MAX_ID_BYTES {
            above.push(name);
            list_into(list, &entry.path(), above)?;
            above.pop();
        } else if kind.is_file() {
            let parts: Vec<&str> = above.iter().map(String::as_str).chain([name.as_str()]).collect();
            // Skips a file that has been removed in the meantime.
            if let (Some(id), Ok(metadata)) = (names::decode(&parts), entry.metadata()) {
                list.add(id, metadata.len())?;
            }
        }
    }
    Ok(())
}

/// Removes the files of uploads whose process has ended, which are not locked.
fn remove_stale_uploads(uploads: &Path) -> io::Result<()> {
    for entry in fs::read_dir(uploads)? {
        let entry = entry?;
        let Ok(metadata) = entry.metadata() else { continue };
        let age = SystemTime::now().duration_since(metadata.modified()?).unwrap_or_default();
        if !metadata.is_file() || age < STALE_AFTER {
            continue;
        }
        let Ok(file) = File::open(entry.path()) else { continue };
        if file.try_lock().is_ok() {
            // Another process may have removed it.
            let _ = fs::remove_file(entry.path());
        }
    }
    Ok(())
}
