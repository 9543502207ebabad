//! What other hosts learn of this one: the entities that they can call here, and its labels.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use wasmcloud_claims::jwt::{self, Claims};
use wasmcloud_lattice::wire::{self, ActorClaims};
use wasmcloud_lattice::{
    AdvertisementSource, EntityCounts, EraEntities, EraEntity, EraHealth, EraSource, InventoryActor, InventoryEntity,
    InventoryLabel, InventoryPart, InventoryProvider, InventorySource,
};

use super::Labels;
use crate::dispatch::Dispatch;
use crate::dispatch::snapshot::{Condition, Snapshot};
use crate::link::LinkDefinition;

/// What a host runs, as other hosts see it. Its version is raised with each change.
pub(super) struct HostInventory {
    dispatch: Dispatch,
    labels: Labels,
    started: Instant,
    version: AtomicU64,
    /// The entities of a version, in order.
    listed: Mutex<Option<Listed>>,
}

#[derive(Debug, Clone)]
struct Listed {
    version: u64,
    entities: Arc<[InventoryEntity]>,
}

impl HostInventory {
    pub(super) fn new(dispatch: Dispatch, labels: Labels) -> HostInventory {
        HostInventory {
            dispatch,
            labels,
            started: Instant::now(),
            version: AtomicU64::new(1),
            listed: Mutex::new(None),
        }
    }

    /// Notes that something has started, stopped or begun to stop.
    pub(super) fn changed(&self) {
        self.version.fetch_add(1, Ordering::Release);
    }

    fn listed(&self) -> Listed {
        let version = self.version.load(Ordering::Acquire);
        let mut listed = self.listed.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(listed) = listed.as_ref().filter(|listed| listed.version == version) {
            return listed.clone();
        }
        let fresh = Listed { version, entities: entities(&self.dispatch.snapshot()).into() };
        *listed = Some(fresh.clone());
        fresh
    }
}

/// Returns the actors and providers that take calls, in the order of their keys.
fn entities(snapshot: &Snapshot) -> Vec<InventoryEntity> {
    let actors = snapshot.actors.values().filter(|actor| !actor.draining).map(|actor| InventoryEntity {
        id: actor.identity.key.to_string(),
        name: Some(actor.identity.name.clone()),
        revision: Some(actor.identity.revision),
        image_ref: actor.identity.image.as_ref().map(|image| image.reference.clone()),
        ..InventoryEntity::default()
    });
    let providers = snapshot.providers.iter().filter(|(_, provider)| !provider.is_closing);
    let providers = providers.map(|(key, provider)| InventoryEntity {
        id: key.id.to_string(),
        link_name: Some(key.link_name.to_string()),
        contract_id: Some(provider.identity.contract_id.to_string()),
        name: Some(provider.identity.claims.name()),
        revision: Some(provider.identity.revision()),
        image_ref: provider.identity.image.as_ref().map(|image| image.reference.clone()),
    });
    let mut entities: Vec<InventoryEntity> = actors.chain(providers).collect();
    entities.sort_by(|one, other| (&one.id, &one.link_name).cmp(&(&other.id, &other.link_name)));
    entities
}

impl InventorySource for HostInventory {
    fn version(&self) -> u64 {
        self.version.load(Ordering::Acquire)
    }

    fn counts(&self) -> EntityCounts {
        let snapshot = self.dispatch.snapshot();
        let count = |length: usize| u32::try_from(length).unwrap_or(u32::MAX);
        let mut counts = EntityCounts::default();
        counts.actors = count(snapshot.actors.len());
        counts.providers = count(snapshot.providers.len());
        counts.links = count(snapshot.links.len());
        counts
    }

    fn part(&self, offset: usize, limit: usize) -> InventoryPart {
        let Listed { version, entities } = self.listed();
        let rest = entities.get(offset..).unwrap_or_default();
        InventoryPart { version, entities: rest.iter().take(limit).cloned().collect() }
    }

    fn labels(&self) -> BTreeMap<String, String> {
        (self.labels)().into_iter().collect()
    }
}

impl AdvertisementSource for HostInventory {
    fn claims(&self) -> Vec<ActorClaims> {
        let snapshot = self.dispatch.snapshot();
        let own = snapshot.actors.values().map(|actor| &actor.identity);
        let others = snapshot.remote_actors.values();
        own.chain(others).filter_map(|actor| ActorClaims::of(&actor.claims)).collect()
    }

    fn links(&self) -> Vec<wire::LinkDefinition> {
        self.dispatch.snapshot().links.values().map(|link| advertised(&link.definition)).collect()
    }

    fn listed_links(&self) -> Vec<wire::LinkDefinition> {
        self.dispatch.snapshot().links.values().map(|link| advertised(&link.definition.listed())).collect()
    }

    fn uptime(&self) -> Duration {
        self.started.elapsed()
    }

    fn inventory(&self) -> wasmcloud_lattice::HostInventory {
        let labels = (self.labels)().into_iter().map(|(name, value)| InventoryLabel { name, value }).collect();
        let (mut actors, mut providers) = (Vec::new(), Vec::new());
        for entity in self.listed().entities.iter().cloned() {
            let InventoryEntity { id, link_name, image_ref, name, revision, .. } = entity;
            let revision = revision.unwrap_or(0);
            match link_name {
                None => actors.push(InventoryActor { id, image_ref, name, revision }),
                Some(link_name) => providers.push(InventoryProvider { id, link_name, image_ref, name, revision }),
            }
        }
        wasmcloud_lattice::HostInventory { labels, actors, providers }
    }
}

/// Returns a link as hosts of 2021 advertise it.
pub(super) fn advertised(definition: &LinkDefinition) -> wire::LinkDefinition {
    let values = definition.values.iter();
    let values = values.map(|(name, value)| wire::LinkValue { name: name.clone(), value: value.clone() });
    wire::LinkDefinition {
        actor_id: definition.actor_id.clone(),
        provider_id: definition.provider_id.clone(),
        link_name: definition.link_name.clone(),
        contract_id: definition.contract_id.clone(),
        values: values.collect(),
    }
}

impl EraSource for HostInventory {
    fn claims(&self) -> Vec<Claims<jwt::Actor>> {
        let snapshot = self.dispatch.snapshot();
        snapshot.actors.values().map(|actor| Claims::clone(&actor.identity.claims)).collect()
    }

    fn entities(&self) -> EraEntities {
        let snapshot = self.dispatch.snapshot();
        let health = |condition: &Condition| match condition {
            Condition::Running => EraHealth::Running,
            _ => EraHealth::Unhealthy("it was not restarted yet after a crash".to_owned()),
        };
        let actors = snapshot.actors.values();
        let actors =
            actors.map(|actor| EraEntity { id: actor.identity.key.to_string(), health: health(&actor.condition) });
        let providers = snapshot.providers.iter();
        let providers =
            providers.map(|(key, provider)| EraEntity { id: key.id.to_string(), health: health(&provider.condition) });
        EraEntities(actors.chain(providers).collect())
    }
}
