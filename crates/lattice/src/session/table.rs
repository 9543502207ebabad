//! The sessions of a host, found by the key that a message names and by the peer that a message is for.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use super::keys::{Mac, SessionKeys};
use super::window::ReplayWindow;
use super::{CallRefusal, HandshakeError};
use crate::wire::{Authenticator, Digest};

/// How long calls are accepted after the end of a session: they may have been sent just before it. Unit: milliseconds.
pub(super) const CALL_GRACE: u64 = 60_000;

/// How long answers are accepted after the end of a session: calls may take that long. Unit: milliseconds.
pub(super) const ANSWER_GRACE: u64 = 15 * 60_000;

/// How many sessions with one peer are kept. Two exist if both hosts begin at the same time, and one more by rotation.
const PER_PEER: usize = 8;

/// A session with a peer: the keys that one handshake has led to.
#[derive(Debug)]
pub(super) struct Session {
    pub(super) peer: Arc<str>,
    pub(super) incarnation: u64,
    /// The identifier that this host has chosen: messages to this host name it.
    pub(super) own_id: u64,
    /// The identifier that the peer has chosen: messages to the peer name it.
    pub(super) peer_id: u64,
    pub(super) keys: SessionKeys,
    pub(super) terms: Terms,
    /// Whether the peer is known to have the keys. The responder of a handshake knows it at once.
    is_confirmed: AtomicBool,
    sent: AtomicU64,
    window: Mutex<ReplayWindow>,
}

/// How long a session is used. Both hosts have agreed on the lower values of theirs.
#[derive(Debug, Clone, Copy)]
pub(super) struct Terms {
    /// When the session was made. Unit: milliseconds of the clock of this host.
    pub(super) made_at: u64,
    /// Unit: milliseconds.
    pub(super) lifetime: u64,
    pub(super) messages: u64,
    /// Whether this host began the handshake. It rotates first, so that not both hosts do at once.
    pub(super) is_begun_here: bool,
}

impl Session {
    pub(super) fn new(identity: super::noise::Identity, own_id: u64, keys: SessionKeys, terms: Terms) -> Session {
        Session {
            peer: identity.host,
            incarnation: identity.incarnation,
            own_id,
            peer_id: identity.key_id,
            keys,
            terms,
            is_confirmed: AtomicBool::new(!terms.is_begun_here),
            sent: AtomicU64::new(0),
            window: Mutex::new(ReplayWindow::new()),
        }
    }

    /// Notes that the peer has the keys. Returns whether that was not known before.
    pub(super) fn confirm(&self) -> bool {
        !self.is_confirmed.swap(true, Ordering::AcqRel)
    }

    pub(super) fn is_confirmed(&self) -> bool {
        self.is_confirmed.load(Ordering::Acquire)
    }

    fn ends_at(&self) -> u64 {
        self.terms.made_at.saturating_add(self.terms.lifetime)
    }

    /// Returns whether calls can be sent with this session.
    fn is_usable(&self, now: u64) -> bool {
        self.is_confirmed() && now < self.ends_at() && self.sent.load(Ordering::Relaxed) < self.terms.messages
    }

    /// Returns whether the peer can still send calls with this session, as far as this host knows.
    fn is_expected(&self, now: u64) -> bool {
        let is_left = || self.window().next() < self.terms.messages;
        self.is_confirmed() && now < self.ends_at() && is_left()
    }

    /// Returns whether the session is near its end. The host that began it learns so at 3/4, the other one at 7/8.
    fn is_due(&self, now: u64) -> bool {
        let part = |whole: u64| if self.terms.is_begun_here { whole - whole / 4 } else { whole - whole / 8 };
        let most = self.sent.load(Ordering::Relaxed).max(self.window().next());
        now >= self.terms.made_at.saturating_add(part(self.terms.lifetime)) || most >= part(self.terms.messages)
    }

    /// Returns whether no call is accepted any more.
    fn has_ended(&self, now: u64) -> bool {
        now >= self.ends_at().saturating_add(CALL_GRACE)
    }

    /// Returns whether neither calls nor answers are accepted any more.
    fn is_over(&self, now: u64) -> bool {
        now >= self.ends_at().saturating_add(ANSWER_GRACE)
    }

    fn window(&self) -> std::sync::MutexGuard<'_, ReplayWindow> {
        self.window.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Authenticates a call, or returns `None` if no call is left.
    fn authenticate(&self, digest: &Digest) -> Option<Authenticator> {
        let counter = self.sent.fetch_add(1, Ordering::Relaxed);
        if counter >= self.terms.messages {
            // So that the number does not grow without end.
            self.sent.fetch_sub(1, Ordering::Relaxed);
            return None;
        }
        Some(Authenticator { key_id: self.peer_id, counter, mac: self.keys.send_call.mac(digest, counter) })
    }

