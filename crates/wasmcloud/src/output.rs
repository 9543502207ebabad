//! Writes the output files of commands. Modules, archives and seeds follow the same rules: a file is replaced atomically and
//! keeps its mode and owner, symbolic links are followed, and devices, pipes and standard output are written to directly.

use std::fs::{File, FileType, Metadata, OpenOptions, Permissions};
use std::io::{self, IsTerminal, Write};
use std::path::{Component, Path, PathBuf};

use crate::outcome::{CommandError, CommandResult};

/// The destination of a path after its symbolic links have been followed.
enum Destination {
    /// Standard output, named by `-`, `/dev/stdout` and the like.
    Output,
    /// A descriptor of a process, such as `/dev/fd/3`. It cannot be replaced by another file.
    Descriptor(PathBuf),
    /// A device, a pipe or a socket.
    Special(PathBuf, FileType),
    /// An existing regular file.
    File(PathBuf, Metadata),
    /// A path without a file.
    New(PathBuf),
}

/// Where bytes were written, which decides where the command's report goes.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Written {
    /// To a file, a device, a pipe or a socket.
    File,
    /// To standard output. No other text may be printed there.
    Output,
}

impl Written {
    /// Returns the text for standard output: the report, unless the bytes themselves were written there. Then the report
    /// goes to standard error.
    pub(crate) fn report(self, report: String) -> String {
        match self {
            Written::File => report,
            Written::Output => {
                let _ = io::stderr().write_all(report.as_bytes());
                String::new()
            }
        }
    }
}

/// The kind of content that is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Contents {
    /// A module or an archive. An existing file keeps its mode. Nothing is written to a terminal.
    Binary,
    /// A seed. Only the owner can read its file.
    Secret,
}

/// Writes a module or an archive. An existing file is replaced, unless it is write-protected.
pub(crate) fn write(path: &Path, bytes: &[u8]) -> CommandResult<Written> {
    write_contents(path, bytes, Contents::Binary)
}

/// Checks that a file can be written, before the work whose result it is for. No file is changed.
pub(crate) fn expect_writable(path: &Path) -> CommandResult<()> {
    let outcome = destination(path).and_then(|destination| match destination {
        Destination::New(new) => tempfile::tempfile_in(folder_of(&new)).map(drop),
        Destination::File(file, metadata) => {
            expect_unprotected(&metadata)?;
            OpenOptions::new().append(true).open(file).map(drop)
        }
        Destination::Output | Destination::Descriptor(_) | Destination::Special(..) => Ok(()),
    });
    outcome.map_err(|error| CommandError::Failed(format!("cannot write {}: {}", shown(path), reason(&error))))
}

/// Writes a seed to a file that only its owner can read. An existing file is replaced only if `replace` is set.
pub(crate) fn write_secret(path: &Path, bytes: &[u8], replace: bool) -> CommandResult<Written> {
    if !replace && exists(path) {
        return Err(CommandError::Failed(format!(
            "{} exists already, and a lost seed cannot be recovered: choose another file, or use --force to replace it",
            shown(path)
        )));
    }
    write_contents(path, bytes, Contents::Secret)
}

/// Returns whether a path names a file or a symbolic link. Devices and pipes do not count: writing to them replaces nothing.
fn exists(path: &Path) -> bool {
    match destination(path) {
        Ok(Destination::File(..)) => true,
        Ok(Destination::New(_)) => path.symlink_metadata().is_ok(),
        _ => false,
    }
}

fn write_contents(path: &Path, bytes: &[u8], contents: Contents) -> CommandResult<Written> {
    let outcome = destination(path).and_then(|destination| match destination {
        Destination::Output => write_to_output(bytes, contents),
        Destination::Descriptor(descriptor) => {
            OpenOptions::new().append(true).open(descriptor).and_then(|file| write_to_file(file, bytes))
        }
        Destination::Special(special, kind) => write_through(&special, kind, bytes),
        Destination::File(file, metadata) => replace(&file, &metadata, bytes, contents),
        Destination::New(new) => create(&new, bytes, contents),
    });
    outcome.map_err(|error| CommandError::Failed(format!("cannot write {}: {}", shown(path), reason(&error))))
}

