//! What is counted of advertisements and requests.

use std::sync::atomic::{AtomicU64, Ordering};

/// What has been counted of advertisements and requests since the start.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct AdvertisementCounts {
    /// The advertisements that were published.
    pub published: u64,
    /// The advertisements and requests that arrived.
    pub received: u64,
    /// The own advertisements that came back.
    pub own: u64,
    /// The messages that are no advertisement, are too large, or are requests without a subject for the answer.
    pub malformed: u64,
    /// The unsigned claims that the options do not accept, and the requests whose answer would go to a subject of the lattice or
    /// of the server.
    pub refused: u64,
    /// The messages beyond the rate at which they are served.
    pub throttled: u64,
    /// The advertisements for which the receiver had no room.
    pub dropped: u64,
    /// The requests that were answered.
    pub answered: u64,
    /// The answers from which items were left out, since a message may not be larger.
    pub shortened: u64,
}

#[derive(Debug, Default)]
pub(super) struct Counters {
    pub(super) published: Counter,
    pub(super) received: Counter,
    pub(super) own: Counter,
    pub(super) malformed: Counter,
    pub(super) refused: Counter,
    pub(super) throttled: Counter,
    pub(super) dropped: Counter,
    pub(super) answered: Counter,
    pub(super) shortened: Counter,
}

impl Counters {
    pub(super) fn read(&self) -> AdvertisementCounts {
        AdvertisementCounts {
            published: self.published.get(),
            received: self.received.get(),
            own: self.own.get(),
            malformed: self.malformed.get(),
            refused: self.refused.get(),
            throttled: self.throttled.get(),
            dropped: self.dropped.get(),
            answered: self.answered.get(),
            shortened: self.shortened.get(),
        }
    }
}

#[derive(Debug, Default)]
pub(super) struct Counter(AtomicU64);

impl Counter {
    pub(super) fn add(&self) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }

    fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}
