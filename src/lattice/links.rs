//! Changes of links by this host: in effect here at once, and in the registry for all others.

use std::sync::Arc;

use futures_util::StreamExt;
use futures_util::stream;
use wasmcloud_core::error::{Error, ErrorKind, Result};
use wasmcloud_lattice::registry::{self, Change, LinkRecord, Registry};

use super::pending_links::Pending;
use super::{Lattice, Node};
use crate::dispatch::snapshot::Snapshot;
use crate::event::EventKind;
use crate::link::{LinkDefinition, LinkKey};
use crate::supervisor::Command;

impl Lattice {
    /// Returns whether the registry has a link with this definition.
    pub(crate) async fn has_link(&self, definition: &LinkDefinition) -> bool {
        let Ok(open) = self.node.registry() else { return false };
        let links = open.registry.links_of(&definition.actor_id).await.unwrap_or_default();
        links.iter().any(|link| definition_of(&link.definition) == *definition)
    }

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
            log::warn!(actor = &*key.actor; "the {key} is not as before its refused change: {error}");
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

    /// Records the outcome of a publication. A change that could not be published for want of a connection waits for it, as
    /// does one whose outcome is not known.
    fn conclude(&self, key: LinkKey, published: Result<u64>, change: Change) -> Result<()> {
        let error = match published {
            Ok(revision) => {
                self.links.published(&key, revision);
                return Ok(());
            }
            // It travels by advertisements.
            Err(_) if self.has_no_registry() => return Ok(()),
            Err(error) => error,
        };
        let waits = matches!(error.kind(), ErrorKind::LatticeUnavailable | ErrorKind::OutcomeUnknown);
        if !waits {
            return Err(error);
        }
        log::warn!(actor = &*key.actor; "the change of the {key} is not known to the lattice yet: {error}");
        self.links.add(key, change);
        Ok(())
    }

    /// Publishes the changes that were made without a connection. A link that another host has changed meanwhile keeps the
    /// other's change, and an event tells of it.
    pub(super) async fn publish_pending_links(&self) {
        let Ok(open) = self.registry() else { return };
        let publications = stream::iter(self.links.pending()).map(|pending| self.publish(&open.registry, pending));
        publications.buffer_unordered(AT_ONCE).collect::<()>().await;
    }

    async fn publish(&self, registry: &Registry, pending: Pending) {
        let mut outcome = self.try_to_publish(registry, &pending, pending.base).await;
        if outcome.as_ref().is_err_and(|error| error.kind() == ErrorKind::RegistryConflict) {
            if !self.links.is_last(&pending) {
                // A later change of this host follows, or was stored before.
                return;
            }
            // A change of this host may have been stored although nothing confirmed it.
            if let Some(revision) = self.own_revision(registry, &pending.key).await {
                outcome = self.try_to_publish(registry, &pending, revision).await;
            }
        }
        let key = &pending.key;
        match outcome {
            Ok(revision) => self.links.conclude(&pending, Some(revision)),
            Err(conflict) if conflict.kind() == ErrorKind::RegistryConflict => {
                self.links.conclude(&pending, None);
                self.report_conflict(key, &conflict);
                self.adopt_registered(registry, key).await;
            }
            Err(error) => {
                log::warn!(actor = &*key.actor; "the change of the {key} is not known to the lattice yet: {error}")
            }
        }
    }

    async fn try_to_publish(&self, registry: &Registry, pending: &Pending, base: u64) -> Result<u64> {
        let change = registry::PendingChange { change: pending.change.clone(), base };
        let outcome = registry.publish_pending(vec![change]).await.pop();
        outcome.map_or(Ok(0), |outcome| outcome.outcome)
    }

    /// Returns the revision of a link in the registry, if it is as this host has tried to publish it before.
    async fn own_revision(&self, registry: &Registry, key: &LinkKey) -> Option<u64> {
        let registered = registry::LinkKey::new(&key.actor, &key.contract, &key.link_name).ok()?;
        let version = registry.link_version(&registered).await.ok()??;
        self.links.was_sent(key, version.definition.as_ref()).then_some(version.revision)
    }

    fn report_conflict(&self, key: &LinkKey, conflict: &Error) {
        log::warn!(actor = &*key.actor; "{conflict}");
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
            Err(error) => return log::warn!(actor = &*key.actor; "the {key} cannot be read from the registry: {error}"),
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
            log::warn!(actor = &*key.actor; "the {key} is not as the registry has it: {error}");
        }
    }
}

/// The number of changes that are published at the same time.
const AT_ONCE: usize = 16;

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
