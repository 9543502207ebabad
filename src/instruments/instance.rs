//! The writing end of an instance's counters, which stays on the thread of the instance.

use std::cell::Cell;
use std::sync::Arc;
use std::time::Instant;

use wasmcloud_core::error::{Error, ErrorKind};
use wasmcloud_engine::GuestUsage;

use super::counters::Counters;
use super::operations::{OTHER, Operations};
use super::outcome::Outcome;
use super::sampler::{Sampler, Timed};

/// Counts the calls of one instance. It counts nothing in a host without metrics.
#[derive(Debug)]
pub(crate) struct InstanceInstruments(Option<Box<Writer>>);

#[derive(Debug)]
struct Writer {
    operations: Arc<Operations>,
    counters: Arc<Counters>,
    usage: Option<Arc<GuestUsage>>,
    sampler: Sampler,
    /// The slot of the last operation.
    last: Cell<usize>,
}

/// A call that has begun. It is counted when it ends. The default is a call that is not counted.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct BegunCall(Option<Begun>);

#[derive(Debug, Clone, Copy)]
struct Begun {
    /// `None` if its operation has no slot yet.
    slot: Option<usize>,
    timed: Option<Timed>,
}

impl InstanceInstruments {
    pub(super) fn off() -> InstanceInstruments {
        InstanceInstruments(None)
    }

    pub(super) fn new(
        operations: Arc<Operations>,
        counters: Arc<Counters>,
        usage: Option<Arc<GuestUsage>>,
        seed: u32,
    ) -> InstanceInstruments {
        let sampler = Sampler::new(seed);
        InstanceInstruments(Some(Box::new(Writer { operations, counters, usage, sampler, last: Cell::new(0) })))
    }

    /// Returns where the guests of the instance record what they use.
    pub(crate) fn usage(&self) -> Option<Arc<GuestUsage>> {
        self.0.as_ref()?.usage.clone()
    }

    /// Begins a call. The clock is asked only if the call is timed.
    pub(crate) fn begin(&self, operation: &str, now: impl FnOnce() -> Instant) -> BegunCall {
        let begun = |writer: &Writer| Begun { slot: writer.slot(operation), timed: writer.sampler.begin(now) };
        BegunCall(self.0.as_deref().map(begun))
    }

    /// Counts a call that ends before the guest or the provider sees it.
    pub(crate) fn refuse(&self, operation: &str, refusal: &Error) {
        if let Some(writer) = &self.0 {
            let slot = writer.operations.find(operation).unwrap_or(OTHER);
            writer.counters.count(slot, Outcome::of_kind(refusal.kind()));
        }
    }

    /// Records that a call has not ended at its first step.
    pub(crate) fn suspend(&self) {
        if let Some(writer) = &self.0 {
            writer.counters.enter();
        }
    }

    /// Reverts [`InstanceInstruments::suspend`] at the end of the call.
    pub(crate) fn resume(&self) {
        if let Some(writer) = &self.0 {
            writer.counters.leave();
        }
    }

    /// Counts a call that has ended. Both closures are called only if they are needed. Without a name, the operation counts
    /// among the others.
    pub(crate) fn end<T>(
        &self,
        call: BegunCall,
        answer: &Result<T, Error>,
        operation: impl FnOnce() -> Option<String>,
        now: impl FnOnce() -> Instant,
    ) {
        let (Some(writer), Some(Begun { slot, timed })) = (&self.0, call.0) else { return };
        let slot = slot.unwrap_or_else(|| writer.add_operation(answer, operation));
        writer.counters.count(slot, Outcome::of(answer));
        if let Some(Timed { begun, calls }) = timed {
            writer.counters.time(now().saturating_duration_since(begun), calls);
        }
    }
}

impl Writer {
    fn slot(&self, operation: &str) -> Option<usize> {
        let last = self.last.get();
        if self.operations.is(last, operation) {
            return Some(last);
        }
        let slot = self.operations.find(operation)?;
        self.last.set(slot);
        Some(slot)
    }

    /// Gives an operation a slot, unless its target does not know it: callers may invent any number of names.
    #[cold]
    fn add_operation<T>(&self, answer: &Result<T, Error>, operation: impl FnOnce() -> Option<String>) -> usize {
        if answer.as_ref().is_err_and(|error| error.kind() == ErrorKind::UnknownOperation) {
            return OTHER;
        }
        operation().map_or(OTHER, |operation| self.operations.find_or_add(&operation))
    }
}
