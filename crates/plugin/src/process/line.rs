//! The line to a plugin's process: what is sent on it, who waits for answers, and how it ends.

use std::collections::HashMap;
use std::net::Shutdown;
use std::os::unix::net::UnixStream;
use std::sync::atomic::AtomicBool;
use std::sync::{Mutex, MutexGuard, PoisonError};

use crossbeam_channel::Sender;
use tokio::sync::{Notify, oneshot};
use wasmcloud_core::error::{Error, ErrorKind, Result};

use crate::budget::Reserved;
use crate::frames::{self, ToPlugin};
use crate::order::Outcome;

/// A frame for the process, and what it takes of the host's memory until it is written.
pub(super) struct Outgoing {
    pub(super) frame: ToPlugin,
    pub(super) held: Option<Reserved>,
}

/// The line to a process.
pub(super) struct Line {
    socket: UnixStream,
    /// The way to the thread that writes. Nobody waits for it: what can be in it is bounded by the budgets of the plugin.
    outgoing: Sender<Outgoing>,
    /// Those who wait to be answered, by the numbers of their orders.
    waiting: Mutex<HashMap<u64, Waiting>>,
    /// Why the process is to be ended at once, once that is so.
    condemned: Mutex<Option<String>>,
    condemn: Notify,
    /// Why it has ended, once it has.
    ended: Mutex<Option<String>>,
    pub(super) end: Notify,
    /// Whether its end is what everybody waits for.
    pub(super) stopping: AtomicBool,
    name: String,
}

/// An order that the process has not answered.
struct Waiting {
    answer: oneshot::Sender<Outcome>,
    /// What the order takes of the process's memory.
    _held: Option<Reserved>,
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // What is in them is whole after any panic: each use is a single operation.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Line {
    pub(super) fn new(socket: UnixStream, outgoing: Sender<Outgoing>, name: String) -> Line {
        let (waiting, condemned, condemn, ended, end, stopping) = Default::default();
        Line { socket, outgoing, waiting, condemned, condemn, ended, end, stopping, name }
    }

    pub(super) fn name(&self) -> &str {
        &self.name
    }

    /// Sends something that is answered, and waits for the answer.
    pub(super) async fn ask(&self, id: u64, frame: ToPlugin, held: Option<Reserved>) -> Result<Outcome> {
        let (answer, answered) = oneshot::channel();
        locked(&self.waiting).insert(id, Waiting { answer, _held: held });
        // Whoever ends the line does so before looking for those who wait.
        if locked(&self.ended).is_some() || !self.send(Outgoing { frame, held: None }) {
            locked(&self.waiting).remove(&id);
            return Err(self.gone());
        }
        answered.await.map_err(|_| self.gone())
    }

    /// Has something sent. It does not block. Returns whether the process can still be sent anything.
    pub(super) fn send(&self, outgoing: Outgoing) -> bool {
        self.outgoing.send(outgoing).is_ok()
    }

    /// Brings what came of an order to whoever waits for it. It does not block.
    ///
    /// # Errors
    /// `ProtocolViolation` where there is no such order, or it has been answered.
    pub(super) fn bring(&self, id: u64, outcome: Outcome) -> Result<()> {
        let waiting = locked(&self.waiting).remove(&id);
        let waiting = waiting.ok_or_else(|| frames::breach("an order was answered that nobody gave"))?;
        // Nobody listens any more where the caller's time was up.
        let _ = waiting.answer.send(outcome);
        Ok(())
    }

    /// Tells whether an order is still to be answered.
    pub(super) fn waits_for(&self, id: u64) -> bool {
        locked(&self.waiting).contains_key(&id)
    }

    /// Gives an order up. Returns whether it was still to be answered.
    pub(super) fn give_up(&self, id: u64) -> bool {
        locked(&self.waiting).remove(&id).is_some()
    }

    /// Has the process ended at once.
    pub(super) fn condemn(&self, why: String) {
        locked(&self.condemned).get_or_insert(why);
        self.condemn.notify_one();
    }

    /// Waits until the process is to be ended at once, and tells why.
    pub(super) async fn condemned(&self) -> String {
        self.condemn.notified().await;
        locked(&self.condemned).clone().unwrap_or_default()
    }

    /// Has reading end behind what has been sent already, whoever else holds the other end.
    pub(super) fn end_reading(&self) {
        // Where it is not connected any more, it has ended.
        let _ = self.socket.shutdown(Shutdown::Read);
    }

    /// Cuts the line. The process takes that for its end.
    pub(super) fn cut(&self) {
        // As above.
        let _ = self.socket.shutdown(Shutdown::Both);
    }

    /// Takes note that the process has ended.
    pub(super) fn close(&self, why: String) {
        locked(&self.ended).get_or_insert(why);
        // Dropped, they tell that nothing comes any more.
        locked(&self.waiting).clear();
        self.end.notify_one();
    }

    /// Tells whether the process has ended.
    pub(super) fn has_ended(&self) -> bool {
        locked(&self.ended).is_some()
    }

    fn gone(&self) -> Error {
        let why = locked(&self.ended).clone();
        let why = why.unwrap_or_else(|| "its process is just shutdown".to_owned());
        Error::new(ErrorKind::ProviderDied, format!("{} died: {why}", self.name))
    }
}
