//! Opens the registry, and applies what other hosts change in it.

use std::sync::Arc;
use std::time::Duration;

use nkeys::KeyPair;
use tokio::sync::{Semaphore, watch};
use tokio::time::MissedTickBehavior;
use wasmcloud_core::error::ErrorKind;
use wasmcloud_core::identity::ProviderKey;
use wasmcloud_lattice::registry::{
    Change, Changes, Entity, InterestHandle, LinkEntry, Opening, Registry, RegistryChange, RegistryOptions,
};
use wasmcloud_lattice::{Connection, LatticeOptions};

use wasmcloud_providers::Extras;

use super::children::claim_alias;
use super::host_claims::identity_by;
use super::links::{definition_of, record_of};
use super::{Node, OpenRegistry, RegistryState};
use crate::child::Child;
use crate::link::{LinkDefinition, LinkKey};
use crate::supervisor::Command;

/// The delay between two attempts to open the registry.
const RETRY: Duration = Duration::from_secs(1);

/// The delay before changes of links that could not be published are tried again.
const AGAIN: Duration = Duration::from_secs(2);

/// The number of changes that are applied at the same time.
const AT_ONCE: usize = 256;

/// Opens the registry and follows it until the host stops.
pub(super) async fn follow(node: Arc<Node>, options: LatticeOptions, key: Arc<KeyPair>) {
    while node.connection.joined().await {
        match open(&node, &options, &key).await {
            Ok(Opening::Registry(registry)) => {
                let (interest, changes) = registry.watch(epochs(&node.connection));
                let applier = Applier::new(node.clone(), registry.clone());
                let open = OpenRegistry { registry, interest: InterestHandle::clone(&interest) };
                node.registry.send_replace(RegistryState::Open(open));
                node.publish_pending_links().await;
                applier.run(changes).await;
                return;
            }
            Ok(Opening::WithoutJetStream) => {
                log::warn!(
                    "the NATS server has no JetStream: host {} knows links and claims of other hosts by advertisements only",
                    node.host_id
                );
                node.registry.send_replace(RegistryState::Missing);
                tokio::time::sleep(RETRY * 30).await;
            }
            Err(error) => {
                log::warn!("host {} cannot open the registry of the lattice yet: {error}", node.host_id);
                tokio::time::sleep(RETRY).await;
            }
        }
    }
}

async fn open(node: &Node, options: &LatticeOptions, key: &Arc<KeyPair>) -> wasmcloud_core::error::Result<Opening> {
    let client = node.connection.client()?.clone();
    let trust = options.host_trust()?;
    let writers = Arc::new(move |writer: &str| trust.trusts_host(writer) || trust.trusts_cluster(writer));
    // Hosts that trust a cluster may not know this host by its own key.
    let key = options.cluster_key()?.map_or_else(|| key.clone(), Arc::new);
    let mut registry_options = RegistryOptions::default();
    registry_options.replicas = options.replicas();
    Registry::open(client, node.namespace.clone(), key, writers, registry_options).await
}

/// Returns a receiver of the number of connections so far.
fn epochs(connection: &Connection) -> watch::Receiver<u64> {
    let mut status = connection.watch();
    let (epoch, epochs) = watch::channel(status.borrow().epoch);
    tokio::spawn(async move {
        while status.changed().await.is_ok() {
            let now = status.borrow_and_update().epoch;
            epoch.send_if_modified(|known| std::mem::replace(known, now) != now);
        }
    });
    epochs
}

/// Applies changes in their order for each link.
struct Applier {
    node: Arc<Node>,
    registry: Registry,
    permits: Arc<Semaphore>,
}

impl Applier {
    fn new(node: Arc<Node>, registry: Registry) -> Applier {
        Applier { node, registry, permits: Arc::new(Semaphore::new(AT_ONCE)) }
    }

