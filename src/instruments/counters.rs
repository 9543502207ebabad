//! The counters of one instance: written by its own thread, read by others.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use wasmcloud_core::durations::{self, BUCKETS, Durations};

use super::operations::SLOTS;
use super::{Outcome, Outcomes};

/// The counters, in cache lines that hold nothing else.
#[derive(Debug)]
#[repr(align(128))]
pub(super) struct Counters {
    calls: [[AtomicU64; Outcome::ALL.len()]; SLOTS],
    latency: [AtomicU64; BUCKETS],
    nanoseconds: AtomicU64,
    /// Calls that are being served and have not ended at their first step.
    in_flight: AtomicU64,
}

impl Default for Counters {
    fn default() -> Self {
        Counters {
            calls: Default::default(),
            latency: std::array::from_fn(|_| AtomicU64::default()),
            nanoseconds: AtomicU64::default(),
            in_flight: AtomicU64::default(),
        }
    }
}

/// Adds to a counter that no other thread writes.
fn add(counter: &AtomicU64, more: u64) {
    counter.store(counter.load(Ordering::Relaxed).wrapping_add(more), Ordering::Relaxed);
}

impl Counters {
    /// Counts a call, on the thread of the instance.
    pub(super) fn count(&self, slot: usize, outcome: Outcome) {
        add(&self.calls[slot][outcome as usize], 1);
    }

    /// Counts a call, on any thread.
    pub(super) fn count_from_anywhere(&self, slot: usize, outcome: Outcome) {
        self.calls[slot][outcome as usize].fetch_add(1, Ordering::Relaxed);
    }

    /// Records how long a call took that stands for this number of calls, on the thread of the instance.
    pub(super) fn time(&self, took: Duration, calls: u32) {
        let nanoseconds = u64::try_from(took.as_nanos()).unwrap_or(u64::MAX);
        add(&self.latency[durations::bucket(nanoseconds)], calls.into());
        add(&self.nanoseconds, nanoseconds.saturating_mul(calls.into()));
    }

    /// Changes the number of calls that are being served, on the thread of the instance.
    pub(super) fn enter(&self) {
        add(&self.in_flight, 1);
    }

    /// Reverts [`Counters::enter`].
    pub(super) fn leave(&self) {
        add(&self.in_flight, u64::MAX);
    }

    pub(super) fn in_flight(&self) -> u64 {
        self.in_flight.load(Ordering::Relaxed)
    }

    /// Adds what was counted to a sum.
    pub(super) fn add_to(&self, totals: &mut Totals) {
        for (sum, counters) in totals.operations.iter_mut().zip(&self.calls) {
            for (outcome, counter) in Outcome::ALL.into_iter().zip(counters) {
                sum.add(outcome, counter.load(Ordering::Relaxed));
            }
        }
        let mut latency = Durations { nanoseconds: self.nanoseconds.load(Ordering::Relaxed), ..Durations::default() };
        for (calls, counter) in latency.buckets.iter_mut().zip(&self.latency) {
            *calls = counter.load(Ordering::Relaxed);
        }
        totals.latency.merge(&latency);
    }
}

/// The sum of several counters.
#[derive(Debug, Clone, Default)]
pub(super) struct Totals {
    pub(super) operations: [Outcomes; SLOTS],
    pub(super) latency: Durations,
    pub(super) fuel: u64,
}
