//! Handshakes under way. Those that this host began and those that others began are counted apart, so that a flood of
//! first messages from others ends none that this host began.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;

use snow::HandshakeState;

use super::frame::HandshakeId;
use super::table::Session;

/// How long a handshake may take. Unit: milliseconds.
pub(super) const TIMEOUT: u64 = 10_000;

/// How many handshakes of others may be under way. When there are more, the oldest one ends. A state takes about 1.5 KiB.
pub(super) const MAX_ANSWERED: usize = 256;

/// How many handshakes of others are answered in a second. Each takes less than 0.5 ms of processor time.
pub(super) const RATE: u64 = 128;

/// How long a host waits after a handshake has failed. It doubles with each failure. Unit: milliseconds.
const SHORTEST_PAUSE: u64 = 500;
const LONGEST_PAUSE: u64 = 30_000;

/// A handshake that this host began.
#[derive(Debug)]
pub(super) struct Begun {
    pub(super) peer: Arc<str>,
    pub(super) stage: Stage,
    ends_at: u64,
}

/// What a handshake that this host began waits for.
#[derive(Debug)]
pub(super) enum Stage {
    Answer(Box<HandshakeState>),
    Confirmation(Arc<Session>),
}

/// A handshake that another host began and that waits for its third message.
#[derive(Debug)]
pub(super) struct Answered {
    pub(super) noise: Box<HandshakeState>,
    /// The host that claims to have begun it.
    pub(super) claimed: Arc<str>,
    pub(super) key_id: u64,
    ends_at: u64,
}

/// What is known of the handshakes with a peer that this host began.
#[derive(Debug, Default)]
struct Attempt {
    under_way: Option<HandshakeId>,
    failures: u32,
    not_before: u64,
}

impl Begun {
    /// Returns whether the peer has sent a call with the new session. Its confirmation may have been lost.
    fn is_confirmed(&self) -> bool {
        match &self.stage {
            Stage::Answer(_) => false,
            Stage::Confirmation(session) => session.is_confirmed(),
        }
    }
}

/// The handshakes under way.
#[derive(Debug)]
pub(super) struct Attempts {
    begun: HashMap<HandshakeId, Begun>,
    by_peer: HashMap<Arc<str>, Attempt>,
    answered: HashMap<HandshakeId, Answered>,
    /// The identifiers of `answered`, the oldest one first. Some may be gone from there.
    order: VecDeque<HandshakeId>,
    peers: usize,
    /// When the first of the handshakes that this host began takes too long.
    sweep_at: u64,
    /// How many handshakes of others may begin now.
    allowance: u64,
    /// When the allowance last grew.
    filled_at: u64,
}

impl Attempts {
    pub(super) fn new(peers: usize) -> Attempts {
        Attempts {
            begun: HashMap::new(),
            by_peer: HashMap::new(),
            answered: HashMap::new(),
            order: VecDeque::new(),
            peers,
            sweep_at: u64::MAX,
            allowance: RATE,
            filled_at: 0,
        }
    }

    /// Returns whether this host may begin a handshake with a peer now.
    pub(super) fn may_begin(&mut self, peer: &str, now: u64) -> bool {
        match self.by_peer.get(peer) {
            Some(attempt) => attempt.under_way.is_none() && now >= attempt.not_before,
            None if self.by_peer.len() < self.peers => true,
            None => {
                self.by_peer.retain(|_, attempt| attempt.under_way.is_some() || now < attempt.not_before);
                self.by_peer.len() < self.peers
            }
        }
    }

    pub(super) fn begin(&mut self, id: HandshakeId, peer: &str, noise: HandshakeState, now: u64) {
        let peer: Arc<str> = peer.into();
        self.by_peer.entry(peer.clone()).or_default().under_way = Some(id);
        let ends_at = now + TIMEOUT;
        self.sweep_at = self.sweep_at.min(ends_at);
        self.begun.insert(id, Begun { peer, stage: Stage::Answer(Box::new(noise)), ends_at });
    }

    pub(super) fn begun(&mut self, id: &HandshakeId) -> Option<&mut Begun> {
        self.begun.get_mut(id)
    }

