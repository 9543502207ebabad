//! The hosts that are known: who is there, who is silent for too long, who has left.
//!
//! A host judges others only while it knows that its own connection works: two intervals must have passed since the
//! connection settled, and the server must have answered after the other's time was up.

use std::collections::HashMap;
use std::fmt;
use std::time::Duration;

use tokio::time::Instant;
use wasmcloud_core::text::escaped;

use super::beat::{BeatKind, EntityCounts, Heartbeat};

/// The most hosts that are known at a time.
const MOST_HOSTS: usize = 10_000;

/// The intervals that heartbeats may announce. Unit: milliseconds.
const INTERVALS: std::ops::RangeInclusive<u32> = 50..=60 * 60 * 1000;

/// Whether a host is there.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum PeerStatus {
    /// The host sends heartbeats.
    Up,
    /// The host was silent for two intervals.
    Down,
    /// The host has announced that it leaves.
    Left,
}

/// Another host of the lattice.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Peer {
    /// The public key of the host (`N...`).
    pub host: String,
    /// Whether the host is there.
    pub status: PeerStatus,
    /// When the host started, by its own clock. Unit: milliseconds since 1970.
    pub incarnation: u64,
    /// How long the host has run.
    pub uptime: Duration,
    /// The version of the host's software.
    pub version: String,
    /// The version of the protocol between hosts.
    pub protocol: u32,
    /// Whether the host accepts nothing new from the lattice.
    pub is_cordoned: bool,
    /// Whether the host finishes its work in order to leave.
    pub is_draining: bool,
    /// How much the host runs.
    pub counts: EntityCounts,
    /// The version of the host's inventory. It changes with each entity that starts or stops.
    pub inventory_version: u64,
    /// When the last heartbeat arrived.
    pub last_heard: std::time::Instant,
    /// The last measured time of a message to the host and back.
    pub round_trip: Option<Duration>,
    interval: Duration,
    sequence: u64,
}

/// A change of the hosts of a lattice.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum MembershipEvent {
    /// A host is there, for the first time or again.
    Up {
        /// Its public key.
        host: String,
    },
    /// A host was silent for two intervals.
    Down {
        /// Its public key.
        host: String,
    },
    /// A host has left.
    Left {
        /// Its public key.
        host: String,
    },
    /// A host is cordoned or draining, or no longer.
    Cordon {
        /// Its public key.
        host: String,
        /// Whether it accepts nothing new from the lattice.
        is_cordoned: bool,
        /// Whether it finishes its work in order to leave.
        is_draining: bool,
    },
    /// A host of 2021 has sent its first event, or its first one after a long silence. Nothing proves its key.
    EraHostUp {
        /// The public key that it names.
        host: String,
    },
    /// Another host uses the key of this host. One of them must get another.
    DuplicateKey,
}

impl MembershipEvent {
    /// Returns the public key of the host that has changed. `None` for a key that two hosts use.
    pub fn host(&self) -> Option<&str> {
        match self {
            MembershipEvent::Up { host }
            | MembershipEvent::Down { host }
            | MembershipEvent::Left { host }
            | MembershipEvent::Cordon { host, .. }
            | MembershipEvent::EraHostUp { host } => Some(host),
            MembershipEvent::DuplicateKey => None,
        }
    }
}

impl fmt::Display for MembershipEvent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Some(host) = self.host().map(escaped) else { return f.write_str("another host uses the key of this host") };
        match self {
            MembershipEvent::Down { .. } => write!(f, "host {host} is silent and counts as down"),
            MembershipEvent::Left { .. } => write!(f, "host {host} has left the lattice"),
            MembershipEvent::Cordon { is_draining: true, .. } => write!(f, "host {host} finishes its work and leaves"),
            MembershipEvent::Cordon { is_cordoned: true, .. } => write!(f, "host {host} takes nothing new"),
            MembershipEvent::Cordon { .. } => write!(f, "host {host} takes actors and providers again"),
            MembershipEvent::EraHostUp { .. } => write!(f, "host {host} of 2021 is there"),
            _ => write!(f, "host {host} is there"),
        }
    }
}