/// Follows the symbolic links of a path to its destination.
fn destination(path: &Path) -> io::Result<Destination> {
    const MOST_LINKS: usize = 40;
    if path == Path::new("-") {
        return Ok(Destination::Output);
    }
    let mut path = path.to_owned();
    for _ in 0..MOST_LINKS {
        match descriptor(&path) {
            Some(1) => return Ok(Destination::Output),
            Some(_) => return Ok(Destination::Descriptor(path)),
            None => {}
        }
        let metadata = match path.symlink_metadata() {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Destination::New(path)),
            metadata => metadata?,
        };
        if metadata.is_dir() {
            return Err(io::ErrorKind::IsADirectory.into());
        } else if metadata.is_file() {
            return Ok(Destination::File(path, metadata));
        } else if !metadata.is_symlink() {
            return Ok(Destination::Special(path, metadata.file_type()));
        }
        path = folder_of(&path).join(path.read_link()?);
    }
    Err(io::Error::other(format!("it leads through more than {MOST_LINKS} symbolic links")))
}

/// Returns the number of the descriptor that a path such as `/proc/self/fd/1` names, or `u32::MAX` if it belongs to another
/// process.
fn descriptor(path: &Path) -> Option<u32> {
    let parts: Vec<&str> = path
        .components()
        .filter_map(|part| match part {
            Component::Normal(part) => part.to_str(),
            Component::RootDir => Some("/"),
            _ => None,
        })
        .collect();
    let (process, number) = match parts[..] {
        ["/", "dev", "fd", number] => ("self", number),
        ["/", "proc", process, "fd", number] => (process, number),
        _ => return None,
    };
    let is_ours = process == "self" || process == std::process::id().to_string();
    number.parse().ok().map(|number| if is_ours { number } else { u32::MAX })
}

fn write_to_output(bytes: &[u8], contents: Contents) -> io::Result<Written> {
    let mut output = io::stdout().lock();
    if contents == Contents::Binary && output.is_terminal() {
        return Err(io::Error::other("it is a terminal, and the output is binary: write to a file or a pipe"));
    }
    output.write_all(bytes)?;
    output.flush()?;
    Ok(Written::Output)
}

/// Writes to a device, a pipe or a socket, without replacing it.
fn write_through(path: &Path, kind: FileType, bytes: &[u8]) -> io::Result<Written> {
    // Opening a pipe for writing blocks until a process reads from it. A non-blocking opening fails instead, and while it is
    // held, the blocking opening below does not wait.
    #[cfg(unix)]
    let _reader = {
        use std::os::unix::fs::{FileTypeExt, OpenOptionsExt};
        match kind.is_fifo() {
            false => None,
            true => {
                Some(OpenOptions::new().write(true).custom_flags(libc::O_NONBLOCK).open(path).map_err(|error| {
                    match error.raw_os_error() {
                        Some(libc::ENXIO) => io::Error::other("it is a pipe, and no process reads from it"),
                        _ => error,
                    }
                })?)
            }
        }
    };
    #[cfg(not(unix))]
    let _ = kind;
    write_to_file(OpenOptions::new().write(true).open(path)?, bytes)
}

/// Creates a file atomically.
fn create(path: &Path, bytes: &[u8], contents: Contents) -> io::Result<Written> {
    let mut builder = tempfile::Builder::new();
    #[cfg(unix)]
    builder.permissions(mode(if contents == Contents::Secret { 0o600 } else { 0o666 }));
    #[cfg(not(unix))]
    let _ = contents;
    let mut file = builder.tempfile_in(folder_of(path))?;
    file.write_all(bytes)?;
    file.as_file().sync_all()?;
    match contents {
        Contents::Binary => file.persist(path)?,
        // A file that was created meanwhile may contain a seed too.
        Contents::Secret => file.persist_noclobber(path)?,
    };
    Ok(Written::File)
}

fn expect_unprotected(file: &Metadata) -> io::Result<()> {
    if file.permissions().readonly() {
        return Err(io::Error::other("the file is write-protected: choose another file, or make it writable"));
    }
    Ok(())
}

