//! The artifact cache: what compilation made, kept in a folder for the next start.
//!
//! An artifact is machine code, and wasmer loads it as it is: a flipped byte runs. So an artifact is loaded only when it
//! is sealed, with a secret of the folder, for the very module, limits, compiler and processor that are asked for. It is
//! read into memory once, and what was verified there is what is loaded.
//!
//! Nothing that goes wrong here fails a start: the module is compiled then, and a line on the log says why.
//!
//! # Layout
//! - `key`: what an artifact depends on (pure)
//! - `frame`: artifacts as the bytes of one file, sealed (pure)
//! - `private`: a folder that nobody else can write, and its secret
//! - `folder`: the files in it, and how many bytes of them are kept
//! - `load`: from bytes to modules and back

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

/// Where compiled modules are kept for the next start of their actors, and how much of them. A start from there takes
/// about a millisecond, where compiling takes milliseconds to seconds.
///
/// A host keeps none unless it is told to with `HostBuilder::with_artifact_cache`.
/// Any number of hosts and processes of one user may share a folder.
///
/// ```
/// use wasmcloud_host::{ArtifactCache, HostBuilder};
///
/// # let home = tempfile::tempdir().unwrap();
/// # let home = home.path();
/// let artifacts = ArtifactCache::in_folder(home.join("artifacts")).max_bytes(256 * 1024 * 1024);
/// let host = HostBuilder::new().with_artifact_cache(artifacts).build();
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ArtifactCache {
    folder: PathBuf,
    max_bytes: u64,
}

impl ArtifactCache {
    /// A cache in this folder, of 1 GiB at most. The folder is made, for its owner alone, when it is needed first.
    ///
    /// A folder that is a symbolic link, that belongs to somebody else or that others can write is not used: whoever can
    /// write there could have the host run anything. Then, and wherever files cannot be kept private, the host goes on
    /// without a cache, and says so on the log.
    pub fn in_folder(folder: impl Into<PathBuf>) -> ArtifactCache {
        ArtifactCache { folder: folder.into(), max_bytes: 1024 * 1024 * 1024 }
    }

    /// How many bytes of artifacts are kept; 1 GiB by default. When there are more, those go that were not used for the
    /// longest time. What is larger than half of it is not kept at all.
    pub fn max_bytes(mut self, bytes: u64) -> ArtifactCache {
        self.max_bytes = bytes;
        self
    }
}

/// The cache of one host. It reads and writes files: never use it on a shard.
#[derive(Debug)]
pub struct Cache {
    options: ArtifactCache,
    /// Opened when it is needed first, or found to be unfit once and for all.
    folder: OnceLock<Option<Folder>>,
    complained: Mutex<Option<Instant>>,
}

impl Cache {
    /// Returns a cache with these options. Its folder is opened at the first use.
    pub fn new(options: ArtifactCache) -> Cache {
        Cache { options, folder: OnceLock::new(), complained: Mutex::new(None) }
    }

    /// What is kept under a key, loaded into an engine. What is found there and should not be is removed.
    pub(super) fn load(&self, key: &Key, engine: &wasmer::Engine) -> Option<Artifacts> {
        let folder = self.folder()?;
        let name = key.file_name();
        let artifacts = match folder.read(&name) {
            Ok(bytes) => frame::open(bytes?, key, folder.secret()).and_then(|sealed| load::load(engine, sealed)),
            Err(error) if error.kind() == std::io::ErrorKind::InvalidData => {
                Err(Error::new(ErrorKind::Io, "it cannot be an artifact").caused_by(error))
            }
            Err(error) => {
                self.complain(format_args!("cannot read {name}: {error}"));
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

    /// Keeps what was compiled under a key.
    pub(super) fn keep(&self, key: &Key, artifacts: &Artifacts) {
        let Some(folder) = self.folder() else { return };
        let name = key.file_name();
        let kept = load::save(artifacts).and_then(|sealed| {
            let bytes = frame::seal(&sealed, key, folder.secret());
            folder.write(&name, &bytes)
        });
        if let Err(error) = kept {
            self.complain(format_args!("cannot keep {name}: {error}"));
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

    /// A line on the log, but not one for each start while a disk is full.
    fn complain(&self, what: fmt::Arguments<'_>) {
        const PAUSE: Duration = Duration::from_secs(60);
        let mut complained = self.complained.lock().unwrap_or_else(PoisonError::into_inner);
        if complained.is_none_or(|last| last.elapsed() >= PAUSE) {
            *complained = Some(Instant::now());
            log::warn!("the artifact cache in {} is not of use: {what}", self.options.folder.display());
        }
    }
}