    async fn run(mut self, mut changes: Changes) {
        // It ticks whatever else happens: a change may have to wait although nothing else changes, or while much does.
        let mut again = tokio::time::interval(AGAIN);
        again.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                change = changes.next() => match change {
                    Some(change) => self.apply(change).await,
                    None => return,
                },
                // What a server refused while it had trouble, such as a full disk.
                _ = again.tick() => {
                    if self.node.links.waiting() > 0 {
                        self.node.publish_pending_links().await;
                    }
                }
            }
        }
    }

    async fn apply(&mut self, change: RegistryChange) {
        match change {
            RegistryChange::Link { definition, revision } => {
                let definition = definition_of(&definition);
                let key = definition.key();
                let is_latest = self.node.links.learn(&key, revision);
                let known = self.node.dispatch.snapshot().links.get(&key).cloned();
                let is_in_effect = known.is_some_and(|known| *known.definition == definition);
                if is_latest && (!is_in_effect || self.node.links.is_changing(&key)) {
                    self.start_extras_for(&definition).await;
                    self.send(Command::SetLink(definition)).await;
                }
            }
            RegistryChange::LinkRemoved { key, revision } => {
                let key = LinkKey::new(&key.actor, &key.contract, &key.link_name);
                let is_there = self.node.dispatch.snapshot().links.contains_key(&key);
                if self.node.links.learn(&key, revision) && (is_there || self.node.links.is_changing(&key)) {
                    self.send(Command::RemoveLink(key)).await;
                }
            }
            RegistryChange::Claims(record) => match identity_by(&record.token) {
                Ok(identity) => self.send(Command::SetRemoteActor(identity)).await,
                // The token of a provider.
                Err(error) => log::debug!("claims of {} do not concern actors: {error}", record.entity),
            },
            RegistryChange::ClaimsRemoved { entity, .. } => {
                self.send(Command::RemoveRemoteActor { key: entity }).await;
            }
            RegistryChange::SnapshotComplete { entity: Entity::Actor(actor) } => self.complete(&actor).await,
            RegistryChange::Lost => self.restore().await,
            RegistryChange::Resynchronised => self.node.publish_pending_links().await,
            RegistryChange::Refused { key, reason } => {
                log::warn!("an entry of the lattice's registry is refused: {key:?}: {reason:?}");
            }
            _ => {}
        }
    }

    /// Starts the provider of extras, which every host has, for an actor that runs here.
    async fn start_extras_for(&self, definition: &LinkDefinition) {
        let LinkDefinition { actor_id, provider_id, contract_id, link_name, .. } = definition;
        let snapshot = self.node.dispatch.snapshot();
        let key = ProviderKey::new(provider_id, link_name);
        let is_wanted = provider_id == Extras::PUBLIC_KEY
            && contract_id == Extras::CONTRACT
            && snapshot.actors.contains_key(actor_id.as_str())
            && !snapshot.providers.contains_key(&key);
        if !is_wanted {
            return;
        }
        match Extras::new(Some(link_name.clone())).capability() {
            Ok(capability) => {
                let near = self.node.shards.current_or_next();
                self.send(Command::StartProvider { capability, policy: self.node.restart, near }).await;
            }
            Err(error) => log::warn!("the extras do not start: {error}"),
        }
    }

    /// Requests a change of the supervisor, which applies it beside others.
    async fn send(&self, command: Command) {
        let Ok(permit) = self.permits.clone().acquire_owned().await else { return };
        let key = match &command {
            Command::SetLink(definition) => Some(definition.key()),
            Command::RemoveLink(key) => Some(key.clone()),
            _ => None,
        };
        let node = self.node.clone();
        if let Some(key) = &key {
            node.links.begin(key);
        }
        // The order of requests is that in which they are made here.
        let request = self.node.supervisor.send(command);
        tokio::spawn(async move {
            match request.await {
                Ok(Err(refusal)) if refusal.kind() != ErrorKind::NotLinked => {
                    log::warn!("a change of the lattice's registry is not in effect here: {refusal}");
                }
                _ => {}
            }
            if let Some(key) = &key {
                node.links.end(key);
            }
            drop(permit);
        });
    }

    /// Brings the links of an actor in line with the registry: links that others removed while it did not run here are
    /// removed, and links that the registry does not know are published.
    async fn complete(&self, actor: &str) {
        let snapshot = self.node.dispatch.snapshot();
        let own = snapshot.links.iter().filter(|(key, _)| *key.actor == *actor);
        let own: Vec<_> = own.map(|(key, link)| (key.clone(), link.definition.clone())).collect();
        for (key, definition) in own {
            if self.node.links.is_pending(&key) {
                continue;
            }
            let is_registered = self.node.links.is_registered(&key);
            match self.entry(&key).await {
                Ok(LinkEntry::Removed) => self.send(Command::RemoveLink(key)).await,
                Ok(LinkEntry::Absent) if is_registered => self.send(Command::RemoveLink(key)).await,
                Ok(LinkEntry::Absent) => self.node.links.add(key, Change::SetLink(record_of(&definition))),
                Ok(_) => {}
                Err(error) => log::warn!(actor = &*key.actor; "the {key} is not compared with the registry: {error}"),
            }
        }
        self.node.publish_pending_links().await;
    }

    async fn entry(&self, key: &LinkKey) -> wasmcloud_core::error::Result<LinkEntry> {
        let registered = wasmcloud_lattice::registry::LinkKey::new(&key.actor, &key.contract, &key.link_name)?;
        self.registry.link_entry(&registered).await
    }

    /// Puts the links of this host's actors, and their claims, into a registry that has lost its data.
    async fn restore(&self) {
        log::warn!("the registry of the lattice has lost its data: host {} puts its own again", self.node.host_id);
        self.node.links.forget_revisions();
        let snapshot = self.node.dispatch.snapshot();
        for (key, link) in snapshot.links.iter().filter(|(key, _)| snapshot.actors.contains_key(&key.actor)) {
            if !self.node.links.is_pending(key) {
                self.node.links.add(key.clone(), Change::SetLink(record_of(&link.definition)));
            }
        }
        self.node.publish_pending_links().await;
        for actor in snapshot.actors.values().filter(|actor| !actor.identity.token.is_empty()) {
            if let Err(error) = self.registry.put_claims(&actor.identity.token, &[]).await {
                log::warn!(actor = &*actor.identity.key; "the claims of {} are not in the registry: {error}", actor.identity);
                self.node.changes.add(vec![Child::Actor(actor.identity.key.clone())]);
            } else if let Err(error) = claim_alias(&self.node, &self.registry, &actor.identity).await {
                log::warn!(actor = &*actor.identity.key; "the call alias of {} is not in the registry: {error}", actor.identity);
            }
        }
    }
}
