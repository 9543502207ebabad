//! The cache: files named by the digest of their content, which several processes share without a lock.
//!
//! A file is written under another name and renamed when its digest has been verified, so no process sees half of one. It is
//! verified again whenever it is read. A file that was damaged counts as missing, and is replaced.
//!
//! | Path | Content |
//! |---|---|
//! | `sha256/<digits>` | a manifest or a blob |
//! | `tags/<digits>.json` | the digest of a tag, and when the registry last confirmed it |
//! | `tmp/` | what is being written; leftovers are removed after a day |

mod partial;
mod tags;

use std::fs::{self, File};
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use wasmcloud_core::error::{Error, ErrorKind, Result};

use crate::digest::{Digest, Hasher};
use crate::failure;
use partial::Partial;

/// The age at which what was never finished is removed.
const LEFTOVER: Duration = Duration::from_secs(24 * 3600);

/// How many bytes of a blob are looked at to see what it is.
const START: usize = 512;

/// The cache in one folder.
#[derive(Debug, Clone)]
pub(crate) struct Cache {
    folder: PathBuf,
}

/// A file of the cache whose content has the digest that it is named by.
#[derive(Debug)]
pub(crate) struct Verified {
    pub(crate) path: PathBuf,
    pub(crate) size: u64,
    /// The first bytes.
    pub(crate) start: Vec<u8>,
}

impl Cache {
    /// Returns the cache in a folder, which need not exist yet.
    pub(crate) fn new(folder: &Path) -> Self {
        Cache { folder: folder.to_owned() }
    }

    /// Returns a blob, or `None` if it is missing, damaged or larger than the limit.
    pub(crate) async fn blob(&self, digest: &Digest, limit: u64) -> Result<Option<Verified>> {
        let path = self.path_of(digest);
        let digest = digest.clone();
        self.blocking("read a blob", move || verify(&path, &digest, limit)).await
    }

    /// Returns the bytes of a small blob, or `None` if it is missing, damaged or larger than the limit.
    pub(crate) async fn bytes(&self, digest: &Digest, limit: u64) -> Result<Option<Vec<u8>>> {
        let path = self.path_of(digest);
        let digest = digest.clone();
        self.blocking("read a blob", move || {
            let Some(file) = open(&path)? else { return Ok(None) };
            let mut bytes = Vec::new();
            file.take(limit.saturating_add(1)).read_to_end(&mut bytes)?;
            Ok(Some(bytes).filter(|bytes| bytes.len() as u64 <= limit && Digest::of(bytes) == digest))
        })
        .await
    }

    /// Keeps the bytes of a small blob, and returns their digest.
    pub(crate) async fn keep(&self, bytes: &[u8]) -> Result<Digest> {
        let digest = Digest::of(bytes);
        let mut partial = self.begin().await?;
        partial.write(bytes).await?;
        partial.finish(&digest).await?;
        Ok(digest)
    }

    /// Begins a blob.
    pub(crate) async fn begin(&self) -> Result<Partial> {
        let cache = self.clone();
        let file = self
            .blocking("write a blob", move || {
                fs::create_dir_all(cache.folder.join("sha256"))?;
                cache.temporary()
            })
            .await?;
        Ok(Partial::new(self.clone(), file))
    }

    /// Creates a file that is removed unless it is renamed.
    fn temporary(&self) -> io::Result<tempfile::NamedTempFile> {
        let folder = self.folder.join("tmp");
        fs::create_dir_all(&folder)?;
        remove_leftovers(&folder);
        tempfile::NamedTempFile::new_in(folder)
    }

    fn path_of(&self, digest: &Digest) -> PathBuf {
        self.folder.join("sha256").join(digest.hex())
    }

    /// Does file work on a thread where it may block.
    async fn blocking<T: Send + 'static>(
        &self,
        doing: &'static str,
        work: impl FnOnce() -> io::Result<T> + Send + 'static,
    ) -> Result<T> {
        match tokio::task::spawn_blocking(work).await {
            Ok(result) => result.map_err(|error| failure::file(&self.folder, doing, error)),
            Err(error) => Err(Error::new(ErrorKind::Internal, format!("cannot {doing} in the cache")).caused_by(error)),
        }
    }
}

/// Opens a regular file. `None`: there is none.
fn open(path: &Path) -> io::Result<Option<File>> {
    match File::open(path) {
        Ok(file) => Ok(file.metadata()?.is_file().then_some(file)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

/// Reads a file to its end and compares it with its digest.
fn verify(path: &Path, digest: &Digest, limit: u64) -> io::Result<Option<Verified>> {
    let Some(mut file) = open(path)? else { return Ok(None) };
    if file.metadata()?.len() > limit {
        return Ok(None);
    }
    let read = fingerprint(&mut file)?;
    if read.digest != *digest {
        log::warn!("the cached file '{}' is damaged, and is fetched again", path.display());
        return Ok(None);
    }
    Ok(Some(Verified { path: path.to_owned(), size: read.size, start: read.start }))
}

/// What a whole file was found to be.
#[derive(Debug)]
pub(crate) struct Fingerprint {
    pub(crate) digest: Digest,
    pub(crate) size: u64,
    /// The first bytes.
    pub(crate) start: Vec<u8>,
}

/// Reads a file to its end.
pub(crate) fn fingerprint(file: &mut impl Read) -> io::Result<Fingerprint> {
    let mut hasher = Hasher::default();
    let mut buffer = vec![0; 64 << 10];
    let mut found = Fingerprint { digest: Digest::of(b""), size: 0, start: Vec::new() };
    loop {
        let count = match file.read(&mut buffer) {
            Ok(0) => break,
            Ok(count) => count,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(error) => return Err(error),
        };
        let piece = &buffer[..count];
        hasher.update(piece);
        found.size += count as u64;
        add_start(&mut found.start, piece);
    }
    found.digest = hasher.finish();
    Ok(found)
}

/// Completes the first bytes with the next piece.
fn add_start(start: &mut Vec<u8>, piece: &[u8]) {
    let missing = START.saturating_sub(start.len()).min(piece.len());
    start.extend_from_slice(&piece[..missing]);
}

/// Removes what processes that were killed have left. What cannot be removed is left for the next time.
fn remove_leftovers(folder: &Path) {
    let Ok(entries) = fs::read_dir(folder) else { return };
    for entry in entries.flatten() {
        let changed = entry.metadata().and_then(|data| data.modified()).ok();
        let age = changed.and_then(|changed| SystemTime::now().duration_since(changed).ok());
        if age.is_some_and(|age| age > LEFTOVER) {
            fs::remove_file(entry.path()).ok();
        }
    }
}

#[cfg(test)]
mod tests;
