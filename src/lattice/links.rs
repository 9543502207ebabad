//! Changes of links by this host: in effect here at once, and in the registry for all others.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use wasmcloud_core::error::{Error, ErrorKind, Result};
use wasmcloud_lattice::registry::{self, Change, LinkRecord, PendingChange, Registry};

use super::{Lattice, Node};
use crate::dispatch::snapshot::Snapshot;
use crate::event::EventKind;
use crate::link::{LinkDefinition, LinkKey};
use crate::supervisor::Command;

/// The revisions of links in the registry, and the changes that are still to be published.
#[derive(Debug, Default)]
pub(super) struct PendingLinks(Mutex<Book>);

#[derive(Debug, Default)]
struct Book {
    /// The last known revision of each link that this host knows from the registry.
    revisions: HashMap<LinkKey, u64>,
    /// How many changes of each link have been requested of the supervisor, and have not ended.
    applying: HashMap<LinkKey, usize>,
    /// Changes that were made without a connection. The last one of a link counts.
    pending: HashMap<LinkKey, PendingChange>,
}

impl PendingLinks {
    fn book(&self) -> MutexGuard<'_, Book> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Records the revision of a link. Returns whether none is newer, and no change of this host waits to be published.
    pub(super) fn learn(&self, key: &LinkKey, revision: u64) -> bool {
        let mut book = self.book();
        // The revision of a change of this host may be known before it is heard of, after an older one of another host.
        let is_latest = book.revisions.get(key).is_none_or(|known| *known <= revision);
        if is_latest {
            book.revisions.insert(key.clone(), revision);
        }
        is_latest && !book.pending.contains_key(key)
    }

    /// Notes that a change of a link was requested of the supervisor.
    pub(super) fn begin(&self, key: &LinkKey) {
        *self.book().applying.entry(key.clone()).or_default() += 1;
    }

    /// Notes that a requested change of a link has ended.
    pub(super) fn end(&self, key: &LinkKey) {
        let mut book = self.book();
        if let Some(count) = book.applying.get_mut(key) {
            *count -= 1;
            if *count == 0 {
                book.applying.remove(key);
            }
        }
    }

    /// Returns whether a requested change of a link has not ended yet.
    pub(super) fn is_changing(&self, key: &LinkKey) -> bool {
        self.book().applying.contains_key(key)
    }

    /// Returns whether the registry has ever held a link, as far as this host knows.
    pub(super) fn is_registered(&self, key: &LinkKey) -> bool {
        self.book().revisions.contains_key(key)
    }

    /// Returns whether a change of a link waits to be published.
    pub(super) fn is_pending(&self, key: &LinkKey) -> bool {
        self.book().pending.contains_key(key)
    }

    /// Returns how many changes wait to be published.
    pub(super) fn waiting(&self) -> usize {
        self.book().pending.len()
    }

    /// Forgets the revisions: the registry has lost its data.
    pub(super) fn forget_revisions(&self) {
        self.book().revisions.clear();
    }

    pub(super) fn add(&self, key: LinkKey, change: Change) {
        let mut book = self.book();
        let base = book.pending.get(&key).map(|pending| pending.base);
        let base = base.or_else(|| book.revisions.get(&key).copied()).unwrap_or(0);
        book.pending.insert(key, PendingChange { change, base });
    }

    fn pending(&self) -> Vec<(LinkKey, PendingChange)> {
        self.book().pending.iter().map(|(key, change)| (key.clone(), change.clone())).collect()
    }

    fn conclude(&self, key: &LinkKey, revision: Option<u64>) {
        let mut book = self.book();
        book.pending.remove(key);
        if let Some(revision) = revision {
            book.revisions.insert(key.clone(), revision);
        }
    }
}

impl Lattice {
    /// Sets a link on this host, in the registry, and for hosts of 2021.
    pub(crate) async fn set_link(&self, definition: LinkDefinition) -> Result<()> {
        self.node.set_link(definition, true).await
    }

    /// Removes a link on this host, from the registry, and for hosts of 2021.
    pub(crate) async fn remove_link(&self, key: LinkKey) -> Result<()> {
        self.node.remove_link(key, true).await
    }
}

impl Node {
    /// Sets a link on this host and in the registry. `is_told` says whether hosts of 2021 are to be told.
    pub(super) async fn set_link(&self, definition: LinkDefinition, is_told: bool) -> Result<()> {
        definition.validate()?;
        let key = definition.key();
        let record = record_of(&definition);
        // Checks its names, before anything changes.
        record.key()?;
        let opened = self.registry();
        let is_local = concerns(&self.dispatch.snapshot(), &definition);
        let before = self.dispatch.snapshot().links.get(&key).map(|link| link.definition.clone());
        let is_applied = is_local || opened.is_err();
        if is_applied {
            self.request(Command::SetLink(definition.clone())).await?;
        }
        if is_told {
            self.advertise_link(&definition).await;
        }
        let published = match opened {
            Ok(open) => open.registry.put_link(&record).await,
            Err(unavailable) => Err(unavailable),
        };
        let concluded = self.conclude(key.clone(), published, Change::SetLink(record));
        if concluded.is_err() && is_applied {
            self.revert(key, before).await;
        }
        concluded
    }

    /// Puts the previous link into effect again, after a change that the registry refused.
    async fn revert(&self, key: LinkKey, before: Option<Arc<LinkDefinition>>) {
        let command = match before {
            Some(before) => Command::SetLink(LinkDefinition::clone(&before)),
            None => Command::RemoveLink(key.clone()),
        };
        if let Err(error) = self.request(command).await {
            log::warn!("the {key} is not as before its refused change: {error}");
        }
    }

