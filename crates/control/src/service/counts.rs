//! What is counted of the control interface.

use std::sync::atomic::{AtomicU64, Ordering};

use wasmcloud_core::error::ErrorKind;

/// What has been counted of the control interface since the start.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct ControlCounts {
    /// The requests that arrived.
    pub received: u64,
    /// The requests that are malformed, or want no answer.
    pub malformed: u64,
    /// The orders without a token of a control issuer, and the requests whose answer would go to a subject of the lattice or the server.
    pub refused: u64,
    /// The requests beyond the rate at which they are served.
    pub throttled: u64,
    /// The orders that were begun.
    pub orders: u64,
    /// The orders that failed.
    pub failed: u64,
    /// The answers and acknowledgements that were sent.
    pub answered: u64,
    /// The events that were published.
    pub events: u64,
}

#[derive(Debug, Default)]
pub(super) struct Counters {
    pub(super) received: Counter,
    pub(super) malformed: Counter,
    pub(super) refused: Counter,
    pub(super) throttled: Counter,
    pub(super) orders: Counter,
    pub(super) failed: Counter,
    pub(super) answered: Counter,
    pub(super) events: Counter,
}

impl Counters {
    /// Returns the counter of requests that are refused with an error of a kind.
    pub(super) fn of_refusal(&self, kind: ErrorKind) -> &Counter {
        match kind {
            ErrorKind::Unauthorized => &self.refused,
            ErrorKind::Busy => &self.throttled,
            _ => &self.malformed,
        }
    }

    pub(super) fn read(&self) -> ControlCounts {
        ControlCounts {
            received: self.received.get(),
            malformed: self.malformed.get(),
            refused: self.refused.get(),
            throttled: self.throttled.get(),
            orders: self.orders.get(),
            failed: self.failed.get(),
            answered: self.answered.get(),
            events: self.events.get(),
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
