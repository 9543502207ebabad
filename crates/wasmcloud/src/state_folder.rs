//! The folder `.wasmcloud` of a working folder, and its lock: two hosts in one folder would fight over ports and stores.

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{self, Read as _, Seek as _, Write as _};
use std::path::{Path, PathBuf};

use crate::outcome::{CommandError, CommandResult};

/// The name of the folder, unless another one is asked for.
pub(crate) const DEFAULT: &str = ".wasmcloud";

/// A folder that this process has locked. The lock ends with the process, however that ends.
#[derive(Debug)]
pub(crate) struct StateFolder {
    path: PathBuf,
    /// Whether this process has made the folder.
    is_new: bool,
    _lock: File,
}

impl StateFolder {
    /// Makes the folder if there is none, and locks it.
    ///
    /// # Errors
    /// `Failed` if another process holds the lock, or the folder cannot be written.
    pub(crate) fn lock(path: &Path) -> CommandResult<StateFolder> {
        let is_new = !path.exists();
        let mut file = open(path).map_err(|error| {
            CommandError::Failed(format!(
                "cannot write to the folder {}: {error}; run where you can write, or choose a folder with --state-folder",
                path.display()
            ))
        })?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => return Err(held(path, &mut file)),
            Err(TryLockError::Error(error)) => {
                return Err(CommandError::Failed(format!("cannot lock the folder {}: {error}", path.display())));
            }
        }
        // Only a message to others reads it: without the number the lock holds as well.
        let _ = write_process(&mut file);
        Ok(StateFolder { path: path.to_owned(), is_new, _lock: file })
    }

    /// Returns the path of something in the folder.
    pub(crate) fn join(&self, name: &str) -> PathBuf {
        self.path.join(name)
    }

    /// Removes the folder if this process has made it.
    pub(crate) fn remove_if_new(self) {
        if self.is_new {
            // What cannot be removed does no harm: the lock ends with this process.
            let _ = fs::remove_dir_all(&self.path);
        }
    }
}

/// Opens the file of the lock. The folder tells git to ignore it.
fn open(path: &Path) -> io::Result<File> {
    fs::create_dir_all(path)?;
    let ignored = path.join(".gitignore");
    if !ignored.exists() {
        fs::write(ignored, "*\n")?;
    }
    OpenOptions::new().read(true).write(true).create(true).truncate(false).open(path.join("lock"))
}

fn write_process(file: &mut File) -> io::Result<()> {
    file.set_len(0)?;
    writeln!(file, "{}", std::process::id())
}

/// Returns the error of a folder that another process has locked.
fn held(path: &Path, file: &mut File) -> CommandError {
    let mut text = String::new();
    let read = file.rewind().and_then(|()| file.take(32).read_to_string(&mut text));
    let process: Option<u32> = read.ok().and_then(|_| text.trim().parse().ok());
    let holder = process.map_or_else(|| "another process".to_owned(), |process| format!("process {process}"));
    CommandError::Failed(format!(
        "{holder} runs a host in this folder already, and holds the lock {}: stop it, or run this one in another folder",
        path.join("lock").display()
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_process_at_a_time_has_a_folder_and_others_learn_which() {
        let parent = tempfile::tempdir().unwrap();
        let path = parent.path().join(DEFAULT);
        let first = StateFolder::lock(&path).unwrap();
        let CommandError::Failed(text) = StateFolder::lock(&path).unwrap_err() else { panic!() };
        assert!(text.contains(&format!("process {}", std::process::id())), "{text}");
        assert_eq!(fs::read_to_string(first.join(".gitignore")).unwrap(), "*\n");
        drop(first);
        let second = StateFolder::lock(&path).unwrap();
        second.remove_if_new();
        assert!(path.exists(), "it was there before");
    }

    #[test]
    fn a_new_folder_can_be_removed_without_a_trace() {
        let parent = tempfile::tempdir().unwrap();
        let path = parent.path().join(DEFAULT);
        StateFolder::lock(&path).unwrap().remove_if_new();
        assert!(!path.exists());
    }
}
