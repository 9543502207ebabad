//! What the process has for its host and the host has not taken yet. One thread writes it, so that those who send something
//! wait for each other's bytes only, and the thread that reads never waits for the host to read.

use std::io::Write;
use std::os::unix::net::UnixStream;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};

use wasmcloud_core::error::{Error, ErrorKind, Result};

use crate::frames::{self, ToHost};

/// How many bytes may wait before those who send more are held up.
const MOST: usize = 16 * 1024 * 1024;

/// Frames on their way to the host.
pub(super) struct Outbox {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Default)]
struct State {
    waiting: Vec<u8>,
    /// Whether the thread has bytes that it is still writing.
    writing: bool,
}

impl Outbox {
    /// Starts the thread that writes. It calls `cut` where the host takes nothing any more.
    ///
    /// # Errors
    /// Where the operating system has no thread to give.
    pub(super) fn start(line: UnixStream, cut: fn() -> !) -> Result<Arc<Outbox>> {
        let outbox = Arc::new(Outbox { state: Mutex::default(), changed: Condvar::new() });
        let writing = outbox.clone();
        let no_thread = |error| Error::new(ErrorKind::Io, "cannot start a thread").caused_by(error);
        std::thread::Builder::new()
            .name("to-host".to_owned())
            .spawn(move || writing.write(&line, cut))
            .map_err(no_thread)?;
        Ok(outbox)
    }

    /// Has a frame written after those before it. Where too many bytes wait already, it blocks until they are fewer.
    ///
    /// # Errors
    /// Where the frame cannot be written down.
    pub(super) fn send(&self, frame: &ToHost) -> Result<()> {
        let bytes = frames::encode(frame)?;
        let mut state = self.when(|state| state.waiting.len() < MOST);
        if state.waiting.is_empty() {
            state.waiting = bytes;
        } else {
            state.waiting.extend(bytes);
        }
        self.changed.notify_all();
        Ok(())
    }

    /// Waits until the host has taken everything.
    pub(super) fn flush(&self) {
        drop(self.when(|state| state.waiting.is_empty() && !state.writing));
    }

    fn write(&self, mut line: &UnixStream, cut: fn() -> !) {
        loop {
            let bytes = {
                let mut state = self.when(|state| !state.waiting.is_empty());
                state.writing = true;
                std::mem::take(&mut state.waiting)
            };
            self.changed.notify_all();
            if line.write_all(&bytes).is_err() {
                cut();
            }
            self.locked().writing = false;
            self.changed.notify_all();
        }
    }

    fn when(&self, holds: impl Fn(&State) -> bool) -> MutexGuard<'_, State> {
        let waited = self.changed.wait_while(self.locked(), |state| !holds(state));
        waited.unwrap_or_else(PoisonError::into_inner)
    }

    fn locked(&self) -> MutexGuard<'_, State> {
        // It is whole after any panic: nothing in between can fail.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
