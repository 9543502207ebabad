//! The events of hosts of 2021, in their JSON, and which such hosts are there.

use std::collections::HashMap;
use std::fmt;
use std::time::Duration;

use bytes::Bytes;
use nkeys::{KeyPair, KeyPairType};
use serde::de::{IgnoredAny, MapAccess, Visitor};
use serde::ser::SerializeMap;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use tokio::time::Instant;
use wasmcloud_claims::jwt::{Actor, Claims};

/// The most hosts of 2021 that are known at a time.
pub(super) const MOST_HOSTS: usize = 1_000;

/// The room that the header and the names of an event take beside its data. Unit: bytes.
const ENVELOPE: usize = 512;

/// An event as hosts of 2021 publish and understand it.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[non_exhaustive]
pub enum EraEvent {
    /// A host started.
    HostStarted,
    /// A host stopped.
    HostStopped,
    /// An actor started.
    ActorStarted {
        /// Its public key.
        actor: String,
        /// The reference of its image.
        image_ref: Option<String>,
    },
    /// An actor stopped.
    ActorStopped {
        /// Its public key.
        actor: String,
    },
    /// An actor is about to be updated.
    ActorUpdateBegan {
        /// Its public key.
        actor: String,
        /// The revision that runs.
        old_revision: i32,
        /// The revision that replaces it.
        new_revision: i32,
    },
    /// An actor has been updated.
    ActorUpdateCompleted {
        /// Its public key.
        actor: String,
        /// The revision that ran.
        old_revision: i32,
        /// The revision that runs.
        new_revision: i32,
    },
    /// A provider started.
    ProviderStarted {
        /// Its contract.
        contract_id: String,
        /// Its link name.
        link_name: String,
        /// Its public key.
        provider_id: String,
        /// The reference of its image.
        image_ref: Option<String>,
    },
    /// A provider stopped.
    ProviderStopped {
        /// Its contract.
        contract_id: String,
        /// Its link name.
        link_name: String,
        /// Its public key.
        provider_id: String,
    },
    /// An actor could not be started. 2021 had no such event, and its clients pass it over.
    ActorStartFailed {
        /// The reference of its image.
        actor_ref: String,
        /// The reason.
        failure: String,
    },
    /// An actor crashed too often and stays down. 2021 had no such event.
    ActorFailed {
        /// Its public key.
        actor: String,
        /// The reason.
        failure: String,
    },
    /// An actor was not updated, and runs on as before. 2021 had no such event.
    ActorUpdateFailed {
        /// Its public key.
        actor: String,
        /// The reason.
        failure: String,
    },
    /// A provider could not be started. 2021 had no such event.
    ProviderStartFailed {
        /// The reference of its image.
        provider_ref: String,
        /// Its link name.
        link_name: String,
        /// The reason.
        failure: String,
    },
    /// A provider crashed too often and stays down. 2021 had no such event.
    ProviderFailed {
        /// Its contract.
        contract_id: String,
        /// Its link name.
        link_name: String,
        /// Its public key.
        provider_id: String,
        /// The reason.
        failure: String,
    },
    /// A link could not be established. 2021 had no such event.
    LinkRefused {
        /// The actor.
        actor: String,
        /// The contract.
        contract_id: String,
        /// The link name.
        link_name: String,
        /// The reason.
        failure: String,
    },
    /// What a host runs, and the claims that it knows.
    Heartbeat {
        /// The claims.
        claims: Vec<Claims<Actor>>,
        /// The health of the entities.
        entities: EraEntities,
    },
}

/// The health of an entity.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum EraHealth {
    /// It runs.
    Running,
    /// It has failed, for a reason.
    Unhealthy(String),
}

/// The health of entities, by their public keys. A map in JSON, whose order is kept.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct EraEntities(pub Vec<EraEntity>);

/// An entity and its health.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EraEntity {
    /// The public key.
    pub id: String,
    /// The health.
    pub health: EraHealth,
}

/// Supplies what the heartbeats of 2021 tell. It is called on the thread of the lattice and must not block.
pub trait EraSource: Send + Sync {
    /// Returns the claims that the host knows.
    fn claims(&self) -> Vec<Claims<Actor>>;

    /// Returns the health of what the host runs.
    fn entities(&self) -> EraEntities;
}

/// An event with its header.
#[derive(Serialize, Deserialize)]
pub(crate) struct Envelope<E> {
    event: E,
    header: Header,
}

#[derive(Serialize, Deserialize)]
struct Header {
    host_origin: String,
    timestamp: u64,
}

