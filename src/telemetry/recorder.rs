//! What is remembered from one second to the next, and the state that is made of it.
//!
//! Figures are recorded each second, whether anyone watches or not, so that the first viewer sees the minute before. A state is
//! made when someone asks, and once a second at most.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant, SystemTime};

#[cfg(feature = "lattice")]
use futures_util::FutureExt;
use wasmcloud_claims::TrustState;
use wasmcloud_core::error::{Error, ErrorKind, Result};
use wasmcloud_telemetry::state::{EventRecord, HostState, ThisHost};

use super::history::{Row, told_latency};
use super::known::Child;
use super::told_events::ToldEvents;
use super::{HostFacts, Stage, entities, hosts, millis};
use crate::child::Child as Key;
use crate::dispatch::snapshot::{Condition, RunningActor, RunningProvider, Snapshot};
use crate::event::Event;
#[cfg(feature = "lattice")]
use crate::event::{EventKind, Events};
use crate::instruments::Latency;
use crate::link::LinkKey;

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

#[derive(Default)]
struct Memory {
    children: HashMap<Key, Child>,
    links: HashMap<LinkKey, LinkStanding>,
    events: ToldEvents,
    rate: Row,
    /// When the lattice began to be as it is. Unit: milliseconds since 1970.
    lattice_since: Option<u64>,
    recorded: Option<Instant>,
    told: Option<Told>,
}

/// A state that was made.
struct Told {
    at: Instant,
    state: Arc<HostState>,
}