/// Replaces a file by one with the same mode and owner, atomically if possible. It is not possible for a file with further
/// hard links, for a mount point, or without the rights to create the same file in the folder. Then the file is overwritten.
fn replace(path: &Path, old: &Metadata, bytes: &[u8], contents: Contents) -> io::Result<Written> {
    expect_unprotected(old)?;
    if contents == Contents::Secret && !tempfile::tempfile().is_ok_and(|own| has_same_user(&own, old)) {
        return Err(io::Error::other("the file belongs to another user, who could read the seed: choose another file"));
    }
    let permissions = if contents == Contents::Secret { owner_only(old) } else { old.permissions() };
    if !has_hard_links(old) && replace_atomically(path, old, permissions.clone(), bytes)? {
        return Ok(Written::File);
    }
    let file = OpenOptions::new().write(true).open(path)?;
    file.set_permissions(permissions)
        .or_else(|error| if contents == Contents::Secret { Err(error) } else { Ok(()) })?;
    file.set_len(0)?;
    write_to_file(file, bytes)
}

/// Writes a new file beside the old one, and renames it. Returns `false` if the new file could not have the same owner.
fn replace_atomically(path: &Path, old: &Metadata, permissions: Permissions, bytes: &[u8]) -> io::Result<bool> {
    let Ok(mut file) = tempfile::Builder::new().tempfile_in(folder_of(path)) else { return Ok(false) };
    if !has_same_owner(file.as_file(), old) && !give_to_owner(file.as_file(), old) {
        return Ok(false);
    }
    file.write_all(bytes)?;
    file.as_file().set_permissions(permissions)?;
    file.as_file().sync_all()?;
    Ok(file.persist(path).is_ok())
}

fn write_to_file(mut file: File, bytes: &[u8]) -> io::Result<Written> {
    file.write_all(bytes)?;
    // Pipes and devices cannot be synced.
    if file.metadata()?.is_file() {
        file.sync_all()?;
    }
    Ok(Written::File)
}

#[cfg(unix)]
fn mode(bits: u32) -> Permissions {
    std::os::unix::fs::PermissionsExt::from_mode(bits)
}

/// Returns the permissions for a seed that replaces a file: those of the owner.
fn owner_only(old: &Metadata) -> Permissions {
    #[cfg(unix)]
    return mode(0o600 & std::os::unix::fs::MetadataExt::mode(old));
    #[cfg(not(unix))]
    old.permissions()
}

fn has_hard_links(file: &Metadata) -> bool {
    #[cfg(unix)]
    return std::os::unix::fs::MetadataExt::nlink(file) > 1;
    #[cfg(not(unix))]
    {
        let _ = file;
        false
    }
}

fn has_same_user(own: &File, old: &Metadata) -> bool {
    #[cfg(unix)]
    {
        use std::os::unix::fs::MetadataExt;
        own.metadata().is_ok_and(|own| own.uid() == old.uid())
    }
    #[cfg(not(unix))]
    {
        let _ = (own, old);
        true
    }
}

fn has_same_owner(new: &File, old: &Metadata) -> bool {
    #[cfg(unix)]
    {
        use std::os::unix::fs::MetadataExt;
        new.metadata().is_ok_and(|new| new.uid() == old.uid() && new.gid() == old.gid())
    }
    #[cfg(not(unix))]
    {
        let _ = (new, old);
        true
    }
}

/// Gives a new file the owner and group of an old one. Returns whether this user may do that.
fn give_to_owner(new: &File, old: &Metadata) -> bool {
    #[cfg(unix)]
    {
        use std::os::unix::fs::{MetadataExt, fchown};
        fchown(new, Some(old.uid()), Some(old.gid())).is_ok()
    }
    #[cfg(not(unix))]
    {
        let _ = (new, old);
        true
    }
}

fn folder_of(path: &Path) -> &Path {
    path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

/// Returns a path as errors and reports show it. Its name may contain any characters, so it is escaped.
pub(crate) fn shown(path: &Path) -> String {
    wasmcloud_core::text::escaped(&path.display().to_string()).into_owned()
}

/// Returns the text of an error without the name of the temporary file, which the user has not chosen.
fn reason(error: &io::Error) -> String {
    let text = error.to_string();
    text.split_once(" at path \"").map_or(text.clone(), |(cause, _)| cause.to_owned())
}