    /// Ends a handshake that this host began. After a failure, the next one waits.
    pub(super) fn end(&mut self, id: &HandshakeId, is_success: bool, now: u64) {
        let Some(begun) = self.begun.remove(id) else { return };
        let Some(attempt) = self.by_peer.get_mut(&begun.peer) else { return };
        if is_success {
            self.by_peer.remove(&begun.peer);
            return;
        }
        attempt.under_way = None;
        let pause = (SHORTEST_PAUSE << attempt.failures.min(16)).min(LONGEST_PAUSE);
        // The identifier is random: its first byte spreads the attempts of many hosts.
        attempt.not_before = now + pause + pause * u64::from(id[0]) / 512;
        attempt.failures = attempt.failures.saturating_add(1);
    }

    /// Returns the handshake that this host began with a peer.
    pub(super) fn under_way(&self, peer: &str) -> Option<HandshakeId> {
        self.by_peer.get(peer).and_then(|attempt| attempt.under_way)
    }

    /// Forgets the failures with a peer, so that a handshake may begin at once.
    pub(super) fn forgive(&mut self, peer: &str) {
        if self.by_peer.get(peer).is_some_and(|attempt| attempt.under_way.is_none()) {
            self.by_peer.remove(peer);
        }
    }

    /// Forgets all of a peer whose sessions are forgotten. A handshake that has made a session already is of no use.
    pub(super) fn forget(&mut self, peer: &str) {
        if let Some(id) = self.under_way(peer)
            && self.begun.get(&id).is_some_and(|begun| matches!(begun.stage, Stage::Confirmation(_)))
        {
            self.end(&id, true, 0);
        }
        self.forgive(peer);
    }

    /// Ends the handshakes that take too long. Returns how many of those that this host began have failed.
    pub(super) fn sweep(&mut self, now: u64) -> u64 {
        while let Some(oldest) = self.order.front() {
            if self.answered.get(oldest).is_some_and(|answered| now < answered.ends_at) {
                break;
            }
            self.answered.remove(oldest);
            self.order.pop_front();
        }
        if now < self.sweep_at {
            return 0;
        }
        let late = self.begun.iter().filter(|(_, begun)| now >= begun.ends_at);
        let late: Vec<_> = late.map(|(id, begun)| (*id, begun.is_confirmed(), begun.ends_at)).collect();
        let mut failed = 0;
        for (id, is_success, ended_at) in late {
            failed += u64::from(!is_success);
            self.end(&id, is_success, ended_at);
        }
        self.sweep_at = self.begun.values().map(|begun| begun.ends_at).min().unwrap_or(u64::MAX);
        failed
    }

    /// Returns whether a handshake of another host is answered now, and takes it from the allowance.
    pub(super) fn may_answer(&mut self, id: &HandshakeId, now: u64) -> bool {
        let gain = now.saturating_sub(self.filled_at) * RATE / 1000;
        if gain > 0 {
            self.allowance = (self.allowance + gain).min(RATE);
            self.filled_at = now;
        }
        if self.allowance == 0 || self.answered.contains_key(id) || self.begun.contains_key(id) {
            return false;
        }
        self.allowance -= 1;
        true
    }

    pub(super) fn answer(&mut self, id: HandshakeId, claimed: &str, noise: HandshakeState, key_id: u64, now: u64) {
        while self.order.len() >= MAX_ANSWERED {
            if let Some(oldest) = self.order.pop_front() {
                self.answered.remove(&oldest);
            }
        }
        self.order.push_back(id);
        let ends_at = now + TIMEOUT;
        self.answered.insert(id, Answered { noise: Box::new(noise), claimed: claimed.into(), key_id, ends_at });
    }

    pub(super) fn answered(&mut self, id: &HandshakeId) -> Option<&mut Answered> {
        self.answered.get_mut(id)
    }

    pub(super) fn take_answered(&mut self, id: &HandshakeId) -> Option<Answered> {
        let answered = self.answered.remove(id)?;
        self.order.retain(|other| other != id);
        Some(answered)
    }

    /// Returns how many handshakes are under way: those that this host began, and those of others.
    #[cfg(test)]
    pub(super) fn len(&self) -> (usize, usize) {
        (self.begun.len(), self.answered.len())
    }
}
