//! The connection to a plugin's process: the frames that are sent, the pending requests, and the end of the process.

use std::collections::HashMap;
use std::net::Shutdown;
use std::os::unix::net::UnixStream;
use std::sync::atomic::AtomicBool;
use std::sync::{Mutex, MutexGuard, PoisonError};

use crossbeam_channel::Sender;
use tokio::sync::{Notify, oneshot};
use wasmcloud_core::error::{Error, ErrorKind, Result};

use crate::budget::ReservedBytes;
use crate::frames::{self, ToPlugin};
use crate::plugin_log::PluginLog;
use crate::request::Outcome;

/// A frame for the process, and the bytes that are reserved for it until it is written.
pub(super) struct OutgoingFrame {
    pub(super) frame: ToPlugin,
    pub(super) reserved: Option<ReservedBytes>,
}

/// The connection to a process.
pub(super) struct Connection {
    socket: UnixStream,
    /// The queue of the thread that writes. Sending does not block. The budgets of the plugin bound its length.
    outgoing: Sender<OutgoingFrame>,
    /// The requests that the process has not answered, by id.
    pending: Mutex<HashMap<u64, PendingRequest>>,
    /// Why the process is to be terminated, once that has been requested.
    termination_reason: Mutex<Option<String>>,
    termination_requested: Notify,
    /// Why the process has exited, once it has.
    exit_reason: Mutex<Option<String>>,
    pub(super) exited: Notify,
    /// Whether the provider is being stopped, so that the end of the process is no failure.
    pub(super) stopping: AtomicBool,
    /// The name of the provider in errors.
    name: String,
    /// Takes the lines of the plugin.
    pub(super) log: PluginLog,
}

/// A request that the process has not answered.
struct PendingRequest {
    response: oneshot::Sender<Outcome>,
    /// The bytes of the request in the memory of the process.
    _reserved: Option<ReservedBytes>,
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // The contents are consistent after any panic: each use is a single operation.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Connection {
    pub(super) fn new(socket: UnixStream, outgoing: Sender<OutgoingFrame>, name: String, log: PluginLog) -> Connection {
        Connection {
            socket,
            outgoing,
            pending: Mutex::default(),
            termination_reason: Mutex::default(),
            termination_requested: Notify::default(),
            exit_reason: Mutex::default(),
            exited: Notify::default(),
            stopping: AtomicBool::default(),
            name,
            log,
        }
    }

    /// Sends a request and waits for its outcome.
    ///
    /// # Errors
    /// `ProviderDied` if the process has exited or exits before it answers.
    pub(super) async fn request(&self, id: u64, frame: ToPlugin, reserved: Option<ReservedBytes>) -> Result<Outcome> {
        let (response, receiver) = oneshot::channel();
        locked(&self.pending).insert(id, PendingRequest { response, _reserved: reserved });
        // Checked after the insertion: `mark_exited` sets the reason before it fails the pending requests.
        if locked(&self.exit_reason).is_some() || !self.send(OutgoingFrame { frame, reserved: None }) {
            locked(&self.pending).remove(&id);
            return Err(self.died());
        }
        receiver.await.map_err(|_| self.died())
    }

    /// Queues a frame without blocking. Returns whether frames can still be sent to the process.
    pub(super) fn send(&self, outgoing: OutgoingFrame) -> bool {
        self.outgoing.send(outgoing).is_ok()
    }

    /// Completes a pending request without blocking.
    ///
    /// # Errors
    /// `ProtocolViolation` if there is no such pending request.
    pub(super) fn complete(&self, id: u64, outcome: Outcome) -> Result<()> {
        let pending = locked(&self.pending).remove(&id);
        let pending = pending.ok_or_else(|| frames::violation("a request was answered that was not made"))?;
        // The receiver is dropped if the caller's deadline has passed.
        let _ = pending.response.send(outcome);
        Ok(())
    }

    /// Returns whether the process has not answered a request yet.
    pub(super) fn is_pending(&self, id: u64) -> bool {
        locked(&self.pending).contains_key(&id)
    }

    /// Removes a request. Returns whether it was pending.
    pub(super) fn abandon(&self, id: u64) -> bool {
        locked(&self.pending).remove(&id).is_some()
    }

    /// Requests the termination of the process. The first reason counts.
    pub(super) fn terminate(&self, reason: String) {
        locked(&self.termination_reason).get_or_insert(reason);
        self.termination_requested.notify_one();
    }

    /// Waits until the termination of the process is requested, and returns the reason.
    pub(super) async fn termination_requested(&self) -> String {
        self.termination_requested.notified().await;
        locked(&self.termination_reason).clone().unwrap_or_default()
    }

    /// Ends reading after the bytes that have been sent already, even if another process holds the other end open.
    pub(super) fn shut_down_reads(&self) {
        // Fails if the socket is not connected any more. Then reading has ended.
        let _ = self.socket.shutdown(Shutdown::Read);
    }

    /// Closes the connection. The process exits when it notices.
    pub(super) fn close(&self) {
        // As above.
        let _ = self.socket.shutdown(Shutdown::Both);
    }

    /// Records that the process has exited, and fails all pending requests.
    pub(super) fn mark_exited(&self, reason: String) {
        locked(&self.exit_reason).get_or_insert(reason);
        // Dropping the senders fails the requests.
        locked(&self.pending).clear();
        self.exited.notify_one();
    }

    /// Returns whether the process has exited.
    pub(super) fn has_exited(&self) -> bool {
        locked(&self.exit_reason).is_some()
    }

    fn died(&self) -> Error {
        let reason = locked(&self.exit_reason).clone();
        let reason = reason.unwrap_or_else(|| "its process is exiting".to_owned());
        Error::new(ErrorKind::ProviderDied, format!("{} died: {reason}", self.name))
    }
}
