//! Reads the input files of commands, up to a size limit. Reading a pipe has a timeout.

use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::sync::mpsc;
use std::time::Duration;

use zeroize::Zeroizing;

use crate::outcome::{CommandError, CommandResult};

/// The size of the largest file that is read, in bytes. Hosts have smaller limits.
const LARGEST: usize = 1024 * 1024 * 1024;

/// How long reading a pipe may take.
const PIPE_TIMEOUT: Duration = Duration::from_secs(30);

/// Reads a whole file. `name` names its content in errors, such as `the module`.
pub(crate) fn read(path: &Path, name: &str) -> CommandResult<Vec<u8>> {
    read_up_to(path, name, LARGEST)
}

/// Reads a file of at most `limit` bytes. `name` names its content in errors, such as `the report`.
pub(crate) fn read_up_to(path: &Path, name: &str, limit: usize) -> CommandResult<Vec<u8>> {
    let mut bytes = read_limited(path, name, limit, Vec::new())?;
    Ok(std::mem::take(&mut *bytes))
}

/// Reads a file that contains a secret, of at most `limit` bytes. The bytes are wiped when they are dropped.
pub(crate) fn read_secret(path: &Path, name: &str, limit: usize) -> CommandResult<Zeroizing<Vec<u8>>> {
    // A buffer that grows would leave a copy of the secret behind.
    read_limited(path, name, limit, Vec::with_capacity(limit + 1))
}

fn read_limited(path: &Path, name: &str, limit: usize, buffer: Vec<u8>) -> CommandResult<Zeroizing<Vec<u8>>> {
    let read = if is_pipe(path) { read_pipe(path.to_owned(), limit, buffer) } else { read_to_end(path, limit, buffer) };
    let bytes =
        read.map_err(|error| CommandError::Failed(format!("cannot read {name} {}: {error}", path.display())))?;
    if bytes.len() > limit {
        let message = format!("cannot read {name} {}: it has more than {limit} bytes", path.display());
        return Err(CommandError::Failed(message));
    }
    Ok(bytes)
}

fn read_to_end(path: &Path, limit: usize, buffer: Vec<u8>) -> io::Result<Zeroizing<Vec<u8>>> {
    let mut buffer = Zeroizing::new(buffer);
    let file = File::open(path)?;
    if file.metadata()?.is_dir() {
        return Err(io::ErrorKind::IsADirectory.into());
    }
    // Sizes of files fit in 64 bits.
    file.take(limit as u64 + 1).read_to_end(&mut buffer)?;
    Ok(buffer)
}

/// Reads a pipe on a thread of its own, with a timeout, because opening a pipe blocks until a process writes to it.
fn read_pipe(path: PathBuf, limit: usize, buffer: Vec<u8>) -> io::Result<Zeroizing<Vec<u8>>> {
    let (send, receive) = mpsc::channel();
    std::thread::Builder::new().spawn(move || {
        // The receiver is gone after the timeout.
        let _ = send.send(read_to_end(&path, limit, buffer));
    })?;
    receive.recv_timeout(PIPE_TIMEOUT).unwrap_or_else(|_| {
        Err(io::Error::other(format!("no process has written to the pipe and closed it within {PIPE_TIMEOUT:?}")))
    })
}

fn is_pipe(path: &Path) -> bool {
    #[cfg(unix)]
    return path.metadata().is_ok_and(|file| std::os::unix::fs::FileTypeExt::is_fifo(&file.file_type()));
    #[cfg(not(unix))]
    {
        let _ = path;
        false
    }
}