/// Since when a link is as it is.
struct LinkStanding {
    state: &'static str,
    since: u64,
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
        memory.look(&snapshot);
        let state = Arc::new(memory.state(&self.facts, &snapshot));
        memory.told = Some(Told { at: Instant::now(), state: state.clone() });
        Ok(state)
    }

    /// Returns the state of the host with its last events.
    ///
    /// # Errors
    /// As [`Recorder::state`].
    #[cfg(feature = "lattice")]
    pub(crate) fn whole_state(&self) -> Result<Arc<HostState>> {
        self.hear();
        let mut state = HostState::clone(&*self.state()?);
        state.events = self.events();
        Ok(Arc::new(state))
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

impl Memory {
    fn note(&mut self, host: &str, event: &Event) -> EventRecord {
        if let Ok(key) = Key::of(&event.entity) {
            self.children.entry(key).or_default().standing.note(event);
        }
        #[cfg(feature = "lattice")]
        if let EventKind::LatticeChanged { .. } = event.kind {
            self.lattice_since = Some(millis(event.at));
        }
        self.events.keep(host, event)
    }

    /// Records the figures of now, unless that was done in this second.
    fn record(&mut self, facts: &HostFacts) {
        let now = Instant::now();
        let seconds = match self.recorded {
            // A tick may be a little early.
            Some(recorded) if now.duration_since(recorded) < FRESH => return,
            Some(recorded) => now.duration_since(recorded).as_secs_f64().round().max(1.0) as u64,
            None => 1,
        };
        self.recorded = Some(now);
        let snapshot = facts.dispatch.snapshot();
        self.look(&snapshot);
        let instruments = facts.dispatch.instruments();
        let mut calls = 0;
        for (key, child) in &mut self.children {
            let reading = match key {
                Key::Actor(key) => instruments.read_actor(key),
                Key::Provider(key) => instruments.read_provider(key),
            };
            calls += reading.as_ref().map_or(0, |reading| child.history.record(reading, seconds));
            child.reading = reading;
        }
        self.rate.add(calls, seconds);
    }

    /// Takes note of how everything stands now, and forgets what does not run any more.
    fn look(&mut self, snapshot: &Snapshot) {
        let at = millis(SystemTime::now());
        for RunningActor { identity, condition, draining, .. } in snapshot.actors.values() {
            let look = Look { trust: &identity.trust, condition, is_stopping: *draining };
            self.look_at(Key::Actor(identity.key.clone()), &look, snapshot, at);
        }
        for RunningProvider { identity, condition, is_closing, .. } in snapshot.providers.values() {
            let look = Look { trust: &identity.trust, condition, is_stopping: *is_closing };
            self.look_at(Key::Provider(identity.key.clone()), &look, snapshot, at);
        }
        self.children.retain(|_, child| std::mem::take(&mut child.is_there));
        self.look_at_links(snapshot, at);
    }

    fn look_at(&mut self, key: Key, look: &Look<'_>, snapshot: &Snapshot, at: u64) {
        let check = snapshot.health.get(&key);
        let (health, checked_at) = entities::health(look.trust, look.condition, check);
        let child = self.children.entry(key).or_insert_with(|| Child::started(at));
        child.is_there = true;
        child.standing.look(look.condition, look.is_stopping, health, at);
        child.checked_at = checked_at;
        child.reason = child.standing.reason(look.condition, check.map(|check| &check.health));
    }

    fn look_at_links(&mut self, snapshot: &Snapshot, at: u64) {
        self.links.retain(|key, _| snapshot.links.contains_key(key));
        for (key, link) in &snapshot.links {
            let state = entities::state_of_link(&link.state);
            match self.links.get_mut(key) {
                Some(standing) if standing.state == state => {}
                Some(standing) => *standing = LinkStanding { state, since: at },
                None => drop(self.links.insert(key.clone(), LinkStanding { state, since: at })),
            }
        }
    }

    fn state(&self, facts: &HostFacts, snapshot: &Snapshot) -> HostState {
        let at = millis(SystemTime::now());
        let nothing = Child::default();
        let known = |key: &Key| self.children.get(key).unwrap_or(&nothing);
        let mut state = HostState::default();
        state.at = at;
        state.actors = snapshot
            .actors
            .values()
            .map(|running| entities::actor(running, known(&Key::Actor(running.identity.key.clone())), at))
            .collect();
        state.actors.sort_unstable_by(|one, other| one.id.cmp(&other.id));
        state.providers = snapshot
            .providers
            .values()
            .map(|running| entities::provider(running, known(&Key::Provider(running.identity.key.clone())), at))
            .collect();
        state.providers.sort_unstable_by(|one, other| one.key.cmp(&other.key));
        let since = |key| self.links.get(key).map_or(at, |standing| standing.since);
        let has_lattice = has_lattice(facts);
        let links = snapshot.links.iter();
        state.links = links
            .filter(|(key, link)| entities::is_of_this_host(key, link, snapshot, has_lattice))
            .map(|(key, link)| entities::link(facts, key, link, since(key), snapshot))
            .collect();
        state.links.sort_unstable_by(|one, other| one.key.cmp(&other.key));
        state.host = self.host(facts);
        state.hosts = hosts::of(facts, &mut state, self.lattice_since);
        state
    }

    fn host(&self, facts: &HostFacts) -> ThisHost {
        let mut latency = Latency::default();
        self.children.values().for_each(|child| latency.merge(&child.history.last_minute()));
        ThisHost {
            id: facts.id.clone(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            started_at: facts.clock.started_at,
            labels: (facts.labels)().into_iter().collect(),
            cordoned: false,
            draining: facts.phase.stage() == Stage::Stopping,
            shards: facts.shards.all().len(),
            calls_per_second: self.rate.told(),
            latency_us: told_latency(&latency),
            memory_bytes: resident_memory(),
            lattice: None,
        }
    }
}

/// What is looked at of an actor or provider.
struct Look<'a> {
    trust: &'a TrustState,
    condition: &'a Condition,
    is_stopping: bool,
}

/// Returns whether other hosts could run what this one does not.
fn has_lattice(facts: &HostFacts) -> bool {
    #[cfg(feature = "lattice")]
    return (facts.lattice)().is_some();
    #[cfg(not(feature = "lattice"))]
    {
        let _ = facts;
        false
    }
}

/// Returns the resident memory of the process, or 0 where the system does not tell it. Unit: bytes.
fn resident_memory() -> u64 {
    // The size of a page that Linux counts in here.
    const PAGE: u64 = 4_096;
    let pages = std::fs::read_to_string("/proc/self/statm").ok();
    let pages = pages.and_then(|statm| statm.split(' ').nth(1)?.parse::<u64>().ok());
    pages.map_or(0, |pages| pages.saturating_mul(PAGE))
}
