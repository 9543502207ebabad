//! Watches files for changes of their contents.
//!
//! The operating system reports changes of the files' folders, since many editors write a new file and rename it. A
//! change is reported once no further event has come for a moment, and only if the contents differ from those seen last:
//! times mean nothing. In case the system reports nothing (network file systems, folders that are removed and made again), the files'
//! sizes and times are looked at every second.

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::hash::{DefaultHasher, Hasher as _};
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::time::{Duration, Instant, SystemTime};

use notify::{RecommendedWatcher, RecursiveMode, Watcher as _};
use tokio::sync::watch;

use crate::outcome::{CommandError, CommandResult};

/// How long no event must come before a change is reported: writers of several pieces have finished then.
const QUIET: Duration = Duration::from_millis(10);

/// How long events may keep a report back.
const LONGEST_WAIT: Duration = Duration::from_secs(1);

/// How often the files are looked at without an event.
const LOOK: Duration = Duration::from_secs(1);

/// Watches files until it is dropped.
#[derive(Debug)]
pub(crate) struct Watch {
    changes: watch::Receiver<()>,
}

impl Watch {
    /// Watches files, whose contents may be missing for a while.
    ///
    /// # Errors
    /// `Failed` if no thread can be created.
    pub(crate) fn of(files: Vec<PathBuf>) -> CommandResult<Watch> {
        let (report, changes) = watch::channel(());
        let mut files = WatchedFiles::new(files);
        let run = move || files.report_changes(&report);
        std::thread::Builder::new().name("watch".to_owned()).spawn(run).map_err(|error| {
            CommandError::Failed(format!("cannot watch files: a thread cannot be created: {error}"))
        })?;
        Ok(Watch { changes })
    }

    /// Returns once the contents of a file have changed since the last return.
    pub(crate) async fn changed(&mut self) {
        if self.changes.changed().await.is_err() {
            // The thread has panicked: there will be no more changes.
            std::future::pending().await
        }
    }
}

/// The files, and what was seen of them.
struct WatchedFiles {
    files: Vec<PathBuf>,
    /// The events of the folders, and the folders that are watched.
    events: Receiver<()>,
    watcher: Option<RecommendedWatcher>,
    folders: BTreeSet<PathBuf>,
    seen: Vec<Look>,
    contents: u64,
}

/// What a file looks like from outside.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Look {
    bytes: u64,
    modified: Option<SystemTime>,
}

impl WatchedFiles {
    fn new(files: Vec<PathBuf>) -> WatchedFiles {
        let (sender, events) = channel();
        let watcher = watcher(files.clone(), sender);
        if let Err(error) = &watcher {
            log::warn!("changes are noticed within a second only: {error}");
        }
        let watcher = watcher.ok();
        let mut watched =
            WatchedFiles { files, events, watcher, folders: BTreeSet::new(), seen: Vec::new(), contents: 0 };
        watched.watch_folders();
        watched.seen = watched.look();
        watched.contents = watched.hash();
        watched
    }

    /// Reports changes until the receiver is dropped.
    fn report_changes(&mut self, report: &watch::Sender<()>) {
        while !report.is_closed() {
            let event = self.events.recv_timeout(LOOK);
            match event {
                Ok(()) => self.wait_for_quiet(),
                // Without a watcher there are no events: the files are looked at all the same.
                Err(RecvTimeoutError::Disconnected) => std::thread::sleep(LOOK),
                Err(RecvTimeoutError::Timeout) => {}
            }
            self.watch_folders();
            if self.have_changed(event.is_ok()) {
                report.send_replace(());
            }
        }
    }

    /// Returns whether the contents differ from those seen last. Without an event they are read only if the files look
    /// different.
    fn have_changed(&mut self, after_event: bool) -> bool {
        let seen = self.look();
        let looks_the_same = seen == self.seen;
        self.seen = seen;
        if !after_event && looks_the_same {
            return false;
        }
        let contents = self.hash();
        std::mem::replace(&mut self.contents, contents) != contents
    }

    fn wait_for_quiet(&self) {
        let began = Instant::now();
        while began.elapsed() < LONGEST_WAIT && self.events.recv_timeout(QUIET).is_ok() {}
    }

    /// Watches the folders of the files, and those that symbolic links lead to. A folder that was removed is watched again
    /// once it is there.
    fn watch_folders(&mut self) {
        let Some(watcher) = &mut self.watcher else { return };
        let targets = self.files.iter().filter_map(|file| fs::canonicalize(file).ok());
        let wanted: BTreeSet<PathBuf> =
            self.files.iter().cloned().chain(targets).map(|file| folder_of(&file)).collect();
        self.folders.retain(|folder| folder.is_dir());
        for folder in wanted {
            if !self.folders.contains(&folder) && watcher.watch(&folder, RecursiveMode::NonRecursive).is_ok() {
                self.folders.insert(folder);
            }
        }
    }

