//! Writes frames to the host on a thread of its own. Threads that send a frame only queue it, so the thread that reads never
//! waits for the host to read.

use std::io::Write;
use std::os::unix::net::UnixStream;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};

use wasmcloud_core::error::{Error, ErrorKind, Result};

use crate::frames::{self, ToHost};

/// How many bytes are queued before sending blocks.
const QUEUE_BYTES: usize = 16 * 1024 * 1024;

/// A queue of encoded frames, and the thread that writes them.
pub(super) struct FrameWriter {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Default)]
struct State {
    queue: Vec<u8>,
    /// Whether the thread is writing bytes that are no longer in the queue.
    writing: bool,
}

impl FrameWriter {
    /// Starts the thread that writes. It calls `on_failure` if the host has closed the connection.
    ///
    /// # Errors
    /// `Io` if the operating system cannot start a thread.
    pub(super) fn start(socket: UnixStream, on_failure: fn() -> !) -> Result<Arc<FrameWriter>> {
        let writer = Arc::new(FrameWriter { state: Mutex::default(), changed: Condvar::new() });
        let of_thread = writer.clone();
        let no_thread = |error| Error::new(ErrorKind::Io, "cannot start a thread").caused_by(error);
        std::thread::Builder::new()
            .name("to-host".to_owned())
            .spawn(move || of_thread.write_queued(&socket, on_failure))
            .map_err(no_thread)?;
        Ok(writer)
    }

    /// Queues a frame. Blocks while the queue is full.
    ///
    /// # Errors
    /// If the frame cannot be encoded.
    pub(super) fn send(&self, frame: &ToHost) -> Result<()> {
        let bytes = frames::encode(frame)?;
        let mut state = self.wait_until(|state| state.queue.len() < QUEUE_BYTES);
        if state.queue.is_empty() {
            state.queue = bytes;
        } else {
            state.queue.extend(bytes);
        }
        self.changed.notify_all();
        Ok(())
    }

    /// Blocks until all queued frames have been written.
    pub(super) fn flush(&self) {
        drop(self.wait_until(|state| state.queue.is_empty() && !state.writing));
    }

    fn write_queued(&self, mut socket: &UnixStream, on_failure: fn() -> !) {
        loop {
            let bytes = {
                let mut state = self.wait_until(|state| !state.queue.is_empty());
                state.writing = true;
                std::mem::take(&mut state.queue)
            };
            self.changed.notify_all();
            if socket.write_all(&bytes).is_err() {
                on_failure();
            }
            self.locked().writing = false;
            self.changed.notify_all();
        }
    }

    fn wait_until(&self, condition: impl Fn(&State) -> bool) -> MutexGuard<'_, State> {
        let waited = self.changed.wait_while(self.locked(), |state| !condition(state));
        waited.unwrap_or_else(PoisonError::into_inner)
    }

    fn locked(&self) -> MutexGuard<'_, State> {
        // The state is consistent after any panic: no change of it can fail halfway.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