/// Returns the JSON of an event.
pub(super) fn encode(event: &EraEvent, host: &str, timestamp: u64) -> Option<Bytes> {
    let header = Header { host_origin: host.to_owned(), timestamp };
    serde_json::to_vec(&Envelope { event, header }).ok().map(Bytes::from)
}

/// Returns the host that an event comes from, if its key is one of a host. Nothing proves it: these events are not signed.
pub(super) fn origin(message: &[u8]) -> Option<String> {
    let envelope: Envelope<IgnoredAny> = serde_json::from_slice(message).ok()?;
    let host = envelope.header.host_origin;
    let is_host = |key: KeyPair| key.key_pair_type() == KeyPairType::Server;
    KeyPair::from_public_key(&host).is_ok_and(is_host).then_some(host)
}

/// Returns heartbeats that together tell everything, each within a size. One item that exceeds it alone is left out, and
/// counted in the second value.
pub(super) fn heartbeats(claims: Vec<Claims<Actor>>, entities: EraEntities, largest: usize) -> (Vec<EraEvent>, usize) {
    let mut pages = Pages { room: largest.saturating_sub(ENVELOPE), used: 0, left_out: 0, done: Vec::new() };
    let mut page = (Vec::new(), EraEntities::default());
    for entity in entities.0 {
        let reason = if let EraHealth::Unhealthy(reason) = &entity.health { reason.len() } else { 0 };
        // JSON may write a character as six.
        if pages.admit(32 + 6 * (entity.id.len() + reason), &mut page) {
            page.1.0.push(entity);
        }
    }
    for claims in claims {
        let size = serde_json::to_vec(&claims).map_or(usize::MAX, |json| json.len() + 1);
        if pages.admit(size, &mut page) {
            page.0.push(claims);
        }
    }
    pages.finish(page);
    (pages.done, pages.left_out)
}

type PageContent = (Vec<Claims<Actor>>, EraEntities);

struct Pages {
    room: usize,
    used: usize,
    left_out: usize,
    done: Vec<EraEvent>,
}

impl Pages {
    /// Returns whether an item fits. Begins another page if it does not fit into this one.
    fn admit(&mut self, size: usize, page: &mut PageContent) -> bool {
        if size > self.room {
            self.left_out += 1;
            return false;
        }
        if self.used + size > self.room {
            self.finish(std::mem::take(page));
        }
        self.used += size;
        true
    }

    fn finish(&mut self, (claims, entities): PageContent) {
        self.used = 0;
        self.done.push(EraEvent::Heartbeat { claims, entities });
    }
}

impl Serialize for EraEntities {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(self.0.len()))?;
        for entity in &self.0 {
            map.serialize_entry(&entity.id, &entity.health)?;
        }
        map.end()
    }
}

impl<'de> Deserialize<'de> for EraEntities {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<EraEntities, D::Error> {
        deserializer.deserialize_map(EntitiesVisitor)
    }
}

struct EntitiesVisitor;

impl<'de> Visitor<'de> for EntitiesVisitor {
    type Value = EraEntities;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a map of entities")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<EraEntities, A::Error> {
        let mut entities = Vec::new();
        while let Some((id, health)) = map.next_entry()? {
            entities.push(EraEntity { id, health });
        }
        Ok(EraEntities(entities))
    }
}

/// The hosts that have sent events of 2021, and when.
#[derive(Debug, Default)]
pub(super) struct EraHosts {
    seen: HashMap<String, Instant>,
}

impl EraHosts {
    /// Records an event. Returns whether its host is new. A host beyond the bound is not recorded, and not new.
    pub(super) fn hear(&mut self, host: String, now: Instant) -> bool {
        let is_known = self.seen.contains_key(&host);
        if !is_known && self.seen.len() >= MOST_HOSTS {
            return false;
        }
        self.seen.insert(host, now);
        !is_known
    }

    /// Removes a host.
    pub(super) fn remove(&mut self, host: &str) {
        self.seen.remove(host);
    }

    /// Forgets the hosts that were silent for a time.
    pub(super) fn forget(&mut self, now: Instant, silence: Duration) {
        self.seen.retain(|_, seen| now.saturating_duration_since(*seen) <= silence);
    }

    /// Returns the hosts, and when they were heard.
    pub(super) fn iter(&self) -> impl Iterator<Item = (&String, &Instant)> {
        self.seen.iter()
    }
}

#[cfg(test)]
mod tests;
