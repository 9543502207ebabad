//! The artifact cache: keeps compiled modules in a folder for later starts.
//!
//! An artifact is machine code, which wasmer loads without checks: a flipped byte would run. So an artifact is loaded
//! only if it is sealed with the secret of its folder, for exactly this module, limits, compiler and processor. It is
//! read into memory once, and the verified bytes are the loaded ones.
//!
//! No error here fails a start: the module is compiled instead, and a log line states the reason.
//!
//! # Layout
//! - `key`: everything that an artifact depends on (pure)
//! - `frame`: the file format of sealed artifacts (pure)
//! - `private`: a folder that no other user can write, and its secret
//! - `folder`: the files in the folder, and their total size
//! - `load`: converts between bytes and wasmer modules

mod folder;
mod frame;
mod key;
mod load;
mod private;

use std::fmt;
use std::path::PathBuf;
use std::sync::{Mutex, OnceLock, PoisonError};
use std::time::{Duration, Instant};

use wasmcloud_core::error::{Error, ErrorKind};

use folder::Folder;
pub(super) use key::Key;
pub(super) use load::Artifacts;

/// A folder that keeps compiled modules for later starts of their actors, up to a size. A start from the cache takes
/// about a millisecond, whereas compilation takes milliseconds to seconds.
///
/// A host has no cache unless [`HostBuilder::with_artifact_cache`] sets one. Any number of hosts and processes of one
/// user may share a folder.
///
/// [`HostBuilder::with_artifact_cache`]: https://docs.rs/wasmcloud-host/latest/wasmcloud_host/struct.HostBuilder.html
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ArtifactCache {
    folder: PathBuf,
    max_bytes: u64,
}

impl ArtifactCache {
    /// Returns a cache in this folder. The folder is created with access for its owner only when it is first needed.
    ///
    /// A folder that is a symbolic link, belongs to another user or can be written by other users is not used, since
    /// its content could make the host run arbitrary code. The host then runs without a cache and logs the reason. The
    /// same applies on systems where files cannot be kept private.
    pub fn in_folder(folder: impl Into<PathBuf>) -> ArtifactCache {
        ArtifactCache { folder: folder.into(), max_bytes: 1024 * 1024 * 1024 }
    }

    /// Sets the largest total size of the artifacts. If they exceed it, those that were not used for the longest time
    /// are removed. An artifact that is larger than half of this size is not kept. Unit: bytes. Default: 1 GiB.
    #[must_use]
    pub fn max_bytes(mut self, bytes: u64) -> ArtifactCache {
        self.max_bytes = bytes;
        self
    }
}

/// The cache of one host. It reads and writes files: never use it on a shard.
#[derive(Debug)]
pub struct Cache {
    options: ArtifactCache,
    /// The folder, opened at its first use. `None` if it cannot be used.
    folder: OnceLock<Option<Folder>>,
    last_warning: Mutex<Option<Instant>>,
}

impl Cache {
    /// Returns a cache with these options. Its folder is opened at the first use.
    pub fn new(options: ArtifactCache) -> Cache {
        Cache { options, folder: OnceLock::new(), last_warning: Mutex::new(None) }
    }

    /// Loads the artifacts of a key into an engine. Removes a file that is not a valid artifact.
    pub(super) fn load(&self, key: &Key, engine: &wasmer::Engine) -> Option<Artifacts> {
        let folder = self.folder()?;
        let name = key.file_name();
        let artifacts = match folder.read(&name) {
            Ok(bytes) => frame::open(bytes?, key, folder.secret()).and_then(|artifacts| load::load(engine, artifacts)),
            Err(error) if error.kind() == std::io::ErrorKind::InvalidData => {
                Err(Error::new(ErrorKind::Io, "it cannot be an artifact").caused_by(error))
            }
            Err(error) => {
                self.warn(format_args!("cannot read {name}: {error}"));
                return None;
            }
        };
        let refused = |reason: &Error| {
            let path = folder.path(&name);
            log::warn!("the artifact {} is not loaded, but its module compiled anew: {reason}", path.display());
            folder.remove(&name);
        };
        artifacts.inspect_err(refused).ok()
    }

    /// Stores compiled artifacts under a key.
    pub(super) fn store(&self, key: &Key, artifacts: &Artifacts) {
        let Some(folder) = self.folder() else { return };
        let name = key.file_name();
        let kept = load::save(artifacts).and_then(|artifacts| {
            let bytes = frame::seal(&artifacts, key, folder.secret());
            folder.write(&name, &bytes)
        });
        if let Err(error) = kept {
            self.warn(format_args!("cannot keep {name}: {error}"));
        }
    }

    fn folder(&self) -> Option<&Folder> {
        let open = || {
            let ArtifactCache { folder, max_bytes } = &self.options;
            let opened = Folder::open(folder, *max_bytes);
            opened.inspect_err(|error| log::warn!("compiled modules are not cached: {error}")).ok()
        };
        self.folder.get_or_init(open).as_ref()
    }

    /// Logs a warning, at most once a minute, since a full disk would cause one at each start.
    fn warn(&self, what: fmt::Arguments<'_>) {
        const PAUSE: Duration = Duration::from_secs(60);
        let mut last_warning = self.last_warning.lock().unwrap_or_else(PoisonError::into_inner);
        if last_warning.is_none_or(|last| last.elapsed() >= PAUSE) {
            *last_warning = Some(Instant::now());
            log::warn!("the artifact cache in {} is not of use: {what}", self.options.folder.display());
        }
    }
}
