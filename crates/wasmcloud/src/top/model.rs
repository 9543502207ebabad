//! What the hosts have told, and when (pure).

use std::collections::{BTreeMap, VecDeque};
use std::time::{Duration, Instant};

use wasmcloud_control::message::HostSummary;
use wasmcloud_telemetry::state::{EventRecord, HostState, LatticeHost};

use super::feed::Update;
use super::item::{Item, Severity};

/// The most events that are kept.
const MOST_EVENTS: usize = 500;

/// All that is known of a lattice.
#[derive(Debug)]
pub(super) struct Model {
    namespace: String,
    hosts: BTreeMap<String, KnownHost>,
    /// The last events of all hosts, the newest first.
    events: VecDeque<EventRecord>,
    /// How many hosts were forgotten, because they had not answered for long.
    forgotten: usize,
}

/// What is known of a host.
#[derive(Debug, Default)]
pub(super) struct KnownHost {
    summary: Option<HostSummary>,
    pub(super) state: Option<HostState>,
    pub(super) has_telemetry: bool,
    /// When it was started, as far as it has told. An inventory tells that less exactly.
    started_at: Option<u64>,
    items: Vec<Item>,
    /// When it last answered.
    answered: Option<Instant>,
    /// Why it has not answered the last question, if it answered before.
    pub(super) lateness: Option<String>,
    /// Why it does not answer.
    pub(super) silence: Option<String>,
}

/// A host as it is listed.
#[derive(Debug)]
pub(super) struct HostRow<'a> {
    pub(super) id: &'a str,
    pub(super) severity: Severity,
    /// The state in one word.
    pub(super) word: &'static str,
    pub(super) known: Option<&'a KnownHost>,
    /// What another host knows of it.
    pub(super) peer: Option<&'a LatticeHost>,
}

/// The sums over all hosts.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Totals {
    pub(super) hosts: usize,
    pub(super) hosts_gone: usize,
    pub(super) hosts_forgotten: usize,
    /// The actors of hosts that answer, with those that fail.
    pub(super) actors: usize,
    /// The providers of hosts that answer, with those that fail.
    pub(super) providers: usize,
    pub(super) failing: usize,
    /// Actors and providers that do not fail, but are not well either.
    pub(super) troubled: usize,
    /// Calls of the last second on hosts that answer.
    pub(super) calls: u64,
}

impl Model {
    pub(super) fn new(namespace: &str) -> Model {
        Model { namespace: namespace.to_owned(), hosts: BTreeMap::new(), events: VecDeque::new(), forgotten: 0 }
    }

    pub(super) fn namespace(&self) -> &str {
        &self.namespace
    }

    /// Takes what was learned at a time.
    pub(super) fn take(&mut self, update: Update, now: Instant) {
        match update {
            Update::Hosts(hosts) => {
                for host in hosts {
                    let known = self.hosts.entry(host.id.clone()).or_default();
                    known.summary = Some(host);
                }
            }
            Update::State { host, state, has_telemetry } => {
                self.take_events(&host, &state, has_telemetry);
                let known = self.hosts.entry(host.clone()).or_default();
                known.items = Item::of_host(&host, &state, false);
                known.started_at = if has_telemetry { Some(state.host.started_at) } else { known.started_at };
                known.state = Some(*state);
                known.has_telemetry = has_telemetry;
                known.answered = Some(now);
                (known.lateness, known.silence) = (None, None);
            }
            Update::Late { host, reason } => self.hosts.entry(host).or_default().lateness = Some(reason),
            Update::Silent { host, reason } => {
                let known = self.hosts.entry(host.clone()).or_default();
                if known.silence.replace(reason).is_none()
                    && let Some(state) = &known.state
                {
                    known.items = Item::of_host(&host, state, true);
                }
            }
            Update::Forgotten { host } => {
                self.hosts.remove(&host);
                // One that others still tell of is listed all the same.
                self.forgotten += usize::from(!self.peers().contains_key(host.as_str()));
            }
        }
    }

    /// Adds the events that are not known yet.
    fn take_events(&mut self, host: &str, state: &HostState, has_telemetry: bool) {
        let before = self.hosts.get(host).and_then(|known| known.started_at).filter(|_| has_telemetry);
        if before.is_some_and(|before| before != state.host.started_at) {
            // It was started again under the same key, and counts anew.
            self.events.retain(|event| event.host != host);
        }
        let known = self.events.iter().filter(|event| event.host == host).map(|event| event.sequence).max();
        for event in state.events.iter().filter(|event| known.is_none_or(|known| event.sequence > known)) {
            let event = EventRecord { host: host.to_owned(), ..event.clone() };
            let place = self.events.partition_point(|other| other.at > event.at);
            self.events.insert(place, event);
        }
        self.events.truncate(MOST_EVENTS);
    }

