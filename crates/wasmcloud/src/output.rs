//! Where commands write what they make. One rule for modules, archives and seeds: a file is replaced as a whole and keeps its
//! mode and owner, links are followed, and what is no regular file (a device, a pipe, standard output) is written through.

use std::fs::{File, FileType, Metadata, OpenOptions, Permissions};
use std::io::{self, IsTerminal, Write};
use std::path::{Component, Path, PathBuf};

use crate::outcome::{Failure, Outcome};

/// Where a path leads, once its links have been followed.
enum Destination {
    /// Standard output, named by `-`, `/dev/stdout` and the like.
    Output,
    /// An open file of a process, such as `/dev/fd/3`: its name leads to a descriptor, not to a place in a folder.
    Descriptor(PathBuf),
    /// A device, a pipe or a socket.
    Special(PathBuf, FileType),
    /// A regular file that is there.
    File(PathBuf, Metadata),
    /// A name that is not taken.
    New(PathBuf),
}

/// Where the bytes went, for the command's own report.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Written {
    /// Into a file, or into something like a file.
    File,
    /// To standard output, where nothing else may be printed.
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

/// What a file may hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Contents {
    /// Bytes for programs: a file keeps its mode, a terminal does not get them.
    Binary,
    /// A seed: its file is for its owner alone.
    Secret,
}

/// Writes a module or an archive. A file that is there is replaced, unless it is write-protected.
pub(crate) fn write(path: &Path, bytes: &[u8]) -> Outcome<Written> {
    place(path, bytes, Contents::Binary)
}

/// Writes a seed into a file that only its owner can read. A file that is there is kept, unless `replace` is set.
pub(crate) fn write_secret(path: &Path, bytes: &[u8], replace: bool) -> Outcome<Written> {
    if !replace && is_taken(path) {
        return Err(Failure::Refused(format!(
            "{} is there already, and a seed that is lost cannot be had again: give another name, or --force to replace it",
            shown(path)
        )));
    }
    place(path, bytes, Contents::Secret)
}

/// Whether a path names a file, or a link to a place for one. Devices and pipes are not taken: writing there replaces nothing.
fn is_taken(path: &Path) -> bool {
    match destination(path) {
        Ok(Destination::File(..)) => true,
        Ok(Destination::New(_)) => path.symlink_metadata().is_ok(),
        _ => false,
    }
}

fn place(path: &Path, bytes: &[u8], contents: Contents) -> Outcome<Written> {
    let outcome = destination(path).and_then(|destination| match destination {
        Destination::Output => write_to_output(bytes, contents),
        Destination::Descriptor(descriptor) => {
            OpenOptions::new().append(true).open(descriptor).and_then(|file| fill(file, bytes))
        }
        Destination::Special(special, kind) => write_through(&special, kind, bytes),
        Destination::File(file, metadata) => replace(&file, &metadata, bytes, contents),
        Destination::New(new) => create(&new, bytes, contents),
    });
    outcome.map_err(|error| Failure::Refused(format!("cannot write {}: {}", shown(path), reason(&error))))
}

/// Follows a path's links to where its bytes are to go.
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
    Err(io::Error::other("too many links lead on from one to the next"))
}

/// The number of the descriptor that a path such as `/proc/self/fd/1` stands for. That of another process counts as none of
/// ours: `u32::MAX`.
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
        return Err(io::Error::other("it is a terminal, and this is no text: name a file, or a pipe to a program"));
    }
    output.write_all(bytes)?;
    output.flush()?;
    Ok(Written::Output)
}

/// Writes to a device, a pipe or a socket, which stays what it is.
fn write_through(path: &Path, kind: FileType, bytes: &[u8]) -> io::Result<Written> {
    // Opening a pipe that no process reads from would wait for one, for ever. This fails at once, and while it is open the
    // second opening does not wait.
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
    fill(OpenOptions::new().write(true).open(path)?, bytes)
}

/// Creates a file that is never there in part.
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
        // One that came into being in between may be a seed as well.
        Contents::Secret => file.persist_noclobber(path)?,
    };
    Ok(Written::File)
}

/// Replaces a file by one with the same mode and owner, as a whole where that is possible. Where it is not (other names lead
/// to the same file, it is a mount of its own, its folder or its owner belong to others), the file is filled anew.
fn replace(path: &Path, old: &Metadata, bytes: &[u8], contents: Contents) -> io::Result<Written> {
    if old.permissions().readonly() {
        return Err(io::Error::other("the file is write-protected: give another name, or lift the protection"));
    }
    if contents == Contents::Secret && !tempfile::tempfile().is_ok_and(|own| has_same_user(&own, old)) {
        return Err(io::Error::other("the file belongs to another user, who could read the seed: give another name"));
    }
    let permissions = if contents == Contents::Secret { owner_alone(old) } else { old.permissions() };
    if !has_other_names(old) && replace_whole(path, old, permissions.clone(), bytes)? {
        return Ok(Written::File);
    }
    let file = OpenOptions::new().write(true).open(path)?;
    file.set_permissions(permissions)
        .or_else(|error| if contents == Contents::Secret { Err(error) } else { Ok(()) })?;
    file.set_len(0)?;
    fill(file, bytes)
}

/// Writes another file beside the old one and puts it in its place. Returns `false` where that cannot be done without loss.
fn replace_whole(path: &Path, old: &Metadata, permissions: Permissions, bytes: &[u8]) -> io::Result<bool> {
    let Ok(mut file) = tempfile::Builder::new().tempfile_in(folder_of(path)) else { return Ok(false) };
    if !has_same_owner(file.as_file(), old) && !give_to_owner(file.as_file(), old) {
        return Ok(false);
    }
    file.write_all(bytes)?;
    file.as_file().set_permissions(permissions)?;
    file.as_file().sync_all()?;
    Ok(file.persist(path).is_ok())
}

fn fill(mut file: File, bytes: &[u8]) -> io::Result<Written> {
    file.write_all(bytes)?;
    // Pipes and devices cannot be synced, and need not be.
    if file.metadata()?.is_file() {
        file.sync_all()?;
    }
    Ok(Written::File)
}

#[cfg(unix)]
fn mode(bits: u32) -> Permissions {
    std::os::unix::fs::PermissionsExt::from_mode(bits)
}

/// The permissions for a seed in the place of a file.
fn owner_alone(old: &Metadata) -> Permissions {
    #[cfg(unix)]
    return mode(0o600 & std::os::unix::fs::MetadataExt::mode(old));
    #[cfg(not(unix))]
    old.permissions()
}

fn has_other_names(file: &Metadata) -> bool {
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

/// Gives a new file to the owner and group of an old one, and says whether that is done: few users may.
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

/// Returns a path as messages and reports show it. Its name may hold anything, so it is escaped.
pub(crate) fn shown(path: &Path) -> String {
    wasmcloud_core::text::escaped(&path.display().to_string()).into_owned()
}

/// The text of an error without the name of a temporary file, which its user knows nothing of.
fn reason(error: &io::Error) -> String {
    let text = error.to_string();
    text.split_once(" at path \"").map_or(text.clone(), |(cause, _)| cause.to_owned())
}
