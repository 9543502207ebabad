//! Records what happens, and makes states of it.
//!
//! Figures are recorded each second, whether anyone watches or not, so that the first viewer sees the minute before. A state is
//! made when someone asks, and once a second at most.

#[cfg(feature = "lattice")]
use std::sync::Weak;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

#[cfg(feature = "lattice")]
use futures_util::FutureExt;
use wasmcloud_core::error::{Error, ErrorKind, Result};
use wasmcloud_telemetry::state::{EventRecord, HostState};

use super::HostFacts;
use super::memory::{Memory, Told};
use crate::event::Event;
#[cfg(feature = "lattice")]
use crate::event::Events;

/// How often figures are recorded, and viewers are told what has changed.
pub(super) const TICK: Duration = Duration::from_secs(1);

/// How old a state may be for those who ask in between.
const FRESH: Duration = Duration::from_millis(950);

/// Remembers and tells.
pub(crate) struct Recorder {
    facts: HostFacts,
    memory: Mutex<Memory>,
    /// The events that are noted when someone asks. `None` if others note them.
    #[cfg(feature = "lattice")]
    events: Mutex<Option<Events>>,
}

impl Recorder {
    /// Returns a recorder to which others tell of events.
    pub(crate) fn new(facts: HostFacts) -> Recorder {
        Recorder {
            facts,
            memory: Mutex::default(),
            #[cfg(feature = "lattice")]
            events: Mutex::default(),
        }
    }

    /// Returns a recorder that hears of events itself, when someone asks. Of too many at once it hears the last.
    #[cfg(feature = "lattice")]
    pub(crate) fn hearing(facts: HostFacts, events: Events) -> Recorder {
        Recorder { facts, memory: Mutex::default(), events: Mutex::new(Some(events)) }
    }

    pub(super) fn facts(&self) -> &HostFacts {
        &self.facts
    }

    /// Takes note of an event, and returns it as it is told.
    pub(super) fn note(&self, event: &Event) -> EventRecord {
        self.memory().note(&self.facts.id, event)
    }

    /// Records the figures of now, unless that was done in this second.
    pub(super) fn record(&self) {
        self.memory().record(&self.facts);
    }

    /// Returns the last events, the oldest first.
    pub(super) fn events(&self) -> Vec<EventRecord> {
        self.memory().events.last().cloned().collect()
    }

    /// Returns the state of the host, without events. It is of this second.
    ///
    /// # Errors
    /// `HostNotRunning`.
    pub(crate) fn state(&self) -> Result<Arc<HostState>> {
        if let Some(told) = self.memory().told.as_ref().filter(|told| told.at.elapsed() < FRESH) {
            return Ok(told.state.clone());
        }
        self.renew()
    }

    /// Returns the state of the host as it is now, without events.
    ///
    /// # Errors
    /// As [`Recorder::state`].
    pub(super) fn renew(&self) -> Result<Arc<HostState>> {
        let mut memory = self.memory();
        let snapshot = self.facts.dispatch.snapshot();
        if !snapshot.running {
            let message = format!("host {} does not run: it was not started, or has been stopped", self.facts.id);
            return Err(Error::new(ErrorKind::HostNotRunning, message));
        }
        memory.record(&self.facts);
        memory.look(&self.facts, &snapshot);
        let state = Arc::new(memory.state(&self.facts, &snapshot));
        memory.told = Some(Told {
            at: Instant::now(),
            state: state.clone(),
            #[cfg(feature = "lattice")]
            whole: None,
        });
        Ok(state)
    }

    /// Returns the state of the host with its last events. All who ask for it in one second share it.
    ///
    /// # Errors
    /// As [`Recorder::state`].
    #[cfg(feature = "lattice")]
    pub(crate) fn whole_state(&self) -> Result<Arc<HostState>> {
        let state = self.state()?;
        self.hear();
        let mut memory = self.memory();
        if let Some(whole) = memory.told.as_ref().and_then(|told| told.whole.as_ref()) {
            return Ok(whole.clone());
        }
        let mut whole = HostState::clone(&state);
        whole.events = memory.events.last().cloned().collect();
        let whole = Arc::new(whole);
        if let Some(told) = memory.told.as_mut().filter(|told| Arc::ptr_eq(&told.state, &state)) {
            told.whole = Some(whole.clone());
        }
        Ok(whole)
    }

    /// Records each second, until the recorder is gone. A recorder of a host with a port is told to by the port's thread.
    #[cfg(feature = "lattice")]
    pub(crate) async fn tick(recorder: Weak<Recorder>) {
        let mut ticks = tokio::time::interval(TICK);
        ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            ticks.tick().await;
            let Some(recorder) = recorder.upgrade() else { return };
            recorder.record();
            recorder.hear();
        }
    }

    /// Takes note of the events that have come since the last time.
    #[cfg(feature = "lattice")]
    fn hear(&self) {
        let mut events = self.events.lock().unwrap_or_else(PoisonError::into_inner);
        while let Some(Some(event)) = events.as_mut().and_then(|events| events.next().now_or_never()) {
            self.note(&event);
        }
    }

    fn memory(&self) -> MutexGuard<'_, Memory> {
        // Nothing panics while the lock is held.
        self.memory.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
