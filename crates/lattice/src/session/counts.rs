//! Counts of what happens to the sessions of a host.

use std::sync::atomic::{AtomicU64, Ordering};

use super::{CallRefusal, HandshakeError};

/// What has happened to the sessions of a host since its start.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct SessionCounts {
    /// Handshakes that this host began.
    pub begun: u64,
    /// Handshakes that another host began, and that this host answered.
    pub answered: u64,
    /// Sessions that were established.
    pub established: u64,
    /// Sessions among them that replaced an earlier one with the same host.
    pub rotations: u64,
    /// Handshakes that this host began and that did not end in time, or that were given up.
    pub unanswered: u64,
    /// Messages of handshakes that were refused, by reason.
    pub refused: RefusedHandshakes,
    /// Calls that named no session, from hosts without one.
    pub without_session: u64,
    /// Calls that named no session although one exists.
    pub sessions_not_used: u64,
    /// Calls and answers whose MAC does not verify.
    pub forged: u64,
    /// Calls that had been accepted before.
    pub replayed: u64,
    /// Calls with a session that has ended.
    pub expired: u64,
}

/// Messages of handshakes that were refused, by reason: see [`HandshakeError`].
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct RefusedHandshakes {
    /// Messages that are malformed.
    pub malformed: u64,
    /// Messages of handshakes that are not under way.
    pub unknown: u64,
    /// Messages that do not decrypt or prove nothing.
    pub forged: u64,
    /// Messages of another host than expected.
    pub wrong_host: u64,
    /// Messages of hosts that are not trusted.
    pub untrusted: u64,
    /// Messages beyond the rate or the number of handshakes or sessions.
    pub too_many: u64,
    /// Messages that could not be processed.
    pub failed: u64,
}

/// The counters behind [`SessionCounts`].
#[derive(Debug, Default)]
pub(super) struct Counters {
    pub(super) begun: AtomicU64,
    pub(super) answered: AtomicU64,
    pub(super) established: AtomicU64,
    pub(super) rotations: AtomicU64,
    pub(super) unanswered: AtomicU64,
    pub(super) forged: AtomicU64,
    handshakes: [AtomicU64; 7],
    without_session: AtomicU64,
    sessions_not_used: AtomicU64,
    replayed: AtomicU64,
    expired: AtomicU64,
}

pub(super) fn count(counter: &AtomicU64) {
    counter.fetch_add(1, Ordering::Relaxed);
}

fn read(counter: &AtomicU64) -> u64 {
    counter.load(Ordering::Relaxed)
}

impl Counters {
    pub(super) fn refuse_handshake(&self, error: HandshakeError) {
        count(&self.handshakes[error as usize]);
    }

    pub(super) fn refuse_call(&self, refusal: CallRefusal) {
        count(match refusal {
            CallRefusal::NoSession => &self.without_session,
            CallRefusal::SessionNotUsed => &self.sessions_not_used,
            CallRefusal::Forged => &self.forged,
            CallRefusal::Replayed => &self.replayed,
            CallRefusal::Expired => &self.expired,
        });
    }

    pub(super) fn counts(&self) -> SessionCounts {
        let refused = |error: HandshakeError| read(&self.handshakes[error as usize]);
        SessionCounts {
            begun: read(&self.begun),
            answered: read(&self.answered),
            established: read(&self.established),
            rotations: read(&self.rotations),
            unanswered: read(&self.unanswered),
            refused: RefusedHandshakes {
                malformed: refused(HandshakeError::Malformed),
                unknown: refused(HandshakeError::Unknown),
                forged: refused(HandshakeError::Forged),
                wrong_host: refused(HandshakeError::WrongHost),
                untrusted: refused(HandshakeError::Untrusted),
                too_many: refused(HandshakeError::TooMany),
                failed: refused(HandshakeError::Failed),
            },
            without_session: read(&self.without_session),
            sessions_not_used: read(&self.sessions_not_used),
            forged: read(&self.forged),
            replayed: read(&self.replayed),
            expired: read(&self.expired),
        }
    }
}
