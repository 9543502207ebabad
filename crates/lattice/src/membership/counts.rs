//! How many messages were heard and refused.

use std::sync::{Mutex, PoisonError};

use super::roster::Refusal;

/// How many messages were heard, and refused for which reason.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct MembershipCounts {
    /// The heartbeats accepted.
    pub heartbeats: u64,
    /// The messages that are no heartbeats.
    pub malformed: u64,
    /// The heartbeats whose time differs from the own by more than the token window.
    pub wrong_time: u64,
    /// The heartbeats of hosts that are not trusted.
    pub untrusted: u64,
    /// The heartbeats that were heard before, or are older than one that was.
    pub replayed: u64,
    /// The heartbeats that the host they name did not sign.
    pub forged: u64,
    /// The heartbeats of further hosts, when 10,000 are known.
    pub full: u64,
    /// The requests that were not answered, since there were too many.
    pub throttled: u64,
    /// The requests that are malformed.
    pub malformed_requests: u64,
    /// The inventories that could not be read.
    pub failed_inventories: u64,
    /// The items left out of heartbeats of 2021, since each is larger than a message may be.
    pub left_out: u64,
    /// The times that the server did not confirm that the own connection works.
    pub unsettled: u64,
}

#[derive(Debug, Default)]
pub(super) struct Counters(Mutex<MembershipCounts>);

impl Counters {
    /// Returns the counts.
    pub(super) fn read(&self) -> MembershipCounts {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn add(&self, count: impl FnOnce(&mut MembershipCounts)) {
        count(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner));
    }

    pub(super) fn refuse(&self, refusal: Refusal) {
        self.add(|counts| match refusal {
            Refusal::Malformed => counts.malformed += 1,
            Refusal::WrongTime => counts.wrong_time += 1,
            Refusal::Untrusted => counts.untrusted += 1,
            Refusal::Replayed => counts.replayed += 1,
            Refusal::Forged => counts.forged += 1,
            Refusal::Full => counts.full += 1,
        });
    }
}