    fn look(&self) -> Vec<Look> {
        let look = |file: &PathBuf| match file.metadata() {
            Ok(metadata) => Look { bytes: metadata.len(), modified: metadata.modified().ok() },
            Err(_) => Look { bytes: 0, modified: None },
        };
        self.files.iter().map(look).collect()
    }

    /// Returns a hash of the contents of all files.
    fn hash(&self) -> u64 {
        let mut hasher = DefaultHasher::new();
        for file in &self.files {
            // A file that cannot be read differs from one that can, and from an empty one.
            let is_whole = hash_file(file, &mut hasher).is_ok();
            hasher.write_u8(u8::from(is_whole));
        }
        hasher.finish()
    }
}

fn hash_file(file: &Path, hasher: &mut DefaultHasher) -> io::Result<()> {
    let mut file = File::open(file)?;
    let mut buffer = vec![0; 256 * 1024];
    loop {
        match file.read(&mut buffer)? {
            0 => return Ok(()),
            length => hasher.write(&buffer[..length]),
        }
    }
}

/// Returns a watcher that sends a message for each event that may concern one of the files.
fn watcher(files: Vec<PathBuf>, sender: Sender<()>) -> notify::Result<RecommendedWatcher> {
    let names: BTreeSet<_> =
        files.iter().flat_map(|file| [Some(file.clone()), fs::canonicalize(file).ok()]).flatten().collect();
    let names: BTreeSet<_> = names.iter().filter_map(|file| file.file_name().map(ToOwned::to_owned)).collect();
    notify::recommended_watcher(move |event: notify::Result<notify::Event>| {
        let concerns = match &event {
            // Reading is no change, and the look at the files reads them.
            Ok(event) if event.kind.is_access() && !is_end_of_writing(event.kind) => false,
            Ok(event) => event.paths.iter().any(|path| path.file_name().is_none_or(|name| names.contains(name))),
            Err(_) => true,
        };
        if concerns {
            // The receiver is gone once the watch has ended.
            let _ = sender.send(());
        }
    })
}

fn is_end_of_writing(kind: notify::EventKind) -> bool {
    use notify::event::{AccessKind, AccessMode};
    kind == notify::EventKind::Access(AccessKind::Close(AccessMode::Write))
}

fn folder_of(file: &Path) -> PathBuf {
    file.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new(".")).to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run(test: impl AsyncFnOnce()) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(test());
    }

    async fn soon(watch: &mut Watch) {
        let changed = tokio::time::timeout(Duration::from_secs(20), watch.changed()).await;
        changed.expect("the change is reported");
    }

    #[test]
    fn new_contents_are_reported_however_they_are_written() {
        run(async || {
            let folder = tempfile::tempdir().unwrap();
            let file = folder.path().join("a.wasm");
            fs::write(&file, "one").unwrap();
            let mut watch = Watch::of(vec![file.clone()]).unwrap();
            fs::write(&file, "two").unwrap();
            soon(&mut watch).await;
            fs::write(folder.path().join("new"), "six").unwrap();
            fs::rename(folder.path().join("new"), &file).unwrap();
            soon(&mut watch).await;
            fs::remove_file(&file).unwrap();
            soon(&mut watch).await;
            fs::remove_dir_all(folder.path()).unwrap();
            fs::create_dir(folder.path()).unwrap();
            fs::write(&file, "ten").unwrap();
            soon(&mut watch).await;
        });
    }

    #[test]
    fn the_same_contents_again_are_no_change() {
        let folder = tempfile::tempdir().unwrap();
        let files = ["a", "b"].map(|name| folder.path().join(name));
        for file in &files {
            fs::write(file, "one").unwrap();
        }
        let mut watched = WatchedFiles::new(files.to_vec());
        fs::write(&files[0], "one").unwrap();
        File::open(&files[0]).unwrap().set_modified(SystemTime::UNIX_EPOCH).unwrap();
        fs::write(folder.path().join("c"), "other").unwrap();
        assert!(!watched.have_changed(true) && !watched.have_changed(false));
        fs::write(&files[1], "two").unwrap();
        assert!(watched.have_changed(true) && !watched.have_changed(true));
        fs::write(&files[1], "three").unwrap();
        assert!(watched.have_changed(false), "without an event");
        fs::remove_file(&files[1]).unwrap();
        assert!(watched.have_changed(false));
    }
}
