//! Snapshots of what is followed, and audits: the comparison of what is known with what is stored.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio::time::Instant;
use wasmcloud_core::error::Result;

use super::super::entry::since_1970;
use super::super::interest::Entity;
use super::super::key::Key;
use super::super::outbox::RegistryChange;
use super::super::snapshot::{Filters, Found};
use super::super::write::chance;
use super::reads::Done;
use super::{Watcher, spread};

/// The most entities whose entries are read by one consumer.
const ENTITIES: usize = 64;

/// The most entries that wait between the reader of a snapshot and the task.
const WAITING_ENTRIES: usize = 256;

/// The time after which a failed snapshot or audit is tried again, at least.
const RETRY: Duration = Duration::from_millis(500);

/// The longest time between two audits if the server does not republish changes.
const POLL: Duration = Duration::from_secs(10);

/// The most removals that are purged after one audit.
const PURGES: usize = 64;

/// When the next audit is due, and what it is for.
pub(super) struct Audit {
    interval: Duration,
    due: Instant,
    is_checking: bool,
    /// Whether an audit has begun that is not complete.
    is_open: bool,
    /// Whether the connection was lost since the last complete audit.
    is_resynchronising: bool,
    snapshot_at: Option<Instant>,
}

impl Audit {
    pub(super) fn new(interval: Duration) -> Audit {
        Audit {
            interval,
            due: Instant::now() + interval,
            is_checking: false,
            is_open: false,
            is_resynchronising: false,
            snapshot_at: None,
        }
    }

    /// Brings the next audit forward.
    pub(super) fn demand(&mut self, after: Duration, is_reconnect: bool) {
        self.due = self.due.min(Instant::now() + after);
        self.is_resynchronising |= is_reconnect;
    }

    pub(super) fn next(&self) -> Instant {
        let due = if self.is_checking { Instant::now() + self.interval } else { self.due };
        self.snapshot_at.map_or(due, |time| time.min(due))
    }

    /// Returns the interval, up to a tenth longer by chance, so that hosts do not audit all at once.
    fn jittered(&self) -> Duration {
        self.interval + self.interval.mul_f64(0.1 * f64::from(chance()) / f64::from(u32::MAX))
    }
}

/// A snapshot that is being read.
pub(super) struct Running {
    entities: Vec<Entity>,
    is_audit: bool,
    found: mpsc::Receiver<Found>,
    outcome: JoinHandle<Result<()>>,
}

impl Drop for Running {
    fn drop(&mut self) {
        self.outcome.abort();
    }
}

/// Returns the next entry of the snapshot, or `None` at its end. Never returns without a snapshot.
pub(super) async fn next_found(running: &mut Option<Running>) -> Option<Found> {
    match running {
        Some(running) => running.found.recv().await,
        None => std::future::pending().await,
    }
}

impl Watcher {
    /// Begins an audit if one is due: the stream is checked first.
    pub(super) fn begin_audit(&mut self, now: Instant) {
        if self.audit.is_checking || self.audit.due > now {
            return;
        }
        self.audit.is_checking = true;
        self.audit.due = now + self.audit.jittered();
        let bucket = Arc::clone(&self.registry.0.bucket);
        self.tasks.spawn(async move { Done::Checked(bucket.ensure().await) });
    }

    pub(super) fn complete_check(&mut self, outcome: Result<bool>) {
        self.audit.is_checking = false;
        if matches!(outcome, Ok(true)) {
            self.audit.is_open = true;
            if !self.registry.0.bucket.republishes() {
                self.audit.demand(POLL, false);
            }
            self.waiting.extend(self.tracked.keys().cloned());
            self.end_audit();
        } else {
            log::debug!("The stream of the registry cannot be checked and is checked again: {outcome:?}");
            self.audit.demand(RETRY + spread(), false);
        }
    }

