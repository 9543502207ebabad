//! The changes that wait for their consumer: the latest of each key, so that a slow consumer bounds nothing but its own delay.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::Notify;

use super::claims::ClaimsRecord;
use super::entry::{LinkRecord, Refusal};
use super::interest::Entity;
use super::key::{Key, LinkKey};

/// The most refusals that wait. Further ones are counted only.
const MOST_REFUSALS: usize = 256;

/// A change of the registry, or of what is known of it.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub enum RegistryChange {
    /// A link is set. It may lead to another provider than before.
    Link {
        /// The definition.
        definition: LinkRecord,
        /// The revision.
        revision: u64,
    },
    /// A link was removed.
    LinkRemoved {
        /// The link.
        key: LinkKey,
        /// The revision of the removal.
        revision: u64,
    },
    /// An actor or provider has a token.
    Claims(ClaimsRecord),
    /// The token of an actor or provider was removed.
    ClaimsRemoved {
        /// The public key of the actor or provider.
        entity: String,
        /// The revision of the removal.
        revision: u64,
    },
    /// A call alias has another holder, or none.
    Alias {
        /// The alias.
        alias: String,
        /// The public key of the actor that holds it.
        actor: Option<String>,
        /// The revision.
        revision: u64,
    },
    /// Everything that the registry holds of an entity has been delivered. Later changes follow.
    SnapshotComplete {
        /// The entity.
        entity: Entity,
    },
    /// The data of the registry was lost, and the bucket was created again. What is known stays in effect: each host puts its own
    /// links and claims again. A snapshot of every entity follows.
    Lost,
    /// After the connection was back, everything has been compared with what is stored.
    Resynchronised,
    /// An entry was refused. The last valid state of its key stays in effect.
    Refused {
        /// The key.
        key: Key,
        /// The reason.
        reason: Refusal,
    },
}

/// The changes that concern what a host follows, in the order of their revisions for each key. Of several changes of one key that
/// were not fetched in time, only the latest is delivered.
#[derive(Debug)]
pub struct Changes(Arc<Outbox>);

impl Changes {
    pub(super) fn new(outbox: Arc<Outbox>) -> Changes {
        Changes(outbox)
    }

    /// Returns the next change, or `None` once the last [`InterestHandle`](super::InterestHandle) was dropped. A call that is
    /// cancelled loses nothing.
    pub async fn next(&mut self) -> Option<RegistryChange> {
        loop {
            let filled = self.0.filled.notified();
            {
                let mut queue = self.0.queue();
                if let Some(change) = queue.take() {
                    return Some(change);
                }
                if queue.is_closed {
                    return None;
                }
            }
            filled.await;
        }
    }

    /// Returns the number of changes that wait.
    pub fn waiting(&self) -> usize {
        self.0.queue().order.len()
    }
}

impl Drop for Changes {
    fn drop(&mut self) {
        self.0.abandon();
    }
}

/// What makes a later change replace an earlier one.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
enum Slot {
    Key(Key),
    Snapshot(Entity),
    Refused(Key),
    Lost,
    Resynchronised,
}

#[derive(Debug, Default)]
struct Queue {
    order: VecDeque<Slot>,
    changes: HashMap<Slot, RegistryChange>,
    refusals: usize,
    is_closed: bool,
    is_abandoned: bool,
}

/// The changes that wait for their consumer.
#[derive(Debug, Default)]
pub(super) struct Outbox {
    queue: Mutex<Queue>,
    filled: Notify,
    /// Notified when the consumer has gone.
    pub(super) abandoned: Notify,
}

impl Outbox {
    pub(super) fn push(&self, change: RegistryChange) {
        self.queue().put(slot(&change), change);
        self.filled.notify_one();
    }

    pub(super) fn close(&self) {
        self.queue().is_closed = true;
        self.filled.notify_one();
    }

    pub(super) fn is_abandoned(&self) -> bool {
        self.queue().is_abandoned
    }

    fn abandon(&self) {
        self.queue().is_abandoned = true;
        self.abandoned.notify_one();
    }

    fn queue(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Queue {
    fn put(&mut self, slot: Slot, change: RegistryChange) {
        let is_refusal = matches!(slot, Slot::Refused(_));
        if is_refusal && self.refusals >= MOST_REFUSALS {
            return;
        }
        if self.changes.insert(slot.clone(), change).is_none() {
            self.refusals += usize::from(is_refusal);
            self.order.push_back(slot);
        }
    }

    fn take(&mut self) -> Option<RegistryChange> {
        let slot = self.order.pop_front()?;
        self.refusals -= usize::from(matches!(slot, Slot::Refused(_)));
        self.changes.remove(&slot)
    }
}

fn slot(change: &RegistryChange) -> Slot {
    match change {
        RegistryChange::Link { definition, .. } => Slot::Key(Key::Link(LinkKey {
            actor: definition.actor.clone(),
            contract: definition.contract.clone(),
            link_name: definition.link_name.clone(),
        })),
        RegistryChange::LinkRemoved { key, .. } => Slot::Key(Key::Link(key.clone())),
        RegistryChange::Claims(record) => Slot::Key(Key::Claims(record.entity.clone())),
        RegistryChange::ClaimsRemoved { entity, .. } => Slot::Key(Key::Claims(entity.clone())),
        RegistryChange::Alias { alias, .. } => Slot::Key(Key::Alias(alias.clone())),
        RegistryChange::SnapshotComplete { entity } => Slot::Snapshot(entity.clone()),
        RegistryChange::Lost => Slot::Lost,
        RegistryChange::Resynchronised => Slot::Resynchronised,
        RegistryChange::Refused { key, .. } => Slot::Refused(key.clone()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn alias(alias: &str, revision: u64) -> RegistryChange {
        RegistryChange::Alias { alias: alias.to_owned(), actor: None, revision }
    }

    #[test]
    fn the_latest_change_of_a_key_waits_in_the_place_of_the_first() {
        let mut queue = Queue::default();
        for change in [alias("a", 1), alias("b", 2), alias("a", 3)] {
            queue.put(slot(&change), change);
        }
        assert!(matches!(queue.take(), Some(RegistryChange::Alias { revision: 3, .. })));
        assert!(matches!(queue.take(), Some(RegistryChange::Alias { revision: 2, .. })));
        assert!(queue.take().is_none());
    }

    #[test]
    fn refusals_are_bounded() {
        let mut queue = Queue::default();
        for number in 0..10_000 {
            let key = Key::Alias(number.to_string());
            let change = RegistryChange::Refused { key, reason: Refusal::Forged };
            queue.put(slot(&change), change);
        }
        assert_eq!(queue.order.len(), MOST_REFUSALS);
        while queue.take().is_some() {}
        assert_eq!((queue.refusals, queue.changes.len()), (0, 0));
    }
}
