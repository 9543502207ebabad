//! Counters of the messages that were admitted, and of those that were refused for which reason.

use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};

/// The reason for which a message is refused at the edge.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Refusal {
    /// It is not a message of the lattice.
    Malformed,
    /// It is larger than a message may be.
    TooLarge,
    /// It names another host or another target than the subject that it came on.
    WrongDestination,
    /// Its MAC or signature does not verify, or was made for another message or namespace.
    Forged,
    /// Its time is too long ago.
    Expired,
    /// Its time lies in the future.
    FromFuture,
    /// It was admitted before.
    Replayed,
    /// Its host is not trusted.
    Untrusted,
    /// It carries neither a token nor the MAC of a session that this host knows. The caller is told how to go on.
    NoSession,
    /// It comes with less protection than its host uses: without the extension, or without the seal of an answer.
    Downgraded,
}

/// All reasons, in the order of their counters.
const REASONS: [Refusal; 10] = [
    Refusal::Malformed,
    Refusal::TooLarge,
    Refusal::WrongDestination,
    Refusal::Forged,
    Refusal::Expired,
    Refusal::FromFuture,
    Refusal::Replayed,
    Refusal::Untrusted,
    Refusal::NoSession,
    Refusal::Downgraded,
];

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Refusal::Malformed => "it is not a message of the lattice",
            Refusal::TooLarge => "it is larger than a message may be",
            Refusal::WrongDestination => "it is meant for another host or target",
            Refusal::Forged => "its signature does not verify",
            Refusal::Expired => "it was issued too long ago: compare the clocks of the hosts",
            Refusal::FromFuture => "it was issued in the future: compare the clocks of the hosts",
            Refusal::Replayed => "it was received before",
            Refusal::Untrusted => "its host is not trusted here",
            Refusal::NoSession => "it has neither a token nor a known session",
            Refusal::Downgraded => "it has less protection than its host gives its messages",
        })
    }
}

/// How many messages were admitted and refused.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct EdgeCounts {
    /// Calls that were admitted with the MAC of a session.
    pub by_session: u64,
    /// Calls that were admitted with a token.
    pub by_token: u64,
    /// The refusals, in a fixed order.
    pub refusals: Vec<RefusalCount>,
}

/// How many messages were refused for one reason.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RefusalCount {
    /// The reason.
    pub reason: Refusal,
    /// The number of messages.
    pub count: u64,
}

impl EdgeCounts {
    /// Returns how many messages were refused for a reason.
    pub fn refused(&self, reason: Refusal) -> u64 {
        self.refusals.iter().find(|refusal| refusal.reason == reason).map_or(0, |refusal| refusal.count)
    }

    /// Returns how many messages were refused for any reason. Calls whose session this host does not know are not attacks.
    pub fn attacks(&self) -> u64 {
        let attacks = self.refusals.iter().filter(|refusal| refusal.reason != Refusal::NoSession);
        attacks.map(|refusal| refusal.count).sum()
    }
}

#[derive(Debug, Default)]
pub(super) struct Counters {
    by_session: AtomicU64,
    by_token: AtomicU64,
    refusals: [AtomicU64; REASONS.len()],
}

impl Counters {
    pub(super) fn admitted_by_session(&self) {
        self.by_session.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn admitted_by_token(&self) {
        self.by_token.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn refused(&self, reason: Refusal) {
        let counters = REASONS.iter().zip(&self.refusals).find(|(known, _)| **known == reason);
        if let Some((_, counter)) = counters {
            counter.fetch_add(1, Ordering::Relaxed);
        }
    }

    pub(super) fn read(&self) -> EdgeCounts {
        let refusals = REASONS.iter().zip(&self.refusals);
        EdgeCounts {
            by_session: self.by_session.load(Ordering::Relaxed),
            by_token: self.by_token.load(Ordering::Relaxed),
            refusals: refusals
                .map(|(reason, count)| RefusalCount { reason: *reason, count: count.load(Ordering::Relaxed) })
                .collect(),
        }
    }
}
