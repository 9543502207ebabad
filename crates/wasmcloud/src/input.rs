//! What commands read: whole files within bounds. A pipe is waited for, but not for ever.

use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::sync::mpsc;
use std::time::Duration;

use zeroize::Zeroizing;

use crate::outcome::{Failure, Outcome};

/// The largest file that is read, in bytes: more than any host takes.
const LARGEST: usize = 1024 * 1024 * 1024;

/// The time within which a pipe has to come to its end.
const PATIENCE: Duration = Duration::from_secs(30);

/// Reads a whole file. `what` names it in errors, such as `the module`.
pub(crate) fn read(path: &Path, what: &str) -> Outcome<Vec<u8>> {
    let mut bytes = within(path, what, LARGEST, Vec::new())?;
    Ok(std::mem::take(&mut *bytes))
}

/// Reads a file that holds a secret, of `most` bytes at most. What is read is wiped when it is dropped.
pub(crate) fn read_secret(path: &Path, what: &str, most: usize) -> Outcome<Zeroizing<Vec<u8>>> {
    // Large enough from the beginning: growing would leave a copy behind.
    within(path, what, most, Vec::with_capacity(most + 1))
}

fn within(path: &Path, what: &str, most: usize, buffer: Vec<u8>) -> Outcome<Zeroizing<Vec<u8>>> {
    let read = if is_pipe(path) { read_pipe(path.to_owned(), most, buffer) } else { read_to_end(path, most, buffer) };
    let bytes = read.map_err(|error| Failure::Refused(format!("cannot read {what} {}: {error}", path.display())))?;
    if bytes.len() > most {
        let message = format!("cannot read {what} {}: it has more than {most} bytes", path.display());
        return Err(Failure::Refused(message));
    }
    Ok(bytes)
}

fn read_to_end(path: &Path, most: usize, buffer: Vec<u8>) -> io::Result<Zeroizing<Vec<u8>>> {
    let mut buffer = Zeroizing::new(buffer);
    let file = File::open(path)?;
    if file.metadata()?.is_dir() {
        return Err(io::ErrorKind::IsADirectory.into());
    }
    // No file is longer than 64 bits can say.
    file.take(most as u64 + 1).read_to_end(&mut buffer)?;
    Ok(buffer)
}

/// Reads a pipe on a thread that is given up after a while: opening a pipe waits for a process that writes to it.
fn read_pipe(path: PathBuf, most: usize, buffer: Vec<u8>) -> io::Result<Zeroizing<Vec<u8>>> {
    let (send, receive) = mpsc::channel();
    std::thread::Builder::new().spawn(move || {
        // The command may have given up.
        let _ = send.send(read_to_end(&path, most, buffer));
    })?;
    receive.recv_timeout(PATIENCE).unwrap_or_else(|_| {
        Err(io::Error::other(format!("it is a pipe that no process has written to and closed within {PATIENCE:?}")))
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