    /// Begins the next snapshot, if there is none: of entities that are new, or of those that are audited.
    pub(super) fn begin_snapshot(&mut self, now: Instant) {
        if self.running.is_some() || self.audit.snapshot_at.is_some_and(|time| time > now) {
            return;
        }
        self.audit.snapshot_at = None;
        let is_ready = |entity: &&Entity| self.tracked.get(*entity).is_some_and(|tracked| tracked.is_ready);
        let fresh: Vec<Entity> =
            self.waiting.iter().filter(|entity| !is_ready(entity)).take(ENTITIES).cloned().collect();
        let is_audit = fresh.is_empty();
        let entities = if is_audit { self.waiting.iter().take(ENTITIES).cloned().collect::<Vec<_>>() } else { fresh };
        if entities.is_empty() {
            return;
        }
        self.round += 1;
        let mut patterns: Vec<String> = entities.iter().flat_map(Entity::patterns).collect();
        // A provider under two link names has one token.
        patterns.sort_unstable();
        patterns.dedup();
        let (sender, found) = mpsc::channel(WAITING_ENTRIES);
        let bucket = Arc::clone(&self.registry.0.bucket);
        let filters = Filters { patterns, is_audit };
        let outcome = tokio::spawn(async move { bucket.snapshot(&filters, &sender).await });
        for entity in &entities {
            self.waiting.remove(entity);
        }
        self.running = Some(Running { entities, is_audit, found, outcome });
    }

    /// Takes an entry of the snapshot into account, or its end.
    pub(super) async fn find(&mut self, found: Option<Found>) {
        let Some(Found { key, stored }) = found else { return self.end_snapshot().await };
        let is_audit = self.running.as_ref().is_some_and(|running| running.is_audit);
        if !is_audit {
            return self.accept(key, &stored);
        }
        self.known.mark(&key, self.round);
        if self.known.is_news(&key, stored.sequence) {
            self.registry.0.counters.audit_differences.add();
            self.reads.demand(key);
        }
    }

    async fn end_snapshot(&mut self) {
        let Some(mut running) = self.running.take() else { return };
        let outcome = (&mut running.outcome).await;
        let entities: HashSet<Entity> =
            running.entities.drain(..).filter(|entity| self.tracked.contains_key(entity)).collect();
        if !matches!(outcome, Ok(Ok(()))) {
            log::debug!("A part of the registry cannot be read and is read again: {outcome:?}");
            self.registry.0.counters.failed_snapshots.add();
            self.waiting.extend(entities);
            self.audit.snapshot_at = Some(Instant::now() + RETRY + spread());
            return;
        }
        self.registry.0.counters.snapshots.add();
        self.miss_others(&entities);
        for entity in entities {
            let Some(tracked) = self.tracked.get_mut(&entity) else { continue };
            if !std::mem::replace(&mut tracked.is_ready, true) && tracked.outstanding.is_empty() {
                self.outbox.push(RegistryChange::SnapshotComplete { entity });
            }
        }
        self.end_audit();
    }

    /// Reads the entries that are known and were not in the snapshot, and purges old removals.
    fn miss_others(&mut self, entities: &HashSet<Entity>) {
        let now = since_1970(SystemTime::now()).as_secs();
        let age = self.registry.0.options.removal_age.as_secs().max(60);
        let mut purges = 0;
        for (key, held) in &self.known.entries {
            if !covers(entities, key) {
                continue;
            }
            if held.round < self.round && held.revision > 0 {
                self.reads.demand(key.clone());
            } else if held.is_removed && now.saturating_sub(held.seconds) > age && purges < PURGES {
                purges += 1;
                let (bucket, key, revision) = (Arc::clone(&self.registry.0.bucket), key.clone(), held.revision);
                self.tasks.spawn(async move {
                    match bucket.purge(&key, revision).await {
                        Ok(()) => Done::Purged { key, revision },
                        Err(_) => Done::Nothing,
                    }
                });
            }
        }
    }

    fn end_audit(&mut self) {
        if self.audit.is_open && self.waiting.is_empty() && self.running.is_none() {
            self.audit.is_open = false;
            self.registry.0.counters.audits.add();
            if std::mem::take(&mut self.audit.is_resynchronising) {
                self.outbox.push(RegistryChange::Resynchronised);
            }
        }
    }
}

/// Returns whether the snapshot of entities would have held a key.
fn covers(entities: &HashSet<Entity>, key: &Key) -> bool {
    match key {
        Key::Link(link) => entities.contains(&Entity::Actor(link.actor.clone())),
        Key::Claims(key) => entities.contains(&Entity::Actor(key.clone())),
        Key::Alias(alias) => entities.contains(&Entity::Alias(alias.clone())),
        Key::Index { provider, link } => {
            entities.contains(&Entity::Provider { key: provider.clone(), link_name: link.link_name.clone() })
        }
        Key::Reference(_) => false,
    }
}