    /// Verifies that the peer sent a call, and that it has not been seen.
    pub(super) fn verify_call(
        &self,
        sender: &str,
        incarnation: u64,
        digest: &Digest,
        authenticator: &Authenticator,
        now: u64,
    ) -> Result<(), CallRefusal> {
        let counter = authenticator.counter;
        if *self.peer != *sender
            || self.incarnation != incarnation
            || !self.keys.receive_call.verifies(digest, counter, &authenticator.mac)
        {
            return Err(CallRefusal::Forged);
        }
        if counter >= self.terms.messages || self.has_ended(now) {
            return Err(CallRefusal::Expired);
        }
        self.window().accept(counter).map_err(|_| CallRefusal::Replayed)
    }

    /// Returns whether the peer sent an answer.
    pub(super) fn verify_answer(&self, host: &str, digest: &Digest, mac: &Mac, now: u64) -> bool {
        *self.peer == *host && !self.is_over(now) && self.keys.receive_answer.verifies(digest, 0, mac)
    }
}

/// The sessions of a host.
#[derive(Debug)]
pub(super) struct Table {
    by_key: HashMap<u64, Arc<Session>>,
    /// The newest session comes first.
    by_peer: HashMap<Arc<str>, Vec<Arc<Session>>>,
    peers: usize,
}

impl Table {
    pub(super) fn new(peers: usize) -> Table {
        Table { by_key: HashMap::new(), by_peer: HashMap::new(), peers }
    }

    /// Returns the session in which this host has chosen an identifier.
    pub(super) fn by_key(&self, key_id: u64) -> Option<&Arc<Session>> {
        self.by_key.get(&key_id)
    }

    fn with(&self, peer: &str) -> &[Arc<Session>] {
        self.by_peer.get(peer).map_or(&[], Vec::as_slice)
    }

    pub(super) fn has(&self, peer: &str, now: u64) -> bool {
        self.with(peer).iter().any(|session| session.is_usable(now))
    }

    pub(super) fn is_expected(&self, peer: &str, now: u64) -> bool {
        self.with(peer).iter().any(|session| session.is_expected(now))
    }

    /// Returns whether all sessions with a peer are near their end. A peer without sessions is not due.
    pub(super) fn is_due(&self, peer: &str, now: u64) -> bool {
        let mut sessions = self.with(peer).iter().filter(|session| session.is_confirmed()).peekable();
        sessions.peek().is_some() && sessions.all(|session| session.is_due(now))
    }

    /// Authenticates a call for a peer with the newest usable session.
    pub(super) fn authenticate(&self, peer: &str, digest: &Digest, now: u64) -> Option<Authenticator> {
        self.with(peer).iter().filter(|session| session.is_usable(now)).find_map(|session| session.authenticate(digest))
    }

    /// Adds a session. The last quarter of the peers is kept for handshakes that this host began: hosts that it does not
    /// call cannot use up what it needs for those that it calls.
    pub(super) fn insert(&mut self, session: Arc<Session>, now: u64) -> Result<(), HandshakeError> {
        self.remove(|session| session.is_over(now));
        let most = if session.terms.is_begun_here { self.peers } else { self.peers - self.peers / 4 };
        if !self.by_peer.contains_key(&session.peer) && self.by_peer.len() >= most {
            // Sessions that only wait for late answers make room.
            self.remove(|session| session.has_ended(now));
            if self.by_peer.len() >= most {
                return Err(HandshakeError::TooMany);
            }
        }
        if self.by_key.contains_key(&session.own_id) {
            return Err(HandshakeError::Failed);
        }
        self.by_key.insert(session.own_id, session.clone());
        let sessions = self.by_peer.entry(session.peer.clone()).or_default();
        sessions.insert(0, session);
        if sessions.len() > PER_PEER {
            let surplus = sessions.iter().rposition(|session| !session.is_confirmed()).unwrap_or(PER_PEER);
            // The newest one may be unconfirmed too, and stays.
            let surplus = sessions.remove(if surplus == 0 { PER_PEER } else { surplus });
            self.by_key.remove(&surplus.own_id);
        }
        Ok(())
    }

    /// Removes all sessions with a peer.
    pub(super) fn forget(&mut self, peer: &str) {
        for session in self.by_peer.remove(peer).unwrap_or_default() {
            self.by_key.remove(&session.own_id);
        }
    }

    /// Removes the sessions that meet a condition.
    fn remove(&mut self, is_removed: impl Fn(&Session) -> bool) {
        self.by_key.retain(|_, session| !is_removed(session));
        self.by_peer.retain(|_, sessions| {
            sessions.retain(|session| !is_removed(session));
            !sessions.is_empty()
        });
    }

    /// Returns the newest session with a peer.
    #[cfg(test)]
    pub(super) fn newest(&self, peer: &str) -> Arc<Session> {
        self.by_peer[peer][0].clone()
    }

    /// Returns how many sessions there are.
    pub(super) fn len(&self) -> usize {
        self.by_key.len()
    }
}
