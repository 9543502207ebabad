//! A folder that no other user can write, and the secret in it.
//!
//! Properties are checked on the opened file where possible, since a path can lead elsewhere a moment later.

use std::fs::{self, DirBuilder, File, Metadata, OpenOptions};
use std::io::{self, ErrorKind as IoErrorKind, Read, Write};
use std::path::{Path, PathBuf};

use data_encoding::HEXLOWER;
use wasmcloud_core::error::{Error, ErrorKind, Result};

use super::frame::Secret;

const SECRET: &str = "secret";

/// The suffix of the names of drafts.
pub(super) const DRAFT_SUFFIX: &str = ".draft";

/// A file that is being written. Dropping it removes the file, unless it was renamed.
pub(super) struct Draft {
    pub(super) file: File,
    pub(super) path: PathBuf,
}

impl Draft {
    /// Creates a file with a random name.
    pub(super) fn create(folder: &Path) -> io::Result<Draft> {
        let mut name = [0; 16];
        getrandom::fill(&mut name)?;
        let path = folder.join(format!("{}{DRAFT_SUFFIX}", HEXLOWER.encode(&name)));
        let file = options().write(true).create_new(true).open(&path)?;
        Ok(Draft { file, path })
    }
}

impl Drop for Draft {
    fn drop(&mut self) {
        // A renamed file no longer exists under this name, so this fails.
        let _ = fs::remove_file(&self.path);
    }
}

/// Returns the options for opening files of the folder: private to the user, without following links or blocking on
/// pipes.
pub(super) fn options() -> OpenOptions {
    let mut options = OpenOptions::new();
    #[cfg(unix)]
    {
        use std::os::unix::fs::OpenOptionsExt;
        options.mode(0o600).custom_flags(libc::O_NOFOLLOW | libc::O_NONBLOCK);
    }
    options
}

/// Creates the folder if it is missing, and returns its secret. All users of the folder get the same one.
///
/// # Errors
/// `Io` if the folder or its secret is not private, or cannot be created.
pub(super) fn open(folder: &Path) -> Result<Secret> {
    let failed = |error: io::Error| {
        Error::new(ErrorKind::Io, format!("cannot use the folder {}", folder.display())).caused_by(error)
    };
    let unfit = |what: &str| Error::new(ErrorKind::Io, format!("the folder {} {what}", folder.display()));
    create_private(folder).map_err(failed)?;
    // Does not follow a link.
    let metadata = fs::symlink_metadata(folder).map_err(failed)?;
    if !metadata.is_dir() {
        return Err(unfit("is no folder, or a symbolic link"));
    }
    if !denies(&metadata, 0o022) {
        return Err(unfit("can be written by others: make it private (chmod 700)"));
    }
    let own = Draft::create(folder).and_then(|draft| draft.file.metadata()).map_err(failed)?;
    if !same_owner(&metadata, &own) {
        return Err(unfit("belongs to another user"));
    }
    let path = folder.join(SECRET);
    let secret = match read_secret(&path, &own).map_err(failed)? {
        None => {
            create_secret(folder, &path).map_err(failed)?;
            read_secret(&path, &own).map_err(failed)?
        }
        found => found,
    };
    secret.ok_or_else(|| unfit("loses its secret as soon as it is written"))
}

fn create_private(folder: &Path) -> io::Result<()> {
    let mut builder = DirBuilder::new();
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.recursive(true).create(folder)
}

/// Reads the secret. Returns `None` if it does not exist yet.
fn read_secret(path: &Path, own: &Metadata) -> io::Result<Option<Secret>> {
    let mut file = match options().read(true).open(path) {
        Err(error) if error.kind() == IoErrorKind::NotFound => return Ok(None),
        opened => opened?,
    };
    let metadata = file.metadata()?;
    let mut secret = Secret::default();
    let is_private = metadata.is_file() && same_owner(&metadata, own) && denies(&metadata, 0o077);
    if !is_private || metadata.len() != secret.len() as u64 {
        let message = "the file \"secret\" in it is no private file of 32 bytes: remove it to have another made";
        return Err(io::Error::new(IoErrorKind::InvalidData, message));
    }
    file.read_exact(&mut secret)?;
    Ok(Some(secret))
}

/// Writes a new secret atomically, unless another process has written one first.
fn create_secret(folder: &Path, path: &Path) -> io::Result<()> {
    let mut secret = Secret::default();
    getrandom::fill(&mut secret)?;
    let mut draft = Draft::create(folder)?;
    draft.file.write_all(&secret)?;
    // Otherwise a power cut could leave a secret of zeroes.
    draft.file.sync_all()?;
    match fs::hard_link(&draft.path, path) {
        Err(error) if error.kind() == IoErrorKind::AlreadyExists => Ok(()),
        linked => linked,
    }
}

/// Returns whether none of these permissions is granted.
#[cfg(unix)]
fn denies(metadata: &Metadata, permissions: u32) -> bool {
    std::os::unix::fs::MetadataExt::mode(metadata) & permissions == 0
}

/// Returns `false`: permissions cannot be checked on this system.
#[cfg(not(unix))]
fn denies(_: &Metadata, _: u32) -> bool {
    false
}

#[cfg(unix)]
fn same_owner(one: &Metadata, other: &Metadata) -> bool {
    use std::os::unix::fs::MetadataExt;
    one.uid() == other.uid()
}

#[cfg(not(unix))]
fn same_owner(_: &Metadata, _: &Metadata) -> bool {
    false
}
