//! What changes on a host, for all who watch: encoded once, whatever their number.
//!
//! A viewer gets a snapshot, then the differences and the events. One that falls behind loses what it has not taken, and gets a
//! new snapshot. So each holds on to a few messages at most, which all share.

use std::collections::VecDeque;
use std::fmt::{self, Write as _};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use serde::Serialize;
use tokio::sync::broadcast::{self, Receiver, Sender};
use wasmcloud_core::error::{Error, ErrorKind, Result};

use crate::delta::Delta;
use crate::state::{EventRecord, HostState};

/// How many messages a viewer may be behind.
const BEHIND: usize = 16;

/// The most viewers at a time.
const VIEWERS: usize = 200;

/// The most events that are told at once. Viewers see by their numbers that some are missing.
const EVENTS_AT_ONCE: usize = 500;

/// How long a viewer waits before it comes back after its stream has ended. Unit: milliseconds.
const RETRY_MS: u32 = 2_000;

/// The stream of a host. Cheap to clone.
#[derive(Clone)]
pub struct Feed(Arc<Mutex<Inner>>);

struct Inner {
    /// `None` once the feed is closed.
    viewers: Option<Sender<Bytes>>,
    /// The state that the viewers have. `None` if there are none.
    state: Option<Arc<HostState>>,
    /// The events that the viewers are still to be told of.
    events: VecDeque<EventRecord>,
    /// The state that the viewers have, as it is sent to a new one.
    snapshot: Option<Bytes>,
}

/// A viewer of a feed.
pub(crate) struct Viewer {
    /// The state as it is now. What `messages` brings follows it.
    pub(crate) snapshot: Bytes,
    pub(crate) messages: Receiver<Bytes>,
}

impl Feed {
    /// Returns a feed without viewers.
    pub fn new() -> Feed {
        let viewers = Some(broadcast::channel(BEHIND).0);
        Feed(Arc::new(Mutex::new(Inner { viewers, state: None, events: VecDeque::new(), snapshot: None })))
    }

    /// Returns whether anyone watches, so that there is something to be published.
    pub fn is_watched(&self) -> bool {
        self.inner().count() > 0
    }

    /// Tells the viewers what has changed. To be called once a second.
    pub fn publish(&self, state: Arc<HostState>) {
        let mut inner = self.inner();
        inner.flush();
        let before = inner.state.take().filter(|_| inner.count() > 0);
        inner.snapshot = None;
        if let Some(before) = before {
            inner.send("delta", &Delta::between(&before, &state));
            inner.state = Some(state);
        }
    }

    /// Adds an event to those that the viewers are to be told of.
    pub fn tell(&self, event: EventRecord) {
        let mut inner = self.inner();
        if inner.count() == 0 {
            return;
        }
        if inner.events.len() >= EVENTS_AT_ONCE {
            inner.events.pop_front();
        }
        inner.events.push_back(event);
    }

    /// Tells the viewers of the events that they have not heard of. Returns their number.
    pub fn flush(&self) -> usize {
        self.inner().flush()
    }

    /// Adds a viewer. `state` and `events` return the state of the host and its last events, unless they are known.
    ///
    /// # Errors
    /// `Busy` with too many viewers; `HostNotRunning` once the feed is closed; the error of `state`.
    pub(crate) fn join(
        &self,
        state: impl FnOnce() -> Result<Arc<HostState>>,
        events: impl FnOnce() -> Vec<EventRecord>,
    ) -> Result<Viewer> {
        let mut inner = self.inner();
        // No viewer is told the events of its snapshot again.
        if inner.flush() > 0 {
            inner.snapshot = None;
        }
        let watched = inner.count() > 0;
        let Some(viewers) = &inner.viewers else {
            return Err(Error::new(ErrorKind::HostNotRunning, "the host is being stopped"));
        };
        if viewers.receiver_count() >= VIEWERS {
            let message = format!("{VIEWERS} viewers watch the host already: close some of them");
            return Err(Error::new(ErrorKind::Busy, message));
        }
        let messages = viewers.subscribe();
        let state = match inner.state.clone().filter(|_| watched) {
            Some(state) => state,
            None => {
                inner.snapshot = None;
                state()?
            }
        };
        let snapshot = match inner.snapshot.clone() {
            Some(snapshot) => snapshot,
            None => {
                let retry = format!("retry: {RETRY_MS}\n");
                message(&retry, "snapshot", &with_events(&state, events()))?
            }
        };
        inner.snapshot = Some(snapshot.clone());
        inner.state = Some(state);
        Ok(Viewer { snapshot, messages })
    }

    /// Ends the streams of all viewers, once they have what was told.
    pub(crate) fn close(&self) {
        let mut inner = self.inner();
        inner.flush();
        (inner.viewers, inner.state, inner.snapshot) = (None, None, None);
    }

    fn inner(&self) -> MutexGuard<'_, Inner> {
        // Nothing panics while the lock is held.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Inner {
    fn count(&self) -> usize {
        self.viewers.as_ref().map_or(0, Sender::receiver_count)
    }

    fn send(&self, kind: &str, value: &impl Serialize) {
        match (&self.viewers, message("", kind, value)) {
            // The error means that the last viewer has gone.
            (Some(viewers), Ok(message)) => drop(viewers.send(message)),
            (_, Err(error)) => log::error!("viewers are not told of a {kind}: {error}"),
            _ => {}
        }
    }

    fn flush(&mut self) -> usize {
        let events = std::mem::take(&mut self.events);
        if events.is_empty() {
            return 0;
        }
        self.snapshot = None;
        let mut told = Vec::new();
        for event in &events {
            match message("", "event", event) {
                Ok(message) => told.extend_from_slice(&message),
                Err(error) => log::error!("viewers are not told of an event: {error}"),
            }
        }
        if let Some(viewers) = &self.viewers {
            // The error means that the last viewer has gone.
            let _ = viewers.send(told.into());
        }
        events.len()
    }
}

/// Returns a state with other events.
pub(crate) fn with_events(state: &HostState, events: Vec<EventRecord>) -> HostState {
    HostState { events, ..state.clone() }
}

/// Returns a server-sent event.
fn message(before: &str, kind: &str, value: &impl Serialize) -> Result<Bytes> {
    let mut head = String::from(before);
    // Writing to a string does not fail.
    let _ = write!(head, "event: {kind}\ndata: ");
    let mut message = head.into_bytes();
    // JSON has no line breaks of its own.
    let written = serde_json::to_writer(&mut message, value);
    written.map_err(|error| Error::new(ErrorKind::Internal, format!("a {kind} cannot be written")).caused_by(error))?;
    message.extend_from_slice(b"\n\n");
    Ok(message.into())
}

impl Default for Feed {
    fn default() -> Feed {
        Feed::new()
    }
}

impl fmt::Debug for Feed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Feed").field("viewers", &self.inner().count()).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
