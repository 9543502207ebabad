//! What follows from an entry that was read from the stream.

use std::time::SystemTime;

use super::super::bucket::Stored;
use super::super::claims::ClaimsRecord;
use super::super::entry::{Entry, Settlement, Value, holder, since_1970};
use super::super::interest::Entity;
use super::super::key::{Key, LinkKey};
use super::super::outbox::RegistryChange;
use super::super::state::Verdict;
use super::Watcher;

impl Watcher {
    /// Takes an entry of the stream into account.
    pub(super) fn accept(&mut self, key: Key, stored: &Stored) {
        if !self.known.is_news(&key, stored.sequence) {
            self.known.mark(&key, self.round);
            return;
        }
        let entry = self.registry.verify(&key, stored);
        if !self.concerns(&key, entry.as_ref().ok()) {
            return;
        }
        match self.known.consider(&key, stored.sequence, stored.seconds, &entry, self.round) {
            Verdict::Known => {}
            Verdict::Refused(refusal) => self.refuse(key, refusal),
            Verdict::Accepted => {
                if let Ok(entry) = entry {
                    self.deliver(key, stored, entry.value);
                }
            }
        }
    }

    /// Notes that a key has no entry.
    pub(super) fn miss(&mut self, key: &Key) {
        if let Verdict::Refused(refusal) = self.known.consider_absence(key) {
            self.refuse(key.clone(), refusal);
        }
    }

    /// Returns whether an entry concerns what is followed. The index may point at a link that leads to another provider by now.
    fn concerns(&self, key: &Key, entry: Option<&Entry>) -> bool {
        let Key::Link(link) = key else { return true };
        if self.known.entries.contains_key(key) || self.tracked.contains_key(&Entity::Actor(link.actor.clone())) {
            return true;
        }
        match entry.map(|entry| &entry.value) {
            Some(Value::Link(record)) => {
                let key = record.provider.clone();
                self.tracked.contains_key(&Entity::Provider { key, link_name: link.link_name.clone() })
            }
            Some(_) => false,
            None => true,
        }
    }

    fn deliver(&mut self, key: Key, stored: &Stored, value: Value) {
        let revision = stored.sequence;
        let change = match (key, value) {
            (Key::Link(_), Value::Link(definition)) => RegistryChange::Link { definition, revision },
            (Key::Link(key), _) => RegistryChange::LinkRemoved { key, revision },
            (Key::Claims(entity), Value::Claims(token)) => {
                RegistryChange::Claims(ClaimsRecord { entity, token, revision })
            }
            (Key::Claims(entity), _) => RegistryChange::ClaimsRemoved { entity, revision },
            (Key::Alias(alias), value) => {
                let actor = match value {
                    Value::Alias(token) => holder(&alias, &token).map(|claims| claims.subject),
                    _ => None,
                };
                RegistryChange::Alias { alias, actor, revision }
            }
            (Key::Index { provider, link }, value) => return self.consult(provider, link, stored, &value),
            (Key::Reference(_), _) => return,
        };
        self.outbox.push(change);
    }

    /// Reads what an index entry points at.
    fn consult(&mut self, provider: String, link: LinkKey, stored: &Stored, value: &Value) {
        let link_key = Key::Link(link.clone());
        let claims_key = Key::Claims(link.actor.clone());
        let link_name = link.link_name.clone();
        let index = Key::Index { provider: provider.clone(), link };
        self.intents.settle(&index, value);
        let mut wanted = Vec::new();
        match value {
            Value::Settled(Settlement { link, claims, .. }) => {
                let known = self.known.revision(&link_key);
                wanted.extend((known == 0 || known < *link).then_some(link_key));
                // Its writer did not know the claims. They may have changed while this host was not there.
                let known = self.known.revision(&claims_key);
                wanted.extend((known == 0 || *claims == 0 || known < *claims).then_some(claims_key));
            }
            Value::Intent => {
                let age = since_1970(SystemTime::now()).as_secs().saturating_sub(stored.seconds);
                if age <= self.registry.0.options.intent_lifetime.as_secs() {
                    self.intents.announce(&index, stored.sequence);
                }
                wanted.extend([link_key, claims_key]);
            }
            // A link that is not known was removed before it was followed.
            _ => wanted.extend((self.known.revision(&link_key) > 0).then_some(link_key)),
        }
        let entity = Entity::Provider { key: provider, link_name };
        if let Some(tracked) = self.tracked.get_mut(&entity)
            && !tracked.is_ready
        {
            tracked.outstanding.extend(wanted.iter().cloned());
        }
        for key in wanted {
            self.reads.demand(key);
        }
    }
}
