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
    items: Vec<Item>,
}

/// What is known of a host.
#[derive(Debug, Default)]
pub(super) struct KnownHost {
    summary: Option<HostSummary>,
    pub(super) state: Option<HostState>,
    pub(super) has_telemetry: bool,
    /// When it last answered.
    answered: Option<Instant>,
    /// Why it has not answered the last question.
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
    pub(super) actors: usize,
    pub(super) providers: usize,
    pub(super) failing: usize,
    /// Actors and providers that do not fail, but are not well either.
    pub(super) troubled: usize,
    /// Calls of the last second.
    pub(super) calls: u64,
}

impl Model {
    pub(super) fn new(namespace: &str) -> Model {
        Model { namespace: namespace.to_owned(), hosts: BTreeMap::new(), events: VecDeque::new(), items: Vec::new() }
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
                self.take_events(&host, &state);
                let known = self.hosts.entry(host).or_default();
                known.state = Some(*state);
                known.has_telemetry = has_telemetry;
                known.answered = Some(now);
                known.silence = None;
            }
            Update::Silent { host, reason } => {
                self.hosts.entry(host).or_default().silence = Some(reason);
            }
        }
        self.items = self.items_of_hosts();
    }

    /// Returns what the hosts run. A host that said that it leaves has stopped all of it.
    fn items_of_hosts(&self) -> Vec<Item> {
        let peers = self.peers();
        let has_left = |host: &str| peers.get(host).is_some_and(|peer| peer.state == "left");
        let mut items = Vec::new();
        for (id, known) in &self.hosts {
            let is_gone = known.silence.is_some();
            if let Some(state) = known.state.as_ref().filter(|_| !(is_gone && has_left(id))) {
                items.extend(Item::of_host(state, is_gone));
            }
        }
        items
    }

    /// Adds the events that are not known yet.
    fn take_events(&mut self, host: &str, state: &HostState) {
        let before = self.hosts.get(host).and_then(|known| known.state.as_ref());
        if before.is_some_and(|before| before.host.started_at != state.host.started_at) {
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

    pub(super) fn items(&self) -> &[Item] {
        &self.items
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
        let actors = self.items.iter().filter(|item| item.kind() == "actor").count();
        Totals {
            hosts: hosts.len(),
            hosts_gone: hosts.iter().filter(|host| host.severity == Severity::Failure).count(),
            actors,
            providers: self.items.len() - actors,
            failing: self.items.iter().filter(|item| item.severity == Severity::Failure).count(),
            troubled: self.items.iter().filter(|item| item.is_troubled()).count(),
            calls: self.items.iter().fold(0, |sum, item| sum.saturating_add(item.calls_now())),
        }
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
mod tests {
    use super::*;

    fn event(sequence: u64, at: u64) -> EventRecord {
        EventRecord { sequence, at, kind: "crashed".into(), ..EventRecord::default() }
    }

    fn told(host: &str, started_at: u64, events: &[(u64, u64)]) -> Update {
        let mut state = HostState::default();
        state.host.id = host.to_owned();
        state.host.started_at = started_at;
        state.events = events.iter().map(|(sequence, at)| event(*sequence, *at)).collect();
        Update::State { host: host.to_owned(), state: Box::new(state), has_telemetry: true }
    }

    #[test]
    fn events_of_all_hosts_are_kept_once_and_the_newest_is_first() {
        let now = Instant::now();
        let mut model = Model::new("default");
        model.take(told("N1", 5, &[(1, 10), (2, 30)]), now);
        model.take(told("N2", 5, &[(1, 20)]), now);
        model.take(told("N1", 5, &[(2, 30), (3, 40)]), now);
        let listed: Vec<(&str, u64)> = model.events().iter().map(|event| (event.host.as_str(), event.at)).collect();
        assert_eq!(listed, [("N1", 40), ("N1", 30), ("N2", 20), ("N1", 10)]);
        model.take(told("N1", 6, &[(1, 50)]), now);
        assert_eq!(model.events().iter().filter(|event| event.host == "N1").count(), 1, "it counts anew");
        let many: Vec<(u64, u64)> = (0..600).map(|number| (number + 2, number + 100)).collect();
        model.take(told("N1", 6, &many), now);
        assert_eq!((model.events().len(), model.events()[0].at), (MOST_EVENTS, 699));
    }

    #[test]
    fn a_host_that_answers_no_more_is_gone_and_comes_first() {
        let now = Instant::now();
        let mut model = Model::new("default");
        model.take(told("N1", 5, &[]), now);
        model.take(told("N2", 5, &[]), now);
        assert_eq!(
            model.hosts().iter().map(|host| (host.id, host.word)).collect::<Vec<_>>(),
            [("N1", "up"), ("N2", "up")]
        );
        model.take(Update::Silent { host: "N2".into(), reason: "no host answers".into() }, now);
        let words: Vec<(&str, &str)> = model.hosts().iter().map(|host| (host.id, host.word)).collect();
        assert_eq!(words, [("N2", "gone"), ("N1", "up")]);
        assert_eq!((model.totals().hosts, model.totals().hosts_gone), (2, 1));
        let later = now + Duration::from_secs(9);
        assert_eq!(model.age(later), Some(Duration::from_secs(9)), "the age is that of the last answer");
        model.take(told("N2", 5, &[]), later);
        assert_eq!(model.hosts()[0].word, "up");
    }

    #[test]
    fn hosts_that_only_others_know_are_listed() {
        let mut state = HostState::default();
        state.host.id = "N1".into();
        state.hosts =
            vec![LatticeHost { id: "N3".into(), state: "down".into(), heard_at: 4, ..LatticeHost::default() }];
        let mut model = Model::new("default");
        let update = Update::State { host: "N1".into(), state: Box::new(state), has_telemetry: true };
        model.take(update, Instant::now());
        assert_eq!(
            model.hosts().iter().map(|host| (host.id, host.word)).collect::<Vec<_>>(),
            [("N3", "down"), ("N1", "up")]
        );
    }
}