    /// Removes a link on this host and from the registry. `is_told` says whether hosts of 2021 are to be told.
    pub(super) async fn remove_link(&self, key: LinkKey, is_told: bool) -> Result<()> {
        let registered = registry::LinkKey::new(&key.actor, &key.contract, &key.link_name)?;
        let released = self.request(Command::RemoveLink(key.clone())).await;
        let is_unknown = |error: &Error| error.kind() == ErrorKind::NotLinked;
        let published = match self.registry() {
            Ok(open) => self.remove_registered(&open.registry, &registered, released.is_ok()).await,
            Err(unavailable) => Err(unavailable),
        };
        match (released, published) {
            (Err(unknown), Err(absent)) if is_unknown(&unknown) && is_unknown(&absent) => Err(unknown),
            // Nothing was done here, and the others could not be told.
            (Err(unknown), Err(error)) if is_unknown(&unknown) => Err(error),
            (Ok(()), Err(absent)) if is_unknown(&absent) => Ok(()),
            (released, published) => {
                if is_told {
                    self.advertise_removal(&key).await;
                }
                self.conclude(key, published, Change::RemoveLink(registered))?;
                match released {
                    Err(unknown) if is_unknown(&unknown) => Ok(()),
                    released => released,
                }
            }
        }
    }
}

impl Node {
    /// Removes a link from the registry. A link that is unknown here must be known there.
    async fn remove_registered(&self, registry: &Registry, key: &registry::LinkKey, is_known: bool) -> Result<u64> {
        if !is_known {
            let links = registry.links_of(&key.actor).await?;
            let is_there = |link: &registry::RegisteredLink| link.definition.key().is_ok_and(|known| known == *key);
            if !links.iter().any(is_there) {
                return Err(Error::new(ErrorKind::NotLinked, "the lattice knows no such link"));
            }
        }
        registry.remove_link(key).await
    }

    /// Records the outcome of a publication. A change that could not be published for want of a connection waits for it.
    fn conclude(&self, key: LinkKey, published: Result<u64>, change: Change) -> Result<()> {
        match published {
            Ok(revision) => {
                self.links.conclude(&key, Some(revision));
                Ok(())
            }
            // It travels by advertisements.
            Err(_) if self.has_no_registry() => Ok(()),
            Err(error) if error.kind() == ErrorKind::LatticeUnavailable => {
                log::warn!("the change of the {key} is not known to the lattice yet: {error}");
                self.links.add(key, change);
                Ok(())
            }
            Err(error) => Err(error),
        }
    }

    /// Publishes the changes that were made without a connection. A link that another host has changed meanwhile keeps the
    /// other's change, and an event tells of it.
    pub(super) async fn publish_pending_links(&self) {
        let Ok(open) = self.registry() else { return };
        for (key, change) in self.links.pending() {
            let outcomes = open.registry.publish_pending(vec![change]).await;
            for outcome in outcomes {
                match outcome.outcome {
                    Ok(revision) => self.links.conclude(&key, Some(revision)),
                    Err(conflict) if conflict.kind() == ErrorKind::RegistryConflict => {
                        self.links.conclude(&key, None);
                        self.links.book().revisions.remove(&key);
                        self.report_conflict(&key, &conflict);
                        self.adopt_registered(&open.registry, &key).await;
                    }
                    Err(error) => log::warn!("the change of the {key} is not known to the lattice yet: {error}"),
                }
            }
        }
    }

    fn report_conflict(&self, key: &LinkKey, conflict: &Error) {
        log::warn!("{conflict}");
        let entity = wasmcloud_core::entity::WasmCloudEntity::Actor(key.actor.to_string());
        let kind = EventKind::LinkConflict {
            contract_id: key.contract.to_string(),
            link_name: key.link_name.to_string(),
            reason: conflict.to_string(),
        };
        self.dispatch.events().emit(entity, kind);
    }

    /// Puts what the registry holds of a link into effect.
    async fn adopt_registered(&self, registry: &Registry, key: &LinkKey) {
        let links = match registry.links_of(&key.actor).await {
            Ok(links) => links,
            Err(error) => return log::warn!("the {key} cannot be read from the registry: {error}"),
        };
        let found = links.into_iter().find(|link| definition_of(&link.definition).key() == *key);
        let command = match found {
            Some(link) => {
                self.links.learn(key, link.revision);
                Command::SetLink(definition_of(&link.definition))
            }
            None => Command::RemoveLink(key.clone()),
        };
        if let Err(error) = self.request(command).await {
            log::warn!("the {key} is not as the registry has it: {error}");
        }
    }
}

/// Returns whether an end of a link runs on this host, or the link is known here.
pub(super) fn concerns(snapshot: &Snapshot, definition: &LinkDefinition) -> bool {
    let provider =
        wasmcloud_core::identity::ProviderKeyRef { id: &definition.provider_id, link_name: &definition.link_name };
    snapshot.actors.contains_key(definition.actor_id.as_str())
        || snapshot.providers.contains_key(&provider)
        || snapshot.links.contains_key(&definition.key())
}

/// Returns a link as the registry holds it.
pub(super) fn record_of(definition: &LinkDefinition) -> LinkRecord {
    LinkRecord {
        actor: definition.actor_id.clone(),
        contract: definition.contract_id.clone(),
        link_name: definition.link_name.clone(),
        provider: definition.provider_id.clone(),
        values: definition.values.clone().into_iter().collect(),
    }
}

/// Returns a link of the registry as a host knows it.
pub(super) fn definition_of(record: &LinkRecord) -> LinkDefinition {
    LinkDefinition {
        actor_id: record.actor.clone(),
        provider_id: record.provider.clone(),
        link_name: record.link_name.clone(),
        contract_id: record.contract.clone(),
        values: record.values.clone().into_iter().collect(),
    }
}