/// Why a heartbeat is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Refusal {
    Malformed,
    WrongTime,
    Untrusted,
    Replayed,
    Forged,
    Full,
}

/// The known hosts.
#[derive(Debug)]
pub(super) struct Roster {
    own_key: String,
    own_incarnation: u64,
    window: Duration,
    peers: HashMap<String, Peer>,
    /// Since when this host's connection is known to work.
    settled: Option<Instant>,
    /// The last heartbeat of another host with the key of this one.
    duplicate: (u64, u64),
}

impl Roster {
    pub(super) fn new(own_key: String, own_incarnation: u64, window: Duration) -> Roster {
        Roster { own_key, own_incarnation, window, peers: HashMap::new(), settled: None, duplicate: (0, 0) }
    }

    /// Returns whether a heartbeat is this host's own.
    pub(super) fn is_own(&self, beat: &Heartbeat) -> bool {
        beat.host == self.own_key && beat.incarnation == self.own_incarnation
    }

    /// Checks a heartbeat before its signature, which costs more. `clock` is the time in milliseconds since 1970.
    pub(super) fn check(&self, beat: &Heartbeat, clock: u64) -> Result<(), Refusal> {
        if u128::from(beat.sent_at.abs_diff(clock)) > self.window.as_millis() {
            return Err(Refusal::WrongTime);
        }
        if !INTERVALS.contains(&beat.interval) {
            return Err(Refusal::Malformed);
        }
        if beat.host == self.own_key {
            // What was sent before this host started is from its earlier life.
            let is_old = beat.sent_at <= self.own_incarnation || (beat.incarnation, beat.sequence) <= self.duplicate;
            return if is_old { Err(Refusal::Replayed) } else { Ok(()) };
        }
        match self.peers.get(&beat.host) {
            Some(peer) if (beat.incarnation, beat.sequence) <= (peer.incarnation, peer.sequence) => {
                Err(Refusal::Replayed)
            }
            None if self.peers.len() >= MOST_HOSTS && !self.has_departed() => Err(Refusal::Full),
            _ => Ok(()),
        }
    }

    fn has_departed(&self) -> bool {
        self.peers.values().any(|peer| peer.status != PeerStatus::Up)
    }

    /// Takes note of a verified heartbeat. Returns what has changed.
    pub(super) fn hear(&mut self, beat: Heartbeat, now: Instant) -> Vec<MembershipEvent> {
        if beat.host == self.own_key {
            self.duplicate = self.duplicate.max((beat.incarnation, beat.sequence));
            return vec![MembershipEvent::DuplicateKey];
        }
        if !self.peers.contains_key(&beat.host) && self.peers.len() >= MOST_HOSTS {
            self.forget_the_oldest();
        }
        let known = self.peers.get(&beat.host);
        let before = known.filter(|peer| peer.status == PeerStatus::Up && peer.incarnation == beat.incarnation);
        let was_cordoned = before.map(|peer| (peer.is_cordoned, peer.is_draining));
        let host = beat.host.clone();
        let (is_cordoned, is_draining) = (beat.is_cordoned, beat.is_draining);
        let mut events = Vec::new();
        if beat.kind == BeatKind::Leaving {
            if known.is_some_and(|peer| peer.status == PeerStatus::Up) {
                events.push(MembershipEvent::Left { host: host.clone() });
            }
        } else {
            if was_cordoned.is_none() {
                events.push(MembershipEvent::Up { host: host.clone() });
            }
            if was_cordoned.unwrap_or_default() != (is_cordoned, is_draining) {
                events.push(MembershipEvent::Cordon { host: host.clone(), is_cordoned, is_draining });
            }
        }
        let round_trip = before.and_then(|peer| peer.round_trip);
        self.peers.insert(host, Peer::heard(beat, now, round_trip));
        events
    }