    /// Returns the hosts: those that are gone first, and the others in the order of their keys.
    pub(super) fn hosts(&self) -> Vec<HostRow<'_>> {
        let peers = self.peers();
        let listed = self.hosts.iter().map(|(id, known)| HostRow::of(id, Some(known), peers.get(id.as_str()).copied()));
        let others = peers.iter().filter(|(id, _)| !self.hosts.contains_key(**id));
        let others = others.map(|(id, peer)| HostRow::of(id, None, Some(peer)));
        let mut rows: Vec<HostRow<'_>> = listed.chain(others).collect();
        rows.sort_by(|left, right| right.severity.cmp(&left.severity).then_with(|| left.id.cmp(right.id)));
        rows
    }

    /// Returns the other hosts that the answering hosts know. Of several reports about a host, the latest is returned.
    fn peers(&self) -> BTreeMap<&str, &LatticeHost> {
        let mut peers: BTreeMap<&str, &LatticeHost> = BTreeMap::new();
        let answering = self.hosts.values().filter(|known| known.silence.is_none());
        for peer in answering.filter_map(|known| known.state.as_ref()).flat_map(|state| &state.hosts) {
            let listed = peers.entry(&peer.id).or_insert(peer);
            if peer.heard_at > listed.heard_at {
                *listed = peer;
            }
        }
        peers
    }

    /// Returns what the hosts run. A host that said that it leaves has stopped all of it.
    pub(super) fn items(&self) -> impl Iterator<Item = &Item> {
        let is_silent = |known: &KnownHost| known.silence.is_some();
        let peers = if self.hosts.values().any(is_silent) { self.peers() } else { BTreeMap::new() };
        let has_left = move |host: &str| peers.get(host).is_some_and(|peer| peer.state == "left");
        let running = self.hosts.iter().filter(move |(id, known)| !(is_silent(known) && has_left(id)));
        running.flat_map(|(_, known)| &known.items)
    }

    /// Returns the last events of all hosts, the newest first.
    pub(super) fn events(&self) -> &VecDeque<EventRecord> {
        &self.events
    }

    /// Returns the states as the hosts told them.
    pub(super) fn states(&self) -> Vec<&HostState> {
        self.hosts.values().filter_map(|known| known.state.as_ref()).collect()
    }

    /// Returns the time since the last answer of any host.
    pub(super) fn age(&self, now: Instant) -> Option<Duration> {
        self.hosts.values().filter_map(|known| known.age(now)).min()
    }

    pub(super) fn totals(&self) -> Totals {
        let hosts = self.hosts();
        let mut totals = Totals {
            hosts: hosts.len(),
            hosts_gone: hosts.iter().filter(|host| host.severity == Severity::Failure).count(),
            hosts_forgotten: self.forgotten,
            ..Totals::default()
        };
        for item in self.items() {
            totals.failing += usize::from(item.severity == Severity::Failure);
            totals.troubled += usize::from(item.is_troubled());
            if !item.is_of_gone_host {
                let is_actor = item.kind() == "actor";
                totals.actors += usize::from(is_actor);
                totals.providers += usize::from(!is_actor);
                totals.calls = totals.calls.saturating_add(item.calls_now());
            }
        }
        totals
    }
}

impl KnownHost {
    /// Returns the time since its last answer.
    pub(super) fn age(&self, now: Instant) -> Option<Duration> {
        self.answered.map(|answered| now.saturating_duration_since(answered))
    }
}

impl<'a> HostRow<'a> {
    fn of(id: &'a str, known: Option<&'a KnownHost>, peer: Option<&'a LatticeHost>) -> HostRow<'a> {
        let state = known.and_then(|known| known.state.as_ref());
        let is_silent = known.is_some_and(|known| known.silence.is_some());
        let of_peer = peer.map(|peer| peer.state.as_str());
        let (severity, word) = match state {
            _ if is_silent && of_peer == Some("left") => (Severity::Note, "left"),
            _ if is_silent => (Severity::Failure, "gone"),
            Some(state) if state.host.draining => (Severity::Note, "stopping"),
            Some(state) if state.host.lattice.as_ref().is_some_and(|lattice| lattice.state == "lost") => {
                (Severity::Failure, "cut off")
            }
            Some(state) if state.host.cordoned => (Severity::Note, "cordoned"),
            Some(_) => (Severity::Fine, "up"),
            None => match of_peer {
                Some("down") => (Severity::Failure, "down"),
                Some("left") => (Severity::Note, "left"),
                _ => (Severity::Note, "asked"),
            },
        };
        HostRow { id, severity, word, known, peer }
    }

    /// Returns the version of its software.
    pub(super) fn version(&self) -> &str {
        let state = self.known.and_then(|known| known.state.as_ref()).map(|state| state.host.version.as_str());
        let summary = self.known.and_then(|known| known.summary.as_ref()).and_then(|host| host.version.as_deref());
        state.or(summary).or(self.peer.map(|peer| peer.version.as_str())).unwrap_or_default()
    }

    /// Returns how long it has run. Unit: seconds.
    pub(super) fn uptime(&self) -> Option<u64> {
        let state = self.known.and_then(|known| known.state.as_ref()).filter(|state| state.host.started_at > 0);
        let of_state = state.map(|state| state.at.saturating_sub(state.host.started_at) / 1000);
        let of_summary = || self.known.and_then(|known| known.summary.as_ref()).map(|host| host.uptime);
        of_state.or_else(of_summary).or_else(|| self.peer.map(|peer| peer.uptime_s))
    }

    /// Returns how many actors and providers it runs.
    pub(super) fn counts(&self) -> Option<(usize, usize)> {
        let state = self.known.and_then(|known| known.state.as_ref());
        let of_state = state.map(|state| (state.actors.len(), state.providers.len()));
        of_state.or_else(|| self.peer.map(|peer| (peer.actors, peer.providers)))
    }
}

#[cfg(test)]
mod tests;
