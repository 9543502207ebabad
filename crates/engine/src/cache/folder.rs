//! The files of the cache. Each is read and written as a whole, and the least recently used ones are removed if there
//! are too many bytes.

use std::fs::{self, DirEntry};
use std::io::{self, ErrorKind as IoErrorKind, Read, Write};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use wasmcloud_core::error::{Error, ErrorKind, Result};

use super::frame::Secret;
use super::key;
use super::private::{self, DRAFT_SUFFIX, Draft};

/// The age at which a draft counts as abandoned by its writer.
const DRAFT_LIFETIME: Duration = Duration::from_secs(60 * 60);

/// A private folder, and the secret that seals its files.
#[derive(Debug)]
pub(super) struct Folder {
    path: PathBuf,
    max_bytes: u64,
    secret: Secret,
}

/// An artifact in the folder.
struct CachedFile {
    used: SystemTime,
    bytes: u64,
    path: PathBuf,
}

impl Folder {
    pub(super) fn open(path: &Path, max_bytes: u64) -> Result<Folder> {
        let absolute = std::path::absolute(path).map_err(|error| {
            Error::new(ErrorKind::Io, format!("there is no folder {}", path.display())).caused_by(error)
        })?;
        // Removes a trailing slash, which would make a symbolic link look like a folder.
        let path: PathBuf = absolute.components().collect();
        let secret = private::open(&path)?;
        Ok(Folder { path, max_bytes, secret })
    }

    pub(super) fn secret(&self) -> &Secret {
        &self.secret
    }

    pub(super) fn path(&self, name: &str) -> PathBuf {
        self.path.join(name)
    }

    /// Reads a file and marks it as used. Returns `None` if it does not exist.
    ///
    /// # Errors
    /// `InvalidData` if the file cannot be an artifact: it is a link, not a regular file, or too large.
    pub(super) fn read(&self, name: &str) -> io::Result<Option<Vec<u8>>> {
        let file = match private::options().read(true).open(self.path(name)) {
            Err(error) if error.kind() == IoErrorKind::NotFound => return Ok(None),
            Err(error) if is_link(&error) => return Err(unfit("it is a symbolic link")),
            opened => opened?,
        };
        let metadata = file.metadata()?;
        if !metadata.is_file() {
            return Err(unfit("it is no file"));
        }
        if metadata.len() > self.largest() {
            return Err(unfit("it is larger than half of the cache"));
        }
        // If this fails, the file is only removed earlier than it should be.
        let _ = file.set_modified(SystemTime::now());
        let mut bytes = Vec::with_capacity(usize::try_from(metadata.len()).unwrap_or(0));
        file.take(metadata.len()).read_to_end(&mut bytes)?;
        Ok(Some(bytes))
    }

    /// Writes a file atomically: concurrent readers see the old or the new content.
    pub(super) fn write(&self, name: &str, bytes: &[u8]) -> Result<()> {
        if bytes.len() as u64 > self.largest() {
            log::debug!("the artifact {name} is too large for its cache: it has {} bytes", bytes.len());
            return Ok(());
        }
        let written = self.write_file(name, bytes).and_then(|()| self.evict());
        written.map_err(|error| Error::new(ErrorKind::Io, "it cannot be written").caused_by(error))
    }

    pub(super) fn remove(&self, name: &str) {
        // A file that cannot be removed is not loaded the next time either.
        let _ = fs::remove_file(self.path(name));
    }

    fn write_file(&self, name: &str, bytes: &[u8]) -> io::Result<()> {
        let mut draft = Draft::create(&self.path)?;
        draft.file.write_all(bytes)?;
        draft.file.set_modified(SystemTime::now())?;
        fs::rename(&draft.path, self.path(name))
    }

    fn largest(&self) -> u64 {
        self.max_bytes / 2
    }

    /// Removes abandoned drafts, and the least recently used artifacts while there are too many bytes.
    fn evict(&self) -> io::Result<()> {
        let mut kept = Vec::new();
        for entry in fs::read_dir(&self.path)? {
            // Another host may remove the same files concurrently.
            kept.extend(entry.and_then(|entry| inspect_entry(&entry)).unwrap_or_default());
        }
        kept.sort_by_key(|artifact| artifact.used);
        let mut bytes: u64 = kept.iter().map(|artifact| artifact.bytes).sum();
        for artifact in kept {
            if bytes <= self.max_bytes {
                break;
            }
            match fs::remove_file(&artifact.path) {
                Err(error) if error.kind() != IoErrorKind::NotFound => return Err(error),
                _ => bytes -= artifact.bytes,
            }
        }
        Ok(())
    }
}

/// Returns the artifact in a file, if it is one. Removes an abandoned draft.
fn inspect_entry(entry: &DirEntry) -> io::Result<Option<CachedFile>> {
    let path = entry.path();
    let name = entry.file_name();
    let Some(name) = name.to_str() else { return Ok(None) };
    let metadata = entry.metadata()?;
    let used = metadata.modified()?;
    if name.ends_with(DRAFT_SUFFIX) {
        if used.elapsed().is_ok_and(|age| age > DRAFT_LIFETIME) {
            fs::remove_file(path)?;
        }
        return Ok(None);
    }
    Ok(name.ends_with(key::SUFFIX).then_some(CachedFile { used, bytes: metadata.len(), path }))
}

fn unfit(why: &str) -> io::Error {
    io::Error::new(IoErrorKind::InvalidData, why)
}

/// Returns whether a file was not opened because its name is a symbolic link.
#[cfg(unix)]
fn is_link(error: &io::Error) -> bool {
    error.raw_os_error() == Some(libc::ELOOP)
}

#[cfg(not(unix))]
fn is_link(_: &io::Error) -> bool {
    false
}
