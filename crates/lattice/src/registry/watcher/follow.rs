//! What is followed: subscriptions on the republished subjects, and the messages that come on them.

use std::collections::HashSet;

use async_nats::Message;
use futures_util::StreamExt;
use tokio::task::AbortHandle;

use super::super::bucket::is_marker;
use super::super::entry::{Refusal, Value};
use super::super::interest::Entity;
use super::super::key::Key;
use super::super::outbox::RegistryChange;
use super::Watcher;

/// An entity that is followed.
pub(super) struct Tracked {
    subscriptions: Vec<AbortHandle>,
    /// Whether its snapshot has been read. Afterwards audits compare revisions only.
    pub(super) is_ready: bool,
    /// The entries that its snapshot points at and that have not been read yet.
    pub(super) outstanding: HashSet<Key>,
}

impl Drop for Tracked {
    fn drop(&mut self) {
        for subscription in &self.subscriptions {
            subscription.abort();
        }
    }
}

impl Watcher {
    /// Begins and ends following, so that what is followed is what is wanted.
    pub(super) async fn follow(&mut self) {
        let wanted = self.interest.wanted();
        let before = self.tracked.len();
        self.tracked.retain(|entity, _| wanted.contains(entity));
        if self.tracked.len() != before {
            self.waiting.retain(|entity| wanted.contains(entity));
            self.forget();
        }
        if self.tracked.len() == wanted.len() {
            return;
        }
        for entity in wanted {
            if !self.tracked.contains_key(&entity) {
                // The subscription comes before the snapshot: what changes between is heard.
                let subscriptions = self.subscribe(&entity).await;
                let tracked = Tracked { subscriptions, is_ready: false, outstanding: HashSet::new() };
                self.tracked.insert(entity.clone(), tracked);
                self.waiting.insert(entity);
            }
        }
    }

    async fn subscribe(&self, entity: &Entity) -> Vec<AbortHandle> {
        let mut handles = Vec::new();
        for pattern in entity.patterns() {
            let bucket = &self.registry.0.bucket;
            // It fails only when the client has ended. Audits notice that.
            let Ok(mut subscriber) = bucket.client.subscribe(bucket.republished(&pattern)).await else { continue };
            let sender = self.message_sender.clone();
            let forward = async move {
                while let Some(message) = subscriber.next().await {
                    if sender.send(message).await.is_err() {
                        return;
                    }
                }
            };
            handles.push(tokio::spawn(forward).abort_handle());
        }
        handles
    }

    /// Forgets the keys that no followed entity needs any more.
    fn forget(&mut self) {
        let tracked = &self.tracked;
        let is_direct = |key: &Key| match key {
            Key::Link(link) => tracked.contains_key(&Entity::Actor(link.actor.clone())),
            Key::Claims(key) => {
                tracked.contains_key(&Entity::Actor(key.clone()))
                    || tracked.keys().any(|entity| matches!(entity, Entity::Provider { key: own, .. } if own == key))
            }
            Key::Index { provider, link } => {
                tracked.contains_key(&Entity::Provider { key: provider.clone(), link_name: link.link_name.clone() })
            }
            Key::Alias(alias) => tracked.contains_key(&Entity::Alias(alias.clone())),
            Key::Reference(_) => false,
        };
        self.known.entries.retain(|key, _| is_direct(key) || matches!(key, Key::Link(_) | Key::Claims(_)));
        let indexed: HashSet<Key> = self
            .known
            .entries
            .keys()
            .filter_map(|key| match key {
                Key::Index { link, .. } => Some([Key::Link(link.clone()), Key::Claims(link.actor.clone())]),
                _ => None,
            })
            .flatten()
            .collect();
        self.known.entries.retain(|key, _| is_direct(key) || indexed.contains(key));
    }

    /// Hears a message on a republished subject.
    pub(super) fn hear(&mut self, message: &Message) {
        let Some(key) = self.registry.0.bucket.key_of(&message.subject) else { return };
        let is_marker = message.payload.is_empty() || message.headers.as_ref().is_some_and(is_marker);
        let entry = match is_marker {
            true => Err(Refusal::Marker),
            false => self.registry.verifier().read(&key, &message.payload),
        };
        match entry {
            Ok(entry) => {
                if let (Key::Index { .. }, Value::Settled(_) | Value::Removed(_)) = (&key, &entry.value) {
                    self.intents.settle(&key, &entry.value);
                }
                if self.known.may_follow(&key, &entry) {
                    self.reads.demand(key);
                }
            }
            Err(refusal) => self.refuse(key, refusal),
        }
    }

    pub(super) fn refuse(&self, key: Key, reason: Refusal) {
        self.registry.0.counters.refused.add();
        log::debug!("An entry of the registry under {key} is refused: {reason}");
        self.outbox.push(RegistryChange::Refused { key, reason });
    }
}
