//! Reads of single entries, a bounded number at once, and announced changes that are polled until they are settled.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::time::Duration;

use tokio::time::Instant;
use wasmcloud_core::error::Result;

use super::super::bucket::{ReadFailure, Stored};
use super::super::entry::Value;
use super::super::key::Key;
use super::super::outbox::RegistryChange;
use super::{Watcher, spread};

/// The most reads at once.
const CONCURRENT: usize = 32;

/// The time after which a failed read is tried again, at least.
const RETRY: Duration = Duration::from_millis(500);

/// The times between two reads of a link whose change was announced.
const SOONEST_POLL: Duration = Duration::from_millis(50);
const LATEST_POLL: Duration = Duration::from_secs(4);

/// The most announcements of one link that are told apart.
const MOST_INTENTS: usize = 16;

/// What a task has done.
pub(super) enum Done {
    Read { key: Key, outcome: Result<Option<Stored>, ReadFailure> },
    Checked(Result<bool>),
    Purged { key: Key, revision: u64 },
    Nothing,
}

/// The entries that have to be read. Each is read by one task at a time, so that its changes stay in order.
#[derive(Default)]
pub(super) struct Reads {
    queued: BTreeSet<Key>,
    running: HashSet<Key>,
    failed: BTreeSet<Key>,
    retry_at: Option<Instant>,
}

impl Reads {
    pub(super) fn demand(&mut self, key: Key) {
        self.queued.insert(key);
    }

    pub(super) fn next(&self) -> Option<Instant> {
        self.retry_at
    }

    fn is_pending(&self, key: &Key) -> bool {
        self.queued.contains(key) || self.running.contains(key) || self.failed.contains(key)
    }
}

/// A change of a link that was announced.
struct Intent {
    since: Instant,
    next: Instant,
}

/// The announced changes that are not settled, by the key of their index entry and the revision of the announcement.
#[derive(Default)]
pub(super) struct Intents(HashMap<Key, BTreeMap<u64, Intent>>);

impl Intents {
    pub(super) fn announce(&mut self, key: &Key, revision: u64) {
        let since = Instant::now();
        let intents = self.0.entry(key.clone()).or_default();
        intents.entry(revision).or_insert(Intent { since, next: since + SOONEST_POLL });
        if intents.len() > MOST_INTENTS {
            intents.pop_first();
        }
    }

    pub(super) fn settle(&mut self, key: &Key, value: &Value) {
        let revision = match value {
            Value::Settled(settlement) => settlement.intent,
            Value::Removed(removal) => removal.intent,
            _ => return,
        };
        if let Some(intents) = self.0.get_mut(key) {
            intents.remove(&revision);
            if intents.is_empty() {
                self.0.remove(key);
            }
        }
    }

    pub(super) fn clear(&mut self) {
        self.0.clear();
    }

    pub(super) fn next(&self) -> Option<Instant> {
        self.0.values().flat_map(BTreeMap::values).map(|intent| intent.next).min()
    }
}

impl Watcher {
    /// Reads the links again whose announced changes are due.
    pub(super) fn poll_intents(&mut self, now: Instant) {
        if self.intents.next().is_none_or(|next| next > now) {
            return;
        }
        let lifetime = self.registry.0.options.intent_lifetime;
        let counters = &self.registry.0.counters;
        self.intents.0.retain(|key, intents| {
            for intent in intents.values_mut().filter(|intent| intent.next <= now) {
                if let Key::Index { link, .. } = key {
                    self.reads.queued.insert(Key::Link(link.clone()));
                }
                intent.next = now + (now - intent.since).clamp(SOONEST_POLL, LATEST_POLL);
            }
            intents.retain(|_, intent| {
                let is_alive = now - intent.since < lifetime;
                if !is_alive {
                    counters.unsettled_intents.add();
                }
                is_alive
            });
            !intents.is_empty()
        });
    }

    pub(super) fn begin_reads(&mut self, now: Instant) {
        if self.reads.retry_at.is_some_and(|time| time <= now) {
            self.reads.retry_at = None;
            self.reads.queued.append(&mut self.reads.failed);
        }
        while self.reads.running.len() < CONCURRENT {
            let Some(key) = self.reads.queued.iter().find(|key| !self.reads.running.contains(key)).cloned() else {
                return;
            };
            self.reads.queued.remove(&key);
            self.reads.running.insert(key.clone());
            self.registry.0.counters.reads.add();
            let bucket = std::sync::Arc::clone(&self.registry.0.bucket);
            self.tasks.spawn(async move {
                let outcome = bucket.read(&key).await;
                Done::Read { key, outcome }
            });
        }
    }

    pub(super) fn complete_read(&mut self, key: Key, outcome: Result<Option<Stored>, ReadFailure>) {
        self.reads.running.remove(&key);
        match outcome {
            Ok(Some(stored)) => self.accept(key.clone(), &stored),
            Ok(None) => self.miss(&key),
            Err(failure) => {
                log::debug!("The entry {key} of the registry is read again: {failure:?}");
                if matches!(failure, ReadFailure::Missing) {
                    self.audit.demand(spread(), false);
                }
                self.reads.failed.insert(key);
                self.reads.retry_at.get_or_insert_with(|| Instant::now() + RETRY + spread());
                return;
            }
        }
        self.complete_entities(&key);
    }

    /// Completes the snapshots that have waited for this entry last.
    fn complete_entities(&mut self, key: &Key) {
        if self.reads.is_pending(key) {
            return;
        }
        for (entity, tracked) in &mut self.tracked {
            if tracked.outstanding.remove(key) && tracked.outstanding.is_empty() && tracked.is_ready {
                self.outbox.push(RegistryChange::SnapshotComplete { entity: entity.clone() });
            }
        }
    }
}
