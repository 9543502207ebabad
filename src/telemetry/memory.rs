//! What is remembered from one second to the next, and the state that is made of it.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Instant, SystemTime};

use wasmcloud_claims::TrustState;
use wasmcloud_telemetry::state::{EventRecord, HostState, ThisHost};

use super::child::Child;
use super::history::{Elapsed, Row, told_latency};
use super::links::Links;
use super::told_events::ToldEvents;
use super::{HostFacts, Stage, entities, hosts, millis};
use crate::child::Child as Key;
use crate::dispatch::snapshot::{Condition, RunningActor, RunningProvider, Snapshot};
use crate::event::Event;
#[cfg(feature = "lattice")]
use crate::event::EventKind;
use crate::instruments::{Instruments, Latency, Reading};
use crate::link::LinkKey;

/// What is remembered.
#[derive(Default)]
pub(super) struct Memory {
    children: HashMap<Key, Child>,
    links: HashMap<LinkKey, LinkSince>,
    pub(super) events: ToldEvents,
    rate: Row,
    /// When the lattice began to be as it is. Unit: milliseconds since 1970.
    lattice_since: Option<u64>,
    recorded: Option<Instant>,
    pub(super) told: Option<Told>,
}

/// A state that was made.
pub(super) struct Told {
    pub(super) at: Instant,
    pub(super) state: Arc<HostState>,
    /// The same with the last events, if it was asked for.
    #[cfg(feature = "lattice")]
    pub(super) whole: Option<Arc<HostState>>,
}

/// Since when a link is as it is.
struct LinkSince {
    state: &'static str,
    since: u64,
}

/// What is looked at of an actor or provider.
struct Look<'a> {
    trust: &'a TrustState,
    condition: &'a Condition,
    is_stopping: bool,
}

impl Memory {
    pub(super) fn note(&mut self, host: &str, event: &Event) -> EventRecord {
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
    pub(super) fn record(&mut self, facts: &HostFacts) {
        let now = Instant::now();
        let elapsed = match self.recorded {
            Some(recorded) => match Elapsed::between(recorded, now) {
                Some(elapsed) => elapsed,
                None => return,
            },
            None => Elapsed::TOO_LONG,
        };
        self.recorded = Some(now);
        let snapshot = facts.dispatch.snapshot();
        self.look(facts, &snapshot);
        let instruments = facts.dispatch.instruments();
        let mut calls = 0;
        for (key, child) in &mut self.children {
            let reading = read(instruments, key);
            calls += reading.as_ref().map_or(0, |reading| child.history.record(reading, elapsed));
            child.reading = reading;
        }
        self.rate.add(calls, elapsed);
    }

    /// Takes note of how everything stands now, and forgets what does not run any more.
    pub(super) fn look(&mut self, facts: &HostFacts, snapshot: &Snapshot) {
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
        let instruments = facts.dispatch.instruments();
        // What has started in this second has figures too.
        for (key, child) in self.children.iter_mut().filter(|(_, child)| child.reading.is_none()) {
            child.reading = read(instruments, key);
        }
        self.look_at_links(&Links::of(snapshot, &facts.elsewhere), at);
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

    fn look_at_links(&mut self, links: &Links<'_>, at: u64) {
        let mut before = std::mem::take(&mut self.links);
        for (key, link) in links.all() {
            let state = links.standing(link).state;
            let known = before.remove(key).filter(|known| known.state == state);
            self.links.insert(key.clone(), known.unwrap_or(LinkSince { state, since: at }));
        }
    }

    pub(super) fn state(&self, facts: &HostFacts, snapshot: &Snapshot) -> HostState {
        let now = SystemTime::now();
        let at = millis(now);
        let nothing = Child::default();
        let known = |key: &Key| self.children.get(key).unwrap_or(&nothing);
        let mut state = HostState::default();
        state.at = at;
        let actors = snapshot.actors.values();
        state.actors = actors
            .map(|running| entities::actor(running, known(&Key::Actor(running.identity.key.clone())), at))
            .collect();
        state.actors.sort_unstable_by(|one, other| one.id.cmp(&other.id));
        let providers = snapshot.providers.values();
        state.providers = providers
            .map(|running| entities::provider(running, known(&Key::Provider(running.identity.key.clone())), at))
            .collect();
        state.providers.sort_unstable_by(|one, other| one.key.cmp(&other.key));
        let links = Links::of(snapshot, &facts.elsewhere);
        let since = |key| self.links.get(key).map_or(at, |known| known.since);
        state.links = links.all().map(|(key, link)| links.told(key, link, since(key))).collect();
        state.links.sort_unstable_by(|one, other| one.key.cmp(&other.key));
        state.host = self.host(facts, now);
        state.hosts = hosts::of(facts, &mut state, now, self.lattice_since);
        state
    }

    fn host(&self, facts: &HostFacts, now: SystemTime) -> ThisHost {
        let mut latency = Latency::default();
        self.children.values().for_each(|child| latency.merge(&child.history.last_minute()));
        ThisHost {
            id: facts.id.clone(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            started_at: facts.clock.started_at(now),
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

fn read(instruments: &Instruments, key: &Key) -> Option<Reading> {
    match key {
        Key::Actor(key) => instruments.read_actor(key),
        Key::Provider(key) => instruments.read_provider(key),
    }
}

/// Returns the resident memory of the process. `None` where the system does not tell it. Unit: bytes.
fn resident_memory() -> Option<u64> {
    resident_bytes(&std::fs::read_to_string("/proc/self/status").ok()?)
}

/// Reads the resident memory in `/proc/<pid>/status`, which tells it in KiB whatever the size of a page.
fn resident_bytes(status: &str) -> Option<u64> {
    let resident = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    resident.trim().strip_suffix("kB")?.trim().parse::<u64>().ok()?.checked_mul(1_024)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memory_that_is_not_told_is_unknown() {
        assert_eq!(resident_bytes("Name:\thost\nVmRSS:\t   12345 kB\nRssAnon:\t 1 kB\n"), Some(12_345 * 1_024));
        assert_eq!(resident_bytes("Name:\thost\nVmRSS:\t 5 pages\n"), None);
        assert_eq!(resident_bytes(""), None);
    }
}