    /// Removes the departed host that was heard of least recently.
    fn forget_the_oldest(&mut self) {
        let departed = self.peers.values().filter(|peer| peer.status != PeerStatus::Up);
        if let Some(oldest) = departed.min_by_key(|peer| peer.last_heard).map(|peer| peer.host.clone()) {
            self.peers.remove(&oldest);
        }
    }

    /// Takes note that the connection works, since now or since earlier.
    pub(super) fn settle(&mut self, now: Instant) {
        self.settled.get_or_insert(now);
    }

    /// Takes note that the connection is lost, or does not answer. No host is judged until it is settled again.
    pub(super) fn unsettle(&mut self) {
        self.settled = None;
    }

    /// Returns whether the connection is known to work.
    pub(super) fn is_settled(&self) -> bool {
        self.settled.is_some()
    }

    /// Returns whether the connection is known to work, and has for a time.
    pub(super) fn has_settled_for(&self, now: Instant, time: Duration) -> bool {
        self.settled.is_some_and(|settled| now.saturating_duration_since(settled) >= time)
    }

    /// Returns when the next host will have been silent for too long.
    pub(super) fn next_due(&self) -> Option<Instant> {
        let settled = self.settled?;
        self.peers.values().filter(|peer| peer.status == PeerStatus::Up).map(|peer| peer.due(settled)).min()
    }

    /// Declares the hosts down whose time was up at a moment after which the server has answered this host.
    pub(super) fn judge(&mut self, asked: Instant) -> Vec<MembershipEvent> {
        let Some(settled) = self.settled else { return Vec::new() };
        let mut events = Vec::new();
        for peer in self.peers.values_mut() {
            if peer.status == PeerStatus::Up && peer.due(settled) <= asked {
                peer.status = PeerStatus::Down;
                events.push(MembershipEvent::Down { host: peer.host.clone() });
            }
        }
        events
    }

    /// Forgets departed hosts whose heartbeats are too old to be replayed.
    pub(super) fn forget(&mut self, now: Instant) {
        let memory = self.window * 2;
        let is_recent = |peer: &Peer| now.into_std().saturating_duration_since(peer.last_heard) <= memory;
        self.peers.retain(|_, peer| peer.status == PeerStatus::Up || is_recent(peer));
    }

    pub(super) fn set_round_trip(&mut self, host: &str, time: Duration) {
        if let Some(peer) = self.peers.get_mut(host) {
            peer.round_trip = Some(time);
        }
    }

    pub(super) fn peer(&self, host: &str) -> Option<&Peer> {
        self.peers.get(host)
    }

    pub(super) fn peers(&self) -> impl Iterator<Item = &Peer> {
        self.peers.values()
    }
}

impl Peer {
    fn heard(beat: Heartbeat, now: Instant, round_trip: Option<Duration>) -> Peer {
        Peer {
            status: if beat.kind == BeatKind::Leaving { PeerStatus::Left } else { PeerStatus::Up },
            host: beat.host,
            incarnation: beat.incarnation,
            uptime: Duration::from_millis(beat.uptime),
            version: beat.software,
            protocol: beat.protocol,
            is_cordoned: beat.is_cordoned,
            is_draining: beat.is_draining,
            counts: beat.counts,
            inventory_version: beat.inventory_version,
            last_heard: now.into_std(),
            round_trip,
            interval: Duration::from_millis(beat.interval.into()),
            sequence: beat.sequence,
        }
    }

    /// Returns when the host will have been silent for too long.
    fn due(&self, settled: Instant) -> Instant {
        Instant::from_std(self.last_heard).max(settled) + self.interval * 2
    }

    /// Returns whether calls may be sent to the host.
    pub fn is_available(&self) -> bool {
        self.status == PeerStatus::Up && !self.is_cordoned && !self.is_draining
    }
}

#[cfg(test)]
mod tests;
