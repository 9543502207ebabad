//! What the registry counts.

use std::sync::atomic::{AtomicU64, Ordering};

/// What a registry has counted since it was opened.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct RegistryCounters {
    /// Entries that were refused.
    pub refused: u64,
    /// Changes that an audit found and no message had announced.
    pub audit_differences: u64,
    /// Audits that were completed.
    pub audits: u64,
    /// Snapshots that were read.
    pub snapshots: u64,
    /// Snapshots that failed and were tried again.
    pub failed_snapshots: u64,
    /// Single entries that were read for the watch.
    pub reads: u64,
    /// Announced changes of links that were not completed in time.
    pub unsettled_intents: u64,
    /// Writes that were tried again because another write came first.
    pub retried_writes: u64,
    /// Writes whose acknowledgement was lost and whose outcome was found out afterwards.
    pub reconciled_writes: u64,
    /// The times that the data of the bucket was lost.
    pub losses: u64,
    /// Removals that were purged.
    pub purged: u64,
}

#[derive(Debug, Default)]
pub(super) struct Counters {
    pub(super) refused: Counter,
    pub(super) audit_differences: Counter,
    pub(super) audits: Counter,
    pub(super) snapshots: Counter,
    pub(super) failed_snapshots: Counter,
    pub(super) reads: Counter,
    pub(super) unsettled_intents: Counter,
    pub(super) retried_writes: Counter,
    pub(super) reconciled_writes: Counter,
    pub(super) losses: Counter,
    pub(super) purged: Counter,
}

impl Counters {
    pub(super) fn read(&self) -> RegistryCounters {
        RegistryCounters {
            refused: self.refused.get(),
            audit_differences: self.audit_differences.get(),
            audits: self.audits.get(),
            snapshots: self.snapshots.get(),
            failed_snapshots: self.failed_snapshots.get(),
            reads: self.reads.get(),
            unsettled_intents: self.unsettled_intents.get(),
            retried_writes: self.retried_writes.get(),
            reconciled_writes: self.reconciled_writes.get(),
            losses: self.losses.get(),
            purged: self.purged.get(),
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
